//! A whole exchange for a test: anvil, contracts, the `xos node` process, and traders who hold keys.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use alloy::hex;
use alloy::primitives::Address;
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use tempfile::TempDir;
use xos_api::{Ack, CancelAllRequest, OrderRequest, XosApiClient};
use xos_auth::{Domain, Key, signature_bytes};
use xos_chain::{At, Chain, Deployment};
use xos_types::{
    AccountId, CancelAll, EventConfig, EventId, Lots, MarketId, Nonce, Order, OrderKind, Ppm, Side, Ticks, TimeMs,
    TradingTerms, VenueConfig, VenueId,
};

use crate::node::Anvil;

pub(crate) const LONG: Duration = Duration::from_secs(60);
const VENUE: VenueId = VenueId(1);
pub(crate) const MARKET: MarketId = MarketId::new(EventId(1), 0);
/// Atoms of every trader's deposit.
pub(crate) const DEPOSIT: u128 = 1_000_000_000;

/// Budgets for tests that are about something else, whose clients all have one address.
pub(crate) const AMPLE: &str = "address_connections = 10000\naddress_per_second = 1000000000\naddress_burst = 1000000000\n\
                                account_per_second = 1000000000\naccount_burst = 1000000000";

/// Stops everything when dropped.
pub(crate) struct Exchange {
    pub(crate) anvil: Anvil,
    pub(crate) chain: Chain,
    pub(crate) deployment: Deployment,
    pub(crate) domain: Domain,
    pub(crate) folder: TempDir,
    pub(crate) http: String,
    pub(crate) client: HttpClient,
    port: u16,
    /// Where operators ask.
    pub(crate) operations: String,
    node: Option<Child>,
}

pub(crate) fn key(number: u8) -> Key {
    Key::from_bytes([number; 32]).unwrap()
}

/// Accounts of the traders.
pub(crate) const ALICE: u64 = 3;
pub(crate) const BOB: u64 = 4;

/// Keys of the traders.
pub(crate) fn alice() -> Key {
    key(3)
}

pub(crate) fn bob() -> Key {
    key(4)
}

impl Exchange {
    /// Contracts are deployed, an event is open, Alice and Bob have deposited, the node runs.
    pub(crate) async fn open() -> Self {
        let mut exchange = Self::prepare().await;
        exchange.start_node().await;
        exchange
            .until("the deposits are credited", async |exchange| exchange.client.account(AccountId(BOB)).await.is_ok())
            .await;
        exchange
    }

    /// The same without a node.
    pub(crate) async fn prepare() -> Self {
        let anvil = Anvil::start();
        let (sequencer, deployer) = (key(1), key(2));
        let deployment = anvil.deploy(&sequencer, &deployer).await;
        let chain = anvil.chain(&deployment).await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("deployment.json"), serde_json::to_vec(&deployment).unwrap()).unwrap();
        for (name, key) in [("sequencer", &sequencer), ("alice", &alice()), ("bob", &bob())] {
            anvil.give_gas(key.address()).await;
            std::fs::write(folder.path().join(format!("{name}.key")), hex::encode(key.to_bytes())).unwrap();
        }
        anvil.give_gas(deployer.address()).await;
        let (port, operations) = (free_port(), free_port());
        let operations = format!("127.0.0.1:{operations}");
        let config = format!(
            "chain = \"{}\"\ndeployment = \"deployment.json\"\ndata = \"data\"\nlisten = \"127.0.0.1:{port}\"\n\
             operations_listen = \"{operations}\"\nsequencer_key_file = \"sequencer.key\"\nframe_interval_ms = 250\n\
             [limits]\n{AMPLE}\njournal_segment_mb = 1\nsnapshot_commands = 500\n",
            anvil.url
        );
        std::fs::write(folder.path().join("node.toml"), config).unwrap();

