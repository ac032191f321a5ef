// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {
    AccountId,
    Batch,
    BuilderId,
    EventId,
    Fill,
    Lots,
    MarketId,
    Order,
    OrderKind,
    Side,
    Signature,
    Ticks
} from "../../contracts/group/Types.sol";
import {GroupTest} from "./GroupTest.sol";

/// @notice Only what its owner signed fills, once, for this group alone.
contract OrdersTest is GroupTest {
    Trader internal alice;
    Trader internal bob;
    EventId internal eventId;
    MarketId internal first;
    MarketId internal second;

    function setUp() public override {
        super.setUp();
        alice = openAccount("alice", 1_000_000_000);
        bob = openAccount("bob", 1_000_000_000);
        eventId = openEvent(3);
        (first, second) = (market(eventId, 0), market(eventId, 1));
        settleInbox();
    }

    // ----------------------------------------------------------------- signatures

    function test_an_order_signed_by_another_key_is_refused() public {
        Batch memory batch = batchOf(trade(alice, bob, first, 10, 500));
        Order memory stolen = batch.markets[0].fills[0].order;
        batch.markets[0].fills[0].signature = sign(bob.key, hashOrder(stolen));
        assertRefused(batch, signedByAnother(stolen, alice.owner, bob.owner));
    }

    function test_the_sequencer_cannot_sign_for_a_trader() public {
        Batch memory batch = batchOf(trade(alice, bob, first, 10, 500));
        Order memory stolen = batch.markets[0].fills[0].order;
        batch.markets[0].fills[0].signature = sign(SEQUENCER_KEY, hashOrder(stolen));
        assertRefused(batch, signedByAnother(stolen, alice.owner, vm.addr(SEQUENCER_KEY)));
    }

    function test_altering_any_field_of_an_order_breaks_its_signature() public {
        for (uint256 field = 0; field < 12; ++field) {
            Batch memory batch = batchOf(trade(alice, bob, first, 10, 500));
            Fill memory altered = batch.markets[0].fills[0];
            address expected = alice.owner;
            if (field == 0) (altered.order.account, expected) = (bob.account, bob.owner);
            if (field == 1) {
                altered.order.market = second;
                batch.markets[0].market = second;
            }
            if (field == 2) altered.order.side = Side.Sell;
            if (field == 3) altered.order.kind = OrderKind.ImmediateOrCancel;
            if (field == 4) altered.order.reduceOnly = true;
            if (field == 5) altered.order.size = Lots.wrap(11);
            if (field == 6) altered.order.price = Ticks.wrap(501);
            if (field == 7) altered.order.nonce += 1_000_000;
            if (field == 8) altered.order.expiry = type(uint64).max;
            if (field == 9) altered.order.maxFee += 1;
            if (field == 10) altered.order.builder = BuilderId.wrap(1);
            if (field == 11) altered.order.builderFee = 1;
            address recovered = recover(hashOrder(altered.order), altered.signature);
            assertTrue(recovered != expected);
            assertRefused(batch, signedByAnother(altered.order, expected, recovered));
        }
    }

    function test_a_signature_that_nobody_can_make_is_refused() public {
        Batch memory batch = batchOf(trade(alice, bob, first, 10, 500));
        Fill memory target = batch.markets[0].fills[0];
        target.signature = Signature(0, 0);
        assertRefused(batch, signedByAnother(target.order, alice.owner, address(0)));
    }

    /// @dev The smallest `s` that EIP-2 forbids; the precompile alone would name a signer for it.
    function test_a_signature_with_high_s_is_refused() public {
        Batch memory batch = batchOf(trade(alice, bob, first, 10, 500));
        Fill memory target = batch.markets[0].fills[0];
        target.signature.vs = bytes32(uint256(0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A1));
        assertTrue(recover(hashOrder(target.order), target.signature) != address(0));
        assertRefused(batch, signedByAnother(target.order, alice.owner, address(0)));
    }

    function test_an_order_of_an_account_that_does_not_exist_is_refused() public {
        Batch memory batch = batchOf(trade(alice, bob, first, 10, 500));
        Fill memory target = batch.markets[0].fills[0];
        target.order.account = AccountId.wrap(99);
        target.signature = Signature(0, 0);
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.NoSuchAccount.selector, 99));
    }

    function test_an_order_for_a_twin_deployment_is_refused() public {
        Batch memory batch = batchOf(trade(alice, bob, first, 10, 500));
        Fill memory target = batch.markets[0].fills[0];
        openTwin();
        batch.parent = 0;
        batch.id = 1;
        batch.inbox = takeInbox();

        bytes32 wrong = digest(hashOrder(target.order));
        address recovered = ecrecover(
            wrong,
            uint8(27 + (uint256(target.signature.vs) >> 255)),
            target.signature.r,
            target.signature.vs & bytes32(type(uint256).max >> 1)
        );
        assertRefused(batch, signedByAnother(target.order, alice.owner, recovered));
    }

    function test_an_order_for_another_chain_is_refused() public {
        Batch memory batch = batchOf(trade(alice, bob, first, 10, 500));
        Fill memory target = batch.markets[0].fills[0];
        vm.chainId(196);
        assertEq(group.domainSeparator(), separatorOf(address(group), 196));
        address recovered = recover(hashOrder(target.order), target.signature);
        assertRefused(batch, signedByAnother(target.order, alice.owner, recovered));
    }

    // ----------------------------------------------------------------- nonces

    function test_a_replayed_order_is_refused() public {
        Batch memory batch = batchOf(trade(alice, bob, first, 10, 500));
        settle(batch);
        Batch memory replay = batchOf(batch.markets[0]);
        assertRefused(replay, abi.encodeWithSelector(IRiskGroup.OrderSpent.selector, alice.account, 1));
    }

    function test_an_order_fills_in_parts_up_to_its_size_and_no_further() public {
        Order memory large = order(alice, first, Side.Buy, 10, 500);
        settle(batchOf(fills(first, fill(alice, large, 6, 500), sell(6))));
        assertNonce(alice, large.nonce, false, 6);
        assertRefused(batchOf(fills(first, fill(alice, large, 5, 500), sell(5))), overfilled(large, 11));
        settle(batchOf(fills(first, fill(alice, large, 3, 500), sell(3))));
        assertNonce(alice, large.nonce, false, 9);
        settle(batchOf(fills(first, fill(alice, large, 1, 500), sell(1))));
        assertNonce(alice, large.nonce, true, 0);
        assertRefused(batchOf(fills(first, fill(alice, large, 1, 500), sell(1))), spent(large));
        assertEq(positionOf(alice, first), 10);
    }

    function test_an_order_cannot_be_overfilled_at_once() public {
        Order memory small = order(alice, first, Side.Buy, 10, 500);
        assertRefused(batchOf(fills(first, fill(alice, small, 11, 500), sell(11))), overfilled(small, 11));
    }

    function test_an_order_cannot_be_overfilled_by_listing_it_twice() public {
        Order memory small = order(alice, first, Side.Buy, 10, 500);
        Fill memory part = fill(alice, small, 6, 500);
        assertRefused(batchOf(fills(first, part, part)), overfilled(small, 12));
    }

    function test_a_fill_of_the_largest_size_does_not_wrap_around() public {
        Order memory large = order(alice, first, Side.Buy, type(uint64).max, 1);
        settle(batchOf(fills(first, fill(alice, large, 1, 1), sell(1, 1))));
        Fill memory rest = fill(alice, large, type(uint64).max, 1);
        assertRefused(batchOf(fills(first, rest, sell(1, 1))), overfilled(large, 1 << 64));
    }

    function test_a_nonce_is_one_order_body_while_it_is_partly_filled() public {
        Order memory original = order(alice, first, Side.Buy, 10, 500);
        settle(batchOf(fills(first, fill(alice, original, 4, 500), sell(4))));
        for (uint256 kind = 0; kind < 4; ++kind) {
            Order memory other = order(alice, first, Side.Buy, 10, 600);
            (other.nonce, other.kind) = (original.nonce, OrderKind(kind));
            assertRefused(
                batchOf(fills(first, fill(alice, other, 10, 600), sell(10, 600))),
                abi.encodeWithSelector(IRiskGroup.NonceOfAnotherOrder.selector, alice.account, original.nonce)
            );
        }
    }

    function test_a_spent_nonce_fills_no_other_body() public {
        settle(batchOf(trade(alice, bob, first, 10, 500)));
        Order memory other = order(alice, second, Side.Sell, 3, 700);
        other.nonce = 1;
        assertRefused(batchOf(fills(second, fill(alice, other), sell(3))), spent(other));
    }

    function test_a_nonce_of_one_account_is_free_in_every_other() public {
        settle(batchOf(trade(alice, bob, first, 10, 500)));
        assertNonce(treasury, 1, false, 0);
        assertNonce(alice, 2, false, 0);
        assertNonce(alice, 257, false, 0);
    }

    function test_the_largest_nonce_works() public {
        Order memory last = order(alice, first, Side.Buy, 10, 500);
        last.nonce = type(uint64).max;
        settle(batchOf(fills(first, fill(alice, last), sell(10))));
        assertNonce(alice, type(uint64).max, true, 0);
    }

    function test_no_nonce_of_one_account_is_another_of_its_neighbours() public {
        for (uint64 bit = 8; bit < 64; ++bit) {
            Order memory far = order(alice, first, Side.Buy, 2, 500);
            far.nonce = uint64(1) << bit;
            settle(batchOf(fills(first, fill(alice, far, 1, 500), sell(1))));
            assertNonce(alice, far.nonce, false, 1);
        }
        assertNonce(alice, 0, false, 0);
        assertNonce(bob, 0, false, 0);
        assertNonce(treasury, 0, false, 0);
        // What the words say is what settles: Bob's nonce 0 is as good as any.
        Order memory free = order(bob, first, Side.Sell, 1, 500);
        free.nonce = 0;
        settle(batchOf(fills(first, fill(alice, order(alice, first, Side.Buy, 1, 500)), fill(bob, free))));
        assertNonce(bob, 0, true, 0);
    }

    function test_an_immediate_order_lives_in_one_frame_only() public {
        Order memory immediate = order(alice, first, Side.Buy, 10, 500);
        immediate.kind = OrderKind.ImmediateOrCancel;
        settle(batchOf(fills(first, fill(alice, immediate, 4, 500), sell(4))));
        assertNonce(alice, immediate.nonce, true, 0);
        assertRefused(batchOf(fills(first, fill(alice, immediate, 6, 500), sell(6))), spent(immediate));
    }

    function test_a_fill_or_kill_order_fills_whole_or_not_at_all() public {
        Order memory whole = order(alice, first, Side.Buy, 10, 500);
        whole.kind = OrderKind.FillOrKill;
        assertRefused(
            batchOf(fills(first, fill(alice, whole, 9, 500), sell(9))),
            abi.encodeWithSelector(IRiskGroup.FillOrKillNotFilled.selector, alice.account, whole.nonce, 10, 9)
        );
        settle(batchOf(fills(first, fill(alice, whole, 10, 500), sell(10))));
        assertNonce(alice, whole.nonce, true, 0);
    }

    function test_a_post_only_order_rests_like_any_other() public {
        Order memory quote = order(alice, first, Side.Buy, 10, 500);
        quote.kind = OrderKind.PostOnly;
        settle(batchOf(fills(first, fill(alice, quote, 4, 500), sell(4))));
        settle(batchOf(fills(first, fill(alice, quote, 6, 500), sell(6))));
        assertNonce(alice, quote.nonce, true, 0);
    }

    // ----------------------------------------------------------------- what the order says

    function test_an_order_fills_until_its_last_millisecond_and_not_after() public {
        Order memory timed = order(alice, first, Side.Buy, 10, 500);
        timed.expiry = nowMs();
        settle(batchOf(fills(first, fill(alice, timed, 4, 500), sell(4))));
        Batch memory late = batchOf(fills(first, fill(alice, timed, 6, 500), sell(6)));
        late.time = timed.expiry + 1;
        assertRefused(
            late,
            abi.encodeWithSelector(
                IRiskGroup.OrderExpired.selector, alice.account, timed.nonce, timed.expiry, timed.expiry + 1
            )
        );
    }

    function test_an_order_fills_in_its_own_market_only() public {
        Batch memory batch = batchOf(trade(alice, bob, first, 10, 500));
        batch.markets[0].market = second;
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.OrderForAnotherMarket.selector, second, first));
    }

    // ----------------------------------------------------------------- reduce-only

    function test_a_reduce_only_order_closes_what_is_there_and_no_more() public {
        settle(batchOf(trade(alice, bob, first, 10, 500)));
        Order memory closing = reducing(alice, Side.Sell, 11);
        assertRefused(
            batchOf(fills(first, fill(alice, closing), fill(bob, reducing(bob, Side.Buy, 11)))),
            onlyReducing(closing, 10, -1)
        );
        // Part of a larger order is as good as a smaller one.
        settle(batchOf(fills(first, fill(alice, closing, 10, 500), fill(bob, reducing(bob, Side.Buy, 10)))));
        assertEq(positionOf(alice, first), 0);
        assertEq(positionOf(bob, first), 0);
    }

    function test_a_reduce_only_order_opens_nothing() public {
        for (uint256 side = 0; side < 2; ++side) {
            Order memory opening = reducing(alice, Side(side), 10);
            Order memory other = order(bob, first, Side(1 - side), 10, 500);
            assertRefused(
                batchOf(fills(first, fill(alice, opening), fill(bob, other))),
                onlyReducing(opening, 0, side == 0 ? int256(10) : -10)
            );
        }
    }

    function test_a_reduce_only_order_does_not_add_to_a_position() public {
        settle(batchOf(trade(alice, bob, first, 10, 500)));
        Order memory adding = reducing(alice, Side.Buy, 1);
        assertRefused(batchOf(fills(first, fill(alice, adding), sell(1))), onlyReducing(adding, 10, 11));
        adding = reducing(bob, Side.Sell, 1);
        Order memory buying = order(alice, first, Side.Buy, 1, 500);
        assertRefused(batchOf(fills(first, fill(alice, buying), fill(bob, adding))), onlyReducing(adding, -10, -11));
    }

    // ----------------------------------------------------------------- the nonce floor

    function test_a_cancellation_of_all_spends_every_nonce_below_its_floor() public {
        Order memory part = order(alice, first, Side.Buy, 10, 500);
        settle(batchOf(fills(first, fill(alice, part, 4, 500), sell(4))));
        Order memory below = order(alice, first, Side.Buy, 10, 500);
        Order memory at = order(alice, first, Side.Buy, 10, 500);
        requestCancelAll(alice, at.nonce);
        assertNonce(alice, part.nonce, false, 4);
        settleInbox();
        (bool spent_,) = views.nonceState(alice.account, part.nonce);
        assertTrue(spent_);
        assertNonce(alice, below.nonce, true, 0);
        assertNonce(alice, at.nonce, false, 0);
        assertRefused(batchOf(fills(first, fill(alice, part, 6, 500), sell(6))), belowFloor(part, at.nonce));
        assertRefused(batchOf(fills(first, fill(alice, below), sell(10))), belowFloor(below, at.nonce));
        settle(batchOf(fills(first, fill(alice, at), sell(10))));
    }

    function test_a_cancellation_counts_from_the_batch_that_consumes_it() public {
        Order memory resting = order(alice, first, Side.Buy, 10, 500);
        requestCancelAll(alice, resting.nonce + 1);
        settle(batchOf(fills(first, fill(alice, resting, 4, 500), sell(4))));
        Batch memory batch = batchOf(fills(first, fill(alice, resting, 6, 500), sell(6)));
        batch.inbox = takeInbox();
        assertRefused(batch, belowFloor(resting, resting.nonce + 1));
    }

    function test_the_nonce_floor_never_goes_down() public {
        requestCancelAll(alice, 1000);
        requestCancelAll(alice, 10);
        settleInbox();
        assertEq(views.account(alice.account).nonceFloor, 1000);
        Order memory between = order(alice, first, Side.Buy, 10, 500);
        between.nonce = 999;
        assertRefused(batchOf(fills(first, fill(alice, between), sell(10))), belowFloor(between, 1000));
    }

    function test_a_floor_of_one_account_is_nobody_elses() public {
        requestCancelAll(alice, 1000);
        settleInbox();
        settle(batchOf(trade(treasuryWith(100_000), bob, first, 1, 500)));
    }

    // ----------------------------------------------------------------- words

    function treasuryWith(uint256 amount) private returns (Trader memory) {
        deposit(treasury.owner, treasury.account, amount);
        settleInbox();
        return treasury;
    }

    function reducing(Trader memory trader, Side side, uint64 size) private returns (Order memory result) {
        result = order(trader, first, side, size, 500);
        result.reduceOnly = true;
    }

    function onlyReducing(Order memory signed, int256 before, int256 position) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRiskGroup.OnlyReducing.selector, signed.account, signed.nonce, before, position);
    }

    function belowFloor(Order memory signed, uint64 floor) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRiskGroup.NonceBelowFloor.selector, signed.account, signed.nonce, floor);
    }

    function sell(uint64 size) private returns (Fill memory) {
        return sell(size, 500);
    }

    function sell(uint64 size, uint64 price) private returns (Fill memory) {
        return fill(bob, order(bob, first, Side.Sell, size, price));
    }

    /// @dev The same events and accounts in a second group of the same make.
    function openTwin() private {
        use(newDeployment());
        treasury = openAccount("treasury", 1);
        alice = openAccount("alice", 1_000_000_000);
        bob = openAccount("bob", 1_000_000_000);
        openVenue(venueConfig());
        openEvent(3);
    }

    function signedByAnother(Order memory signed, address expected, address recovered)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(
            IRiskGroup.OrderSignedByAnother.selector, signed.account, signed.nonce, expected, recovered
        );
    }

    function overfilled(Order memory signed, uint256 filled) private pure returns (bytes memory) {
        return
            abi.encodeWithSelector(
                IRiskGroup.OrderOverfilled.selector, signed.account, signed.nonce, signed.size, filled
            );
    }

    function spent(Order memory signed) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRiskGroup.OrderSpent.selector, signed.account, signed.nonce);
    }
}
