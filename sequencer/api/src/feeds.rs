//! What subscriptions deliver, and what their readers keep of it.
//!
//! Every message says how far it brings its reader, `sequence`, and where the message before it stood, `previous`, both as
//! numbers of commands in the log. A reader whose last `sequence` is not the `previous` of the next message has missed
//! something. A message without a `previous` is a snapshot: it stands for everything before. `docs/feeds.md` has the rules.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xos_types::{
    AccountId, EventId, FeedId, Hours, Lots, MarketId, Nonce, Number, Phase, Side, Ticks, TimeMs, VenueId,
};

use crate::history::{Candle, Interval};
use crate::wire::{BatchInfo, Level, TradeInfo};

/// Levels of each side that a checksum covers.
pub const CHECKSUM_LEVELS: usize = 10;

/// A place in the log: commands that came before it and the one that ends there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Sequence(#[serde(with = "Number::<u64>")] pub u64);

/// A book by price (level 2): the whole book, or the levels that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookMessage {
    /// The venue that lists the market.
    pub venue: VenueId,
    /// Which market.
    pub market: MarketId,
    /// How far this brings the book.
    pub sequence: Sequence,
    /// What it builds on; none of a snapshot.
    pub previous: Option<Sequence>,
    /// Buyers' levels as they are now, best first; one without orders is gone.
    pub bids: Vec<Level>,
    /// Sellers' levels.
    pub asks: Vec<Level>,
    /// [`book_checksum`] of the book as it is now.
    pub checksum: u32,
}

/// A book by order (level 3): every order, or what became of some, in the order in which it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrdersMessage {
    /// The venue that lists the market.
    pub venue: VenueId,
    /// Which market.
    pub market: MarketId,
    /// How far this brings the book.
    pub sequence: Sequence,
    /// What it builds on; none of a snapshot.
    pub previous: Option<Sequence>,
    /// What changed; of a snapshot every order, each side best price first, at a price in the order in which they would fill.
    pub orders: Vec<OrderChange>,
    /// [`book_checksum`] of the book as it is now.
    pub checksum: u32,
}

/// What a resting order is called in public. It says nothing of whose it is, and lasts as long as the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PublicOrder(#[serde(with = "Number::<u64>")] pub u64);

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderChange {
    /// The command that caused it.
    pub sequence: Sequence,
    /// Which order.
    pub order: PublicOrder,
    /// On which side.
    pub side: Side,
    /// At which price.
    pub price: Ticks,
    /// Lots that the book shows of it from now on; 0 if it is gone. An order that was not there stands behind all others.
    pub size: Lots,
    /// What happened to it.
    pub cause: Cause,
}

/// What happened to an order in a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It came, or an iceberg shows its next part.
    Rested,
    /// It filled, or a part of it.
    Filled,
    /// It became smaller and kept its place.
    Reduced,
    /// It was taken away.
    Cancelled,
}

/// The best prices of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BboMessage {
    /// The venue that lists the market.
    pub venue: VenueId,
    /// Which market.
    pub market: MarketId,
    /// How far this is true.
    pub sequence: Sequence,
    /// Where the message before it stood.
    pub previous: Option<Sequence>,
    /// The highest bid.
    pub bid: Option<Level>,
    /// The lowest ask.
    pub ask: Option<Level>,
}

/// Trades, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TradesMessage {
    /// The last one's command.
    pub sequence: Sequence,
    /// Where the message before it stood.
    pub previous: Option<Sequence>,
    /// The trades.
    pub trades: Vec<Trade>,
}

/// A trade and where it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Trade {
    /// The venue that lists the market.
    pub venue: VenueId,
    /// The trade.
    #[serde(flatten)]
    pub trade: TradeInfo,
}

/// Candles that changed: the open one as it stands, behind those that are complete since the message before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CandlesMessage {
    /// The venue that lists the market.
    pub venue: VenueId,
    /// Which market.
    pub market: MarketId,
    /// How long a candle lasts.
    pub interval: Interval,
    /// How far this is true.
    pub sequence: Sequence,
    /// Where the message before it stood.
    pub previous: Option<Sequence>,
    /// Oldest first.
    pub candles: Vec<Candle>,
}

/// Index and mark prices of a frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PricesMessage {
    /// The command that opened the frame.
    pub sequence: Sequence,
    /// Where the message before it stood.
    pub previous: Option<Sequence>,
    /// The frame's time.
    pub time: TimeMs,
    /// Those of every perpetual and spot market.
    pub prices: Vec<PriceInfo>,
}

