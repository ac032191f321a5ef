//! The writer without its threads: each step is called by somebody who may stop between two of them, as a crash does.
//!
//! It is the same writer on the same files. The simulation drives it, so that it can say of every byte whether a crash would
//! have kept it, and so that the disk takes as long, and has as much room, as its story wants.

use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;

use xos_types::Logged;

use crate::block::SealedBlock;
use crate::error::JournalError;
use crate::format::{OpenBlock, payload_max};
use crate::segment::prepare_spare;
use crate::shared::Durability;
use crate::writer::{Recovery, Writer};

/// A journal that is written step by step. Dropping it writes nothing.
pub struct Stepwise {
    writer: Writer,
    /// Handed over, and in no block yet.
    waiting: VecDeque<Logged>,
    /// Blocks of another journal; they come first.
    sealed: VecDeque<SealedBlock>,
    handed_over: u64,
    payload_max: usize,
    /// Most bytes of a block of several.
    block_bytes: usize,
    /// Why no further segment can be made, if so.
    no_room: Option<String>,
    /// Whether the next sync fails.
    sync_fails: bool,
    _lock: File,
}

/// What a crash in this moment may lose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsynced {
    /// The segment.
    pub path: PathBuf,
    /// Its bytes that were written and not synced; zeros stood there before.
    pub bytes: Range<u64>,
}

impl Recovery {
    /// As [`Self::resume`], for somebody who takes every step himself.
    ///
    /// # Errors
    /// As there.
    pub fn step_by_step(self) -> Result<Stepwise, JournalError> {
        let block_bytes = self.block_bytes();
        let (writer, lock) = self.writer()?;
        let (handed_over, payload_max) = (writer.tip.sequence, payload_max(writer.segment_bytes));
        let (waiting, sealed) = (VecDeque::new(), VecDeque::new());
        let mut journal = Stepwise {
            writer,
            waiting,
            sealed,
            handed_over,
            payload_max,
            block_bytes,
            no_room: None,
            sync_fails: false,
            _lock: lock,
        };
        journal.prepare();
        Ok(journal)
    }
}

impl Stepwise {
    /// Hands commands over, as [`crate::Journal::append`] does.
    ///
    /// # Errors
    /// If no block has room for one of them; then nothing was handed over.
    pub fn append(&mut self, commands: &[Logged]) -> Result<u64, JournalError> {
        let too_large = commands.iter().map(|command| command.bytes().len()).find(|bytes| *bytes > self.payload_max);
        if let Some(bytes) = too_large {
            return Err(JournalError::CommandTooLarge { bytes, limit: self.payload_max });
        }
        self.waiting.extend(commands.iter().cloned());
        self.handed_over += commands.len() as u64;
        Ok(self.handed_over)
    }

    /// Hands over a block of another journal, as [`crate::Journal::append_block`] does.
    pub fn append_block(&mut self, block: SealedBlock) -> u64 {
        self.handed_over = block.tip().sequence;
        self.writer.shared.comes_from_replica(self.handed_over);
        self.sealed.push_back(block);
        self.handed_over
    }

    /// Offers blocks to a replica from now on, as [`crate::Journal::replicate`] does.
    pub fn replicate(&mut self, offer: impl FnMut(SealedBlock) + Send + 'static) {
        self.writer.shared.replicate(Box::new(offer), self.handed_over);
    }

    /// Holds back what a replica does not have, as [`crate::Journal::hold_back`] does.
    pub fn hold_back(&self, confirmed: u64) {
        self.writer.shared.hold_back(confirmed);
    }

    /// Sequence number of the last command that was handed over; 0 if there is none.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        self.handed_over
    }

    /// How far the disk has come.
    #[must_use]
    pub fn durability(&self) -> Durability {
        Durability(self.writer.shared.clone())
    }

    /// Writes what was handed over as one block, or as much of it as one block takes; false if there was nothing.
    ///
    /// # Errors
    /// If the disk is full, or refuses. The journal must be opened again then.
    pub fn write(&mut self) -> Result<bool, JournalError> {
        let segment = self.writer.path.clone();
        let written = self.write_some();
        if written.is_err() || segment != self.writer.path {
            self.prepare();
        }
        written
    }

    fn write_some(&mut self) -> Result<bool, JournalError> {
        self.writer.shared.take_offer(&mut self.writer.offer);
        if !self.sealed.is_empty() {
            while let Some(block) = self.sealed.pop_front() {
                self.writer.copy(VecDeque::from([block]))?;
                // Nobody else makes the segment that the next block may need.
                self.prepare();
            }
            return Ok(true);
        }
        let mut block = OpenBlock::new();
        let limit = self.payload_max.min(self.block_bytes);
        while let Some(command) = self.waiting.front()
            && (block.is_empty() || block.payload_bytes() + command.bytes().len() <= limit)
        {
            block.push(command);
            self.waiting.pop_front();
        }
        if block.is_empty() { Ok(false) } else { self.writer.write(&mut block).map(|()| true) }
    }

    /// Makes durable what was written.
    ///
    /// # Errors
    /// If the disk refuses. The journal must be opened again then.
    pub fn commit(&mut self) -> Result<(), JournalError> {
        let synced = if std::mem::take(&mut self.sync_fails) {
            let refused = std::io::Error::other("input/output error");
            Err(JournalError::io("cannot append to", &self.writer.path)(refused))
        } else {
            self.writer.commit()
        };
        // As the writing thread does: from here on nothing counts as durable.
        synced.inspect_err(|error| self.writer.shared.fail(error.to_string()))
    }

    /// Lets the next sync fail. What was written may be on the disk then, or not.
    pub fn fail_sync(&mut self) {
        self.sync_fails = true;
    }

    /// Lets the disk be full, for that reason, or have room.
    pub fn set_room(&mut self, no_room: Option<String>) {
        self.no_room = no_room;
        self.prepare();
    }

    /// What a crash may lose now.
    #[must_use]
    pub fn unsynced(&self) -> Option<Unsynced> {
        let bytes = self.writer.synced..self.writer.offset;
        (!bytes.is_empty()).then(|| Unsynced { path: self.writer.path.clone(), bytes })
    }

    /// What the preparing thread does: makes a spare segment, or says that there is no room for one.
    fn prepare(&mut self) {
        let shared = &self.writer.shared;
        if shared.has_spare() {
            return;
        }
        let made = match &self.no_room {
            Some(why) => Err(why.clone()),
            None => prepare_spare(&shared.dir, self.writer.segment_bytes, || true)
                .map(drop)
                .map_err(|error| error.to_string()),
        };
        shared.set_spare(made);
    }
}
