//! A book that somebody listens to, from the engine's events: by price, by order, and its best prices.

use std::collections::BTreeMap;

use xos_api::{
    BboMessage, BookMessage, Cause, Level, OrderChange, OrdersMessage, PublicOrder, Sequence, book_checksum,
};
use xos_engine::{Delta, Depth};
use xos_types::{AccountId, Event, Lots, MarketId, Nonce, Side, Ticks, VenueId};

/// Gives orders names that say nothing of whose they are, the same on every node of a group that has the same key.
#[derive(Clone, Copy)]
pub(crate) struct OrderNames([u8; 32]);

impl OrderNames {
    /// From the sequencer's secret, which cannot be told from them.
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self(blake3::derive_key("Exchange OS, public names of orders", secret))
    }

    pub(crate) fn of(&self, account: AccountId, nonce: Nonce) -> PublicOrder {
        let mut order = [0; 16];
        order[..8].copy_from_slice(&account.0.to_be_bytes());
        order[8..].copy_from_slice(&nonce.0.to_be_bytes());
        let hash = *blake3::keyed_hash(&self.0, &order).as_bytes();
        let [a, b, c, d, e, f, g, h, ..] = hash;
        PublicOrder(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

/// The book, and what changed since it was last shown.
pub(crate) struct FollowedBook {
    venue: VenueId,
    market: MarketId,
    names: OrderNames,
    depth: Depth,
    /// Levels that changed, as they are now.
    levels: BTreeMap<(Side, Ticks), Level>,
    /// What became of orders, in order; only if somebody listens to that.
    changes: Vec<OrderChange>,
    /// The last command that changed it.
    changed_at: u64,
    best: [Option<Level>; 2],
    deltas: Vec<Delta>,
}

/// What is to be shown of it.
pub(crate) struct BookChanges {
    pub(crate) sequence: u64,
    pub(crate) bids: Vec<Level>,
    pub(crate) asks: Vec<Level>,
    pub(crate) orders: Vec<OrderChange>,
    /// Whether the best bid or ask is another.
    pub(crate) best: bool,
    pub(crate) checksum: u32,
}

impl FollowedBook {
    pub(crate) fn new(venue: VenueId, market: MarketId, names: OrderNames, depth: Depth) -> Self {
        let mut book = Self {
            venue,
            market,
            names,
            depth,
            levels: BTreeMap::new(),
            changes: Vec::new(),
            changed_at: 0,
            best: [None; 2],
            deltas: Vec::new(),
        };
        book.best = book.best_now();
        book
    }

    /// Applies an event of this market. `by_order` says whether somebody listens to orders.
    pub(crate) fn apply(&mut self, sequence: u64, event: &Event, by_order: bool) {
        self.deltas.clear();
        self.depth.apply(event, &mut self.deltas);
        let cause = match event {
            Event::Rested { .. } | Event::Refilled { .. } => Cause::Rested,
            Event::Filled(_) | Event::AuctionFilled(_) => Cause::Filled,
            Event::Reduced { .. } => Cause::Reduced,
            _ => Cause::Cancelled,
        };
        for delta in &self.deltas {
            let Delta { side, price, account, nonce, shown, lots, orders, .. } = *delta;
            self.changed_at = sequence;
            self.levels.insert((side, price), Level { price, size: in_lots(lots), orders });
            if by_order {
                let order = self.names.of(account, nonce);
                self.changes.push(OrderChange { sequence: Sequence(sequence), order, side, price, size: shown, cause });
            }
        }
    }

    /// Whether something is to be shown.
    pub(crate) fn has_changed(&self) -> bool {
        !self.levels.is_empty()
    }

    /// Takes what changed since it was last shown, if anything did.
    pub(crate) fn take(&mut self) -> Option<BookChanges> {
        if !self.has_changed() {
            return None;
        }
        let (mut bids, mut asks) = (Vec::new(), Vec::new());
        for ((side, _), level) in std::mem::take(&mut self.levels) {
            match side {
                Side::Buy => bids.push(level),
                Side::Sell => asks.push(level),
            }
        }
        bids.reverse();
        let now = self.best_now();
        let best = now != std::mem::replace(&mut self.best, now);
        let orders = std::mem::take(&mut self.changes);
        Some(BookChanges { sequence: self.changed_at, bids, asks, orders, best, checksum: self.checksum() })
    }

    /// The whole book by price.
    pub(crate) fn whole(&self, sequence: Sequence) -> BookMessage {
        let side = |side| self.side(side).collect();
        self.by_price(sequence, None, side(Side::Buy), side(Side::Sell), self.checksum())
    }

    /// The whole book by order.
    pub(crate) fn whole_orders(&self, sequence: Sequence) -> OrdersMessage {
        let order = |shown: xos_engine::Shown| OrderChange {
            sequence,
            order: self.names.of(shown.account, shown.nonce),
            side: shown.side,
            price: shown.price,
            size: shown.lots,
            cause: Cause::Rested,
        };
        let orders = self.depth.orders(self.market).into_iter().map(order).collect();
        self.by_order(sequence, None, orders, self.checksum())
    }

    /// The best prices as they were last shown.
    pub(crate) fn best(&self, sequence: Sequence, previous: Option<Sequence>) -> BboMessage {
        let [bid, ask] = self.best;
        let (venue, market) = (self.venue, self.market);
        BboMessage { venue, market, sequence, previous, bid, ask }
    }

    /// Levels as a message.
    pub(crate) fn by_price(
        &self,
        sequence: Sequence,
        previous: Option<Sequence>,
        bids: Vec<Level>,
        asks: Vec<Level>,
        checksum: u32,
    ) -> BookMessage {
        let (venue, market) = (self.venue, self.market);
        BookMessage { venue, market, sequence, previous, bids, asks, checksum }
    }

    /// Orders as a message.
    pub(crate) fn by_order(
        &self,
        sequence: Sequence,
        previous: Option<Sequence>,
        orders: Vec<OrderChange>,
        checksum: u32,
    ) -> OrdersMessage {
        let (venue, market) = (self.venue, self.market);
        OrdersMessage { venue, market, sequence, previous, orders, checksum }
    }

    fn best_now(&self) -> [Option<Level>; 2] {
        [Side::Buy, Side::Sell].map(|side| self.side(side).next())
    }

    fn checksum(&self) -> u32 {
        let sizes = |side| self.side(side).map(|level| (level.price, level.size));
        book_checksum(sizes(Side::Buy), sizes(Side::Sell))
    }

    fn side(&self, side: Side) -> impl Iterator<Item = Level> + use<'_> {
        let levels = self.depth.levels(self.market, side);
        levels.map(|(price, lots, orders)| Level { price, size: in_lots(lots), orders })
    }
}

/// A crowd at one price may hold more lots than the type; the most that it can say is said then, as `xos_book` does.
fn in_lots(lots: u128) -> Lots {
    Lots(u64::try_from(lots).unwrap_or(u64::MAX))
}
