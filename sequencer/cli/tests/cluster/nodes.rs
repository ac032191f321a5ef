//! Nodes of one group, and traders who go wherever somebody leads.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jsonrpsee::core::ClientError;
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use tokio::task::JoinHandle;
use xos_api::{Code, OrderStatus, XosApiClient};
use xos_auth::{Domain, Key};
use xos_types::{AccountId, Nonce, Side};

use crate::exchange::{BOB, Exchange, LONG, free_port, order, request, traders_of};
use crate::servers::Servers;

/// One cluster at a time: on two cores a second one would make leaders look dead that are only waiting for their turn.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Two nodes, three log servers, a chain.
pub(crate) struct Cluster {
    _alone: tokio::sync::MutexGuard<'static, ()>,
    pub(crate) exchange: Exchange,
    pub(crate) servers: Servers,
    nodes: Vec<Node>,
}

struct Node {
    port: u16,
    client: HttpClient,
    process: Option<Child>,
}

impl Cluster {
    pub(crate) async fn open() -> Self {
        let alone = ALONE.lock().await;
        let servers = Servers::start(3);
        let exchange = Exchange::prepare().await;
        let nodes = (0..2).map(|_| {
            let port = free_port();
            let client = HttpClientBuilder::default().request_timeout(LONG).build(format!("http://127.0.0.1:{port}"));
            Node { port, client: client.unwrap(), process: None }
        });
        let mut cluster = Self { _alone: alone, exchange, servers, nodes: nodes.collect() };
        for index in 0..2 {
            cluster.start(index).await;
        }
        let leader = cluster.leader().await;
        cluster
            .until("the deposits are credited", async |cluster| {
                cluster.client(leader).account(AccountId(BOB)).await.is_ok()
            })
            .await;
        cluster
    }

    pub(crate) fn domain(&self) -> Domain {
        self.exchange.domain
    }

    pub(crate) fn http(&self, node: usize) -> String {
        format!("http://127.0.0.1:{}", self.nodes[node].port)
    }

    pub(crate) fn client(&self, node: usize) -> HttpClient {
        self.nodes[node].client.clone()
    }

    pub(crate) fn pid(&self, node: usize) -> u32 {
        self.nodes[node].process.as_ref().unwrap().id()
    }

    fn data(&self, node: usize) -> String {
        self.exchange.path(&format!("data-{node}")).to_str().unwrap().to_owned()
    }

    /// Starts a node and waits until it answers questions.
    pub(crate) async fn start(&mut self, node: usize) {
        let log = self.exchange.path(&format!("node-{node}.log"));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_xos"));
        command.args(["node", "--config"]).arg(self.exchange.path("node.toml"));
        command.args(["--data", &self.data(node), "--listen", &format!("127.0.0.1:{}", self.nodes[node].port)]);
        command.args([
            "--operations-listen",
            "127.0.0.1:0",
            "--durability",
            "replicated",
            "--nats",
            &self.servers.urls(),
        ]);
        self.nodes[node].process = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        self.until("the node answers", async |cluster| cluster.client(node).health().await.is_ok()).await;
    }

