// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {Batch, FeedId, MarketId, PerpetualConfig, Rescue} from "../../contracts/group/Types.sol";
import {PerpetualTest} from "./PerpetualTest.sol";

/// @notice When keepers do not come, the insurance fund takes positions at the bankruptcy price.
/// @dev Alice is long 2,000 lots from 50,000 with 10,000 dollars: at 45,000 nothing is left, wherever the index stands.
contract InsuranceTest is PerpetualTest {
    function setUp() public override {
        super.setUp();
        exchange(alice, bob, btc, 2000, 50_000);
        fundInsurance(5_000 * DOLLARS);
    }

    // ----------------------------------------------------------------- the flag and the grace

    function test_only_failing_accounts_are_flagged() public {
        assertRefused(
            batchOf(flag(alice)), abi.encodeWithSelector(IRiskGroup.NotFailing.selector, alice.account, int256(7_000e6))
        );
        reprice(btcFeed, 46_000);
        vm.expectEmit(address(group));
        emit IRiskGroup.Flagged(alice.account, nowMs());
        settleRescue(flag(alice));
        assertEq(views.flaggedAt(alice.account), nowMs());
    }

    function test_a_flag_lives_for_a_minute() public {
        reprice(btcFeed, 46_000);
        settleRescue(flag(alice));
        uint64 since = nowMs();
        passFreshly(60, 46_000);
        assertRefused(
            batchOf(flag(alice)), abi.encodeWithSelector(IRiskGroup.AlreadyFlagged.selector, alice.account, since)
        );
        Batch memory batch = batchOf(takeover(alice, btc));
        batch.time += 1;
        assertRefused(batch, keepersHaveTime(since, batch.time));
        batch = batchOf(flag(alice));
        batch.time += 1;
        settle(batch);
        assertEq(views.flaggedAt(alice.account), since + 60_001);
    }

    function test_keepers_have_their_time() public {
        reprice(btcFeed, 46_000);
        assertRefused(batchOf(takeover(alice, btc)), keepersHaveTime(0, nowMs()));
        settleRescue(flag(alice));
        uint64 since = nowMs();
        pass(10);
        Batch memory batch = batchOf(takeover(alice, btc));
        batch.time -= 1;
        assertRefused(batch, keepersHaveTime(since, batch.time));
        settleRescue(takeover(alice, btc));
        assertEq(positionOf(alice, btc), 0);
    }

    function test_who_recovered_within_the_grace_is_left_alone() public {
        reprice(btcFeed, 46_000);
        exhaustGrace(alice, 46_400);
        assertRefused(
            batchOf(takeover(alice, btc)),
            abi.encodeWithSelector(IRiskGroup.NotFailing.selector, alice.account, int256(16e6))
        );
    }

    // ----------------------------------------------------------------- the bankruptcy price, to the atom

    /// @dev Worth 92,000, with 2,000 of equity: 90,000 are received.
    function test_one_position_with_equity_left_leaves_nothing() public {
        reprice(btcFeed, 46_000);
        exhaustGrace(alice, 46_000);
        vm.expectEmit(address(group));
        emit IRiskGroup.TakenOver(alice.account, btc, 2000, 90_000 * DOLLAR);
        settleRescue(takeover(alice, btc));
        assertEq(cashOf(alice), 0);
        assertEq(heldBy(alice), 0);
        assertEq(positionOf(fund, btc), 2000);
        assertEq(cashOf(INSURANCE), 5_000 * DOLLAR - 90_000 * DOLLAR);
        assertEq(usdOf(fund), 7_000 * DOLLAR);
        assertEq(views.feed(btcFeed).loss, 0);
        assertEq(openInterestOf(btc), 2000);
    }

    /// @dev Worth 89,800 at 44,900, with 200 dollars missing: the fund pays 90,000 and has lost 200.
    function test_one_position_with_equity_missing_leaves_nothing() public {
        reprice(btcFeed, 44_900);
        exhaustGrace(alice, 44_900);
        settleRescue(takeover(alice, btc));
        assertEq(cashOf(alice), 0);
        assertEq(usdOf(fund), 4_800 * DOLLAR);
        assertEq(views.feed(btcFeed).loss, 200e6);
    }

    function test_a_short_position_leaves_nothing() public {
        fundInsurance(2_000 * DOLLARS);
        reprice(btcFeed, 55_500);
        exhaustGrace(bob, 55_500);
        vm.expectEmit(address(group));
        // Worth −111,000 with 1,000 missing.
        emit IRiskGroup.TakenOver(bob.account, btc, -2000, -110_000 * DOLLAR);
        settleRescue(takeover(bob, btc));
        assertEq(cashOf(bob), 0);
        assertEq(usdOf(fund), 6_000 * DOLLAR);
        assertEq(views.feed(btcFeed).loss, 1_000e6);
    }

    /// @dev Dave: long 1,000 lots of bitcoin, short 10,000 of ether, long 100,000 of sol. At 43,000, 2,100 and 98 dollars
    /// 1,800 of his 10,000 are left; requirements are 1,290 + 630 + 294 = 2,214. Of the equity bitcoin takes
    /// ⌈1,800 · 1,290 / 2,214⌉ = 1,048.780488, of what is left ether ⌈751.219512 · 630 / 924⌉ = 512.195122, sol the rest.
    function test_three_positions_with_equity_left_leave_nothing() public {
        (MarketId eth, MarketId sol) = openThree();
        priceThree(43_000, 2_100, 98);
        assertEq(maintenanceHealthOf(dave), -414 * DOLLAR);
        settleRescue(flag(dave));
        pass(10);
        settle(takeThree(eth, sol));
        assertEq(cashOf(dave), 0);
        assertEq(heldBy(dave), 0);
        // The fund paid 41,951.219512 and 9,560.975610, and was paid 21,512.195122.
        assertEq(cashOf(INSURANCE), 5_000e6 - 41_951_219_512 + 21_512_195_122 - 9_560_975_610);
        assertEq(usdOf(fund), 6_800 * DOLLAR);
        assertEq(views.feed(btcFeed).loss, 0);
    }

    /// @dev At 41,000 dollars 200 are missing: ⌈−200 · 1,230 / 2,154⌉ = −114.206128 are bitcoin's, ⌈−85.793872 · 630 / 924⌉ =
    /// −58.495821 ether's, and −27.298051 are sol's.
    function test_three_positions_with_equity_missing_leave_nothing() public {
        (MarketId eth, MarketId sol) = openThree();
        priceThree(41_000, 2_100, 98);
        settleRescue(flag(dave));
        pass(10);
        settle(takeThree(eth, sol));
        assertEq(cashOf(dave), 0);
        assertEq(usdOf(fund), 4_800 * DOLLAR);
        assertEq(views.feed(btcFeed).loss, 114_206_128);
        assertEq(views.feed(FeedId.wrap(2)).loss, 58_495_821);
        assertEq(views.feed(FeedId.wrap(3)).loss, 27_298_051);
    }

    // ----------------------------------------------------------------- what the fund can carry

    function test_the_fund_loses_no_more_on_a_market_than_its_cap() public {
        capLoss(199_999_999);
        reprice(btcFeed, 44_900);
        exhaustGrace(alice, 44_900);
        assertRefused(
            batchOf(takeover(alice, btc)),
            abi.encodeWithSelector(IRiskGroup.FundCannotCarry.selector, btc, int256(2000), int256(200e6))
        );
        capLoss(200e6);
        settleRescue(takeover(alice, btc));
        assertEq(views.feed(btcFeed).loss, 200e6);
    }

    function test_losses_add_up_to_the_cap() public {
        exchange(carol, bob, btc, 1900, 50_000);
        exchange(dave, bob, btc, 100, 50_000);
        fundInsurance(5_000 * DOLLARS);
        capLoss(700e6);
        // Alice is 400 short, Carol has 120 left and 2,545.2 to keep; Dave is well.
        reprice(btcFeed, 44_800);
        settleRescue(flag(alice));
        settleRescue(flag(carol));
        passFreshly(10, 44_700);
        // Alice is 600 short now; Carol 70: 1,900 · 5.3 dollars of 10,000.
        settleRescue(takeover(alice, btc));
        assertEq(views.feed(btcFeed).loss, 600e6);
        settleRescue(takeover(carol, btc));
        assertEq(views.feed(btcFeed).loss, 670e6);
    }

    /// @dev To open 2,000 lots at 46,000 takes 4,600 dollars; the fund brings its own and Alice's 2,000 of equity.
    function test_the_fund_takes_only_what_its_margin_carries() public {
        settle(batchOf(withdrawal(fund, 2_400 * DOLLARS + 1)));
        reprice(btcFeed, 46_000);
        exhaustGrace(alice, 46_000);
        assertRefused(
            batchOf(takeover(alice, btc)),
            abi.encodeWithSelector(IRiskGroup.FundCannotCarry.selector, btc, int256(2000), int256(-2_000e6))
        );
        fundInsurance(1);
        settleRescue(takeover(alice, btc));
        assertEq(initialHealthOf(fund), 0);
    }

    function test_the_fund_takes_nothing_at_an_old_price_and_nothing_that_is_not_there() public {
        reprice(btcFeed, 46_000);
        settleRescue(flag(alice));
        pass(60);
        Batch memory batch = batchOf(takeover(alice, btc));
        batch.time += 1;
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.FeedNotPriced.selector, btcFeed));
        assertRefused(
            batchOf(takeover(dave, btc)),
            abi.encodeWithSelector(IRiskGroup.NothingToLiquidate.selector, dave.account, btc)
        );
        MarketId outcome = market(openEvent(2), 0);
        settleInbox();
        assertRefused(
            batchOf(takeover(alice, outcome)), abi.encodeWithSelector(IRiskGroup.NotPerpetual.selector, outcome)
        );
    }

    function test_the_funds_positions_are_liquidated_like_anybodys() public {
        reprice(btcFeed, 46_000);
        exhaustGrace(alice, 46_000);
        settleRescue(takeover(alice, btc));
        // 7,000 dollars of equity at 46,000 are 1,000 at 43,000, where 2,000 lots need 2,580.
        reprice(btcFeed, 43_000);
        settleRescue(liquidation(carol, liquidateMessage(carol, fund, btc, 2000)));
        // 1,000 − 4,300 + (2.15 − 0.43) k ≥ 0 from 1,919 lots on; then half of the penalty of 825.17 dollars comes back.
        assertEq(positionOf(fund, btc), 81);
        assertEq(usdOf(fund), 1_000 * DOLLAR - 825_170_000 + 412_585_000);
    }

    // ----------------------------------------------------------------- words

    function keepersHaveTime(uint64 since, uint64 time) private view returns (bytes memory) {
        return abi.encodeWithSelector(IRiskGroup.KeepersHaveTime.selector, alice.account, since, 10_000, time);
    }

    function capLoss(uint96 cap) private {
        PerpetualConfig memory config = perpetualConfig("BTC");
        config.lossCap = cap;
        setPerpetual(btc, config);
        settleInbox();
    }

    function openThree() private returns (MarketId eth, MarketId sol) {
        FeedId feed;
        (eth, feed) = listPerpetual("ETH");
        settlePrice(feed, 2000);
        (sol, feed) = listPerpetual("SOL");
        settlePrice(feed, 100);
        exchange(dave, carol, btc, 1000, 50_000);
        exchange(carol, dave, eth, 10_000, 2000);
        exchange(dave, carol, sol, 100_000, 100);
    }

    function priceThree(uint256 bitcoin, uint256 ether_, uint256 sol) private {
        pass(1);
        Batch memory batch = nextBatch();
        addPrice(batch, btcFeed, bitcoin);
        addPrice(batch, FeedId.wrap(2), ether_);
        addPrice(batch, FeedId.wrap(3), sol);
        settle(batch);
    }

    function takeThree(MarketId eth, MarketId sol) private view returns (Batch memory batch) {
        batch = nextBatch();
        batch.rescues = new Rescue[](3);
        batch.rescues[0] = takeover(dave, btc);
        batch.rescues[1] = takeover(dave, eth);
        batch.rescues[2] = takeover(dave, sol);
    }
}
