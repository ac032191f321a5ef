// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {SimulatedToken} from "../../contracts/group/SimulatedToken.sol";
import {TypedData} from "../../contracts/group/TypedData.sol";
import {
    AccountId,
    BuilderId,
    Convert,
    FeedId,
    GroupTerms,
    Liquidate,
    Lots,
    MarketId,
    Order,
    OrderKind,
    Side,
    Signature,
    Ticks,
    Transfer,
    Withdraw
} from "../../contracts/group/Types.sol";

/// @dev The library hashes from calldata, so it needs somebody to call.
contract Hasher {
    function hashOrder(Order calldata signed) external pure returns (bytes32) {
        return TypedData.hashOrder(signed);
    }

    function hashWithdraw(Withdraw calldata signed) external pure returns (bytes32) {
        return TypedData.hashWithdraw(signed);
    }

    function signer(bytes32 domain, bytes32 structHash, Signature calldata signature) external pure returns (address) {
        return TypedData.signer(domain, structHash, signature);
    }
}

/// @notice The contract, the sequencer and a third implementation agree on every hash of `vectors/eip712.json`.
contract VectorsTest is Test {
    string internal file = vm.readFile("test/vectors/eip712.json");
    Hasher internal hasher = new Hasher();

    function test_the_domain_is_that_of_the_vectors() public {
        vm.chainId(uintAt(".domain.chainId"));
        address verifier = vm.parseJsonAddress(file, ".domain.verifyingContract");
        GroupTerms memory terms;
        terms.sequencer = address(1);
        bytes memory arguments = abi.encode(new SimulatedToken(), address(1), address(1), address(1), 1, terms);
        deployCodeTo("RiskGroup.sol:RiskGroup", arguments, verifier);
        assertEq(IRiskGroup(verifier).domainSeparator(), wordAt(".domain.separator"));
    }

    function test_type_hashes_are_those_of_the_vectors() public view {
        assertEq(TypedData.ORDER_TYPEHASH, wordAt(".typeHashes.Order"));
        assertEq(TypedData.WITHDRAW_TYPEHASH, wordAt(".typeHashes.Withdraw"));
        assertEq(TypedData.BATCH_TYPEHASH, wordAt(".typeHashes.Batch"));
        assertEq(keccak256("Cancel(uint64 account,uint64 nonce)"), wordAt(".typeHashes.Cancel"));
        assertEq(keccak256("CancelAll(uint64 account,uint64 below)"), wordAt(".typeHashes.CancelAll"));
    }

    function test_orders_hash_and_recover_as_in_the_vectors() public view {
        uint256 count = countOf(".orders");
        assertGe(count, 4);
        for (uint256 i = 0; i < count; ++i) {
            string memory path = pathOf(".orders", i);
            string memory message = string.concat(path, ".message");
            Order memory signed = Order({
                account: AccountId.wrap(uint64(uintAt(message, ".account"))),
                market: MarketId.wrap(uint32(uintAt(message, ".market"))),
                side: Side(uintAt(message, ".side")),
                kind: OrderKind(uintAt(message, ".kind")),
                reduceOnly: vm.parseJsonBool(file, string.concat(message, ".reduceOnly")),
                size: Lots.wrap(uint64(uintAt(message, ".size"))),
                price: Ticks.wrap(uint64(uintAt(message, ".price"))),
                nonce: uint64(uintAt(message, ".nonce")),
                expiry: uint64(uintAt(message, ".expiry")),
                maxFee: uint32(uintAt(message, ".maxFee")),
                builder: BuilderId.wrap(uint32(uintAt(message, ".builder"))),
                builderFee: uint32(uintAt(message, ".builderFee"))
            });
            assertVector(path, hasher.hashOrder(signed));
        }
    }

    function test_withdrawals_hash_and_recover_as_in_the_vectors() public view {
        uint256 count = countOf(".withdraws");
        for (uint256 i = 0; i < count; ++i) {
            string memory path = pathOf(".withdraws", i);
            string memory message = string.concat(path, ".message");
            Withdraw memory signed = Withdraw({
                account: AccountId.wrap(uint64(uintAt(message, ".account"))),
                token: vm.parseJsonAddress(file, string.concat(message, ".token")),
                amount: uint128(uintAt(message, ".amount")),
                nonce: uint64(uintAt(message, ".nonce")),
                expiry: uint64(uintAt(message, ".expiry"))
            });
            assertVector(path, hasher.hashWithdraw(signed));
        }
    }

    function test_batches_hash_and_recover_as_in_the_vectors() public view {
        uint256 count = countOf(".batches");
        for (uint256 i = 0; i < count; ++i) {
            string memory path = pathOf(".batches", i);
            string memory message = string.concat(path, ".message");
            bytes32 parent = wordAt(string.concat(message, ".parent"));
            bytes32 content = wordAt(string.concat(message, ".content"));
            assertVector(path, TypedData.hashBatch(uint64(uintAt(message, ".id")), parent, content));
        }
    }

    /// @dev Only the sequencer reads these two; the signatures are checked all the same.
    function test_cancellations_hash_and_recover_as_in_the_vectors() public view {
        for (uint256 i = 0; i < countOf(".cancels"); ++i) {
            string memory path = pathOf(".cancels", i);
            assertVector(path, hashOfTwo("Cancel(uint64 account,uint64 nonce)", path, ".account", ".nonce"));
        }
        for (uint256 i = 0; i < countOf(".cancelAlls"); ++i) {
            string memory path = pathOf(".cancelAlls", i);
            assertVector(path, hashOfTwo("CancelAll(uint64 account,uint64 below)", path, ".account", ".below"));
        }
    }

    // ----------------------------------------------------------------- words

    function assertVector(string memory path, bytes32 structHash) private view {
        assertEq(structHash, wordAt(string.concat(path, ".structHash")), path);
        bytes32 separator = wordAt(".domain.separator");
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", separator, structHash));
        assertEq(digest, wordAt(string.concat(path, ".digest")), path);
        Signature memory signature =
            Signature({r: wordAt(string.concat(path, ".r")), vs: wordAt(string.concat(path, ".vs"))});
        address expected = vm.parseJsonAddress(file, string.concat(path, ".signer"));
        assertEq(hasher.signer(separator, structHash, signature), expected, path);
        assertEq(vm.addr(uint256(wordAt(string.concat(path, ".privateKey")))), expected, path);
    }

    function hashOfTwo(string memory typeString, string memory path, string memory a, string memory b)
        private
        view
        returns (bytes32)
    {
        string memory message = string.concat(path, ".message");
        return keccak256(abi.encode(keccak256(bytes(typeString)), uintAt(message, a), uintAt(message, b)));
    }

    function countOf(string memory list) private view returns (uint256 count) {
        while (vm.keyExistsJson(file, pathOf(list, count))) {
            ++count;
        }
        assertGt(count, 0);
    }

    function pathOf(string memory list, uint256 index) private pure returns (string memory) {
        return string.concat(list, "[", vm.toString(index), "]");
    }

    function wordAt(string memory path) private view returns (bytes32) {
        return vm.parseJsonBytes32(file, path);
    }

    function uintAt(string memory message, string memory field) private view returns (uint256) {
        return uintAt(string.concat(message, field));
    }

    function uintAt(string memory path) private view returns (uint256) {
        return vm.parseJsonUint(file, path);
    }
}
