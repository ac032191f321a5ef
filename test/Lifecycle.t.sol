// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../contracts/group/IRiskGroup.sol";
import {Batch, EventId, MarketId, Redemption} from "../contracts/group/Types.sol";
import {GroupTest} from "./GroupTest.sol";

/// @notice One event from opening to the last withdrawal.
contract LifecycleTest is GroupTest {
    function test_an_event_opens_trades_resolves_pays_and_everyone_leaves() public {
        Trader memory alice = openAccount("alice", 10_000_000);
        Trader memory bob = openAccount("bob", 10_000_000);
        EventId id = openEvent(3);
        settleInbox();
        assertEq(cashOf(alice), 10_000_000);
        assertTrue(group.eventInfo(id).state == IRiskGroup.EventState.Open);

        // Alice buys 100 lots of outcome 1 at 0.400 from Bob and pays the taker's fee: 100 · 400 · 10 · 0.1 %.
        MarketId where = market(id, 1);
        Batch memory batch = batchOf(trade(alice, bob, where, 100, 400));
        batch.markets[0].fills[0].fee = 400;
        settle(batch);
        assertEq(cashOf(alice), 10_000_000 - 400_000 - 400);
        assertEq(cashOf(bob), 10_000_000 + 400_000);
        assertEq(cashOf(treasury), 401);
        assertEq(positionOf(alice, where), 100);
        assertEq(positionOf(bob, where), -100);
        assertEq(worstPayoffOf(alice), 0);
        assertEq(worstPayoffOf(bob), -1_000_000);

        resolveEvent(id, winner(3, 1));
        batch = inboxBatch();
        batch.redemptions = new Redemption[](2);
        batch.redemptions[0] = Redemption(alice.account, id);
        batch.redemptions[1] = Redemption(bob.account, id);
        settle(batch);
        assertEq(cashOf(alice), 10_000_000 - 400_400 + 1_000_000);
        assertEq(cashOf(bob), 10_000_000 + 400_000 - 1_000_000);
        assertEq(worstPayoffOf(bob), 0);

        settle(batchOf(withdrawal(alice, 10_599_600)));
        settle(batchOf(withdrawal(bob, 9_400_000)));
        settle(batchOf(withdrawal(treasury, 401)));
        assertEq(token.balanceOf(alice.owner), 10_599_600);
        assertEq(token.balanceOf(bob.owner), 9_400_000);
        assertEq(token.balanceOf(address(group)), 0);
    }
}
