// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Board} from "./Board.sol";
import {IRiskGroup} from "./IRiskGroup.sol";
import {Ledger} from "./Ledger.sol";
import {Margin} from "./Margin.sol";
import {Account, GroupState, MarketTerms} from "./State.sol";
import {Touched} from "./Touched.sol";
import {AccountId, EventId, FeedId, firstMarket} from "./Types.sol";

/// @notice Step 8 of a batch: every account that the batch changed is judged, once.
library Judgement {
    using Margin for Margin.Health;

    /// @notice The worst payoff of every event that an account traded goes back into its sum.
    /// @return clear Whether a look at their money is enough for all accounts: they hold nothing that has a price, and what
    /// they have covers their worst.
    /// @dev Most batches of outcome markets end here, without a call to `judge`.
    function closeEvents(GroupState storage s) internal returns (bool clear) {
        clear = true;
        uint256 length = Touched.length();
        for (uint256 i = 0; i < length; ++i) {
            (AccountId id, EventId eventId) = Touched.read(i);
            Account storage account = s.accounts[id];
            if (EventId.unwrap(eventId) != 0) {
                MarketTerms storage terms = s.markets[firstMarket(eventId)].terms;
                (uint256 outcomes, uint256 ticks, uint256 quantum) = (terms.outcomes, terms.ticks, terms.quantum);
                Ledger.addWorstPayoff(account, Ledger.worstPayoff(s, id, eventId, outcomes, ticks, quantum));
            }
            // An account's sum is whole at its last entry; what is seen before can only ask for a closer look in vain.
            if (clear) clear = !account.holds && int256(account.cash) + account.worstPayoff >= 0;
        }
    }

    /// @notice Judges every listed account.
    function judge(GroupState storage s, uint64 time) external {
        Board.Prices memory board = Board.open(s, time);
        uint256 length = Touched.length();
        for (uint256 i = 0; i < length; ++i) {
            (AccountId id,) = Touched.read(i);
            _judgeAccount(s, board, id);
        }
    }

    /// @dev Initial health is not negative; or nothing grew and maintenance health is no worse than it was, or not
    /// negative. And nobody spends money that is not in the pool: `usd` is not negative, or no less than it was.
    function _judgeAccount(GroupState storage s, Board.Prices memory board, AccountId id) private {
        Account storage account = s.accounts[id];
        // Most accounts that trade outcomes hold nothing else and are fine by one look at their money.
        if (!account.holds && int256(account.cash) + account.worstPayoff >= 0) return;
        if (Touched.judged(id)) return;
        Margin.Health memory now_ = Margin.health(s, board, id);
        uint256 flags = Touched.flagsOf(id);
        bool grew = flags & Touched.GREW != 0;
        bool overspent = flags & Touched.SPENT != 0 && now_.usd < 0;

        if (FeedId.unwrap(now_.overdrawn) != 0) revert IRiskGroup.AssetOverdrawn(id, now_.overdrawn);
        if (grew && now_.initial() < 0) revert IRiskGroup.MarginShortfall(id, now_.initial());
        if (grew && now_.blocked) revert IRiskGroup.HoldsStalePrice(id);
        if (flags & (Touched.GREW | Touched.GIVEN) != 0 && now_.holdings > s.terms.maxHoldings) {
            revert IRiskGroup.TooManyHoldings(id, s.terms.maxHoldings, now_.holdings);
        }
        if (now_.maintenance() < 0 || overspent) {
            Margin.Health memory before = Margin.healthBefore(s, board, id);
            int256 maintenance = now_.maintenance();
            if (maintenance < 0 && maintenance < before.maintenance()) {
                revert IRiskGroup.MarginShortfall(id, maintenance);
            }
            if (overspent && now_.usd < before.usd) revert IRiskGroup.CashShortfall(id, now_.usd);
        }
        // What was sold off kept its bit until here, so that it could be found in what the account was before.
        if (account.held != now_.held) account.held = now_.held;
        if (account.holds && now_.held == 0) account.holds = false;
    }
}
