// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IGateway} from "../contracts/group/IGateway.sol";
import {IRiskGroup} from "../contracts/group/IRiskGroup.sol";
import {EventId} from "../contracts/group/Types.sol";
import {OptimisticResolver} from "../contracts/resolver/OptimisticResolver.sol";
import {GroupNumber} from "../contracts/venue/VenueTypes.sol";
import {Broadcaster} from "./Broadcaster.sol";

/// @notice Says what an event's outcomes pay, disputes it, and makes it final, with the core's optimistic resolver.
///
///     forge script script/Resolve.s.sol --sig 'claim(string)' script/config/resolution.json --rpc-url … --broadcast
///     … --sig 'dispute(string)' …, --sig 'finalize(string)' …, --sig 'void(string)' …, --sig 'withdraw(address)' 0x…
///
/// A claim costs a bond, a dispute twice the last one; who is right gets the other's. The third claim goes to a XIP.
contract Resolve is Broadcaster {
    struct Case {
        OptimisticResolver resolver;
        IGateway gateway;
        EventId id;
        uint64[] payouts;
        bytes32 evidence;
    }

    function claim(string calldata path) external {
        _claim(path);
    }

    /// @notice Another claim than the last one: the configuration says what is right instead.
    function dispute(string calldata path) external {
        _claim(path);
    }

    function _claim(string calldata path) private {
        Case memory said = read(vm.readFile(path));
        IERC20 token = IERC20(IRiskGroup(said.gateway.group()).settlementToken());
        startBroadcast();
        token.approve(address(said.resolver), said.resolver.bondOf(said.gateway, said.id));
        said.resolver.claim(said.gateway, said.id, said.payouts, said.evidence);
        vm.stopBroadcast();
    }

    /// @notice What nobody disputed in time becomes final. Anyone may.
    function finalize(string calldata path) external {
        Case memory said = read(vm.readFile(path));
        startBroadcast();
        said.resolver.finalize(said.gateway, said.id, said.payouts);
        vm.stopBroadcast();
    }

    /// @notice What no XIP ruled on in time pays all outcomes alike. Anyone may.
    function void(string calldata path) external {
        Case memory said = read(vm.readFile(path));
        startBroadcast();
        said.resolver.void(said.gateway, said.id);
        vm.stopBroadcast();
    }

    /// @notice Takes what is owed to the sender: bonds that came back, and those that were won.
    function withdraw(IERC20 token) external {
        startBroadcast();
        OptimisticResolver(coreContract("resolver")).withdraw(token);
        vm.stopBroadcast();
    }

    function read(string memory json) private view returns (Case memory said) {
        said.resolver = OptimisticResolver(coreContract("resolver"));
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
