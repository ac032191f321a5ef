// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IPriceSource} from "../oracle/IPriceSource.sol";
import {IRiskGroup} from "./IRiskGroup.sol";
import {PPM, Rounding} from "./Rounding.sol";
import {Feed, GroupState} from "./State.sol";
import {FeedId, FundingUpdate, PriceUpdate, VenueId} from "./Types.sol";

/// @notice Steps 3 and 4 of a batch: index prices as their sources verify them, and funding within its cap.
library Prices {
    /// @dev A source's prices have 18 decimals.
    uint256 private constant SOURCE_SCALE = 1e18;
    uint256 private constant HOUR = 3_600_000;
    /// @dev `price · size` must stay far below 2^255.
    uint256 private constant MAX_PRICE = type(uint120).max;

    /// @notice Takes each feed's price for the frame's time, in ascending order of feeds, each at most once.
    /// @dev A price that breaks a rule counts as far as the rule allows, its feed's market only reduces until a clean price
    /// comes, and the incident stays on record. One that is too old when it comes is on record, too; that its market only
    /// reduces follows from its age, for as long as no newer one comes. Rounds down: one part in 1e9 of an atom a lot.
    function update(GroupState storage s, PriceUpdate[] calldata updates, uint64 time) external {
        FeedId previous;
        for (uint256 i = 0; i < updates.length; ++i) {
            FeedId id = updates[i].feed;
            if (FeedId.unwrap(id) <= FeedId.unwrap(previous)) revert IRiskGroup.FeedsNotAscending(previous, id);
            previous = id;
            Feed storage feed = s.feed[id];
            if (feed.source == address(0)) revert IRiskGroup.FeedNotPriced(id);
            // A source that fails stops the batch, and was approved with its market: it answers from data fixed in the past.
            // slither-disable-next-line calls-loop
            (uint256 answer, uint64 publishedAt) = IPriceSource(feed.source).priceAt(feed.name, time, updates[i].proof);
            if (publishedAt > time || publishedAt < feed.time) {
                revert IRiskGroup.PriceTimeOutOfRange(id, publishedAt, feed.time, time);
            }
            uint256 price = Math.mulDiv(answer, feed.unit, SOURCE_SCALE);
            if (price == 0 || price > MAX_PRICE) revert IRiskGroup.PriceOutOfBounds(id, price, MAX_PRICE);
            bytes32 evidence = keccak256(updates[i].proof);
            // A price that comes again is as old as it was when it came first: nothing new happened.
            if (publishedAt != feed.time && time - publishedAt > feed.maxAge) {
                _record(s, id, IRiskGroup.IncidentKind.TooOld, time - publishedAt, feed.maxAge, publishedAt, evidence);
            }
            _accept(s, feed, id, price, publishedAt, evidence);
        }
    }

    /// @notice Moves funding indices, each within its cap for the time since it last moved.
    function fund(GroupState storage s, FundingUpdate[] calldata updates, uint64 time) external {
        FeedId previous;
        for (uint256 i = 0; i < updates.length; ++i) {
            FeedId id = updates[i].feed;
            if (FeedId.unwrap(id) <= FeedId.unwrap(previous)) revert IRiskGroup.FeedsNotAscending(previous, id);
            previous = id;
            Feed storage feed = s.feed[id];
            if (!feed.perpetual || feed.source == address(0)) revert IRiskGroup.FeedNotPriced(id);
            uint256 move = Rounding.abs(int256(updates[i].index) - feed.fundingIndex);
            // Time without a move is no credit beyond the hour: who opens after a silence must not pay for all of it.
            uint256 elapsed = Math.min(time - feed.fundingTime, HOUR);
            uint256 cap = uint256(feed.price) * feed.fundingCap * elapsed / (PPM * HOUR);
            if (move > cap) revert IRiskGroup.FundingAboveCap(id, move, cap);
            feed.fundingIndex = updates[i].index;
            feed.fundingTime = time;
        }
    }

    /// @dev Applies the price as far as the feed's rules let it.
    function _accept(GroupState storage s, Feed storage feed, FeedId id, uint256 price, uint64 time, bytes32 evidence)
        private
    {
        uint256 last = feed.price;
        bool breached;
        if (last != 0) {
            uint256 elapsed = time - feed.time;
            if (elapsed > feed.maxGap) {
                breached = true;
                _record(s, id, IRiskGroup.IncidentKind.TooRare, elapsed, feed.maxGap, time, evidence);
            }
            // The same price published once more may not move; half a second may move half as far.
            uint256 bound = last * feed.maxMove * elapsed / (PPM * 1000);
            uint256 accepted = Math.min(Math.max(price, last - Math.min(bound, last - 1)), last + bound);
            if (accepted != price) {
                breached = true;
                _record(s, id, IRiskGroup.IncidentKind.TooFar, price, accepted, time, evidence);
            }
            price = accepted;
        }
        // casting to 'uint128' is safe because neither the price nor last + bound, if it was used, is above MAX_PRICE
        // forge-lint: disable-next-line(unsafe-typecast)
        (feed.price, feed.time, feed.breached) = (uint128(price), time, breached);
    }

    function _record(
        GroupState storage s,
        FeedId id,
        IRiskGroup.IncidentKind kind,
        uint256 value,
        uint256 bound,
        uint64 time,
        bytes32 evidence
    ) private {
        uint64 number = s.incidentCount++;
        VenueId venue = s.markets[s.feed[id].market].terms.venue;
        s.incidents[number] = keccak256(abi.encode(number, venue, id, kind, value, bound, time, evidence));
        emit IRiskGroup.Incident(number, venue, id, kind, value, bound, time, evidence);
    }
}
