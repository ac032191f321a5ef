//! What an operator sees of a real node: metrics, health, readiness, checks and logs.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use xos_types::Side;

use crate::exchange::{ALICE, BOB, Exchange, LONG, alice, bob, free_port, key, order, place, signal, text};

/// Value of a metric, with its labels as they are served.
pub(crate) fn metric(exchange: &Exchange, name: &str) -> f64 {
    let (status, page) = exchange.ask("/metrics").unwrap();
    assert_eq!(status, 200);
    let line = page.lines().find(|line| line.starts_with(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in\n{page}")).rsplit(' ').next().unwrap().parse().unwrap()
}

/// What is missing for readiness, with its reasons; nothing if it is ready.
pub(crate) fn missing(exchange: &Exchange) -> Vec<(String, String)> {
    let (status, body) = exchange.ask("/ready").unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, if body["ready"].as_bool().unwrap() { 200 } else { 503 }, "{body}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    body["missing"].as_array().unwrap().iter().map(|part| (text(&part["check"]), text(&part["reason"]))).collect()
}

async fn until_ready(exchange: &Exchange) {
    exchange.until("it is ready", async |exchange| missing(exchange).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_trading_and_settlement_and_a_chain_that_goes_away() {
    let exchange = Exchange::open().await;
    until_ready(&exchange).await;
    assert_eq!(exchange.ask("/health").unwrap(), (200, "{\"alive\":true,\"life\":\"serving\"}\n".into()));
    assert_eq!(exchange.ask("/nothing").unwrap().0, 404);

    // Trading shows.
    place(&exchange, &alice(), order(ALICE, 1, Side::Buy, 100, 600)).await;
    let ack = place(&exchange, &bob(), order(BOB, 1, Side::Sell, 100, 600)).await;
    assert!(metric(&exchange, "xos_commands_total{kind=\"place\",result=\"done\"}") >= 2.0);
    assert!(metric(&exchange, "xos_acknowledgement_seconds_count") >= 2.0);
    assert!(metric(&exchange, "xos_journal_commit_seconds_sum") > 0.0);
    for stage in ["verify", "queue", "execute", "publish"] {
        assert!(metric(&exchange, &format!("xos_stage_seconds_count{{stage=\"{stage}\"}}")) >= 2.0, "{stage}");
    }
    let sequence = f64::from(u32::try_from(ack.receipt.sequence).unwrap());
    assert!(metric(&exchange, "xos_log_durable_sequence") >= sequence);
    assert!(metric(&exchange, "xos_journal_lag_commands") < 2.0);

    // Settlement shows: 100 lots at 600 ticks of 10 atoms change hands, and are settled then.
    exchange
        .until("the trade is settled", async |exchange| {
            metric(exchange, "xos_batch_lines_total") >= 2.0 && metric(exchange, "xos_unsettled_value_atoms") < 1.0
        })
        .await;
    assert!(metric(&exchange, "xos_settled_batch") >= 1.0);
    assert!(metric(&exchange, "xos_batch_gas_total") > 100_000.0);
    assert!(metric(&exchange, "xos_relayer_balance_wei") > 1e18);
    assert!(metric(&exchange, "xos_gas_price_wei") > 0.0);
    assert!(metric(&exchange, "xos_inbox_deadline_left_seconds") > 0.0);

    // The chain hangs. Trading goes on, its value shows as unsettled, and why nobody should count on it is said.
    signal(exchange.anvil.pid(), "STOP");
    place(&exchange, &alice(), order(ALICE, 2, Side::Buy, 100, 600)).await;
    place(&exchange, &bob(), order(BOB, 2, Side::Sell, 100, 600)).await;
    exchange.until("the chain is missed", async |exchange| !missing(exchange).is_empty()).await;
    let found = missing(&exchange);
    assert_eq!((found.len(), found[0].0.as_str()), (1, "chain"), "{found:?}");
    assert!(found[0].1.contains(&exchange.anvil.url), "{found:?}");
    assert!(
        (metric(&exchange, "xos_ready{check=\"chain\"}"), metric(&exchange, "xos_ready{check=\"disk\"}")) == (0.0, 1.0)
    );
    assert!((metric(&exchange, "xos_unsettled_value_atoms") - 600_000.0).abs() < 1.0);
    assert!(metric(&exchange, "xos_batch_lag_seconds") > 1.0);
    assert_eq!(exchange.ask("/health").unwrap().0, 200, "a restart would not help");
    // The JSON-RPC says the same.
    let refused = xos_api::XosApiClient::ready(&exchange.client).await.unwrap_err().to_string();
    assert!(refused.contains("the chain has not answered"), "{refused}");

    // It comes back.
    signal(exchange.anvil.pid(), "CONT");
    until_ready(&exchange).await;
    exchange.until("all is settled", async |exchange| metric(exchange, "xos_unsettled_value_atoms") < 1.0).await;

    // It dies.
    signal(exchange.anvil.pid(), "KILL");
    exchange.until("the chain is missed", async |exchange| !missing(exchange).is_empty()).await;
    let found = missing(&exchange);
    assert_eq!(found[0].0, "chain");
    assert!(found[0].1.contains("did not answer"), "{found:?}");
    assert_eq!(exchange.ask("/health").unwrap().0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_starts_is_alive_and_not_ready() {
    let mut exchange = Exchange::open().await;
    exchange.kill_node();
    // Nobody listens there, so the node looks for its chain for some seconds before it gives up.
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let config = exchange.path("node.toml");
    let mut node = Command::new(env!("CARGO_BIN_EXE_xos"))
        .args(["node", "--config", config.to_str().unwrap(), "--chain", &nowhere])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    exchange.until("it listens", async |exchange| exchange.ask("/health").is_some()).await;
    assert_eq!(exchange.ask("/health").unwrap(), (200, "{\"alive\":true,\"life\":\"starting\"}\n".into()));
    let found = missing(&exchange);
    assert_eq!(found[0], ("serving".into(), "the node is starting: it looks at the chain".into()));
    assert!(!node.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_says_what_is_in_order_and_what_to_do() {
    let mut exchange = Exchange::open().await;
    let config = exchange.path("node.toml").to_str().unwrap().to_owned();
    let check = |exchange: &Exchange, more: &[&str]| {
        let output = exchange.xos("", &[&["node", "--check", "--config", &config], more].concat());
        (output.status.code().unwrap(), text(&output.stdout))
    };
    let failed = |said: &str| -> Vec<String> {
        said.lines().filter_map(|line| line.strip_prefix("failed  ")?.split(':').next()).map(String::from).collect()
    };
    place(&exchange, &alice(), order(ALICE, 1, Side::Buy, 100, 400)).await;
    place(&exchange, &bob(), order(BOB, 1, Side::Sell, 100, 400)).await;
    exchange.until_all_is_settled().await;
    // While a node runs, its folder and its addresses are taken.
    let (code, said) = check(&exchange, &[]);
    assert_eq!(
        (code, failed(&said)),
        (1, vec!["journal lock".into(), "listen".into(), "operations_listen".into()]),
        "{said}"
    );
    assert!(said.contains("another node runs on this directory"), "{said}");
    exchange.kill_node();
    let segment = exchange.path(&format!("data/journal/{:020}.segment", 1));
    let log = std::fs::read(&segment).unwrap();
    let (code, said) = check(&exchange, &[]);
    assert_eq!((code, failed(&said)), (0, vec![]), "{said}");
    for found in ["this group's, intact, ", "the same EIP-712 domain", "wei for gas", "ready to start"] {
        assert!(said.contains(found), "{found}: {said}");
    }
    assert!(said.contains(&format!("the group takes batches of {}", key(1).address())), "{said}");
    assert_eq!(std::fs::read(&segment).unwrap(), log, "it changes nothing");

    let bob = exchange.path("bob.key");
    let (code, said) = check(&exchange, &["--sequencer-key-file", bob.to_str().unwrap()]);
    assert_eq!((code, failed(&said)), (1, vec!["sequencer key".into()]), "{said}");
    let (code, said) = check(&exchange, &["--chain", "http://127.0.0.1:1/?apikey=hidden"]);
    assert_eq!((code, failed(&said)), (1, vec!["chain".into()]), "{said}");
    assert!(said.contains("http://127.0.0.1:1 did not answer") && !said.contains("hidden"), "{said}");
    let (code, said) = check(&exchange, &["--listen", "nowhere", "--frame-interval-ms", "1"]);
    assert_eq!((code, failed(&said)), (1, vec!["configuration".into(), "configuration".into()]), "{said}");

    // Another group's journal, one with a torn end, and a damaged one.
    let deployment = std::fs::read_to_string(exchange.path("deployment.json")).unwrap();
    let mut other: Value = serde_json::from_str(&deployment).unwrap();
    other["chainId"] = 5.into();
    std::fs::write(exchange.path("other.json"), other.to_string()).unwrap();
    let (code, said) = check(&exchange, &["--deployment", exchange.path("other.json").to_str().unwrap()]);
    assert_eq!((code, failed(&said)), (1, vec!["journal".into(), "chain".into()]), "{said}");
    assert!(said.contains("give each group a directory of its own"), "{said}");
    let flip = |byte: usize| {
        let mut damaged = log.clone();
        damaged[byte] ^= 1;
        std::fs::write(&segment, damaged).unwrap();
    };
    let last = log.iter().rposition(|byte| *byte != 0).unwrap();
    let mut torn = log.clone();
    torn[last - 3..].fill(0);
    std::fs::write(&segment, torn).unwrap();
    let (code, said) = check(&exchange, &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("are no whole block and are dropped"), "{said}");
    flip(last / 2);
    let (code, said) = check(&exchange, &[]);
    assert_eq!((code, failed(&said)), (1, vec!["journal".into()]), "{said}");
    assert!(said.contains("damaged at byte"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_names_every_order_and_batch_and_no_secret() {
    const SECRET: &str = "0123456789abcdef-endpoint-secret";
    let mut exchange = Exchange::open().await;
    exchange.kill_node();
    std::fs::write(exchange.path("node.log"), "").unwrap();
    let chain = format!("{}/?apikey={SECRET}", exchange.anvil.url);
    exchange
        .start_node_with(|node| {
            node.args(["--log-format", "json", "--chain", &chain]).env("RUST_LOG", "trace");
        })
        .await;
    place(&exchange, &alice(), order(ALICE, 5, Side::Buy, 100, 600)).await;
    let ack = place(&exchange, &bob(), order(BOB, 6, Side::Sell, 100, 600)).await;
    exchange.until_settled(ack.receipt.sequence).await;
    exchange.until_all_is_settled().await;
    exchange.terminate_node();
    assert!(exchange.node_ended().await.success(), "{}", exchange.log());

    let log = std::fs::read_to_string(exchange.path("node.log")).unwrap();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let find = |message: &str, holds: &dyn Fn(&Value) -> bool| {
        let found =
            lines.iter().map(|line| &line["fields"]).find(|fields| fields["message"] == message && holds(fields));
        found.unwrap_or_else(|| panic!("no `{message}`")).clone()
    };
    let done = find("command done", &|fields| fields["account"] == BOB && fields["nonce"] == 6);
    assert_eq!((done["sequence"].as_u64(), done["filled"].as_u64()), (Some(ack.receipt.sequence), Some(100)));
    let sequence = ack.receipt.sequence;
    find("window durable", &|fields| {
        fields["first"].as_u64().unwrap() <= sequence && sequence <= fields["last"].as_u64().unwrap()
    });
    let settled = find("batch settled", &|fields| fields["sequence"].as_u64().unwrap() >= sequence);
    assert!(settled["transaction"].as_str().unwrap().starts_with("0x"), "{settled}");
    assert!(!log.contains(SECRET), "{}", log.lines().find(|line| line.contains(SECRET)).unwrap());
    let key = std::fs::read_to_string(exchange.path("sequencer.key")).unwrap();
    assert!(!log.contains(&key));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_holds_up_the_operators_address() {
    let exchange = Exchange::open().await;
    let mut held = Vec::new();
    for number in 0..20_u8 {
        let mut stream = std::net::TcpStream::connect(&exchange.operations).unwrap();
        // Some say nothing, some stop in the middle, some send what is no HTTP.
        match number % 3 {
            0 => {}
            1 => stream.write_all(b"GET /metr").unwrap(),
            _ => stream.write_all(&[0xff; 64]).unwrap(),
        }
        held.push(stream);
    }
    let started = Instant::now();
    assert_eq!(exchange.ask("/health").unwrap().0, 200);
    assert!(started.elapsed() < Duration::from_secs(5).min(LONG));
}
