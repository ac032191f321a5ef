// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @notice What the timelock asks its governor.
interface IQueueDelay {
    /// @return The delay of the XIP that is being queued, in seconds.
    function queueDelay() external view returns (uint256);
}

/// @title The timelock: through which executed XIPs act, and the treasury that they dispose of
/// @notice One governor schedules, and it alone executes what has waited long enough. How long that is, is the XIP's
/// category's delay, never less than `FLOOR`; the timelock itself enforces it. There is no admin but the timelock.
contract XipTimelock is TimelockController {
    uint256 public constant FLOOR = 1 hours;

    address public governor;

    event GovernorSet(address indexed governor);

    error GovernorMissing();

    constructor(address governor_) TimelockController(FLOOR, new address[](0), new address[](0), address(0)) {
        _setGovernor(governor_);
    }

    /// @notice Hands scheduling and executing to another governor. By a constitutional XIP only.
    function setGovernor(address governor_) external {
        if (msg.sender != address(this)) revert TimelockUnauthorizedCaller(msg.sender);
        _revokeRole(PROPOSER_ROLE, governor);
        _revokeRole(CANCELLER_ROLE, governor);
        _revokeRole(EXECUTOR_ROLE, governor);
        _setGovernor(governor_);
    }

    /// @notice Pays out of the treasury's coin. By a XIP only.
    function pay(address to, uint256 amount) external {
        if (msg.sender != address(this)) revert TimelockUnauthorizedCaller(msg.sender);
        Address.sendValue(payable(to), amount);
    }

    function _setGovernor(address governor_) private {
        // Nobody could ever change anything again.
        if (governor_ == address(0)) revert GovernorMissing();
        governor = governor_;
        _grantRole(PROPOSER_ROLE, governor_);
        _grantRole(CANCELLER_ROLE, governor_);
        _grantRole(EXECUTOR_ROLE, governor_);
        emit GovernorSet(governor_);
    }

    /// @notice To the governor, the delay of what it is queueing; to others the least there can be.
    function getMinDelay() public view override returns (uint256) {
        uint256 least = super.getMinDelay();
        if (msg.sender != governor) return least;
        return Math.max(least, IQueueDelay(msg.sender).queueDelay());
    }
}
