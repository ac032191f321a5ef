//! One of several nodes: who leads, what a standby does, and how it takes over.
//!
//! A node with `durability = "replicated"` comes up as a standby. It joins the group's log where its journal ends, writes the leader's
//! blocks to its own disk, applies them to its own engine, and answers questions. When no leader is heard of for a lease it
//! takes the lead; then commands are taken, its journal's blocks go to the log, and settlement and inbox begin. A leader
//! that learns that another one leads stops: its supervisor starts it again, as a standby. Why no acknowledged command can be
//! lost on the way is in the documentation of [`xos_replica`].

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use xos_journal::{Durability, Recovery, Tip};
use xos_replica::{
    Beat, Joined, Leadership, LocalBlocks, Log, News, NodeId, Publisher, Refill, ReplicaError, Standby, Standing, join,
};
use xos_types::{Frame, GroupConfig, Hash};

use crate::ingress::{Following, Sequencer};
use crate::node::NodeError;
use crate::vitals::Vitals;

/// Blocks that are read ahead of the engine.
const BLOCKS_AHEAD: usize = 64;
/// The journal offers the next block when the one before it is confirmed.
const BLOCKS_WAITING: usize = 1;
/// A leader is heard so many times a lease.
const BEATS_A_LEASE: u32 = 5;
/// Between two looks at whether the disk has what is to be sent again.
const DISK_POLL: Duration = Duration::from_millis(2);

/// Whether this node leads, and what is known of who does.
#[derive(Debug, Default)]
pub(crate) struct Role {
    leads: AtomicBool,
    epoch: AtomicU64,
    leader: Mutex<Option<String>>,
    /// The last durable frame, and the log's hash there.
    sealed: Mutex<(u64, Hash)>,
    /// Why this node's part ended.
    failure: Mutex<Option<NodeError>>,
}

impl Role {
    /// A node that is alone.
    pub(crate) fn alone() -> Arc<Self> {
        Arc::new(Self { leads: AtomicBool::new(true), ..Self::default() })
    }

    /// A node that follows until it takes the lead.
    pub(crate) fn standby() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn leads(&self) -> bool {
        self.leads.load(Ordering::Acquire)
    }

    /// Of the leader that was heard last; 0 for a node that is alone.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Where the leader takes requests, as it says.
    pub(crate) fn leader(&self) -> Option<String> {
        lock(&self.leader).clone()
    }

    /// A frame is durable.
    pub(crate) fn sealed(&self, frame: &Frame) {
        *lock(&self.sealed) = (frame.id, frame.log_hash);
    }

    /// Ends this node's part: nobody is told anything from here on.
    pub(crate) fn fail(&self, error: NodeError, sequencer: &Sequencer) {
        tracing::error!(%error, "this node's part ends");
        sequencer.fail(&error);
        *lock(&self.failure) = Some(error);
        sequencer.stop();
    }

    /// Why this node's part ended, if it did; said once.
    pub(crate) fn failure(&self) -> Option<NodeError> {
        lock(&self.failure).take()
    }

    fn hear(&self, beat: &Beat) {
        self.epoch.store(beat.epoch, Ordering::Relaxed);
        *lock(&self.leader) = Some(beat.address.clone());
    }

    fn lead(&self, epoch: u64, address: &str) {
        self.epoch.store(epoch, Ordering::Relaxed);
        *lock(&self.leader) = Some(address.to_owned());
        self.leads.store(true, Ordering::Release);
    }
}

/// A panic elsewhere leaves nothing here half done.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A node's place in the log.
pub(crate) struct Place<L> {
    pub(crate) log: L,
    pub(crate) node: NodeId,
    pub(crate) joined: Joined,
    pub(crate) lease: Duration,
}

/// Finds the place where the journal and the log meet, and takes back what the journal has beyond it if the group's history went
/// another way. `told` is a command that is known to have been told to somebody: if that would have to go, the log has lost what it
/// had acknowledged, and the node must not start.
pub(crate) async fn take_place<L: Log>(
    log: L,
    lease: Duration,
    journal: Recovery,
    told: u64,
) -> Result<(Place<L>, Recovery), NodeError> {
    let read = tokio::task::spawn_blocking(move || journal.tips(1).map(|tips| (tips, journal)));
    let (tips, journal) = read.await.map_err(|_| NodeError::SequencerPanicked)??;
    let node = NodeId::random();
    let joined = join(&log, node, &tips, lease).await?;
    let kept = joined.tip.sequence;
    tracing::info!(
        position = joined.position, command = kept, epoch = joined.epoch, standing = ?joined.standing,
        "found its place in the log"
    );
    let journal = match joined.standing {
        Standing::Follows | Standing::Leads(_) => journal,
        Standing::Cut if told > kept => {
            return Err(NodeError::Diverged(format!(
                "this node knows commands up to {told} to be durable, but the log went another way after command {kept}: it has lost \
                 what it acknowledged; stop the other nodes and compare their journals (nothing was changed)"
            )));
        }
        Standing::Cut => journal.cut_behind(joined.tip)?,
    };
    Ok((Place { log, node, joined, lease }, journal))
}

