//! `xos demo`

use std::process::ExitCode;

use clap::Args;
use xos_worldcup::demo::{Options, run};

use crate::error::CliError;

/// Play the 2026 World Cup market from end to end
///
/// Starts a local chain, deploys the contracts, runs a node, and lets traders who hold their own keys trade the 104 matches
/// in compressed time; settles, resolves, pays out and audits. Run it in the repository's root (or use `make demo`, which
/// builds everything first). The last line is a summary as JSON.
#[derive(Args)]
#[command(after_help = "Examples:
  xos demo
  xos demo --speed 4 --exit
  xos demo --kill-node 2 --exit")]
pub(crate) struct Demo {
    #[command(flatten)]
    options: Options,
}

impl Demo {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        let summary = run(self.options).await.map_err(|error| CliError::Refused(error.to_string()))?;
        Ok(if summary.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
