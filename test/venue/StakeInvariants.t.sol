// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {MarketKind} from "../../contracts/group/Types.sol";
import {SlotAuction} from "../../contracts/venue/SlotAuction.sol";
import {Slots} from "../../contracts/venue/Slots.sol";
import {StakedOkb} from "../../contracts/venue/StakedOkb.sol";
import {VenueNumber} from "../../contracts/venue/VenueTypes.sol";
import {TestToken} from "../group/TestToken.sol";
import {StakeTest} from "./StakeTest.sol";

/// @notice Stakers, deployers and bidders who do what they may, in any order, and a governance that slashes them.
contract Stakers is Test {
    TestToken private immutable okb;
    StakedOkb private immutable stake;
    Slots private immutable slots;
    SlotAuction private immutable auction;
    address private immutable governance;
    address[4] public actors;
    uint32 public venues;
    uint32 public rule;
    uint256 public slashed;
    uint256 public granted;
    uint256 private evidence;

    constructor(
        TestToken okb_,
        StakedOkb stake_,
        Slots slots_,
        SlotAuction auction_,
        address governance_,
        uint32 rule_
    ) {
        (okb, stake, slots, auction, governance, rule) = (okb_, stake_, slots_, auction_, governance_, rule_);
        for (uint256 i = 0; i < actors.length; ++i) {
            actors[i] = makeAddr(string.concat("actor ", vm.toString(i)));
        }
    }

    function stakeSome(uint256 who, uint256 amount) external {
        address actor = actors[who % 4];
        amount = bound(amount, 1, 3000 ether);
        okb.mint(actor, amount);
        vm.startPrank(actor);
        okb.approve(address(stake), amount);
        stake.stake(amount);
        vm.stopPrank();
    }

    function delegate(uint256 who, uint256 to) external {
        vm.prank(actors[who % 4]);
        stake.delegate(actors[to % 4]);
    }

    function unstake(uint256 who, uint256 amount) external {
        address actor = actors[who % 4];
        (uint256 staked, uint256 locked) = (stake.balanceOf(actor), slots.lockedStake(actor));
        if (staked <= locked) return;
        vm.prank(actor);
        stake.unstake(bound(amount, 1, staked - locked));
    }

    /// @notice Nobody's tied stake leaves: asking for an atom more than is free is always refused.
    function unstakeTooMuch(uint256 who) external {
        address actor = actors[who % 4];
        (uint256 staked, uint256 locked) = (stake.balanceOf(actor), slots.lockedStake(actor));
        uint256 tooMuch = (staked > locked ? staked - locked : 0) + 1;
        vm.prank(actor);
        vm.expectRevert(abi.encodeWithSelector(StakedOkb.StakeLocked.selector, staked, locked, tooMuch));
        stake.unstake(tooMuch);
    }

    function leave(uint256 who, bool again) external {
        address actor = actors[who % 4];
        StakedOkb.Cooling memory cooling = stake.coolingOf(actor);
        if (cooling.amount == 0) return;
        vm.prank(actor);
        if (again) {
            stake.restake();
        } else {
            vm.warp(cooling.releasable > block.timestamp ? cooling.releasable : block.timestamp);
            stake.release();
        }
    }

    function slash(uint256 who, uint256 amount) external {
        address actor = actors[who % 4];
        uint256 most = (stake.balanceOf(actor) + stake.coolingOf(actor).amount) / 2;
        if (most == 0) return;
        amount = bound(amount, 1, most);
        slashed += amount;
        vm.prank(governance);
        stake.slash(actor, rule, uint128(amount), uint64(block.timestamp), bytes32(++evidence), address(this));
    }

    function openVenue(uint256 who) external {
        address actor = actors[who % 4];
        if (stake.balanceOf(actor) < slots.lockedStake(actor) + slots.requiredStake()) return;
        vm.prank(slots.registry());
        slots.open(VenueNumber.wrap(++venues), actor);
    }

    function closeVenue(uint256 which) external {
        (VenueNumber venue, bool open) = pick(which);
        if (!open || takenBy(venue) != 0) return;
        vm.prank(slots.registry());
        slots.close(venue);
    }

    function list(uint256 which, uint8 kind) external {
        (VenueNumber venue, bool open) = pick(which);
        MarketKind listed = MarketKind(kind % 3);
        Slots.Count memory count = slots.countOf(venue, listed);
        address deployer = slots.venueOf(venue).deployer;
        if (!open || stake.balanceOf(deployer) < slots.lockedStake(deployer)) return;
        bool full = count.taken == slots.baseSlots(listed) + count.bought;
        vm.prank(slots.listings());
        if (full) {
            vm.expectRevert(abi.encodeWithSelector(Slots.NoFreeSlot.selector, venue, listed, uint256(count.taken)));
        }
        slots.take(venue, listed);
    }

    function delist(uint256 which, uint8 kind) external {
        (VenueNumber venue,) = pick(which);
        if (slots.countOf(venue, MarketKind(kind % 3)).taken == 0) return;
        vm.prank(slots.listings());
        slots.free(venue, MarketKind(kind % 3));
    }

    function bid(uint256 which, uint8 kind, uint96 more, uint16 wait) external {
        vm.warp(block.timestamp + wait);
        (VenueNumber venue, bool open) = pick(which);
        MarketKind sold = MarketKind(kind % 3);
        SlotAuction.Auction memory running = auction.auctionOf(sold);
        if (!open || (running.highest != 0 && block.timestamp >= running.ends)) return;
        uint256 offered = auction.price(sold) + more % 10 ether;
        if (offered > 1e27) return;
        address actor = slots.venueOf(venue).deployer;
        okb.mint(actor, offered);
        vm.startPrank(actor);
        okb.approve(address(auction), offered);
        auction.bid(sold, running.number, venue, uint96(offered));
        vm.stopPrank();
    }

    function settle(uint8 kind) external {
        SlotAuction.Auction memory running = auction.auctionOf(MarketKind(kind % 3));
        if (running.highest == 0) return;
        if (running.ends > block.timestamp) vm.warp(running.ends);
        auction.settle(MarketKind(kind % 3));
        ++granted;
    }

    function refund(uint256 who) external {
        address actor = actors[who % 4];
        if (auction.refundable(actor) == 0) return;
        vm.prank(actor);
        auction.refund();
    }

    function pick(uint256 which) private view returns (VenueNumber venue, bool open) {
        venue = VenueNumber.wrap(venues == 0 ? 1 : uint32(1 + which % venues));
        open = slots.venueOf(venue).open;
    }

    function takenBy(VenueNumber venue) public view returns (uint256 taken) {
        for (uint8 kind = 0; kind < 3; ++kind) {
            taken += slots.countOf(venue, MarketKind(kind)).taken;
        }
    }
}

