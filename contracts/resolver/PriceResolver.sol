// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGateway} from "../group/IGateway.sol";
import {EventId} from "../group/Types.sol";
import {IPriceSource} from "../oracle/IPriceSource.sol";
import {isDue, isPast} from "../xip/Deadlines.sol";
import {Payouts} from "./Payouts.sol";

/// @title A price at a time: events that a price source decides
/// @notice One of these contracts is one question: in which band was the price of `feed` at `time`? `bounds` divide the
/// prices into bands, and outcome `n` wins where the price is at least bound `n − 1` and below bound `n`. Any event with an
/// outcome for each band may name it as its resolver.
///
/// Once `time` is over, anyone brings the source its proof. If nobody could by `deadline`, anyone may `void` the event, which
/// then pays its outcomes alike. All of it is for good.
/// @dev It remembers nothing, as `CommitteeResolver`. What a source leaves to whoever brings the proof (which reports, within
/// which spread) is left to him here, too: a question of fine bands needs a source that has one answer, such as a
/// Chainlink round.
contract PriceResolver {
    IPriceSource public immutable source;
    bytes32 public immutable feed;
    /// @notice Of the price, unix milliseconds.
    uint64 public immutable time;
    /// @notice How old the price in force at `time` may be, in milliseconds.
    uint64 public immutable maxAge;
    /// @notice Unix seconds.
    uint64 public immutable deadline;
    uint256[] private _bounds;

    event Resolved(
        address indexed gateway, EventId indexed eventId, uint256 price, uint64 publishedAt, uint256 outcome
    );
    event Voided(address indexed gateway, EventId indexed eventId);

    error ZeroAddress();
    error BoundsNotAscending(uint256 previous, uint256 bound);
    error DeadlineBeforeTime(uint64 deadline, uint64 time);
    error TimeNotOver(uint64 time);
    error PriceTooOld(uint64 publishedAt, uint64 time, uint64 maxAge);
    error NotDueYet(uint64 deadline);

    /// @param bounds_ Prices with 18 decimals, ascending, one less than there are outcomes.
    constructor(
        IPriceSource source_,
        bytes32 feed_,
        uint64 time_,
        uint64 maxAge_,
        uint64 deadline_,
        uint256[] memory bounds_
    ) {
        if (address(source_) == address(0)) revert ZeroAddress();
        if (deadline_ <= time_ / 1000) revert DeadlineBeforeTime(deadline_, time_);
        (source, feed, time, maxAge, deadline) = (source_, feed_, time_, maxAge_, deadline_);
        uint256 previous = 0;
        for (uint256 i = 0; i < bounds_.length; ++i) {
            if (bounds_[i] <= previous) revert BoundsNotAscending(previous, bounds_[i]);
            previous = bounds_[i];
            _bounds.push(previous);
        }
        // An event has two outcomes at least.
        if (bounds_.length == 0) revert BoundsNotAscending(0, 0);
    }

    function bounds() external view returns (uint256[] memory) {
        return _bounds;
    }

    /// @notice Decides an event by the price that was in force at `time`, as `proof` shows it to the source. Anyone may.
    function resolve(IGateway gateway, EventId id, bytes calldata proof) external {
        // Some sources would already show a price for a time to come.
        if (!isPast(time / 1000)) revert TimeNotOver(time);
        (uint256 price, uint64 publishedAt) = source.priceAt(feed, time, proof);
        if (publishedAt > time || time - publishedAt > maxAge) revert PriceTooOld(publishedAt, time, maxAge);
        uint256 outcome = bandOf(price);
        uint64[] memory payouts = Payouts.winner(gateway, id, outcome);
        emit Resolved(address(gateway), id, price, publishedAt, outcome);
        gateway.resolveEvent(id, payouts);
    }

    /// @notice Ends an event that nobody has brought a price for by the deadline: all outcomes pay alike. Anyone may.
    function void(IGateway gateway, EventId id) external {
        if (!isDue(deadline)) revert NotDueYet(deadline);
        uint64[] memory payouts = Payouts.alike(gateway, id);
        emit Voided(address(gateway), id);
        gateway.resolveEvent(id, payouts);
    }

    /// @notice The outcome that a price decides for.
    function bandOf(uint256 price) public view returns (uint256 outcome) {
        while (outcome < _bounds.length && price >= _bounds[outcome]) ++outcome;
    }
}
