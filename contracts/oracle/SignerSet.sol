// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Question, Reason} from "./Question.sol";

/// @title Signers who are believed when enough of them say so
/// @notice Set at construction for good. Other signers are another deployment, which a market moves to through its
/// group's inbox, so that no frame that was sealed under the old ones becomes invalid.
abstract contract SignerSet {
    /// @notice Signers must come in strictly ascending order, which also rules out repeated ones and the zero address.
    error SignersNotAscending(address previous, address signer);
    /// @notice A quorum must be more than half of the signers and not more than all of them.
    /// @dev So two quorums always have a signer in common, and while fewer than half of a quorum lie, the median of one
    /// lies between two prices that honest signers gave.
    error QuorumOutOfBounds(uint256 quorum, uint256 signers);

    /// @notice How many signers must agree.
    uint256 public immutable quorum;

    /// @notice Whether `signer` is one of the set. Written by the constructor only.
    mapping(address signer => bool) public isSigner;

    /// @param signers Who may sign, in ascending order.
    /// @param quorum_ How many of them a proof needs.
    constructor(address[] memory signers, uint256 quorum_) {
        if (quorum_ > signers.length || quorum_ * 2 <= signers.length) {
            revert QuorumOutOfBounds(quorum_, signers.length);
        }
        address previous = address(0);
        for (uint256 i = 0; i < signers.length; ++i) {
            if (signers[i] <= previous) revert SignersNotAscending(previous, signers[i]);
            previous = signers[i];
            isSigner[previous] = true;
        }
        quorum = quorum_;
    }

    /// @dev Refuses a number of signatures below the quorum. More need no bound: unique signers run out.
    function _needQuorum(Question memory question, uint256 signatures) internal view {
        question.need(signatures >= quorum, Reason.QUORUM);
    }

    /// @dev Who signed `digest`. Refused unless it is one of the set who comes after `previous`: ascending order makes
    /// signers unique without remembering them. A malleable signature (high `s`) recovers to the zero address, which is
    /// not in the set.
    function _nextSigner(Question memory question, address previous, bytes32 digest, bytes memory signature)
        internal
        view
        returns (address signer)
    {
        (signer,,) = ECDSA.tryRecover(digest, signature);
        question.need(isSigner[signer], Reason.SIGNER);
        question.need(signer > previous, Reason.ORDER);
    }
}
