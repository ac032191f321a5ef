// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {Governed} from "../../contracts/xip/Governed.sol";
import {XipKind} from "../../contracts/xip/IXipActions.sol";
import {XipRegistry} from "../../contracts/xip/XipRegistry.sol";
import {XipTimelock} from "../../contracts/xip/XipTimelock.sol";
import {XipNumber, XipStatus} from "../../contracts/xip/XipTypes.sol";
import {XipTest} from "./XipTest.sol";

/// @notice Attempts at taking the governance: borrowed votes, late votes, votes cast twice, ways round the vote.
contract CaptureTest is XipTest {
    bytes private constant COOLDOWN = abi.encode(uint64(30 days));
    address private mallory = makeAddr("mallory");

    function test_stake_that_comes_after_the_snapshot_has_no_vote() public {
        (XipNumber number, uint256 proposal) = toVote(XipKind.SetCooldown, COOLDOWN);
        stakeAs(mallory, 1_000_000 ether);
        pass(1);
        vote(proposal, mallory, 1);
        endVote(proposal);
        assertStatus(number, XipStatus.Rejected);
        (, uint256 inFavour,) = governor.proposalVotes(proposal);
        assertEq(inFavour, 0);
    }

    /// @dev Who votes with stake must have had it at a snapshot that lies a review ahead, and gets it back after a cooldown.
    function test_stake_is_tied_longer_than_a_vote_that_it_decides_takes() public {
        stakeAs(mallory, 1_000_000 ether);
        (, uint256 proposal) = toVote(XipKind.Spend, abi.encode(okb, mallory, uint256(1)));
        vm.prank(mallory);
        stake.unstake(1_000_000 ether);
        uint64 releasable = stake.coolingOf(mallory).releasable;
        vote(proposal, mallory, 1);
        endVote(proposal);
        governor.queue(proposal);
        assertGt(releasable, governor.proposalEta(proposal), "what it has decided it can still be slashed for");
    }

    function test_delegated_votes_count_once() public {
        (, uint256 proposal) = toVote(XipKind.SetCooldown, COOLDOWN);
        vote(proposal, alice, 1);
        vm.prank(alice);
        stake.delegate(mallory);
        pass(1);
        vote(proposal, mallory, 1);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorAlreadyCastVote.selector, alice));
        governor.castVote(proposal, 1);
        (, uint256 inFavour,) = governor.proposalVotes(proposal);
        assertEq(inFavour, 40_000 ether);
    }

    function test_a_quorum_in_the_last_second_gives_everyone_another_day() public {
        (XipNumber number, uint256 proposal) = toVote(XipKind.SetCooldown, COOLDOWN);
        uint256 deadline = governor.proposalDeadline(proposal);
        vm.warp(deadline);
        vote(proposal, alice, 1);
        assertEq(governor.proposalDeadline(proposal), deadline + 1 days);
        vm.warp(deadline + 1 days);
        vote(proposal, bob, 0);
        vote(proposal, carol, 0);
        pass(1);
        assertStatus(number, XipStatus.Rejected);
    }

    function test_nobody_goes_round_the_governor() public {
        (, uint256 proposal) = toQueue(XipKind.Spend, abi.encode(okb, mallory, uint256(1)));
        vm.warp(governor.proposalEta(proposal));
        (address[] memory targets, uint256[] memory values, bytes[] memory calls, bytes32 hash) =
            governor.proposalDetails(proposal);
        vm.startPrank(mallory);
        vm.expectRevert(unauthorized(timelock.PROPOSER_ROLE()));
        timelock.scheduleBatch(targets, values, calls, 0, hash, 100 days);
        vm.expectRevert(unauthorized(timelock.PROPOSER_ROLE()));
        timelock.schedule(targets[0], 0, calls[0], 0, hash, 100 days);
        vm.expectRevert(unauthorized(timelock.EXECUTOR_ROLE()));
        timelock.executeBatch(targets, values, calls, 0, hash);
        vm.expectRevert(unauthorized(timelock.CANCELLER_ROLE()));
        timelock.cancel(hash);
        vm.expectRevert(abi.encodeWithSelector(TimelockController.TimelockUnauthorizedCaller.selector, mallory));
        timelock.setGovernor(mallory);
        vm.expectRevert(abi.encodeWithSelector(TimelockController.TimelockUnauthorizedCaller.selector, mallory));
        timelock.updateDelay(0);
        vm.expectRevert(abi.encodeWithSelector(TimelockController.TimelockUnauthorizedCaller.selector, mallory));
        timelock.pay(mallory, 0);
        bytes32 admin = timelock.DEFAULT_ADMIN_ROLE();
        vm.expectRevert(unauthorized(admin));
        timelock.grantRole(admin, mallory);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorOnlyExecutor.selector, mallory));
        governor.revoke(XipNumber.wrap(1));
        vm.expectRevert(abi.encodeWithSelector(Governed.NotGovernance.selector, mallory, address(timelock)));
        xips.setProcedure(governor, false);
        vm.expectRevert(abi.encodeWithSelector(XipRegistry.NotProcedure.selector, mallory));
        xips.file(mallory, 0, URI);
        vm.stopPrank();
        assertFalse(timelock.hasRole(admin, address(this)), "who deployed it has no key");
    }

    function unauthorized(bytes32 role) private returns (bytes memory) {
        // `vm.startPrank` lets the test's own reads through.
        return abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, mallory, role);
    }

    function test_the_timelock_is_never_without_a_governor() public {
        (, uint256 proposal) = toQueue(XipKind.SetGovernor, abi.encode(address(0)));
        vm.warp(governor.proposalEta(proposal));
        vm.expectRevert(XipTimelock.GovernorMissing.selector);
        governor.execute(proposal);
    }

    function test_the_timelock_asks_each_category_its_own_delay_and_others_the_least() public {
        assertEq(timelock.getMinDelay(), 1 hours);
        vm.prank(address(governor));
        assertEq(timelock.getMinDelay(), 3 days, "outside of queueing, that of a standard XIP");
    }
}
