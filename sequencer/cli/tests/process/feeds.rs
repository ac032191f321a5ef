//! Copies of books that readers keep, over WebSockets: one who reads, one who pauses, one who comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use jsonrpsee::core::client::{Error as ClientError, Subscription};
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use xos_api::{
    AccountMessage, BookCopy, BookMessage, CancelRequest, Code, Interval, Level, OrderOutcome, OrdersCopy,
    OrdersMessage, Sequence, TradesMessage, XosApiClient,
};
use xos_auth::signature_bytes;
use xos_types::{AccountId, Cancel, Nonce, Side};

use crate::exchange::{ALICE, BOB, Exchange, LONG, MARKET, alice, bob, order, place, request};

const ROUNDS: u64 = 60;
const EACH_ROUND: u64 = 50;
/// After which nothing more is to come.
const SILENCE: Duration = Duration::from_millis(500);
/// Subscriptions of the reader who pauses.
const SUBSCRIPTIONS: usize = 40;
/// A price at which only the last order stands.
const LAST_PRICE: u64 = 7;

async fn connect(exchange: &Exchange) -> WsClient {
    let client = WsClientBuilder::default().max_buffer_capacity_per_subscription(100_000);
    client.build(format!("ws://{}", exchange.address())).await.unwrap()
}

/// Places and cancels at random, by both traders; some of it trades. Answers how many commands were taken.
async fn trade_at_random(exchange: &Exchange, seed: u64) -> u64 {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut taken = 0;
    for round in 0..ROUNDS {
        for (account, key) in [(ALICE, alice()), (BOB, bob())] {
            let nonces = 1 + seed * 1_000_000 + round * EACH_ROUND..;
            let orders = nonces.take(usize::try_from(EACH_ROUND).unwrap()).map(|nonce| {
                let side = if random.random::<bool>() { Side::Buy } else { Side::Sell };
                let price = match side {
                    Side::Buy => random.random_range(440..=502),
                    Side::Sell => random.random_range(498..=560),
                };
                request(&key, &exchange.domain, order(account, nonce, side, random.random_range(1..9), price))
            });
            let outcomes = exchange.client.place_orders(orders.collect()).await.unwrap();
            taken += outcomes.iter().filter(|outcome| matches!(outcome, OrderOutcome::Ok(_))).count() as u64;
            let cancels = (0..EACH_ROUND / 2).map(|_| {
                let nonce = Nonce(1 + seed * 1_000_000 + random.random_range(0..(round + 1) * EACH_ROUND));
                let signed = key.sign_typed(&exchange.domain, Cancel { account: AccountId(account), nonce });
                CancelRequest {
                    account: AccountId(account),
                    nonce,
                    signature: signature_bytes(&signed.signature).into(),
                }
            });
            let outcomes = exchange.client.cancel_orders(cancels.collect()).await.unwrap();
            taken += outcomes.iter().filter(|outcome| matches!(outcome, OrderOutcome::Ok(_))).count() as u64;
        }
    }
    taken
}

/// Goes on until the book has the last order in it.
async fn copy_prices(mut copy: BookCopy, feed: &mut Subscription<BookMessage>) -> BookCopy {
    while !copy.bids().any(|level| level.price.0 == LAST_PRICE) {
        let message = tokio::time::timeout(LONG, feed.next()).await.unwrap().unwrap().unwrap();
        copy.apply(&message).unwrap();
    }
    copy
}

async fn copy_orders(mut copy: OrdersCopy, feed: &mut Subscription<OrdersMessage>) -> OrdersCopy {
    while !copy.levels(Side::Buy).iter().any(|level| level.price.0 == LAST_PRICE) {
        let message = tokio::time::timeout(LONG, feed.next()).await.unwrap().unwrap().unwrap();
        copy.apply(&message).unwrap();
    }
    copy
}

/// One who subscribes to the same book many times over one connection, so that a pause fills whatever lies between.
struct Paused {
    socket: WebSocketStream<TcpStream>,
    copies: BTreeMap<u64, BookCopy>,
    wholes: usize,
    changes: usize,
}

impl Paused {
    async fn open(exchange: &Exchange) -> Self {
        let stream = TcpStream::connect(exchange.address()).await.unwrap();
        let mut socket = client_async(format!("ws://{}/", exchange.address()), stream).await.unwrap().0;
        for id in 0..SUBSCRIPTIONS {
            let params = json!({ "market": MARKET });
            let subscribe = json!({ "jsonrpc": "2.0", "id": id, "method": "xos_subscribeBook", "params": params });
            socket.send(Message::text(subscribe.to_string())).await.unwrap();
        }
        Self { socket, copies: BTreeMap::new(), wholes: 0, changes: 0 }
    }

