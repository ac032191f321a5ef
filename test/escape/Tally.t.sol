// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEscapeHatch} from "../../contracts/group/IEscapeHatch.sol";
import {EventId} from "../../contracts/group/Types.sol";
import {EscapeTest} from "./EscapeTest.sol";

/// @notice What is counted, and the share that comes of it.
contract TallyTest is EscapeTest {
    Trader private alice;
    Trader private bob;
    Trader private carol;

    function setUp() public override {
        super.setUp();
        alice = openSettled("alice", 100 * DOLLAR);
        bob = openSettled("bob", 200 * DOLLAR);
        carol = openSettled("carol", 300 * DOLLAR);
    }

    /// @dev EIP-170; a test would run a larger contract, a chain would not.
    function test_the_hatch_is_small_enough_to_be_deployed_and_knows_its_group() public view {
        assertLe(address(hatch).code.length, 24_576);
        assertLe(address(group).code.length, 24_576);
        assertEq(hatch.group(), address(group));
    }

    function test_nothing_happens_before_the_group_is_frozen() public {
        vm.expectRevert(abi.encodeWithSelector(IEscapeHatch.GroupNotFrozen.selector, group));
        hatch.tally(1);
        expectIncomplete(0, 6);
        hatch.exit(alice.account);
    }

    function test_nothing_is_paid_before_the_count_is_complete() public {
        EventId id = openSettledEvent(2);
        settleTrade(alice, bob, market(id, 0), 100, 400);
        freezeGroup();
        resolveFrozen(id, winner(2, 0));
        hatch.tally(5);
        expectIncomplete(5, 6);
        hatch.exit(alice.account);
        expectIncomplete(5, 6);
        hatch.redeem(alice.account, id);
        expectIncomplete(5, 6);
        hatch.repay(alice.account);
        expectIncomplete(5, 6);
        hatch.collect(alice.account);
        expectIncomplete(5, 6);
        hatch.previewExit(alice.account);
        assertEq(hatch.dueTo(alice.account), 0);
        hatch.tally(1);
        hatch.exit(alice.account);
    }

    function test_the_count_takes_any_number_of_calls_and_ends_with_the_isolated_accounts() public {
        Trader memory isolated = isolatedOf(alice, perpetual);
        settle(batchOf(transfer(alice, isolated.account, uint128(40 * DOLLAR))));
        freezeGroup();
        hatch.tally(0);
        hatch.tally(4);
        vm.expectEmit(address(hatch));
        emit IEscapeHatch.Tallied(6, 7);
        hatch.tally(2);
        assertRatio(0, 0);
        (uint256 counted, uint256 total) = hatch.progress();
        assertEq(counted, 6);
        assertEq(total, 7);

        vm.expectEmit(address(hatch));
        emit IEscapeHatch.Tallied(7, 7);
        vm.expectEmit(address(hatch));
        emit IEscapeHatch.TallyCompleted(600 * DOLLAR + 1, 600 * DOLLAR + 1);
        hatch.tally(100);
        vm.expectRevert(abi.encodeWithSelector(IEscapeHatch.AlreadyTallied.selector, 7));
        hatch.tally(1);
        assertEq(hatch.exit(isolated.account), 40 * DOLLAR);
        assertEq(hatch.exit(alice.account), 60 * DOLLAR);
        assertEq(walletOf(alice), 100 * DOLLAR);
    }

    function test_a_debt_that_nobody_pays_lowers_everyone_s_share() public {
        // Carol is long 50 lots, 2,500 dollars, and the price falls by 14 %: she has lost 350 dollars and had 300.
        settleTrade(carol, bob, perpetual, 50, 50_000);
        movePrice(43_000);
        assertEq(usdOf(carol), -int256(50 * DOLLAR));
        assertEq(usdOf(bob), int256(550 * DOLLAR));
        freezeAndTally();
        assertRatio(600 * DOLLAR + 1, 650 * DOLLAR + 1);
        assertEq(hatch.exit(bob.account), shareOf(550 * DOLLAR));
        assertEq(hatch.exit(alice.account), shareOf(100 * DOLLAR));
        expectOwes(carol, 50 * DOLLAR);
        hatch.exit(carol.account);
        assertApproxEqAbs(hatch.paidOut(), poolTokens(), 2);
    }

    function test_losses_that_all_share_lower_the_share_as_they_did_before() public {
        settleTrade(carol, bob, perpetual, 50, 50_000);
        fail(carol, bob, 50, 43_000);
        (uint256 pool, uint256 badDebt,) = views.pool();
        assertEq(badDebt, 50 * DOLLAR);
        freezeAndTally();
        assertRatio(pool, pool + badDebt);
        assertEq(hatch.exit(carol.account), 0);
        hatch.exit(alice.account);
        hatch.exit(bob.account);
        hatch.exit(treasury.account);
        hatch.exit(INSURANCE);
        assertLe(hatch.paidOut(), pool);
        assertApproxEqAbs(hatch.paidOut(), pool, 4);
    }

    function test_an_open_event_is_counted_once_whatever_it_will_pay() public {
        EventId id = openSettledEvent(3);
        settleTrade(alice, bob, market(id, 0), 1000, 400);
        settleTrade(carol, alice, market(id, 1), 2000, 300);
        freezeAndTally();
        assertRatio(600 * DOLLAR + 1, 600 * DOLLAR + 1);
    }

    /// @dev Claims made of worst payoffs alone would be too many here: Bob's loss still stands in his worst payoff, and
    /// Alice's gain is in her cash already.
    function test_a_winner_redeemed_in_a_batch_leaves_the_share_whole() public {
        EventId id = openSettledEvent(2);
        settleTrade(alice, bob, market(id, 0), 1000, 400);
        resolveEvent(id, winner(2, 0));
        settleInbox();
        redeemInBatch(alice, id);
        freezeAndTally();
        assertRatio(600 * DOLLAR + 1, 600 * DOLLAR + 1);
        assertEq(hatch.redeem(bob.account, id), 0);
        expectRefusal(IEscapeHatch.HoldsNothing.selector, alice, id);
        hatch.redeem(alice.account, id);
        assertEq(hatch.exit(alice.account), 106 * DOLLAR);
        assertEq(hatch.exit(bob.account), 194 * DOLLAR);
    }

    /// @dev Claims made of worst payoffs alone would be too few here: nothing of the event stands in them any more, and
    /// Alice's gain is still to come. The last one out would find the pool empty.
    function test_a_loser_redeemed_in_a_batch_takes_nothing_from_the_last_one_out() public {
        EventId id = openSettledEvent(2);
        settleTrade(alice, bob, market(id, 0), 8000, 400);
        settleTrade(carol, bob, perpetual, 50, 50_000);
        movePrice(43_000);
        resolveEvent(id, winner(2, 0));
        settleInbox();
        redeemInBatch(bob, id);
        assertEq(worstPayoffOf(alice) + worstPayoffOf(bob) + worstPayoffOf(carol), 0);
        freezeAndTally();
        assertRatio(600 * DOLLAR + 1, 650 * DOLLAR + 1);
        uint256 gain = hatch.gainOf(alice.account, id);
        assertEq(gain, 80 * DOLLAR);
        hatch.redeem(alice.account, id);
        hatch.exit(alice.account);
        hatch.exit(treasury.account);
        assertEq(hatch.exit(bob.account), shareOf(502 * DOLLAR));
        assertEq(walletOf(alice), shareOf(148 * DOLLAR));
        assertLe(hatch.paidOut(), poolTokens());
    }
}
