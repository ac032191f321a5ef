// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "./IRiskGroup.sol";
import {AccountId, Order, OrderKind} from "./Types.sol";

/// @notice What is left of each nonce: a nonce is one message body for ever and is spent once.
/// @dev A spent nonce is a bit, 256 to a slot. Only while an order is partly filled does it have a slot of its own: the
/// lots filled so far in the low 64 bits, the first 192 bits of the order's hash above them. The slot is never zero
/// (an order there has filled something) and is cleared when the order completes.
library Nonces {
    struct Ledger {
        mapping(AccountId => mapping(uint64 word => uint256 bits)) spent;
        mapping(AccountId => mapping(uint64 nonce => uint256)) partlyFilled;
    }

    /// @notice Counts `filled` more lots of the order; spends its nonce if nothing can fill after this.
    /// @param filled Not zero.
    function fill(Ledger storage self, Order calldata order, bytes32 orderHash, uint64 filled) internal {
        (AccountId account, uint64 nonce, uint64 size) = (order.account, order.nonce, order.size);
        uint256 bits = self.spent[account][nonce >> 8];
        uint256 bit = _bit(nonce);
        if (bits & bit != 0) revert IRiskGroup.OrderSpent(account, nonce);

        uint256 before = self.partlyFilled[account][nonce];
        uint256 hashPrefix = uint256(orderHash) >> 64 << 64;
        if (before != 0 && before >> 64 << 64 != hashPrefix) revert IRiskGroup.NonceOfAnotherOrder(account, nonce);

        uint256 total = before % (1 << 64) + filled;
        if (total > size) revert IRiskGroup.OrderOverfilled(account, nonce, size, total);
        if (order.kind == OrderKind.FillOrKill && filled != size) {
            revert IRiskGroup.FillOrKillNotFilled(account, nonce, size, filled);
        }

        // An order that may not rest lives in one frame only, whatever it filled there.
        bool mayRest = order.kind == OrderKind.GoodTillCancelled || order.kind == OrderKind.PostOnly;
        if (total < size && mayRest) {
            self.partlyFilled[account][nonce] = hashPrefix | total;
        } else {
            self.spent[account][nonce >> 8] = bits | bit;
            if (before != 0) delete self.partlyFilled[account][nonce];
        }
    }

    /// @notice Spends the nonce of a message that happens once.
    function spend(Ledger storage self, AccountId account, uint64 nonce) internal {
        uint256 bits = self.spent[account][nonce >> 8];
        uint256 bit = _bit(nonce);
        if (bits & bit != 0) revert IRiskGroup.NonceSpent(account, nonce);
        if (self.partlyFilled[account][nonce] != 0) revert IRiskGroup.NonceOfAnotherOrder(account, nonce);
        self.spent[account][nonce >> 8] = bits | bit;
    }

    function state(Ledger storage self, AccountId account, uint64 nonce)
        internal
        view
        returns (bool spent, uint64 filled)
    {
        spent = self.spent[account][nonce >> 8] & _bit(nonce) != 0;
        // casting to 'uint64' is safe because the low 64 bits are what is wanted
        // forge-lint: disable-next-line(unsafe-typecast)
        filled = uint64(self.partlyFilled[account][nonce]);
    }

    function _bit(uint64 nonce) private pure returns (uint256) {
        return 2 ** (nonce % 256);
    }
}
