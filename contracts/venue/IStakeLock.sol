// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Says how much of a stake has to stay where it is.
interface IStakeLock {
    /// @return What the account's open venues need, in wei of staked OKB.
    function lockedStake(address account) external view returns (uint256);
}
