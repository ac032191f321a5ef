// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice A venue's number in the registry, from 1 and the same for all groups; its group knows it by a `VenueId`.
type VenueNumber is uint32;
/// @notice A risk group's number in the registry, from 1.
type GroupNumber is uint32;
