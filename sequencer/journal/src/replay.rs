//! Commands of a journal, in order. A thread of its own reads and checks. Whoever applies commands decodes them, a few at a time and
//! over those that he is done with: what another core has decoded comes dearer than to decode it.

use core::fmt::Display;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use xos_types::{GroupConfig, Logged};

use crate::error::JournalError;
use crate::format::{decode_commands, decode_next};
use crate::scan::{Block, Chain, DroppedTail, Next};

/// Commands that are decoded together at most: few, so that they are still near when they are applied.
const BATCH_COMMANDS: usize = 128;
/// Bytes that are handed over at a time: so many, or a block.
const SLAB_BYTES: usize = 256 << 10;
/// Slabs that are read ahead of who decodes them.
const SLABS_AHEAD: usize = 4;

/// Iterates over `(sequence, command)`, checking hashes and chain as it reads; whoever is in a hurry takes them by
/// [batches](Self::next_batch). It ends where the journal ends, or with the first error. [`Self::dropped_tail`] and [`Self::last_sequence`] are known behind the last command.
#[derive(Debug)]
pub struct Replay {
    source: Source,
    slab: Slab,
    /// Where batches are decoded, each over the one before.
    batch: Vec<Logged>,
    /// Sequence number of the command that comes next.
    next: u64,
    config: GroupConfig,
}

#[derive(Debug)]
enum Source {
    /// Nothing was asked for yet.
    Unread(Box<Chain>),
    /// A thread reads ahead. It gets slabs back that are done with.
    Reading { messages: Receiver<Message>, spent: Sender<Slab> },
    /// Everything was read.
    Ended(Box<Ended>),
    /// An error came.
    Failed,
}

/// Where a journal ends.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) chain: Chain,
    pub(crate) dropped: Option<DroppedTail>,
}

enum Message {
    Slab(Slab),
    Ended(Box<Ended>),
    Failed(JournalError),
}

/// What blocks hold that follow one another, and how far it is decoded.
#[derive(Debug, Default)]
struct Slab {
    bytes: Vec<u8>,
    /// Where in there the next command begins.
    position: usize,
    /// Blocks of which commands are left.
    blocks: VecDeque<Rest>,
}

/// What is left of a block.
#[derive(Debug)]
struct Rest {
    /// Where its commands end in the slab.
    end: usize,
    /// Which command is next, of how many.
    index: u32,
    commands: u32,
    /// Where it stands: its segment, and where that goes on behind it.
    segment: Arc<Path>,
    behind: u64,
}

impl Slab {
    /// Adds the commands of a block from `from` on.
    fn push(&mut self, chain: &Chain, block: &Block, from: u64, segment: &Arc<Path>) -> Result<(), JournalError> {
        if block.head.last() < from {
            return Ok(());
        }
        let commands = block.head.commands;
        let early = u32::try_from(from.saturating_sub(block.head.first)).unwrap_or(u32::MAX);
        let mut rest = chain.payload(block);
        for index in 0..early {
            rest = decode_next(rest, index, commands, |log| Logged::take_from(log).map(|(_, rest)| rest))
                .map_err(|what| chain.damaged(of_another_version(&what)))?;
        }
        self.bytes.extend_from_slice(rest);
        let (segment, behind) = (Arc::clone(segment), chain.end().1);
        self.blocks.push_back(Rest { end: self.bytes.len(), index: early, commands, segment, behind });
        Ok(())
    }

    fn has_more(&self) -> bool {
        !self.blocks.is_empty()
    }

    /// Makes it as if nothing had ever been in it, and keeps its memory.
    fn clear(&mut self) {
        self.bytes.clear();
        self.position = 0;
        self.blocks.clear();
    }

