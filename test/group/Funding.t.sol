// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {Batch, FeedId, MarketId, Phase} from "../../contracts/group/Types.sol";
import {PerpetualTest} from "./PerpetualTest.sol";

/// @notice Funding: longs pay shorts what the index says, rounded down, within a cap per hour.
/// @dev The cap is 1 % an hour: of 50,000,000 atoms times 1e9 in 36 seconds 5e12, which is 5,000 atoms a lot.
contract FundingTest is PerpetualTest {
    // ----------------------------------------------------------------- payments

    function test_longs_pay_and_shorts_receive_when_the_index_rises() public {
        exchange(alice, bob, btc, 100, 50_000);
        moveFunding(36, 5e12);
        assertEq(usdOf(alice), 10_000 * DOLLAR - 500_000);
        assertEq(usdOf(bob), 10_000 * DOLLAR + 500_000);
    }

    function test_shorts_pay_and_longs_receive_when_the_index_falls() public {
        exchange(alice, bob, btc, 100, 50_000);
        moveFunding(36, -5e12);
        assertEq(usdOf(alice), 10_000 * DOLLAR + 500_000);
        assertEq(usdOf(bob), 10_000 * DOLLAR - 500_000);
    }

    function test_a_position_pays_only_for_the_time_that_it_was_open() public {
        moveFunding(36, 5e12);
        exchange(alice, bob, btc, 100, 50_000);
        moveFunding(36, 7e12);
        // 2e12 · 100 lots
        assertEq(usdOf(alice), 10_000 * DOLLAR - 200_000);
        exchange(bob, alice, btc, 100, 50_000);
        moveFunding(36, 12e12);
        assertEq(cashOf(alice), 10_000 * DOLLAR - 200_000);
        assertEq(cashOf(bob), 10_000 * DOLLAR + 200_000);
    }

    /// @dev 3 lots · 1 billionth of an atom: who pays, pays an atom; who receives, receives nothing.
    function test_payments_round_down() public {
        exchange(alice, bob, btc, 3, 50_000);
        moveFunding(36, 1);
        assertEq(usdOf(alice), 10_000 * DOLLAR - 1);
        assertEq(usdOf(bob), 10_000 * DOLLAR);
        moveFunding(36, -1);
        assertEq(usdOf(alice), 10_000 * DOLLAR);
        assertEq(usdOf(bob), 10_000 * DOLLAR - 1);
    }

    function test_a_trade_pays_what_health_already_counted() public {
        exchange(alice, bob, btc, 100, 50_000);
        moveFunding(36, 5e12);
        assertEq(cashOf(alice), 5_000 * DOLLAR);
        assertEq(initialHealthOf(alice), 9_750 * DOLLAR - 500_000);
        exchange(alice, bob, btc, 1, 50_000);
        // 5,000 dollars less 50 for the lot, less half a dollar
        assertEq(cashOf(alice), 4_949_500_000);
        assertEq(usdOf(alice), 10_000 * DOLLAR - 500_000);
        (,, int256 paidUpTo) = views.holding(alice.account, btcFeed);
        assertEq(paidUpTo, 5e12);
    }

    /// @dev At 46,000 health is −760 dollars, and −769.2 with 4.6e12 of funding for 2,000 lots.
    function test_funding_that_is_due_makes_no_trade_look_worse() public {
        exchange(alice, bob, btc, 2000, 50_000);
        pass(36);
        Batch memory batch = nextBatch();
        addPrice(batch, btcFeed, 46_000);
        addFunding(batch, btcFeed, 4.6e12);
        settle(batch);
        assertEq(maintenanceHealthOf(alice), -769_200_000);
        assertRefused(batchOf(trade(bob, alice, btc, 100, 44_619)), shortfall(alice, -769_300_000));
        exchange(bob, alice, btc, 100, 44_620);
        assertEq(maintenanceHealthOf(alice), -769_200_000);
    }

    function test_funding_alone_can_make_an_account_fail() public {
        exchange(alice, bob, btc, 2000, 50_000);
        reprice(btcFeed, 46_400);
        // equity 2,800, requirement 2,784
        assertEq(maintenanceHealthOf(alice), 16 * DOLLAR);
        // 100 seconds at 1 % of 92,800 dollars an hour are 25.78 dollars; 16.000001 are enough.
        pass(100);
        Batch memory batch = nextBatch();
        addPrice(batch, btcFeed, 46_400);
        addFunding(batch, btcFeed, 8_000_000_000_001);
        settle(batch);
        assertEq(maintenanceHealthOf(alice), -1);
        settleRescue(flag(alice));
        assertEq(views.flaggedAt(alice.account), nowMs());
    }

    // ----------------------------------------------------------------- lazily is as good as eagerly

    function test_paying_once_is_paying_every_time() public {
        exchange(alice, bob, btc, 100, 50_000);
        exchange(carol, bob, btc, 100, 50_000);
        for (int128 i = 1; i <= 5; ++i) {
            moveFunding(36, i * 3e12);
            // Carol's position is touched each time and comes back.
            exchange(carol, dave, btc, 10, 50_000);
            exchange(dave, carol, btc, 10, 50_000);
        }
        // 15e12 · 100 lots
        assertEq(usdOf(alice), 10_000 * DOLLAR - 1_500_000);
        assertEq(cashOf(carol), 5_000 * DOLLAR - 1_500_000);
        assertEq(usdOf(bob), 10_000 * DOLLAR + 3_000_000);
    }

    /// @dev The price is a whole number of atoms, so nothing but funding rounds.
    function testFuzz_payments_take_from_holders_less_than_an_atom_each(uint16 a, uint16 b, int64 index) public {
        (uint64 first, uint64 second) = (uint64(bound(a, 1, 700)), uint64(bound(b, 1, 700)));
        exchange(alice, bob, btc, first, 50_000);
        exchange(carol, bob, btc, second, 50_000);
        moveFunding(36, int128(bound(index, -5e12, 5e12)));
        int256 sum = usdOf(alice) + usdOf(bob) + usdOf(carol) - 30_000 * DOLLAR;
        assertLe(sum, 0);
        assertGt(sum, -3);
    }

    /// @dev Paying in parts rounds more often, always against the account.
    function testFuzz_paying_in_parts_is_never_cheaper(int64 first, int64 second, uint16 lots) public {
        exchange(alice, bob, btc, uint64(bound(lots, 2, 1400)), 50_000);
        exchange(carol, bob, btc, uint64(bound(lots, 2, 1400)), 50_000);
        int128 middle = int128(bound(first, -5e12, 5e12));
        moveFunding(36, middle);
        exchange(carol, dave, btc, 1, 50_000);
        exchange(dave, carol, btc, 1, 50_000);
        moveFunding(36, middle + int128(bound(second, -5e12, 5e12)));
        assertLe(usdOf(carol), usdOf(alice));
        assertGe(usdOf(carol), usdOf(alice) - 1);
    }

    // ----------------------------------------------------------------- the cap

    function test_the_index_moves_no_faster_than_the_cap() public {
        pass(36);
        assertFundingRefused(5e12 + 1, 5e12 + 1, 5e12);
        assertFundingRefused(-5e12 - 1, 5e12 + 1, 5e12);
        fundNow(5e12);
        // The time is used up: nothing more in this millisecond.
        assertFundingRefused(5e12 + 1, 1, 0);
        // A second later 1 % · 5e16 / 3600 more, rounded down: 138,888,888,888.
        pass(1);
        assertFundingRefused(5e12 + 138_888_888_889, 138_888_888_889, 138_888_888_888);
        fundNow(5e12 + 138_888_888_888);
        assertEq(views.feed(btcFeed).fundingIndex, 5_138_888_888_888);
    }

    function test_the_cap_is_of_the_price_of_the_frame() public {
        pass(36);
        Batch memory batch = nextBatch();
        addPrice(batch, btcFeed, 60_000);
        addFunding(batch, btcFeed, 6e12 + 1);
        assertRefused(
            batch,
            abi.encodeWithSelector(IRiskGroup.FundingAboveCap.selector, btcFeed, uint256(6e12 + 1), uint256(6e12))
        );
        batch.funding[0].index = 6e12;
        settle(batch);
    }

    /// @dev Ten hours later the index may move by 1 % of the price, not by ten: nobody who opens then pays for the silence.
    function test_a_silence_is_no_credit_beyond_the_hour() public {
        pass(10 hours);
        assertFundingRefused(5e14 + 1, 5e14 + 1, 5e14);
        fundNow(5e14);
        pass(36);
        assertFundingRefused(5e14 + 5e12 + 1, 5e12 + 1, 5e12);
    }

    function test_a_market_without_a_price_has_no_funding() public {
        (, FeedId feed) = listPerpetual("NEW");
        settleInbox();
        pass(3600);
        Batch memory batch = nextBatch();
        addFunding(batch, feed, 1);
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.FundingAboveCap.selector, feed, uint256(1), uint256(0)));
    }

    // ----------------------------------------------------------------- which feeds

    function test_feeds_of_funding_stand_in_ascending_order() public {
        (, FeedId eth) = listPerpetual("ETH");
        settlePrice(eth, 2000);
        pass(36);
        Batch memory batch = nextBatch();
        addFunding(batch, eth, 1);
        addFunding(batch, btcFeed, 1);
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.FeedsNotAscending.selector, eth, btcFeed));
        batch.funding[1].feed = eth;
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.FeedsNotAscending.selector, eth, eth));
        (batch.funding[0].feed, batch.funding[1].feed) = (btcFeed, eth);
        settle(batch);
        assertEq(views.feed(eth).fundingIndex, 1);
    }

    function test_assets_and_unknown_feeds_have_no_funding() public {
        (, FeedId asset) = addAsset("ETH");
        settlePrice(asset, 2000);
        pass(36);
        Batch memory batch = nextBatch();
        addFunding(batch, asset, 1);
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.FeedNotPriced.selector, asset));
        batch.funding[0].feed = FeedId.wrap(9);
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.FeedNotPriced.selector, FeedId.wrap(9)));
    }

    function test_a_delisted_perpetual_has_no_more_funding() public {
        exchange(alice, bob, btc, 100, 50_000);
        setPhase(btc, Phase.Delisted);
        settleInbox();
        pass(36);
        Batch memory batch = nextBatch();
        addFunding(batch, btcFeed, 1);
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.FeedNotPriced.selector, btcFeed));
    }

    // ----------------------------------------------------------------- words

    /// @dev After some seconds the index stands there; the price is fresh.
    function moveFunding(uint256 secondsLong, int128 index) private {
        pass(secondsLong);
        Batch memory batch = nextBatch();
        addPrice(batch, btcFeed, 50_000);
        addFunding(batch, btcFeed, index);
        settle(batch);
    }

    function fundNow(int128 index) private {
        Batch memory batch = nextBatch();
        addFunding(batch, btcFeed, index);
        settle(batch);
    }

    function assertFundingRefused(int128 index, uint256 move, uint256 cap) private {
        Batch memory batch = nextBatch();
        addFunding(batch, btcFeed, index);
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.FundingAboveCap.selector, btcFeed, move, cap));
    }
}
