// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Script} from "forge-std/Script.sol";

/// @notice Who sends a script's transactions, and where it finds what was deployed.
abstract contract Broadcaster is Script {
    /// @notice Sends what follows from DEPLOYER_KEY's address if that is set, else from the one that forge was given.
    function startBroadcast() internal returns (address sender) {
        uint256 key = vm.envOr("DEPLOYER_KEY", uint256(0));
        if (key == 0) vm.startBroadcast();
        else vm.startBroadcast(key);
        (, sender,) = vm.readCallers();
    }

    function deploymentPath() internal view returns (string memory) {
        return string.concat("deployments/", vm.toString(block.chainid), ".json");
    }

    /// @notice Where what all groups of the chain share is written down.
    function corePath() internal view returns (string memory) {
        return string.concat("deployments/", vm.toString(block.chainid), ".core.json");
    }

    /// @notice A contract of the core, by its name in that file.
    function coreContract(string memory name) internal view returns (address) {
        return vm.parseJsonAddress(vm.readFile(corePath()), string.concat(".", name));
    }
}
