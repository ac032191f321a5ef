// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A settlement token for simulated venues: it has no value
/// @notice Anyone may mint any amount to anyone, so nothing that is counted in it is worth anything. Name and symbol say
/// so wherever they are shown. A group that settles in it is a simulation.
contract SimulatedToken is ERC20 {
    constructor() ERC20("Simulated Dollar (no value)", "simUSD") {}

    /// @notice As the dollar tokens that real groups settle in.
    function decimals() public pure override returns (uint8) {
        return 6;
    }

    /// @notice The faucet: open to everyone, without limit.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}
