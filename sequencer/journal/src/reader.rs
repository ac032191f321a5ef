//! Reads on in a journal that somebody writes.

use std::path::{Path, PathBuf};

use xos_types::Logged;

use crate::error::JournalError;
use crate::replay::decode;
use crate::scan::Chain;

/// Commands that are handed over at a time, about.
const BATCH_COMMANDS: usize = 1024;

/// A place in a journal that another one writes. It is kept open, because to find it again is to check everything before it in its
/// segment.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    chain: Chain,
    /// Sequence number of the command that comes next.
    next: u64,
}

impl Reader {
    /// Begins before command `from`; takes no lock and changes nothing.
    ///
    /// # Errors
    /// If there is no journal, or it begins behind `from`.
    pub fn open(dir: impl AsRef<Path>, from: u64) -> Result<Self, JournalError> {
        let (dir, next) = (dir.as_ref().to_owned(), from.max(1));
        let chain = Chain::open(&dir, next, None)?;
        Ok(Self { dir, chain, next })
    }

    /// The next commands, about a thousand at most, and the sequence number of the first; nothing beyond the block that holds
    /// `durable`, which must be on the disk. `None` if there are none yet.
    ///
    /// # Errors
    /// If the journal is damaged, or ends before `durable`.
    pub fn next_batch(&mut self, durable: u64) -> Result<Option<(u64, Vec<Logged>)>, JournalError> {
        let mut commands = Vec::new();
        // What was read ahead may have been zeros then.
        self.chain.forget();
        while self.chain.tip().sequence < durable && commands.len() < BATCH_COMMANDS {
            let block = self.chain.advance_written(&self.dir)?;
            decode(&self.chain, &block, self.next, &mut commands)?;
        }
        if commands.is_empty() {
            return Ok(None);
        }
        let first = self.next;
        self.next += commands.len() as u64;
        Ok(Some((first, commands)))
    }
}
