// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {
    AccountId,
    AssetConfig,
    EventId,
    FeedConfig,
    GroupTerms,
    MarketId,
    MarketKind,
    VenueConfig
} from "../../contracts/group/Types.sol";
import {ProtocolLimits} from "../../contracts/venue/ProtocolLimits.sol";
import {SlotAuction} from "../../contracts/venue/SlotAuction.sol";
import {GroupNumber, GroupSpec, VenueNumber} from "../../contracts/venue/VenueTypes.sol";
import {IXipActions, XipKind} from "../../contracts/xip/IXipActions.sol";
import {Rollout, RolloutPhase} from "../../contracts/xip/Rollout.sol";
import {Category, Procedure, XipNumber} from "../../contracts/xip/XipTypes.sol";
import {XipTest} from "./XipTest.sol";

/// @notice Every kind of XIP: what it calls, through which procedure, and that its payload has one shape only.
contract XipActionsTest is XipTest {
    uint256 private seen;

    function test_every_kind_calls_its_one_function_through_its_one_procedure() public {
        GroupNumber group = GroupNumber.wrap(1);
        VenueNumber venue = VenueNumber.wrap(1);
        MarketId market = MarketId.wrap(256);
        XipNumber xip = XipNumber.wrap(1);
        expect(XipKind.RevokeXip, Category.Emergency, address(governor), governor.revoke.selector, abi.encode(xip));
        bytes memory payload = abi.encode(venue, market, uint64(1 days));
        expect(XipKind.PauseMarket, Category.Emergency, address(listings), listings.pauseFor.selector, payload);

        payload = abi.encode(bob, true);
        expect(XipKind.SetAllowed, Category.Fast, address(rollout), rollout.setAllowed.selector, payload);
        payload = abi.encode(bob);
        expect(XipKind.SetGuardian, Category.Fast, address(listings), listings.setGuardian.selector, payload);
        expect(XipKind.SetSequencer, Category.Fast, address(registry), registry.setSequencer.selector, payload);
        payload = abi.encode(group, bob);
        bytes4 selector = registry.setGroupSequencer.selector;
        expect(XipKind.SetGroupSequencer, Category.Fast, address(registry), selector, payload);
        expect(XipKind.RejectVenue, Category.Fast, address(registry), registry.rejectVenue.selector, abi.encode(xip));

        selector = registry.openSharedGroup.selector;
        GroupSpec memory spec = GroupSpec(address(okb), 1, 2, 3, 4, 5);
        expect(XipKind.OpenSharedGroup, Category.Standard, address(registry), selector, abi.encode(spec));
        VenueConfig memory config = VenueConfig(AccountId.wrap(2), 1, 2, 3);
        payload = abi.encode(group, alice, bob, config, "ipfs://a longer text that needs more than one word of it");
        expect(XipKind.AdmitVenue, Category.Standard, address(registry), registry.admitVenue.selector, payload);
        FeedConfig memory feed = FeedConfig(bob, "BTC", 1, 2, 3, 4);
        payload = abi.encode(group, AssetConfig(address(okb), 1, 2, 3, 4, 5, feed));
        expect(XipKind.SetAsset, Category.Standard, address(registry), registry.setAsset.selector, payload);
        payload = abi.encode(group, GroupTerms(bob, 1, 2, 3));
        expect(XipKind.SetGroupTerms, Category.Standard, address(registry), registry.setTerms.selector, payload);
        payload = abi.encode(venue, market);
        expect(XipKind.ApproveCross, Category.Standard, address(listings), listings.approveCross.selector, payload);
        payload = abi.encode(bob, bytes32("report"));
        expect(XipKind.MarkReviewed, Category.Standard, address(reviews), reviews.mark.selector, payload);
        payload = abi.encode(uint96(5 ether));
        expect(XipKind.SetBond, Category.Standard, address(registry), registry.setBond.selector, payload);
        expectStakeAndSlots();
        expectConstitutional();
        assertEq(seen, (1 << (uint256(type(XipKind).max) + 1)) - 1, "no kind is left out");
    }

    function expectStakeAndSlots() private {
        bytes memory payload = abi.encode(bob, uint32(0), uint128(1), uint64(2), bytes32("evidence"), alice);
        expect(XipKind.Slash, Category.Standard, address(stake), stake.slash.selector, payload);
        payload = abi.encode(uint24(1), bytes32("text"));
        expect(XipKind.PublishRule, Category.Standard, address(stake), stake.publishRule.selector, payload);
        payload = abi.encode(uint32(7));
        expect(XipKind.RetireRule, Category.Standard, address(stake), stake.retireRule.selector, payload);
        payload = abi.encode(uint64(7));
        expect(XipKind.SetCooldown, Category.Standard, address(stake), stake.setCooldown.selector, payload);
        payload = abi.encode(uint88(7));
        expect(XipKind.SetRequiredStake, Category.Standard, address(slots), slots.setRequiredStake.selector, payload);
        payload = abi.encode(MarketKind.Spot, uint32(7));
        expect(XipKind.SetBaseSlots, Category.Standard, address(slots), slots.setBaseSlots.selector, payload);
        payload = abi.encode(MarketKind.Spot, SlotAuction.Terms(1, 2, 3, 4));
        expect(XipKind.SetAuctionTerms, Category.Standard, address(auction), auction.setTerms.selector, payload);
        expect(XipKind.SetTreasury, Category.Standard, address(auction), auction.setTreasury.selector, abi.encode(bob));
        payload = abi.encode(okb, bob, uint256(7));
        (Category category, address target, bytes memory data) = actions.build(XipKind.Spend, payload);
        assertEq(uint8(category), uint8(Category.Standard));
        assertEq(target, address(okb));
        assertEq(data, abi.encodeCall(okb.transfer, (bob, 7)));
        seen |= 1 << uint256(XipKind.Spend);
        payload = abi.encode(bob, uint256(7));
        expect(XipKind.SpendCoin, Category.Standard, address(timelock), timelock.pay.selector, payload);
        uint64[] memory payouts = new uint64[](3);
        payouts[1] = 1000;
        payload = abi.encode(bob, EventId.wrap(7), payouts);
        expect(XipKind.RuleEvent, Category.Standard, address(optimistic), optimistic.rule.selector, payload);
    }

    function expectConstitutional() private {
        bytes memory payload = abi.encode(limits.bounds());
        expect(XipKind.SetLimits, Category.Constitutional, address(limits), limits.set.selector, payload);
        payload = abi.encode(RolloutPhase.Outcome);
        expect(XipKind.AdvanceRollout, Category.Constitutional, address(rollout), rollout.advance.selector, payload);
        payload = abi.encode(GroupNumber.wrap(1), bob);
        expect(XipKind.MoveGroup, Category.Constitutional, address(registry), registry.moveGroup.selector, payload);
        payload = abi.encode(Category.Fast, procedureTable()[1]);
        bytes4 selector = governor.setProcedure.selector;
        expect(XipKind.SetProcedure, Category.Constitutional, address(governor), selector, payload);
        payload = abi.encode(bob, true);
        expect(XipKind.AdmitProcedure, Category.Constitutional, address(xips), xips.setProcedure.selector, payload);
        payload = abi.encode(bob);
        expect(XipKind.SetGovernor, Category.Constitutional, address(timelock), timelock.setGovernor.selector, payload);
    }

    function expect(XipKind kind, Category category, address target, bytes4 selector, bytes memory payload) private {
        (Category builtCategory, address builtTarget, bytes memory data) = actions.build(kind, payload);
        assertEq(uint8(builtCategory), uint8(category));
        assertEq(builtTarget, target);
        assertEq(data, bytes.concat(selector, payload));
        vm.expectRevert(abi.encodeWithSelector(IXipActions.WrongPayload.selector, kind));
        actions.build(kind, bytes.concat(payload, bytes32(0)));
        vm.expectRevert();
        actions.build(kind, "");
        seen |= 1 << uint256(kind);
    }

    /// @dev Offsets that lead elsewhere, or text with bytes after its end, would be another way to write the same.
    function test_a_text_has_one_encoding_only() public {
        VenueConfig memory config = VenueConfig(AccountId.wrap(2), 1, 2, 3);
        bytes memory payload = abi.encode(GroupNumber.wrap(1), alice, bob, config, "short");
        actions.build(XipKind.AdmitVenue, payload);
        payload[payload.length - 1] = 0x01;
        vm.expectRevert(abi.encodeWithSelector(IXipActions.WrongPayload.selector, XipKind.AdmitVenue));
        actions.build(XipKind.AdmitVenue, payload);
    }

    // ----------------------------------------------------------------- the rollout

    function test_the_rollout_goes_one_phase_forward_by_constitutional_xip() public {
        assertEq(uint8(rollout.phase()), uint8(RolloutPhase.Simulated));
        (, uint256 jump) = toQueue(XipKind.AdvanceRollout, abi.encode(RolloutPhase.Spot));
        vm.warp(governor.proposalEta(jump));
        vm.expectRevert(abi.encodeWithSelector(Rollout.NotNext.selector, RolloutPhase.Simulated, RolloutPhase.Spot));
        governor.execute(jump);
        for (uint8 phase = 1; phase <= uint8(RolloutPhase.Open); ++phase) {
            enact(XipKind.AdvanceRollout, abi.encode(RolloutPhase(phase)));
            assertEq(uint8(rollout.phase()), phase);
        }
        vm.prank(address(timelock));
        vm.expectRevert(abi.encodeWithSelector(Rollout.NotNext.selector, RolloutPhase.Open, RolloutPhase.Perpetual));
        rollout.advance(RolloutPhase.Perpetual);
    }

    function test_limits_and_lists_are_changed_by_xip() public {
        ProtocolLimits.Bounds memory bounds = limits.bounds();
        bounds.maxFee = 7;
        enact(XipKind.SetLimits, abi.encode(bounds));
        assertEq(limits.bounds().maxFee, 7);
        enact(XipKind.SetAllowed, abi.encode(bob, true));
        assertTrue(rollout.isAllowed(bob));
        vm.deal(address(timelock), 5 ether);
        enact(XipKind.SpendCoin, abi.encode(bob, uint256(3 ether)));
        assertEq(bob.balance, 3 ether);
        enact(XipKind.SetBond, abi.encode(uint96(7)));
        assertEq(registry.bond(), 7);
        enact(XipKind.MarkReviewed, abi.encode(okb, bytes32("report")));
        assertTrue(reviews.isReviewed(address(okb)));
        assertEq(reviews.reviewOf(address(okb)).report, "report");
    }
}
