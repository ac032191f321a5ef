//! What somebody was told, whoever told it. It must stay true whatever happens: in every journal that a node goes on from, on the
//! chain, and in every engine.

use std::collections::BTreeMap;
use std::path::Path;

use xos_engine::Engine;
use xos_types::{AccountId, Frame, GroupConfig, Hash, Logged, Nonce};

use crate::trace::Trace;

/// What one look at a whole journal found.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) sequence: u64,
    pub(crate) state_hash: Hash,
}

#[derive(Debug)]
pub(crate) struct Truth {
    group: GroupConfig,
    trace: Trace,
    /// Commands that somebody was told of, by sequence number.
    commands: BTreeMap<u64, Vec<u8>>,
    /// Heads of the log that acknowledgements named.
    heads: BTreeMap<u64, Hash>,
    /// Frames that were let out to be settled, by number: where each ends, and the log's hash there.
    frames: BTreeMap<u64, (u64, Hash)>,
    /// Orders that were accepted, and where.
    orders: BTreeMap<(AccountId, Nonce), u64>,
    /// Hash of the state that an engine had in its life, by where the log stood and what it was.
    states: BTreeMap<(u64, Hash), Hash>,
}

impl Truth {
    pub(crate) fn new(group: GroupConfig, trace: Trace) -> Self {
        let (commands, heads, frames) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { group, trace, commands, heads, frames, orders: BTreeMap::new(), states: BTreeMap::new() }
    }

    /// The last command that anybody was told of.
    pub(crate) fn last(&self) -> u64 {
        self.heads.last_key_value().map_or(0, |(sequence, _)| *sequence)
    }

    /// The last frame that was let out.
    pub(crate) fn last_frame(&self) -> u64 {
        self.frames.last_key_value().map_or(0, |(id, _)| *id)
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.commands.len()
    }

    /// Somebody is told that his command stands there, and what the log came to.
    pub(crate) fn told(&mut self, who: &str, sequence: u64, command: &Logged, head: (u64, Hash)) {
        let other = self.commands.insert(sequence, command.bytes().to_vec());
        if other.is_some_and(|other| other != command.bytes()) {
            self.trace.broken(who, format!("two commands were acknowledged as number {sequence}"));
        }
        self.told_head(who, head);
    }

    fn told_head(&mut self, who: &str, (sequence, hash): (u64, Hash)) {
        if self.heads.insert(sequence, hash).is_some_and(|other| other != hash) {
            self.trace.broken(who, format!("two histories were acknowledged up to number {sequence}"));
        }
    }

    /// An order was accepted, its sender hears.
    pub(crate) fn accepted(&mut self, who: &str, account: AccountId, nonce: Nonce, sequence: u64) {
        if let Some(other) = self.orders.insert((account, nonce), sequence).filter(|other| *other != sequence) {
            let what = format!("order {} of {} was accepted as {other} and as {sequence}", nonce.0, account.0);
            self.trace.broken(who, what);
        }
    }

    /// A frame is let out.
    pub(crate) fn sealed(&mut self, who: &str, frame: &Frame) {
        let ends = (frame.sequence, frame.log_hash);
        if self.frames.insert(frame.id, ends).is_some_and(|other| other != ends) {
            self.trace.broken(who, format!("two frames {} were let out", frame.id));
        }
        self.told_head(who, ends);
    }

    /// The chain has settled a batch.
    pub(crate) fn settled(&self, id: u64, ends: (u64, Hash)) {
        match self.frames.get(&id) {
            Some(ours) if *ours == ends => {}
            Some(_) => self.trace.broken("chain", format!("batch {id} is not the frame that was let out")),
            None => self.trace.broken("chain", format!("batch {id} settled, and no such frame was let out")),
        }
    }

    /// An engine stands there with that state.
    pub(crate) fn stands(&mut self, who: &str, engine: &Engine) {
        let (at, state) = ((engine.sequence(), engine.log_hash()), engine.state_hash());
        if self.states.insert(at, state).is_some_and(|other| other != state) {
            self.trace.broken(who, format!("one log, two states after command {}", at.0));
        }
    }

    /// Reads a whole journal with an engine of its own, and compares it with what anybody was told up to `told`.
    pub(crate) fn check_journal(&mut self, who: &str, journal: &Path, told: u64) -> Option<Replayed> {
        let mut engine = Engine::new(self.group);
        let mut events = Vec::new();
        let replay = match xos_journal::read_only(journal, 1) {
            Ok(replay) => replay,
            Err(error) => {
                self.trace.broken(who, format!("the journal cannot be read: {}", kind(&error)));
                return None;
            }
        };
        for command in replay {
            let (sequence, command) = match command {
                Ok(read) => read,
                Err(error) => {
                    self.trace.broken(who, format!("the journal cannot be read: {}", kind(&error)));
                    return None;
                }
            };
            events.clear();
            engine.apply(&command, &mut events);
            if self.commands.get(&sequence).is_some_and(|told| told != command.bytes()) {
                self.trace.broken(who, format!("command {sequence} is not the one that was acknowledged"));
            }
            if self.heads.get(&sequence).is_some_and(|told| *told != engine.log_hash()) {
                self.trace.broken(who, format!("the log up to {sequence} is not the one that was acknowledged"));
            }
            if let Some(state) = self.states.get(&(sequence, engine.log_hash()))
                && *state != engine.state_hash()
            {
                self.trace.broken(who, format!("the state after {sequence} is another than it was"));
            }
        }
        if engine.sequence() < told {
            let what = format!("the journal ends with {}, but {told} was acknowledged", engine.sequence());
            self.trace.broken(who, what);
        }
        engine.check_invariants();
        Some(Replayed { sequence: engine.sequence(), state_hash: engine.state_hash() })
    }
}

/// What went wrong, without the path that it went wrong at.
pub(crate) fn kind(error: &xos_journal::JournalError) -> &'static str {
    use xos_journal::JournalError::*;
    match error {
        Io { .. } => "the system refuses",
        Locked { .. } => "locked",
        Missing { .. } => "missing",
        BeginsLater { .. } => "begins later",
        NotAJournal { .. } => "not a journal",
        OtherGroup { .. } => "another group's",
        Damaged { .. } => "damaged",
        HalfRepaired { .. } => "half repaired",
        NotRepairable { .. } => "not repairable",
        CommandTooLarge { .. } => "a command is too large",
        Full { .. } => "full",
        Failed { .. } => "failed",
    }
}
