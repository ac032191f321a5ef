// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IGateway} from "../../contracts/group/IGateway.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {SimulatedToken} from "../../contracts/group/SimulatedToken.sol";
import {
    AccountId,
    Batch,
    Fill,
    MarketId,
    Order,
    Side,
    Signature,
    SignedWithdraw
} from "../../contracts/group/Types.sol";
import {GroupTest} from "./GroupTest.sol";
import {MoodyToken} from "./MoodyToken.sol";

/// @notice Money leaves to the owner alone, once per signature, and no token can stop a batch.
contract WithdrawalsTest is GroupTest {
    MoodyToken internal moody;
    Trader internal alice;
    Trader internal bob;

    function setUp() public override {
        super.setUp();
        alice = openAccount("alice", 1000);
        bob = openAccount("bob", 1000);
        settleInbox();
    }

    function newToken() internal override returns (SimulatedToken) {
        moody = new MoodyToken();
        return moody;
    }

    // ----------------------------------------------------------------- signed

    function test_a_signed_withdrawal_pays_the_owner() public {
        SignedWithdraw memory request = withdrawal(alice, 400);
        Batch memory batch = batchOf(request);
        Signature memory signature = signBatch(batch);
        vm.expectEmit();
        emit IRiskGroup.Withdrawn(alice.account, alice.owner, address(token), 400, address(0), true);
        group.settle(batch, signature);
        assertEq(token.balanceOf(alice.owner), 400);
        assertEq(cashOf(alice), 600);
        (bool spent,) = views.nonceState(alice.account, request.withdraw.nonce);
        assertTrue(spent);
    }

    function test_a_withdrawal_signed_by_another_is_refused() public {
        SignedWithdraw memory request = withdrawal(alice, 400);
        request.signature = sign(bob.key, hashWithdraw(request.withdraw));
        assertRefused(batchOf(request), signedByAnother(request, bob.owner));
    }

    function test_altering_any_field_of_a_withdrawal_breaks_its_signature() public {
        for (uint256 field = 0; field < 5; ++field) {
            SignedWithdraw memory request = withdrawal(alice, 400);
            if (field == 0) request.withdraw.account = bob.account;
            if (field == 1) request.withdraw.token = address(1);
            if (field == 2) request.withdraw.amount += 1;
            if (field == 3) request.withdraw.nonce += 1_000_000;
            if (field == 4) request.withdraw.expiry = type(uint64).max;
            address recovered = recover(hashWithdraw(request.withdraw), request.signature);
            assertRefused(batchOf(request), signedByAnother(request, recovered));
        }
    }

    function test_a_withdrawal_of_an_account_that_does_not_exist_is_refused() public {
        SignedWithdraw memory request = withdrawal(alice, 400);
        (request.withdraw.account, request.signature) = (AccountId.wrap(99), Signature(0, 0));
        assertRefused(batchOf(request), abi.encodeWithSelector(IRiskGroup.NoSuchAccount.selector, 99));
    }

    function test_a_withdrawal_happens_once() public {
        SignedWithdraw memory request = withdrawal(alice, 400);
        settle(batchOf(request));
        assertRefused(
            batchOf(request),
            abi.encodeWithSelector(IRiskGroup.NonceSpent.selector, alice.account, request.withdraw.nonce)
        );
    }

    function test_orders_and_withdrawals_share_their_nonces() public {
        MarketId where = market(openEvent(2), 0);
        deposit(bob.owner, bob.account, 100_000);
        settleInbox();
        Order memory buy = order(alice, where, Side.Buy, 2, 1);
        Fill memory sold = fill(bob, order(bob, where, Side.Sell, 1, 1));
        settle(batchOf(fills(where, fill(alice, buy, 1, 1), sold)));

        SignedWithdraw memory request = withdrawal(alice, 10);
        request.withdraw.nonce = buy.nonce;
        request.signature = sign(alice.key, hashWithdraw(request.withdraw));
        assertRefused(
            batchOf(request), abi.encodeWithSelector(IRiskGroup.NonceOfAnotherOrder.selector, alice.account, buy.nonce)
        );

        request = withdrawal(alice, 10);
        settle(batchOf(request));
        buy.nonce = request.withdraw.nonce;
        assertRefused(
            batchOf(fills(where, fill(alice, buy, 1, 1), fill(bob, order(bob, where, Side.Sell, 1, 1)))),
            abi.encodeWithSelector(IRiskGroup.OrderSpent.selector, alice.account, buy.nonce)
        );
    }

    function test_a_withdrawal_counts_until_its_last_millisecond_and_not_after() public {
        SignedWithdraw memory request = withdrawal(alice, 400);
        uint64 expiry = nowMs();
        request.withdraw.expiry = expiry;
        request.signature = sign(alice.key, hashWithdraw(request.withdraw));
        Batch memory late = batchOf(request);
        late.time = expiry + 1;
        assertRefused(
            late,
            abi.encodeWithSelector(
                IRiskGroup.MessageExpired.selector, alice.account, request.withdraw.nonce, expiry, expiry + 1
            )
        );
        settle(batchOf(request));
    }

    function test_only_tokens_of_the_group_are_paid_out() public {
        SignedWithdraw memory request = withdrawal(alice, 400);
        request.withdraw.token = address(1);
        request.signature = sign(alice.key, hashWithdraw(request.withdraw));
        assertRefused(
            batchOf(request), abi.encodeWithSelector(IRiskGroup.UnknownToken.selector, address(1), address(token))
        );
    }

    function test_a_withdrawal_of_nothing_is_refused() public {
        assertRefused(batchOf(withdrawal(alice, 0)), abi.encodeWithSelector(IRiskGroup.ZeroAmount.selector));
    }

    function test_nobody_withdraws_what_is_not_theirs() public {
        assertRefused(batchOf(withdrawal(alice, 1001)), shortfall(alice, -1));
        assertRefused(
            batchOf(withdrawal(alice, type(uint96).max)),
            abi.encodeWithSelector(IRiskGroup.PoolExhausted.selector, alice.account, type(uint96).max, 2001)
        );
    }

    // ----------------------------------------------------------------- forced

    function test_a_forced_withdrawal_pays_without_the_sequencers_consent() public {
        requestWithdrawal(alice, 400);
        settleInbox();
        assertEq(token.balanceOf(alice.owner), 400);
        assertEq(cashOf(alice), 600);
    }

    function test_a_forced_withdrawal_pays_what_can_be_spared() public {
        MarketId where = market(openEvent(2), 0);
        settleInbox();
        // Bob is short one lot: he gained 400 · 10 and may have to pay 1000 · 10.
        deposit(bob.owner, bob.account, 9000);
        deposit(alice.owner, alice.account, 9000);
        settleInbox();
        settle(batchOf(trade(alice, bob, where, 1, 400)));
        requestWithdrawal(bob, type(uint128).max);
        settleInbox();
        assertEq(token.balanceOf(bob.owner), 10_000 + 4000 - 10_000);
        assertEq(cashOf(bob), 10_000);
        assertEq(cashOf(bob) + worstPayoffOf(bob), 0);
    }

    function test_a_forced_withdrawal_of_an_empty_account_pays_nothing_and_is_consumed() public {
        requestWithdrawal(alice, 1000);
        settleInbox();
        requestWithdrawal(alice, 1000);
        vm.recordLogs();
        settleInbox();
        assertEq(vm.getRecordedLogs().length, 1, "BatchSettled alone: nothing was withdrawn");
        (uint64 head, uint64 tail) = views.inbox();
        assertEq(head, tail);
        assertEq(token.balanceOf(alice.owner), 1000);
    }

    /// @dev Forced withdrawals wait for the frame's prices, and so run after every deposit that the batch consumes, each
    /// in its turn.
    function test_forced_withdrawals_see_every_deposit_of_their_batch_and_are_paid_in_their_order() public {
        requestWithdrawal(alice, 1200);
        deposit(alice.owner, alice.account, 500);
        requestWithdrawal(alice, 5000);
        Batch memory batch = inboxBatch();
        Signature memory signature = signBatch(batch);
        vm.expectEmit();
        emit IRiskGroup.Withdrawn(alice.account, alice.owner, address(token), 1200, address(0), true);
        vm.expectEmit();
        emit IRiskGroup.Withdrawn(alice.account, alice.owner, address(token), 300, address(0), true);
        group.settle(batch, signature);
        assertEq(cashOf(alice), 0);
    }

    function test_only_the_owner_forces_a_withdrawal() public {
        vm.prank(bob.owner);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NotOwner.selector, alice.account, bob.owner, alice.owner));
        gateway.requestWithdrawal(alice.account, address(token), 1);
    }

    function test_a_forced_withdrawal_asks_for_some_of_a_token_of_the_group_from_an_account_that_exists() public {
        vm.expectRevert(abi.encodeWithSelector(IGateway.NotOwner.selector, 99, address(this), address(0)));
        gateway.requestWithdrawal(AccountId.wrap(99), address(token), 1);
        uint256 fee = payFee(alice.owner);
        vm.expectRevert(IGateway.ZeroAmount.selector);
        gateway.requestWithdrawal{value: fee}(alice.account, address(token), 0);
        fee = payFee(alice.owner);
        vm.expectRevert(abi.encodeWithSelector(IGateway.UnknownToken.selector, address(1)));
        gateway.requestWithdrawal{value: fee}(alice.account, address(1), 1);
    }

    // ----------------------------------------------------------------- tokens that refuse

    function test_whatever_the_token_does_the_batch_settles_and_the_owner_claims_later() public {
        MoodyToken.Mood[6] memory refusals = [
            MoodyToken.Mood.ReturnsFalse,
            MoodyToken.Mood.ReturnsTwo,
            MoodyToken.Mood.ReturnsOneByte,
            MoodyToken.Mood.Reverts,
            MoodyToken.Mood.RevertsAtLength,
            MoodyToken.Mood.BurnsAllGas
        ];
        for (uint256 i = 0; i < refusals.length; ++i) {
            moody.setMood(refusals[i]);
            Batch memory batch = batchOf(withdrawal(alice, 100));
            Signature memory signature = signBatch(batch);
            vm.expectEmit();
            emit IRiskGroup.Withdrawn(alice.account, alice.owner, address(token), 100, address(0), false);
            uint256 gasBefore = gasleft();
            group.settle(batch, signature);
            assertLt(gasBefore - gasleft(), 500_000);
            assertEq(views.claimable(alice.owner, address(token)), 100 * (i + 1));
            assertEq(token.balanceOf(alice.owner), 0);
        }

        address elsewhere = makeAddr("elsewhere");
        vm.prank(alice.owner);
        vm.expectRevert(abi.encodeWithSelector(IRiskGroup.TransferFailed.selector, address(token)));
        group.claim(address(token), elsewhere);

        moody.setMood(MoodyToken.Mood.Good);
        vm.prank(alice.owner);
        vm.expectEmit();
        emit IRiskGroup.Claimed(alice.owner, address(token), elsewhere, 600);
        assertEq(group.claim(address(token), elsewhere), 600);
        assertEq(token.balanceOf(elsewhere), 600);

        vm.prank(alice.owner);
        vm.expectRevert(abi.encodeWithSelector(IRiskGroup.NothingToClaim.selector, alice.owner, address(token)));
        group.claim(address(token), elsewhere);
    }

    function test_a_refused_forced_withdrawal_is_claimed_too() public {
        moody.setMood(MoodyToken.Mood.Reverts);
        requestWithdrawal(alice, 250);
        settleInbox();
        assertEq(views.claimable(alice.owner, address(token)), 250);
        assertEq(cashOf(alice), 750);
    }

    function test_a_token_that_answers_nothing_has_paid() public {
        moody.setMood(MoodyToken.Mood.ReturnsNothing);
        settle(batchOf(withdrawal(alice, 100)));
        assertEq(token.balanceOf(alice.owner), 100);
        assertEq(views.claimable(alice.owner, address(token)), 0);
    }

    /// @dev The first answer's memory must not complete the second's.
    function test_a_short_answer_after_a_good_one_is_no_payment() public {
        moody.setMood(MoodyToken.Mood.ReturnsTrueAndThenAZeroByte);
        Batch memory batch = nextBatch();
        batch.withdrawals = new SignedWithdraw[](2);
        batch.withdrawals[0] = withdrawal(alice, 100);
        batch.withdrawals[1] = withdrawal(bob, 200);
        settle(batch);
        assertEq(token.balanceOf(alice.owner), 100);
        assertEq(views.claimable(bob.owner, address(token)), 200);
    }

    function test_a_token_that_is_gone_has_not_paid() public {
        vm.etch(address(token), "");
        settle(batchOf(withdrawal(alice, 100)));
        assertEq(views.claimable(alice.owner, address(token)), 100);
    }

    function test_one_refusal_does_not_hold_up_the_others() public {
        Batch memory batch = nextBatch();
        batch.withdrawals = new SignedWithdraw[](2);
        batch.withdrawals[0] = withdrawal(alice, 100);
        batch.withdrawals[1] = withdrawal(bob, 200);
        // The token calls the group back at each transfer; the group refuses the call and pays on.
        moody.setCallback(address(group), abi.encodeCall(IRiskGroup.claim, (address(token), bob.owner)));
        settle(batch);
        assertEq(token.balanceOf(bob.owner), 200);
    }

    /// @dev A relayer who sends too little gas could otherwise make every transfer fail.
    function test_a_batch_sent_with_too_little_gas_for_its_transfers_is_refused() public {
        Batch memory batch = batchOf(withdrawal(alice, 100));
        Signature memory signature = signBatch(batch);
        bytes memory call = abi.encodeCall(IRiskGroup.settle, (batch, signature));
        uint256 refused;
        for (uint256 gasLimit = 60_000; gasLimit < 400_000; gasLimit += 10_000) {
            uint256 snapshot = vm.snapshotState();
            (bool settled, bytes memory failure) = address(group).call{gas: gasLimit}(call);
            if (settled) {
                assertEq(views.claimable(alice.owner, address(token)), 0);
                assertEq(token.balanceOf(alice.owner), 100);
            } else if (failure.length != 0) {
                assertEq(bytes4(failure), IRiskGroup.GasTooLow.selector);
                ++refused;
            }
            vm.revertToState(snapshot);
        }
        assertGt(refused, 0);
    }

    // ----------------------------------------------------------------- reentrancy

    function test_a_token_cannot_reenter_while_a_batch_pays() public {
        Batch memory next = nextBatch();
        (next.id, next.sequence) = (next.id + 1, next.sequence + 1);
        bytes[2] memory callbacks = [
            abi.encodeCall(IRiskGroup.settle, (next, signBatch(next))),
            abi.encodeCall(IRiskGroup.claim, (address(token), alice.owner))
        ];
        for (uint256 i = 0; i < callbacks.length; ++i) {
            moody.setCallback(address(group), callbacks[i]);
            settle(batchOf(withdrawal(alice, 100)));
            assertReentrancyRefused();
        }
    }

    function test_a_token_cannot_reenter_while_it_is_claimed() public {
        moody.setMood(MoodyToken.Mood.Reverts);
        settle(batchOf(withdrawal(alice, 100)));
        moody.setCallback(address(group), abi.encodeCall(IRiskGroup.claim, (address(token), alice.owner)));
        vm.prank(alice.owner);
        group.claim(address(token), alice.owner);
        assertReentrancyRefused();
    }

    function test_a_token_cannot_reenter_while_it_is_deposited() public {
        moody.setCallback(
            address(gateway), abi.encodeCall(IGateway.deposit, (alice.account, alice.owner, address(token), 1))
        );
        deposit(alice.owner, alice.account, 10);
        assertReentrancyRefused();
    }

    // ----------------------------------------------------------------- words

    function assertReentrancyRefused() private view {
        assertFalse(moody.callbackSucceeded());
        assertEq(bytes4(moody.callbackFailure()), ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
    }

    function signedByAnother(SignedWithdraw memory request, address recovered) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IRiskGroup.MessageSignedByAnother.selector,
            request.withdraw.account,
            request.withdraw.nonce,
            views.account(request.withdraw.account).owner,
            recovered
        );
    }
}
