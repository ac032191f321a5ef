//! How far the log has come: its length and its rolling hash.
//!
//! The hash covers the log's bytes in blocks, because hashing 16 KiB at once costs a sixth of hashing it command by command:
//!
//! ```text
//! h₀ = blake3(postcard(config))        hₙ₊₁ = blake3(hₙ ‖ blockₙ)
//! ```
//!
//! where a block is the bytes of consecutive commands. It ends with the command that brings it to [`BLOCK_BYTES`] or more, and
//! before every `Frame`. After any command the log's hash is `blake3(hₙ ‖ bytes of the block so far)`, or `hₙ` if there are
//! none: a function of the log alone, whoever asks and how often.

use serde::{Deserialize, Serialize};
use xos_types::Hash;

/// Bytes at which a block ends. Larger ones would make no command cheaper and the one that ends a block slower; `h ‖ block`
/// then is little more than the 16 chunks that BLAKE3 hashes side by side.
const BLOCK_BYTES: usize = 16 << 10;
const HASH_BYTES: usize = 32;

/// The log up to the last command.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Log {
    sequence: u64,
    /// `hₙ`, and behind it the bytes of the block so far.
    open: Vec<u8>,
}

impl Log {
    /// Before the first command of a group whose encoded configuration this is.
    pub(crate) fn new(config: &[u8]) -> Self {
        let mut open = Vec::with_capacity(2 * BLOCK_BYTES);
        open.extend_from_slice(blake3::hash(config).as_bytes());
        Self { sequence: 0, open }
    }

    /// Number of the last command.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The rolling hash; `O(block)`.
    pub(crate) fn hash(&self) -> Hash {
        match self.open.as_slice().try_into() {
            Ok(hash) => hash,
            Err(_) => *blake3::hash(&self.open).as_bytes(),
        }
    }

    /// Adds a command.
    #[inline]
    pub(crate) fn extend(&mut self, command: &[u8]) {
        self.sequence += 1;
        self.open.extend_from_slice(command);
        if self.open.len() >= HASH_BYTES + BLOCK_BYTES {
            self.end_block();
        }
    }

    /// Ends the block, unless nothing is in it, and returns the hash.
    pub(crate) fn end_block(&mut self) -> Hash {
        let hash = self.hash();
        self.open.clear();
        self.open.extend_from_slice(&hash);
        hash
    }
}
