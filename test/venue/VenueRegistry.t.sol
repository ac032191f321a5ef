// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGateway} from "../../contracts/group/IGateway.sol";
import {SimulatedToken} from "../../contracts/group/SimulatedToken.sol";
import {AccountId, AssetConfig, FeedId, GroupTerms, VenueConfig, VenueId} from "../../contracts/group/Types.sol";
import {ProtocolLimits} from "../../contracts/venue/ProtocolLimits.sol";
import {Slots} from "../../contracts/venue/Slots.sol";
import {StakedOkb} from "../../contracts/venue/StakedOkb.sol";
import {VenueRegistry} from "../../contracts/venue/VenueRegistry.sol";
import {Group, GroupNumber, GroupSpec, Venue, VenueNumber, VenueRequest} from "../../contracts/venue/VenueTypes.sol";
import {Governed} from "../../contracts/xip/Governed.sol";
import {XipKind} from "../../contracts/xip/IXipActions.sol";
import {Reviews} from "../../contracts/xip/Reviews.sol";
import {Rollout, RolloutPhase} from "../../contracts/xip/Rollout.sol";
import {XipNumber, XipStatus} from "../../contracts/xip/XipTypes.sol";
import {TestToken} from "../group/TestToken.sol";
import {VenueTest} from "./VenueTest.sol";

