// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {SimulatedToken} from "../../contracts/group/SimulatedToken.sol";

/// @notice What scripts are given: the World Cup's events, and a token without value.
contract FactsTest is Test {
    function test_the_world_cup_has_its_149_events() public view {
        string memory file = vm.readFile("worldcup/events.json");
        assertOutcomes(file, 0, 48);
        for (uint256 i = 1; i <= 12; ++i) {
            assertOutcomes(file, i, 4);
        }
        for (uint256 i = 13; i <= 116; ++i) {
            assertOutcomes(file, i, 3);
            assertEq(vm.parseJsonStringArray(file, path(i, ".labels"))[1], "Draw");
        }
        for (uint256 i = 117; i <= 148; ++i) {
            assertOutcomes(file, i, 2);
        }
        assertFalse(vm.keyExistsJson(file, path(149, "")));
    }

    function test_the_simulated_token_says_that_it_has_no_value() public {
        SimulatedToken token = new SimulatedToken();
        assertEq(token.name(), "Simulated Dollar (no value)");
        assertEq(token.symbol(), "simUSD");
        assertEq(token.decimals(), 6);
        vm.prank(makeAddr("anyone"));
        token.mint(address(1), 5);
        assertEq(token.balanceOf(address(1)), 5);
    }

    function assertOutcomes(string memory file, uint256 index, uint256 outcomes) private pure {
        assertEq(vm.parseJsonStringArray(file, path(index, ".labels")).length, outcomes);
    }

    function path(uint256 index, string memory field) private pure returns (string memory) {
        return string.concat(".events[", vm.toString(index), "]", field);
    }
}
