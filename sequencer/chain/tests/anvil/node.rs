//! A real chain: anvil on a free port, with the contracts deployed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use alloy::consensus::BlockHeader;
use alloy::network::BlockResponse;
use alloy::primitives::{Address, U256};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::TransactionRequest;
use xos_auth::Key;
use xos_chain::{Attribution, Chain, Deployment, Wallet};

use crate::artifact::{ESCAPE_HATCH, Plan};

/// First of the accounts that anvil gives money to.
const RICH: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// Enough for any of the contracts; a block holds three of them.
const CREATION_GAS: u64 = 8_000_000;

/// Stops when dropped.
pub(crate) struct Anvil {
    process: Child,
    pub(crate) port: u16,
    pub(crate) url: String,
    pub(crate) provider: RootProvider,
}

impl Anvil {
    /// With a block every second, as on X Layer.
    pub(crate) fn start() -> Self {
        Self::with(0, &[])
    }

    /// The same on a port (0 takes a free one), with further arguments.
    pub(crate) fn with(port: u16, more: &[&std::ffi::OsStr]) -> Self {
        let mut process = Command::new(binary())
            .args(["--port", &port.to_string(), "--block-time", "1"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("anvil starts");
        let stdout = process.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let port = lines
            .find_map(|line| line.strip_prefix("Listening on 127.0.0.1:").and_then(|port| port.trim().parse().ok()))
            .expect("anvil says where it listens");
        // Nobody reads on; a full pipe would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        let url = format!("http://127.0.0.1:{port}");
        Self { process, port, provider: RootProvider::new_http(url.parse().unwrap()), url }
    }

    /// What it holds, in a file: a chain to go on from.
    #[allow(dead_code, reason = "not every test does")]
    pub(crate) async fn save(&self, to: &Path) {
        let state: alloy::primitives::Bytes =
            self.provider.raw_request("anvil_dumpState".into(), [(); 0]).await.unwrap();
        // It comes compressed, and is taken as it is.
        let mut gzip = Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = gzip.stdin.take().unwrap();
        let feeds = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &state).unwrap());
        let unpacked = gzip.wait_with_output().unwrap();
        feeds.join().unwrap();
        assert!(unpacked.status.success());
        std::fs::write(to, unpacked.stdout).unwrap();
    }

    /// SIGKILL, whatever it was doing.
    #[allow(dead_code, reason = "not every test does")]
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Another one where this one was, which goes on from what was [saved](Self::save). It answers nobody before it does.
    #[allow(dead_code, reason = "not every test does")]
    pub(crate) fn come_back(&mut self, from: &Path) {
        *self = Self::with(self.port, &["--load-state".as_ref(), from.as_os_str()]);
    }

    /// Its process, for a test that pauses or kills it.
    #[allow(dead_code, reason = "not every test does")]
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) async fn deploy(&self, sequencer: &Key, deployer: &Key) -> Deployment {
        let creator = RICH.parse::<Key>().unwrap().address();
        let block = self.provider.get_block_number().await.unwrap();
        let plan = Plan::new(creator, self.nonce(creator).await, sequencer.address(), deployer.address());
        let mut sent = Vec::new();
        for (address, code) in plan.creations {
            // The constructors call what earlier creations make, so nothing can be estimated before those are mined.
            let mut request = TransactionRequest::default().from(creator).input(code.into()).gas_limit(CREATION_GAS);
            request.to = Some(alloy::primitives::TxKind::Create);
            sent.push((address, self.provider.send_transaction(request).await.unwrap()));
        }
        for (address, sent) in sent {
            let receipt = sent.get_receipt().await.unwrap();
            assert_eq!((receipt.contract_address, receipt.status()), (Some(address), true));
        }
        Deployment {
            chain_id: 31_337,
            token: plan.token,
            group: plan.group,
            gateway: plan.gateway,
            escape_hatch: ESCAPE_HATCH,
            max_holdings: 16,
            keeper_share: 500_000,
            grace: 5_000,
            governance: deployer.address(),
            sequencer: sequencer.address(),
            deployer: deployer.address(),
            block,
            attribution: Attribution::default(),
        }
    }

    pub(crate) async fn chain(&self, deployment: &Deployment) -> Chain {
        Chain::connect(&self.url, deployment).await.unwrap()
    }

    /// A wallet with the money of anvil's first account.
    pub(crate) fn rich(&self, chain: &Chain) -> Wallet {
        chain.wallet(RICH.parse().unwrap())
    }

    /// Stops mining, so that what is sent stays pending; 0 stops, 1 is a block a second.
    pub(crate) async fn mine_every(&self, seconds: u64) {
        self.provider.raw_request::<_, ()>("evm_setIntervalMining".into(), (seconds,)).await.unwrap();
    }

    /// Replaces the newest blocks by as many empty ones; what they held is gone.
    pub(crate) async fn reorg(&self, depth: u64) {
        let nothing: [(); 0] = [];
        self.provider.raw_request::<_, ()>("anvil_reorg".into(), (depth, nothing)).await.unwrap();
    }

    /// So many blocks at once.
    pub(crate) async fn mine(&self, blocks: u64) {
        self.provider.raw_request::<_, ()>("anvil_mine".into(), (U256::from(blocks),)).await.unwrap();
    }

    /// Forgets every pending transaction.
    pub(crate) async fn drop_pending(&self) {
        self.provider.raw_request::<_, ()>("anvil_dropAllTransactions".into(), ()).await.unwrap();
    }

    /// Sets what a unit of gas costs in the next block at least, in wei.
    pub(crate) async fn base_fee(&self, wei: u128) {
        self.provider.raw_request::<_, ()>("anvil_setNextBlockBaseFeePerGas".into(), (U256::from(wei),)).await.unwrap();
    }

    pub(crate) async fn give_gas(&self, address: Address) {
        let wei = U256::from(10).pow(U256::from(20));
        self.provider.raw_request::<_, ()>("anvil_setBalance".into(), (address, wei)).await.unwrap();
    }

    pub(crate) async fn nonce(&self, address: Address) -> u64 {
        self.provider.get_transaction_count(address).latest().await.unwrap()
    }

    /// The same, counting what waits.
    pub(crate) async fn pending_nonce(&self, address: Address) -> u64 {
        self.provider.get_transaction_count(address).pending().await.unwrap()
    }

    /// Time of the newest block in unix milliseconds.
    pub(crate) async fn now(&self) -> u64 {
        let block = self.provider.get_block(alloy::rpc::types::BlockId::latest()).await.unwrap().unwrap();
        block.header().timestamp() * 1_000
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program itself: `node_modules/.bin/anvil` starts it as a child that would outlive us.
fn binary() -> PathBuf {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../node_modules/@foundry-rs");
    let found = std::fs::read_dir(&packages).ok().and_then(|entries| {
        let names = entries.flatten().map(|entry| entry.path());
        let candidates =
            names.filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("anvil-")));
        candidates.map(|path| path.join("bin/anvil")).find(|path| path.exists())
    });
    found.unwrap_or_else(|| panic!("no anvil in {}; install it first: `make deps`", packages.display()))
}
