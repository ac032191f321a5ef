//! A core on a local chain, deployers and traders with keys, and `xos shards`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use alloy::primitives::U256;
use alloy::providers::Provider;
use serde_json::{Value, json};
use tempfile::TempDir;
use xos_auth::Key;
use xos_chain::{Chain, Core, Deployment, Scripts};
use xos_node::NodeFile;
use xos_types::Address;

use crate::node::Anvil;

pub(crate) const LONG: Duration = Duration::from_secs(120);

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

pub(crate) fn key(number: u8) -> Key {
    Key::from_bytes([number; 32]).unwrap()
}

/// Who signs, who pays, and two deployers.
pub(crate) const SEQUENCER: u8 = 1;
pub(crate) const RELAYER: u8 = 2;
pub(crate) const DEPLOYERS: [u8; 2] = [3, 4];
pub(crate) const TRADERS: [u8; 2] = [5, 6];

pub(crate) struct World {
    pub(crate) anvil: Anvil,
    folder: TempDir,
    chain_id: u64,
    shards: Option<Child>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop_shards();
    }
}

pub(crate) fn signal(pid: u32, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().unwrap();
    assert!(sent.success());
}

impl World {
    /// A core on a chain of that number, with some of its terms changed; a sequencer, and no group.
    pub(crate) async fn begin(chain_id: u64, changes: &[(&str, Value)]) -> Self {
        let id = chain_id.to_string();
        let anvil = Anvil::with(0, &["--gas-limit", "1000000000", "--chain-id", &id].map(OsStr::new));
        std::fs::create_dir_all(root().join("run")).unwrap();
        // Scripts may read and write there.
        let folder = tempfile::Builder::new().prefix("venues-").tempdir_in(root().join("run")).unwrap();
        for number in [SEQUENCER, RELAYER].into_iter().chain(DEPLOYERS).chain(TRADERS) {
            let text = alloy::hex::encode(key(number).to_bytes());
            std::fs::write(folder.path().join(format!("{number}.key")), text).unwrap();
        }
        let world = Self { anvil, folder, chain_id, shards: None };
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
        for (name, value) in changes {
            config[*name] = value.clone();
        }
        let config = world.write("core", &config);
        std::env::set_current_dir(root()).unwrap();
        world.scripts(DEPLOYERS[0]).run_with("DeployCore", "run()", &[], &[("CORE_CONFIG", &config)]).await.unwrap();
        world
    }

    /// The repository's scripts, as that person runs them.
    pub(crate) fn scripts(&self, number: u8) -> Scripts {
        Scripts {
            url: self.anvil.url.clone(),
            key: key(number),
            deployments: self.folder.path().to_owned(),
            log: self.path("forge.log"),
            at_once: true,
        }
    }

    /// Runs a function of a script.
    pub(crate) async fn script(&self, by: u8, name: &str, signature: &str, arguments: &[&str]) {
        let begun = Instant::now();
        self.scripts(by).run(name, signature, arguments).await.unwrap();
        println!("{:5.1} s  {name}.{signature}", begun.elapsed().as_secs_f64());
    }

    pub(crate) fn deployment_file(&self, name: &str) -> PathBuf {
        self.path(&format!("{}.{name}.json", self.chain_id))
    }

    pub(crate) fn core(&self) -> Core {
        Core::load(&self.deployment_file("core")).unwrap()
    }

    /// What a script has deployed by that name.
    pub(crate) fn part(&self, name: &str) -> Address {
        let text = std::fs::read_to_string(self.deployment_file("parts")).unwrap();
        let parts: Value = serde_json::from_str(&text).unwrap();
        serde_json::from_value(parts[name].clone()).unwrap()
    }

    pub(crate) fn deployment(&self, group: u32) -> Deployment {
        Deployment::load(&self.deployment_file(&format!("group-{group}"))).unwrap()
    }

    pub(crate) async fn chain(&self, group: u32) -> Chain {
        Chain::connect(&self.anvil.url, &self.deployment(group)).await.unwrap()
    }

    /// Lets the chain's clock run ahead. A node would not agree with it, so there is none any more.
    pub(crate) async fn pass(&mut self, seconds: u64) {
        self.stop_shards();
        let params = (seconds,);
        self.anvil.provider.raw_request::<_, Value>("evm_increaseTime".into(), params).await.unwrap();
        self.anvil.mine(1).await;
    }

