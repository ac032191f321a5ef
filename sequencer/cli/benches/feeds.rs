//! A thousand readers of one book: `make bench-feeds`.
//!
//! The real node on one core, with everything that hands messages to readers; the readers, the traders and the chain on the other
//! core. Traders are market makers: every order takes the place of an older one of theirs, by binary order entry, and is signed
//! before the clock starts. Prints one line of JSON for each of:
//!
//! - `feeds.p50_ms`, `.p99_ms`: from the moment at which an order should be sent until the message that has it is with a reader, over all
//!   readers, at 10,000 changes of the book a second: 5,000 orders that each take another one's place. Its way through the node, the
//!   journal's fsync and the wait for the beat are in it.
//! - `feeds.messages_per_reader`: messages a second that each reader got for these.
//! - `feeds.readers_core_pct`, `feeds.node_core_pct`: of a core, what readers and traders took meanwhile, and what the node took.
//! - `feeds.engine_ns_per_order`, `.engine_slowdown_pct`: the processor time that the thread which matches takes for an order with the
//!   readers, and how much more that is than without them, at the same pace.
//! - `feeds.throughput`, `.throughput_slowdown_pct`: orders a second with the readers, as fast as they are taken, and how many fewer that is. That is what the readers' messages cost the one
//!   core that the node has here, and the one that traders share with the readers.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]
#![allow(dead_code, reason = "shared with the tests, which use more of it")]

#[path = "../../chain/tests/artifact/mod.rs"]
mod artifact;
#[path = "../tests/process/exchange.rs"]
mod exchange;
#[path = "../../chain/tests/anvil/node.rs"]
mod node;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use hdrhistogram::Histogram;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, client_async, client_async_with_config};
use xos_api::{Entry, EntryAnswer, EntryRequest, XosApiClient};
use xos_auth::{Domain, Key};
use xos_types::{AccountId, Instructions, Nonce, Order, OrderKind, Side};

use exchange::{ALICE, BOB, Exchange, MARKET, alice, bob, order};

/// The node's core, and everybody else's.
const NODE_CORE: &str = "0";
const OTHER_CORE: &str = "1";
const READERS: usize = 1_000;
/// Bytes that a reader takes at a time: one message.
const READ_BYTES: usize = 16 << 10;
/// Quotes of a trader.
const LADDER: u64 = 64;
/// Orders of a run as fast as they are taken, and how many go together.
const RUSHED: u64 = 64_000;
const TOGETHER: u64 = 32;
const ON_THEIR_WAY: usize = 64;
const PACED_RATE: u64 = 5_000;
const PACED_ORDERS: u64 = 25_000;
/// Orders in a paced message: every two milliseconds one from each trader.
const PACED_TOGETHER: u64 = 5;

struct Trader {
    account: u64,
    side: Side,
    key: Key,
    /// The nonce of its next order.
    next: u64,
    socket: WebSocketStream<TcpStream>,
}

/// When an order should have been sent, by its place in the log.
type Sent = BTreeMap<u64, Instant>;

