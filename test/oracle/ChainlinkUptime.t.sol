// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ChainlinkSource} from "../../contracts/oracle/ChainlinkSource.sol";
import {MockAggregator, MockProxy} from "./MockAggregator.sol";
import {SourceTest} from "./SourceTest.sol";

/// @notice What the chain's own sequencer being down does to prices.
contract ChainlinkUptimeTest is SourceTest {
    uint16 private constant PHASE = 2;
    uint256 private constant START = 1_781_000_000;
    uint32 private constant GRACE = 3600;
    uint32 private constant DELIVERY = 1800;
    int256 private constant UP = 0;
    int256 private constant DOWN = 1;

    MockAggregator private aggregator;
    MockAggregator private uptime;
    MockProxy private uptimeProxy;
    ChainlinkSource private source;
    bytes32 private feed;

    /// @dev Price round 1 and status round 1 (up) are a day old.
    function setUp() public {
        vm.warp(START - 1 days);
        aggregator = new MockAggregator(8, true);
        aggregator.write(5e8);
        uptime = new MockAggregator(0, true);
        uptime.write(UP);
        uptimeProxy = new MockProxy(PHASE, uptime);
        source = sourceOf(address(uptimeProxy), GRACE, DELIVERY);
        feed = source.feedOf(address(aggregator));
        vm.warp(START);
    }

    function test_a_sequencer_that_is_up_lets_prices_through() public view {
        assertEq(priceAt(START - 1, 1), 5e18);
    }

    function test_a_status_counts_once_it_must_have_been_written() public {
        report(DOWN, START);
        vm.warp(START + DELIVERY + 1);
        assertEq(priceAt(START + DELIVERY - 1, 1), 5e18);
        refuses(START + DELIVERY - 1, 2, "uptime");
        refuses(START + DELIVERY, 1, "uptime");
        refuses(START + DELIVERY, 2, "down");
    }

    function test_refuses_prices_until_the_grace_period_is_over() public {
        report(DOWN, START);
        vm.warp(START + 600);
        report(UP, START + 600);
        uint256 counts = START + 600 + DELIVERY;
        vm.warp(counts + GRACE + 1);
        refuses(counts - 1, 2, "down");
        refuses(counts - 1, 3, "uptime");
        refuses(counts, 2, "uptime");
        refuses(counts, 3, "grace");
        refuses(counts + GRACE - 1, 3, "grace");
        assertEq(priceAt(counts + GRACE, 3), 5e18);
    }

    function test_a_status_reported_again_changes_nothing() public {
        vm.warp(START + 10);
        uptime.repeat();
        assertEq(priceAt(START, 1), 5e18);
        report(DOWN, START + 10);
        vm.warp(START + 10 + DELIVERY + 100);
        uptime.repeat();
        refuses(START + 10 + DELIVERY, 1, "uptime");
        refuses(START + 10 + DELIVERY, 2, "down");
        assertEq(priceAt(START, 1), 5e18);
    }

    function test_refuses_a_status_that_does_not_exist_or_is_of_another_phase() public {
        refuses(START - 1, 2, "uptime");
        refuses(START - 1, 0, "uptime");
        MockAggregator successor = new MockAggregator(0, true);
        vm.warp(START - 1 days);
        successor.write(UP);
        vm.warp(START);
        uptimeProxy.moveTo(successor);
        expectRefusal(feed, uint64(START - 1) * 1000, "uptime");
        source.priceAt(feed, uint64(START - 1) * 1000, abi.encode(uint80(1), (uint80(PHASE + 1) << 64) | 1));
        assertEq(priceAt(START - 1, 1), 5e18);
    }

    /// @dev The price's next round exists, so only the status speaks against it.
    function test_without_a_next_status_the_time_must_be_over() public {
        aggregator.write(6e8);
        // A chain whose clock stands at the frame's second could still write a status for it.
        vm.warp(START - 1);
        refuses(START - 1, 1, "not over");
        vm.warp(START);
        assertEq(priceAt(START - 1, 1), 5e18);
    }

    /// @dev The next status exists; reading it costs more gas than the caller gives.
    function test_never_takes_a_lack_of_gas_for_a_missing_status() public {
        report(DOWN, START);
        vm.warp(START + DELIVERY + 1);
        uptime.makeHeavy(2, 2_000_000);
        uint64 time = uint64(START + DELIVERY) * 1000;
        expectRefusal(feed, time, "gas");
        source.priceAt{gas: 1_500_000}(feed, time, proof(1));
    }

    /// @dev Statuses arrive as late as they may, after the question was asked. What was answered stays.
    function testFuzz_a_status_that_arrives_late_changes_no_answer(
        uint256 time,
        uint256 age,
        uint256 late,
        bool comesUp
    ) public {
        vm.warp(START + DELIVERY);
        report(DOWN, START);
        vm.warp(START + 3 * DELIVERY + GRACE);
        time = bound(time, START, block.timestamp - 1);
        bytes memory down = answer(time, 2);
        bytes memory up = answer(time, 1);

        vm.warp(block.timestamp + bound(late, 0, 100));
        if (comesUp) report(UP, block.timestamp - bound(age, 0, DELIVERY));
        assertEq(answer(time, 2), down);
        assertEq(answer(time, 1), up);
        vm.warp(block.timestamp + 10 days);
        assertEq(answer(time, 2), down);
        assertEq(answer(time, 1), up);
    }

    function test_a_guard_is_whole_or_not_there() public {
        incomplete(address(uptimeProxy), 0, DELIVERY);
        incomplete(address(uptimeProxy), GRACE, 0);
        incomplete(address(0), GRACE, 0);
        incomplete(address(0), 0, DELIVERY);
        address nothing = makeAddr("nothing");
        vm.expectRevert(abi.encodeWithSelector(ChainlinkSource.NotAnAggregator.selector, nothing));
        sourceOf(nothing, GRACE, DELIVERY);
    }

    // ----------------------------------------------------------------- words

    /// @dev Written now, since `since`.
    function report(int256 status, uint256 since) private {
        uptime.writeSince(status, since);
    }

    function priceAt(uint256 second, uint64 status) private view returns (uint256 price) {
        (price,) = source.priceAt(feed, uint64(second) * 1000, proof(status));
    }

    function refuses(uint256 second, uint64 status, bytes32 reason) private {
        expectRefusal(feed, uint64(second) * 1000, reason);
        source.priceAt(feed, uint64(second) * 1000, proof(status));
    }

    function answer(uint256 second, uint64 status) private view returns (bytes memory) {
        try source.priceAt(feed, uint64(second) * 1000, proof(status)) returns (uint256 price, uint64 publishedAt) {
            return abi.encode(price, publishedAt);
        } catch (bytes memory refusal) {
            return refusal;
        }
    }

    function proof(uint64 status) private pure returns (bytes memory) {
        return abi.encode(uint80(1), (uint80(PHASE) << 64) | status);
    }

    function incomplete(address uptimeFeed, uint32 grace, uint32 delivery) private {
        vm.expectRevert(
            abi.encodeWithSelector(ChainlinkSource.UptimeGuardIncomplete.selector, uptimeFeed, grace, delivery)
        );
        sourceOf(uptimeFeed, grace, delivery);
    }

    function sourceOf(address uptimeFeed, uint32 grace, uint32 delivery) private returns (ChainlinkSource) {
        address[] memory feeds = new address[](1);
        feeds[0] = address(aggregator);
        return new ChainlinkSource(feeds, uptimeFeed, grace, delivery);
    }
}
