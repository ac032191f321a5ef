//! What a node does on the chain, which it does only while it leads: it settles what was sealed, and reads the inbox.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use xos_chain::{
    At, Chain, ChainError, InboxConfig, InboxNews, InboxReader, Submitter, SubmitterConfig, inbox_item_hash,
};
use xos_types::Frame;

use crate::config::Config;
use crate::feeds::Feeds;
use crate::ingress::{Backlog, Sequencer};
use crate::node::{Found, NodeError};
use crate::recovery::Anchor;
use crate::settlement::{Batches, Settlement, pass_on};
use crate::vitals::Vitals;

/// Inbox items that are read ahead of the frames that consume them.
const INBOX_AHEAD: usize = 1024;
/// Frames that the submitter is handed ahead of the one it settles.
const FRAMES_AHEAD: usize = 16;
/// Settled frames whose details are looked up again if they were lost.
const LOOKED_UP_MAX: u64 = 1000;
/// Settled frames that are handed in again, because a reorganisation may still take them back: five a block, 64 blocks.
const HANDED_IN_AGAIN: u64 = 320;
/// Between two looks of a standby at how far settlement is, and two attempts of a new leader to ask.
const LOOK: Duration = Duration::from_secs(1);

/// How often a node that starts asks for the last batch.
const ASKED_AT_START: usize = 5;

/// When a node leads: the number of the next inbox item.
pub(crate) type Begin = watch::Receiver<Option<u64>>;

/// The first frame that is handed in, when the chain has settled up to `anchor`. What settled while nobody took note is handed in again, to
/// be looked up.
pub(crate) fn hand_in(batches: &Batches, anchor: Anchor) -> u64 {
    let next = anchor.id + 1;
    batches.next().min(next.saturating_sub(HANDED_IN_AGAIN)).max(next.saturating_sub(LOOKED_UP_MAX))
}

/// The last batch on chain.
///
/// # Errors
/// If the endpoint does not answer.
pub async fn anchor(chain: &Chain) -> Result<Anchor, ChainError> {
    let id = chain.last_batch(At::Latest).await?.id;
    let last = if id == 0 { None } else { chain.batches(id).await?.into_iter().next() };
    Ok(last.map_or_else(Anchor::default, |last| Anchor {
        id: last.id,
        sequence: last.sequence,
        log_hash: last.log_hash.0,
    }))
}

/// The same when a node starts. An endpoint may know for a moment that a batch is settled and not have its log yet, so it is asked
/// a few times.
///
/// # Errors
/// If the endpoint does not answer then, either.
pub(crate) async fn anchor_at_start(chain: &Chain) -> Result<Anchor, ChainError> {
    for _ in 1..ASKED_AT_START {
        match anchor(chain).await {
            Err(error @ ChainError::Unreachable { .. }) => tracing::warn!(%error, "asking again"),
            answer => return answer,
        }
        tokio::time::sleep(LOOK).await;
    }
    anchor(chain).await
}

/// Whether what the log has consumed and not settled yet is what the chain has queued.
///
/// # Errors
/// If not, or if the endpoint does not answer.
pub async fn check_consumed(chain: &Chain, sealed: &[Frame], settled: u64) -> Result<(), NodeError> {
    for item in sealed.iter().filter(|frame| frame.id > settled).flat_map(|frame| &frame.inbox) {
        let stored = chain.inbox_hash(item.index, At::Latest).await?;
        // A batch that an earlier life sent may have consumed it in this moment.
        if stored != inbox_item_hash(item) && chain.inbox(At::Latest).await?.head <= item.index {
            return Err(NodeError::InboxTakenBack { index: item.index });
        }
    }
    Ok(())
}

/// Starts to settle when the node leads; until then sealed frames are kept, as many as may still have to be settled.
pub(crate) fn start_settlement(
    config: &Config,
    found: &Found,
    tasks: &mut JoinSet<()>,
    mut sealed: mpsc::UnboundedReceiver<Frame>,
    batches: Batches,
    (sequencer, backlog, vitals, feeds): (&Sequencer, &Arc<Backlog>, &Arc<Vitals>, &Feeds),
    mut begin: Begin,
) -> Result<Arc<Settlement>, NodeError> {
    let submitter = Submitter::new(
        &config.chain,
        &found.deployment,
        config.sequencer_key.clone(),
        config.relayer_key.clone(),
        SubmitterConfig::default(),
    )?;
    let settlement = Arc::new(Settlement::new(batches, submitter.status(), Arc::clone(backlog)));
    let (frames, handed_in) = mpsc::channel(FRAMES_AHEAD);
    let (reports, settled) = mpsc::unbounded_channel();
    let waits = Waits {
        chain: found.chain.clone(),
        settlement: Arc::clone(&settlement),
        backlog: Arc::clone(backlog),
        vitals: Arc::clone(vitals),
        keep: usize::try_from(config.limits.unsettled_frames + HANDED_IN_AGAIN).unwrap_or(usize::MAX),
    };
    let (alone, sequencer) = (config.replication.is_none(), sequencer.clone());
    tasks.spawn(async move {
        let Some(mut held) = waits.hold(&mut sealed, &mut begin).await else { return };
        // A node that is alone has compared its journal with the chain before it started.
        if !alone && let Err(error) = waits.take_over(&mut held, &mut sealed, &sequencer).await {
            return sequencer.role().fail(error, &sequencer);
        }
        // It says in the log and in its status why it stops.
        let _ = tokio::join!(pass_on(held, sealed, frames), submitter.run(handed_in, reports));
    });
    let (noting, vitals, feeds) = (Arc::clone(&settlement), Arc::clone(vitals), feeds.clone());
    tasks.spawn(async move { noting.note(settled, &vitals, &feeds).await });
    Ok(settlement)
}

