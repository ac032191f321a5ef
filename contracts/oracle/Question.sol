// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IPriceSource} from "./IPriceSource.sol";

/// @notice What a price source is asked, kept together so that every refusal names it.
struct Question {
    bytes32 feed;
    uint64 time;
}

using {need} for Question global;

/// @notice Refuses the proof unless `holds`.
function need(Question memory question, bool holds, bytes32 reason) pure {
    if (!holds) revert IPriceSource.PriceNotProven(question.feed, question.time, reason);
}

/// @notice Why a proof was refused: the `reason` of `IPriceSource.PriceNotProven`, ASCII padded with zeros.
library Reason {
    /// @notice The source does not know the feed, or the proof speaks of another one.
    bytes32 internal constant FEED = "feed";
    /// @notice The proof is not laid out as the source's documentation says.
    bytes32 internal constant PROOF = "proof";
    /// @notice The price is zero, negative, or too large to be written with 18 decimals.
    bytes32 internal constant PRICE = "price";
    /// @notice The price was published after the time asked for.
    bytes32 internal constant LATER = "later";
    /// @notice The price was published before the time from which this source accepts prices.
    bytes32 internal constant OLD = "old";
    /// @notice Another price came before this one, in time to be the one that counts.
    bytes32 internal constant NOT_FIRST = "not first";

    /// @notice The feed has no such round in the phase that the source is bound to.
    bytes32 internal constant ROUND = "round";
    /// @notice A newer round had replaced this one by the time asked for.
    bytes32 internal constant REPLACED = "replaced";
    /// @notice The time asked for is not over on this chain: a newer round may still be written for it. Ask again
    /// later.
    bytes32 internal constant NOT_OVER = "not over";
    /// @notice The call ran out of gas, so it says nothing. Ask with more.
    bytes32 internal constant GAS = "gas";
    /// @notice The uptime round named is not the one that counts at the time asked for.
    bytes32 internal constant UPTIME = "uptime";
    /// @notice The chain's sequencer was down.
    bytes32 internal constant DOWN = "down";
    /// @notice The chain's sequencer had not been up again for long enough.
    bytes32 internal constant GRACE = "grace";

    /// @notice A signature is malformed, malleable, over something else, or by somebody who is not a signer.
    bytes32 internal constant SIGNER = "signer";
    /// @notice Signers do not come in ascending order of address; a repeated one never does.
    bytes32 internal constant ORDER = "order";
    /// @notice Fewer signers than the quorum.
    bytes32 internal constant QUORUM = "quorum";
    /// @notice The signers speak of times too far from each other.
    bytes32 internal constant SPREAD = "spread";

    /// @notice The publisher's uncertainty is too large a part of the price.
    bytes32 internal constant CONFIDENCE = "confidence";
    /// @notice The exponent is outside of what can be normalised without rounding.
    bytes32 internal constant EXPONENT = "exponent";
}
