// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {MarketKind} from "../../contracts/group/Types.sol";
import {SlotAuction} from "../../contracts/venue/SlotAuction.sol";
import {Slots} from "../../contracts/venue/Slots.sol";
import {StakedOkb} from "../../contracts/venue/StakedOkb.sol";
import {VenueNumber} from "../../contracts/venue/VenueTypes.sol";
import {TestToken} from "../group/TestToken.sol";

/// @notice Stake, slots and the auction, with a governance, a registry and listings that the test plays itself.
abstract contract StakeTest is Test {
    uint64 internal constant COOLDOWN = 21 days;
    uint88 internal constant REQUIRED = 1000 ether;
    uint96 internal constant FLOOR = 10 ether;
    uint96 internal constant FIRST = 100 ether;
    uint32 internal constant FALL = 1 days;
    VenueNumber internal constant VENUE = VenueNumber.wrap(1);
    VenueNumber internal constant OTHER_VENUE = VenueNumber.wrap(2);

    TestToken internal okb;
    StakedOkb internal stake;
    Slots internal slots;
    SlotAuction internal auction;
    address internal governance = makeAddr("governance");
    address internal treasury = makeAddr("treasury");
    address internal registry = makeAddr("registry");
    address internal listings = makeAddr("listings");
    address internal alice = makeAddr("alice");
    address internal bob = makeAddr("bob");

    function setUp() public virtual {
        vm.warp(1_781_000_000);
        okb = new TestToken("WOKB", 18);
        uint64 nonce = vm.getNonce(address(this));
        address slotsAt = vm.computeCreateAddress(address(this), nonce + 1);
        address auctionAt = vm.computeCreateAddress(address(this), nonce + 2);
        stake = new StakedOkb(okb, Slots(slotsAt), governance, COOLDOWN);
        uint32[3] memory base = [uint32(3), 2, 1];
        slots = new Slots(stake, Slots.Users(registry, listings, auctionAt), governance, REQUIRED, base);
        auction = new SlotAuction(okb, slots, treasury, governance, auctionTerms());
        assertEq(address(slots), slotsAt);
        assertEq(address(auction), auctionAt);
    }

    function auctionTerms() internal pure returns (SlotAuction.Terms memory) {
        return SlotAuction.Terms({floor: FLOOR, first: FIRST, fall: FALL, multiple: 2_000_000});
    }

    function stakeAs(address account, uint256 amount) internal {
        okb.mint(account, amount);
        vm.startPrank(account);
        okb.approve(address(stake), amount);
        stake.stake(amount);
        vm.stopPrank();
    }

    function openVenue(VenueNumber venue, address deployer) internal {
        stakeAs(deployer, REQUIRED);
        vm.prank(registry);
        slots.open(venue, deployer);
    }

    function take(VenueNumber venue, MarketKind kind) internal {
        vm.prank(listings);
        slots.take(venue, kind);
    }

    function free(VenueNumber venue, MarketKind kind) internal {
        vm.prank(listings);
        slots.free(venue, kind);
    }

    /// @notice Bids what is asked at the moment, plus `more`.
    function bidAs(address bidder, VenueNumber venue, MarketKind kind, uint96 more) internal returns (uint96) {
        uint96 offered = uint96(auction.price(kind)) + more;
        okb.mint(bidder, offered);
        uint64 number = auction.auctionOf(kind).number;
        vm.startPrank(bidder);
        okb.approve(address(auction), offered);
        uint96 amount = auction.bid(kind, number, venue, offered);
        vm.stopPrank();
        return amount;
    }

    function pass(uint256 secondsLong) internal {
        vm.warp(vm.getBlockTimestamp() + secondsLong);
    }
}
