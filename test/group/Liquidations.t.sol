// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {
    Batch,
    FeedId,
    GroupTerms,
    Liquidate,
    Lots,
    MarketId,
    PerpetualConfig,
    Rescue,
    SignerGrant,
    VenueId
} from "../../contracts/group/Types.sol";
import {PerpetualTest} from "./PerpetualTest.sol";

/// @notice Keepers take positions of failing accounts: whose, how much, at what price, and who may.
/// @dev Alice is long 2,000 lots from 50,000 with 10,000 dollars. At 46,000 her equity is 2,000 dollars; 2,760 keep the
/// position, 4,600 would open it. k lots sold to a keeper cost 0.46 k and free 2.3 k, so −2,600 + 1.84 k ≥ 0 from 1,414 on.
contract LiquidationsTest is PerpetualTest {
    function setUp() public override {
        super.setUp();
        exchange(alice, bob, btc, 2000, 50_000);
    }

    // ----------------------------------------------------------------- when

    /// @dev 46,391.75257732 dollars is where 2,000 lots need all the equity that is left; 46,392 leaves 0.48 dollars.
    function test_a_healthy_account_is_not_liquidated() public {
        reprice(btcFeed, 46_392);
        assertRefused(
            batchOf(liquidation(carol, liquidateMessage(carol, alice, btc, 2000))),
            abi.encodeWithSelector(IRiskGroup.NotFailing.selector, alice.account, int256(480_000))
        );
        // Whole dollars: 46,391 is 1.46 dollars short of it.
        reprice(btcFeed, 46_391);
        assertEq(maintenanceHealthOf(alice), -1_460_000);
        settleRescue(liquidation(carol, liquidateMessage(carol, alice, btc, 2000)));
    }

    function test_health_of_exactly_nothing_is_not_failing() public {
        // 3 % of 2,000 lots at 46,400 dollars are 2,784 dollars; equity is 2,800; funding takes 16 dollars.
        reprice(btcFeed, 46_400);
        fundAt(46_400, 8e12);
        assertEq(maintenanceHealthOf(alice), 0);
        assertRefused(
            batchOf(liquidation(carol, liquidateMessage(carol, alice, btc, 2000))),
            abi.encodeWithSelector(IRiskGroup.NotFailing.selector, alice.account, int256(0))
        );
        fundAt(46_400, 8e12 + 1);
        assertEq(maintenanceHealthOf(alice), -1);
        settleRescue(liquidation(carol, liquidateMessage(carol, alice, btc, 2000)));
        assertGe(initialHealthOf(alice), 0);
    }

    function test_an_old_price_liquidates_nobody() public {
        reprice(btcFeed, 46_000);
        pass(61);
        assertRefused(
            batchOf(liquidation(carol, liquidateMessage(carol, alice, btc, 2000))),
            abi.encodeWithSelector(IRiskGroup.FeedNotPriced.selector, btcFeed)
        );
    }

    // ----------------------------------------------------------------- how much, at what price

    /// @dev 1,414 lots are worth 65,044 dollars; 1 % of it is 650.44, half of that the keeper's.
    function test_a_long_is_liquidated_as_far_as_restores_initial_health() public {
        reprice(btcFeed, 46_000);
        vm.expectEmit(address(group));
        emit IRiskGroup.Liquidated(alice.account, carol.account, btc, 1414, 65_044 * DOLLAR, 650_440_000);
        liquidateNow(carol, 2000);
        assertEq(positionOf(alice, btc), 586);
        assertEq(positionOf(carol, btc), 1414);
        assertEq(cashOf(alice), -90_000 * DOLLAR + 65_044 * DOLLAR - 650_440_000);
        assertEq(cashOf(carol), 10_000 * DOLLAR - 65_044 * DOLLAR + 325_220_000);
        assertEq(cashOf(INSURANCE), 325_220_000);
        // 1,349.56 − 5 % of 26,956; with one lot fewer it would have been −0.08.
        assertEq(initialHealthOf(alice), 1_760_000);
        assertEq(openInterestOf(btc), 2000);
    }

    function test_one_lot_fewer_would_not_restore_it() public {
        reprice(btcFeed, 46_000);
        liquidateNow(carol, 1413);
        assertEq(positionOf(alice, btc), 587);
        assertEq(initialHealthOf(alice), -80_000);
        assertGt(maintenanceHealthOf(alice), 0);
    }

    /// @dev At 54,000 Bob is the one with 2,000 dollars of equity: −3,400 + 2.16 k ≥ 0 from 1,575 lots on.
    function test_a_short_is_liquidated_as_far_as_restores_initial_health() public {
        reprice(btcFeed, 54_000);
        vm.expectEmit(address(group));
        emit IRiskGroup.Liquidated(bob.account, carol.account, btc, -1575, -85_050 * DOLLAR, 850_500_000);
        liquidateNow(bob, carol, 2000);
        assertEq(positionOf(bob, btc), -425);
        assertEq(positionOf(carol, btc), -1575);
        assertEq(cashOf(bob), 110_000 * DOLLAR - 85_050 * DOLLAR - 850_500_000);
        assertEq(cashOf(carol), 10_000 * DOLLAR + 85_050 * DOLLAR + 425_250_000);
        assertEq(cashOf(INSURANCE), 425_250_000);
        assertEq(initialHealthOf(bob), 2 * DOLLAR);
    }

    /// @dev 45,200: equity 400, while 1 % of the position would be 904 dollars. The keeper has half of the 400.
    function test_an_account_beyond_help_loses_what_it_has_and_no_more() public {
        reprice(btcFeed, 45_200);
        liquidateNow(carol, 5000);
        assertEq(positionOf(alice, btc), 0);
        assertEq(heldBy(alice), 0);
        assertEq(cashOf(alice), 0);
        assertEq(usdOf(carol), 10_200 * DOLLAR);
        assertEq(cashOf(INSURANCE), 200 * DOLLAR);
    }

    /// @dev A quarter of the position pays a quarter of the equity.
    function test_lots_pay_their_part_of_what_an_account_has() public {
        reprice(btcFeed, 45_200);
        liquidateNow(carol, 500);
        assertEq(usdOf(alice), 300 * DOLLAR);
        assertEq(cashOf(INSURANCE), 50 * DOLLAR);
    }

    function test_who_has_less_than_nothing_pays_no_penalty() public {
        reprice(btcFeed, 44_000);
        liquidateNow(carol, 5000);
        assertEq(cashOf(alice), -2_000 * DOLLAR);
        assertEq(usdOf(carol), 10_000 * DOLLAR);
        assertEq(cashOf(INSURANCE), 0);
    }

    function test_a_penalty_rounds_up_and_the_keepers_part_down() public {
        pass(1);
        Batch memory batch = nextBatch();
        addPriceAt(batch, btcFeed, 46_000e18 + 10e12, batch.time);
        settle(batch);
        // A lot is worth 46,000,000.01 atoms: of 3 lots ⌊138,000,000.03⌋, 1 % of it is 1,380,000; of 7 lots 3,220,000.
        liquidateNow(carol, 3);
        assertEq(cashOf(carol), 10_000 * DOLLAR - 138_000_000 + 690_000);
        pass(1);
        batch = nextBatch();
        addPriceAt(batch, btcFeed, 46_000e18 + 101e12, batch.time);
        settle(batch);
        // 46,000,000.101 atoms: of a lot the penalty is ⌈460,000.0⌉; of 10 lots ⌈4,600,000.01⌉, the keeper's ⌊2,300,000.5⌋.
        int256 keeperBefore = cashOf(carol);
        int256 fundBefore = cashOf(INSURANCE);
        liquidateNow(carol, 10);
        assertEq(cashOf(carol), keeperBefore - 460_000_001 + 2_300_000);
        assertEq(cashOf(INSURANCE), fundBefore + 2_300_001);
    }

    function test_a_keeper_gets_the_share_that_the_group_grants() public {
        GroupTerms memory terms = groupTerms();
        terms.keeperShare = 1_000_000;
        setTerms(terms);
        reprice(btcFeed, 46_000);
        liquidateNow(carol, 100);
        assertEq(cashOf(carol), 10_000 * DOLLAR - 4_600 * DOLLAR + 46 * DOLLAR);
        assertEq(cashOf(INSURANCE), 0);
    }

    function test_what_a_keeper_asks_for_and_what_is_there_is_not_nothing() public {
        reprice(btcFeed, 46_000);
        bytes memory refusal = abi.encodeWithSelector(IRiskGroup.NothingToLiquidate.selector, alice.account, btc);
        assertRefused(batchOf(liquidation(carol, liquidateMessage(carol, alice, btc, 0))), refusal);
        refusal = abi.encodeWithSelector(IRiskGroup.NothingToLiquidate.selector, dave.account, btc);
        assertRefused(batchOf(liquidation(carol, liquidateMessage(carol, dave, btc, 10))), refusal);
        MarketId notPerpetual = market(openEvent(2), 0);
        settleInbox();
        Liquidate memory request = liquidateMessage(carol, alice, btc, 1);
        request.market = notPerpetual;
        refusal = abi.encodeWithSelector(IRiskGroup.NotPerpetual.selector, notPerpetual);
        assertRefused(batchOf(liquidation(carol, request)), refusal);
    }

    // ----------------------------------------------------------------- who

    function test_nobody_liquidates_itself_through_another_account() public {
        Trader memory second = Trader(alice.key, alice.owner, deposit(alice.owner, NEW_ACCOUNT, 10_000 * DOLLARS));
        Trader memory isolated = isolatedOf(second, btc);
        settleInbox();
        settle(batchOf(transfer(second, isolated.account, 8_000 * DOLLARS)));
        reprice(btcFeed, 46_000);
        Trader[3] memory selves = [alice, second, isolated];
        for (uint256 i = 0; i < 3; ++i) {
            assertRefused(
                batchOf(liquidation(selves[i], liquidateMessage(selves[i], alice, btc, 10))),
                abi.encodeWithSelector(IRiskGroup.SameOwner.selector, selves[i].account, alice.account, alice.owner)
            );
        }
    }

    /// @dev 4,600 dollars would open 2,000 lots; Erin has 4,599.999999.
    function test_a_keeper_must_be_able_to_carry_what_it_asks_for() public {
        Trader memory erin = openAccount("erin", 4_600 * DOLLARS - 1);
        reprice(btcFeed, 46_000);
        assertRefused(batchOf(liquidation(erin, liquidateMessage(erin, alice, btc, 2000))), shortfall(erin, -1));
        liquidateNow(erin, 1999);
        assertEq(positionOf(erin, btc), 1414);
    }

    /// @dev Rounding may make a part an atom dearer than the whole, and what it forces must not stop a batch.
    function test_a_keeper_needs_an_atom_more_than_the_whole_that_it_asks_for() public {
        Trader memory erin = openAccount("erin", 4_600 * DOLLARS);
        reprice(btcFeed, 46_000);
        assertRefused(batchOf(liquidation(erin, liquidateMessage(erin, alice, btc, 2000))), shortfall(erin, 0));
        deposit(erin.owner, erin.account, 1);
        settleInbox();
        liquidateNow(erin, 2000);
    }

    function test_a_keeper_that_holds_an_old_price_takes_nothing() public {
        (MarketId eth, FeedId ethFeed) = listPerpetual("ETH");
        settlePrice(ethFeed, 2000);
        exchange(carol, dave, eth, 10, 2000);
        passFreshly(61, 46_000);
        assertRefused(
            batchOf(liquidation(carol, liquidateMessage(carol, alice, btc, 10))),
            abi.encodeWithSelector(IRiskGroup.HoldsStalePrice.selector, carol.account)
        );
        settlePrice(ethFeed, 2000);
        liquidateNow(carol, 10);
    }

    function test_a_keeper_names_its_worst_price() public {
        reprice(btcFeed, 46_000);
        Liquidate memory request = liquidateMessage(carol, alice, btc, 10);
        request.limit = 46_000e12 - 1;
        assertRefused(
            batchOf(liquidation(carol, request)),
            abi.encodeWithSelector(
                IRiskGroup.PriceWorseThanKeeperLimit.selector, carol.account, uint256(46_000e12 - 1), uint256(46_000e12)
            )
        );
        request.limit = 46_000e12;
        settleRescue(liquidation(carol, request));

        reprice(btcFeed, 54_000);
        request = liquidateMessage(dave, bob, btc, 10);
        request.limit = 54_000e12 + 1;
        assertRefused(
            batchOf(liquidation(dave, request)),
            abi.encodeWithSelector(
                IRiskGroup.PriceWorseThanKeeperLimit.selector, dave.account, uint256(54_000e12 + 1), uint256(54_000e12)
            )
        );
        request.limit = 54_000e12;
        settleRescue(liquidation(dave, request));
    }

    function test_a_keeper_signs_once_in_time() public {
        reprice(btcFeed, 46_000);
        Liquidate memory request = liquidateMessage(carol, alice, btc, 10);
        request.expiry = nowMs() - 1;
        assertRefused(
            batchOf(liquidation(carol, request)),
            abi.encodeWithSelector(
                IRiskGroup.MessageExpired.selector, carol.account, request.nonce, request.expiry, nowMs()
            )
        );
        request.expiry = nowMs();
        settleRescue(liquidation(carol, request));
        assertRefused(
            batchOf(liquidation(carol, request)),
            abi.encodeWithSelector(IRiskGroup.NonceSpent.selector, carol.account, request.nonce)
        );
    }

    function test_a_key_liquidates_within_its_grant() public {
        Trader memory key = Trader(uint256(keccak256("key")), vm.addr(uint256(keccak256("key"))), carol.account);
        reprice(btcFeed, 46_000);
        Liquidate memory request = liquidateMessage(carol, alice, btc, 10);
        bytes memory refusal = abi.encodeWithSelector(
            IRiskGroup.MessageSignedByAnother.selector, carol.account, request.nonce, carol.owner, key.owner
        );
        assertRefused(batchOf(liquidation(key, request)), refusal);
        // A limit on an order's value is a limit that nothing signed blindly can keep.
        SignerGrant memory grant = grantTo(key.owner);
        grant.maxNotional = type(uint96).max;
        setSigner(carol, grant);
        settleInbox();
        assertRefused(batchOf(liquidation(key, request)), refusal);
        (grant.maxNotional, grant.venues[0]) = (0, VenueId.wrap(7));
        setSigner(carol, grant);
        settleInbox();
        assertRefused(batchOf(liquidation(key, request)), refusal);
        grant.venues[1] = VENUE;
        setSigner(carol, grant);
        settleInbox();
        settleRescue(liquidation(key, request));
        assertEq(positionOf(carol, btc), 10);
    }

    function test_only_members_take_positions_of_a_restricted_market() public {
        PerpetualConfig memory config = perpetualConfig("BTC");
        config.terms.restricted = true;
        setPerpetual(btc, config);
        settleInbox();
        reprice(btcFeed, 46_000);
        assertRefused(
            batchOf(liquidation(carol, liquidateMessage(carol, alice, btc, 10))),
            abi.encodeWithSelector(IRiskGroup.NotMember.selector, carol.account, VENUE)
        );
        setMembership(carol, nowMs());
        settleInbox();
        liquidateNow(carol, 10);
        assertEq(positionOf(carol, btc), 10);
    }

    function test_only_isolated_accounts_take_positions_of_an_isolated_market() public {
        PerpetualConfig memory config = perpetualConfig("BTC");
        config.terms.isolatedOnly = true;
        setPerpetual(btc, config);
        Trader memory isolated = isolatedOf(carol, btc);
        settleInbox();
        settle(batchOf(transfer(carol, isolated.account, 9_000 * DOLLARS)));
        reprice(btcFeed, 46_000);
        assertRefused(
            batchOf(liquidation(carol, liquidateMessage(carol, alice, btc, 10))),
            abi.encodeWithSelector(IRiskGroup.IsolatedOnly.selector, carol.account, btc)
        );
        liquidateNow(isolated, 10);
        assertEq(positionOf(isolated, btc), 10);
    }

    // ----------------------------------------------------------------- through the inbox

    function test_a_forced_liquidation_happens_at_the_frames_price() public {
        Liquidate memory request = liquidateMessage(carol, alice, btc, 2000);
        requestLiquidation(carol, request);
        // Queued while she was healthy, consumed when she is not.
        reprice(btcFeed, 46_000);
        assertEq(positionOf(alice, btc), 586);
        assertEq(positionOf(carol, btc), 1414);
        assertEq(cashOf(INSURANCE), 325_220_000);
        (uint64 head, uint64 tail) = views.inbox();
        assertEq(head, tail);
    }

    function test_a_forced_liquidation_that_cannot_happen_stops_nothing() public {
        Trader memory poor = openAccount("poor", 1 * DOLLARS);
        settleInbox();
        requestLiquidation(poor, liquidateMessage(poor, alice, btc, 2000));
        Liquidate memory request = liquidateMessage(carol, alice, btc, 10);
        request.limit = 1;
        requestLiquidation(carol, request);
        requestLiquidation(carol, liquidateMessage(carol, dave, btc, 10));
        requestLiquidation(carol, liquidateMessage(carol, alice, btc, 0));
        requestLiquidation(bob, liquidateMessage(bob, bob, btc, 10));
        request.keeper = isolatedOf(carol, btc).account; // never opened
        requestLiquidation(carol, request);
        reprice(btcFeed, 46_000);
        assertEq(positionOf(alice, btc), 2000);
        (uint64 head, uint64 tail) = views.inbox();
        assertEq(head, tail);
    }

    /// @dev A lot is worth an atom and costs one. 1,000 lots lose 80 atoms at 0.92, all that their account has; 28 should be left.
    function test_a_forced_liquidation_that_would_not_fit_a_word_stops_nothing() public {
        PerpetualConfig memory config = perpetualConfig("DUST");
        (config.terms.quantum, config.feed.unit) = (1, 1e5);
        (MarketId dust, FeedId dustFeed) = listPerpetual(config);
        Trader memory whale = openAccount("whale", 1e20);
        Trader memory other = openAccount("other", 1e20);
        Trader memory failing = openAccount("failing", 80);
        settlePrice(dustFeed, 10_000);
        exchange(whale, other, dust, uint64(type(int64).max), 1);
        exchange(failing, bob, dust, 1000, 1);
        requestLiquidation(whale, liquidateMessage(whale, failing, dust, 1000));
        reprice(dustFeed, 9_200);
        assertEq(maintenanceHealthOf(failing), -28);
        assertEq(positionOf(failing, dust), 1000);
        assertEq(positionOf(whale, dust), type(int64).max);
    }

    function test_a_forced_liquidation_by_a_keeper_that_holds_too_much_stops_nothing() public {
        (MarketId eth, FeedId ethFeed) = listPerpetual("ETH");
        settlePrice(ethFeed, 2000);
        exchange(carol, bob, btc, 10, 50_000);
        exchange(carol, dave, eth, 10, 2000);
        GroupTerms memory terms = groupTerms();
        terms.maxHoldings = 1;
        setTerms(terms);
        requestLiquidation(carol, liquidateMessage(carol, alice, btc, 10));
        reprice(btcFeed, 46_000);
        assertEq(positionOf(alice, btc), 2000);
        assertEq(positionOf(carol, btc), 10);
    }

    // ----------------------------------------------------------------- words

    function liquidateNow(Trader memory keeper, uint64 lots) private {
        liquidateNow(alice, keeper, lots);
    }

    function liquidateNow(Trader memory failing, Trader memory keeper, uint64 lots) private {
        settleRescue(liquidation(keeper, liquidateMessage(keeper, failing, btc, lots)));
    }

    function fundAt(uint256 dollars, int128 index) private {
        pass(100);
        Batch memory batch = nextBatch();
        addPrice(batch, btcFeed, dollars);
        addFunding(batch, btcFeed, index);
        settle(batch);
    }
}
