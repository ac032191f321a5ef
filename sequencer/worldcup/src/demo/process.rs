//! The processes of the demo: a chain, the scripts that deploy to it, and the node. They run in process groups of their
//! own, so that Ctrl-C reaches the demo alone, which then stops them; dropping them kills them.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};
use xos_auth::Key;

use super::DemoError;

/// Where npm puts Foundry's programs, each in a package for the platform. The launchers in `.bin` hide the exit status and
/// leave the program behind when they are killed.
const FOUNDRY: &str = "node_modules/@foundry-rs";
/// What the programs look for by name: the compiler's interpreter and the like.
const BIN: &str = "node_modules/.bin";
/// Gas of a block of the local chain; a batch targets 12M.
const BLOCK_GAS: &str = "60000000";
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long a process may take to stop when asked.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// Lines of a log that are shown when a process fails.
const LOG_TAIL: usize = 15;

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

/// Runs a forge script against the chain as `deployer`.
pub(super) async fn forge_script(
    script: &'static str,
    url: &str,
    deployer: &Key,
    environment: &[(&str, String)],
    folder: &Path,
) -> Result<(), DemoError> {
    let log = folder.join("forge.log");
    let program = foundry("forge").map_err(|reason| DemoError::failed(script, reason))?;
    let mut command = Command::new(program);
    command.args(["script", script, "--rpc-url", url, "--broadcast", "--non-interactive"]);
    // Tools of the repository (its compiler) are found by name, as the Makefile does it.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", Path::new(BIN).display()));
    command.env("FOUNDRY_DISABLE_NIGHTLY_WARNING", "1");
    command.env("DEPLOYER_KEY", hex(deployer));
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    let mut child = spawn(&mut command, &log, script)?;
    let status = child.wait().await.map_err(|error| DemoError::failed(script, error))?;
    if status.success() { Ok(()) } else { Err(DemoError::failed(script, format!("{status}\n{}", tail(&log)))) }
}

fn foundry(tool: &str) -> Result<PathBuf, String> {
    let packages = std::fs::read_dir(FOUNDRY).into_iter().flatten().flatten();
    let programs = packages
        .filter(|package| package.file_name().to_string_lossy().starts_with(&format!("{tool}-")))
        .map(|package| package.path().join("bin").join(tool));
    programs
        .into_iter()
        .find(|program| program.is_file())
        .ok_or_else(|| format!("no `{tool}` in {FOUNDRY}; run `make deps`, and the demo from the repository's root"))
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

/// The node as a child process, started again with the same command whenever it is killed.
pub(super) struct NodeProcess {
    orders: mpsc::Sender<Order>,
    /// Says why, if the node ended without being told to.
    pub(super) failed: watch::Receiver<Option<String>>,
    task: tokio::task::JoinHandle<()>,
}

enum Order {
    Kill(oneshot::Sender<()>),
    Stop,
}

impl NodeProcess {
    /// Starts the node with this program and configuration.
    pub(super) fn start(program: PathBuf, config: PathBuf, log: PathBuf) -> Result<Self, DemoError> {
        let run = move || {
            let mut command = Command::new(&program);
            command.arg("node").arg("--config").arg(&config).env("NO_COLOR", "1");
            spawn(&mut command, &log, "start the node").map(|child| (child, log.clone()))
        };
        let (mut child, log) = run()?;
        let (orders, mut receiver) = mpsc::channel(1);
        let (report, failed) = watch::channel(None);
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    status = child.wait() => {
                        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                        report.send_replace(Some(format!("the node ended by itself ({status})\n{}", tail(&log))));
                        return;
                    }
                    order = receiver.recv() => match order {
                        Some(Order::Kill(done)) => {
                            // SIGKILL: no chance to write anything.
                            let _ = child.kill().await;
                            match run() {
                                Ok((again, _)) => child = again,
                                Err(error) => {
                                    report.send_replace(Some(error.to_string()));
                                    return;
                                }
                            }
                            // Nobody waits any more if the demo is being stopped.
                            let _ = done.send(());
                        }
                        Some(Order::Stop) | None => {
                            stop(&mut child).await;
                            return;
                        }
                    },
                }
            }
        });
        Ok(Self { orders, failed, task })
    }

    /// Kills it as hard as the system can, and starts it again.
    pub(super) async fn kill(&self) -> Result<(), DemoError> {
        let (done, killed) = oneshot::channel();
        let sent = self.orders.send(Order::Kill(done)).await;
        if sent.is_err() || killed.await.is_err() {
            let reason = self.failed.borrow().clone().unwrap_or_else(|| "it is gone".into());
            return Err(DemoError::failed("restart the node", reason));
        }
        Ok(())
    }

    /// Asks it to stop, and waits for it.
    pub(super) async fn stop(self) {
        // If it ended already there is nobody to tell.
        let _ = self.orders.send(Order::Stop).await;
        let _ = self.task.await;
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

pub(super) fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n");
    format!("--- end of {} ---\n{last}", log.display())
}
