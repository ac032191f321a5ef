// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {Vm} from "forge-std/Vm.sol";
import {EscapeHatch} from "../../contracts/group/EscapeHatch.sol";
import {IGateway} from "../../contracts/group/IGateway.sol";
import {IGroupViews} from "../../contracts/group/IGroupViews.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {SimulatedToken} from "../../contracts/group/SimulatedToken.sol";
import {AccountId, EventConfig, EventId, InboxKind, Lots, VenueId} from "../../contracts/group/Types.sol";
import {Deploy} from "../../script/Deploy.s.sol";
import {OpenWorldCup} from "../../script/OpenWorldCup.s.sol";

/// @notice The scripts, as forge runs them: a deployment, then its events.
/// @dev One test, because environment variables and files are shared by all that run at once.
contract ScriptsTest is Test {
    uint256 private constant CHAIN = 990_001;
    string private constant DEPLOYMENT = "deployments/990001.json";

    function test_a_deployment_is_written_down_and_its_events_open_once() public {
        uint256 key = uint256(keccak256("deployer"));
        address deployer = vm.addr(key);
        address sequencer = makeAddr("sequencer");
        vm.chainId(CHAIN);
        vm.roll(77);
        vm.setEnv("DEPLOYER_KEY", vm.toString(bytes32(key)));
        vm.setEnv("SEQUENCER", vm.toString(sequencer));
        vm.setEnv("EVENTS", "test/vectors/events.json");

        new Deploy().run();
        string memory written = vm.readFile(DEPLOYMENT);
        IRiskGroup group = IRiskGroup(vm.parseJsonAddress(written, ".group"));
        IGroupViews views = IGroupViews(address(group));
        IGateway gateway = IGateway(group.gateway());
        assertEq(vm.parseJsonUint(written, ".chainId"), CHAIN);
        assertEq(vm.parseJsonUint(written, ".block"), 77);
        assertEq(vm.parseJsonAddress(written, ".token"), group.settlementToken());
        assertEq(vm.parseJsonAddress(written, ".gateway"), address(gateway));
        assertEq(vm.parseJsonAddress(written, ".escapeHatch"), group.escapeHatch());
        assertEq(vm.parseJsonAddress(written, ".governance"), deployer);
        assertEq(vm.parseJsonAddress(written, ".sequencer"), sequencer);
        assertEq(vm.parseJsonAddress(written, ".deployer"), deployer);
        assertEq(views.terms().sequencer, sequencer);
        assertEq(vm.parseJsonUint(written, ".maxHoldings"), views.terms().maxHoldings);
        assertEq(vm.parseJsonUint(written, ".keeperShare"), views.terms().keeperShare);
        assertEq(vm.parseJsonUint(written, ".grace"), views.terms().grace);
        assertEq(group.inboxDeadline(), 86_400_000);
        assertEq(gateway.group(), address(group));
        assertEq(EscapeHatch(group.escapeHatch()).group(), address(group));
        assertEq(gateway.governor(), deployer);
        assertEq(gateway.guardian(), deployer);
        assertEq(gateway.requestFee(), 1e14);
        assertEq(gateway.accounts(), 2);
        for (uint64 founder = 1; founder <= 2; ++founder) {
            assertEq(views.account(AccountId.wrap(founder)).owner, deployer);
        }
        assertEq(gateway.venues(), 1);
        assertEq(gateway.deployerOf(VenueId.wrap(1)), deployer);

        vm.recordLogs();
        OpenWorldCup open = new OpenWorldCup();
        open.run();
        assertEq(gateway.listings(), 3);
        assertOpened(vm.getRecordedLogs(), deployer);

        // Nothing is opened twice.
        open.run();
        assertEq(gateway.listings(), 3);
        assertEq(gateway.accounts(), 2);
        vm.removeFile(DEPLOYMENT);
    }

    /// @dev What a batch will make of the events is in the inbox.
    function assertOpened(Vm.Log[] memory logs, address deployer) private pure {
        uint8[3] memory outcomes = [5, 3, 2];
        assertEq(logs.length, 3);
        for (uint24 i = 0; i < 3; ++i) {
            (InboxKind kind,, bytes memory payload) = abi.decode(logs[i].data, (InboxKind, uint64, bytes));
            assertEq(uint8(kind), uint8(InboxKind.EventOpened));
            (EventId id, EventConfig memory config) = abi.decode(payload, (EventId, EventConfig));
            assertEq(EventId.unwrap(id), i + 1);
            assertEq(config.outcomes, outcomes[i]);
            assertEq(config.ticks, 1000);
            assertEq(config.resolver, deployer);
            assertEq(VenueId.unwrap(config.terms.venue), 1);
            assertEq(config.terms.quantum, 10);
            assertEq(config.terms.takerFee, 1000);
            assertEq(config.terms.makerFee, 0);
            assertEq(Lots.unwrap(config.terms.positionCap), 0);
            assertEq(Lots.unwrap(config.terms.openInterestCap), 0);
        }
    }

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
