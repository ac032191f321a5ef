// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EscapeHatch} from "../contracts/group/EscapeHatch.sol";
import {Gateway} from "../contracts/group/Gateway.sol";
import {RiskGroup} from "../contracts/group/RiskGroup.sol";
import {GroupCode} from "./Core.sol";
import {CoreScript} from "./CoreScript.sol";

/// @notice Deploys what all groups share, governance, stake, slots and registry, with a simulated dollar, and writes
/// `deployments/<chain id>.core.json`. Nobody has a key to it afterwards.
///
///     forge script script/DeployCore.s.sol --rpc-url … --private-key … --broadcast
///
/// CORE_CONFIG    another file than script/config/core.json
contract DeployCore is CoreScript {
    function groupCode() internal pure override returns (GroupCode memory) {
        return GroupCode({
            group: type(RiskGroup).creationCode,
            gateway: type(Gateway).creationCode,
            escapeHatch: type(EscapeHatch).creationCode
        });
    }
}
