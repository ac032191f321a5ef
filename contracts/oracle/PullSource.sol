// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {IPriceSource} from "./IPriceSource.sol";
import {Question, Reason} from "./Question.sol";
import {SignerSet} from "./SignerSet.sol";

/// @title Prices pulled from a publisher's signed updates
/// @notice A publisher sends an update of every feed several times a second; guardians sign the Merkle root of a
/// moment's updates, and whoever needs one brings it with its path. The message is Pyth's; the envelope is our own.
///
/// The price at a time is that of the **first update published in the `lookback` seconds before it**, both ends
/// included. Each update carries the publish time of the one before it, so it proves by itself that it is the first:
/// `previousPublishTime < start <= publishTime`. A feed's updates are a chain in which publish times never fall, so
/// exactly one of them passes the start; whoever brings the proof has nothing to choose. That the *last* update
/// before a time is the last cannot be proven by it, only by its successor, which nobody has seen when a frame is
/// sealed. The first of a short window is known as soon as it is published: with a `lookback` above the publisher's
/// delay, before the frame's time comes. In return the price is up to `lookback` old, so keep that to seconds.
///
/// It depends on the proof and on what was fixed at construction, on nothing else, so it is the same whenever it is
/// asked. Should guardians sign two updates that pass the same start, they lied about the chain; nothing else yields
/// two answers.
contract PullSource is IPriceSource, SignerSet, EIP712 {
    struct Update {
        bytes32 feed;
        /// @notice In units of `10 ** exponent`.
        int64 price;
        /// @notice The publishers' uncertainty, in the same units: the price is within this of `price`.
        uint64 confidence;
        int32 exponent;
        /// @notice Unix seconds.
        uint64 publishTime;
        /// @notice When the feed's previous update was published, unix seconds; the same for a second one in one
        /// second.
        uint64 previousPublishTime;
    }

    /// @notice What proves an update. The leaf is the keccak256 of the keccak256 of the ABI-encoded update, pairs are
    /// hashed in ascending order (OpenZeppelin's standard tree), and each signature (65 bytes: r, s, v) is over
    /// `UpdateRoot(bytes32 root)` in the domain ("Exchange OS Updates", "1", chain, this contract).
    struct Proof {
        Update update;
        bytes32[] path;
        bytes[] signatures;
    }

    /// @notice The lookback may not be zero.
    error NoLookback();
    /// @notice The bound on uncertainty must be above zero and below the whole price.
    error ConfidenceOutOfBounds(uint32 partsPerMillion);

    bytes32 private constant ROOT_TYPEHASH = keccak256("UpdateRoot(bytes32 root)");
    int32 private constant DECIMALS = 18;
    uint256 private constant MILLION = 1e6;

    /// @notice How many seconds before the time asked for the window of updates starts.
    uint64 public immutable lookback;
    /// @notice The largest uncertainty, in parts per million of the price.
    uint32 public immutable maxConfidence;

    /// @param guardians Who may sign, in ascending order.
    /// @param quorum_ How many of them a root needs.
    /// @param lookback_ Seconds.
    /// @param maxConfidence_ Parts per million.
    constructor(address[] memory guardians, uint256 quorum_, uint64 lookback_, uint32 maxConfidence_)
        SignerSet(guardians, quorum_)
        EIP712("Exchange OS Updates", "1")
    {
        if (lookback_ == 0) revert NoLookback();
        if (maxConfidence_ == 0 || maxConfidence_ >= MILLION) revert ConfidenceOutOfBounds(maxConfidence_);
        (lookback, maxConfidence) = (lookback_, maxConfidence_);
    }

    /// @notice The price of the first update in the window before `time`. Anyone may call.
    /// @dev `PriceNotProven` with `FEED`, `LATER`, `OLD`, `NOT_FIRST`, `PRICE`, `CONFIDENCE`, `EXPONENT`, `QUORUM`,
    /// `SIGNER`, `ORDER`: see `Reason`. A proof that is not an encoding of `Proof` reverts without a reason. An
    /// update that is not in the tree leads to a root that no guardian signed: `SIGNER`.
    /// @param feed The publisher's id of the feed.
    /// @param time Unix milliseconds.
    /// @param proof `abi.encode(Proof)`, signatures in ascending order of the guardians' addresses.
    /// @return price With 18 decimals, exact.
    /// @return publishedAt The update's publish time, unix milliseconds.
    function priceAt(bytes32 feed, uint64 time, bytes calldata proof)
        external
        view
        returns (uint256 price, uint64 publishedAt)
    {
        Question memory question = Question(feed, time);
        Proof memory proven = abi.decode(proof, (Proof));
        Update memory update = proven.update;

        question.need(update.feed == feed, Reason.FEED);
        _needFirst(question, update);
        price = _normalise(question, update);
        // Not after `time`, which is in milliseconds and fits.
        publishedAt = update.publishTime * 1000;
        _needSigned(question, proven);
    }

    /// @dev Publish times are whole seconds, so `time` counts as the second that it lies in.
    function _needFirst(Question memory question, Update memory update) private view {
        uint64 second = question.time / 1000;
        uint64 start = second > lookback ? second - lookback : 0;
        question.need(update.publishTime <= second, Reason.LATER);
        question.need(update.publishTime >= start, Reason.OLD);
        question.need(update.previousPublishTime < start, Reason.NOT_FIRST);
    }

    function _normalise(Question memory question, Update memory update) private view returns (uint256) {
        question.need(update.price > 0, Reason.PRICE);
        // Positive, so the cast keeps its value.
        uint256 price = uint64(update.price);
        question.need(update.confidence * MILLION <= price * maxConfidence, Reason.CONFIDENCE);
        question.need(update.exponent >= -DECIMALS && update.exponent <= DECIMALS, Reason.EXPONENT);
        // The sum is not negative, and 2^63 * 10^36 fits.
        // forge-lint: disable-next-line(unsafe-typecast)
        return price * 10 ** uint32(DECIMALS + update.exponent);
    }

    /// @dev An encoded update has six words, a pair of hashes two: no leaf can pass for an inner node, even hashed
    /// once.
    function _needSigned(Question memory question, Proof memory proven) private view {
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(proven.update))));
        bytes32 root = MerkleProof.processProof(proven.path, leaf);
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(ROOT_TYPEHASH, root)));

        _needQuorum(question, proven.signatures.length);
        address guardian = address(0);
        for (uint256 i = 0; i < proven.signatures.length; ++i) {
            guardian = _nextSigner(question, guardian, digest, proven.signatures[i]);
        }
    }
}
