// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {Board} from "../../contracts/group/Board.sol";
import {Holdings} from "../../contracts/group/Holdings.sol";
import {Judgement} from "../../contracts/group/Judgement.sol";
import {Ledger} from "../../contracts/group/Ledger.sol";
import {Margin} from "../../contracts/group/Margin.sol";
import {Positions} from "../../contracts/group/Positions.sol";
import {Feed, GroupStorage, MarketTerms} from "../../contracts/group/State.sol";
import {Touched} from "../../contracts/group/Touched.sol";
import {AccountId, EventId, FeedId, MarketId} from "../../contracts/group/Types.sol";

/// @notice No batch leaves an account below initial health after it took risk, nor worse off and below maintenance health
/// if it did not (DESIGN.md, section 5).
/// @dev An account of any money is judged, and its health worked out by the design's formula. The decision looks at sums only, so
/// money moves them everywhere; the position is 7 lots either way, at one price and in one tier. What a position counts for
/// is `Margin.weighPerpetual` in both (`RoundingProofs` are about it), and an event's worst position is that of
/// `Positions` (`PositionsProofs` are about it).
contract JudgementProofs is Test, GroupStorage {
    using Positions for Positions.Ledger;

    AccountId private constant ACCOUNT = AccountId.wrap(10);
    FeedId private constant FEED = FeedId.wrap(1);
    MarketId private constant EVENT = MarketId.wrap(3 << 8);
    uint64 private constant TIME = 1_000_000;
    int256 private constant PAYOUT = 1_000_000;
    uint128 private constant PRICE = 37_123_456_789_012_345;

    /// @notice Whoever makes a perpetual position larger or turns it is marked, and nobody else is.
    /// @dev Fails when `grows` asks for the same side too.
    function check_whoever_grows_is_marked(int64 size, int64 lots, int120 cash, int120 paid) public {
        _s.holdings[Holdings.key(ACCOUNT, FEED)] = Holdings.pack(size, 0, 0);
        _s.accounts[ACCOUNT].cash = cash;
        Touched.begin(1);
        (int256 before, int256 position) = Ledger.tradePerpetual(_s, ACCOUNT, FEED, 0, lots, 0, paid, 0);
        assert(before == size && position == int256(size) + lots);
        assert(Holdings.size(_s.holdings[Holdings.key(ACCOUNT, FEED)]) == position);
        assert(int256(_s.accounts[ACCOUNT].cash) == int256(cash) + paid);
        assert((Touched.flagsOf(ACCOUNT) & Touched.GREW != 0) == _grew(before, position));
    }

    /// @notice An account that took risk in a batch has initial health of zero or more at its end.
    /// @dev Any money, a long or a short position. Fails when `Judgement` looks at maintenance health instead.
    function check_who_grew_has_initial_health(bool long, int120 cash, int120 worstPayoff) public {
        int64 size = long ? int64(7) : -int64(7);
        _hold(size);
        (_s.accounts[ACCOUNT].cash, _s.accounts[ACCOUNT].worstPayoff) = (cash, worstPayoff);
        Touched.begin(1);
        Touched.add(ACCOUNT, _s.accounts[ACCOUNT], Touched.GREW);
        Judgement.judge(_s, TIME);

        (int256 initial,) = _health(int256(cash) + worstPayoff, size);
        assert(initial >= 0);
    }

    /// @notice An account that took no risk has maintenance health of zero or more at a batch's end, or no less than before.
    /// @dev Any cash before and after, a long or a short position of which a part was closed. Fails when `Judgement` leaves out the
    /// comparison with what was before.
    function check_who_did_not_grow_is_no_worse(bool long, int120 cashBefore, int120 cash) public {
        (int64 sizeBefore, int64 size) = long ? (int64(7), int64(3)) : (-int64(7), -int64(3));
        _hold(sizeBefore);
        _s.accounts[ACCOUNT].cash = cashBefore;
        Touched.begin(1);
        Touched.addHolding(ACCOUNT, _s.accounts[ACCOUNT], FEED, sizeBefore, 0);
        _hold(size);
        _s.accounts[ACCOUNT].cash = cash;
        Judgement.judge(_s, TIME);

        (, int256 before) = _health(cashBefore, sizeBefore);
        (, int256 maintenance) = _health(cash, size);
        assert(maintenance >= 0 || maintenance >= before);
    }

    /// @notice What an account held before the batch is remembered through all trades of the batch, and forgotten after it.
    /// @dev Once for all trades of a batch, and not in the next. Fails when `addHolding` stores each time.
    function check_what_was_held_before_is_remembered(int128 first, int128 second, int128 now_, uint64 batch) public {
        vm.assume(batch != type(uint64).max);
        Touched.begin(batch + 1);
        Touched.addHolding(ACCOUNT, _s.accounts[ACCOUNT], FEED, first, 0);
        Touched.addHolding(ACCOUNT, _s.accounts[ACCOUNT], FEED, second, 0);
        assert(Touched.holdingBefore(ACCOUNT, FEED, now_) == first);
        Touched.begin(batch);
        assert(Touched.holdingBefore(ACCOUNT, FEED, now_) == now_);
    }

    /// @notice Who traded outcomes has money that covers its worst payoff, or closed a part and is no worse than before.
    /// @dev A trade in an event of three outcomes. Fails when `tradeOutcome` does not mark the account.
    function check_who_traded_outcomes_owes_nothing(int96 cash, int64[3] calldata held, int64 lots, int96 paid) public {
        MarketTerms memory terms;
        (terms.outcomes, terms.ticks, terms.quantum) = (3, 100, 10_000);
        _s.markets[EVENT].terms = terms;
        uint256 key = uint256(AccountId.unwrap(ACCOUNT)) << 30 | uint256(EventId.unwrap(EVENT.eventOf())) << 6;
        _s.positions.words[key] =
            uint256(uint64(held[0])) | uint256(uint64(held[1])) << 64 | uint256(uint64(held[2])) << 128;
        int256 worstBefore = _s.positions.worst(ACCOUNT, EVENT.eventOf(), 3) * PAYOUT;
        _s.accounts[ACCOUNT].cash = cash;
        _s.accounts[ACCOUNT].worstPayoff = int128(worstBefore);

        Touched.begin(1);
        MarketId third = MarketId.wrap(MarketId.unwrap(EVENT) + 2);
        (int256 before, int256 position) = Ledger.tradeOutcome(_s, ACCOUNT, third, terms, lots, paid);
        // As `settle` does: whoever needs no closer look gets none.
        if (!Judgement.closeEvents(_s)) Judgement.judge(_s, TIME);

        int256 worst = _s.positions.worst(ACCOUNT, EVENT.eventOf(), 3) * PAYOUT;
        assert(_s.accounts[ACCOUNT].worstPayoff == worst);
        assert(_s.accounts[ACCOUNT].cash == int256(cash) + paid);
        int256 usd = int256(cash) + paid + worst;
        assert(usd >= 0 || !_grew(before, position) && usd >= int256(cash) + worstBefore);
    }

    /// @notice Nobody sells more of an asset than it has, nor buys with money that is not there.
    /// @dev At one price and weight. Fails when `Judgement` does not look for overdrawn assets.
    function check_who_traded_an_asset_has_it_and_paid_for_it(uint120 balance, int120 cash, int120 atoms, int120 paid)
        public
    {
        Feed storage feed = _s.feed[FEED];
        (feed.price, feed.time, feed.maxAge, feed.lot) = (PRICE, TIME, 1, 1e18);
        feed.risk = Margin.packWeights(800_000, 900_000);
        (_s.inbox.feeds, _s.terms.maxHoldings) = (1, 1);
        _s.accounts[ACCOUNT].cash = cash;
        if (balance != 0) (_s.accounts[ACCOUNT].held, _s.accounts[ACCOUNT].holds) = (2, true);
        _s.holdings[Holdings.key(ACCOUNT, FEED)] = balance;

        Touched.begin(1);
        uint256 flags = atoms > 0 ? Touched.GREW | Touched.SPENT : 0;
        Ledger.tradeAsset(_s, ACCOUNT, FEED, atoms, paid, flags);
        Judgement.judge(_s, TIME);

        assert(int256(uint256(balance)) + atoms >= 0);
        assert(_s.holdings[Holdings.key(ACCOUNT, FEED)] == uint256(int256(uint256(balance)) + atoms));
        assert(_s.accounts[ACCOUNT].held == (_s.holdings[Holdings.key(ACCOUNT, FEED)] == 0 ? 0 : 2));
        int256 usd = _s.accounts[ACCOUNT].cash;
        if (atoms > 0) assert(usd >= 0 || usd >= cash);
    }

    // ----------------------------------------------------------------- what happens to the account

    /// @dev A perpetual at a price with a fraction to every lot, of one tier.
    function _hold(int64 size) private {
        Feed storage feed = _s.feed[FEED];
        (feed.price, feed.time, feed.maxAge, feed.perpetual) = (PRICE, TIME, 1, true);
        feed.risk = type(uint96).max | 100_000 << 96 | 50_000 << 176;
        (_s.inbox.feeds, _s.terms.maxHoldings) = (1, 1);
        (_s.accounts[ACCOUNT].held, _s.accounts[ACCOUNT].holds) = (2, true);
        _s.holdings[Holdings.key(ACCOUNT, FEED)] = Holdings.pack(size, 0, 0);
    }

    function _health(int256 money, int64 size) private view returns (int256 initial, int256 maintenance) {
        (int256 value, uint256 forNew, uint256 toStay) = Margin.weighPerpetual(PRICE, _s.feed[FEED].risk, size);
        int256 equity = money + value;
        return (equity - int256(forNew), equity - int256(toStay));
    }

    // ----------------------------------------------------------------- the rules, as the design has them

    function _grew(int256 before, int256 position) private pure returns (bool) {
        if (before >= 0 && position >= 0) return position > before;
        if (before <= 0 && position <= 0) return position < before;
        return true;
    }
}
