// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {MarketKind} from "../../contracts/group/Types.sol";
import {SlotAuction} from "../../contracts/venue/SlotAuction.sol";
import {IXipActions, XipKind} from "../../contracts/xip/IXipActions.sol";
import {XipGovernor} from "../../contracts/xip/XipGovernor.sol";
import {Category, Procedure, XipNumber, XipStatus} from "../../contracts/xip/XipTypes.sol";
import {XipTest} from "./XipTest.sol";

/// @notice A Standards XIP's life, step by step.
contract XipGovernorTest is XipTest {
    bytes private constant COOLDOWN = abi.encode(uint64(30 days));

    // ----------------------------------------------------------------- from draft to execution

    function test_a_xip_goes_from_draft_to_execution_and_its_deposit_returns() public {
        XipNumber number = draft(alice, XipKind.SetCooldown, COOLDOWN);
        assertEq(XipNumber.unwrap(number), 1);
        assertStatus(number, XipStatus.Draft);
        uint256 proposal = submit(number, alice, COOLDOWN);
        assertStatus(number, XipStatus.Review);
        assertEq(okb.balanceOf(address(governor)), 100 ether);
        vm.warp(governor.proposalSnapshot(proposal) + 1);
        assertStatus(number, XipStatus.Voting);
        vote(proposal, alice, 1);
        vote(proposal, bob, 0);
        vm.expectRevert(abi.encodeWithSelector(XipGovernor.NotFinal.selector, number, XipStatus.Voting));
        governor.settleDeposit(number);
        endVote(proposal);
        assertStatus(number, XipStatus.Queued);
        governor.queue(proposal);
        assertStatus(number, XipStatus.Queued);
        vm.warp(governor.proposalEta(proposal));
        governor.execute(proposal);
        assertStatus(number, XipStatus.Executed);
        assertEq(stake.cooldown(), 30 days);
        uint256 before = okb.balanceOf(alice);
        governor.settleDeposit(number);
        assertEq(okb.balanceOf(alice), before + 100 ether);
        vm.expectRevert(abi.encodeWithSelector(XipGovernor.DepositAlreadySettled.selector, number));
        governor.settleDeposit(number);
    }

    function test_xips_are_numbered_in_one_sequence() public {
        assertEq(XipNumber.unwrap(draft(alice, XipKind.SetCooldown, COOLDOWN)), 1);
        assertEq(XipNumber.unwrap(draft(bob, XipKind.SetCooldown, COOLDOWN)), 2);
        assertEq(xips.count(), 2);
        assertEq(xips.entry(XipNumber.wrap(2)).author, bob);
    }

    function test_the_same_can_be_proposed_again() public {
        enact(XipKind.SetCooldown, COOLDOWN);
        enact(XipKind.SetCooldown, COOLDOWN);
    }

    // ----------------------------------------------------------------- what can be proposed

    function test_nothing_but_a_typed_xip_can_be_proposed() public {
        vm.prank(alice);
        vm.expectRevert(XipGovernor.UntypedProposal.selector);
        governor.propose(new address[](1), new uint256[](1), new bytes[](1), "give me everything");
    }

    function test_a_payload_of_another_shape_cannot_be_drafted() public {
        assertWrong(XipKind.SetCooldown, abi.encode(uint64(30 days), uint64(1)));
        assertWrong(XipKind.SetCooldown, abi.encodePacked(COOLDOWN, uint8(0)));
        assertUndecodable(XipKind.SetCooldown, "");
        assertUndecodable(XipKind.SetCooldown, abi.encode(uint256(1) << 64));
        assertUndecodable(XipKind.SetBaseSlots, abi.encode(uint8(3), uint32(1)));
        assertUndecodable(XipKind.SetBaseSlots, COOLDOWN);
        assertUndecodable(XipKind.Spend, abi.encode(okb, alice));
        assertWrong(XipKind.Spend, abi.encode(okb, alice, uint256(1), uint256(1)));
        assertUndecodable(XipKind.AdmitProcedure, abi.encode(governor, uint256(2)));
        assertUndecodable(XipKind.SetGovernor, abi.encode(uint256(1) << 160));
    }

    function assertWrong(XipKind kind, bytes memory payload) private {
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IXipActions.WrongPayload.selector, kind));
        governor.draft(kind, payload, URI);
    }

    function assertUndecodable(XipKind kind, bytes memory payload) private {
        vm.prank(alice);
        // The decoder refuses it without a word.
        vm.expectRevert(bytes(""));
        governor.draft(kind, payload, URI);
    }

    function testFuzz_whatever_is_accepted_is_called_byte_for_byte(uint8 kind, bytes memory payload) public view {
        XipKind asked = XipKind(kind % (uint8(type(XipKind).max) + 1));
        try actions.build(asked, payload) returns (Category, address target, bytes memory data) {
            assertTrue(target.code.length != 0 || asked == XipKind.Spend);
            if (asked != XipKind.Spend) {
                assertEq(data, bytes.concat(bytes4(data), payload));
            }
        } catch {}
    }

    function test_another_payload_than_the_drafted_one_cannot_be_submitted() public {
        XipNumber number = draft(alice, XipKind.SetCooldown, COOLDOWN);
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(XipGovernor.WrongContent.selector, number));
        governor.submit(number, abi.encode(uint64(60 days)), URI);
        vm.expectRevert(abi.encodeWithSelector(XipGovernor.WrongContent.selector, number));
        governor.submit(number, COOLDOWN, "ipfs://another text");
        vm.stopPrank();
    }

    function test_what_was_voted_on_is_what_is_executed() public {
        (, uint256 proposal) = toQueue(XipKind.Spend, abi.encode(okb, bob, uint256(1)));
        vm.warp(governor.proposalEta(proposal));
        (address[] memory targets, uint256[] memory values, bytes[] memory calls, bytes32 hash) =
            governor.proposalDetails(proposal);
        calls[0] = abi.encodeCall(okb.transfer, (alice, 1000 ether));
        uint256 swapped = governor.hashProposal(targets, values, calls, hash);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorNonexistentProposal.selector, swapped));
        governor.execute(targets, values, calls, hash);
    }

    // ----------------------------------------------------------------- who may

    function test_a_draft_is_its_authors() public {
        XipNumber number = draft(alice, XipKind.SetCooldown, COOLDOWN);
        vm.startPrank(bob);
        vm.expectRevert(abi.encodeWithSelector(XipGovernor.NotAuthor.selector, number, bob, alice));
        governor.submit(number, COOLDOWN, URI);
        vm.expectRevert(abi.encodeWithSelector(XipGovernor.NotAuthor.selector, number, bob, alice));
        governor.withdraw(number);
        vm.stopPrank();
    }

    function test_an_author_needs_the_categorys_share_of_votes() public {
        address dave = makeAddr("dave");
        // With his own there are 100,100 votes: 0.1 % are 100.1.
        stakeAs(dave, 100 ether);
        pass(1);
        XipNumber number = draft(dave, XipKind.SetCooldown, COOLDOWN);
        vm.startPrank(dave);
        vm.expectRevert(
            abi.encodeWithSelector(IGovernor.GovernorInsufficientProposerVotes.selector, dave, 100 ether, 100.1 ether)
        );
        governor.submit(number, COOLDOWN, URI);
        vm.stopPrank();
        stakeAs(dave, 1 ether);
        pass(1);
        submit(number, dave, COOLDOWN);
    }

    function test_only_its_author_takes_a_xip_back_and_only_in_review() public {
        XipNumber number = draft(alice, XipKind.SetCooldown, COOLDOWN);
        uint256 proposal = submit(number, alice, COOLDOWN);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorUnableToCancel.selector, proposal, bob));
        governor.withdraw(number);
        vm.prank(alice);
        governor.withdraw(number);
        assertStatus(number, XipStatus.Withdrawn);
        governor.settleDeposit(number);
        assertEq(okb.balanceOf(address(governor)), 0);

        (number, proposal) = toVote(XipKind.SetCooldown, COOLDOWN);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(XipGovernor.WrongStatus.selector, number, XipStatus.Voting));
        governor.withdraw(number);
    }

    function test_a_draft_taken_back_is_over() public {
        XipNumber number = draft(alice, XipKind.SetCooldown, COOLDOWN);
        vm.startPrank(alice);
        governor.withdraw(number);
        assertStatus(number, XipStatus.Withdrawn);
        vm.expectRevert(abi.encodeWithSelector(XipGovernor.WrongStatus.selector, number, XipStatus.Withdrawn));
        governor.submit(number, COOLDOWN, URI);
        vm.expectRevert(abi.encodeWithSelector(XipGovernor.NotFinal.selector, number, XipStatus.Withdrawn));
        governor.settleDeposit(number);
        vm.stopPrank();
    }

    // ----------------------------------------------------------------- what is enough

    function test_a_xip_without_its_quorum_is_rejected() public {
        (XipNumber number, uint256 proposal) = toVote(XipKind.SetProcedure, constitution());
        // 20 % of 100,000; against does not count towards it.
        assertEq(governor.quorumOf(number), 20_000 ether);
        vote(proposal, alice, 0);
        endVote(proposal);
        assertStatus(number, XipStatus.Rejected);
    }

    function test_a_constitutional_xip_needs_two_thirds() public {
        (XipNumber number, uint256 proposal) = toVote(XipKind.SetProcedure, constitution());
        vote(proposal, alice, 1);
        vote(proposal, carol, 1);
        vote(proposal, bob, 0);
        endVote(proposal);
        assertStatus(number, XipStatus.Rejected);

        (number, proposal) = toVote(XipKind.SetProcedure, constitution());
        vote(proposal, alice, 1);
        vote(proposal, bob, 1);
        vote(proposal, carol, 0);
        endVote(proposal);
        assertStatus(number, XipStatus.Queued);
    }

    function test_half_of_the_votes_is_not_a_majority() public {
        stakeAs(carol, 15_000 ether);
        pass(1);
        (XipNumber number, uint256 proposal) = toVote(XipKind.SetCooldown, COOLDOWN);
        vote(proposal, alice, 1);
        vote(proposal, carol, 0);
        endVote(proposal);
        assertStatus(number, XipStatus.Rejected);
    }

    function constitution() private pure returns (bytes memory) {
        Procedure memory procedure = procedureTable()[2];
        procedure.delay = 4 days;
        return abi.encode(Category.Standard, procedure);
    }

    // ----------------------------------------------------------------- vetoes

    function test_a_vetoed_xip_loses_its_deposit_to_the_treasury() public {
        (XipNumber number, uint256 proposal) = toVote(XipKind.SetCooldown, COOLDOWN);
        vote(proposal, alice, 1);
        veto(proposal, bob);
        vote(proposal, carol, 0);
        endVote(proposal);
        assertStatus(number, XipStatus.Rejected);
        assertTrue(governor.isVetoed(number));
        governor.settleDeposit(number);
        assertEq(okb.balanceOf(address(timelock)), 100 ether);
    }

    function test_a_xip_voted_down_without_a_veto_costs_nothing() public {
        (XipNumber number, uint256 proposal) = toVote(XipKind.SetCooldown, COOLDOWN);
        vote(proposal, alice, 1);
        vote(proposal, bob, 0);
        veto(proposal, carol);
        endVote(proposal);
        assertFalse(governor.isVetoed(number), "a quarter of the votes");
        uint256 before = okb.balanceOf(alice);
        governor.settleDeposit(number);
        assertEq(okb.balanceOf(alice), before + 100 ether);
    }

    function test_a_few_vetoes_below_the_quorum_take_no_deposit() public {
        address dave = makeAddr("dave");
        stakeAs(dave, 1000 ether);
        pass(1);
        (XipNumber number, uint256 proposal) = toVote(XipKind.SetCooldown, COOLDOWN);
        veto(proposal, dave);
        endVote(proposal);
        assertStatus(number, XipStatus.Rejected);
        assertFalse(governor.isVetoed(number));
    }

    function test_a_veto_against_what_the_majority_wants_is_a_vote_against() public {
        (XipNumber number, uint256 proposal) = toVote(XipKind.SetCooldown, COOLDOWN);
        vote(proposal, alice, 1);
        veto(proposal, bob);
        vote(proposal, carol, 1);
        endVote(proposal);
        assertStatus(number, XipStatus.Queued);
        assertFalse(governor.isVetoed(number));
    }

    // ----------------------------------------------------------------- time

    function test_no_xip_executes_before_its_categorys_delay() public {
        assertDelay(XipKind.SetCooldown, COOLDOWN, 3 days);
        assertDelay(XipKind.SetProcedure, constitution(), 14 days);
    }

    function assertDelay(XipKind kind, bytes memory payload, uint256 delay) private {
        (, uint256 proposal) = toQueue(kind, payload);
        uint256 queued = vm.getBlockTimestamp();
        assertEq(governor.proposalEta(proposal), queued + delay);
        vm.warp(queued + delay - 1);
        vm.expectPartialRevert(bytes4(keccak256("TimelockUnexpectedOperationState(bytes32,bytes32)")));
        governor.execute(proposal);
        vm.warp(queued + delay);
        governor.execute(proposal);
    }

    function test_a_draft_a_success_and_a_queued_xip_expire() public {
        XipNumber number = draft(alice, XipKind.SetCooldown, COOLDOWN);
        pass(60 days);
        assertStatus(number, XipStatus.Draft);
        pass(1);
        assertStatus(number, XipStatus.Expired);

        uint256 proposal;
        (number, proposal) = toVote(XipKind.SetCooldown, COOLDOWN);
        vote(proposal, alice, 1);
        endVote(proposal);
        pass(14 days);
        assertStatus(number, XipStatus.Expired);
        vm.expectPartialRevert(IGovernor.GovernorUnexpectedProposalState.selector);
        governor.queue(proposal);
        governor.settleDeposit(number);

        (number, proposal) = toQueue(XipKind.SetCooldown, COOLDOWN);
        vm.warp(governor.proposalEta(proposal) + 14 days + 1);
        assertStatus(number, XipStatus.Expired);
        vm.expectPartialRevert(IGovernor.GovernorUnexpectedProposalState.selector);
        governor.execute(proposal);
        governor.settleDeposit(number);
        assertEq(okb.balanceOf(address(governor)), 0);
    }

    function test_a_xip_keeps_the_procedure_that_it_was_submitted_under() public {
        XipNumber number = draft(alice, XipKind.SetCooldown, COOLDOWN);
        (, uint256 amendment) = toQueue(XipKind.SetProcedure, constitution());
        vm.warp(governor.proposalEta(amendment) - 1 days);
        uint256 proposal = submit(number, alice, COOLDOWN);
        pass(1 days);
        governor.execute(amendment);
        vm.warp(governor.proposalSnapshot(proposal) + 1);
        vote(proposal, alice, 1);
        endVote(proposal);
        governor.queue(proposal);
        assertEq(governor.proposalEta(proposal), vm.getBlockTimestamp() + 3 days, "the new delay is 4 days");
    }

    // ----------------------------------------------------------------- stopping one

    function test_an_emergency_xip_stops_one_that_waits() public {
        (XipNumber number, uint256 proposal) = toQueue(XipKind.SetProcedure, constitution());
        enact(XipKind.RevokeXip, abi.encode(number));
        assertStatus(number, XipStatus.Rejected);
        vm.warp(governor.proposalEta(proposal));
        vm.expectPartialRevert(IGovernor.GovernorUnexpectedProposalState.selector);
        governor.execute(proposal);
        governor.settleDeposit(number);
    }

    // ----------------------------------------------------------------- what XIPs can set

    function test_a_xip_can_set_everything_that_governance_may() public {
        enact(XipKind.PublishRule, abi.encode(uint24(500_000), keccak256("rule")));
        enact(
            XipKind.Slash,
            abi.encode(carol, uint32(0), uint128(10 ether), uint64(vm.getBlockTimestamp()), keccak256("evidence"), bob)
        );
        assertEq(okb.balanceOf(bob), 10 ether);
        enact(XipKind.RetireRule, abi.encode(uint32(0)));
        assertGt(stake.ruleAt(0).until, 0);
        enact(XipKind.SetRequiredStake, abi.encode(uint88(5 ether)));
        assertEq(slots.requiredStake(), 5 ether);
        enact(XipKind.SetBaseSlots, abi.encode(MarketKind.Spot, uint32(9)));
        assertEq(slots.baseSlots(MarketKind.Spot), 9);
        SlotAuction.Terms memory terms = auction.terms(MarketKind.Spot);
        terms.floor = 77 ether;
        enact(XipKind.SetAuctionTerms, abi.encode(MarketKind.Spot, terms));
        assertEq(auction.terms(MarketKind.Spot).floor, 77 ether);
        enact(XipKind.SetTreasury, abi.encode(bob));
        assertEq(auction.treasury(), bob);
        okb.mint(address(timelock), 3 ether);
        enact(XipKind.Spend, abi.encode(okb, bob, uint256(3 ether)));
        assertEq(okb.balanceOf(bob), 13 ether);
        enact(XipKind.AdmitProcedure, abi.encode(bob, true));
        vm.prank(bob);
        xips.file(bob, 0, URI);
        enact(XipKind.SetProcedure, constitution());
        assertEq(governor.procedureOf(Category.Standard).delay, 4 days);
    }

    function test_another_governor_takes_over_and_the_old_one_is_powerless() public {
        (, uint256 waiting) = toQueue(XipKind.SetCooldown, COOLDOWN);
        (, uint256 handover) = toQueue(XipKind.SetGovernor, abi.encode(bob));
        vm.warp(governor.proposalEta(handover));
        governor.execute(handover);
        assertEq(timelock.governor(), bob);
        assertTrue(timelock.hasRole(timelock.PROPOSER_ROLE(), bob));
        vm.expectPartialRevert(IGovernor.GovernorUnexpectedProposalState.selector);
        governor.execute(waiting);
        (, uint256 late) = toVote(XipKind.SetCooldown, COOLDOWN);
        vote(late, alice, 1);
        endVote(late);
        vm.expectPartialRevert(bytes4(keccak256("AccessControlUnauthorizedAccount(address,bytes32)")));
        governor.queue(late);
    }

    function test_no_category_can_be_given_a_procedure_outside_its_bounds() public {
        Procedure memory procedure = procedureTable()[3];
        procedure.delay = 7 days - 1;
        assertOutOfRange(Category.Constitutional, procedure, "delay");
        procedure = procedureTable()[3];
        procedure.approval = 599_999;
        assertOutOfRange(Category.Constitutional, procedure, "approval");
        procedure = procedureTable()[3];
        procedure.quorum = 99_999;
        assertOutOfRange(Category.Constitutional, procedure, "quorum");
        procedure = procedureTable()[2];
        procedure.quorum = 19_999;
        assertOutOfRange(Category.Standard, procedure, "quorum");
        procedure = procedureTable()[2];
        procedure.threshold = 50_001;
        assertOutOfRange(Category.Standard, procedure, "threshold");
        procedure = procedureTable()[1];
        procedure.review = 1 hours - 1;
        assertOutOfRange(Category.Fast, procedure, "review");
        procedure = procedureTable()[0];
        procedure.voting = 1 days - 1;
        assertOutOfRange(Category.Emergency, procedure, "voting");
    }

    function assertOutOfRange(Category category, Procedure memory procedure, bytes32 field) private {
        (, uint256 proposal) = toQueue(XipKind.SetProcedure, abi.encode(category, procedure));
        vm.warp(governor.proposalEta(proposal));
        vm.expectRevert(abi.encodeWithSelector(XipGovernor.ProcedureOutOfRange.selector, category, field));
        governor.execute(proposal);
    }
}
