// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "./IRiskGroup.sol";
import {AccountId, Lots, Order, OrderKind} from "./Types.sol";

/// @notice What is left of each nonce: a nonce is one message body for ever and is spent once.
/// @dev A used nonce is a bit, 256 to a slot. Only while an order is partly filled has it a slot of its own as well: the
/// lots filled so far in the low 64 bits, the first 192 bits of the order's hash above them. So a nonce is
///
///     bit 0            unused
///     bit 1, slot set  partly filled; the slot is never zero, as something was filled
///     bit 1, slot 0    spent
///
/// and an order that is new, as most are, costs no look at its slot.
library Nonces {
    struct Ledger {
        mapping(uint256 key => uint256 bits) used;
        mapping(uint256 key => uint256) partlyFilled;
    }

    /// @notice Counts `filled` more lots of the order; spends its nonce if nothing can fill after this.
    /// @param filled Not zero.
    function fill(Ledger storage self, Order memory order, bytes32 orderHash, uint64 filled) internal {
        (AccountId account, uint64 nonce, uint64 size) = (order.account, order.nonce, Lots.unwrap(order.size));
        uint256 hashPrefix = uint256(orderHash) >> 64 << 64;
        uint256 total = filled;

        bool first = _use(self, account, nonce);
        if (!first) {
            uint256 before = self.partlyFilled[_slotKey(account, nonce)];
            if (before == 0) revert IRiskGroup.OrderSpent(account, nonce);
            if (before >> 64 << 64 != hashPrefix) revert IRiskGroup.NonceOfAnotherOrder(account, nonce);
            // Both are below 2^64.
            unchecked {
                total += before % (1 << 64);
            }
        }
        if (total > size) revert IRiskGroup.OrderOverfilled(account, nonce, size, total);

        if (total == size) {
            if (!first) delete self.partlyFilled[_slotKey(account, nonce)];
            return;
        }
        OrderKind kind = order.kind;
        if (kind == OrderKind.FillOrKill) revert IRiskGroup.FillOrKillNotFilled(account, nonce, size, filled);
        // An immediate order lives in one frame only: what it did not fill there never will.
        if (kind == OrderKind.ImmediateOrCancel) return;
        self.partlyFilled[_slotKey(account, nonce)] = hashPrefix | total;
    }

    /// @notice Spends the nonce of a message that happens once.
    function spend(Ledger storage self, AccountId account, uint64 nonce) internal {
        if (_use(self, account, nonce)) return;
        if (self.partlyFilled[_slotKey(account, nonce)] == 0) revert IRiskGroup.NonceSpent(account, nonce);
        revert IRiskGroup.NonceOfAnotherOrder(account, nonce);
    }

    function state(Ledger storage self, AccountId account, uint64 nonce)
        internal
        view
        returns (bool spent, uint64 filled)
    {
        bool used = self.used[_bitsKey(account, nonce)] & _bit(nonce) != 0;
        uint256 slot = self.partlyFilled[_slotKey(account, nonce)];
        // casting to 'uint64' is safe because the low 64 bits are what is wanted
        // forge-lint: disable-next-line(unsafe-typecast)
        return (used && slot == 0, uint64(slot));
    }

    /// @return first Whether the nonce was unused.
    function _use(Ledger storage self, AccountId account, uint64 nonce) private returns (bool first) {
        uint256 key = _bitsKey(account, nonce);
        uint256 bits = self.used[key];
        uint256 bit = _bit(nonce);
        first = bits & bit == 0;
        if (first) self.used[key] = bits | bit;
    }

    function _bit(uint64 nonce) private pure returns (uint256) {
        return uint256(1) << (nonce % 256);
    }

    function _bitsKey(AccountId account, uint64 nonce) private pure returns (uint256) {
        return uint256(AccountId.unwrap(account)) << 56 | nonce >> 8;
    }

    function _slotKey(AccountId account, uint64 nonce) private pure returns (uint256) {
        return uint256(AccountId.unwrap(account)) << 64 | nonce;
    }
}
