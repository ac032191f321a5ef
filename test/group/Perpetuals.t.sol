// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGroupViews} from "../../contracts/group/IGroupViews.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {
    Batch,
    FeedId,
    GroupTerms,
    Lots,
    MarketFills,
    MarketId,
    PerpetualConfig,
    Phase,
    Redemption
} from "../../contracts/group/Types.sol";
import {PerpetualTest} from "./PerpetualTest.sol";

/// @notice Positions in perpetuals: what a trade does to them, and how much margin they need.
contract PerpetualsTest is PerpetualTest {
    // ----------------------------------------------------------------- trades

    /// @dev 100 lots · 50,000 ticks · 1000 atoms = 5,000 dollars.
    function test_a_trade_moves_size_times_price_times_quantum() public {
        exchange(alice, bob, btc, 100, 50_000);
        assertEq(cashOf(alice), 5_000 * DOLLAR);
        assertEq(cashOf(bob), 15_000 * DOLLAR);
        assertEq(positionOf(alice, btc), 100);
        assertEq(positionOf(bob, btc), -100);
        assertEq(usdOf(alice), 10_000 * DOLLAR);
        assertEq(usdOf(bob), 10_000 * DOLLAR);
    }

    /// @dev 100 lots bought 100 dollars a bitcoin too dear: 10 dollars.
    function test_what_was_paid_above_the_index_is_lost_at_once() public {
        exchange(alice, bob, btc, 100, 50_100);
        assertEq(usdOf(alice), 9_990 * DOLLAR);
        assertEq(usdOf(bob), 10_010 * DOLLAR);
    }

    /// @dev The index rises by 1000 dollars a bitcoin: a dollar a lot.
    function test_profit_and_loss_follow_the_index() public {
        exchange(alice, bob, btc, 100, 50_000);
        reprice(btcFeed, 51_000);
        assertEq(usdOf(alice), 10_100 * DOLLAR);
        assertEq(usdOf(bob), 9_900 * DOLLAR);
        reprice(btcFeed, 48_000);
        assertEq(usdOf(alice), 9_800 * DOLLAR);
        assertEq(usdOf(bob), 10_200 * DOLLAR);
    }

    /// @dev Bought at 50,000 and sold at 50,500 with the index standing still: the profit is cash.
    function test_closing_turns_profit_into_cash() public {
        exchange(alice, bob, btc, 100, 50_000);
        exchange(carol, alice, btc, 100, 50_500);
        assertEq(cashOf(alice), 10_050 * DOLLAR);
        assertEq(positionOf(alice, btc), 0);
        assertEq(positionOf(carol, btc), 100);
    }

    function test_the_entry_price_is_the_average_of_what_opened_the_position() public {
        exchange(alice, bob, btc, 100, 50_000);
        exchange(alice, bob, btc, 50, 50_300);
        // (100 · 50,000 + 50 · 50,300) / 150
        assertEq(entryOf(alice, btcFeed), 50_100);
        assertEq(entryOf(bob, btcFeed), 50_100);
        // (150 · 50,100 + 1 · 50,101) / 151 = 50,100.0066: down.
        exchange(alice, bob, btc, 1, 50_101);
        assertEq(entryOf(alice, btcFeed), 50_100);
    }

    function test_reducing_keeps_the_entry_price_and_closing_forgets_it() public {
        exchange(alice, bob, btc, 100, 50_000);
        exchange(carol, alice, btc, 40, 51_000);
        assertEq(entryOf(alice, btcFeed), 50_000);
        exchange(carol, alice, btc, 60, 51_000);
        assertEq(entryOf(alice, btcFeed), 0);
    }

    function test_a_position_that_changes_sides_has_the_price_that_turned_it() public {
        exchange(alice, bob, btc, 100, 50_000);
        exchange(carol, alice, btc, 250, 50_400);
        assertEq(positionOf(alice, btc), -150);
        assertEq(entryOf(alice, btcFeed), 50_400);
        // 10,000 − 100 · 50 + 250 · 50.4 dollars
        assertEq(cashOf(alice), 17_600 * DOLLAR);
        // short 150 lots, sold 0.4 dollars a lot above the index; and 40 dollars of profit on the first hundred
        assertEq(usdOf(alice), 10_100 * DOLLAR);
    }

    function test_a_taker_pays_its_fee_on_the_value() public {
        Batch memory batch = batchOf(trade(alice, bob, btc, 100, 50_000));
        // 0.1 % of 5,000 dollars
        batch.markets[0].fills[0].fee = 5_000_000;
        settle(batch);
        assertEq(usdOf(alice), 9_995 * DOLLAR);
        assertEq(cashOf(treasury), 5 * DOLLAR + 1);

        batch = batchOf(trade(alice, bob, btc, 100, 50_000));
        batch.markets[0].fills[0].fee = 5_000_001;
        assertRefused(
            batch,
            abi.encodeWithSelector(
                IRiskGroup.FeeAboveLimit.selector, alice.account, 2, uint256(5_000_000), int256(5_000_001)
            )
        );
    }

    // ----------------------------------------------------------------- margin, to the atom

    /// @dev A millionth of a dollar above 50,000 makes a lot worth 50,000,000.001 atoms.
    function test_value_rounds_down_and_requirements_round_up() public {
        exchange(alice, bob, btc, 1, 50_000);
        pass(1);
        Batch memory batch = nextBatch();
        addPriceAt(batch, btcFeed, 50_000e18 + 1e12, batch.time);
        settle(batch);
        assertEq(views.feed(btcFeed).price, 50_000_000_001_000_000);
        IGroupViews.HealthView memory long = views.health(alice.account);
        assertEq(long.usd, 10_000 * DOLLAR);
        // ⌈50,000,001 · 5 %⌉ = ⌈2,500,000.05⌉ and ⌈50,000,001 · 3 %⌉ = ⌈1,500,000.03⌉
        assertEq(long.initialRequirement, 2_500_001);
        assertEq(long.maintenanceRequirement, 1_500_001);
        IGroupViews.HealthView memory short = views.health(bob.account);
        assertEq(short.usd, 10_000 * DOLLAR - 1);
        assertEq(short.initialRequirement, 2_500_001);
        assertEq(short.maintenanceRequirement, 1_500_001);
        assertEq(short.initialEquity, short.usd);
        assertEq(short.maintenanceEquity, short.usd);
    }

    /// @dev 20,000 lots are worth exactly a million dollars, the first tier's bound: 5 % of it are 50,000 dollars.
    function test_a_position_at_the_bound_needs_the_lower_fraction() public {
        Trader memory rich = openAccount("rich", 50_000 * DOLLARS);
        Trader memory poor = openAccount("poor", 50_000 * DOLLARS - 1);
        Trader memory maker = openAccount("maker", 1e15);
        settleInbox();
        assertRefused(batchOf(trade(poor, maker, btc, 20_000, 50_000)), shortfall(poor, -1));
        assertRefused(batchOf(trade(maker, poor, btc, 20_000, 50_000)), shortfall(poor, -1));
        exchange(rich, maker, btc, 20_000, 50_000);
        assertEq(initialHealthOf(rich), 0);
    }

    /// @dev 20,001 lots are worth 1,000,050 dollars: 10 % of all of it are 100,005 dollars.
    function test_a_lot_above_the_bound_needs_the_higher_fraction_of_the_whole() public {
        Trader memory rich = openAccount("rich", 100_005 * DOLLARS);
        Trader memory poor = openAccount("poor", 100_005 * DOLLARS - 1);
        Trader memory maker = openAccount("maker", 1e15);
        settleInbox();
        assertRefused(batchOf(trade(poor, maker, btc, 20_001, 50_000)), shortfall(poor, -1));
        exchange(rich, maker, btc, 20_001, 50_000);
        assertEq(initialHealthOf(rich), 0);
        // 6 % of 1,000,050
        assertEq(maintenanceHealthOf(rich), 40_002 * DOLLAR);
    }

    function test_every_tier_begins_above_the_bound_of_the_last() public {
        Trader memory long = openAccount("long", 1e15);
        Trader memory short = openAccount("short", 1e15);
        settleInbox();
        exchange(long, short, btc, 100_000, 50_000);
        assertRequirements(long, 500_000e6, 300_000e6); // 10 and 6 % of 5,000,000 dollars
        exchange(long, short, btc, 1, 50_000);
        assertRequirements(long, 1_000_010e6, 600_006e6); // 20 and 12 % of 5,000,050
        exchange(long, short, btc, 299_999, 50_000);
        assertRequirements(long, 4_000_000e6, 2_400_000e6); // 20 and 12 % of 20,000,000
        exchange(long, short, btc, 1, 50_000);
        assertRequirements(long, 8_000_020e6, 4_800_012e6); // 40 and 24 % of 20,000,050
        assertRequirements(short, 8_000_020e6, 4_800_012e6);
    }

    // ----------------------------------------------------------------- who may trade while unwell

    function test_a_reduce_only_order_may_not_open_grow_or_turn_a_position() public {
        assertRefused(
            batchOf(reducingSale(alice, bob, btc, 10, 50_000)),
            abi.encodeWithSelector(IRiskGroup.OnlyReducing.selector, alice.account, 1, int256(0), int256(-10))
        );
        exchange(alice, bob, btc, 100, 50_000);
        assertRefused(
            batchOf(reducingSale(alice, bob, btc, 101, 50_000)),
            abi.encodeWithSelector(IRiskGroup.OnlyReducing.selector, alice.account, 3, int256(100), int256(-1))
        );
        assertRefused(
            batchOf(reducingSale(bob, alice, btc, 1, 50_000)),
            abi.encodeWithSelector(IRiskGroup.OnlyReducing.selector, bob.account, 4, int256(-100), int256(-101))
        );
        settle(batchOf(reducingSale(alice, bob, btc, 100, 50_000)));
        assertEq(positionOf(alice, btc), 0);
    }

    /// @dev 2,000 lots at 46,500: equity 3,000 dollars, 4,650 to open, 2,790 to stay. With one lot more 4,652.325 to open.
    function test_below_initial_health_a_position_may_shrink_but_not_grow() public {
        exchange(alice, bob, btc, 2000, 50_000);
        reprice(btcFeed, 46_500);
        assertEq(initialHealthOf(alice), -1_650 * DOLLAR);
        assertEq(maintenanceHealthOf(alice), 210 * DOLLAR);
        assertRefused(batchOf(trade(alice, bob, btc, 1, 46_500)), shortfall(alice, -1_652_325_000));
        exchange(bob, alice, btc, 1, 46_500);
        assertEq(positionOf(alice, btc), 1999);
        // Down to where maintenance health is gone it may even give up value: 2.79 · 1900 = 2,651.1 + 348.9 given up
        // would be all of it, at 43,000.
        exchange(bob, alice, btc, 99, 44_000);
        assertEq(usdOf(alice), 3_000 * DOLLAR - 247_500_000);
    }

    /// @dev At 46,000: equity 2,000 dollars, 2,760 to stay, so health is −760. A lot needs 1.38 dollars to stay.
    function test_below_maintenance_a_trade_may_make_health_no_worse() public {
        exchange(alice, bob, btc, 2000, 50_000);
        reprice(btcFeed, 46_000);
        assertEq(maintenanceHealthOf(alice), -760 * DOLLAR);
        // 100 lots less need 138 dollars less: at 44,620 they cost as much, at 44,619 ten cents more.
        assertRefused(batchOf(trade(bob, alice, btc, 100, 44_619)), shortfall(alice, -760_100_000));
        exchange(bob, alice, btc, 100, 44_620);
        assertEq(maintenanceHealthOf(alice), -760 * DOLLAR);
        exchange(bob, alice, btc, 100, 46_000);
        assertEq(maintenanceHealthOf(alice), -622 * DOLLAR);
    }

    /// @dev Selling 2,100 would leave it short 100 lots with all the money that initial health wants; it has 2,000 dollars.
    function test_below_maintenance_a_position_may_turn_only_into_a_healthy_one() public {
        exchange(alice, bob, btc, 2000, 50_000);
        reprice(btcFeed, 46_000);
        exchange(bob, alice, btc, 2100, 46_000);
        assertEq(positionOf(alice, btc), -100);
        // 2,000 − 5 % of 4,600
        assertEq(initialHealthOf(alice), 1_770 * DOLLAR);
        // Back to long 900 would need 2,070 dollars.
        assertRefused(batchOf(trade(alice, bob, btc, 1000, 46_000)), shortfall(alice, -70 * DOLLAR));
    }

    // ----------------------------------------------------------------- caps

    function test_a_position_stays_within_its_cap_on_both_sides() public {
        setCaps(100, 0);
        exchange(alice, bob, btc, 100, 50_000);
        assertRefused(
            batchOf(trade(alice, carol, btc, 1, 50_000)),
            abi.encodeWithSelector(IRiskGroup.PositionAboveCap.selector, alice.account, btc, uint256(100), int256(101))
        );
        assertRefused(
            batchOf(trade(carol, bob, btc, 1, 50_000)),
            abi.encodeWithSelector(IRiskGroup.PositionAboveCap.selector, bob.account, btc, uint256(100), int256(-101))
        );
    }

    function test_a_position_above_a_new_cap_may_shrink() public {
        exchange(alice, bob, btc, 100, 50_000);
        setCaps(50, 50);
        exchange(bob, alice, btc, 10, 50_000);
        assertEq(positionOf(alice, btc), 90);
        assertEq(openInterestOf(btc), 90);
    }

    function test_open_interest_is_the_sum_of_long_lots() public {
        exchange(alice, bob, btc, 100, 50_000);
        assertEq(openInterestOf(btc), 100);
        exchange(carol, alice, btc, 40, 50_000); // passed on
        assertEq(openInterestOf(btc), 100);
        exchange(dave, alice, btc, 100, 50_000); // alice turns from 60 long to 40 short
        assertEq(openInterestOf(btc), 140);
        exchange(bob, dave, btc, 70, 50_000); // both reduce
        assertEq(openInterestOf(btc), 70);
        exchange(alice, carol, btc, 40, 50_000);
        exchange(bob, dave, btc, 30, 50_000);
        assertEq(openInterestOf(btc), 0);
    }

    function test_open_interest_stays_within_its_cap() public {
        setCaps(0, 150);
        exchange(alice, bob, btc, 100, 50_000);
        assertRefused(
            batchOf(trade(carol, dave, btc, 51, 50_000)),
            abi.encodeWithSelector(IRiskGroup.OpenInterestAboveCap.selector, btc, uint256(150), uint256(151))
        );
        exchange(carol, dave, btc, 50, 50_000);
        // At the cap positions may still change hands.
        exchange(dave, alice, btc, 100, 50_000);
        assertEq(openInterestOf(btc), 100);
    }

    /// @dev A market whose lots are next to worthless: 50,000 billionths of an atom each, traded at an atom.
    function test_positions_and_open_interest_stay_within_their_words() public {
        PerpetualConfig memory config = perpetualConfig("DUST");
        (config.terms.quantum, config.feed.unit) = (1, 1);
        (MarketId dust, FeedId dustFeed) = listPerpetual(config);
        Trader memory a = openAccount("a", 1e20);
        Trader memory b = openAccount("b", 1e20);
        Trader memory c = openAccount("c", 1e20);
        Trader memory d = openAccount("d", 1e20);
        settlePrice(dustFeed, 50_000);
        uint64 most = uint64(type(int64).max);
        exchange(a, b, dust, most, 1);
        assertRefused(
            batchOf(trade(a, c, dust, 1, 1)),
            abi.encodeWithSelector(IRiskGroup.PositionOutOfRange.selector, a.account, dust, int256(1) << 63)
        );
        exchange(c, b, dust, 1, 1); // the lowest int64 is a size
        assertRefused(
            batchOf(trade(d, b, dust, 1, 1)),
            abi.encodeWithSelector(IRiskGroup.PositionOutOfRange.selector, b.account, dust, -(int256(1) << 63) - 1)
        );
        exchange(c, d, dust, most - 1, 1);
        assertEq(openInterestOf(dust), type(uint64).max - 1);
        assertRefused(
            batchOf(trade(alice, bob, dust, 2, 1)),
            abi.encodeWithSelector(IRiskGroup.OpenInterestOutOfRange.selector, dust, int256(1) << 64)
        );
    }

    // ----------------------------------------------------------------- what an account may hold

    function test_some_markets_are_for_isolated_accounts_only() public {
        PerpetualConfig memory config = perpetualConfig("NEW");
        config.terms.isolatedOnly = true;
        (MarketId where, FeedId feed) = listPerpetual(config);
        settlePrice(feed, 50_000);
        (Trader memory a, Trader memory b) = (isolatedOf(alice, where), isolatedOf(bob, where));
        Trader memory elsewhere = isolatedOf(alice, btc);
        settle(batchOf(transfer(alice, a.account, 1_000 * DOLLARS)));
        settle(batchOf(transfer(alice, elsewhere.account, 1_000 * DOLLARS)));
        settle(batchOf(transfer(bob, b.account, 1_000 * DOLLARS)));
        assertRefused(
            batchOf(trade(alice, b, where, 10, 50_000)),
            abi.encodeWithSelector(IRiskGroup.OnlyReducing.selector, alice.account, 3, int256(0), int256(10))
        );
        assertRefused(
            batchOf(trade(elsewhere, b, where, 10, 50_000)),
            abi.encodeWithSelector(IRiskGroup.OnlyReducing.selector, elsewhere.account, 1, int256(0), int256(10))
        );
        exchange(a, b, where, 10, 50_000);
        assertEq(positionOf(a, where), 10);
        assertEq(positionOf(alice, where), 0);
    }

    function test_whoever_holds_a_market_that_became_isolated_may_leave() public {
        exchange(alice, bob, btc, 10, 50_000);
        PerpetualConfig memory config = perpetualConfig("BTC");
        config.terms.isolatedOnly = true;
        setPerpetual(btc, config);
        settleInbox();
        exchange(bob, alice, btc, 4, 50_000);
        assertEq(positionOf(alice, btc), 6);
        assertRefused(
            batchOf(trade(alice, bob, btc, 1, 50_000)),
            abi.encodeWithSelector(IRiskGroup.OnlyReducing.selector, alice.account, 3, int256(6), int256(7))
        );
    }

    function test_an_account_holds_only_so_many_perpetuals() public {
        GroupTerms memory terms = groupTerms();
        terms.maxHoldings = 2;
        setTerms(terms);
        (MarketId eth, FeedId ethFeed) = listPerpetual("ETH");
        (MarketId sol, FeedId solFeed) = listPerpetual("SOL");
        Batch memory batch = inboxBatch();
        addPrice(batch, ethFeed, 2000);
        addPrice(batch, solFeed, 100);
        settle(batch);
        exchange(alice, bob, btc, 1, 50_000);
        exchange(alice, carol, eth, 1, 2000);
        assertRefused(
            batchOf(trade(alice, dave, sol, 1, 100)),
            abi.encodeWithSelector(IRiskGroup.TooManyHoldings.selector, alice.account, uint256(2), uint256(3))
        );
        // In one batch with the end of another position it fits.
        settle(batchOf(trade(bob, alice, btc, 1, 50_000), trade(alice, dave, sol, 1, 100)));
        assertEq(heldBy(alice), 1 << FeedId.unwrap(ethFeed) | 1 << FeedId.unwrap(solFeed));
    }

    function test_what_is_closed_is_no_longer_held() public {
        exchange(alice, bob, btc, 10, 50_000);
        assertEq(heldBy(alice), 1 << FeedId.unwrap(btcFeed));
        exchange(bob, alice, btc, 10, 50_000);
        assertEq(heldBy(alice), 0);
        assertEq(heldBy(bob), 0);
        // Nor what was opened and closed in one batch.
        MarketFills memory both = trade(carol, dave, btc, 10, 50_000);
        MarketFills memory back = trade(dave, carol, btc, 10, 50_000);
        settle(batchOf(joined(both, back)));
        assertEq(heldBy(carol), 0);
    }

    // ----------------------------------------------------------------- delisting

    /// @dev Alice is 2 dollars a lot ahead at the last price.
    function test_a_delisted_perpetual_pays_its_last_price() public {
        exchange(alice, bob, btc, 100, 50_000);
        reprice(btcFeed, 52_000);
        setPhase(btc, Phase.Delisted);
        settleInbox();
        assertRefused(
            batchOf(trade(alice, bob, btc, 1, 52_000)), abi.encodeWithSelector(IRiskGroup.MarketNotOpen.selector, btc)
        );
        pass(1 days / 2);
        settle(batchOf(Redemption(alice.account, btc)));
        settle(batchOf(Redemption(bob.account, btc)));
        assertEq(cashOf(alice), 10_200 * DOLLAR);
        assertEq(cashOf(bob), 9_800 * DOLLAR);
        assertEq(openInterestOf(btc), 0);
        assertEq(heldBy(alice), 0);
        assertRefused(
            batchOf(Redemption(alice.account, btc)),
            abi.encodeWithSelector(IRiskGroup.NothingToRedeem.selector, alice.account, btc)
        );
    }

    function test_a_perpetual_that_trades_is_not_redeemed() public {
        exchange(alice, bob, btc, 100, 50_000);
        assertRefused(
            batchOf(Redemption(alice.account, btc)), abi.encodeWithSelector(IRiskGroup.MarketNotDelisted.selector, btc)
        );
    }

    // ----------------------------------------------------------------- words

    function setCaps(uint64 positionCap, uint64 openInterestCap) private {
        PerpetualConfig memory config = perpetualConfig("BTC");
        config.terms.positionCap = Lots.wrap(positionCap);
        config.terms.openInterestCap = Lots.wrap(openInterestCap);
        setPerpetual(btc, config);
        settleInbox();
    }

    function assertRequirements(Trader memory trader, uint256 initial, uint256 maintenance) private view {
        IGroupViews.HealthView memory health = views.health(trader.account);
        assertEq(health.initialRequirement, initial);
        assertEq(health.maintenanceRequirement, maintenance);
    }
}
