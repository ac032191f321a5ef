// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGateway} from "../../contracts/group/IGateway.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {
    AssetConfig,
    EventConfig,
    FeeTier,
    FeedId,
    Hours,
    InboxKind,
    Lots,
    MarketId,
    MarketKind,
    PerpetualConfig,
    Phase,
    SpotConfig,
    VenueId,
    eventOf as eventOfMarket
} from "../../contracts/group/Types.sol";
import {Listings} from "../../contracts/venue/Listings.sol";
import {ProtocolLimits} from "../../contracts/venue/ProtocolLimits.sol";
import {Slots} from "../../contracts/venue/Slots.sol";
import {StakedOkb} from "../../contracts/venue/StakedOkb.sol";
import {GroupNumber, VenueNumber, VenueRequest} from "../../contracts/venue/VenueTypes.sol";
import {Governed} from "../../contracts/xip/Governed.sol";
import {XipKind} from "../../contracts/xip/IXipActions.sol";
import {Reviews} from "../../contracts/xip/Reviews.sol";
import {Rollout, RolloutPhase} from "../../contracts/xip/Rollout.sol";
import {TestToken} from "../group/TestToken.sol";
import {VenueTest} from "./VenueTest.sol";

/// @notice Markets of venues: who lists them, within what, and how they end.
contract ListingsTest is VenueTest {
    VenueNumber private venue;
    address private key = makeAddr("key");

    function setUp() public override {
        super.setUp();
        venue = openVenue();
    }

    // ----------------------------------------------------------------- listing

    function test_a_market_of_each_kind_reaches_its_group_and_takes_a_slot() public {
        openToAll();
        VenueRequest memory request = venueRequest();
        request.spec.settlementToken = address(new TestToken("USD", 6));
        venue = open(deployer, request);
        GroupNumber group = registry.venueOf(venue).group;
        AssetConfig memory asset = assetOf(address(new TestToken("ASSET", 18)));
        vm.startPrank(deployer);
        FeedId feed = registry.setAsset(group, asset);
        MarketId spot = listings.listSpot(venue, spotOf(venue, feed));
        vm.stopPrank();
        MarketId outcome = listEvent(venue);
        MarketId perpetual = listPerpetual(venue);
        settleInbox(venue);
        assertEq(uint8(viewsOf(venue).market(outcome).kind), uint8(MarketKind.Outcome));
        assertEq(uint8(viewsOf(venue).market(spot).kind), uint8(MarketKind.Spot));
        assertEq(uint8(viewsOf(venue).market(perpetual).kind), uint8(MarketKind.Perpetual));
        for (uint8 kind = 0; kind < 3; ++kind) {
            assertEq(slots.countOf(venue, MarketKind(kind)).taken, 1);
        }
    }

    function test_a_venue_lists_as_many_markets_as_it_has_slots() public {
        listPerpetual(venue);
        PerpetualConfig memory config = perpetualOf(venue);
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(Slots.NoFreeSlot.selector, venue, MarketKind.Perpetual, 1));
        listings.listPerpetual(venue, config);
    }

    function test_a_market_bears_its_own_venues_number() public {
        EventConfig memory config = eventOf(venue);
        config.terms.venue = VenueId.wrap(2);
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(Listings.WrongVenue.selector, VenueId.wrap(1), VenueId.wrap(2)));
        listings.listEvent(venue, config);
    }

    function test_a_closed_venue_and_a_venue_that_never_was_list_nothing() public {
        vm.prank(deployer);
        registry.closeVenue(venue);
        EventConfig memory config = eventOf(venue);
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(Slots.VenueNotOpen.selector, venue));
        listings.listEvent(venue, config);
        VenueNumber never = VenueNumber.wrap(9);
        vm.expectRevert(abi.encodeWithSelector(Listings.NotPermitted.selector, never, address(this)));
        listings.listEvent(never, config);
    }

    function test_the_rollout_decides_which_kinds_of_real_value_are_listed() public {
        vm.prank(address(timelock));
        rollout.advance(RolloutPhase.Outcome);
        VenueRequest memory request = venueRequest();
        request.spec.settlementToken = address(new TestToken("USD", 6));
        VenueNumber real = open(deployer, request);
        listEvent(real);
        PerpetualConfig memory config = perpetualOf(real);
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(Rollout.KindNotYet.selector, MarketKind.Perpetual, RolloutPhase.Outcome));
        listings.listPerpetual(real, config);
        SpotConfig memory spot = spotOf(real, FeedId.wrap(1));
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(Rollout.KindNotYet.selector, MarketKind.Spot, RolloutPhase.Outcome));
        listings.listSpot(real, spot);
        listPerpetual(venue);
        vm.startPrank(address(timelock));
        rollout.advance(RolloutPhase.Spot);
        rollout.advance(RolloutPhase.Perpetual);
        vm.stopPrank();
        listPerpetual(real);
    }

    // ----------------------------------------------------------------- limits

    function test_a_perpetual_is_held_against_every_limit() public {
        PerpetualConfig memory config = perpetualOf(venue);
        config.initialFractions[0] = 19_999;
        config.maintenanceFractions[0] = 10_000;
        config.penalty = 10_000;
        assertOutside(config, "initialFractions", 19_999, 20_000);
        config = perpetualOf(venue);
        (config.maintenanceFractions[0], config.penalty) = (9999, 9999);
        assertOutside(config, "maintenanceFractions", 9999, 10_000);
        config = perpetualOf(venue);
        config.fundingCap = 10_001;
        assertOutside(config, "fundingCap", 10_001, 10_000);
        config = perpetualOf(venue);
        config.lossCap = 10_000_000e6 + 1;
        assertOutside(config, "lossCap", 10_000_000e6 + 1, 10_000_000e6);
        config = perpetualOf(venue);
        config.terms.openInterestCap = Lots.wrap(0);
        assertOutside(config, "openInterestCap", 0, 1);
        config.terms.openInterestCap = Lots.wrap(1e15 + 1);
        assertOutside(config, "openInterestCap", 1e15 + 1, 1e15);
        config = perpetualOf(venue);
        config.feed.maxAge = 60_001;
        assertOutside(config, "maxAge", 60_001, 60_000);
        config = perpetualOf(venue);
        config.feed.maxGap = 600_001;
        assertOutside(config, "maxGap", 600_001, 600_000);
        config = perpetualOf(venue);
        config.feed.maxMove = 50_001;
        assertOutside(config, "maxMove", 50_001, 50_000);
        config = perpetualOf(venue);
        config.terms.takerFee = 20_001;
        assertOutside(config, "takerFee", 20_001, 20_000);
        config = perpetualOf(venue);
        config.terms.makerFee = 20_001;
        assertOutside(config, "makerFee", 20_001, 20_000);
    }

    function assertOutside(PerpetualConfig memory config, bytes32 field, uint256 value, uint256 limit) private {
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(ProtocolLimits.OutsideLimits.selector, field, value, limit));
        listings.listPerpetual(venue, config);
    }

    function test_a_rebate_is_no_fee_beyond_the_limit() public {
        PerpetualConfig memory config = perpetualOf(venue);
        (config.terms.takerFee, config.terms.makerFee) = (1000, -1000);
        vm.prank(deployer);
        listings.listPerpetual(venue, config);
    }

    // ----------------------------------------------------------------- delegates

    function test_each_key_does_what_it_was_given_and_no_more() public {
        MarketId market = listPerpetual(venue);
        setPowers(Listings.Powers({price: true, list: false, halt: false}));
        PerpetualConfig memory config = perpetualOf(venue);
        vm.startPrank(key);
        listings.announceTerms(venue, market, config);
        listings.setFeeTiers(venue, oneTier());
        vm.expectRevert(abi.encodeWithSelector(Listings.NotPermitted.selector, venue, key));
        listings.listPerpetual(venue, config);
        vm.expectRevert(abi.encodeWithSelector(Listings.NotPermitted.selector, venue, key));
        listings.setPhase(venue, market, Phase.Halted);
        vm.expectRevert(abi.encodeWithSelector(Listings.NotPermitted.selector, venue, key));
        listings.setPowers(venue, key, Listings.Powers(true, true, true));
        vm.stopPrank();

        setPowers(Listings.Powers({price: false, list: true, halt: false}));
        EventConfig memory eventConfig = eventOf(venue);
        vm.startPrank(key);
        listings.listEvent(venue, eventConfig);
        listings.setHours(venue, market, Hours(31, 480, 1000));
        vm.expectRevert(abi.encodeWithSelector(Listings.NotPermitted.selector, venue, key));
        listings.setFeeTiers(venue, oneTier());
        vm.expectRevert(abi.encodeWithSelector(Listings.NotPermitted.selector, venue, key));
        listings.announceTerms(venue, market, config);
        vm.expectRevert(abi.encodeWithSelector(Listings.NotPermitted.selector, venue, key));
        listings.setPhase(venue, market, Phase.Halted);
        listings.announceDelisting(venue, market);
        vm.stopPrank();

        setPowers(Listings.Powers({price: false, list: false, halt: true}));
        vm.startPrank(key);
        listings.setPhase(venue, market, Phase.Halted);
        vm.expectRevert(abi.encodeWithSelector(Listings.NotPermitted.selector, venue, key));
        listings.listEvent(venue, eventConfig);
        vm.expectRevert(abi.encodeWithSelector(Listings.NotPermitted.selector, venue, key));
        listings.announceDelisting(venue, market);
        vm.expectRevert(abi.encodeWithSelector(Listings.NotPermitted.selector, venue, key));
        listings.setHours(venue, market, Hours(0, 0, 0));
        vm.stopPrank();

        setPowers(Listings.Powers({price: false, list: false, halt: false}));
        vm.prank(key);
        vm.expectRevert(abi.encodeWithSelector(Listings.NotPermitted.selector, venue, key));
        listings.setPhase(venue, market, Phase.Open);
    }

    function test_a_deployer_sets_the_tiers_of_its_own_venue_only() public {
        address group = groupOf(venue).group;
        bytes memory payload = abi.encode(registry.venueOf(venue).id, oneTier());
        vm.expectEmit(false, false, false, true, group);
        emit IRiskGroup.InboxQueued(0, InboxKind.FeeTiersSet, uint64(vm.getBlockTimestamp()) * 1000, payload);
        vm.prank(deployer);
        listings.setFeeTiers(venue, oneTier());
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(Listings.NotPermitted.selector, venue, alice));
        listings.setFeeTiers(venue, oneTier());
        VenueNumber none = VenueNumber.wrap(99);
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(Listings.NotPermitted.selector, none, deployer));
        listings.setFeeTiers(none, oneTier());
    }

    function oneTier() private pure returns (FeeTier[] memory tiers) {
        tiers = new FeeTier[](1);
        tiers[0] = FeeTier({volume: 1e12, takerShare: 500_000, makerShare: 0});
    }

    function setPowers(Listings.Powers memory powers) private {
        vm.prank(deployer);
        listings.setPowers(venue, key, powers);
    }

    // ----------------------------------------------------------------- terms

    function test_new_terms_wait_for_their_notice_and_are_what_was_announced() public {
        MarketId market = listPerpetual(venue);
        PerpetualConfig memory config = perpetualOf(venue);
        config.terms.takerFee = 2000;
        vm.prank(deployer);
        listings.announceTerms(venue, market, config);
        uint64 dueAt = uint64(vm.getBlockTimestamp()) + NOTICE;
        vm.expectRevert(abi.encodeWithSelector(Listings.NoticeRuns.selector, dueAt));
        listings.applyTerms(venue, market, config);
        vm.warp(dueAt);
        PerpetualConfig memory other = perpetualOf(venue);
        other.terms.takerFee = 3000;
        vm.expectRevert(abi.encodeWithSelector(Listings.NotAnnounced.selector, venue, market));
        listings.applyTerms(venue, market, other);
        listings.applyTerms(venue, market, config);
        settleInbox(venue);
        assertEq(viewsOf(venue).market(market).takerFee, 2000);
        vm.expectRevert(abi.encodeWithSelector(Listings.NotAnnounced.selector, venue, market));
        listings.applyTerms(venue, market, config);
    }

    function test_terms_that_limits_no_longer_allow_are_not_applied() public {
        MarketId market = listPerpetual(venue);
        PerpetualConfig memory config = perpetualOf(venue);
        config.fundingCap = 10_000;
        vm.prank(deployer);
        listings.announceTerms(venue, market, config);
        ProtocolLimits.Bounds memory bounds = limits.bounds();
        bounds.maxFundingCap = 9999;
        vm.prank(address(timelock));
        limits.set(bounds);
        pass(NOTICE);
        vm.expectRevert(
            abi.encodeWithSelector(ProtocolLimits.OutsideLimits.selector, bytes32("fundingCap"), 10_000, 9999)
        );
        listings.applyTerms(venue, market, config);
    }

    // ----------------------------------------------------------------- the end of a market

    function test_a_delisting_is_announced_only_reduces_settles_and_frees_the_slot() public {
        MarketId market = listPerpetual(venue);
        vm.prank(deployer);
        listings.announceDelisting(venue, market);
        settleInbox(venue);
        assertEq(uint8(phaseOf(venue, market)), uint8(Phase.ReduceOnly));
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(Listings.DelistingUnderWay.selector, venue, market));
        listings.setPhase(venue, market, Phase.Open);
        uint64 dueAt = uint64(vm.getBlockTimestamp()) + NOTICE;
        vm.expectRevert(abi.encodeWithSelector(Listings.NoticeRuns.selector, dueAt));
        listings.delist(venue, market);
        vm.warp(dueAt);
        listings.delist(venue, market);
        vm.expectRevert(abi.encodeWithSelector(Listings.StillListed.selector, venue, market));
        listings.freeSlot(venue, market);
        settleInbox(venue);
        assertEq(uint8(phaseOf(venue, market)), uint8(Phase.Delisted));
        listings.freeSlot(venue, market);
        assertEq(slots.countOf(venue, MarketKind.Perpetual).taken, 0);
        vm.expectRevert(abi.encodeWithSelector(Listings.AlreadyFreed.selector, venue, market));
        listings.freeSlot(venue, market);
        listPerpetual(venue);
    }

    function test_an_events_slot_is_free_once_it_is_resolved() public {
        MarketId market = listEvent(venue);
        settleInbox(venue);
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(Listings.EventsEndByTheirResolver.selector, market));
        listings.announceDelisting(venue, market);
        vm.expectRevert(abi.encodeWithSelector(Listings.StillListed.selector, venue, market));
        listings.freeSlot(venue, market);
        uint64[] memory payouts = new uint64[](2);
        payouts[0] = 1000;
        IGateway gateway = gatewayOf(venue);
        vm.prank(resolver);
        gateway.resolveEvent(eventOfMarket(market), payouts);
        settleInbox(venue);
        listings.freeSlot(venue, market);
        assertEq(slots.countOf(venue, MarketKind.Outcome).taken, 0);
    }

    function test_a_frozen_groups_slots_are_free() public {
        MarketId market = listEvent(venue);
        settleInbox(venue);
        listPerpetual(venue);
        pass(1 days + 1);
        IRiskGroup(groupOf(venue).group).freeze();
        listings.freeSlot(venue, market);
        listings.freeSlot(venue, MarketId.wrap(2 << 8));
        vm.startPrank(deployer);
        registry.closeVenue(venue);
        stake.unstake(REQUIRED);
        vm.stopPrank();
    }

    /// @dev The whole of a deployer's life, with everything that it may not do on the way.
    function test_stake_list_delist_close_cool_release() public {
        MarketId market = listPerpetual(venue);
        settleInbox(venue);
        vm.startPrank(deployer);
        vm.expectRevert(abi.encodeWithSelector(StakedOkb.StakeLocked.selector, uint256(REQUIRED), uint256(REQUIRED), 1));
        stake.unstake(1);
        vm.expectRevert(abi.encodeWithSelector(Slots.MarketsLive.selector, venue, MarketKind.Perpetual, 1));
        registry.closeVenue(venue);
        listings.announceDelisting(venue, market);
        vm.stopPrank();
        settleInbox(venue);
        pass(NOTICE);
        listings.delist(venue, market);
        settleInbox(venue);
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(Slots.MarketsLive.selector, venue, MarketKind.Perpetual, 1));
        registry.closeVenue(venue);
        listings.freeSlot(venue, market);
        vm.startPrank(deployer);
        registry.closeVenue(venue);
        stake.unstake(REQUIRED);
        pass(21 days);
        stake.release();
        vm.stopPrank();
        assertEq(stake.balanceOf(deployer), 0);
    }

    // ----------------------------------------------------------------- pauses

    function test_the_guardian_makes_a_market_reduce_only_for_three_days_and_then_leaves_it_alone() public {
        MarketId market = listPerpetual(venue);
        vm.prank(guardian);
        listings.pause(venue, market);
        settleInbox(venue);
        assertEq(uint8(phaseOf(venue, market)), uint8(Phase.ReduceOnly));
        vm.prank(deployer);
        listings.setPhase(venue, market, Phase.PostOnly);
        uint64 until = listings.marketOf(venue, market).pausedUntil;
        vm.expectRevert(abi.encodeWithSelector(Listings.MarketPaused.selector, until));
        listings.resume(venue, market);
        settleInbox(venue);
        assertEq(uint8(phaseOf(venue, market)), uint8(Phase.ReduceOnly), "its deployer's wish waits");
        vm.warp(until);
        listings.resume(venue, market);
        settleInbox(venue);
        assertEq(uint8(phaseOf(venue, market)), uint8(Phase.PostOnly));
        vm.prank(guardian);
        vm.expectRevert(abi.encodeWithSelector(Listings.GuardianRests.selector, until + 14 days));
        listings.pause(venue, market);
        vm.warp(until + 14 days);
        vm.prank(guardian);
        listings.pause(venue, market);
    }

    function test_a_pause_does_not_open_what_its_deployer_has_halted() public {
        MarketId market = listPerpetual(venue);
        vm.prank(deployer);
        listings.setPhase(venue, market, Phase.Halted);
        vm.prank(guardian);
        listings.pause(venue, market);
        settleInbox(venue);
        assertEq(uint8(phaseOf(venue, market)), uint8(Phase.Halted));
        pass(3 days);
        listings.resume(venue, market);
        settleInbox(venue);
        assertEq(uint8(phaseOf(venue, market)), uint8(Phase.Halted));
        vm.expectRevert(abi.encodeWithSelector(Listings.NotAnnounced.selector, venue, market));
        listings.resume(venue, market);
    }

    function test_the_guardian_stops_listings_for_a_moment_and_nothing_else() public {
        MarketId market = listPerpetual(venue);
        vm.startPrank(guardian);
        listings.pauseListings();
        vm.expectRevert(
            abi.encodeWithSelector(Listings.GuardianRests.selector, uint64(vm.getBlockTimestamp()) + 17 days)
        );
        listings.pauseListings();
        vm.expectRevert(abi.encodeWithSelector(Listings.NotPermitted.selector, venue, guardian));
        listings.setPhase(venue, market, Phase.Halted);
        vm.expectRevert(abi.encodeWithSelector(Listings.NotPermitted.selector, venue, guardian));
        listings.announceDelisting(venue, market);
        vm.expectRevert(abi.encodeWithSelector(Governed.NotGovernance.selector, guardian, address(timelock)));
        listings.pauseFor(venue, market, 30 days);
        vm.expectRevert(abi.encodeWithSelector(Governed.NotGovernance.selector, guardian, address(timelock)));
        listings.setGuardian(guardian);
        vm.expectRevert(abi.encodeWithSelector(Governed.NotGovernance.selector, guardian, address(timelock)));
        listings.approveCross(venue, market);
        vm.stopPrank();
        EventConfig memory config = eventOf(venue);
        vm.prank(deployer);
        vm.expectRevert(
            abi.encodeWithSelector(Listings.ListingPaused.selector, uint64(vm.getBlockTimestamp()) + 3 days)
        );
        listings.listEvent(venue, config);
        pass(3 days);
        listEvent(venue);
    }

    function test_nobody_else_is_guardian_and_a_xip_replaces_it() public {
        MarketId market = listPerpetual(venue);
        bytes memory refusal = abi.encodeWithSelector(Listings.NotGuardian.selector, bob, guardian);
        vm.startPrank(bob);
        vm.expectRevert(refusal);
        listings.pause(venue, market);
        vm.expectRevert(refusal);
        listings.pauseListings();
        vm.stopPrank();
        enact(XipKind.SetGuardian, abi.encode(bob));
        vm.prank(bob);
        listings.pause(venue, market);
    }

    function test_an_emergency_xip_pauses_longer_but_not_for_ever() public {
        MarketId market = listPerpetual(venue);
        enact(XipKind.PauseMarket, abi.encode(venue, market, uint64(30 days)));
        assertEq(listings.marketOf(venue, market).pausedUntil, vm.getBlockTimestamp() + 30 days);
        vm.prank(address(timelock));
        vm.expectRevert(abi.encodeWithSelector(Listings.PauseTooLong.selector, 30 days + 1, 30 days));
        listings.pauseFor(venue, market, 30 days + 1);
    }

    // ----------------------------------------------------------------- shared groups

    function shared() private returns (VenueNumber admitted) {
        vm.startPrank(address(timelock));
        GroupNumber group = registry.openSharedGroup(groupSpec());
        reviews.mark(address(source), keccak256("report"));
        vm.stopPrank();
        stakeAs(deployer, REQUIRED);
        vm.prank(address(timelock));
        admitted = registry.admitVenue(group, deployer, registrar, venueConfig(), "");
    }

    function test_a_shared_groups_perpetual_is_isolated_until_a_xip_approves_it_and_then_for_good_cross() public {
        venue = shared();
        PerpetualConfig memory config = perpetualOf(venue);
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(Listings.MustBeIsolated.selector, venue));
        listings.listPerpetual(venue, config);
        config.terms.isolatedOnly = true;
        vm.prank(deployer);
        MarketId market = listings.listPerpetual(venue, config);
        config.terms.isolatedOnly = false;
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(Listings.MustBeIsolated.selector, venue));
        listings.announceTerms(venue, market, config);

        enact(XipKind.ApproveCross, abi.encode(venue, market));
        vm.prank(deployer);
        listings.announceTerms(venue, market, config);
        pass(NOTICE);
        listings.applyTerms(venue, market, config);
        config.terms.isolatedOnly = true;
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(Listings.CrossIsForGood.selector, venue, market));
        listings.announceTerms(venue, market, config);
    }

    function test_a_shared_groups_perpetual_has_a_reviewed_source() public {
        venue = shared();
        PerpetualConfig memory config = perpetualOf(venue);
        config.terms.isolatedOnly = true;
        config.feed.source = address(okb);
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(Reviews.NotReviewed.selector, address(okb)));
        listings.listPerpetual(venue, config);
    }

    /// @dev Whoever changes the code behind an address loses its mark.
    function test_a_review_is_of_the_code_that_was_there() public {
        venue = shared();
        assertTrue(reviews.isReviewed(address(source)));
        vm.etch(address(source), hex"00");
        assertFalse(reviews.isReviewed(address(source)));
        vm.prank(address(timelock));
        vm.expectRevert(abi.encodeWithSelector(Reviews.NotAContract.selector, bob));
        reviews.mark(bob, keccak256("report"));
    }

    // ----------------------------------------------------------------- whose market

    function test_a_market_is_reached_through_its_own_venue_only() public {
        MarketId market = listPerpetual(venue);
        VenueRequest memory request = venueRequest();
        request.group = registry.venueOf(venue).group;
        VenueNumber second = open(deployer, request);
        vm.startPrank(deployer);
        vm.expectRevert(abi.encodeWithSelector(Listings.NoSuchMarket.selector, second, market));
        listings.setPhase(second, market, Phase.Halted);
        vm.expectRevert(abi.encodeWithSelector(Listings.NoSuchMarket.selector, second, market));
        listings.freeSlot(second, market);
        vm.expectRevert(abi.encodeWithSelector(Listings.PhaseNotForDeployers.selector, Phase.Delisted));
        listings.setPhase(venue, market, Phase.Delisted);
        vm.stopPrank();
    }
}
