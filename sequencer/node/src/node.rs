//! Puts the parts together, in the order in which they must stand, and takes them apart again.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::core::middleware::RpcServiceBuilder;
use jsonrpsee::server::middleware::http::ProxyGetRequestLayer;
use jsonrpsee::server::{BatchRequestConfig, PingConfig, Server, ServerConfig, ServerHandle};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;
use xos_api::XosApiServer;
use xos_chain::{
    At, Chain, ChainError, Deployment, InboxConfig, InboxReader, SettledBatch, Submitter, SubmitterConfig,
};
use xos_journal::{Journal, JournalError};
use xos_types::{Address, InboxItem};

use crate::config::{Config, Limits};
use crate::feeds::Books;
use crate::ingress::{Backlog, Sequencer};
use crate::output::Outputs;
use crate::params::NamedParams;
use crate::recovery::{Anchor, Recovered, RecoveryError, recover};
use crate::rpc::Rpc;
use crate::sequencer::{Core, Pace};
use crate::settlement::{Batches, Settlement, pass_on};

/// Where a running node wrote where it listens.
pub const NODE_FILE: &str = "node.json";
/// Folder of the journal within the data folder.
pub const JOURNAL_FOLDER: &str = "journal";
const BATCHES_FILE: &str = "batches.jsonl";
/// Inbox items that are read ahead of the frames that consume them.
const INBOX_AHEAD: usize = 1024;
/// Frames that the submitter is handed ahead of the one it settles.
const FRAMES_AHEAD: usize = 16;
/// Settled frames whose details are looked up again if they were lost.
const LOOKED_UP_MAX: u64 = 1000;

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
    #[error("cannot listen on {address}: {source}; choose another with `listen` (port 0 takes a free one)")]
    Listen {
        /// The address.
        address: SocketAddr,
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
    /// The risk group.
    pub group: Address,
}

/// A node that serves requests.
pub struct Node {
    address: SocketAddr,
    server: ServerHandle,
    sequencer: Sequencer,
    ended: oneshot::Receiver<Result<(), NodeError>>,
    tasks: JoinSet<()>,
    node_file: PathBuf,
}

/// What was found on the chain before anything was started.
struct Found {
    deployment: Deployment,
    decimals: u8,
    last: Option<SettledBatch>,
    inbox_queued: u64,
}

/// Checks everything that can be checked without starting: deployment, chain, keys, and that the data folder can be used.
///
/// # Errors
/// What is wrong.
pub async fn check(config: &Config) -> Result<(), NodeError> {
    look_around(config).await.map(drop)
}

async fn look_around(config: &Config) -> Result<Found, NodeError> {
    let deployment = Deployment::load(&config.deployment)?;
    let chain = Chain::connect(&config.chain, &deployment).await?;
    let (got, expected) = (config.sequencer_key.address(), chain.sequencer().await?);
    if got != expected {
        return Err(NodeError::WrongKey { got, expected });
    }
    let decimals = chain.token_decimals().await?;
    let inbox_queued = chain.inbox(At::Latest).await?.tail;
    let last = match chain.last_batch(At::Latest).await?.id {
        0 => None,
        id => chain.batches(id).await?.into_iter().next(),
    };
    Ok(Found { deployment, decimals, last, inbox_queued })
}

