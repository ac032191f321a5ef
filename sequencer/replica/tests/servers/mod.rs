//! Real `nats-server` processes that form one cluster, on free ports of the loopback.
#![allow(dead_code, reason = "tests of several crates use some of it each")]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Stops them when dropped.
pub(crate) struct Servers {
    folder: TempDir,
    ports: Vec<u16>,
    processes: Vec<Option<Child>>,
}

impl Servers {
    /// So many servers, each with a folder of its own; they sync every write before they answer.
    pub(crate) fn start(count: usize) -> Self {
        Self::start_in(&std::env::temp_dir(), count)
    }

    /// The same in a folder of the given one.
    pub(crate) fn start_in(parent: &Path, count: usize) -> Self {
        let folder = tempfile::tempdir_in(parent).unwrap();
        // Held until all are known, so that no two are the same.
        let listeners: Vec<_> = (0..2 * count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<u16> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        drop(listeners);
        let (ports, routes) = ports.split_at(count);
        let all: Vec<String> = routes.iter().map(|port| format!("nats-route://127.0.0.1:{port}")).collect();
        for index in 0..count {
            let (port, route) = (ports[index], routes[index]);
            let store = folder.path().join(format!("server-{index}"));
            let cluster = if count == 1 {
                String::new()
            } else {
                format!("cluster {{ name: xos, listen: \"127.0.0.1:{route}\", routes: [{}] }}\n", all.join(", "))
            };
            let config = format!(
                "server_name: server-{index}\nlisten: \"127.0.0.1:{port}\"\n{cluster}\
                 jetstream {{ store_dir: \"{}\", sync_interval: always, max_file_store: 20GB, max_memory_store: 256MB }}\n",
                store.display()
            );
            fs::write(folder.path().join(format!("{index}.conf")), config).unwrap();
        }
        let mut servers = Self { folder, ports: ports.to_vec(), processes: (0..count).map(|_| None).collect() };
        for index in 0..count {
            servers.revive(index);
        }
        servers
    }

    /// Addresses, separated by commas.
    pub(crate) fn urls(&self) -> String {
        self.list().join(",")
    }

    pub(crate) fn list(&self) -> Vec<String> {
        self.ports.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect()
    }

    pub(crate) fn pid(&self, index: usize) -> u32 {
        self.processes[index].as_ref().unwrap().id()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, index: usize) {
        let mut process = self.processes[index].take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// What one wrote.
    pub(crate) fn log(&self, index: usize) -> String {
        fs::read_to_string(self.folder.path().join(format!("{index}.log"))).unwrap_or_default()
    }

    /// Starts one, with the folder that it had.
    pub(crate) fn revive(&mut self, index: usize) {
        let log =
            fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join(format!("{index}.log")));
        let process = Command::new(program())
            .arg("--config")
            .arg(self.folder.path().join(format!("{index}.conf")))
            .stdout(Stdio::null())
            .stderr(log.unwrap())
            .spawn()
            .unwrap();
        self.processes[index] = Some(process);
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.ports[index])).is_err() {
            assert!(started.elapsed() < Duration::from_secs(30), "nats-server does not listen: {}", self.log(index));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().flatten() {
            // It may have ended.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn program() -> PathBuf {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/nats/bin/nats-server");
    let program = std::env::var_os("NATS_SERVER").map_or(installed, PathBuf::from);
    assert!(program.exists(), "{} is missing: `make nats` installs it", program.display());
    program
}
