// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EventConfig, Lots, MarketId, MarketKind, PerpetualConfig, Phase} from "../../contracts/group/Types.sol";
import {Listings} from "../../contracts/venue/Listings.sol";
import {ProtocolLimits} from "../../contracts/venue/ProtocolLimits.sol";
import {VenueNumber, VenueRequest} from "../../contracts/venue/VenueTypes.sol";
import {XipNumber, XipStatus} from "../../contracts/xip/XipTypes.sol";
import {VenueTest} from "./VenueTest.sol";

/// @notice Deployers, a guardian and a governance that changes the limits under them, in any order; batches in between.
/// @dev The handler is the test contract itself, so that it has the words of `VenueTest`.
contract VenueInvariantsTest is VenueTest {
    struct Known {
        VenueNumber venue;
        MarketId id;
        MarketKind kind;
    }

    Known[] private known;
    XipNumber[] private filed;
    VenueRequest[] private requests;

    function setUp() public override {
        super.setUp();
        openVenue();
        openVenue();
        bytes4[] memory doors = new bytes4[](15);
        doors[0] = this.doFile.selector;
        doors[1] = this.doExecute.selector;
        doors[2] = this.doWithdraw.selector;
        doors[3] = this.doListEvent.selector;
        doors[4] = this.doListPerpetual.selector;
        doors[5] = this.doAnnounce.selector;
        doors[6] = this.doSetPhase.selector;
        doors[7] = this.doPause.selector;
        doors[8] = this.doResume.selector;
        doors[9] = this.doDelist.selector;
        doors[10] = this.doFree.selector;
        doors[11] = this.doClose.selector;
        doors[12] = this.doSetLimits.selector;
        doors[13] = this.doPass.selector;
        doors[14] = this.doPauseListings.selector;
        targetContract(address(this));
        targetSelector(FuzzSelector(address(this), doors));
    }

    // ----------------------------------------------------------------- what happens

    /// @dev The sequencer settles after every step, so no group is ever overdue.
    modifier settled() {
        _;
        for (uint32 number = 1; number <= registry.venues(); ++number) {
            settleInbox(VenueNumber.wrap(number));
        }
    }

    function doFile() external settled {
        if (filed.length > 4) return;
        filed.push(file(deployer, venueRequest()));
        requests.push(venueRequest());
    }

    function doExecute(uint256 which) external settled {
        if (filed.length == 0) return;
        which %= filed.length;
        XipStatus status = xips.status(filed[which]);
        if (status == XipStatus.Review) {
            // Not before its notice is over, by anyone.
            vm.expectRevert();
            registry.executeVenue(filed[which], requests[which]);
            return;
        }
        if (status != XipStatus.Queued) return;
        stakeAs(deployer, REQUIRED);
        registry.executeVenue(filed[which], requests[which]);
    }

    function doWithdraw(uint256 which) external settled {
        if (filed.length == 0) return;
        XipNumber number = filed[which % filed.length];
        if (!registry.filingOf(number).bonded) return;
        vm.prank(deployer);
        registry.withdrawVenue(number);
    }

    function doListEvent(uint32 which, uint24 fee) external settled {
        VenueNumber venue = pickVenue(which);
        EventConfig memory config = eventOf(venue);
        config.terms.takerFee = fee % 40_000;
        vm.prank(deployer);
        try listings.listEvent(venue, config) returns (MarketId id) {
            assertLe(config.terms.takerFee, limits.bounds().maxFee);
            known.push(Known(venue, id, MarketKind.Outcome));
        } catch {}
    }

    function doListPerpetual(uint32 which, uint256 seed) external settled {
        VenueNumber venue = pickVenue(which);
        PerpetualConfig memory config = perpetualAround(venue, seed);
        vm.prank(deployer);
        try listings.listPerpetual(venue, config) returns (MarketId id) {
            assertWithin(config);
            known.push(Known(venue, id, MarketKind.Perpetual));
        } catch {}
    }

    /// @notice Announces terms and applies them when their notice is over, unless the limits have changed by then.
    function doAnnounce(uint256 which, uint256 seed, uint256 newLimits) external settled {
        if (known.length == 0) return;
        Known memory market = known[which % known.length];
        PerpetualConfig memory config = perpetualAround(market.venue, seed);
        vm.prank(deployer);
        try listings.announceTerms(market.venue, market.id, config) {
            settleInbox(market.venue);
            vm.warp(block.timestamp + NOTICE);
            if (newLimits % 2 == 0) changeLimits(newLimits);
            try listings.applyTerms(market.venue, market.id, config) {
                assertWithin(config);
            } catch {}
        } catch {}
    }

    function doSetPhase(uint256 which, uint8 phase) external settled {
        if (known.length == 0) return;
        Known memory market = known[which % known.length];
        vm.prank(deployer);
        try listings.setPhase(market.venue, market.id, Phase(1 + phase % 6)) {} catch {}
    }

    function doPause(uint256 which) external settled {
        if (known.length == 0) return;
        Known memory market = known[which % known.length];
        vm.prank(guardian);
        try listings.pause(market.venue, market.id) {} catch {}
    }

    function doPauseListings() external settled {
        vm.prank(guardian);
        try listings.pauseListings() {} catch {}
    }

    function doResume(uint256 which) external settled {
        if (known.length == 0) return;
        Known memory market = known[which % known.length];
        try listings.resume(market.venue, market.id) {} catch {}
    }

    function doDelist(uint256 which) external settled {
        if (known.length == 0) return;
        Known memory market = known[which % known.length];
        if (market.kind != MarketKind.Perpetual) return;
        vm.prank(deployer);
        try listings.announceDelisting(market.venue, market.id) {} catch {}
        settleInbox(market.venue);
        uint64 dueAt = listings.marketOf(market.venue, market.id).dueAt;
        if (which % 3 == 0 && dueAt > block.timestamp) vm.warp(dueAt);
        try listings.delist(market.venue, market.id) {
            assertGe(block.timestamp, dueAt);
        } catch {}
    }

    function doFree(uint256 which) external settled {
        if (known.length == 0) return;
        Known memory market = known[which % known.length];
        try listings.freeSlot(market.venue, market.id) {
            assertEq(uint8(phaseOf(market.venue, market.id)), uint8(Phase.Delisted), "only what has ended is freed");
        } catch {}
    }

    function doClose(uint32 which) external settled {
        // Seldom, or nothing is left to play with.
        if (which % 8 != 0) return;
        vm.prank(deployer);
        try registry.closeVenue(pickVenue(which / 8)) {} catch {}
    }

    function doSetLimits(uint256 seed) external settled {
        changeLimits(seed);
    }

    function doPass(uint256 time) external settled {
        vm.warp(block.timestamp + time % 20 hours);
    }

    // ----------------------------------------------------------------- what holds

    function invariant_slots_taken_are_markets_that_have_not_ended() public view {
        for (uint32 number = 1; number <= registry.venues(); ++number) {
            VenueNumber venue = VenueNumber.wrap(number);
            uint256[3] memory live;
            for (uint256 i = 0; i < known.length; ++i) {
                if (VenueNumber.unwrap(known[i].venue) != number) continue;
                if (!listings.marketOf(venue, known[i].id).freed) ++live[uint8(known[i].kind)];
            }
            for (uint8 kind = 0; kind < 3; ++kind) {
                assertEq(slots.countOf(venue, MarketKind(kind)).taken, live[kind]);
                assertLe(live[kind], slots.baseSlots(MarketKind(kind)));
            }
            assertEq(slots.venueOf(venue).open, registry.venueOf(venue).open);
        }
    }

    function invariant_a_paused_market_takes_no_new_risk_and_a_pause_ends() public view {
        for (uint256 i = 0; i < known.length; ++i) {
            Listings.Market memory market = listings.marketOf(known[i].venue, known[i].id);
            if (block.timestamp >= market.pausedUntil) continue;
            Phase phase = phaseOf(known[i].venue, known[i].id);
            assertTrue(phase != Phase.Open && phase != Phase.Auction && phase != Phase.PostOnly);
            assertLe(market.pausedUntil, block.timestamp + listings.GUARDIAN_PAUSE());
        }
    }

    function invariant_the_registry_holds_the_bonds_of_what_has_not_ended() public view {
        uint256 bonds;
        for (uint256 i = 0; i < filed.length; ++i) {
            XipStatus status = xips.status(filed[i]);
            bool bonded = registry.filingOf(filed[i]).bonded;
            if (bonded) bonds += registry.filingOf(filed[i]).bond;
            if (status == XipStatus.Review || status == XipStatus.Queued) assertTrue(bonded);
            if (status == XipStatus.Executed || status == XipStatus.Withdrawn) assertFalse(bonded);
        }
        assertEq(registry.bondsHeld(), bonds);
        assertEq(okb.balanceOf(address(registry)), bonds);
    }

    function invariant_each_venue_has_a_group_of_its_own_here() public view {
        for (uint32 number = 2; number <= registry.venues(); ++number) {
            assertNotEq(groupOf(VenueNumber.wrap(number)).group, groupOf(VenueNumber.wrap(number - 1)).group);
        }
        assertEq(registry.groups(), registry.venues());
    }

    // ----------------------------------------------------------------- words

    function pickVenue(uint32 which) private view returns (VenueNumber) {
        return VenueNumber.wrap(1 + which % registry.venues());
    }

    /// @dev Each parameter near its limit, on either side.
    function perpetualAround(VenueNumber venue, uint256 seed) private view returns (PerpetualConfig memory config) {
        config = perpetualOf(venue);
        config.fundingCap = uint32(seed % 12_000);
        config.lossCap = uint96((seed >> 16) % 12_000_000e6);
        config.terms.openInterestCap = Lots.wrap(uint64((seed >> 64) % 1.2e15));
        config.feed.maxAge = uint32(1 + (seed >> 128) % 70_000);
        config.feed.maxMove = uint32(1 + (seed >> 160) % 60_000);
        config.terms.takerFee = uint24((seed >> 192) % 25_000);
        config.maintenanceFractions[0] = uint24(10_000 + (seed >> 208) % 5000);
        config.initialFractions[0] = uint24(config.maintenanceFractions[0] + 1 + (seed >> 224) % 20_000);
    }

    function changeLimits(uint256 seed) private {
        ProtocolLimits.Bounds memory bounds = limits.bounds();
        bounds.maxFundingCap = uint32(5000 + seed % 5000);
        bounds.minInitialFraction = uint24(15_000 + (seed >> 16) % 10_000);
        bounds.maxFee = uint24(10_000 + (seed >> 32) % 10_000);
        vm.prank(address(timelock));
        limits.set(bounds);
    }

    function assertWithin(PerpetualConfig memory config) private view {
        ProtocolLimits.Bounds memory bounds = limits.bounds();
        assertGe(config.initialFractions[0], bounds.minInitialFraction);
        assertGe(config.maintenanceFractions[0], bounds.minMaintenanceFraction);
        assertLe(config.fundingCap, bounds.maxFundingCap);
        assertLe(config.lossCap, bounds.maxLossCap);
        assertLe(Lots.unwrap(config.terms.openInterestCap), bounds.maxOpenInterest);
        assertGt(Lots.unwrap(config.terms.openInterestCap), 0);
        assertLe(config.feed.maxAge, bounds.maxAge);
        assertLe(config.feed.maxMove, bounds.maxMove);
        assertLe(config.terms.takerFee, bounds.maxFee);
    }
}
