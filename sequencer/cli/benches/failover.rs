//! How long traders wait when a leader dies: `make bench-failover`.
//!
//! Two nodes, three `nats-server` processes, a chain and the traders share this machine. Traders send their pre-signed orders, 50 a request,
//! as fast as they are answered. The leader is killed (`kill -9`); the time runs from there until the next acknowledgement, of the other
//! node. Then every acknowledged order is looked up. Prints one line of JSON for each of:
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

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jsonrpsee::http_client::HttpClientBuilder;
use xos_api::{OrderOutcome, OrderRequest, OrderStatus, XosApiClient};
use xos_types::{AccountId, Nonce, OrderKind, Side};

use exchange::{ALICE, BOB, alice, bob, order, request};
use nodes::Cluster;

const KILLS: usize = 5;
/// Orders of a request.
const TOGETHER: u64 = 50;
/// Requests that a trader has signed for each round.
const REQUESTS: u64 = 400;
const TRADERS: u64 = 4;

struct Acknowledged {
    account: u64,
    nonce: u64,
    at: Instant,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut cluster = Cluster::open().await;
    let (mut waits, mut rates, mut lost) = (Vec::new(), Vec::new(), 0);
    for round in 0..KILLS {
        let leader = cluster.leader().await;
        let stop = Arc::new(AtomicBool::new(false));
        let traders: Vec<_> = (0..TRADERS)
            .map(|trader| {
                let (account, side, key) =
                    if trader % 2 == 0 { (ALICE, Side::Buy, alice()) } else { (BOB, Side::Sell, bob()) };
                let first = 1 + (round as u64 * TRADERS + trader) * REQUESTS * TOGETHER;
                let signed = (0..REQUESTS).map(|batch| {
                    let nonces = first + batch * TOGETHER..first + (batch + 1) * TOGETHER;
                    let one = |nonce| {
                        let order = order(account, nonce, side, 1, 450 + nonce * 7 % 100);
                        // Nothing rests, so that no limit is reached.
                        let order = xos_types::Order { kind: OrderKind::ImmediateOrCancel, ..order };
                        (nonce, request(&key, &cluster.domain(), order))
                    };
                    nonces.map(one).collect::<Vec<_>>()
                });
                let signed: Vec<Vec<(u64, OrderRequest)>> = signed.collect();
                tokio::spawn(trade(
                    [cluster.http(leader), cluster.http(1 - leader)],
                    account,
                    signed,
                    Arc::clone(&stop),
                ))
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(3)).await;
        let killed = Instant::now();
        cluster.kill(leader);
        let next = cluster.leader().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        stop.store(true, Ordering::Relaxed);
        let mut acknowledged = Vec::new();
        for trader in traders {
            acknowledged.extend(trader.await.unwrap());
        }
        let second = killed.checked_sub(Duration::from_secs(1)).unwrap();
        rates.push(acknowledged.iter().filter(|order| (second..killed).contains(&order.at)).count());
        // What was on its way when the leader died was acknowledged by the leader.
        let settled = killed + Duration::from_millis(100);
        let first = acknowledged.iter().map(|order| order.at).filter(|at| *at > settled).min();
        waits.push(first.expect("somebody was answered again").duration_since(killed).as_millis());
        for Acknowledged { account, nonce, .. } in acknowledged {
            let order = cluster.client(next).order(AccountId(account), Nonce(nonce)).await.unwrap();
            lost += usize::from(order.status == OrderStatus::Unknown);
        }
        cluster.start(leader).await;
        cluster.until_level().await;
    }
    waits.sort_unstable();
    rates.sort_unstable();
    println!(r#"{{"bench":"failover.first_ack_ms","value":{},"unit":"ms"}}"#, waits[KILLS / 2]);
    println!(r#"{{"bench":"failover.worst_ms","value":{},"unit":"ms"}}"#, waits[KILLS - 1]);
    println!(r#"{{"bench":"failover.orders_per_s","value":{},"unit":"orders/s"}}"#, rates[KILLS / 2]);
    println!(r#"{{"bench":"failover.lost","value":{lost},"unit":"orders"}}"#);
    assert_eq!(lost, 0, "no acknowledged order is lost");
}

/// Sends what it has signed wherever somebody leads.
async fn trade(
    urls: [String; 2],
    account: u64,
    signed: Vec<Vec<(u64, OrderRequest)>>,
    stop: Arc<AtomicBool>,
) -> Vec<Acknowledged> {
    let clients =
        urls.map(|url| HttpClientBuilder::default().request_timeout(Duration::from_secs(5)).build(url).unwrap());
    let mut to = 0;
    let mut acknowledged = Vec::new();
    for batch in signed {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let (nonces, orders): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        match clients[to].place_orders(orders).await {
            Ok(outcomes) => {
                let at = Instant::now();
                let taken = nonces.iter().zip(outcomes).filter(|(_, outcome)| matches!(outcome, OrderOutcome::Ok(_)));
                acknowledged.extend(taken.map(|(nonce, _)| Acknowledged { account, nonce: *nonce, at }));
            }
            Err(_) => {
                to = 1 - to;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    acknowledged
}
