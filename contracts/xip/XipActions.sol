// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {MarketKind} from "../group/Types.sol";
import {SlotAuction} from "../venue/SlotAuction.sol";
import {Slots} from "../venue/Slots.sol";
import {StakedOkb} from "../venue/StakedOkb.sol";
import {IXipActions, XipKind} from "./IXipActions.sol";
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
        XipGovernor governor;
        XipTimelock timelock;
        XipRegistry xips;
    }

    StakedOkb public immutable stake;
    Slots public immutable slots;
    SlotAuction public immutable auction;
    XipGovernor public immutable governor;
    XipTimelock public immutable timelock;
    XipRegistry public immutable xips;

    constructor(Contracts memory contracts) {
        (stake, slots, auction) = (contracts.stake, contracts.slots, contracts.auction);
        (governor, timelock, xips) = (contracts.governor, contracts.timelock, contracts.xips);
    }

    /// @inheritdoc IXipActions
    function build(XipKind kind, bytes calldata payload)
        external
        view
        returns (Category category, address target, bytes memory data)
    {
        category = categoryOf(kind);
        (target, data) = _call(kind, payload);
        if (kind == XipKind.Spend) {
            // The one call that is not written in the words of its payload: the token is whom it calls.
            (address token, address to, uint256 amount) = abi.decode(payload, (address, address, uint256));
            if (keccak256(abi.encode(token, to, amount)) != keccak256(payload)) revert WrongPayload(kind);
        } else if (!_carries(data, payload)) {
            revert WrongPayload(kind);
        }
    }

    function _call(XipKind kind, bytes calldata payload) private view returns (address, bytes memory) {
        if (kind == XipKind.RevokeXip) {
            return (address(governor), abi.encodeCall(governor.revoke, abi.decode(payload, (XipNumber))));
        }
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
        if (kind == XipKind.Spend) {
            (address token, address to, uint256 amount) = abi.decode(payload, (address, address, uint256));
            return (token, abi.encodeCall(IERC20.transfer, (to, amount)));
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

    /// @inheritdoc IXipActions
    function categoryOf(XipKind kind) public pure returns (Category) {
        if (kind < XipKind.Slash) return Category.Emergency;
        if (kind < XipKind.SetProcedure) return Category.Standard;
        return Category.Constitutional;
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
