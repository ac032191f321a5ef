// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGateway} from "../../contracts/group/IGateway.sol";
import {IGroupViews} from "../../contracts/group/IGroupViews.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {CodeChunks} from "../../contracts/venue/CodeChunks.sol";
import {Cradle, GroupFactory} from "../../contracts/venue/GroupFactory.sol";
import {GroupTerms} from "../../contracts/group/Types.sol";
import {VenueTest} from "./VenueTest.sol";

interface IHasGroup {
    function group() external view returns (address);
}

/// @notice Groups from the factory are the audited code, whole and where they were foretold.
contract GroupFactoryTest is VenueTest {
    function order() private view returns (GroupFactory.Order memory) {
        GroupTerms memory terms = GroupTerms({sequencer: bob, maxHoldings: 8, keeperShare: 1, grace: 2});
        return GroupFactory.Order({
            settlementToken: address(simulated),
            governance: alice,
            guardian: carol,
            inboxDeadline: 5 hours * 1000,
            requestFee: 7,
            terms: terms
        });
    }

    function test_a_groups_contracts_name_each_other_and_what_they_were_made_with() public {
        GroupFactory factory = registry.factory();
        (address group, address gateway, address hatch) = factory.create(order(), "salt");
        assertEq(IHasGroup(gateway).group(), group);
        assertEq(IHasGroup(hatch).group(), group);
        assertEq(IRiskGroup(group).gateway(), gateway);
        assertEq(IRiskGroup(group).escapeHatch(), hatch);
        assertEq(IRiskGroup(group).settlementToken(), address(simulated));
        assertEq(IRiskGroup(group).inboxDeadline(), 5 hours * 1000);
        assertEq(IGateway(gateway).governor(), alice);
        assertEq(IGateway(gateway).guardian(), carol);
        assertEq(IGateway(gateway).requestFee(), 7);
        assertEq(IGroupViews(group).terms().sequencer, bob);
    }

    function test_a_groups_addresses_are_known_before_and_are_its_creators_own() public {
        GroupFactory factory = registry.factory();
        (address group, address gateway, address hatch) = factory.addressesOf(bob, "salt");
        (address others,,) = factory.addressesOf(alice, "salt");
        assertNotEq(group, others);
        vm.prank(bob);
        (address madeGroup, address madeGateway, address madeHatch) = factory.create(order(), "salt");
        assertEq(madeGroup, group);
        assertEq(madeGateway, gateway);
        assertEq(madeHatch, hatch);
        GroupFactory.Order memory again = order();
        vm.prank(bob);
        vm.expectRevert();
        factory.create(again, "salt");
        factory.create(again, "salt");
    }

    function test_the_factory_says_which_code_its_groups_run() public view {
        GroupFactory factory = registry.factory();
        assertEq(factory.groupCodeHash(), keccak256(groupCode().group));
        assertEq(factory.gatewayCodeHash(), keccak256(groupCode().gateway));
        assertEq(factory.escapeHatchCodeHash(), keccak256(groupCode().escapeHatch));
    }

    function test_a_group_that_cannot_be_made_leaves_nothing() public {
        GroupFactory factory = registry.factory();
        GroupFactory.Order memory wrong = order();
        wrong.terms.sequencer = address(0);
        vm.expectRevert(Cradle.CreationFailed.selector);
        factory.create(wrong, "salt");
        factory.create(order(), "salt");
    }

    function test_only_its_factory_uses_a_cradle() public {
        Cradle cradle = new Cradle();
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(Cradle.NotFactory.selector, bob));
        cradle.make(hex"00");
    }

    // ----------------------------------------------------------------- chunks

    function testFuzz_chunks_give_back_what_was_written(uint256 length, bytes32 seed, bytes memory tail) public {
        bytes memory data = new bytes(bound(length, 1, 60_000));
        for (uint256 i = 0; i < data.length; i += 997) {
            data[i] = bytes32(keccak256(abi.encode(seed, i)))[0];
        }
        address[] memory chunks = CodeChunks.write(data);
        assertEq(CodeChunks.read(chunks, tail), bytes.concat(data, tail));
        assertEq(chunks.length, (data.length + 24_574) / 24_575);
    }

    function test_nobody_can_run_a_chunk() public {
        address[] memory chunks = CodeChunks.write(hex"fe");
        assertEq(chunks[0].code, hex"00fe");
        (bool stopped, bytes memory answer) = chunks[0].call("");
        assertTrue(stopped);
        assertEq(answer.length, 0);
    }

    function test_a_missing_chunk_is_noticed() public {
        address[] memory nowhere = new address[](1);
        nowhere[0] = bob;
        vm.expectRevert(abi.encodeWithSelector(CodeChunks.ChunkMissing.selector, bob));
        this.read(nowhere);
    }

    function read(address[] memory chunks) external view returns (bytes memory) {
        return CodeChunks.read(chunks, "");
    }
}