/// What a node needs to play its part.
pub(crate) struct Part<L> {
    pub(crate) place: Place<L>,
    pub(crate) role: Arc<Role>,
    pub(crate) sequencer: Sequencer,
    pub(crate) durability: Durability,
    /// Folder of the journal.
    pub(crate) journal: PathBuf,
    pub(crate) group: GroupConfig,
    pub(crate) vitals: Arc<Vitals>,
    /// Where this node takes requests.
    pub(crate) address: String,
    /// The sequencer's thread comes by so often, at least.
    pub(crate) frame_interval: Duration,
    /// Told the next inbox item when this node leads.
    pub(crate) begin: watch::Sender<Option<u64>>,
}

impl<L: Log> Part<L> {
    /// Follows, then leads, until the node stops.
    pub(crate) async fn play(self) {
        let (sequencer, role) = (self.sequencer.clone(), Arc::clone(&self.role));
        if let Err(error) = self.follow_and_lead().await {
            role.fail(error.into(), &sequencer);
        }
    }

    async fn follow_and_lead(self) -> Result<(), ReplicaError> {
        let lead = match self.place.joined.standing {
            Standing::Leads(lead) => lead,
            Standing::Follows | Standing::Cut => match self.follow().await? {
                Some(lead) => lead,
                None => return Ok(()),
            },
        };
        let begun = Instant::now();
        tracing::info!(epoch = lead.epoch, position = lead.position, "this node leads");
        let confirming = self.durability.clone();
        let genesis = Tip::genesis(&self.group);
        let mut publisher = Publisher::new(self.place.log.clone(), lead, genesis, self.refill(), move |up_to| {
            confirming.confirm(up_to)
        });
        publisher.level(self.durability.local_sequence()).await?;
        let (offer, mut blocks) = mpsc::channel(BLOCKS_WAITING);
        let (ready, leads) = oneshot::channel();
        if !self.sequencer.follow(Following::Lead { offer, ready }) {
            return Ok(());
        }
        let Ok(next_inbox) = leads.await else { return Ok(()) };
        self.role.lead(lead.epoch, &self.address);
        self.begin.send_replace(Some(next_inbox));
        tracing::info!(epoch = lead.epoch, took = ?begun.elapsed(), "commands are taken");
        tokio::select! {
            ended = publisher.run(&mut blocks) => ended,
            () = self.beat(lead) => Ok(()),
        }
    }

    /// Hands on what the leader writes until nobody leads any more and this node does; `None` if the node stops.
    async fn follow(&self) -> Result<Option<Leadership>, ReplicaError> {
        let Place { log, node, joined, lease } = &self.place;
        let mut standby = Standby::new(log.clone(), *node, joined, *lease);
        let room = Arc::new(Semaphore::new(BLOCKS_AHEAD));
        loop {
            let news = match standby.next().await? {
                News::Lead(lead) => return Ok(Some(lead)),
                News::Block(block) => {
                    // Nobody closes the semaphore.
                    let Ok(place) = Arc::clone(&room).acquire_owned().await else { return Ok(None) };
                    Following::Block { block, place }
                }
                News::Beat(beat) => {
                    tracing::debug!(epoch = beat.epoch, frame = beat.frame, leader = beat.address, "heard the leader");
                    self.role.hear(&beat);
                    Following::Claimed { frame: beat.frame, log_hash: beat.log_hash }
                }
                News::Epoch(record) => {
                    tracing::info!(epoch = record.epoch, "another node leads");
                    continue;
                }
            };
            if !self.sequencer.follow(news) {
                return Ok(None);
            }
        }
    }

    /// Says now and then that this node is there, as long as its sequencer comes by.
    async fn beat(&self, lead: Leadership) {
        let every = self.place.lease / BEATS_A_LEASE;
        loop {
            if self.vitals.heartbeat_age() < self.frame_interval + self.place.lease {
                let (frame, log_hash) = *lock(&self.role.sealed);
                let Leadership { node, epoch, .. } = lead;
                let beat = Beat { epoch, leader: node, frame, log_hash, address: self.address.clone() };
                self.place.log.beat(beat.encode()).await;
            }
            tokio::time::sleep(every).await;
        }
    }

    fn refill(&self) -> Refill {
        let (dir, group, durability) = (self.journal.clone(), self.group, self.durability.clone());
        Arc::new(move |tip, end| {
            while durability.local_sequence() < end {
                std::thread::sleep(DISK_POLL);
            }
            if tip.sequence >= end {
                return Ok(Box::new(std::iter::empty()) as LocalBlocks);
            }
            let blocks = xos_journal::blocks(&dir, &group, tip.sequence + 1).map_err(|error| error.to_string())?;
            let mut at = tip;
            Ok(Box::new(blocks.map_while(move |block| match block {
                Ok(block) if block.first() > end => None,
                Ok(block) if block.before() != at => {
                    Some(Err(format!("its block of command {} does not continue the log", block.first())))
                }
                Ok(block) => {
                    at = block.tip();
                    Some(Ok(block))
                }
                Err(error) => Some(Err(error.to_string())),
            })))
        })
    }
}
