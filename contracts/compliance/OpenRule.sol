// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComplianceRule} from "./IComplianceRule.sol";

/// @title Everybody passes
/// @notice For a venue that wants to know its members without choosing them: what can be shut is a door.
contract OpenRule is IComplianceRule {
    /// @param evidence None.
    function passesUntil(address, bytes calldata evidence) external pure returns (uint64) {
        return evidence.length == 0 ? type(uint64).max : 0;
    }
}
