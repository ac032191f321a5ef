// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {XipKind} from "../../contracts/xip/IXipActions.sol";
import {XipRegistry} from "../../contracts/xip/XipRegistry.sol";
import {XipNumber, XipStatus} from "../../contracts/xip/XipTypes.sol";
import {XipTest} from "./XipTest.sol";

/// @notice The list of all XIPs.
contract XipRegistryTest is XipTest {
    bytes private constant COOLDOWN = abi.encode(uint64(30 days));

    function test_a_page_shows_entries_with_their_statuses() public {
        draft(alice, XipKind.SetCooldown, COOLDOWN);
        toVote(XipKind.SetCooldown, COOLDOWN);
        enact(XipKind.SetCooldown, COOLDOWN);
        (XipRegistry.Entry[] memory entries, XipStatus[] memory statuses) = xips.list(XipNumber.wrap(1), 10);
        assertEq(entries.length, 3);
        assertEq(uint8(statuses[0]), uint8(XipStatus.Draft));
        assertEq(uint8(statuses[1]), uint8(XipStatus.Rejected), "nobody voted");
        assertEq(uint8(statuses[2]), uint8(XipStatus.Executed));
        assertEq(address(entries[2].procedure), address(governor));
        (entries,) = xips.list(XipNumber.wrap(2), 1);
        assertEq(entries.length, 1);
        (entries,) = xips.list(XipNumber.wrap(4), 10);
        assertEq(entries.length, 0);
        (entries,) = xips.list(XipNumber.wrap(9), 2);
        assertEq(entries.length, 0);
    }

    function test_what_was_never_filed_is_no_xip() public {
        vm.expectRevert(abi.encodeWithSelector(XipRegistry.NoSuchXip.selector, XipNumber.wrap(0)));
        xips.list(XipNumber.wrap(0), 1);
        vm.expectRevert(abi.encodeWithSelector(XipRegistry.NoSuchXip.selector, XipNumber.wrap(0)));
        xips.entry(XipNumber.wrap(0));
        vm.expectRevert(abi.encodeWithSelector(XipRegistry.NoSuchXip.selector, XipNumber.wrap(1)));
        xips.status(XipNumber.wrap(1));
        assertEq(uint8(governor.statusOf(XipNumber.wrap(1))), uint8(XipStatus.None));
    }
}
