// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Gateway} from "../contracts/group/Gateway.sol";
import {RiskGroup} from "../contracts/group/RiskGroup.sol";
import {SimulatedToken} from "../contracts/group/SimulatedToken.sol";
import {AccountId, GroupTerms, VenueConfig} from "../contracts/group/Types.sol";
import {Broadcaster} from "./Broadcaster.sol";

/// @notice Deploys a simulated settlement token, a risk group and its gateway, opens the group's first venue, and writes
/// `deployments/<chain id>.json`.
///
///     forge script script/Deploy.s.sol --rpc-url … --private-key … --broadcast
///
/// SEQUENCER           address that signs the group's batches (required)
/// DEPLOYER_KEY        key that sends the transactions, instead of --private-key; its address lists the venue's markets
/// GOVERNOR            owner of the insurance fund and of the protocol's treasury, who configures the group; the deployer by
///                     default. Another one opens the first venue itself
/// GUARDIAN            who may stop new risk; the governor by default
/// INBOX_DEADLINE_MS   how long an inbox item may wait, 86400000 (24 h) by default
/// REQUEST_FEE_WEI     what a forced request costs while the inbox is empty, 100000000000000 (0.0001) by default
contract Deploy is Broadcaster {
    /// @dev The protocol's treasury: an account that exists from the start.
    AccountId private constant TREASURY = AccountId.wrap(2);

    /// @param escapeHatch Who pays everybody out when the group is frozen.
    struct Deployed {
        SimulatedToken token;
        RiskGroup group;
        Gateway gateway;
        address escapeHatch;
        address governor;
        address sequencer;
        address deployer;
    }

    function run() external returns (Deployed memory deployed) {
        address deployer = startBroadcast();
        address sequencer = vm.envAddress("SEQUENCER");
        address governor = vm.envOr("GOVERNOR", deployer);
        address guardian = vm.envOr("GUARDIAN", governor);
        uint256 requestFee = vm.envOr("REQUEST_FEE_WEI", uint256(1e14));
        SimulatedToken token = new SimulatedToken();

        // The contracts name each other, so two addresses are foretold: those of the deployer's transactions after the group's.
        uint64 nonce = vm.getNonce(deployer);
        address foretold = vm.computeCreateAddress(deployer, nonce + 1);
        address escapeHatch = escapeHatchAfter(deployer, nonce + 1);
        RiskGroup group = createGroup(address(token), foretold, escapeHatch, governor, sequencer);
        Gateway gateway = new Gateway(address(group), address(token), governor, guardian, requestFee);
        require(address(gateway) == foretold, "another transaction of the deployer came between");
        if (governor == deployer) gateway.openVenue(deployer, deployer, VenueConfig(TREASURY, 0, 0, 0));
        vm.stopBroadcast();

        deployed = Deployed(token, group, gateway, escapeHatch, governor, sequencer, deployer);
        write(deployed);
    }

    function createGroup(address token, address gateway, address escapeHatch, address governor, address sequencer)
        private
        returns (RiskGroup)
    {
        // casting to 'uint64' is safe because forge refuses the variable if it is larger
        uint64 inboxDeadline = uint64(vm.envOr("INBOX_DEADLINE_MS", uint256(24 hours * 1000)));
        GroupTerms memory terms = GroupTerms({sequencer: sequencer, maxHoldings: 16, keeperShare: 500_000, grace: 5000});
        return new RiskGroup(token, gateway, escapeHatch, governor, inboxDeadline, terms);
    }

    /// @dev The governor, until there is a contract for it: nobody else can be owed anything by a frozen group.
    function escapeHatchAfter(address deployer, uint64) private pure returns (address) {
        return deployer;
    }

    /// @dev `block` is the block that the script ran against: nothing of the group is older.
    function write(Deployed memory deployed) private {
        string memory json = "deployment";
        vm.serializeUint(json, "chainId", block.chainid);
        vm.serializeAddress(json, "token", address(deployed.token));
        vm.serializeAddress(json, "group", address(deployed.group));
        vm.serializeAddress(json, "gateway", address(deployed.gateway));
        vm.serializeAddress(json, "escapeHatch", deployed.escapeHatch);
        vm.serializeAddress(json, "governance", deployed.governor);
        vm.serializeAddress(json, "sequencer", deployed.sequencer);
        vm.serializeAddress(json, "deployer", deployed.deployer);
        string memory text = vm.serializeUint(json, "block", block.number);
        vm.writeJson(text, deploymentPath());
    }
}