    /// Decodes the next commands of a block, at most so many: `decode` is told how many it has decoded already. How many; those before
    /// one that cannot be decoded come without an error, which the next call returns.
    fn decode<E: Display>(
        &mut self,
        next: u64,
        most: usize,
        mut decode: impl for<'a> FnMut(usize, &'a [u8]) -> Result<&'a [u8], E>,
    ) -> Result<usize, JournalError> {
        let Some(block) = self.blocks.front_mut() else { return Ok(0) };
        let mut rest = &self.bytes[self.position..block.end];
        let mut done = 0;
        while done < most && block.index < block.commands {
            match decode_next(rest, block.index, block.commands, |log| decode(done, log)) {
                Ok(after) => rest = after,
                Err(_) if done > 0 => break,
                Err(what) => {
                    let (path, what) = (block.segment.to_path_buf(), of_another_version(&what));
                    let sequence = next + u64::from(block.commands - block.index);
                    return Err(JournalError::Damaged { path, offset: block.behind, sequence, what });
                }
            }
            (done, block.index) = (done + 1, block.index + 1);
        }
        self.position = block.end - rest.len();
        if block.index == block.commands {
            self.blocks.pop_front();
        }
        Ok(done)
    }
}

fn of_another_version(what: &str) -> String {
    format!("the block before is intact, but {what}; was it written by another version?")
}

impl Replay {
    /// The commands from `from` on.
    pub(crate) fn open(dir: &Path, from: u64, expected: Option<&GroupConfig>) -> Result<Self, JournalError> {
        let chain = Chain::open(dir, from, expected)?;
        let config = chain.config();
        Ok(Self {
            source: Source::Unread(Box::new(chain)),
            slab: Slab::default(),
            batch: Vec::new(),
            next: from,
            config,
        })
    }

    /// Whose journal it is.
    #[must_use]
    pub fn group(&self) -> GroupConfig {
        self.config
    }

    /// Sequence number of the last command that was read so far; 0 if there is none.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        match &self.source {
            Source::Ended(ended) => ended.chain.tip().sequence,
            _ => self.next.saturating_sub(1),
        }
    }

    /// What was not a whole block at the end, and is not part of the journal.
    #[must_use]
    pub fn dropped_tail(&self) -> Option<DroppedTail> {
        match &self.source {
            Source::Ended(ended) => ended.dropped,
            _ => None,
        }
    }

    /// The next commands, and the sequence number of the first.
    ///
    /// # Errors
    /// If the journal is damaged; then nothing follows.
    pub fn next_batch(&mut self) -> Result<Option<(u64, &[Logged])>, JournalError> {
        let (first, mut filled) = (self.next, 0);
        while filled < BATCH_COMMANDS && (self.slab.has_more() || (filled == 0 && self.more()?)) {
            let batch = &mut self.batch;
            let decoded = self.slab.decode(self.next, BATCH_COMMANDS - filled, |done, log| {
                if let Some(done_with) = batch.get_mut(filled + done) {
                    return done_with.take_over(log);
                }
                Logged::take_from(log).map(|(command, rest)| {
                    batch.push(command);
                    rest
                })
            });
            match decoded {
                Ok(count) => filled += count,
                Err(_) if filled > 0 => break,
                Err(error) => return Err(self.failed(error)),
            }
            self.next = first + filled as u64;
        }
        Ok((filled > 0).then(|| (first, &self.batch[..filled])))
    }

    /// Reads the rest, if there is one, without decoding it.
    pub(crate) fn finish(mut self) -> Result<Ended, JournalError> {
        if let Source::Unread(mut chain) = self.source {
            let dropped = loop {
                match chain.advance()? {
                    Next::Block(_) => {}
                    Next::End => break None,
                    Next::TornTail(tail) => break Some(tail),
                }
            };
            return Ok(Ended { chain: *chain, dropped });
        }
        for command in self.by_ref() {
            command?;
        }
        match self.source {
            Source::Ended(ended) => Ok(*ended),
            _ => Err(JournalError::Failed { cause: "it could not be read to its end".to_owned() }),
        }
    }

    /// Starts the thread, unless it was.
    fn start(&mut self) -> Result<(), JournalError> {
        if !matches!(self.source, Source::Unread(_)) {
            return Ok(());
        }
        let Source::Unread(chain) = std::mem::replace(&mut self.source, Source::Failed) else { return Ok(()) };
        let (sender, messages) = sync_channel(SLABS_AHEAD);
        let (spent, given_back) = channel();
        let (from, dir) = (self.next, chain.end().0.path.clone());
        std::thread::Builder::new()
            .name("journal reader".to_owned())
            .spawn(move || read(*chain, from, &sender, &given_back))
            .map_err(JournalError::io("cannot start a thread to read", &dir))?;
        self.source = Source::Reading { messages, spent };
        Ok(())
    }

    /// Gets more blocks, if there are more.
    fn more(&mut self) -> Result<bool, JournalError> {
        self.start()?;
        let Source::Reading { messages, spent } = &self.source else { return Ok(false) };
        match messages.recv() {
            Ok(Message::Slab(slab)) => {
                // If it has read everything there is nobody to take it.
                let _ = spent.send(std::mem::replace(&mut self.slab, slab));
                Ok(true)
            }
            Ok(Message::Ended(ended)) => {
                self.source = Source::Ended(ended);
                Ok(false)
            }
            Ok(Message::Failed(error)) => {
                self.source = Source::Failed;
                Err(error)
            }
            Err(_) => {
                self.source = Source::Failed;
                Err(JournalError::Failed { cause: "the thread that reads it panicked".to_owned() })
            }
        }
    }

    /// Nothing follows an error.
    fn failed(&mut self, error: JournalError) -> JournalError {
        (self.source, self.slab) = (Source::Failed, Slab::default());
        error
    }
}

