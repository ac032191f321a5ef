// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Who may be a member of a venue
/// @notice A venue's own contract is a rule as soon as it answers this one question. It is asked when somebody joins and
/// when somebody is to be revoked, never while a batch settles: it can stop new risk, and cannot stop an exit.
/// @dev It is called with bounded gas, without the right to change state, and believed only where it returns exactly one
/// word that is a time in the future (`RuleCall`). A revert, too much gas, no code, and any other answer are a plain no.
interface IComplianceRule {
    /// @notice Until when `subject` passes, in unix seconds; 0 or a time that is over: it does not; the highest number: as
    /// long as nothing changes.
    /// @param subject The owner of the account that is to be a member.
    /// @param evidence What the rule needs to be convinced; each rule says in its own documentation what that is. It may
    /// come from anyone, so it must name its subject.
    function passesUntil(address subject, bytes calldata evidence) external view returns (uint64);
}
