//! From the wire to the durable acknowledgement: `make bench-wire`.
//!
//! The real node on one core, its journal on the disk with fsync; traders on the other core, together with the chain, which has
//! little to do. Traders are market makers: each keeps a ladder of quotes and moves them, every move a newly signed order
//! (signed before the clock starts), by binary order entry. Nothing trades, so that the chain is no limit; every order is
//! hashed, its signature checked, its margin checked, put into the book, the log, the journal, and acknowledged under the
//! sequencer's signature. Prints one line of JSON for each of:
//!
//! - `wire.single.throughput`: orders a second with a signature each, 32 of them a message, 64 messages on their way.
//! - `wire.tree.throughput`, `wire.json_tree.throughput`: the same with a signature for each ladder: trees of 64 by binary order
//!   entry, of 16 by JSON, sent ahead of their answers. `.node_ns` and `.load_ns` say what an order took of the processors of the
//!   node and of this program.
//! - `wire.at_20k.p50_us`, `.p99_us`, `.p999_us`: at 20,000 orders a second, one a message, each sent at its planned time and
//!   measured from that time (no coordinated omission), the ingress window shortened to 100 µs.
//!
//! A word behind `--` (`single`, `tree`, `json_tree` or `at_20k`) runs that one alone.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]
#![allow(dead_code, reason = "shared with the tests, which use more of it")]

#[path = "../../chain/tests/artifact/mod.rs"]
mod artifact;
#[path = "../tests/process/exchange.rs"]
mod exchange;
#[path = "../../chain/tests/anvil/node.rs"]
mod node;
#[path = "wire/trees.rs"]
mod trees;

use std::process::Command;
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use hdrhistogram::Histogram;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use xos_api::{Entry, EntryAnswer, EntryRequest};
use xos_auth::{Domain, Key};
use xos_types::{Instructions, Nonce, Order, OrderKind, Side};

use exchange::{ALICE, BOB, Exchange, alice, bob, order};
use trees::{Form, Taken};

/// The node's core, and everybody else's.
const NODE_CORE: &str = "0";
const OTHER_CORE: &str = "1";
/// Quotes of a trader.
const LADDER: u64 = 64;
const TOGETHER: u64 = 32;
const ON_THEIR_WAY: usize = 64;
/// Orders of the throughput runs.
const ORDERS: u64 = 400_000;
/// Orders of the run with trees of 64.
const TREE_ORDERS: u64 = 1_536_000;
const PACED_RATE: u64 = 20_000;
const PACED_ORDERS: u64 = 200_000;
/// Orders before the clock starts: first contact, caches, the first ladder.
const WARM_UP: u64 = 4_096;

/// A trader's moves: order `nonce` takes the place of the one that is a ladder older.
pub(crate) struct Trader {
    account: u64,
    side: Side,
    key: Key,
}

impl Trader {
    fn messages(&self, domain: &Domain, nonces: std::ops::Range<u64>, together: u64) -> Vec<Bytes> {
        let first = nonces.start;
        let entry = |nonce: u64| {
            // Bids below asks, so that nothing trades.
            let price = if self.side == Side::Buy { 100 } else { 600 } + nonce * 7 % 300;
            let order =
                Order { kind: OrderKind::PostOnly, ..order(self.account, nonce, self.side, 1 + nonce % 5, price) };
            let signature = self.key.sign_typed(domain, order).signature;
            Entry::Replace(Nonce(nonce - LADDER), order, Instructions::default(), signature)
        };
        let starts = (nonces.start..nonces.end).step_by(usize::try_from(together).unwrap());
        let message = |start: u64| {
            let entries = (start..(start + together).min(nonces.end)).map(entry).collect();
            let tag = u32::try_from(start - first).unwrap();
            Bytes::from(EntryRequest { tag, entries }.encode())
        };
        starts.map(message).collect()
    }

    fn ladder(&self, domain: &Domain, first: u64) -> Bytes {
        let entries = (first..first + LADDER).map(|nonce| {
            let price = if self.side == Side::Buy { 100 } else { 600 } + nonce * 7 % 300;
            let order = Order { kind: OrderKind::PostOnly, ..order(self.account, nonce, self.side, 1, price) };
            Entry::Place(order, Instructions::default(), self.key.sign_typed(domain, order).signature)
        });
        Bytes::from(EntryRequest { tag: 0, entries: entries.collect() }.encode())
    }
}

