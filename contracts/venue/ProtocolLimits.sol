// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AssetConfig, FeedConfig, Lots, PerpetualConfig, TradingTerms, VenueConfig} from "../group/Types.sol";
import {Governed} from "../xip/Governed.sol";
import {GroupSpec} from "./VenueTypes.sol";

/// @title The protocol's limits, as XIPs set them
/// @notice Hard caps on leverage, open interest, funding, fees and on how old, rare and jumpy an index price may be. They can
/// only be tighter than what the gateway of every group enforces (`Limits`). A configuration is held against them when it
/// is about to take effect; what was listed before stays as it is until its terms change.
contract ProtocolLimits is Governed {
    /// @notice The shortest and the longest inbox deadline, in milliseconds. The longest is shorter than the delay of any
    /// constitutional XIP (`XipGovernor.leastDelay`): whoever does not like a change is gone before it comes.
    uint256 public constant MIN_INBOX_DEADLINE = 1 hours * 1000;
    uint256 public constant MAX_INBOX_DEADLINE = 3 days * 1000;

    /// @param minInitialFraction Least initial requirement, parts per million: the cap on leverage.
    /// @param minMaintenanceFraction Least maintenance requirement.
    /// @param maxFee Highest taker or maker fee, parts per million.
    /// @param minProtocolShare Least share of fees that is the protocol's, parts per million.
    /// @param maxFundingCap Most that funding may move in an hour, parts per million.
    /// @param maxAge Milliseconds after which a price must be too old.
    /// @param maxGap Longest time between two prices that may go without an incident: the least cadence of a source.
    /// @param maxMove Largest move per second, parts per million, that may go without one.
    /// @param maxInitialWeight Most that an asset may count for initial health, parts per million.
    /// @param maxLossCap Most atoms that a perpetual may cost its group.
    /// @param maxOpenInterest Most lots that may be open in a perpetual.
    /// @param maxRequestFee Most that a forced request may cost, in wei.
    struct Bounds {
        uint24 minInitialFraction;
        uint24 minMaintenanceFraction;
        uint24 maxFee;
        uint24 minProtocolShare;
        uint32 maxFundingCap;
        uint32 maxAge;
        uint32 maxGap;
        uint32 maxMove;
        uint24 maxInitialWeight;
        uint96 maxLossCap;
        uint64 maxOpenInterest;
        uint96 maxRequestFee;
    }

    Bounds private _bounds;

    event BoundsSet(Bounds bounds);

    error OutsideLimits(bytes32 field, uint256 value, uint256 limit);

    constructor(address governance_, Bounds memory bounds_) Governed(governance_) {
        _set(bounds_);
    }

    /// @notice Sets the limits of everything that takes effect from now on.
    function set(Bounds calldata bounds_) external onlyGovernance {
        _set(bounds_);
    }

    function _set(Bounds memory bounds_) private {
        _bounds = bounds_;
        emit BoundsSet(bounds_);
    }

    function bounds() external view returns (Bounds memory) {
        return _bounds;
    }

    // ----------------------------------------------------------------- checks

    function requireGroup(GroupSpec calldata spec) external view {
        _atLeast("inboxDeadline", spec.inboxDeadline, MIN_INBOX_DEADLINE);
        _atMost("inboxDeadline", spec.inboxDeadline, MAX_INBOX_DEADLINE);
        _atMost("requestFee", spec.requestFee, _bounds.maxRequestFee);
    }

    function requireVenue(VenueConfig calldata config) external view {
        _atLeast("protocolShare", config.protocolShare, _bounds.minProtocolShare);
    }

    function requireTerms(TradingTerms calldata terms) external view {
        _requireTerms(terms, _bounds);
    }

    function requireAsset(AssetConfig calldata config) external view {
        Bounds memory limit = _bounds;
        _atMost("initialWeight", config.initialWeight, limit.maxInitialWeight);
        _requireFeed(config.feed, limit);
    }

    function requirePerpetual(PerpetualConfig calldata config) external view {
        Bounds memory limit = _bounds;
        _requireTerms(config.terms, limit);
        _requireFeed(config.feed, limit);
        // The gateway sees to it that larger tiers need no less.
        _atLeast("initialFractions", config.initialFractions[0], limit.minInitialFraction);
        _atLeast("maintenanceFractions", config.maintenanceFractions[0], limit.minMaintenanceFraction);
        _atMost("fundingCap", config.fundingCap, limit.maxFundingCap);
        _atMost("lossCap", config.lossCap, limit.maxLossCap);
        uint256 cap = Lots.unwrap(config.terms.openInterestCap);
        // No cap would be written as 0.
        _atLeast("openInterestCap", cap, 1);
        _atMost("openInterestCap", cap, limit.maxOpenInterest);
    }

    function _requireTerms(TradingTerms calldata terms, Bounds memory limit) private pure {
        _atMost("takerFee", terms.takerFee, limit.maxFee);
        // casting to 'uint24' is safe because the fee is positive
        // forge-lint: disable-next-line(unsafe-typecast)
        if (terms.makerFee > 0) _atMost("makerFee", uint24(terms.makerFee), limit.maxFee);
    }

    function _requireFeed(FeedConfig calldata feed, Bounds memory limit) private pure {
        _atMost("maxAge", feed.maxAge, limit.maxAge);
        _atMost("maxGap", feed.maxGap, limit.maxGap);
        _atMost("maxMove", feed.maxMove, limit.maxMove);
    }

    function _atMost(bytes32 field, uint256 value, uint256 limit) private pure {
        if (value > limit) revert OutsideLimits(field, value, limit);
    }

    function _atLeast(bytes32 field, uint256 value, uint256 limit) private pure {
        if (value < limit) revert OutsideLimits(field, value, limit);
    }
}
