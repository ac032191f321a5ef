//! `xos node`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;
use xos_node::config::{ReplicationSettings, Settings};

use crate::error::CliError;

/// Run a sequencer node
///
/// Flags override the configuration file. The key that signs batches comes from a file or from XOS_SEQUENCER_KEY in the
/// environment (the relayer's, which pays for gas, from XOS_RELAYER_KEY); keys are never printed. Ctrl-C or SIGTERM stops it
/// in peace, a second one at once. It may be killed at any moment: the same command brings it back with every acknowledged
/// order and every batch.
#[derive(Args)]
#[command(after_help = "Examples:
  xos node --config node.toml
  xos node --chain http://127.0.0.1:8545 --deployment deployments/31337.group-1.json --data run/node --listen 127.0.0.1:0
  xos node --config node.toml --check

Configuration file (all of it optional):
  chain = \"http://127.0.0.1:8545\"        frame_interval_ms = 1000
  deployment = \"deployments/31337.group-1.json\"  ingress_window_us = 1000
  data = \"run/node\"                      confirmations = 0
  listen = \"127.0.0.1:8645\"              sequencer_key_file = \"sequencer.key\"
  operations_listen = \"127.0.0.1:8646\"   stop_wait_ms = 5000
  price_reporters = \"http://10.0.0.7:8700,http://10.0.0.8:8700\"
  [limits]
  connections = 10000   queued_commands = 20000    batch_requests = 100    journal_segment_mb = 64
  address_connections = 256    address_per_second = 10000    account_per_second = 2000

Several nodes (docs/operations.md):
  durability = \"replicated\"
  [replication]
  servers = \"nats://10.0.0.1:4222,nats://10.0.0.2:4222,nats://10.0.0.3:4222\"
  replicas = 3    lease_ms = 1000    advertise = \"https://node-a.example\"    credentials_file = \"nats.creds\"")]