fn done(message: Message) -> Option<(u32, usize)> {
    let Message::Binary(answer) = message else { return None };
    match EntryAnswer::decode(&answer).unwrap() {
        EntryAnswer::Done { tag, results, reasons, .. } => {
            assert!(reasons.is_empty(), "{reasons:?}");
            Some((tag, results.len()))
        }
        refused @ EntryAnswer::Refused { .. } => panic!("{refused:?}"),
    }
}

struct Connection(WebSocketStream<TcpStream>);

impl Connection {
    async fn open(exchange: &Exchange) -> Self {
        let stream = TcpStream::connect(exchange.address()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(client_async(format!("ws://{}/", exchange.address()), stream).await.unwrap().0)
    }

    /// Sends messages as fast as they are answered.
    async fn rush(&mut self, messages: Vec<Bytes>) {
        let mut on_their_way = 0;
        let mut messages = messages.into_iter();
        loop {
            while on_their_way < ON_THEIR_WAY
                && let Some(message) = messages.next()
            {
                self.0.feed(Message::Binary(message)).await.unwrap();
                on_their_way += 1;
            }
            if on_their_way == 0 {
                return;
            }
            self.0.flush().await.unwrap();
            if done(self.0.next().await.unwrap().unwrap()).is_some() {
                on_their_way -= 1;
            }
        }
    }

    /// Sends a message every `gap`, and says how long after its planned time each was answered.
    async fn pace(self, messages: Vec<Bytes>, gap: Duration) -> Histogram<u64> {
        let (mut to, mut from) = self.0.split();
        let begun = Instant::now() + Duration::from_millis(50);
        let count = messages.len();
        let answers = tokio::spawn(async move {
            let mut waits = Histogram::<u64>::new(3).unwrap();
            while waits.len() < count as u64 {
                let Some((tag, _)) = done(from.next().await.unwrap().unwrap()) else { continue };
                let planned = begun + gap * tag;
                waits.record(u64::try_from(planned.elapsed().as_nanos()).unwrap() / 1_000).unwrap();
            }
            waits
        });
        for (message, number) in messages.into_iter().zip(0..) {
            let planned = begun + gap * number;
            // Timers are a millisecond coarse: what is left is spun.
            while let Some(left) = planned.checked_duration_since(Instant::now()) {
                if left > Duration::from_millis(2) {
                    tokio::time::sleep(left - Duration::from_millis(2)).await;
                } else {
                    tokio::task::yield_now().await;
                }
            }
            to.send(Message::Binary(message)).await.unwrap();
        }
        answers.await.unwrap()
    }
}

fn print(bench: &str, value: u64, unit: &str) {
    println!(r#"{{"bench":"{bench}","value":{value},"unit":"{unit}"}}"#);
}

fn pin(core: &str) {
    let itself = std::process::id().to_string();
    let pinned = Command::new("taskset").args(["-a", "-c", "-p", core, &itself]).output().unwrap();
    assert!(pinned.status.success(), "{pinned:?}");
}

// On the one core that it has, a second thread would only wait until this one has spun its time away.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    // A process begins on the core of whoever starts it, and makes as many threads as it sees cores.
    pin(OTHER_CORE);
    let mut exchange = Exchange::prepare().await;
    let config = std::fs::read_to_string(exchange.path("node.toml")).unwrap();
    let config = config.replace("journal_segment_mb = 1\nsnapshot_commands = 500", "snapshot_commands = 10000000");
    std::fs::write(exchange.path("node.toml"), config.replace("frame_interval_ms = 250", "ingress_window_us = 100"))
        .unwrap();
    pin(NODE_CORE);
    exchange.start_node().await;
    pin(OTHER_CORE);
    exchange
        .until("the deposits are credited", async |exchange| {
            use xos_api::XosApiClient;
            exchange.client.account(xos_types::AccountId(BOB)).await.is_ok()
        })
        .await;
    let traders = [
        Trader { account: ALICE, side: Side::Buy, key: alice() },
        Trader { account: BOB, side: Side::Sell, key: bob() },
    ];
    let chosen: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let runs = |name: &str| chosen.is_empty() || chosen.iter().any(|word| word == name);
    let mut nonces = 1;
    if runs("single") {
        single(&exchange, &traders, &mut nonces).await;
    }
    if runs("tree") {
        // As many as the node lets wait: one disk sync more or less must not be what is measured.
        let ladders = Ladders { name: "wire.tree", form: Form::Binary, rungs: 64, orders: TREE_ORDERS, ahead: 150 };
        ladders.run(&exchange, &traders, &mut nonces).await;
    }
    if runs("json_tree") {
        let ladders = Ladders { name: "wire.json_tree", form: Form::Json, rungs: 16, orders: ORDERS, ahead: 400 };
        ladders.run(&exchange, &traders, &mut nonces).await;
    }
    if runs("at_20k") {
        at_20k(&exchange, &traders, &mut nonces).await;
    }
}

/// The first of so many nonces that nobody has used.
fn take(nonces: &mut u64, count: u64) -> u64 {
    *nonces += count;
    *nonces - count
}

async fn single(exchange: &Exchange, traders: &[Trader; 2], nonces: &mut u64) {
    let domain = exchange.domain;
    let each = ORDERS / 2;
    let first = take(nonces, LADDER + WARM_UP + each);
    let mut prepared = Vec::new();
    for trader in traders {
        let connection = warm(exchange, trader, first).await;
        let from = first + LADDER + WARM_UP;
        prepared.push((connection, trader.messages(&domain, from..from + each, TOGETHER)));
    }
    let rush = |(mut connection, messages): (Connection, _)| async move { connection.rush(messages).await };
    let (one, two) = (prepared.pop().unwrap(), prepared.pop().unwrap());
    let begun = Instant::now();
    tokio::join!(rush(one), rush(two));
    let per_second = u128::from(ORDERS) * 1_000_000 / begun.elapsed().as_micros();
    print("wire.single.throughput", u64::try_from(per_second).unwrap(), "orders/s");
}

/// A connection of a trader who has a ladder, and has moved it for a while.
async fn warm(exchange: &Exchange, trader: &Trader, first: u64) -> Connection {
    let mut connection = Connection::open(exchange).await;
    connection.rush(vec![trader.ladder(&exchange.domain, first)]).await;
    let moves = first + LADDER..first + LADDER + WARM_UP;
    connection.rush(trader.messages(&exchange.domain, moves, TOGETHER)).await;
    connection
}

/// A run in which every message moves a ladder.
struct Ladders {
    name: &'static str,
    form: Form,
    rungs: u64,
    /// Of both traders.
    orders: u64,
    /// Messages of a trader that wait for an answer.
    ahead: usize,
}

impl Ladders {
    async fn run(&self, exchange: &Exchange, traders: &[Trader; 2], nonces: &mut u64) {
        let Self { name, form, rungs, orders, ahead } = *self;
        let warm_up = WARM_UP / rungs;
        let count = warm_up + orders / 2 / rungs;
        let first = take(nonces, count * rungs);
        let mut prepared = Vec::new();
        for trader in traders {
            let mut warming = trees::messages(trader, &exchange.domain, form, (first, rungs, count));
            let messages = warming.split_off(usize::try_from(warm_up).unwrap());
            let stream = trees::flood(Connection::open(exchange).await.0, warming, (rungs, ahead)).await;
            prepared.push((stream, messages));
        }
        let flood = |(stream, messages)| trees::flood(stream, messages, (rungs, ahead));
        let (one, two) = (prepared.pop().unwrap(), prepared.pop().unwrap());
        let taken = Taken::begin(exchange.process());
        tokio::join!(flood(one), flood(two));
        let (per_second, [node, load]) = taken.end(orders / 2 / rungs * rungs * 2);
        print(&format!("{name}.throughput"), per_second, "orders/s");
        print(&format!("{name}.node_ns"), node, "ns");
        print(&format!("{name}.load_ns"), load, "ns");
    }
}

async fn at_20k(exchange: &Exchange, traders: &[Trader; 2], nonces: &mut u64) {
    let each = PACED_ORDERS / 2;
    let first = take(nonces, LADDER + WARM_UP + each);
    let gap = Duration::from_nanos(2 * 1_000_000_000 / PACED_RATE);
    let mut prepared = Vec::new();
    for trader in traders {
        let connection = warm(exchange, trader, first).await;
        let from = first + LADDER + WARM_UP;
        prepared.push((connection, trader.messages(&exchange.domain, from..from + each, 1)));
    }
    let pace = |(connection, messages): (Connection, _)| connection.pace(messages, gap);
    let (one, two) = (prepared.pop().unwrap(), prepared.pop().unwrap());
    let (mut waits, more) = tokio::join!(pace(one), pace(two));
    waits.add(more).unwrap();
    print("wire.at_20k.p50_us", waits.value_at_quantile(0.5), "us");
    print("wire.at_20k.p99_us", waits.value_at_quantile(0.99), "us");
    print("wire.at_20k.p999_us", waits.value_at_quantile(0.999), "us");
}
