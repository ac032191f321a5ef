// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IPriceSource} from "../../contracts/oracle/IPriceSource.sol";
import {IGroupViews} from "../../contracts/group/IGroupViews.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {Batch, FeedId, MarketId, PerpetualConfig, Phase, VenueId} from "../../contracts/group/Types.sol";
import {PerpetualTest} from "./PerpetualTest.sol";
import {TestToken} from "./TestToken.sol";

/// @notice Index prices: which ones a batch may bring, what a price that breaks a rule does, and what an old one allows.
/// @dev A dollar of bitcoin's price is 1e12: a thousand atoms a lot, times 1e9. Here it may move 1 % a second.
contract PricesTest is PerpetualTest {
    uint256 private constant UNIT = 1e12;

    function setUp() public override {
        super.setUp();
        PerpetualConfig memory config = perpetualConfig("BTC");
        (config.feed.maxMove, config.feed.maxGap) = (10_000, 10_000);
        setPerpetual(btc, config);
        settleInbox();
    }

    // ----------------------------------------------------------------- which prices a batch may bring

    function test_feeds_stand_in_ascending_order() public {
        (, FeedId eth) = listPerpetual("ETH");
        Batch memory batch = inboxBatch();
        addPrice(batch, btcFeed, 50_000);
        addPrice(batch, eth, 2000);
        (batch.prices[0], batch.prices[1]) = (batch.prices[1], batch.prices[0]);
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.FeedsNotAscending.selector, eth, btcFeed));
        batch.prices[1] = batch.prices[0];
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.FeedsNotAscending.selector, eth, eth));
        batch.prices[0].feed = FeedId.wrap(0);
        assertRefused(
            batch, abi.encodeWithSelector(IRiskGroup.FeedsNotAscending.selector, FeedId.wrap(0), FeedId.wrap(0))
        );
    }

    function test_an_unknown_feed_has_no_price() public {
        Batch memory batch = nextBatch();
        addPrice(batch, btcFeed, 50_000);
        batch.prices[0].feed = FeedId.wrap(77);
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.FeedNotPriced.selector, FeedId.wrap(77)));
    }

    function test_a_delisted_perpetual_takes_no_price() public {
        setPhase(btc, Phase.Delisted);
        settleInbox();
        Batch memory batch = nextBatch();
        addPrice(batch, btcFeed, 50_000);
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.FeedNotPriced.selector, btcFeed));
        // Nor does new terms' source revive it.
        changeTerms(perpetualConfig("BTC"));
        batch = nextBatch();
        addPrice(batch, btcFeed, 50_000);
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.FeedNotPriced.selector, btcFeed));
    }

    function test_a_price_is_not_from_after_the_frame() public {
        Batch memory batch = nextBatch();
        addPriceAt(batch, btcFeed, 50_000e18, batch.time + 1);
        assertRefused(
            batch,
            abi.encodeWithSelector(
                IRiskGroup.PriceTimeOutOfRange.selector, btcFeed, batch.time + 1, batch.time, batch.time
            )
        );
    }

    function test_a_price_is_not_from_before_the_last_one() public {
        uint64 last = nowMs();
        pass(5);
        Batch memory batch = nextBatch();
        addPriceAt(batch, btcFeed, 50_000e18, last - 1);
        assertRefused(
            batch, abi.encodeWithSelector(IRiskGroup.PriceTimeOutOfRange.selector, btcFeed, last - 1, last, batch.time)
        );
        // The last one may come again.
        batch = nextBatch();
        addPriceAt(batch, btcFeed, 50_000e18, last);
        settle(batch);
        assertEq(views.feed(btcFeed).time, last);
        assertEq(views.incidents(), 0);
    }

    function test_a_price_without_proof_stops_the_batch_with_its_sources_reason() public {
        Batch memory batch = nextBatch();
        addPrice(batch, btcFeed, 50_000);
        batch.time += 1;
        assertRefused(
            batch,
            abi.encodeWithSelector(IPriceSource.PriceNotProven.selector, bytes32("BTC"), batch.time, bytes32("unset"))
        );
    }

    function test_a_price_is_neither_nothing_nor_beyond_what_can_be_counted() public {
        pass(1);
        Batch memory batch = nextBatch();
        addPriceAt(batch, btcFeed, 999_999, batch.time);
        uint256 most = 2 ** 120 - 1;
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.PriceOutOfBounds.selector, btcFeed, uint256(0), most));
        batch = nextBatch();
        addPriceAt(batch, btcFeed, 2 ** 120 * 1e6, batch.time);
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.PriceOutOfBounds.selector, btcFeed, most + 1, most));
    }

    /// @dev 50,000 dollars and 1,999,999 attodollars: a unit of the index is 1e6 attodollars.
    function test_a_price_rounds_down() public {
        pass(1);
        Batch memory batch = nextBatch();
        addPriceAt(batch, btcFeed, 50_000e18 + 1_999_999, batch.time);
        settle(batch);
        assertEq(views.feed(btcFeed).price, 50_000 * UNIT + 1);
    }

    // ----------------------------------------------------------------- prices that break a rule

    function test_the_first_price_may_be_anything() public {
        (, FeedId feed) = listPerpetual("NEW");
        settlePrice(feed, 123);
        assertEq(views.feed(feed).price, 123 * UNIT);
        assertEq(views.incidents(), 0);
    }

    function test_a_move_up_to_the_bound_is_clean() public {
        pass(2);
        settlePrice(btcFeed, 51_000);
        assertFeed(51_000, false);
        pass(1);
        settlePrice(btcFeed, 50_490);
        assertFeed(50_490, false);
        assertEq(views.incidents(), 0);
    }

    function test_a_rise_beyond_the_bound_is_cut_and_recorded() public {
        pass(2);
        settleIncident(51_001, 0, IRiskGroup.IncidentKind.TooFar, 51_001 * UNIT, 51_000 * UNIT);
        assertFeed(51_000, true);
        assertEq(views.incidents(), 1);
    }

    function test_a_fall_beyond_the_bound_is_cut_and_recorded() public {
        pass(2);
        settleIncident(25_000, 0, IRiskGroup.IncidentKind.TooFar, 25_000 * UNIT, 49_000 * UNIT);
        assertFeed(49_000, true);
    }

    /// @dev Half a second, half a percent.
    function test_the_bound_grows_with_every_millisecond() public {
        Batch memory batch = nextBatch();
        batch.time += 500;
        addPriceAt(batch, btcFeed, 50_250e18, batch.time);
        settle(batch);
        assertFeed(50_250, false);
        batch = nextBatch();
        batch.time += 501;
        addPriceAt(batch, btcFeed, 60_000e18, batch.time);
        settle(batch);
        // 50,250 · 1 % / 1000
        assertEq(views.feed(btcFeed).price, 50_250 * UNIT + 502_500_000_000);
    }

    function test_a_price_published_at_the_same_moment_may_not_differ() public {
        uint64 last = nowMs();
        pass(1);
        Batch memory batch = nextBatch();
        addPriceAt(batch, btcFeed, 50_001e18, last);
        settle(batch);
        assertFeed(50_000, true);
        assertEq(views.incidents(), 1);
    }

    /// @dev A thousand seconds are more than the whole price.
    function test_a_fall_never_takes_a_price_to_nothing() public {
        pass(1000);
        Batch memory batch = nextBatch();
        addPriceAt(batch, btcFeed, 1e6, batch.time);
        settle(batch);
        assertEq(views.feed(btcFeed).price, 1);
    }

    function test_a_long_silence_is_recorded() public {
        pass(10);
        settlePrice(btcFeed, 50_000);
        assertFeed(50_000, false);
        pass(11);
        settleIncident(50_100, 0, IRiskGroup.IncidentKind.TooRare, 11_000, 10_000);
        assertFeed(50_100, true);
    }

    /// @dev A minute is the most that this feed's price may be old. It is on record once, however often it comes.
    function test_a_price_that_is_too_old_when_it_comes_is_recorded() public {
        uint64 published = nowMs() + 5000;
        pass(66);
        Batch memory batch = nextBatch();
        addPriceAt(batch, btcFeed, 50_100e18, published);
        bytes32 evidence = keccak256(batch.prices[0].proof);
        vm.expectEmit(address(group));
        emit IRiskGroup.Incident(0, VENUE, btcFeed, IRiskGroup.IncidentKind.TooOld, 61_000, 60_000, published, evidence);
        settle(batch);
        assertEq(views.incidents(), 1);
        assertFeed(50_100, false);
        pass(1);
        batch = nextBatch();
        addPriceAt(batch, btcFeed, 50_100e18, published);
        settle(batch);
        assertEq(views.incidents(), 1);
    }

    function test_one_price_can_break_both_rules() public {
        pass(11);
        settleIncident(60_000, 0, IRiskGroup.IncidentKind.TooRare, 11_000, 10_000);
        // 11 seconds, 11 %
        assertFeed(55_500, true);
        assertEq(views.incidents(), 2);
        assertEq(views.incident(1), recordOf(1, IRiskGroup.IncidentKind.TooFar, 60_000 * UNIT, 55_500 * UNIT));
    }

    function test_a_market_whose_price_broke_a_rule_only_reduces_until_a_clean_one() public {
        exchange(alice, bob, btc, 10, 50_000);
        reprice(btcFeed, 60_000);
        assertFeed(50_500, true);
        assertRefused(
            batchOf(trade(alice, bob, btc, 1, 50_500)),
            abi.encodeWithSelector(IRiskGroup.OnlyReducing.selector, alice.account, 2, int256(10), int256(11))
        );
        exchange(bob, alice, btc, 4, 50_500);
        assertEq(positionOf(alice, btc), 6);
        reprice(btcFeed, 50_600);
        assertFeed(50_600, false);
        exchange(alice, bob, btc, 1, 50_600);
        assertEq(positionOf(alice, btc), 7);
    }

    // ----------------------------------------------------------------- prices that are too old

    function test_a_market_whose_price_is_old_only_reduces() public {
        exchange(alice, bob, btc, 10, 50_000);
        pass(60);
        exchange(alice, bob, btc, 1, 50_000);
        Batch memory batch = batchOf(trade(carol, dave, btc, 1, 50_000));
        batch.time += 1;
        assertRefused(
            batch, abi.encodeWithSelector(IRiskGroup.OnlyReducing.selector, carol.account, 1, int256(0), int256(1))
        );
        batch = batchOf(trade(bob, alice, btc, 5, 50_000));
        batch.time += 1;
        settle(batch);
        assertEq(positionOf(alice, btc), 6);
    }

    function test_a_perpetual_that_never_had_a_price_takes_no_position() public {
        (MarketId where,) = listPerpetual("NEW");
        settleInbox();
        assertRefused(
            batchOf(trade(alice, bob, where, 1, 50_000)),
            abi.encodeWithSelector(IRiskGroup.OnlyReducing.selector, alice.account, 1, int256(0), int256(1))
        );
    }

    function test_holders_of_an_old_price_neither_grow_elsewhere_nor_withdraw() public {
        (MarketId eth, FeedId ethFeed) = listPerpetual("ETH");
        settlePrice(ethFeed, 2000);
        exchange(alice, bob, btc, 10, 50_000);
        exchange(alice, bob, eth, 10, 2000);
        pass(61);
        settlePrice(ethFeed, 2000);
        assertTrue(views.health(alice.account).blocked);
        bytes memory refusal = abi.encodeWithSelector(IRiskGroup.HoldsStalePrice.selector, alice.account);
        assertRefused(batchOf(trade(alice, carol, eth, 1, 2000)), refusal);
        assertRefused(batchOf(withdrawal(alice, 1)), refusal);
        assertRefused(batchOf(transfer(alice, isolatedOf(alice, eth).account, 1)), refusal);
        // Smaller is always possible, in both markets; and so is whatever others do.
        exchange(carol, alice, eth, 5, 2000);
        exchange(bob, alice, btc, 5, 50_000);
        assertEq(positionOf(alice, eth), 5);
        assertEq(positionOf(alice, btc), 5);
        // Whoever is out of the old market is free.
        exchange(bob, alice, btc, 5, 50_000);
        settle(batchOf(withdrawal(alice, 1)));
    }

    function test_a_forced_withdrawal_of_a_holder_of_an_old_price_pays_nothing() public {
        exchange(alice, bob, btc, 10, 50_000);
        requestWithdrawal(alice, 100 * DOLLARS);
        pass(61);
        settleInbox();
        assertEq(token.balanceOf(alice.owner), 0);
        assertEq(usdOf(alice), 10_000 * DOLLAR);
        requestWithdrawal(alice, 100 * DOLLARS);
        settlePrice(btcFeed, 50_000);
        // 61 seconds without a price broke a rule, too.
        assertEq(token.balanceOf(alice.owner), 0);
        requestWithdrawal(alice, 100 * DOLLARS);
        reprice(btcFeed, 50_000);
        assertEq(token.balanceOf(alice.owner), 100 * DOLLARS);
    }

    /// @dev 5 ETH are worth 10,000 dollars: 8,000 to open and 9,000 to stay; an old price only to stay.
    function test_an_asset_whose_price_is_old_counts_for_nothing_new() public {
        (TestToken eth, FeedId ethFeed) = addAsset("ETH");
        deposit(alice.owner, alice.account, address(eth), 5e18);
        settlePrice(ethFeed, 2000);
        assertEq(views.health(alice.account).initialEquity, 18_000 * DOLLAR);
        assertEq(views.health(alice.account).maintenanceEquity, 19_000 * DOLLAR);
        pass(9);
        settlePrice(btcFeed, 50_000);
        pass(52);
        Batch memory batch = nextBatch();
        addPriceAt(batch, btcFeed, 50_000e18, nowMs() - 50_000);
        settle(batch);
        IGroupViews.HealthView memory health = views.health(alice.account);
        assertEq(health.initialEquity, 10_000 * DOLLAR);
        assertEq(health.maintenanceEquity, 19_000 * DOLLAR);
        assertFalse(health.blocked);
        // 5 % of 4,000 lots are all that is left; 4,001 need 2.5 dollars more.
        assertRefused(batchOf(trade(alice, bob, btc, 4001, 50_000)), shortfall(alice, -2_500_000));
        assertRefused(batchOf(withdrawal(alice, 10_001 * DOLLARS)), shortfall(alice, -1 * DOLLAR));
    }

    function test_an_asset_that_never_had_a_price_counts_for_nothing() public {
        (TestToken eth,) = addAsset("ETH");
        deposit(alice.owner, alice.account, address(eth), 5e18);
        settleInbox();
        assertEq(views.health(alice.account).initialEquity, 10_000 * DOLLAR);
        assertEq(views.health(alice.account).maintenanceEquity, 10_000 * DOLLAR);
    }

    // ----------------------------------------------------------------- words

    function changeTerms(PerpetualConfig memory config) private {
        setPerpetual(btc, config);
        settleInbox();
    }

    function assertFeed(uint256 dollars, bool breached) private view {
        IGroupViews.FeedView memory feed = views.feed(btcFeed);
        assertEq(feed.price, dollars * UNIT);
        assertEq(feed.breached, breached);
    }

    /// @notice A batch whose price is an incident, which is told and kept.
    function settleIncident(uint256 dollars, uint64 number, IRiskGroup.IncidentKind kind, uint256 value, uint256 limit)
        private
    {
        Batch memory batch = nextBatch();
        addPrice(batch, btcFeed, dollars);
        bytes32 evidence = keccak256(batch.prices[0].proof);
        vm.expectEmit(address(group));
        emit IRiskGroup.Incident(number, VENUE, btcFeed, kind, value, limit, nowMs(), evidence);
        settle(batch);
        assertEq(views.incident(number), recordOf(number, kind, value, limit));
    }

    function recordOf(uint64 number, IRiskGroup.IncidentKind kind, uint256 value, uint256 limit)
        private
        view
        returns (bytes32)
    {
        bytes32 evidence = keccak256(abi.encode(bytes32("BTC"), nowMs()));
        return keccak256(
            abi.encode(number, VenueId.unwrap(VENUE), FeedId.unwrap(btcFeed), kind, value, limit, nowMs(), evidence)
        );
    }
}
