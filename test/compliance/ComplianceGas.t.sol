// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AllOfRule} from "../../contracts/compliance/AllOfRule.sol";
import {AllowListRule} from "../../contracts/compliance/AllowListRule.sol";
import {AttestationRule} from "../../contracts/compliance/AttestationRule.sol";
import {Credential, CredentialRule} from "../../contracts/compliance/CredentialRule.sol";
import {IComplianceRule} from "../../contracts/compliance/IComplianceRule.sol";
import {Attestation} from "../../contracts/compliance/IEAS.sol";
import {OpenRule} from "../../contracts/compliance/OpenRule.sol";
import {SanctionsRule} from "../../contracts/compliance/SanctionsRule.sol";
import {ComplianceTest} from "./ComplianceTest.sol";
import {EasStandIn, SanctionsStandIn} from "./StandIns.sol";

/// @notice What joining a venue costs, by its rule, each a transaction of its own.
/// @dev As `VenueGas`.
/// forge-config: default.isolate = true
contract ComplianceGasTest is ComplianceTest {
    SanctionsStandIn private sanctions = new SanctionsStandIn();

    function test_gas_of_joining() public {
        joinBy(new OpenRule(), "", "join for the first time, open to all");
        joinBy(allowList(), "", "join again, allow-list");
        joinBy(new SanctionsRule(sanctions), "", "join again, not sanctioned");
        joinBy(attestations(), abi.encode(bytes32("uid")), "join again, attestation");
        (CredentialRule rule_, bytes memory evidence) = credential();
        joinBy(rule_, evidence, "join again, credential");
        IComplianceRule[] memory rules = new IComplianceRule[](2);
        (rules[0], rules[1]) = (new SanctionsRule(sanctions), rule_);
        bytes[] memory parts = new bytes[](2);
        parts[1] = evidence;
        joinBy(new AllOfRule(rules), abi.encode(parts), "join again, credential and not sanctioned");
        sanctions.sanction(alice, true);
        doors.revoke(venue, account, abi.encode(parts));
        vm.snapshotGasLastCall("compliance", "revoke, sanctioned since");
    }

    /// @dev Each rule is the venue's next one, so the account joins anew.
    function joinBy(IComplianceRule next, bytes memory evidence, string memory name) private {
        setRule(next, TERM);
        pass(NOTICE);
        doors.applyRule(venue);
        doors.join(venue, account, evidence);
        vm.snapshotGasLastCall("compliance", name);
    }

    function allowList() private returns (AllowListRule list) {
        list = new AllowListRule(deployer);
        address[] memory subjects = new address[](1);
        subjects[0] = alice;
        vm.prank(deployer);
        list.list(subjects, ALWAYS);
    }

    function attestations() private returns (AttestationRule) {
        EasStandIn eas = new EasStandIn();
        Attestation memory made;
        (made.uid, made.schema, made.recipient, made.attester) = ("uid", "schema", alice, bob);
        eas.attest(made);
        return new AttestationRule(eas, bob, "schema");
    }

    function credential() private returns (CredentialRule made, bytes memory evidence) {
        (address issuer, uint256 key) = makeAddrAndKey("issuer");
        uint16[] memory jurisdictions = new uint16[](1);
        jurisdictions[0] = 756;
        made = new CredentialRule(issuer, jurisdictions, 1);
        Credential memory about = Credential(alice, 756, 1, ALWAYS, 1);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, made.hashCredential(about));
        evidence = abi.encode(about, abi.encodePacked(r, s, v));
    }
}
