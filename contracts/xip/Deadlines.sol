// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

// What is compared here are minutes at the least, mostly days: by how much a block's producer could shift its time does not
// decide anything.

/// @notice Whether it is `time` or later, in unix seconds.
function isDue(uint256 time) view returns (bool) {
    // forge-lint: disable-next-line(block-timestamp)
    return block.timestamp >= time;
}

/// @notice Whether `time` is over.
function isPast(uint256 time) view returns (bool) {
    // forge-lint: disable-next-line(block-timestamp)
    return block.timestamp > time;
}
