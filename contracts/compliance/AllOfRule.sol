// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComplianceRule} from "./IComplianceRule.sol";
import {RuleCall} from "./RuleCall.sol";

/// @title Who passes every one of several rules passes
/// @notice Until the first of them says no more. The rules are for good, and may be hostile: each has an equal share of the
/// gas, so none can take another's.
contract AllOfRule is IComplianceRule {
    uint256 public constant MAX_RULES = 8;

    IComplianceRule[] private _rules;

    error RulesOutOfBounds(uint256 given, uint256 most);
    error ZeroAddress();
    error EvidenceForEachRule(uint256 expected, uint256 given);

    constructor(IComplianceRule[] memory rules_) {
        // No rules at all would let everybody in.
        if (rules_.length == 0 || rules_.length > MAX_RULES) revert RulesOutOfBounds(rules_.length, MAX_RULES);
        for (uint256 i = 0; i < rules_.length; ++i) {
            if (address(rules_[i]) == address(0)) revert ZeroAddress();
            _rules.push(rules_[i]);
        }
    }

    function rules() external view returns (IComplianceRule[] memory) {
        return _rules;
    }

    /// @param evidence `abi.encode(bytes[])`, one for each rule in their order; something else reverts.
    function passesUntil(address subject, bytes calldata evidence) external view returns (uint64 until) {
        bytes[] memory parts = abi.decode(evidence, (bytes[]));
        uint256 count = _rules.length;
        if (parts.length != count) revert EvidenceForEachRule(count, parts.length);
        // An eighth is for asking. What comes in is the same whoever asked (`RuleCall.GAS`), so the shares are, too.
        uint256 share = gasleft() * 7 / (8 * count);
        until = type(uint64).max;
        for (uint256 i = 0; i < count && until != 0; ++i) {
            uint64 one = RuleCall.ask(_rules[i], subject, parts[i], share);
            if (one < until) until = one;
        }
    }
}
