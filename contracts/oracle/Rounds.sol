// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAggregator} from "./IAggregator.sol";
import {Question, Reason} from "./Question.sol";

/// @notice A round as the aggregator tells it. Times are unix seconds.
struct Round {
    bool exists;
    int256 answer;
    uint256 startedAt;
    uint256 updatedAt;
}

/// @notice Reading past rounds, and telling a round that does not exist from a call that could not say.
library Rounds {
    /// @dev A call passes on at most 63/64 of the gas left (EIP-150). When the proxy runs out, 1/64 is left here;
    /// when the aggregator behind it does, as much again comes back. More than 1/8 left means that nobody ran out.
    uint256 private constant STARVED = 8;
    uint256 private constant ROUND_BYTES = 5 * 32;

    /// @notice The round `id`, or one that does not exist.
    /// @dev Versions differ on missing rounds: they revert, or answer with zeros. A caller who gives too little gas
    /// must not be able to make an existing round look missing: that would hide that a price had been replaced.
    function read(IAggregator feed, Question memory question, uint80 id) internal view returns (Round memory round) {
        uint256 gasBefore = gasleft();
        (bool answered, bytes memory data) = address(feed).staticcall(abi.encodeCall(IAggregator.getRoundData, (id)));
        if (!answered || data.length < ROUND_BYTES) {
            question.need(gasleft() > gasBefore / STARVED, Reason.GAS);
            return round;
        }
        // Wide types: an answer with dirty high bits is not worth a revert without a reason.
        (, round.answer, round.startedAt, round.updatedAt,) =
            abi.decode(data, (uint256, int256, uint256, uint256, uint256));
        round.exists = round.updatedAt != 0;
    }

    /// @notice The phase that a proxy's round id belongs to.
    function phase(uint80 id) internal pure returns (uint16) {
        // The upper 16 bits of 80.
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint16(id >> 64);
    }
}
