//! `xos node --check`: looks at everything that can be looked at without starting, changes nothing, and says of each thing
//! that it is in order, or what to do.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use futures::FutureExt;
use futures::future::BoxFuture;
use rustix::fs::{Access, access};
use xos_chain::{Chain, ChainError, Deployment, Pulse};
use xos_journal::{JournalError, LOCK_FILE};
use xos_replica::{JetStream, Log};
use xos_types::GroupConfig;

use crate::config::{Config, ConfigError, Replication};
use crate::node::JOURNAL_FOLDER;
use crate::sequencer::unix_ms;
use crate::vitals::{DISK_FREE_MIN, disk_free};

/// By how much the newest block's time may differ from this machine's clock. A group takes no frame from the future.
const CLOCKS_APART_MAX_MS: u64 = 60_000;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Which.
    pub what: &'static str,
    /// What was found; or what is wrong, and what to do.
    pub found: Result<String, String>,
}

/// Everything that was looked at, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings(Vec<Checked>);

impl Findings {
    /// Whether a node could start.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.0.iter().all(|checked| checked.found.is_ok())
    }

    /// Each thing.
    #[must_use]
    pub fn checked(&self) -> &[Checked] {
        &self.0
    }

    /// Notes what was found, and hands on what it was found with.
    fn note<T>(&mut self, what: &'static str, found: Result<(T, String), String>) -> Option<T> {
        let (found, value) = match found {
            Ok((value, found)) => (Ok(found), Some(value)),
            Err(problem) => (Err(problem), None),
        };
        self.0.push(Checked { what, found });
        value
    }

    fn say(&mut self, what: &'static str, found: Result<String, String>) {
        self.note(what, found.map(|found| ((), found)));
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Checked { what, found } in &self.0 {
            match found {
                Ok(found) => writeln!(f, "ok      {what}: {found}")?,
                Err(problem) => writeln!(f, "failed  {what}: {problem}")?,
            }
        }
        let failed = self.0.iter().filter(|checked| checked.found.is_err()).count();
        match failed {
            0 => write!(f, "ready to start"),
            1 => write!(f, "1 check failed; the node would not start, or not for long"),
            _ => write!(f, "{failed} checks failed; the node would not start, or not for long"),
        }
    }
}

/// Looks at configuration, folder, journal, addresses, chain, contracts and keys.
pub fn check(config: Result<Config, ConfigError>) -> BoxFuture<'static, Findings> {
    look_at(config).boxed()
}

async fn look_at(config: Result<Config, ConfigError>) -> Findings {
    let mut findings = Findings::default();
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            for problem in error.problems() {
                findings.say("configuration", Err(problem.clone()));
            }
            return findings;
        }
    };
    findings.say("configuration", Ok(format!("data in {}", config.data.display())));
    let deployment = findings.note("deployment", deployment(&config.deployment));
    findings.say("data folder", writable(&config.data));
    findings.say("disk", disk(&config.data));
    let journal = config.data.join(JOURNAL_FOLDER);
    findings.say("journal lock", lock_free(&journal.join(LOCK_FILE)));
    if let Some(deployment) = &deployment {
        let group = deployment.group_config();
        let read = tokio::task::spawn_blocking(move || journal_of(&journal, &group)).await;
        findings.say("journal", read.unwrap_or_else(|_| Err("reading it panicked; that is a bug".into())));
    }
    findings.say("listen", bindable(config.listen));
    findings.say("operations_listen", bindable(config.operations_listen));
    if let (Some(replication), Some(deployment)) = (&config.replication, &deployment) {
        findings.say("replication", log(replication, &deployment.group_config()).await);
    }
    if let Some(deployment) = deployment {
        ask_chain(&mut findings, &config, &deployment).await;
    }
    findings
}

async fn log(replication: &Replication, group: &GroupConfig) -> Result<String, String> {
    let log = JetStream::connect(&replication.servers, group).await.map_err(text)?;
    let last = log.last().await.map_err(text)?;
    Ok(format!("the log has {last} messages, kept {} times", replication.servers.replicas))
}

async fn ask_chain(findings: &mut Findings, config: &Config, deployment: &Deployment) {
    let connected = Chain::connect(&config.chain, deployment).await.map_err(text);
    let connected = connected.map(|chain| {
        let found = format!("{} serves chain {} and has the group's contract", chain.url(), deployment.chain_id);
        (chain, found)
    });
    let Some(chain) = findings.note("chain", connected) else { return };
    findings.say("contract version", version(&chain, deployment).await);
    findings.say("sequencer key", sequencer(&chain, config).await);
    match chain.pulse(config.relayer_key.address()).await {
        Ok(pulse) => {
            findings.say("relayer", gas_money(config, &pulse));
            findings.say("clock", clock(&pulse));
            findings.say("group", open(&pulse));
        }
        Err(error) => findings.say("group", Err(text(error))),
    }
}