/// @notice Venues: opened without asking anybody, within limits, in groups of their own; and admitted to shared ones.
contract VenueRegistryTest is VenueTest {
    // ----------------------------------------------------------------- Venue XIPs

    function test_a_venue_xip_is_numbered_waits_and_opens_a_venue_in_a_group_of_its_own() public {
        stakeAs(deployer, REQUIRED);
        XipNumber number = file(deployer, venueRequest());
        assertStatus(number, XipStatus.Review);
        assertEq(okb.balanceOf(deployer), 0);
        pass(NOTICE - 1);
        VenueRequest memory request = venueRequest();
        vm.expectRevert(
            abi.encodeWithSelector(VenueRegistry.NoticeRuns.selector, number, uint64(vm.getBlockTimestamp()) + 1)
        );
        registry.executeVenue(number, request);
        pass(1);
        assertStatus(number, XipStatus.Queued);
        vm.prank(carol);
        VenueNumber venue = registry.executeVenue(number, request);
        assertStatus(number, XipStatus.Executed);
        assertEq(okb.balanceOf(deployer), BOND, "the bond returns");
        Venue memory opened = registry.venueOf(venue);
        assertEq(opened.deployer, deployer);
        Group memory group = groupOf(venue);
        assertEq(group.steward, deployer);
        assertTrue(group.simulated);
        assertEq(gatewayOf(venue).governor(), address(registry));
        assertEq(gatewayOf(venue).deployerOf(opened.id), address(listings));
        settleInbox(venue);
        assertEq(viewsOf(venue).venue(opened.id).protocolShare, 100_000);
        assertEq(viewsOf(venue).terms().sequencer, vm.addr(SEQUENCER_KEY));
    }

    function test_every_venue_has_a_group_of_its_own_or_of_its_deployers() public {
        VenueNumber first = openVenue();
        VenueRequest memory request = venueRequest();
        request.group = registry.venueOf(first).group;
        VenueNumber second = open(deployer, request);
        VenueNumber third = openVenue();
        assertEq(groupOf(second).group, groupOf(first).group);
        assertNotEq(groupOf(third).group, groupOf(first).group);
        assertEq(VenueId.unwrap(registry.venueOf(second).id), 2);
        assertEq(VenueNumber.unwrap(third), 3);
    }

    function test_nobody_opens_a_venue_in_anothers_group() public {
        VenueNumber first = openVenue();
        vm.prank(address(timelock));
        rollout.setAllowed(bob, true);
        VenueRequest memory request = venueRequest();
        request.group = registry.venueOf(first).group;
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.NotSteward.selector, request.group, bob, deployer));
        registry.fileVenue(request, "");
        request.group = GroupNumber.wrap(9);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.NoSuchGroup.selector, request.group));
        registry.fileVenue(request, "");
    }

    function test_a_venue_xip_is_carried_out_as_it_was_filed_and_once() public {
        stakeAs(deployer, 2 * REQUIRED);
        XipNumber number = file(deployer, venueRequest());
        pass(NOTICE);
        VenueRequest memory request = venueRequest();
        request.registrar = carol;
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.WrongContent.selector, number));
        registry.executeVenue(number, request);
        request.registrar = registrar;
        registry.executeVenue(number, request);
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.WrongStatus.selector, number, XipStatus.Executed));
        registry.executeVenue(number, request);
    }

    function test_a_venue_without_its_stake_waits_for_it() public {
        XipNumber number = file(deployer, venueRequest());
        pass(NOTICE);
        VenueRequest memory request = venueRequest();
        vm.expectRevert(abi.encodeWithSelector(Slots.StakeTooSmall.selector, deployer, 0, uint256(REQUIRED)));
        registry.executeVenue(number, request);
        stakeAs(deployer, REQUIRED);
        registry.executeVenue(number, request);
    }

    function test_an_author_takes_a_venue_xip_or_an_expired_ones_bond_back() public {
        XipNumber number = file(deployer, venueRequest());
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.NotAuthor.selector, number, bob, deployer));
        registry.withdrawVenue(number);
        vm.prank(deployer);
        registry.withdrawVenue(number);
        assertStatus(number, XipStatus.Withdrawn);
        assertEq(okb.balanceOf(deployer), BOND);

        number = file(deployer, venueRequest());
        pass(NOTICE + 30 days);
        assertStatus(number, XipStatus.Queued);
        pass(1);
        assertStatus(number, XipStatus.Expired);
        VenueRequest memory request = venueRequest();
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.WrongStatus.selector, number, XipStatus.Expired));
        registry.executeVenue(number, request);
        vm.startPrank(deployer);
        registry.withdrawVenue(number);
        assertStatus(number, XipStatus.Expired);
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.NothingBonded.selector, number));
        registry.withdrawVenue(number);
        vm.stopPrank();
        assertEq(okb.balanceOf(deployer), 2 * BOND);
        assertEq(registry.bondsHeld(), 0);
    }

    function test_governance_stops_a_venue_xip_and_its_bond_is_the_treasurys() public {
        XipNumber number = file(deployer, venueRequest());
        vm.prank(address(timelock));
        registry.rejectVenue(number);
        assertStatus(number, XipStatus.Rejected);
        assertEq(okb.balanceOf(address(timelock)), BOND);
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.WrongStatus.selector, number, XipStatus.Rejected));
        registry.withdrawVenue(number);
        vm.prank(address(timelock));
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.WrongStatus.selector, number, XipStatus.Rejected));
        registry.rejectVenue(number);
    }

    function test_venue_xips_and_standards_xips_share_one_sequence() public {
        XipNumber venue = file(deployer, venueRequest());
        XipNumber standard = draft(alice, XipKind.SetCooldown, abi.encode(uint64(30 days)));
        assertEq(XipNumber.unwrap(standard), XipNumber.unwrap(venue) + 1);
        assertStatus(venue, XipStatus.Review);
        assertStatus(standard, XipStatus.Draft);
    }

    // ----------------------------------------------------------------- rollout and limits

    function test_the_rollout_decides_who_opens_what() public {
        VenueRequest memory request = venueRequest();
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(Rollout.DeployerNotAllowed.selector, bob, RolloutPhase.Simulated));
        registry.fileVenue(request, "");
        request.spec.settlementToken = address(okb);
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(Rollout.RealValueNotYet.selector, RolloutPhase.Simulated));
        registry.fileVenue(request, "");
        openToAll();
        VenueNumber venue = open(bob, request);
        assertFalse(groupOf(venue).simulated);
    }

    function test_who_is_taken_off_the_list_during_the_notice_opens_nothing() public {
        stakeAs(deployer, REQUIRED);
        XipNumber number = file(deployer, venueRequest());
        pass(NOTICE);
        vm.prank(address(timelock));
        rollout.setAllowed(deployer, false);
        VenueRequest memory request = venueRequest();
        vm.expectRevert(abi.encodeWithSelector(Rollout.DeployerNotAllowed.selector, deployer, RolloutPhase.Simulated));
        registry.executeVenue(number, request);
        vm.prank(deployer);
        registry.withdrawVenue(number);
    }

    function test_a_group_is_made_within_the_limits() public {
        VenueRequest memory request = venueRequest();
        request.spec.inboxDeadline = 3 days * 1000 + 1;
        assertOutside(request, "inboxDeadline", 3 days * 1000 + 1, 3 days * 1000);
        request.spec.inboxDeadline = 1 hours * 1000 - 1;
        assertOutside(request, "inboxDeadline", 1 hours * 1000 - 1, 1 hours * 1000);
        request = venueRequest();
        request.spec.requestFee = 0.01 ether + 1;
        assertOutside(request, "requestFee", 0.01 ether + 1, 0.01 ether);
        ProtocolLimits.Bounds memory bounds = limits.bounds();
        bounds.minProtocolShare = 100_001;
        vm.prank(address(timelock));
        limits.set(bounds);
        assertOutside(venueRequest(), "protocolShare", 100_000, 100_001);
    }

    function assertOutside(VenueRequest memory request, bytes32 field, uint256 value, uint256 limit) private {
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(ProtocolLimits.OutsideLimits.selector, field, value, limit));
        registry.fileVenue(request, "");
    }

    /// @dev The gateway's own limits hold for what the group is made with, too.
    function test_a_group_with_terms_that_nobody_may_set_is_not_made() public {
        stakeAs(deployer, REQUIRED);
        VenueRequest memory request = venueRequest();
        request.spec.maxHoldings = 33;
        XipNumber number = file(deployer, request);
        pass(NOTICE);
        vm.expectRevert(abi.encodeWithSelector(IGateway.InvalidConfig.selector, bytes32("maxHoldings")));
        registry.executeVenue(number, request);
    }

    // ----------------------------------------------------------------- a deployer's doors

    function test_a_deployer_changes_its_venue_and_nobody_else_does() public {
        VenueNumber venue = openVenue();
        VenueConfig memory config = venueConfig();
        config.insuranceShare = 50_000;
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.NotDeployer.selector, venue, bob, deployer));
        registry.setVenue(venue, carol, config);
        vm.prank(deployer);
        registry.setVenue(venue, carol, config);
        settleInbox(venue);
        assertEq(viewsOf(venue).venue(registry.venueOf(venue).id).insuranceShare, 50_000);
        assertEq(registry.venueOf(venue).registrar, carol);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.NotDeployer.selector, venue, bob, deployer));
        registry.setMetadata(venue, "ipfs://mine");
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.NotDeployer.selector, venue, bob, deployer));
        registry.closeVenue(venue);
    }

    function test_a_steward_sets_its_groups_terms_but_never_its_sequencer() public {
        VenueNumber venue = openVenue();
        GroupNumber group = registry.venueOf(venue).group;
        GroupTerms memory terms = registry.termsOf(group);
        (terms.maxHoldings, terms.sequencer) = (8, deployer);
        vm.prank(deployer);
        registry.setTerms(group, terms);
        settleInbox(venue);
        assertEq(viewsOf(venue).terms().maxHoldings, 8);
        assertEq(viewsOf(venue).terms().sequencer, vm.addr(SEQUENCER_KEY));
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.NotSteward.selector, group, bob, deployer));
        registry.setTerms(group, terms);
        vm.prank(address(timelock));
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.NotSteward.selector, group, address(timelock), deployer));
        registry.setTerms(group, terms);
    }

    function test_tokens_with_and_without_value_never_meet_in_a_group() public {
        VenueNumber venue = openVenue();
        GroupNumber group = registry.venueOf(venue).group;
        AssetConfig memory config = assetOf(address(okb));
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.ValueMixed.selector, address(okb), true));
        registry.setAsset(group, config);

        openToAll();
        VenueRequest memory request = venueRequest();
        request.spec.settlementToken = address(okb);
        group = registry.venueOf(open(deployer, request)).group;
        config = assetOf(address(simulated));
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.ValueMixed.selector, address(simulated), false));
        registry.setAsset(group, config);
    }

    /// @dev Nothing that a compiler decides says what has value.
    function test_a_token_is_without_value_by_who_made_it_and_not_by_its_code() public {
        vm.prank(bob);
        SimulatedToken made = simulatedTokens.make();
        assertTrue(registry.isSimulated(address(made)));
        SimulatedToken copy = new SimulatedToken();
        assertEq(address(copy).codehash, address(made).codehash);
        assertFalse(registry.isSimulated(address(copy)));
        assertFalse(registry.isSimulated(address(0)));
    }

    function test_an_asset_is_admitted_at_once_and_changed_after_a_notice() public {
        (GroupNumber group, TestToken token) = realGroup();
        AssetConfig memory config = assetOf(address(token));
        vm.startPrank(deployer);
        FeedId feed = registry.setAsset(group, config);
        config.maintenanceWeight = 850_000;
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.AssetNotAnnounced.selector, group, address(token)));
        registry.setAsset(group, config);
        registry.announceAsset(group, config);
        uint64 dueAt = uint64(vm.getBlockTimestamp()) + NOTICE;
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.AssetNoticeRuns.selector, dueAt));
        registry.setAsset(group, config);
        vm.warp(dueAt);
        assertEq(FeedId.unwrap(registry.setAsset(group, config)), FeedId.unwrap(feed));
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.AssetNotAnnounced.selector, group, address(token)));
        registry.setAsset(group, config);
        vm.stopPrank();
    }

    function test_an_asset_is_held_against_the_limits() public {
        (GroupNumber group, TestToken token) = realGroup();
        AssetConfig memory config = assetOf(address(token));
        config.feed.maxGap = 600_001;
        vm.startPrank(deployer);
        vm.expectRevert(
            abi.encodeWithSelector(ProtocolLimits.OutsideLimits.selector, bytes32("maxGap"), 600_001, 600_000)
        );
        registry.setAsset(group, config);
        config = assetOf(address(token));
        config.initialWeight = 900_001;
        vm.expectRevert(
            abi.encodeWithSelector(ProtocolLimits.OutsideLimits.selector, bytes32("initialWeight"), 900_001, 900_000)
        );
        registry.setAsset(group, config);
        vm.stopPrank();
    }

    function realGroup() private returns (GroupNumber group, TestToken token) {
        openToAll();
        VenueRequest memory request = venueRequest();
        request.spec.settlementToken = address(new TestToken("USD", 6));
        group = registry.venueOf(open(deployer, request)).group;
        token = new TestToken("ASSET", 18);
    }

    // ----------------------------------------------------------------- shared groups

    function test_a_shared_group_and_whom_it_admits_take_standards_xips() public {
        enact(XipKind.OpenSharedGroup, abi.encode(groupSpec()));
        GroupNumber group = GroupNumber.wrap(1);
        assertEq(registry.groupOf(group).steward, address(0));
        VenueRequest memory request = venueRequest();
        request.group = group;
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.NotSteward.selector, group, deployer, address(0)));
        registry.fileVenue(request, "");
        stakeAs(deployer, REQUIRED);
        enact(XipKind.AdmitVenue, abi.encode(group, deployer, registrar, venueConfig(), "ipfs://venue"));
        VenueNumber venue = VenueNumber.wrap(1);
        assertEq(registry.venueOf(venue).deployer, deployer);
        assertEq(GroupNumber.unwrap(registry.venueOf(venue).group), 1);

        GroupTerms memory terms = registry.termsOf(group);
        terms.grace = 7000;
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.NotSteward.selector, group, deployer, address(timelock)));
        registry.setTerms(group, terms);
        enact(XipKind.SetGroupTerms, abi.encode(group, terms));
        assertEq(registry.termsOf(group).grace, 7000);
    }

    function test_a_venue_is_not_admitted_to_a_deployers_own_group() public {
        VenueNumber venue = openVenue();
        GroupNumber group = registry.venueOf(venue).group;
        vm.prank(address(timelock));
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.NotShared.selector, group));
        registry.admitVenue(group, bob, registrar, venueConfig(), "");
    }

    function test_a_shared_group_believes_reviewed_sources_only() public {
        openToAll();
        vm.startPrank(address(timelock));
        GroupNumber group = registry.openSharedGroup(groupSpecOf(address(new TestToken("USD", 6))));
        AssetConfig memory config = assetOf(address(new TestToken("ASSET", 18)));
        vm.expectRevert(abi.encodeWithSelector(Reviews.NotReviewed.selector, address(source)));
        registry.setAsset(group, config);
        reviews.mark(address(source), keccak256("report"));
        registry.setAsset(group, config);
        // A change has had the notice that its XIP's delay is.
        config.maintenanceWeight = 850_000;
        registry.setAsset(group, config);
        vm.stopPrank();
    }

    function groupSpecOf(address token) private view returns (GroupSpec memory spec) {
        spec = groupSpec();
        spec.settlementToken = token;
    }

    // ----------------------------------------------------------------- keys

    function test_a_sequencers_key_is_changed_by_xip() public {
        VenueNumber venue = openVenue();
        GroupNumber group = registry.venueOf(venue).group;
        enact(XipKind.SetGroupSequencer, abi.encode(group, bob));
        settleInbox(venue);
        assertEq(viewsOf(venue).terms().sequencer, bob);
        enact(XipKind.SetSequencer, abi.encode(carol));
        assertEq(registry.sequencer(), carol);
    }

    function test_a_group_can_be_handed_to_a_later_registry_by_the_slowest_xip_only() public {
        VenueNumber venue = openVenue();
        GroupNumber group = registry.venueOf(venue).group;
        enact(XipKind.MoveGroup, abi.encode(group, bob));
        assertEq(gatewayOf(venue).governor(), bob);
        // Whoever waits for a forced request longest is gone before that.
        assertGt(governor.leastDelay(actions.categoryOf(XipKind.MoveGroup)) * 1000, limits.MAX_INBOX_DEADLINE());
    }

    function test_each_governance_door_is_governances() public {
        bytes memory refusal = abi.encodeWithSelector(Governed.NotGovernance.selector, deployer, address(timelock));
        GroupNumber group = GroupNumber.wrap(1);
        vm.startPrank(deployer);
        vm.expectRevert(refusal);
        registry.openSharedGroup(groupSpec());
        vm.expectRevert(refusal);
        registry.admitVenue(group, deployer, registrar, venueConfig(), "");
        vm.expectRevert(refusal);
        registry.setGroupSequencer(group, deployer);
        vm.expectRevert(refusal);
        registry.setSequencer(deployer);
        vm.expectRevert(refusal);
        registry.setBond(0);
        vm.expectRevert(refusal);
        registry.moveGroup(group, deployer);
        vm.expectRevert(refusal);
        registry.rejectVenue(XipNumber.wrap(1));
        vm.expectRevert(refusal);
        rollout.advance(RolloutPhase.Outcome);
        vm.expectRevert(refusal);
        rollout.setAllowed(deployer, true);
        vm.expectRevert(refusal);
        reviews.mark(address(source), 0);
        ProtocolLimits.Bounds memory bounds = limits.bounds();
        vm.expectRevert(refusal);
        limits.set(bounds);
        vm.stopPrank();
    }

    // ----------------------------------------------------------------- closing

    function test_a_venue_closes_and_its_stake_cools_and_leaves() public {
        VenueNumber venue = openVenue();
        vm.startPrank(deployer);
        vm.expectRevert(abi.encodeWithSelector(StakedOkb.StakeLocked.selector, uint256(REQUIRED), uint256(REQUIRED), 1));
        stake.unstake(1);
        registry.closeVenue(venue);
        stake.unstake(REQUIRED);
        pass(21 days);
        stake.release();
        assertEq(okb.balanceOf(deployer), REQUIRED + BOND);
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.NotOpen.selector, venue));
        registry.closeVenue(venue);
        VenueConfig memory config = venueConfig();
        vm.expectRevert(abi.encodeWithSelector(VenueRegistry.NotOpen.selector, venue));
        registry.setVenue(venue, registrar, config);
        vm.stopPrank();
    }

    // ----------------------------------------------------------------- income

    function test_what_requests_paid_and_what_came_in_go_to_the_treasury() public {
        VenueNumber venue = openVenue();
        GroupNumber group = registry.venueOf(venue).group;
        IGateway gateway = gatewayOf(venue);
        vm.deal(bob, 1 ether);
        vm.startPrank(bob);
        vm.expectRevert(abi.encodeWithSelector(IGateway.FeeTooLow.selector, 0.001 ether, 0));
        registry.requestIncome(group, address(simulated), 5e6);
        registry.requestIncome{value: 1 ether}(group, address(simulated), 5e6);
        // Somebody gives the protocol's account something to pay out.
        simulated.mint(bob, 5e6);
        simulated.approve(address(gateway), 5e6);
        gateway.deposit(AccountId.wrap(2), bob, address(simulated), 5e6);
        vm.stopPrank();
        assertEq(bob.balance, 0.999 ether, "what is too much goes back");
        settleInbox(venue);
        XipNumber number = file(deployer, venueRequest());
        registry.collect(group, simulated);
        assertEq(simulated.balanceOf(address(timelock)), 5e6);
        assertEq(address(timelock).balance, 0.001 ether);
        registry.collect(group, okb);
        assertEq(okb.balanceOf(address(registry)), BOND, "bonds are their authors'");
        vm.prank(deployer);
        registry.withdrawVenue(number);
    }
}
