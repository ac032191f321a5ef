// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {
    AccountId,
    Batch,
    BuilderId,
    EventConfig,
    Fill,
    MarketFills,
    MarketId,
    Order,
    Side,
    VenueConfig
} from "../../contracts/group/Types.sol";
import {GroupTest} from "./GroupTest.sol";

/// @notice Who is paid for a trade, how much at most, and that no atom is made or lost on the way.
/// @dev Every trade here is of 100 lots at 500: 500,000 atoms a side.
contract FeesTest is GroupTest {
    Trader internal alice;
    Trader internal bob;
    Trader internal wallet;
    MarketId internal first;

    function setUp() public override {
        super.setUp();
        alice = openAccount("alice", 1_000_000_000);
        bob = openAccount("bob", 1_000_000_000);
        wallet = openAccount("wallet", 1);
        first = market(openEvent(3), 0);
        settleInbox();
    }

    // ----------------------------------------------------------------- builders

    function test_a_builder_is_paid_the_fee_that_the_order_names() public {
        registerBuilder(wallet);
        settleInbox();
        assertEq(AccountId.unwrap(views.builder(BuilderId.wrap(1))), AccountId.unwrap(wallet.account));
        settle(batchOf(built(100, 500, 200)));
        assertEq(cashOf(wallet), 1 + 100);
        assertEq(cashOf(alice), 1_000_000_000 - 500_000 - 100);
        assertEq(cashOf(treasury), 1);
    }

    /// @dev 3 · 333 · 10 atoms at 0.03 % is 2.997.
    function test_a_builders_fee_is_rounded_down() public {
        registerBuilder(wallet);
        settleInbox();
        settle(batchOf(built(3, 333, 300)));
        assertEq(cashOf(wallet), 1 + 2);
        assertEq(cashOf(alice), 1_000_000_000 - 9990 - 2);
    }

    function test_a_builder_that_does_not_exist_is_refused() public {
        registerBuilder(wallet);
        for (uint32 fee = 0; fee < 2; ++fee) {
            Batch memory batch = batchOf(built(100, 500, fee));
            Order memory signed = batch.markets[0].fills[0].order;
            // Registered, but no batch has consumed it yet.
            assertRefused(
                batch, abi.encodeWithSelector(IRiskGroup.NoSuchBuilder.selector, alice.account, signed.nonce, 1)
            );
        }
    }

    function test_a_fee_for_no_builder_is_nobodys() public {
        Order memory signed = order(alice, first, Side.Buy, 100, 500);
        signed.builderFee = 500;
        settle(batchOf(fills(first, fill(alice, signed), sell(100, 500))));
        assertEq(cashOf(alice), 1_000_000_000 - 500_000);
    }

    /// @dev At most 0.1 % of 500,000 in all.
    function test_the_fee_that_a_trader_allows_includes_the_builders() public {
        registerBuilder(wallet);
        settleInbox();
        Batch memory batch = batchOf(built(100, 500, 400));
        Fill memory line = batch.markets[0].fills[0];
        line.fee = 301;
        assertRefused(batch, feeAbove(line, 500, 501));
        line.fee = 300;
        settle(batch);
        assertEq(cashOf(wallet), 1 + 200);
        assertEq(cashOf(treasury), 1 + 300);
    }

    function test_a_builders_fee_alone_is_at_most_what_the_trader_allows() public {
        registerBuilder(wallet);
        settleInbox();
        Batch memory batch = batchOf(built(100, 500, 1002));
        assertRefused(batch, feeAbove(batch.markets[0].fills[0], 500, 501));
        // What the fee exceeds the rate by rounds away.
        settle(batchOf(built(100, 500, 1001)));
        assertEq(cashOf(wallet), 1 + 500);
    }

    function test_a_rebate_makes_no_room_for_a_larger_builders_fee() public {
        first = rebating(1000, -500);
        registerBuilder(wallet);
        settleInbox();
        Batch memory batch = batchOf(built(100, 500, 1002));
        batch.markets[0].fills[0].fee = -250;
        batch.markets[0].fills[1].fee = 500;
        assertRefused(batch, feeAbove(batch.markets[0].fills[0], 500, 501));
    }

    function test_a_builder_may_build_its_own_orders() public {
        registerBuilder(alice);
        settleInbox();
        settle(batchOf(built(100, 500, 1000)));
        assertEq(cashOf(alice), 1_000_000_000 - 500_000);
    }

    // ----------------------------------------------------------------- referrers

    /// @dev A third of 123 and of 500 atoms, each rounded down.
    function test_a_referrer_gets_its_share_of_every_fee_of_the_accounts_it_referred() public {
        refer(333_333);
        Batch memory batch = batchOf(trade(alice, bob, first, 100, 500));
        (batch.markets[0].fills[0].fee, batch.markets[0].fills[1].fee) = (123, 500);
        settle(batch);
        assertEq(cashOf(wallet), 1 + 40);
        assertEq(cashOf(treasury), 1 + 623 - 40);
    }

    function test_a_referrer_without_a_share_gets_nothing() public {
        refer(0);
        Batch memory batch = batchOf(trade(alice, bob, first, 100, 500));
        batch.markets[0].fills[0].fee = 500;
        settle(batch);
        assertEq(cashOf(wallet), 1);
        assertEq(cashOf(treasury), 501);
    }

    function test_a_referrer_pays_no_part_of_a_rebate() public {
        first = rebating(1000, -500);
        refer(500_000);
        Batch memory batch = batchOf(trade(alice, bob, first, 100, 500));
        (batch.markets[0].fills[0].fee, batch.markets[0].fills[1].fee) = (-250, 250);
        settle(batch);
        assertEq(cashOf(wallet), 1);
        assertEq(cashOf(alice), 1_000_000_000 - 500_000 + 250);
    }

    /// @dev The share is the referrer's before rebates are paid out of what is left.
    function test_rebates_are_paid_from_what_referrers_leave() public {
        first = rebating(1000, -500);
        refer(500_000);
        Batch memory batch = batchOf(trade(alice, bob, first, 100, 500));
        (batch.markets[0].fills[0].fee, batch.markets[0].fills[1].fee) = (400, -201);
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.RebatesAboveFees.selector, first, int256(-1)));
        batch.markets[0].fills[1].fee = -200;
        settle(batch);
        assertEq(cashOf(wallet), 1 + 200);
        assertEq(cashOf(treasury), 1);
    }

    // ----------------------------------------------------------------- the venue's shares

    /// @dev 10.01 %, 20.02 % and the rest of 501.
    function test_a_venues_fees_are_shared_out_whole() public {
        VenueConfig memory config = venueConfig();
        (config.protocolShare, config.insuranceShare) = (100_100, 200_200);
        setVenue(config);
        settleInbox();
        Batch memory batch = batchOf(trade(alice, bob, first, 100, 500));
        (batch.markets[0].fills[0].fee, batch.markets[0].fills[1].fee) = (500, 1);
        settle(batch);
        assertEq(cashOf(PROTOCOL), 50);
        assertEq(cashOf(INSURANCE), 100);
        assertEq(cashOf(treasury), 1 + 351);
    }

    function test_shares_are_of_what_the_referrer_leaves() public {
        VenueConfig memory config = venueConfig();
        (config.protocolShare, config.insuranceShare, config.referrerShare) = (500_000, 250_000, 200_000);
        setVenue(config);
        BuilderId referrer = registerBuilder(wallet);
        setReferrer(alice, referrer);
        settleInbox();
        Batch memory batch = batchOf(trade(alice, bob, first, 100, 500));
        batch.markets[0].fills[0].fee = 500;
        settle(batch);
        assertEq(cashOf(wallet), 1 + 100);
        assertEq(cashOf(PROTOCOL), 200);
        assertEq(cashOf(INSURANCE), 100);
        assertEq(cashOf(treasury), 1 + 100);
    }

    function test_shares_change_with_the_batch_that_consumes_the_change() public {
        VenueConfig memory config = venueConfig();
        config.protocolShare = 1_000_000;
        setVenue(config);
        Batch memory batch = batchOf(trade(alice, bob, first, 100, 500));
        batch.markets[0].fills[0].fee = 500;
        settle(batch);
        assertEq(cashOf(treasury), 501);
        batch = batchOf(trade(alice, bob, first, 100, 500));
        batch.markets[0].fills[0].fee = 500;
        batch.inbox = takeInbox();
        settle(batch);
        assertEq(cashOf(treasury), 501);
        assertEq(cashOf(PROTOCOL), 500);
    }

    function testFuzz_no_atom_is_made_or_lost(uint24[3] memory shares, uint32 builderFee, uint256 fee, uint256 rebate)
        public
    {
        first = rebating(1000, -900);
        VenueConfig memory config = venueConfig();
        config.protocolShare = uint24(bound(shares[0], 0, 1_000_000));
        config.insuranceShare = uint24(bound(shares[1], 0, 1_000_000 - config.protocolShare));
        config.referrerShare = uint24(bound(shares[2], 0, 1_000_000 - config.protocolShare - config.insuranceShare));
        setVenue(config);
        setReferrer(alice, registerBuilder(wallet));
        settleInbox();
        builderFee = uint32(bound(builderFee, 0, 500));
        Batch memory batch = batchOf(built(97, 313, builderFee));
        uint256 value = 97 * 313 * 10;
        uint256 most = (value * 1000 + 999_999) / 1_000_000 - value * builderFee / 1_000_000;
        fee = bound(fee, 0, most);
        uint256 left = fee - fee * config.referrerShare / 1_000_000;
        rebate = bound(rebate, 0, left < value * 900 / 1_000_000 ? left : value * 900 / 1_000_000);
        batch.markets[0].fills[0].fee = int128(int256(fee));
        batch.markets[0].fills[1].fee = -int128(int256(rebate));
        settle(batch);
        int256 sum = cashOf(alice) + cashOf(bob) + cashOf(wallet) + cashOf(treasury);
        assertEq(sum + cashOf(PROTOCOL) + cashOf(INSURANCE), 2_000_000_002);
        assertGe(cashOf(treasury), 1);
    }

    // ----------------------------------------------------------------- rebates

    function test_a_maker_gets_its_rebate_from_the_takers_fee() public {
        first = rebating(1000, -300);
        Batch memory batch = batchOf(trade(alice, bob, first, 100, 500));
        (batch.markets[0].fills[0].fee, batch.markets[0].fills[1].fee) = (500, -150);
        settle(batch);
        assertEq(cashOf(bob), 1_000_000_000 + 500_000 + 150);
        assertEq(cashOf(treasury), 1 + 350);
    }

    /// @dev 3 · 333 · 10 atoms at 0.05 % is 4.995.
    function test_a_rebate_is_at_most_the_floor_of_the_venues_rate() public {
        first = rebating(1000, -500);
        Batch memory batch = batchOf(trade(alice, bob, first, 3, 333));
        (batch.markets[0].fills[0].fee, batch.markets[0].fills[1].fee) = (10, -5);
        assertRefused(batch, rebateAbove(batch.markets[0].fills[1], 4));
        batch.markets[0].fills[1].fee = -4;
        settle(batch);
    }

    function test_a_venue_without_rebates_pays_none() public {
        Batch memory batch = batchOf(trade(alice, bob, first, 100, 500));
        (batch.markets[0].fills[0].fee, batch.markets[0].fills[1].fee) = (500, -1);
        assertRefused(batch, rebateAbove(batch.markets[0].fills[1], 0));
    }

    function test_the_lowest_fee_there_is_is_no_way_around_the_limit() public {
        Batch memory batch = batchOf(trade(alice, bob, first, 100, 500));
        batch.markets[0].fills[1].fee = type(int128).min;
        assertRefused(batch, rebateAbove(batch.markets[0].fills[1], 0));
    }

    function test_a_markets_rebates_are_covered_by_its_own_fees() public {
        first = rebating(1000, -1000);
        MarketId second = market(openEvent(2), 0);
        settleInbox();
        MarketFills memory a = trade(alice, bob, first, 100, 500);
        MarketFills memory b = trade(alice, bob, second, 100, 500);
        (a.fills[0].fee, a.fills[1].fee, b.fills[0].fee) = (499, -500, 500);
        bytes memory refusal = abi.encodeWithSelector(IRiskGroup.RebatesAboveFees.selector, first, int256(-1));
        // Markets ascend: the rebating one was opened first.
        assertRefused(batchOf(a, b), refusal);
        a.fills[0].fee = 500;
        settle(batchOf(a, b));
        assertEq(cashOf(treasury), 501);
    }

    function test_a_trader_who_allows_no_fee_may_get_a_rebate() public {
        first = rebating(1000, -500);
        Order memory quote = order(alice, first, Side.Buy, 100, 500);
        quote.maxFee = 0;
        Batch memory batch = batchOf(fills(first, fill(alice, quote), sell(100, 500)));
        (batch.markets[0].fills[0].fee, batch.markets[0].fills[1].fee) = (-250, 500);
        settle(batch);
        assertEq(cashOf(alice), 1_000_000_000 - 500_000 + 250);
    }

    // ----------------------------------------------------------------- the curve

    /// @dev 100 lots at 0.500 are 500,000 atoms, of which the curve leaves half: 250 at 0.1 %. At 0.900 it leaves a tenth of
    /// 900,000: 90. At 0.100 nine tenths of 100,000: 90 as well.
    function test_on_the_curve_a_fee_is_on_price_times_its_complement() public {
        first = curved();
        uint64[3] memory prices = [uint64(500), 900, 100];
        int128[3] memory most = [int128(250), 90, 90];
        for (uint256 i = 0; i < 3; ++i) {
            Batch memory batch = batchOf(trade(alice, bob, first, 100, prices[i]));
            Fill memory line = batch.markets[0].fills[0];
            line.fee = most[i] + 1;
            assertRefused(batch, feeAbove(line, uint128(most[i]), most[i] + 1));
            line.fee = most[i];
            settle(batch);
        }
    }

    /// @dev 3 · 371 · 10 · 0.629 is 7000.77, rounded up 7001; 0.1 % of it rounded up is 8.
    function test_the_curve_rounds_up_twice() public {
        first = curved();
        Batch memory batch = batchOf(trade(alice, bob, first, 3, 371));
        Fill memory line = batch.markets[0].fills[0];
        line.fee = 9;
        assertRefused(batch, feeAbove(line, 8, 9));
        line.fee = 8;
        settle(batch);
    }

    /// @dev What the engine charges: each trade its own curve. Together they stay below the curve of their average price.
    function testFuzz_trades_at_several_prices_never_pay_more_than_their_average(
        uint64[3] memory sizes,
        uint64[3] memory prices
    ) public {
        first = curved();
        uint256 due;
        uint64 size;
        uint128 notional;
        for (uint256 i = 0; i < 3; ++i) {
            sizes[i] = uint64(bound(sizes[i], 1, 10_000));
            prices[i] = uint64(bound(prices[i], 1, TICKS - 1));
            size += sizes[i];
            notional += uint128(sizes[i]) * prices[i];
            // Lots · ticks · the complement's ticks · 10 atoms / 1000 · 0.1 %.
            due += uint256(sizes[i]) * prices[i] * (TICKS - prices[i]);
        }
        due /= 100_000;
        Fill memory bought = fill(alice, order(alice, first, Side.Buy, size, TICKS - 1), size, 1);
        Fill memory sold = fill(bob, order(bob, first, Side.Sell, size, 1), size, 1);
        raise(bought, int256(uint256(notional - size)));
        raise(sold, int256(uint256(notional - size)));
        Batch memory batch = batchOf(fills(first, bought, sold));
        batch.markets[0].fills[0].fee = int128(int256(due));
        settle(batch);
    }

    /// @dev Half of 500,000 at 0.05 %.
    function test_on_the_curve_a_rebate_is_on_price_times_its_complement() public {
        EventConfig memory config = eventConfig(2);
        (config.terms.curve, config.terms.makerFee) = (true, -500);
        first = market(openEvent(config), 0);
        settleInbox();
        Batch memory batch = batchOf(trade(alice, bob, first, 100, 500));
        (batch.markets[0].fills[0].fee, batch.markets[0].fills[1].fee) = (250, -126);
        assertRefused(batch, rebateAbove(batch.markets[0].fills[1], 125));
        batch.markets[0].fills[1].fee = -125;
        settle(batch);
    }

    function test_a_trader_bounds_a_curved_fee_by_value() public {
        first = curved();
        Order memory thrifty = order(alice, first, Side.Buy, 100, 500);
        thrifty.maxFee = 400;
        Batch memory batch = batchOf(fills(first, fill(alice, thrifty), sell(100, 500)));
        batch.markets[0].fills[0].fee = 201;
        assertRefused(batch, feeAbove(batch.markets[0].fills[0], 200, 201));
        batch.markets[0].fills[0].fee = 200;
        settle(batch);
    }

    // ----------------------------------------------------------------- words

    /// @dev Alice buys through builder 1, Bob sells.
    function built(uint64 size, uint64 price, uint32 builderFee) private returns (MarketFills memory) {
        Order memory signed = order(alice, first, Side.Buy, size, price);
        (signed.builder, signed.builderFee) = (BuilderId.wrap(1), builderFee);
        return fills(first, fill(alice, signed), sell(size, price));
    }

    function sell(uint64 size, uint64 price) private returns (Fill memory) {
        return fill(bob, order(bob, first, Side.Sell, size, price));
    }

    function refer(uint24 share) private {
        VenueConfig memory config = venueConfig();
        config.referrerShare = share;
        setVenue(config);
        BuilderId referrer = registerBuilder(wallet);
        setReferrer(alice, referrer);
        settleInbox();
        assertEq(BuilderId.unwrap(views.account(alice.account).referrer), BuilderId.unwrap(referrer));
    }

    function rebating(uint24 takerFee, int24 makerFee) private returns (MarketId where) {
        EventConfig memory config = eventConfig(2);
        (config.terms.takerFee, config.terms.makerFee) = (takerFee, makerFee);
        where = market(openEvent(config), 0);
        settleInbox();
    }

    function curved() private returns (MarketId where) {
        EventConfig memory config = eventConfig(2);
        config.terms.curve = true;
        where = market(openEvent(config), 0);
        settleInbox();
    }

    function feeAbove(Fill memory bad, uint256 limit, int256 fee) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRiskGroup.FeeAboveLimit.selector, bad.order.account, bad.order.nonce, limit, fee);
    }

    function rebateAbove(Fill memory bad, uint256 limit) private pure returns (bytes memory) {
        return abi.encodeWithSelector(
            IRiskGroup.RebateAboveLimit.selector, bad.order.account, bad.order.nonce, limit, int256(bad.fee)
        );
    }
}
