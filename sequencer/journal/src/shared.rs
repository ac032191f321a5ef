//! What the one who appends, the threads that write and prepare, and those who wait for the disk have in common.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use xos_types::Logged;

use crate::error::JournalError;
use crate::format::OpenBlock;

/// Between two attempts to make a spare segment on a disk that is full.
const ATTEMPTS_INTERVAL: Duration = Duration::from_secs(1);

/// What others may know of a running journal; cheap to clone.
#[derive(Clone, Debug)]
pub struct Durability(pub(crate) Arc<Shared>);

impl Durability {
    /// Sequence number up to which commands survive a crash.
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

#[derive(Debug)]
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

#[derive(Debug)]
struct State {
    open: OpenBlock,
    closing: bool,
    failure: Option<String>,
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

impl Shared {
    pub(crate) fn new(dir: PathBuf, durable: u64) -> Arc<Self> {
        Arc::new(Self {
            dir,
            state: Mutex::new(State { open: OpenBlock::new(), closing: false, failure: None }),
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

    /// Swaps an empty block for the one that was filled meanwhile; false if there will be none.
    pub(crate) fn take(&self, block: &mut OpenBlock) -> bool {
        let mut state = self.state();
        while state.open.is_empty() {
            if state.closing {
                return false;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut state.open, block);
        drop(state);
        self.taken.notify_one();
        true
    }

    pub(crate) fn set_durable(&self, sequence: u64) {
        // Under the lock, so that nobody looks just before and goes to sleep just after.
        let state = self.state();
        self.durable.store(sequence, Ordering::Release);
        drop(state);
        self.advanced.notify_all();
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
