//! Everything at once from clients who mean no good, while an honest one trades: it is served, in time, and the node's memory
//! is bounded.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use rand::{Rng, RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use tokio_tungstenite::{WebSocketStream, client_async};
use xos_api::{Code, Entry, EntryAnswer, EntryRequest, XosApiClient};
use xos_types::{AccountId, CancelAll, Instructions, Nonce, Order, Side, Signature, TimeMs};

use crate::entry::{Client, place};
use crate::exchange::{ALICE, AMPLE, BOB, Exchange, LONG, MARKET, alice, order};

/// Orders of the honest client in a storm and in a calm, one after the other.
const HONEST: u64 = 300;
/// Others that connect in each storm.
const NEWCOMERS: usize = 10;
/// Unless `XOS_STORMS` says otherwise.
const STORMS: usize = 3;
/// More than this nobody's order may take while two cores are shared by node, chain, and hostile clients.
const PATIENCE: Duration = Duration::from_secs(5);
/// What hostile clients may make the node use beyond what it used before, in KiB.
const MEMORY: u64 = 400 << 10;

/// If this test is the only one: the node's core, and the other for its honest client, the chain, and those who mean no good.
const NODE_CORE: &str = "0";
const OTHER_CORE: &str = "1";

/// What the hostile clients share.
#[derive(Clone)]
struct Hostile {
    target: SocketAddr,
    /// What the honest client signed, of which nothing can come any more: whoever has seen it can send it.
    copies: Arc<Vec<Entry>>,
    stop: Arc<AtomicBool>,
    /// Messages or connections so far.
    sent: Arc<AtomicU64>,
}

impl Hostile {
    fn goes_on(&self) -> bool {
        self.sent.fetch_add(1, Ordering::Relaxed);
        !self.stop.load(Ordering::Relaxed)
    }

    /// A connection from one of the addresses of this machine.
    async fn connect(&self, from: u8) -> Option<TcpStream> {
        let socket = TcpSocket::new_v4().ok()?;
        socket.bind(SocketAddr::from(([127, 0, 66, from], 0))).ok()?;
        tokio::time::timeout(PATIENCE, socket.connect(self.target)).await.ok()?.ok()
    }

    async fn web_socket(&self, from: u8) -> Option<WebSocketStream<TcpStream>> {
        let stream = self.connect(from).await?;
        let upgraded = tokio::time::timeout(PATIENCE, client_async(format!("ws://{}/", self.target), stream)).await;
        upgraded.ok()?.ok().map(|(socket, _)| socket)
    }

