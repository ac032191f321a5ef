//! The door for clients on the real node: binary order entry, and the order of one connection's messages.

use std::collections::BTreeMap;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use xos_api::{Code, Entry, EntryAnswer, EntryRequest, XosApiClient};
use xos_auth::{LogHead, recover};
use xos_types::{AccountId, Cancel, CancelAll, Instructions, Nonce, Order, OrderKind, Side};

use crate::exchange::{ALICE, BOB, Exchange, alice, bob, key, order, request};

/// A WebSocket of a trader's.
pub(crate) struct Client<S = TcpStream>(pub(crate) WebSocketStream<S>);

impl Client {
    pub(crate) async fn connect(exchange: &Exchange) -> Self {
        let stream = TcpStream::connect(exchange.address()).await.unwrap();
        // Or what is sent behind a pong waits until the node's kernel acknowledges that, 40 ms later.
        stream.set_nodelay(true).unwrap();
        let (socket, _) = client_async(format!("ws://{}/", exchange.address()), stream).await.unwrap();
        Self(socket)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) async fn send(&mut self, message: impl Into<Message>) {
        self.0.send(message.into()).await.unwrap();
    }

    pub(crate) async fn receive(&mut self) -> Message {
        loop {
            match self.0.next().await.expect("the connection is open").unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    pub(crate) async fn receive_json(&mut self) -> Value {
        let Message::Text(answer) = self.receive().await else { panic!("a call has an answer in JSON") };
        serde_json::from_str(&answer).unwrap()
    }

    pub(crate) async fn ask(&mut self, entries: Vec<Entry>) -> EntryAnswer {
        self.send(EntryRequest { tag: 7, entries }.encode()).await;
        let Message::Binary(answer) = self.receive().await else { panic!("a binary request has a binary answer") };
        EntryAnswer::decode(&answer).unwrap()
    }
}

pub(crate) fn place(exchange: &Exchange, by: &xos_auth::Key, order: Order) -> Entry {
    Entry::Place(order, Instructions::default(), by.sign_typed(&exchange.domain, order).signature)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_market_maker_quotes_replaces_and_cancels_in_binary() {
    let exchange = Exchange::open().await;
    let mut client = Client::connect(&exchange).await;
    let ladder = (1..=5).map(|nonce| place(&exchange, &alice(), order(ALICE, nonce, Side::Sell, 100, 500 + nonce)));
    let EntryAnswer::Done { tag: 7, promise, results, reasons, .. } = client.ask(ladder.collect()).await else {
        panic!()
    };
    assert!(reasons.is_empty(), "{reasons:?}");
    assert!(results.iter().all(|result| result.refused.is_none() && result.remaining.0 == 100), "{results:?}");
    assert!(results.is_sorted_by(|one, next| one.sequence < next.sequence));
    assert!(promise.sequence >= results[4].sequence, "the promise covers them all");
    let head = LogHead { sequence: promise.sequence, log_hash: promise.log_hash };
    assert_eq!(recover(exchange.domain.digest(&head), &promise.signature).unwrap(), key(1).address());

    // Bob takes one and a half of them.
    let taker = Order { kind: OrderKind::ImmediateOrCancel, ..order(BOB, 1, Side::Buy, 150, 600) };
    let EntryAnswer::Done { results, .. } = client.ask(vec![place(&exchange, &bob(), taker)]).await else { panic!() };
    assert_eq!((results[0].filled.0, results[0].remaining.0), (150, 0));

    // The third moves, the fourth is cancelled, the fifth is cancelled with all.
    let moved = order(ALICE, 6, Side::Sell, 80, 520);
    let signature = alice().sign_typed(&exchange.domain, moved).signature;
    let replace = Entry::Replace(Nonce(3), moved, Instructions::default(), signature);
    let EntryAnswer::Done { results, .. } = client.ask(vec![replace]).await else { panic!() };
    assert_eq!((results[0].refused, results[0].remaining.0), (None, 80));
    let cancel = Cancel { account: AccountId(ALICE), nonce: Nonce(4) };
    let cancel = Entry::Cancel(cancel, alice().sign_typed(&exchange.domain, cancel).signature);
    let EntryAnswer::Done { results, .. } = client.ask(vec![cancel.clone(), cancel]).await else { panic!() };
    assert_eq!((results[0].refused, results[0].remaining.0), (None, 100));
    assert_eq!(results[1].refused, Some(Code::UnknownOrder));
    let all = CancelAll { account: AccountId(ALICE), below: Nonce(6) };
    let all = Entry::CancelAll(all, alice().sign_typed(&exchange.domain, all).signature);
    let EntryAnswer::Done { results, .. } = client.ask(vec![all]).await else { panic!() };
    assert_eq!(results[0].remaining.0, 50 + 100);
    let open = exchange.client.open_orders(AccountId(ALICE)).await.unwrap();
    assert_eq!(open.iter().map(|order| order.nonce.0).collect::<Vec<_>>(), [6]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_binary_message_is_said_and_the_connection_goes_on() {
    let exchange = Exchange::open().await;
    let mut client = Client::connect(&exchange).await;
    // Signed by somebody else; not signed at all; not fillable; good.
    let stranger = place(&exchange, &bob(), order(ALICE, 1, Side::Sell, 100, 500));
    let unsigned = Entry::Place(order(ALICE, 2, Side::Sell, 100, 500), Instructions::default(), Default::default());
    let all_or_nothing = Order { kind: OrderKind::FillOrKill, ..order(ALICE, 3, Side::Sell, 100, 500) };
    let good = order(ALICE, 4, Side::Sell, 100, 500);
    let entries =
        vec![stranger, unsigned, place(&exchange, &alice(), all_or_nothing), place(&exchange, &alice(), good)];
    let EntryAnswer::Done { results, reasons, .. } = client.ask(entries).await else { panic!() };
    let refused: Vec<_> = results.iter().map(|result| result.refused).collect();
    assert_eq!(refused, [Some(Code::BadSignature), Some(Code::BadSignature), Some(Code::NotFillable), None]);
    let reasons: BTreeMap<u16, String> = reasons.into_iter().collect();
    assert!(reasons[&0].contains(&bob().address().to_string()), "{reasons:?}");
    assert!(reasons[&1].contains("zero"), "{reasons:?}");
    assert_eq!(reasons.len(), 3, "{reasons:?}");

    let message = EntryRequest { tag: 9, entries: vec![place(&exchange, &alice(), good)] }.encode();
    let mut other_version = message.clone();
    other_version[0] = 2;
    for (bad, why) in [(vec![], "length"), (message[..50].to_vec(), "length"), (other_version, "version is 2")] {
        let tag = if bad.is_empty() { 0 } else { 9 };
        client.send(bad).await;
        let Message::Binary(answer) = client.receive().await else { panic!() };
        let EntryAnswer::Refused { tag: told, code, reason, .. } = EntryAnswer::decode(&answer).unwrap() else {
            panic!()
        };
        assert_eq!((told, code), (tag, Code::InvalidRequest));
        assert!(reason.contains(why), "{reason}");
    }
    // The same connection speaks JSON, too.
    client.send(json!({ "jsonrpc": "2.0", "id": 1, "method": "xos_health" }).to_string()).await;
    let Message::Text(answer) = client.receive().await else { panic!() };
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap()["result"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_one_connection_are_executed_in_the_order_they_were_sent() {
    const MESSAGES: u64 = 300;
    let exchange = Exchange::open().await;
    let mut client = Client::connect(&exchange).await;
    // JSON, whole batches of it, and binary by turns, in one breath; some carry many orders, whose signatures take far longer to check.
    let mut nonce = 0;
    let mut next = || {
        nonce += 1;
        order(ALICE, nonce, Side::Buy, 1, 1 + nonce % 400)
    };
    for number in 1..=MESSAGES {
        let orders: Vec<Order> = (0..if number % 10 == 0 { 20 } else { 1 }).map(|_| next()).collect();
        if number % 6 == 0 {
            let call = |order| {
                let order = request(&alice(), &exchange.domain, order);
                json!({ "jsonrpc": "2.0", "id": number, "method": "xos_placeOrder", "params": [order] })
            };
            let calls: Vec<Value> = orders.into_iter().map(call).collect();
            client.0.feed(json!(calls).to_string().into()).await.unwrap();
        } else if number % 2 == 0 {
            let orders: Vec<_> = orders.into_iter().map(|order| request(&alice(), &exchange.domain, order)).collect();
            let call = json!({ "jsonrpc": "2.0", "id": number, "method": "xos_placeOrders", "params": [orders] });
            client.0.feed(call.to_string().into()).await.unwrap();
        } else {
            let entries = orders.into_iter().map(|order| place(&exchange, &alice(), order)).collect();
            let tag = u32::try_from(number).unwrap();
            client.0.feed(EntryRequest { tag, entries }.encode().into()).await.unwrap();
        }
    }
    client.0.flush().await.unwrap();
    let mut sequences: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    while sequences.len() < usize::try_from(MESSAGES).unwrap() {
        let (number, placed) = match client.receive().await {
            Message::Binary(answer) => match EntryAnswer::decode(&answer).unwrap() {
                EntryAnswer::Done { tag, results, .. } => {
                    assert!(results.iter().all(|result| result.refused.is_none()), "{results:?}");
                    (tag.into(), results.iter().map(|result| result.sequence).collect())
                }
                refused @ EntryAnswer::Refused { .. } => panic!("{refused:?}"),
            },
            Message::Text(answer) => {
                let answer: Value = serde_json::from_str(&answer).unwrap();
                let sequence = |ack: &Value| ack["receipt"]["sequence"].as_str().unwrap().parse::<u64>().unwrap();
                match answer.as_array() {
                    Some(batch) => {
                        let placed = batch.iter().map(|answer| sequence(&answer["result"]));
                        (batch[0]["id"].as_u64().unwrap(), placed.collect())
                    }
                    None => {
                        let placed = answer["result"].as_array().unwrap().iter().map(|ack| sequence(&ack["ok"]));
                        (answer["id"].as_u64().unwrap(), placed.collect())
                    }
                }
            }
            other => panic!("{other:?}"),
        };
        sequences.insert(number, placed);
    }
    let in_order_sent: Vec<u64> = sequences.into_values().flatten().collect();
    assert!(in_order_sent.is_sorted_by(|one, next| one < next), "{in_order_sent:?}");

    // So many of a kind that they are worked on together; each is answered by itself, whatever comes of the others.
    let mut sent = Vec::new();
    for tag in 1..=100 {
        let orders = (0..1 + u64::from(tag % 3)).map(|_| next());
        let mut entries: Vec<Entry> = orders.map(|order| place(&exchange, &alice(), order)).collect();
        if tag % 10 == 1
            && let Entry::Place(order, ..) = &mut entries[0]
        {
            order.price.0 += 1;
        }
        let mut message = EntryRequest { tag, entries }.encode();
        if tag % 10 == 2 {
            // Its kind and its tag are left.
            message.truncate(100);
        }
        sent.push(Message::from(message));
    }
    let mut sent = futures::stream::iter(sent.into_iter().map(Ok));
    client.0.send_all(&mut sent).await.unwrap();
    let mut answers = BTreeMap::new();
    while answers.len() < 100 {
        let Message::Binary(answer) = client.receive().await else { panic!("each is binary") };
        match EntryAnswer::decode(&answer).unwrap() {
            EntryAnswer::Done { tag, results, .. } => answers.insert(tag, Ok(results)),
            EntryAnswer::Refused { tag, code, .. } => answers.insert(tag, Err(code)),
        };
    }
    for (tag, answer) in &answers {
        match (tag % 10, answer) {
            (2, answer) => assert_eq!(*answer, Err(Code::InvalidRequest), "{tag}"),
            (1, Ok(results)) => assert_eq!(results[0].refused, Some(Code::BadSignature), "{tag}"),
            (_, Ok(results)) => assert!(results.iter().all(|result| result.refused.is_none()), "{tag}: {results:?}"),
            (_, Err(code)) => panic!("{tag}: {code:?}"),
        }
    }
    let in_order_sent: Vec<u64> = answers
        .into_values()
        .flatten()
        .flatten()
        .filter(|result| result.refused.is_none())
        .map(|result| result.sequence)
        .collect();
    assert!(in_order_sent.is_sorted_by(|one, next| one < next), "{in_order_sent:?}");

    // An order and its cancellation in one breath: the cancellation finds it.
    for nonce in 100_001..100_050 {
        let taker = order(ALICE, nonce, Side::Buy, 1, 300);
        let cancel = Cancel { account: AccountId(ALICE), nonce: Nonce(nonce) };
        let cancel = Entry::Cancel(cancel, alice().sign_typed(&exchange.domain, cancel).signature);
        client
            .0
            .feed(EntryRequest { tag: 1, entries: vec![place(&exchange, &alice(), taker)] }.encode().into())
            .await
            .unwrap();
        client.0.feed(EntryRequest { tag: 2, entries: vec![cancel] }.encode().into()).await.unwrap();
    }
    client.0.flush().await.unwrap();
    for _ in 0..2 * 49 {
        let Message::Binary(answer) = client.receive().await else { panic!() };
        let EntryAnswer::Done { results, reasons, .. } = EntryAnswer::decode(&answer).unwrap() else { panic!() };
        assert_eq!(results[0].refused, None, "{reasons:?}");
    }
    let audit = exchange.audit();
    assert!(audit.contains("passed"), "{audit}");
}
