//! The append-only, hash-chained log that makes a command durable before anyone hears of it.
//!
//! # The files
//! A journal is a folder of segments, each named by the sequence number of its first command (`…00000042.segment`). A segment
//! is written full of zeros before it is used; then stands in it a header, and blocks from sector to sector (512 bytes).
//! Integers are little-endian.
//!
//! | header | bytes | | block | bytes |
//! |---|---|---|---|---|
//! | magic `XOSJRNL\0` | 8 | | payload length | 4 |
//! | format version, 5 | 4 | | number of commands | 4 |
//! | bytes of the segment | 8 | | sequence number of the first | 8 |
//! | sequence number of the first command | 8 | | hash of the block before (the very first: of magic and group) | 32 |
//! | hash of the block before the first | 32 | | payload: the commands, postcard, one after another | … |
//! | group: chain id, group contract, settlement token, governance | 8, 20, 20, 20 | | zeros up to 32 bytes before a sector ends | … |
//! | the terms that it was created with: sequencer, most holdings, keepers' share, grace | 20, 1, 4, 4 | | blake3 of the above | 32 |
//! | zeros | … | | | |
//! | blake3 of the above | 32 | | | |
//!
//! One block is one group commit: one `write`, one `fdatasync`. It holds whatever was handed over while the one before it was
//! being written, so its size follows the load and nobody waits for a clock. Sequence numbers start at 1 and have no gaps.
//! Blocks are chained to blocks, not to segments: a replica that cuts its segments elsewhere has the same blocks. Reading may
//! begin with any segment; what stands before it is then taken on trust.
//!
//! # What reading does with damage
//! - **A torn tail is dropped.** Bytes behind the last block that are no zeros and no whole, intact block, with no intact block
//!   anywhere behind them, are what a crash in the middle of a write leaves. They are copied to
//!   `dropped-<sequence>-<offset>.bin`, made zeros, logged, and reported by [`Replay::dropped_tail`].
//! - **A last block that has changed is refused.** What of a write did not reach the disk is zeros up to a sector's end. A last
//!   block without such a hole was written whole, so its commands may have been acknowledged: a bit that turned in it is told
//!   from a torn write. (Not if the bit makes its length greater, nor where the hash happens to end with a zero, one time in 256:
//!   then it passes for torn; the copy is there for that case, and a node sees that the chain anchors a later sequence number.)
//! - **A damaged middle is refused.** If an intact block or a segment follows, if an intact block does not continue the chain,
//!   or if a segment is not as long as it was made, nobody can say what was lost: [`JournalError::Damaged`] names the place and
//!   what to do. Nothing is changed. [`repair`] fills the hole from a replica, if the chain fits.
//! - **Another group's journal is refused**, naming both groups.
//!
//! # When the disk refuses
//! The first failed write or sync is the last: what reached the disk is then unknown, so the process must end and open the
//! journal again; going on could acknowledge a command that is not there.
//!
//! A **full disk** is noticed a segment ahead, when no spare one can be made. [`Durability::shortage`] tells; what is left of
//! the current segment is for what must still happen, so the node refuses orders then, but no cancellations. It is asked for
//! again every second.
//!
//! One process writes at a time: an exclusive lock on the file `lock` is held as long as the [`Journal`] lives.

mod block;
mod cut;
mod error;
mod format;
mod offline;
mod reader;
mod replay;
mod retire;
mod scan;
mod segment;
mod shared;
mod stepwise;
mod writer;

pub use block::{Blocks, SealedBlock, blocks};
pub use error::JournalError;
pub use offline::{Repaired, Verified, repair, verify};
pub use reader::Reader;
pub use replay::{Replay, read_only};
pub use retire::{OldSegments, first_command, retire};
pub use scan::{DroppedTail, Tip};
pub use shared::{Durability, Shortage};
pub use stepwise::{Stepwise, Unsynced};
pub use writer::{Journal, Recovery, Settings};

/// Name of the lock file in a journal's directory.
pub const LOCK_FILE: &str = "lock";
