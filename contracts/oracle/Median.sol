// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice The median of a few values.
library Median {
    /// @notice The middle value; of an even number the lower of the two in the middle.
    /// @dev Always a value that was reported, so nothing is rounded. Sorts `values` in place, by insertion: there are
    /// as many as signers, and they mostly agree. Of no values there is no median: callers have a quorum.
    function lower(uint256[] memory values) internal pure returns (uint256) {
        for (uint256 i = 1; i < values.length; ++i) {
            uint256 value = values[i];
            uint256 hole = i;
            for (; hole > 0 && values[hole - 1] > value; --hole) {
                values[hole] = values[hole - 1];
            }
            values[hole] = value;
        }
        return values[(values.length - 1) / 2];
    }
}
