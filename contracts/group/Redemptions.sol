// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Board} from "./Board.sol";
import {Holdings} from "./Holdings.sol";
import {IRiskGroup} from "./IRiskGroup.sol";
import {Ledger} from "./Ledger.sol";
import {Positions} from "./Positions.sol";
import {PRICE_SCALE, Rounding} from "./Rounding.sol";
import {Account, GroupState, MarketTerms} from "./State.sol";
import {Touched} from "./Touched.sol";
import {AccountId, EventId, FeedId, MarketId, MarketKind, Phase, Redemption} from "./Types.sol";

/// @notice Step 5, first part: positions in resolved events and delisted perpetuals become cash, account by account as
/// listed.
library Redemptions {
    using Board for Board.Prices;
    using Positions for Positions.Ledger;

    function redeem(GroupState storage s, Redemption[] calldata redemptions, uint64 time) external {
        Board.Prices memory board = Board.open(s, time);
        for (uint256 i = 0; i < redemptions.length; ++i) {
            (AccountId id, MarketId market) = (redemptions[i].account, redemptions[i].market);
            MarketTerms memory terms = s.markets[market].terms;
            if (terms.phase != Phase.Delisted) revert IRiskGroup.MarketNotDelisted(market);
            if (terms.kind == MarketKind.Outcome) _redeemEvent(s, id, market, terms);
            else if (terms.kind == MarketKind.Perpetual) _closePerpetual(s, board, id, market, terms.feed);
            else revert IRiskGroup.NothingToRedeem(id, market);
        }
    }

    /// @dev What a closed account gains above what counted for it belongs to the insurance fund, which paid its debt.
    function _redeemEvent(GroupState storage s, AccountId id, MarketId market, MarketTerms memory terms) private {
        EventId eventId = market.eventOf();
        Account storage account = s.accounts[id];
        int256 worst = Ledger.worstPayoff(s, id, eventId, terms);
        (bool held, int256 value) = s.positions.clear(id, eventId, s.markets[market].payouts);
        if (!held) revert IRiskGroup.NothingToRedeem(id, market);
        int256 paid = value * int256(uint256(terms.quantum));
        Touched.add(id, account, 0);
        Ledger.addWorstPayoff(account, -worst);
        if (account.nonceFloor == Ledger.CLOSED && paid > worst) {
            // casting to 'uint256' is safe because the difference is positive
            // forge-lint: disable-next-line(unsafe-typecast)
            Ledger.insure(s, uint256(paid - worst));
            paid = worst;
        }
        Ledger.addCash(account, paid);
    }

    /// @dev At the last price that the feed had: it takes no further one.
    function _closePerpetual(
        GroupState storage s,
        Board.Prices memory board,
        AccountId id,
        MarketId market,
        FeedId feed
    ) private {
        int256 size = Holdings.size(Holdings.read(s, id, feed));
        if (size == 0) revert IRiskGroup.NothingToRedeem(id, market);
        int256 value = Rounding.floor(size * int256(board.price(board.find(s, feed))), PRICE_SCALE);
        Ledger.tradePerpetual(s, board, id, feed, -size, 0, value, 0);
        Ledger.moveOpenInterest(s, market, size, 0);
        Ledger.endForced(s, id, market, size, 0);
    }
}
