// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {RiskGroup} from "../contracts/group/RiskGroup.sol";
import {SimulatedToken} from "../contracts/group/SimulatedToken.sol";
import {AccountId, EventConfig} from "../contracts/group/Types.sol";
import {Broadcaster} from "./Broadcaster.sol";

/// @notice Opens the events of `worldcup/events.json` in the group of `deployments/<chain id>.json`, as its deployer.
/// Run again after a failure it goes on where it stopped.
///
///     forge script script/OpenWorldCup.s.sol --rpc-url … --private-key … --broadcast
///
/// DEPLOYER_KEY   key that sends the transactions, instead of --private-key
/// EVENTS         another file of the same shape: {"events": [{"title": "…", "labels": ["…", …]}, …]}
contract OpenWorldCup is Broadcaster {
    uint32 private constant VENUE = 1;
    uint64 private constant TICKS = 1000;
    /// @dev A lot is a hundredth of a share: the winning one pays 1000 · 10 atoms, a hundredth of a token.
    uint64 private constant QUANTUM = 10;
    uint32 private constant TAKER_FEE = 1000;
    uint32 private constant MAKER_FEE = 0;
    /// @dev An account comes into being with its first deposit.
    uint256 private constant TREASURY_DEPOSIT = 1_000_000;

    error TooFewLabels(uint256 index, string title, uint256 labels);
    error MoreEventsThanTheFile(uint256 opened, uint256 listed);

    function run() external {
        string memory deployment = vm.readFile(deploymentPath());
        RiskGroup group = RiskGroup(vm.parseJsonAddress(deployment, ".group"));
        string memory file = vm.readFile(vm.envOr("EVENTS", string("worldcup/events.json")));
        uint256 listed = count(file);
        uint256 opened = group.events();
        if (opened > listed) revert MoreEventsThanTheFile(opened, listed);

        address sender = startBroadcast();
        AccountId treasury = treasuryOf(group, sender);
        for (uint256 i = opened; i < listed; ++i) {
            group.openEvent(read(file, i, treasury, sender));
        }
        vm.stopBroadcast();
    }

    /// @dev The sender's first account; opened if there is none.
    function treasuryOf(RiskGroup group, address owner) private returns (AccountId) {
        uint64 accounts = group.accounts();
        for (uint64 id = 1; id <= accounts; ++id) {
            if (group.account(AccountId.wrap(id)).owner == owner) return AccountId.wrap(id);
        }
        SimulatedToken token = SimulatedToken(group.settlementToken());
        token.mint(owner, TREASURY_DEPOSIT);
        token.approve(address(group), TREASURY_DEPOSIT);
        return group.deposit(AccountId.wrap(0), TREASURY_DEPOSIT);
    }

    function read(string memory file, uint256 index, AccountId treasury, address resolver)
        private
        pure
        returns (EventConfig memory)
    {
        string memory path = pathOf(index);
        string memory title = vm.parseJsonString(file, string.concat(path, ".title"));
        string[] memory labels = vm.parseJsonStringArray(file, string.concat(path, ".labels"));
        if (labels.length < 2) revert TooFewLabels(index, title, labels.length);
        return EventConfig({
            venue: VENUE,
            // casting to 'uint8' is safe because the contract compares it with the labels' length
            // forge-lint: disable-next-line(unsafe-typecast)
            outcomes: uint8(labels.length),
            ticks: TICKS,
            quantum: QUANTUM,
            takerFee: TAKER_FEE,
            makerFee: MAKER_FEE,
            treasury: treasury,
            resolver: resolver,
            title: title,
            labels: labels
        });
    }

    function count(string memory file) private view returns (uint256 events) {
        while (vm.keyExistsJson(file, pathOf(events))) ++events;
    }

    function pathOf(uint256 index) private pure returns (string memory) {
        return string.concat(".events[", vm.toString(index), "]");
    }
}
