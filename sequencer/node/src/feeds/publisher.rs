//! The thread that makes messages of what happened, and puts each into its topic's ring once.
//!
//! **Beats.** A book may change ten thousand times a second, and nobody reads that fast. What is quick (books, trades, candles)
//! leaves in beats: the first change after a quiet moment at once, what follows together when the beat is over, as one change from
//! the one state to the next. A beat is two to three times as long as it takes to hand its messages to their readers, at least
//! [`BEAT_MIN`] and at most [`BEAT_MAX`]; so a crowd of readers takes less than half of a core. Everything else leaves when it happens.
//!
//! **While nobody listens** it is told of frames only, for what they list and seal, and sleeps in between: then the feeds cost a window
//! nothing. The first reader wakes it in the order of the log; it sleeps again when the last one has left and nobody was woken for since.
//!
//! **Nothing is shown half.** A ring holds whole commands, so who resumes from the `sequence` of a message misses nothing and
//! gets nothing twice. If this thread falls so far behind that it must leave something out, every topic ends and says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::oneshot;
use xos_api::{
    AccountMessage, BatchInfo, FundingMessage, Interval, LiquidationsMessage, MarketEvent, MarketsMessage, OrderName,
    PriceInfo, PricesMessage, Sequence, Trade, TradeInfo, TradesMessage,
};
use xos_engine::{Depth, Engine};
use xos_history::CandleSoFar;
use xos_types::{AccountId, Event, MarketId, TimeMs};

use super::accounts::{SealedFrame, concerned, is_rescue};
use super::book::{BookChanges, FollowedBook, OrderNames};
use super::candle::FollowedCandle;
use super::listings::Listings;
use super::prices;
use super::ring::{NotKept, Reader, Ring, Text};
use super::topic::Topic;
use crate::history;
use crate::output::Applied;

/// The shortest beat.
const BEAT_MIN: Duration = Duration::from_millis(5);
/// The longest one: readers beyond that many are told late rather than less often.
const BEAT_MAX: Duration = Duration::from_millis(40);
/// Of a beat, for every message to every reader: two to three times what it costs to hand it over.
const BEAT_PER_READER: Duration = Duration::from_micros(32);
/// How long a topic goes on without readers, so that who was cut off can resume.
const LINGER: Duration = Duration::from_secs(60);
/// Between two looks for topics that nobody listens to.
const TIDY: Duration = Duration::from_secs(5);
/// Frames whose accounts are remembered until their batches are settled.
const FRAMES_MAX: usize = 1024;

const MISSED: &str = "the node could not keep up with its feeds and left something out; subscribe again";
const STOPPING: &str = "the node is stopping";

/// What the publisher is told, in the order of the log.
pub(crate) enum News {
    /// Commands had these effects, and prices are these since.
    Happened { applied: Vec<Applied>, prices: Option<Vec<PriceInfo>> },
    /// Somebody wants to listen, for the how manieth time: from this command on everything is told.
    Wake { number: u64, sequence: u64, time: TimeMs },
    /// Somebody listens.
    Join(Join),
    /// A book as it stood after that command.
    Book { market: MarketId, sequence: u64, depth: Box<Depth> },
    /// Somebody watches a candle: when its trades are counted from here on, up to where the history must have come, and what
    /// time it is.
    Candle { market: MarketId, interval: Interval, reply: oneshot::Sender<(u64, TimeMs)> },
    /// What the history says of it then.
    CandleSoFar { market: MarketId, interval: Interval, so_far: Option<CandleSoFar> },
    /// A batch is settled.
    Settled(BatchInfo),
    /// Nothing more comes.
    End,
}

/// A wish to listen.
pub(crate) struct Join {
    pub(crate) topic: Topic,
    /// The last sequence number that the reader has, if it has one.
    pub(crate) from: Option<u64>,
    pub(crate) reply: oneshot::Sender<Result<Joined, NotJoined>>,
}

