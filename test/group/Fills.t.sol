// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {
    Batch,
    EventConfig,
    EventId,
    Fill,
    MarketFills,
    MarketId,
    Order,
    Side,
    TickLots
} from "../../contracts/group/Types.sol";
import {GroupTest} from "./GroupTest.sol";

/// @notice Price, fee and sums: a fill takes no more than its trader allowed, and a market's fills add up.
contract FillsTest is GroupTest {
    Trader internal alice;
    Trader internal bob;
    EventId internal eventId;
    MarketId internal first;

    function setUp() public override {
        super.setUp();
        alice = openAccount("alice", 1e24);
        bob = openAccount("bob", 1e24);
        eventId = openEvent(3);
        first = market(eventId, 0);
        settleInbox();
    }

    // ----------------------------------------------------------------- markets

    function test_a_market_of_no_event_does_not_fill() public {
        MarketId nowhere = market(EventId.wrap(9), 0);
        assertRefused(batchOf(trade(alice, bob, nowhere, 1, 500)), notOpen(nowhere));
    }

    function test_an_outcome_that_the_event_does_not_have_does_not_fill() public {
        MarketId beyond = market(eventId, 3);
        assertRefused(batchOf(trade(alice, bob, beyond, 1, 500)), notOpen(beyond));
    }

    function test_a_market_does_not_fill_before_a_batch_has_opened_its_event() public {
        MarketId early = market(openEvent(2), 0);
        Batch memory batch = batchOf(trade(alice, bob, early, 1, 500));
        assertRefused(batch, notOpen(early));
        batch.inbox = inboxBatch().inbox;
        settle(batch);
        assertEq(positionOf(alice, early), 1);
    }

    function test_a_market_does_not_fill_once_a_batch_has_resolved_its_event() public {
        resolveEvent(eventId, winner(3, 0));
        settle(batchOf(trade(alice, bob, first, 1, 500)));
        Batch memory batch = batchOf(trade(alice, bob, first, 1, 500));
        batch.inbox = inboxBatch().inbox;
        assertRefused(batch, notOpen(first));
    }

    function test_markets_ascend_and_none_comes_twice() public {
        MarketId second = market(eventId, 1);
        MarketFills memory a = trade(alice, bob, first, 1, 500);
        MarketFills memory b = trade(alice, bob, second, 1, 500);
        assertRefused(batchOf(b, a), abi.encodeWithSelector(IRiskGroup.MarketsNotAscending.selector, second, first));
        assertRefused(batchOf(a, a), abi.encodeWithSelector(IRiskGroup.MarketsNotAscending.selector, first, first));
        settle(batchOf(a, b));
    }

    // ----------------------------------------------------------------- prices

    function test_a_buy_pays_no_more_than_its_limit() public {
        Fill memory greedy = fill(alice, buy(10, 500));
        raise(greedy, 1);
        assertRefused(batchOf(fills(first, greedy, sold(10, 500))), worse(greedy, 5000));
    }

    function test_a_sell_takes_no_less_than_its_limit() public {
        Fill memory cheap = sold(10, 500);
        raise(cheap, -1);
        assertRefused(batchOf(fills(first, fill(alice, buy(10, 500)), cheap)), worse(cheap, 5000));
    }

    function test_a_better_price_than_the_limit_is_welcome() public {
        settle(batchOf(fills(first, fill(alice, buy(10, 700), 10, 600), fill(bob, sale(10, 400), 10, 600))));
        assertEq(cashOf(alice), 1e24 - 60_000);
        assertEq(cashOf(bob), 1e24 + 60_000);
    }

    function test_a_limit_is_a_price_of_the_market() public {
        uint64[3] memory bad = [0, TICKS, type(uint64).max];
        for (uint256 i = 0; i < bad.length; ++i) {
            Order memory odd = buy(1, bad[i]);
            assertRefused(
                batchOf(fills(first, fill(alice, odd, 1, 500), sold(1, 500))),
                abi.encodeWithSelector(IRiskGroup.PriceOutOfRange.selector, alice.account, odd.nonce, bad[i], TICKS - 1)
            );
        }
    }

    function test_nobody_buys_below_the_lowest_price() public {
        Fill memory gift = fill(alice, buy(10, 500));
        gift.notional = TickLots.wrap(9);
        assertRefused(batchOf(fills(first, gift, sold(10, 1))), outOfRange(gift, 10, 9990));
    }

    function test_nobody_sells_above_the_highest_price() public {
        Fill memory robbery = sold(10, 999);
        robbery.notional = TickLots.wrap(9991);
        assertRefused(batchOf(fills(first, fill(alice, buy(10, 999)), robbery)), outOfRange(robbery, 10, 9990));
    }

    function test_the_lowest_and_the_highest_price_trade() public {
        settle(batchOf(trade(alice, bob, first, 10, 1)));
        settle(batchOf(trade(alice, bob, first, 10, 999)));
        assertEq(cashOf(alice), 1e24 - 100_000);
    }

    function test_a_fill_of_nothing_is_refused() public {
        Fill memory nothing = fill(alice, buy(10, 500), 0, 500);
        assertRefused(
            batchOf(fills(first, nothing, sold(10, 500))),
            abi.encodeWithSelector(IRiskGroup.EmptyFill.selector, alice.account, nothing.order.nonce)
        );
    }

    // ----------------------------------------------------------------- fees

    /// @dev 3 · 333 · 10 atoms at 0.1 % is 9.99: the ceiling is 10.
    function test_a_fee_is_at_most_the_ceiling_of_the_venues_rate() public {
        Batch memory batch = batchOf(trade(alice, bob, first, 3, 333));
        batch.markets[0].fills[0].fee = 11;
        assertRefused(batch, feeAbove(batch.markets[0].fills[0], 10));
        batch.markets[0].fills[0].fee = 10;
        settle(batch);
        assertEq(cashOf(alice), 1e24 - 9990 - 10);
        assertEq(cashOf(treasury), 11);
    }

    function test_a_fee_is_at_most_what_the_trader_allows() public {
        Order memory thrifty = buy(100, 500);
        thrifty.maxFee = 100;
        Batch memory batch = batchOf(fills(first, fill(alice, thrifty), sold(100, 500)));
        batch.markets[0].fills[0].fee = 51;
        assertRefused(batch, feeAbove(batch.markets[0].fills[0], 50));
    }

    function test_a_trader_who_allows_no_fee_pays_none() public {
        Order memory thrifty = buy(100, 500);
        thrifty.maxFee = 0;
        Batch memory batch = batchOf(fills(first, fill(alice, thrifty), sold(100, 500)));
        batch.markets[0].fills[0].fee = 1;
        assertRefused(batch, feeAbove(batch.markets[0].fills[0], 0));
    }

    function test_the_larger_of_the_venues_rates_bounds_every_fee() public {
        EventConfig memory config = eventConfig(2);
        (config.terms.takerFee, config.terms.makerFee) = (100, 300);
        MarketId where = market(openEvent(config), 0);
        settleInbox();
        Batch memory batch = batchOf(trade(alice, bob, where, 1000, 500));
        batch.markets[0].fills[1].fee = 1501;
        assertRefused(batch, feeAbove(batch.markets[0].fills[1], 1500));
    }

    function test_fees_of_both_sides_reach_the_treasury_whole() public {
        Batch memory batch = batchOf(trade(alice, bob, first, 100, 500));
        (batch.markets[0].fills[0].fee, batch.markets[0].fills[1].fee) = (500, 123);
        settle(batch);
        assertEq(cashOf(treasury), 1 + 623);
        assertEq(cashOf(alice) + cashOf(bob) + cashOf(treasury), 2e24 + 1);
    }

    /// @dev What the engine charges: the ceiling over the order's life, frame by frame what is new of it.
    function testFuzz_a_ceiling_charged_in_parts_is_never_above_the_limit_of_a_part(
        uint64[4] memory sizes,
        uint256[4] memory prices
    ) public {
        uint256 life;
        uint256 charged;
        for (uint256 i = 0; i < 4; ++i) {
            uint64 size = uint64(bound(sizes[i], 1, 1e12));
            uint64 price = uint64(bound(prices[i], 1, TICKS - 1));
            life += uint256(size) * price * QUANTUM;
            uint256 due = (life * 1000 + 999_999) / 1_000_000;
            Batch memory batch = batchOf(trade(alice, bob, first, size, price));
            batch.markets[0].fills[0].fee = int128(int256(due - charged));
            settle(batch);
            charged = due;
        }
    }

    // ----------------------------------------------------------------- sums

    function test_lots_cannot_be_made_from_nothing() public {
        assertRefused(
            batchOf(fills(first, fill(alice, buy(11, 500)), sold(10, 500))),
            abi.encodeWithSelector(IRiskGroup.SizesDoNotSumToZero.selector, first, int256(1))
        );
    }

    function test_money_cannot_be_made_from_nothing() public {
        assertRefused(
            batchOf(fills(first, fill(alice, buy(10, 500)), sold(10, 501))),
            abi.encodeWithSelector(IRiskGroup.NotionalsDoNotSumToZero.selector, first, int256(-10))
        );
    }

    function test_two_markets_cannot_make_up_for_each_other() public {
        MarketId second = market(eventId, 1);
        MarketFills memory a = fills(first, fill(alice, buy(11, 500)), sold(10, 500));
        MarketFills memory b = trade(alice, bob, second, 10, 500);
        assertRefused(batchOf(a, b), abi.encodeWithSelector(IRiskGroup.SizesDoNotSumToZero.selector, first, int256(1)));
    }

    function test_one_order_may_meet_many() public {
        MarketFills memory many;
        many.market = first;
        many.fills = new Fill[](3);
        many.fills[0] = fill(alice, buy(30, 500), 30, 500);
        many.fills[1] = sold(10, 500);
        many.fills[2] = sold(20, 500);
        settle(batchOf(many));
        assertEq(positionOf(bob, first), -30);
    }

    function test_an_account_may_trade_with_itself_and_only_pays_the_fee() public {
        Batch memory batch = batchOf(trade(alice, alice, first, 10, 500));
        batch.markets[0].fills[0].fee = 50;
        settle(batch);
        assertEq(positionOf(alice, first), 0);
        assertEq(cashOf(alice), 1e24 - 50);
    }

    // ----------------------------------------------------------------- positions

    function test_every_outcome_keeps_its_own_position() public {
        EventId wide = openEvent(9);
        settleInbox();
        for (uint8 outcome = 0; outcome < 9; ++outcome) {
            settle(batchOf(trade(alice, bob, market(wide, outcome), 10 + outcome, 100)));
        }
        int64[] memory bought = views.positions(alice.account, wide);
        int64[] memory soldShort = views.positions(bob.account, wide);
        for (uint8 outcome = 0; outcome < 9; ++outcome) {
            assertEq(bought[outcome], int64(10) + int8(outcome));
            assertEq(soldShort[outcome], -bought[outcome]);
        }
    }

    function test_a_position_stays_within_its_64_bits() public {
        uint64 limit = uint64(type(int64).max);
        settle(batchOf(trade(alice, bob, first, limit, 1)));
        assertRefused(
            batchOf(trade(alice, bob, first, 1, 1)),
            abi.encodeWithSelector(
                IRiskGroup.PositionOutOfRange.selector, alice.account, first, int256(uint256(limit)) + 1
            )
        );
        assertEq(positionOf(alice, first), type(int64).max);
        assertEq(positionOf(alice, market(eventId, 1)), 0);
    }

    // ----------------------------------------------------------------- words

    function buy(uint64 size, uint64 price) private returns (Order memory) {
        return order(alice, first, Side.Buy, size, price);
    }

    function sale(uint64 size, uint64 price) private returns (Order memory) {
        return order(bob, first, Side.Sell, size, price);
    }

    function sold(uint64 size, uint64 price) private returns (Fill memory) {
        return fill(bob, sale(size, price));
    }

    function notOpen(MarketId where) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRiskGroup.MarketNotOpen.selector, where);
    }

    function worse(Fill memory bad, uint256 limit) private pure returns (bytes memory) {
        return abi.encodeWithSelector(
            IRiskGroup.PriceWorseThanLimit.selector, bad.order.account, bad.order.nonce, limit, bad.notional
        );
    }

    function outOfRange(Fill memory bad, uint256 lowest, uint256 highest) private pure returns (bytes memory) {
        return abi.encodeWithSelector(
            IRiskGroup.NotionalOutOfRange.selector, bad.order.account, bad.order.nonce, lowest, highest, bad.notional
        );
    }

    function feeAbove(Fill memory bad, uint256 limit) private pure returns (bytes memory) {
        return abi.encodeWithSelector(
            IRiskGroup.FeeAboveLimit.selector, bad.order.account, bad.order.nonce, limit, int256(bad.fee)
        );
    }
}
