// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGateway} from "../../contracts/group/IGateway.sol";
import {IGroupViews} from "../../contracts/group/IGroupViews.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {
    AssetConfig,
    Batch,
    FeedId,
    GroupTerms,
    InboxKind,
    MarketFills,
    MarketId
} from "../../contracts/group/Types.sol";
import {MoodyToken} from "./MoodyToken.sol";
import {PerpetualTest} from "./PerpetualTest.sol";
import {TestToken} from "./TestToken.sol";

/// @notice Assets: traded on spot markets, counted as collateral at their weights, never negative, paid out in kind.
/// @dev Ether costs 2000 dollars and a lot of its market is a thousandth: 2 dollars. It counts 80 % to open, 90 % to stay.
contract SpotTest is PerpetualTest {
    TestToken private eth;
    FeedId private ethFeed;
    MarketId private spot;
    /// @dev Has 5 ether and no dollars.
    Trader private erin;

    function setUp() public override {
        super.setUp();
        (eth, ethFeed) = addAsset("ETH");
        spot = listSpot(ethFeed);
        deposit(alice.owner, alice.account, address(eth), 5e18);
        (erin.owner, erin.key) = makeAddrAndKey("erin");
        erin.account = deposit(erin.owner, NEW_ACCOUNT, address(eth), 5e18);
        settlePrice(ethFeed, 2000);
    }

    // ----------------------------------------------------------------- trades

    function test_spot_moves_lots_of_the_asset_against_cash() public {
        exchange(bob, alice, spot, 1000, 2010);
        assertEq(balanceOf(bob, ethFeed), 1e18);
        assertEq(balanceOf(alice, ethFeed), 4e18);
        assertEq(cashOf(bob), 7_990 * DOLLAR);
        assertEq(cashOf(alice), 12_010 * DOLLAR);
        exchange(alice, bob, spot, 1000, 2000);
        assertEq(balanceOf(bob, ethFeed), 0);
        assertEq(heldBy(bob), 0);
        assertEq(cashOf(bob), 9_990 * DOLLAR);
        assertEq(openInterestOf(spot), 0);
    }

    function test_spot_fees_are_paid_in_cash() public {
        Batch memory batch = batchOf(trade(bob, alice, spot, 1000, 2000));
        // 0.1 % of 2000 dollars
        batch.markets[0].fills[0].fee = 2_000_000;
        settle(batch);
        assertEq(cashOf(bob), 7_998 * DOLLAR);
        assertEq(balanceOf(bob, ethFeed), 1e18);
        assertEq(cashOf(treasury), 2 * DOLLAR + 1);
    }

    function test_nobody_sells_more_than_it_has() public {
        bytes memory refusal = abi.encodeWithSelector(IRiskGroup.AssetOverdrawn.selector, alice.account, ethFeed);
        assertRefused(batchOf(trade(bob, alice, spot, 5001, 1)), refusal);
        exchange(bob, alice, spot, 5000, 1);
        assertEq(heldBy(alice), 0);
    }

    /// @dev Dave's sale to Bob stands before the purchase from Alice that covers it.
    function test_only_the_net_of_a_batch_must_be_covered() public {
        MarketFills memory sale = trade(bob, dave, spot, 1000, 2001);
        MarketFills memory purchase = trade(dave, alice, spot, 1000, 2000);
        settle(batchOf(joined(sale, purchase)));
        assertEq(balanceOf(dave, ethFeed), 0);
        assertEq(cashOf(dave), 10_001 * DOLLAR);
        sale = trade(bob, dave, spot, 1000, 2001);
        purchase = trade(dave, alice, spot, 999, 2000);
        assertRefused(
            batchOf(joined(sale, purchase)),
            abi.encodeWithSelector(IRiskGroup.AssetOverdrawn.selector, dave.account, ethFeed)
        );
    }

    // ----------------------------------------------------------------- collateral

    function test_assets_count_at_their_weights() public view {
        IGroupViews.HealthView memory health = views.health(alice.account);
        assertEq(health.usd, 10_000 * DOLLAR);
        assertEq(health.initialEquity, 18_000 * DOLLAR);
        assertEq(health.maintenanceEquity, 19_000 * DOLLAR);
    }

    /// @dev 8,000 dollars carry 3,200 lots of bitcoin at 5 %; the next one needs 2.5 dollars.
    function test_collateral_carries_a_perpetual_to_the_lot() public {
        assertRefused(batchOf(trade(erin, bob, btc, 3201, 50_000)), shortfall(erin, -2_500_000));
        exchange(erin, bob, btc, 3200, 50_000);
        assertEq(initialHealthOf(erin), 0);
        // 9,000 less 3 % of 160,000
        assertEq(maintenanceHealthOf(erin), 4_200 * DOLLAR);
    }

    /// @dev A satoshi-like token of 8 decimals at 50,000 dollars, and one of 6 decimals at 2000, a lot a thousandth each.
    function test_deposits_are_counted_in_each_tokens_own_decimals() public {
        TestToken wbtc = new TestToken("WBTC", 8);
        TestToken gold = new TestToken("XAUT", 6);
        AssetConfig memory config = assetConfig(address(wbtc), "WBTC");
        config.lot = 1e5;
        FeedId wbtcFeed = addAsset(config);
        config = assetConfig(address(gold), "XAUT");
        config.lot = 1e3;
        FeedId goldFeed = addAsset(config);
        deposit(bob.owner, bob.account, address(wbtc), 12_345_678);
        deposit(carol.owner, carol.account, address(gold), 1_234_567);
        Batch memory batch = inboxBatch();
        addPrice(batch, wbtcFeed, 50_000);
        addPrice(batch, goldFeed, 2000);
        settle(batch);
        assertEq(balanceOf(bob, wbtcFeed), 12_345_678);
        // 0.12345678 · 50,000 = 6,172.839 dollars, 80 % and 90 % of it
        assertEq(views.health(bob.account).initialEquity, 10_000 * DOLLAR + 4_938_271_200);
        assertEq(views.health(bob.account).maintenanceEquity, 10_000 * DOLLAR + 5_555_555_100);
        // 1.234567 · 2000 = 2,469.134 dollars
        assertEq(views.health(carol.account).initialEquity, 10_000 * DOLLAR + 1_975_307_200);
        settle(batchOf(withdrawal(bob, address(wbtc), 12_345_678)));
        assertEq(wbtc.balanceOf(bob.owner), 12_345_678);
    }

    function test_an_assets_value_rounds_down() public {
        Trader memory poor;
        (poor.owner, poor.key) = makeAddrAndKey("poor");
        // 1.5e9 wei are worth 3 atoms; one wei less, 2. 80 % of 3 are 2.4, of 2 are 1.6.
        poor.account = deposit(poor.owner, NEW_ACCOUNT, address(eth), 1.5e9);
        settleInbox();
        assertEq(views.health(poor.account).initialEquity, 2);
        assertEq(views.health(poor.account).maintenanceEquity, 2);
        settle(batchOf(withdrawal(poor, address(eth), 1)));
        assertEq(views.health(poor.account).initialEquity, 1);
        assertEq(views.health(poor.account).maintenanceEquity, 1);
    }

    // ----------------------------------------------------------------- the cash rule

    /// @dev Bob pays 10,002 dollars and would hold ether worth as much, 8,001.6 to open; but he has 10,000.
    function test_nobody_buys_on_credit() public {
        deposit(carol.owner, carol.account, address(eth), 10e18);
        settleInbox();
        assertRefused(
            batchOf(trade(bob, carol, spot, 5001, 2000)),
            abi.encodeWithSelector(IRiskGroup.CashShortfall.selector, bob.account, -2 * DOLLAR)
        );
        exchange(bob, carol, spot, 5000, 2000);
        assertEq(cashOf(bob), 0);
    }

    function test_collateral_is_no_money_to_buy_with() public {
        assertRefused(
            batchOf(trade(erin, alice, spot, 1, 2000)),
            abi.encodeWithSelector(IRiskGroup.CashShortfall.selector, erin.account, -2 * DOLLAR)
        );
        assertRefused(
            batchOf(withdrawal(erin, 1)),
            abi.encodeWithSelector(IRiskGroup.CashShortfall.selector, erin.account, int256(-1))
        );
    }

    /// @dev 1000 lots lose 1000 dollars at 49,000.
    function test_a_perpetuals_loss_may_take_cash_below_zero_while_assets_back_it() public {
        exchange(erin, bob, btc, 1000, 50_000);
        reprice(btcFeed, 49_000);
        assertEq(usdOf(erin), -1_000 * DOLLAR);
        // −1,000 + 8,000 − 5 % of 49,000
        assertEq(initialHealthOf(erin), 4_550 * DOLLAR);
        exchange(erin, bob, btc, 100, 49_000);
        exchange(bob, erin, btc, 1100, 49_000);
        assertEq(cashOf(erin), -1_000 * DOLLAR);
        // It may sell and, while what it owes becomes no more, buy.
        assertRefused(
            batchOf(trade(erin, alice, spot, 1, 2000)),
            abi.encodeWithSelector(IRiskGroup.CashShortfall.selector, erin.account, -1_002 * DOLLAR)
        );
        settle(batchOf(joined(trade(erin, alice, spot, 100, 2000), trade(bob, erin, spot, 100, 2000))));
        assertEq(cashOf(erin), -1_000 * DOLLAR);
        exchange(bob, erin, spot, 500, 2000);
        assertEq(cashOf(erin), 0);
    }

    // ----------------------------------------------------------------- deposits

    function test_a_group_takes_in_no_more_of_an_asset_than_its_cap() public {
        AssetConfig memory config = assetConfig(address(eth), "ETH");
        config.cap = 11e18;
        addAsset(config);
        settleInbox();
        eth.mint(bob.owner, 2e18);
        vm.startPrank(bob.owner);
        eth.approve(address(gateway), 2e18);
        vm.expectRevert(
            abi.encodeWithSelector(
                IGateway.DepositCapReached.selector, address(eth), uint256(11e18), uint256(11e18 + 1)
            )
        );
        gateway.deposit(bob.account, bob.owner, address(eth), 1e18 + 1);
        gateway.deposit(bob.account, bob.owner, address(eth), 1e18);
        vm.stopPrank();
        noteQueued(InboxKind.Deposit, abi.encode(bob.account, bob.owner, address(eth), uint128(1e18)));
        settleInbox();
        assertEq(balanceOf(bob, ethFeed), 1e18);
    }

    function test_what_arrives_of_a_token_with_a_fee_is_what_is_credited() public {
        MoodyToken moody = new MoodyToken();
        AssetConfig memory config = assetConfig(address(moody), "MOODY");
        config.lot = 1e3;
        FeedId feed = addAsset(config);
        settlePrice(feed, 1);
        moody.setMood(MoodyToken.Mood.TakesAFee);
        moody.mint(bob.owner, 1000);
        vm.startPrank(bob.owner);
        moody.approve(address(gateway), 1000);
        gateway.deposit(bob.account, bob.owner, address(moody), 1000);
        vm.stopPrank();
        noteQueued(InboxKind.Deposit, abi.encode(bob.account, bob.owner, address(moody), uint128(900)));
        settleInbox();
        assertEq(balanceOf(bob, feed), 900);
        assertEq(moody.balanceOf(address(group)), 900);
        assertEq(views.principal(bob.account, feed), 900);
    }

    function test_only_an_owner_puts_assets_into_its_account() public {
        eth.mint(bob.owner, 1);
        vm.startPrank(bob.owner);
        eth.approve(address(gateway), 1);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NotOwner.selector, alice.account, bob.owner, alice.owner));
        gateway.deposit(alice.account, alice.owner, address(eth), 1);
        vm.stopPrank();
    }

    function test_a_deposit_that_an_account_has_no_room_for_waits_to_be_claimed() public {
        (TestToken gold, FeedId goldFeed) = addAsset("XAUT");
        GroupTerms memory terms = groupTerms();
        terms.maxHoldings = 1;
        setTerms(terms);
        deposit(alice.owner, alice.account, address(gold), 3e18);
        deposit(alice.owner, alice.account, address(eth), 1e18);
        settleInbox();
        assertEq(balanceOf(alice, goldFeed), 0);
        assertEq(balanceOf(alice, ethFeed), 6e18);
        assertEq(views.claimable(alice.owner, address(gold)), 3e18);
        vm.prank(alice.owner);
        group.claim(address(gold), alice.owner);
        assertEq(gold.balanceOf(alice.owner), 3e18);
        // The account is as able to act as before.
        exchange(alice, erin, spot, 1, 2000);
        assertEq(balanceOf(alice, ethFeed), 6.001e18);
    }

    // ----------------------------------------------------------------- withdrawals

    /// @dev 2,500 dollars must stay for 1000 lots: 3,125 dollars' worth of ether, 1.5625.
    function test_an_asset_leaves_as_far_as_initial_health_allows() public {
        exchange(erin, bob, btc, 1000, 50_000);
        assertRefused(batchOf(withdrawal(erin, address(eth), 3.4375e18 + 1)), shortfall(erin, -1));
        settle(batchOf(withdrawal(erin, address(eth), 3.4375e18)));
        assertEq(eth.balanceOf(erin.owner), 3.4375e18);
        assertEq(initialHealthOf(erin), 0);
        assertEq(views.principal(erin.account, ethFeed), 1.5625e18);
    }

    function test_nobody_withdraws_more_of_an_asset_than_it_has() public {
        assertRefused(
            batchOf(withdrawal(erin, address(eth), 5e18 + 1)),
            abi.encodeWithSelector(IRiskGroup.AssetOverdrawn.selector, erin.account, ethFeed)
        );
        assertRefused(
            batchOf(withdrawal(erin, makeAddr("unknown"), 1)),
            abi.encodeWithSelector(IRiskGroup.UnknownToken.selector, makeAddr("unknown"), address(token))
        );
    }

    /// @dev Two atoms are kept for what rounding takes: 2,500.000002 / 0.8 dollars' worth, 1.56250000125 ether.
    function test_a_forced_withdrawal_pays_what_the_account_can_spare() public {
        exchange(erin, bob, btc, 1000, 50_000);
        requestWithdrawal(erin, address(eth), 5e18);
        settleInbox();
        assertEq(balanceOf(erin, ethFeed), 1.56250000125e18);
        assertEq(eth.balanceOf(erin.owner), 3.43749999875e18);
        assertEq(initialHealthOf(erin), 1);
    }

    function test_a_forced_withdrawal_pays_no_more_than_was_asked_or_is_there() public {
        requestWithdrawal(alice, address(eth), 1e18);
        settleInbox();
        assertEq(eth.balanceOf(alice.owner), 1e18);
        requestWithdrawal(alice, address(eth), 100e18);
        settleInbox();
        assertEq(eth.balanceOf(alice.owner), 5e18);
        assertEq(heldBy(alice), 0);
        // Nothing is left, and asking again stops nothing.
        requestWithdrawal(alice, address(eth), 1);
        settleInbox();
        assertEq(eth.balanceOf(alice.owner), 5e18);
    }

    /// @dev The ether carries the position, so all of the cash may go, and not an atom more.
    function test_a_forced_withdrawal_of_cash_counts_assets_but_takes_no_loan() public {
        exchange(alice, bob, btc, 1000, 50_000);
        requestWithdrawal(alice, 20_000 * DOLLARS);
        settleInbox();
        assertEq(token.balanceOf(alice.owner), 10_000 * DOLLARS);
        assertEq(usdOf(alice), 0);
        // 8,000 − 2,500
        assertEq(initialHealthOf(alice), 5_500 * DOLLAR);
    }

    function test_assets_move_between_the_accounts_of_one_owner() public {
        Trader memory isolated = isolatedOf(alice, btc);
        settle(batchOf(transfer(alice, address(0), isolated.account, address(eth), 2e18)));
        assertEq(balanceOf(alice, ethFeed), 3e18);
        assertEq(balanceOf(isolated, ethFeed), 2e18);
        exchange(isolated, bob, btc, 10, 50_000);
        assertEq(initialHealthOf(isolated), 3_200 * DOLLAR - 25 * DOLLAR);
    }
}
