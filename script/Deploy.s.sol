// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EscapeHatch} from "../contracts/group/EscapeHatch.sol";
import {Gateway} from "../contracts/group/Gateway.sol";
import {RiskGroup} from "../contracts/group/RiskGroup.sol";
import {SimulatedToken} from "../contracts/group/SimulatedToken.sol";
import {AccountId, GroupTerms, VenueConfig} from "../contracts/group/Types.sol";
import {Broadcaster} from "./Broadcaster.sol";

/// @notice Deploys a simulated settlement token and a risk group with its gateway and its escape hatch, opens the group's
/// first venue, and writes `deployments/<chain id>.json`.
///
///     forge script script/Deploy.s.sol --rpc-url … --private-key … --broadcast
///
/// SEQUENCER           address that signs the group's batches (required)
/// DEPLOYER_KEY        key that sends the transactions, instead of --private-key; its address governs the group (it owns the
///                     insurance fund and the protocol's treasury, and may stop new risk) and deploys the venue's markets
/// INBOX_DEADLINE_MS   how long an inbox item may wait, 86400000 (24 h) by default
/// REQUEST_FEE_WEI     what a forced request costs while the inbox is empty, 1e14 by default
contract Deploy is Broadcaster {
    /// @dev The protocol's treasury, which exists from the start, is the first venue's too.
    AccountId private constant TREASURY = AccountId.wrap(2);

    struct Deployed {
        SimulatedToken token;
        RiskGroup group;
        Gateway gateway;
        EscapeHatch escapeHatch;
        address sequencer;
        address deployer;
    }

    error CreatedElsewhere(address expected, address got);

    function run() external returns (Deployed memory deployed) {
        deployed.deployer = startBroadcast();
        deployed.sequencer = vm.envAddress("SEQUENCER");
        deployed.token = new SimulatedToken();
        deployGroup(deployed);
        deployed.gateway
            .openVenue({
                deployer: deployed.deployer,
                registrar: deployed.deployer,
                config: VenueConfig({treasury: TREASURY, protocolShare: 0, insuranceShare: 0, referrerShare: 0})
            });
        vm.stopBroadcast();
        write(deployed);
    }

    function termsOf(Deployed memory deployed) private pure returns (GroupTerms memory) {
        return GroupTerms({sequencer: deployed.sequencer, maxHoldings: 16, keeperShare: 500_000, grace: 5000});
    }

    /// @dev The three contracts name each other, so two of their addresses are foretold from the deployer's nonce.
    function deployGroup(Deployed memory deployed) private {
        (address deployer, address token) = (deployed.deployer, address(deployed.token));
        uint64 nonce = vm.getNonce(deployer);
        address gateway = vm.computeCreateAddress(deployer, nonce + 1);
        address escapeHatch = vm.computeCreateAddress(deployer, nonce + 2);
        // casting to 'uint64' is safe because forge refuses the variable if it is larger
        uint64 inboxDeadline = uint64(vm.envOr("INBOX_DEADLINE_MS", uint256(24 hours * 1000)));

        deployed.group = new RiskGroup(token, gateway, escapeHatch, deployer, inboxDeadline, termsOf(deployed));
        uint256 requestFee = vm.envOr("REQUEST_FEE_WEI", uint256(1e14));
        deployed.gateway = new Gateway(address(deployed.group), token, deployer, deployer, requestFee);
        deployed.escapeHatch = new EscapeHatch(address(deployed.group));
        if (address(deployed.gateway) != gateway) revert CreatedElsewhere(gateway, address(deployed.gateway));
        if (address(deployed.escapeHatch) != escapeHatch) {
            revert CreatedElsewhere(escapeHatch, address(deployed.escapeHatch));
        }
    }

    /// @dev `block` is the block that the script ran against: nothing of the group is older.
    function write(Deployed memory deployed) private {
        string memory json = "deployment";
        vm.serializeUint(json, "chainId", block.chainid);
        vm.serializeAddress(json, "token", address(deployed.token));
        vm.serializeAddress(json, "group", address(deployed.group));
        vm.serializeAddress(json, "gateway", address(deployed.gateway));
        vm.serializeAddress(json, "escapeHatch", address(deployed.escapeHatch));
        vm.serializeAddress(json, "governance", deployed.deployer);
        GroupTerms memory terms = termsOf(deployed);
        vm.serializeAddress(json, "sequencer", terms.sequencer);
        vm.serializeUint(json, "maxHoldings", terms.maxHoldings);
        vm.serializeUint(json, "keeperShare", terms.keeperShare);
        vm.serializeUint(json, "grace", terms.grace);
        vm.serializeAddress(json, "deployer", deployed.deployer);
        string memory text = vm.serializeUint(json, "block", block.number);
        vm.writeJson(text, deploymentPath());
    }
}