/// Somebody listens.
#[derive(Debug)]
pub(crate) struct Joined {
    /// What it begins with, unless it resumes.
    pub(crate) whole: Option<Text>,
    pub(crate) reader: Reader,
}

/// Why somebody does not listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotJoined {
    /// The publisher is not told of everything yet.
    Asleep,
    /// There is no such market.
    UnknownMarket(MarketId),
    /// The book is not followed yet.
    NeedsBook(MarketId),
    /// The candle is not followed yet.
    NeedsCandle(MarketId, Interval),
    /// What came after that is not kept.
    NotKept(NotKept),
}

/// A topic that somebody listens to, or did a moment ago.
struct Line {
    ring: Arc<Ring>,
    /// Where its last message stands; before the first, where it began.
    last: u64,
    /// Since when nobody listens.
    alone: Option<Instant>,
    /// What a reader begins with, until the next message.
    whole: Option<Text>,
}

/// The publisher's state.
pub(crate) struct Publisher {
    names: OrderNames,
    listings: Listings,
    /// The number of the wake that keeps it awake, shared with who tells it; 0 while it sleeps.
    awake: Arc<AtomicU64>,
    /// The last wake that it was told of; 0 while it sleeps.
    woken: u64,
    /// The last command that it was told of.
    head: u64,
    time: TimeMs,
    topics: BTreeMap<Topic, Line>,
    books: BTreeMap<MarketId, FollowedBook>,
    candles: BTreeMap<(MarketId, Interval), FollowedCandle>,
    /// Trades that were not told yet.
    trades: Vec<Trade>,
    prices: Vec<PriceInfo>,
    /// Accounts of the latest frames, by number.
    frames: BTreeMap<u64, SealedFrame>,
    joins: Vec<Join>,
    /// When the beat is over.
    beat: Instant,
    tidied: Instant,
}

impl Publisher {
    /// Of an exchange that has come so far.
    pub(crate) fn new(names: OrderNames, engine: &Engine) -> Self {
        let now = Instant::now();
        Self {
            names,
            listings: Listings::of(engine),
            awake: Arc::default(),
            woken: 0,
            head: engine.sequence(),
            time: engine.frame_time(),
            topics: BTreeMap::new(),
            books: BTreeMap::new(),
            candles: BTreeMap::new(),
            trades: Vec::new(),
            prices: prices(engine),
            frames: BTreeMap::new(),
            joins: Vec::new(),
            beat: now,
            tidied: now,
        }
    }

