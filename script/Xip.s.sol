// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {XipKind} from "../contracts/xip/IXipActions.sol";
import {XipGovernor} from "../contracts/xip/XipGovernor.sol";
import {XipNumber, XipStatus} from "../contracts/xip/XipTypes.sol";
import {Proposer} from "./Proposer.sol";

/// @notice Takes a Standards XIP through its life, with the core of `deployments/<chain id>.core.json`.
///
///     forge script script/Xip.s.sol --sig 'propose(uint8,bytes,string)' 19 "$(cast abi-encode 'f(uint8,uint32)' 1 9)" https://… \
///         --rpc-url … --private-key … --broadcast
///     … --sig 'vote(uint64,uint8)' 1 1, --sig 'queue(uint64)' 1, --sig 'execute(uint64)' 1, --sig 'status(uint64)' 1
///
/// The first argument is the kind's place in `XipKind`, from 0; the second its payload.
contract Xip is Proposer {
    /// @notice Drafts a XIP and submits it with its deposit.
    function propose(uint8 kind, bytes calldata payload, string calldata uri) external returns (XipNumber number) {
        return submit(XipKind(kind), payload, uri);
    }

    /// @param support 0 against, 1 for, 2 abstain.
    function vote(uint64 number, uint8 support) external {
        XipGovernor xips = governor();
        uint256 proposal = proposalOf(xips, number);
        startBroadcast();
        xips.castVote(proposal, support);
        vm.stopBroadcast();
    }

    function queue(uint64 number) external {
        XipGovernor xips = governor();
        uint256 proposal = proposalOf(xips, number);
        startBroadcast();
        xips.queue(proposal);
        vm.stopBroadcast();
    }

    /// @notice Executes a XIP whose delay is over, and returns its deposit.
    function execute(uint64 number) external {
        XipGovernor xips = governor();
        uint256 proposal = proposalOf(xips, number);
        startBroadcast();
        xips.execute(proposal);
        xips.settleDeposit(XipNumber.wrap(number));
        vm.stopBroadcast();
    }

    function status(uint64 number) external view returns (XipStatus) {
        return governor().statusOf(XipNumber.wrap(number));
    }

    function proposalOf(XipGovernor xips, uint64 number) private view returns (uint256) {
        return xips.xipOf(XipNumber.wrap(number)).proposalId;
    }
}