impl Iterator for Replay {
    type Item = Result<(u64, Logged), JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.slab.has_more() {
                let mut taken = None;
                let decoded = self.slab.decode(self.next, 1, |_, log| {
                    Logged::take_from(log).map(|(command, rest)| {
                        taken = Some(command);
                        rest
                    })
                });
                if let Err(error) = decoded {
                    return Some(Err(self.failed(error)));
                }
                let sequence = self.next;
                self.next += 1;
                return taken.map(|command| Ok((sequence, command)));
            }
            match self.more() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Reads to the end, or until nobody listens.
fn read(mut chain: Chain, from: u64, sender: &SyncSender<Message>, spent: &Receiver<Slab>) {
    let mut slab = Slab::default();
    let mut segment = Arc::from(chain.end().0.path.as_path());
    let last = loop {
        let block = match chain.advance() {
            Ok(Next::Block(block)) => block,
            Ok(Next::End) => break Message::Ended(Box::new(Ended { chain, dropped: None })),
            Ok(Next::TornTail(tail)) => break Message::Ended(Box::new(Ended { chain, dropped: Some(tail) })),
            Err(error) => break Message::Failed(error),
        };
        if *segment != *chain.end().0.path {
            segment = Arc::from(chain.end().0.path.as_path());
        }
        if let Err(error) = slab.push(&chain, &block, from, &segment) {
            break Message::Failed(error);
        }
        if slab.bytes.len() >= SLAB_BYTES {
            let mut empty = spent.try_recv().unwrap_or_default();
            empty.clear();
            if sender.send(Message::Slab(std::mem::replace(&mut slab, empty))).is_err() {
                return;
            }
        }
    };
    // If nobody listens, nobody wants to know.
    let _ = sender.send(Message::Slab(slab)).and_then(|()| sender.send(last));
}

/// Adds the commands of a block from `from` on to `commands`.
pub(crate) fn decode(chain: &Chain, block: &Block, from: u64, commands: &mut Vec<Logged>) -> Result<(), JournalError> {
    if block.head.last() < from {
        return Ok(());
    }
    let before = commands.len();
    decode_commands(chain.payload(block), block.head.commands, commands)
        .map_err(|what| chain.damaged(of_another_version(&what)))?;
    let early = usize::try_from(from.saturating_sub(block.head.first)).unwrap_or(usize::MAX);
    commands.drain(before..before + early);
    Ok(())
}

/// Reads a journal from command `from` on, for an audit: takes no lock and changes nothing. The tail that a running node is
/// just writing may show as torn; it is left out. What stands before the segment that holds `from` is taken on trust.
///
/// # Errors
/// If there is no journal, or it begins behind `from`.
pub fn read_only(dir: impl AsRef<Path>, from: u64) -> Result<Replay, JournalError> {
    Replay::open(dir.as_ref(), from.max(1), None)
}
