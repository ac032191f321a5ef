// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IGateway} from "../group/IGateway.sol";
import {AssetConfig, EventId, GroupTerms, MarketId, MarketKind, VenueConfig} from "../group/Types.sol";
import {OptimisticResolver} from "../resolver/OptimisticResolver.sol";
import {Listings} from "../venue/Listings.sol";
import {ProtocolLimits} from "../venue/ProtocolLimits.sol";
import {SlotAuction} from "../venue/SlotAuction.sol";
import {Slots} from "../venue/Slots.sol";
import {StakedOkb} from "../venue/StakedOkb.sol";
import {VenueRegistry} from "../venue/VenueRegistry.sol";
import {GroupNumber, GroupSpec, VenueNumber} from "../venue/VenueTypes.sol";
import {IXipActions, XipKind} from "./IXipActions.sol";
import {Reviews} from "./Reviews.sol";
import {Rollout, RolloutPhase} from "./Rollout.sol";
import {XipGovernor} from "./XipGovernor.sol";
import {IXipProcedure, XipRegistry} from "./XipRegistry.sol";
import {XipTimelock} from "./XipTimelock.sol";
import {Category, Procedure, XipNumber} from "./XipTypes.sol";

/// @title The actions of XIPs
/// @notice See `IXipActions`. A payload is decoded as its kind's types and encoded again; bytes that do not come back the
/// same are refused, so there is one way to write each XIP and no room for anything beside it.
contract XipActions is IXipActions {
    struct Contracts {
        StakedOkb stake;
        Slots slots;
        SlotAuction auction;
        VenueRegistry registry;
        Listings listings;
        ProtocolLimits limits;
        Rollout rollout;
        Reviews reviews;
        OptimisticResolver resolver;
        XipGovernor governor;
        XipTimelock timelock;
        XipRegistry xips;
    }

    StakedOkb public immutable stake;
    Slots public immutable slots;
    SlotAuction public immutable auction;
    VenueRegistry public immutable registry;
    Listings public immutable listings;
    ProtocolLimits public immutable limits;
    Rollout public immutable rollout;
    Reviews public immutable reviews;
    OptimisticResolver public immutable resolver;
    XipGovernor public immutable governor;
    XipTimelock public immutable timelock;
    XipRegistry public immutable xips;

    constructor(Contracts memory contracts) {
        (stake, slots, auction) = (contracts.stake, contracts.slots, contracts.auction);
        (registry, listings, limits) = (contracts.registry, contracts.listings, contracts.limits);
        (rollout, reviews, resolver) = (contracts.rollout, contracts.reviews, contracts.resolver);
        (governor, timelock, xips) = (contracts.governor, contracts.timelock, contracts.xips);
    }

    /// @inheritdoc IXipActions
    function build(XipKind kind, bytes calldata payload)
        external
        view
        returns (Category category, address target, bytes memory data)
    {
        category = categoryOf(kind);
        if (kind == XipKind.Spend) {
            // The one call that is not written in the words of its payload: the token is whom it calls.
            (address token, address to, uint256 amount) = abi.decode(payload, (address, address, uint256));
            if (payload.length != 96) revert WrongPayload(kind);
            return (category, token, abi.encodeCall(IERC20.transfer, (to, amount)));
        }
        if (category == Category.Constitutional) (target, data) = _constitutional(kind, payload);
        else if (kind < XipKind.OpenSharedGroup) (target, data) = _keysAndPauses(kind, payload);
        else if (kind < XipKind.Slash) (target, data) = _shared(kind, payload);
        else (target, data) = _stakeAndSlots(kind, payload);
        if (!_carries(data, payload)) revert WrongPayload(kind);
    }

    /// @inheritdoc IXipActions
    function categoryOf(XipKind kind) public pure returns (Category) {
        if (kind < XipKind.SetAllowed) return Category.Emergency;
        if (kind < XipKind.OpenSharedGroup) return Category.Fast;
        if (kind < XipKind.SetLimits) return Category.Standard;
        return Category.Constitutional;
    }

    /// @dev Emergency and fast.
    function _keysAndPauses(XipKind kind, bytes calldata payload) private view returns (address, bytes memory) {
        if (kind == XipKind.RevokeXip) {
            return (address(governor), abi.encodeCall(governor.revoke, abi.decode(payload, (XipNumber))));
        }
        if (kind == XipKind.PauseMarket) {
            (VenueNumber venue, MarketId market, uint64 time) = abi.decode(payload, (VenueNumber, MarketId, uint64));
            return (address(listings), abi.encodeCall(listings.pauseFor, (venue, market, time)));
        }
        if (kind == XipKind.SetAllowed) {
            (address deployer, bool allowed) = abi.decode(payload, (address, bool));
            return (address(rollout), abi.encodeCall(rollout.setAllowed, (deployer, allowed)));
        }
        if (kind == XipKind.SetGuardian) {
            return (address(listings), abi.encodeCall(listings.setGuardian, abi.decode(payload, (address))));
        }
        if (kind == XipKind.SetSequencer) {
            return (address(registry), abi.encodeCall(registry.setSequencer, abi.decode(payload, (address))));
        }
        if (kind == XipKind.SetGroupSequencer) {
            (GroupNumber group, address sequencer) = abi.decode(payload, (GroupNumber, address));
            return (address(registry), abi.encodeCall(registry.setGroupSequencer, (group, sequencer)));
        }
        return (address(registry), abi.encodeCall(registry.rejectVenue, abi.decode(payload, (XipNumber))));
    }

    /// @dev Standard: what a shared group admits.
    function _shared(XipKind kind, bytes calldata payload) private view returns (address, bytes memory) {
        if (kind == XipKind.OpenSharedGroup) {
            return (address(registry), abi.encodeCall(registry.openSharedGroup, abi.decode(payload, (GroupSpec))));
        }
        if (kind == XipKind.AdmitVenue) {
            (
                GroupNumber group,
                address deployer,
                address registrar,
                VenueConfig memory config,
                string memory metadata
            ) = abi.decode(payload, (GroupNumber, address, address, VenueConfig, string));
            return
                (address(registry), abi.encodeCall(registry.admitVenue, (group, deployer, registrar, config, metadata)));
        }
        if (kind == XipKind.SetAsset) {
            (GroupNumber group, AssetConfig memory config) = abi.decode(payload, (GroupNumber, AssetConfig));
            return (address(registry), abi.encodeCall(registry.setAsset, (group, config)));
        }
        if (kind == XipKind.SetGroupTerms) {
            (GroupNumber group, GroupTerms memory terms) = abi.decode(payload, (GroupNumber, GroupTerms));
            return (address(registry), abi.encodeCall(registry.setTerms, (group, terms)));
        }
        if (kind == XipKind.ApproveCross) {
            (VenueNumber venue, MarketId market) = abi.decode(payload, (VenueNumber, MarketId));
            return (address(listings), abi.encodeCall(listings.approveCross, (venue, market)));
        }
        if (kind == XipKind.MarkReviewed) {
            (address component, bytes32 report) = abi.decode(payload, (address, bytes32));
            return (address(reviews), abi.encodeCall(reviews.mark, (component, report)));
        }
        return (address(registry), abi.encodeCall(registry.setBond, abi.decode(payload, (uint96))));
    }

    /// @dev Standard: what deployers answer with, and pay for; and events that are disputed.
    function _stakeAndSlots(XipKind kind, bytes calldata payload) private view returns (address, bytes memory) {
        if (kind == XipKind.Slash) {
            (address account, uint32 rule, uint128 amount, uint64 committedAt, bytes32 evidence, address to) =
                abi.decode(payload, (address, uint32, uint128, uint64, bytes32, address));
            return (address(stake), abi.encodeCall(stake.slash, (account, rule, amount, committedAt, evidence, to)));
        }
        if (kind == XipKind.PublishRule) {
            (uint24 ceiling, bytes32 text) = abi.decode(payload, (uint24, bytes32));
            return (address(stake), abi.encodeCall(stake.publishRule, (ceiling, text)));
        }
        if (kind == XipKind.RetireRule) {
            return (address(stake), abi.encodeCall(stake.retireRule, abi.decode(payload, (uint32))));
        }
        if (kind == XipKind.SetCooldown) {
            return (address(stake), abi.encodeCall(stake.setCooldown, abi.decode(payload, (uint64))));
        }
        if (kind == XipKind.SetRequiredStake) {
            return (address(slots), abi.encodeCall(slots.setRequiredStake, abi.decode(payload, (uint88))));
        }
        if (kind == XipKind.SetBaseSlots) {
            (MarketKind market, uint32 count) = abi.decode(payload, (MarketKind, uint32));
            return (address(slots), abi.encodeCall(slots.setBaseSlots, (market, count)));
        }
        if (kind == XipKind.SetAuctionTerms) {
            (MarketKind market, SlotAuction.Terms memory terms) = abi.decode(payload, (MarketKind, SlotAuction.Terms));
            return (address(auction), abi.encodeCall(auction.setTerms, (market, terms)));
        }
        if (kind == XipKind.SetTreasury) {
            return (address(auction), abi.encodeCall(auction.setTreasury, abi.decode(payload, (address))));
        }
        if (kind == XipKind.SpendCoin) {
            (address payable to, uint256 amount) = abi.decode(payload, (address, uint256));
            return (address(timelock), abi.encodeCall(timelock.pay, (to, amount)));
        }
        (IGateway gateway, EventId id, uint64[] memory payouts) = abi.decode(payload, (IGateway, EventId, uint64[]));
        return (address(resolver), abi.encodeCall(resolver.rule, (gateway, id, payouts)));
    }

    function _constitutional(XipKind kind, bytes calldata payload) private view returns (address, bytes memory) {
        if (kind == XipKind.SetLimits) {
            return (address(limits), abi.encodeCall(limits.set, abi.decode(payload, (ProtocolLimits.Bounds))));
        }
        if (kind == XipKind.AdvanceRollout) {
            return (address(rollout), abi.encodeCall(rollout.advance, abi.decode(payload, (RolloutPhase))));
        }
        if (kind == XipKind.MoveGroup) {
            (GroupNumber group, address governor_) = abi.decode(payload, (GroupNumber, address));
            return (address(registry), abi.encodeCall(registry.moveGroup, (group, governor_)));
        }
        if (kind == XipKind.SetProcedure) {
            (Category category, Procedure memory procedure) = abi.decode(payload, (Category, Procedure));
            return (address(governor), abi.encodeCall(governor.setProcedure, (category, procedure)));
        }
        if (kind == XipKind.AdmitProcedure) {
            (IXipProcedure procedure, bool admitted) = abi.decode(payload, (IXipProcedure, bool));
            return (address(xips), abi.encodeCall(xips.setProcedure, (procedure, admitted)));
        }
        return (address(timelock), abi.encodeCall(timelock.setGovernor, abi.decode(payload, (address))));
    }

    /// @dev Whether the call is a selector and then the payload, byte for byte.
    function _carries(bytes memory data, bytes calldata payload) private pure returns (bool) {
        if (data.length != 4 + payload.length) return false;
        bytes32 carried;
        assembly ("memory-safe") {
            carried := keccak256(add(data, 36), payload.length)
        }
        return carried == keccak256(payload);
    }
}
