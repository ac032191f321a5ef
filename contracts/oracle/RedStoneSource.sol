// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IPriceSource} from "./IPriceSource.sol";
import {Median} from "./Median.sol";
import {Question, Reason} from "./Question.sol";
import {SignerSet} from "./SignerSet.sol";

/// @title Prices from data packages that RedStone's nodes sign
/// @notice The price is the median of what a quorum of nodes signed for one moment, of an even number the lower one
/// in the middle. It depends on the proof and on what was fixed at construction, on nothing else, so it is the same
/// whenever it is asked. A package names neither a chain nor a contract: what a node says is meant for everybody.
///
/// Which moment of the last `lookback` milliseconds, and which quorum of nodes, is the choice of who brings the
/// proof. That freedom is the bound on what a sequencer can gain, and while fewer than half of a proof's nodes lie,
/// the price lies between two that honest nodes gave.
///
/// A proof is packages one after another and their number in 2 bytes. A package, big-endian and without padding:
///
///     data points     per point: feed (32 bytes), value (`value size` bytes, 8 decimals)
///     timestamp       6 bytes, unix milliseconds
///     value size      4 bytes
///     points          3 bytes
///     signature       65 bytes: r, s, v, over the keccak256 of all of the above, without a prefix
///
/// Sizes come last, so packages are read from the end.
contract RedStoneSource is IPriceSource, SignerSet {
    /// @notice The lookback may not be zero.
    error NoLookback();

    struct Package {
        /// @notice Where it starts in the proof, which is where the one before it ends.
        uint256 start;
        uint256 value;
        uint64 timestamp;
        address node;
    }

    uint256 private constant COUNT_BYTES = 2;
    uint256 private constant SIGNATURE_BYTES = 65;
    uint256 private constant TAIL_BYTES = 6 + 4 + 3;
    uint256 private constant FEED_BYTES = 32;
    uint256 private constant MAX_VALUE_BYTES = 32;
    /// @dev From 8 decimals to 18.
    uint256 private constant SCALE = 1e10;

    /// @notice How far back from the time asked for the packages may be, in milliseconds.
    uint64 public immutable lookback;

    /// @param nodes The addresses of the nodes' keys, in ascending order.
    /// @param quorum_ How many of them a price needs.
    /// @param lookback_ Milliseconds.
    constructor(address[] memory nodes, uint256 quorum_, uint64 lookback_) SignerSet(nodes, quorum_) {
        if (lookback_ == 0) revert NoLookback();
        lookback = lookback_;
    }

    /// @notice The median of the packages' values. Anyone may call.
    /// @dev `PriceNotProven` with `PROOF`, `QUORUM`, `FEED`, `SIGNER`, `ORDER`, `PRICE`, `SPREAD` (timestamps
    /// differ), `LATER`, `OLD`: see `Reason`.
    /// @param feed RedStone's data feed id, such as "BTC" padded with zeros on the right.
    /// @param time Unix milliseconds.
    /// @param proof Packages, one per node, and their number. Read from the end, the nodes' addresses ascend.
    /// @return price With 18 decimals.
    /// @return publishedAt The packages' timestamp, unix milliseconds.
    function priceAt(bytes32 feed, uint64 time, bytes calldata proof)
        external
        view
        returns (uint256 price, uint64 publishedAt)
    {
        Question memory question = Question(feed, time);
        question.need(proof.length >= COUNT_BYTES, Reason.PROOF);
        uint256 end = proof.length - COUNT_BYTES;
        uint256 count = uint16(bytes2(proof[end:]));
        _needQuorum(question, count);

        uint256[] memory values = new uint256[](count);
        address node = address(0);
        for (uint256 i = 0; i < count; ++i) {
            Package memory package = _lastPackage(question, node, proof[:end]);
            if (i == 0) publishedAt = package.timestamp;
            question.need(package.timestamp == publishedAt, Reason.SPREAD);
            (values[i], node, end) = (package.value, package.node, package.start);
        }
        question.need(end == 0, Reason.PROOF);
        question.need(publishedAt <= time, Reason.LATER);
        question.need(time - publishedAt <= lookback, Reason.OLD);
        price = Median.lower(values) * SCALE;
    }

    /// @dev The package that ends where `packages` does.
    function _lastPackage(Question memory question, address previousNode, bytes calldata packages)
        private
        view
        returns (Package memory package)
    {
        question.need(packages.length >= TAIL_BYTES + SIGNATURE_BYTES, Reason.PROOF);
        uint256 signedEnd = packages.length - SIGNATURE_BYTES;
        uint256 pointsEnd = signedEnd - TAIL_BYTES;
        package.timestamp = uint48(bytes6(packages[pointsEnd:]));
        uint256 valueBytes = uint32(bytes4(packages[pointsEnd + 6:]));
        uint256 points = uint24(bytes3(packages[pointsEnd + 10:]));
        question.need(valueBytes <= MAX_VALUE_BYTES, Reason.PROOF);
        uint256 pointsBytes = points * (FEED_BYTES + valueBytes);
        question.need(pointsBytes <= pointsEnd, Reason.PROOF);
        package.start = pointsEnd - pointsBytes;

        package.node =
            _nextSigner(question, previousNode, keccak256(packages[package.start:signedEnd]), packages[signedEnd:]);
        package.value = _valueOf(question, packages[package.start:pointsEnd], valueBytes);
    }

    /// @dev The first point of the feed; a node that signs two values of one feed has signed that the first counts.
    function _valueOf(Question memory question, bytes calldata points, uint256 valueBytes)
        private
        pure
        returns (uint256 value)
    {
        uint256 stride = FEED_BYTES + valueBytes;
        uint256 at = 0;
        while (at < points.length && bytes32(points[at:]) != question.feed) at += stride;
        question.need(at < points.length, Reason.FEED);

        // A shorter value is read from the left: shift it to the right end of the word.
        bytes32 word = bytes32(points[at + FEED_BYTES:at + stride]);
        value = uint256(word) >> (8 * (MAX_VALUE_BYTES - valueBytes));
        question.need(value != 0 && value <= type(uint256).max / SCALE, Reason.PRICE);
    }
}