/// What a standby does with what it sees sealed.
struct Waits {
    chain: Chain,
    settlement: Arc<Settlement>,
    backlog: Arc<Backlog>,
    vitals: Arc<Vitals>,
    keep: usize,
}

impl Waits {
    /// Keeps sealed frames until the node leads; `None` if it stops before.
    async fn hold(&self, sealed: &mut mpsc::UnboundedReceiver<Frame>, begin: &mut Begin) -> Option<VecDeque<Frame>> {
        let mut held = VecDeque::new();
        let mut looks = tokio::time::interval(LOOK);
        while begin.borrow_and_update().is_none() {
            tokio::select! {
                biased;
                changed = begin.changed() => changed.ok()?,
                frame = sealed.recv() => {
                    if held.len() == self.keep {
                        held.pop_front();
                    }
                    held.push_back(frame?);
                }
                _ = looks.tick() => {
                    if let Ok(last) = self.chain.last_batch(At::Latest).await {
                        self.settled(last.id);
                    }
                    if let Ok(Some(last)) = self.chain.last_final_batch().await {
                        self.backlog.set_finalized(last.id);
                    }
                }
            }
        }
        Some(held)
    }

    fn settled(&self, id: u64) {
        self.backlog.set_settled(id);
        self.vitals.settled(id, 0, 0);
    }

    /// Compares what this node would settle with what the chain has, and leaves only what is to be handed in.
    async fn take_over(
        &self,
        held: &mut VecDeque<Frame>,
        more: &mut mpsc::UnboundedReceiver<Frame>,
        sequencer: &Sequencer,
    ) -> Result<(), NodeError> {
        let anchor = loop {
            match anchor(&self.chain).await {
                Ok(anchor) => break anchor,
                Err(error) => {
                    tracing::warn!(%error, "this node leads, but the chain does not answer: nothing is settled until it does");
                    tokio::time::sleep(LOOK).await;
                }
            }
        };
        // The answer comes behind every frame that it counts.
        let sealed = sequencer.query(|view| view.engine.frames_sealed()).await.unwrap_or(u64::MAX);
        while let Ok(frame) = more.try_recv() {
            held.push_back(frame);
        }
        let first = held.front().map_or(sealed + 1, |frame| frame.id);
        if anchor.id > sealed || first > anchor.id + 1 {
            return Err(NodeError::Diverged(format!(
                "the chain has settled {} batches; this node has sealed {sealed} and keeps those from {first} on",
                anchor.id
            )));
        }
        if let Some(frame) = held.iter().find(|frame| frame.id == anchor.id) {
            anchor.check(frame).map_err(|error| NodeError::Diverged(error.to_string()))?;
        }
        check_consumed(&self.chain, held.make_contiguous(), anchor.id).await?;
        self.settled(anchor.id);
        let from = hand_in(&self.settlement.batches, anchor);
        held.retain(|frame| frame.id >= from);
        Ok(())
    }
}

/// Reads the inbox from when the node leads.
pub(crate) fn start_inbox(
    config: &Config,
    found: &Found,
    tasks: &mut JoinSet<()>,
    settlement: &Arc<Settlement>,
    vitals: &Arc<Vitals>,
    mut begin: Begin,
) -> mpsc::Receiver<InboxNews> {
    let reading = InboxConfig { confirmations: config.confirmations, ..InboxConfig::default() };
    let (url, deployment) = (config.chain.clone(), found.deployment.clone());
    let (read, mut items) = mpsc::channel(1);
    let (ready, inbox) = mpsc::channel(INBOX_AHEAD);
    let halting = Arc::clone(settlement);
    tasks.spawn(async move {
        let Ok(Some(next)) = begin.wait_for(Option::is_some).await.map(|next| *next) else { return };
        let reader = InboxReader::new(&url, &deployment, reading, next);
        let read = async { reader?.run(read).await };
        if let Err(error) = read.await {
            tracing::error!(%error, "the inbox cannot be read any further");
            halting.halt_inbox(error.to_string());
        }
    });
    let (seen, vitals) = (Arc::clone(settlement), Arc::clone(vitals));
    tasks.spawn(async move {
        while let Some(news) = items.recv().await {
            seen.set_inbox_seen(match &news {
                InboxNews::Item(item) => {
                    vitals.queued([item]);
                    item.index + 1
                }
                InboxNews::TakenBack(from) => {
                    vitals.taken_back(*from);
                    *from
                }
            });
            if ready.send(news).await.is_err() {
                return;
            }
        }
    });
    inbox
}
