// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {CredentialRule} from "../contracts/compliance/CredentialRule.sol";
import {IComplianceRule} from "../contracts/compliance/IComplianceRule.sol";
import {Registrar} from "../contracts/compliance/Registrar.sol";
import {VenueNumber} from "../contracts/venue/VenueTypes.sol";
import {Broadcaster} from "./Broadcaster.sol";

/// @notice Gives a venue whose registrar is the core's a compliance rule (docs/compliance.md).
///
///     forge script script/Rule.s.sol --sig 'credential(string)' script/config/rule-credential.json --rpc-url … --broadcast
///     … --sig 'set(uint32,address,uint32)' 3 0x… 31536000 for a rule that is deployed already, --sig 'apply_(uint32)' 3
contract Rule is Broadcaster {
    /// @notice Deploys a rule that wants an issuer's credential, and sets it; it is written down as `credentialRule`.
    function credential(string calldata path) external returns (CredentialRule rule) {
        string memory json = vm.readFile(path);
        uint256[] memory numbers = vm.parseJsonUintArray(json, ".jurisdictions");
        uint16[] memory jurisdictions = new uint16[](numbers.length);
        // forge-lint: disable-start(unsafe-typecast)
        for (uint256 i = 0; i < numbers.length; ++i) {
            jurisdictions[i] = uint16(numbers[i]);
        }
        VenueNumber venue = VenueNumber.wrap(uint32(vm.parseJsonUint(json, ".venue")));
        startBroadcast();
        rule = new CredentialRule(
            vm.parseJsonAddress(json, ".issuer"), jurisdictions, uint8(vm.parseJsonUint(json, ".leastTier"))
        );
        registrar().setRule(venue, rule, uint32(vm.parseJsonUint(json, ".termSeconds")));
        // forge-lint: disable-end(unsafe-typecast)
        vm.stopBroadcast();
        writePart("credentialRule", address(rule));
    }

    /// @notice Sets the first rule of a venue, or announces another one.
    /// @param term How long a membership lasts at most, in seconds.
    function set(uint32 venue, address rule, uint32 term) external {
        startBroadcast();
        registrar().setRule(VenueNumber.wrap(venue), IComplianceRule(rule), term);
        vm.stopBroadcast();
    }

    /// @notice Makes an announced rule count once its notice is over.
    function apply_(uint32 venue) external {
        startBroadcast();
        registrar().applyRule(VenueNumber.wrap(venue));
        vm.stopBroadcast();
    }

    function registrar() private view returns (Registrar) {
        return Registrar(coreContract("registrar"));
    }
}
