// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SimulatedToken} from "../group/SimulatedToken.sol";

/// @title Makes tokens without value
/// @notice A token is one without value if it was made here, and by nothing else: not by its name, nor by its code, which another
/// compiler or other settings would change.
contract SimulatedTokens {
    mapping(address token => bool) public isMade;

    event Made(SimulatedToken indexed token, address indexed by);

    /// @notice Another one. Anyone may; what it makes anyone can mint.
    function make() external returns (SimulatedToken token) {
        token = new SimulatedToken();
        isMade[address(token)] = true;
        emit Made(token, msg.sender);
    }
}
