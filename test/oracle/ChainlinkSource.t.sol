// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ChainlinkSource} from "../../contracts/oracle/ChainlinkSource.sol";
import {MockAggregator, MockProxy} from "./MockAggregator.sol";
import {SourceTest} from "./SourceTest.sol";

contract ChainlinkSourceTest is SourceTest {
    uint16 private constant PHASE = 3;
    int256 private constant ANSWER = 100_000e8;

    MockAggregator private aggregator;
    MockProxy private proxy;
    ChainlinkSource private source;
    bytes32 private feed;

    /// @dev Round 1 long ago, round 2 ten seconds before `TIME`, now one second after it.
    function setUp() public {
        vm.warp(SECOND - 100);
        aggregator = new MockAggregator(8, true);
        proxy = new MockProxy(PHASE, aggregator);
        aggregator.write(ANSWER - 1);
        source = sourceOf(address(proxy));
        feed = bytes32(uint256(uint160(address(proxy))));
        vm.warp(SECOND - 10);
        aggregator.write(ANSWER);
        vm.warp(SECOND + 1);
    }

    // ----------------------------------------------------------------- which round counts

    function test_the_last_round_written_by_a_time_is_its_price() public view {
        (uint256 price, uint64 publishedAt) = source.priceAt(feed, TIME, proof(2));
        assertEq(price, 100_000e18);
        assertEq(publishedAt, (SECOND - 10) * 1000);
    }

    function test_a_round_counts_from_its_second_to_the_last_millisecond_before_the_next() public {
        vm.warp(SECOND + 5);
        aggregator.write(ANSWER + 1);
        uint64 first = uint64(SECOND - 10) * 1000;
        uint64 next = uint64(SECOND + 5) * 1000;

        source.priceAt(feed, first, proof(2));
        source.priceAt(feed, next - 1, proof(2));
        expectRefusal(feed, first - 1, "later");
        source.priceAt(feed, first - 1, proof(2));
        expectRefusal(feed, next, "replaced");
        source.priceAt(feed, next, proof(2));
    }

    function test_refuses_a_round_that_a_newer_one_had_replaced() public {
        expectRefusal(feed, TIME, "replaced");
        source.priceAt(feed, TIME, proof(1));
    }

    function test_of_two_rounds_in_one_second_the_second_counts() public {
        aggregator.write(1e8);
        aggregator.write(2e8);
        vm.warp(SECOND + 2);
        uint64 time = uint64(SECOND + 1) * 1000;
        expectRefusal(feed, time, "replaced");
        source.priceAt(feed, time, proof(3));
        (uint256 price,) = source.priceAt(feed, time, proof(4));
        assertEq(price, 2e18);
    }

    function test_refuses_a_round_that_does_not_exist() public {
        expectRefusal(feed, TIME, "round");
        source.priceAt(feed, TIME, proof(3));
        expectRefusal(feed, TIME, "round");
        source.priceAt(feed, TIME, proof(0));
    }

    function test_without_a_next_round_the_time_must_be_over() public {
        vm.warp(SECOND);
        expectRefusal(feed, TIME, "not over");
        source.priceAt(feed, TIME, proof(2));
        expectRefusal(feed, uint64(SECOND) * 1000, "not over");
        source.priceAt(feed, uint64(SECOND) * 1000, proof(2));
        source.priceAt(feed, uint64(SECOND) * 1000 - 1, proof(2));
    }

    function test_aggregators_that_answer_zeros_for_missing_rounds_work_alike() public {
        MockAggregator quiet = new MockAggregator(8, false);
        vm.warp(SECOND - 10);
        quiet.write(ANSWER);
        source = sourceOf(address(quiet));
        feed = source.feedOf(address(quiet));
        vm.warp(SECOND);
        bytes memory first = abi.encode(uint80(1), uint80(0));
        expectRefusal(feed, TIME, "not over");
        source.priceAt(feed, TIME, first);
        expectRefusal(feed, TIME, "round");
        source.priceAt(feed, TIME, abi.encode(uint80(2), uint80(0)));
        vm.warp(SECOND + 1);
        (uint256 price,) = source.priceAt(feed, TIME, first);
        assertEq(price, 100_000e18);
    }

    /// @dev The next round exists. Reading it costs so much that a caller can make it run out of gas with enough left
    /// to finish.
    function test_never_takes_a_lack_of_gas_for_a_missing_round() public {
        aggregator.makeHeavy(2, 2_000_000);
        bool sawGas;
        for (uint256 gasGiven = 20_000; gasGiven < 2_100_000; gasGiven += 5000) {
            try source.priceAt{gas: gasGiven}(feed, TIME, proof(1)) {
                assertTrue(false, "a replaced round passed");
            } catch (bytes memory refusal) {
                if (keccak256(refusal) == keccak256(refusalFor("gas"))) sawGas = true;
            }
        }
        assertTrue(sawGas);
        expectRefusal(feed, TIME, "replaced");
        source.priceAt(feed, TIME, proof(1));
    }

    // ----------------------------------------------------------------- phases

    function test_refuses_rounds_of_another_phase() public {
        MockAggregator successor = new MockAggregator(8, true);
        vm.warp(SECOND - 5);
        successor.write(7e8);
        vm.warp(SECOND + 1);
        proxy.moveTo(successor);
        expectRefusal(feed, TIME, "round");
        source.priceAt(feed, TIME, abi.encode((uint80(PHASE + 1) << 64) | 1, uint80(0)));
    }

    function test_a_move_to_another_aggregator_changes_no_answer() public {
        MockAggregator successor = new MockAggregator(18, true);
        successor.write(7e18);
        proxy.moveTo(successor);
        (uint256 price,) = source.priceAt(feed, TIME, proof(2));
        assertEq(price, 100_000e18);
    }

    // ----------------------------------------------------------------- answers

    function test_refuses_answers_that_are_not_positive() public {
        aggregator.write(0);
        vm.warp(SECOND + 2);
        aggregator.write(-1);
        vm.warp(SECOND + 3);
        uint64 zero = uint64(SECOND + 1) * 1000;
        uint64 negative = uint64(SECOND + 2) * 1000;
        expectRefusal(feed, zero, "price");
        source.priceAt(feed, zero, proof(3));
        expectRefusal(feed, negative, "price");
        source.priceAt(feed, negative, proof(4));
    }

    function test_refuses_an_answer_too_large_for_18_decimals() public {
        aggregator.write(type(int256).max);
        vm.warp(SECOND + 2);
        uint64 time = uint64(SECOND + 1) * 1000;
        expectRefusal(feed, time, "price");
        source.priceAt(feed, time, proof(3));
    }

    function testFuzz_answers_have_18_decimals(uint8 decimals, uint64 whole, uint64 fraction) public {
        decimals = uint8(bound(decimals, 0, 18));
        uint256 unit = 10 ** decimals;
        uint256 answer = uint256(whole) * unit + fraction % unit;
        vm.assume(answer != 0);
        MockAggregator other = new MockAggregator(decimals, true);
        other.write(int256(answer));
        source = sourceOf(address(other));
        vm.warp(SECOND + 2);
        (uint256 price,) =
            source.priceAt(source.feedOf(address(other)), uint64(SECOND + 1) * 1000, abi.encode(uint80(1), uint80(0)));
        assertEq(price / 1e18, whole);
        assertEq((price % 1e18) * unit, (fraction % unit) * 1e18);
    }

    function test_refuses_a_feed_that_it_was_not_made_for() public {
        address other = address(new MockProxy(PHASE, aggregator));
        bytes32 otherFeed = source.feedOf(other);
        expectRefusal(otherFeed, TIME, "feed");
        source.priceAt(otherFeed, TIME, proof(2));
        bytes32 dirty = feed | bytes32(uint256(1) << 160);
        expectRefusal(dirty, TIME, "feed");
        source.priceAt(dirty, TIME, proof(2));
    }

    function test_refuses_a_proof_of_another_layout() public {
        expectRefusal(feed, TIME, "proof");
        source.priceAt(feed, TIME, "");
        expectRefusal(feed, TIME, "proof");
        source.priceAt(feed, TIME, abi.encode(idOf(2)));
        expectRefusal(feed, TIME, "proof");
        source.priceAt(feed, TIME, bytes.concat(proof(2), hex"00"));
        expectRefusal(feed, TIME, "proof");
        source.priceAt(feed, TIME, abi.encode(idOf(2), uint80(1)));
    }

    // ----------------------------------------------------------------- one answer, for ever

    /// @dev Of all rounds, in whatever rhythm they were written, one and only one proves a price at a time, and it is
    /// the one that a person reading the list would name.
    function testFuzz_exactly_one_round_is_the_price(uint8[12] memory gaps, uint256 ago) public {
        uint256 expected;
        uint256 from = block.timestamp;
        uint256[] memory written = new uint256[](gaps.length);
        for (uint256 i = 0; i < gaps.length; ++i) {
            // Often several rounds in one second.
            vm.warp(block.timestamp + gaps[i] % 4);
            aggregator.write(int256(i + 1));
            written[i] = block.timestamp;
        }
        uint64 time = uint64(bound(ago, from * 1000, block.timestamp * 1000 + 999));
        vm.warp(block.timestamp + 1);
        expected = 2;
        for (uint256 i = 0; i < gaps.length; ++i) {
            if (written[i] * 1000 <= time) expected = i + 3;
        }

        for (uint64 round = 1; round <= 2 + gaps.length; ++round) {
            try source.priceAt(feed, time, proof(round)) returns (uint256, uint64 publishedAt) {
                assertEq(round, expected);
                assertLe(publishedAt, time);
            } catch {
                assertNotEq(round, expected);
            }
        }
    }

    /// @dev Whatever happens to the feed afterwards, in the very block of the first question or later.
    function testFuzz_asked_again_later_the_answer_is_the_same(
        uint64 round,
        uint64 time,
        uint16[6] memory gaps,
        bool moves
    ) public {
        aggregator.write(ANSWER + 1);
        vm.warp(SECOND + 3);
        round = uint64(bound(round, 1, 3));
        time = uint64(bound(time, (SECOND - 120) * 1000, (SECOND + 3) * 1000 - 1));
        bytes memory first;
        try source.priceAt(feed, time, proof(round)) returns (uint256 price, uint64 publishedAt) {
            first = abi.encode(price, publishedAt);
        } catch (bytes memory refusal) {
            first = refusal;
        }

        for (uint256 i = 0; i < gaps.length; ++i) {
            vm.warp(block.timestamp + gaps[i] % 3);
            aggregator.write(int256(uint256(gaps[i]) + 1));
            if (moves && i == 3) proxy.moveTo(new MockAggregator(6, true));
            try source.priceAt(feed, time, proof(round)) returns (uint256 price, uint64 publishedAt) {
                assertEq(abi.encode(price, publishedAt), first);
            } catch (bytes memory refusal) {
                assertEq(refusal, first);
            }
        }
    }

    // ----------------------------------------------------------------- construction

    function test_is_made_for_feeds_that_have_a_round() public {
        address nothing = makeAddr("nothing");
        vm.expectRevert(abi.encodeWithSelector(ChainlinkSource.NotAnAggregator.selector, nothing));
        sourceOf(nothing);
        address silent = address(new MockAggregator(8, false));
        vm.expectRevert(abi.encodeWithSelector(ChainlinkSource.NotAnAggregator.selector, silent));
        sourceOf(silent);
    }

    function test_is_made_for_at_most_18_decimals() public {
        MockAggregator fine = new MockAggregator(19, true);
        fine.write(1);
        vm.expectRevert(abi.encodeWithSelector(ChainlinkSource.TooManyDecimals.selector, fine, 19));
        sourceOf(address(fine));
    }

    // ----------------------------------------------------------------- words

    function sourceOf(address aggregator_) private returns (ChainlinkSource) {
        address[] memory feeds = new address[](1);
        feeds[0] = aggregator_;
        return new ChainlinkSource(feeds, address(0), 0, 0);
    }

    function idOf(uint64 round) private pure returns (uint80) {
        return (uint80(PHASE) << 64) | round;
    }

    function proof(uint64 round) private pure returns (bytes memory) {
        return abi.encode(idOf(round), uint80(0));
    }

    function refusalFor(bytes32 reason) private view returns (bytes memory) {
        return abi.encodeWithSignature("PriceNotProven(bytes32,uint64,bytes32)", feed, TIME, reason);
    }
}
