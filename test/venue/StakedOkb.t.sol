// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MarketKind} from "../../contracts/group/Types.sol";
import {StakedOkb} from "../../contracts/venue/StakedOkb.sol";
import {Governed} from "../../contracts/xip/Governed.sol";
import {StakeTest} from "./StakeTest.sol";

/// @notice Stake: what it votes with, how it leaves, and how it is slashed.
contract StakedOkbTest is StakeTest {
    bytes32 private constant TEXT = keccak256("A deployer does not manipulate its own index price.");
    bytes32 private constant EVIDENCE = keccak256("incident 17 of group 3");

    // ----------------------------------------------------------------- votes

    function test_a_stake_votes_for_its_owner_until_it_is_delegated() public {
        stakeAs(alice, 5 ether);
        assertEq(stake.getVotes(alice), 5 ether);
        vm.prank(alice);
        stake.delegate(bob);
        assertEq(stake.getVotes(alice), 0);
        assertEq(stake.getVotes(bob), 5 ether);
        stakeAs(alice, 1 ether);
        assertEq(stake.getVotes(bob), 6 ether, "what is added goes where the rest is");
        assertEq(stake.totalSupply(), 6 ether);
    }

    function test_votes_are_counted_by_time() public {
        assertEq(stake.CLOCK_MODE(), "mode=timestamp");
        assertEq(stake.clock(), vm.getBlockTimestamp());
        stakeAs(alice, 5 ether);
        uint256 then = vm.getBlockTimestamp();
        pass(1);
        stakeAs(alice, 5 ether);
        pass(1);
        assertEq(stake.getPastVotes(alice, then - 1), 0);
        assertEq(stake.getPastVotes(alice, then), 5 ether);
        assertEq(stake.getPastVotes(alice, then + 1), 10 ether);
    }

    function test_a_stake_changes_no_hands() public {
        stakeAs(alice, 5 ether);
        vm.prank(alice);
        vm.expectRevert(StakedOkb.NotTransferable.selector);
        // slither-disable-next-line unchecked-transfer
        stake.transfer(bob, 1);
        vm.prank(alice);
        stake.approve(bob, 1);
        vm.prank(bob);
        vm.expectRevert(StakedOkb.NotTransferable.selector);
        stake.transferFrom(alice, bob, 1);
    }

    /// @dev A loan must be repaid in its transaction, and what was staked in it cannot be: it is cooling.
    function test_borrowed_okb_cannot_vote_and_be_given_back() public {
        stakeAs(alice, 5 ether);
        vm.startPrank(alice);
        stake.unstake(5 ether);
        assertEq(stake.getVotes(alice), 0);
        vm.expectRevert(
            abi.encodeWithSelector(StakedOkb.StillCooling.selector, uint64(vm.getBlockTimestamp()) + COOLDOWN)
        );
        stake.release();
        vm.stopPrank();
        uint256 then = vm.getBlockTimestamp();
        pass(1);
        assertEq(stake.getPastVotes(alice, then), 0, "no trace of it is left at the end of its second");
    }

    // ----------------------------------------------------------------- leaving

    function test_stake_is_released_after_its_cooldown_and_not_a_second_before() public {
        stakeAs(alice, 5 ether);
        vm.startPrank(alice);
        stake.unstake(2 ether);
        uint64 releasable = stake.coolingOf(alice).releasable;
        vm.warp(releasable - 1);
        vm.expectRevert(abi.encodeWithSelector(StakedOkb.StillCooling.selector, releasable));
        stake.release();
        vm.warp(releasable);
        stake.release();
        vm.expectRevert(abi.encodeWithSelector(StakedOkb.NothingCooling.selector, alice));
        stake.release();
        vm.stopPrank();
        assertEq(okb.balanceOf(alice), 2 ether);
        assertEq(stake.balanceOf(alice), 3 ether);
        assertEq(stake.totalCooling(), 0);
    }

    function test_a_second_request_begins_the_cooldown_of_both_anew() public {
        stakeAs(alice, 5 ether);
        vm.startPrank(alice);
        stake.unstake(2 ether);
        pass(10 days);
        stake.unstake(1 ether);
        vm.stopPrank();
        assertEq(stake.coolingOf(alice).amount, 3 ether);
        assertEq(stake.coolingOf(alice).releasable, vm.getBlockTimestamp() + COOLDOWN);
    }

    function test_a_shorter_cooldown_lets_nothing_out_earlier() public {
        stakeAs(alice, 5 ether);
        vm.prank(alice);
        stake.unstake(2 ether);
        uint64 releasable = stake.coolingOf(alice).releasable;
        vm.prank(governance);
        stake.setCooldown(14 days);
        vm.prank(alice);
        stake.unstake(1 ether);
        assertEq(stake.coolingOf(alice).releasable, releasable);
    }

    function test_what_cools_can_be_staked_again_and_votes_again() public {
        stakeAs(alice, 5 ether);
        vm.startPrank(alice);
        stake.unstake(2 ether);
        stake.restake();
        vm.stopPrank();
        assertEq(stake.getVotes(alice), 5 ether);
        assertEq(stake.coolingOf(alice).amount, 0);
    }

    function test_stake_cannot_leave_while_its_venue_is_open() public {
        openVenue(VENUE, alice);
        stakeAs(alice, 1 ether);
        take(VENUE, MarketKind.Outcome);
        vm.startPrank(alice);
        vm.expectRevert(
            abi.encodeWithSelector(StakedOkb.StakeLocked.selector, REQUIRED + 1 ether, REQUIRED, 1 ether + 1)
        );
        stake.unstake(1 ether + 1);
        stake.unstake(1 ether);
        vm.stopPrank();
        free(VENUE, MarketKind.Outcome);
        vm.prank(registry);
        slots.close(VENUE);
        vm.prank(alice);
        stake.unstake(REQUIRED);
        assertEq(stake.balanceOf(alice), 0);
    }

    function test_nothing_is_staked_or_asked_back_by_nothing() public {
        vm.expectRevert(StakedOkb.ZeroAmount.selector);
        stake.stake(0);
        vm.expectRevert(StakedOkb.ZeroAmount.selector);
        stake.unstake(0);
    }

    // ----------------------------------------------------------------- slashing

    function publish(uint24 ceiling) private returns (uint32 rule) {
        vm.prank(governance);
        rule = stake.publishRule(ceiling, TEXT);
    }

    function slash(uint32 rule, uint128 amount, uint64 committedAt, bytes32 evidence) private {
        vm.prank(governance);
        stake.slash(alice, rule, amount, committedAt, evidence, treasury);
    }

    function test_a_slash_takes_what_cools_before_what_is_staked() public {
        uint32 rule = publish(500_000);
        stakeAs(alice, 10 ether);
        vm.prank(alice);
        stake.unstake(2 ether);
        slash(rule, 3 ether, uint64(vm.getBlockTimestamp()), EVIDENCE);
        assertEq(stake.coolingOf(alice).amount, 0);
        assertEq(stake.balanceOf(alice), 7 ether);
        assertEq(stake.getVotes(alice), 7 ether);
        assertEq(okb.balanceOf(treasury), 3 ether);
        assertEq(stake.slashes(), 1);
        StakedOkb.Slash memory record = stake.slashAt(0);
        assertEq(record.account, alice);
        assertEq(record.amount, 3 ether);
        assertEq(record.evidence, EVIDENCE);
    }

    function test_stake_that_cools_is_slashed_on_its_last_day() public {
        uint32 rule = publish(1_000_000);
        stakeAs(alice, 10 ether);
        vm.prank(alice);
        stake.unstake(10 ether);
        pass(COOLDOWN - 1);
        slash(rule, 10 ether, uint64(vm.getBlockTimestamp()), EVIDENCE);
        pass(1);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(StakedOkb.NothingCooling.selector, alice));
        stake.release();
    }

    function test_a_slash_stays_below_the_ceiling_of_its_rule() public {
        uint32 rule = publish(300_000);
        stakeAs(alice, 10 ether);
        vm.expectRevert(abi.encodeWithSelector(StakedOkb.AboveCeiling.selector, 3 ether + 1, 3 ether));
        slash(rule, 3 ether + 1, uint64(vm.getBlockTimestamp()), EVIDENCE);
        slash(rule, 3 ether, uint64(vm.getBlockTimestamp()), EVIDENCE);
    }

    function test_evidence_serves_once() public {
        uint32 rule = publish(300_000);
        stakeAs(alice, 10 ether);
        slash(rule, 1 ether, uint64(vm.getBlockTimestamp()), EVIDENCE);
        vm.expectRevert(abi.encodeWithSelector(StakedOkb.AlreadyJudged.selector, alice, EVIDENCE));
        slash(rule, 1 ether, uint64(vm.getBlockTimestamp()), EVIDENCE);
        vm.expectRevert(StakedOkb.EvidenceMissing.selector);
        slash(rule, 1 ether, uint64(vm.getBlockTimestamp()), 0);
    }

    function test_no_rule_reaches_back_nor_past_its_end() public {
        stakeAs(alice, 10 ether);
        uint64 start = uint64(vm.getBlockTimestamp());
        uint32 rule = publish(300_000);
        vm.expectRevert(abi.encodeWithSelector(StakedOkb.RuleNotInForce.selector, rule, start - 1));
        slash(rule, 1, start - 1, EVIDENCE);
        pass(1 days);
        vm.prank(governance);
        stake.retireRule(rule);
        vm.expectRevert(abi.encodeWithSelector(StakedOkb.RuleNotInForce.selector, rule, start + 1 days));
        slash(rule, 1, start + 1 days, EVIDENCE);
        vm.expectRevert(abi.encodeWithSelector(StakedOkb.DeedInTheFuture.selector, start + 1 days + 1));
        slash(rule, 1, start + 1 days + 1, EVIDENCE);
        slash(rule, 1, start + 1 days - 1, EVIDENCE);
        vm.expectRevert(abi.encodeWithSelector(StakedOkb.NoSuchRule.selector, 9));
        slash(9, 1, start, keccak256("other"));
        vm.prank(governance);
        vm.expectRevert(abi.encodeWithSelector(StakedOkb.RuleNotInForce.selector, rule, uint64(vm.getBlockTimestamp())));
        stake.retireRule(rule);
    }

    function test_only_governance_slashes_and_sets_terms() public {
        bytes memory refusal = abi.encodeWithSelector(Governed.NotGovernance.selector, bob, governance);
        vm.startPrank(bob);
        vm.expectRevert(refusal);
        stake.slash(alice, 0, 1, 0, EVIDENCE, bob);
        vm.expectRevert(refusal);
        stake.publishRule(1, TEXT);
        vm.expectRevert(refusal);
        stake.retireRule(0);
        vm.expectRevert(refusal);
        stake.setCooldown(30 days);
        vm.stopPrank();
    }

    function test_the_cooldown_outlasts_a_vote_on_a_slash() public {
        vm.startPrank(governance);
        vm.expectRevert(abi.encodeWithSelector(StakedOkb.CooldownOutOfRange.selector, 14 days - 1, 14 days, 180 days));
        stake.setCooldown(14 days - 1);
        stake.setCooldown(180 days);
        vm.stopPrank();
        assertEq(stake.cooldown(), 180 days);
    }

    function test_a_ceiling_is_at_most_the_whole() public {
        vm.prank(governance);
        vm.expectRevert(abi.encodeWithSelector(StakedOkb.CeilingTooHigh.selector, 1_000_001));
        stake.publishRule(1_000_001, TEXT);
        assertEq(stake.rules(), 0);
    }
}
