// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {Nonces} from "../../contracts/group/Nonces.sol";
import {AccountId, Lots, Order, OrderKind} from "../../contracts/group/Types.sol";

/// @notice A nonce is one order for ever.
/// @dev Every proof starts from any two words that storage could hold for the nonce, so it holds after any history. An
/// order's hash is any word: that one hash means one size rests on keccak, and is said where it is needed.
contract NoncesProofs is Test {
    using Nonces for Nonces.Ledger;

    Nonces.Ledger private _nonces;

    function fill(Order calldata order, bytes32 orderHash, uint64 filled) external {
        _nonces.fill(order, orderHash, filled);
    }

    function spend(AccountId account, uint64 nonce) external {
        _nonces.spend(account, nonce);
    }

    /// @notice Two orders whose hashes differ never both fill under one nonce of an account.
    /// @dev Fails when `fill` does not compare the prefix.
    function check_two_orders_never_share_a_nonce(
        Order calldata first,
        Order calldata second,
        bytes32[2] calldata hashes,
        uint64[2] calldata filled,
        uint256 bits,
        uint256 slot
    ) public {
        vm.assume(_sameNonce(first, second) && filled[0] != 0 && filled[1] != 0);
        vm.assume(uint256(hashes[0]) >> 64 != uint256(hashes[1]) >> 64);
        _begin(first.account, first.nonce, bits, slot);
        bool both = _fills(first, hashes[0], filled[0]) && _fills(second, hashes[1], filled[1]);
        assert(!both);
    }

    /// @notice The fills of an order add up to no more than its size, and the ledger says how much they are.
    /// @dev Fails when `fill` overwrites the lots filled before instead of adding to them.
    function check_fills_never_exceed_the_size(
        Order calldata order,
        bytes32 orderHash,
        uint64[3] calldata filled,
        uint256 bits
    ) public {
        vm.assume(filled[0] != 0 && filled[1] != 0 && filled[2] != 0);
        _begin(order.account, order.nonce, bits, 0);
        uint256 total;
        for (uint256 i = 0; i < 3; ++i) {
            if (_fills(order, orderHash, filled[i])) total += filled[i];
        }
        assert(total <= Lots.unwrap(order.size));
        (bool spent, uint64 stored) = _nonces.state(order.account, order.nonce);
        if (total == Lots.unwrap(order.size) && total != 0) assert(spent);
        if (!spent) assert(stored == total);
    }

    /// @notice A spent nonce never fills and is never spent again, whatever happens on it or on any other.
    /// @dev Whatever else happens, on the same nonce or on any other of any account. Fails when `fill` does not revert on
    /// an empty slot.
    function check_spent_stays_spent(
        Order calldata order,
        bytes32 orderHash,
        uint64 filled,
        AccountId account,
        uint64 nonce,
        uint256 bits,
        bool spends
    ) public {
        vm.assume(filled != 0);
        _begin(account, nonce, bits, 0);
        (bool spent,) = _nonces.state(account, nonce);
        vm.assume(spent);
        bool same = AccountId.unwrap(account) == AccountId.unwrap(order.account) && nonce == order.nonce;
        bool succeeded = spends ? _spends(order.account, order.nonce) : _fills(order, orderHash, filled);
        assert(!(same && succeeded));
        (spent,) = _nonces.state(account, nonce);
        assert(spent);
    }

    /// @notice A nonce is spent exactly when its order is filled or lives in one frame only; else its slot holds the lots filled.
    /// @dev Fails when an order that lives in one frame keeps its slot, or when the slot of a filled order stays.
    function check_what_is_done_is_spent(
        Order calldata order,
        bytes32 orderHash,
        uint64 filled,
        uint256 bits,
        uint256 slot
    ) public {
        vm.assume(filled != 0);
        bool immediate = order.kind == OrderKind.FillOrKill || order.kind == OrderKind.ImmediateOrCancel;
        // Nothing of such an order is ever kept, as is seen below; and the kind is a part of the hash.
        vm.assume(!immediate || slot == 0);
        _begin(order.account, order.nonce, bits, slot);
        vm.assume(_fills(order, orderHash, filled));
        (bool spent, uint64 stored) = _nonces.state(order.account, order.nonce);
        uint256 total = uint256(filled) + uint64(slot);
        assert(spent == (immediate || total == Lots.unwrap(order.size)));
        assert(spent ? stored == 0 : stored == total);
    }

    /// @notice A fill changes nothing of any other nonce, of its account or of another.
    /// @dev Fails when `_slotKey` shifts the account by a bit less.
    function check_no_order_touches_another_nonce(
        Order calldata order,
        bytes32 orderHash,
        uint64 filled,
        AccountId account,
        uint64 nonce,
        uint256 bits,
        uint256 slot
    ) public {
        vm.assume(AccountId.unwrap(account) != AccountId.unwrap(order.account) || nonce != order.nonce);
        _begin(account, nonce, bits, slot);
        (bool spentBefore, uint64 filledBefore) = _nonces.state(account, nonce);
        vm.assume(_fills(order, orderHash, filled));
        (bool spent, uint64 filledNow) = _nonces.state(account, nonce);
        assert(spent == spentBefore && filledNow == filledBefore);
    }

    // ----------------------------------------------------------------- helpers

    /// @dev A slot is used only together with its bit, as `check_what_is_done_is_spent` shows.
    function _begin(AccountId account, uint64 nonce, uint256 bits, uint256 slot) private {
        vm.assume(slot == 0 || bits >> (nonce % 256) & 1 == 1);
        _nonces.used[uint256(AccountId.unwrap(account)) << 56 | nonce >> 8] = bits;
        _nonces.partlyFilled[uint256(AccountId.unwrap(account)) << 64 | nonce] = slot;
    }

    function _fills(Order calldata order, bytes32 orderHash, uint64 filled) private returns (bool succeeded) {
        (succeeded,) = address(this).call(abi.encodeCall(this.fill, (order, orderHash, filled)));
    }

    function _spends(AccountId account, uint64 nonce) private returns (bool succeeded) {
        (succeeded,) = address(this).call(abi.encodeCall(this.spend, (account, nonce)));
    }

    function _sameNonce(Order calldata a, Order calldata b) private pure returns (bool) {
        return AccountId.unwrap(a.account) == AccountId.unwrap(b.account) && a.nonce == b.nonce;
    }
}
