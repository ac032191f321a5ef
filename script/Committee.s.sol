// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {CommitteeResolver} from "../contracts/resolver/CommitteeResolver.sol";
import {Resolution, Resolutions} from "./Resolutions.sol";

/// @notice A committee that decides events, of one member or more, with a deadline from which on anybody may void them.
///
///     forge script script/Committee.s.sol --sig 'deploy(string)' script/config/resolver-committee.json --rpc-url … --broadcast
///     … --sig 'sign(string)' script/config/resolution.json      each member, with DEPLOYER_KEY; sends nothing
///     … --sig 'decide(string,bytes[])' script/config/resolution.json '[0x…,0x…]', --sig 'void(string)' …
///
/// Events name the address that `deploy` writes down as `committee`.
contract Committee is Resolutions {
    function deploy(string calldata path) external returns (CommitteeResolver resolver) {
        string memory json = vm.readFile(path);
        startBroadcast();
        resolver = new CommitteeResolver(
            vm.parseJsonAddressArray(json, ".members"),
            vm.parseJsonUint(json, ".quorum"),
            // forge-lint: disable-next-line(unsafe-typecast)
            uint64(vm.parseJsonUint(json, ".deadline"))
        );
        vm.stopBroadcast();
        writePart("committee", address(resolver));
    }

    /// @notice A member's word on how an event ended.
    function sign(string calldata path) public view returns (bytes memory signature) {
        Resolution memory said = resolutionOf(vm.readFile(path));
        bytes32 digest = committee().hashResolution(said.gateway, said.id, said.payouts, said.evidence);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(vm.envUint("DEPLOYER_KEY"), digest);
        return abi.encodePacked(r, s, v);
    }

    /// @notice Brings the members' words, in ascending order of their addresses; none for the sender's alone. Anyone may.
    function decide(string calldata path, bytes[] memory signatures) external {
        Resolution memory said = resolutionOf(vm.readFile(path));
        if (signatures.length == 0) {
            signatures = new bytes[](1);
            signatures[0] = sign(path);
        }
        startBroadcast();
        committee().resolve(said.gateway, said.id, said.payouts, said.evidence, signatures);
        vm.stopBroadcast();
    }

    /// @notice What the committee has not decided by its deadline pays all outcomes alike. Anyone may.
    function void(string calldata path) external {
        Resolution memory said = resolutionOf(vm.readFile(path));
        startBroadcast();
        committee().void(said.gateway, said.id);
        vm.stopBroadcast();
    }

    function committee() private view returns (CommitteeResolver) {
        return CommitteeResolver(vm.parseJsonAddress(vm.readFile(deploymentPath("parts")), ".committee"));
    }
}
