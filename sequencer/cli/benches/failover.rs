//! How long traders wait when a leader dies: `make bench-failover`.
//!
//! Two nodes, three `nats-server` processes, a chain and the traders share this machine. Traders send their pre-signed orders at a
//! planned pace, 50,000 a second together, by binary order entry. The leader is killed (`kill -9`); the time runs from there until
//! the next acknowledgement, of the other node. Then acknowledged orders are looked up, the first and the last of every message.
//! Prints one line of JSON for each of:
//!
//! - `failover.first_ack_ms`: the median of five; `.worst_ms`: the longest of them. A standby waits a lease (1 s) for a sign of the leader.
//! - `failover.orders_per_s`: acknowledged in the second before each kill: what the door takes with everything on this machine.
//! - `failover.lost`: acknowledged orders that the next leader does not know.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]
#![allow(dead_code, reason = "shared with the tests, which use more of it")]

#[path = "../../chain/tests/artifact/mod.rs"]
mod artifact;
#[path = "../tests/process/exchange.rs"]
mod exchange;
#[path = "../../chain/tests/anvil/node.rs"]
mod node;
#[path = "../tests/cluster/nodes.rs"]
mod nodes;
#[path = "../../replica/tests/servers/mod.rs"]
mod servers;

use std::ops::Range;
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use xos_api::{Entry, EntryAnswer, EntryRequest, OrderStatus, XosApiClient};
use xos_auth::{Domain, Key};
use xos_types::{AccountId, Instructions, Nonce, OrderKind, Side};

use exchange::{ALICE, BOB, alice, bob, order};
use nodes::Cluster;

const KILLS: u64 = 5;
const RATE: u64 = 50_000;
/// Orders of a message.
const TOGETHER: u64 = 50;
/// How long traders trade before the leader is killed, and how many seconds of orders they have signed.
const BEFORE: Duration = Duration::from_secs(3);
const SECONDS_SIGNED: u64 = 9;
/// How long they trade on with the next leader.
const AFTER: Duration = Duration::from_secs(2);

/// Orders of one message that were taken, and when the trader heard of it.
struct Acknowledged {
    account: u64,
    nonces: Range<u64>,
    at: Instant,
}