    /// 0 while it is told of frames only.
    pub(crate) fn awake(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.awake)
    }

    /// A frame that was sealed before, and may be settled from now on.
    pub(crate) fn remember(&mut self, frame: SealedFrame) {
        if self.frames.len() == FRAMES_MAX {
            self.frames.pop_first();
        }
        self.frames.insert(frame.id, frame);
    }

    /// Publishes until nothing more comes.
    pub(crate) fn run(mut self, news: &Receiver<News>) {
        loop {
            let wait = if self.is_pending() { self.beat.saturating_duration_since(Instant::now()) } else { TIDY };
            match news.recv_timeout(wait) {
                Ok(News::End) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(told) => self.take(told),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = Instant::now();
            if self.is_pending() && now >= self.beat {
                let messages = self.publish_beat();
                let cost = BEAT_PER_READER * u32::try_from(messages).unwrap_or(u32::MAX);
                self.beat = now + cost.clamp(BEAT_MIN, BEAT_MAX);
            }
            if !self.is_pending() {
                self.answer_joins();
            }
            if now.duration_since(self.tidied) >= TIDY {
                self.tidied = now;
                self.tidy(now);
            }
        }
        self.publish_beat();
        self.end_all(STOPPING);
    }

    fn take(&mut self, news: News) {
        match news {
            News::Happened { applied, prices } => {
                for applied in &applied {
                    self.command(applied);
                }
                if let Some(prices) = prices.filter(|prices| !prices.is_empty()) {
                    self.prices = prices;
                    self.publish_prices();
                }
            }
            News::Wake { number, sequence, time } => {
                self.expect(sequence);
                (self.woken, self.time) = (number, time);
            }
            News::Join(join) => self.joins.push(join),
            News::Book { market, sequence, depth } => {
                self.expect(sequence);
                // If it fell asleep since, it is asked again.
                if self.woken > 0
                    && let Some(venue) = self.listings.venue(market)
                {
                    let followed = || FollowedBook::new(venue, market, self.names, *depth);
                    self.books.entry(market).or_insert_with(followed);
                }
            }
            News::Candle { market, interval, reply } => {
                if let Some(venue) = self.listings.venue(market) {
                    let followed = || FollowedCandle::new(venue, market, interval);
                    self.candles.entry((market, interval)).or_insert_with(followed);
                }
                // Who asked may have left.
                let _ = reply.send((self.head, self.time));
            }
            News::CandleSoFar { market, interval, so_far } => {
                if let Some(candle) = self.candles.get_mut(&(market, interval)) {
                    candle.begin(so_far);
                }
            }
            News::Settled(batch) => self.settled(&batch),
            News::End => {}
        }
    }

    /// Whether everything up to a command was told; if not, nobody's copy is right any more.
    fn expect(&mut self, sequence: u64) {
        if self.woken == 0 {
            self.head = sequence;
        }
        if sequence != self.head {
            tracing::warn!(
                from = self.head + 1,
                up_to = sequence,
                "the feeds were left behind; their readers must subscribe again"
            );
            self.end_all(MISSED);
            self.head = sequence;
        }
    }

    fn command(&mut self, applied: &Applied) {
        let Applied { sequence, time, events } = applied;
        self.expect(sequence - 1);
        (self.head, self.time) = (*sequence, *time);
        let (mut listed, mut listing_events, mut funding) = (BTreeSet::new(), Vec::new(), Vec::new());
        for event in events {
            let changed = self.listings.note(event);
            listed.extend(changed);
            if changed.is_some() || matches!(event, Event::VenueSet { .. } | Event::FeeTiersSet { .. }) {
                listing_events.push(event);
            }
            match event {
                Event::Funded { feed, index } => funding.extend(self.listings.fund(*feed, *index)),
                Event::FrameSealed(frame) => self.remember(SealedFrame::of(frame)),
                _ => {}
            }
        }
        if self.topics.is_empty() && self.books.is_empty() && self.candles.is_empty() {
            return;
        }
        self.note_books(*sequence, events);
        self.note_trades(*sequence, *time, events);
        let (at, time) = (Sequence(*sequence), *time);
        if !funding.is_empty() {
            self.say(Topic::Funding, *sequence, |previous| FundingMessage { sequence: at, previous, time, funding });
        }
        if !listing_events.is_empty() {
            let listings = listed.into_iter().filter_map(|listing| self.listings.info(listing, time)).collect();
            let events = listing_events.into_iter().map(|event| self.listings.located(event)).collect();
            let message = |previous| MarketsMessage { sequence: at, previous, time, listings, events };
            self.say(Topic::Markets, *sequence, message);
        }
        if self.topics.contains_key(&Topic::Liquidations) {
            let rescues = events.iter().filter(|event| is_rescue(event));
            let events: Vec<_> = rescues.map(|event| self.listings.located(event)).collect();
            if !events.is_empty() {
                let message = |previous| LiquidationsMessage { sequence: at, previous, time, events };
                self.say(Topic::Liquidations, *sequence, message);
            }
        }
        self.tell_accounts(*sequence, time, events);
    }

    fn note_books(&mut self, sequence: u64, events: &[Event]) {
        if self.books.is_empty() {
            return;
        }
        for event in events {
            if let Some(market) = Depth::market_of(event)
                && let Some(book) = self.books.get_mut(&market)
            {
                book.apply(sequence, event, self.topics.contains_key(&Topic::Orders(market)));
            }
        }
    }

    fn note_trades(&mut self, sequence: u64, time: TimeMs, events: &[Event]) {
        for (place, event) in (0..).zip(events) {
            let Some(trade) = history::trades(sequence, time, std::slice::from_ref(event)).next() else { continue };
            let of_all = self.topics.contains_key(&Topic::Trades(None));
            if (of_all || self.topics.contains_key(&Topic::Trades(Some(trade.market))))
                && let Some(venue) = self.listings.venue(trade.market)
            {
                self.trades.push(Trade { venue, trade });
            }
            self.note_candles(place, trade);
        }
    }

    fn note_candles(&mut self, place: u32, trade: TradeInfo) {
        if self.candles.is_empty() {
            return;
        }
        let mut lost = Vec::new();
        for interval in Interval::ALL {
            if let Some(candle) = self.candles.get_mut(&(trade.market, interval))
                && !candle.trade(place, trade)
            {
                lost.push((trade.market, interval));
            }
        }
        for (market, interval) in lost {
            self.candles.remove(&(market, interval));
        }
    }

    fn tell_accounts(&mut self, sequence: u64, time: TimeMs, events: &[Event]) {
        let mut accounts = self.topics.range(Topic::Account(AccountId(0))..=Topic::Account(AccountId(u64::MAX)));
        if accounts.next().is_none() {
            return;
        }
        #[derive(Default)]
        struct Told {
            events: Vec<MarketEvent>,
            names: Vec<OrderName>,
            sealed: Option<Sequence>,
        }
        let mut told: BTreeMap<AccountId, Told> = BTreeMap::new();
        let listens = |account: &AccountId| self.topics.contains_key(&Topic::Account(*account));
        for event in events {
            let mut located = None;
            for account in concerned(event).filter(|account| listens(account)) {
                let event = located.get_or_insert_with(|| self.listings.located(event)).clone();
                told.entry(account).or_default().events.push(event);
            }
            if let Event::Rested { account, nonce, .. } = event
                && let Some(told) = told.get_mut(account)
            {
                told.names.push(OrderName { nonce: *nonce, order: self.names.of(*account, *nonce) });
            }
            if let Event::FrameSealed(frame) = event
                && let Some(sealed) = self.frames.get(&frame.id)
            {
                for account in sealed.accounts.iter().filter(|account| listens(account)) {
                    told.entry(*account).or_default().sealed = Some(Sequence(frame.id));
                }
            }
        }
        for (account, Told { events, names, sealed }) in told {
            let sequence_of = Sequence(sequence);
            self.say(Topic::Account(account), sequence, |previous| AccountMessage {
                account,
                sequence: sequence_of,
                previous,
                time,
                events,
                names,
                sealed,
                settled: None,
            });
        }
    }

    fn settled(&mut self, batch: &BatchInfo) {
        let Some(frame) = self.frames.get(&batch.id) else { return };
        let (head, time) = (self.head, self.time);
        for account in &frame.accounts {
            let Some(line) = self.topics.get_mut(&Topic::Account(*account)) else { continue };
            let message = AccountMessage {
                account: *account,
                sequence: Sequence(head),
                previous: Some(Sequence(line.last)),
                time,
                events: Vec::new(),
                names: Vec::new(),
                sealed: None,
                settled: Some(batch.clone()),
            };
            line.whole = None;
            line.last = head;
            line.ring.push_beside(head, text(&message));
        }
    }

    fn publish_prices(&mut self) {
        let (sequence, time, prices) = (self.head, self.time, self.prices.clone());
        let message = |previous| PricesMessage { sequence: Sequence(sequence), previous, time, prices };
        self.say(Topic::Prices, sequence, message);
    }

    /// Puts a message into its topic's ring, if there is such a topic; to how many it goes.
    fn say<M: Serialize>(&mut self, topic: Topic, sequence: u64, message: impl FnOnce(Option<Sequence>) -> M) -> usize {
        let Some(line) = self.topics.get_mut(&topic) else { return 0 };
        let said = text(&message(Some(Sequence(line.last))));
        line.last = sequence;
        line.whole = None;
        line.ring.push(sequence, said)
    }

    /// Whether something waits for the beat.
    fn is_pending(&self) -> bool {
        !self.trades.is_empty()
            || self.books.values().any(FollowedBook::has_changed)
            || self.candles.values().any(FollowedCandle::has_changed)
    }

    /// Says what waited; how many messages that is to how many readers.
    fn publish_beat(&mut self) -> usize {
        let mut messages = 0;
        let mut books = std::mem::take(&mut self.books);
        for (market, book) in &mut books {
            let Some(changes) = book.take() else { continue };
            let BookChanges { sequence, bids, asks, orders, best, checksum } = changes;
            messages += self.say(Topic::Book(*market), sequence, |previous| {
                book.by_price(Sequence(sequence), previous, bids, asks, checksum)
            });
            if !orders.is_empty() {
                messages += self.say(Topic::Orders(*market), sequence, |previous| {
                    book.by_order(Sequence(sequence), previous, orders, checksum)
                });
            }
            if best {
                messages += self.say(Topic::Bbo(*market), sequence, |previous| book.best(Sequence(sequence), previous));
            }
        }
        self.books = books;
        messages + self.publish_trades() + self.publish_candles()
    }

    fn publish_trades(&mut self) -> usize {
        let trades = std::mem::take(&mut self.trades);
        let Some(Trade { trade: TradeInfo { sequence, .. }, .. }) = trades.last().copied() else { return 0 };
        let mut of_markets: BTreeMap<MarketId, Vec<Trade>> = BTreeMap::new();
        for trade in &trades {
            of_markets.entry(trade.trade.market).or_default().push(*trade);
        }
        let mut messages = self.say(Topic::Trades(None), sequence, |previous| TradesMessage {
            sequence: Sequence(sequence),
            previous,
            trades,
        });
        for (market, trades) in of_markets {
            let last = trades.last().map_or(sequence, |last| last.trade.sequence);
            messages += self.say(Topic::Trades(Some(market)), last, |previous| TradesMessage {
                sequence: Sequence(last),
                previous,
                trades,
            });
        }
        messages
    }

    fn publish_candles(&mut self) -> usize {
        let mut messages = 0;
        let mut candles = std::mem::take(&mut self.candles);
        for ((market, interval), candle) in &mut candles {
            if let Some((sequence, told)) = candle.take() {
                messages += self.say(Topic::Candles(*market, *interval), sequence, |previous| {
                    candle.message(Sequence(sequence), previous, told)
                });
            }
        }
        self.candles = candles;
        messages
    }

    /// Lets in who wants to listen. Nothing waits for the beat, so what a reader begins with is what the last message led to.
    fn answer_joins(&mut self) {
        for Join { topic, from, reply } in std::mem::take(&mut self.joins) {
            // Who asked may have left.
            let _ = reply.send(self.join(topic, from));
        }
    }

    fn join(&mut self, topic: Topic, from: Option<u64>) -> Result<Joined, NotJoined> {
        if self.woken == 0 {
            return Err(NotJoined::Asleep);
        }
        if let Some(market) = topic.market()
            && self.listings.venue(market).is_none()
        {
            return Err(NotJoined::UnknownMarket(market));
        }
        if let Some(market) = topic.book()
            && !self.books.contains_key(&market)
        {
            return Err(NotJoined::NeedsBook(market));
        }
        if let Topic::Candles(market, interval) = topic
            && !self.candles.get(&(market, interval)).is_some_and(FollowedCandle::is_whole)
        {
            return Err(NotJoined::NeedsCandle(market, interval));
        }
        let head = self.head;
        let begun = || Line { ring: Ring::new(head), last: head, alone: None, whole: None };
        let line = self.topics.entry(topic).or_insert_with(begun);
        line.alone = None;
        let ring = Arc::clone(&line.ring);
        if let Some(from) = from {
            // Of what comes after the end of the log nothing is known, and nothing is missing before.
            let resumed =
                if from > head { Err(NotKept { from, oldest: head }) } else { ring.resume(topic.slow(), from) };
            return Ok(Joined { whole: None, reader: resumed.map_err(NotJoined::NotKept)? });
        }
        let whole = match &line.whole {
            Some(whole) => Arc::clone(whole),
            None => {
                let last = line.last;
                let whole = self.whole(topic, last);
                if let Some(line) = self.topics.get_mut(&topic) {
                    line.whole = Some(Arc::clone(&whole));
                }
                whole
            }
        };
        Ok(Joined { whole: Some(whole), reader: ring.reader(topic.slow()) })
    }

    /// What a reader of a topic begins with whose last message stands there.
    fn whole(&self, topic: Topic, last: u64) -> Text {
        let (sequence, previous, time) = (Sequence(last), None, self.time);
        let absent = "a topic of a book or candle is joined when that is followed";
        match topic {
            Topic::Book(market) => text(&self.books.get(&market).expect(absent).whole(sequence)),
            Topic::Orders(market) => text(&self.books.get(&market).expect(absent).whole_orders(sequence)),
            Topic::Bbo(market) => text(&self.books.get(&market).expect(absent).best(sequence, None)),
            Topic::Candles(market, interval) => {
                let candle = self.candles.get(&(market, interval)).expect(absent);
                text(&candle.message(sequence, None, candle.whole()))
            }
            Topic::Trades(_) => text(&TradesMessage { sequence, previous, trades: Vec::new() }),
            Topic::Prices => text(&PricesMessage { sequence, previous, time, prices: self.prices.clone() }),
            Topic::Funding => text(&FundingMessage { sequence, previous, time, funding: Vec::new() }),
            Topic::Liquidations => text(&LiquidationsMessage { sequence, previous, time, events: Vec::new() }),
            Topic::Account(account) => {
                let (events, names, sealed, settled) = (Vec::new(), Vec::new(), None, None);
                text(&AccountMessage { account, sequence, previous, time, events, names, sealed, settled })
            }
            Topic::Markets => {
                let listings = self.listings.infos(time);
                text(&MarketsMessage { sequence, previous, time, listings, events: Vec::new() })
            }
        }
    }

    /// Forgets what nobody has listened to for a while.
    fn tidy(&mut self, now: Instant) {
        self.topics.retain(|_, line| {
            if line.ring.readers() > 0 {
                line.alone = None;
                return true;
            }
            now.duration_since(*line.alone.get_or_insert(now)) < LINGER
        });
        let topics = &self.topics;
        self.books.retain(|market, _| {
            [Topic::Book(*market), Topic::Orders(*market), Topic::Bbo(*market)]
                .iter()
                .any(|topic| topics.contains_key(topic))
        });
        self.candles.retain(|(market, interval), _| topics.contains_key(&Topic::Candles(*market, *interval)));
        // A wake that it was not told of yet wants it awake.
        let sleeps = self.topics.is_empty()
            && self.joins.is_empty()
            && self.awake.compare_exchange(self.woken, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if sleeps {
            self.woken = 0;
        }
    }

    fn end_all(&mut self, why: &'static str) {
        for (_, line) in std::mem::take(&mut self.topics) {
            line.ring.end(why);
        }
        self.books.clear();
        self.candles.clear();
        self.trades.clear();
    }
}

/// Whatever ends it, nobody waits for it any more.
impl Drop for Publisher {
    fn drop(&mut self) {
        self.end_all("the feeds have stopped by a bug of theirs; trading goes on");
    }
}

fn text(message: &impl Serialize) -> Text {
    Arc::from(serde_json::value::to_raw_value(message).unwrap_or_default())
}