    pub(crate) fn stop_shards(&mut self) {
        let Some(mut shards) = self.shards.take() else { return };
        // In peace, so that its nodes end, too.
        signal(shards.id(), "TERM");
        let _ = shards.wait();
    }

    async fn give(&self, number: u8, tokens: u64) {
        let wei = U256::from(tokens) * U256::from(10).pow(U256::from(18));
        let params = (key(number).address(), wei);
        self.anvil.provider.raw_request::<_, ()>("anvil_setBalance".into(), params).await.unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, value: &Value) -> String {
        let path = self.path(&format!("{name}.json"));
        std::fs::write(&path, value.to_string()).unwrap();
        path.to_string_lossy().into_owned()
    }

    pub(crate) fn start_shards(&mut self) {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = std::fs::File::create(self.path("shards.log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_xos"));
        command.arg("shards").args(["--chain", &self.anvil.url, "--listen", &format!("127.0.0.1:{port}")]);
        for (flag, name) in [("--data", "shards"), ("--sequencer-key-file", "1.key"), ("--relayer-key-file", "2.key")] {
            command.arg(flag).arg(self.path(name));
        }
        command.arg("--core").arg(self.deployment_file("core"));
        let config = self.path("node.toml");
        if config.is_file() {
            command.arg("--config").arg(config);
        }
        self.shards = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// Opens a venue of events, each yes or no, as a deployer does who has answered the questions.
    pub(crate) fn open(&self, deployer: u8, name: &str, asked: &[&str], resolver: Value) {
        let from: Vec<Value> = asked.iter().map(|title| json!({ "title": title, "labels": ["Yes", "No"] })).collect();
        let events = json!({
            "venue": 0, "from": from, "after": 0, "resolver": resolver, "ticks": 1000, "quantum": 10, "takerFee": 1000,
            "makerFee": 0, "curve": false, "restricted": false, "isolatedOnly": false, "positionCap": 0,
            "openInterestCap": 0,
        });
        self.open_with(deployer, name, &shipped("venue-worldcup"), &json!([{ "list": "events", "config": events }]));
    }

    /// Opens a venue by a plan.
    pub(crate) fn open_with(&self, deployer: u8, name: &str, venue: &Value, markets: &Value) {
        let plan = json!({ "name": name, "venue": venue, "markets": markets });
        let plan = self.write(&format!("plan-{name}"), &plan);
        let said = run(Command::new(env!("CARGO_BIN_EXE_xos"))
            .current_dir(root())
            .args(["venue", "new", "--yes", "--from", &plan, "--chain", &self.anvil.url, "--core"])
            .arg(self.deployment_file("core"))
            .arg("--key-file")
            .arg(self.path(&format!("{deployer}.key"))));
        assert!(said.contains("is open, with 1 listed"), "{said}");
    }

    pub(crate) fn node(&self, group: u32) -> Option<NodeFile> {
        let path = self.path(&format!("shards/group-{group}/node/node.json"));
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    pub(crate) async fn until<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
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

    pub(crate) fn xos(&self, group: u32, trader: u8, arguments: &[&str]) -> Output {
        let node = self.node(group).unwrap();
        Command::new(env!("CARGO_BIN_EXE_xos"))
            .args(arguments)
            .arg("--key-file")
            .arg(self.path(&format!("{trader}.key")))
            .env("XOS_RPC", node.http)
            .env("XOS_CHAIN", &self.anvil.url)
            .env("XOS_DEPLOYMENT", self.deployment_file(&format!("group-{group}")))
            .output()
            .unwrap()
    }

    pub(crate) fn xos_ok(&self, group: u32, trader: u8, arguments: &[&str]) -> String {
        let output = self.xos(group, trader, arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Both traders have money, and `heads/yes` is the group's one market of that name, and one takes what the other offers.
    pub(crate) fn trade(&self, group: u32) -> String {
        self.xos_ok(group, TRADERS[0], &["order", "buy", "heads/yes", "--price", "0.6", "--size", "10"]);
        self.xos_ok(group, TRADERS[1], &["order", "sell", "heads/yes", "--price", "0.5", "--size", "4"])
    }
}

pub(crate) fn shipped(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(root().join(format!("script/config/{name}.json"))).unwrap()).unwrap()
}

pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
