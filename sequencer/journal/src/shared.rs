//! What the one who appends, the threads that write and prepare, and those who wait for the disk have in common.

use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use xos_types::Logged;

use crate::block::SealedBlock;
use crate::error::JournalError;
use crate::format::OpenBlock;

/// Between two attempts to make a spare segment on a disk that is full.
const ATTEMPTS_INTERVAL: Duration = Duration::from_secs(1);

/// Blocks of another journal that wait to be written.
const SEALED_MAX: usize = 64;

/// Where sealed blocks go besides the disk; may wait.
pub(crate) type Offer = Box<dyn FnMut(SealedBlock) + Send>;

/// What others may know of a running journal; cheap to clone.
#[derive(Clone, Debug)]
pub struct Durability(pub(crate) Arc<Shared>);

impl Durability {
    /// Sequence number up to which commands survive a crash; of this machine, too, if the journal is
    /// [replicated](crate::Journal::replicate).
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.0.durable.load(Ordering::Acquire)
    }

    /// Waits until a command survives a crash.
    ///
    /// # Errors
    /// If it may not: the journal has failed, and nobody may be told that the command happened.
    pub fn wait_for(&self, sequence: u64) -> Result<(), JournalError> {
        self.0.wait_for(sequence)
    }

    /// Notes that a replica holds the commands up to that one.
    pub fn confirm(&self, sequence: u64) {
        self.0.advance(|state| state.confirmed = state.confirmed.map(|confirmed| confirmed.max(sequence)));
    }

    /// Sequence number up to which the disk of this machine has the commands.
    #[must_use]
    pub fn local_sequence(&self) -> u64 {
        self.0.state().local
    }

    /// From now on everything fails, and nobody is told any more: the replica belongs to somebody else, for example.
    pub fn fail(&self, cause: String) {
        self.0.fail(cause);
    }

    /// Whether the disk has no room for another segment. Nothing is lost so far, and what must be written still can be; but
    /// the journal should take no more than that.
    #[must_use]
    pub fn shortage(&self) -> Option<Shortage> {
        self.0.shortage()
    }
}

/// The disk is nearly full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Bytes that can still be written to the segment that there is.
    pub bytes_left: u64,
    /// What came back when the next one was to be made.
    pub why: String,
}

pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    state: Mutex<State>,
    /// Something was handed over, or nothing more will be.
    filled: Condvar,
    /// What was handed over is being written.
    taken: Condvar,
    /// More is durable, or the journal has failed.
    advanced: Condvar,
    durable: AtomicU64,
    spare: Mutex<Spare>,
    spare_changed: Condvar,
    /// Bytes left in the segment that is being written.
    bytes_left: AtomicU64,
}

struct State {
    open: OpenBlock,
    /// Blocks of another journal, written as they are.
    sealed: VecDeque<SealedBlock>,
    /// Taken by the writer at its next look.
    offer: Option<Offer>,
    closing: bool,
    failure: Option<String>,
    /// What the disk has.
    local: u64,
    /// What the replica has, if there is one.
    confirmed: Option<u64>,
    /// What the last block that it was offered ends with.
    offered: u64,
}

impl State {
    /// Whether there is something to write, and the replica has had time for what came before: one block is on its way to it at a
    /// time, and the next one grows.
    fn has_work(&self) -> bool {
        let replica_is_busy = self.confirmed.is_some_and(|confirmed| confirmed < self.offered);
        !self.sealed.is_empty() || !self.open.is_empty() && !replica_is_busy
    }
}

/// What the writer is to write.
pub(crate) enum Work {
    /// The open block that it was handed.
    Open,
    /// Blocks as they are.
    Sealed(VecDeque<SealedBlock>),
}

