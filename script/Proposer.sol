// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {XipKind} from "../contracts/xip/IXipActions.sol";
import {XipGovernor} from "../contracts/xip/XipGovernor.sol";
import {XipNumber} from "../contracts/xip/XipTypes.sol";
import {Broadcaster} from "./Broadcaster.sol";

/// @notice Who brings a Standards XIP to its vote.
abstract contract Proposer is Broadcaster {
    /// @notice Drafts a XIP and submits it with its deposit.
    function submit(XipKind kind, bytes memory payload, string memory uri) internal returns (XipNumber number) {
        XipGovernor xips = governor();
        uint256 deposit = xips.procedureOf(xips.actions().categoryOf(kind)).deposit;
        startBroadcast();
        number = xips.draft(kind, payload, uri);
        xips.okb().approve(address(xips), deposit);
        xips.submit(number, payload, uri);
        vm.stopBroadcast();
    }

    function governor() internal view returns (XipGovernor) {
        return XipGovernor(payable(coreContract("governor")));
    }
}
