// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IComplianceRule} from "./IComplianceRule.sol";

/// @title Who is on a list passes
/// @notice The list is its owner's, who may hand it over in two steps. Several venues may share one list.
contract AllowListRule is IComplianceRule, Ownable2Step {
    /// @notice Until when an address is on the list, unix seconds; 0 for one that is not.
    mapping(address subject => uint64) public listedUntil;

    event Listed(address indexed subject, uint64 until);

    constructor(address owner_) Ownable(owner_) {}

    /// @notice Puts addresses on the list until a date, or takes them off it (0). The owner only.
    function list(address[] calldata subjects, uint64 until) external onlyOwner {
        for (uint256 i = 0; i < subjects.length; ++i) {
            listedUntil[subjects[i]] = until;
            emit Listed(subjects[i], until);
        }
    }

    /// @param evidence None.
    function passesUntil(address subject, bytes calldata evidence) external view returns (uint64) {
        return evidence.length == 0 ? listedUntil[subject] : 0;
    }
}
