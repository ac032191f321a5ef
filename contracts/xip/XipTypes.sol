// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice An X Layer Improvement Proposal's number: one sequence, from 1, for all of them.
type XipNumber is uint64;

/// @notice How far a XIP has come.
enum XipStatus {
    /// There is no such XIP.
    None,
    /// Numbered and public; its author has put down no deposit yet.
    Draft,
    /// Announced: who votes on it, or who has to react to it, has time to read it.
    Review,
    /// Stake is voting.
    Voting,
    /// Decided; it waits for its delay, then anyone executes it.
    Queued,
    Executed,
    /// Voted down, or stopped.
    Rejected,
    /// Taken back by its author.
    Withdrawn,
    /// Nobody went on with it in time.
    Expired
}

/// @notice Which procedure a Standards XIP goes through: from rapid response to thorough deliberation.
enum Category {
    /// Stops new risk, for a bounded time.
    Emergency,
    /// Keys and lists.
    Fast,
    /// What touches others.
    Standard,
    /// The rules themselves.
    Constitutional
}

/// @notice A category's procedure. Times are in seconds, shares in parts per million.
/// @param threshold Share of all stake that an author must have votes of.
/// @param quorum Share of all stake that must vote for or abstain.
/// @param approval Share of the votes for and against that must be exceeded by those for.
/// @param deposit What an author puts down, in wei of wrapped OKB.
/// @param review From submission to the snapshot of votes.
/// @param voting From there to the end of the vote, longer if the quorum is reached late.
/// @param delay From queueing to execution.
struct Procedure {
    uint24 threshold;
    uint24 quorum;
    uint24 approval;
    uint88 deposit;
    uint32 review;
    uint32 voting;
    uint32 delay;
}
