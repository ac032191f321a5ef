// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGateway} from "../../contracts/group/IGateway.sol";
import {EventConfig} from "../../contracts/group/Types.sol";
import {GroupTest} from "./GroupTest.sol";

/// @notice Titles and labels are text that the sequencer can read and write again byte for byte.
contract Utf8Test is GroupTest {
    function test_text_in_every_length_of_character_is_accepted() public {
        string[5] memory texts = ["", "Spain", unicode"Curaçao", unicode"日本", unicode"who wins 🏆?"];
        for (uint256 i = 0; i < texts.length; ++i) {
            openTitled(texts[i]);
            openLabelled(texts[i]);
        }
    }

    function test_the_first_and_last_character_of_every_length_are_accepted() public {
        openTitled(string(hex"007FC280DFBFE0A080ED9FBFEE8080EFBFBFF0908080F48FBFBF"));
    }

    function test_bytes_that_are_no_text_are_refused() public {
        bytes[14] memory malformed = [
            bytes(hex"80"), // a continuation without a lead
            hex"BF",
            hex"C1BF", // overlong: U+007F in two bytes
            hex"C3", // cut short
            hex"C328",
            hex"E09FBF", // overlong: U+07FF in three bytes
            hex"E282",
            hex"E28228",
            hex"EDA080", // a surrogate
            hex"F08FBFBF", // overlong: U+FFFF in four bytes
            hex"F09F8F",
            hex"F4908080", // beyond U+10FFFF
            hex"F5808080",
            hex"FF"
        ];
        for (uint256 i = 0; i < malformed.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IGateway.InvalidConfig.selector, bytes32("title")));
            openTitled(string(malformed[i]));
            vm.expectRevert(abi.encodeWithSelector(IGateway.InvalidConfig.selector, bytes32("labels")));
            openLabelled(string(bytes.concat("good, then ", malformed[i])));
        }
    }

    function openTitled(string memory title) internal {
        EventConfig memory config = eventConfig(2);
        config.title = title;
        vm.prank(deployer);
        gateway.openEvent(config);
    }

    function openLabelled(string memory label) internal {
        EventConfig memory config = eventConfig(2);
        config.labels[1] = label;
        vm.prank(deployer);
        gateway.openEvent(config);
    }
}
