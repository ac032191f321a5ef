// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Attestation, IEAS} from "../../contracts/compliance/IEAS.sol";
import {ISanctionsList} from "../../contracts/compliance/ISanctionsList.sol";

/// @notice Stands in for the Ethereum Attestation Service.
contract EasStandIn is IEAS {
    mapping(bytes32 uid => Attestation) private _made;

    function attest(Attestation calldata made) external {
        _made[made.uid] = made;
    }

    function getAttestation(bytes32 uid) external view returns (Attestation memory) {
        return _made[uid];
    }
}

/// @notice Stands in for the Chainalysis oracle.
contract SanctionsStandIn is ISanctionsList {
    mapping(address subject => bool) public isSanctioned;

    function sanction(address subject, bool listed) external {
        isSanctioned[subject] = listed;
    }
}
