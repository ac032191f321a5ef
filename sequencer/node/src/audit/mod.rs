//! Replays a journal from its first command and compares it with the chain, and with the node that wrote it.
//!
//! Nothing is changed and nothing is taken on trust: the journal's hashes are checked as it is read, every settled batch is
//! rebuilt from it and its hash compared with the chain's, and every account is compared at the last settled batch.

mod custody;
mod replays;
mod state;

use std::fmt;
use std::path::PathBuf;

use futures::FutureExt;
use futures::future::BoxFuture;
use jsonrpsee::http_client::HttpClientBuilder;
use serde::Serialize;
use xos_api::{StateHash, XosApiClient};
use xos_chain::{At, Chain, ChainError, Deployment};
use xos_journal::JournalError;
use xos_types::{Address, B256};

use crate::node::JOURNAL_FOLDER;
use custody::{Owed, check_assets, check_money};
use replays::{check_logins, check_node, check_replays, check_trees, check_windows, replay_again, replay_once};
use state::{check_accounts, check_batches, check_holdings, check_positions, check_positions_sum, read_chain};

/// Differences that are shown of one check.
const SHOWN: usize = 5;

/// What to audit.
#[derive(Clone, Debug)]
pub struct Subject {
    /// JSON-RPC address of an X Layer node.
    pub chain: String,
    /// Deployment file.
    pub deployment: PathBuf,
    /// The node's data folder.
    pub data: PathBuf,
    /// The running node's JSON-RPC over HTTP, if its state is to be compared too.
    pub node: Option<String>,
}

/// Why an audit could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The chain does not answer, or is not the deployment's.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The node does not answer.
    #[error(
        "the node at {url} does not answer xos_stateHash: {reason}; is it running? Leave it out to audit the journal alone"
    )]
    Node {
        /// Where it was asked.
        url: String,
        /// What came back.
        reason: String,
    },
    /// The journal is another group's.
    #[error(
        "the journal belongs to group {journal}, the deployment is group {deployment}; name the node's own data folder"
    )]
    OtherGroup {
        /// The journal's group.
        journal: Address,
        /// The deployment's group.
        deployment: Address,
    },
    /// A replay ended by a bug of ours.
    #[error("the replay broke off: {reason}")]
    Replay {
        /// How.
        reason: String,
    },
}

/// One thing that must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What must hold.
    pub rule: String,
    /// Whether it does.
    pub passed: bool,
    /// Figures, or what differs.
    pub detail: String,
}

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `passed` or `failed`.
    pub audit: &'static str,
    /// Commands replayed.
    pub commands: u64,
    /// Last settled batch.
    pub batches: u64,
    /// Accounts compared.
    pub accounts: usize,
    /// Hash of the state after the last command.
    pub state_hash: B256,
    /// Everything that was checked.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether everything holds.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|check| check.rule.len()).max().unwrap_or(0);
        for check in &self.checks {
            let mark = if check.passed { "ok    " } else { "DIFFER" };
            writeln!(f, "{mark}  {:width$}  {}", check.rule, check.detail)?;
        }
        write!(
            f,
            "audit {}: {} commands, {} batches, {} accounts",
            self.audit, self.commands, self.batches, self.accounts
        )
    }
}

/// Audits. `Err` means that it could not be done, a failed [`Report`] that something differs.
///
/// # Errors
/// If chain, journal or node cannot be read.
pub fn audit(subject: &Subject) -> BoxFuture<'_, Result<Report, AuditError>> {
    compare(subject).boxed()
}

async fn compare(subject: &Subject) -> Result<Report, AuditError> {
    // In this order, so that the journal is at least as new as what it is compared with.
    let node = match &subject.node {
        Some(url) => Some(ask_node(url).await?),
        None => None,
    };
    let deployment = Deployment::load(&subject.deployment)?;
    let chain = Chain::connect(&subject.chain, &deployment).await?;
    let newest = chain.block_number().await?;
    let report = compare_at(subject, node, &deployment, &chain, newest).await?;
    // While a local chain mines, it may answer for its newest block from the next one's state. Once that is there, it cannot.
    if report.passed() || chain.block_number().await? == newest {
        return Ok(report);
    }
    compare_at(subject, node, &deployment, &chain, newest).await
}

async fn compare_at(
    subject: &Subject,
    node: Option<StateHash>,
    deployment: &Deployment,
    chain: &Chain,
    block: u64,
) -> Result<Report, AuditError> {
    let at = At::Block(block);
    let head = chain.last_batch(at).await?;

    let journal = subject.data.join(JOURNAL_FOLDER);
    let node_sequence = node.map(|node| node.sequence);
    let deployment = deployment.clone();
    let (first, second) = tokio::task::spawn_blocking(move || {
        let first = replay_once(&journal, &deployment)?;
        let second = replay_again(&journal, first.sequence, head.sequence, node_sequence)?;
        Ok::<_, AuditError>((first, second))
    })
    .await
    .map_err(|error| AuditError::Replay { reason: error.to_string() })??;

    let mut checks = vec![
        check_replays(&first, &second),
        check_windows(&first.windows),
        check_logins(&first.logins),
        check_trees(&first.trees),
    ];
    checks.extend(node.map(|node| check_node(&node, &second)));
    checks.push(check_batches(chain, head, &first).await?);
    checks.push(check_positions_sum(&second.at_settled));
    let on_chain = read_chain(chain, at, &first, &second.at_settled).await?;
    checks.push(check_accounts(&second.at_settled, &on_chain));
    checks.push(check_positions(&second.at_settled, &on_chain));
    checks.push(check_holdings(chain, at, &second.at_settled, &on_chain).await?);
    let owed = Owed::read(chain, subject, at, &second.at_settled).await?;
    checks.push(check_money(chain, at, &second.at_settled, &owed, first.perpetual_changes).await?);
    checks.push(check_assets(chain, at, &second.at_settled, &owed).await?);

    let passed = checks.iter().all(|check| check.passed);
    Ok(Report {
        audit: if passed { "passed" } else { "failed" },
        commands: first.sequence,
        batches: head.id,
        accounts: on_chain.accounts.len(),
        state_hash: first.state_hash,
        checks,
    })
}

async fn ask_node(url: &str) -> Result<StateHash, AuditError> {
    let failed = |reason: String| AuditError::Node { url: url.into(), reason };
    let client = HttpClientBuilder::default().build(url).map_err(|error| failed(error.to_string()))?;
    client.state_hash().await.map_err(|error| failed(error.to_string()))
}

fn verdict(rule: &str, differences: &[String], figures: String) -> Check {
    let detail = if differences.is_empty() {
        figures
    } else {
        let more = differences.len().saturating_sub(SHOWN);
        let shown = differences[..differences.len().min(SHOWN)].join("; ");
        if more > 0 { format!("{shown}; and {more} more") } else { shown }
    };
    Check { rule: rule.into(), passed: differences.is_empty(), detail }
}
