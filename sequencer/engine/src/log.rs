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
//!
//! A block takes 2.8 µs, for which a dozen commands would wait. Whoever has another core gives the engine a [`HashBlocks`]
//! that takes blocks elsewhere; the hash is the same, and nobody waits for it before it is asked for.

use std::fmt::Debug;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xos_types::Hash;

/// Bytes at which a block ends. Larger ones would make no command cheaper and the one that ends a block slower; `h ‖ block`
/// then is little more than the 16 chunks that BLAKE3 hashes side by side.
const BLOCK_BYTES: usize = 16 << 10;
/// Memory that a block leaves to the next one: that of a frame which opened many accounts is given back.
const KEPT_BYTES: usize = 1 << 20;
const HASH_BYTES: usize = 32;

/// Who hashes an engine's blocks where the engine need not wait.
pub trait HashBlocks: Debug + Send + Sync {
    /// The hash before the next block that is taken.
    fn begin(&mut self, last: Hash);

    /// Takes the next block for [`hash_block`]; gives back a buffer for another one, whatever is in it.
    fn take(&mut self, block: Vec<u8>) -> Vec<u8>;

    /// The hash after all blocks that were taken; waits for it.
    fn last(&self) -> Hash;
}

/// `hₙ₊₁` of a block, and `hₙ`. The block begins with 32 bytes of room for that.
///
/// # Panics
/// If there is no room.
#[must_use]
pub fn hash_block(last: &Hash, block: &mut [u8]) -> Hash {
    block[..HASH_BYTES].copy_from_slice(last);
    *blake3::hash(block).as_bytes()
}

/// The log up to the last command.
#[derive(Debug)]
pub(crate) struct Log {
    sequence: u64,
    /// `hₙ` (while blocks are hashed elsewhere, room for it), and behind it the bytes of the block so far.
    open: Vec<u8>,
    elsewhere: Option<Box<dyn HashBlocks>>,
}

impl Log {
    /// Before the first command of a group whose encoded configuration this is.
    pub(crate) fn new(config: &[u8]) -> Self {
        Self::at(0, blake3::hash(config).as_bytes())
    }

    fn at(sequence: u64, open: &[u8]) -> Self {
        let mut buffer = Vec::with_capacity(2 * BLOCK_BYTES);
        buffer.extend_from_slice(open);
        Self { sequence, open: buffer, elsewhere: None }
    }

    /// Lets blocks be hashed elsewhere from now on.
    pub(crate) fn hash_elsewhere(&mut self, mut elsewhere: Box<dyn HashBlocks>) {
        elsewhere.begin(self.last());
        self.elsewhere = Some(elsewhere);
    }

    /// Number of the last command.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The rolling hash; `O(block)`.
    pub(crate) fn hash(&self) -> Hash {
        if self.open.len() == HASH_BYTES {
            return self.last();
        }
        match self.elsewhere {
            None => *blake3::hash(&self.open).as_bytes(),
            Some(_) => hash_block(&self.last(), &mut self.open.clone()),
        }
    }

    /// Adds a command.
    #[inline]
    pub(crate) fn extend(&mut self, command: &[u8]) {
        self.sequence += 1;
        self.open.extend_from_slice(command);
        if self.open.len() >= HASH_BYTES + BLOCK_BYTES {
            self.turn_over();
        }
    }

    /// Ends the block, unless nothing is in it, and returns the hash.
    pub(crate) fn end_block(&mut self) -> Hash {
        if self.open.len() > HASH_BYTES {
            // Whoever asks waits anyway: less for a part of a block here than for another core.
            let last = self.last();
            let hash = hash_block(&last, &mut self.open);
            self.begin(&hash);
            if let Some(elsewhere) = &mut self.elsewhere {
                elsewhere.begin(hash);
            }
        }
        self.last()
    }

    /// Ends a block of which nobody asks the hash.
    fn turn_over(&mut self) {
        let Some(elsewhere) = &mut self.elsewhere else {
            self.end_block();
            return;
        };
        self.open = elsewhere.take(std::mem::take(&mut self.open));
        self.begin(&[0; HASH_BYTES]);
    }

    /// An empty block behind a hash, or behind room for it.
    fn begin(&mut self, hash: &Hash) {
        if self.open.capacity() > KEPT_BYTES {
            self.open = Vec::new();
        }
        self.open.clear();
        self.open.reserve(2 * BLOCK_BYTES);
        self.open.extend_from_slice(hash);
    }

    /// `hₙ`.
    fn last(&self) -> Hash {
        match &self.elsewhere {
            Some(elsewhere) => elsewhere.last(),
            None => self.open[..HASH_BYTES].try_into().expect("it begins with a hash"),
        }
    }
}

impl Serialize for Log {
    /// The sequence, `hₙ` and the bytes of the block so far.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut open = self.open.clone();
        open[..HASH_BYTES].copy_from_slice(&self.last());
        (self.sequence, open).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Log {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (sequence, open) = <(u64, Vec<u8>)>::deserialize(deserializer)?;
        if open.len() < HASH_BYTES {
            return Err(serde::de::Error::custom("a log begins with a hash"));
        }
        Ok(Self::at(sequence, &open))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Keeps blocks until it is asked.
    #[derive(Debug, Default)]
    struct Later {
        last: Hash,
        blocks: Vec<Vec<u8>>,
    }

    impl HashBlocks for Later {
        fn begin(&mut self, last: Hash) {
            (self.last, self.blocks) = (last, Vec::new());
        }

        fn take(&mut self, block: Vec<u8>) -> Vec<u8> {
            self.blocks.push(block);
            vec![7; 3]
        }

        fn last(&self) -> Hash {
            self.blocks.iter().fold(self.last, |last, block| hash_block(&last, &mut block.clone()))
        }
    }

    proptest! {
        #[test]
        fn the_hash_is_the_same_wherever_it_is_reckoned(
            commands in prop::collection::vec((any::<u8>(), 1usize..9_000, 0u8..10), 0..40),
            from in 0usize..40,
        ) {
            let (mut here, mut elsewhere) = (Log::new(b"group"), Log::new(b"group"));
            for (count, (byte, length, what)) in commands.into_iter().enumerate() {
                if count == from {
                    elsewhere.hash_elsewhere(Box::<Later>::default());
                }
                let command = vec![byte; length];
                here.extend(&command);
                elsewhere.extend(&command);
                match what {
                    0 => prop_assert_eq!(here.end_block(), elsewhere.end_block()),
                    1 => {
                        let bytes = postcard::to_allocvec(&elsewhere).unwrap();
                        prop_assert_eq!(&postcard::to_allocvec(&here).unwrap(), &bytes);
                        let again: Log = postcard::from_bytes(&bytes).unwrap();
                        prop_assert_eq!(again.hash(), here.hash());
                    }
                    _ => prop_assert_eq!(here.hash(), elsewhere.hash()),
                }
            }
            prop_assert_eq!(here.end_block(), elsewhere.end_block());
            prop_assert_eq!(here.end_block(), here.hash());
        }
    }
}
