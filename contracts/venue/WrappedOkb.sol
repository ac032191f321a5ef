// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";

/// @title Wrapped OKB, for chains that have none
/// @notice X Layer has its own; on a local chain this one does the same.
contract WrappedOkb is ERC20 {
    constructor() ERC20("Wrapped OKB", "WOKB") {}

    function deposit() public payable {
        _mint(msg.sender, msg.value);
    }

    function withdraw(uint256 amount) external {
        _burn(msg.sender, amount);
        Address.sendValue(payable(msg.sender), amount);
    }

    receive() external payable {
        deposit();
    }
}
