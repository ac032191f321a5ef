// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {QuorumSource} from "../contracts/oracle/QuorumSource.sol";
import {Broadcaster} from "./Broadcaster.sol";

/// @notice Deploys a price source that believes a quorum of reporters, and writes it down as `quorumSource`.
///
///     forge script script/Prices.s.sol --sig 'quorum(string)' script/config/prices-quorum.json --rpc-url … --broadcast
contract Prices is Broadcaster {
    function quorum(string calldata path) external returns (QuorumSource source) {
        string memory json = vm.readFile(path);
        startBroadcast();
        // forge-lint: disable-start(unsafe-typecast)
        source = new QuorumSource(
            vm.parseJsonAddressArray(json, ".reporters"),
            vm.parseJsonUint(json, ".quorum"),
            uint64(vm.parseJsonUint(json, ".spreadMs")),
            uint64(vm.parseJsonUint(json, ".lookbackMs"))
        );
        // forge-lint: disable-end(unsafe-typecast)
        vm.stopBroadcast();
        writePart("quorumSource", address(source));
    }
}
