// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Category} from "./XipTypes.sol";

/// @notice What a Standards XIP can do. Each kind has one typed payload, `abi.encode` of what stands beside it; one
/// contract and one function that it calls; and one category.
enum XipKind {
    // Emergency
    /// `(XipNumber)`: stops a XIP that has not been executed
    RevokeXip,
    /// `(VenueNumber, MarketId, uint64 seconds)`: a market only reduces for so long
    PauseMarket,
    // Fast
    /// `(address deployer, bool allowed)`
    SetAllowed,
    /// `(address guardian)`
    SetGuardian,
    /// `(address sequencer)`: of groups that are made from now on
    SetSequencer,
    /// `(GroupNumber, address sequencer)`
    SetGroupSequencer,
    /// `(XipNumber)`: stops a Venue XIP
    RejectVenue,
    // Standard
    /// `(GroupSpec)`
    OpenSharedGroup,
    /// `(GroupNumber, address deployer, address registrar, VenueConfig, string metadata)`; one way
    AdmitVenue,
    /// `(GroupNumber, AssetConfig)`: of a shared group
    SetAsset,
    /// `(GroupNumber, GroupTerms)`: of a shared group, but for its sequencer
    SetGroupTerms,
    /// `(VenueNumber, MarketId)`: a perpetual of a shared group may be held in cross margin; one way
    ApproveCross,
    /// `(address component, bytes32 report)`
    MarkReviewed,
    /// `(uint96 bond)`: of Venue XIPs
    SetBond,
    /// `(address account, uint32 rule, uint128 amount, uint64 committedAt, bytes32 evidence, address to)`
    Slash,
    /// `(uint24 ceiling, bytes32 text)`
    PublishRule,
    /// `(uint32 rule)`
    RetireRule,
    /// `(uint64 seconds)`
    SetCooldown,
    /// `(uint88 amount)`
    SetRequiredStake,
    /// `(MarketKind, uint32 count)`
    SetBaseSlots,
    /// `(MarketKind, SlotAuction.Terms)`
    SetAuctionTerms,
    /// `(address treasury)`: where the auction's proceeds go
    SetTreasury,
    /// `(address token, address to, uint256 amount)`: out of what the timelock holds
    Spend,
    /// `(address to, uint256 amount)`: of the chain's coin that the timelock holds
    SpendCoin,
    /// `(IGateway, EventId, uint64[] payouts)`: decides an event whose resolution was disputed twice
    RuleEvent,
    // Constitutional
    /// `(ProtocolLimits.Bounds)`
    SetLimits,
    /// `(RolloutPhase)`: the next one; one way
    AdvanceRollout,
    /// `(GroupNumber, address governor)`: hands a group to another registry; one way
    MoveGroup,
    /// `(Category, Procedure)`
    SetProcedure,
    /// `(address procedure, bool admitted)`
    AdmitProcedure,
    /// `(address governor)`: of the timelock; one way
    SetGovernor
}

/// @title Builds what a XIP calls
/// @notice From a kind and its typed payload, so that nothing else can be proposed.
interface IXipActions {
    /// @notice The bytes are not exactly one payload of this kind.
    error WrongPayload(XipKind kind);

    /// @return category The procedure that the kind goes through.
    /// @return target The contract that is called, with `data`.
    function build(XipKind kind, bytes calldata payload)
        external
        view
        returns (Category category, address target, bytes memory data);

    function categoryOf(XipKind kind) external pure returns (Category);
}