#[derive(Clone)]
struct Trader {
    account: u64,
    side: Side,
    key: Key,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut cluster = Cluster::open().await;
    let traders = [
        Trader { account: ALICE, side: Side::Buy, key: alice() },
        Trader { account: BOB, side: Side::Sell, key: bob() },
    ];
    let messages_each = RATE * SECONDS_SIGNED / TOGETHER / 2;
    let gap = Duration::from_nanos(2 * 1_000_000_000 * TOGETHER / RATE);
    let (mut waits, mut rates, mut lost) = (Vec::new(), Vec::new(), 0);
    for round in 0..KILLS {
        let leader = cluster.leader().await;
        let first = 1 + round * messages_each * TOGETHER;
        let mut signing = Vec::new();
        for trader in traders.clone() {
            let domain = cluster.domain();
            signing.push(tokio::task::spawn_blocking(move || trader.messages(&domain, first, messages_each)));
        }
        let (stop, stopped) = watch::channel(false);
        let mut trading = Vec::new();
        for (trader, signed) in traders.iter().zip(signing) {
            let nodes = [cluster.http(leader), cluster.http(1 - leader)].map(|url| url.replace("http://", ""));
            let signed = signed.await.unwrap();
            trading.push((trader.account, nodes, signed));
        }
        let trading: Vec<_> = trading
            .into_iter()
            .map(|(account, nodes, signed)| tokio::spawn(trade(nodes, account, first, signed, gap, stopped.clone())))
            .collect();
        tokio::time::sleep(BEFORE).await;
        let killed = Instant::now();
        cluster.kill(leader);
        let next = cluster.leader().await;
        tokio::time::sleep(AFTER).await;
        stop.send(true).unwrap();
        let mut acknowledged = Vec::new();
        for trader in trading {
            acknowledged.extend(trader.await.unwrap());
        }
        let second = killed.checked_sub(Duration::from_secs(1)).unwrap();
        let in_time = acknowledged.iter().filter(|message| (second..killed).contains(&message.at));
        rates.push(in_time.map(|message| message.nonces.end - message.nonces.start).sum::<u64>());
        // What was on its way when the leader died was acknowledged by the leader.
        let settled = killed + Duration::from_millis(100);
        let first = acknowledged.iter().map(|message| message.at).filter(|at| *at > settled).min();
        waits.push(first.expect("somebody was answered again").duration_since(killed).as_millis());
        for Acknowledged { account, nonces, .. } in acknowledged {
            for nonce in [nonces.start, nonces.end - 1] {
                let order = cluster.client(next).order(AccountId(account), Nonce(nonce)).await.unwrap();
                lost += usize::from(order.status == OrderStatus::Unknown);
            }
        }
        cluster.start(leader).await;
        cluster.until_level().await;
    }
    waits.sort_unstable();
    rates.sort_unstable();
    let median = waits.len() / 2;
    println!(r#"{{"bench":"failover.first_ack_ms","value":{},"unit":"ms"}}"#, waits[median]);
    println!(r#"{{"bench":"failover.worst_ms","value":{},"unit":"ms"}}"#, waits[waits.len() - 1]);
    println!(r#"{{"bench":"failover.orders_per_s","value":{},"unit":"orders/s"}}"#, rates[median]);
    println!(r#"{{"bench":"failover.lost","value":{lost},"unit":"orders"}}"#);
    assert_eq!(lost, 0, "no acknowledged order is lost");
}

impl Trader {
    /// Messages of signed orders; the tag is the number of the message.
    fn messages(&self, domain: &Domain, first: u64, count: u64) -> Vec<Bytes> {
        let entry = |nonce| {
            let order = order(self.account, nonce, self.side, 1, 450 + nonce * 7 % 100);
            // Nothing rests, so that no limit is reached.
            let order = xos_types::Order { kind: OrderKind::ImmediateOrCancel, ..order };
            Entry::Place(order, Instructions::default(), self.key.sign_typed(domain, order).signature)
        };
        let message = |number: u64| {
            let start = first + number * TOGETHER;
            let entries = (start..start + TOGETHER).map(entry).collect();
            Bytes::from(EntryRequest { tag: u32::try_from(number).unwrap(), entries }.encode())
        };
        (0..count).map(message).collect()
    }
}

/// Sends a message every `gap` to whoever leads. What a node that dies leaves unanswered is not sent again, and no plan waits
/// for a node that is gone.
async fn trade(
    nodes: [String; 2],
    account: u64,
    first: u64,
    signed: Vec<Bytes>,
    gap: Duration,
    mut stopped: watch::Receiver<bool>,
) -> Vec<Acknowledged> {
    let begun = Instant::now();
    let planned = |number: usize| begun + gap * u32::try_from(number).unwrap();
    let (mut to, mut number) = (0, 0);
    let mut acknowledged = Vec::new();
    'reconnect: while !*stopped.borrow() {
        let Some(mut connection) = connect(&nodes[to]).await else {
            to = 1 - to;
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        while planned(number) < Instant::now() {
            number += 1;
        }
        loop {
            tokio::select! {
                biased;
                _ = stopped.changed() => break 'reconnect,
                () = tokio::time::sleep_until(planned(number).into()) => {
                    // All that are due: timers are a millisecond coarse.
                    while planned(number) <= Instant::now() {
                        let message = signed.get(number).expect("enough is signed").clone();
                        if connection.feed(Message::Binary(message)).await.is_err() {
                            continue 'reconnect;
                        }
                        number += 1;
                    }
                    if connection.flush().await.is_err() {
                        continue 'reconnect;
                    }
                }
                answer = connection.next() => {
                    let Some(Ok(answer)) = answer else { continue 'reconnect };
                    let Message::Binary(answer) = answer else { continue };
                    match EntryAnswer::decode(&answer).unwrap() {
                        EntryAnswer::Done { tag, results, reasons, .. } => {
                            assert!(reasons.is_empty(), "{reasons:?}");
                            let start = first + u64::from(tag) * TOGETHER;
                            let nonces = start..start + u64::try_from(results.len()).unwrap();
                            acknowledged.push(Acknowledged { account, nonces, at: Instant::now() });
                        }
                        // A standby, or a node that has too much to do.
                        EntryAnswer::Refused { .. } => {
                            to = 1 - to;
                            tokio::time::sleep(Duration::from_millis(5)).await;
                            continue 'reconnect;
                        }
                    }
                }
            }
        }
    }
    acknowledged
}

async fn connect(node: &str) -> Option<WebSocketStream<TcpStream>> {
    let stream = TcpStream::connect(node).await.ok()?;
    stream.set_nodelay(true).ok()?;
    Some(client_async(format!("ws://{node}/"), stream).await.ok()?.0)
}