    /// Bytes that are no HTTP.
    async fn garbage(self, from: u8) {
        let mut random = rand::rngs::StdRng::seed_from_u64(from.into());
        while self.goes_on() {
            let Some(mut stream) = self.connect(from).await else { continue };
            let mut bytes = vec![0; random.random_range(1..20_000)];
            random.fill_bytes(&mut bytes);
            let _ = stream.write_all(&bytes).await;
            let _ = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut [0; 100])).await;
        }
    }

    /// Connections that say nothing, half of a head, or half of a message, as many as may be.
    async fn half_open(self, from: u8) {
        let mut held = Vec::new();
        while self.goes_on() {
            if let Some(mut stream) = self.connect(from).await {
                let start: &[u8] = match held.len() % 3 {
                    0 => b"",
                    1 => b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
                    _ => b"POST / HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n[",
                };
                let _ = stream.write_all(start).await;
                held.push(stream);
            }
            if held.len() > 300 {
                held.drain(..100);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Messages that are no requests: of any bytes, text that is no UTF-8, nested deeply, of a hundred thousand calls, cut off,
    /// larger than may be.
    async fn nonsense(self, from: u8) {
        let mut random = rand::rngs::StdRng::seed_from_u64(from.into());
        let messages = [
            Message::text("[".repeat(200_000)),
            Message::text(format!("[{}1]", "1,".repeat(100_000))),
            Message::text(
                r#"{"jsonrpc":"2.0","id":1,"method":"xos_placeOrders","params":[["#.to_owned() + &"{},".repeat(1_000),
            ),
            Message::text("\u{0}\u{1}".repeat(1_000)),
            Message::text(format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, "x".repeat(500_000))),
            Message::binary(vec![1, 1, 200, 0, 0, 0, 0, 0]),
            Message::binary(vec![0xff; 900_000]),
        ];
        while self.goes_on() {
            let Some(mut socket) = self.web_socket(from).await else { continue };
            for _ in 0..50 {
                let mut bytes = vec![1; random.random_range(0..2_000)];
                random.fill_bytes(&mut bytes[..]);
                let message = match random.random_range(0..10) {
                    0..3 => Message::binary(bytes),
                    3 => Message::binary(vec![7; 3 << 20]),
                    4 => not_utf8(random.random_range(0..4)),
                    _ => messages[random.random_range(0..messages.len())].clone(),
                };
                if !matches!(tokio::time::timeout(PATIENCE, socket.send(message)).await, Ok(Ok(()))) {
                    break;
                }
            }
        }
    }

    /// Orders that Alice never signed, as many and as fast as they go.
    async fn forger(self, from: u8) {
        let mut random = rand::rngs::StdRng::seed_from_u64(from.into());
        let mut forged = |nonce| {
            let mut signature = Signature::default();
            random.fill_bytes(&mut signature.r);
            random.fill_bytes(&mut signature.vs);
            Entry::Place(order(ALICE, nonce, Side::Buy, 1, 100), Instructions::default(), signature)
        };
        let message = EntryRequest { tag: 0, entries: (1..=200).map(&mut forged).collect() }.encode();
        self.repeat(from, &message).await;
    }

    /// Orders that Alice did sign, and that are spent or expired, in messages of many.
    async fn replayer(self, from: u8) {
        let message = EntryRequest { tag: 0, entries: self.copies.to_vec() }.encode();
        self.repeat(from, &message).await;
    }

    /// The same message, as often and as fast as it goes.
    async fn repeat(&self, from: u8, message: &[u8]) {
        while self.goes_on() {
            let Some(socket) = self.web_socket(from).await else { continue };
            let (mut writer, mut reader) = socket.split();
            let reads = tokio::spawn(async move { while let Some(Ok(_)) = reader.next().await {} });
            while self.goes_on() && writer.send(Message::binary(message.to_vec())).await.is_ok() {}
            reads.abort();
        }
    }

    /// As many subscriptions to everything that happens as it may have.
    async fn subscriber(self, from: u8) {
        let subscriptions = ["xos_subscribeBook", "xos_subscribeOrders", "xos_subscribeBbo"]
            .map(|method| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":["{MARKET}"]}}"#));
        while self.goes_on() {
            let Some(mut socket) = self.web_socket(from).await else { continue };
            for subscription in subscriptions.iter().cycle().take(300) {
                if socket.send(Message::text(subscription.clone())).await.is_err() {
                    break;
                }
            }
            let begun = Instant::now();
            while begun.elapsed() < PATIENCE && self.goes_on() {
                if !matches!(tokio::time::timeout(PATIENCE, socket.next()).await, Ok(Some(Ok(_)))) {
                    break;
                }
            }
        }
    }

    /// Questions with long answers that nobody reads.
    async fn deaf(self, from: u8) {
        let question = r#"{"jsonrpc":"2.0","id":1,"method":"xos_openOrders","params":["3"]}"#;
        while self.goes_on() {
            let Some(mut socket) = self.web_socket(from).await else { continue };
            while self.goes_on() {
                let asked = tokio::time::timeout(PATIENCE, socket.send(Message::text(question))).await;
                if !matches!(asked, Ok(Ok(()))) {
                    break;
                }
            }
        }
    }
}

/// A text message with bytes in its strings that UTF-8 does not have: cut off, out of place, longer than they need to be, half of a
/// pair.
fn not_utf8(which: usize) -> Message {
    let bytes: &[u8] = [&b"\xe2\x82"[..], b"\x80", b"\xc0\xaf", b"\xed\xa0\x80"][which];
    let text = [br#"{"jsonrpc":"2.0","id":1,"method":"xos_account","params":[""#, bytes, br#""]}"#].concat();
    Message::Frame(Frame::message(text, OpCode::Data(Data::Text), true))
}

/// KiB that a process has in memory.
pub(crate) fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Everything at once, on threads that get what processor time the node and its honest client leave: those who mean no good have
/// machines of their own.
struct Storm {
    hostile: Hostile,
    runtime: tokio::runtime::Runtime,
}

impl Storm {
    fn begin(target: SocketAddr, copies: &Arc<Vec<Entry>>) -> Self {
        let yielding = || {
            // Of the thread that asks, says Linux. If it is refused they are in the way, which proves as much.
            let _ = rustix::process::setpriority_process(None, 19);
        };
        let mut threads = tokio::runtime::Builder::new_multi_thread();
        let runtime = threads.worker_threads(2).enable_all().on_thread_start(yielding).build().unwrap();
        let hostile = Hostile { target, copies: Arc::clone(copies), stop: Arc::default(), sent: Arc::default() };
        for from in 0..4 {
            runtime.spawn(hostile.clone().garbage(1 + from));
            runtime.spawn(hostile.clone().half_open(11 + from));
            runtime.spawn(hostile.clone().nonsense(21 + from));
            runtime.spawn(hostile.clone().forger(31 + from));
            runtime.spawn(hostile.clone().replayer(61 + from));
            runtime.spawn(hostile.clone().deaf(41 + from));
            runtime.spawn(hostile.clone().subscriber(51 + from));
        }
        Self { hostile, runtime }
    }

    /// Takes them away; how many messages and connections there were.
    fn end(self) -> u64 {
        self.hostile.stop.store(true, Ordering::Relaxed);
        self.runtime.shutdown_background();
        self.hostile.sent.load(Ordering::Relaxed)
    }
}

/// An honest client that has traded before.
struct Honest<'a> {
    exchange: &'a Exchange,
    client: Client,
    nonce: u64,
    /// Most KiB that the node had while it traded.
    memory: u64,
}

impl Honest<'_> {
    /// How long each of its orders takes, one after the other; the shortest first. Afterwards none is left.
    async fn waits(&mut self) -> Vec<Duration> {
        let mut waits = Vec::new();
        for _ in 0..HONEST {
            self.nonce += 1;
            let begun = Instant::now();
            let order = order(ALICE, self.nonce, Side::Buy, 1, 1 + self.nonce % 400);
            self.done(place(self.exchange, &alice(), order)).await;
            waits.push(begun.elapsed());
            self.memory = self.memory.max(memory(self.exchange.process()));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let all = CancelAll { account: AccountId(ALICE), below: Nonce(self.nonce + 1) };
        self.done(Entry::CancelAll(all, alice().sign_typed(&self.exchange.domain, all).signature)).await;
        waits.sort();
        waits
    }

    /// How long others take that come now: from connecting until the first order is in the book.
    async fn newcomers(&mut self) -> Vec<Duration> {
        let mut waits = Vec::new();
        for _ in 0..NEWCOMERS {
            self.nonce += 1;
            let begun = Instant::now();
            let order = order(ALICE, self.nonce, Side::Buy, 1, 1 + self.nonce % 400);
            let entry = place(self.exchange, &alice(), order);
            let mut newcomer = Client::connect(self.exchange).await;
            // They may be told to try again.
            while !matches!(newcomer.ask(vec![entry.clone()]).await, EntryAnswer::Done { .. }) {
                assert!(begun.elapsed() < LONG, "a newcomer's order is taken");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            waits.push(begun.elapsed());
        }
        waits.sort();
        waits
    }

    /// What it signed before: orders of which the nonces are spent, and as many that nobody took in time.
    async fn copies(&mut self) -> Vec<Entry> {
        let spent = |nonce| order(ALICE, nonce, Side::Buy, 1, 1 + nonce % 400);
        let expired = |nonce| Order { expiry: TimeMs(1), ..spent(nonce) };
        let orders = (1..=100).flat_map(|nonce| [spent(nonce), expired(HONEST + nonce)]);
        let copies: Vec<_> = orders.map(|order| place(self.exchange, &alice(), order)).collect();

        let answer = self.client.ask(copies.clone()).await;
        let EntryAnswer::Done { results, .. } = answer else { panic!("{answer:?}") };
        let refused: Vec<_> = results.iter().map(|result| result.refused.unwrap()).collect();
        assert_eq!(refused, [Code::NonceSpent, Code::Expired].repeat(100));
        copies
    }

    async fn done(&mut self, entry: Entry) {
        let answer =
            tokio::time::timeout(PATIENCE, self.client.ask(vec![entry])).await.expect("it is answered in time");
        let EntryAnswer::Done { results, reasons, .. } = answer else {
            panic!("{answer:?}\n{}", self.exchange.log());
        };
        assert_eq!(results[0].refused, None, "{reasons:?}");
    }
}

/// Where all threads of this process go on, and what they start begins.
fn pin(core: &str) {
    let itself = std::process::id().to_string();
    let pinned = Command::new("taskset").args(["-a", "-c", "-p", core, &itself]).output().unwrap();
    assert!(pinned.status.success(), "{pinned:?}");
}

fn p99(waits: &[Duration]) -> Duration {
    waits[waits.len() * 99 / 100]
}

/// Its sender is told, and nobody else notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_text_or_no_frame_ends_its_connection_with_the_reason() {
    let exchange = Exchange::open().await;
    let no_frame = |reserved| {
        let header = FrameHeader { opcode: OpCode::Data(Data::Reserved(reserved)), ..FrameHeader::default() };
        Message::Frame(Frame::from_payload(header, b"what is this".to_vec().into()))
    };
    let cases = (0..4).map(|which| (not_utf8(which), 1007)).chain([(no_frame(3), 1002), (no_frame(7), 1002)]);
    for (message, code) in cases {
        let mut client = Client::connect(&exchange).await;
        client.0.send(message).await.unwrap();
        let last = tokio::time::timeout(LONG, client.0.next()).await.unwrap();
        let Some(Ok(Message::Close(Some(told)))) = last else { panic!("{last:?}") };
        assert_eq!(u16::from(told.code), code, "{told:?}");
    }
    let mut client = Client::connect(&exchange).await;
    let answer = client.ask(vec![place(&exchange, &alice(), order(ALICE, 1, Side::Buy, 1, 100))]).await;
    assert!(matches!(answer, EntryAnswer::Done { .. }));
}

/// Who is hostile has machines of his own, and so has the node: here it has a core, and the hostile clients get of the other what
/// the honest one and the chain leave. Calm and storm take turns, so that whatever else the machine does is in both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_client_is_served_while_others_do_their_worst() {
    // Among other tests it measures what else the machine does, so there it only must stay within bounds; `make test-long` runs it alone.
    let alone = std::env::var("XOS_STORMS").ok().map(|storms| storms.parse().unwrap());
    let (storms, most) = alone.map_or((STORMS, 10), |storms| (storms, 2));
    let pin = |core| {
        if alone.is_some() {
            pin(core)
        }
    };
    pin(OTHER_CORE);
    let mut exchange = Exchange::prepare().await;
    let config = std::fs::read_to_string(exchange.path("node.toml")).unwrap();
    // The budgets of a node that nobody has configured.
    std::fs::write(exchange.path("node.toml"), config.replace(AMPLE, "")).unwrap();
    pin(NODE_CORE);
    exchange.start_node().await;
    pin(OTHER_CORE);
    exchange
        .until("the deposits are credited", async |exchange| exchange.client.account(AccountId(BOB)).await.is_ok())
        .await;
    let target = exchange.address().parse().unwrap();
    let mut honest = Honest { exchange: &exchange, client: Client::connect(&exchange).await, nonce: 0, memory: 0 };
    honest.waits().await;
    let copies = Arc::new(honest.copies().await);
    let before = memory(exchange.process());

    let (mut all_calm, mut all_stormy) = (Vec::new(), Vec::new());
    for storm in 1..=storms {
        let calm = honest.waits().await;
        let attack = Storm::begin(target, &copies);
        // They come up.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let stormy = honest.waits().await;
        let newcomers = honest.newcomers().await;
        let sent = attack.end();
        // What they left behind is worked off.
        tokio::time::sleep(Duration::from_secs(1)).await;
        println!(
            "storm {storm} of {sent} hostile messages: {HONEST} honest orders took {:?} in the median and {:?} in the p99 ({:?} at most); \
             newcomers {:?} and {:?} at most; before it {:?} and {:?}; {before} KiB before, {} at most",
            stormy[stormy.len() / 2],
            p99(&stormy),
            stormy[stormy.len() - 1],
            newcomers[newcomers.len() / 2],
            newcomers[newcomers.len() - 1],
            calm[calm.len() / 2],
            p99(&calm),
            honest.memory
        );
        all_calm.extend(calm);
        all_stormy.extend(stormy);
        assert!(honest.memory < before + MEMORY, "{before} KiB, then {}", honest.memory);
    }
    all_calm.sort();
    all_stormy.sort();
    let (calm, stormy) = (p99(&all_calm), p99(&all_stormy));
    println!("of all storms: {calm:?} in the p99 before, {stormy:?} in it");
    assert!(
        stormy <= calm * most,
        "an honest client's p99 is at most {most} times what it was: {calm:?}, then {stormy:?}"
    );
    assert!(exchange.node_runs());

    // They are gone, and the node is as it was.
    exchange.until("it answers at once", async |exchange| exchange.client.health().await.is_ok()).await;
    exchange.audit();
}
