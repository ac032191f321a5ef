// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {Positions} from "../../contracts/group/Positions.sol";
import {AccountId, Batch, EventId, Fill, MarketFills, MarketId, Side} from "../../contracts/group/Types.sol";
import {GroupTest} from "./GroupTest.sol";

/// @notice At the end of every batch each touched account can pay whatever happens.
contract MarginTest is GroupTest {
    using Positions for Positions.Ledger;

    Positions.Ledger internal ledger;
    Trader internal alice;
    Trader internal bob;
    EventId internal eventId;

    function setUp() public override {
        super.setUp();
        alice = openAccount("alice", 100_000);
        bob = openAccount("bob", 100_000);
        eventId = openEvent(3);
        settleInbox();
    }

    function test_a_buyer_has_the_money() public {
        // 20 lots at 0.500 are 100_000 atoms: exactly what Alice has.
        assertRefused(batchOf(trade(alice, bob, market(eventId, 0), 21, 500)), shortfall(alice, -5000));
        settle(batchOf(trade(alice, bob, market(eventId, 0), 20, 500)));
        assertEq(cashOf(alice), 0);
    }

    function test_a_seller_can_pay_the_winner() public {
        // A lot sold at 0.500 brings 5000 atoms and may cost 10_000.
        assertRefused(batchOf(trade(treasury, bob, market(eventId, 0), 21, 500)), shortfall(treasury, 1 - 105_000));
        assertRefused(batchOf(trade(alice, bob, market(eventId, 0), 21, 400)), shortfall(bob, -26_000));
    }

    function test_a_fee_counts() public {
        Batch memory batch = batchOf(trade(alice, bob, market(eventId, 0), 20, 500));
        batch.markets[0].fills[0].fee = 1;
        assertRefused(batch, shortfall(alice, -1));
    }

    function test_an_opposite_position_frees_the_margin() public {
        settle(batchOf(trade(alice, bob, market(eventId, 0), 20, 500)));
        settle(batchOf(trade(bob, alice, market(eventId, 0), 20, 500)));
        assertEq(worstPayoffOf(bob), 0);
        assertEq(cashOf(alice), 100_000);
    }

    /// @dev One of each outcome pays certainty whatever happens: it is as good as the cash it cost.
    function test_a_full_set_is_worth_certainty() public {
        for (uint8 outcome = 0; outcome < 3; ++outcome) {
            settle(batchOf(trade(alice, bob, market(eventId, outcome), 10, 333)));
        }
        assertEq(worstPayoffOf(alice), 100_000);
        assertEq(cashOf(alice), 100);
        assertEq(worstPayoffOf(bob), -100_000);
        settle(batchOf(withdrawal(alice, 100_100)));
        assertEq(cashOf(alice), -100_000);
    }

    function test_selling_every_outcome_is_backed_by_the_worst_of_them_only() public {
        // Ten lots of any one outcome cost bob 100_000 at worst; of all three together no more than that.
        settle(batchOf(trade(alice, bob, market(eventId, 0), 10, 100)));
        settle(batchOf(trade(alice, bob, market(eventId, 1), 10, 100)));
        assertEq(worstPayoffOf(bob), -100_000);
        settle(batchOf(trade(alice, bob, market(eventId, 2), 10, 100)));
        assertEq(worstPayoffOf(bob), -100_000);
    }

    function test_events_do_not_offset_each_other() public {
        EventId other = openEvent(2);
        settleInbox();
        settle(batchOf(trade(alice, bob, market(eventId, 0), 5, 500)));
        settle(batchOf(trade(alice, bob, market(other, 0), 5, 500)));
        assertEq(worstPayoffOf(bob), -100_000);
    }

    /// @dev Only the end of the batch counts, so the order of its markets is nobody's advantage.
    function test_an_account_may_be_short_in_between() public {
        MarketFills memory sellDear = trade(alice, bob, market(eventId, 0), 15, 100);
        MarketFills memory buyBack = trade(bob, alice, market(eventId, 1), 15, 100);
        MarketFills memory more = trade(bob, alice, market(eventId, 2), 15, 100);
        Batch memory batch = nextBatch();
        batch.markets = new MarketFills[](3);
        (batch.markets[0], batch.markets[1], batch.markets[2]) = (sellDear, buyBack, more);
        // Bob is 15 short of outcome 0 and 15 long of the two others: at worst -150_000, with 85_000 in cash.
        assertRefused(batch, shortfall(alice, 100_000 + 15_000 - 150_000));
        batch.markets[2] = trade(alice, bob, market(eventId, 2), 15, 100);
        batch.markets[1] = trade(alice, bob, market(eventId, 1), 15, 100);
        assertRefused(batch, shortfall(bob, 100_000 + 45_000 - 150_000));
        batch.markets[1] = trade(alice, bob, market(eventId, 1), 15, 400);
        settle(batch);
        assertEq(worstPayoffOf(bob), -150_000);
        assertEq(worstPayoffOf(alice), 150_000);
    }

    function test_a_withdrawal_leaves_what_positions_need() public {
        settle(batchOf(trade(alice, bob, market(eventId, 0), 10, 500)));
        assertRefused(batchOf(withdrawal(bob, 50_001)), shortfall(bob, -1));
        settle(batchOf(withdrawal(bob, 50_000)));
        assertEq(cashOf(bob) + worstPayoffOf(bob), 0);
    }

    function test_every_account_of_a_market_is_judged() public {
        for (uint256 place = 0; place < 3; ++place) {
            MarketId where = market(eventId, uint8(place));
            MarketFills memory crowd;
            crowd.market = where;
            crowd.fills = new Fill[](3);
            crowd.fills[place] = fill(treasury, order(treasury, where, Side.Buy, 2, 500));
            crowd.fills[(place + 1) % 3] = fill(alice, order(alice, where, Side.Sell, 1, 500));
            crowd.fills[(place + 2) % 3] = fill(bob, order(bob, where, Side.Sell, 1, 500));
            assertRefused(batchOf(crowd), shortfall(treasury, 1 - 10_000));
        }
    }

    // ----------------------------------------------------------------- the worst payoff itself

    /// @dev Against the definition, outcome by outcome: one lot of the winner pays, none of the others.
    function testFuzz_worst_payoff_is_the_minimum_over_winners(uint8 count, uint256 seed) public {
        uint8 outcomes = uint8(bound(count, 2, 128));
        AccountId account = AccountId.wrap(uint64(seed));
        EventId id = EventId.wrap(uint24(seed >> 64));
        int256 least = type(int256).max;
        for (uint8 outcome = 0; outcome < outcomes; ++outcome) {
            uint256 draw = uint256(keccak256(abi.encode(seed, outcome)));
            // A third of the positions zero, the rest of any sign and width.
            int256 position = draw % 3 == 0 ? int256(0) : int256(int64(uint64(draw >> 64))) >> ((draw >> 8) % 64);
            ledger.add(account, market(id, outcome), outcomes, position);
            if (position < least) least = position;
        }
        assertEq(ledger.worst(account, id, outcomes), least);
        // Neighbours are other accounts' and events'.
        unchecked {
            assertEq(ledger.worst(AccountId.wrap(AccountId.unwrap(account) + 1), id, outcomes), 0);
            assertEq(ledger.worst(account, EventId.wrap(EventId.unwrap(id) + 1), outcomes), 0);
        }
    }

    /// @dev Trades move positions up and down, and the worst is asked for now and then, as at the ends of batches.
    function testFuzz_positions_and_their_worst_follow_every_trade(uint8 count, uint256 seed) public {
        uint8 outcomes = uint8(bound(count, 2, 14));
        int256[] memory expected = new int256[](outcomes);
        AccountId account = AccountId.wrap(uint64(seed));
        EventId id = EventId.wrap(uint24(seed >> 64));
        for (uint256 i = 0; i < 60; ++i) {
            uint256 draw = uint256(keccak256(abi.encode(seed, i)));
            uint8 outcome = uint8(draw % outcomes);
            // Small numbers too, so that positions meet and pass each other.
            int256 lots = int256(int64(uint64(draw >> 64))) >> (i % 2 == 0 ? 6 : 61);
            ledger.add(account, market(id, outcome), outcomes, lots);
            expected[outcome] += lots;
            if (draw >> 250 < 20) continue;

            int256 least = expected[0];
            int64[] memory actual = ledger.list(account, id, outcomes);
            for (uint256 k = 0; k < outcomes; ++k) {
                assertEq(actual[k], expected[k]);
                if (expected[k] < least) least = expected[k];
            }
            assertEq(ledger.worst(account, id, outcomes), least);
        }

        uint64[] memory payouts = new uint64[](outcomes);
        int256 value;
        bool holds;
        for (uint256 k = 0; k < outcomes; ++k) {
            payouts[k] = uint64(seed >> k);
            value += expected[k] * int256(uint256(payouts[k]));
            if (expected[k] != 0) holds = true;
        }
        (bool held, int256 paid) = ledger.clear(account, id, payouts);
        assertEq(held, holds);
        assertEq(paid, value);
        assertEq(ledger.worst(account, id, outcomes), 0);
        (held,) = ledger.clear(account, id, payouts);
        assertFalse(held);
    }
}
