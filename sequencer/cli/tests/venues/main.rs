//! Anyone opens an exchange: a core by its scripts, `xos shards` that waits for groups, and deployers who open venues with
//! `xos venue new` while it runs. Neither group's failure touches the other.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "shared with the chain crate's tests, which use more of it")]
#[path = "../../../chain/tests/artifact/mod.rs"]
mod artifact;
#[allow(dead_code, reason = "shared with the chain crate's tests, which use more of it")]
#[path = "../../../chain/tests/anvil/node.rs"]
mod node;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use xos_auth::Key;
use xos_node::NodeFile;

use crate::node::Anvil;

const LONG: Duration = Duration::from_secs(120);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn key(number: u8) -> Key {
    Key::from_bytes([number; 32]).unwrap()
}

/// Who signs, who pays, and two deployers.
const SEQUENCER: u8 = 1;
const RELAYER: u8 = 2;
const DEPLOYERS: [u8; 2] = [3, 4];
const TRADERS: [u8; 2] = [5, 6];

struct World {
    anvil: Anvil,
    folder: TempDir,
    shards: Option<Child>,
}

impl Drop for World {
    fn drop(&mut self) {
        let Some(mut shards) = self.shards.take() else { return };
        // In peace, so that its nodes end, too.
        signal(shards.id(), "TERM");
        let _ = shards.wait();
    }
}

fn signal(pid: u32, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().unwrap();
    assert!(sent.success());
}

impl World {
    /// A core and a sequencer, and no group.
    async fn begin() -> Self {
        let anvil = Anvil::with(0, &["--gas-limit".as_ref(), "1000000000".as_ref()]);
        std::fs::create_dir_all(root().join("run")).unwrap();
        // Scripts may read and write there.
        let folder = tempfile::Builder::new().prefix("venues-").tempdir_in(root().join("run")).unwrap();
        for number in [SEQUENCER, RELAYER].into_iter().chain(DEPLOYERS).chain(TRADERS) {
            let text = alloy::hex::encode(key(number).to_bytes());
            std::fs::write(folder.path().join(format!("{number}.key")), text).unwrap();
        }
        let world = Self { anvil, folder, shards: None };
        for number in [RELAYER].into_iter().chain(DEPLOYERS) {
            world.give(number, 10_000).await;
        }
        for number in TRADERS {
            world.give(number, 10).await;
        }
        let mut config = shipped("core");
        config["sequencer"] = json!(key(SEQUENCER).address());
        config["allowed"] = json!(DEPLOYERS.map(|number| key(number).address()));
        config["notice"] = json!(1);
        let config = world.write("core", &config);
        let scripts = xos_chain::Scripts {
            url: world.anvil.url.clone(),
            key: key(DEPLOYERS[0]),
            deployments: world.folder.path().to_owned(),
            log: world.path("forge.log"),
            at_once: true,
        };
        std::env::set_current_dir(root()).unwrap();
        scripts.run_with("DeployCore", "run()", &[], &[("CORE_CONFIG", &config)]).await.unwrap();
        world
    }

    async fn give(&self, number: u8, tokens: u64) {
        use alloy::primitives::U256;
        use alloy::providers::Provider;
        let wei = U256::from(tokens) * U256::from(10).pow(U256::from(18));
        let params = (key(number).address(), wei);
        self.anvil.provider.raw_request::<_, ()>("anvil_setBalance".into(), params).await.unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, value: &Value) -> String {
        let path = self.path(&format!("{name}.json"));
        std::fs::write(&path, value.to_string()).unwrap();
        path.to_string_lossy().into_owned()
    }

