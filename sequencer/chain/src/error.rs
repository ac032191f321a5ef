//! What can go wrong with the chain, and what to do about it.

use std::path::PathBuf;
use std::time::Duration;

use alloy::primitives::{Address, B256, hex};
use alloy::sol_types::{Revert, SolError};

use crate::abi::error_of;

/// An error of the chain side. URLs appear as scheme, host and port only: what follows may be a secret.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The deployment file cannot be used.
    #[error("deployment file {}: {reason} (the deploy script writes it: deploy first, or name the right file)", path.display())]
    Deployment {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A forge script did not do what it should.
    #[error("{script}: {reason}")]
    Script {
        /// Which.
        script: String,
        /// Why.
        reason: String,
    },
    /// Not the URL of an RPC endpoint.
    #[error("not an RPC URL: {reason}; expected something like http://127.0.0.1:8545")]
    BadUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// The endpoint did not answer. Trying again may help.
    #[error("RPC {url} did not answer `{asked}`: {reason}; is the endpoint up and reachable?")]
    Unreachable {
        /// The endpoint.
        url: String,
        /// What it was asked.
        asked: String,
        /// What happened.
        reason: String,
    },
    /// The endpoint answered with an error.
    #[error("RPC {url} refused `{asked}`: {reason}")]
    Rpc {
        /// The endpoint.
        url: String,
        /// What it was asked.
        asked: String,
        /// What it said.
        reason: String,
    },
    /// The contract says no.
    #[error("the contract refuses `{asked}`: {reason}")]
    Refused {
        /// What was asked.
        asked: String,
        /// Its error, decoded.
        reason: String,
    },
    /// A transaction was mined and reverted.
    #[error("`{asked}` was mined in {transaction} and reverted: {reason}")]
    Reverted {
        /// What was asked.
        asked: String,
        /// The transaction.
        transaction: B256,
        /// What the contract says when it is called again.
        reason: String,
    },
    /// A transaction was sent and is not mined.
    #[error("`{asked}` was sent in {transaction} and not mined within {waited:?}; it may still be")]
    NotMined {
        /// What was asked.
        asked: String,
        /// The transaction.
        transaction: B256,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The endpoint serves another chain.
    #[error("RPC {url} serves chain {got}, but the deployment is on chain {expected}; check the RPC URL")]
    WrongChain {
        /// The endpoint.
        url: String,
        /// The deployment's chain.
        expected: u64,
        /// The endpoint's chain.
        got: u64,
    },
    /// The chain knows no such contract.
    #[error("there is no contract at {address} on RPC {url}; was the chain restarted since the deployment?")]
    NoContract {
        /// The endpoint.
        url: String,
        /// Where the group should be.
        address: Address,
    },
    /// The key is not the one that the group obeys.
    #[error("the sequencer key is {got}'s, but the group obeys {expected}; check the key file")]
    WrongSequencer {
        /// The group's sequencer.
        expected: Address,
        /// The key's address.
        got: Address,
    },
    /// An inbox item that cannot be read back to the same bytes.
    #[error("inbox item {index} cannot be decoded: {reason}; the group cannot go on past it")]
    MalformedItem {
        /// Which item.
        index: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// An inbox item that this version cannot apply; what comes after it may depend on it.
    #[error(
        "inbox item {index} {what}, which this version of the sequencer does not know; nothing is skipped, \
         so the group stands still here until a version that knows it takes over"
    )]
    UnservedItem {
        /// Which item.
        index: u64,
        /// What it does.
        what: String,
    },
    /// The endpoint left logs out. Trying again may help.
    #[error("RPC {url} answered up to inbox item {got}, expected {expected}: it left logs out")]
    InboxGap {
        /// The endpoint.
        url: String,
        /// The item (or end) that had to come.
        expected: u64,
        /// What came.
        got: u64,
    },
    /// The log of an item is not what the contract stored.
    #[error(
        "inbox item {index} hashes to {got}, but the contract stored {expected}: the chain was reorganised or the RPC lies"
    )]
    InboxMismatch {
        /// Which item.
        index: u64,
        /// The contract's hash.
        expected: B256,
        /// The hash of what the log says.
        got: B256,
    },
    /// Frames must come without gaps.
    #[error("frame {got} was handed in, but batch {expected} comes next; hand in every frame from {expected} on")]
    FrameGap {
        /// The frame that had to come.
        expected: u64,
        /// The frame that came.
        got: u64,
    },
    /// The chain settled something else under this number.
    #[error(
        "batch {id} on chain is {on_chain}, but this log makes it {ours}: another sequencer is at work, the journal is not \
         this group's, or the chain was reorganised; settlement stops"
    )]
    ForeignBatch {
        /// Which batch.
        id: u64,
        /// Its hash on chain.
        on_chain: B256,
        /// Its hash by our log.
        ours: B256,
    },
    /// The contract would refuse the batch: a bug, or a broken journal.
    #[error("the contract refuses batch {id}: {reason}; settlement stops and nothing is skipped")]
    BatchRefused {
        /// Which batch.
        id: u64,
        /// Its error, decoded.
        reason: String,
    },
    /// The batch does not fit into a transaction.
    #[error("batch {id} needs {needed} gas, more than the {limit} that a transaction may use; settlement stops")]
    BatchTooLarge {
        /// Which batch.
        id: u64,
        /// What it needs.
        needed: u64,
        /// The limit.
        limit: u64,
    },
    /// A receipt without the log that the call must leave.
    #[error("`{asked}` succeeded in {transaction}, but left no `{log}` log; is {group} a risk group?")]
    MissingLog {
        /// What was asked.
        asked: String,
        /// The transaction.
        transaction: B256,
        /// The log.
        log: &'static str,
        /// The contract.
        group: Address,
    },
}

