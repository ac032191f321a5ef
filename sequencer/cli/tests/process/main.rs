//! The real binary as a process, against a real chain: the whole path, sudden death, and garbage.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod answers;
#[path = "../../../chain/tests/artifact/mod.rs"]
mod artifact;
mod bad_input;
mod browser;
mod chain_away;
mod clients;
mod crowd;
mod disk;
mod entry;
mod exchange;
mod feeds;
mod hostile;
#[allow(dead_code, reason = "shared with the chain crate's tests, which use more of it")]
#[path = "../../../chain/tests/anvil/node.rs"]
mod node;
mod old_segments;
mod operations;
mod protection;
mod proxy;
mod rotation;
mod schema;
mod sessions;
mod stopping;
mod trading;
mod trees;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use alloy::primitives::U256;
use jsonrpsee::core::client::{ClientT, SubscriptionClientT};
use jsonrpsee::http_client::HttpClientBuilder;
use jsonrpsee::rpc_params;
use jsonrpsee::ws_client::WsClientBuilder;
use rand::{Rng, RngExt, SeedableRng};
use serde_json::Value;
use xos_api::{AccountMessage, Before, BookMessage, Code, OrderStatus, TradesMessage, XosApiClient};
use xos_auth::{LogHead, parse_signature, recover};
use xos_chain::At;
use xos_types::{AccountId, B256, EventId, Nonce, Side};

