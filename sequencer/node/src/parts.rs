//! What of a node the simulation drives step by step, where a node has threads.

use std::io;
use std::path::Path;

use xos_chain::{At, Chain};
use xos_engine::Engine;
use xos_journal::Recovery;
use xos_types::{Event, Frame, GroupConfig, Hash, Logged};

use crate::history::History;
use crate::node::{NodeError, check_consumed, hand_in_from, restore};
use crate::recovery::Anchor;
use crate::snapshots::{Saved, Snapshots};

/// The state after a journal, and how it goes on.
#[derive(Debug)]
pub struct Restored {
    /// The state.
    pub engine: Engine,
    /// Sealed frames that the submitter is handed.
    pub unsettled: Vec<Frame>,
    /// The journal, read to its end and not written on yet.
    pub journal: Recovery,
}

/// What a start does between opening the journal and writing on: finds the last batch on chain, begins with the newest saved
/// state that will do, applies the log, and compares it with the chain.
///
/// # Errors
/// As [`crate::Node::start`].
pub async fn start(
    opened: Recovery,
    snapshots: &Path,
    group: GroupConfig,
    chain: &Chain,
) -> Result<Restored, NodeError> {
    let queued = chain.inbox(At::Latest).await?.tail;
    let last = match chain.last_batch(At::Latest).await?.id {
        0 => None,
        id => chain.batches(id).await?.into_iter().next(),
    };
    let anchor = last.map_or_else(Anchor::default, |last| Anchor {
        id: last.id,
        sequence: last.sequence,
        log_hash: Hash::from(last.log_hash),
    });
    let snapshots = Snapshots::open(snapshots, group, SNAPSHOTS_KEPT).map_err(|source| NodeError::File {
        action: "cannot use",
        path: snapshots.to_owned(),
        source,
    })?;
    let forget = |_| Ok(History::default());
    let hand_in = hand_in_from(anchor.id, anchor.id + 1);
    let (recovered, journal) = restore(opened, &snapshots, forget, anchor, hand_in)?;
    let consumed = recovered.engine.next_inbox();
    if consumed > queued {
        return Err(NodeError::ChainReset { consumed, queued });
    }
    check_consumed(chain, &recovered.unsettled, anchor.id).await?;
    Ok(Restored { engine: recovered.engine, unsettled: recovered.unsettled, journal })
}

/// As many as a simulated node keeps.
const SNAPSHOTS_KEPT: usize = 2;

/// A state that follows the log, to be saved now and then.
#[derive(Debug)]
pub struct SavedState(Saved);

impl SavedState {
    /// The newest one in a folder, or that of an empty log.
    ///
    /// # Errors
    /// If there is no such folder, nor can be.
    pub fn newest(snapshots: &Path, group: GroupConfig) -> io::Result<Self> {
        Ok(Self(Snapshots::open(snapshots, group, SNAPSHOTS_KEPT)?.newest(|_| true)))
    }

    /// Sequence number of the last command that it has.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.0.engine.sequence()
    }

    /// Applies the next command.
    pub fn apply(&mut self, command: &Logged) {
        let mut events = Vec::new();
        self.0.engine.apply(command, &mut events);
        for event in events {
            if let Event::FrameSealed(frame) = event {
                self.0.keep(*frame);
            }
        }
    }

    /// Writes it beside the others.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn save(&self, snapshots: &Path) -> io::Result<()> {
        Snapshots::open(snapshots, *self.0.engine.config(), SNAPSHOTS_KEPT)?.write(&self.0).map(drop)
    }
}
