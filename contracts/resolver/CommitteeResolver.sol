// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IGateway} from "../group/IGateway.sol";
import {EventId} from "../group/Types.sol";
import {SignerSet} from "../oracle/SignerSet.sol";
import {isDue} from "../xip/Deadlines.sol";
import {Payouts} from "./Payouts.sol";

/// @title The committee: events are decided by a quorum of its members
/// @notice An event that names this contract as its resolver pays what more than half of the members, or as many more as were
/// agreed, have signed. They sign `Resolution(address gateway,uint24 eventId,uint64[] payouts,bytes32 evidence)` in the domain
/// ("Exchange OS Resolutions", "1", chain, this contract), together or one after the other; anyone brings the signatures.
///
/// A committee that has not decided by `deadline` has lost its say to whoever comes first: from then on anyone may `void` its
/// events, which pay their outcomes alike. Members, quorum and deadline are for good.
/// @dev It remembers nothing. An event is decided once because its gateway decides once, and a made-up gateway reaches only
/// itself.
contract CommitteeResolver is SignerSet, EIP712 {
    bytes32 private constant RESOLUTION_TYPEHASH =
        keccak256("Resolution(address gateway,uint24 eventId,uint64[] payouts,bytes32 evidence)");

    /// @notice Unix seconds.
    uint64 public immutable deadline;

    event Resolved(address indexed gateway, EventId indexed eventId, uint64[] payouts, bytes32 evidence);
    event Voided(address indexed gateway, EventId indexed eventId);

    error DeadlineOver(uint64 deadline);
    error TooFewSignatures(uint256 given, uint256 quorum);
    error NotMember(address signer);
    error NotDueYet(uint64 deadline);

    /// @param members Who may sign, in ascending order.
    /// @param quorum_ How many of them decide; more than half.
    constructor(address[] memory members, uint256 quorum_, uint64 deadline_)
        SignerSet(members, quorum_)
        EIP712("Exchange OS Resolutions", "1")
    {
        if (isDue(deadline_)) revert DeadlineOver(deadline_);
        deadline = deadline_;
    }

    /// @notice Decides an event by the members' signatures. Anyone may bring them.
    /// @param payouts What a lot of each outcome pays, in ticks, adding up to the event's; its gateway refuses anything else.
    /// @param evidence Hash of what the members looked at.
    /// @param signatures 65 bytes each, in ascending order of the members' addresses.
    function resolve(
        IGateway gateway,
        EventId id,
        uint64[] calldata payouts,
        bytes32 evidence,
        bytes[] calldata signatures
    ) external {
        if (signatures.length < quorum) revert TooFewSignatures(signatures.length, quorum);
        bytes32 digest = hashResolution(gateway, id, payouts, evidence);
        address previous = address(0);
        for (uint256 i = 0; i < signatures.length; ++i) {
            // An unreadable signature recovers to the zero address, which is no member.
            (address signer,,) = ECDSA.tryRecover(digest, signatures[i]);
            if (!isSigner[signer]) revert NotMember(signer);
            if (signer <= previous) revert SignersNotAscending(previous, signer);
            previous = signer;
        }
        emit Resolved(address(gateway), id, payouts, evidence);
        gateway.resolveEvent(id, payouts);
    }

    /// @notice Ends an event that the committee has not decided by its deadline: all outcomes pay alike. Anyone may.
    function void(IGateway gateway, EventId id) external {
        if (!isDue(deadline)) revert NotDueYet(deadline);
        uint64[] memory payouts = Payouts.alike(gateway, id);
        emit Voided(address(gateway), id);
        gateway.resolveEvent(id, payouts);
    }

    /// @notice What members sign.
    function hashResolution(IGateway gateway, EventId id, uint64[] calldata payouts, bytes32 evidence)
        public
        view
        returns (bytes32)
    {
        // EIP-712 hashes an array as its elements, a word each, one after the other.
        bytes32 hashOfPayouts = keccak256(abi.encodePacked(payouts));
        return _hashTypedDataV4(keccak256(abi.encode(RESOLUTION_TYPEHASH, gateway, id, hashOfPayouts, evidence)));
    }
}
