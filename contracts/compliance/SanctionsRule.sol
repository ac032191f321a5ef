// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComplianceRule} from "./IComplianceRule.sol";
import {ISanctionsList} from "./ISanctionsList.sol";

/// @title Whoever is not on a sanctions list passes
/// @notice A list that does not answer lets nobody in.
contract SanctionsRule is IComplianceRule {
    ISanctionsList public immutable list;

    error ZeroAddress();

    constructor(ISanctionsList list_) {
        if (address(list_) == address(0)) revert ZeroAddress();
        list = list_;
    }

    /// @param evidence None.
    function passesUntil(address subject, bytes calldata evidence) external view returns (uint64) {
        return evidence.length != 0 || list.isSanctioned(subject) ? 0 : type(uint64).max;
    }
}