/// How it stands with the next segment.
#[derive(Debug)]
enum Spare {
    /// It is being made.
    Wanted,
    Ready,
    /// It could not be made; why.
    Short(String),
    /// None is wanted any more.
    Closed,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("dir", &self.dir).field("durable", &self.durable).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(dir: PathBuf, durable: u64) -> Arc<Self> {
        Arc::new(Self {
            dir,
            state: Mutex::new(State {
                open: OpenBlock::new(),
                sealed: VecDeque::new(),
                offer: None,
                closing: false,
                failure: None,
                local: durable,
                confirmed: None,
                offered: 0,
            }),
            filled: Condvar::new(),
            taken: Condvar::new(),
            advanced: Condvar::new(),
            durable: AtomicU64::new(durable),
            spare: Mutex::new(Spare::Wanted),
            spare_changed: Condvar::new(),
            bytes_left: AtomicU64::new(0),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked with it left a block of whole commands behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spare(&self) -> MutexGuard<'_, Spare> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts commands into the block that the next commit writes; waits while that has more than `group_bytes`.
    pub(crate) fn hand_over(&self, commands: &[Logged], group_bytes: usize) -> Result<(), JournalError> {
        let mut state = self.state();
        for command in commands {
            while state.failure.is_none()
                && !state.open.is_empty()
                && state.open.payload_bytes() + command.bytes().len() > group_bytes
            {
                self.filled.notify_one();
                state = self.taken.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if let Some(cause) = &state.failure {
                return Err(JournalError::Failed { cause: cause.clone() });
            }
            state.open.push(command);
        }
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Puts a block behind those that are written as they are; waits while they are too many.
    pub(crate) fn hand_over_sealed(&self, block: SealedBlock) -> Result<(), JournalError> {
        let mut state = self.state();
        while state.failure.is_none() && state.sealed.len() >= SEALED_MAX {
            state = self.taken.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(cause) = &state.failure {
            return Err(JournalError::Failed { cause: cause.clone() });
        }
        let last = block.tip().sequence;
        state.sealed.push_back(block);
        drop(state);
        self.comes_from_replica(last);
        self.filled.notify_one();
        Ok(())
    }

    /// There is a replica, which has the commands up to `confirmed`; what the disk has beyond that does not count as durable.
    pub(crate) fn hold_back(&self, confirmed: u64) {
        let mut state = self.state();
        state.confirmed = Some(confirmed);
        self.durable.store(state.local.min(confirmed), Ordering::Release);
    }

    /// A block that is written as it is comes from the replica.
    pub(crate) fn comes_from_replica(&self, sequence: u64) {
        let mut state = self.state();
        state.confirmed = state.confirmed.map(|confirmed| confirmed.max(sequence));
    }

    /// From now on blocks are offered to a replica, which has the commands up to `confirmed`.
    pub(crate) fn replicate(&self, offer: Offer, confirmed: u64) {
        let mut state = self.state();
        state.offer = Some(offer);
        state.confirmed = Some(confirmed);
    }

    /// Where blocks go besides the disk, if that is new.
    pub(crate) fn take_offer(&self, offer: &mut Option<Offer>) {
        if let Some(new) = self.state().offer.take() {
            *offer = Some(new);
        }
    }

    /// What is to be written next: an empty block is swapped for the one that was filled meanwhile. `None` if there will be
    /// nothing. Blocks as they are come first: they are older.
    pub(crate) fn take(&self, block: &mut OpenBlock, offer: &mut Option<Offer>) -> Option<Work> {
        let mut state = self.state();
        while !state.has_work() {
            if state.failure.is_some() || state.closing && state.open.is_empty() {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(new) = state.offer.take() {
            *offer = Some(new);
        }
        let work = if state.sealed.is_empty() {
            // The writer has written everything before.
            state.offered = state.local + u64::from(state.open.commands());
            std::mem::swap(&mut state.open, block);
            Work::Open
        } else {
            Work::Sealed(std::mem::take(&mut state.sealed))
        };
        drop(state);
        self.taken.notify_one();
        Some(work)
    }

    /// Notes that the disk has the commands up to that one.
    pub(crate) fn set_local(&self, sequence: u64) {
        self.advance(|state| state.local = sequence);
    }

    /// Changes what disk and replica have, and tells whoever waits for both.
    fn advance(&self, change: impl FnOnce(&mut State)) {
        // Under the lock, so that nobody looks just before and goes to sleep just after.
        let mut state = self.state();
        if state.failure.is_some() {
            return;
        }
        change(&mut state);
        let both = state.confirmed.map_or(state.local, |confirmed| confirmed.min(state.local));
        self.durable.fetch_max(both, Ordering::AcqRel);
        drop(state);
        self.advanced.notify_all();
        self.filled.notify_one();
    }

    fn wait_for(&self, sequence: u64) -> Result<(), JournalError> {
        if self.durable.load(Ordering::Acquire) >= sequence {
            return Ok(());
        }
        let mut state = self.state();
        loop {
            if self.durable.load(Ordering::Acquire) >= sequence {
                return Ok(());
            }
            if let Some(cause) = &state.failure {
                return Err(JournalError::Failed { cause: cause.clone() });
            }
            state = self.advanced.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// From now on everything fails.
    pub(crate) fn fail(&self, cause: String) {
        self.state().failure.get_or_insert(cause);
        self.filled.notify_all();
        self.taken.notify_all();
        self.advanced.notify_all();
    }

    /// Lets the writer end when it has written what was handed over.
    pub(crate) fn close(&self) {
        self.state().closing = true;
        self.filled.notify_all();
    }

    /// Lets the preparer end.
    pub(crate) fn close_spare(&self) {
        *self.spare() = Spare::Closed;
        self.spare_changed.notify_all();
    }

    pub(crate) fn set_bytes_left(&self, bytes: u64) {
        self.bytes_left.store(bytes, Ordering::Relaxed);
    }

    fn shortage(&self) -> Option<Shortage> {
        match &*self.spare() {
            Spare::Short(why) => {
                Some(Shortage { bytes_left: self.bytes_left.load(Ordering::Relaxed), why: why.clone() })
            }
            Spare::Wanted | Spare::Ready | Spare::Closed => None,
        }
    }

    /// Whether a spare segment waits.
    pub(crate) fn has_spare(&self) -> bool {
        matches!(*self.spare(), Spare::Ready)
    }

    /// Waits until there is a spare segment.
    pub(crate) fn await_spare(&self) -> Result<(), JournalError> {
        let mut spare = self.spare();
        loop {
            match &*spare {
                Spare::Ready => return Ok(()),
                Spare::Short(why) => return Err(JournalError::Full { path: self.dir.clone(), why: why.clone() }),
                Spare::Closed => {
                    return Err(JournalError::Full { path: self.dir.clone(), why: "the journal is closed".to_owned() });
                }
                Spare::Wanted => spare = self.spare_changed.wait(spare).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// The spare has become a segment; another is wanted.
    pub(crate) fn want_spare(&self) {
        let mut spare = self.spare();
        if !matches!(*spare, Spare::Closed) {
            *spare = Spare::Wanted;
        }
        drop(spare);
        self.spare_changed.notify_all();
    }

    /// Says how an attempt to make one ended.
    pub(crate) fn set_spare(&self, made: Result<(), String>) {
        let mut spare = self.spare();
        match (&*spare, made) {
            (Spare::Closed, _) => {}
            (_, Ok(())) => *spare = Spare::Ready,
            (_, Err(why)) => *spare = Spare::Short(why),
        }
        drop(spare);
        self.spare_changed.notify_all();
    }

    /// Waits until a spare segment is to be made; false if none is wanted any more.
    pub(crate) fn await_want(&self) -> bool {
        let mut spare = self.spare();
        loop {
            match &*spare {
                Spare::Wanted => return true,
                Spare::Closed => return false,
                Spare::Ready => spare = self.spare_changed.wait(spare).unwrap_or_else(PoisonError::into_inner),
                Spare::Short(_) => {
                    let waited = self.spare_changed.wait_timeout(spare, ATTEMPTS_INTERVAL);
                    let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                    if timeout.timed_out() {
                        // The state stays what it is until the attempt has ended.
                        return !matches!(*woken, Spare::Closed);
                    }
                    spare = woken;
                }
            }
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        matches!(*self.spare(), Spare::Closed)
    }
}
