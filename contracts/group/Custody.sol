// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IRiskGroup} from "./IRiskGroup.sol";
import {AccountId} from "./Types.sol";

/// @notice Tokens coming in and going out.
library Custody {
    using SafeERC20 for IERC20;

    /// @dev What a transfer out of a batch may use. Proxied stablecoins with a deny-list need 40 to 70 thousand.
    uint256 internal constant TRANSFER_GAS = 100_000;

    struct Payment {
        AccountId account;
        address owner;
        uint256 amount;
    }

    /// @notice What a batch owes to owners when everything else about it is decided.
    struct Payments {
        uint256 length;
        Payment[] entries;
    }

    function create(uint256 capacity) internal pure returns (Payments memory) {
        return Payments({length: 0, entries: new Payment[](capacity)});
    }

    function add(Payments memory self, AccountId account, address owner, uint256 amount) internal pure {
        self.entries[self.length++] = Payment({account: account, owner: owner, amount: amount});
    }

    /// @notice Pulls `amount` from the caller; returns what arrived, which a token that takes a fee makes less.
    function receiveFromCaller(address token, uint256 amount) internal returns (uint256 arrived) {
        uint256 before = IERC20(token).balanceOf(address(this));
        if (!IERC20(token).trySafeTransferFrom(msg.sender, address(this), amount)) {
            revert IRiskGroup.TransferFailed(token);
        }
        arrived = IERC20(token).balanceOf(address(this)) - before;
    }

    /// @notice Sends tokens or reverts.
    function send(address token, address to, uint256 amount) internal {
        if (!IERC20(token).trySafeTransfer(to, amount)) revert IRiskGroup.TransferFailed(token);
    }

    /// @notice Sends tokens if the token lets it; whatever the token does, this returns.
    /// @dev Gas is capped and at most one word of the answer is read. A call gets at most 63/64 of what is left
    /// (EIP-150), so without the check a relayer could starve the transfer while the batch goes through.
    function trySend(address token, address to, uint256 amount) internal returns (bool delivered) {
        uint256 needed = TRANSFER_GAS + TRANSFER_GAS / 63 + 10_000;
        if (gasleft() < needed) revert IRiskGroup.GasTooLow(needed, gasleft());
        bytes memory data = abi.encodeCall(IERC20.transfer, (to, amount));
        uint256 gasCap = TRANSFER_GAS;
        assembly ("memory-safe") {
            let succeeded := call(gasCap, token, 0, add(data, 32), mload(data), 0, 32)
            switch returndatasize()
            case 0 { delivered := and(succeeded, gt(extcodesize(token), 0)) }
            default { delivered := and(succeeded, and(gt(returndatasize(), 31), eq(mload(0), 1))) }
        }
    }
}