impl Node {
    /// Brings a node up: chain, journal, inbox, sequencer, submitter, and last the door for clients.
    ///
    /// # Errors
    /// What is wrong; nothing keeps running then.
    pub async fn start(config: Config) -> Result<Self, NodeError> {
        let found = look_around(&config).await?;
        let data = &config.data;
        std::fs::create_dir_all(data).map_err(file("cannot create", data))?;
        let group = found.deployment.group_config();
        let on_disk = xos_journal::Settings { segment_bytes: config.limits.journal_segment_mb << 20 };
        let mut opened = Journal::open(data.join(JOURNAL_FOLDER), &group, on_disk)?;
        let batches_path = data.join(BATCHES_FILE);
        let batches = Batches::open(&batches_path).map_err(file("cannot write", &batches_path))?;

        let anchor = found.last.map_or_else(Anchor::default, |last| Anchor {
            id: last.id,
            sequence: last.sequence,
            log_hash: last.log_hash.0,
        });
        // What settled while nobody took note is handed in again, to be looked up.
        let hand_in = batches.next().min(anchor.id + 1).max((anchor.id + 1).saturating_sub(LOOKED_UP_MAX));
        let (recovered, journal) = tokio::task::spawn_blocking(move || {
            let recovered = recover(group, opened.replay(), anchor, hand_in)?;
            Ok((recovered, opened.resume()?))
        })
        .await
        .map_err(|_| NodeError::SequencerPanicked)?
        .map_err(|error| match error {
            RecoveryError::Journal(error) => NodeError::Journal(error),
            diverged => NodeError::Diverged(diverged.to_string()),
        })?;
        let (consumed, queued) = (recovered.engine.next_inbox(), found.inbox_queued);
        if consumed > queued {
            return Err(NodeError::ChainReset { consumed, queued });
        }

        let limits = config.limits;
        let backlog = Backlog::new(recovered.engine.frames_sealed(), anchor.id, limits.unsettled_frames);
        let (sequencer, items) = Sequencer::channel(
            limits.queued_commands,
            limits.queued_queries,
            Arc::clone(&backlog),
            journal.durability(),
        );
        let mut tasks = JoinSet::new();

        let (sealed, sealed_frames) = mpsc::unbounded_channel();
        for frame in &recovered.unsettled {
            // The receiver is held just below.
            let _ = sealed.send(frame.clone());
        }
        let settlement = start_settlement(&config, &found, &mut tasks, sealed_frames, batches, &backlog)?;
        let inbox = start_inbox(&config, &found, &mut tasks, consumed, &settlement)?;

        let Recovered { engine, history, unsettled: _ } = recovered;
        let outputs = Outputs::start(journal.durability(), sealed, Arc::clone(&backlog), sequencer.clone())
            .map_err(file("cannot start a thread for", Path::new("the output stage")))?;
        let core = Core {
            engine,
            history,
            books: Books::default(),
            journal,
            outputs,
            pace: pace(&config),
            inbox,
            next_item: None,
            backlog,
        };
        let ended = start_sequencer(core, items)?;

        let rpc = Rpc {
            sequencer: sequencer.clone(),
            settlement,
            group,
            domain: found.deployment.domain(),
            key: config.sequencer_key.clone(),
            decimals: found.decimals,
            state_hash: Mutex::default(),
        };
        let (address, server) = serve(&config, rpc).await?;
        let node_file = data.join(NODE_FILE);
        write_node_file(&node_file, address, group.group)?;
        tracing::info!(
            http = %format!("http://{address}"),
            group = %group.group,
            chain = group.chain_id,
            sequencer = %config.sequencer_key.address(),
            "ready"
        );
        Ok(Self { address, server, sequencer, ended, tasks, node_file })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` resolves or the sequencer ends by itself.
    ///
    /// # Errors
    /// If the sequencer ended by itself: it could not write the journal, or has a bug.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), NodeError> {
        let ended = tokio::select! {
            ended = &mut self.ended => Some(ended),
            () = stop => None,
        };
        // First the door, so that no client is told of what the sequencer no longer does.
        let _ = self.server.stop();
        self.sequencer.stop();
        let ended = match ended {
            Some(ended) => ended,
            None => self.ended.await,
        };
        self.tasks.shutdown().await;
        // A reader of a stale file would find nobody there.
        let _ = std::fs::remove_file(&self.node_file);
        ended.unwrap_or(Err(NodeError::SequencerPanicked))
    }
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

fn start_settlement(
    config: &Config,
    found: &Found,
    tasks: &mut JoinSet<()>,
    sealed: mpsc::UnboundedReceiver<xos_types::Frame>,
    batches: Batches,
    backlog: &Arc<Backlog>,
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
    tasks.spawn(pass_on(sealed, frames));
    tasks.spawn(async move {
        // It says in the log and in its status why it stops.
        let _ = submitter.run(handed_in, reports).await;
    });
    let noting = Arc::clone(&settlement);
    tasks.spawn(async move { noting.note(settled).await });
    Ok(settlement)
}

fn start_inbox(
    config: &Config,
    found: &Found,
    tasks: &mut JoinSet<()>,
    next: u64,
    settlement: &Arc<Settlement>,
) -> Result<mpsc::Receiver<InboxItem>, NodeError> {
    let reading = InboxConfig { confirmations: config.confirmations, ..InboxConfig::default() };
    let reader = InboxReader::new(&config.chain, &found.deployment, reading, next)?;
    let (read, mut items) = mpsc::channel(1);
    let (ready, inbox) = mpsc::channel(INBOX_AHEAD);
    let halting = Arc::clone(settlement);
    tasks.spawn(async move {
        if let Err(error) = reader.run(read).await {
            tracing::error!(%error, "the inbox cannot be read any further");
            halting.halt_inbox(error.to_string());
        }
    });
    let seen = Arc::clone(settlement);
    tasks.spawn(async move {
        while let Some(item) = items.recv().await {
            seen.set_inbox_seen(item.index + 1);
            if ready.send(item).await.is_err() {
                return;
            }
        }
    });
    Ok(inbox)
}

fn start_sequencer(
    core: Core,
    items: std::sync::mpsc::Receiver<crate::ingress::Item>,
) -> Result<oneshot::Receiver<Result<(), NodeError>>, NodeError> {
    let (end, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("sequencer".into())
        .spawn(move || {
            // If it panics, `end` is dropped, and the waiting side knows.
            let result = core.run(&items).map_err(NodeError::from);
            if let Err(error) = &result {
                tracing::error!(%error, "the sequencer stops");
            }
            let _ = end.send(result);
        })
        .map_err(file("cannot start a thread for", Path::new("the sequencer")))?;
    Ok(ended)
}

async fn serve(config: &Config, rpc: Rpc) -> Result<(SocketAddr, ServerHandle), NodeError> {
    let limits = config.limits;
    let settings = ServerConfig::builder()
        .max_connections(limits.connections)
        .max_subscriptions_per_connection(limits.subscriptions)
        .max_request_body_size(limits.request_bytes)
        .max_response_body_size(limits.response_bytes)
        .set_batch_request_config(BatchRequestConfig::Limit(limits.batch_requests))
        .set_message_buffer_capacity(limits.message_buffer)
        .enable_ws_ping(
            PingConfig::new().ping_interval(Duration::from_secs(20)).inactive_limit(Duration::from_secs(60)),
        )
        .build();
    let plain_paths =
        ProxyGetRequestLayer::new([("/health", "xos_health"), ("/ready", "xos_ready"), ("/info", "xos_info")])
            .expect("the paths differ and begin with a slash");
    let response_bytes = usize::try_from(limits.response_bytes).unwrap_or(usize::MAX);
    let named = RpcServiceBuilder::new().layer_fn(move |inner| NamedParams { inner, response_bytes });
    let listen_error = |source| NodeError::Listen { address: config.listen, source };
    let server = Server::builder()
        .set_config(settings)
        .set_http_middleware(tower::ServiceBuilder::new().layer(plain_paths))
        .set_rpc_middleware(named)
        .build(config.listen)
        .await
        .map_err(listen_error)?;
    let address = server.local_addr().map_err(listen_error)?;
    Ok((address, server.start(rpc.into_rpc())))
}

/// Written beside and renamed, so that a reader never sees half of it.
fn write_node_file(path: &Path, address: SocketAddr, group: Address) -> Result<(), NodeError> {
    let content =
        NodeFile { pid: std::process::id(), http: format!("http://{address}"), ws: format!("ws://{address}"), group };
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
