//! Orders under one signature on the real node: placed in binary and in JSON, moved, filled, settled, and written down.

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use xos_api::{Code, Entry, EntryAnswer, EntryRequest, TreeOrder, TreeOutcome, TreeRequest, XosApiClient};
use xos_auth::{Key, LogHead, Tree, recover, signature_bytes};
use xos_types::{AccountId, Instructions, Nonce, Order, Side, Signature, SignedTree};

use crate::exchange::{ALICE, BOB, Exchange, alice, bob, key, order};

pub(crate) fn sign(exchange: &Exchange, by: &Key, orders: &[Order]) -> Signature {
    let mut tree = Tree::default();
    tree.build(&exchange.domain, orders).unwrap();
    by.sign_typed(&exchange.domain, tree.message()).signature
}

pub(crate) fn request(signature: &Signature, orders: &[Order], replaces: &[u64]) -> TreeRequest {
    TreeRequest {
        account: orders[0].account,
        orders: orders.iter().map(TreeOrder::from).collect(),
        replaces: replaces.iter().copied().map(Nonce).collect(),
        self_trade: Default::default(),
        crossing: Default::default(),
        signature: signature_bytes(signature).into(),
    }
}

async fn ask(exchange: &Exchange, orders: &[Order], replaces: Vec<Nonce>, signature: Signature) -> EntryAnswer {
    let stream = TcpStream::connect(exchange.address()).await.unwrap();
    let (mut socket, _) = client_async(format!("ws://{}/", exchange.address()), stream).await.unwrap();
    let tree = SignedTree::new(orders, signature, Default::default()).unwrap();
    let entries = vec![Entry::Tree(tree, replaces.into(), Instructions::default())];
    socket.send(EntryRequest { tag: 7, entries }.encode().into()).await.unwrap();
    let Message::Binary(answer) = socket.next().await.unwrap().unwrap() else { panic!("it is answered in binary") };
    EntryAnswer::decode(&answer).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ladder_under_one_signature_is_placed_moved_filled_and_settled() {
    let exchange = Exchange::open().await;
    let ladder = |first: u64, price: u64| -> Vec<Order> {
        (0..5).map(|rung| order(ALICE, first + rung, Side::Sell, 100, price + rung)).collect()
    };

    // One of them cannot be, and hinders no other.
    let mut quotes = ladder(1, 500);
    quotes[3].price.0 = 0;
    let signature = sign(&exchange, &alice(), &quotes);
    let EntryAnswer::Done { tag: 7, promise, results, reasons, .. } = ask(&exchange, &quotes, vec![], signature).await
    else {
        panic!()
    };
    let refused: Vec<_> = results.iter().map(|result| result.refused).collect();
    assert_eq!(refused, [None, None, None, Some(Code::BadPrice), None]);
    assert_eq!((reasons.len(), reasons[0].0), (1, 3));
    let done: Vec<_> = results.iter().filter(|result| result.refused.is_none()).collect();
    assert!(done.iter().all(|result| (result.sequence, result.remaining.0) == (done[0].sequence, 100)));
    let head = LogHead { sequence: promise.sequence, log_hash: promise.log_hash };
    assert_eq!(recover(exchange.domain.digest(&head), &promise.signature).unwrap(), key(1).address());
    assert!(promise.sequence >= done[0].sequence);

    // The whole ladder moves; the fourth has nothing to replace.
    let moved = ladder(11, 510);
    let signature = sign(&exchange, &alice(), &moved);
    let replaces = (1..=5).map(Nonce).collect();
    let EntryAnswer::Done { results, .. } = ask(&exchange, &moved, replaces, signature).await else { panic!() };
    let refused: Vec<_> = results.iter().map(|result| result.refused).collect();
    assert_eq!(refused, [None, None, None, Some(Code::UnknownOrder), None]);

    // Bob takes two and a half with a tree of his own, in JSON.
    let taking: Vec<Order> = (1..=3).map(|nonce| order(BOB, nonce, Side::Buy, 80 + nonce, 520)).collect();
    let signature = sign(&exchange, &bob(), &taking);
    let answer = exchange.client.place_tree(request(&signature, &taking, &[])).await.unwrap();
    let filled: Vec<u64> = answer
        .orders
        .iter()
        .map(|order| match order {
            TreeOutcome::Ok(placed) => {
                assert_eq!(placed.filled.0, placed.fills.iter().map(|fill| fill.size.0).sum::<u64>());
                placed.filled.0
            }
            TreeOutcome::Error(error) => panic!("{error:?}"),
        })
        .collect();
    assert_eq!(filled, [81, 82, 83]);

    // The contract takes the lines with their proofs, the history has every order, and the audit finds no fault.
    exchange.until_settled(answer.receipt.sequence).await;
    exchange
        .until("the history has every order", async |exchange| {
            exchange.client.order_history(AccountId(BOB), None, None).await.is_ok_and(|orders| orders.len() == 3)
        })
        .await;
    let orders = exchange.client.order_history(AccountId(ALICE), None, None).await.unwrap();
    assert_eq!(orders.len(), 8);
    assert!(orders.iter().filter(|record| record.filled.0 > 0).all(|record| record.order.nonce.0 > 10));
    let audit = exchange.audit();
    assert!(audit.contains("every tree is signed by its signer") && audit.contains("3 trees of 13 orders"), "{audit}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_tree_is_said() {
    let exchange = Exchange::open().await;
    let quotes: Vec<Order> = (1..=3).map(|nonce| order(ALICE, nonce, Side::Sell, 10, 500)).collect();
    let good = sign(&exchange, &alice(), &quotes);

    // Signed by another; not signed; one order is not the one that was signed.
    let by_bob = sign(&exchange, &bob(), &quotes);
    let mut changed = quotes.clone();
    changed[2].size.0 += 1;
    for (orders, signature) in [(&quotes, by_bob), (&quotes, Signature::default()), (&changed, good)] {
        let EntryAnswer::Refused { tag: 7, code: Code::BadSignature, .. } =
            ask(&exchange, orders, vec![], signature).await
        else {
            panic!()
        };
    }
    let call = |tree: TreeRequest| async { exchange.client.place_tree(tree).await.unwrap_err().to_string() };
    let mut none = request(&good, &quotes, &[]);
    none.orders.clear();
    assert!(call(none).await.contains("`orders` is a list of 0, expected a list of 1 to 1024"));
    let too_many = call(request(&good, &quotes, &[1, 2, 3, 4])).await;
    assert!(too_many.contains("`replaces` is a list of 4"), "{too_many}");
    let refused = call(request(&by_bob, &quotes, &[])).await;
    assert!(refused.contains("OrderTree"), "{refused}");
    assert_eq!(exchange.client.open_orders(AccountId(ALICE)).await.unwrap().len(), 0, "nothing of it was done");

    // A field that is none is named.
    let unnamed: Value = json!({ "tree": { "account": "3", "orders": [{ "market": 256 }], "signature": "0x00" } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "xos_placeTree", "params": unnamed }).to_string();
    let stream = TcpStream::connect(exchange.address()).await.unwrap();
    let (mut socket, _) = client_async(format!("ws://{}/", exchange.address()), stream).await.unwrap();
    socket.send(body.into()).await.unwrap();
    let Message::Text(answer) = socket.next().await.unwrap().unwrap() else { panic!() };
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["error"]["data"]["field"], "tree.orders[0].side", "{answer}");
}
