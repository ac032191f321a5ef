// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccountId, FeeTier, GroupTerms, VenueConfig} from "../contracts/group/Types.sol";
import {Listings} from "../contracts/venue/Listings.sol";
import {VenueRegistry} from "../contracts/venue/VenueRegistry.sol";
import {Group, GroupNumber, GroupSpec, VenueNumber, VenueRequest} from "../contracts/venue/VenueTypes.sol";
import {XipNumber} from "../contracts/xip/XipTypes.sol";
import {Broadcaster} from "./Broadcaster.sol";

/// @notice Files a Venue XIP from a configuration, and carries it out when its notice is over. What it makes a group of its own
/// for is written down in `deployments/<chain id>.group-<number>.json`.
///
///     forge script script/OpenVenue.s.sol --sig 'file(string)' script/config/venue-worldcup.json --rpc-url … --broadcast
///     forge script script/OpenVenue.s.sol --sig 'execute(string,uint64)' script/config/venue-worldcup.json 1 …
///     forge script script/OpenVenue.s.sol --sig 'change(string,uint32)' script/config/venue-worldcup.json 1 …
///     forge script script/OpenVenue.s.sol --sig 'tiers(string,uint32)' script/config/venue-perpetuals.json 2 …
///
/// The deployer must have staked.
contract OpenVenue is Broadcaster {
    /// @return number The XIP's number, which `execute` needs.
    function file(string calldata path) external returns (XipNumber number) {
        string memory json = vm.readFile(path);
        VenueRegistry registry = venueRegistry();
        startBroadcast();
        registry.okb().approve(address(registry), registry.bond());
        number = registry.fileVenue(read(json), vm.parseJsonString(json, ".text"));
        vm.stopBroadcast();
    }

    /// @notice Opens the venue, with its fee tiers if the configuration has any; then by its deployer only.
    function execute(string calldata path, uint64 number) external returns (VenueNumber venue) {
        string memory json = vm.readFile(path);
        VenueRequest memory request = read(json);
        VenueRegistry registry = venueRegistry();
        startBroadcast();
        venue = registry.executeVenue(XipNumber.wrap(number), request);
        FeeTier[] memory table = tiersOf(json);
        if (table.length > 0) Listings(coreContract("listings")).setFeeTiers(venue, table);
        vm.stopBroadcast();
        if (GroupNumber.unwrap(request.group) == 0) write(registry, registry.venueOf(venue).group, request.spec);
    }

    /// @notice Gives a venue the registrar and the fee shares of a configuration. Its deployer only.
    function change(string calldata path, uint32 venue) external {
        VenueRequest memory request = read(vm.readFile(path));
        VenueRegistry registry = venueRegistry();
        startBroadcast();
        registry.setVenue(VenueNumber.wrap(venue), request.registrar, request.config);
        vm.stopBroadcast();
    }

    /// @notice Gives a venue the fee tiers of a configuration; none ends all discounts. Its deployer, or a key for prices.
    function tiers(string calldata path, uint32 venue) external {
        FeeTier[] memory table = tiersOf(vm.readFile(path));
        startBroadcast();
        Listings(coreContract("listings")).setFeeTiers(VenueNumber.wrap(venue), table);
        vm.stopBroadcast();
    }

    function tiersOf(string memory json) private view returns (FeeTier[] memory table) {
        uint256 count;
        while (vm.keyExistsJson(json, tierAt(count, ""))) {
            ++count;
        }
        table = new FeeTier[](count);
        for (uint256 i = 0; i < count; ++i) {
            // As below.
            // forge-lint: disable-start(unsafe-typecast)
            table[i].volume = uint128(vm.parseJsonUint(json, tierAt(i, ".volume")));
            table[i].takerShare = uint24(vm.parseJsonUint(json, tierAt(i, ".takerShare")));
            table[i].makerShare = uint24(vm.parseJsonUint(json, tierAt(i, ".makerShare")));
            // forge-lint: disable-end(unsafe-typecast)
        }
    }

    function tierAt(uint256 index, string memory field) private pure returns (string memory) {
        return string.concat(".feeTiers[", vm.toString(index), "]", field);
    }

    function read(string memory json) private view returns (VenueRequest memory request) {
        address token = vm.parseJsonAddress(json, ".settlementToken");
        // The numbers are a person's; what the types cut off would show in the file that is published.
        // forge-lint: disable-start(unsafe-typecast)
        request.group = GroupNumber.wrap(uint32(vm.parseJsonUint(json, ".group")));
        request.spec = GroupSpec({
            settlementToken: token == address(0) ? coreContract("simulatedToken") : token,
            inboxDeadline: uint64(vm.parseJsonUint(json, ".inboxDeadlineMs")),
            requestFee: uint96(vm.parseJsonUint(json, ".requestFeeWei")),
            maxHoldings: uint8(vm.parseJsonUint(json, ".maxHoldings")),
            keeperShare: uint24(vm.parseJsonUint(json, ".keeperShare")),
            grace: uint32(vm.parseJsonUint(json, ".graceMs"))
        });
        request.config = VenueConfig({
            treasury: AccountId.wrap(uint64(vm.parseJsonUint(json, ".treasury"))),
            protocolShare: uint24(vm.parseJsonUint(json, ".protocolShare")),
            insuranceShare: uint24(vm.parseJsonUint(json, ".insuranceShare")),
            referrerShare: uint24(vm.parseJsonUint(json, ".referrerShare"))
        });
        // forge-lint: disable-end(unsafe-typecast)
        request.registrar = addressOrCore(json, ".registrar", "registrar");
        request.metadata = vm.parseJsonString(json, ".metadata");
    }

    /// @dev The group's terms as it was created with. `block` is the block that the script ran against: nothing of the group is
    /// older.
    function write(VenueRegistry registry, GroupNumber number, GroupSpec memory spec) private {
        Group memory group = registry.groupOf(number);
        GroupTerms memory terms = registry.termsOf(number);
        string memory json = "group";
        vm.serializeUint(json, "chainId", block.chainid);
        vm.serializeAddress(json, "token", spec.settlementToken);
        vm.serializeAddress(json, "group", group.group);
        vm.serializeAddress(json, "gateway", group.gateway);
        vm.serializeAddress(json, "escapeHatch", group.escapeHatch);
        vm.serializeAddress(json, "governance", address(registry));
        vm.serializeAddress(json, "sequencer", terms.sequencer);
        vm.serializeUint(json, "maxHoldings", terms.maxHoldings);
        vm.serializeUint(json, "keeperShare", terms.keeperShare);
        vm.serializeUint(json, "grace", terms.grace);
        vm.serializeAddress(json, "deployer", registry.listings());
        string[] memory codes = vm.parseJsonStringArray(vm.readFile(deploymentPath("core")), ".attribution");
        vm.serializeString(json, "attribution", codes);
        string memory text = vm.serializeUint(json, "block", block.number);
        vm.writeJson(text, deploymentPath(string.concat("group-", vm.toString(GroupNumber.unwrap(number)))));
    }
}
