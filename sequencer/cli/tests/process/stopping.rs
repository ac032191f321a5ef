//! A real node that is told to stop while traders trade.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::SubscriptionClientT;
use jsonrpsee::http_client::HttpClientBuilder;
use jsonrpsee::ws_client::WsClientBuilder;
use xos_api::{Code, OrderStatus, XosApiClient};
use xos_chain::At;
use xos_types::{AccountId, Nonce, Side};

use crate::exchange::{ALICE, BOB, Exchange, LONG, alice, bob, order, place, request, signal};

/// What a trader heard of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// It is in the log.
    Acknowledged,
    /// Nothing was done.
    Stopping,
    /// The connection is gone.
    Nothing,
}

/// Places orders without a pause until the node is gone.
async fn trade<C: SubscriptionClientT + Send + Sync>(
    client: C,
    account: u64,
    side: Side,
    key: xos_auth::Key,
    domain: xos_auth::Domain,
    first: u64,
    acknowledged: Arc<AtomicU64>,
) -> Vec<(u64, u64, Heard)> {
    let mut told = Vec::new();
    for nonce in first.. {
        let order = order(account, nonce, side, 1 + nonce % 5, 480 + nonce * 7 % 40);
        let heard = match client.place_order(request(&key, &domain, order)).await {
            Ok(_) => Heard::Acknowledged,
            Err(ClientError::Call(error)) if error.code() == Code::Stopping as i32 => Heard::Stopping,
            Err(ClientError::Call(error)) => panic!("refused: {error}"),
            Err(ClientError::RequestTimeout) => panic!("order {nonce} of {account} hangs"),
            Err(_) => Heard::Nothing,
        };
        told.push((account, nonce, heard));
        match heard {
            Heard::Acknowledged => acknowledged.fetch_add(1, Ordering::Relaxed),
            // Once more, to see the door closed.
            Heard::Stopping => 0,
            Heard::Nothing => break,
        };
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_in_flight_when_a_node_is_told_to_stop_are_acknowledged_or_refused() {
    const STOPS: u64 = 4;
    let mut exchange = Exchange::open().await;
    let mut refused = 0;
    for stop in 0..STOPS {
        let acknowledged = Arc::new(AtomicU64::new(0));
        let mut traders = Vec::new();
        for (account, side, key) in [(ALICE, Side::Buy, alice()), (BOB, Side::Sell, bob())] {
            for line in 0..6 {
                let first = 1 + stop * 10_000 + line * 100_000;
                let (domain, key, acknowledged) = (exchange.domain, key.clone(), Arc::clone(&acknowledged));
                traders.push(if line % 2 == 0 {
                    let client = HttpClientBuilder::default().request_timeout(LONG).build(&exchange.http).unwrap();
                    tokio::spawn(trade(client, account, side, key, domain, first, acknowledged))
                } else {
                    let url = format!("ws://{}", exchange.address());
                    let client = WsClientBuilder::default().request_timeout(LONG).build(url).await.unwrap();
                    tokio::spawn(trade(client, account, side, key, domain, first, acknowledged))
                });
            }
        }
        exchange.until("there is load", async |_| acknowledged.load(Ordering::Relaxed) > 300).await;
        exchange.terminate_node();
        let mut told = Vec::new();
        for trader in traders {
            told.extend(trader.await.unwrap());
        }
        assert!(exchange.node_ended().await.success(), "{}", exchange.log());
        assert!(exchange.log().contains("every sealed frame is settled"), "{}", exchange.log());
        assert!(!exchange.path("data/node.json").exists());

        exchange.start_node().await;
        for (account, nonce, heard) in told {
            let status = exchange.client.order(AccountId(account), Nonce(nonce)).await.unwrap().status;
            // What was not answered was not taken: the door closed behind the last answer.
            let taken = heard == Heard::Acknowledged;
            assert_eq!(
                status != OrderStatus::Unknown,
                taken,
                "order {nonce} of {account} was {heard:?}, is {status:?}"
            );
            refused += u64::from(heard == Heard::Stopping);
        }
        // What was sealed at the stop is what the chain has.
        let info = exchange.client.info().await.unwrap();
        assert!(exchange.chain.last_batch(At::Latest).await.unwrap().sequence <= info.sequence);
    }
    println!("{refused} orders were refused in {STOPS} stops");
    exchange.until_all_is_settled().await;
    exchange.audit();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_batches_and_a_second_one_does_not() {
    let mut exchange = Exchange::open().await;
    exchange.kill_node();
    exchange
        .start_node_with(|node| {
            node.args(["--stop-wait-ms", "60000"]);
        })
        .await;
    place(&exchange, &alice(), order(ALICE, 1, Side::Buy, 100, 600)).await;
    place(&exchange, &bob(), order(BOB, 1, Side::Sell, 100, 600)).await;
    // No batch can settle now.
    signal(exchange.anvil.pid(), "STOP");
    exchange.terminate_node();
    exchange.until("the door is closed", async |exchange| exchange.client.health().await.is_err()).await;
    let (status, body) = exchange.ask("/ready").unwrap();
    assert!(status == 503 && body.contains("the node is stopping"), "{body}");
    assert_eq!(exchange.ask("/health").unwrap().0, 200);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(exchange.node_runs(), "it waits for its batch");

    exchange.terminate_node();
    let told = Instant::now();
    assert_eq!(exchange.node_ended().await.code(), Some(1));
    assert!(told.elapsed() < Duration::from_secs(2), "{:?}", told.elapsed());
    assert!(exchange.log().contains("told to stop twice"), "{}", exchange.log());

    signal(exchange.anvil.pid(), "CONT");
    exchange.start_node().await;
    let order = exchange.client.order(AccountId(ALICE), Nonce(1)).await.unwrap();
    assert_eq!(order.status, OrderStatus::Done);
    exchange.until_all_is_settled().await;
    exchange.audit();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keeper_waits_for_a_node_that_is_away_and_goes_on() {
    let mut exchange = Exchange::open().await;
    let said = exchange.path("keep.log");
    let log = std::fs::File::create(&said).unwrap();
    let mut keeper = exchange.command("alice", &["keep", "100"]).stdout(log).spawn().unwrap();
    let says = |what: &'static str| {
        let said = said.clone();
        async move |_: &Exchange| std::fs::read_to_string(&said).unwrap().contains(what)
    };
    exchange.until("it listens", says("waits for accounts that fail")).await;
    exchange.kill_node();
    exchange.until("it has noticed", says("; subscribing again")).await;
    exchange.start_node().await;
    exchange.until("it listens", says("listening again")).await;
    signal(keeper.id(), "INT");
    assert!(keeper.wait().unwrap().success());
}
