//! The publisher by itself: an engine, random commands, and readers who keep copies.

use std::sync::mpsc::sync_channel;

use serde::de::DeserializeOwned;
use xos_api::{
    AccountMessage, BboMessage, BookCopy, BookMessage, Cause, MarketsMessage, OrdersCopy, OrdersMessage, Sequence,
    Session, TradesMessage,
};
use xos_engine::Engine;
use xos_types::OrderKind::{GoodTillCancelled, PostOnly};
use xos_types::{
    AccountId, Command, Event, EventId, FeeTier, FeedId, Hours, InboxItem, InboxPayload, Logged, Ppm, Side, VenueId,
};

use super::publisher::Join;
use super::ring::{Next, Reader};
use super::*;
use crate::testing::{ALICE, BOB, GROUP, MARKET, cancel_of, inbox, order_of};

/// An engine and who is told what it does.
struct Exchange {
    engine: Engine,
    feeds: Feeds,
    time: u64,
    inbox: u64,
}

impl Exchange {
    fn open() -> Self {
        let mut engine = Engine::new(GROUP);
        let frame = Command::Frame { time: TimeMs(10), inbox: inbox(), prices: Vec::new() };
        engine.apply(&Logged::new(frame), &mut Vec::new());
        let feeds = Feeds::start(Publisher::new(OrderNames::new(b"a test"), &engine)).unwrap();
        Self { engine, feeds, time: 10, inbox: 4 }
    }

    fn apply(&mut self, command: Command) -> u64 {
        let mut events = Vec::new();
        let opens = matches!(command, Command::Frame { .. });
        self.engine.apply(&Logged::new(command), &mut events);
        let (sequence, time) = (self.engine.sequence(), self.engine.frame_time());
        let prices = opens.then(|| prices(&self.engine));
        self.feeds.happened(vec![Applied { sequence, time, events }], prices);
        sequence
    }

    fn frame(&mut self, later: u64, payload: Option<InboxPayload>) -> u64 {
        self.time += later;
        let item = payload.map(|payload| InboxItem { index: self.inbox, time: TimeMs(1), payload });
        self.inbox += u64::from(item.is_some());
        self.apply(Command::Frame { time: TimeMs(self.time), inbox: item.into_iter().collect(), prices: Vec::new() })
    }

    async fn join(&self, topic: Topic, from: Option<u64>) -> Result<Joined, NotJoined> {
        loop {
            match self.feeds.join(topic, from).await.unwrap() {
                Err(NotJoined::Asleep) => self.feeds.wake(self.engine.sequence(), self.engine.frame_time()),
                Err(NotJoined::NeedsBook(market)) => {
                    self.feeds.follow(market, self.engine.sequence(), self.engine.depth(market).unwrap());
                }
                answer => return answer,
            }
        }
    }

    /// What somebody begins with, and its reader.
    async fn listen<M: DeserializeOwned>(&self, topic: Topic) -> (M, Reader) {
        let Joined { whole, reader } = self.join(topic, None).await.unwrap();
        (serde_json::from_str(whole.unwrap().get()).unwrap(), reader)
    }
}

