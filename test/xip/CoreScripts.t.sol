// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {MarketKind} from "../../contracts/group/Types.sol";
import {VenueNumber} from "../../contracts/venue/VenueTypes.sol";
import {WrappedOkb} from "../../contracts/venue/WrappedOkb.sol";
import {XipKind} from "../../contracts/xip/IXipActions.sol";
import {XipNumber, XipStatus} from "../../contracts/xip/XipTypes.sol";
import {Core, GroupCode} from "../../script/Core.sol";
import {CoreScript} from "../../script/CoreScript.sol";
import {OpenVenue} from "../../script/OpenVenue.s.sol";
import {Stake} from "../../script/Stake.s.sol";
import {Xip} from "../../script/Xip.s.sol";

/// @dev With the groups' code from its artifacts, which are built with other settings than tests.
contract DeployCoreFromArtifacts is CoreScript {
    function groupCode() internal view override returns (GroupCode memory) {
        return GroupCode({
            group: vm.getCode("RiskGroup.sol:RiskGroup"),
            gateway: vm.getCode("Gateway.sol:Gateway"),
            escapeHatch: vm.getCode("EscapeHatch.sol:EscapeHatch")
        });
    }
}

/// @notice The core's scripts, as forge runs them: a core, a stake, a venue, a XIP.
/// @dev One test, because environment variables and files are shared by all that run at once. It is the deployer of
/// `ScriptsTest`, which sets the same key.
contract CoreScriptsTest is Test {
    uint256 private constant CHAIN = 990_002;
    string private constant DEPLOYMENT = "deployments/990002.core.json";
    string private constant CONFIG = "deployments/990002.config.json";
    string private constant VENUE = "script/config/venue-worldcup.json";

    function test_a_core_is_deployed_and_taken_through_a_venue_and_a_xip() public {
        uint256 key = uint256(keccak256("deployer"));
        address deployer = vm.addr(key);
        vm.chainId(CHAIN);
        vm.warp(1_781_000_000);
        vm.setEnv("DEPLOYER_KEY", vm.toString(bytes32(key)));
        string memory config = vm.replace(
            vm.readFile("script/config/core.json"), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", vm.toString(deployer)
        );
        vm.writeFile(CONFIG, config);
        vm.setEnv("CORE_CONFIG", CONFIG);

        Core memory core = new DeployCoreFromArtifacts().run();
        string memory written = vm.readFile(DEPLOYMENT);
        assertEq(vm.parseJsonAddress(written, ".registry"), address(core.registry));
        assertEq(vm.parseJsonAddress(written, ".registrar"), address(core.registrar));
        assertEq(address(core.registrar.registry()), address(core.registry));
        assertEq(vm.parseJsonUint(written, ".chainId"), CHAIN);
        assertEq(core.slots.baseSlots(MarketKind.Outcome), 128);

        vm.deal(deployer, 10_000 ether);
        vm.prank(deployer);
        WrappedOkb(payable(address(core.okb))).deposit{value: 5000 ether}();
        new Stake().stake(1500 ether);
        vm.warp(vm.getBlockTimestamp() + 1);
        assertEq(core.stake.balanceOf(deployer), 1500 ether);

        openVenue(core, deployer);
        enactXip(core);
        vm.removeFile(DEPLOYMENT);
        vm.removeFile(CONFIG);
    }

    function openVenue(Core memory core, address deployer) private {
        OpenVenue opening = new OpenVenue();
        XipNumber number = opening.file(VENUE);
        assertEq(uint8(core.xips.status(number)), uint8(XipStatus.Review));
        vm.warp(vm.getBlockTimestamp() + core.registry.notice());
        VenueNumber venue = opening.execute(VENUE, XipNumber.unwrap(number));
        assertEq(core.registry.venueOf(venue).deployer, deployer);
        vm.warp(vm.getBlockTimestamp() + 1 days);
        new Stake().bid(2, VenueNumber.unwrap(venue), 10 ether);
        vm.warp(vm.getBlockTimestamp() + 15 minutes);
        core.auction.settle(MarketKind.Perpetual);
        assertEq(core.slots.countOf(venue, MarketKind.Perpetual).bought, 1);
    }

    function enactXip(Core memory core) private {
        Xip xip = new Xip();
        XipNumber number =
            xip.propose(uint8(XipKind.SetBaseSlots), abi.encode(MarketKind.Spot, uint32(9)), "https://xip");
        uint64 plain = XipNumber.unwrap(number);
        uint256 proposal = core.governor.xipOf(number).proposalId;
        vm.warp(core.governor.proposalSnapshot(proposal) + 1);
        xip.vote(plain, 1);
        vm.warp(core.governor.proposalDeadline(proposal) + 1);
        xip.queue(plain);
        vm.warp(core.governor.proposalEta(proposal));
        xip.execute(plain);
        assertEq(uint8(xip.status(plain)), uint8(XipStatus.Executed));
        assertEq(core.slots.baseSlots(MarketKind.Spot), 9);
    }
}
