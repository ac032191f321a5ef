// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComplianceRule} from "./IComplianceRule.sol";
import {Attestation, IEAS} from "./IEAS.sol";

/// @title Whom an attester has attested passes
/// @notice One attester, one schema, both for good. What the attestation says beyond that is not read: a schema means one
/// thing, "this is a customer of ours who may trade here".
contract AttestationRule is IComplianceRule {
    IEAS public immutable eas;
    address public immutable attester;
    bytes32 public immutable schema;

    error ZeroAddress();

    constructor(IEAS eas_, address attester_, bytes32 schema_) {
        // Nobody's attestation of no schema is what the service says of an unknown number.
        if (address(eas_) == address(0) || attester_ == address(0) || schema_ == 0) revert ZeroAddress();
        (eas, attester, schema) = (eas_, attester_, schema_);
    }

    /// @param evidence `abi.encode(bytes32)`, the attestation's `uid`; something else reverts.
    function passesUntil(address subject, bytes calldata evidence) external view returns (uint64) {
        bytes32 uid = abi.decode(evidence, (bytes32));
        Attestation memory made = eas.getAttestation(uid);
        if (made.uid != uid || made.schema != schema || made.attester != attester) return 0;
        if (made.recipient != subject || made.revocationTime != 0) return 0;
        return made.expirationTime == 0 ? type(uint64).max : made.expirationTime;
    }
}
