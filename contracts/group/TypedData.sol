// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IRiskGroup} from "./IRiskGroup.sol";
import {Convert, Fill, Liquidate, Order, Signature, Transfer, Withdraw} from "./Types.sol";

/// @notice The EIP-712 messages that a batch carries: their struct hashes and who signed them.
/// @dev `test/vectors/eip712.json` holds these, the sequencer's and a third implementation to the same hashes. Cancel
/// and CancelAll are typed data too, but only the sequencer reads them.
library TypedData {
    bytes32 internal constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    string internal constant NAME = "Exchange OS";
    string internal constant VERSION = "1";

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

    /// @notice What binds every message to one group on one chain.
    function domainSeparator(address group) internal view returns (bytes32) {
        return
            keccak256(
                abi.encode(DOMAIN_TYPEHASH, keccak256(bytes(NAME)), keccak256(bytes(VERSION)), block.chainid, group)
            );
    }

    /// @notice Memory for one fill, to `load` one after the other into.
    /// @dev The order lies behind the word of its type hash, as EIP-712 hashes the two.
    function newLine() internal pure returns (Fill memory line) {
        bytes32 typeHash = ORDER_TYPEHASH;
        uint256 length = ORDER_BYTES;
        Order memory order;
        assembly ("memory-safe") {
            order := mload(0x40)
            mstore(order, typeHash)
            order := add(order, 32)
            mstore(0x40, add(order, length))
        }
        line.order = order;
    }

    /// @notice Reads a fill into memory that `newLine` made.
    /// @return orderHash The order's struct hash.
    /// @dev One copy and one look at all the bits that must be zero cost a fraction of decoding field by field.
    function load(Fill memory line, Fill calldata source) internal pure returns (bytes32 orderHash) {
        Order memory order = line.order;
        Signature memory signature = line.signature;
        uint256 dirt;
        assembly ("memory-safe") {
            calldatacopy(order, source, 384)
            orderHash := keccak256(sub(order, 32), 416)
            let filled := calldataload(add(source, 384))
            let notional := calldataload(add(source, 416))
            let fee := calldataload(add(source, 448))
            let tree := calldataload(add(source, 480))
            calldatacopy(signature, add(source, 512), 64)
            mstore(add(line, 32), filled)
            mstore(add(line, 64), notional)
            mstore(add(line, 96), fee)
            mstore(add(line, 128), tree)

            // account, size, price, nonce, expiry, filled; market, maxFee, builder, builderFee, tree; then the others.
            let wide := or(or(mload(order), mload(add(order, 160))), or(mload(add(order, 192)), mload(add(order, 224))))
            wide := or(wide, or(mload(add(order, 256)), filled))
            let narrow := or(or(mload(add(order, 32)), mload(add(order, 288))), mload(add(order, 320)))
            narrow := or(narrow, or(mload(add(order, 352)), tree))
            dirt := or(shr(64, wide), shr(32, narrow))
            dirt := or(dirt, or(shr(1, mload(add(order, 64))), shr(2, mload(add(order, 96)))))
            dirt := or(dirt, or(shr(1, mload(add(order, 128))), shr(128, notional)))
            dirt := or(dirt, xor(signextend(15, fee), fee))
        }
        if (dirt != 0) revert IRiskGroup.MalformedCalldata();
    }

    /// @dev A withdrawal's fields lie in calldata exactly as EIP-712 encodes them, so they are hashed from there. A field
    /// with dirty high bits hashes to something that nobody signed.
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
