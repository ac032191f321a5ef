// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IPermit2} from "../../contracts/group/IPermit2.sol";

/// @notice What deposits need of Uniswap's Permit2 (`SignatureTransfer`): the same signature, nonces, deadline and errors.
/// @dev Its code can be etched anywhere: it has no immutables and reads its own address and chain.
contract Permit2StandIn is IPermit2 {
    error InvalidSigner();
    error InvalidNonce();
    error InvalidAmount(uint256 maxAmount);
    error SignatureExpired(uint256 signatureDeadline);

    mapping(address owner => mapping(uint256 word => uint256 bits)) private _nonces;

    function permitTransferFrom(
        PermitTransferFrom calldata permit,
        SignatureTransferDetails calldata details,
        address owner,
        bytes calldata signature
    ) external {
        if (block.timestamp > permit.deadline) {
            revert SignatureExpired(permit.deadline);
        }
        if (details.requestedAmount > permit.permitted.amount) revert InvalidAmount(permit.permitted.amount);
        uint256 bit = 1 << uint8(permit.nonce);
        if (_nonces[owner][permit.nonce >> 8] & bit != 0) revert InvalidNonce();
        _nonces[owner][permit.nonce >> 8] |= bit;
        if (ECDSA.recover(digestOf(permit, msg.sender), signature) != owner) revert InvalidSigner();
        IERC20(permit.permitted.token).transferFrom(owner, details.to, details.requestedAmount);
    }

    function digestOf(PermitTransferFrom calldata permit, address spender) public view returns (bytes32) {
        bytes32 permitted = keccak256(
            abi.encode(
                keccak256("TokenPermissions(address token,uint256 amount)"),
                permit.permitted.token,
                permit.permitted.amount
            )
        );
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline)TokenPermissions(address token,uint256 amount)"
                ),
                permitted,
                spender,
                permit.nonce,
                permit.deadline
            )
        );
        bytes32 separator = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)"),
                keccak256("Permit2"),
                block.chainid,
                address(this)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", separator, structHash));
    }
}
