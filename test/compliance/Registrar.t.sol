// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AllowListRule} from "../../contracts/compliance/AllowListRule.sol";
import {IComplianceRule} from "../../contracts/compliance/IComplianceRule.sol";
import {OpenRule} from "../../contracts/compliance/OpenRule.sol";
import {Registrar} from "../../contracts/compliance/Registrar.sol";
import {IGateway} from "../../contracts/group/IGateway.sol";
import {AccountId} from "../../contracts/group/Types.sol";
import {VenueNumber, VenueRequest} from "../../contracts/venue/VenueTypes.sol";
import {VenueRegistry} from "../../contracts/venue/VenueRegistry.sol";
import {ComplianceTest} from "./ComplianceTest.sol";
import {MoodyRule} from "./MoodyRule.sol";

/// @notice Who is a member of a venue, from when and until when.
contract RegistrarTest is ComplianceTest {
    // ----------------------------------------------------------------- joining

    function test_who_passes_is_a_member_from_the_batch_that_consumes_it() public {
        rule.say(alice, nowS() + 7 days);
        vm.expectEmit(address(doors));
        emit Registrar.Joined(venue, account, alice, nowS() + 7 days, "evidence");
        // Anyone may bring the evidence.
        vm.prank(bob);
        assertEq(doors.join(venue, account, "evidence"), nowS() + 7 days);
        assertEq(membershipOf(account), 0);
        settleInbox(venue);
        assertEq(membershipOf(account), (nowS() + 7 days) * 1000);
    }

    function test_who_does_not_pass_is_not_let_in() public {
        vm.expectRevert(abi.encodeWithSelector(Registrar.DoesNotPass.selector, venue, alice));
        doors.join(venue, account, "");
        rule.say(alice, nowS());
        vm.expectRevert(abi.encodeWithSelector(Registrar.DoesNotPass.selector, venue, alice));
        doors.join(venue, account, "");
        rule.say(bob, ALWAYS);
        vm.expectRevert(abi.encodeWithSelector(Registrar.DoesNotPass.selector, venue, alice));
        vm.prank(bob);
        doors.join(venue, account, "");
    }

    function testFuzz_a_membership_lasts_until_the_rules_date_and_no_longer_than_the_term(uint64 until) public {
        rule.say(alice, until);
        uint64 expected = until <= nowS() ? 0 : until < nowS() + TERM ? until : nowS() + TERM;
        assertEq(doors.look(venue, account, ""), expected);
        if (expected == 0) {
            vm.expectRevert(abi.encodeWithSelector(Registrar.DoesNotPass.selector, venue, alice));
            doors.join(venue, account, "");
        } else {
            assertEq(doors.join(venue, account, ""), expected);
        }
        settleInbox(venue);
        assertEq(membershipOf(account), expected * 1000);
        assertEq(doors.memberOf(venue, account).until, expected);
    }

    function test_an_account_that_does_not_exist_or_is_isolated_joins_nothing() public {
        rule.say(address(0), ALWAYS);
        AccountId missing = AccountId.wrap(99);
        vm.expectRevert(abi.encodeWithSelector(Registrar.NoSuchAccount.selector, missing));
        doors.join(venue, missing, "");
        rule.say(alice, ALWAYS);
        // Alice's, but a member with its parent only.
        AccountId isolated = AccountId.wrap(uint64(1) << 63 | AccountId.unwrap(account) << 32 | 1);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NoSuchAccount.selector, isolated));
        doors.join(venue, isolated, "");
    }

    function test_a_venue_without_a_rule_has_no_members() public {
        VenueNumber other = openVenue();
        AccountId there = deposit(other, alice, 1e6);
        vm.expectRevert(abi.encodeWithSelector(Registrar.NoRule.selector, other));
        doors.join(other, there, "");
        vm.expectRevert(abi.encodeWithSelector(Registrar.NoRule.selector, other));
        doors.look(other, there, "");
    }

    function test_a_venue_that_names_another_registrar_is_not_reached() public {
        rule.say(alice, ALWAYS);
        vm.prank(deployer);
        registry.setVenue(venue, bob, venueConfig());
        vm.expectRevert(abi.encodeWithSelector(IGateway.NotRegistrar.selector, registry.venueOf(venue).id, doors, bob));
        doors.join(venue, account, "");
        assertEq(doors.memberOf(venue, account).until, 0);
    }

    function test_evidence_has_a_longest_length() public {
        rule.say(alice, ALWAYS);
        vm.expectRevert(abi.encodeWithSelector(Registrar.EvidenceTooLong.selector, 4097, 4096));
        doors.join(venue, account, new bytes(4097));
        doors.join(venue, account, new bytes(4096));
    }

    // ----------------------------------------------------------------- renewing

    function test_a_membership_is_renewed_when_less_than_half_of_it_is_left() public {
        rule.say(alice, ALWAYS);
        uint64 until = doors.join(venue, account, "");
        uint64 renewable = until - TERM / 2;
        vm.warp(renewable - 1);
        vm.expectRevert(abi.encodeWithSelector(Registrar.MemberAlready.selector, until, renewable));
        doors.join(venue, account, "");
        vm.warp(renewable);
        assertEq(doors.join(venue, account, ""), until + TERM / 2);
    }

    function test_a_renewal_that_lasts_no_longer_is_none() public {
        uint64 until = nowS() + 2 hours;
        rule.say(alice, until);
        doors.join(venue, account, "");
        vm.expectRevert(abi.encodeWithSelector(Registrar.MemberAlready.selector, until, until - TERM / 2));
        doors.join(venue, account, "");
        rule.say(alice, until + 1);
        assertEq(doors.join(venue, account, ""), until + 1, "whose date is near need not wait");
    }

    function test_a_membership_that_is_over_begins_anew() public {
        rule.say(alice, ALWAYS);
        doors.join(venue, account, "");
        pass(3 * TERM);
        assertEq(doors.join(venue, account, ""), nowS() + TERM);
    }

    // ----------------------------------------------------------------- revoking

    function test_anyone_has_a_member_revoked_who_no_longer_passes() public {
        rule.say(alice, ALWAYS);
        doors.join(venue, account, "evidence");
        settleInbox(venue);
        rule.say(alice, 0);
        vm.expectEmit(address(doors));
        emit Registrar.Revoked(venue, account, carol);
        vm.prank(carol);
        doors.revoke(venue, account, "evidence");
        settleInbox(venue);
        assertEq(membershipOf(account), 0);
        vm.expectRevert(abi.encodeWithSelector(Registrar.NotMember.selector, venue, account));
        doors.revoke(venue, account, "evidence");
        // Who passes again joins again, at once.
        rule.say(alice, ALWAYS);
        doors.join(venue, account, "");
        settleInbox(venue);
        assertEq(membershipOf(account), (nowS() + TERM) * 1000);
    }

    function test_nobody_has_a_member_revoked_who_still_passes() public {
        rule.say(alice, ALWAYS);
        doors.join(venue, account, "");
        vm.expectRevert(abi.encodeWithSelector(Registrar.StillPasses.selector, venue, alice, nowS() + TERM));
        doors.revoke(venue, account, "");
    }

    /// @dev Whoever shows nothing would have anybody fail a rule that wants to be shown something.
    function testFuzz_other_evidence_than_the_members_own_revokes_nobody(bytes calldata other) public {
        vm.assume(other.length <= 4096 && keccak256(other) != keccak256("evidence"));
        rule.say(alice, ALWAYS);
        doors.join(venue, account, "evidence");
        rule.say(alice, 0);
        vm.expectRevert(abi.encodeWithSelector(Registrar.NotItsEvidence.selector, venue, account));
        doors.revoke(venue, account, other);
    }

    function test_a_member_until_a_date_that_is_over_is_none() public {
        rule.say(alice, ALWAYS);
        uint64 until = doors.join(venue, account, "");
        rule.say(alice, 0);
        vm.warp(until);
        vm.expectRevert(abi.encodeWithSelector(Registrar.NotMember.selector, venue, account));
        doors.revoke(venue, account, "");
    }

    // ----------------------------------------------------------------- rules and doors

    function test_only_the_deployer_chooses_rules_and_shuts_the_door() public {
        bytes memory refusal = abi.encodeWithSelector(Registrar.NotDeployer.selector, venue, bob, deployer);
        vm.startPrank(bob);
        vm.expectRevert(refusal);
        doors.setRule(venue, rule, TERM);
        vm.expectRevert(refusal);
        doors.shut(venue);
        vm.expectRevert(refusal);
        doors.reopen(venue);
        vm.stopPrank();
        VenueNumber missing = VenueNumber.wrap(99);
        vm.expectRevert(abi.encodeWithSelector(Registrar.NotDeployer.selector, missing, address(this), address(0)));
        doors.setRule(missing, rule, TERM);
    }

    function test_a_rule_and_its_term_have_bounds() public {
        vm.startPrank(deployer);
        vm.expectRevert(Registrar.ZeroAddress.selector);
        doors.setRule(venue, IComplianceRule(address(0)), TERM);
        vm.expectRevert(abi.encodeWithSelector(Registrar.TermOutOfBounds.selector, 3599, 1 hours, 366 days));
        doors.setRule(venue, rule, 1 hours - 1);
        vm.expectRevert(abi.encodeWithSelector(Registrar.TermOutOfBounds.selector, 366 days + 1, 1 hours, 366 days));
        doors.setRule(venue, rule, 366 days + 1);
        vm.stopPrank();
        vm.expectRevert(Registrar.ZeroAddress.selector);
        new Registrar(VenueRegistry(address(0)), NOTICE);
    }

    function test_another_rule_counts_after_its_notice() public {
        vm.expectRevert(abi.encodeWithSelector(Registrar.NothingAnnounced.selector, venue));
        doors.applyRule(venue);
        MoodyRule next = new MoodyRule();
        setRule(next, 1 days);
        uint64 dueAt = nowS() + NOTICE;
        assertEq(doors.changeOf(venue).dueAt, dueAt);
        vm.warp(dueAt - 1);
        vm.expectRevert(abi.encodeWithSelector(Registrar.NoticeRuns.selector, dueAt));
        doors.applyRule(venue);
        rule.say(alice, ALWAYS);
        doors.join(venue, account, "");
        vm.warp(dueAt);
        doors.applyRule(venue);
        Registrar.Door memory door = doors.doorOf(venue);
        assertEq(address(door.rule), address(next));
        assertEq(door.term, 1 days);
        assertEq(door.edition, 2);
        vm.expectRevert(abi.encodeWithSelector(Registrar.NothingAnnounced.selector, venue));
        doors.applyRule(venue);
    }

    function test_members_of_an_earlier_rule_stay_until_somebody_shows_that_they_do_not_pass_the_present_one() public {
        rule.say(alice, ALWAYS);
        rule.say(bob, ALWAYS);
        AccountId other = deposit(venue, bob, 1e6);
        uint64 until = doors.join(venue, account, "old");
        doors.join(venue, other, "old");
        AllowListRule next = new AllowListRule(deployer);
        setRule(next, 1 days);
        pass(NOTICE);
        doors.applyRule(venue);
        settleInbox(venue);
        assertEq(membershipOf(account), until * 1000);
        // Who passes the new one need not wait for half of the old term to be over.
        address[] memory subjects = new address[](1);
        subjects[0] = alice;
        vm.prank(deployer);
        next.list(subjects, ALWAYS);
        assertEq(doors.join(venue, account, ""), nowS() + 1 days);
        doors.revoke(venue, other, "old");
        settleInbox(venue);
        assertEq(membershipOf(account), (nowS() + 1 days) * 1000);
        assertEq(membershipOf(other), 0);
    }

    function test_nobody_comes_through_a_shut_door_and_members_stay() public {
        rule.say(alice, ALWAYS);
        rule.say(bob, ALWAYS);
        AccountId other = deposit(venue, bob, 1e6);
        doors.join(venue, account, "");
        vm.prank(deployer);
        doors.shut(venue);
        vm.expectRevert(abi.encodeWithSelector(Registrar.DoorShut.selector, venue));
        doors.join(venue, other, "");
        setRule(new OpenRule(), TERM);
        pass(NOTICE);
        doors.applyRule(venue);
        vm.expectRevert(abi.encodeWithSelector(Registrar.DoorShut.selector, venue));
        doors.join(venue, other, "");
        settleInbox(venue);
        assertGt(membershipOf(account), vm.getBlockTimestamp() * 1000);
        vm.prank(deployer);
        doors.reopen(venue);
        doors.join(venue, other, "");
    }

    function test_venues_have_a_door_each() public {
        VenueRequest memory request = venueRequest();
        request.group = registry.venueOf(venue).group;
        VenueNumber second = open(deployer, request);
        OpenRule everybody = new OpenRule();
        vm.prank(deployer);
        doors.setRule(second, everybody, TERM);
        doors.join(second, account, "");
        settleInbox(venue);
        assertEq(membershipOf(account), 0);
        assertEq(viewsOf(venue).membership(account, registry.venueOf(second).id), (nowS() + TERM) * 1000);
        vm.expectRevert(abi.encodeWithSelector(Registrar.DoesNotPass.selector, venue, alice));
        doors.join(venue, account, "");
    }

    // ----------------------------------------------------------------- the inbox

    function test_a_block_admits_fifty_joins_and_fifty_revocations_in_a_group() public {
        rule.say(alice, ALWAYS);
        AccountId[] memory ids = new AccountId[](51);
        for (uint256 i = 0; i < 51; ++i) {
            ids[i] = deposit(venue, alice, 1);
        }
        for (uint256 i = 0; i < 50; ++i) {
            doors.join(venue, ids[i], "");
        }
        vm.expectRevert(abi.encodeWithSelector(Registrar.Busy.selector, block.number, 50));
        doors.join(venue, ids[50], "");
        vm.roll(block.number + 1);
        doors.join(venue, ids[50], "");
        vm.roll(block.number + 1);
        rule.say(alice, 0);
        for (uint256 i = 0; i < 50; ++i) {
            doors.revoke(venue, ids[i], "");
        }
        vm.expectRevert(abi.encodeWithSelector(Registrar.Busy.selector, block.number, 50));
        doors.revoke(venue, ids[50], "");
        vm.roll(block.number + 1);
        doors.revoke(venue, ids[50], "");
    }
}
