// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice A record of the Ethereum Attestation Service.
/// @param expirationTime Unix seconds; 0 for no end.
/// @param revocationTime Unix seconds; 0 while it is not revoked.
struct Attestation {
    bytes32 uid;
    bytes32 schema;
    uint64 time;
    uint64 expirationTime;
    uint64 revocationTime;
    bytes32 refUID;
    address recipient;
    address attester;
    bool revocable;
    bytes data;
}

/// @notice What we ask of the Ethereum Attestation Service (`IEAS.getAttestation` of its contracts).
interface IEAS {
    /// @notice The attestation, or one of zeros where there is none.
    function getAttestation(bytes32 uid) external view returns (Attestation memory);
}
