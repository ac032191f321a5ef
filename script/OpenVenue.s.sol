// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccountId, VenueConfig} from "../contracts/group/Types.sol";
import {VenueRegistry} from "../contracts/venue/VenueRegistry.sol";
import {GroupNumber, GroupSpec, VenueNumber, VenueRequest} from "../contracts/venue/VenueTypes.sol";
import {XipNumber} from "../contracts/xip/XipTypes.sol";
import {Broadcaster} from "./Broadcaster.sol";

/// @notice Files a Venue XIP from a configuration, and carries it out when its notice is over.
///
///     forge script script/OpenVenue.s.sol --sig 'file(string)' script/config/venue-worldcup.json --rpc-url … --broadcast
///     forge script script/OpenVenue.s.sol --sig 'execute(string,uint64)' script/config/venue-worldcup.json 1 …
///
/// DEPLOYER_KEY   key that sends the transactions, instead of --private-key; its address must have staked
contract OpenVenue is Broadcaster {
    /// @return number The XIP's number, which `execute` needs.
    function file(string calldata path) external returns (XipNumber number) {
        string memory json = vm.readFile(path);
        VenueRegistry registry = VenueRegistry(coreContract("registry"));
        startBroadcast();
        registry.okb().approve(address(registry), registry.bond());
        number = registry.fileVenue(read(json), vm.parseJsonString(json, ".text"));
        vm.stopBroadcast();
    }

    function execute(string calldata path, uint64 number) external returns (VenueNumber venue) {
        VenueRequest memory request = read(vm.readFile(path));
        VenueRegistry registry = VenueRegistry(coreContract("registry"));
        startBroadcast();
        venue = registry.executeVenue(XipNumber.wrap(number), request);
        vm.stopBroadcast();
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
        request.registrar = vm.parseJsonAddress(json, ".registrar");
        request.metadata = vm.parseJsonString(json, ".metadata");
    }
}
