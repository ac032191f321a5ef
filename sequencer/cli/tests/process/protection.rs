//! What the door does with clients who ask for too much, are too many, too slow, or come from elsewhere.

use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use xos_api::{Code, OrderOutcome, ReplaceRequest, XosApiClient};
use xos_types::{AccountId, Cancel, Nonce, Side};

use crate::entry::{Client, place as entry};
use crate::exchange::{ALICE, AMPLE, BOB, Exchange, LONG, alice, bob, order, request};

/// A node with other settings instead of budgets that nobody reaches; `top` stands before the limits.
async fn guarded(top: &str, limits: &str) -> Exchange {
    let mut exchange = Exchange::prepare().await;
    let config = std::fs::read_to_string(exchange.path("node.toml")).unwrap();
    let config = config.replace(AMPLE, limits).replace("[limits]", &format!("{top}\n[limits]"));
    std::fs::write(exchange.path("node.toml"), config).unwrap();
    exchange.start_node().await;
    exchange
        .until("the deposits are credited", async |exchange| exchange.client.account(AccountId(BOB)).await.is_ok())
        .await;
    exchange
}

/// One HTTP request on a connection of its own: status, head, body.
async fn http(exchange: &Exchange, request: &str) -> (u16, String, String) {
    try_http(exchange, request).await.unwrap()
}

async fn try_http(exchange: &Exchange, request: &str) -> std::io::Result<(u16, String, String)> {
    let mut stream = TcpStream::connect(exchange.address()).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok((status, head.to_ascii_lowercase(), body.to_owned()))
}

fn post(headers: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn health() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "xos_health", "params": [] })
}