    pub(crate) fn kill(&mut self, node: usize) {
        let mut process = self.nodes[node].process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// How it ended by itself.
    pub(crate) async fn ended(&mut self, node: usize) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.nodes[node].process.as_mut().unwrap().try_wait().unwrap() {
                self.nodes[node].process = None;
                return status;
            }
            assert!(started.elapsed() < LONG, "it does not end: {}", self.log(node));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Who leads, when somebody does.
    pub(crate) async fn leader(&self) -> usize {
        self.leader_other_than(usize::MAX).await
    }

    pub(crate) async fn leader_other_than(&self, not: usize) -> usize {
        let started = Instant::now();
        loop {
            for node in (0..self.nodes.len()).filter(|node| *node != not && self.nodes[*node].process.is_some()) {
                if self.client(node).info().await.is_ok_and(|info| info.leads) {
                    return node;
                }
            }
            assert!(started.elapsed() < LONG, "nobody leads:\n{}\n{}", self.log(0), self.log(1));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn until(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let started = Instant::now();
        while !holds(self).await {
            assert!(started.elapsed() < LONG, "waited in vain until {what}:\n{}\n{}", self.log(0), self.log(1));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Until both nodes stand behind the same command, with the same hash over all commands and events.
    pub(crate) async fn until_level(&mut self) {
        let started = Instant::now();
        while !self.is_level().await {
            self.supervise().await;
            assert!(started.elapsed() < LONG, "they do not come level:\n{}\n{}", self.log(0), self.log(1));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn is_level(&self) -> bool {
        let (Ok(first), Ok(second)) = (self.client(0).info().await, self.client(1).info().await) else { return false };
        let is_level = first.sequence == second.sequence;
        assert!(!is_level || first.log_hash == second.log_hash, "the same commands lead to the same events");
        is_level
    }

    /// Starts a node again that ended because another one leads, as it leaves to its supervisor.
    async fn supervise(&mut self) {
        for node in 0..self.nodes.len() {
            let Some(status) = self.nodes[node].process.as_mut().and_then(|process| process.try_wait().unwrap()) else {
                continue;
            };
            let log = self.log(node);
            assert!(status.code() == Some(1) && log.contains("another node leads since epoch"), "{status}:\n{log}");
            self.start(node).await;
        }
    }

    pub(crate) async fn until_all_is_settled(&self) {
        let leader = self.leader().await;
        let time = self.client(leader).info().await.unwrap().frame_time;
        self.until("it is settled", async |cluster| {
            let info = cluster.client(leader).info().await;
            info.is_ok_and(|info| info.frame_time > time && info.settlement.settled == info.settlement.sealed)
        })
        .await;
        let settlement = self.client(leader).info().await.unwrap().settlement;
        assert_eq!((settlement.reverted, settlement.halted), (0, None));
    }

    /// That everything acknowledged is known to a node; how much that was.
    pub(crate) async fn check(&self, node: usize, told: &[Told]) -> usize {
        let mut known = 0;
        for Told { account, nonce, heard } in told {
            if *heard == Heard::Acknowledged {
                let order = self.client(node).order(AccountId(*account), Nonce(*nonce)).await.unwrap();
                assert_ne!(order.status, OrderStatus::Unknown, "order {nonce} of {account} was acknowledged");
                known += 1;
            }
        }
        known
    }

    /// Compares both journals with the chain.
    pub(crate) fn audit(&self) {
        for node in 0..2 {
            let said = self.exchange.xos_ok("", &["audit", "--data", &self.data(node)]);
            assert!(!said.contains("DIFFER"), "{said}");
        }
    }

    pub(crate) fn log(&self, node: usize) -> String {
        let log = std::fs::read_to_string(self.exchange.path(&format!("node-{node}.log"))).unwrap_or_default();
        log.lines().rev().take(40).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in self.nodes.iter_mut().filter_map(|node| node.process.as_mut()) {
            // It may have ended.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// What a trader heard of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Acknowledged,
    /// Nothing was done.
    Refused,
    /// The connection broke, or nobody answered in time.
    Nothing,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) account: u64,
    pub(crate) nonce: u64,
    pub(crate) heard: Heard,
}

/// Clients that place orders wherever they are taken.
pub(crate) struct Traders {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<Vec<Told>>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    acknowledged: AtomicU64,
    times: Mutex<Vec<Instant>>,
}

impl Traders {
    pub(crate) fn start(cluster: &Cluster, round: u64) -> Self {
        let shared = Arc::new(Shared::default());
        let mut tasks = Vec::new();
        for (account, side, key) in traders_of(round) {
            for line in 0..3 {
                let first = Self::first_nonce_after(round) - 30_000 + line * 10_000;
                let urls = (0..2).map(|node| cluster.http(node)).collect();
                tasks.push(tokio::spawn(trade(
                    urls,
                    account,
                    side,
                    key.clone(),
                    cluster.domain(),
                    first,
                    Arc::clone(&shared),
                )));
            }
        }
        Self { shared, tasks }
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    pub(crate) async fn until_acknowledged(&self, count: u64, cluster: &Cluster) {
        cluster.until(&format!("{count} orders are acknowledged"), async |_| self.acknowledged() >= count).await;
    }

    /// How long after a moment the next order was acknowledged.
    pub(crate) fn first_after(&self, moment: Instant) -> Duration {
        let times = self.shared.times.lock().unwrap();
        let after = times.iter().filter(|time| **time > moment).min();
        after.map_or(Duration::MAX, |time| *time - moment)
    }

    /// What may be ordered under in the round after this one.
    pub(crate) const fn first_nonce_after(round: u64) -> u64 {
        1 + (round + 1) * 30_000
    }

    pub(crate) async fn stop(self) -> Vec<Told> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut told = Vec::new();
        for task in self.tasks {
            told.extend(task.await.unwrap());
        }
        told
    }
}

async fn trade(
    urls: Vec<String>,
    account: u64,
    side: Side,
    key: Key,
    domain: Domain,
    first: u64,
    shared: Arc<Shared>,
) -> Vec<Told> {
    let clients: Vec<HttpClient> = urls
        .iter()
        .map(|url| HttpClientBuilder::default().request_timeout(Duration::from_secs(10)).build(url).unwrap())
        .collect();
    let mut told = Vec::new();
    let mut to = 0;
    for nonce in first.. {
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        let order = order(account, nonce, side, 1 + nonce % 5, 480 + nonce * 7 % 40);
        let heard = match clients[to].place_order(request(&key, &domain, order)).await {
            Ok(_) => Heard::Acknowledged,
            Err(ClientError::Call(error)) if error.code() == Code::Standby as i32 => Heard::Refused,
            Err(ClientError::Call(error)) if error.code() == Code::Unavailable as i32 => Heard::Nothing,
            Err(ClientError::Call(error)) => panic!("refused: {error}"),
            Err(_) => Heard::Nothing,
        };
        told.push(Told { account, nonce, heard });
        if heard == Heard::Acknowledged {
            shared.acknowledged.fetch_add(1, Ordering::Relaxed);
            shared.times.lock().unwrap().push(Instant::now());
        } else {
            to = (to + 1) % clients.len();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    told
}
