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

        // Every trade happened at 1 to ticks - 1, whatever the orders would have put up with.
        (uint256 lowest, uint256 highest) = (filled, filled * (terms.ticks - 1));
        if (notional < lowest || notional > highest) {
            revert IRiskGroup.NotionalOutOfRange(account, nonce, lowest, highest, notional);
        }
        uint256 limit = filled * price;
        if (order.side == Side.Buy ? notional > limit : notional < limit) {
            revert IRiskGroup.PriceWorseThanLimit(account, nonce, limit, notional);
        }

        uint256 feeLimit = highestFee(notional * terms.quantum, order.maxFee, terms);
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
