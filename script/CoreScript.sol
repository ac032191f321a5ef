// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SimulatedTokens} from "../contracts/venue/SimulatedTokens.sol";
import {SlotAuction} from "../contracts/venue/SlotAuction.sol";
import {WrappedOkb} from "../contracts/venue/WrappedOkb.sol";
import {Broadcaster} from "./Broadcaster.sol";
import {Core, CoreDeployment, CoreTerms, GroupCode, ResolverTerms} from "./Core.sol";

/// @notice Deploys the core from a configuration and writes it down; where the groups' code comes from is left open.
abstract contract CoreScript is Broadcaster {
    function groupCode() internal view virtual returns (GroupCode memory);

    function run() external returns (Core memory core) {
        string memory config = vm.readFile(vm.envOr("CORE_CONFIG", string("script/config/core.json")));
        CoreTerms memory terms = read(config);
        address sender = startBroadcast();
        if (address(terms.okb) == address(0)) terms.okb = IERC20(address(new WrappedOkb()));
        terms.simulated = new SimulatedTokens();
        (address simulated, address asset) = (address(terms.simulated.make()), address(terms.simulated.make()));
        core = CoreDeployment.deploy(sender, terms, groupCode());
        vm.stopBroadcast();
        write(core, simulated, asset, vm.parseJsonStringArray(config, ".attribution"));
    }

    function read(string memory json) private pure returns (CoreTerms memory terms) {
        terms.okb = IERC20(vm.parseJsonAddress(json, ".okb"));
        terms.procedures = CoreDeployment.procedures();
        terms.limits = CoreDeployment.limits();
        // Forge refuses numbers that their types are too small for no more than the contracts would; these are a person's.
        // forge-lint: disable-start(unsafe-typecast)
        terms.cooldown = uint64(vm.parseJsonUint(json, ".cooldown"));
        terms.requiredStake = uint88(vm.parseJsonUint(json, ".requiredStake"));
        for (uint256 kind = 0; kind < 3; ++kind) {
            string memory path = string.concat(".baseSlots[", vm.toString(kind), "]");
            terms.baseSlots[kind] = uint32(vm.parseJsonUint(json, path));
        }
        terms.auction = SlotAuction.Terms({
            floor: uint96(vm.parseJsonUint(json, ".auction.floor")),
            first: uint96(vm.parseJsonUint(json, ".auction.first")),
            fall: uint32(vm.parseJsonUint(json, ".auction.fall")),
            multiple: uint32(vm.parseJsonUint(json, ".auction.multiple"))
        });
        terms.notice = uint64(vm.parseJsonUint(json, ".notice"));
        terms.bond = uint96(vm.parseJsonUint(json, ".bond"));
        terms.resolver = ResolverTerms({
            window: uint64(vm.parseJsonUint(json, ".resolver.window")),
            patience: uint64(vm.parseJsonUint(json, ".resolver.patience")),
            leastBond: uint96(vm.parseJsonUint(json, ".resolver.leastBond")),
            bondShare: uint24(vm.parseJsonUint(json, ".resolver.bondShare"))
        });
        // forge-lint: disable-end(unsafe-typecast)
        terms.sequencer = vm.parseJsonAddress(json, ".sequencer");
        terms.guardian = vm.parseJsonAddress(json, ".guardian");
        terms.allowed = vm.parseJsonAddressArray(json, ".allowed");
    }

    /// @dev Two tokens without value: one that groups settle in, one that is traded.
    /// @param attribution Codes that nodes put behind their batches' calldata; no contract knows of them.
    function write(Core memory core, address simulated, address simulatedAsset, string[] memory attribution) private {
        string memory json = "core";
        vm.serializeUint(json, "chainId", block.chainid);
        vm.serializeUint(json, "block", block.number);
        vm.serializeString(json, "attribution", attribution);
        vm.serializeAddress(json, "okb", address(core.okb));
        vm.serializeAddress(json, "simulatedToken", simulated);
        vm.serializeAddress(json, "simulatedAsset", simulatedAsset);
        vm.serializeAddress(json, "timelock", address(core.timelock));
        vm.serializeAddress(json, "xips", address(core.xips));
        vm.serializeAddress(json, "governor", address(core.governor));
        vm.serializeAddress(json, "actions", address(core.actions));
        vm.serializeAddress(json, "stake", address(core.stake));
        vm.serializeAddress(json, "slots", address(core.slots));
        vm.serializeAddress(json, "auction", address(core.auction));
        vm.serializeAddress(json, "rollout", address(core.rollout));
        vm.serializeAddress(json, "reviews", address(core.reviews));
        vm.serializeAddress(json, "limits", address(core.limits));
        vm.serializeAddress(json, "resolver", address(core.resolver));
        vm.serializeAddress(json, "registrar", address(core.registrar));
        vm.serializeAddress(json, "factory", address(core.factory));
        vm.serializeAddress(json, "registry", address(core.registry));
        string memory text = vm.serializeAddress(json, "listings", address(core.listings));
        vm.writeJson(text, deploymentPath("core"));
    }
}
