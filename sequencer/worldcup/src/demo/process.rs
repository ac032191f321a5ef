//! The processes of the demo: a chain, and the sequencer with a node for each group. They run in process groups of their
//! own, so that Ctrl-C reaches the demo alone, which then stops them; dropping them kills them.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use xos_auth::Key;
use xos_chain::{foundry, tail};
use xos_node::NodeFile;

use super::DemoError;

/// Gas of a block of the local chain: room for all that a script sends at once.
const BLOCK_GAS: &str = "1000000000";
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long a process may take to stop when asked.
const STOP_WITHIN: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);

/// A free loopback port. Somebody else may take it before we do; then the process that wanted it says so.
pub(super) fn free_port() -> Result<u16, DemoError> {
    let failed = |error: std::io::Error| DemoError::failed("find a free port", error);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    Ok(listener.local_addr().map_err(failed)?.port())
}

/// A local chain with blocks of a second.
pub(super) struct LocalChain {
    child: Child,
    pub(super) url: String,
}

impl LocalChain {
    pub(super) async fn start(folder: &Path) -> Result<Self, DemoError> {
        let step = "start anvil";
        let program = foundry("anvil").map_err(|reason| DemoError::failed(step, reason))?;
        let port = free_port()?;
        let log = folder.join("anvil.log");
        let mut command = Command::new(program);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--block-time", "1"]);
        command.args(["--gas-limit", BLOCK_GAS, "--accounts", "1", "--hardfork", "prague", "--silent"]);
        let mut child = spawn(&mut command, &log, step)?;
        let deadline = Instant::now() + READY_WITHIN;
        while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let exited = child.try_wait().ok().flatten();
            if exited.is_some() || Instant::now() > deadline {
                return Err(DemoError::failed(step, format!("it does not answer\n{}", tail(&log))));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(Self { child, url: format!("http://127.0.0.1:{port}") })
    }

    pub(super) async fn stop(mut self) {
        // Nothing of it outlives the demo: there is nothing to save.
        let _ = self.child.kill().await;
    }
}

fn hex(key: &Key) -> String {
    alloy::hex::encode_prefixed(key.to_bytes())
}

/// Writes a key where only its owner may read it.
pub(super) fn write_key(path: &Path, key: &Key) -> Result<(), DemoError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(hex(key).as_bytes()));
    written.map_err(|error| DemoError::failed("write a key file", format!("{}: {error}", path.display())))
}

/// Where a sequencer's groups are; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Shards {
    data: PathBuf,
}

/// `xos shards` as a child process, which keeps a node running for every group.
pub(super) struct Sequencer {
    pub(super) shards: Shards,
    stop: mpsc::Sender<()>,
    /// Says why, if it ended without being told to.
    pub(super) failed: watch::Receiver<Option<String>>,
    task: tokio::task::JoinHandle<()>,
}

impl Sequencer {
    /// Starts it with these arguments; what it says goes to `log`.
    pub(super) fn start(program: &Path, arguments: &[&str], data: PathBuf, log: &Path) -> Result<Self, DemoError> {
        let mut command = Command::new(program);
        command.arg("shards").args(arguments).arg("--data").arg(&data).env("NO_COLOR", "1");
        let mut child = spawn(&mut command, log, "start the sequencer")?;
        let (stop_it, mut stopping) = mpsc::channel(1);
        let (report, failed) = watch::channel(None);
        let log = log.to_owned();
        let task = tokio::spawn(async move {
            tokio::select! {
                status = child.wait() => {
                    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                    report.send_replace(Some(format!("the sequencer ended by itself ({status})\n{}", tail(&log))));
                }
                _ = stopping.recv() => stop(&mut child).await,
            }
        });
        Ok(Self { shards: Shards { data }, stop: stop_it, failed, task })
    }

    /// Asks it to stop, and waits for it.
    pub(super) async fn stop(self) {
        // If it ended already there is nobody to tell.
        let _ = self.stop.send(()).await;
        let _ = self.task.await;
    }
}

impl Shards {
    /// Folder of a group: its deployment, its node's data and log.
    pub(super) fn folder(&self, group: u32) -> PathBuf {
        self.data.join(format!("group-{group}"))
    }

    /// What a group's running node wrote about itself.
    pub(super) fn node(&self, group: u32) -> Option<NodeFile> {
        serde_json::from_slice(&std::fs::read(self.folder(group).join("node").join(xos_node::NODE_FILE)).ok()?).ok()
    }

    /// Waits until a group's node serves.
    pub(super) async fn serves(&self, group: u32) -> Result<NodeFile, DemoError> {
        let serving = async {
            loop {
                if let Some(node) = self.node(group) {
                    return node;
                }
                sleep(POLL).await;
            }
        };
        timeout(READY_WITHIN, serving)
            .await
            .map_err(|_| DemoError::failed("start a group's node", tail(&self.folder(group).join("node.log"))))
    }

    /// Kills a group's node as hard as the system can, and waits until there is another one.
    pub(super) async fn kill(&self, group: u32) -> Result<(), DemoError> {
        let failed = |reason: String| DemoError::failed("kill a node", reason);
        let before = self.node(group).ok_or_else(|| failed("it is not running".into()))?.pid;
        // SIGKILL: no chance to write anything, so its file stays until the next one writes it anew.
        let killed = Command::new("sh").args(["-c", &format!("kill -KILL {before}")]).status().await;
        if !killed.map_err(|error| failed(error.to_string()))?.success() {
            return Err(failed(format!("there is no process {before}")));
        }
        let again = async {
            while self.node(group).is_none_or(|node| node.pid == before) {
                sleep(POLL).await;
            }
        };
        timeout(READY_WITHIN, again).await.map_err(|_| failed("it does not come back".into()))
    }
}

/// SIGTERM first, so that it can end its last frame in peace.
async fn stop(child: &mut Child) {
    if let Some(pid) = child.id() {
        // `kill` is built into every shell; a program of that name may be missing.
        let _ = Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).status().await;
    }
    if timeout(STOP_WITHIN, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

fn spawn(command: &mut Command, log: &Path, step: &'static str) -> Result<Child, DemoError> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let failed = |error: std::io::Error| DemoError::failed(step, format!("{program}: {error}"));
    let file = std::fs::OpenOptions::new().create(true).append(true).open(log).map_err(failed)?;
    let errors = file.try_clone().map_err(failed)?;
    command.stdin(Stdio::null()).stdout(file).stderr(errors).kill_on_drop(true).process_group(0);
    command.spawn().map_err(failed)
}
