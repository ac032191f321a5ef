//! From the journal back to where the node stood, and the proof that the chain agrees with it.

use std::time::{Duration, Instant};

use xos_engine::{Engine, Lookout};
use xos_history::HistoryError;
use xos_journal::{JournalError, Recovery, Replay};
use xos_types::{Event, Frame, Hash, Logged};

use crate::hashing::HashThread;
use crate::history::History;
use crate::node::NodeError;
use crate::snapshots::{Saved, Snapshots};

/// Between two lines of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);
/// Commands between two looks at the clock.
const PROGRESS_COMMANDS: u64 = 1 << 14;

/// The last batch on chain: what the log must have led to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anchor {
    /// Its number; 0 if there is none.
    pub id: u64,
    /// The log's sequence number at its end.
    pub sequence: u64,
    /// The log's hash there.
    pub log_hash: Hash,
}

/// The state after the log, and what is still to be settled.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// The state.
    pub engine: Engine,
    /// What happened lately.
    pub history: History,
    /// Sealed frames from the asked one on, in order.
    pub unsettled: Vec<Frame>,
}

/// Why the node cannot go on from this journal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecoveryError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal ends before a snapshot of it.
    #[error(
        "a snapshot holds the state after command {snapshot}, but the journal ends with command {journal}: its end is lost; \
         restore it, from a replica for example (nothing was changed)"
    )]
    EndLost {
        /// Commands in the snapshot.
        snapshot: u64,
        /// Commands in the journal.
        journal: u64,
    },
    /// Settled batches are not in this journal.
    #[error(
        "the chain has settled {settled} batches, but this journal seals only {sealed} frames: it is not the journal that \
         they came from, or its end is lost; restore the right one (nothing was changed)"
    )]
    ChainAhead {
        /// Last batch on chain.
        settled: u64,
        /// Last frame of the journal.
        sealed: u64,
    },
    /// The chain settled something else.
    #[error(
        "batch {id} on chain ends at command {anchor_sequence} with log hash {anchor_hash}, but this journal has \
         {our_sequence} and {our_hash} there: it is another sequencer's journal, or was altered (nothing was changed)"
    )]
    Diverged {
        /// Which batch.
        id: u64,
        /// By the chain.
        anchor_sequence: u64,
        /// By the chain, hexadecimal.
        anchor_hash: String,
        /// By the journal.
        our_sequence: u64,
        /// By the journal, hexadecimal.
        our_hash: String,
    },
}

/// What a start does between opening the journal and writing on: begins with the newest saved state that has the frames from number
/// `keep_from` on, applies the log, and compares it with what the chain has settled. A standby may well be behind that, and behind
/// what it has saved, for the log of the nodes has the rest; whoever is `alone` may not. `history` loads what happened up to a
/// command. Nothing is changed.
///
/// # Errors
/// If the journal is damaged, or is not the one that the chain's batches came from.
pub(crate) fn restore(
    mut opened: Recovery,
    snapshots: &Snapshots,
    history: impl Fn(u64) -> Result<History, HistoryError>,
    anchor: Anchor,
    keep_from: u64,
    alone: bool,
) -> Result<(Recovered, Recovery), NodeError> {
    let refused = |error| match error {
        RecoveryError::Journal(error) => NodeError::Journal(error),
        diverged => NodeError::Diverged(diverged.to_string()),
    };
    let mut up_to = u64::MAX;
    loop {
        let fits = |saved: &Saved| saved.has_frames_from(keep_from) && saved.engine.sequence() <= up_to;
        let (engine, frames) = snapshots.newest(fits).into_parts(keep_from);
        let snapshot = engine.sequence();
        tracing::info!(after = snapshot, frames = frames.len(), "beginning with the saved state");
        let begin = Recovered { engine, history: history(snapshot)?, unsettled: frames };
        opened = opened.begin_at(snapshot + 1)?;
        let recovered = recover(begin, opened.replay(), anchor, keep_from).map_err(refused)?;
        let journal = opened.replay().last_sequence();
        if journal >= snapshot {
            if alone {
                recovered.reaches(anchor).map_err(refused)?;
            }
            return Ok((recovered, opened));
        }
        if alone {
            return Err(refused(RecoveryError::EndLost { snapshot, journal }));
        }
        tracing::warn!(snapshot, journal, "the journal's end is lost; the log of the nodes has it");
        up_to = journal;
    }
}