/// @notice What holds of stake and slots whatever is done.
contract StakeInvariantsTest is StakeTest {
    Stakers private stakers;

    function setUp() public override {
        super.setUp();
        vm.prank(governance);
        uint32 rule = stake.publishRule(500_000, 0);
        stakers = new Stakers(okb, stake, slots, auction, governance, rule);
        targetContract(address(stakers));
        bytes4[] memory readings = new bytes4[](5);
        readings[0] = stakers.actors.selector;
        readings[1] = stakers.venues.selector;
        readings[2] = stakers.slashed.selector;
        readings[3] = stakers.granted.selector;
        readings[4] = stakers.takenBy.selector;
        excludeSelector(FuzzSelector(address(stakers), readings));
    }

    function invariant_stake_is_the_sum_of_stakes_and_votes_are_what_is_delegated() public view {
        (uint256 staked, uint256 cooling, uint256 votes, uint256 delegated) = (0, 0, 0, 0);
        for (uint256 i = 0; i < 4; ++i) {
            address actor = stakers.actors(i);
            staked += stake.balanceOf(actor);
            cooling += stake.coolingOf(actor).amount;
            votes += stake.getVotes(actor);
            if (stake.delegates(actor) != address(0)) delegated += stake.balanceOf(actor);
        }
        assertEq(stake.totalSupply(), staked);
        assertEq(stake.totalCooling(), cooling);
        assertEq(votes, delegated);
        assertEq(okb.balanceOf(address(stake)), staked + cooling, "every wei staked is there");
        assertEq(okb.balanceOf(address(stakers)), stakers.slashed());
    }

    function invariant_no_slot_is_sold_or_used_twice() public view {
        (uint256 bought, uint256 sold) = (0, 0);
        for (uint8 kind = 0; kind < 3; ++kind) {
            sold += auction.auctionOf(MarketKind(kind)).number - 1;
            for (uint32 number = 1; number <= stakers.venues(); ++number) {
                Slots.Count memory count = slots.countOf(VenueNumber.wrap(number), MarketKind(kind));
                assertLe(count.taken, slots.baseSlots(MarketKind(kind)) + count.bought);
                bought += count.bought;
            }
        }
        assertEq(bought, sold);
        assertEq(sold, stakers.granted());
    }

    function invariant_what_is_tied_down_is_what_open_venues_need() public view {
        uint256 locked;
        for (uint256 i = 0; i < 4; ++i) {
            locked += slots.lockedStake(stakers.actors(i));
        }
        uint256 open;
        for (uint32 number = 1; number <= stakers.venues(); ++number) {
            Slots.Venue memory venue = slots.venueOf(VenueNumber.wrap(number));
            if (venue.open) ++open;
            else assertEq(stakers.takenBy(VenueNumber.wrap(number)), 0, "no market without its venue");
        }
        assertEq(locked, open * REQUIRED);
    }

    function invariant_the_auction_has_what_bidders_may_take_back() public view {
        uint256 owed;
        for (uint256 i = 0; i < 4; ++i) {
            owed += auction.refundable(stakers.actors(i));
        }
        for (uint8 kind = 0; kind < 3; ++kind) {
            owed += auction.auctionOf(MarketKind(kind)).highest;
        }
        assertEq(auction.held(), owed);
        assertEq(okb.balanceOf(address(auction)), owed);
    }
}
