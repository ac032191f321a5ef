// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice A contract with doors that only an executed XIP opens: its governance is the timelock, for good.
abstract contract Governed {
    address public immutable governance;

    error NotGovernance(address caller, address governance);
    error GovernanceMissing();

    constructor(address governance_) {
        if (governance_ == address(0)) revert GovernanceMissing();
        governance = governance_;
    }

    modifier onlyGovernance() {
        _requireGovernance();
        _;
    }

    function _requireGovernance() internal view {
        if (msg.sender != governance) revert NotGovernance(msg.sender, governance);
    }
}
