//! How a node that comes up finds its place: where its journal and the log part, and which of the two is ahead.

use std::time::Duration;

use futures::StreamExt;
use tokio::time::{Instant, sleep, timeout};
use xos_journal::Tip;

use crate::ReplicaError;
use crate::log::{Log, LogError};
use crate::message::{Beat, EpochRecord, Message, NodeId};
use crate::publisher::Leadership;

/// Between two looks at whether somebody leads.
const LOOK: Duration = Duration::from_millis(100);

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The last message of the log whose blocks the journal has.
    pub position: u64,
    /// Its epoch.
    pub epoch: u64,
    /// Where the chain stands behind it: the last that journal and log have in common.
    pub tip: Tip,
    /// What follows from it.
    pub standing: Standing,
}

/// What a node has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The journal ends there: follow.
    Follows,
    /// The journal goes on, but the group's history went another way: take back what is behind, then follow. Nobody was told of it, because
    /// the log does not have it.
    Cut,
    /// The journal goes on and nobody else leads: this node does, and brings the log level.
    Leads(Leadership),
}

/// Compares a journal (`tips`: where its chain stands before and behind each block) with the log, and, if the journal is ahead, waits a
/// lease for a sign of somebody who leads.
///
/// # Errors
/// If the two have nothing in common, or the log cannot be read.
pub async fn join<L: Log>(log: &L, node: NodeId, tips: &[Tip], lease: Duration) -> Result<Joined, ReplicaError> {
    let end = *tips.last().expect("a journal has a tip, if only the first");
    loop {
        let mut beats = log.beats().await?;
        let common = find_common(log, tips).await?;
        let Common { position, epoch, tip, last, last_epoch, goes_on } = common;
        let standing = |standing| Ok(Joined { position, epoch, tip, standing });
        if tip == end {
            return standing(Standing::Follows);
        }
        if goes_on {
            return standing(Standing::Cut);
        }
        // Ours is longer. Either we led and nobody does now, or somebody does and has just not written yet.
        let begun = Instant::now();
        let mut moved = false;
        while begun.elapsed() < lease && !moved {
            if let Ok(Some(beat)) = timeout(LOOK, beats.next()).await
                && Beat::decode(&beat).is_some_and(|beat| beat.epoch >= last_epoch)
            {
                return standing(Standing::Cut);
            }
            moved = log.last().await? != last;
        }
        if moved {
            continue;
        }
        let record = EpochRecord { epoch: last_epoch + 1, leader: node, tip };
        match log.send(last, Message::Epoch(record).encode()).await.await {
            Ok(position) => {
                let lead = Leadership { node, epoch: record.epoch, position, tip };
                return standing(Standing::Leads(lead));
            }
            Err(error) => {
                // Somebody was faster, or nobody knows: in either case the log tells.
                tracing::warn!(%error, "could not take the lead; looking again");
                sleep(LOOK).await;
            }
        }
    }
}

struct Common {
    position: u64,
    epoch: u64,
    tip: Tip,
    last: u64,
    last_epoch: u64,
    /// Whether the log has blocks behind it.
    goes_on: bool,
}

/// The last message whose tip the journal has. Both are chains, so that every one before it is, too: halving finds it.
async fn find_common<L: Log>(log: &L, tips: &[Tip]) -> Result<Common, ReplicaError> {
    let (first, last) = (log.first().await?, log.last().await?);
    let begin = tips[0];
    if last == 0 {
        // A new log is filled from the first command on that this journal has.
        return Ok(Common { position: 0, epoch: 0, tip: begin, last, last_epoch: 0, goes_on: false });
    }
    // What stands before the journal's beginning is taken on trust: it has left the folder.
    let ours = |tip: Tip| {
        tip.sequence < begin.sequence
            || tips.binary_search_by_key(&tip.sequence, |tip| tip.sequence).is_ok_and(|at| tips[at] == tip)
    };
    // The answer is in `low..high`; `low` is one.
    let (mut low, mut high) = (first.max(1) - 1, last + 1);
    let mut at_low = None;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let message = message(log, middle).await?;
        if ours(message.tip()) {
            (low, at_low) = (middle, Some(message));
        } else {
            high = middle;
        }
    }
    let last_epoch = message(log, last).await?.epoch();
    let (epoch, tip) = match at_low {
        Some(message) => (message.epoch(), message.tip()),
        None => (0, before(&message(log, low + 1).await?)),
    };
    if !ours(tip) {
        let (sequence, begins, ends) = (tip.sequence, begin.sequence, tips[tips.len() - 1].sequence);
        return Err(ReplicaError::Diverged(format!(
            "the log goes on from command {sequence}, and this journal, which has {begins} to {ends}, does not have that or has another in \
             its place; copy the data folder of a node that is level (nothing was changed)"
        )));
    }
    if tip.sequence < begin.sequence {
        return Err(ReplicaError::Diverged(format!(
            "the log and this journal have nothing in common: the log has its command {}, this journal begins behind command {}; put \
             older segments back, from the archive or a backup, or copy the data folder of a node that is level (nothing was changed)",
            tip.sequence, begin.sequence
        )));
    }
    let mut goes_on = false;
    for number in low + 1..=last {
        if let Message::Block { .. } = message(log, number).await? {
            goes_on = true;
            break;
        }
    }
    Ok(Common { position: low, epoch, tip, last, last_epoch, goes_on })
}

fn before(message: &Message) -> Tip {
    match message {
        Message::Block { block, .. } => block.before(),
        Message::Epoch(record) => record.tip,
    }
}

async fn message<L: Log>(log: &L, number: u64) -> Result<Message, ReplicaError> {
    let bytes = log.get(number).await?.ok_or_else(|| LogError(format!("message {number} is not there")))?;
    Message::decode(bytes).map_err(|what| ReplicaError::BadMessage { number, what })
}
