// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {
    AssetConfig,
    EventConfig,
    FeedConfig,
    FeedId,
    Lots,
    MarketId,
    MarketKind,
    PerpetualConfig,
    SpotConfig,
    TradingTerms
} from "../contracts/group/Types.sol";
import {Listings} from "../contracts/venue/Listings.sol";
import {Slots} from "../contracts/venue/Slots.sol";
import {VenueRegistry} from "../contracts/venue/VenueRegistry.sol";
import {Venue, VenueNumber} from "../contracts/venue/VenueTypes.sol";
import {Broadcaster} from "./Broadcaster.sol";

/// @notice Lists markets in a venue from a configuration, as its deployer: events, a perpetual, or a spot market with its asset.
///
///     forge script script/ListMarket.s.sol --sig 'events(string)' script/config/events-worldcup.json --rpc-url … --broadcast
///     … --sig 'perpetual(string)' script/config/market-btc.json
///     … --sig 'spot(string)' script/config/market-stock.json
contract ListMarket is Broadcaster {
    error TooFewLabels(uint256 index, string title, uint256 labels);

    /// @notice Opens the events that `from` names. Run again after a failure it goes on where it stopped: `after` says how many
    /// slots for events the venue had taken before.
    function events(string calldata path) external {
        string memory json = vm.readFile(path);
        string memory file = vm.readFile(vm.parseJsonString(json, ".from"));
        VenueNumber venue = venueOf(json);
        uint256 opened =
            Slots(coreContract("slots")).countOf(venue, MarketKind.Outcome).taken - vm.parseJsonUint(json, ".after");
        EventConfig memory config = read(json);
        address sender = startBroadcast();
        if (config.resolver == address(0)) config.resolver = sender;
        for (uint256 i = opened; vm.keyExistsJson(file, pathOf(i)); ++i) {
            config.title = vm.parseJsonString(file, string.concat(pathOf(i), ".title"));
            config.labels = vm.parseJsonStringArray(file, string.concat(pathOf(i), ".labels"));
            if (config.labels.length < 2) revert TooFewLabels(i, config.title, config.labels.length);
            // casting to 'uint8' is safe because the contract compares it with the labels' length
            // forge-lint: disable-next-line(unsafe-typecast)
            config.outcomes = uint8(config.labels.length);
            listings().listEvent(venue, config);
        }
        vm.stopBroadcast();
    }

    function perpetual(string calldata path) external returns (MarketId market) {
        string memory json = vm.readFile(path);
        PerpetualConfig memory config;
        config.terms = termsOf(json);
        config.feed = feedOf(json);
        // forge-lint: disable-start(unsafe-typecast)
        for (uint256 tier = 0; tier < 4; ++tier) {
            config.initialFractions[tier] = uint24(at(json, ".initialFractions", tier));
            config.maintenanceFractions[tier] = uint24(at(json, ".maintenanceFractions", tier));
            if (tier < 3) config.tierBounds[tier] = uint32(at(json, ".tierBounds", tier));
        }
        config.penalty = uint24(vm.parseJsonUint(json, ".penalty"));
        config.fundingCap = uint32(vm.parseJsonUint(json, ".fundingCap"));
        config.lossCap = uint96(vm.parseJsonUint(json, ".lossCap"));
        // forge-lint: disable-end(unsafe-typecast)
        config.title = vm.parseJsonString(json, ".title");
        startBroadcast();
        market = listings().listPerpetual(venueOf(json), config);
        vm.stopBroadcast();
    }

    /// @notice Admits the asset to the venue's group, which must be the deployer's own, and lists its spot market.
    function spot(string calldata path) external returns (MarketId market) {
        string memory json = vm.readFile(path);
        VenueRegistry registry = venueRegistry();
        Venue memory venue = registry.venueOf(venueOf(json));
        AssetConfig memory asset = assetOf(json);
        startBroadcast();
        FeedId feed = registry.setAsset(venue.group, asset);
        market = listings()
            .listSpot(
                venueOf(json),
                SpotConfig({terms: termsOf(json), asset: feed, title: vm.parseJsonString(json, ".title")})
            );
        vm.stopBroadcast();
    }

    function read(string memory json) private view returns (EventConfig memory config) {
        config.terms = termsOf(json);
        // forge-lint: disable-next-line(unsafe-typecast)
        config.ticks = uint32(vm.parseJsonUint(json, ".ticks"));
        config.resolver = addressOrCore(json, ".resolver", "resolver");
    }

    function termsOf(string memory json) private view returns (TradingTerms memory) {
        // forge-lint: disable-start(unsafe-typecast)
        return TradingTerms({
            venue: venueRegistry().venueOf(venueOf(json)).id,
            quantum: uint64(vm.parseJsonUint(json, ".quantum")),
            takerFee: uint24(vm.parseJsonUint(json, ".takerFee")),
            makerFee: int24(vm.parseJsonInt(json, ".makerFee")),
            curve: vm.parseJsonBool(json, ".curve"),
            restricted: vm.parseJsonBool(json, ".restricted"),
            isolatedOnly: vm.parseJsonBool(json, ".isolatedOnly"),
            positionCap: Lots.wrap(uint64(vm.parseJsonUint(json, ".positionCap"))),
            openInterestCap: Lots.wrap(uint64(vm.parseJsonUint(json, ".openInterestCap")))
        });
        // forge-lint: disable-end(unsafe-typecast)
    }

    function feedOf(string memory json) private view returns (FeedConfig memory) {
        // forge-lint: disable-start(unsafe-typecast)
        return FeedConfig({
            source: addressOr(json, ".feed.source", "quorumSource"),
            name: bytes32(bytes(vm.parseJsonString(json, ".feed.name"))),
            unit: uint96(vm.parseJsonUint(json, ".feed.unit")),
            maxAge: uint32(vm.parseJsonUint(json, ".feed.maxAgeMs")),
            maxGap: uint32(vm.parseJsonUint(json, ".feed.maxGapMs")),
            maxMove: uint32(vm.parseJsonUint(json, ".feed.maxMove"))
        });
        // forge-lint: disable-end(unsafe-typecast)
    }

    function assetOf(string memory json) private view returns (AssetConfig memory) {
        // forge-lint: disable-start(unsafe-typecast)
        address token = vm.parseJsonAddress(json, ".asset.token");
        return AssetConfig({
            token: token == address(0) ? coreContract("simulatedAsset") : token,
            lot: uint64(vm.parseJsonUint(json, ".asset.lot")),
            initialWeight: uint24(vm.parseJsonUint(json, ".asset.initialWeight")),
            maintenanceWeight: uint24(vm.parseJsonUint(json, ".asset.maintenanceWeight")),
            conversionDiscount: uint24(vm.parseJsonUint(json, ".asset.conversionDiscount")),
            cap: uint128(vm.parseJsonUint(json, ".asset.cap")),
            feed: feedOf(json)
        });
        // forge-lint: disable-end(unsafe-typecast)
    }

    function listings() private view returns (Listings) {
        return Listings(coreContract("listings"));
    }

    function venueOf(string memory json) private pure returns (VenueNumber) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return VenueNumber.wrap(uint32(vm.parseJsonUint(json, ".venue")));
    }

    function at(string memory json, string memory list, uint256 index) private pure returns (uint256) {
        return vm.parseJsonUint(json, string.concat(list, "[", vm.toString(index), "]"));
    }

    function pathOf(uint256 index) private pure returns (string memory) {
        return string.concat(".events[", vm.toString(index), "]");
    }
}
