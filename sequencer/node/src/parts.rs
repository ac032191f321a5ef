//! What of a node the simulation drives step by step, where a node has threads.

use std::io;
use std::path::Path;

use xos_engine::Engine;
use xos_journal::Recovery;
use xos_types::{Event, Frame, GroupConfig, Logged};

use crate::history::History;
pub use crate::leading::{anchor, check_consumed};
use crate::node::NodeError;
pub use crate::recovery::Anchor;
use crate::recovery::{self, Recovered};
use crate::snapshots::{Saved, Snapshots};

/// The state after a journal, and how it goes on.
#[derive(Debug)]
pub struct Restored {
    /// The state.
    pub engine: Engine,
    /// Sealed frames from the asked one on.
    pub frames: Vec<Frame>,
    /// The journal, read to its end and not written on yet.
    pub journal: Recovery,
}

/// The state after a journal, as the start of a node finds it.
///
/// # Errors
/// As [`crate::Node::start`].
pub fn restore(
    opened: Recovery,
    snapshots: &Path,
    group: GroupConfig,
    anchor: Anchor,
    keep_from: u64,
    alone: bool,
) -> Result<Restored, NodeError> {
    let snapshots = Snapshots::open(snapshots, group, SNAPSHOTS_KEPT).map_err(|source| NodeError::File {
        action: "cannot use",
        path: snapshots.to_owned(),
        source,
    })?;
    let history = |_| Ok(History::default());
    let (recovered, journal) = recovery::restore(opened, &snapshots, history, anchor, keep_from, alone)?;
    let Recovered { engine, unsettled: frames, .. } = recovered;
    Ok(Restored { engine, frames, journal })
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

    /// Writes it beside the others, as the follower does; `pause` is waited for between two steps, and whoever stops waiting then
    /// has crashed there.
    ///
    /// # Errors
    /// If the disk refuses.
    pub async fn save(&self, snapshots: &Path, pause: impl AsyncFn()) -> io::Result<()> {
        let snapshots = Snapshots::open(snapshots, *self.0.engine.config(), SNAPSHOTS_KEPT)?;
        let mut writing = snapshots.begin(&self.0);
        while writing.step()? {
            pause().await;
        }
        Ok(())
    }
}