async fn next<M: DeserializeOwned>(reader: &mut Reader) -> M {
    match tokio::time::timeout(std::time::Duration::from_secs(10), reader.next()).await {
        Ok(Next::Message(text)) => serde_json::from_str(text.get()).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_a_book_are_the_book_by_price_and_by_order() {
    let mut exchange = Exchange::open();
    exchange.apply(order_of(ALICE, 1, Side::Buy, PostOnly, 400));
    let (whole, mut prices) = exchange.listen::<BookMessage>(Topic::Book(MARKET)).await;
    let (whole_orders, mut orders) = exchange.listen::<OrdersMessage>(Topic::Orders(MARKET)).await;
    let (best, mut bests) = exchange.listen::<BboMessage>(Topic::Bbo(MARKET)).await;
    assert_eq!((whole.previous, whole.bids.len(), best.bid), (None, 1, whole.bids.first().copied()));
    let (mut copy, mut orders_copy) = (BookCopy::default(), OrdersCopy::default());
    copy.apply(&whole).unwrap();
    orders_copy.apply(&whole_orders).unwrap();

    let mut random = 7u64;
    let mut last = 0;
    for nonce in 2..3_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (account, price) = (if random >> 40 & 1 == 0 { ALICE } else { BOB }, 480 + (random >> 33) % 40);
        let side = if random >> 20 & 1 == 0 { Side::Buy } else { Side::Sell };
        last = match random >> 50 & 3 {
            0 => exchange.apply(cancel_of(account, nonce - 1 - (random >> 8) % nonce.min(50))),
            _ => exchange.apply(order_of(account, nonce, side, GoodTillCancelled, price)),
        };
        if nonce % 100 == 0 {
            last = exchange.frame(1_000, None);
        }
    }
    // One that surely changes the book and its best price, so that every topic comes to the end.
    let end = exchange.apply(order_of(ALICE, 10_000, Side::Buy, GoodTillCancelled, 999));
    assert!(end > last);
    let mut messages = 0;
    while copy.sequence() != Some(Sequence(end)) {
        copy.apply(&next(&mut prices).await).unwrap();
        messages += 1;
    }
    assert!(messages < 1_000, "{messages} messages: many changes are one");
    let mut causes = Vec::new();
    while orders_copy.sequence() != Some(Sequence(end)) {
        let message: OrdersMessage = next(&mut orders).await;
        causes.extend(message.orders.iter().map(|change| change.cause));
        orders_copy.apply(&message).unwrap();
    }
    assert!([Cause::Rested, Cause::Filled, Cause::Cancelled].iter().all(|cause| causes.contains(cause)));
    // How many messages come before the last one is a matter of the publisher's beats.
    let mut best = best;
    while best.sequence != Sequence(end) {
        best = next(&mut bests).await;
    }
    let book = exchange.engine.book(MARKET, usize::MAX).unwrap();
    for (side, levels) in [(Side::Buy, &book.bids), (Side::Sell, &book.asks)] {
        let is: Vec<_> = levels.iter().map(|level| (level.price, level.lots, level.orders)).collect();
        let copied: Vec<_> = match side {
            Side::Buy => copy.bids().collect(),
            Side::Sell => copy.asks().collect::<Vec<_>>(),
        };
        assert_eq!(copied.iter().map(|level| (level.price, level.size, level.orders)).collect::<Vec<_>>(), is);
        let by_order: Vec<_> =
            orders_copy.levels(side).iter().map(|level| (level.price, level.size, level.orders)).collect();
        assert_eq!(by_order, is);
        let queue: Vec<_> = exchange.engine.depth(MARKET).unwrap().orders(MARKET);
        let queue: Vec<_> =
            queue.iter().filter(|shown| shown.side == side).map(|shown| (shown.price, shown.lots)).collect();
        assert_eq!(orders_copy.queue(side).iter().map(|(_, price, size)| (*price, *size)).collect::<Vec<_>>(), queue);
    }
    assert_eq!(best.bid.map(|level| level.price), book.bids.first().map(|level| level.price));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_resumes_goes_on_where_it_was_and_nothing_follows_nothing() {
    let mut exchange = Exchange::open();
    let (begun, mut reader) = exchange.listen::<TradesMessage>(Topic::Trades(Some(MARKET))).await;
    assert!(begun.previous.is_none() && begun.trades.is_empty());
    let trade = |exchange: &mut Exchange, nonce| {
        exchange.apply(order_of(ALICE, nonce, Side::Sell, GoodTillCancelled, 500));
        exchange.apply(order_of(BOB, nonce, Side::Buy, GoodTillCancelled, 500))
    };
    let first = trade(&mut exchange, 1);
    let message: TradesMessage = next(&mut reader).await;
    assert_eq!((message.previous, message.sequence), (Some(begun.sequence), Sequence(first)));
    drop(reader);
    let second = trade(&mut exchange, 2);
    let mut resumed = exchange.join(Topic::Trades(Some(MARKET)), Some(first)).await.unwrap();
    assert!(resumed.whole.is_none());
    let message: TradesMessage = next(&mut resumed.reader).await;
    assert_eq!(
        (message.previous, message.sequence, message.trades.len()),
        (Some(Sequence(first)), Sequence(second), 1)
    );
    let too_early = exchange.join(Topic::Trades(Some(MARKET)), Some(begun.sequence.0 - 1)).await.unwrap_err();
    let NotJoined::NotKept(place) = too_early else { panic!("{too_early:?}") };
    assert_eq!(place.oldest, begun.sequence.0);
    assert!(exchange.join(Topic::Trades(Some(MARKET)), Some(second + 1)).await.is_err(), "that has not happened");
    let unknown = MarketId(256 * 9);
    assert_eq!(exchange.join(Topic::Book(unknown), None).await.unwrap_err(), NotJoined::UnknownMarket(unknown));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_hears_what_it_does_that_its_frame_is_sealed_and_that_its_batch_is_settled() {
    let mut exchange = Exchange::open();
    let topic = Topic::Account(AccountId(ALICE));
    let (begun, mut reader) = exchange.listen::<AccountMessage>(topic).await;
    exchange.apply(order_of(ALICE, 1, Side::Sell, GoodTillCancelled, 500));
    let placed: AccountMessage = next(&mut reader).await;
    assert_eq!(placed.previous, Some(begun.sequence));
    assert!(placed.events[0].event.get("Accepted").is_some() && placed.events[0].market == Some(MARKET));
    let (orders, _) = exchange.listen::<OrdersMessage>(Topic::Orders(MARKET)).await;
    assert_eq!(orders.orders.iter().map(|order| order.order).collect::<Vec<_>>(), [placed.names[0].order]);
    exchange.apply(order_of(BOB, 1, Side::Sell, GoodTillCancelled, 600));
    let filled = exchange.apply(order_of(BOB, 2, Side::Buy, GoodTillCancelled, 500));
    let sealed = exchange.frame(1_000, None);
    let fill: AccountMessage = next(&mut reader).await;
    assert_eq!(
        (fill.sequence, fill.previous),
        (Sequence(filled), Some(placed.sequence)),
        "Bob's own order is not its business"
    );
    assert!(fill.events.iter().any(|event| event.event.get("Filled").is_some()));
    let sealing: AccountMessage = next(&mut reader).await;
    assert_eq!(sealing.sequence, Sequence(sealed));
    let batch = sealing.sealed.expect("its fill is in the frame").0;
    let settled = BatchInfo {
        id: batch,
        hash: Default::default(),
        transaction: Default::default(),
        block: 5,
        time: TimeMs(1),
        orders_filled: 2,
        gas_used: 1,
        calldata_gas: 1,
    };
    exchange.feeds.settled(settled.clone());
    exchange.feeds.settled(BatchInfo { id: batch + 1, ..settled.clone() });
    let message: AccountMessage = next(&mut reader).await;
    assert_eq!((message.settled, message.previous), (Some(settled), Some(sealing.sequence)));
    // Whoever has the sealing, and perhaps not this, is told again.
    let mut again = exchange.join(topic, Some(sealed)).await.unwrap().reader;
    assert!(next::<AccountMessage>(&mut again).await.settled.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_announced_when_the_one_before_has_turned() {
    let mut exchange = Exchange::open();
    let (whole, mut reader) = exchange.listen::<MarketsMessage>(Topic::Markets).await;
    assert_eq!((whole.listings.len(), whole.listings[0].turns, whole.listings[0].markets.len()), (1, None, 2));
    const HOUR: u64 = 3_600_000;
    // Every day from one to two in the morning; it is the first hour of 1970.
    let hours = Hours { weekdays: 0x7f, opens: 60, closes: 120 };
    exchange.frame(1, Some(InboxPayload::HoursSet { market: MARKET, hours }));
    let set: MarketsMessage = next(&mut reader).await;
    assert_eq!(set.events.len(), 2, "the hours are set, and the session ends: {:?}", set.events);
    assert_eq!((set.listings[0].session, set.listings[0].turns), (Session::Closed, Some(TimeMs(HOUR))));
    exchange.frame(HOUR, None);
    let open: MarketsMessage = next(&mut reader).await;
    assert_eq!((open.listings[0].session, open.listings[0].turns), (Session::Open, Some(TimeMs(2 * HOUR))));
    exchange.frame(HOUR, Some(InboxPayload::EventResolved { event: EventId(1), payouts: vec![1_000, 0] }));
    let over: MarketsMessage = next(&mut reader).await;
    assert_eq!((over.listings[0].turns, over.listings[0].payouts.clone()), (None, Some(vec![1_000, 0])));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_venue_charges_those_who_trade_much_is_announced() {
    let mut exchange = Exchange::open();
    let (_, mut reader) = exchange.listen::<MarketsMessage>(Topic::Markets).await;
    let tiers = vec![FeeTier { volume: 1_000, taker_share: Ppm(500_000), maker_share: Ppm(0) }];
    exchange.frame(1, Some(InboxPayload::FeeTiersSet { venue: VenueId(1), tiers }));
    let set: MarketsMessage = next(&mut reader).await;
    let [event] = &set.events[..] else { panic!("one thing happened: {:?}", set.events) };
    assert_eq!((event.venue, event.market), (Some(VenueId(1)), None));
    assert_eq!(event.event["FeeTiersSet"]["tiers"][0]["taker_share"], 500_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nobody_listens_only_frames_are_told_and_the_first_reader_misses_nothing() {
    let mut exchange = Exchange::open();
    exchange.apply(order_of(ALICE, 1, Side::Buy, PostOnly, 400));
    let Some(InboxPayload::EventOpened { config, .. }) = inbox().pop().map(|item| item.payload) else { panic!() };
    exchange.frame(1_000, Some(InboxPayload::EventOpened { event: EventId(2), config }));
    let third = exchange.apply(order_of(ALICE, 2, Side::Buy, PostOnly, 401));
    assert_eq!(exchange.feeds.join(Topic::Markets, None).await.unwrap().unwrap_err(), NotJoined::Asleep);
    let (whole, mut reader) = exchange.listen::<BookMessage>(Topic::Book(MARKET)).await;
    assert_eq!((whole.sequence.0, whole.bids.len()), (third, 2));
    let (listed, _) = exchange.listen::<MarketsMessage>(Topic::Markets).await;
    assert_eq!(listed.listings.len(), 2, "what was listed meanwhile is known");
    let fourth = exchange.apply(order_of(ALICE, 3, Side::Buy, PostOnly, 402));
    let change: BookMessage = next(&mut reader).await;
    assert_eq!((change.previous, change.sequence), (Some(whole.sequence), Sequence(fourth)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_out_ends_every_topic() {
    let mut exchange = Exchange::open();
    let (_, mut reader) = exchange.listen::<BookMessage>(Topic::Book(MARKET)).await;
    exchange.engine.apply(&Logged::new(order_of(ALICE, 1, Side::Buy, PostOnly, 400)), &mut Vec::new());
    exchange.apply(order_of(ALICE, 2, Side::Buy, PostOnly, 401));
    let Next::Ended(why) = reader.next().await else { panic!("it goes on with a hole") };
    assert!(why.contains("subscribe again"), "{why}");
    // Who does begins with the whole.
    let (whole, _reader) = exchange.listen::<BookMessage>(Topic::Book(MARKET)).await;
    assert_eq!((whole.sequence.0, whole.bids.len()), (exchange.engine.sequence(), 2));
}

#[test]
fn a_publisher_that_is_told_more_than_it_can_take_says_so() {
    // Nobody takes what is told.
    let (news, _told) = sync_channel(2);
    let feeds = Feeds { news, awake: Arc::new(AtomicU64::new(1)), wakes: Arc::default() };
    let event = Event::Funded { feed: FeedId(1), index: 0 };
    for sequence in 1..=3 {
        feeds.happened(vec![Applied { sequence, time: TimeMs(1), events: vec![event.clone()] }], None);
    }
    let (reply, _) = oneshot::channel();
    assert_eq!(feeds.tell(News::Join(Join { topic: Topic::Funding, from: None, reply })), Err(NoAnswer::Busy));
}
