// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {EventTerms} from "./Events.sol";
import {IRiskGroup} from "./IRiskGroup.sol";
import {AccountId, Fill, Order, Side} from "./Types.sol";

/// @notice What makes a fill one that its trader signed for.
library Fills {
    uint256 private constant PPM = 1_000_000;

    /// @notice Checks a fill against its order's limits and its market's terms, as of the frame's `time`.
    function requireWithinOrder(Fill calldata fill, EventTerms memory terms, uint64 time) internal pure {
        Order calldata order = fill.order;
        (AccountId account, uint64 nonce, uint64 price) = (order.account, order.nonce, order.price);

        if (order.reduceOnly) revert IRiskGroup.ReduceOnlyNotSupported(account, nonce);
        if (order.builder != 0 || order.builderFee != 0) revert IRiskGroup.BuilderNotSupported(account, nonce);
        if (order.expiry != 0 && time > order.expiry) {
            revert IRiskGroup.OrderExpired(account, nonce, order.expiry, time);
        }
        if (price == 0 || price >= terms.ticks) revert IRiskGroup.PriceOutOfRange(account, nonce, price, terms.ticks);

        uint256 filled = fill.filled;
        uint256 notional = fill.notional;
        if (filled == 0) revert IRiskGroup.EmptyFill(account, nonce);

        uint256 highest;
        uint256 limit;
        uint256 value;
        // Factors are uint64 (and price is below ticks), but for notional, which is uint128: no product reaches 2^192.
        unchecked {
            highest = filled * (terms.ticks - 1);
            limit = filled * price;
            value = notional * terms.quantum;
        }
        // Every trade happened at 1 to ticks - 1, whatever the orders would have put up with.
        if (notional < filled || notional > highest) {
            revert IRiskGroup.NotionalOutOfRange(account, nonce, filled, highest, notional);
        }
        if (order.side == Side.Buy ? notional > limit : notional < limit) {
            revert IRiskGroup.PriceWorseThanLimit(account, nonce, limit, notional);
        }

        if (fill.fee == 0) return;
        uint256 feeLimit = highestFee(value, order.maxFee, terms);
        if (fill.fee > feeLimit) revert IRiskGroup.FeeAboveLimit(account, nonce, feeLimit, fill.fee);
    }

    /// @notice The highest fee in atoms for a filled value in atoms: by what the trader allows and the venue charges.
    /// @dev Rounds up, in favour of the pool. The engine charges the ceiling over an order's life, frame by frame what
    /// is new of it, and a ceiling of a sum is no more than the sum of the ceilings.
    function highestFee(uint256 value, uint32 maxFee, EventTerms memory terms) internal pure returns (uint256) {
        uint256 venueFee = Math.max(terms.takerFee, terms.makerFee);
        return Math.ceilDiv(value * Math.min(maxFee, venueFee), PPM);
    }
}
