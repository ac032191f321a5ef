// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {
    AccountId,
    Batch,
    EventId,
    FeedId,
    MarketFills,
    MarketId,
    PerpetualConfig,
    Redemption
} from "../../contracts/group/Types.sol";
import {PerpetualTest} from "./PerpetualTest.sol";
import {TestToken} from "./TestToken.sol";

/// @notice Whole lives of a group, its books checked at every step; and attacks that other venues have known.
contract StoriesTest is PerpetualTest {
    TestToken private eth;
    FeedId private ethFeed;
    MarketId private spot;
    EventId private worldCup;
    MarketId private wins;
    Trader private erin;

    function setUp() public override {
        super.setUp();
        (eth, ethFeed) = addAsset("ETH");
        spot = listSpot(ethFeed);
        worldCup = openEvent(3);
        wins = market(worldCup, 0);
        settlePrice(ethFeed, 2000);
    }

    // ----------------------------------------------------------------- one long life

    function test_a_crash_from_the_first_deposit_to_the_last_withdrawal() public {
        // Erin brings 1,000 dollars and 5 ether; the fund has 3,000 dollars.
        erin = openAccount("erin", 1_000 * DOLLARS);
        deposit(erin.owner, erin.account, address(eth), 5e18);
        fundInsurance(3_000 * DOLLARS);
        checkBooks();

        // All kinds in one account: 40 dollars on an outcome, 50,000 of bitcoin, an ether sold for 2,000.
        Batch memory batch = nextBatch();
        batch.markets = new MarketFills[](3);
        batch.markets[0] = trade(erin, bob, btc, 1000, 50_000);
        batch.markets[1] = trade(carol, erin, spot, 1000, 2000);
        batch.markets[2] = trade(erin, carol, wins, 10_000, 400);
        settle(batch);
        exchange(alice, bob, btc, 2000, 50_000);
        assertEq(usdOf(erin), 2_960 * DOLLAR);
        // 80 % of 8,000 dollars of ether
        assertEq(views.health(erin.account).initialEquity, 9_360 * DOLLAR);
        checkBooks();

        // The crash: Erin has lost 6,500 of 2,960 dollars and has 4 ether at 1,200; Alice has lost 13,000 of 10,000.
        crash(43_500, 1200);
        assertEq(usdOf(erin), -3_540 * DOLLAR);
        assertEq(maintenanceHealthOf(erin), -3_540 * DOLLAR + 4_320 * DOLLAR - 1_305 * DOLLAR);
        assertEq(usdOf(alice), -3_000 * DOLLAR);
        checkBooks();

        // A keeper takes 300 lots for 1 % of 13,050 dollars; another buys ether for all that Erin owes.
        settleRescue(liquidation(dave, liquidateMessage(dave, erin, btc, 300)));
        assertEq(usdOf(erin), -3_670_500_000);
        settle(rescues(conversion(carol, convertMessage(carol, erin, ethFeed, 4e18)), flag(alice)));
        // ⌈3,670.5 / 1,140⌉ ether, for an atom more than that
        assertEq(balanceOf(erin, ethFeed), 4e18 - 3_219_736_842_105_263_158);
        assertEq(usdOf(erin), 1);
        checkBooks();

        // 700 lots are still too many: 842.7 dollars of ether's weight against 913.5. Nobody comes.
        settleRescue(flag(erin));
        pass(10);
        crash(43_400, 1200);
        settleRescue(takeover(erin, btc));
        assertEq(positionOf(fund, btc), 700);
        assertEq(views.health(erin.account).maintenanceEquity, 0);
        checkBooks();

        // The fund cannot carry Alice's 2,000 too, who lacks 3,200 dollars: Bob closes 500 with her, at 45,000.
        assertRefused(
            batchOf(takeover(alice, btc)),
            abi.encodeWithSelector(IRiskGroup.FundCannotCarry.selector, btc, int256(2000), int256(3_200e6))
        );
        settleRescue(deleveraging(alice, btc, opposite(bob, 500)));
        assertEq(usdOf(alice), -2_400 * DOLLAR);
        checkBooks();

        // A keeper takes the rest at the index, and what Alice owes is shared as far as the fund cannot pay it.
        settleRescue(liquidation(dave, liquidateMessage(dave, alice, btc, 1500)));
        settleRescue(bankruptcy(alice));
        assertEq(usdOf(alice), 0);
        assertGt(badDebt(), 0);
        assertLt(badDebt(), 2_400e6);
        checkBooks();

        // Recovery. The world cup pays Erin; bitcoin comes back; everybody closes.
        resolveEvent(worldCup, winner(3, 0));
        batch = inboxBatch();
        batch.redemptions = new Redemption[](2);
        batch.redemptions[0] = Redemption(erin.account, market(worldCup, 0));
        batch.redemptions[1] = Redemption(carol.account, market(worldCup, 0));
        settle(batch);
        checkBooks();
        settleRescue(conversion(carol, convertMessage(carol, erin, ethFeed, 1e18)));
        crash(46_000, 1500);
        settle(batchOf(joined(trade(bob, dave, btc, 1800, 46_000), trade(bob, fund, btc, 700, 46_000))));
        assertEq(openInterestOf(btc), 0);
        assertEq(positionOf(bob, btc), 0);
        checkBooks();

        // Everybody leaves: cash at the ratio, ether in kind.
        Trader[6] memory leavers = [alice, bob, carol, dave, erin, fund];
        uint256 ether_;
        for (uint256 i = 0; i < 6; ++i) {
            int256 cash = cashOf(leavers[i]);
            if (cash > 1) settle(batchOf(withdrawal(leavers[i], uint128(uint256(cash)))));
            int256 balance = balanceOf(leavers[i], ethFeed);
            if (balance > 0) settle(batchOf(withdrawal(leavers[i], address(eth), uint128(uint256(balance)))));
            ether_ += eth.balanceOf(leavers[i].owner);
            checkBooks();
        }
        assertEq(ether_, 5e18);
        assertEq(eth.balanceOf(address(group)), 0);
        // What rounding left, and the treasury's atom.
        assertLt(token.balanceOf(address(group)), 10);
    }

    // ----------------------------------------------------------------- attacks that others have known

    /// @dev JELLY, Hyperliquid, March 2025. One controller is short through three accounts and long through Bob, and pumps.
    /// At 112 dollars each short account lacks 200: the fund takes two of them, the market's cap stops the third, and Bob,
    /// whose profit it would be, closes against it at 110.
    function test_a_pump_costs_the_fund_no_more_in_takeovers_than_the_markets_cap() public {
        PerpetualConfig memory config = perpetualConfig("JELLY");
        (config.lossCap, config.feed.maxMove) = (500e6, 100_000);
        (MarketId jelly, FeedId feed) = listPerpetual(config);
        fundInsurance(10_000 * DOLLARS);
        settlePrice(feed, 100);
        Trader[3] memory shorts;
        for (uint256 i = 0; i < 3; ++i) {
            shorts[i] = openAccount(string.concat("short", vm.toString(i)), 1_000 * DOLLARS);
            settleInbox();
            exchange(bob, shorts[i], jelly, 100_000, 100);
        }
        // Another group of the same owners.
        Deployment memory here = Deployment(group, gateway, address(0));
        use(newDeployment());
        Deployment memory there = Deployment(group, gateway, address(0));
        Trader memory stranger = openAccount("stranger", 5_000 * DOLLARS);
        settleInbox();
        use(here);

        pass(1);
        settlePrice(feed, 110);
        pass(1);
        settlePrice(feed, 112);
        for (uint256 i = 0; i < 3; ++i) {
            settleRescue(flag(shorts[i]));
        }
        pass(10);
        settle(rescues(takeover(shorts[0], jelly), takeover(shorts[1], jelly)));
        assertEq(views.feed(feed).loss, 400e6);
        assertEq(usdOf(fund), 9_600 * DOLLAR);
        assertRefused(
            batchOf(takeover(shorts[2], jelly)),
            abi.encodeWithSelector(IRiskGroup.FundCannotCarry.selector, jelly, int256(-100_000), int256(200e6))
        );
        settleRescue(deleveraging(shorts[2], jelly, opposite(bob, 100_000)));
        // Bob has 1,000 dollars of profit on those 100 coins, and 1,200 on each of the other hundreds.
        assertEq(usdOf(bob), 10_000 * DOLLAR + 1_000 * DOLLAR + 2_400 * DOLLAR);
        assertEq(usdOf(fund), 9_600 * DOLLAR);
        assertEq(badDebt(), 0);

        use(there);
        assertEq(cashOf(stranger), 5_000 * DOLLAR);
        assertEq(poolTokens(), 5_000e6);
        assertEq(badDebt(), 0);
    }

    /// @dev XPL, Hyperliquid, August 2025. The source's price doubles every second; the index follows at 1 % a second, each
    /// step an incident, and meanwhile nobody opens anything.
    function test_a_walked_price_moves_no_faster_than_its_clamp() public {
        PerpetualConfig memory config = perpetualConfig("BTC");
        config.feed.maxMove = 10_000;
        setPerpetual(btc, config);
        settleInbox();
        exchange(alice, bob, btc, 1000, 50_000);
        uint256 expected = 50_000e12;
        for (uint256 i = 1; i <= 10; ++i) {
            reprice(btcFeed, 50_000 << i);
            expected += expected / 100;
            assertEq(views.feed(btcFeed).price, expected);
            assertEq(views.incidents(), i);
            assertRefused(
                batchOf(trade(carol, dave, btc, 1, 50_000)),
                abi.encodeWithSelector(IRiskGroup.OnlyReducing.selector, carol.account, uint64(i), int256(0), int256(1))
            );
        }
        // Ten seconds: 10.46 %, of which Bob, with 10,000 dollars on 50,000, has lost 5,231.
        assertEq(usdOf(bob), 10_000 * DOLLAR - 5_231_106_271);
        assertGt(maintenanceHealthOf(bob), 0);
        // He may close all the while.
        exchange(bob, alice, btc, 1000, 55_231);
        assertEq(positionOf(bob, btc), 0);
    }

    /// @dev YFI, dYdX, November 2023: profits that are not paid for yet are drawn out and levered up again.
    function test_unrealised_profit_leaves_by_no_door_while_the_fund_is_negative() public {
        fundInsurance(5_000 * DOLLARS);
        exchange(alice, bob, btc, 2000, 50_000);
        reprice(btcFeed, 46_000);
        exhaustGrace(alice, 46_000);
        settleRescue(takeover(alice, btc));
        reprice(btcFeed, 42_000);
        assertEq(usdOf(fund), -1_000 * DOLLAR);
        assertEq(usdOf(bob), 26_000 * DOLLAR);

        bytes memory refusal = abi.encodeWithSelector(IRiskGroup.ProfitsWait.selector, bob.account, 20_000e6, 10_000e6);
        assertRefused(batchOf(withdrawal(bob, 20_000 * DOLLARS)), refusal);
        // Not to another group either.
        assertRefused(batchOf(transfer(bob, address(gateway), NEW_ACCOUNT, address(token), 20_000 * DOLLARS)), refusal);
        // Nor through a friend, who buys from Bob far too dear: what the friend paid in is what both can take.
        settle(batchOf(trade(bob, carol, wins, 1_000_000, 1)));
        settle(batchOf(trade(carol, bob, wins, 1_000_000, 999)));
        requestWithdrawal(carol, type(uint128).max);
        requestWithdrawal(bob, type(uint128).max);
        settleInbox();
        assertLe(token.balanceOf(bob.owner) + token.balanceOf(carol.owner), 20_000 * DOLLARS);
        // Outside of profits nothing is held back: Dave takes what is his.
        settle(batchOf(withdrawal(dave, 10_000 * DOLLARS)));
    }

    /// @dev Whoever owns both sides and the keeper gains nothing by failing, as long as the price leaves anything at all.
    function testFuzz_failing_against_oneself_never_pays(uint64 cents, uint64 share) public {
        exchange(alice, bob, btc, 2000, 50_000);
        pass(1);
        Batch memory batch = nextBatch();
        // From Alice's bankruptcy price to where she begins to fail.
        addPriceAt(batch, btcFeed, bound(cents, 4_500_000, 4_639_000) * 1e16, batch.time);
        settle(batch);
        Trader memory accomplice = share % 2 == 0 ? bob : carol;
        settleRescue(liquidation(accomplice, liquidateMessage(accomplice, alice, btc, uint64(bound(share, 1, 2000)))));
        int256 total = usdOf(alice) + usdOf(bob) + usdOf(carol);
        assertGe(usdOf(alice), 0);
        assertLe(total, 30_000 * DOLLAR);
        // What they lost is what the fund has, but for what rounding takes.
        assertApproxEqAbs(total + usdOf(fund), 30_000 * DOLLAR, 4);
    }

    // ----------------------------------------------------------------- the books

    /// @dev No account has anything in more than one event, so its worst payoff is below its true one.
    function checkBooks() private view {
        int256 money;
        int256 lots;
        int256 long;
        int256 ether_;
        for (uint64 i = 1; i <= gateway.accounts(); ++i) {
            AccountId id = AccountId.wrap(i);
            money += usdOf(id);
            (int256 size,,) = views.holding(id, btcFeed);
            lots += size;
            if (size > 0) long += size;
            (int256 balance,,) = views.holding(id, ethFeed);
            ether_ += balance;
        }
        assertLe(money, int256(poolTokens() + badDebt()));
        assertEq(lots, 0);
        assertEq(long, int256(uint256(openInterestOf(btc))));
        assertEq(ether_, int256(eth.balanceOf(address(group))));
        assertEq(token.balanceOf(address(group)), poolTokens());
    }

    function crash(uint256 bitcoin, uint256 ether_) private {
        pass(1);
        Batch memory batch = nextBatch();
        addPrice(batch, btcFeed, bitcoin);
        addPrice(batch, ethFeed, ether_);
        settle(batch);
    }
}
