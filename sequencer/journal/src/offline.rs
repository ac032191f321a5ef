//! What is done to a journal that no node runs on: checking all of it, and filling holes from a replica.

mod repair;

use std::path::Path;

use xos_types::{Command, GroupConfig, Hash, Logged, TimeMs};

use crate::error::JournalError;
use crate::format::decode_next;
use crate::scan::{Chain, DroppedTail, Next};
use crate::segment::list;

pub use repair::{Repaired, repair};

/// What a check of a whole journal found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whose journal it is.
    pub group: GroupConfig,
    /// Segments that it lies in.
    pub segments: u64,
    /// Group commits.
    pub blocks: u64,
    /// Sequence number of the first command; earlier ones lie somewhere else.
    pub first: u64,
    /// Sequence number of the last command.
    pub last: u64,
    /// Hash of the last block.
    pub hash: Hash,
    /// What a crash left behind it.
    pub dropped_tail: Option<DroppedTail>,
}

/// Reads every byte of a journal and decodes every command. Says now and then how far it is: the last command that is
/// intact. Takes no lock and changes nothing.
///
/// # Errors
/// If there is no journal, or it is damaged.
pub fn verify(dir: impl AsRef<Path>, mut progress: impl FnMut(u64)) -> Result<Verified, JournalError> {
    let dir = dir.as_ref();
    let segments = list(dir)?;
    let Some(oldest) = segments.first() else { return Err(JournalError::Missing { path: dir.to_owned() }) };
    let mut chain = Chain::open(dir, oldest.first, None)?;
    // Each is decoded over the one before.
    let (mut blocks, mut command) = (0, Logged::new(Command::Window { time: TimeMs(0) }));
    let dropped_tail = loop {
        let block = match chain.advance()? {
            Next::Block(block) => block,
            Next::End => break None,
            Next::TornTail(tail) => break Some(tail),
        };
        blocks += 1;
        let mut rest = chain.payload(&block);
        for index in 0..block.head.commands {
            rest = decode_next(rest, index, block.head.commands, |log| command.take_over(log))
                .map_err(|what| chain.damaged(format!("the block before is intact, but {what}")))?;
        }
        progress(block.head.last());
    };
    Ok(Verified {
        group: chain.config(),
        segments: segments.len() as u64,
        blocks,
        first: oldest.first,
        last: chain.tip().sequence,
        hash: chain.tip().hash,
        dropped_tail,
    })
}
