// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGateway} from "../../contracts/group/IGateway.sol";
import {EventConfig, EventId, Phase, eventOf as eventOfMarket, firstMarket} from "../../contracts/group/Types.sol";
import {IPriceSource} from "../../contracts/oracle/IPriceSource.sol";
import {Payouts} from "../../contracts/resolver/Payouts.sol";
import {PriceResolver} from "../../contracts/resolver/PriceResolver.sol";
import {VenueNumber} from "../../contracts/venue/VenueTypes.sol";
import {VenueTest} from "../venue/VenueTest.sol";

/// @notice Events that ask in which band a price was at a time.
contract PriceResolverTest is VenueTest {
    bytes32 private constant FEED = "BTC";
    uint64 private constant MAX_AGE = 1 minutes * 1000;

    PriceResolver private bands;
    uint64 private time;
    uint64 private deadline;
    VenueNumber private venue;
    IGateway private gateway;
    EventId private id;

    function setUp() public override {
        super.setUp();
        venue = openVenue();
        gateway = gatewayOf(venue);
        uint64 second = uint64(vm.getBlockTimestamp()) + 10 days;
        (time, deadline) = (second * 1000 + 500, second + 7 days);
        bands = new PriceResolver(source, FEED, time, MAX_AGE, deadline, prices(100_000e18, 120_000e18));
        id = openEvent(3, address(bands));
        settleInbox(venue);
    }

    function prices(uint256 first, uint256 second) private pure returns (uint256[] memory list) {
        list = new uint256[](2);
        (list[0], list[1]) = (first, second);
    }

    function openEvent(uint8 outcomes, address resolver_) private returns (EventId) {
        EventConfig memory config = eventOf(venue);
        (config.outcomes, config.labels, config.resolver) = (outcomes, new string[](outcomes), resolver_);
        for (uint8 i = 0; i < outcomes; ++i) {
            config.labels[i] = vm.toString(i);
        }
        vm.prank(deployer);
        return eventOfMarket(listings.listEvent(venue, config));
    }

    function afterwards() private {
        vm.warp(time / 1000 + 1);
    }

    function assertWon(uint256 outcome) private {
        settleInbox(venue);
        uint64[] memory payouts = viewsOf(venue).payouts(id);
        for (uint256 i = 0; i < payouts.length; ++i) {
            assertEq(payouts[i], i == outcome ? 1000 : 0);
        }
        assertEq(uint8(phaseOf(venue, firstMarket(id))), uint8(Phase.Delisted));
    }

    function testFuzz_the_band_of_the_price_wins(uint256 price) public {
        price = bound(price, 1, 220_000e18);
        source.set(FEED, time, price, time);
        afterwards();
        vm.prank(bob);
        bands.resolve(gateway, id, "");
        assertWon(price < 100_000e18 ? 0 : price < 120_000e18 ? 1 : 2);
    }

    function test_a_bound_belongs_to_the_band_above_it() public view {
        assertEq(bands.bandOf(100_000e18 - 1), 0);
        assertEq(bands.bandOf(100_000e18), 1);
        assertEq(bands.bandOf(120_000e18 - 1), 1);
        assertEq(bands.bandOf(120_000e18), 2);
        assertEq(bands.bandOf(type(uint256).max), 2);
        assertEq(bands.bounds().length, 2);
    }

    function test_no_price_decides_before_its_time_is_over() public {
        source.set(FEED, time, 1e18, time - 1000);
        vm.warp(time / 1000);
        vm.expectRevert(abi.encodeWithSelector(PriceResolver.TimeNotOver.selector, time));
        bands.resolve(gateway, id, "");
        afterwards();
        bands.resolve(gateway, id, "");
        assertWon(0);
    }

    function test_a_price_of_another_time_is_none() public {
        afterwards();
        source.set(FEED, time + 1, 1e18, time);
        vm.expectRevert(abi.encodeWithSelector(IPriceSource.PriceNotProven.selector, FEED, time, bytes32("unset")));
        bands.resolve(gateway, id, "");
        uint64 old = time - MAX_AGE - 1;
        source.set(FEED, time, 1e18, old);
        vm.expectRevert(abi.encodeWithSelector(PriceResolver.PriceTooOld.selector, old, time, MAX_AGE));
        bands.resolve(gateway, id, "");
        // A source that breaks its promise.
        source.set(FEED, time, 1e18, time + 1);
        vm.expectRevert(abi.encodeWithSelector(PriceResolver.PriceTooOld.selector, time + 1, time, MAX_AGE));
        bands.resolve(gateway, id, "");
        source.set(FEED, time, 1e18, old + 1);
        bands.resolve(gateway, id, "");
        assertWon(0);
    }

    function test_an_event_is_decided_once() public {
        source.set(FEED, time, 110_000e18, time);
        afterwards();
        bands.resolve(gateway, id, "");
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IGateway.AlreadyResolved.selector, id));
        bands.void(gateway, id);
        vm.expectRevert(abi.encodeWithSelector(IGateway.AlreadyResolved.selector, id));
        bands.resolve(gateway, id, "");
        assertWon(1);
    }

    function test_without_a_price_by_the_deadline_anyone_may_void() public {
        vm.warp(deadline - 1);
        vm.expectRevert(abi.encodeWithSelector(PriceResolver.NotDueYet.selector, deadline));
        bands.void(gateway, id);
        vm.warp(deadline);
        vm.prank(bob);
        bands.void(gateway, id);
        settleInbox(venue);
        uint64[] memory payouts = viewsOf(venue).payouts(id);
        assertEq(payouts[0], 334, "what does not divide goes to the first");
        assertEq(payouts[1] + payouts[2], 666);
    }

    function test_an_event_without_an_outcome_for_each_band_is_only_voided() public {
        id = openEvent(2, address(bands));
        settleInbox(venue);
        source.set(FEED, time, 130_000e18, time);
        afterwards();
        vm.expectRevert(abi.encodeWithSelector(IGateway.InvalidPayouts.selector, 2, 2, 1000, 0));
        bands.resolve(gateway, id, "");
        vm.warp(deadline);
        bands.void(gateway, id);
        settleInbox(venue);
        assertEq(viewsOf(venue).payouts(id)[0], 500);
    }

    function test_what_is_not_open_yet_or_somebody_elses_is_not_reached() public {
        source.set(FEED, time, 1e18, time);
        afterwards();
        EventId late = openEvent(3, address(bands));
        vm.expectRevert(abi.encodeWithSelector(Payouts.NotSettledYet.selector, gateway, late));
        bands.resolve(gateway, late, "");
        EventId other = openEvent(3, resolver);
        settleInbox(venue);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NotResolver.selector, other, bands, resolver));
        bands.resolve(gateway, other, "");
    }

    function test_a_question_has_ascending_bounds_a_source_and_a_deadline_after_its_time() public {
        vm.expectRevert(abi.encodeWithSelector(PriceResolver.BoundsNotAscending.selector, 0, 0));
        new PriceResolver(source, FEED, time, MAX_AGE, deadline, new uint256[](0));
        vm.expectRevert(abi.encodeWithSelector(PriceResolver.BoundsNotAscending.selector, 0, 0));
        new PriceResolver(source, FEED, time, MAX_AGE, deadline, prices(0, 1));
        vm.expectRevert(abi.encodeWithSelector(PriceResolver.BoundsNotAscending.selector, 5, 5));
        new PriceResolver(source, FEED, time, MAX_AGE, deadline, prices(5, 5));
        vm.expectRevert(abi.encodeWithSelector(PriceResolver.DeadlineBeforeTime.selector, time / 1000, time));
        new PriceResolver(source, FEED, time, MAX_AGE, time / 1000, prices(1, 2));
        vm.expectRevert(PriceResolver.ZeroAddress.selector);
        new PriceResolver(IPriceSource(address(0)), FEED, time, MAX_AGE, deadline, prices(1, 2));
    }
}
