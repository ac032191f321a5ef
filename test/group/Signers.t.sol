// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {
    AccountId,
    Batch,
    Fill,
    MarketFills,
    MarketId,
    Order,
    Side,
    SignedTransfer,
    SignedWithdraw,
    SignerGrant,
    VenueId
} from "../../contracts/group/Types.sol";
import {GroupTest} from "./GroupTest.sol";

/// @notice A key does for an account what its owner allowed, where and until when it was allowed, and nothing else.
contract SignersTest is GroupTest {
    Trader internal alice;
    Trader internal bob;
    /// @dev Alice's account in the hands of a key.
    Trader internal agent;
    MarketId internal first;

    function setUp() public override {
        super.setUp();
        alice = openAccount("alice", 1_000_000_000);
        bob = openAccount("bob", 1_000_000_000);
        (, uint256 secret) = makeAddrAndKey("agent");
        agent = Trader({key: secret, owner: vm.addr(secret), account: alice.account});
        first = market(openEvent(3), 0);
        settleInbox();
    }

    function test_a_granted_key_trades_for_the_account() public {
        grant(grantTo(agent.owner));
        settle(batchOf(trade(agent, bob, first, 10, 500)));
        assertEq(positionOf(alice, first), 10);
    }

    function test_a_grant_is_what_the_owner_said() public {
        SignerGrant memory narrow = grantTo(agent.owner);
        (narrow.expiry, narrow.maxNotional, narrow.withdraw) = (nowMs() + 1, 77, false);
        narrow.venues = [VenueId.wrap(5), VenueId.wrap(0), VenueId.wrap(9)];
        grant(narrow);
        assertEq(abi.encode(views.signer(alice.account, agent.owner)), abi.encode(narrow));
    }

    function test_a_grant_counts_from_the_batch_that_consumes_it() public {
        setSigner(alice, grantTo(agent.owner));
        Batch memory batch = batchOf(trade(agent, bob, first, 10, 500));
        assertRefused(batch, orderRefused(batch));
        batch.inbox = takeInbox();
        settle(batch);
    }

    /// @dev So an order that the sequencer accepted before it knew of the revocation still settles.
    function test_a_revocation_counts_from_the_batch_that_consumes_it() public {
        grant(grantTo(agent.owner));
        SignerGrant memory revoked;
        revoked.signer = agent.owner;
        setSigner(alice, revoked);
        settle(batchOf(trade(agent, bob, first, 10, 500)));
        Batch memory batch = batchOf(trade(agent, bob, first, 10, 500));
        batch.inbox = takeInbox();
        assertRefused(batch, orderRefused(batch));
    }

    /// @dev Expiry 0 alone revokes, whatever else the grant says.
    function test_a_key_whose_expiry_is_0_may_nothing() public {
        SignerGrant memory revoked = grantTo(agent.owner);
        revoked.expiry = 0;
        grant(revoked);
        assertMayNotTrade();
        assertMayNotWithdraw();
    }

    function test_a_key_acts_until_its_last_millisecond_and_not_after() public {
        SignerGrant memory timed = grantTo(agent.owner);
        timed.expiry = nowMs();
        grant(timed);
        settle(batchOf(trade(agent, bob, first, 10, 500)));
        settle(batchOf(withdrawal(agent, 10)));

        Batch memory late = batchOf(trade(agent, bob, first, 10, 500));
        late.time = timed.expiry + 1;
        assertRefused(late, orderRefused(late));
        late = batchOf(withdrawal(agent, 10));
        late.time = timed.expiry + 1;
        assertRefused(late, messageRefused(late.withdrawals[0].withdraw.nonce, agent.owner));
    }

    function test_a_key_that_may_not_trade_signs_no_order() public {
        SignerGrant memory cashier = grantTo(agent.owner);
        cashier.trade = false;
        grant(cashier);
        assertMayNotTrade();
        settle(batchOf(withdrawal(agent, 10)));
    }

    function test_a_key_that_may_not_withdraw_moves_no_money() public {
        SignerGrant memory trader = grantTo(agent.owner);
        trader.withdraw = false;
        grant(trader);
        assertMayNotWithdraw();
        settle(batchOf(trade(agent, bob, first, 10, 500)));
    }

    function test_a_key_trades_on_the_venues_that_it_was_given_only() public {
        for (uint256 place = 0; place < 3; ++place) {
            SignerGrant memory scoped = grantTo(agent.owner);
            scoped.venues[place] = VENUE;
            grant(scoped);
            settle(batchOf(trade(agent, bob, first, 10, 500)));
            scoped.venues[place] = VenueId.wrap(2);
            grant(scoped);
            assertMayNotTrade();
        }
    }

    function test_a_key_signs_orders_up_to_its_notional() public {
        SignerGrant memory bounded = grantTo(agent.owner);
        bounded.maxNotional = 10 * 500 * 10;
        grant(bounded);
        settle(batchOf(trade(agent, bob, first, 10, 500)));
        // By the order's size and limit, however little of it fills.
        Order memory large = order(agent, first, Side.Buy, 10, 501);
        Fill memory sold = fill(bob, order(bob, first, Side.Sell, 1, 500));
        Batch memory batch = batchOf(fills(first, fill(agent, large, 1, 500), sold));
        assertRefused(batch, orderRefused(batch));
    }

    function test_the_largest_order_does_not_wrap_around_the_notional() public {
        SignerGrant memory bounded = grantTo(agent.owner);
        bounded.maxNotional = type(uint96).max;
        grant(bounded);
        Order memory large = order(agent, first, Side.Buy, type(uint64).max, TICKS - 1);
        Fill memory sold = fill(bob, order(bob, first, Side.Sell, 1, 500));
        settle(batchOf(fills(first, fill(agent, large, 1, 500), sold)));
        bounded.maxNotional = 1e22;
        grant(bounded);
        Batch memory batch = batchOf(fills(first, fill(agent, large, 1, 500), sold));
        assertRefused(batch, orderRefused(batch));
    }

    function test_a_new_grant_replaces_the_old_one() public {
        grant(grantTo(agent.owner));
        SignerGrant memory cashier = grantTo(agent.owner);
        cashier.trade = false;
        grant(cashier);
        assertMayNotTrade();
    }

    function test_a_key_of_one_account_is_none_of_another() public {
        setSigner(bob, grantTo(agent.owner));
        settleInbox();
        assertMayNotTrade();
        assertMayNotWithdraw();
    }

    function test_the_owner_trades_beside_its_keys() public {
        grant(grantTo(agent.owner));
        settle(batchOf(trade(alice, bob, first, 10, 500)));
        settle(batchOf(trade(agent, bob, first, 10, 500)));
        assertEq(positionOf(alice, first), 20);
    }

    // ----------------------------------------------------------------- money

    function test_a_key_withdraws_to_the_owner_only() public {
        grant(grantTo(agent.owner));
        settle(batchOf(withdrawal(agent, 10)));
        assertEq(token.balanceOf(alice.owner), 10);
        assertEq(token.balanceOf(agent.owner), 0);
    }

    function test_a_key_moves_money_between_its_owners_accounts() public {
        AccountId second = deposit(alice.owner, NEW_ACCOUNT, 1);
        grant(grantTo(agent.owner));
        settle(batchOf(transfer(agent, second, 10)));
        assertEq(cashOf(second), 11);
    }

    /// @dev A gateway is any address: a key that could name one could send the money to itself.
    function test_a_key_sends_nothing_through_a_gateway() public {
        grant(grantTo(agent.owner));
        SignedTransfer memory leaving = transfer(agent, agent.owner, NEW_ACCOUNT, address(token), 10);
        assertRefused(batchOf(leaving), messageRefused(leaving.transfer.nonce, agent.owner));
    }

    // ----------------------------------------------------------------- isolated accounts

    function test_a_key_acts_for_its_accounts_isolated_ones_too() public {
        Trader memory apart = isolatedOf(alice, first);
        settle(batchOf(transfer(alice, apart.account, 1_000_000)));
        apart.key = agent.key;
        MarketFills memory made = trade(apart, bob, first, 10, 500);
        bytes memory refusal = abi.encodeWithSelector(
            IRiskGroup.OrderSignedByAnother.selector, apart.account, made.fills[0].order.nonce, alice.owner, agent.owner
        );
        assertRefused(batchOf(made), refusal);
        grant(grantTo(agent.owner));
        settle(batchOf(made));
        assertEq(positionOf(apart, first), 10);
        assertEq(views.signer(apart.account, agent.owner).expiry, type(uint48).max);
    }

    // ----------------------------------------------------------------- words

    function grant(SignerGrant memory given) private {
        setSigner(alice, given);
        settleInbox();
    }

    function assertMayNotTrade() private {
        Batch memory batch = batchOf(trade(agent, bob, first, 10, 500));
        assertRefused(batch, orderRefused(batch));
    }

    function assertMayNotWithdraw() private {
        SignedWithdraw memory leaving = withdrawal(agent, 10);
        assertRefused(batchOf(leaving), messageRefused(leaving.withdraw.nonce, agent.owner));
        SignedTransfer memory moving = transfer(agent, alice.account, 10);
        assertRefused(batchOf(moving), messageRefused(moving.transfer.nonce, agent.owner));
    }

    /// @dev Of the batch's first line.
    function orderRefused(Batch memory batch) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IRiskGroup.OrderSignedByAnother.selector,
            alice.account,
            batch.markets[0].fills[0].order.nonce,
            alice.owner,
            agent.owner
        );
    }

    function messageRefused(uint64 nonce, address recovered) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IRiskGroup.MessageSignedByAnother.selector, alice.account, nonce, alice.owner, recovered
        );
    }
}