    /// Reads on until every copy has the last order in it.
    async fn read(&mut self) {
        let has_last = |copy: &BookCopy| copy.bids().any(|level| level.price.0 == LAST_PRICE);
        while self.copies.len() < SUBSCRIPTIONS || !self.copies.values().all(has_last) {
            let Message::Text(text) = self.socket.next().await.unwrap().unwrap() else { continue };
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["method"] == "xos_bookUpdate" {
                let update: BookMessage = serde_json::from_value(message["params"]["result"].clone()).unwrap();
                self.wholes += usize::from(update.previous.is_none());
                self.changes += usize::from(update.previous.is_some());
                let subscription = message["params"]["subscription"].as_u64().unwrap();
                self.copies.entry(subscription).or_default().apply(&update).unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_of_a_book_stay_the_book_for_readers_who_pause_and_who_come_back() {
    let mut exchange = Exchange::prepare().await;
    let config = std::fs::read_to_string(exchange.path("node.toml")).unwrap() + "message_buffer = 8\n";
    std::fs::write(exchange.path("node.toml"), config).unwrap();
    exchange.start_node().await;
    exchange.until("the deposits are credited", async |e| e.client.account(AccountId(BOB)).await.is_ok()).await;
    // A book that is long, so that a whole is.
    for (account, key) in [(ALICE, alice()), (BOB, bob())] {
        let orders = (0..200u64).map(|step| {
            let (side, price) = if account == ALICE { (Side::Buy, 10 + step) } else { (Side::Sell, 990 - step) };
            request(&key, &exchange.domain, order(account, 900_000 + step, side, 1, price))
        });
        exchange.client.place_orders(orders.collect()).await.unwrap();
    }

    // One who reads all the time.
    let steady = connect(&exchange).await;
    let mut prices = steady.subscribe_book(MARKET, None).await.unwrap();
    let mut orders = steady.subscribe_orders(MARKET, None).await.unwrap();
    let steady_prices = tokio::spawn(async move { copy_prices(BookCopy::default(), &mut prices).await });
    let steady_orders = tokio::spawn(async move { copy_orders(OrdersCopy::default(), &mut orders).await });
    // One who reads nothing for a while.
    let mut paused = Paused::open(&exchange).await;
    // One who comes back.
    let first = connect(&exchange).await;
    let mut prices = first.subscribe_book(MARKET, None).await.unwrap();
    let mut orders = first.subscribe_orders(MARKET, None).await.unwrap();
    let (mut copy, mut orders_copy) = (BookCopy::default(), OrdersCopy::default());
    copy.apply(&prices.next().await.unwrap().unwrap()).unwrap();
    orders_copy.apply(&orders.next().await.unwrap().unwrap()).unwrap();

    let taken = trade_at_random(&exchange, 1).await;
    while let Ok(message) = tokio::time::timeout(SILENCE, prices.next()).await {
        copy.apply(&message.unwrap().unwrap()).unwrap();
    }
    while let Ok(message) = tokio::time::timeout(SILENCE, orders.next()).await {
        orders_copy.apply(&message.unwrap().unwrap()).unwrap();
    }
    drop((first, prices, orders));
    let taken = taken + trade_at_random(&exchange, 2).await;
    assert!(taken > 5_000, "only {taken} commands were taken");

    let again = connect(&exchange).await;
    let mut prices = again.subscribe_book(MARKET, copy.sequence()).await.unwrap();
    let mut orders = again.subscribe_orders(MARKET, orders_copy.sequence()).await.unwrap();
    let message = orders.next().await.unwrap().unwrap();
    assert_eq!(message.previous, orders_copy.sequence(), "it goes on where it was");
    orders_copy.apply(&message).unwrap();
    place(&exchange, &alice(), order(ALICE, 5_000_000, Side::Buy, 3, LAST_PRICE)).await;
    let copies = [copy_prices(copy, &mut prices).await, steady_prices.await.unwrap()];
    let orders_copies = [copy_orders(orders_copy, &mut orders).await, steady_orders.await.unwrap()];

    tokio::time::timeout(LONG, paused.read()).await.expect("who pauses comes to the same end");
    let (wholes, changes) = (paused.wholes, paused.changes);
    assert!(
        wholes > SUBSCRIPTIONS && changes > 0,
        "{wholes} wholes and {changes} changes: who was too slow began anew"
    );

    let book = exchange.client.book(MARKET, Some(1_000)).await.unwrap();
    for copy in copies.iter().chain(paused.copies.values()) {
        assert!(copy.bids().eq(&book.bids) && copy.asks().eq(&book.asks), "by price");
    }
    let mine = [ALICE, BOB].map(|account| exchange.client.open_orders(AccountId(account)));
    let mut open: Vec<_> = Vec::new();
    for mine in mine {
        open.extend(mine.await.unwrap().into_iter().map(|order| (order.side, order.price, order.remaining)));
    }
    open.sort_unstable();
    for copy in &orders_copies {
        let sides: [Vec<Level>; 2] = [copy.levels(Side::Buy), copy.levels(Side::Sell)];
        assert_eq!(sides, [book.bids.clone(), book.asks.clone()], "by order");
        let queue = |side| copy.queue(side).into_iter().map(move |(_, price, size)| (side, price, size));
        let mut copied: Vec<_> = queue(Side::Buy).chain(queue(Side::Sell)).collect();
        copied.sort_unstable();
        assert_eq!(copied, open, "every order");
    }
    assert_eq!(orders_copies[0].queue(Side::Buy), orders_copies[1].queue(Side::Buy), "in one order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fills_are_followed_to_their_settlement_and_counted_in_candles() {
    let exchange = Exchange::open().await;
    let client = connect(&exchange).await;
    place(&exchange, &alice(), order(ALICE, 1, Side::Buy, 100, 600)).await;
    place(&exchange, &bob(), order(BOB, 1, Side::Sell, 40, 600)).await;
    // They come after the first trade, which the candle has all the same.
    let mut account = client.subscribe_account(AccountId(ALICE), None).await.unwrap();
    let mut trades = client.subscribe_trades(None, None).await.unwrap();
    let mut candles = client.subscribe_candles(MARKET, Interval::Day, None).await.unwrap();
    let begun: AccountMessage = account.next().await.unwrap().unwrap();
    assert!(begun.previous.is_none() && begun.events.is_empty());
    let none: TradesMessage = trades.next().await.unwrap().unwrap();
    assert!(none.trades.is_empty());
    let whole = candles.next().await.unwrap().unwrap();
    let counted: u32 = whole.candles.iter().map(|candle| candle.trades).sum();
    assert_eq!(counted, 1, "{whole:?}");
    place(&exchange, &bob(), order(BOB, 2, Side::Sell, 60, 590)).await;
    let told = trades.next().await.unwrap().unwrap();
    assert_eq!((told.trades.len(), told.trades[0].trade.size.0, told.trades[0].venue.0), (1, 60, 1));
    let candle = candles.next().await.unwrap().unwrap().candles.pop().unwrap();
    assert!(candle.trades == 2 && candle.volume == 100 || candle.trades == 1, "{candle:?}");

    let (mut filled, mut sealed, mut settled) = (None, None, None);
    while settled.is_none() || sealed.is_none_or(|sealed: Sequence| settled != Some(sealed.0)) {
        let message = tokio::time::timeout(LONG, account.next()).await.unwrap().unwrap().unwrap();
        filled = filled.or(message.events.iter().find_map(|event| event.event.get("Filled").map(|_| message.sequence)));
        if filled.is_some() {
            sealed = sealed.or(message.sealed);
        }
        settled = message.settled.map(|batch| batch.id).or(settled);
    }
    let batches = exchange.client.batches(settled.unwrap(), Some(1)).await.unwrap();
    assert!(batches[0].orders_filled >= 2, "{batches:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_is_not_kept_is_refused_with_the_one_that_is() {
    let exchange = Exchange::open().await;
    let client = connect(&exchange).await;
    let refused = client.subscribe_trades(Some(MARKET), Some(Sequence(0))).await.unwrap_err();
    let ClientError::Call(error) = refused else { panic!("{refused}") };
    let data: Value = serde_json::from_str(error.data().unwrap().get()).unwrap();
    assert_eq!(
        (error.code(), data["name"].as_str(), data["from"].as_str()),
        (Code::NotKept as i32, Some("not_kept"), Some("0"))
    );
    let oldest: u64 = data["oldest"].as_str().unwrap().parse().unwrap();
    assert!(client.subscribe_trades(Some(MARKET), Some(Sequence(oldest))).await.is_ok());
    let mut book = client.subscribe_book(MARKET, None).await.unwrap();
    assert!(book.next().await.unwrap().unwrap().previous.is_none());
    exchange.terminate_node();
    let ends = async { while book.next().await.is_some_and(|message| message.is_ok()) {} };
    tokio::time::timeout(LONG, ends).await.expect("a node that stops ends its subscriptions");
}
