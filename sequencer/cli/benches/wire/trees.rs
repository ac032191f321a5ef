//! Market makers who move whole ladders by one signature each.

use std::sync::Arc;
use std::time::Instant;

use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use xos_api::{Entry, EntryRequest, TreeOrder};
use xos_auth::{Domain, Tree, signature_bytes};
use xos_types::{Instructions, Nonce, Order, OrderKind, Side, SignedTree};

use crate::Trader;
use crate::exchange::order;

/// How a tree travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Binary,
    Json,
}

/// Trees of `rungs` orders with nonces from `first` on, each in the place of the one before; the first in that of nobody.
pub(crate) fn messages(
    trader: &Trader,
    domain: &Domain,
    form: Form,
    (first, rungs, count): (u64, u64, u64),
) -> Vec<Message> {
    let mut tree = Tree::default();
    let mut message = |number: u64| {
        let nonces = first + number * rungs..first + (number + 1) * rungs;
        let orders: Vec<Order> = nonces.clone().map(|nonce| rung(trader, nonce)).collect();
        tree.build(domain, &orders).unwrap();
        let signed = trader.key.sign_typed(domain, tree.message());
        let replaces = nonces.filter(|_| number > 0).map(|nonce| Nonce(nonce - rungs));
        match form {
            Form::Binary => {
                let tree = SignedTree::new(orders, signed.signature, signed.signer).unwrap();
                let tag = u32::try_from(number).unwrap();
                let entries = vec![Entry::Tree(tree, replaces.collect(), Instructions::default())];
                Message::Binary(EntryRequest { tag, entries }.encode().into())
            }
            Form::Json => {
                let tree = json!({
                    "account": trader.account.to_string(),
                    "orders": orders.iter().map(TreeOrder::from).collect::<Vec<_>>(),
                    "replaces": replaces.collect::<Vec<_>>(),
                    "signature": alloy::hex::encode_prefixed(signature_bytes(&signed.signature)),
                });
                let call = json!({ "jsonrpc": "2.0", "id": number, "method": "xos_placeTree", "params": [tree] });
                Message::Text(call.to_string().into())
            }
        }
    };
    (0..count).map(&mut message).collect()
}

fn rung(trader: &Trader, nonce: u64) -> Order {
    // Bids below asks, so that nothing trades.
    let price = if trader.side == Side::Buy { 100 } else { 600 } + nonce * 7 % 300;
    Order { kind: OrderKind::PostOnly, ..order(trader.account, nonce, trader.side, 1 + nonce % 5, price) }
}

/// Whether every order of the answer was placed.
fn is_done(answer: &Message, rungs: u64) -> bool {
    let rungs = usize::try_from(rungs).unwrap();
    match answer {
        // Header, promise, budget and results, and no reasons behind them.
        Message::Binary(answer) => answer[1] == 0x80 && answer.len() == 8 + 104 + 8 + 28 * rungs,
        Message::Text(answer) => answer.matches(r#"{"ok""#).count() == rungs,
        _ => panic!("{answer:?}"),
    }
}

/// Sends everything, so many messages ahead of their answers, and waits for the last answer.
pub(crate) async fn flood(
    stream: WebSocketStream<TcpStream>,
    messages: Vec<Message>,
    (rungs, ahead): (u64, usize),
) -> WebSocketStream<TcpStream> {
    let (mut to, mut from) = stream.split();
    let room = Arc::new(Semaphore::new(ahead));
    let (count, given_back) = (messages.len(), Arc::clone(&room));
    let answers = tokio::spawn(async move {
        for _ in 0..count {
            let answer = from.next().await.unwrap().unwrap();
            assert!(is_done(&answer, rungs), "{answer:?}");
            given_back.add_permits(1);
        }
        from
    });
    for message in messages {
        if let Ok(place) = room.try_acquire() {
            place.forget();
        } else {
            to.flush().await.unwrap();
            room.acquire().await.unwrap().forget();
        }
        to.feed(message).await.unwrap();
    }
    to.flush().await.unwrap();
    to.reunite(answers.await.unwrap()).unwrap()
}

/// Processor time that a process has used, in hundredths of a second.
pub(crate) fn processor_time(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // Behind the name, which may contain anything: the 12th and 13th fields are user and system time.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// What a run took: of the clock, and of the processors of node and load generator.
pub(crate) struct Taken {
    begun: Instant,
    processes: [(u32, u64); 2],
}

impl Taken {
    pub(crate) fn begin(node: u32) -> Self {
        Self { begun: Instant::now(), processes: [node, std::process::id()].map(|of| (of, processor_time(of))) }
    }

    /// Orders a second, and nanoseconds of each process for an order.
    pub(crate) fn end(self, orders: u64) -> (u64, [u64; 2]) {
        let per_second = u128::from(orders) * 1_000_000_000 / self.begun.elapsed().as_nanos();
        let each = self.processes.map(|(of, before)| (processor_time(of) - before) * 10_000_000 / orders);
        (u64::try_from(per_second).unwrap(), each)
    }
}
