//! What the node tells whoever listens: books, trades, candles, prices, funding, liquidations, accounts, listings.
//!
//! ```text
//! sequencer ──▶ output ──▶ publisher ──▶ a ring for each topic ──▶ a reader for each subscription
//!               (waits      books from    messages, each           its own place; nobody
//!              for disk)    events        written once             waits for it
//! ```
//!
//! - [`topic`]: what can be listened to, and what a slow reader of it misses.
//! - [`publisher`]: the thread that follows the engine's events and makes messages of them, in beats.
//! - [`book`], [`candle`], [`listings`], [`accounts`]: what it knows of each.
//! - [`ring`]: the latest messages of a topic, and who has read how far.
//! - [`serve`]: one subscription, from the wish to its end.
//!
//! The sequencer does nothing for all this but to copy a book when its first reader comes, and while nobody listens nobody else
//! does either. `docs/feeds.md` is the readers' page.

mod accounts;
mod book;
mod candle;
mod listings;
mod publisher;
mod ring;
pub(crate) mod serve;
#[cfg(test)]
mod tests;
mod topic;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use tokio::sync::oneshot;
use xos_api::{BatchInfo, BookInfo, Interval, Level, PriceInfo};
use xos_engine::{Depth, Engine};
use xos_history::CandleSoFar;
use xos_types::{MarketId, Ticks, TimeMs};

pub(crate) use accounts::SealedFrame;
pub(crate) use book::OrderNames;
pub(crate) use publisher::Publisher;
use publisher::{Join, Joined, News, NotJoined};
pub(crate) use topic::Topic;

use crate::output::Applied;

/// Windows by which the publisher may be behind; then it is not told, and its readers must subscribe again.
const NEWS_MAX: usize = 4096;
/// Index prices and units are atoms times this.
const SCALE: u128 = 1_000_000_000;

/// The way to the publisher; cheap to clone.
#[derive(Clone)]
pub(crate) struct Feeds {
    news: SyncSender<News>,
    /// The number of the wake that keeps the publisher awake; 0 while it sleeps.
    awake: Arc<AtomicU64>,
    /// Wakes so far.
    wakes: Arc<AtomicU64>,
}

/// The publisher cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// It has too much to do.
    Busy,
    /// It has stopped.
    Stopped,
}

impl Feeds {
    /// Starts the publisher's thread.
    pub(crate) fn start(publisher: Publisher) -> io::Result<Self> {
        let (news, told) = sync_channel(NEWS_MAX);
        let awake = publisher.awake();
        std::thread::Builder::new().name("feeds".into()).spawn(move || publisher.run(&told))?;
        Ok(Self { news, awake, wakes: Arc::default() })
    }

    /// Commands that are durable had these effects; after a frame was opened, prices are these.
    pub(crate) fn happened(&self, applied: Vec<Applied>, prices: Option<Vec<PriceInfo>>) {
        if prices.is_none() && self.awake.load(Ordering::SeqCst) == 0 {
            return;
        }
        // If it is not told it sees the gap in the numbers, and tells its readers.
        let _ = self.tell(News::Happened { applied, prices });
    }

    /// Somebody is about to listen to what happens after that command. Only who calls [`Self::happened`] may call this, so that
    /// nothing is left out in between.
    pub(crate) fn wake(&self, sequence: u64, time: TimeMs) {
        let number = self.wakes.fetch_add(1, Ordering::SeqCst) + 1;
        self.awake.store(number, Ordering::SeqCst);
        // If it is not told it sees a gap, or who wants to listen is told.
        let _ = self.tell(News::Wake { number, sequence, time });
    }

    /// A batch is settled on chain.
    pub(crate) fn settled(&self, batch: BatchInfo) {
        let _ = self.tell(News::Settled(batch));
    }

    /// A book as it stood after that command; comes behind what that command did.
    pub(crate) fn follow(&self, market: MarketId, sequence: u64, depth: Depth) {
        // If it is not told, whoever wants to listen is told so.
        let _ = self.tell(News::Book { market, sequence, depth: Box::new(depth) });
    }

    /// Every reader is told that nothing more comes.
    pub(crate) fn end(&self) {
        // If it has ended by itself, so has every topic.
        let _ = self.news.send(News::End);
    }

    async fn join(&self, topic: Topic, from: Option<u64>) -> Result<Result<Joined, NotJoined>, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        self.tell(News::Join(Join { topic, from, reply }))?;
        answer.await.map_err(|_| NoAnswer::Stopped)
    }

    async fn watch_candle(&self, market: MarketId, interval: Interval) -> Result<(u64, TimeMs), NoAnswer> {
        let (reply, answer) = oneshot::channel();
        self.tell(News::Candle { market, interval, reply })?;
        answer.await.map_err(|_| NoAnswer::Stopped)
    }

    fn begin_candle(&self, market: MarketId, interval: Interval, so_far: Option<CandleSoFar>) -> Result<(), NoAnswer> {
        self.tell(News::CandleSoFar { market, interval, so_far })
    }

    fn tell(&self, news: News) -> Result<(), NoAnswer> {
        self.news.try_send(news).map_err(|error| match error {
            TrySendError::Full(_) => NoAnswer::Busy,
            TrySendError::Disconnected(_) => NoAnswer::Stopped,
        })
    }
}

/// A book as it travels; `None` if there is no such market.
pub(crate) fn book_info(engine: &Engine, market: MarketId, depth: usize) -> Option<BookInfo> {
    let book = engine.book(market, depth)?;
    let levels = |levels: Vec<xos_engine::BookLevel>| {
        levels.into_iter().map(|level| Level { price: level.price, size: level.lots, orders: level.orders }).collect()
    };
    Some(BookInfo { market, sequence: engine.sequence(), bids: levels(book.bids), asks: levels(book.asks) })
}

/// Index and mark prices of every market that has them.
pub(crate) fn prices(engine: &Engine) -> Vec<PriceInfo> {
    let price = |market: xos_engine::IndexMarketView<'_>| PriceInfo {
        venue: market.terms.venue,
        market: market.market,
        feed: market.feed,
        index: market.index,
        index_time: market.index_time,
        mark: market.mark,
        mark_ticks: Ticks(
            u64::try_from(market.mark / SCALE / u128::from(market.terms.quantum.max(1))).unwrap_or(u64::MAX),
        ),
        stale: market.stale,
    };
    engine.index_markets().map(price).collect()
}
