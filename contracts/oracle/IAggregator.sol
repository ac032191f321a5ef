// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title What this code reads of a Chainlink aggregator or of the proxy in front of it
/// @dev A proxy's round id is `phase << 64 | the aggregator's own round`; the phase counts the aggregators that the
/// proxy has stood for, and an earlier phase stays readable. An aggregator read directly has phase 0.
interface IAggregator {
    /// @notice How many decimals an answer has.
    function decimals() external view returns (uint8);

    /// @notice A past round. One that does not exist reverts or has only zeros, depending on the aggregator's version.
    /// @return id The round asked for.
    /// @return answer The price; of an uptime feed 0 for up and 1 for down.
    /// @return startedAt When what it reports began or was observed, unix seconds.
    /// @return updatedAt When it was written, unix seconds of block time.
    /// @return answeredInRound Not used any more.
    function getRoundData(uint80 roundId)
        external
        view
        returns (uint80 id, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound);

    /// @notice The newest round, as `getRoundData`.
    function latestRoundData()
        external
        view
        returns (uint80 id, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound);
}
