//! The journal's blocks on a replicated log: one leader writes, standbys follow and take over.
//!
//! # What stands in the log
//! One log for each group, in practice a NATS JetStream stream with three replicas ([`JetStream`]). Its messages are
//! numbered by the log from 1 on. A message is a **block** of the leader's journal, byte by byte, or an **epoch record**, with which a
//! node takes the lead. Integers are little-endian.
//!
//! | block | bytes | | epoch record | bytes |
//! |---|---|---|---|---|
//! | 1 | 1 | | 2 | 1 |
//! | epoch of the leader | 8 | | epoch that begins | 8 |
//! | first half of blake3 of the 9 bytes above and the block's hash | 16 | | first half of blake3 of all the rest | 16 |
//! | the block (its own hash at its end) | … | | node that leads: random, new with each start | 16 |
//! | | | | last command before, hash of its block | 8, 32 |
//!
//! # Why nobody is told what may be lost
//! A leader appends with the number of the message that must be the last one so far; the log refuses any other. So whoever
//! appends an epoch record has read everything before it, and whoever led until then cannot append any more: its next
//! append names a message that is no longer the last. (One block is on its way at a time, or a second one could name the number
//! that the epoch record took.) Since a command counts as durable only when the local disk *and* the log
//! have its block, a leader that was replaced, paused, or cut off tells nobody anything, however long it goes on believing.
//! Clocks play no part in this; a lease only says when a standby tries.
//!
//! # What is not left to the log
//! JetStream has lost acknowledged messages in published tests. So every message is checked when it is read (hash, and that it
//! continues the chain), and a log that ends before the leader's journal does is refilled from the journal.

mod join;
mod log;
mod message;
mod nats;
mod publisher;
mod standby;

pub use join::{Joined, Standing, join};
pub use log::{Ack, AppendError, Beats, Log, LogError, Messages};
pub use message::{Beat, EpochRecord, Message, NodeId};
pub use nats::{JetStream, JetStreamConfig};
pub use publisher::{Leadership, LocalBlocks, Publisher, Refill};
pub use standby::{News, Standby};

/// Most bytes of a block's commands that the servers' usual limit of a megabyte a message has room for.
pub const BLOCK_BYTES: usize = 512 << 10;

/// Why replication cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplicaError {
    /// Another node took the lead. Whatever was not durable by then has not happened.
    #[error(
        "another node leads since epoch {epoch}: this one can tell nobody anything any more, and told nobody what is not in the log"
    )]
    Deposed {
        /// The epoch that began.
        epoch: u64,
    },
    /// A message is damaged, or does not continue what came before.
    #[error("message {number} of the log {what}")]
    BadMessage {
        /// Its number.
        number: u64,
        /// What is wrong with it.
        what: String,
    },
    /// What this node knows to be durable is not what the log holds.
    #[error("{0}")]
    Diverged(String),
    /// The local journal cannot be read.
    #[error("the journal cannot be read for the log: {0}")]
    Journal(String),
    /// The log cannot be used at all.
    #[error(transparent)]
    Log(#[from] LogError),
}
