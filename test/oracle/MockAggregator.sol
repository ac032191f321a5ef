// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAggregator} from "../../contracts/oracle/IAggregator.sol";

/// @notice An aggregator whose rounds a test writes, numbered from 1.
contract MockAggregator is IAggregator {
    error NoData();

    struct Written {
        int256 answer;
        uint64 startedAt;
        uint64 updatedAt;
    }

    uint8 public immutable decimals;
    /// @dev Versions differ on rounds that do not exist.
    bool public immutable revertsOnMissing;
    uint80 public latest;
    /// @dev Gas that reading a round costs on top.
    mapping(uint80 => uint256) public weight;
    mapping(uint80 => Written) private _rounds;

    constructor(uint8 decimals_, bool revertsOnMissing_) {
        (decimals, revertsOnMissing) = (decimals_, revertsOnMissing_);
    }

    /// @dev A price: written now.
    function write(int256 answer) external {
        _rounds[++latest] = Written(answer, uint64(block.timestamp), uint64(block.timestamp));
    }

    /// @dev A status: written now, dated back.
    function writeSince(int256 answer, uint256 startedAt) external {
        _rounds[++latest] = Written(answer, uint64(startedAt), uint64(block.timestamp));
    }

    /// @dev The newest status, reported again.
    function repeat() external {
        _rounds[latest].updatedAt = uint64(block.timestamp);
    }

    function makeHeavy(uint80 id, uint256 gas) external {
        weight[id] = gas;
    }

    function getRoundData(uint80 id) public view returns (uint80, int256, uint256, uint256, uint80) {
        uint256 before = gasleft();
        uint256 gas = weight[id];
        while (before - gasleft() < gas) {}
        Written memory round = _rounds[id];
        if (round.updatedAt == 0 && revertsOnMissing) revert NoData();
        return (id, round.answer, round.startedAt, round.updatedAt, id);
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return getRoundData(latest);
    }
}

/// @notice A proxy that stands for one aggregator after another, and keeps the rounds of the earlier ones readable.
contract MockProxy is IAggregator {
    uint16 public phase;
    mapping(uint16 => MockAggregator) public aggregators;

    constructor(uint16 phase_, MockAggregator aggregator) {
        phase = phase_;
        aggregators[phase_] = aggregator;
    }

    function moveTo(MockAggregator aggregator) external {
        aggregators[++phase] = aggregator;
    }

    function decimals() external view returns (uint8) {
        return aggregators[phase].decimals();
    }

    function getRoundData(uint80 id) external view returns (uint80, int256, uint256, uint256, uint80) {
        return _read(aggregators[uint16(id >> 64)], id);
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return _read(aggregators[phase], (uint80(phase) << 64) | aggregators[phase].latest());
    }

    function _read(MockAggregator aggregator, uint80 id)
        private
        view
        returns (uint80, int256 answer, uint256 startedAt, uint256 updatedAt, uint80)
    {
        (, answer, startedAt, updatedAt,) = aggregator.getRoundData(uint64(id));
        return (id, answer, startedAt, updatedAt, id);
    }
}
