//! Commands of a journal, in order. A thread of its own reads, checks and decodes, so that whoever applies them does
//! nothing else.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use xos_types::{GroupConfig, Logged};

use crate::batch::Batch;
use crate::error::JournalError;
use crate::format::decode_commands;
use crate::scan::{Block, Chain, DroppedTail, Next};

/// Commands that are handed over at a time, about.
const BATCH_COMMANDS: usize = 4096;
/// Batches that are decoded ahead of who applies them.
const BATCHES_AHEAD: usize = 4;

/// Iterates over `(sequence, command)`, checking hashes and chain as it reads; whoever is in a hurry takes them by
/// [batches](Self::next_batch). It ends where the journal ends, or with the first error. [`Self::dropped_tail`] and [`Self::last_sequence`] are known behind the last command.
#[derive(Debug)]
pub struct Replay {
    source: Source,
    batch: std::vec::IntoIter<Logged>,
    /// Sequence number of the command that comes next.
    next: u64,
    config: GroupConfig,
}

#[derive(Debug)]
enum Source {
    /// Nothing was asked for yet.
    Unread(Box<Chain>),
    /// A thread reads ahead. It gets batches back that are done with: memory is given back best by who asked for it.
    Reading { messages: Receiver<Message>, spent: Sender<Vec<Logged>> },
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
    Commands(Vec<Logged>),
    Ended(Box<Ended>),
    Failed(JournalError),
}

impl Replay {
    /// The commands from `from` on.
    pub(crate) fn open(dir: &Path, from: u64, expected: Option<&GroupConfig>) -> Result<Self, JournalError> {
        let chain = Chain::open(dir, from, expected)?;
        let config = chain.config();
        Ok(Self { source: Source::Unread(Box::new(chain)), batch: Vec::new().into_iter(), next: from, config })
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

    /// The next commands, some thousand of them, and the sequence number of the first. Hand them back with [`Self::give_back`].
    ///
    /// # Errors
    /// If the journal is damaged; then nothing follows.
    pub fn next_batch(&mut self) -> Result<Option<(u64, Vec<Logged>)>, JournalError> {
        while self.batch.as_slice().is_empty() {
            if !self.more()? {
                return Ok(None);
            }
        }
        let (first, batch) = (self.next, std::mem::take(&mut self.batch).collect::<Vec<_>>());
        self.next += batch.len() as u64;
        Ok(Some((first, batch)))
    }

    /// A batch is done with.
    pub fn give_back(&mut self, batch: Vec<Logged>) {
        if let Source::Reading { spent, .. } = &self.source {
            // If it has read everything there is nobody to take it.
            let _ = spent.send(batch);
        }
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

    fn start(&mut self) -> Result<(), JournalError> {
        let Source::Unread(chain) = std::mem::replace(&mut self.source, Source::Failed) else { return Ok(()) };
        let (sender, messages) = sync_channel(BATCHES_AHEAD);
        let (spent, given_back) = channel();
        let (from, dir) = (self.next, chain.end().0.path.clone());
        std::thread::Builder::new()
            .name("journal reader".to_owned())
            .spawn(move || read(*chain, from, &sender, &given_back))
            .map_err(JournalError::io("cannot start a thread to read", &dir))?;
        self.source = Source::Reading { messages, spent };
        Ok(())
    }

    /// Gets more commands, if there are more.
    fn more(&mut self) -> Result<bool, JournalError> {
        self.start_if_unread()?;
        let Source::Reading { messages, .. } = &self.source else { return Ok(false) };
        match messages.recv() {
            Ok(Message::Commands(commands)) => {
                self.batch = commands.into_iter();
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

    fn start_if_unread(&mut self) -> Result<(), JournalError> {
        if matches!(self.source, Source::Unread(_)) { self.start() } else { Ok(()) }
    }
}

impl Iterator for Replay {
    type Item = Result<(u64, Logged), JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(command) = self.batch.next() {
                let sequence = self.next;
                self.next += 1;
                return Some(Ok((sequence, command)));
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
fn read(mut chain: Chain, from: u64, sender: &SyncSender<Message>, given_back: &Receiver<Vec<Logged>>) {
    let mut batch = Batch::with_room(BATCH_COMMANDS);
    let last = loop {
        match read_block(&mut chain, from, &mut batch) {
            Ok(None) if batch.len() < BATCH_COMMANDS => {}
            Ok(None) => {
                let done_with = given_back.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH_COMMANDS));
                if sender.send(Message::Commands(batch.replace(done_with))).is_err() {
                    return;
                }
            }
            Ok(Some(dropped)) => break Message::Ended(Box::new(Ended { chain, dropped })),
            Err(error) => break Message::Failed(error),
        }
    };
    // If nobody listens, nobody wants to know.
    let _ = sender.send(Message::Commands(batch.into_commands())).and_then(|()| sender.send(last));
}

/// Decodes the next block's commands from `from` on into `batch`; at the end of the journal says whether a tail was dropped.
fn read_block(chain: &mut Chain, from: u64, batch: &mut Batch) -> Result<Option<Option<DroppedTail>>, JournalError> {
    let block = match chain.advance()? {
        Next::Block(block) => block,
        Next::End => return Ok(Some(None)),
        Next::TornTail(tail) => return Ok(Some(Some(tail))),
    };
    decode(chain, &block, from, batch)?;
    Ok(None)
}

/// Adds the commands of a block from `from` on to `batch`, if there are any.
pub(crate) fn decode(chain: &Chain, block: &Block, from: u64, batch: &mut Batch) -> Result<(), JournalError> {
    if block.head.last() < from {
        return Ok(());
    }
    let before = batch.len();
    decode_commands(chain.payload(block), block.head.commands, batch).map_err(|what| {
        batch.truncate(before);
        chain.damaged(format!("the block before is intact, but {what}; was it written by another version?"))
    })?;
    let early = usize::try_from(from.saturating_sub(block.head.first)).unwrap_or(usize::MAX);
    batch.skip(before, early);
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
