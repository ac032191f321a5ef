// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGateway} from "../contracts/group/IGateway.sol";
import {EventConfig, Lots, TradingTerms, VenueId} from "../contracts/group/Types.sol";
import {Broadcaster} from "./Broadcaster.sol";

/// @notice Opens the events of `worldcup/events.json` in the group of `deployments/<chain id>.json`, as the deployer of its
/// first venue. Run again after a failure it goes on where it stopped.
///
///     forge script script/OpenWorldCup.s.sol --rpc-url … --private-key … --broadcast
///
/// DEPLOYER_KEY   key that sends the transactions, instead of --private-key
/// EVENTS         another file of the same shape: {"events": [{"title": "…", "labels": ["…", …]}, …]}
contract OpenWorldCup is Broadcaster {
    VenueId private constant VENUE = VenueId.wrap(1);
    uint32 private constant TICKS = 1000;
    /// @dev A lot is a hundredth of a share: the winning one pays 1000 · 10 atoms, a hundredth of a token.
    uint64 private constant QUANTUM = 10;
    uint24 private constant TAKER_FEE = 1000;
    int24 private constant MAKER_FEE = 0;

    error TooFewLabels(uint256 index, string title, uint256 labels);
    error MoreEventsThanTheFile(uint256 opened, uint256 listed);

    function run() external {
        IGateway gateway = IGateway(vm.parseJsonAddress(vm.readFile(deploymentPath()), ".gateway"));
        string memory file = vm.readFile(vm.envOr("EVENTS", string("worldcup/events.json")));
        uint256 listed = count(file);
        uint256 opened = gateway.listings();
        if (opened > listed) revert MoreEventsThanTheFile(opened, listed);

        address sender = startBroadcast();
        for (uint256 i = opened; i < listed; ++i) {
            gateway.openEvent(read(file, i, sender));
        }
        vm.stopBroadcast();
    }

    function read(string memory file, uint256 index, address resolver) private pure returns (EventConfig memory) {
        string memory path = pathOf(index);
        string memory title = vm.parseJsonString(file, string.concat(path, ".title"));
        string[] memory labels = vm.parseJsonStringArray(file, string.concat(path, ".labels"));
        if (labels.length < 2) revert TooFewLabels(index, title, labels.length);
        return EventConfig({
            terms: terms(),
            // casting to 'uint8' is safe because the contract compares it with the labels' length
            // forge-lint: disable-next-line(unsafe-typecast)
            outcomes: uint8(labels.length),
            ticks: TICKS,
            resolver: resolver,
            title: title,
            labels: labels
        });
    }

    /// @dev Open to everyone and without caps: whoever trades outcomes has paid for their worst.
    function terms() private pure returns (TradingTerms memory) {
        return TradingTerms({
            venue: VENUE,
            quantum: QUANTUM,
            takerFee: TAKER_FEE,
            makerFee: MAKER_FEE,
            curve: false,
            restricted: false,
            isolatedOnly: false,
            positionCap: Lots.wrap(0),
            openInterestCap: Lots.wrap(0)
        });
    }

    function count(string memory file) private view returns (uint256 events) {
        while (vm.keyExistsJson(file, pathOf(events))) ++events;
    }

    function pathOf(uint256 index) private pure returns (string memory) {
        return string.concat(".events[", vm.toString(index), "]");
    }
}
