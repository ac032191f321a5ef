//! Puts the parts together, in the order in which they must stand, and takes them apart again.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use jsonrpsee::server::ServerHandle;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use xos_chain::{At, Chain, ChainError, Deployment};
use xos_history::HistoryError;
use xos_journal::{Journal, JournalError, Recovery};
use xos_replica::{BLOCK_BYTES, JetStream, ReplicaError};
use xos_types::Address;

use crate::config::{Config, Limits};
use crate::door::{self, Opened, budget::Budgets, threads::Strangers};
use crate::feeds::serve::Subscriptions;
use crate::feeds::{Feeds, OrderNames, Publisher, SealedFrame};
use crate::follower::{Follower, Following, open_history};
use crate::history::History;
use crate::ingress::{Backlog, Sequencer};
use crate::leading::{anchor_at_start, check_consumed, hand_in, start_inbox, start_settlement};
use crate::operations::Operations;
use crate::output::Outputs;
use crate::prices::{self, Prices};
use crate::recovery::{Anchor, Recovered, restore};
use crate::replication::{Part, Role, take_place};
use crate::rpc::Rpc;
use crate::sequencer::{Core, Pace, Stopped, turnover};
use crate::settlement::Batches;
use crate::signatures::Signatures;
use crate::snapshots::Snapshots;
use crate::vitals::{Life, Vitals};

/// Where a running node wrote where it listens.
pub const NODE_FILE: &str = "node.json";
/// Folder of the journal within the data folder.
pub const JOURNAL_FOLDER: &str = "journal";
const BATCHES_FILE: &str = "batches.jsonl";
const SNAPSHOTS_FOLDER: &str = "snapshots";
const HISTORY_FOLDER: &str = "history";
/// How long the last answers may take to leave when the node stops.
const ANSWERS_LEAVE: Duration = Duration::from_secs(5);

/// Why the node cannot start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The chain does not answer, or is not the deployment's.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The journal cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Journal and chain tell different stories: another sequencer's journal, or an end that was lost.
    #[error("{0}")]
    Diverged(String),
    /// The history cannot be opened, nor made anew.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The key is not the one that the group obeys.
    #[error("the sequencer key is that of {got}, but the group takes batches of {expected} only; set its key")]
    WrongKey {
        /// The key's address.
        got: Address,
        /// The group's sequencer.
        expected: Address,
    },
    /// The chain started over since the journal was written.
    #[error(
        "the journal has consumed {consumed} inbox items, but the group has queued only {queued}: the chain was reset; \
         give the new group a data folder of its own"
    )]
    ChainReset {
        /// By the journal.
        consumed: u64,
        /// By the chain.
        queued: u64,
    },
    /// A reorganisation went deeper than the confirmations that are waited for.
    #[error(
        "the chain took back inbox item {index}, which this log has consumed: its frames from there on cannot settle. Nothing \
         is acknowledged any more; docs/operations.md says what to do. More `confirmations` make it rarer"
    )]
    InboxTakenBack {
        /// Its number.
        index: u64,
    },
    /// Another node leads, or the log of the nodes holds what it should not.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// The same log led this node and the leader to different events.
    #[error(
        "this standby's engine has another hash than the leader's at frame {frame}, after the same log: one of them has a bug or a \
         damaged memory, so this one stops; compare their versions, and their journals with `xos journal dump`"
    )]
    Differs {
        /// Which frame.
        frame: u64,
    },
    /// A file of the data folder.
    #[error("{action} {path}: {source}", path = path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What came of it.
        source: io::Error,
    },
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}; choose another with `{setting}` (port 0 takes a free one)")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Where it is set.
        setting: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The sequencer's thread ended by a bug.
    #[error("the sequencer ended unexpectedly; the log above says why. Restart the node: acknowledged orders are kept")]
    SequencerPanicked,
}

/// What `node.json` says of a running node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeFile {
    /// Its process.
    pub pid: u32,
    /// Its JSON-RPC over HTTP.
    pub http: String,
    /// Its JSON-RPC over WebSocket.
    pub ws: String,
    /// Its `/metrics`, `/health` and `/ready`.
    pub operations: String,
    /// The risk group.
    pub group: Address,
}

/// A node that serves requests.
pub struct Node {
    address: SocketAddr,
    server: ServerHandle,
    /// Who is none yet has threads until the node is gone.
    _strangers: Strangers,
    sequencer: Sequencer,
    ended: oneshot::Receiver<Result<(), NodeError>>,
    /// They end by themselves when every sealed frame is settled and no more can come.
    settling: JoinSet<()>,
    /// They never end.
    tasks: JoinSet<()>,
    vitals: Arc<Vitals>,
    role: Arc<Role>,
    follower: Arc<Following>,
    stop_wait: Duration,
    node_file: PathBuf,
}

