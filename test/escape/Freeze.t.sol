// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {Batch, EventId, InboxItem, InboxKind} from "../../contracts/group/Types.sol";
import {EscapeTest} from "./EscapeTest.sol";

/// @notice When a group can be frozen, and that nothing but leaving is possible afterwards.
contract FreezeTest is EscapeTest {
    Trader private alice;
    Trader private bob;

    function setUp() public override {
        super.setUp();
        alice = openSettled("alice", 100 * DOLLAR);
        bob = openSettled("bob", 100 * DOLLAR);
    }

    function test_freeze_is_refused_while_nothing_waits() public {
        pass(30 days);
        (uint64 head, uint64 tail) = views.inbox();
        assertEq(head, tail);
        expectNotOverdue();
        group.freeze();
    }

    function test_freeze_is_refused_until_an_item_has_waited_longer_than_the_deadline() public {
        requestWithdrawal(alice, uint128(10 * DOLLAR));
        expectNotOverdue();
        group.freeze();
        pass(1 days);
        expectNotOverdue();
        group.freeze();
        pass(1);
        vm.expectEmit(address(group));
        emit IRiskGroup.Frozen(nowMs());
        group.freeze();
        (,, uint64 frozenAt) = views.pool();
        assertEq(frozenAt, nowMs());
    }

    function test_a_sequencer_that_keeps_settling_cannot_skip_the_inbox() public {
        requestWithdrawal(alice, uint128(10 * DOLLAR));
        (uint64 head,) = views.inbox();
        uint64 queuedAt = nowMs();
        for (uint256 hour = 0; hour < 24; ++hour) {
            pass(1 hours);
            settle(nextBatch());
        }
        pass(1);
        assertRefused(nextBatch(), abi.encodeWithSelector(IRiskGroup.InboxOverdue.selector, head, queuedAt, DEADLINE));
        // A frame that was sealed in time settles late; the queue is as old as before.
        Batch memory late = nextBatch();
        late.time -= 1000;
        settle(late);

        vm.prank(makeAddr("anyone"));
        group.freeze();
        tallyAll();
        assertEq(hatch.exit(alice.account), 100 * DOLLAR);
    }

    function test_a_close_that_is_never_carried_out_freezes_the_group() public {
        settleTrade(alice, bob, perpetual, 20, 50_000);
        requestClose(alice, perpetual);
        uint64 since = nowMs();
        settleInbox();
        pass(1 days);
        settle(nextBatch());
        expectNotOverdue();
        group.freeze();
        vm.expectRevert(
            abi.encodeWithSelector(
                IRiskGroup.CloseNotOverdue.selector, alice.account, perpetual, uint64(20), since, DEADLINE
            )
        );
        group.freezeForClose(alice.account, perpetual);

        pass(1);
        group.freezeForClose(alice.account, perpetual);
        tallyAll();
        assertEq(hatch.exit(alice.account), 100 * DOLLAR);
        assertEq(hatch.exit(bob.account), 100 * DOLLAR);
    }

    function test_a_frozen_group_settles_nothing_and_takes_nothing() public {
        freezeGroup();
        bytes memory frozen = abi.encodeWithSelector(IRiskGroup.GroupFrozen.selector, nowMs());
        assertRefused(inboxBatch(), frozen);

        token.mint(alice.owner, DOLLAR);
        vm.startPrank(alice.owner);
        token.approve(address(gateway), DOLLAR);
        vm.expectRevert(frozen);
        gateway.deposit(alice.account, alice.owner, address(token), DOLLAR);
        vm.expectRevert(frozen);
        gateway.deposit(NEW_ACCOUNT, alice.owner, address(token), DOLLAR);
        vm.stopPrank();
        assertEq(gateway.accounts(), 5);

        uint256 fee = payFee(alice.owner);
        vm.expectRevert(frozen);
        gateway.requestWithdrawal{value: fee}(alice.account, address(token), 1);
        vm.prank(deployer);
        vm.expectRevert(frozen);
        gateway.openEvent(eventConfig(2));
        vm.expectRevert(frozen);
        group.freeze();
        vm.expectRevert(frozen);
        group.freezeForClose(alice.account, perpetual);
    }

    function test_only_the_gateway_brings_a_resolution_to_a_frozen_group() public {
        freezeGroup();
        vm.expectRevert(abi.encodeWithSelector(IRiskGroup.NotGateway.selector, address(this), gateway));
        group.enqueue(InboxKind.EventResolved, "");
    }

    function test_only_the_hatch_releases_tokens() public {
        vm.prank(address(hatch));
        vm.expectRevert(IRiskGroup.NotFrozen.selector);
        group.release(address(token), alice.owner, 1);
        freezeGroup();
        vm.expectRevert(abi.encodeWithSelector(IRiskGroup.NotEscapeHatch.selector, address(this), hatch));
        group.release(address(token), alice.owner, 1);
    }

    function test_a_deposit_that_no_batch_consumed_goes_back_to_its_owner() public {
        (, uint64 index) = views.inbox();
        deposit(alice.owner, alice.account, 7 * DOLLAR);
        Trader memory carol = openAccount("carol", 5 * DOLLAR);
        InboxItem memory first = queued(index);
        vm.expectRevert(IRiskGroup.NotFrozen.selector);
        group.applyFrozen(index, first);
        freezeAndTally();
        assertRatio(200 * DOLLAR + 1, 200 * DOLLAR + 1);

        group.applyFrozen(index, first);
        group.applyFrozen(index + 1, queued(index + 1));
        vm.expectPartialRevert(IRiskGroup.InboxMismatch.selector);
        group.applyFrozen(index, first);
        assertEq(views.claimable(alice.owner, address(token)), 7 * DOLLAR);
        assertEq(hatch.exit(alice.account), 100 * DOLLAR);
        assertEq(hatch.exit(bob.account), 100 * DOLLAR);
        assertEq(hatch.exit(carol.account), 0);
        assertEq(hatch.exit(treasury.account), 1);
        vm.prank(carol.owner);
        group.claim(address(token), carol.owner);
        vm.prank(alice.owner);
        group.claim(address(token), alice.owner);
        assertEq(walletOf(carol), 5 * DOLLAR);
        assertEq(walletOf(alice), 107 * DOLLAR);
        assertEq(token.balanceOf(address(group)), 0);
    }

    function test_only_deposits_are_refunded_and_only_resolutions_applied() public {
        (, uint64 index) = views.inbox();
        requestCancelAll(alice, 7);
        freezeGroup();
        InboxItem memory item = queued(index);
        vm.expectRevert(abi.encodeWithSelector(IRiskGroup.NotWhileFrozen.selector, InboxKind.CancelAll));
        group.applyFrozen(index, item);
    }

    function expectNotOverdue() private {
        (uint64 head, uint64 tail) = views.inbox();
        vm.expectRevert(abi.encodeWithSelector(IRiskGroup.NotOverdue.selector, head, tail, DEADLINE));
    }
}
