// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {PullSource} from "../../contracts/oracle/PullSource.sol";
import {SourceTest} from "./SourceTest.sol";

contract PullSourceTest is SourceTest {
    bytes32 private constant FEED = "BTC/USD";
    uint64 private constant LOOKBACK = 3;
    uint32 private constant MAX_CONFIDENCE = 5000;
    uint64 private constant NOW = TIME / 1000;
    uint64 private constant FROM = NOW - LOOKBACK;

    PullSource private source;
    PullSource.Update private update;

    function setUp() public {
        makeSigners(5);
        source = new PullSource(signers, 3, LOOKBACK, MAX_CONFIDENCE);
        update = PullSource.Update({
            feed: FEED,
            price: 100_000e5,
            confidence: 10e5,
            exponent: -5,
            publishTime: NOW - 2,
            previousPublishTime: NOW - 4
        });
    }

    // ----------------------------------------------------------------- which update counts

    function test_the_first_update_of_the_window_is_the_price() public view {
        (uint256 price, uint64 publishedAt) = source.priceAt(FEED, TIME, proof());
        assertEq(price, 100_000e18);
        assertEq(publishedAt, (NOW - 2) * 1000);
    }

    function test_both_ends_of_the_window_are_in_it() public {
        published(FROM, FROM - 1);
        source.priceAt(FEED, TIME, proof());
        published(NOW, FROM - 1);
        source.priceAt(FEED, TIME, proof());
    }

    function test_refuses_an_update_from_after_the_time() public {
        published(NOW + 1, FROM - 1);
        refuses("later");
        published(type(uint64).max, FROM - 1);
        refuses("later");
    }

    function test_refuses_an_update_from_before_the_window() public {
        published(FROM - 1, FROM - 2);
        refuses("old");
    }

    function test_refuses_an_update_that_another_one_of_the_window_came_before() public {
        published(NOW, NOW - 1);
        refuses("not first");
        published(NOW, FROM);
        refuses("not first");
    }

    function test_refuses_the_second_update_of_a_second() public {
        published(FROM, FROM);
        refuses("not first");
    }

    function test_in_the_first_seconds_of_time_the_window_starts_at_zero() public {
        published(1, 0);
        bytes memory proof_ = proof();
        expectRefusal(FEED, 2000, "not first");
        source.priceAt(FEED, 2000, proof_);
    }

    /// @dev In a chain of updates at any rhythm, exactly the first in the window proves the price, or none does.
    function testFuzz_exactly_one_update_is_the_price(uint8[10] memory gaps, uint256 ask) public {
        uint64 previous = FROM - 10;
        uint64 time = uint64(bound(ask, FROM - 8, FROM + 12)) * 1000 + 999;
        uint64 from = time / 1000 - LOOKBACK;
        bool found;
        for (uint256 i = 0; i < gaps.length; ++i) {
            uint64 at = previous + gaps[i] % 4;
            published(at, previous);
            update.price = int64(int256(100_000e5 + i));
            bool counts = !found && previous < from && at >= from && at * 1000 <= time;
            try source.priceAt(FEED, time, proof()) returns (uint256 price, uint64 publishedAt) {
                assertTrue(counts);
                assertEq(price, (100_000e5 + i) * 1e13);
                assertEq(publishedAt, at * 1000);
                found = true;
            } catch {
                assertFalse(counts);
            }
            previous = at;
        }
    }

    function testFuzz_asked_again_later_the_answer_is_the_same(uint64 later, uint64 blocks) public {
        bytes memory proof_ = proof();
        (uint256 price, uint64 publishedAt) = source.priceAt(FEED, TIME, proof_);
        vm.warp(later);
        vm.roll(blocks);
        (uint256 priceLater, uint64 publishedAtLater) = source.priceAt(FEED, TIME, proof_);
        assertEq(priceLater, price);
        assertEq(publishedAtLater, publishedAt);
    }

    // ----------------------------------------------------------------- the price in it

    function testFuzz_prices_have_18_decimals(int64 price, int32 exponent) public {
        update.price = int64(bound(price, 1, type(int64).max));
        update.confidence = 0;
        update.exponent = int32(bound(exponent, -18, 18));
        (uint256 normalised,) = source.priceAt(FEED, TIME, proof());
        uint256 expected = uint256(int256(update.price)) * 1e18;
        if (update.exponent < 0) expected /= 10 ** uint32(-update.exponent);
        else expected *= 10 ** uint32(update.exponent);
        assertEq(normalised, expected);
    }

    function test_refuses_prices_that_are_not_positive() public {
        update.confidence = 0;
        update.price = 0;
        refuses("price");
        update.price = -1;
        refuses("price");
        update.price = type(int64).min;
        refuses("price");
    }

    function test_uncertainty_may_be_the_bound_and_no_more() public {
        update.confidence = 500e5;
        source.priceAt(FEED, TIME, proof());
        update.confidence = 500e5 + 1;
        refuses("confidence");
        update.confidence = type(uint64).max;
        refuses("confidence");
    }

    function test_refuses_exponents_beyond_18() public {
        update.exponent = -19;
        refuses("exponent");
        update.exponent = 19;
        refuses("exponent");
        update.exponent = type(int32).min;
        refuses("exponent");
        update.exponent = type(int32).max;
        refuses("exponent");
    }

    function test_refuses_an_update_of_another_feed() public {
        bytes memory proof_ = proof();
        expectRefusal("ETH/USD", TIME, "feed");
        source.priceAt("ETH/USD", TIME, proof_);
    }

    // ----------------------------------------------------------------- the tree

    function test_refuses_an_update_that_is_not_in_the_tree() public {
        PullSource.Proof memory proven = prove();
        proven.update.price += 1;
        refuses(proven, "signer");
        proven = prove();
        proven.update.publishTime += 1;
        refuses(proven, "signer");
        proven = prove();
        proven.path[0] = bytes32(uint256(proven.path[0]) ^ 1);
        refuses(proven, "signer");
        proven = prove();
        delete proven.path;
        refuses(proven, "signer");
    }

    function test_an_update_alone_is_its_own_tree() public {
        PullSource.Proof memory proven;
        (proven.update, proven.signatures) = (update, signRoot(leafOf(update), source, block.chainid));
        (uint256 price,) = source.priceAt(FEED, TIME, abi.encode(proven));
        assertEq(price, 100_000e18);
    }

    // ----------------------------------------------------------------- who

    function test_refuses_fewer_signatures_than_the_quorum() public {
        PullSource.Proof memory proven = prove();
        bytes[] memory two = new bytes[](2);
        (two[0], two[1]) = (proven.signatures[0], proven.signatures[1]);
        proven.signatures = two;
        refuses(proven, "quorum");
    }

    function test_refuses_a_guardian_who_signs_twice() public {
        PullSource.Proof memory proven = prove();
        proven.signatures[2] = proven.signatures[1];
        refuses(proven, "order");
    }

    function test_refuses_guardians_out_of_order() public {
        PullSource.Proof memory proven = prove();
        (proven.signatures[0], proven.signatures[1]) = (proven.signatures[1], proven.signatures[0]);
        refuses(proven, "order");
    }

    function test_refuses_a_stranger() public {
        PullSource.Proof memory proven = prove();
        proven.signatures[1] = sign(strangerAfter(0), digestOf(rootOf(update), source, block.chainid));
        refuses(proven, "signer");
    }

    function test_refuses_a_malleated_signature() public {
        PullSource.Proof memory proven = prove();
        proven.signatures[0] = malleated(proven.signatures[0]);
        refuses(proven, "signer");
    }

    function test_refuses_signatures_for_a_twin() public {
        PullSource twin = new PullSource(signers, 3, LOOKBACK, MAX_CONFIDENCE);
        bytes memory proof_ = proof();
        expectRefusal(FEED, TIME, "signer");
        twin.priceAt(FEED, TIME, proof_);
    }

    function test_refuses_signatures_for_another_chain() public {
        bytes memory proof_ = proof();
        vm.chainId(block.chainid + 1);
        expectRefusal(FEED, TIME, "signer");
        source.priceAt(FEED, TIME, proof_);
    }

    function test_a_proof_that_is_none_reverts() public {
        vm.expectRevert(bytes(""));
        source.priceAt(FEED, TIME, hex"01");
    }

    function test_bounds_must_make_sense() public {
        vm.expectRevert(PullSource.NoLookback.selector);
        new PullSource(signers, 3, 0, MAX_CONFIDENCE);
        vm.expectRevert(abi.encodeWithSelector(PullSource.ConfidenceOutOfBounds.selector, 0));
        new PullSource(signers, 3, LOOKBACK, 0);
        vm.expectRevert(abi.encodeWithSelector(PullSource.ConfidenceOutOfBounds.selector, 1_000_000));
        new PullSource(signers, 3, LOOKBACK, 1_000_000);
        new PullSource(signers, 3, LOOKBACK, 999_999);
    }

    // ----------------------------------------------------------------- words

    function published(uint64 at, uint64 previous) private {
        (update.publishTime, update.previousPublishTime) = (at, previous);
    }

    /// @dev The update is one of four leaves.
    function prove() private view returns (PullSource.Proof memory proven) {
        proven.update = update;
        proven.path = path();
        proven.signatures = signRoot(rootOf(update), source, block.chainid);
    }

    function proof() private view returns (bytes memory) {
        return abi.encode(prove());
    }

    function path() private pure returns (bytes32[] memory siblings) {
        siblings = new bytes32[](2);
        (siblings[0], siblings[1]) = (keccak256("sibling"), keccak256("sibling's sibling"));
    }

    function leafOf(PullSource.Update memory leaf) private pure returns (bytes32) {
        return keccak256(
            bytes.concat(
                keccak256(
                    abi.encode(
                        leaf.feed,
                        leaf.price,
                        leaf.confidence,
                        leaf.exponent,
                        leaf.publishTime,
                        leaf.previousPublishTime
                    )
                )
            )
        );
    }

    function rootOf(PullSource.Update memory leaf) private pure returns (bytes32 node) {
        node = leafOf(leaf);
        bytes32[] memory siblings = path();
        for (uint256 i = 0; i < siblings.length; ++i) {
            node = node < siblings[i]
                ? keccak256(abi.encodePacked(node, siblings[i]))
                : keccak256(abi.encodePacked(siblings[i], node));
        }
    }

    function digestOf(bytes32 root, PullSource to, uint256 chain) private pure returns (bytes32) {
        bytes32 structHash = keccak256(abi.encode(keccak256("UpdateRoot(bytes32 root)"), root));
        return typedDigest(domainOf("Exchange OS Updates", chain, address(to)), structHash);
    }

    function signRoot(bytes32 root, PullSource to, uint256 chain) private view returns (bytes[] memory signatures) {
        signatures = new bytes[](3);
        for (uint256 i = 0; i < 3; ++i) {
            signatures[i] = sign(keys[i], digestOf(root, to, chain));
        }
    }

    function refuses(bytes32 reason) private {
        refuses(prove(), reason);
    }

    function refuses(PullSource.Proof memory proven, bytes32 reason) private {
        expectRefusal(FEED, TIME, reason);
        source.priceAt(FEED, TIME, abi.encode(proven));
    }
}
