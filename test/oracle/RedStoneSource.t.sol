// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {RedStoneSource} from "../../contracts/oracle/RedStoneSource.sol";
import {SourceTest} from "./SourceTest.sol";

contract RedStoneSourceTest is SourceTest {
    bytes32 private constant FEED = "BTC";
    bytes32 private constant OTHER = "ETH";
    uint64 private constant LOOKBACK = 10_000;

    RedStoneSource private source;
    bytes[] private packages;

    function setUp() public {
        makeSigners(5);
        source = new RedStoneSource(signers, 3, LOOKBACK);
        packages.push(package(0, 102e8, TIME - 500));
        packages.push(package(1, 100e8, TIME - 500));
        packages.push(package(2, 101e8, TIME - 500));
    }

    // ----------------------------------------------------------------- what is accepted

    function test_the_price_is_the_median_with_18_decimals() public view {
        (uint256 price, uint64 publishedAt) = source.priceAt(FEED, TIME, proof());
        assertEq(price, 101e18);
        assertEq(publishedAt, TIME - 500);
    }

    function test_of_four_packages_the_second_lowest_is_the_price() public {
        packages.push(package(3, 1, TIME - 500));
        (uint256 price,) = source.priceAt(FEED, TIME, proof());
        assertEq(price, 100e18);
    }

    function testFuzz_the_price_is_the_median(uint128[5] memory values, uint8 count) public {
        count = uint8(bound(count, 3, 5));
        delete packages;
        uint256[] memory sorted = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            sorted[i] = uint256(values[i]) + 1;
            packages.push(package(i, sorted[i], TIME));
        }
        sorted = vm.sort(sorted);
        (uint256 price,) = source.priceAt(FEED, TIME, proof());
        assertEq(price, sorted[(count - 1) / 2] * 1e10);
    }

    function testFuzz_a_value_may_have_any_size(uint8 size, uint256 value) public {
        size = uint8(bound(size, 1, 32));
        value = bound(value, 1, size > 27 ? type(uint256).max / 1e10 : 256 ** size - 1);
        delete packages;
        for (uint256 i = 0; i < 3; ++i) {
            bytes memory points = bytes.concat(point(OTHER, 7, size), point(FEED, value, size), point("SOL", 9, size));
            packages.push(seal(keys[i], points, TIME, size, 3));
        }
        (uint256 price,) = source.priceAt(FEED, TIME, proof());
        assertEq(price, value * 1e10);
    }

    /// @dev Built by hand from the published layout: one 32-byte point of "BTC" worth 0.00000001, at 0x019eabcdef01.
    function test_reads_the_published_layout_byte_for_byte() public {
        bytes memory signed = bytes.concat(
            hex"4254430000000000000000000000000000000000000000000000000000000000",
            hex"0000000000000000000000000000000000000000000000000000000000000001",
            hex"019eabcdef01",
            hex"00000020",
            hex"000001"
        );
        delete packages;
        for (uint256 i = 0; i < 3; ++i) {
            packages.push(bytes.concat(signed, sign(keys[i], keccak256(signed))));
        }
        assertEq(packages[0].length, 142);
        (uint256 price, uint64 publishedAt) = source.priceAt(FEED, 0x019eabcdef01, proof());
        assertEq(price, 1e10);
        assertEq(publishedAt, 0x019eabcdef01);
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

    /// @dev The nodes sign for everybody: another deployment and another chain read the same packages alike.
    function test_a_package_is_good_everywhere() public {
        RedStoneSource twin = new RedStoneSource(signers, 3, LOOKBACK);
        vm.chainId(block.chainid + 1);
        (uint256 price,) = twin.priceAt(FEED, TIME, proof());
        assertEq(price, 101e18);
    }

    // ----------------------------------------------------------------- when

    function test_refuses_packages_from_after_the_time() public {
        repackage(TIME + 1);
        refuses("later");
        repackage(TIME);
        source.priceAt(FEED, TIME, proof());
    }

    function test_packages_count_for_the_lookback_and_no_longer() public {
        repackage(TIME - LOOKBACK);
        source.priceAt(FEED, TIME, proof());
        repackage(TIME - LOOKBACK - 1);
        refuses("old");
    }

    function test_refuses_packages_of_different_moments() public {
        packages[1] = package(1, 100e8, TIME - 501);
        refuses("spread");
    }

    // ----------------------------------------------------------------- who

    function test_refuses_fewer_packages_than_the_quorum() public {
        packages.pop();
        refuses("quorum");
    }

    function test_refuses_a_node_that_signs_twice() public {
        packages.push(package(2, 99e8, TIME - 500));
        refuses("order");
    }

    function test_refuses_nodes_out_of_order() public {
        bytes memory first = packages[0];
        packages[0] = packages[1];
        packages[1] = first;
        refuses("order");
    }

    function test_refuses_a_stranger() public {
        packages[1] = seal(strangerAfter(0), point(FEED, 100e8, 32), TIME - 500, 32, 1);
        refuses("signer");
    }

    function test_refuses_a_malleated_signature() public {
        bytes memory signed = signedPart(point(FEED, 100e8, 32), TIME - 500, 32, 1);
        packages[1] = bytes.concat(signed, malleated(sign(keys[1], keccak256(signed))));
        refuses("signer");
    }

    function test_refuses_a_signature_with_a_message_prefix() public {
        bytes memory signed = signedPart(point(FEED, 100e8, 32), TIME - 500, 32, 1);
        bytes32 prefixed = keccak256(abi.encodePacked("\x19Ethereum Signed Message:\n32", keccak256(signed)));
        packages[1] = bytes.concat(signed, sign(keys[1], prefixed));
        refuses("signer");
    }

    // ----------------------------------------------------------------- what was signed

    function testFuzz_refuses_a_package_with_any_bit_changed(uint256 bit) public {
        bytes memory changed = packages[2];
        bit = bound(bit, 0, changed.length * 8 - 1);
        changed[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        packages[2] = changed;
        bytes memory proof_ = proof();
        vm.expectPartialRevert(bytes4(keccak256("PriceNotProven(bytes32,uint64,bytes32)")));
        source.priceAt(FEED, TIME, proof_);
    }

    function test_refuses_packages_without_the_feed() public {
        bytes memory proof_ = proof();
        expectRefusal(OTHER, TIME, "feed");
        source.priceAt(OTHER, TIME, proof_);
        packages[0] = seal(keys[0], "", TIME - 500, 32, 0);
        refuses("feed");
    }

    function test_refuses_a_value_of_zero_or_too_large_for_18_decimals() public {
        packages[0] = package(0, 0, TIME - 500);
        refuses("price");
        packages[0] = package(0, type(uint256).max / 1e10 + 1, TIME - 500);
        refuses("price");
        packages[0] = seal(keys[0], point(FEED, 0, 0), TIME - 500, 0, 1);
        refuses("price");
    }

    // ----------------------------------------------------------------- layout

    function test_refuses_what_is_not_a_row_of_packages() public {
        expectRefusal(FEED, TIME, "proof");
        source.priceAt(FEED, TIME, "");
        expectRefusal(FEED, TIME, "proof");
        source.priceAt(FEED, TIME, hex"00");
        expectRefusal(FEED, TIME, "proof");
        source.priceAt(FEED, TIME, hex"0003");
        bytes memory leading = bytes.concat(hex"00", proof());
        expectRefusal(FEED, TIME, "proof");
        source.priceAt(FEED, TIME, leading);
    }

    function test_refuses_sizes_that_reach_beyond_the_proof() public {
        packages[2] = seal(keys[2], point(FEED, 101e8, 32), TIME - 500, 32, 2);
        delete packages[0];
        delete packages[1];
        refuses("proof");
        packages[2] = seal(keys[2], point(FEED, 101e8, 32), TIME - 500, type(uint32).max, type(uint24).max);
        refuses("proof");
        packages[2] = seal(keys[2], point(FEED, 101e8, 33), TIME - 500, 33, 1);
        refuses("proof");
    }

    function test_needs_a_lookback() public {
        vm.expectRevert(RedStoneSource.NoLookback.selector);
        new RedStoneSource(signers, 3, 0);
    }

    // ----------------------------------------------------------------- words

    function package(uint256 signer, uint256 value, uint64 time) private view returns (bytes memory) {
        return seal(keys[signer], point(FEED, value, 32), time, 32, 1);
    }

    function repackage(uint64 time) private {
        for (uint256 i = 0; i < 3; ++i) {
            packages[i] = package(i, 101e8, time);
        }
    }

    function point(bytes32 feed, uint256 value, uint256 size) private pure returns (bytes memory packed) {
        packed = bytes.concat(feed, new bytes(size));
        for (uint256 i = 0; i < size && i < 32; ++i) {
            packed[32 + size - 1 - i] = bytes1(uint8(value >> (8 * i)));
        }
    }

    function signedPart(bytes memory points, uint64 time, uint32 size, uint24 count)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(points, uint48(time), size, count);
    }

    function seal(uint256 key, bytes memory points, uint64 time, uint32 size, uint24 count)
        private
        pure
        returns (bytes memory)
    {
        bytes memory signed = signedPart(points, time, size, count);
        return bytes.concat(signed, sign(key, keccak256(signed)));
    }

    /// @dev Packages are read from the end, so the first signer's comes last.
    function proof() private view returns (bytes memory joined) {
        for (uint256 i = packages.length; i > 0; --i) {
            joined = bytes.concat(joined, packages[i - 1]);
        }
        joined = bytes.concat(joined, bytes2(uint16(packages.length)));
    }

    function refuses(bytes32 reason) private {
        bytes memory proof_ = proof();
        expectRefusal(FEED, TIME, reason);
        source.priceAt(FEED, TIME, proof_);
    }
}
