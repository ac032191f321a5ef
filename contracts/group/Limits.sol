// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IGateway} from "./IGateway.sol";
import {PPM} from "./Rounding.sol";
import {
    AssetConfig,
    EventConfig,
    FeeTier,
    FeedConfig,
    GroupTerms,
    Hours,
    PerpetualConfig,
    SpotConfig,
    TradingTerms,
    VenueConfig
} from "./Types.sol";
import {Utf8} from "./Utf8.sol";

/// @notice The protocol's limits: what no deployer and no governor may configure, in any group.
library Limits {
    uint256 internal constant MAX_OUTCOMES = 128;
    uint256 internal constant MAX_TICKS = 1_000_000;
    uint256 internal constant MAX_QUANTUM = 1e12;
    /// @dev 10 % of value.
    uint256 internal constant MAX_FEE = 100_000;
    /// @dev 100-fold leverage.
    uint256 internal constant MIN_INITIAL_FRACTION = 10_000;
    uint256 internal constant MIN_MAINTENANCE_FRACTION = 5_000;
    /// @dev 4 % of the index price an hour.
    uint256 internal constant MAX_FUNDING = 40_000;
    uint256 internal constant MAX_DISCOUNT = 200_000;
    /// @dev 5 % of notional: what a change of terms can cost the accounts that are there.
    uint256 internal constant MAX_PENALTY = 50_000;
    /// @dev An hour, in milliseconds.
    uint256 internal constant MAX_AGE = 3_600_000;
    uint256 internal constant MAX_HOLDINGS = 32;
    /// @dev Half a minute: half the life of a flag.
    uint256 internal constant MAX_GRACE = 30_000;
    uint256 internal constant MAX_FEE_TIERS = 8;
    uint256 private constant MINUTES_OF_DAY = 1440;

    function requireEvent(EventConfig calldata config) internal pure {
        _requireTerms(config.terms);
        if (config.outcomes < 2 || config.outcomes > MAX_OUTCOMES) revert IGateway.InvalidConfig("outcomes");
        if (config.labels.length != config.outcomes) revert IGateway.InvalidConfig("labels");
        if (config.ticks < 2 || config.ticks > MAX_TICKS) revert IGateway.InvalidConfig("ticks");
        if (config.resolver == address(0)) revert IGateway.InvalidConfig("resolver");
        _requireTitle(config.title);
        for (uint256 outcome = 0; outcome < config.labels.length; ++outcome) {
            if (!Utf8.isValid(config.labels[outcome])) revert IGateway.InvalidConfig("labels");
        }
    }

    function requireSpot(SpotConfig calldata config) internal pure {
        _requireTerms(config.terms);
        if (config.terms.curve) revert IGateway.InvalidConfig("curve");
        _requireTitle(config.title);
    }

    function requirePerpetual(PerpetualConfig calldata config) internal view {
        _requireTerms(config.terms);
        if (config.terms.curve) revert IGateway.InvalidConfig("curve");
        _requireTitle(config.title);
        _requireFeed(config.feed);
        for (uint256 tier = 0; tier < 4; ++tier) {
            (uint256 initial, uint256 maintenance) = (config.initialFractions[tier], config.maintenanceFractions[tier]);
            if (initial < MIN_INITIAL_FRACTION || initial > PPM) revert IGateway.InvalidConfig("initialFractions");
            if (maintenance < MIN_MAINTENANCE_FRACTION || maintenance >= initial) {
                revert IGateway.InvalidConfig("maintenanceFractions");
            }
            if (tier == 0) continue;
            // A larger position never needs a smaller fraction, so a smaller one is never harder to keep.
            if (initial < config.initialFractions[tier - 1]) revert IGateway.InvalidConfig("initialFractions");
            if (maintenance < config.maintenanceFractions[tier - 1]) {
                revert IGateway.InvalidConfig("maintenanceFractions");
            }
            if (tier > 1 && config.tierBounds[tier - 1] < config.tierBounds[tier - 2]) {
                revert IGateway.InvalidConfig("tierBounds");
            }
        }
        if (config.penalty > config.maintenanceFractions[0] || config.penalty > MAX_PENALTY) {
            revert IGateway.InvalidConfig("penalty");
        }
        if (config.fundingCap > MAX_FUNDING) revert IGateway.InvalidConfig("fundingCap");
    }

    function requireAsset(AssetConfig calldata config) internal view {
        uint256 decimals = IERC20Metadata(config.token).decimals();
        if (decimals < 6 || decimals > 18) revert IGateway.InvalidConfig("decimals");
        if (config.lot == 0) revert IGateway.InvalidConfig("lot");
        if (config.initialWeight > config.maintenanceWeight) revert IGateway.InvalidConfig("initialWeight");
        if (config.conversionDiscount > MAX_DISCOUNT) revert IGateway.InvalidConfig("conversionDiscount");
        // What an asset counts for is never more than what a keeper pays for it.
        if (config.maintenanceWeight > PPM - config.conversionDiscount) {
            revert IGateway.InvalidConfig("maintenanceWeight");
        }
        _requireFeed(config.feed);
    }

    function requireVenue(VenueConfig calldata config, uint64 treasury, uint64 accounts) internal pure {
        if (treasury == 0 || treasury > accounts) revert IGateway.InvalidConfig("treasury");
        uint256 shares = uint256(config.protocolShare) + config.insuranceShare + config.referrerShare;
        if (shares > PPM) revert IGateway.InvalidConfig("shares");
    }

    /// @dev No tier charges more than the market's own rate, nor more than the tier below it.
    function requireFeeTiers(FeeTier[] calldata tiers) internal pure {
        if (tiers.length > MAX_FEE_TIERS) revert IGateway.InvalidConfig("tiers");
        (uint256 volume, uint256 takerShare, uint256 makerShare) = (0, PPM, PPM);
        for (uint256 i = 0; i < tiers.length; ++i) {
            if (tiers[i].volume <= volume) revert IGateway.InvalidConfig("volume");
            if (tiers[i].takerShare > takerShare) revert IGateway.InvalidConfig("takerShare");
            if (tiers[i].makerShare > makerShare) revert IGateway.InvalidConfig("makerShare");
            (volume, takerShare, makerShare) = (tiers[i].volume, tiers[i].takerShare, tiers[i].makerShare);
        }
    }

    function requireHours(Hours calldata tradingHours) internal pure {
        if (tradingHours.weekdays >= 1 << 7) revert IGateway.InvalidConfig("weekdays");
        if (tradingHours.opens >= MINUTES_OF_DAY) revert IGateway.InvalidConfig("opens");
        if (tradingHours.closes > MINUTES_OF_DAY) revert IGateway.InvalidConfig("closes");
    }

    function requireGroupTerms(GroupTerms calldata terms) internal pure {
        if (terms.sequencer == address(0)) revert IGateway.InvalidConfig("sequencer");
        if (terms.maxHoldings == 0 || terms.maxHoldings > MAX_HOLDINGS) revert IGateway.InvalidConfig("maxHoldings");
        if (terms.keeperShare > PPM) revert IGateway.InvalidConfig("keeperShare");
        if (terms.grace > MAX_GRACE) revert IGateway.InvalidConfig("grace");
    }

    function _requireTerms(TradingTerms calldata terms) private pure {
        if (terms.quantum == 0 || terms.quantum > MAX_QUANTUM) revert IGateway.InvalidConfig("quantum");
        if (terms.takerFee > MAX_FEE) revert IGateway.InvalidConfig("takerFee");
        int256 makerFee = terms.makerFee;
        // A rebate is paid out of the fee of the order that took.
        // Casting is safe because the constant is small.
        // forge-lint: disable-next-line(unsafe-typecast)
        if (makerFee > int256(MAX_FEE) || -makerFee > int256(uint256(terms.takerFee))) {
            revert IGateway.InvalidConfig("makerFee");
        }
    }

    function _requireFeed(FeedConfig calldata config) private view {
        if (config.source.code.length == 0) revert IGateway.InvalidConfig("source");
        if (config.unit == 0) revert IGateway.InvalidConfig("unit");
        if (config.maxAge == 0 || config.maxAge > MAX_AGE) revert IGateway.InvalidConfig("maxAge");
        if (config.maxGap == 0) revert IGateway.InvalidConfig("maxGap");
        if (config.maxMove == 0 || config.maxMove > PPM) revert IGateway.InvalidConfig("maxMove");
    }

    /// @dev What the chain queues, the sequencer must be able to read and to write again byte for byte.
    function _requireTitle(string calldata title) private pure {
        if (!Utf8.isValid(title)) revert IGateway.InvalidConfig("title");
    }
}
