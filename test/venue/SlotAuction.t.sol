// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MarketKind} from "../../contracts/group/Types.sol";
import {SlotAuction} from "../../contracts/venue/SlotAuction.sol";
import {Slots} from "../../contracts/venue/Slots.sol";
import {Governed} from "../../contracts/xip/Governed.sol";
import {StakeTest} from "./StakeTest.sol";

/// @notice The Slot Auction: falls until somebody bids, then rises until nobody does.
contract SlotAuctionTest is StakeTest {
    MarketKind private constant KIND = MarketKind.Perpetual;

    function setUp() public override {
        super.setUp();
        openVenue(VENUE, alice);
        openVenue(OTHER_VENUE, bob);
    }

    function test_the_price_falls_evenly_to_its_floor() public {
        assertEq(auction.price(KIND), FIRST);
        pass(FALL / 3);
        assertEq(auction.price(KIND), FIRST - (FIRST - FLOOR) / 3);
        pass(FALL);
        assertEq(auction.price(KIND), FLOOR);
    }

    function test_the_first_bid_pays_the_price_of_the_moment_whatever_it_offers() public {
        pass(FALL / 2);
        uint96 price = uint96(auction.price(KIND));
        assertEq(bidAs(alice, VENUE, KIND, 40 ether), price);
        assertEq(okb.balanceOf(alice), 40 ether);
    }

    function test_a_bid_wins_when_nobody_bids_more_in_its_contest() public {
        pass(FALL);
        bidAs(alice, VENUE, KIND, 0);
        uint64 ends = auction.auctionOf(KIND).ends;
        vm.warp(ends - 1);
        vm.expectRevert(abi.encodeWithSelector(SlotAuction.ContestRuns.selector, ends));
        auction.settle(KIND);
        vm.warp(ends);
        auction.settle(KIND);
        assertEq(slots.countOf(VENUE, KIND).bought, 1);
        assertEq(okb.balanceOf(treasury), FLOOR);
        assertEq(auction.auctionOf(KIND).number, 2);
        assertEq(auction.price(KIND), 2 * FLOOR, "the next one starts at a multiple");
        vm.expectRevert(abi.encodeWithSelector(SlotAuction.BidTooLow.selector, 2 * FLOOR, 0));
        auction.settle(KIND);
    }

    function test_a_bid_in_the_last_second_gives_everyone_another_contest() public {
        pass(FALL);
        bidAs(alice, VENUE, KIND, 0);
        pass(auction.CONTEST() - 1);
        assertEq(auction.price(KIND), FLOOR * 105 / 100);
        bidAs(bob, OTHER_VENUE, KIND, 0);
        assertEq(auction.auctionOf(KIND).ends, vm.getBlockTimestamp() + auction.CONTEST());
        assertEq(auction.refundable(alice), FLOOR);
        bidAs(alice, VENUE, KIND, 1 ether);
        pass(auction.CONTEST());
        auction.settle(KIND);
        assertEq(slots.countOf(VENUE, KIND).bought, 1);
        assertEq(slots.countOf(OTHER_VENUE, KIND).bought, 0);
        vm.prank(alice);
        auction.refund();
        assertEq(okb.balanceOf(alice), FLOOR);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(SlotAuction.NothingToRefund.selector, alice));
        auction.refund();
    }

    function test_a_bid_after_the_contest_is_none() public {
        pass(FALL);
        bidAs(alice, VENUE, KIND, 0);
        uint64 ends = auction.auctionOf(KIND).ends;
        vm.warp(ends);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(SlotAuction.ContestOver.selector, ends));
        auction.bid(KIND, 1, OTHER_VENUE, 1000 ether);
        auction.settle(KIND);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(SlotAuction.WrongAuction.selector, 2, 1));
        auction.bid(KIND, 1, OTHER_VENUE, 1000 ether);
    }

    function test_a_later_bid_is_a_step_higher() public {
        pass(FALL);
        bidAs(alice, VENUE, KIND, 0);
        uint256 least = auction.price(KIND);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(SlotAuction.BidTooLow.selector, least, least - 1));
        auction.bid(KIND, 1, OTHER_VENUE, uint96(least - 1));
    }

    function test_only_an_open_venues_deployer_bids() public {
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(SlotAuction.NotDeployer.selector, VENUE, bob, alice));
        auction.bid(KIND, 1, VENUE, FIRST);
        vm.prank(registry);
        slots.close(VENUE);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(Slots.VenueNotOpen.selector, VENUE));
        auction.bid(KIND, 1, VENUE, FIRST);
    }

    function test_a_venue_that_closed_after_its_bid_does_not_hold_up_the_auction() public {
        pass(FALL);
        bidAs(alice, VENUE, KIND, 0);
        vm.prank(registry);
        slots.close(VENUE);
        pass(auction.CONTEST());
        auction.settle(KIND);
        assertEq(okb.balanceOf(treasury), FLOOR);
        vm.expectRevert(abi.encodeWithSelector(Slots.VenueNotOpen.selector, VENUE));
        take(VENUE, KIND);
    }

    function test_a_bought_slot_lists_one_more_market() public {
        take(VENUE, KIND);
        pass(FALL);
        bidAs(alice, VENUE, KIND, 0);
        vm.expectRevert(abi.encodeWithSelector(Slots.NoFreeSlot.selector, VENUE, KIND, 1));
        take(VENUE, KIND);
        pass(auction.CONTEST());
        auction.settle(KIND);
        take(VENUE, KIND);
        vm.expectRevert(abi.encodeWithSelector(Slots.NoFreeSlot.selector, VENUE, KIND, 2));
        take(VENUE, KIND);
    }

    function test_new_terms_begin_with_the_next_auction() public {
        SlotAuction.Terms memory terms = auctionTerms();
        terms.floor = 50 ether;
        terms.multiple = 1_000_000;
        vm.prank(governance);
        auction.setTerms(KIND, terms);
        pass(FALL);
        assertEq(auction.price(KIND), FLOOR);
        bidAs(alice, VENUE, KIND, 0);
        pass(auction.CONTEST());
        auction.settle(KIND);
        assertEq(auction.price(KIND), 50 ether, "never below the new floor");
    }

    function test_terms_without_a_price_are_refused() public {
        SlotAuction.Terms memory terms = auctionTerms();
        terms.floor = 0;
        assertRefused(terms, "floor");
        terms = auctionTerms();
        terms.fall = 0;
        assertRefused(terms, "fall");
        terms = auctionTerms();
        terms.multiple = 999_999;
        assertRefused(terms, "multiple");
    }

    function assertRefused(SlotAuction.Terms memory terms, bytes32 field) private {
        vm.prank(governance);
        vm.expectRevert(abi.encodeWithSelector(SlotAuction.InvalidTerms.selector, field));
        auction.setTerms(KIND, terms);
    }

    function test_proceeds_go_where_governance_says() public {
        bytes memory refusal = abi.encodeWithSelector(Governed.NotGovernance.selector, bob, governance);
        vm.startPrank(bob);
        vm.expectRevert(refusal);
        auction.setTreasury(bob);
        SlotAuction.Terms memory terms = auctionTerms();
        vm.expectRevert(refusal);
        auction.setTerms(KIND, terms);
        vm.stopPrank();
        vm.startPrank(governance);
        vm.expectRevert(abi.encodeWithSelector(SlotAuction.InvalidTerms.selector, bytes32("treasury")));
        auction.setTreasury(address(0));
        auction.setTreasury(bob);
        vm.stopPrank();
        assertEq(auction.treasury(), bob);
    }

    /// @dev Whatever the moments of the bids: the winner is the highest, and everyone else is whole.
    function testFuzz_the_highest_bid_wins_and_the_others_are_refunded(uint32[6] memory waits, uint64[6] memory more)
        public
    {
        pass(waits[0]);
        uint256 highest;
        address winner;
        for (uint256 i = 0; i < waits.length; ++i) {
            pass(waits[i] % (auction.CONTEST() + 60));
            SlotAuction.Auction memory running = auction.auctionOf(KIND);
            if (running.highest != 0 && vm.getBlockTimestamp() >= running.ends) break;
            bool isAlice = more[i] % 2 == 0;
            winner = isAlice ? alice : bob;
            highest = bidAs(winner, isAlice ? VENUE : OTHER_VENUE, KIND, more[i]);
        }
        pass(auction.CONTEST());
        auction.settle(KIND);
        assertEq(okb.balanceOf(treasury), highest);
        assertEq(slots.countOf(winner == alice ? VENUE : OTHER_VENUE, KIND).bought, 1);
        assertEq(okb.balanceOf(address(auction)), auction.held());
        assertEq(auction.held(), auction.refundable(alice) + auction.refundable(bob));
    }
}
