//! The append-only, hash-chained log that makes a command durable before anyone hears of it.
//!
//! # The file
//! `journal.log` is a header and then blocks; integers are little-endian.
//!
//! | header | bytes | | block | bytes |
//! |---|---|---|---|---|
//! | magic `XOSJRNL\0` | 8 | | payload length | 4 |
//! | format version, 4 | 4 | | number of commands | 4 |
//! | chain id | 8 | | sequence number of the first | 8 |
//! | group contract | 20 | | hash of the block before (first block: of the header) | 32 |
//! | settlement token | 20 | | payload: the commands, postcard, one after another | … |
//! | governance | 20 | | blake3 of the above | 32 |
//! | the terms that the group was created with: sequencer, most holdings, keepers' share, grace | 20, 1, 4, 4 | | | |
//! | blake3 of the above | 32 | | | |
//!
//! One block holds one ingress window of commands in execution order, and is one group commit: one `write`, one
//! `fdatasync`. Sequence numbers start at 1 and have no gaps.
//!
//! # What opening does with damage
//! - **A torn tail is dropped.** Bytes at the end that are no whole, intact block, with no intact block anywhere behind
//!   them, are what a crash in the middle of a write leaves. They are copied to `dropped-<offset>.bin`, cut off, logged, and
//!   reported by [`Replay::dropped_tail`]. A flipped bit in the very last block looks the same and is treated the same; the
//!   copy is there for that case, and a node sees that the chain anchors a later sequence number than its log holds.
//! - **A damaged middle is refused.** If an intact block follows, or an intact block does not continue the chain, nobody
//!   can say what was lost: [`JournalError::Damaged`] names the offset and what to do. Nothing is changed.
//! - **Another group's journal is refused**, naming both groups.
//!
//! One process writes at a time: an exclusive lock on the file `lock` is held as long as the [`Journal`] lives.
//!
//! The first failed write or sync poisons the journal. What reached the disk is then unknown, so the process must end and
//! reopen it; going on could acknowledge a command that is not there.

mod error;
mod format;
mod replay;
mod scan;
mod writer;

pub use error::JournalError;
pub use format::PAYLOAD_BYTES_MAX;
pub use replay::{Replay, read_only};
pub use scan::DroppedTail;
pub use writer::Journal;

/// Name of the log inside a journal's directory.
pub const LOG_FILE: &str = "journal.log";
/// Name of the lock file beside it.
pub const LOCK_FILE: &str = "lock";
