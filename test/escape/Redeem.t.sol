// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEscapeHatch} from "../../contracts/group/IEscapeHatch.sol";
import {EventId} from "../../contracts/group/Types.sol";
import {EscapeTest} from "./EscapeTest.sol";

/// @notice What events pay when they are resolved in a frozen group.
contract RedeemTest is EscapeTest {
    Trader private alice;
    Trader private bob;
    Trader private carol;

    function setUp() public override {
        super.setUp();
        alice = openSettled("alice", 100 * DOLLAR);
        bob = openSettled("bob", 200 * DOLLAR);
        carol = openSettled("carol", 300 * DOLLAR);
    }

    /// @notice Alice holds 1,000 lots of the first outcome, bought of Bob for 4 dollars; 10 if it wins.
    function openTraded(uint8 outcomes) private returns (EventId id) {
        id = openSettledEvent(outcomes);
        settleTrade(alice, bob, market(id, 0), 1000, 400);
    }

    function test_the_winner_is_paid_when_the_event_is_decided_after_the_freeze() public {
        EventId id = openTraded(3);
        freezeAndTally();
        assertEq(hatch.exit(alice.account), 96 * DOLLAR);
        assertEq(hatch.exit(bob.account), 194 * DOLLAR);
        vm.expectRevert(abi.encodeWithSelector(IEscapeHatch.NotResolved.selector, id));
        hatch.redeem(alice.account, id);

        resolveFrozen(id, winner(3, 0));
        vm.expectEmit(address(hatch));
        emit IEscapeHatch.Redeemed(alice.account, id, 10 * DOLLAR);
        assertEq(hatch.redeem(alice.account, id), 10 * DOLLAR);
        assertEq(hatch.redeem(bob.account, id), 0);
        assertEq(walletOf(alice), 106 * DOLLAR);
        assertEq(walletOf(bob), 194 * DOLLAR);
    }

    function test_a_gain_may_be_redeemed_before_the_exit() public {
        EventId id = openTraded(2);
        freezeAndTally();
        resolveFrozen(id, winner(2, 1));
        assertEq(hatch.redeem(bob.account, id), 10 * DOLLAR);
        assertEq(hatch.exit(bob.account), 194 * DOLLAR);
        assertEq(hatch.redeem(alice.account, id), 0);
        assertEq(hatch.exit(alice.account), 96 * DOLLAR);
    }

    function test_a_split_pays_by_parts() public {
        EventId id = openTraded(3);
        freezeAndTally();
        resolveFrozen(id, split(3, 0, 2));
        assertEq(hatch.redeem(alice.account, id), 5 * DOLLAR);
        assertEq(hatch.redeem(bob.account, id), 5 * DOLLAR);
    }

    function test_a_void_event_pays_every_outcome_alike() public {
        EventId id = openTraded(4);
        freezeAndTally();
        uint64[] memory payouts = new uint64[](4);
        for (uint256 i = 0; i < 4; ++i) {
            payouts[i] = TICKS / 4;
        }
        resolveFrozen(id, payouts);
        assertEq(hatch.redeem(alice.account, id), 2.5e6);
        assertEq(hatch.redeem(bob.account, id), 7.5e6);
    }

    function test_a_resolution_that_was_queued_before_the_freeze_is_applied() public {
        EventId id = openTraded(2);
        (, uint64 index) = views.inbox();
        resolveEvent(id, winner(2, 0));
        freezeAndTally();
        group.applyFrozen(index, queued(index));
        assertEq(hatch.redeem(alice.account, id), 10 * DOLLAR);
    }

    function test_an_event_resolved_by_a_batch_but_not_redeemed_is_redeemed_here() public {
        EventId id = openTraded(2);
        resolveEvent(id, winner(2, 0));
        settleInbox();
        freezeAndTally();
        assertEq(hatch.gainOf(alice.account, id), 10 * DOLLAR);
        assertEq(hatch.redeem(alice.account, id), 10 * DOLLAR);
        assertEq(hatch.redeem(bob.account, id), 0);
    }

    function test_nobody_redeems_twice_or_what_is_not_there() public {
        EventId id = openTraded(2);
        freezeAndTally();
        resolveFrozen(id, winner(2, 0));
        hatch.redeem(alice.account, id);
        assertTrue(hatch.hasRedeemed(alice.account, id));
        expectRefusal(IEscapeHatch.AlreadyRedeemed.selector, alice, id);
        hatch.redeem(alice.account, id);
        expectRefusal(IEscapeHatch.HoldsNothing.selector, carol, id);
        hatch.redeem(carol.account, id);
        // Neither a perpetual nor a number that means nothing is an event.
        EventId none = perpetual.eventOf();
        vm.expectRevert(abi.encodeWithSelector(IEscapeHatch.NotResolved.selector, none));
        hatch.redeem(alice.account, none);
        none = EventId.wrap(77);
        vm.expectRevert(abi.encodeWithSelector(IEscapeHatch.NotResolved.selector, none));
        hatch.redeem(alice.account, none);
    }

    function test_an_event_that_never_opened_pays_nobody() public {
        (, uint64 index) = views.inbox();
        EventId id = openEvent(2);
        resolveEvent(id, winner(2, 0));
        freezeAndTally();
        group.applyFrozen(index + 1, queued(index + 1));
        expectRefusal(IEscapeHatch.HoldsNothing.selector, alice, id);
        hatch.redeem(alice.account, id);
    }

    function test_a_wide_event_pays_above_the_worst_of_all_outcomes() public {
        EventId id = openSettledEvent(48);
        settleTrade(alice, bob, market(id, 47), 500, 30);
        settleTrade(alice, carol, market(id, 3), 700, 20);
        settleTrade(bob, carol, market(id, 11), 200, 20);
        freezeAndTally();
        uint256 owned = uint256(usdOf(alice) + usdOf(bob) + usdOf(carol));
        resolveFrozen(id, winner(48, 3));
        uint256 gains =
            hatch.redeem(alice.account, id) + hatch.redeem(bob.account, id) + hatch.redeem(carol.account, id);
        // Alice wins 7 dollars. Bob does not lose 500 lots; Carol loses 700, her worst.
        assertEq(gains, 12 * DOLLAR);
        assertEq(owned + gains, 600 * DOLLAR);
    }

    function test_a_debtor_s_gain_sets_off_its_debt_first() public {
        // Carol wins 80 dollars if the outcome does, and owes 50 + 32 for the perpetual and the stake.
        EventId id = openSettledEvent(2);
        settleTrade(carol, alice, market(id, 0), 8000, 400);
        settleTrade(carol, bob, perpetual, 50, 50_000);
        movePrice(43_000);
        assertEq(usdOf(carol), -int256(82 * DOLLAR));
        freezeAndTally();
        assertRatio(600 * DOLLAR + 1, 682 * DOLLAR + 1);
        hatch.exit(bob.account);
        resolveFrozen(id, winner(2, 0));
        vm.expectEmit(address(hatch));
        emit IEscapeHatch.DebtReduced(carol.account, 80 * DOLLAR, 2 * DOLLAR);
        assertEq(hatch.redeem(carol.account, id), 0);
        // What was set off will never be claimed, so it counts no more.
        assertRatio(600 * DOLLAR + 1, 602 * DOLLAR + 1);
        expectOwes(carol, 2 * DOLLAR);
        hatch.exit(carol.account);

        repayFrom(carol.owner, carol);
        assertRatio(602 * DOLLAR + 1, 602 * DOLLAR + 1);
        hatch.exit(carol.account);
        hatch.collect(bob.account);
        assertEq(walletOf(bob), 550 * DOLLAR);
        assertEq(hatch.exit(alice.account), 52 * DOLLAR);
        assertEq(hatch.redeem(alice.account, id), 0);
        assertEq(hatch.exit(treasury.account), 1);
        assertEq(token.balanceOf(address(group)), 0);
    }

    function test_what_a_debtor_gains_above_its_debt_is_its_own() public {
        EventId id = openSettledEvent(2);
        settleTrade(carol, alice, market(id, 0), 15_000, 400);
        settleTrade(carol, bob, perpetual, 50, 50_000);
        movePrice(43_000);
        assertEq(usdOf(carol), -int256(110 * DOLLAR));
        freezeAndTally();
        resolveFrozen(id, winner(2, 0));
        assertEq(hatch.redeem(carol.account, id), 40 * DOLLAR);
        assertRatio(600 * DOLLAR + 1, 600 * DOLLAR + 1);
        assertEq(hatch.exit(carol.account), 0);
        assertEq(hatch.exit(alice.account), 10 * DOLLAR);
        assertEq(hatch.exit(bob.account), 550 * DOLLAR);
    }

    function test_a_bankrupt_account_s_gain_pays_back_shared_losses_and_the_rest_is_the_insurance_fund_s() public {
        EventId id = openSettledEvent(2);
        settleTrade(carol, alice, market(id, 0), 15_000, 400);
        settleTrade(carol, bob, perpetual, 50, 50_000);
        fail(carol, bob, 50, 43_000);
        (uint256 pool, uint256 badDebt,) = views.pool();
        uint256 fund = uint256(views.health(INSURANCE).usd);
        assertGt(badDebt, 50 * DOLLAR);
        freezeAndTally();
        assertRatio(pool, pool + badDebt);
        resolveFrozen(id, winner(2, 0));
        assertEq(hatch.redeem(carol.account, id), 150 * DOLLAR - badDebt);
        assertRatio(pool, pool);
        assertEq(hatch.exit(carol.account), 0);
        assertEq(walletOf(carol), 0);
        assertEq(hatch.exit(INSURANCE), fund);
        assertEq(token.balanceOf(governor), fund + 150 * DOLLAR - badDebt);
        hatch.exit(alice.account);
        hatch.exit(bob.account);
        hatch.exit(treasury.account);
        assertEq(token.balanceOf(address(group)), 0);
    }

    function test_in_an_insolvent_group_gains_are_paid_by_the_same_share() public {
        EventId id = openTraded(2);
        settleTrade(carol, bob, perpetual, 50, 50_000);
        movePrice(43_000);
        freezeAndTally();
        uint256 first = hatch.exit(alice.account);
        resolveFrozen(id, winner(2, 0));
        hatch.redeem(alice.account, id);
        assertEq(first, shareOf(96 * DOLLAR));
        assertEq(walletOf(alice), shareOf(106 * DOLLAR));
        hatch.exit(bob.account);
        hatch.exit(treasury.account);
        assertLe(hatch.paidOut(), poolTokens());
        assertApproxEqAbs(hatch.paidOut(), poolTokens(), 3);
    }
}