fn deployment(path: &Path) -> Result<(Deployment, String), String> {
    let deployment = Deployment::load(path).map_err(text)?;
    let found = format!("group {} on chain {}", deployment.group, deployment.chain_id);
    Ok((deployment, found))
}

fn writable(folder: &Path) -> Result<String, String> {
    let existing = folder.ancestors().map(or_here).find(|folder| folder.exists()).unwrap_or(Path::new("."));
    access(existing, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
        format!("{} cannot be written to ({error}); give it to the user that runs the node", existing.display())
    })?;
    Ok(if folder.exists() { "can be written to".into() } else { "will be created".into() })
}

/// The parent of a relative path with one part is an empty path.
fn or_here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

fn disk(folder: &Path) -> Result<String, String> {
    let free =
        disk_free(folder).ok_or_else(|| format!("cannot ask how much is free where {} lies", folder.display()))?;
    let free = format!("{} MiB free", free >> 20);
    if disk_free(folder) < Some(DISK_FREE_MIN) {
        return Err(format!("{free}, expected {} at least; make room", DISK_FREE_MIN >> 20));
    }
    Ok(free)
}

fn lock_free(path: &Path) -> Result<String, String> {
    let lock = match File::open(path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok("nobody has it".into()),
        Err(error) => return Err(format!("cannot open {}: {error}", path.display())),
    };
    // Given back when the file is closed.
    match lock.try_lock() {
        Ok(()) => Ok("nobody has it".into()),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked { path: path.to_owned() }.to_string()),
        Err(TryLockError::Error(error)) => Err(format!("cannot lock {}: {error}", path.display())),
    }
}

fn journal_of(folder: &Path, expected: &GroupConfig) -> Result<String, String> {
    let found = match xos_journal::verify(folder, |_| ()) {
        Ok(found) => found,
        Err(JournalError::Missing { .. }) => return Ok("none yet; a new one begins".into()),
        Err(error) => return Err(error.to_string()),
    };
    if found.group != *expected {
        let (found, expected) = (Box::new(found.group), Box::new(*expected));
        return Err(JournalError::OtherGroup { path: folder.to_owned(), found, expected }.to_string());
    }
    let commands = found.last;
    Ok(match found.dropped_tail {
        None => format!("this group's, intact, {commands} commands"),
        Some(tail) => format!(
            "this group's, {commands} commands; {} bytes at its end are no whole block and are dropped at the next start",
            tail.bytes
        ),
    })
}

fn bindable(address: SocketAddr) -> Result<String, String> {
    TcpListener::bind(address).map_err(|error| format!("cannot listen on {address}: {error}; choose another"))?;
    Ok(address.to_string())
}

/// The domain that everything is signed for says name, version, chain and contract; the deadline is asked for because an
/// older contract has none.
async fn version(chain: &Chain, deployment: &Deployment) -> Result<String, String> {
    let wrong = |error: ChainError| format!("{error}; is the deployment file that of this contract?");
    let (theirs, ours) = (chain.domain_separator().await.map_err(wrong)?, deployment.domain().separator());
    if theirs != ours {
        return Err(format!(
            "the contract signs for domain {theirs}, this node for {ours}: it is of another version; run the node that belongs to it"
        ));
    }
    let deadline = chain.inbox_deadline().await.map_err(wrong)?;
    Ok(format!("the same EIP-712 domain; inbox deadline {} s", deadline / 1000))
}

async fn sequencer(chain: &Chain, config: &Config) -> Result<String, String> {
    let (ours, theirs) = (config.sequencer_key.address(), chain.sequencer().await.map_err(text)?);
    if ours != theirs {
        return Err(format!("it is that of {ours}, but the group takes batches of {theirs} only; set its key"));
    }
    Ok(format!("the group takes batches of {ours}"))
}

fn gas_money(config: &Config, pulse: &Pulse) -> Result<String, String> {
    let relayer = config.relayer_key.address();
    if pulse.relayer_balance == 0 {
        return Err(format!("{relayer}, who sends batches, has no gas money; send it some"));
    }
    Ok(format!("{relayer} has {} wei for gas", pulse.relayer_balance))
}

fn clock(pulse: &Pulse) -> Result<String, String> {
    let apart = unix_ms().abs_diff(pulse.block_time.0);
    if apart > CLOCKS_APART_MAX_MS {
        return Err(format!(
            "the newest block's time is {} s from this machine's; see that the clock is right and the chain goes on",
            apart / 1000
        ));
    }
    Ok(format!("{apart} ms from the newest block's time"))
}

fn open(pulse: &Pulse) -> Result<String, String> {
    match pulse.frozen_at {
        Some(since) => Err(format!("it was frozen at {} and settles nothing any more", since.0)),
        None => Ok(format!("it settles; {} inbox items wait", pulse.inbox.tail.saturating_sub(pulse.inbox.head))),
    }
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}
