// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {Convert, Liquidate, Order, Signature, Transfer, Withdraw} from "./Types.sol";

/// @notice The EIP-712 messages that a batch carries: their struct hashes and who signed them.
/// @dev `test/vectors/eip712.json` holds these, the sequencer's and a third implementation to the same hashes. Cancel
/// and CancelAll are typed data too, but only the sequencer reads them.
library TypedData {
    bytes32 internal constant ORDER_TYPEHASH = keccak256(
        "Order(uint64 account,uint32 market,uint8 side,uint8 kind,bool reduceOnly,uint64 size,uint64 price,uint64 nonce,uint64 expiry,uint32 maxFee,uint32 builder,uint32 builderFee)"
    );
    bytes32 internal constant WITHDRAW_TYPEHASH =
        keccak256("Withdraw(uint64 account,address token,uint128 amount,uint64 nonce,uint64 expiry)");
    bytes32 internal constant TRANSFER_TYPEHASH = keccak256(
        "Transfer(uint64 account,address gateway,uint64 to,address token,uint128 amount,uint64 nonce,uint64 expiry)"
    );
    bytes32 internal constant LIQUIDATE_TYPEHASH = keccak256(
        "Liquidate(uint64 keeper,uint64 account,uint32 market,uint64 size,uint128 limit,uint64 nonce,uint64 expiry)"
    );
    bytes32 internal constant CONVERT_TYPEHASH = keccak256(
        "Convert(uint64 keeper,uint64 account,uint8 asset,uint128 amount,uint128 limit,uint64 nonce,uint64 expiry)"
    );
    bytes32 internal constant ORDER_TREE_TYPEHASH = keccak256("OrderTree(bytes32 root)");
    bytes32 internal constant BATCH_TYPEHASH = keccak256("Batch(uint64 id,bytes32 parent,bytes32 content)");

    uint256 private constant ORDER_BYTES = 12 * 32;
    uint256 private constant WITHDRAW_BYTES = 5 * 32;

    /// @dev An order's fields lie in calldata exactly as EIP-712 encodes them, so they are hashed from there. A field
    /// with dirty high bits hashes to something that nobody signed.
    function hashOrder(Order calldata order) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = ORDER_TYPEHASH;
        uint256 length = ORDER_BYTES;
        assembly ("memory-safe") {
            let scratch := mload(0x40)
            mstore(scratch, typeHash)
            calldatacopy(add(scratch, 32), order, length)
            structHash := keccak256(scratch, add(length, 32))
        }
    }

    /// @dev As `hashOrder`.
    function hashWithdraw(Withdraw calldata withdraw) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = WITHDRAW_TYPEHASH;
        uint256 length = WITHDRAW_BYTES;
        assembly ("memory-safe") {
            let scratch := mload(0x40)
            mstore(scratch, typeHash)
            calldatacopy(add(scratch, 32), withdraw, length)
            structHash := keccak256(scratch, add(length, 32))
        }
    }

    function hashTransfer(Transfer memory transfer) internal pure returns (bytes32) {
        return keccak256(abi.encode(TRANSFER_TYPEHASH, transfer));
    }

    function hashLiquidate(Liquidate memory request) internal pure returns (bytes32) {
        return keccak256(abi.encode(LIQUIDATE_TYPEHASH, request));
    }

    function hashConvert(Convert memory request) internal pure returns (bytes32) {
        return keccak256(abi.encode(CONVERT_TYPEHASH, request));
    }

    function hashOrderTree(bytes32 root) internal pure returns (bytes32) {
        return keccak256(abi.encode(ORDER_TREE_TYPEHASH, root));
    }

    /// @notice A batch's hash: what the sequencer signs, and the parent of the next batch.
    function hashBatch(uint64 id, bytes32 parent, bytes32 content) internal pure returns (bytes32) {
        return keccak256(abi.encode(BATCH_TYPEHASH, id, parent, content));
    }

    /// @notice The keccak of the calldata from `start` to its end.
    /// @dev Works beyond the free memory pointer without moving it: later allocations use the same memory again.
    function hashCalldataFrom(uint256 start) internal pure returns (bytes32 content) {
        assembly ("memory-safe") {
            let scratch := mload(0x40)
            let length := sub(calldatasize(), start)
            calldatacopy(scratch, start, length)
            content := keccak256(scratch, length)
        }
    }

    /// @notice Who signed the message, or the zero address for a signature that nobody can make: a malleable one (high
    /// `s`) or one off the curve. Nobody's owner is the zero address, so comparing with the owner refuses both.
    function signer(bytes32 domain, bytes32 structHash, Signature memory signature)
        internal
        pure
        returns (address recovered)
    {
        (recovered,,) =
            ECDSA.tryRecover(MessageHashUtils.toTypedDataHash(domain, structHash), signature.r, signature.vs);
    }
}
