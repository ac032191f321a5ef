// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IPriceSource} from "./IPriceSource.sol";
import {Median} from "./Median.sol";
import {Question, Reason} from "./Question.sol";
import {SignerSet} from "./SignerSet.sol";

/// @title Prices that a quorum of reporters signed for this source
/// @notice The price is the median of the reports in the proof, of an even number the lower one in the middle. It
/// depends on the proof and on what was fixed at construction, on nothing else, so it is the same whenever it is
/// asked.
///
/// Which reports the proof holds is the choice of who brings it: any quorum, any reports from the last `lookback`
/// milliseconds that are no more than `spread` apart. That freedom is the bound on what a sequencer can gain, and
/// while fewer than half of the reports in a proof lie, the price lies between two that honest reporters gave.
contract QuorumSource is IPriceSource, SignerSet, EIP712 {
    /// @notice One reporter's word. The signature is over `PriceReport(bytes32 feed,uint256 price,uint64 time)` in
    /// the domain ("Exchange OS Prices", "1", chain, this contract).
    struct Report {
        /// @notice With 18 decimals.
        uint256 price;
        /// @notice When the reporter saw it, unix milliseconds.
        uint64 time;
        /// @notice 65 bytes: r, s, v.
        bytes signature;
    }

    /// @notice The spread may not exceed the lookback, and the lookback may not be zero.
    error TimesOutOfBounds(uint64 spread, uint64 lookback);

    bytes32 private constant REPORT_TYPEHASH = keccak256("PriceReport(bytes32 feed,uint256 price,uint64 time)");

    /// @notice How far the reports' times may be from each other, in milliseconds.
    uint64 public immutable spread;
    /// @notice How far back from the time asked for a report may be, in milliseconds.
    uint64 public immutable lookback;

    /// @param reporters Who may sign, in ascending order.
    /// @param quorum_ How many of them a price needs.
    /// @param spread_ Milliseconds.
    /// @param lookback_ Milliseconds.
    constructor(address[] memory reporters, uint256 quorum_, uint64 spread_, uint64 lookback_)
        SignerSet(reporters, quorum_)
        EIP712("Exchange OS Prices", "1")
    {
        if (lookback_ == 0 || spread_ > lookback_) revert TimesOutOfBounds(spread_, lookback_);
        (spread, lookback) = (spread_, lookback_);
    }

    /// @notice The median of the reports. Anyone may call.
    /// @dev `PriceNotProven` with `QUORUM`, `SIGNER`, `ORDER`, `PRICE`, `LATER`, `OLD`, `SPREAD`: see `Reason`. A
    /// proof that is not an encoding of reports reverts without a reason. A report over another feed, chain or
    /// contract is one that none of the reporters signed: `SIGNER`.
    /// @param feed The reporters' name of what is priced.
    /// @param time Unix milliseconds.
    /// @param proof `abi.encode(Report[])`, in ascending order of signers' addresses.
    /// @return price With 18 decimals.
    /// @return publishedAt The time of the oldest report, unix milliseconds.
    function priceAt(bytes32 feed, uint64 time, bytes calldata proof)
        external
        view
        returns (uint256 price, uint64 publishedAt)
    {
        Question memory question = Question(feed, time);
        Report[] memory reports = abi.decode(proof, (Report[]));
        _needQuorum(question, reports.length);

        uint256[] memory prices = new uint256[](reports.length);
        uint64 newest = 0;
        publishedAt = type(uint64).max;
        address signer = address(0);
        for (uint256 i = 0; i < reports.length; ++i) {
            Report memory report = reports[i];
            bytes32 structHash = keccak256(abi.encode(REPORT_TYPEHASH, feed, report.price, report.time));
            signer = _nextSigner(question, signer, _hashTypedDataV4(structHash), report.signature);
            question.need(report.price != 0, Reason.PRICE);
            prices[i] = report.price;
            if (report.time < publishedAt) publishedAt = report.time;
            if (report.time > newest) newest = report.time;
        }
        question.need(newest <= time, Reason.LATER);
        // The oldest is not later than `time` either, so neither difference can be negative.
        question.need(time - publishedAt <= lookback, Reason.OLD);
        question.need(newest - publishedAt <= spread, Reason.SPREAD);
        price = Median.lower(prices);
    }
}