use exchange::{
    ALICE, BOB, DEPOSIT, Exchange, LONG, MARKET, alice, bob, cancel_all_below, key, order, place, request, text,
    traders_of,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_comes_in_trades_is_paid_and_goes_out() {
    let exchange = Exchange::open().await;
    let ws = WsClientBuilder::default().build(format!("ws://{}", exchange.address())).await.unwrap();
    let mut books = ws.subscribe_book(MARKET, None).await.unwrap();
    let mut trades = ws.subscribe_trades(None, None).await.unwrap();
    let mut updates = ws.subscribe_account(AccountId(ALICE), None).await.unwrap();
    let snapshot: BookMessage = books.next().await.unwrap().unwrap();
    assert!(snapshot.bids.is_empty() && snapshot.asks.is_empty());

    // Alice bids by RPC, Bob sells into it by command line.
    let ack = place(&exchange, &alice(), order(ALICE, 1, Side::Buy, 1_000, 600)).await;
    assert_eq!((ack.filled.0, ack.remaining.0), (0, 1_000));
    let promise = LogHead { sequence: ack.receipt.log_sequence, log_hash: ack.receipt.log_hash.0 };
    let signature = parse_signature(&ack.receipt.signature).unwrap();
    assert_eq!(recover(exchange.domain.digest(&promise), &signature).unwrap(), key(1).address());
    let changed: BookMessage = books.next().await.unwrap().unwrap();
    assert_eq!((changed.bids[0].price.0, changed.bids[0].size.0), (600, 1_000));

    let sold = exchange.xos_ok("bob", &["order", "sell", "argentina/spain", "--price", "0.55", "--size", "4"]);
    assert!(sold.contains("4 filled, 0 resting") && sold.contains("4 at 0.6 (fee 0.0024)"), "{sold}");
    let none: TradesMessage = trades.next().await.unwrap().unwrap();
    assert!(none.trades.is_empty());
    let trade = trades.next().await.unwrap().unwrap().trades[0].trade;
    assert_eq!((trade.market, trade.price.0, trade.size.0, trade.taker_side), (MARKET, 600, 400, Some(Side::Sell)));
    let none: AccountMessage = updates.next().await.unwrap().unwrap();
    assert!(none.events.is_empty());
    let seen = updates.next().await.unwrap().unwrap();
    assert!(seen.events[0].event.get("Accepted").is_some(), "{seen:?}");
    let shown = exchange.xos_ok("alice", &["account"]);
    assert!(shown.contains("Spain") && shown.contains(" buy ") && shown.contains("997.6"), "{shown}");
    let cancelled = exchange.xos_ok("alice", &["cancel", "1"]);
    assert!(cancelled.contains("600 lots taken out"), "{cancelled}");

    // An account for one market alone is opened, trades when its frame is settled, and gives its money back.
    let apart = AccountId(ALICE).isolated(MARKET).0.to_string();
    let sent = exchange.xos_ok("alice", &["transfer", "5", "--market", "argentina/spain"]);
    assert!(sent.contains(&format!("sent 5 to account {apart}")), "{sent}");
    let bid = ["order", "buy", "argentina/spain", "--price", "0.1", "--size", "10", "--account", &apart];
    exchange.until("the isolated account trades", async |exchange| exchange.xos("alice", &bid).status.success()).await;
    let shown = exchange.xos_ok("alice", &["account", &apart]);
    assert!(shown.contains(" buy ") && shown.contains("cash 5 "), "{shown}");
    exchange.xos_ok("alice", &["cancel", "--all", "--account", &apart]);
    exchange.xos_ok("alice", &["transfer", "all", "--account", &apart, "--to", &ALICE.to_string()]);

    // The house decides; both leave with what is theirs, one of them by force.
    let info = exchange.client.info().await.unwrap();
    exchange.until_settled(info.sequence.saturating_sub(2)).await;
    let audit = exchange.audit();
    assert!(audit.ends_with("5 accounts\n") && !audit.contains("DIFFER"), "{audit}");
    let house = exchange.chain.wallet(key(2));
    house.resolve_event(EventId(1), &[1_000, 0, 0]).await.unwrap();
    // 400 lots at 600 ticks of 10 atoms cost 2.4 tokens and pay 4.
    let worth = DEPOSIT - 2_400_000 + 4_000_000;
    exchange
        .until("the winner is paid", async |exchange| {
            exchange.client.account(AccountId(ALICE)).await.is_ok_and(|account| account.cash.0.unsigned_abs() == worth)
        })
        .await;
    let paid = exchange.xos_ok("alice", &["withdraw", "all"]);
    assert!(paid.contains("paid 1001.6"), "{paid}");
    assert_eq!(exchange.chain.token_balance(alice().address(), At::Latest).await.unwrap(), U256::from(worth));
    exchange.chain.wallet(bob()).request_withdrawal(AccountId(BOB), u128::MAX).await.unwrap();
    let left = DEPOSIT + 2_400_000 - 2_400 - 4_000_000;
    exchange
        .until("the loser is paid", async |exchange| {
            exchange.chain.token_balance(bob().address(), At::Latest).await.unwrap() == U256::from(left)
        })
        .await;
    exchange.audit();
    let batches = exchange.client.batches(1, None).await.unwrap();
    assert_eq!(batches.iter().map(|batch| batch.orders_filled).sum::<u64>(), 2);
    assert!(batches.iter().all(|batch| batch.gas_used > batch.calldata_gas));
    let settlement = exchange.client.info().await.unwrap().settlement;
    assert_eq!((settlement.reverted, settlement.halted), (0, None));
}

/// What a client was told about one order.
struct Told {
    nonce: u64,
    acknowledged: bool,
}

/// Places orders as fast as the node answers; ends when it no longer does. Answers what it was told.
async fn trade_until_it_dies(
    http: String,
    exchange: Client,
    stop: Arc<AtomicBool>,
    acked: Arc<AtomicU64>,
) -> Vec<Told> {
    let client = HttpClientBuilder::default().request_timeout(Duration::from_secs(5)).build(http).unwrap();
    let mut told = Vec::new();
    let mut nonce = exchange.first_nonce;
    while !stop.load(Ordering::Relaxed) {
        // Prices around 500 that cross now and then, so that batches have fills in them.
        let price = 480 + nonce * 7 % 40;
        let order = order(exchange.account, nonce, exchange.side, 1 + nonce % 5, price);
        let answer = client.place_order(request(&exchange.key, &exchange.domain, order)).await;
        told.push(Told { nonce, acknowledged: answer.is_ok() });
        match answer {
            Ok(_) => acked.fetch_add(1, Ordering::Relaxed),
            Err(jsonrpsee::core::ClientError::Call(error)) => panic!("refused: {error}"),
            Err(_) => return told,
        };
        nonce += 1;
    }
    told
}

#[derive(Clone)]
struct Client {
    account: u64,
    side: Side,
    key: xos_auth::Key,
    domain: xos_auth::Domain,
    first_nonce: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_no_acknowledged_order_and_no_batch() {
    let kills = std::env::var("XOS_KILLS").map_or(5, |kills| kills.parse().unwrap());
    let mut exchange = Exchange::open().await;
    let mut random = rand::rngs::StdRng::seed_from_u64(2026);
    let mut first_nonce = 1;
    let mut known = BTreeSet::new();
    for kill in 0..kills {
        let stop = Arc::new(AtomicBool::new(false));
        let acked = Arc::new(AtomicU64::new(0));
        let mut clients = Vec::new();
        for (account, side, key) in traders_of(kill) {
            for line in 0..3 {
                let first_nonce = first_nonce + line * 10_000;
                let client = Client { account, side, key: key.clone(), domain: exchange.domain, first_nonce };
                let trading = trade_until_it_dies(exchange.http.clone(), client, Arc::clone(&stop), Arc::clone(&acked));
                clients.push((account, tokio::spawn(trading)));
            }
        }
        exchange.until("there is load", async |_| acked.load(Ordering::Relaxed) > 100).await;
        tokio::time::sleep(Duration::from_millis(random.random_range(500..2_500))).await;
        let batch = exchange.chain.last_batch(At::Latest).await.unwrap().id;
        exchange.kill_node();
        stop.store(true, Ordering::Relaxed);
        exchange.start_node().await;

        for (account, trading) in clients {
            for told in trading.await.unwrap() {
                let order = exchange.client.order(AccountId(account), Nonce(told.nonce)).await.unwrap();
                if told.acknowledged {
                    assert_ne!(
                        order.status,
                        OrderStatus::Unknown,
                        "order {} of {account} was acknowledged",
                        told.nonce
                    );
                    known.insert((account, told.nonce));
                }
            }
        }
        first_nonce += 30_000;
        cancel_all_below(&exchange.client, &exchange.domain, first_nonce).await;
        exchange.until_all_is_settled().await;
        assert!(exchange.chain.last_batch(At::Latest).await.unwrap().id > batch, "batches go on");
    }
    assert!(known.len() > 1_000, "{} orders were acknowledged", known.len());

    // What was acknowledged is in the history too, a moment later, and restarts have begun with saved states.
    let forgotten = async |exchange: &Exchange| {
        let mut forgotten = known.clone();
        for account in [ALICE, BOB] {
            let mut before = None;
            loop {
                let page = exchange.client.order_history(AccountId(account), before, Some(1000)).await.unwrap();
                let Some(last) = page.last() else { break };
                before = Some(Before(last.placed));
                for record in page {
                    forgotten.remove(&(account, record.order.nonce.0));
                }
            }
        }
        forgotten
    };
    exchange.until("the history has them all", async |exchange| forgotten(exchange).await.is_empty()).await;
    let log = std::fs::read_to_string(exchange.path("node.log")).unwrap();
    let starts: Vec<&str> = log.lines().filter(|line| line.contains("beginning with the saved state")).collect();
    let from_nothing = starts.iter().filter(|line| line.contains("after\u{1b}[0m\u{1b}[2m=\u{1b}[0m0")).count();
    assert!(starts.len() as u64 == 1 + kills && from_nothing < starts.len() - 1, "{starts:#?}");

    exchange.until_all_is_settled().await;
    let audit = exchange.audit();
    let settlement = exchange.client.info().await.unwrap().settlement;
    assert_eq!((settlement.reverted, settlement.halted), (0, None));
    let mut batches = Vec::new();
    loop {
        let page = exchange.client.batches(1 + batches.len() as u64, Some(1_000)).await.unwrap();
        if page.is_empty() {
            break;
        }
        batches.extend(page);
    }
    let settled = exchange.chain.last_batch(At::Latest).await.unwrap().id;
    assert_eq!(batches.len() as u64, settled, "every batch is known");
    for (number, batch) in (1..).zip(&batches) {
        assert_eq!(batch.id, number, "no batch is missing");
        assert!(batch.gas_used > 0 && batch.transaction != B256::ZERO);
    }
    println!("{} acknowledged orders survived {kills} kills\n{audit}", known.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_fails_when_money_or_log_differ() {
    let mut exchange = Exchange::open().await;
    place(&exchange, &alice(), order(ALICE, 1, Side::Buy, 100, 400)).await;
    place(&exchange, &bob(), order(BOB, 1, Side::Sell, 100, 400)).await;
    exchange.until_all_is_settled().await;
    exchange.audit();
    let data = exchange.path("data");
    let audit = |offline: bool| {
        let mut arguments = vec!["audit", "--data", data.to_str().unwrap()];
        arguments.extend(offline.then_some("--offline"));
        let output = exchange.xos("", &arguments);
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };

    // One atom more than is owed: a transfer that is no deposit.
    let wallet = exchange.chain.wallet(alice());
    wallet.mint(exchange.domain.group(), 1).await.unwrap();
    let (code, said) = audit(false);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("DIFFER  the group holds what it owes, to the atom"), "{said}");
    assert!(said.contains("audit failed") && said.matches("DIFFER").count() == 1, "{said}");

    // A journal in which one byte of a settled command is not what was written.
    let log = data.join("journal/00000000000000000001.segment");
    let mut bytes = std::fs::read(&log).unwrap();
    let written = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[written / 2] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let (code, said) = audit(true);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("damaged at byte"), "{said}");
    exchange.kill_node();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_refuses_to_start_where_it_must_not() {
    let mut exchange = Exchange::open().await;
    let config = exchange.path("node.toml").to_str().unwrap().to_owned();
    let refused = |exchange: &Exchange, more: &[&str]| {
        let free = ["node", "--config", &config, "--listen", "127.0.0.1:0", "--operations-listen", "127.0.0.1:0"];
        let output = exchange.xos("", &[&free, more].concat());
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        let error = text(&output.stderr);
        error.lines().last().unwrap().to_owned()
    };
    let error = refused(&exchange, &[]);
    assert!(error.contains("locked: another node runs on this directory"), "{error}");
    let bob = exchange.path("bob.key");
    let error = refused(&exchange, &["--sequencer-key-file", bob.to_str().unwrap()]);
    assert!(error.contains(&bob_is_not_the_sequencer()), "{error}");
    let error = refused(&exchange, &["--deployment", "nowhere.json", "--frame-interval-ms", "1"]);
    assert!(error.contains("nowhere.json") && error.contains("10 to 60000"), "{error}");
    exchange.kill_node();

    // The same contracts on a chain that has started over: the journal must not be settled there.
    let fresh = node::Anvil::start();
    let deployment = fresh.deploy(&key(1), &key(2)).await;
    assert_eq!(deployment.group, exchange.domain.group());
    let error = refused(&exchange, &["--chain", &fresh.url]);
    assert!(error.contains("the chain was reset"), "{error}");
    // Nothing of this kept the rightful node from coming back.
    exchange.start_node().await;
    place(&exchange, &alice(), order(ALICE, 1, Side::Buy, 100, 400)).await;
}

fn bob_is_not_the_sequencer() -> String {
    format!("that of {}, but the group takes batches of {} only", bob().address(), key(1).address())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_does_not_stop_it() {
    let mut exchange = Exchange::open().await;
    let mut random = rand::rngs::StdRng::seed_from_u64(7);
    for round in 0..200_u32 {
        let mut bytes = vec![0; random.random_range(1..2_000)];
        random.fill_bytes(&mut bytes);
        let body = match round % 5 {
            0 => bytes,
            1 => post(&bytes),
            2 => post(mangled(&mut random).as_bytes()),
            3 => post(format!("[{}]", vec![mangled(&mut random); 150].join(",")).as_bytes()),
            _ => b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff"
                .to_vec(),
        };
        let mut stream = TcpStream::connect(exchange.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        // It may hang up at any point.
        let _ = stream.write_all(&body);
        let _ = stream.read(&mut [0; 1024]);
    }
    // Deep nesting, huge numbers, and a body beyond the limit.
    let client = HttpClientBuilder::default().request_timeout(LONG).build(&exchange.http).unwrap();
    for params in ["[".repeat(5_000), format!("[{}]", "9".repeat(5_000)), format!("[\"{}\"]", "x".repeat(3 << 20))] {
        let _ = send_raw(&exchange, &format!(r#"{{"jsonrpc":"2.0","id":1,"method":"xos_book","params":{params}}}"#));
    }
    let wrong: Result<Value, _> = client.request("xos_nothing", rpc_params![1]).await;
    assert!(wrong.unwrap_err().to_string().contains("Method not found"));
    let ws = WsClientBuilder::default().build(format!("ws://{}", exchange.address())).await.unwrap();
    let refused =
        ws.subscribe::<Value, _>("xos_subscribeBook", rpc_params!["x"], "xos_unsubscribeBook").await.unwrap_err();
    assert!(refused.to_string().contains("market"), "{refused}");

    assert!(exchange.node_runs(), "{}", exchange.log());
    assert!(!exchange.log().contains("panicked"), "{}", exchange.log());
    let ack = place(&exchange, &alice(), order(ALICE, 1, Side::Buy, 10, 400)).await;
    assert_eq!(ack.remaining.0, 10);
    assert!(send_raw(&exchange, r#"{"jsonrpc":"2.0","id":1,"method":"xos_health"}"#).contains("true"));
    let mut stream = TcpStream::connect(exchange.address()).unwrap();
    stream.write_all(b"GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("true"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_says_what_is_wrong_in_one_line() {
    let exchange = Exchange::open().await;
    let said = |key: &str, arguments: &[&str], code: i32| {
        let output = exchange.xos(key, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stderr)
    };
    let one_line = |arguments: &[&str]| {
        let error = said("alice", arguments, 1);
        assert_eq!(error.lines().count(), 1, "{error}");
        error
    };
    let error = one_line(&["order", "buy", "spain", "--price", "0.4567", "--size", "1"]);
    assert!(error.contains("nearest: 0.456 and 0.457"), "{error}");
    let error = one_line(&["order", "buy", "spain", "--price", "1.5", "--size", "1"]);
    assert!(error.contains("from 0.001 to 0.999") && error.contains("nearest: 0.999"), "{error}");
    let error = one_line(&["order", "buy", "spain", "--price", "0.5", "--size", "0.001"]);
    assert!(error.contains("nearest: 0 and 0.01"), "{error}");
    let error = one_line(&["order", "buy", "spain", "--price", "0.5", "--size", "1000000"]);
    assert!(error.contains("insufficient_funds (1011)"), "{error}");
    let error = one_line(&["cancel", "77"]);
    assert!(error.contains("1 of 1 orders were not cancelled"), "{error}");
    let error = one_line(&["account", "99"]);
    assert!(error.contains("unknown_account (1002)"), "{error}");
    let error = one_line(&["order", "buy", "atlantis", "--price", "0.5", "--size", "1"]);
    assert!(error.contains("xos markets"), "{error}");
    said("alice", &["order", "buy", "spain", "--price", "many", "--size", "1"], 2);
    let listed = exchange.xos_ok("", &["markets", "spain", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&listed).unwrap().as_array().unwrap().len(), 3);

    // A further deposit goes to the same account.
    let credited = exchange.xos_ok("alice", &["deposit", "25.5", "--mint", "--json"]);
    let credited: Value = serde_json::from_str(&credited).unwrap();
    assert_eq!(credited["account"]["cash"], (DEPOSIT + 25_500_000).to_string());
}

fn post(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn send_raw(exchange: &Exchange, body: &str) -> String {
    let mut stream = TcpStream::connect(exchange.address()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let _ = stream.write_all(&post(body.as_bytes()));
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    text(&answer)
}

/// A request with one of its bytes changed.
fn mangled(random: &mut impl Rng) -> String {
    let good = r#"{"jsonrpc":"2.0","id":1,"method":"xos_placeOrder","params":[{"account":"3","market":256,"side":"buy","kind":"post_only","size":"1","price":"5","nonce":"1","maxFee":1000,"signature":"0x00"}]}"#;
    let mut bytes = good.as_bytes().to_vec();
    for _ in 0..random.random_range(1..4) {
        let position = random.random_range(0..bytes.len());
        bytes[position] = random.random_range(0x20..0x7f);
    }
    String::from_utf8(bytes).unwrap()
}
