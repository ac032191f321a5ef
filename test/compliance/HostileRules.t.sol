// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AllOfRule} from "../../contracts/compliance/AllOfRule.sol";
import {IComplianceRule} from "../../contracts/compliance/IComplianceRule.sol";
import {OpenRule} from "../../contracts/compliance/OpenRule.sol";
import {Registrar} from "../../contracts/compliance/Registrar.sol";
import {RuleCall} from "../../contracts/compliance/RuleCall.sol";
import {AccountId} from "../../contracts/group/Types.sol";
import {VenueNumber} from "../../contracts/venue/VenueTypes.sol";
import {ComplianceTest} from "./ComplianceTest.sol";
import {MoodyRule} from "./MoodyRule.sol";

/// @notice A venue's own contract that does its worst: all that it can say is no.
contract HostileRulesTest is ComplianceTest {
    function assertNo() private {
        assertEq(doors.look(venue, account, ""), 0);
        vm.expectRevert(abi.encodeWithSelector(Registrar.DoesNotPass.selector, venue, alice));
        doors.join(venue, account, "");
    }

    function test_whatever_is_not_an_answer_is_a_plain_no() public {
        for (uint8 mood = uint8(MoodyRule.Mood.Reverts); mood <= uint8(MoodyRule.Mood.TooLarge); ++mood) {
            rule.setMood(MoodyRule.Mood(mood));
            uint256 before = gasleft();
            assertNo();
            // Asked twice; what it returns, however much, is not paid for again.
            assertLt(before - gasleft(), 2 * RuleCall.GAS + 300_000);
        }
    }

    function test_no_code_and_the_chains_own_contracts_are_a_plain_no() public {
        address[4] memory others = [bob, address(2), address(4), address(simulated)];
        for (uint256 i = 0; i < others.length; ++i) {
            setRule(IComplianceRule(others[i]), TERM);
            pass(NOTICE);
            doors.applyRule(venue);
            assertNo();
        }
    }

    /// @dev It says yes if what it called back did anything.
    function test_a_rule_that_calls_back_changes_nothing() public {
        rule.callBack(address(doors), abi.encodeCall(doors.join, (venue, account, "")));
        assertNo();
        rule.callBack(address(doors), abi.encodeCall(doors.revoke, (venue, account, "")));
        assertNo();
        rule.callBack(address(simulated), abi.encodeCall(simulated.mint, (alice, 1)));
        assertNo();
    }

    function test_a_rule_that_changes_its_mind_between_look_and_join_is_asked_at_the_join() public {
        rule.say(alice, ALWAYS);
        assertEq(doors.look(venue, account, ""), nowS() + TERM);
        rule.say(alice, 0);
        vm.expectRevert(abi.encodeWithSelector(Registrar.DoesNotPass.selector, venue, alice));
        doors.join(venue, account, "");
        rule.say(alice, nowS() + 1 days);
        assertEq(doors.join(venue, account, ""), nowS() + 1 days);
        rule.say(alice, ALWAYS);
        vm.expectRevert(abi.encodeWithSelector(Registrar.StillPasses.selector, venue, alice, nowS() + TERM));
        doors.revoke(venue, account, "");
    }

    /// @dev The rule needs nearly all that it is promised, and says no with less.
    function testFuzz_a_caller_with_little_gas_makes_no_no_of_a_yes(uint256 gas_) public {
        rule.cost(RuleCall.GAS - 20_000);
        doors.join(venue, account, "");
        gas_ = bound(gas_, 100_000, 1_400_000);
        (bool revoked,) = address(doors).call{gas: gas_}(abi.encodeCall(doors.revoke, (venue, account, "")));
        assertFalse(revoked);
        assertGt(doors.memberOf(venue, account).until, nowS());
    }

    function testFuzz_nor_where_the_rule_is_one_of_several(uint256 gas_) public {
        MoodyRule costly = new MoodyRule();
        costly.cost(RuleCall.GAS / 3);
        IComplianceRule[] memory rules = new IComplianceRule[](2);
        (rules[0], rules[1]) = (new OpenRule(), costly);
        bytes memory evidence = abi.encode(new bytes[](2));
        setRule(new AllOfRule(rules), TERM);
        pass(NOTICE);
        doors.applyRule(venue);
        doors.join(venue, account, evidence);
        gas_ = bound(gas_, 100_000, 1_400_000);
        (bool revoked,) = address(doors).call{gas: gas_}(abi.encodeCall(doors.revoke, (venue, account, evidence)));
        assertFalse(revoked);
    }

    function test_too_little_gas_is_told_as_what_it_is() public {
        rule.say(alice, ALWAYS);
        vm.expectPartialRevert(RuleCall.NotEnoughGas.selector);
        doors.join{gas: 800_000}(venue, account, "");
        doors.join{gas: 1_400_000}(venue, account, "");
    }

    function test_a_hostile_rule_reaches_no_other_venue_and_blocks_no_exit() public {
        VenueNumber other = openVenue();
        OpenRule everybody = new OpenRule();
        vm.prank(deployer);
        doors.setRule(other, everybody, TERM);
        AccountId there = deposit(other, bob, 100e6);
        rule.say(alice, ALWAYS);
        doors.join(venue, account, "");
        settleInbox(venue);
        rule.setMood(MoodyRule.Mood.Burns);
        doors.join(other, there, "");
        settleInbox(other);
        assertEq(viewsOf(other).membership(there, registry.venueOf(other).id), (nowS() + TERM) * 1000);
        doors.revoke(venue, account, "");
        withdraw(venue, account, 100e6);
        vm.expectCall(address(rule), "", 0);
        vm.expectCall(address(doors), "", 0);
        settleInbox(venue);
        assertEq(simulated.balanceOf(alice), 100e6);
    }
}
