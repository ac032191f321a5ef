// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "./IRiskGroup.sol";
import {PPM, PRICE_SCALE} from "./Rounding.sol";
import {GroupState, MarketTerms} from "./State.sol";
import {AccountId, Fill, Lots, MarketId, Side, TickLots} from "./Types.sol";

/// @notice Closes that owners have forced through the inbox, met in the book.
library ForcedCloses {
    /// @notice Takes a line out of what was forced. It has no signature and no nonce: the inbox item allows it, for as much as
    /// is left of it, at no worse than index price less the market's penalty, the fee included.
    /// @param price Index price of the market.
    function settle(GroupState storage s, MarketId id, uint256 price, Fill memory fill) external {
        (AccountId account, uint64 filled) = (fill.order.account, Lots.unwrap(fill.filled));
        uint64 left = s.forced[account][id].size;
        if (filled > left) revert IRiskGroup.NotForced(account, id, left, filled);
        if (filled == left) delete s.forced[account][id];
        else s.forced[account][id].size = left - filled;

        MarketTerms memory terms = s.markets[id].terms;
        uint256 index = price * filled;
        uint256 cash = uint256(TickLots.unwrap(fill.notional)) * terms.quantum * PRICE_SCALE;
        uint256 fee = fill.fee > 0 ? uint256(int256(fill.fee)) * PRICE_SCALE : 0;
        uint256 penalty = s.feed[terms.feed].penalty;
        bool worse = fill.order.side == Side.Buy
            ? (cash + fee) * PPM > index * (PPM + penalty)
            : cash * PPM < index * (PPM - penalty) + fee * PPM;
        if (worse) revert IRiskGroup.PriceWorseThanLimit(account, 0, index / PRICE_SCALE, cash / PRICE_SCALE);
    }
}