/// The prices of a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PriceInfo {
    /// The venue that lists it.
    pub venue: VenueId,
    /// Which market.
    pub market: MarketId,
    /// Its index price's feed.
    pub feed: FeedId,
    /// Index price, atoms per lot times 1e9; 0 before the first.
    #[serde(with = "Number::<u128>")]
    pub index: u128,
    /// When that was published.
    pub index_time: TimeMs,
    /// Index and book blended: the median of the index, the middle of the book and the last trade; in the same units.
    #[serde(with = "Number::<u128>")]
    pub mark: u128,
    /// The mark price in ticks, rounded down.
    pub mark_ticks: Ticks,
    /// New risk may not rely on the index price.
    pub stale: bool,
}

/// Funding indices that moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FundingMessage {
    /// The command that moved them.
    pub sequence: Sequence,
    /// Where the message before it stood.
    pub previous: Option<Sequence>,
    /// The frame's time.
    pub time: TimeMs,
    /// Which, and by how much.
    pub funding: Vec<FundingInfo>,
}

/// A perpetual's funding index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FundingInfo {
    /// The venue that lists it.
    pub venue: VenueId,
    /// Which perpetual.
    pub market: MarketId,
    /// What a long lot has paid since the market began, atoms times 1e9.
    #[serde(with = "Number::<i128>")]
    pub index: i128,
    /// By how much that moved.
    #[serde(with = "Number::<i128>")]
    pub moved: i128,
}

/// What happened to accounts that fail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiquidationsMessage {
    /// The command that caused it.
    pub sequence: Sequence,
    /// Where the message before it stood.
    pub previous: Option<Sequence>,
    /// Time of the command's frame.
    pub time: TimeMs,
    /// The engine's events, in order.
    pub events: Vec<MarketEvent>,
}

/// An event of the engine, and where it happened if it happened in a market.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MarketEvent {
    /// The venue that lists the market.
    pub venue: Option<VenueId>,
    /// The market; of what concerns all outcomes of an event, its first.
    pub market: Option<MarketId>,
    /// The event, as JSON: `{"Filled": {…}}`, `{"Cancelled": {…}}` and so on.
    pub event: serde_json::Value,
}

/// What concerns an account: what a command did to it, or that a batch is settled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountMessage {
    /// Whose.
    pub account: AccountId,
    /// The command that caused it; of a settlement, the last one that was known.
    pub sequence: Sequence,
    /// Where the message before it stood.
    pub previous: Option<Sequence>,
    /// Time of the command's frame.
    pub time: TimeMs,
    /// The engine's events, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<MarketEvent>,
    /// What its orders that came to rest are called in public.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<OrderName>,
    /// The frame that was sealed here, if it has something of the account in it: the number of its batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sequence>,
    /// The batch that is settled on chain, if it has something of the account in it. It comes again, with another block, if a
    /// reorganisation took it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<BatchInfo>,
}

/// An order of an account, and what it is called in its book's feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderName {
    /// The order.
    pub nonce: Nonce,
    /// Its public name.
    pub order: PublicOrder,
}

/// Listings, or those that changed, as they are now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MarketsMessage {
    /// The command that changed them.
    pub sequence: Sequence,
    /// Where the message before it stood; none of a snapshot.
    pub previous: Option<Sequence>,
    /// Time of the command's frame.
    pub time: TimeMs,
    /// The listings.
    pub listings: Vec<ListingInfo>,
    /// What changed them, or their venues: the engine's events.
    pub events: Vec<MarketEvent>,
}

/// An event, a perpetual or a spot market, and when it trades.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListingInfo {
    /// The venue that lists it.
    pub venue: VenueId,
    /// Its number.
    pub event: EventId,
    /// Its markets.
    pub markets: Vec<MarketId>,
    /// How far its life has come.
    pub phase: Phase,
    /// When it trades; none if it always does.
    pub hours: Option<Hours>,
    /// Whether its session is open, by its hours.
    pub session: Session,
    /// When that turns: known as soon as the hours are set or the session before has turned.
    pub turns: Option<TimeMs>,
    /// Ticks per lot and outcome, once decided.
    pub payouts: Option<Vec<u64>>,
}

/// Whether a listing trades at this hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Session {
    /// It does, as far as its phase lets it.
    Open,
    /// Not until the next session.
    Closed,
}

