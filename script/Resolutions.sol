// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGateway} from "../contracts/group/IGateway.sol";
import {EventId} from "../contracts/group/Types.sol";
import {GroupNumber} from "../contracts/venue/VenueTypes.sol";
import {Broadcaster} from "./Broadcaster.sol";

/// @param payouts What a lot of each outcome pays, in ticks.
/// @param evidence Hash of what the configuration names.
struct Resolution {
    IGateway gateway;
    EventId id;
    uint64[] payouts;
    bytes32 evidence;
}

/// @notice How an event ended, as a file says it (script/config/resolution.json).
abstract contract Resolutions is Broadcaster {
    function resolutionOf(string memory json) internal view returns (Resolution memory said) {
        // forge-lint: disable-start(unsafe-typecast)
        GroupNumber group = GroupNumber.wrap(uint32(vm.parseJsonUint(json, ".group")));
        said.gateway = IGateway(venueRegistry().groupOf(group).gateway);
        said.id = EventId.wrap(uint24(vm.parseJsonUint(json, ".event")));
        uint256[] memory payouts = vm.parseJsonUintArray(json, ".payouts");
        said.payouts = new uint64[](payouts.length);
        for (uint256 i = 0; i < payouts.length; ++i) {
            said.payouts[i] = uint64(payouts[i]);
        }
        // forge-lint: disable-end(unsafe-typecast)
        said.evidence = keccak256(bytes(vm.parseJsonString(json, ".evidence")));
    }
}