impl Trader {
    async fn open(exchange: &Exchange, account: u64, side: Side, key: Key) -> Self {
        let stream = TcpStream::connect(exchange.address()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let socket = client_async(format!("ws://{}/", exchange.address()), stream).await.unwrap().0;
        let mut trader = Self { account, side, key, next: 1, socket };
        let ladder = trader.messages(&exchange.domain, LADDER, LADDER, |_, order, signature| {
            Entry::Place(order, Instructions::default(), signature)
        });
        trader.rush(ladder).await;
        trader
    }

    fn messages(
        &mut self,
        domain: &Domain,
        orders: u64,
        together: u64,
        entry: impl Fn(u64, Order, xos_types::Signature) -> Entry,
    ) -> Vec<Bytes> {
        let nonces = self.next..self.next + orders;
        self.next += orders;
        let signed = nonces.map(|nonce| {
            // Bids below asks, so that nothing trades and the chain is no limit.
            let price = if self.side == Side::Buy { 100 } else { 600 } + nonce * 7 % 300;
            let kind = OrderKind::PostOnly;
            let order = Order { kind, ..order(self.account, nonce, self.side, 1 + nonce % 5, price) };
            entry(nonce, order, self.key.sign_typed(domain, order).signature)
        });
        let entries: Vec<Entry> = signed.collect();
        let messages = entries.chunks(usize::try_from(together).unwrap()).zip(0..);
        messages.map(|(entries, tag)| Bytes::from(EntryRequest { tag, entries: entries.to_vec() }.encode())).collect()
    }

    fn moves(&mut self, domain: &Domain, orders: u64, together: u64) -> Vec<Bytes> {
        self.messages(domain, orders, together, |nonce, order, signature| {
            Entry::Replace(Nonce(nonce - LADDER), order, Instructions::default(), signature)
        })
    }

    /// Sends messages as fast as they are answered.
    async fn rush(&mut self, messages: Vec<Bytes>) {
        let (mut on_their_way, mut messages) = (0, messages.into_iter());
        loop {
            while on_their_way < ON_THEIR_WAY
                && let Some(message) = messages.next()
            {
                self.socket.feed(Message::Binary(message)).await.unwrap();
                on_their_way += 1;
            }
            if on_their_way == 0 {
                return;
            }
            self.socket.flush().await.unwrap();
            on_their_way -= usize::from(done(self.socket.next().await.unwrap().unwrap()).is_some());
        }
    }

    /// Sends a message every `gap`, and says when each order should have left.
    async fn pace(self, messages: Vec<Bytes>, gap: Duration) -> (Self, Sent) {
        let Self { account, side, key, next, socket } = self;
        let (mut to, mut from) = socket.split();
        let (begun, count) = (Instant::now() + Duration::from_millis(50), messages.len());
        let answers = tokio::spawn(async move {
            let (mut sent, mut answered) = (Sent::new(), 0);
            while answered < count {
                let Some((tag, sequences)) = done(from.next().await.unwrap().unwrap()) else { continue };
                sent.extend(sequences.into_iter().map(|sequence| (sequence, begun + gap * tag)));
                answered += 1;
            }
            (from, sent)
        });
        for (message, number) in messages.into_iter().zip(0..) {
            tokio::time::sleep_until((begun + gap * number).into()).await;
            to.send(Message::Binary(message)).await.unwrap();
        }
        let (from, sent) = answers.await.unwrap();
        (Self { account, side, key, next, socket: from.reunite(to).unwrap() }, sent)
    }
}

/// The number of an answer and the places of its orders in the log.
fn done(message: Message) -> Option<(u32, Vec<u64>)> {
    let Message::Binary(answer) = message else { return None };
    match EntryAnswer::decode(&answer).unwrap() {
        EntryAnswer::Done { tag, results, reasons, .. } => {
            assert!(reasons.is_empty(), "{reasons:?}");
            Some((tag, results.into_iter().map(|result| result.sequence).collect()))
        }
        refused @ EntryAnswer::Refused { .. } => panic!("{refused:?}"),
    }
}

/// A message as it came: what it follows, how far it goes, and when.
type Came = (u64, u64, Instant);

/// Reads until it is told to stop, and says what came.
async fn read(address: String, ready: Arc<AtomicUsize>, mut stop: watch::Receiver<bool>) -> Vec<Came> {
    let stream = TcpStream::connect(&address).await.unwrap();
    // A thousand readers share a core here: the usual 128 KiB would be asked of the system anew for every message.
    let config = WebSocketConfig::default().read_buffer_size(READ_BYTES);
    let mut socket = client_async_with_config(format!("ws://{address}/"), stream, Some(config)).await.unwrap().0;
    let subscribe =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"xos_subscribeBook","params":{{"market":{}}}}}"#, MARKET.0);
    socket.send(Message::text(subscribe)).await.unwrap();
    let mut came = Vec::new();
    let mut last = None;
    let mut stopped = std::pin::pin!(stop.wait_for(|stop| *stop));
    loop {
        let message = tokio::select! {
            biased;
            message = socket.next() => message,
            _ = &mut stopped => break,
        };
        let at = Instant::now();
        let Message::Text(text) = message.unwrap().unwrap() else { continue };
        let Some(sequence) = number(&text, "\"sequence\":\"") else { continue };
        match number(&text, "\"previous\":\"") {
            Some(previous) => {
                assert_eq!(Some(previous), last, "a reader missed something");
                came.push((previous, sequence, at));
            }
            None if last.is_none() => {
                ready.fetch_add(1, Ordering::Relaxed);
            }
            None => came.push((last.unwrap(), sequence, at)),
        }
        last = Some(sequence);
    }
    came
}

