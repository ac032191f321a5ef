// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Category} from "./XipTypes.sol";

/// @notice What a Standards XIP can do. Each kind has one typed payload, `abi.encode` of what stands beside it; one
/// contract and one function that it calls; and one category.
enum XipKind {
    // Emergency
    /// `(XipNumber)`: stops a XIP that has not been executed
    RevokeXip,
    // Standard
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
    // Constitutional
    /// `(Category, Procedure)`
    SetProcedure,
    /// `(address procedure, bool admitted)`
    AdmitProcedure,
    /// `(address governor)`
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
