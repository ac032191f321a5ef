// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {Board} from "../../contracts/group/Board.sol";
import {Holdings} from "../../contracts/group/Holdings.sol";
import {Judgement} from "../../contracts/group/Judgement.sol";
import {Ledger} from "../../contracts/group/Ledger.sol";
import {Margin} from "../../contracts/group/Margin.sol";
import {Positions} from "../../contracts/group/Positions.sol";
import {PRICE_SCALE, Rounding} from "../../contracts/group/Rounding.sol";
import {Feed, GroupStorage, MarketTerms} from "../../contracts/group/State.sol";
import {Touched} from "../../contracts/group/Touched.sol";
import {AccountId, EventId, FeedId, MarketId} from "../../contracts/group/Types.sol";

/// @notice No batch leaves an account below initial health after it took risk, nor worse off and below maintenance health
/// if it did not (DESIGN.md, section 5).
/// @dev An account of any cash, position, price and tiers is judged, and its health worked out by the design's formula. What
/// one position counts for is `Margin.weighPerpetual` in both (`RoundingProofs` has proofs of it), so the solver needs
/// to know nothing of products and quotients. The same goes for an event's
/// worst position, which `PositionsProofs` are about.
contract JudgementProofs is Test, GroupStorage {
    using Positions for Positions.Ledger;

    AccountId private constant ACCOUNT = AccountId.wrap(10);
    FeedId private constant FEED = FeedId.wrap(1);
    MarketId private constant EVENT = MarketId.wrap(3 << 8);
    uint64 private constant TIME = 1_000_000;
    int256 private constant PAYOUT = 1_000_000;

    /// @dev Fails when `grows` forgets the change of sign.
    function check_whoever_grows_is_marked(int64 size, int64 lots, int120 cash, int120 paid) public {
        (_s.inbox.feeds, _s.feed[FEED].maxAge) = (1, 1);
        _s.holdings[Holdings.key(ACCOUNT, FEED)] = Holdings.pack(size, 0, 0);
        _s.accounts[ACCOUNT].cash = cash;
        Touched.begin(1);
        Board.Prices memory board = Board.open(_s, TIME);
        (int256 before, int256 position) = Ledger.tradePerpetual(_s, board, ACCOUNT, FEED, lots, 0, paid, 0);
        assert(before == size && position == int256(size) + lots);
        assert(Holdings.size(_s.holdings[Holdings.key(ACCOUNT, FEED)]) == position);
        assert(int256(_s.accounts[ACCOUNT].cash) == int256(cash) + paid);
        assert((Touched.flagsOf(ACCOUNT) & Touched.GREW != 0) == _grew(before, position));
    }

    /// @dev Fails when `Judgement` looks at maintenance health instead.
    function check_who_is_marked_has_initial_health(
        uint120 price,
        int128 index,
        uint16 fractions,
        uint256 word,
        int120 cash,
        int120 worstPayoff
    ) public {
        vm.assume(Holdings.size(word) != 0);
        _list(price, index, fractions);
        _hold(word);
        (_s.accounts[ACCOUNT].cash, _s.accounts[ACCOUNT].worstPayoff) = (cash, worstPayoff);
        Touched.begin(1);
        Touched.add(ACCOUNT, _s.accounts[ACCOUNT], Touched.GREW);
        Judgement.judge(_s, TIME);

        (int256 worth, uint256 required,) = _weigh(word);
        assert(int256(cash) + worstPayoff + worth - int256(required) >= 0);
    }

    /// @dev Its cash changed; what it held before comes from the next proof. Fails when `Judgement` leaves out the comparison
    /// with what was before.
    function check_who_is_not_marked_has_no_less_maintenance_health(
        uint120 price,
        uint16 fractions,
        uint256 word,
        int120 cashBefore,
        int120 cash
    ) public {
        vm.assume(Holdings.size(word) != 0);
        _list(price, 0, fractions);
        _hold(word);
        _s.accounts[ACCOUNT].cash = cashBefore;
        Touched.begin(1);
        Touched.add(ACCOUNT, _s.accounts[ACCOUNT], 0);
        _s.accounts[ACCOUNT].cash = cash;
        Judgement.judge(_s, TIME);

        (int256 worth,, uint256 required) = _weigh(word);
        int256 rest = worth - int256(required);
        assert(cash + rest >= 0 || cash >= cashBefore);
    }

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

    /// @dev A trade in an event of three outcomes. Fails when `tradeOutcome` does not mark what grew, or does not take the
    /// worst payoff before out of the sum.
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
        Judgement.judge(_s, TIME);

        int256 worst = _s.positions.worst(ACCOUNT, EVENT.eventOf(), 3) * PAYOUT;
        assert(_s.accounts[ACCOUNT].worstPayoff == worst);
        assert(_s.accounts[ACCOUNT].cash == int256(cash) + paid);
        int256 usd = int256(cash) + paid + worst;
        assert(usd >= 0 || !_grew(before, position) && usd >= int256(cash) + worstBefore);
    }

    /// @dev Nobody sells more of an asset than it has, nor buys with money that is not there. Fails when `Judgement` does
    /// not look for overdrawn assets, or `overspent` is never set.
    function check_who_traded_an_asset_has_it_and_paid_for_it(
        uint120 price,
        uint120 balance,
        int120 cash,
        int120 atoms,
        int120 paid
    ) public {
        Feed storage feed = _s.feed[FEED];
        (feed.price, feed.time, feed.maxAge, feed.lot) = (price, TIME, 1, 1e18);
        feed.risk = Margin.packWeights(800_000, 900_000);
        (_s.inbox.feeds, _s.terms.maxHoldings) = (1, 1);
        _s.accounts[ACCOUNT].cash = cash;
        if (balance != 0) _s.accounts[ACCOUNT].held = 2;
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

    /// @dev The lowest tier reaches beyond every notional; fractions are any of that form.
    function _list(uint256 price, int128 index, uint256 fractions) private {
        Feed storage feed = _s.feed[FEED];
        (feed.price, feed.time, feed.maxAge, feed.perpetual) = (uint128(price), TIME, 1, true);
        feed.fundingIndex = index;
        feed.risk = type(uint96).max | (fractions & 0xFF) << 104 | (fractions >> 8) << 184;
        (_s.inbox.feeds, _s.terms.maxHoldings) = (1, 1);
    }

    function _hold(uint256 word) private {
        (_s.accounts[ACCOUNT].held, _s.holdings[Holdings.key(ACCOUNT, FEED)]) = (2, word);
    }

    /// @return worth The position's value, its funding paid.
    function _weigh(uint256 word) private view returns (int256 worth, uint256 initial, uint256 maintenance) {
        Feed storage feed = _s.feed[FEED];
        int256 value;
        (value, initial, maintenance) = Margin.weighPerpetual(feed.price, feed.risk, Holdings.size(word));
        worth = Rounding.floor(Holdings.funding(word, feed.fundingIndex), PRICE_SCALE) + value;
    }

    // ----------------------------------------------------------------- the rules, as the design has them

    function _grew(int256 before, int256 position) private pure returns (bool) {
        if (before >= 0 && position >= 0) return position > before;
        if (before <= 0 && position <= 0) return position < before;
        return true;
    }
}
