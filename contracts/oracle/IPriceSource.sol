// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Where a market's index price comes from
/// @notice A source verifies that a price was true at a time that lies in the past, from data that cannot change any more:
/// a past oracle round, a signed report. Whoever asks again later, in whatever block, gets the same answer.
/// @dev A risk group calls this while it settles. A source that breaks the promise (it reads the latest round, the block's
/// time, a switch that somebody can flip) can stop the settlement of every group that trusts it; groups that are shared
/// admit reviewed sources only.
interface IPriceSource {
    /// @notice The proof does not show a price that was in force at the time asked for.
    error PriceNotProven(bytes32 feed, uint64 time, bytes32 reason);

    /// @notice The price of `feed` in force at `time`, as `proof` shows it. Reverts where it does not.
    /// @param feed The source's own name of what is priced.
    /// @param time The frame's time, unix milliseconds.
    /// @param proof What the source needs to be convinced: a round's number, signed reports.
    /// @return price US dollars (or whatever the group settles in) for one whole unit, with 18 decimals; not zero.
    /// @return publishedAt When that price was published, unix milliseconds; not after `time`.
    function priceAt(bytes32 feed, uint64 time, bytes calldata proof)
        external
        view
        returns (uint256 price, uint64 publishedAt);
}