/// What was found on the chain before anything was started.
pub(crate) struct Found {
    pub(crate) deployment: Deployment,
    pub(crate) chain: Chain,
    decimals: u8,
    anchor: Anchor,
    inbox_queued: u64,
    inbox_deadline: u64,
}

async fn look_around(config: &Config, deployment: Deployment) -> Result<Found, NodeError> {
    let chain = Chain::connect(&config.chain, &deployment).await?;
    let (got, expected) = (config.sequencer_key.address(), chain.sequencer().await?);
    if got != expected {
        return Err(NodeError::WrongKey { got, expected });
    }
    let decimals = chain.token_decimals().await?;
    let inbox_queued = chain.inbox(At::Latest).await?.tail;
    let inbox_deadline = chain.inbox_deadline().await?;
    let anchor = anchor_at_start(&chain).await?;
    Ok(Found { deployment, chain, decimals, anchor, inbox_queued, inbox_deadline })
}

impl Node {
    /// Brings a node up: the operators' address, chain, journal, inbox, sequencer, submitter, and last the door for clients.
    ///
    /// # Errors
    /// What is wrong; nothing keeps running then.
    pub fn start(config: Config) -> BoxFuture<'static, Result<Self, NodeError>> {
        Self::bring_up(config).boxed()
    }

    async fn bring_up(config: Config) -> Result<Self, NodeError> {
        let deployment = Deployment::load(&config.deployment)?;
        let data = &config.data;
        let vitals = Vitals::new(&deployment.group_config(), data, config.frame_interval);
        let mut tasks = JoinSet::new();
        let operations = Operations::bind(config.operations_listen).await?;
        let operations_address = operations.address();
        tasks.spawn(operations.serve(Arc::clone(&vitals)));

        let found = look_around(&config, deployment).await?;
        let (watching, chain, relayer) = (Arc::clone(&vitals), found.chain.clone(), config.relayer_key.address());
        tasks.spawn(async move { watching.watch(chain, relayer).await });
        vitals.enter(Life::Recovering);
        std::fs::create_dir_all(data).map_err(file("cannot create", data))?;
        let group = found.deployment.group_config();
        let alone = config.replication.is_none();
        let usual = xos_journal::Settings::default();
        let block_bytes = if alone { usual.block_bytes } else { BLOCK_BYTES };
        let on_disk = xos_journal::Settings { segment_bytes: config.limits.journal_segment_mb << 20, block_bytes };
        let opened = Journal::open(data.join(JOURNAL_FOLDER), &group, on_disk)?;
        let snapshots_path = data.join(SNAPSHOTS_FOLDER);
        let snapshots = Snapshots::open(&snapshots_path, group, config.limits.snapshots_kept)
            .map_err(file("cannot use", &snapshots_path))?;
        let (past, no_past) = match open_history(&data.join(HISTORY_FOLDER), &group) {
            Ok(past) => (past, None),
            // Nothing that trades needs it.
            Err(error) => (xos_history::History::forgetful(&group)?, Some(error.to_string())),
        };
        let batches_path = data.join(BATCHES_FILE);
        let batches = Batches::open(&batches_path).map_err(file("cannot write", &batches_path))?;

        let (place, opened) = match &config.replication {
            None => (None, opened),
            Some(replication) => {
                let log = JetStream::connect(&replication.servers, &group).await.map_err(ReplicaError::Log)?;
                let told = snapshots.newest_sequence().max(past.cursor()?);
                let (place, opened) = take_place(log, replication.lease, opened, told).await?;
                (Some(place), opened)
            }
        };

        let anchor = found.anchor;
        let hand_in = hand_in(&batches, anchor);
        let saved = (snapshots.clone(), past.clone());
        let (recovered, journal) =
            tokio::task::spawn_blocking(move || bring_up(opened, &saved, anchor, hand_in, alone))
                .await
                .map_err(|_| NodeError::SequencerPanicked)??;
        if let Some(place) = &place {
            journal.hold_back(place.joined.tip.sequence);
        }
        let (consumed, queued) = (recovered.engine.next_inbox(), found.inbox_queued);
        if consumed > queued {
            return Err(NodeError::ChainReset { consumed, queued });
        }
        if alone {
            check_consumed(&found.chain, &recovered.unsettled, anchor.id).await?;
        }

        let limits = config.limits;
        let role = if alone { Role::alone() } else { Role::standby() };
        let backlog = Backlog::new(recovered.engine.frames_sealed(), anchor.id, limits.unsettled_frames);
        let (sequencer, items) = Sequencer::channel(
            limits.queued_commands,
            limits.queued_queries,
            Arc::clone(&backlog),
            journal.durability(),
            Arc::clone(&role),
        );
        let (begin, begins) = watch::channel(alone.then_some(consumed));

        let feeds = start_feeds(&config, &recovered)?;
        let (sealed, sealed_frames) = mpsc::unbounded_channel();
        let mut settling = JoinSet::new();
        for frame in &recovered.unsettled {
            if frame.id > anchor.id {
                vitals.sealed(frame, turnover(&recovered.engine, frame));
                vitals.queued(&frame.inbox);
            }
            // The receiver is held just below.
            let _ = sealed.send(frame.clone());
        }
        let told = (&sequencer, &backlog, &vitals, &feeds);
        let settlement =
            start_settlement(&config, &found, &mut settling, sealed_frames, batches, told, begins.clone())?;
        let inbox = start_inbox(&config, &found, &mut tasks, &settlement, &vitals, begins);
        vitals.attach(sequencer.clone(), Arc::clone(&settlement), found.inbox_deadline);

        let follower = match no_past {
            Some(why) => Following::failed(why),
            None => {
                let (journal, durability) = (data.join(JOURNAL_FOLDER), journal.durability());
                let (snapshot_every, old) = (config.limits.snapshot_commands, config.old_segments.clone());
                let finality = Arc::clone(&backlog);
                Follower { journal, durability, snapshots, snapshot_every, history: past.clone(), old, finality }
                    .start()
                    .map_err(file("cannot start a thread for", Path::new("the follower")))?
            }
        };
        let follower = Arc::new(follower);
        let Recovered { engine, history, unsettled: _ } = recovered;
        let outputs = Outputs::start(
            journal.durability(),
            sealed,
            Arc::clone(&backlog),
            sequencer.clone(),
            Arc::clone(&vitals),
            feeds.clone(),
        )
        .map_err(file("cannot start a thread for", Path::new("the output stage")))?;
        let durability = journal.durability();
        let prices = Arc::new(Prices::default());
        for reporter in &config.price_reporters {
            tasks.spawn(prices::follow(Arc::clone(&prices), found.chain.clone(), reporter.clone()));
        }
        let priced = engine.frame_time();
        let core = Core {
            engine,
            history,
            journal,
            outputs,
            pace: pace(&config),
            inbox,
            waiting: VecDeque::new(),
            backlog,
            vitals: Arc::clone(&vitals),
            prices,
            priced,
            leads: alone,
        };
        let ended = start_sequencer(core, items)?;

        let domain = found.deployment.domain();
        let signatures = Signatures::start(domain, Arc::clone(&vitals))
            .map_err(file("cannot start a thread for", Path::new("signatures")))?;
        let rpc = Rpc {
            sequencer: sequencer.clone(),
            signatures,
            budgets: Arc::new(Budgets::new(&config.limits)),
            settlement,
            vitals: Arc::clone(&vitals),
            group,
            domain,
            key: config.sequencer_key.clone(),
            decimals: found.decimals,
            state_hash: Arc::default(),
            subscriptions: Arc::new(Subscriptions::new(feeds, sequencer.clone(), past.clone())),
            past,
            follower: Arc::clone(&follower),
        };
        let Opened { address, server, strangers } = door::open(&config, rpc)?;
        let node_file = data.join(NODE_FILE);
        write_node_file(&node_file, address, operations_address, group.group)?;
        vitals.beat(Instant::now());
        vitals.enter(Life::Serving);
        tracing::info!(
            http = %format!("http://{address}"),
            operations = %format!("http://{operations_address}"),
            group = %group.group,
            chain = group.chain_id,
            sequencer = %config.sequencer_key.address(),
            "ready"
        );
        if let (Some(place), Some(replication)) = (place, &config.replication) {
            let part = Part {
                place,
                role: Arc::clone(&role),
                sequencer: sequencer.clone(),
                durability,
                journal: data.join(JOURNAL_FOLDER),
                group,
                vitals: Arc::clone(&vitals),
                address: replication.advertise.clone().unwrap_or_else(|| format!("http://{address}")),
                frame_interval: config.frame_interval,
                begin,
            };
            tasks.spawn(part.play());
        }
        let stop_wait = config.stop_wait;
        Ok(Self {
            address,
            server,
            _strangers: strangers,
            sequencer,
            ended,
            settling,
            tasks,
            vitals,
            role,
            follower,
            stop_wait,
            node_file,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` resolves or the sequencer ends by itself. Told to stop, it takes no more commands, answers those
    /// that it has, seals the open frame, and gives its batches some time to settle. It may be killed at any point of that.
    ///
    /// # Errors
    /// If the sequencer ended by itself: it could not write the journal, or has a bug.
    pub fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> BoxFuture<'static, Result<(), NodeError>> {
        self.serve(stop.boxed()).boxed()
    }

    async fn serve(mut self, stop: BoxFuture<'static, ()>) -> Result<(), NodeError> {
        let stopped = async {
            stop.await;
            self.vitals.enter(Life::Stopping);
            tracing::info!("stopping: no more commands are taken");
            self.sequencer.drain().await;
        };
        let ended = tokio::select! {
            ended = &mut self.ended => ended,
            () = stopped => {
                self.sequencer.stop();
                (&mut self.ended).await
            }
        };
        self.vitals.enter(Life::Stopping);
        // Now the door, so that no client asks what nobody answers; behind whoever has been answered.
        let _ = self.server.stop();
        if tokio::time::timeout(ANSWERS_LEAVE, self.server.clone().stopped()).await.is_err() {
            tracing::warn!("some clients do not take their last answers; going on without");
        }
        let ended = match self.role.failure() {
            Some(error) => Err(error),
            None => ended.unwrap_or(Err(NodeError::SequencerPanicked)),
        };
        if ended.is_ok() {
            self.settle().await;
        }
        self.tasks.shutdown().await;
        // It writes down what it has read; what it has not, it reads after the next start.
        drop(self.follower);
        // A reader of a stale file would find nobody there.
        let _ = std::fs::remove_file(&self.node_file);
        ended
    }

    /// Waits for the batches of what was sealed, as long as the operator allows.
    async fn settle(&mut self) {
        let settled = async { while self.settling.join_next().await.is_some() {} };
        let in_time = tokio::time::timeout(self.stop_wait, settled).await.is_ok();
        match self.vitals.unsettled() {
            0 => tracing::info!("stopped: every sealed frame is settled"),
            frames => {
                tracing::warn!(frames, in_time, "stopped: sealed frames are left; they settle after the next start")
            }
        }
    }
}

/// The state after the journal's last command, and the journal to be written on.
fn bring_up(
    opened: Recovery,
    (snapshots, past): &(Snapshots, xos_history::History),
    anchor: Anchor,
    hand_in: u64,
    alone: bool,
) -> Result<(Recovered, Journal), NodeError> {
    let past = |snapshot| History::load(past, snapshot);
    let (recovered, journal) = restore(opened, snapshots, past, anchor, hand_in, alone)?;
    Ok((recovered, journal.resume()?))
}

fn pace(config: &Config) -> Pace {
    let Limits { window_commands, frame_inbox_items, frame_inbox_bytes, frame_gas, .. } = config.limits;
    Pace {
        frame_interval: config.frame_interval,
        ingress_window: config.ingress_window,
        window_commands,
        frame_inbox_items,
        frame_inbox_bytes,
        frame_gas,
    }
}

/// The publisher, which knows what is listed and whom the frames concern that are not settled yet.
fn start_feeds(config: &Config, recovered: &Recovered) -> Result<Feeds, NodeError> {
    let names = OrderNames::new(&config.sequencer_key.to_bytes());
    let mut publisher = Publisher::new(names, &recovered.engine);
    for frame in &recovered.unsettled {
        publisher.remember(SealedFrame::of(frame));
    }
    Feeds::start(publisher).map_err(file("cannot start a thread for", Path::new("the feeds")))
}

fn start_sequencer(
    core: Core,
    items: std::sync::mpsc::Receiver<crate::ingress::Item>,
) -> Result<oneshot::Receiver<Result<(), NodeError>>, NodeError> {
    let (end, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("sequencer".into())
        .spawn(move || {
            // Windows of microseconds end when they should, and not 50 later.
            let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
            // If it panics, `end` is dropped, and the waiting side knows.
            let result = core.run(&items).map_err(|stopped| match stopped {
                Stopped::Journal(error) => NodeError::Journal(error),
                Stopped::InboxTakenBack(index) => NodeError::InboxTakenBack { index },
                Stopped::Differs(frame) => NodeError::Differs { frame },
                Stopped::Unreadable(what) => NodeError::Diverged(format!("a block of the log cannot be read: {what}")),
            });
            if let Err(error) = &result {
                tracing::error!(%error, "the sequencer stops");
            }
            let _ = end.send(result);
        })
        .map_err(file("cannot start a thread for", Path::new("the sequencer")))?;
    Ok(ended)
}

/// Written beside and renamed, so that a reader never sees half of it.
fn write_node_file(path: &Path, rpc: SocketAddr, operations: SocketAddr, group: Address) -> Result<(), NodeError> {
    let content = NodeFile {
        pid: std::process::id(),
        http: format!("http://{rpc}"),
        ws: format!("ws://{rpc}"),
        operations: format!("http://{operations}"),
        group,
    };
    let fresh = path.with_extension("new");
    let written = serde_json::to_vec_pretty(&content)
        .map_err(io::Error::from)
        .and_then(|json| std::fs::write(&fresh, json))
        .and_then(|()| std::fs::rename(&fresh, path));
    written.map_err(file("cannot write", path))
}

fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> NodeError {
    let path = path.to_owned();
    move |source| NodeError::File { action, path, source }
}