        let house = chain.wallet(deployer);
        let venue = VenueConfig {
            treasury: AccountId::PROTOCOL,
            protocol_share: Ppm(0),
            insurance_share: Ppm(0),
            referrer_share: Ppm(0),
        };
        assert_eq!(house.open_venue(venue).await.unwrap(), VENUE);
        house.open_event(&event(house.address())).await.unwrap();
        for (trader, account) in [(alice(), ALICE), (bob(), BOB)] {
            let deposited = chain.wallet(trader).fund(None, DEPOSIT).await.unwrap();
            assert_eq!(deposited.account, AccountId(account));
        }
        let http = format!("http://127.0.0.1:{port}");
        let client = HttpClientBuilder::default().request_timeout(LONG).build(&http).unwrap();
        let domain = deployment.domain();
        Self { anvil, chain, deployment, domain, folder, http, client, port, operations, node: None }
    }

    /// Starts the node with the same command as ever, and waits until it answers.
    pub(crate) async fn start_node(&mut self) {
        self.start_node_with(|_| {}).await;
    }

    /// The same with other flags or another environment.
    pub(crate) async fn start_node_with(&mut self, change: impl FnOnce(&mut Command)) {
        assert!(self.node.is_none());
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("node.log")).unwrap();
        let mut node = Command::new(env!("CARGO_BIN_EXE_xos"));
        node.args(["node", "--config"]).arg(self.path("node.toml")).stdout(Stdio::null()).stderr(log);
        change(&mut node);
        self.node = Some(node.spawn().unwrap());
        self.until("the node answers", async |exchange| exchange.client.health().await.is_ok()).await;
    }

    /// The node's process.
    pub(crate) fn process(&self) -> u32 {
        self.node.as_ref().unwrap().id()
    }

    /// `kill -9`.
    pub(crate) fn kill_node(&mut self) {
        let mut node = self.node.take().unwrap();
        node.kill().unwrap();
        node.wait().unwrap();
    }

    /// Tells it to stop.
    pub(crate) fn terminate_node(&self) {
        signal(self.process(), "TERM");
    }

    /// How it ended, once it has.
    pub(crate) async fn node_ended(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.node.as_mut().unwrap().try_wait().unwrap() {
                self.node = None;
                return status;
            }
            assert!(started.elapsed() < LONG, "it does not stop; the node said:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks as an operator would: the status and the body.
    pub(crate) fn ask(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(&self.operations).ok()?;
        stream.set_read_timeout(Some(LONG)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// Whether it still runs by itself.
    pub(crate) fn node_runs(&mut self) -> bool {
        matches!(self.node.as_mut().unwrap().try_wait(), Ok(None))
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the node wrote lately, for a failing test's message.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read_to_string(self.path("node.log")).unwrap_or_default();
        log.lines().rev().take(30).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    pub(crate) async fn until(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let started = Instant::now();
        while !holds(self).await {
            assert!(started.elapsed() < LONG, "waited in vain until {what}; the node said:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Until the chain has settled everything up to that command.
    pub(crate) async fn until_settled(&self, sequence: u64) {
        self.until("the chain has settled it", async |exchange| {
            exchange.chain.last_batch(At::Latest).await.is_ok_and(|last| last.sequence >= sequence)
        })
        .await;
    }

    /// Until everything that has happened so far is settled.
    pub(crate) async fn until_all_is_settled(&self) {
        let info = self.client.info().await.unwrap();
        self.until("the frame is sealed", async |exchange| {
            exchange.client.info().await.unwrap().frame_time > info.frame_time
        })
        .await;
        let sealed = self.client.info().await.unwrap().settlement.sealed;
        self.until("it is settled", async |exchange| {
            exchange.client.info().await.unwrap().settlement.settled >= sealed
        })
        .await;
    }

    /// Runs `xos` as a trader would, with that key.
    pub(crate) fn xos(&self, key: &str, arguments: &[&str]) -> Output {
        self.command(key, arguments).output().unwrap()
    }

    /// The same, to be started.
    pub(crate) fn command(&self, key: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xos"));
        command.args(arguments);
        command.env("XOS_RPC", &self.http).env("XOS_CHAIN", &self.anvil.url);
        command.env("XOS_DEPLOYMENT", self.path("deployment.json")).env_remove("XOS_KEY");
        if !key.is_empty() {
            command.arg("--key-file").arg(self.path(&format!("{key}.key")));
        }
        command
    }

    /// The same, which must succeed.
    pub(crate) fn xos_ok(&self, key: &str, arguments: &[&str]) -> String {
        let output = self.xos(key, arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "xos {arguments:?}: {out}{err}\nthe node said:\n{}", self.log());
        out
    }

    /// Compares journal, chain and node.
    pub(crate) fn audit(&self) -> String {
        let data = self.path("data");
        self.xos_ok("", &["audit", "--data", data.to_str().unwrap()])
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(mut node) = self.node.take() {
            // It may have ended.
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(process: u32, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status().unwrap();
    assert!(sent.success());
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A port that nobody else is given: below those that the system takes for whoever connects, and each once.
pub(crate) fn free_port() -> u16 {
    const PORTS: std::ops::Range<u16> = 10_000..30_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    loop {
        // Other tests that run meanwhile begin elsewhere.
        let number = std::process::id() * 100 + GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + u16::try_from(number % u32::from(PORTS.end - PORTS.start)).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Three outcomes; a share is 100 lots.
fn event(resolver: Address) -> EventConfig {
    EventConfig {
        terms: TradingTerms { taker_fee: Ppm(1_000), ..TradingTerms::free(VENUE, 10) },
        outcomes: 3,
        ticks: 1_000,
        resolver,
        title: "Spain - Argentina".into(),
        labels: ["Spain", "Draw", "Argentina"].map(String::from).to_vec(),
    }
}

pub(crate) fn order(account: u64, nonce: u64, side: Side, lots: u64, price: u64) -> Order {
    Order {
        account: AccountId(account),
        market: MARKET,
        side,
        kind: OrderKind::GoodTillCancelled,
        reduce_only: false,
        size: Lots(lots),
        price: Ticks(price),
        nonce: Nonce(nonce),
        expiry: TimeMs(0),
        max_fee: Ppm(1_000),
        builder: 0,
        builder_fee: Ppm(0),
    }
}

pub(crate) fn request(key: &Key, domain: &Domain, order: Order) -> OrderRequest {
    let signature = key.sign_typed(domain, order).signature;
    OrderRequest::new(order, signature_bytes(&signature).into())
}

/// Places an order that must be taken.
pub(crate) async fn place(exchange: &Exchange, key: &Key, order: Order) -> Ack {
    exchange.client.place_order(request(key, &exchange.domain, order)).await.unwrap()
}

/// Who buys and who sells in a round: they take turns, so that no number of rounds uses up their money.
pub(crate) fn traders_of(round: u64) -> [(u64, Side, Key); 2] {
    let (buys, sells) = if round.is_multiple_of(2) { (Side::Buy, Side::Sell) } else { (Side::Sell, Side::Buy) };
    [(ALICE, buys, alice()), (BOB, sells, bob())]
}

/// Takes out what both have in the book, and spends every nonce below one.
pub(crate) async fn cancel_all_below(client: &HttpClient, domain: &Domain, below: u64) {
    for (account, key) in [(ALICE, alice()), (BOB, bob())] {
        let (account, below) = (AccountId(account), Nonce(below));
        let signature = key.sign_typed(domain, CancelAll { account, below }).signature;
        let signature = signature_bytes(&signature).into();
        client.cancel_all(CancelAllRequest { account, below, signature }).await.unwrap();
    }
}
