//! From the wire to the durable acknowledgement: `make bench-wire`.
//!
//! The real node on one core, its journal on the disk with fsync; traders on the other core, together with the chain, which has
//! little to do. Traders are market makers: each keeps a ladder of quotes and moves them, every move a newly signed order
//! (signed before the clock starts), by binary order entry. Nothing trades, so that the chain is no limit; every order is
//! hashed, its signature checked, its margin checked, put into the book, the log, the journal, and acknowledged under the
//! sequencer's signature. Prints one line of JSON for each of:
//!
//! - `wire.single.throughput`: orders a second with a signature each, 32 of them a message, 64 messages on their way.
//! - `wire.at_20k.p50_us`, `.p99_us`, `.p999_us`: at 20,000 orders a second, one a message, each sent at its planned time and
//!   measured from that time (no coordinated omission), the ingress window shortened to 100 µs.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]
#![allow(dead_code, reason = "shared with the tests, which use more of it")]

#[path = "../../chain/tests/artifact/mod.rs"]
mod artifact;
#[path = "../tests/process/exchange.rs"]
mod exchange;
#[path = "../../chain/tests/anvil/node.rs"]
mod node;

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

/// The node's core, and everybody else's.
const NODE_CORE: &str = "0";
const OTHER_CORE: &str = "1";
/// Quotes of a trader.
const LADDER: u64 = 64;
const TOGETHER: u64 = 32;
const ON_THEIR_WAY: usize = 64;
/// Orders of the throughput runs.
const ORDERS: u64 = 400_000;
const PACED_RATE: u64 = 20_000;
const PACED_ORDERS: u64 = 200_000;
/// Orders before the clock starts: first contact, caches, the first ladder.
const WARM_UP: u64 = 4_096;

/// A trader's moves: order `nonce` takes the place of the one that is a ladder older.
struct Trader {
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

fn pin(core: &str, process: u32) {
    let pinned = Command::new("taskset").args(["-a", "-c", "-p", core, &process.to_string()]).output().unwrap();
    assert!(pinned.status.success(), "{pinned:?}");
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut exchange = Exchange::prepare().await;
    let config = std::fs::read_to_string(exchange.path("node.toml")).unwrap();
    let config = config.replace("journal_segment_mb = 1\nsnapshot_commands = 500", "snapshot_commands = 10000000");
    std::fs::write(exchange.path("node.toml"), config.replace("frame_interval_ms = 250", "ingress_window_us = 100"))
        .unwrap();
    exchange.start_node().await;
    exchange
        .until("the deposits are credited", async |exchange| {
            use xos_api::XosApiClient;
            exchange.client.account(xos_types::AccountId(BOB)).await.is_ok()
        })
        .await;
    pin(NODE_CORE, exchange.process());
    pin(OTHER_CORE, std::process::id());
    let traders = [
        Trader { account: ALICE, side: Side::Buy, key: alice() },
        Trader { account: BOB, side: Side::Sell, key: bob() },
    ];
    let domain = exchange.domain;
    let each = ORDERS / 2;
    let mut first = 1;
    let mut connections = Vec::new();
    let mut rushes = Vec::new();
    for trader in &traders {
        let mut connection = Connection::open(&exchange).await;
        connection.rush(vec![trader.ladder(&domain, first)]).await;
        connection.rush(trader.messages(&domain, first + LADDER..first + LADDER + WARM_UP, TOGETHER)).await;
        let from = first + LADDER + WARM_UP;
        rushes.push(trader.messages(&domain, from..from + each, TOGETHER));
        connections.push(connection);
    }
    let begun = Instant::now();
    let (one, two) = (connections.pop().unwrap(), connections.pop().unwrap());
    let rush = |mut connection: Connection, messages| async move {
        connection.rush(messages).await;
        connection
    };
    let (one, two) = tokio::join!(rush(one, rushes.pop().unwrap()), rush(two, rushes.pop().unwrap()));
    let per_second = u128::from(ORDERS) * 1_000_000 / begun.elapsed().as_micros();
    print("wire.single.throughput", u64::try_from(per_second).unwrap(), "orders/s");

    first += LADDER + WARM_UP + each;
    let each = PACED_ORDERS / 2;
    let gap = Duration::from_nanos(2 * 1_000_000_000 / PACED_RATE);
    let signed: Vec<_> = traders.iter().map(|trader| trader.messages(&domain, first..first + each, 1)).collect();
    let [by_alice, by_bob] = <[_; 2]>::try_from(signed).unwrap();
    let (mut waits, more) = tokio::join!(two.pace(by_alice, gap), one.pace(by_bob, gap));
    waits.add(more).unwrap();
    print("wire.at_20k.p50_us", waits.value_at_quantile(0.5), "us");
    print("wire.at_20k.p99_us", waits.value_at_quantile(0.99), "us");
    print("wire.at_20k.p999_us", waits.value_at_quantile(0.999), "us");
}
