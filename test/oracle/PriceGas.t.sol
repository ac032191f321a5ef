// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ChainlinkSource} from "../../contracts/oracle/ChainlinkSource.sol";
import {IPriceSource} from "../../contracts/oracle/IPriceSource.sol";
import {PullSource} from "../../contracts/oracle/PullSource.sol";
import {QuorumSource} from "../../contracts/oracle/QuorumSource.sol";
import {RedStoneSource} from "../../contracts/oracle/RedStoneSource.sol";
import {MockAggregator, MockProxy} from "./MockAggregator.sol";
import {SourceTest} from "./SourceTest.sol";

/// @notice What proving one price costs a batch: each call with cold storage, three of five signers.
/// @dev Execution only; a proof's calldata comes on top. The aggregators are the test's, behind a proxy like Chainlink's.
/// forge-config: default.isolate = true
contract PriceGasTest is SourceTest {
    bytes32 private constant FEED = "BTC/USD";

    function setUp() public {
        makeSigners(5);
    }

    function test_gas_of_a_chainlink_round_without_uptime_guard() public {
        vm.warp(SECOND - 10);
        (MockProxy proxy,) = feedWith(100_000e8);
        ChainlinkSource source = new ChainlinkSource(list(address(proxy)), address(0), 0, 0);
        vm.warp(SECOND + 1);
        prices(source, source.feedOf(address(proxy)), abi.encode(uint80(1), uint80(0)));
        vm.snapshotGasLastCall("prices", "chainlink, newest round");
    }

    function test_gas_of_chainlink_rounds_with_uptime_guard() public {
        vm.warp(SECOND - 1 days);
        (MockProxy proxy, MockAggregator aggregator) = feedWith(100_000e8);
        (MockProxy uptime,) = feedWith(0);
        ChainlinkSource source = new ChainlinkSource(list(address(proxy)), address(uptime), 3600, 1800);
        vm.warp(SECOND + 1);
        aggregator.write(100_001e8);
        prices(source, source.feedOf(address(proxy)), abi.encode(uint80(1), uint80(1)));
        vm.snapshotGasLastCall("prices", "chainlink, replaced round, uptime guard");
    }

    function test_gas_of_a_pulled_update() public {
        PullSource source = new PullSource(signers, 3, 3, 5000);
        PullSource.Proof memory proof;
        proof.update = PullSource.Update({
            feed: FEED,
            price: 100_000e8,
            confidence: 10e8,
            exponent: -8,
            publishTime: uint64(SECOND - 3),
            previousPublishTime: uint64(SECOND - 4)
        });
        // As deep as a tree of 256 feeds.
        proof.path = new bytes32[](8);
        bytes32 root = keccak256(bytes.concat(keccak256(abi.encode(proof.update))));
        for (uint256 i = 0; i < proof.path.length; ++i) {
            root = keccak256(abi.encodePacked(bytes32(0), root));
        }
        bytes32 domain = domainOf("Exchange OS Updates", block.chainid, address(source));
        bytes32 structHash = keccak256(abi.encode(keccak256("UpdateRoot(bytes32 root)"), root));
        proof.signatures = new bytes[](3);
        for (uint256 i = 0; i < 3; ++i) {
            proof.signatures[i] = sign(keys[i], typedDigest(domain, structHash));
        }
        prices(source, FEED, abi.encode(proof));
        vm.snapshotGasLastCall("prices", "pull, 256 feeds, three guardians");
    }

    function test_gas_of_redstone_packages() public {
        RedStoneSource source = new RedStoneSource(signers, 3, 10_000);
        bytes memory signed = abi.encodePacked(FEED, uint256(100_000e8), uint48(TIME), uint32(32), uint24(1));
        bytes memory proof;
        for (uint256 i = 3; i > 0; --i) {
            proof = bytes.concat(proof, signed, sign(keys[i - 1], keccak256(signed)));
        }
        prices(source, FEED, bytes.concat(proof, hex"0003"));
        vm.snapshotGasLastCall("prices", "redstone, three packages");
    }

    function test_gas_of_quorum_reports() public {
        QuorumSource source = new QuorumSource(signers, 3, 2000, 5000);
        bytes32 typeHash = keccak256("PriceReport(bytes32 feed,uint256 price,uint64 time)");
        bytes32 structHash = keccak256(abi.encode(typeHash, FEED, 100_000e18, TIME));
        bytes32 domain = domainOf("Exchange OS Prices", block.chainid, address(source));
        QuorumSource.Report[] memory reports = new QuorumSource.Report[](3);
        for (uint256 i = 0; i < 3; ++i) {
            reports[i] = QuorumSource.Report(100_000e18, TIME, sign(keys[i], typedDigest(domain, structHash)));
        }
        prices(source, FEED, abi.encode(reports));
        vm.snapshotGasLastCall("prices", "quorum, three reports");
    }

    function prices(IPriceSource source, bytes32 feed, bytes memory proof) private view {
        (uint256 price,) = source.priceAt(feed, TIME, proof);
        assertEq(price, 100_000e18);
    }

    function feedWith(int256 answer) private returns (MockProxy proxy, MockAggregator aggregator) {
        aggregator = new MockAggregator(8, true);
        aggregator.write(answer);
        proxy = new MockProxy(0, aggregator);
    }

    function list(address feed) private pure returns (address[] memory feeds) {
        feeds = new address[](1);
        feeds[0] = feed;
    }
}