/// CRC-32 (that of zlib and Ethernet) over a book's best [`CHECKSUM_LEVELS`] bids and then as many asks, each best first: of
/// every level its price and then its size, as eight bytes each, the highest first.
///
/// ```
/// use xos_api::book_checksum;
/// use xos_types::{Lots, Ticks};
///
/// let bids = [(Ticks(600), Lots(1_000)), (Ticks(590), Lots(250))];
/// let asks = [(Ticks(610), Lots(400))];
/// assert_eq!(book_checksum(bids, asks), 4_140_213_083);
/// assert_eq!(book_checksum([], []), 0);
/// ```
#[must_use]
pub fn book_checksum(
    bids: impl IntoIterator<Item = (Ticks, Lots)>,
    asks: impl IntoIterator<Item = (Ticks, Lots)>,
) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    for (price, size) in bids.into_iter().take(CHECKSUM_LEVELS).chain(asks.into_iter().take(CHECKSUM_LEVELS)) {
        sum.update(&price.0.to_be_bytes());
        sum.update(&size.0.to_be_bytes());
    }
    sum.finalize()
}

/// Why a reader's copy of a book is not the book; it must subscribe again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTheBook {
    /// A message is missing before this one.
    #[error("a message is missing: this one follows {previous:?}, and the copy stands at {at:?}")]
    Gap {
        /// Where the copy stands.
        at: Option<Sequence>,
        /// What the message builds on.
        previous: Option<Sequence>,
    },
    /// The best levels differ.
    #[error("the copy has another checksum than the book at {}", at.0)]
    Checksum {
        /// Where.
        at: Sequence,
    },
}

/// A reader's copy of a book by price.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BookCopy {
    sequence: Option<Sequence>,
    bids: BTreeMap<Ticks, Level>,
    asks: BTreeMap<Ticks, Level>,
}

impl BookCopy {
    /// Takes the next message.
    ///
    /// # Errors
    /// If a message is missing, or the copy is not what the node has.
    pub fn apply(&mut self, message: &BookMessage) -> Result<(), NotTheBook> {
        follows(self.sequence, message.previous)?;
        if message.previous.is_none() {
            *self = Self::default();
        }
        for (side, levels) in [(&mut self.bids, &message.bids), (&mut self.asks, &message.asks)] {
            for level in levels {
                if level.orders == 0 {
                    side.remove(&level.price);
                } else {
                    side.insert(level.price, *level);
                }
            }
        }
        self.sequence = Some(message.sequence);
        let sides = (self.bids().map(|level| (level.price, level.size)), self.asks());
        let checksum = book_checksum(sides.0, sides.1.map(|level| (level.price, level.size)));
        if checksum == message.checksum { Ok(()) } else { Err(NotTheBook::Checksum { at: message.sequence }) }
    }

    /// How far it has come; what to resume `from`.
    #[must_use]
    pub fn sequence(&self) -> Option<Sequence> {
        self.sequence
    }

    /// Buyers' levels, best first.
    pub fn bids(&self) -> impl Iterator<Item = &Level> {
        self.bids.values().rev()
    }

    /// Sellers' levels, best first.
    pub fn asks(&self) -> impl Iterator<Item = &Level> {
        self.asks.values()
    }
}

/// A reader's copy of a book by order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrdersCopy {
    sequence: Option<Sequence>,
    /// Orders that came so far.
    turns: u64,
    orders: BTreeMap<PublicOrder, Standing>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    side: Side,
    price: Ticks,
    turn: u64,
    size: Lots,
}

impl OrdersCopy {
    /// Takes the next message.
    ///
    /// # Errors
    /// If a message is missing, or the copy is not what the node has.
    pub fn apply(&mut self, message: &OrdersMessage) -> Result<(), NotTheBook> {
        follows(self.sequence, message.previous)?;
        if message.previous.is_none() {
            *self = Self::default();
        }
        for change in &message.orders {
            if change.size == Lots(0) {
                self.orders.remove(&change.order);
                continue;
            }
            self.turns += 1;
            let came = Standing { side: change.side, price: change.price, turn: self.turns, size: change.size };
            self.orders.entry(change.order).or_insert(came).size = change.size;
        }
        self.sequence = Some(message.sequence);
        let [bids, asks] = [Side::Buy, Side::Sell].map(|side| self.levels(side));
        let sizes = |levels: Vec<Level>| levels.into_iter().map(|level| (level.price, level.size));
        let checksum = book_checksum(sizes(bids), sizes(asks));
        if checksum == message.checksum { Ok(()) } else { Err(NotTheBook::Checksum { at: message.sequence }) }
    }

    /// How far it has come; what to resume `from`.
    #[must_use]
    pub fn sequence(&self) -> Option<Sequence> {
        self.sequence
    }

