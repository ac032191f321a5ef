// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGateway} from "../../contracts/group/IGateway.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {SimulatedToken} from "../../contracts/group/SimulatedToken.sol";
import {AccountId, Batch, InboxItem, InboxKind} from "../../contracts/group/Types.sol";
import {GroupTest} from "./GroupTest.sol";
import {MoodyToken} from "./MoodyToken.sol";

/// @notice The inbox is the only door: items take effect in their order, whole, unaltered, and in time.
contract InboxTest is GroupTest {
    MoodyToken internal moody;
    Trader internal alice;
    Trader internal bob;

    function setUp() public override {
        super.setUp();
        alice = openAccount("alice", 1000);
        bob = openAccount("bob", 2000);
    }

    function newToken() internal override returns (SimulatedToken) {
        moody = new MoodyToken();
        return moody;
    }

    // ----------------------------------------------------------------- order and content

    function test_an_item_is_logged_and_its_hash_kept_until_it_is_consumed() public {
        bytes memory payload = abi.encode(alice.account, alice.owner, address(token), uint128(77));
        token.mint(bob.owner, 77);
        vm.startPrank(bob.owner);
        token.approve(address(gateway), 77);
        vm.expectEmit();
        emit IRiskGroup.InboxQueued(4, InboxKind.Deposit, nowMs(), payload);
        gateway.deposit(alice.account, bob.owner, address(token), 77);
        vm.stopPrank();
        noteQueued(InboxKind.Deposit, payload);

        assertEq(views.inboxHash(4), keccak256(abi.encode(InboxKind.Deposit, nowMs(), payload)));
        settleInbox();
        assertEq(views.inboxHash(4), 0);
        assertEq(cashOf(alice), 1077);
    }

    function test_items_may_be_consumed_in_several_batches() public {
        for (uint64 i = 0; i < 4; ++i) {
            Batch memory batch = nextBatch();
            batch.inbox = new InboxItem[](1);
            batch.inbox[0] = queued(i);
            settle(batch);
            (uint64 head, uint64 tail) = views.inbox();
            assertEq(head, i + 1);
            assertEq(tail, 4);
        }
        assertEq(cashOf(bob), 2000);
    }

    function test_a_skipped_item_is_refused() public {
        Batch memory batch = nextBatch();
        batch.inbox = new InboxItem[](1);
        batch.inbox[0] = queued(1);
        assertRefused(batch, mismatch(0, queued(0), queued(1)));
    }

    function test_reordered_items_are_refused() public {
        Batch memory batch = inboxBatch();
        (batch.inbox[2], batch.inbox[3]) = (batch.inbox[3], batch.inbox[2]);
        assertRefused(batch, mismatch(2, queued(2), queued(3)));
    }

    function test_an_item_altered_in_any_part_is_refused() public {
        for (uint256 part = 0; part < 4; ++part) {
            Batch memory batch = inboxBatch();
            InboxItem memory altered = batch.inbox[2];
            if (part == 0) altered.kind = InboxKind.ForcedWithdrawal;
            if (part == 1) altered.time += 1;
            if (part == 2) altered.payload = abi.encode(bob.account, alice.owner, address(token), uint128(1000));
            if (part == 3) altered.payload = bytes.concat(altered.payload, hex"00");
            assertRefused(batch, mismatch(2, queued(2), altered));
        }
    }

    function test_an_invented_item_is_refused() public {
        settleInbox();
        Batch memory batch = nextBatch();
        batch.inbox = new InboxItem[](1);
        batch.inbox[0] = InboxItem(
            InboxKind.Deposit, nowMs(), abi.encode(alice.account, alice.owner, address(token), uint128(1e12))
        );
        assertRefused(
            batch, abi.encodeWithSelector(IRiskGroup.InboxMismatch.selector, 4, bytes32(0), hashItem(batch.inbox[0]))
        );
    }

    function test_a_consumed_item_is_not_consumed_again() public {
        settleInbox();
        Batch memory batch = nextBatch();
        batch.inbox = new InboxItem[](1);
        batch.inbox[0] = queued(3);
        assertRefused(
            batch, abi.encodeWithSelector(IRiskGroup.InboxMismatch.selector, 4, bytes32(0), hashItem(queued(3)))
        );
    }

    // ----------------------------------------------------------------- deadline

    function test_a_batch_that_ignores_an_overdue_item_is_refused() public {
        uint64 queuedAt = nowMs();
        vm.warp(vm.getBlockTimestamp() + DEADLINE / 1000);
        settle(nextBatch());
        vm.warp(vm.getBlockTimestamp() + 1);
        assertRefused(nextBatch(), abi.encodeWithSelector(IRiskGroup.InboxOverdue.selector, 0, queuedAt, DEADLINE));
    }

    function test_a_batch_that_consumes_the_overdue_items_settles() public {
        vm.warp(vm.getBlockTimestamp() + DEADLINE / 1000 - 1);
        deposit(alice.owner, alice.account, 5);
        vm.warp(vm.getBlockTimestamp() + 2);
        Batch memory batch = nextBatch();
        batch.inbox = new InboxItem[](4);
        for (uint64 i = 0; i < 4; ++i) {
            batch.inbox[i] = queued(i);
        }
        settle(batch);
    }

    // ----------------------------------------------------------------- deposits

    function test_a_deposit_counts_once_a_batch_has_consumed_it() public {
        assertEq(cashOf(alice), 0);
        settleInbox();
        assertEq(cashOf(alice), 1000);
    }

    function test_accounts_are_numbered_after_the_fund_and_the_protocols_and_an_owner_may_open_many() public {
        assertEq(AccountId.unwrap(treasury.account), 3);
        assertEq(AccountId.unwrap(deposit(alice.owner, NEW_ACCOUNT, 10)), 6);
        assertEq(AccountId.unwrap(deposit(alice.owner, NEW_ACCOUNT, 10)), 7);
        assertEq(gateway.accounts(), 7);
        assertEq(gateway.ownerOf(AccountId.wrap(7)), alice.owner);
        settleInbox();
        assertEq(views.account(AccountId.wrap(7)).owner, alice.owner);
    }

    function test_anyone_may_add_to_an_account_that_stays_its_owners() public {
        deposit(bob.owner, alice.account, 50);
        settleInbox();
        assertEq(cashOf(alice), 1050);
        assertEq(views.account(alice.account).owner, alice.owner);
    }

    function test_a_deposit_to_an_account_that_does_not_exist_is_refused() public {
        token.mint(alice.owner, 10);
        vm.startPrank(alice.owner);
        token.approve(address(gateway), 10);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NoSuchAccount.selector, 99));
        gateway.deposit(AccountId.wrap(99), alice.owner, address(token), 10);
    }

    function test_a_deposit_of_nothing_is_refused() public {
        vm.prank(alice.owner);
        vm.expectRevert(IGateway.ZeroAmount.selector);
        gateway.deposit(alice.account, alice.owner, address(token), 0);
    }

    /// @dev Else a token with an endless supply could bring an account's cash to overflow, and the inbox to a halt.
    function test_a_deposit_beyond_96_bits_is_refused() public {
        uint256 limit = type(uint96).max;
        deposit(alice.owner, alice.account, limit);
        token.mint(alice.owner, limit + 1);
        vm.startPrank(alice.owner);
        token.approve(address(gateway), limit + 1);
        vm.expectRevert(abi.encodeWithSelector(IGateway.AmountTooLarge.selector, limit + 1, limit));
        gateway.deposit(alice.account, alice.owner, address(token), limit + 1);
    }

    function test_a_deposit_that_the_token_refuses_is_refused() public {
        MoodyToken.Mood[2] memory refusals = [MoodyToken.Mood.ReturnsFalse, MoodyToken.Mood.Reverts];
        for (uint256 i = 0; i < refusals.length; ++i) {
            moody.setMood(refusals[i]);
            vm.prank(alice.owner);
            vm.expectRevert(abi.encodeWithSelector(IGateway.TransferFailed.selector, address(token)));
            gateway.deposit(alice.account, alice.owner, address(token), 10);
        }
    }

    function test_a_token_that_takes_a_fee_is_credited_by_what_arrived() public {
        moody.setMood(MoodyToken.Mood.TakesAFee);
        bytes memory payload = abi.encode(alice.account, alice.owner, address(token), uint128(90));
        token.mint(alice.owner, 100);
        vm.startPrank(alice.owner);
        token.approve(address(gateway), 100);
        gateway.deposit(alice.account, alice.owner, address(token), 100);
        vm.stopPrank();
        noteQueued(InboxKind.Deposit, payload);
        settleInbox();
        assertEq(cashOf(alice), 1090);
    }

    // ----------------------------------------------------------------- words

    function hashItem(InboxItem memory item) private pure returns (bytes32) {
        return keccak256(abi.encode(item.kind, item.time, item.payload));
    }

    function mismatch(uint64 index, InboxItem memory expected, InboxItem memory got)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(IRiskGroup.InboxMismatch.selector, index, hashItem(expected), hashItem(got));
    }
}