    fn start_shards(&mut self) {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = std::fs::File::create(self.path("shards.log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_xos"));
        command.arg("shards").args(["--chain", &self.anvil.url, "--listen", &format!("127.0.0.1:{port}")]);
        for (flag, name) in [
            ("--core", "31337.core.json"),
            ("--data", "shards"),
            ("--sequencer-key-file", "1.key"),
            ("--relayer-key-file", "2.key"),
        ] {
            command.arg(flag).arg(self.path(name));
        }
        self.shards = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// Opens a venue with one event as a deployer does who has answered the questions.
    fn open(&self, deployer: u8, name: &str) {
        let plan = json!({
            "name": name,
            "venue": shipped("venue-worldcup"),
            "markets": [{ "list": "events", "config": {
                "venue": 0, "from": [{ "title": format!("Is {name} heads?"), "labels": ["Yes", "No"] }], "after": 0,
                "resolver": key(deployer).address(), "ticks": 1000, "quantum": 10, "takerFee": 1000, "makerFee": 0, "curve": false,
                "restricted": false, "isolatedOnly": false, "positionCap": 0, "openInterestCap": 0,
            } }],
        });
        let plan = self.write(&format!("plan-{name}"), &plan);
        let core = self.path("31337.core.json");
        let said = run(Command::new(env!("CARGO_BIN_EXE_xos"))
            .current_dir(root())
            .args(["venue", "new", "--yes", "--from", &plan, "--chain", &self.anvil.url, "--core"])
            .arg(core)
            .arg("--key-file")
            .arg(self.path(&format!("{deployer}.key"))));
        assert!(said.contains("is open, with 1 listed"), "{said}");
    }

    fn node(&self, group: u32) -> Option<NodeFile> {
        let path = self.path(&format!("shards/group-{group}/node/node.json"));
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    async fn until<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            let log = std::fs::read_to_string(self.path("shards.log")).unwrap_or_default();
            assert!(begun.elapsed() < LONG, "{what} takes too long; {log}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn xos(&self, group: u32, trader: u8, arguments: &[&str]) -> Output {
        let node = self.node(group).unwrap();
        Command::new(env!("CARGO_BIN_EXE_xos"))
            .args(arguments)
            .arg("--key-file")
            .arg(self.path(&format!("{trader}.key")))
            .env("XOS_RPC", node.http)
            .env("XOS_CHAIN", &self.anvil.url)
            .env("XOS_DEPLOYMENT", self.path(&format!("31337.group-{group}.json")))
            .output()
            .unwrap()
    }

    fn xos_ok(&self, group: u32, trader: u8, arguments: &[&str]) -> String {
        let output = self.xos(group, trader, arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Both traders have money, and one takes what the other offers.
    fn trade(&self, group: u32) -> String {
        self.xos_ok(group, TRADERS[0], &["order", "buy", "heads/yes", "--price", "0.6", "--size", "10"]);
        self.xos_ok(group, TRADERS[1], &["order", "sell", "heads/yes", "--price", "0.5", "--size", "4"])
    }
}

fn shipped(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(root().join(format!("script/config/{name}.json"))).unwrap()).unwrap()
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn venues_open_while_the_sequencer_runs_and_neither_s_failure_touches_the_other() {
    let mut world = World::begin().await;
    world.start_shards();
    let begun = Instant::now();
    world.open(DEPLOYERS[0], "first");
    world.until("the first group's node", |world| world.node(1)).await;
    for trader in TRADERS {
        world.xos_ok(1, trader, &["deposit", "100", "--mint"]);
    }
    let sold = world.trade(1);
    assert!(sold.contains("4 filled"), "{sold}");
    println!("{:.1} s from `xos venue new` to the first trade", begun.elapsed().as_secs_f64());

    // Another deployer, another group; nothing was restarted.
    let first = world.node(1).unwrap().pid;
    world.open(DEPLOYERS[1], "second");
    let second = world.until("the second group's node", |world| world.node(2)).await;
    assert_eq!(world.node(1).unwrap().pid, first);
    assert_ne!(world.node(1).unwrap().group, second.group);
    for trader in TRADERS {
        world.xos_ok(2, trader, &["deposit", "100", "--mint"]);
    }
    assert!(world.trade(2).contains("4 filled"));

    // One node dies; the other trades on as if nothing were, and the dead one comes back with every order.
    signal(second.pid, "KILL");
    assert!(world.trade(1).contains("4 filled"));
    world.until("the second node again", |world| world.node(2).filter(|node| node.pid != second.pid)).await;
    let rest = ["order", "sell", "heads/yes", "--price", "0.5", "--size", "6"];
    let sold = world.xos_ok(2, TRADERS[1], &rest);
    assert!(sold.contains("6 filled"), "the rest of the order still stood: {sold}");
    assert_eq!(world.node(1).unwrap().pid, first);

    // A group whose journal is beyond repair stays down, and the other one does not notice.
    let journal = world.path("shards/group-2/node/journal");
    let third = world.node(2).unwrap().pid;
    for file in std::fs::read_dir(&journal).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = 4096.min(bytes.len() / 2);
            bytes.iter_mut().take(middle).for_each(|byte| *byte ^= 0xff);
            std::fs::write(&path, bytes).unwrap();
        }
    }
    signal(third, "KILL");
    world
        .until("the second node's refusal to start", |world| {
            let log = std::fs::read_to_string(world.path("shards/group-2/node.log")).ok()?;
            log.contains("error:").then_some(())
        })
        .await;
    assert!(world.trade(1).contains("4 filled"));
    assert_eq!(world.node(1).unwrap().pid, first);
}
