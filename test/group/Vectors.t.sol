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
    Fill,
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
    function hashOrder(Fill calldata line) external pure returns (bytes32) {
        return TypedData.load(TypedData.newLine(), line);
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
    }

    /// @dev The file may not have these yet; what it has is checked.
    function test_no_type_and_no_list_of_the_vectors_goes_unread() public view {
        string[] memory types = vm.parseJsonKeys(file, ".typeHashes");
        for (uint256 i = 0; i < types.length; ++i) {
            assertEq(typeHashOf(types[i]), wordAt(string.concat(".typeHashes.", types[i])), types[i]);
        }
        string[] memory lists = vm.parseJsonKeys(file, "$");
        for (uint256 i = 0; i < lists.length; ++i) {
            assertTrue(isRead(lists[i]), lists[i]);
        }
        for (uint256 i = 0; has(".transfers", i); ++i) {
            string memory path = pathOf(".transfers", i);
            assertVector(path, TypedData.hashTransfer(transferAt(string.concat(path, ".message"))));
        }
        for (uint256 i = 0; has(".liquidates", i); ++i) {
            string memory path = pathOf(".liquidates", i);
            assertVector(path, TypedData.hashLiquidate(liquidateAt(string.concat(path, ".message"))));
        }
        for (uint256 i = 0; has(".converts", i); ++i) {
            string memory path = pathOf(".converts", i);
            assertVector(path, TypedData.hashConvert(convertAt(string.concat(path, ".message"))));
        }
        for (uint256 i = 0; has(".orderTrees", i); ++i) {
            string memory path = pathOf(".orderTrees", i);
            assertVector(path, TypedData.hashOrderTree(wordAt(string.concat(path, ".message.root"))));
        }
    }

    function test_orders_hash_and_recover_as_in_the_vectors() public view {
        uint256 count = countOf(".orders");
        assertGe(count, 4);
        for (uint256 i = 0; i < count; ++i) {
            string memory path = pathOf(".orders", i);
            string memory message = string.concat(path, ".message");
            Fill memory line;
            line.order = Order({
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
            assertVector(path, hasher.hashOrder(line));
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

    /// @dev Only the sequencer reads these; the signatures are checked all the same.
    function test_what_only_the_sequencer_reads_hashes_and_recovers_as_in_the_vectors() public view {
        string[6] memory names = ["Cancel", "CancelAll", "Amend", "CancelMany", "CancelAfter", "Session"];
        string[6] memory lists = [".cancels", ".cancelAlls", ".amends", ".cancelManys", ".cancelAfters", ".sessions"];
        for (uint256 k = 0; k < names.length; ++k) {
            for (uint256 i = 0; i < countOf(lists[k]); ++i) {
                string memory path = pathOf(lists[k], i);
                assertVector(path, hashOfNumbers(names[k], string.concat(path, ".message")));
            }
        }
    }

    // ----------------------------------------------------------------- words

    function typeHashOf(string memory name) private pure returns (bytes32) {
        bytes32 key = keccak256(bytes(name));
        if (key == keccak256("Order")) return TypedData.ORDER_TYPEHASH;
        if (key == keccak256("Withdraw")) return TypedData.WITHDRAW_TYPEHASH;
        if (key == keccak256("Transfer")) return TypedData.TRANSFER_TYPEHASH;
        if (key == keccak256("Liquidate")) return TypedData.LIQUIDATE_TYPEHASH;
        if (key == keccak256("Convert")) return TypedData.CONVERT_TYPEHASH;
        if (key == keccak256("OrderTree")) return TypedData.ORDER_TREE_TYPEHASH;
        if (key == keccak256("Batch")) return TypedData.BATCH_TYPEHASH;
        (string memory typeString,) = sequencerType(name);
        return keccak256(bytes(typeString));
    }

    /// @notice The type of a message that only the sequencer reads, and its fields: all of them numbers.
    function sequencerType(string memory name) private pure returns (string memory, string[] memory fields) {
        bytes32 key = keccak256(bytes(name));
        fields = new string[](key == keccak256("CancelMany") ? 5 : key == keccak256("Amend") ? 3 : 2);
        fields[0] = ".account";
        if (key == keccak256("Cancel")) {
            fields[1] = ".nonce";
            return ("Cancel(uint64 account,uint64 nonce)", fields);
        }
        if (key == keccak256("CancelAll")) {
            fields[1] = ".below";
            return ("CancelAll(uint64 account,uint64 below)", fields);
        }
        if (key == keccak256("Amend")) {
            (fields[1], fields[2]) = (".nonce", ".size");
            return ("Amend(uint64 account,uint64 nonce,uint64 size)", fields);
        }
        if (key == keccak256("CancelMany")) {
            (fields[1], fields[2], fields[3], fields[4]) = (".venue", ".market", ".sides", ".nonce");
            return ("CancelMany(uint64 account,uint32 venue,uint32 market,uint8 sides,uint64 nonce)", fields);
        }
        if (key == keccak256("Session")) {
            fields = new string[](4);
            (fields[0], fields[1], fields[2], fields[3]) = (".account", ".scope", ".expiry", ".challenge");
            return ("Session(uint64 account,uint8 scope,uint64 expiry,bytes32 challenge)", fields);
        }
        fields = new string[](3);
        (fields[0], fields[1], fields[2]) = (".account", ".time", ".nonce");
        return ("CancelAfter(uint64 account,uint64 time,uint64 nonce)", fields);
    }

    function isRead(string memory list) private pure returns (bool) {
        string[15] memory known = [
            "domain",
            "typeHashes",
            "orders",
            "withdraws",
            "cancels",
            "cancelAlls",
            "batches",
            "transfers",
            "liquidates",
            "converts",
            "orderTrees",
            "amends",
            "cancelManys",
            "cancelAfters",
            "sessions"
        ];
        for (uint256 i = 0; i < known.length; ++i) {
            if (keccak256(bytes(known[i])) == keccak256(bytes(list))) return true;
        }
        return false;
    }

    function transferAt(string memory message) private view returns (Transfer memory) {
        return Transfer({
            account: AccountId.wrap(uint64(uintAt(message, ".account"))),
            gateway: vm.parseJsonAddress(file, string.concat(message, ".gateway")),
            to: AccountId.wrap(uint64(uintAt(message, ".to"))),
            token: vm.parseJsonAddress(file, string.concat(message, ".token")),
            amount: uint128(uintAt(message, ".amount")),
            nonce: uint64(uintAt(message, ".nonce")),
            expiry: uint64(uintAt(message, ".expiry"))
        });
    }

    function liquidateAt(string memory message) private view returns (Liquidate memory) {
        return Liquidate({
            keeper: AccountId.wrap(uint64(uintAt(message, ".keeper"))),
            account: AccountId.wrap(uint64(uintAt(message, ".account"))),
            market: MarketId.wrap(uint32(uintAt(message, ".market"))),
            size: Lots.wrap(uint64(uintAt(message, ".size"))),
            limit: uint128(uintAt(message, ".limit")),
            nonce: uint64(uintAt(message, ".nonce")),
            expiry: uint64(uintAt(message, ".expiry"))
        });
    }

    function convertAt(string memory message) private view returns (Convert memory) {
        return Convert({
            keeper: AccountId.wrap(uint64(uintAt(message, ".keeper"))),
            account: AccountId.wrap(uint64(uintAt(message, ".account"))),
            asset: FeedId.wrap(uint8(uintAt(message, ".asset"))),
            amount: uint128(uintAt(message, ".amount")),
            limit: uint128(uintAt(message, ".limit")),
            nonce: uint64(uintAt(message, ".nonce")),
            expiry: uint64(uintAt(message, ".expiry"))
        });
    }

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

    function hashOfNumbers(string memory name, string memory message) private view returns (bytes32) {
        (string memory typeString, string[] memory fields) = sequencerType(name);
        bytes memory encoded = abi.encode(keccak256(bytes(typeString)));
        for (uint256 i = 0; i < fields.length; ++i) {
            encoded = bytes.concat(encoded, abi.encode(uintAt(message, fields[i])));
        }
        return keccak256(encoded);
    }

    function countOf(string memory list) private view returns (uint256 count) {
        while (has(list, count)) {
            ++count;
        }
        assertGt(count, 0);
    }

    function has(string memory list, uint256 index) private view returns (bool) {
        return vm.keyExistsJson(file, pathOf(list, index));
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
