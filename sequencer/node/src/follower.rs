//! A second engine that follows the journal. It writes down what happened and saves the state now and then, so that the first one
//! does neither, and answers for nothing: whatever becomes of the follower, trading goes on.
//!
//! It reads what is durable, from the files, as anybody else could. What it writes is therefore replayed, not copied from a
//! memory that a bug may have touched; and since the state follows from the log, its state is the state.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fs, io};

use xos_history::{History, HistoryError};
use xos_journal::{Durability, JournalError, OldSegments, Reader};
use xos_types::{Event, GroupConfig, TimeMs};

use crate::ingress::Backlog;
use crate::snapshots::{Saved, Snapshots};

/// Between two looks at how far the disk has come.
const PAUSE: Duration = Duration::from_millis(100);

/// The niceness of what has no hurry at all.
#[cfg(target_os = "linux")]
const LEAST_URGENT: i32 = 19;

/// What a follower works on.
pub(crate) struct Follower {
    /// The journal's folder.
    pub(crate) journal: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) snapshots: Snapshots,
    /// Commands between two snapshots; 0 for none.
    pub(crate) snapshot_every: u64,
    pub(crate) history: History,
    /// What becomes of segments that no restart needs any more.
    pub(crate) old: OldSegments,
    /// Which frames are final.
    pub(crate) finality: Arc<Backlog>,
}

/// Why it stopped following.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error("cannot write a snapshot: {0}")]
    Snapshot(#[from] io::Error),
}

/// A follower at work. Dropping it stops it.
#[derive(Debug, Default)]
pub(crate) struct Following {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    failure: Mutex<Option<String>>,
}

impl Shared {
    fn fails(&self, error: &FollowError) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }
}

impl Following {
    /// Nothing follows, for that reason.
    pub(crate) fn failed(why: String) -> Self {
        tracing::error!(why, "there is no follower: no history and no snapshots are written until a restart");
        let shared = Shared { failure: Mutex::new(Some(why)), ..Shared::default() };
        Self { shared: Arc::new(shared), thread: None }
    }

    /// Why it stopped by itself, if it did.
    pub(crate) fn failure(&self) -> Option<String> {
        self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic was said by the thread, and nothing depends on it.
            let _ = thread.join();
        }
    }
}

impl Follower {
    /// Follows on a thread of its own.
    pub(crate) fn start(self) -> io::Result<Following> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("follower".into()).spawn(move || {
            yield_to_trading();
            if let Err(error) = self.follow(&theirs) {
                tracing::error!(%error, "the follower stops: no history and no snapshots are written until a restart");
                theirs.fails(&error);
            }
        })?;
        Ok(Following { shared, thread: Some(thread) })
    }

    fn follow(&self, shared: &Shared) -> Result<(), FollowError> {
        let (mut state, noting) = self.begin(shared)?;
        let mut saved = self.snapshots.newest_sequence();
        let mut saves = VecDeque::new();
        let mut journal = Reader::open(&self.journal, state.engine.sequence() + 1)?;
        let is_stopped = || shared.stop.load(Ordering::Relaxed);
        while !is_stopped() {
            // Nothing is read that is not durable.
            let Some((first, commands)) = journal.next_batch(self.durability.sequence())? else {
                std::thread::sleep(PAUSE);
                continue;
            };
            let mut noted: Vec<(u64, TimeMs, Vec<Event>)> = Vec::new();
            for (sequence, command) in (first..).zip(commands) {
                give_way();
                let mut events = Vec::new();
                state.engine.apply(&command, &mut events);
                for event in &events {
                    if let Event::FrameSealed(frame) = event {
                        state.keep((**frame).clone());
                    }
                }
                if noting {
                    noted.push((sequence, state.engine.frame_time(), events));
                }
                if self.snapshot_every > 0 && sequence >= saved + self.snapshot_every {
                    self.note(&mut noted)?;
                    // The history must not be behind the snapshot that a restart of the follower begins with.
                    self.history.flush()?;
                    let path = self.snapshots.write(&state)?;
                    tracing::info!(sequence, path = %path.display(), "saved the state");
                    saved = sequence;
                    saves.push_back((sequence, state.engine.frames_sealed()));
                    if noting {
                        self.retire(&mut saves);
                    }
                }
            }
            self.note(&mut noted)?;
        }
        self.history.flush()?;
        Ok(())
    }

    /// Where it begins, and whether it writes the history: one that is behind what is left of the journal cannot go on, and is said
    /// to be unavailable, but states are saved all the same.
    fn begin(&self, shared: &Shared) -> Result<(Saved, bool), FollowError> {
        let cursor = self.history.cursor()?;
        let state = self.snapshots.newest(|state| state.engine.sequence() <= cursor);
        let (first, needed) = (xos_journal::first_command(&self.journal)?, state.engine.sequence() + 1);
        if needed >= first {
            return Ok((state, true));
        }
        let lacks = JournalError::BeginsLater { path: self.journal.clone(), first, wanted: needed };
        tracing::error!(%lacks, "the history cannot be written anew: put the older segments back and restart");
        shared.fails(&FollowError::Journal(lacks));
        Ok((self.snapshots.newest(|_| true), false))
    }

    /// Takes segments out that nobody needs any more: every state that is kept, and the history, are beyond them, and what they led
    /// to is final on the chain. `saves` are states that were saved in this life, some of them gone since, and the frames that each
    /// had sealed. If it fails it is tried again with the next state that is saved.
    fn retire(&self, saves: &mut VecDeque<(u64, u64)>) {
        if self.old == OldSegments::Keep {
            return saves.clear();
        }
        let oldest = match self.snapshots.oldest() {
            Ok(Some(oldest)) => oldest,
            Ok(None) => return,
            Err(error) => return tracing::warn!(%error, "cannot look at the oldest snapshot; old segments stay"),
        };
        let finalized = self.finality.finalized();
        let is_old = |(sequence, sealed): &(u64, u64)| *sequence <= oldest && *sealed <= finalized;
        let mut before = None;
        while let Some((sequence, _)) = saves.pop_front_if(|save| is_old(save)) {
            before = Some(sequence);
        }
        let Some(before) = before else { return };
        match xos_journal::retire(&self.journal, before + 1, &self.old) {
            Ok(0) => {}
            Ok(segments) => tracing::info!(segments, before, how = ?self.old, "took old segments out of the journal"),
            Err(error) => tracing::warn!(%error, "old segments stay for now"),
        }
    }

    fn note(&self, noted: &mut Vec<(u64, TimeMs, Vec<Event>)>) -> Result<(), FollowError> {
        let told = noted.iter().map(|(sequence, time, events)| {
            give_way();
            (*sequence, *time, events.as_slice())
        });
        self.history.record(told)?;
        noted.clear();
        Ok(())
    }
}

