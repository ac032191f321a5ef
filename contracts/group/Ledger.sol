// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Holdings} from "./Holdings.sol";
import {IRiskGroup} from "./IRiskGroup.sol";
import {Positions} from "./Positions.sol";
import {PRICE_SCALE, Rounding} from "./Rounding.sol";
import {Account, GroupState, MarketTerms} from "./State.sol";
import {Touched} from "./Touched.sol";
import {AccountId, EventId, FeedId, MarketId} from "./Types.sol";

/// @notice The one path of every kind: `(Δposition, Δcash)`. Whatever changes an account goes through here, so that it is
/// listed for judgement with what it was before.
library Ledger {
    using Positions for Positions.Ledger;
    using SafeCast for int256;
    using SafeCast for uint256;

    /// @dev The insurance fund and the protocol's treasury are accounts like any other.
    AccountId internal constant INSURANCE = AccountId.wrap(1);
    AccountId internal constant PROTOCOL = AccountId.wrap(2);
    /// @dev A nonce floor that no nonce is above closes an account.
    uint64 internal constant CLOSED = type(uint64).max;
    uint64 private constant ISOLATED = 1 << 63;

    // ----------------------------------------------------------------- accounts

    function ownerOf(GroupState storage s, AccountId id) internal view returns (address owner) {
        owner = s.accounts[id].owner;
        if (owner == address(0)) revert IRiskGroup.NoSuchAccount(id);
    }

    /// @notice Adds signed atoms to the account's cash and lists it.
    function move(GroupState storage s, AccountId id, int256 atoms, uint256 flags) internal {
        Account storage account = s.accounts[id];
        Touched.add(id, account, flags);
        addCash(account, atoms);
    }

    /// @notice Adds atoms to the account's cash; more cash makes nobody unhealthy, so it need not be judged.
    function credit(GroupState storage s, AccountId id, uint256 atoms) internal {
        addCash(s.accounts[id], atoms.toInt256());
    }

    /// @notice What the insurance fund earns pays the losses that all share, before it is the fund's.
    function insure(GroupState storage s, uint256 atoms) internal {
        uint256 debt = s.badDebt;
        uint256 repaid = atoms < debt ? atoms : debt;
        if (repaid != 0) s.badDebt = (debt - repaid).toUint128();
        if (atoms != repaid) credit(s, INSURANCE, atoms - repaid);
    }

    function addCash(Account storage account, int256 atoms) internal {
        account.cash = (int256(account.cash) + atoms).toInt128();
    }

    function addWorstPayoff(Account storage account, int256 atoms) internal {
        account.worstPayoff = (int256(account.worstPayoff) + atoms).toInt128();
    }

    function isIsolated(AccountId id) internal pure returns (bool) {
        return AccountId.unwrap(id) & ISOLATED != 0;
    }

    /// @notice The account that an isolated one belongs to; itself for any other.
    function parentOf(AccountId id) internal pure returns (AccountId) {
        if (!isIsolated(id)) return id;
        return AccountId.wrap((AccountId.unwrap(id) & ~ISOLATED) >> 32);
    }

    function isolatedMarket(AccountId id) internal pure returns (MarketId) {
        // casting to 'uint32' is safe because the market is the low half of the number
        // forge-lint: disable-next-line(unsafe-typecast)
        return MarketId.wrap(uint32(AccountId.unwrap(id)));
    }

    // ----------------------------------------------------------------- positions

    /// @notice Whether going from one position to another is more than closing a part of it.
    function grows(int256 before, int256 position) internal pure returns (bool) {
        return position > 0 ? position > before || before < 0 : position < 0 && (position < before || before > 0);
    }

    /// @notice Adds signed lots of a perpetual at a notional in tick·lots, and cash; pays the funding up to now.
    /// @param index The perpetual's funding index now.
    /// @return before The position before.
    /// @return position The position now.
    function tradePerpetual(
        GroupState storage s,
        AccountId id,
        FeedId feed,
        int256 index,
        int256 lots,
        uint256 notional,
        int256 cash,
        uint256 flags
    ) internal returns (int256 before, int256 position) {
        uint256 key = Holdings.key(id, feed);
        uint256 word = s.holdings[key];
        before = Holdings.size(word);
        // Positions and lots are 64 bits wide.
        unchecked {
            position = before + lots;
        }
        // casting to 'int64' is safe because that is the question
        // forge-lint: disable-next-line(unsafe-typecast)
        if (position != int64(position)) {
            revert IRiskGroup.PositionOutOfRange(id, s.feed[feed].market, position);
        }

        Account storage account = s.accounts[id];
        uint256 entry = Holdings.entry(word);
        if (grows(before, position)) {
            flags |= Touched.GREW;
            entry = _entry(entry, before, position, lots, notional);
        }
        bool first = Touched.addHolding(id, account, feed, before, flags);
        int256 funding;
        // The index has rarely moved since the account last paid.
        if (index != Holdings.paidUpTo(word)) {
            funding = Rounding.floor(Holdings.funding(word, index), PRICE_SCALE);
            if (first) Touched.amendMoneyBefore(id, funding);
        }
        s.holdings[key] = Holdings.pack(position, entry, index);
        // A bit stays set until the account has been judged, so that what it held before the batch can be found.
        if (before == 0) _hold(account, feed);
        addCash(account, cash + funding);
    }

    function _sameSide(int256 a, int256 b) private pure returns (bool) {
        return a < 0 ? b < 0 : a > 0 && b > 0;
    }

    /// @notice A close that the owner forced is of the position that was there, and ends with it, whoever closes it.
    function endForced(GroupState storage s, AccountId id, MarketId market, int256 before, int256 position) internal {
        if (before == 0 || _sameSide(before, position)) return;
        if (s.forced[id][market].size != 0) delete s.forced[id][market];
    }

    /// @notice Counts what a position's change does to its market's open interest: the sum of long lots.
    function moveOpenInterest(GroupState storage s, MarketId market, int256 before, int256 position) internal {
        int256 change = (position > 0 ? position : int256(0)) - (before > 0 ? before : int256(0));
        if (change != 0) addOpenInterest(s, market, change);
    }

    /// @return total The market's open interest now.
    function addOpenInterest(GroupState storage s, MarketId market, int256 change) internal returns (uint256 total) {
        int256 sum = int256(uint256(s.openInterest[market])) + change;
        if (sum < 0 || sum > int256(uint256(type(uint64).max))) revert IRiskGroup.OpenInterestOutOfRange(market, sum);
        // casting to 'uint256' and 'uint64' is safe because the sum was just seen to fit
        // forge-lint: disable-next-line(unsafe-typecast)
        total = uint256(sum);
        // forge-lint: disable-next-line(unsafe-typecast)
        s.openInterest[market] = uint64(total);
    }

    /// @notice Adds signed atoms of an asset, and cash.
    /// @return balance The balance now; a negative one is refused when the account is judged.
    function tradeAsset(GroupState storage s, AccountId id, FeedId feed, int256 atoms, int256 cash, uint256 flags)
        internal
        returns (int256 balance)
    {
        Account storage account = s.accounts[id];
        uint256 key = Holdings.key(id, feed);
        // casting is safe because a balance is a sum of int128 changes, and kept within 128 bits below
        // forge-lint: disable-next-line(unsafe-typecast)
        int256 before = int256(s.holdings[key]);
        Touched.addHolding(id, account, feed, before, flags);
        balance = (before + atoms).toInt128();
        // forge-lint: disable-next-line(unsafe-typecast)
        s.holdings[key] = uint256(balance);
        _hold(account, feed);
        addCash(account, cash);
    }

    /// @notice Adds signed lots of an outcome, and cash. At an account's first trade in an event its worst payoff there is
    /// taken out of the account's sum; judgement puts the new one in.
    function tradeOutcome(
        GroupState storage s,
        AccountId id,
        MarketId market,
        MarketTerms memory terms,
        int256 lots,
        int256 cash
    ) internal returns (int256 before, int256 position) {
        EventId eventId = market.eventOf();
        (bool first, uint256 noted) = Touched.ofEvent(id, eventId);
        int256 worst = first ? worstPayoff(s, id, eventId, terms) : int256(0);
        (before, position) = s.positions.add(id, market, terms.outcomes, lots);

        Account storage account = s.accounts[id];
        uint256 flags = noted | (grows(before, position) ? Touched.GREW | Touched.SPENT : Touched.SPENT);
        if (first || flags != noted) Touched.addEvent(id, account, eventId, first, flags);
        _addMoney(account, cash, -worst);
    }

    /// @notice What the account's positions in the event pay at worst, in atoms.
    function worstPayoff(GroupState storage s, AccountId id, EventId eventId, MarketTerms memory terms)
        internal
        returns (int256)
    {
        return worstPayoff(s, id, eventId, terms.outcomes, terms.ticks, terms.quantum);
    }

    function worstPayoff(
        GroupState storage s,
        AccountId id,
        EventId eventId,
        uint256 outcomes,
        uint256 ticks,
        uint256 quantum
    ) internal returns (int256) {
        // A position is an int64, ticks are below 2^32, the quantum below 2^64: the product is within 2^159.
        unchecked {
            // forge-lint: disable-next-line(unsafe-typecast)
            return s.positions.worst(id, eventId, outcomes) * int256(ticks * quantum);
        }
    }

    /// @dev Cash and worst payoff share a slot and are written together.
    function _addMoney(Account storage account, int256 cash, int256 payoff) private {
        int256 newCash = (int256(account.cash) + cash).toInt128();
        int256 newPayoff = (int256(account.worstPayoff) + payoff).toInt128();
        assembly ("memory-safe") {
            sstore(account.slot, or(shl(128, newPayoff), and(newCash, 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF)))
        }
    }

    function _hold(Account storage account, FeedId feed) private {
        // A one shifted by the feed's number is its bit.
        // forge-lint: disable-next-line(incorrect-shift)
        uint256 bit = 1 << FeedId.unwrap(feed);
        uint256 held = account.held;
        if (held & bit == 0) account.held = held | bit;
        if (held == 0) account.holds = true;
    }

    /// @dev Average price of what is open after it grew, in ticks; rounds down. It ranks for deleveraging only.
    function _entry(uint256 entry, int256 before, int256 position, int256 lots, uint256 notional)
        private
        pure
        returns (uint256)
    {
        // Entry and sizes are 64 bits wide, a notional 128; neither lots nor a position that grew is zero.
        unchecked {
            // A position that is new or has changed sides was opened by these lots.
            if (!_sameSide(before, position)) return notional / Rounding.abs(lots);
            return (entry * Rounding.abs(before) + notional) / Rounding.abs(position);
        }
    }
}
