// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MarketKind} from "../../contracts/group/Types.sol";
import {Slots} from "../../contracts/venue/Slots.sol";
import {Governed} from "../../contracts/xip/Governed.sol";
import {StakeTest} from "./StakeTest.sol";

/// @notice Slots: what a stake brings, and that none is used twice.
contract SlotsTest is StakeTest {
    function test_a_venue_has_its_base_slots_of_each_kind() public {
        openVenue(VENUE, alice);
        uint32[3] memory base = [uint32(3), 2, 1];
        for (uint8 kind = 0; kind < 3; ++kind) {
            for (uint256 i = 0; i < base[kind]; ++i) {
                take(VENUE, MarketKind(kind));
            }
            vm.expectRevert(
                abi.encodeWithSelector(Slots.NoFreeSlot.selector, VENUE, MarketKind(kind), uint256(base[kind]))
            );
            take(VENUE, MarketKind(kind));
        }
    }

    function test_a_freed_slot_is_taken_again() public {
        openVenue(VENUE, alice);
        take(VENUE, MarketKind.Perpetual);
        free(VENUE, MarketKind.Perpetual);
        take(VENUE, MarketKind.Perpetual);
        assertEq(slots.countOf(VENUE, MarketKind.Perpetual).taken, 1);
        vm.expectRevert(abi.encodeWithSelector(Slots.NoSlotTaken.selector, VENUE, MarketKind.Spot));
        free(VENUE, MarketKind.Spot);
    }

    function test_a_stake_opens_one_venue_and_a_second_needs_as_much_again() public {
        openVenue(VENUE, alice);
        vm.prank(registry);
        vm.expectRevert(
            abi.encodeWithSelector(Slots.StakeTooSmall.selector, alice, uint256(REQUIRED), 2 * uint256(REQUIRED))
        );
        slots.open(OTHER_VENUE, alice);
        openVenue(OTHER_VENUE, alice);
        assertEq(slots.lockedStake(alice), 2 * uint256(REQUIRED));
    }

    function test_a_venue_opens_once() public {
        openVenue(VENUE, alice);
        stakeAs(bob, REQUIRED);
        vm.startPrank(registry);
        vm.expectRevert(abi.encodeWithSelector(Slots.VenueAlreadyOpened.selector, VENUE));
        slots.open(VENUE, bob);
        slots.close(VENUE);
        vm.expectRevert(abi.encodeWithSelector(Slots.VenueAlreadyOpened.selector, VENUE));
        slots.open(VENUE, alice);
        vm.expectRevert(abi.encodeWithSelector(Slots.VenueNotOpen.selector, VENUE));
        slots.close(VENUE);
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(Slots.VenueNotOpen.selector, VENUE));
        take(VENUE, MarketKind.Outcome);
    }

    function test_a_venue_with_a_market_does_not_close() public {
        openVenue(VENUE, alice);
        take(VENUE, MarketKind.Perpetual);
        vm.startPrank(registry);
        vm.expectRevert(abi.encodeWithSelector(Slots.MarketsLive.selector, VENUE, MarketKind.Perpetual, 1));
        slots.close(VENUE);
        vm.stopPrank();
        free(VENUE, MarketKind.Perpetual);
        vm.prank(registry);
        slots.close(VENUE);
        assertEq(slots.lockedStake(alice), 0);
    }

    function test_whose_stake_was_slashed_below_what_is_tied_down_lists_nothing_until_it_is_whole() public {
        openVenue(VENUE, alice);
        vm.startPrank(governance);
        uint32 rule = stake.publishRule(1_000_000, 0);
        stake.slash(alice, rule, 1 ether, uint64(vm.getBlockTimestamp()), keccak256("evidence"), treasury);
        vm.stopPrank();
        vm.expectRevert(
            abi.encodeWithSelector(Slots.StakeTooSmall.selector, alice, REQUIRED - 1 ether, uint256(REQUIRED))
        );
        take(VENUE, MarketKind.Outcome);
        stakeAs(alice, 1 ether);
        take(VENUE, MarketKind.Outcome);
    }

    function test_new_terms_do_not_touch_an_open_venues_stake() public {
        openVenue(VENUE, alice);
        vm.startPrank(governance);
        slots.setRequiredStake(2 * REQUIRED);
        slots.setBaseSlots(MarketKind.Outcome, 0);
        vm.stopPrank();
        assertEq(slots.lockedStake(alice), REQUIRED);
        vm.expectRevert(abi.encodeWithSelector(Slots.NoFreeSlot.selector, VENUE, MarketKind.Outcome, 0));
        take(VENUE, MarketKind.Outcome);
        vm.prank(registry);
        slots.close(VENUE);
        assertEq(slots.lockedStake(alice), 0);
    }

    function test_each_door_is_its_contracts_own() public {
        vm.startPrank(bob);
        bytes memory notRegistry = abi.encodeWithSelector(Slots.NotAllowed.selector, bob, registry);
        bytes memory notListings = abi.encodeWithSelector(Slots.NotAllowed.selector, bob, listings);
        vm.expectRevert(notRegistry);
        slots.open(VENUE, bob);
        vm.expectRevert(notRegistry);
        slots.close(VENUE);
        vm.expectRevert(notListings);
        slots.take(VENUE, MarketKind.Spot);
        vm.expectRevert(notListings);
        slots.free(VENUE, MarketKind.Spot);
        vm.expectRevert(abi.encodeWithSelector(Slots.NotAllowed.selector, bob, address(auction)));
        slots.grant(VENUE, MarketKind.Spot);
        bytes memory notGovernance = abi.encodeWithSelector(Governed.NotGovernance.selector, bob, governance);
        vm.expectRevert(notGovernance);
        slots.setRequiredStake(0);
        vm.expectRevert(notGovernance);
        slots.setBaseSlots(MarketKind.Spot, 100);
        vm.stopPrank();
    }
}