/// Whatever else the machine has to do goes before this thread: the past can wait. Elsewhere than on Linux this would be said of the
/// whole process.
fn yield_to_trading() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(LEAST_URGENT) {
        tracing::warn!(%error, "the follower is as urgent as trading");
    }
}

/// Lets whoever waits for this core have it now. The system would let even the least urgent thread go on for a millisecond or more
/// once it runs, and hundreds of orders would wait for it.
fn give_way() {
    std::thread::yield_now();
}

/// Opens the history; a damaged one is made anew, as it follows from the log. The database's own threads are as little urgent as
/// the one that opens it, so it is one of its own.
pub(crate) fn open_history(dir: &Path, group: &GroupConfig) -> Result<History, HistoryError> {
    let open = || {
        yield_to_trading();
        open_or_begin(dir, group)
    };
    std::thread::scope(|scope| scope.spawn(open).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

fn open_or_begin(dir: &Path, group: &GroupConfig) -> Result<History, HistoryError> {
    match History::open(dir, group) {
        Err(error) if error.is_damage() => {
            tracing::warn!(%error, path = %dir.display(), "the history is damaged; it is made anew from the journal");
            // If it cannot be removed, opening it says why.
            let _ = fs::remove_dir_all(dir);
            History::open(dir, group)
        }
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use xos_engine::Engine;
    use xos_journal::Journal;
    use xos_types::OrderKind::GoodTillCancelled;
    use xos_types::{AccountId, Command, Logged, Nonce, Side};

    use super::*;
    use crate::testing::{ALICE, BOB, GROUP, MARKET, SMALL_DISK, inbox, order_of};

    /// By turns Bob offers and Alice takes.
    fn place(nonce: u64) -> Command {
        let (account, side) = if nonce.is_multiple_of(2) { (ALICE, Side::Buy) } else { (BOB, Side::Sell) };
        order_of(account, nonce, side, GoodTillCancelled, 500)
    }

    fn log(orders: u64) -> Vec<Logged> {
        let open = Command::Frame { time: TimeMs(1), inbox: inbox(), prices: Vec::new() };
        // Early on a frame is sealed.
        let next = Command::Frame { time: TimeMs(2), inbox: Vec::new(), prices: Vec::new() };
        let orders = (2..=orders).map(place);
        [open, place(1), next].into_iter().chain(orders.skip(1)).map(Logged::new).collect()
    }

    fn wait_for(history: &History, sequence: u64) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while history.cursor().unwrap() < sequence {
            assert!(Instant::now() < deadline, "the follower comes as far");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn history_and_snapshots_follow_the_log_and_a_deleted_history_comes_back() {
        let data = tempfile::tempdir().unwrap();
        let folder = |name: &str| data.path().join(name);
        let mut journal = Journal::open(folder("journal"), &GROUP, SMALL_DISK).unwrap().resume().unwrap();
        let finality = Backlog::new(0, 0, 1);
        let follow = |journal: &Journal, history: &History, old: OldSegments| {
            let snapshots = Snapshots::open(&folder("snapshots"), GROUP, 2).unwrap();
            let follower = Follower {
                journal: folder("journal"),
                durability: journal.durability(),
                snapshots,
                snapshot_every: 100,
                history: history.clone(),
                old,
                finality: Arc::clone(&finality),
            };
            follower.start().unwrap()
        };
        let log = log(700);
        let (first, second) = log.split_at(333);
        let history = History::open(folder("history"), &GROUP).unwrap();
        let following = follow(&journal, &history, OldSegments::Keep);
        for commands in first.chunks(7) {
            journal.append(commands).unwrap();
        }
        wait_for(&history, 333);
        drop(following);
        // It goes on from a snapshot, in the middle of the log.
        let following = follow(&journal, &history, OldSegments::Keep);
        journal.append(second).unwrap();
        wait_for(&history, 701);
        drop(following);
        let snapshots = Snapshots::open(&folder("snapshots"), GROUP, 2).unwrap();
        let mut live = Engine::new(GROUP);
        let mut at_snapshot = None;
        let sequence = snapshots.newest_sequence();
        assert!((601..=701).contains(&sequence), "{sequence}");
        for command in &log {
            live.apply(command, &mut Vec::new());
            if live.sequence() == sequence {
                at_snapshot = Some(live.state_hash());
            }
        }
        assert_eq!(Some(snapshots.newest(|_| true).engine.state_hash()), at_snapshot, "snapshot and replay equal live");
        assert_eq!(history.orders(AccountId(ALICE), None, 1000).unwrap().len(), 349);
        assert!(!history.trades(MARKET, None, 10).unwrap().is_empty());
        assert!(history.order(AccountId(BOB), Nonce(1)).unwrap().is_some());
        let digest = history.digest().unwrap();

        // Deleted, it comes back the same, though the snapshots are newer than its beginning.
        drop(history);
        fs::remove_dir_all(folder("history")).unwrap();
        let history = History::open(folder("history"), &GROUP).unwrap();
        let following = follow(&journal, &history, OldSegments::Keep);
        wait_for(&history, 701);
        assert_eq!(following.failure(), None);
        drop(following);
        assert_eq!(history.digest().unwrap(), digest);

        // Old segments leave when what they led to is final, and not before.
        let archive = OldSegments::Archive(folder("archive"));
        let following = follow(&journal, &history, archive.clone());
        journal.append(&(701..=900).map(|nonce| Logged::new(place(nonce))).collect::<Vec<_>>()).unwrap();
        wait_for(&history, 901);
        drop(following);
        assert_eq!(xos_journal::first_command(folder("journal")).unwrap(), 1);
        finality.set_finalized(1_000);
        let following = follow(&journal, &history, archive);
        journal.append(&(901..=1_100).map(|nonce| Logged::new(place(nonce))).collect::<Vec<_>>()).unwrap();
        wait_for(&history, 1_101);
        drop(following);
        let first = xos_journal::first_command(folder("journal")).unwrap();
        let oldest = snapshots.oldest().unwrap().unwrap();
        assert!(first > 1 && first <= oldest + 1, "{first}, and the oldest snapshot is of {oldest}");
        assert_eq!(xos_journal::verify(folder("archive"), |_| {}).unwrap().last, first - 1);

        // A history that is deleted then cannot come back, and says so; states are saved all the same.
        drop(history);
        fs::remove_dir_all(folder("history")).unwrap();
        let history = History::open(folder("history"), &GROUP).unwrap();
        let before = snapshots.newest_sequence();
        let following = follow(&journal, &history, OldSegments::Keep);
        journal.append(&(1_101..=1_300).map(|nonce| Logged::new(place(nonce))).collect::<Vec<_>>()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while snapshots.newest_sequence() < before + 100 {
            assert!(Instant::now() < deadline, "states are saved");
            std::thread::sleep(Duration::from_millis(5));
        }
        let why = following.failure().unwrap();
        assert!(
            why.contains(&format!("begins with command {first}, but 1 is needed: put the older segments back")),
            "{why}"
        );
        drop(following);

        // Put back, it is whole again.
        for entry in fs::read_dir(folder("archive")).unwrap() {
            let path = entry.unwrap().path();
            fs::rename(&path, folder("journal").join(path.file_name().unwrap())).unwrap();
        }
        // Written from the beginning, for no snapshot is as old as an empty history.
        let following = follow(&journal, &history, OldSegments::Keep);
        wait_for(&history, 1_301);
        assert_eq!(following.failure(), None);
        assert_eq!(history.orders(AccountId(ALICE), None, 1_000).unwrap().len(), 649);
    }
}