pub(crate) struct Node {
    /// Configuration file (TOML); unknown settings are refused
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check configuration, data folder, journal, addresses, chain, contracts and keys, say what is found, and end; exit
    /// code 1 if anything is wrong
    #[arg(long)]
    check: bool,
    /// JSON-RPC of an X Layer node [default: http://127.0.0.1:8545]
    #[arg(long, value_name = "URL")]
    chain: Option<String>,
    /// Deployment file that the deploy script wrote [default: deployments/31337.group-1.json]
    #[arg(long, value_name = "FILE")]
    deployment: Option<PathBuf>,
    /// Folder of the journal [default: run/node]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Address that the JSON-RPC listens on; port 0 takes a free one [default: 127.0.0.1:8645]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Address that /metrics, /health and /ready listen on [default: 127.0.0.1:8646]
    #[arg(long, value_name = "ADDRESS")]
    operations_listen: Option<String>,
    /// Proxies that are believed about who their client is: addresses or networks, separated by commas
    #[arg(long, value_name = "ADDRESSES")]
    trusted_proxies: Option<String>,
    /// Origins whose web pages may talk to the node, separated by commas [default: *]
    #[arg(long, value_name = "ORIGINS")]
    allowed_origins: Option<String>,
    /// Milliseconds that a node that is told to stop waits for its batches to settle [default: 5000]
    #[arg(long, value_name = "MS")]
    stop_wait_ms: Option<u64>,
    /// Milliseconds from one frame to the next [default: 1000]
    #[arg(long, value_name = "MS")]
    frame_interval_ms: Option<u64>,
    /// Microseconds during which commands are gathered before they execute [default: 1000]
    #[arg(long, value_name = "US")]
    ingress_window_us: Option<u64>,
    /// Blocks on top of a block before its inbox items count [default: 0]
    #[arg(long, value_name = "BLOCKS")]
    confirmations: Option<u64>,
    /// `local`, or `replicated`: other nodes follow, and one of them takes over [default: local]
    #[arg(long, value_name = "HOW")]
    durability: Option<String>,
    /// Journal segments that no restart needs any more: `keep`, `archive` or `remove` [default: keep]
    #[arg(long, value_name = "HOW")]
    old_segments: Option<String>,
    /// NATS servers with JetStream that keep the log which the nodes share, separated by commas
    #[arg(long, value_name = "URLS")]
    nats: Option<String>,
    /// Milliseconds without a sign of a leader after which a standby takes the lead [default: 1000]
    #[arg(long, value_name = "MS")]
    lease_ms: Option<u64>,
    /// Where price reporters serve what they sign, separated by commas; without any, markets with an index price only reduce
    #[arg(long, value_name = "URLS")]
    price_reporters: Option<String>,
    /// File with the key that signs batches and receipts
    #[arg(long, value_name = "FILE")]
    sequencer_key_file: Option<PathBuf>,
    /// File with the key that pays for gas; the sequencer's own if not given
    #[arg(long, value_name = "FILE")]
    relayer_key_file: Option<PathBuf>,
    /// Stop when standard input ends: whoever started this node and holds the other end is gone
    #[arg(long)]
    while_stdin: bool,
    /// How to write the log to standard error; RUST_LOG chooses what (`info`; `xos_node=debug` names every order)
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

impl Node {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        start_log(self.log_format);
        let (check, while_stdin) = (self.check, self.while_stdin);
        let settings = match &self.config {
            Some(path) => Settings::read(path),
            None => Ok(Settings::default()),
        };
        let config = settings.and_then(|settings| settings.overridden_by(self.flags()).check());
        if check {
            let findings = xos_node::check(config).await;
            println!("{findings}");
            return Ok(if findings.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        let node = xos_node::Node::start(config?).await?;
        println!("listening on http://{address} and ws://{address}", address = node.address());
        let (told, left) = (stop_signal()?, stdin_ends(while_stdin));
        node.run(async {
            tokio::select! {
                () = told => {}
                () = left => {}
            }
        })
        .await?;
        println!("stopped");
        Ok(ExitCode::SUCCESS)
    }

    fn flags(self) -> Settings {
        Settings {
            chain: self.chain,
            deployment: self.deployment,
            data: self.data,
            listen: self.listen,
            operations_listen: self.operations_listen,
            trusted_proxies: self.trusted_proxies,
            allowed_origins: self.allowed_origins,
            stop_wait_ms: self.stop_wait_ms,
            frame_interval_ms: self.frame_interval_ms,
            ingress_window_us: self.ingress_window_us,
            confirmations: self.confirmations,
            durability: self.durability,
            old_segments: self.old_segments,
            replication: ReplicationSettings {
                servers: self.nats,
                lease_ms: self.lease_ms,
                ..ReplicationSettings::default()
            },
            price_reporters: self.price_reporters,
            sequencer_key_file: self.sequencer_key_file,
            relayer_key_file: self.relayer_key_file,
            ..Settings::default()
        }
    }
}

/// What others write at debug level may repeat the chain's URL, whose path or query may be a secret.
const QUIET: [&str; 3] = ["alloy_transport_http=info", "alloy_rpc_client=info", "reqwest=info"];

pub(crate) fn start_log(format: LogFormat) {
    let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    for quiet in QUIET {
        filter = filter.add_directive(quiet.parse().expect("a target and a level"));
    }
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_target(false).init(),
        LogFormat::Json => log.json().init(),
    }
}

/// Resolves at the first Ctrl-C, or when the service manager asks to stop. At the second the process ends at once, which
/// loses no more than a sudden death would: nothing that was acknowledged.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>, CliError> {
    let listen = |kind| signal(kind).map_err(|error| CliError::Refused(format!("cannot listen for signals: {error}")));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let (first, stop) = oneshot::channel();
    tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        // The node may have ended by itself.
        let _ = first.send(());
        either(&mut interrupt, &mut terminate).await;
        eprintln!("error: told to stop twice, so it ends at once; every acknowledged order is in the journal");
        std::process::exit(1);
    });
    Ok(async move {
        if stop.await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// Resolves when standard input ends; never, if that is not asked for.
async fn stdin_ends(asked: bool) {
    if !asked {
        return std::future::pending().await;
    }
    let (end, ended) = oneshot::channel();
    // A thread, because a runtime that ends waits for blocking tasks, and this one may wait for ever.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = end.send(());
    });
    let _ = ended.await;
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
