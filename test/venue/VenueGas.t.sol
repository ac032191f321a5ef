// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGateway} from "../../contracts/group/IGateway.sol";
import {
    EventConfig,
    EventId,
    FeeTier,
    MarketId,
    MarketKind,
    PerpetualConfig,
    eventOf as eventOfMarket
} from "../../contracts/group/Types.sol";
import {OptimisticResolver} from "../../contracts/resolver/OptimisticResolver.sol";
import {VenueNumber, VenueRequest} from "../../contracts/venue/VenueTypes.sol";
import {XipKind} from "../../contracts/xip/IXipActions.sol";
import {XipNumber} from "../../contracts/xip/XipTypes.sol";
import {VenueTest} from "./VenueTest.sol";

/// @notice What each step of a deployer's and of a XIP's life costs, each a transaction of its own.
/// @dev Execution gas, without calldata, of contracts compiled as tests compile them; `snapshots/` holds it.
/// forge-config: default.isolate = true
contract VenueGasTest is VenueTest {
    /// @dev EIP-7825, with room for the transaction's calldata.
    uint256 private constant TRANSACTION_CAP = 16_000_000;

    function test_gas_of_a_deployers_life() public {
        stakeAs(deployer, REQUIRED);
        snap("stake");
        XipNumber number = file(deployer, venueRequest());
        snap("file a Venue XIP");
        pass(NOTICE);
        VenueRequest memory request = venueRequest();
        VenueNumber venue = registry.executeVenue(number, request);
        uint256 gas = vm.snapshotGasLastCall("venue", "open a venue with a new group");
        assertLt(gas, TRANSACTION_CAP, "a group is made in one transaction");
        request.group = registry.venueOf(venue).group;
        stakeAs(deployer, REQUIRED);
        number = file(deployer, request);
        pass(NOTICE);
        registry.executeVenue(number, request);
        snap("open a venue in a group that is there");
        EventConfig memory eventConfig = eventOf(venue);
        vm.prank(deployer);
        listings.listEvent(venue, eventConfig);
        snap("list an event of two outcomes");
        PerpetualConfig memory config = perpetualOf(venue);
        vm.prank(deployer);
        MarketId market = listings.listPerpetual(venue, config);
        snap("list a perpetual");
        vm.prank(deployer);
        listings.announceTerms(venue, market, config);
        snap("announce terms");
        FeeTier[] memory tiers = new FeeTier[](8);
        for (uint24 i = 0; i < 8; ++i) {
            tiers[i] = FeeTier({volume: 1 + i, takerShare: 800_000 - 100_000 * i, makerShare: 0});
        }
        vm.prank(deployer);
        listings.setFeeTiers(venue, tiers);
        snap("set eight fee tiers");
        vm.prank(guardian);
        listings.pause(venue, market);
        snap("pause a market");
        pass(NOTICE);
        vm.prank(deployer);
        listings.announceDelisting(venue, market);
        snap("announce a delisting");
        pass(NOTICE);
        listings.delist(venue, market);
        snap("delist");
        settleInbox(venue);
        listings.freeSlot(venue, market);
        snap("free a slot");
    }

    function test_gas_of_leaving() public {
        VenueNumber venue = openVenue();
        vm.prank(deployer);
        registry.closeVenue(venue);
        snap("close a venue");
        vm.prank(deployer);
        stake.unstake(REQUIRED);
        snap("unstake");
        vm.warp(stake.coolingOf(deployer).releasable);
        vm.prank(deployer);
        stake.release();
        snap("release a stake");
    }

    function test_gas_of_a_resolution() public {
        OptimisticResolver claims = new OptimisticResolver(alice, bob, 2 hours, 21 days, 100e6, 10_000);
        VenueNumber venue = openVenue();
        EventConfig memory config = eventOf(venue);
        config.resolver = address(claims);
        vm.prank(deployer);
        EventId id = eventOfMarket(listings.listEvent(venue, config));
        settleInbox(venue);
        IGateway gateway = gatewayOf(venue);
        uint64[] memory payouts = new uint64[](2);
        payouts[0] = 1000;
        pay(alice, claims);
        vm.prank(alice);
        claims.claim(gateway, id, payouts, "evidence");
        snap("claim how an event ended");
        (payouts[0], payouts[1]) = (0, 1000);
        pay(bob, claims);
        vm.prank(bob);
        claims.claim(gateway, id, payouts, "evidence");
        snap("dispute a claim");
        pass(2 hours);
        claims.finalize(gateway, id, payouts);
        snap("make a claim final");
        vm.prank(bob);
        claims.withdraw(simulated);
        snap("withdraw bonds");
    }

    function pay(address claimant, OptimisticResolver claims) private {
        simulated.mint(claimant, 1000e6);
        vm.prank(claimant);
        simulated.approve(address(claims), 1000e6);
    }

    function test_gas_of_a_bid() public {
        VenueNumber venue = openVenue();
        uint96 price = uint96(auction.price(MarketKind.Spot));
        okb.mint(deployer, price);
        vm.prank(deployer);
        okb.approve(address(auction), price);
        vm.prank(deployer);
        auction.bid(MarketKind.Spot, 1, venue, price);
        snap("bid for a slot");
        pass(1 days);
        auction.settle(MarketKind.Spot);
        snap("settle a slot auction");
    }

    function test_gas_of_a_xips_life() public {
        bytes memory payload = abi.encode(uint64(30 days));
        XipNumber number = draft(alice, XipKind.SetCooldown, payload);
        snap("draft a XIP");
        uint256 proposal = submit(number, alice, payload);
        snap("submit a XIP");
        vm.warp(governor.proposalSnapshot(proposal) + 1);
        vote(proposal, alice, 1);
        snap("vote");
        endVote(proposal);
        governor.queue(proposal);
        snap("queue a XIP");
        vm.warp(governor.proposalEta(proposal));
        governor.execute(proposal);
        snap("execute a XIP");
        governor.settleDeposit(number);
        snap("settle a deposit");
    }

    function snap(string memory name) private {
        vm.snapshotGasLastCall("venue", name);
    }
}
