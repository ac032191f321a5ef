// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {RiskGroup} from "../contracts/group/RiskGroup.sol";
import {SimulatedToken} from "../contracts/group/SimulatedToken.sol";
import {Broadcaster} from "./Broadcaster.sol";

/// @notice Deploys a simulated settlement token and a risk group, and writes `deployments/<chain id>.json`.
///
///     forge script script/Deploy.s.sol --rpc-url … --private-key … --broadcast
///
/// SEQUENCER           address that signs the group's batches (required)
/// DEPLOYER_KEY        key that sends the transactions, instead of --private-key; its address opens events
/// INBOX_DEADLINE_MS   how long an inbox item may wait, 86400000 (24 h) by default
contract Deploy is Broadcaster {
    function run() external returns (SimulatedToken token, RiskGroup group) {
        address deployer = startBroadcast();
        address sequencer = vm.envAddress("SEQUENCER");
        // casting to 'uint64' is safe because forge refuses the variable if it is larger
        uint64 inboxDeadline = uint64(vm.envOr("INBOX_DEADLINE_MS", uint256(24 hours * 1000)));
        token = new SimulatedToken();
        group = new RiskGroup(address(token), sequencer, deployer, inboxDeadline);
        vm.stopBroadcast();
        write(token, group);
    }

    /// @dev `block` is the block that the script ran against: nothing of the group is older.
    function write(SimulatedToken token, RiskGroup group) private {
        string memory json = "deployment";
        vm.serializeUint(json, "chainId", block.chainid);
        vm.serializeAddress(json, "token", address(token));
        vm.serializeAddress(json, "group", address(group));
        vm.serializeAddress(json, "sequencer", group.sequencer());
        vm.serializeAddress(json, "deployer", group.deployer());
        string memory text = vm.serializeUint(json, "block", block.number);
        vm.writeJson(text, deploymentPath());
    }
}
