// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IComplianceRule} from "./IComplianceRule.sol";

/// @notice What an issuer signs about somebody, and no more than a venue must know.
/// @param jurisdiction Country, by its ISO 3166-1 number.
/// @param tier How well the issuer knows its customer; what each number means is the issuer's.
/// @param expiry The last second of it, unix.
/// @param number The issuer's own, one for each credential; by it a credential is revoked.
struct Credential {
    address subject;
    uint16 jurisdiction;
    uint8 tier;
    uint64 expiry;
    uint64 number;
}

/// @title Who has a credential of the issuer passes
/// @notice The signature is over `Credential(address subject,uint16 jurisdiction,uint8 tier,uint64 expiry,uint64 number)` in the
/// domain ("Exchange OS Credentials", "1", chain, this contract). The issuer is a key or a contract (ERC-1271).
///
/// **Deny by default**: a jurisdiction that was not named when the rule was made does not pass. Issuer, jurisdictions and least
/// tier are for good; others are another rule, which a venue changes to after its notice.
contract CredentialRule is IComplianceRule, EIP712 {
    bytes32 private constant CREDENTIAL_TYPEHASH =
        keccak256("Credential(address subject,uint16 jurisdiction,uint8 tier,uint64 expiry,uint64 number)");

    address public immutable issuer;
    uint8 public immutable leastTier;
    /// @notice Written by the constructor only.
    mapping(uint16 jurisdiction => bool) public admits;
    /// @notice Credentials with a lower number are revoked.
    uint64 public floor;
    mapping(uint64 number => bool) private _revoked;

    event JurisdictionAdmitted(uint16 indexed jurisdiction);
    event CredentialRevoked(uint64 indexed number);
    event FloorRaised(uint64 floor);

    error NotIssuer(address caller, address issuer);
    error ZeroAddress();
    error FloorNotRaised(uint64 floor, uint64 asked);

    constructor(address issuer_, uint16[] memory jurisdictions, uint8 leastTier_)
        EIP712("Exchange OS Credentials", "1")
    {
        if (issuer_ == address(0)) revert ZeroAddress();
        (issuer, leastTier) = (issuer_, leastTier_);
        for (uint256 i = 0; i < jurisdictions.length; ++i) {
            admits[jurisdictions[i]] = true;
            emit JurisdictionAdmitted(jurisdictions[i]);
        }
    }

    modifier onlyIssuer() {
        if (msg.sender != issuer) revert NotIssuer(msg.sender, issuer);
        _;
    }

    /// @notice Takes a credential back, for good. Then anyone can have its subject revoked where it is a member.
    function revoke(uint64 number) external onlyIssuer {
        _revoked[number] = true;
        emit CredentialRevoked(number);
    }

    /// @notice Takes back every credential with a lower number: after a key was lost, or to begin a new year.
    function raiseFloor(uint64 floor_) external onlyIssuer {
        if (floor_ <= floor) revert FloorNotRaised(floor, floor_);
        floor = floor_;
        emit FloorRaised(floor_);
    }

    function isRevoked(uint64 number) public view returns (bool) {
        return number < floor || _revoked[number];
    }

    /// @param evidence `abi.encode(Credential, bytes signature)`; something else reverts.
    function passesUntil(address subject, bytes calldata evidence) external view returns (uint64) {
        (Credential memory credential, bytes memory signature) = abi.decode(evidence, (Credential, bytes));
        if (credential.subject != subject || credential.tier < leastTier) return 0;
        if (!admits[credential.jurisdiction] || isRevoked(credential.number)) return 0;
        bool signed = SignatureChecker.isValidSignatureNow(issuer, hashCredential(credential), signature);
        return signed ? credential.expiry : 0;
    }

    /// @notice What the issuer signs.
    function hashCredential(Credential memory credential) public view returns (bytes32) {
        return _hashTypedDataV4(
            keccak256(
                abi.encode(
                    CREDENTIAL_TYPEHASH,
                    credential.subject,
                    credential.jurisdiction,
                    credential.tier,
                    credential.expiry,
                    credential.number
                )
            )
        );
    }
}
