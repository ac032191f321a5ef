//! `xos shards`

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use xos_auth::Key;
use xos_chain::{Chain, Core, GroupReader, OpenedGroup, Registry, Wallet};
use xos_node::config::{RELAYER_KEY, SEQUENCER_KEY};
use xos_types::{Address, U256};

use crate::error::CliError;
use crate::node::stop_signal;

/// How often the registry is asked for new groups.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often relayers' gas money is looked at.
const GAS_EVERY: Duration = Duration::from_secs(10);
/// Ports from one group to the next.
const PORTS: u16 = 10;
/// A node that ends by itself comes back after so long, and later each time that it does not stay.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A node that has run for so long stays.
const STAYS: Duration = Duration::from_secs(60);
/// How long a node may take to stop when it is asked to.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// Run a node for every group of the registry
///
/// Watches the venue registry, and for each group whose batches this sequencer's key signs keeps a node running, a process of
/// its own (`xos node`) with its own journal, ports and relayer: no group's failure reaches another. Groups that are made
/// while it runs are served without a restart. A node that ends is started again. Ctrl-C or SIGTERM stops all in peace.
///
/// A group's node listens on `--listen` for the first group and ten ports further for each next one, operators one port above.
/// Each has a relayer of its own, whose key follows from the relayer's key and the group's number, and which the relayer's
/// address keeps in gas money. Everything of a group is in `<data>/group-<number>`.
#[derive(Args)]
#[command(after_help = "Examples:
  xos shards --core deployments/31337.core.json --sequencer-key-file sequencer.key --relayer-key-file relayer.key
  xos shards --core deployments/196.core.json --chain https://rpc.xlayer.tech --config node.toml --confirmations 8")]
pub(crate) struct Shards {
    /// What script/DeployCore.s.sol wrote
    #[arg(long, value_name = "FILE", default_value = "deployments/31337.core.json")]
    core: PathBuf,
    /// JSON-RPC of an X Layer node
    #[arg(long, env = "XOS_CHAIN", value_name = "URL", default_value = "http://127.0.0.1:8545")]
    chain: String,
    /// Folder of all groups' data
    #[arg(long, value_name = "FOLDER", default_value = "run/shards")]
    data: PathBuf,
    /// Where the first group's JSON-RPC listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8645")]
    listen: SocketAddr,
    /// Configuration of every node (see `xos node`); keys, addresses, data and deployment are set here
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Blocks on top of a group's own before it is served
    #[arg(long, value_name = "BLOCKS", default_value_t = 0)]
    confirmations: u64,
    /// File with the key that signs batches; without it, XOS_SEQUENCER_KEY from the environment
    #[arg(long, value_name = "FILE")]
    sequencer_key_file: Option<PathBuf>,
    /// File with the key that pays for gas; without it, XOS_RELAYER_KEY, else the sequencer's
    #[arg(long, value_name = "FILE")]
    relayer_key_file: Option<PathBuf>,
    /// Wei that each group's relayer is kept at; topped up when half of it is spent
    #[arg(long, value_name = "WEI", default_value_t = 1_000_000_000_000_000_000)]
    relayer_float: u128,
}

impl Shards {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        crate::node::start_log(crate::node::LogFormat::Text);
        let core = Core::load(&self.core)?;
        let sequencer = key(self.sequencer_key_file.as_deref(), SEQUENCER_KEY)?.ok_or_else(|| {
            CliError::usage(format!("no key: name a file with --sequencer-key-file, or set {SEQUENCER_KEY}"))
        })?;
        let relayer = key(self.relayer_key_file.as_deref(), RELAYER_KEY)?.unwrap_or_else(|| sequencer.clone());
        let registry = Registry::connect(&self.chain, &core).await?;
        std::fs::create_dir_all(&self.data).map_err(|error| refused(&self.data, &error))?;
        let (stop, stopped) = watch::channel(false);
        let mut fleet = Fleet {
            shards: self,
            sequencer,
            relayer,
            waiting: BTreeMap::new(),
            relayers: Vec::new(),
            running: JoinSet::new(),
            stopped,
        };
        let served = fleet.serve(registry);
        tokio::select! {
            ended = served => return ended.map(|()| ExitCode::FAILURE),
            () = stop_signal()? => {}
        }
        // Whoever waits hears it.
        stop.send_replace(true);
        while fleet.running.join_next().await.is_some() {}
        println!("stopped");
        Ok(ExitCode::SUCCESS)
    }
}

