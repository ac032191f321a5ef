// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {QuorumSource} from "../../contracts/oracle/QuorumSource.sol";
import {SourceTest} from "./SourceTest.sol";

contract QuorumSourceTest is SourceTest {
    bytes32 private constant FEED = "BTC/USD";
    uint64 private constant SPREAD = 2000;
    uint64 private constant LOOKBACK = 5000;

    QuorumSource private source;
    QuorumSource.Report[] private reports;

    function setUp() public {
        makeSigners(5);
        source = new QuorumSource(signers, 3, SPREAD, LOOKBACK);
        report(0, 102e18, TIME - 300);
        report(1, 100e18, TIME - 900);
        report(2, 101e18, TIME);
    }

    // ----------------------------------------------------------------- what is accepted

    function test_the_price_is_the_median_and_as_old_as_the_oldest_report() public view {
        (uint256 price, uint64 publishedAt) = source.priceAt(FEED, TIME, proof());
        assertEq(price, 101e18);
        assertEq(publishedAt, TIME - 900);
    }

    function test_of_four_reports_the_second_lowest_is_the_price() public {
        report(3, 1, TIME);
        (uint256 price,) = source.priceAt(FEED, TIME, proof());
        assertEq(price, 100e18);
    }

    function testFuzz_the_price_is_the_median(uint128[5] memory prices, uint8 count) public {
        count = uint8(bound(count, 3, 5));
        delete reports;
        uint256[] memory sorted = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            sorted[i] = uint256(prices[i]) + 1;
            report(i, sorted[i], TIME);
        }
        sorted = vm.sort(sorted);
        (uint256 price,) = source.priceAt(FEED, TIME, proof());
        assertEq(price, sorted[(count - 1) / 2]);
    }

    /// @dev Two of five may say what they like: the price stays between what the honest ones said.
    function testFuzz_a_lying_minority_cannot_leave_the_honest_range(uint256 first, uint256 second) public {
        delete reports;
        report(0, bound(first, 1, type(uint256).max), TIME);
        report(1, 100e18, TIME);
        report(2, bound(second, 1, type(uint256).max), TIME);
        report(3, 101e18, TIME);
        report(4, 102e18, TIME);
        (uint256 price,) = source.priceAt(FEED, TIME, proof());
        assertGe(price, 100e18);
        assertLe(price, 102e18);
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

    // ----------------------------------------------------------------- when

    function test_refuses_a_report_from_after_the_time() public {
        report(3, 101e18, TIME + 1);
        refuses("later");
    }

    function test_reports_count_for_the_lookback_and_no_longer() public {
        delete reports;
        reportAll(TIME - LOOKBACK);
        (, uint64 publishedAt) = source.priceAt(FEED, TIME, proof());
        assertEq(publishedAt, TIME - LOOKBACK);
        delete reports;
        reportAll(TIME - LOOKBACK - 1);
        refuses("old");
    }

    function test_one_old_report_among_new_ones_is_refused() public {
        report(3, 101e18, TIME - LOOKBACK - 1);
        refuses("old");
    }

    function test_reports_may_be_apart_by_the_spread_and_no_more() public {
        report(3, 101e18, TIME - SPREAD);
        source.priceAt(FEED, TIME, proof());
        report(4, 101e18, TIME - SPREAD - 1);
        refuses("spread");
    }

    // ----------------------------------------------------------------- who

    function test_refuses_fewer_reports_than_the_quorum() public {
        reports.pop();
        refuses("quorum");
        delete reports;
        refuses("quorum");
    }

    function test_refuses_a_signer_who_signs_twice() public {
        report(2, 99e18, TIME);
        refuses("order");
    }

    function test_refuses_the_same_report_twice() public {
        reports.push(reports[2]);
        refuses("order");
    }

    function test_refuses_signers_out_of_order() public {
        QuorumSource.Report memory first = reports[0];
        reports[0] = reports[1];
        reports[1] = first;
        refuses("order");
    }

    function test_refuses_a_stranger() public {
        reports[1].signature = sign(strangerAfter(0), digestOf(FEED, 100e18, TIME - 900, domain()));
        refuses("signer");
    }

    function test_refuses_a_malleated_signature() public {
        reports[1].signature = malleated(reports[1].signature);
        refuses("signer");
    }

    function test_refuses_signatures_of_another_length() public {
        bytes memory signature = reports[0].signature;
        reports[0].signature = bytes.concat(signature, hex"00");
        refuses("signer");
        reports[0].signature = "";
        refuses("signer");
    }

    // ----------------------------------------------------------------- what was signed

    function test_refuses_a_price_that_was_not_signed() public {
        reports[0].price += 1;
        refuses("signer");
    }

    function test_refuses_a_time_that_was_not_signed() public {
        reports[0].time += 1;
        refuses("signer");
    }

    function test_refuses_reports_of_another_feed() public {
        bytes memory proof_ = proof();
        expectRefusal("ETH/USD", TIME, "signer");
        source.priceAt("ETH/USD", TIME, proof_);
    }

    function test_refuses_a_price_of_zero() public {
        report(3, 0, TIME);
        refuses("price");
    }

    function test_refuses_reports_for_a_twin() public {
        bytes memory proof_ = proof();
        QuorumSource twin = new QuorumSource(signers, 3, SPREAD, LOOKBACK);
        expectRefusal(FEED, TIME, "signer");
        twin.priceAt(FEED, TIME, proof_);
    }

    function test_refuses_reports_for_another_chain() public {
        bytes memory proof_ = proof();
        vm.chainId(block.chainid + 1);
        expectRefusal(FEED, TIME, "signer");
        source.priceAt(FEED, TIME, proof_);
    }

    function test_a_proof_that_is_none_reverts() public {
        vm.expectRevert(bytes(""));
        source.priceAt(FEED, TIME, hex"01");
    }

    function test_times_must_make_sense() public {
        vm.expectRevert(abi.encodeWithSelector(QuorumSource.TimesOutOfBounds.selector, 0, 0));
        new QuorumSource(signers, 3, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(QuorumSource.TimesOutOfBounds.selector, 6, 5));
        new QuorumSource(signers, 3, 6, 5);
        new QuorumSource(signers, 3, 5, 5);
    }

    // ----------------------------------------------------------------- words

    function report(uint256 signer, uint256 price, uint64 time) private {
        reports.push(QuorumSource.Report(price, time, sign(keys[signer], digestOf(FEED, price, time, domain()))));
    }

    function reportAll(uint64 time) private {
        for (uint256 i = 0; i < 3; ++i) {
            report(i, 101e18, time);
        }
    }

    function digestOf(bytes32 feed, uint256 price, uint64 time, bytes32 domain_) private pure returns (bytes32) {
        bytes32 typeHash = keccak256("PriceReport(bytes32 feed,uint256 price,uint64 time)");
        return typedDigest(domain_, keccak256(abi.encode(typeHash, feed, price, time)));
    }

    function domain() private view returns (bytes32) {
        return domainOf("Exchange OS Prices", block.chainid, address(source));
    }

    function proof() private view returns (bytes memory) {
        return abi.encode(reports);
    }

    function refuses(bytes32 reason) private {
        bytes memory proof_ = proof();
        expectRefusal(FEED, TIME, reason);
        source.priceAt(FEED, TIME, proof_);
    }
}
