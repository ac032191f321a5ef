// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IRiskGroup} from "../contracts/group/IRiskGroup.sol";
import {OptimisticResolver} from "../contracts/resolver/OptimisticResolver.sol";
import {XipKind} from "../contracts/xip/IXipActions.sol";
import {XipNumber} from "../contracts/xip/XipTypes.sol";
import {Proposer} from "./Proposer.sol";
import {Resolution, Resolutions} from "./Resolutions.sol";

/// @notice Says what an event's outcomes pay, disputes it, and makes it final, with the core's optimistic resolver.
///
///     forge script script/Resolve.s.sol --sig 'claim(string)' script/config/resolution.json --rpc-url … --broadcast
///     … --sig 'dispute(string)' …, --sig 'finalize(string)' …, --sig 'void(string)' …, --sig 'withdraw(address)' 0x…
///
/// A claim costs a bond, a dispute twice the last one; who is right gets half of what the others lose. The third claim goes to a
/// XIP: `--sig 'ask(string)'` files it, script/Xip.s.sol takes it through its vote.
contract Resolve is Proposer, Resolutions {
    function claim(string calldata path) external {
        _claim(path);
    }

    /// @notice Another claim than the last one: the configuration says what is right instead.
    function dispute(string calldata path) external {
        _claim(path);
    }

    function _claim(string calldata path) private {
        Resolution memory said = resolutionOf(vm.readFile(path));
        IERC20 token = IERC20(IRiskGroup(said.gateway.group()).settlementToken());
        uint256 bond = resolver().bondOf(said.gateway, said.id);
        startBroadcast();
        token.approve(address(resolver()), bond);
        resolver().claim(said.gateway, said.id, said.payouts, said.evidence);
        vm.stopBroadcast();
    }

    /// @notice What nobody disputed in time becomes final. Anyone may.
    function finalize(string calldata path) external {
        Resolution memory said = resolutionOf(vm.readFile(path));
        startBroadcast();
        resolver().finalize(said.gateway, said.id, said.payouts);
        vm.stopBroadcast();
    }

    /// @notice Asks governance to decide between three claims, for what the configuration says.
    function ask(string calldata path) external returns (XipNumber) {
        string memory json = vm.readFile(path);
        Resolution memory said = resolutionOf(json);
        bytes memory payload = abi.encode(said.gateway, said.id, said.payouts);
        return submit(XipKind.RuleEvent, payload, vm.parseJsonString(json, ".evidence"));
    }

    /// @notice What no XIP ruled on in time pays all outcomes alike. Anyone may.
    function void(string calldata path) external {
        Resolution memory said = resolutionOf(vm.readFile(path));
        startBroadcast();
        resolver().void(said.gateway, said.id);
        vm.stopBroadcast();
    }

    /// @notice Takes what is owed to the sender: bonds that came back, and those that were won.
    function withdraw(IERC20 token) external {
        startBroadcast();
        resolver().withdraw(token);
        vm.stopBroadcast();
    }

    function resolver() private view returns (OptimisticResolver) {
        return OptimisticResolver(coreContract("resolver"));
    }
}
