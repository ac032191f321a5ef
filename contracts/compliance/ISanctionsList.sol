// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice The Chainalysis oracle for sanctions screening, as far as we ask it.
interface ISanctionsList {
    function isSanctioned(address subject) external view returns (bool);
}
