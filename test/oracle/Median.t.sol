// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {Median} from "../../contracts/oracle/Median.sol";

contract MedianTest is Test {
    function test_of_an_odd_number_the_one_in_the_middle() public pure {
        assertEq(Median.lower(list(7)), 7);
        assertEq(Median.lower(list(9, 1, 5)), 5);
    }

    function test_of_an_even_number_the_lower_one_in_the_middle() public pure {
        assertEq(Median.lower(list(8, 2)), 2);
        uint256[] memory four = new uint256[](4);
        (four[0], four[1], four[2], four[3]) = (40, 10, 30, 20);
        assertEq(Median.lower(four), 20);
    }

    /// @dev Against forge's sort, which knows nothing of ours.
    function testFuzz_is_what_sorting_finds(uint256[] memory values, uint8 length, uint256 repeated) public {
        vm.assume(values.length > 0);
        uint256 count = bound(length, 1, values.length);
        uint256[] memory chosen = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            chosen[i] = values[i];
        }
        chosen[repeated % count] = chosen[0];
        uint256[] memory sorted = vm.sort(chosen);
        assertEq(Median.lower(chosen), sorted[(count - 1) / 2]);
    }

    function list(uint256 a) private pure returns (uint256[] memory values) {
        values = new uint256[](1);
        values[0] = a;
    }

    function list(uint256 a, uint256 b) private pure returns (uint256[] memory values) {
        values = new uint256[](2);
        (values[0], values[1]) = (a, b);
    }

    function list(uint256 a, uint256 b, uint256 c) private pure returns (uint256[] memory values) {
        values = new uint256[](3);
        (values[0], values[1], values[2]) = (a, b, c);
    }
}