/// Applies the rest of the journal to a state, and keeps the frames from number `keep_from` on for settlement; those that were
/// sealed before come with the state.
///
/// # Errors
/// If the journal is damaged, or the chain has settled what it does not lead to.
pub(crate) fn recover(
    mut recovered: Recovered,
    replay: &mut Replay,
    anchor: Anchor,
    keep_from: u64,
) -> Result<Recovered, RecoveryError> {
    if let Some(frame) = recovered.unsettled.iter().find(|frame| frame.id == anchor.id) {
        anchor.check(frame)?;
    }
    // Without a thread for it the log is hashed here, and only that takes longer.
    if let Ok(hashing) = HashThread::start() {
        recovered.engine.hash_elsewhere(Box::new(hashing));
    }
    let mut progress = Progress::new();
    let mut events = Vec::new();
    while let Some((first, batch)) = replay.next_batch()? {
        let mut lookout = Lookout::default();
        for (sequence, (place, command)) in (first..).zip(batch.iter().enumerate()) {
            recovered.engine.look_ahead(&mut lookout, &batch[place..], Logged::command);
            events.clear();
            recovered.engine.apply(command, &mut events);
            recovered.history.record(sequence, recovered.engine.frame_time(), &events);
            for event in events.drain(..) {
                let Event::FrameSealed(frame) = event else { continue };
                if frame.id == anchor.id {
                    anchor.check(&frame)?;
                }
                if frame.id >= keep_from {
                    recovered.unsettled.push(*frame);
                }
            }
            progress.step(sequence);
        }
    }
    progress.end(&recovered);
    Ok(recovered)
}

impl Recovered {
    /// Whether the log has what the chain has settled.
    ///
    /// # Errors
    /// If it ends before.
    pub(crate) fn reaches(&self, anchor: Anchor) -> Result<(), RecoveryError> {
        let sealed = self.engine.frames_sealed();
        if anchor.id > sealed { Err(RecoveryError::ChainAhead { settled: anchor.id, sealed }) } else { Ok(()) }
    }
}

impl Anchor {
    /// Whether that frame, which has its number, is what settled.
    ///
    /// # Errors
    /// If not.
    pub(crate) fn check(self, frame: &Frame) -> Result<(), RecoveryError> {
        if (frame.sequence, frame.log_hash) == (self.sequence, self.log_hash) {
            return Ok(());
        }
        Err(RecoveryError::Diverged {
            id: frame.id,
            anchor_sequence: self.sequence,
            anchor_hash: xos_types::B256::from(self.log_hash).to_string(),
            our_sequence: frame.sequence,
            our_hash: xos_types::B256::from(frame.log_hash).to_string(),
        })
    }
}

struct Progress {
    started: Instant,
    shown: Instant,
}

impl Progress {
    fn new() -> Self {
        let now = Instant::now();
        Self { started: now, shown: now }
    }

    fn step(&mut self, sequence: u64) {
        if sequence.is_multiple_of(PROGRESS_COMMANDS) && self.shown.elapsed() >= PROGRESS_INTERVAL {
            self.shown = Instant::now();
            tracing::info!(sequence, per_second = self.rate(sequence), "replaying the journal");
        }
    }

    fn end(&self, recovered: &Recovered) {
        let commands = recovered.engine.sequence();
        if commands > 0 {
            tracing::info!(
                commands,
                per_second = self.rate(commands),
                accounts = recovered.engine.account_ids().count(),
                resting_orders = recovered.engine.resting_orders(),
                unsettled_frames = recovered.unsettled.len(),
                "replayed the journal"
            );
        }
    }

    fn rate(&self, commands: u64) -> u64 {
        let elapsed_ms = self.started.elapsed().as_millis().max(1);
        u64::try_from(u128::from(commands) * 1000 / elapsed_ms).unwrap_or(u64::MAX)
    }
}