impl ChainError {
    /// Whether the same question may be answered a little later.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::InboxGap { .. })
    }
}

/// A contract's typed error in readable form: its name and arguments, units and numbers as they travel.
#[must_use]
pub fn describe_revert(data: &[u8]) -> String {
    if data.is_empty() {
        return "it reverted without a reason".into();
    }
    if let Some(text) = error_of(data) {
        // `Name(Name { argument: value })` reads better without the wrapping variant.
        return match text.split_once('(') {
            Some((_, inner)) => inner.strip_suffix(')').unwrap_or(inner).to_owned(),
            None => text,
        };
    }
    if let Ok(revert) = Revert::abi_decode(data) {
        return revert.reason;
    }
    if let Ok(panic) = alloy::sol_types::Panic::abi_decode(data) {
        return panic.to_string();
    }
    format!("unknown error 0x{}", hex::encode(data))
}

#[cfg(test)]
mod tests {
    use alloy::primitives::U256;
    use alloy::sol_types::Panic;

    use super::*;
    use crate::abi::Errors0::{NotMember, WindowOver};
    use crate::abi::IGateway::FeeTooLow;
    use crate::abi::IRiskGroup::{InboxOverdue, ZeroAmount};
    use crate::abi::{Errors1 as registrar, Errors2 as group};

    #[test]
    fn reverts_read_as_sentences() {
        let overdue = InboxOverdue { index: 3, queuedAt: 1_000, deadline: 5 };
        assert_eq!(describe_revert(&overdue.abi_encode()), "InboxOverdue { index: 3, queuedAt: 1000, deadline: 5 }");
        assert!(describe_revert(&ZeroAmount {}.abi_encode()).starts_with("ZeroAmount"));
        let fee = FeeTooLow { required: U256::from(7), paid: U256::ZERO };
        assert_eq!(describe_revert(&fee.abi_encode()), "FeeTooLow { required: 7, paid: 0 }");
        // Errors of other contracts than the group's, three of which have the same name.
        assert_eq!(describe_revert(&WindowOver { closed: 9 }.abi_encode()), "WindowOver { closed: 9 }");
        let (registrar, group) =
            (registrar::NotMember { venue: 2, account: 7 }, group::NotMember { account: 7, venue: 2 });
        assert_eq!(describe_revert(&registrar.abi_encode()), "NotMember { venue: 2, account: 7 }");
        assert_eq!(describe_revert(&group.abi_encode()), "NotMember { account: 7, venue: 2 }");
        let committee = NotMember { signer: Address::ZERO }.abi_encode();
        assert!(
            describe_revert(&committee).starts_with("NotMember { signer: 0x0000"),
            "{}",
            describe_revert(&committee)
        );
        assert_eq!(describe_revert(&Revert::from("no").abi_encode()), "no");
        let panic = Panic { code: U256::from(0x11) };
        assert!(describe_revert(&panic.abi_encode()).contains("overflow"), "{}", describe_revert(&panic.abi_encode()));
        assert_eq!(describe_revert(&[]), "it reverted without a reason");
        assert_eq!(describe_revert(&[1, 2, 3, 4]), "unknown error 0x01020304");
    }
}
