//! `xos audit`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use xos_node::audit::{Subject, audit};
use xos_node::{NODE_FILE, NodeFile};

use crate::error::CliError;
use crate::output::Output;
use crate::session::ChainFlags;

/// Replay a node's journal and compare it with the chain, account by account
///
/// Exit code 0 if everything holds, 1 if something differs (each difference is printed) or could not be read.
#[derive(Args)]
#[command(after_help = "Examples:
  xos audit --data run/node
  xos audit --data backup/node --offline --json")]
pub(crate) struct Audit {
    /// The node's data folder
    #[arg(long, value_name = "FOLDER", default_value = "run/node")]
    data: PathBuf,
    /// The running node's JSON-RPC; by default the one that the data folder names
    #[arg(long, value_name = "URL", conflicts_with = "offline")]
    rpc: Option<String>,
    /// Do not compare with a running node
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    chain: ChainFlags,
    #[command(flatten)]
    output: Output,
}

impl Audit {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        let node = match (self.offline, self.rpc) {
            (true, _) => None,
            (false, Some(url)) => Some(url),
            (false, None) => Some(node_of(&self.data)?),
        };
        let subject = Subject { chain: self.chain.chain, deployment: self.chain.deployment, data: self.data, node };
        let report = audit(&subject).await?;
        self.output.print(&report, ToString::to_string)?;
        Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Where the node of that folder listens.
fn node_of(data: &std::path::Path) -> Result<String, CliError> {
    let path = data.join(NODE_FILE);
    let node: Option<NodeFile> = std::fs::read(&path).ok().and_then(|json| serde_json::from_slice(&json).ok());
    node.map(|node| node.http).ok_or_else(|| {
        CliError::usage(format!(
            "{} does not say where the node listens (does it run?); name it with --rpc, or leave it out with --offline",
            path.display()
        ))
    })
}
