// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Script} from "forge-std/Script.sol";
import {VenueRegistry} from "../contracts/venue/VenueRegistry.sol";

/// @notice Who sends a script's transactions, and where it finds and writes down what was deployed.
///
/// DEPLOYER_KEY   key that sends the transactions, instead of --private-key
/// DEPLOYMENTS    another folder than `deployments`, which every script reads from and writes to
abstract contract Broadcaster is Script {
    /// @notice Sends what follows from DEPLOYER_KEY's address if that is set, else from the one that forge was given.
    function startBroadcast() internal returns (address sender) {
        uint256 key = vm.envOr("DEPLOYER_KEY", uint256(0));
        if (key == 0) vm.startBroadcast();
        else vm.startBroadcast(key);
        (, sender,) = vm.readCallers();
    }

    /// @notice `<chain id>.<name>.json`: `core` for what all groups of the chain share, `group-<number>` for each group,
    /// `parts` for price sources and rules that scripts have deployed.
    function deploymentPath(string memory name) internal view returns (string memory) {
        string memory folder = vm.envOr("DEPLOYMENTS", string("deployments"));
        return string.concat(folder, "/", vm.toString(block.chainid), ".", name, ".json");
    }

    /// @notice A contract of the core, by its name in that file.
    function coreContract(string memory name) internal view returns (address) {
        return vm.parseJsonAddress(vm.readFile(deploymentPath("core")), string.concat(".", name));
    }

    function venueRegistry() internal view returns (VenueRegistry) {
        return VenueRegistry(coreContract("registry"));
    }

    /// @notice The address at `key`, or, where `core` stands there, the core's contract of that name.
    function addressOrCore(string memory json, string memory key, string memory name) internal view returns (address) {
        string memory said = vm.parseJsonString(json, key);
        return keccak256(bytes(said)) == keccak256("core") ? coreContract(name) : vm.parseAddress(said);
    }

    /// @notice The address at `key`, or, where that is zero, the one that a script has deployed as `name`.
    function addressOr(string memory json, string memory key, string memory name)
        internal
        view
        returns (address found)
    {
        found = vm.parseJsonAddress(json, key);
        if (found == address(0)) {
            found = vm.parseJsonAddress(vm.readFile(deploymentPath("parts")), string.concat(".", name));
        }
    }

    /// @notice Writes down what a script has deployed, beside what was there.
    function writePart(string memory name, address part) internal {
        string memory path = deploymentPath("parts");
        string memory json = "parts";
        if (vm.exists(path)) vm.serializeJson(json, vm.readFile(path));
        vm.writeJson(vm.serializeAddress(json, name, part), path);
    }
}