    /// A side's orders in the order in which they would fill: name, price and size.
    #[must_use]
    pub fn queue(&self, side: Side) -> Vec<(PublicOrder, Ticks, Lots)> {
        let mut queue: Vec<_> = self.orders.iter().filter(|(_, standing)| standing.side == side).collect();
        queue.sort_unstable_by_key(|(_, standing)| {
            let rank = if side == Side::Buy { u64::MAX - standing.price.0 } else { standing.price.0 };
            (rank, standing.turn)
        });
        queue.into_iter().map(|(order, standing)| (*order, standing.price, standing.size)).collect()
    }

    /// A side by price, best first.
    #[must_use]
    pub fn levels(&self, side: Side) -> Vec<Level> {
        let mut levels: Vec<Level> = Vec::new();
        for (_, price, size) in self.queue(side) {
            match levels.last_mut().filter(|level| level.price == price) {
                Some(level) => {
                    level.size.0 = level.size.0.saturating_add(size.0);
                    level.orders += 1;
                }
                None => levels.push(Level { price, size, orders: 1 }),
            }
        }
        levels
    }
}

/// A snapshot follows anything, a change only what it builds on.
fn follows(at: Option<Sequence>, previous: Option<Sequence>) -> Result<(), NotTheBook> {
    if previous.is_none() || previous == at { Ok(()) } else { Err(NotTheBook::Gap { at, previous }) }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const PAGE: &str = include_str!("../../../docs/feeds.md");

    fn read<M: serde::de::DeserializeOwned + Serialize>(example: &Value) -> M {
        let message: M = serde_json::from_value(example.clone()).unwrap_or_else(|error| panic!("{error}: {example}"));
        assert_eq!(serde_json::to_value(&message).unwrap(), *example, "an example leaves nothing out");
        message
    }

    #[test]
    fn the_page_s_examples_are_messages_and_its_book_has_its_checksums() {
        let blocks = PAGE.split("```json\n").skip(1).map(|block| block.split("\n```").next().unwrap());
        let (mut copy, mut seen) = (BookCopy::default(), Vec::new());
        for example in blocks.map(|block| serde_json::from_str::<Value>(block).unwrap()) {
            let has = |field: &str| example.get(field).is_some();
            // Hashes are cut short on the page.
            let settled = example.get("settled").map(|_| "settled");
            let kind = match settled {
                Some(settled) => settled,
                None if has("bids") => {
                    copy.apply(&read(&example)).unwrap();
                    "book"
                }
                None if has("orders") => {
                    read::<OrdersMessage>(&example);
                    "orders"
                }
                None if has("account") => {
                    read::<AccountMessage>(&example);
                    "account"
                }
                None if has("listings") => {
                    read::<MarketsMessage>(&example);
                    "markets"
                }
                None if has("prices") => {
                    read::<PricesMessage>(&example);
                    "prices"
                }
                None if has("funding") => {
                    read::<FundingMessage>(&example);
                    "funding"
                }
                None => {
                    read::<CandlesMessage>(&example);
                    "candles"
                }
            };
            seen.push(kind);
        }
        let expected = ["book", "book", "orders", "account", "settled", "markets", "prices", "funding", "candles"];
        assert_eq!(seen, expected);
        assert_eq!((copy.bids().count(), copy.asks().count()), (1, 2));
    }

    #[test]
    fn a_copy_notices_what_is_missing_and_what_is_wrong() {
        let level = |price, size| Level { price: Ticks(price), size: Lots(size), orders: 1 };
        let whole = BookMessage {
            venue: VenueId(1),
            market: MarketId(256),
            sequence: Sequence(5),
            previous: None,
            bids: vec![level(600, 10)],
            asks: Vec::new(),
            checksum: book_checksum([(Ticks(600), Lots(10))], []),
        };
        let mut copy = BookCopy::default();
        let change = BookMessage { sequence: Sequence(9), previous: Some(Sequence(5)), ..whole.clone() };
        assert_eq!(copy.apply(&change), Err(NotTheBook::Gap { at: None, previous: Some(Sequence(5)) }));
        copy.apply(&whole).unwrap();
        copy.apply(&change).unwrap();
        let at = Some(Sequence(9));
        assert_eq!(copy.apply(&change), Err(NotTheBook::Gap { at, previous: Some(Sequence(5)) }));
        let wrong = BookMessage { previous: at, sequence: Sequence(12), bids: vec![level(600, 11)], ..whole.clone() };
        assert_eq!(copy.apply(&wrong), Err(NotTheBook::Checksum { at: Sequence(12) }));
        copy.apply(&whole).unwrap();
    }
}