/// What a head says is left to the address.
fn left(head: &str) -> u64 {
    let (_, left) = head.split_once("ratelimit: \"address\";r=").unwrap_or_else(|| panic!("no budget in {head}"));
    left.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_told_what_is_left_and_refused_when_nothing_is() {
    let exchange = guarded("", "address_per_second = 100\naddress_burst = 2000").await;
    let (status, head, _) = http(&exchange, &post("", &health())).await;
    assert_eq!(status, 200);
    let first = left(&head);
    assert!(first < 2_000 && first > 1_000, "{first}");

    let mut client = Client::connect(&exchange).await;
    let events = json!({ "jsonrpc": "2.0", "id": 7, "method": "xos_events", "params": [] }).to_string();
    let mut before = u64::MAX;
    let refused = loop {
        client.send(events.clone()).await;
        let answer = client.receive_json().await;
        let left = answer["budget"]["address"].as_u64().expect("every answer says what is left");
        if answer["error"].is_object() {
            break answer;
        }
        assert!(left < before, "{left} after {before}");
        before = left;
    };
    assert!(before < 20, "{before} were left");
    let error = &refused["error"];
    assert_eq!((&error["code"], &error["data"]["name"]), (&json!(Code::OverBudget as i32), &json!("over_budget")));
    assert_eq!((&error["data"]["what"], &error["data"]["perSecond"]), (&json!("address"), &json!(100)));
    let retry = error["data"]["retryMs"].as_u64().unwrap();
    assert!(retry > 0 && retry < 100, "{retry}");
    // Who waits as long as it is told is served.
    tokio::time::sleep(Duration::from_millis(retry + 30)).await;
    client.send(events.clone()).await;
    assert!(client.receive_json().await["result"].is_array());

    // A batch has it in its last answer, a binary answer in its head; both are paid for call by call.
    tokio::time::sleep(Duration::from_secs(1)).await;
    client.send(json!([health(), health()]).to_string()).await;
    let batch = client.receive_json().await;
    assert!(batch[0]["budget"].is_null() && batch[1]["budget"]["address"].is_u64(), "{batch}");

    // Who goes on asking is disconnected, and the next connection hears why.
    for _ in 0..2_000 {
        if futures::SinkExt::send(&mut client.0, Message::text(events.clone())).await.is_err() {
            break;
        }
    }
    let mut told = None;
    while let Ok(Some(Ok(message))) = tokio::time::timeout(LONG, client.0.next()).await {
        if let Message::Close(Some(frame)) = message {
            told = Some((u16::from(frame.code), frame.reason.to_string()));
        }
    }
    if let Some((code, reason)) = told {
        assert!(code == 1008 && reason.contains("budget"), "{code} {reason}");
    }
    let mut asked = 0;
    let head = loop {
        let (status, head, _) = http(&exchange, &post("", &health())).await;
        if status == 429 {
            break head;
        }
        asked += 1;
        assert!(asked < 1_000, "it is served on and on");
    };
    assert!(head.contains("retry-after: 1"), "{head}");
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(http(&exchange, &post("", &health())).await.0, 200, "it is over after a second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_pays_for_its_own_orders_only_and_may_always_cancel() {
    let limits = "address_per_second = 1000000\naddress_burst = 1000000\naccount_per_second = 1\naccount_burst = 200";
    let exchange = guarded("", limits).await;
    // Somebody else's signatures, however many, cost Alice nothing.
    for _ in 0..3 {
        let forged = (1..=100).map(|nonce| request(&bob(), &exchange.domain, order(ALICE, nonce, Side::Buy, 1, 100)));
        let refused = exchange.client.place_orders(forged.collect()).await.unwrap();
        assert!(refused.iter().all(|refused| code(refused) == Some(Code::BadSignature)));
    }
    assert_eq!(exchange.client.budget(Some(AccountId(ALICE))).await.unwrap().account, Some(200));
    // Nor do copies of an order that she once sent, which anybody may have seen on chain.
    let seen = request(&alice(), &exchange.domain, order(ALICE, 8_000, Side::Buy, 1, 100));
    exchange.client.place_order(seen.clone()).await.unwrap();
    for _ in 0..3 {
        let refused = exchange.client.place_orders(vec![seen.clone(); 100]).await.unwrap();
        assert!(refused.iter().all(|refused| code(refused) == Some(Code::NonceSpent)));
        // What is not signed is the sender's choice, and may be wrong before the nonce is looked at.
        let instead = ReplaceRequest {
            replaces: Nonce(7_999),
            order: seen.clone(),
            wait: None,
            self_trade: Default::default(),
            crossing: Default::default(),
        };
        let refused = exchange.client.replace_orders(vec![instead; 100]).await.unwrap();
        assert!(refused.iter().all(|refused| code(refused) == Some(Code::UnknownOrder)));
    }
    let left = exchange.client.budget(Some(AccountId(ALICE))).await.unwrap().account.unwrap();
    assert!(left >= 199, "{left}");

    let mut nonces = 1..;
    let mut orders = |count: usize| {
        let order = |nonce| request(&alice(), &exchange.domain, order(ALICE, nonce, Side::Buy, 1, 100));
        nonces.by_ref().take(count).map(order).collect::<Vec<_>>()
    };
    let placed = exchange.client.place_orders(orders(150)).await.unwrap();
    assert!(placed.iter().all(|placed| code(placed).is_none()), "{placed:?}");
    // With that one of the next hundred 49 have a token; some more may have come meanwhile.
    let placed = exchange.client.place_orders(orders(100)).await.unwrap();
    let refused: Vec<_> = placed.iter().filter_map(code).collect();
    assert!((40..=51).contains(&refused.len()), "{} were refused", refused.len());
    assert!(refused.iter().all(|code| *code == Code::OverBudget));
    let OrderOutcome::Error(error) = placed.last().unwrap() else { panic!() };
    assert_eq!((&error.data["what"], &error.data["burst"]), (&json!("account"), &json!(200)));

    // The same in binary; what takes orders away goes on, and so does everybody else.
    let mut client = Client::connect(&exchange).await;
    let xos_api::EntryAnswer::Done { results, budget, .. } =
        client.ask(vec![entry(&exchange, &alice(), order(ALICE, 9_001, Side::Buy, 1, 100)); 3]).await
    else {
        panic!()
    };
    assert_eq!(results[2].refused, Some(Code::OverBudget));
    assert!(budget.address > 900_000, "{budget:?}");
    let cancel = Cancel { account: AccountId(ALICE), nonce: Nonce(1) };
    let cancel = xos_api::Entry::Cancel(cancel, alice().sign_typed(&exchange.domain, cancel).signature);
    let xos_api::EntryAnswer::Done { results, .. } = client.ask(vec![cancel]).await else { panic!() };
    assert_eq!((results[0].refused, results[0].remaining.0), (None, 1));
    let bobs = request(&bob(), &exchange.domain, order(BOB, 1, Side::Sell, 1, 900));
    assert!(exchange.client.place_order(bobs).await.is_ok());
}

fn code(outcome: &OrderOutcome) -> Option<Code> {
    match outcome {
        OrderOutcome::Ok(_) => None,
        OrderOutcome::Error(error) => Some(error.name),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_of_an_address_are_closed() {
    let exchange = guarded("", "address_connections = 8").await;
    let mut held = Vec::new();
    let closed = loop {
        let mut stream = TcpStream::connect(exchange.address()).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_millis(300), stream.read(&mut [0; 1])).await;
        match ended {
            Err(_) => held.push(stream),
            Ok(read) => break read,
        }
        assert!(held.len() <= 8, "{} are open", held.len());
    };
    assert!(matches!(closed, Ok(0) | Err(_)));
    assert!(held.len() >= 4, "the test's own client has some: {}", held.len());
    // A place that becomes free is taken. Until the node has heard of it, connections are closed or reset.
    held.clear();
    let is_served = async |exchange: &Exchange| try_http(exchange, &post("", &health())).await;
    exchange
        .until("there is room", async |exchange| is_served(exchange).await.is_ok_and(|(status, ..)| status == 200))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_its_request_too_slowly_is_not_waited_for() {
    let exchange = guarded("", AMPLE).await;
    let begun = Instant::now();
    // A byte a second of a head, for ever; of a WebSocket's, too; a body that never comes.
    let trickle = async |start: &str| {
        let mut stream = TcpStream::connect(exchange.address()).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            tokio::select! {
                read = stream.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => return String::from_utf8_lossy(&answer).into_owned(),
                    Ok(count) => answer.extend_from_slice(&buffer[..count]),
                },
                () = tokio::time::sleep(Duration::from_secs(1)) => {
                    let _ = stream.write_all(b"a").await;
                }
            }
            assert!(begun.elapsed() < LONG, "it is still waited for");
        }
    };
    let (head, socket, body) = tokio::join!(
        trickle("GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: "),
        trickle("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: "),
        trickle("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"),
    );
    assert!(!head.contains("200 OK") && !socket.contains("101"), "{head} {socket}");
    assert!(body.starts_with("HTTP/1.1 408"), "{body}");
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    // Who sends more than may be is told at once.
    let huge = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        1 << 30
    );
    assert_eq!(http(&exchange, &huge).await.0, 413);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_listed_origins_may_talk_to_the_node_and_no_others() {
    let exchange = guarded("allowed_origins = \"https://app.example\"", AMPLE).await;
    let preflight = |origin: &str| {
        format!(
            "OPTIONS / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n\r\n"
        )
    };
    let (status, head, _) = http(&exchange, &preflight("https://app.example")).await;
    assert_eq!(status, 204, "{head}");
    assert!(head.contains("access-control-allow-origin: https://app.example"), "{head}");
    assert!(head.contains("access-control-allow-headers: content-type"), "{head}");
    assert_eq!(http(&exchange, &preflight("https://evil.example")).await.0, 403);
    let (status, head, _) = http(&exchange, &post("Origin: https://app.example\r\n", &health())).await;
    assert!(status == 200 && head.contains("access-control-allow-origin: https://app.example"), "{head}");
    assert_eq!(http(&exchange, &post("Origin: https://evil.example\r\n", &health())).await.0, 403);
    assert_eq!(http(&exchange, &post("", &health())).await.0, 200, "a program has no origin");
    let socket = |origin: &str| {
        format!(
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: {origin}\r\n\r\n"
        )
    };
    assert_eq!(
        http(&exchange, &socket("https://evil.example").replace("Connection: Upgrade", "Connection: Upgrade, close"))
            .await
            .0,
        403
    );
    let mut stream = TcpStream::connect(exchange.address()).await.unwrap();
    stream.write_all(socket("https://app.example").as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_a_trusted_proxy_have_budgets_of_their_own() {
    let few = "address_per_second = 1\naddress_burst = 2000";
    let events = json!({ "jsonrpc": "2.0", "id": 1, "method": "xos_events", "params": [] });
    let by = |client: &str| post(&format!("X-Forwarded-For: {client}\r\n"), &events);
    let trusting = guarded("trusted_proxies = \"127.0.0.0/8\"", few).await;
    for _ in 0..10 {
        http(&trusting, &by("198.51.100.7")).await;
    }
    let (_, head, _) = http(&trusting, &by("198.51.100.7")).await;
    assert!((1_934..1_945).contains(&left(&head)), "eleven times six: {head}");
    let (_, head, _) = http(&trusting, &by("203.0.113.9, 198.51.100.8")).await;
    assert_eq!(left(&head), 1_994, "{head}");

    let doubting = guarded("", few).await;
    let before = left(&http(&doubting, &by("198.51.100.7")).await.1);
    let after = left(&http(&doubting, &by("198.51.100.8")).await.1);
    assert!(after < before, "whatever they say, they are one: {before} {after}");
}
