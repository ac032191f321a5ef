//! `xos node`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use xos_node::config::Settings;

use crate::error::CliError;

/// Run a sequencer node
///
/// Flags override the configuration file. The key that signs batches comes from a file or from XOS_SEQUENCER_KEY in the
/// environment (the relayer's, which pays for gas, from XOS_RELAYER_KEY); keys are never printed. The node may be killed
/// at any moment: the same command brings it back with every acknowledged order and every batch.
#[derive(Args)]
#[command(after_help = "Examples:
  xos node --config node.toml
  xos node --chain http://127.0.0.1:8545 --deployment deployments/31337.json --data run/node --listen 127.0.0.1:0
  xos node --config node.toml --check

Configuration file (all of it optional):
  chain = \"http://127.0.0.1:8545\"        frame_interval_ms = 1000
  deployment = \"deployments/31337.json\"  ingress_window_us = 1000
  data = \"run/node\"                      confirmations = 0
  listen = \"127.0.0.1:8645\"              sequencer_key_file = \"sequencer.key\"
  [limits]
  connections = 1000    queued_commands = 20000    batch_requests = 100    journal_segment_mb = 64")]
pub(crate) struct Node {
    /// Configuration file (TOML); unknown settings are refused
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the configuration, the chain and the keys, and end
    #[arg(long)]
    check: bool,
    /// JSON-RPC of an X Layer node [default: http://127.0.0.1:8545]
    #[arg(long, value_name = "URL")]
    chain: Option<String>,
    /// Deployment file that the deploy script wrote [default: deployments/31337.json]
    #[arg(long, value_name = "FILE")]
    deployment: Option<PathBuf>,
    /// Folder of the journal [default: run/node]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Address that the JSON-RPC listens on; port 0 takes a free one [default: 127.0.0.1:8645]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Milliseconds from one frame to the next [default: 1000]
    #[arg(long, value_name = "MS")]
    frame_interval_ms: Option<u64>,
    /// Microseconds during which commands are gathered before they execute [default: 1000]
    #[arg(long, value_name = "US")]
    ingress_window_us: Option<u64>,
    /// Blocks on top of a block before its inbox items count [default: 0]
    #[arg(long, value_name = "BLOCKS")]
    confirmations: Option<u64>,
    /// File with the key that signs batches and receipts
    #[arg(long, value_name = "FILE")]
    sequencer_key_file: Option<PathBuf>,
    /// File with the key that pays for gas; the sequencer's own if not given
    #[arg(long, value_name = "FILE")]
    relayer_key_file: Option<PathBuf>,
    /// How to write the log to standard error; RUST_LOG chooses what
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log: LogFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

impl Node {
    pub(crate) async fn run(self) -> Result<(), CliError> {
        start_log(self.log);
        let check = self.check;
        let settings = match &self.config {
            Some(path) => Settings::read(path)?,
            None => Settings::default(),
        };
        let config = settings.overridden_by(self.flags()).check()?;
        if check {
            xos_node::check(&config).await?;
            println!("ready to start: chain {}, data {}", config.chain, config.data.display());
            return Ok(());
        }
        let node = xos_node::Node::start(config).await?;
        println!("listening on http://{address} and ws://{address}", address = node.address());
        node.run(stop_signal()).await?;
        println!("stopped");
        Ok(())
    }

    fn flags(self) -> Settings {
        Settings {
            chain: self.chain,
            deployment: self.deployment,
            data: self.data,
            listen: self.listen,
            frame_interval_ms: self.frame_interval_ms,
            ingress_window_us: self.ingress_window_us,
            confirmations: self.confirmations,
            sequencer_key_file: self.sequencer_key_file,
            relayer_key_file: self.relayer_key_file,
            ..Settings::default()
        }
    }
}

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_target(false).init(),
        LogFormat::Json => log.json().init(),
    }
}

/// Resolves at Ctrl-C, or when the service manager asks to stop.
async fn stop_signal() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                terminate.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => {
            if interrupted.is_err() {
                std::future::pending::<()>().await;
            }
        }
        () = terminated => {}
    }
}
