// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Account} from "./State.sol";
import {AccountId, EventId, FeedId} from "./Types.sol";

/// @notice The accounts that a batch changed: what must be judged at its end, each once, and what they were before.
/// @dev All of it is transient storage, which `settle` and its linked libraries share. Marks carry the batch's id, so those
/// of an earlier batch in the same transaction mean nothing. Every key has one of the tags below in its highest byte; the
/// reentrancy guard's slot is a hash.
library Touched {
    /// @notice What an account did in the batch that some rule of margin asks about.
    /// @dev GREW: a position grew or changed sign, or value left the account. SPENT: money left it for something else than
    /// a perpetual's loss, funding or a fee.
    uint256 internal constant GREW = 1;
    uint256 internal constant SPENT = 2;
    /// @dev It was given an asset: that may be one holding too many, and is no new risk otherwise.
    uint256 internal constant GIVEN = 4;
    uint256 private constant JUDGED = 128;

    uint256 private constant COUNT = 1 << 248;
    uint256 private constant BATCH = 2 << 248;
    uint256 private constant ENTRY = 3 << 248;
    uint256 private constant ACCOUNT = 4 << 248;
    uint256 private constant BEFORE = 5 << 248;
    uint256 private constant EVENT = 6 << 248;
    uint256 private constant HOLDING = 7 << 248;

    /// @notice Forgets everything and begins a batch.
    function begin(uint64 batch) internal {
        _store(COUNT, 0);
        _store(BATCH, batch);
    }

    /// @notice Puts an account on the list, with its money as it is now, if it is not there yet; adds what it did.
    function add(AccountId account, Account storage stored, uint256 flags) internal {
        if (_note(account, stored, flags)) _append(uint256(AccountId.unwrap(account)) << 24);
    }

    /// @notice What is noted of an account's event: nothing yet (`first`), or the flags that the account has for it.
    function ofEvent(AccountId account, EventId eventId) internal view returns (bool first, uint256 flags) {
        uint256 mark = _load(EVENT | _entry(account, eventId));
        first = mark >> 8 != _load(BATCH);
        flags = first ? 0 : mark & 0xFF;
    }

    /// @notice Puts an account and its event on the list, if they are not there yet; adds what the account did.
    function addEvent(AccountId account, Account storage stored, EventId eventId, bool first, uint256 flags) internal {
        uint256 entry = _entry(account, eventId);
        _store(EVENT | entry, _load(BATCH) << 8 | flags);
        // The entry stands for the account, too.
        if (first) _append(entry);
        _note(account, stored, flags);
    }

    /// @notice Puts an account on the list with what it held at a feed before the batch, if it is the first time; adds what
    /// it did.
    /// @param amount Signed lots or atoms, within 128 bits.
    /// @return first Whether it was.
    function addHolding(AccountId account, Account storage stored, FeedId feed, int256 amount, uint256 flags)
        internal
        returns (bool first)
    {
        uint256 key = _holdingKey(account, feed);
        uint256 batch = _load(BATCH);
        uint256 mark = _load(key);
        first = mark >> 136 != batch;
        if (first) mark = _holdingMark(batch, amount);
        else if (mark | flags << 128 == mark) return false;
        _store(key, mark | flags << 128);
        add(account, stored, flags);
    }

    /// @notice What the account held before the batch; `now_` if the batch did not change it.
    function holdingBefore(AccountId account, FeedId feed, int256 now_) internal view returns (int256) {
        uint256 word = _load(_holdingKey(account, feed));
        if (word >> 136 != _load(BATCH)) return now_;
        // casting to 'int128' is safe because that is how it was stored
        // forge-lint: disable-next-line(unsafe-typecast)
        return int128(uint128(word));
    }

    /// @notice Cash and worst payoff, together, of a listed account before the batch.
    function moneyBefore(AccountId account) internal view returns (int256) {
        uint256 word = _load(BEFORE | AccountId.unwrap(account));
        // casting to 'int128' is safe because that is how the two are stored
        // forge-lint: disable-next-line(unsafe-typecast)
        return int256(int128(uint128(word))) + int128(uint128(word >> 128));
    }

    /// @notice Funding is applied before anything else, so what a listed account pays of it belongs to its past.
    function amendMoneyBefore(AccountId account, int256 atoms) internal {
        uint256 key = BEFORE | AccountId.unwrap(account);
        uint256 word = _load(key);
        // casting is safe because cash and a payment of funding stay within 128 bits
        // forge-lint: disable-next-line(unsafe-typecast)
        uint256 cash = uint256(int256(int128(uint128(word))) + atoms) & type(uint128).max;
        _store(key, word >> 128 << 128 | cash);
    }

    /// @notice Takes what a listed account is now for what it was: others decided what happened to it so far.
    /// @param amount What it holds at the feed now.
    function rebase(AccountId account, Account storage stored, FeedId feed, int256 amount) internal {
        _store(BEFORE | AccountId.unwrap(account), _moneyOf(stored));
        _store(_holdingKey(account, feed), _holdingMark(_load(BATCH), amount));
    }

    /// @notice Whether a listed account has been judged already; from now on it has.
    function judged(AccountId account) internal returns (bool before) {
        uint256 key = ACCOUNT | AccountId.unwrap(account);
        uint256 mark = _load(key);
        before = mark & JUDGED != 0;
        if (!before) _store(key, mark | JUDGED);
    }

    function flagsOf(AccountId account) internal view returns (uint256) {
        return _load(ACCOUNT | AccountId.unwrap(account)) & 0xFF;
    }

    function length() internal view returns (uint256) {
        return _load(COUNT);
    }

    /// @return account The account of entry `index`.
    /// @return eventId The event whose positions changed; 0 if the entry is about the account alone.
    function read(uint256 index) internal view returns (AccountId account, EventId eventId) {
        uint256 entry = _load(ENTRY | index);
        // casting to 'uint64' and 'uint24' is safe because an entry is made of such an account and such an event
        // forge-lint: disable-next-line(unsafe-typecast)
        return (AccountId.wrap(uint64(entry >> 24)), EventId.wrap(uint24(entry)));
    }

    /// @return first Whether nothing was noted of the account yet.
    function _note(AccountId account, Account storage stored, uint256 flags) private returns (bool first) {
        uint256 key = ACCOUNT | AccountId.unwrap(account);
        uint256 mark = _load(key);
        uint256 batch = _load(BATCH);
        first = mark >> 8 != batch;
        if (first) {
            _store(key, batch << 8 | flags);
            _store(BEFORE | AccountId.unwrap(account), _moneyOf(stored));
        } else if (mark | flags != mark) {
            _store(key, mark | flags);
        }
    }

    function _entry(AccountId account, EventId eventId) private pure returns (uint256) {
        return uint256(AccountId.unwrap(account)) << 24 | EventId.unwrap(eventId);
    }

    /// @dev The batch, then eight bits for flags, then the amount in the low 128 bits.
    function _holdingMark(uint256 batch, int256 amount) private pure returns (uint256) {
        // casting to 'uint256' is safe because the sign's copies above bit 127 are cut off
        // forge-lint: disable-next-line(unsafe-typecast)
        return batch << 136 | uint256(amount) & type(uint128).max;
    }

    function _append(uint256 entry) private {
        uint256 count = _load(COUNT);
        _store(ENTRY | count, entry);
        _store(COUNT, count + 1);
    }

    function _holdingKey(AccountId account, FeedId feed) private pure returns (uint256) {
        return HOLDING | uint256(AccountId.unwrap(account)) << 8 | FeedId.unwrap(feed);
    }

    function _moneyOf(Account storage stored) private view returns (uint256 word) {
        assembly ("memory-safe") {
            word := sload(stored.slot)
        }
    }

    function _load(uint256 key) private view returns (uint256 word) {
        assembly ("memory-safe") {
            word := tload(key)
        }
    }

    function _store(uint256 key, uint256 word) private {
        assembly ("memory-safe") {
            tstore(key, word)
        }
    }
}