fn number(text: &str, field: &str) -> Option<u64> {
    text.split_once(field)?.1.split('"').next()?.parse().ok()
}

/// The processor time that a thread of a process, or all of it, has had so far.
fn processor_time(process: u32, thread: Option<&str>) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let times = tasks.filter_map(|task| {
        let task = task.unwrap().path();
        let name = fs::read_to_string(task.join("comm")).ok()?;
        if thread.is_some_and(|thread| thread != name.trim()) {
            return None;
        }
        let time = fs::read_to_string(task.join("schedstat")).ok()?;
        Some(Duration::from_nanos(time.split(' ').next()?.parse().ok()?))
    });
    times.sum()
}

fn pin(core: &str) {
    let itself = std::process::id().to_string();
    let pinned = Command::new("taskset").args(["-a", "-c", "-p", core, &itself]).output().unwrap();
    assert!(pinned.status.success(), "{pinned:?}");
}

fn print(bench: &str, value: f64, unit: &str) {
    println!(r#"{{"bench":"{bench}","value":{value:.1},"unit":"{unit}"}}"#);
}

/// Orders a second, as fast as they are taken.
async fn rush(exchange: &Exchange, traders: &mut [Trader; 2]) -> f64 {
    let [one, two] = traders;
    let (first, second) =
        (one.moves(&exchange.domain, RUSHED / 2, TOGETHER), two.moves(&exchange.domain, RUSHED / 2, TOGETHER));
    let begun = Instant::now();
    tokio::join!(one.rush(first), two.rush(second));
    RUSHED as f64 / begun.elapsed().as_secs_f64()
}

/// A run at [`PACED_RATE`].
struct Paced {
    sent: Sent,
    took: Duration,
    /// Of the thread that matches, for an order.
    engine_ns: f64,
    /// Of a core, what traders and readers took, and what the node took.
    shares: [f64; 2],
}

async fn pace(exchange: &Exchange, mut traders: [Trader; 2]) -> ([Trader; 2], Paced) {
    let gap = Duration::from_nanos(2 * PACED_TOGETHER * 1_000_000_000 / PACED_RATE);
    let [first, second] =
        traders.each_mut().map(|trader| trader.moves(&exchange.domain, PACED_ORDERS / 2, PACED_TOGETHER));
    let node = exchange.process();
    let used = || {
        [(std::process::id(), None), (node, None), (node, Some("sequencer"))]
            .map(|(of, thread)| processor_time(of, thread))
    };
    let (before, begun) = (used(), Instant::now());
    let [one, two] = traders;
    let ((one, mut sent), (two, others)) = tokio::join!(one.pace(first, gap), two.pace(second, gap));
    let (after, took) = (used(), begun.elapsed());
    sent.extend(others);
    let spent = |which: usize| (after[which] - before[which]).as_secs_f64();
    let shares = [0, 1].map(|which| spent(which) / took.as_secs_f64());
    ([one, two], Paced { sent, took, engine_ns: spent(2) * 1e9 / PACED_ORDERS as f64, shares })
}

struct Crowd {
    readers: Vec<JoinHandle<Vec<Came>>>,
    stop: watch::Sender<bool>,
}

impl Crowd {
    async fn gather(exchange: &Exchange) -> Self {
        let (ready, stop) = (Arc::new(AtomicUsize::new(0)), watch::Sender::new(false));
        let one = || tokio::spawn(read(exchange.address(), Arc::clone(&ready), stop.subscribe()));
        let readers = (0..READERS).map(|_| one()).collect();
        while ready.load(Ordering::Relaxed) < READERS {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self { readers, stop }
    }

    async fn leave(self) -> Vec<Vec<Came>> {
        self.stop.send_replace(true);
        let mut came = Vec::new();
        for reader in self.readers {
            came.push(reader.await.unwrap());
        }
        came
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // A process begins on the core of whoever starts it, and makes as many threads as it sees cores.
    pin(OTHER_CORE);
    let mut exchange = Exchange::prepare().await;
    let config = fs::read_to_string(exchange.path("node.toml")).unwrap();
    let config = config
        .replace("frame_interval_ms = 250\n", "")
        .replace("journal_segment_mb = 1\nsnapshot_commands = 500", "snapshot_commands = 10000000");
    fs::write(exchange.path("node.toml"), config).unwrap();
    pin(NODE_CORE);
    exchange.start_node().await;
    pin(OTHER_CORE);
    exchange
        .until("the deposits are credited", async |exchange| exchange.client.account(AccountId(BOB)).await.is_ok())
        .await;
    let mut traders = [
        Trader::open(&exchange, ALICE, Side::Buy, alice()).await,
        Trader::open(&exchange, BOB, Side::Sell, bob()).await,
    ];
    rush(&exchange, &mut traders).await;
    let alone = rush(&exchange, &mut traders).await;
    let crowd = Crowd::gather(&exchange).await;
    let crowded = rush(&exchange, &mut traders).await;
    crowd.leave().await;
    let alone_again = rush(&exchange, &mut traders).await;
    print("feeds.throughput", crowded, "orders/s");
    print("feeds.throughput_slowdown_pct", (1.0 - crowded * 2.0 / (alone + alone_again)) * 100.0, "%");

    let (traders, before) = pace(&exchange, traders).await;
    let crowd = Crowd::gather(&exchange).await;
    let (traders, Paced { sent, took, engine_ns, shares }) = pace(&exchange, traders).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut waits = Histogram::<u64>::new(3).unwrap();
    let mut messages = 0u64;
    for came in crowd.leave().await {
        for (previous, sequence, at) in came {
            let mut orders = sent.range(previous + 1..=sequence).peekable();
            messages += u64::from(orders.peek().is_some());
            for (_, sent) in orders {
                waits.record(u64::try_from(at.saturating_duration_since(*sent).as_micros()).unwrap()).unwrap();
            }
        }
    }
    let readers = READERS as u64;
    assert_eq!(waits.len(), PACED_ORDERS * readers, "every reader got every order");
    let ms = |quantile| waits.value_at_quantile(quantile) as f64 / 1e3;
    print("feeds.p50_ms", ms(0.5), "ms");
    print("feeds.p99_ms", ms(0.99), "ms");
    print("feeds.messages_per_reader", messages as f64 / READERS as f64 / took.as_secs_f64(), "messages/s");
    print("feeds.readers_core_pct", shares[0] * 100.0, "%");
    print("feeds.node_core_pct", shares[1] * 100.0, "%");
    let (_, after) = pace(&exchange, traders).await;
    print("feeds.engine_ns_per_order", engine_ns, "ns");
    print("feeds.engine_slowdown_pct", (engine_ns * 2.0 / (before.engine_ns + after.engine_ns) - 1.0) * 100.0, "%");
}