fn refused(path: &Path, error: &std::io::Error) -> CliError {
    CliError::Refused(format!("{}: {error}", path.display()))
}

fn key(file: Option<&Path>, variable: &str) -> Result<Option<Key>, CliError> {
    let (source, text) = match file {
        Some(path) => {
            (path.display().to_string(), std::fs::read_to_string(path).map_err(|error| refused(path, &error))?)
        }
        None => match std::env::var(variable) {
            Ok(text) => (variable.to_owned(), text),
            Err(_) => return Ok(None),
        },
    };
    Key::from_hex(&text).map(Some).map_err(|error| CliError::usage(format!("{source}: {error}")))
}

/// Every group's node.
struct Fleet {
    shards: Shards,
    sequencer: Key,
    relayer: Key,
    /// Groups that another key signs for, as far as is known; a governor may change that.
    waiting: BTreeMap<u32, OpenedGroup>,
    /// Who pays for gas on the relayer's money, with the purse that pays it.
    relayers: Vec<(Address, Wallet)>,
    running: JoinSet<()>,
    stopped: watch::Receiver<bool>,
}

impl Fleet {
    /// Serves until it is dropped.
    async fn serve(&mut self, registry: Registry) -> Result<(), CliError> {
        let mut reader = GroupReader::new(registry, self.shards.confirmations);
        let mut gas_at = Instant::now();
        loop {
            match reader.poll().await {
                Ok(opened) => self.waiting.extend(opened.into_iter().map(|group| (group.number, group))),
                Err(error) => tracing::warn!(%error, "groups: trying again"),
            }
            for group in std::mem::take(&mut self.waiting).into_values() {
                match self.is_ours(&group).await {
                    Ok(true) => self.start(&group).await?,
                    Ok(false) => drop(self.waiting.insert(group.number, group)),
                    Err(error) => {
                        tracing::warn!(%error, group = group.number, "a group's sequencer: trying again");
                        self.waiting.insert(group.number, group);
                    }
                }
            }
            if gas_at.elapsed() >= GAS_EVERY {
                gas_at = Instant::now();
                self.pay_gas().await;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn is_ours(&self, group: &OpenedGroup) -> Result<bool, CliError> {
        let chain = Chain::connect(&self.shards.chain, &group.deployment).await?;
        Ok(chain.sequencer().await? == self.sequencer.address())
    }

    /// Starts a group's node, and keeps it running.
    async fn start(&mut self, group: &OpenedGroup) -> Result<(), CliError> {
        let folder = self.shards.data.join(format!("group-{}", group.number));
        std::fs::create_dir_all(&folder).map_err(|error| refused(&folder, &error))?;
        let deployment = folder.join("deployment.json");
        let text = serde_json::to_vec_pretty(&group.deployment).expect("a deployment is plain JSON");
        std::fs::write(&deployment, text).map_err(|error| refused(&deployment, &error))?;

        let relayer = relayer_of(&self.relayer, group.number);
        let purse = Chain::connect(&self.shards.chain, &group.deployment).await?.wallet(self.relayer.clone());
        self.relayers.push((relayer.address(), purse));
        self.pay_gas().await;

        let offset = u16::try_from(group.number - 1).ok().and_then(|index| index.checked_mul(PORTS));
        let port = |above: u16| offset.and_then(|offset| self.shards.listen.port().checked_add(offset + above));
        let (Some(port), Some(operations)) = (port(0), port(1)) else {
            return Err(CliError::Refused(format!("there is no port left for group {}", group.number)));
        };
        let at = |port| SocketAddr::new(self.shards.listen.ip(), port);
        let node = NodeCommand {
            program: std::env::current_exe().map_err(|error| CliError::Refused(error.to_string()))?,
            config: self.shards.config.clone(),
            chain: self.shards.chain.clone(),
            deployment,
            listen: at(port),
            operations: at(operations),
            sequencer: hex_of(&self.sequencer),
            relayer: hex_of(&relayer),
            folder,
        };
        println!(
            "group {}: {} at http://{} and ws://{}, data in {}",
            group.number,
            group.deployment.group,
            node.listen,
            node.listen,
            node.folder.display()
        );
        self.running.spawn(keep(node, group.number, self.stopped.clone()));
        Ok(())
    }

    /// Keeps every group's relayer in gas money. What does not work now works later, or the node says that it has none.
    async fn pay_gas(&self) {
        for (relayer, purse) in &self.relayers {
            let float = U256::from(self.shards.relayer_float);
            match purse.chain().native_balance(*relayer).await {
                Ok(balance) if balance >= float / U256::from(2) => {}
                Ok(balance) => {
                    if let Err(error) = purse.send_native(*relayer, float - balance).await {
                        tracing::warn!(%error, %relayer, "gas money does not arrive");
                    }
                }
                Err(error) => tracing::warn!(%error, %relayer, "a relayer's balance is unknown"),
            }
        }
    }
}

/// The key that pays for a group's batches: two processes with one key would take each other's nonces.
fn relayer_of(relayer: &Key, group: u32) -> Key {
    let mut seed = b"Exchange OS relayer of group ".to_vec();
    seed.extend(group.to_be_bytes());
    seed.extend(relayer.to_bytes());
    Key::from_bytes(alloy::primitives::keccak256(seed).0).expect("a hash that is no key has never been seen")
}

fn hex_of(key: &Key) -> String {
    key.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How a group's node is started, again and again.
struct NodeCommand {
    program: PathBuf,
    config: Option<PathBuf>,
    chain: String,
    deployment: PathBuf,
    listen: SocketAddr,
    operations: SocketAddr,
    sequencer: String,
    relayer: String,
    folder: PathBuf,
}

impl NodeCommand {
    fn spawn(&self) -> std::io::Result<Child> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("node.log"))?;
        let mut command = Command::new(&self.program);
        command.arg("node");
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        command.arg("--chain").arg(&self.chain).arg("--deployment").arg(&self.deployment);
        command.arg("--data").arg(self.folder.join("node"));
        command.arg("--listen").arg(self.listen.to_string());
        command.arg("--operations-listen").arg(self.operations.to_string());
        command.env(SEQUENCER_KEY, &self.sequencer).env(RELAYER_KEY, &self.relayer).env("NO_COLOR", "1");
        let errors = log.try_clone()?;
        // If we die without a word it stops, too, so that whoever comes after us finds its ports and journal free.
        command.arg("--while-stdin").stdin(Stdio::piped());
        // In a process group of its own, so that Ctrl-C reaches it by way of us, in order.
        command.stdout(log).stderr(errors).kill_on_drop(true).process_group(0);
        command.spawn()
    }
}

/// Runs a node until everything stops; whenever it ends, runs it again.
async fn keep(node: NodeCommand, group: u32, mut stopped: watch::Receiver<bool>) {
    let mut pause = FIRST_PAUSE;
    while !*stopped.borrow() {
        let begun = Instant::now();
        match node.spawn() {
            Ok(mut child) => {
                // Waiting for a child closes its standard input otherwise.
                let _held = child.stdin.take();
                tokio::select! {
                    status = child.wait() => {
                        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                        tracing::warn!(group, %status, "a node ended by itself; its log says why; starting it again");
                    }
                    () = told(&mut stopped) => {
                        stop(&mut child).await;
                        return;
                    }
                }
            }
            Err(error) => tracing::error!(group, %error, "a node cannot be started; trying again"),
        }
        pause = if begun.elapsed() > STAYS { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        tokio::select! {
            () = sleep(pause) => {}
            () = told(&mut stopped) => {}
        }
    }
}

/// Resolves when everything stops.
async fn told(stopped: &mut watch::Receiver<bool>) {
    // Whoever could tell is gone: so is everything.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// SIGTERM first, so that it can seal its last frame and see it settled.
async fn stop(child: &mut Child) {
    if let Some(pid) = child.id() {
        // `kill` is built into every shell; a program of that name may be missing.
        let _ = Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).status().await;
    }
    if timeout(STOP_WITHIN, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_has_a_relayer_of_its_own_and_always_the_same() {
        let relayer = Key::from_bytes([7; 32]).unwrap();
        let [first, second] = [1, 2].map(|group| relayer_of(&relayer, group).address());
        assert_ne!(first, second);
        assert_ne!(first, relayer.address());
        assert_eq!(first, relayer_of(&relayer, 1).address());
    }
}
