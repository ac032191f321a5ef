//! Blocks as they are, for whoever carries them to another journal.

use std::path::Path;

use bytes::Bytes;
use xos_types::{GroupConfig, Hash, Logged};

use crate::error::JournalError;
use crate::format::{BLOCK_HEAD_BYTES, BlockHead, HASH_BYTES, decode_commands};
use crate::scan::{Chain, Next, Tip};

/// A whole, intact block: one group commit, in the bytes that stand in every journal which holds it. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBlock {
    bytes: Bytes,
    head: BlockHead,
    hash: Hash,
}

impl SealedBlock {
    /// Reads a block that came from elsewhere. Its hash is checked, and that nothing follows it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: Bytes) -> Result<Self, String> {
        let head = bytes.first_chunk::<BLOCK_HEAD_BYTES>().ok_or("it is too short for a block")?;
        let head = BlockHead::decode(head);
        if !head.is_plausible() || head.block_bytes() != bytes.len() as u64 {
            return Err(format!("its {} bytes are no block", bytes.len()));
        }
        let (hashed, written) = bytes.split_at(bytes.len() - HASH_BYTES);
        let hash = *blake3::hash(hashed).as_bytes();
        if hash != *written {
            return Err("its hash does not match".to_owned());
        }
        Ok(Self { bytes, head, hash })
    }

    /// A copy of a block that is known to be one.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let head = BlockHead::decode(bytes.first_chunk().expect("a block begins with its head"));
        let hash = *bytes.last_chunk().expect("a block ends with its hash");
        Self { bytes: Bytes::copy_from_slice(bytes), head, hash }
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Sequence number of its first command.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.head.first
    }

    /// Where the chain stands before it.
    #[must_use]
    pub fn before(&self) -> Tip {
        self.head.before()
    }

    /// Where the chain stands behind it.
    #[must_use]
    pub fn tip(&self) -> Tip {
        Tip { sequence: self.head.last(), hash: self.hash }
    }

    /// Its commands, in order.
    ///
    /// # Errors
    /// If they are not of this version.
    pub fn commands(&self) -> Result<Vec<Logged>, String> {
        let payload = &self.bytes[BLOCK_HEAD_BYTES..][..self.head.payload_bytes as usize];
        // Whoever sent it may have claimed more commands than there is memory for.
        let mut commands = Vec::new();
        decode_commands(payload, self.head.commands, &mut commands)?;
        Ok(commands)
    }
}

/// A journal's blocks, in order, checked as they are read.
#[derive(Debug)]
pub struct Blocks {
    chain: Chain,
    from: u64,
    ended: bool,
}

/// The blocks of a journal from the one that holds command `from` on. It takes no lock; what a running node is just writing is
/// left out.
///
/// # Errors
/// If there is no such journal, or it begins later.
pub fn blocks(dir: impl AsRef<Path>, group: &GroupConfig, from: u64) -> Result<Blocks, JournalError> {
    let from = from.max(1);
    Ok(Blocks { chain: Chain::open(dir.as_ref(), from, Some(group))?, from, ended: false })
}

impl Iterator for Blocks {
    type Item = Result<SealedBlock, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.chain.advance() {
                Ok(Next::Block(block)) if block.head.last() < self.from => {}
                Ok(Next::Block(block)) => return Some(Ok(SealedBlock::of(self.chain.bytes(&block)))),
                Ok(Next::End | Next::TornTail(_)) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
