//! One market's resting orders.

use xos_types::{Lots, MarketId, Nonce, Side, Ticks};

use crate::levels::{Ladder, Level, LevelId, key_of};
use crate::orders::{Handle, Orders, Resting};

/// What a resting order offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// On which side it stands.
    pub side: Side,
    /// At which price.
    pub price: Ticks,
    /// How much.
    pub lots: Lots,
}

/// Where a book most likely keeps what an order will touch; see [`Book::guess`]. Whoever looks ahead reads there, and nobody else
/// relies on it.
#[derive(Clone, Copy, Debug)]
pub struct Guess(pub(crate) LevelId);

/// One market's resting orders: two ladders of price levels. The orders themselves, and the levels, lie in the group's
/// [`Orders`], which every method takes; a book with nothing in it is 48 bytes.
///
/// `depth` below is that of the tree of prices: 11 at most, 2 or 3 where prices lie within 65,536 ticks.
#[derive(Debug)]
pub struct Book {
    market: MarketId,
    /// By side.
    ladders: [Ladder; 2],
}

impl Book {
    /// A book without orders.
    #[must_use]
    pub fn new(market: MarketId) -> Self {
        Self { market, ladders: Default::default() }
    }

    /// Whose orders it holds.
    #[must_use]
    pub fn market(&self) -> MarketId {
        self.market
    }

    /// The best price of a side; `O(1)`.
    #[inline]
    #[must_use]
    pub fn best(&self, side: Side) -> Option<Ticks> {
        let ladder = self.ladder(side);
        (!ladder.is_empty()).then(|| price_of(side, ladder.best_key()))
    }

    /// The best price against which an order of `side` at `limit` would trade; `O(1)`.
    #[inline]
    #[must_use]
    pub fn best_crossing(&self, side: Side, limit: Ticks) -> Option<Ticks> {
        let against = side.opposite();
        let ladder = self.ladder(against);
        let crosses = !ladder.is_empty() && ladder.best_key() <= key_of(against, limit);
        crosses.then(|| price_of(against, ladder.best_key()))
    }

    /// Fetches the second step of the walk that [`Self::guess`] makes; the first one, at the tree's root, is read.
    #[inline]
    pub fn fetch_path<H: Copy + Default, C: Copy>(&self, orders: &Orders<H, C>, side: Side, price: Ticks) {
        orders.levels.fetch_path(self.ladder(side), key_of(side, price));
    }

    /// Where an order would most likely queue, without a look at what lies there; `O(depth)`.
    #[inline]
    #[must_use]
    pub fn guess<H: Copy + Default, C: Copy>(&self, orders: &Orders<H, C>, side: Side, price: Ticks) -> Option<Guess> {
        orders.levels.guess(self.ladder(side), key_of(side, price)).map(Guess)
    }

    /// Where the order lies, most likely, that one of `side` at `limit` would meet first, without a look at it; `O(1)`.
    #[inline]
    #[must_use]
    pub fn guess_crossing(&self, side: Side, limit: Ticks) -> Option<Guess> {
        let against = side.opposite();
        let ladder = self.ladder(against);
        let crosses = !ladder.is_empty() && ladder.best_key() <= key_of(against, limit);
        crosses.then(|| Guess(ladder.best()))
    }

    /// The order that one of `side` at `limit` would meet first; `O(1)`.
    #[inline]
    #[must_use]
    pub fn first_crossing<H: Copy + Default, C: Copy>(
        &self,
        orders: &Orders<H, C>,
        side: Side,
        limit: Ticks,
    ) -> Option<Handle> {
        let against = side.opposite();
        let ladder = self.ladder(against);
        if ladder.is_empty() || ladder.best_key() > key_of(against, limit) {
            return None;
        }
        let level = orders.levels.get(ladder.best());
        Handle::new(if cfg!(feature = "canary") { level.youngest } else { level.oldest })
    }

    /// Levels of a side, best first; `O(depth)` for each.
    pub fn levels<'a, H: Copy + Default, C: Copy>(
        &'a self,
        orders: &'a Orders<H, C>,
        side: Side,
    ) -> impl Iterator<Item = (Ticks, &'a Level)> + use<'a, H, C> {
        self.level_ids(orders, side).map(|id| (orders.levels.price(id), orders.levels.get(id)))
    }

    /// Orders of a side in the order in which they would fill; `O(1)` for each.
    pub fn queue<'a, H: Copy + Default, C: Copy>(
        &'a self,
        orders: &'a Orders<H, C>,
        side: Side,
    ) -> impl Iterator<Item = Handle> + use<'a, H, C> {
        self.level_ids(orders, side).flat_map(|id| {
            let oldest = Handle::new(orders.levels.get(id).oldest);
            core::iter::successors(oldest, |handle| Handle::new(orders.get(*handle).younger))
        })
    }

    /// Adds an order behind all others at its price; `O(depth)`.
    #[inline]
    pub fn insert<H: Copy + Default, C: Copy>(
        &mut self,
        orders: &mut Orders<H, C>,
        nonce: Nonce,
        Limit { side, price, lots }: Limit,
        hot: H,
        cold: impl FnOnce() -> C,
    ) -> Handle {
        let ladder = &mut self.ladders[side as usize];
        let level = orders.levels.level_for(ladder, self.market.0, side, key_of(side, price));
        let handle = orders.occupy(cold);
        let queue = orders.levels.get_mut(level);
        let older = queue.youngest;
        queue.join(handle.0.get(), lots.0);
        let order = &mut orders.records[handle.place()];
        order.remaining = lots.0;
        order.nonce = nonce.0;
        order.older = older;
        order.younger = 0;
        order.level = level;
        order.hot = hot;
        // In an empty level this is the place that belongs to no order.
        orders.records[older as usize].younger = handle.0.get();
        handle
    }

    /// Puts another order of the same side in the place of one that leaves, whose handle it gets; behind all others at its price.
    /// Returns what its user hung on the one that left, to be changed. `O(depth)`.
    ///
    /// # Panics
    /// If the handle's order has left already.
    #[inline]
    pub fn replace<'a, H: Copy + Default, C: Copy>(
        &mut self,
        orders: &'a mut Orders<H, C>,
        handle: Handle,
        nonce: Nonce,
        Limit { side, price, lots }: Limit,
    ) -> &'a mut H {
        let Resting { remaining, older, younger, level, .. } = orders.records[handle.place()];
        assert!(level != LevelId::NONE, "whoever keeps a handle drops it together with the order");
        debug_assert_eq!(
            orders.levels.stands_at(level).0,
            self.market.0,
            "an order stays in the book that it rests in"
        );
        debug_assert_eq!(orders.levels.stands_at(level).1, side, "an order stays on its side");
        orders.records[older as usize].younger = younger;
        orders.records[younger as usize].older = older;
        orders.levels.leave(&mut self.ladders, level, older, younger, remaining);
        let level = orders.levels.level_for(&mut self.ladders[side as usize], self.market.0, side, key_of(side, price));
        let queue = orders.levels.get_mut(level);
        let last = queue.youngest;
        queue.join(handle.0.get(), lots.0);
        orders.records[last as usize].younger = handle.0.get();
        let order = &mut orders.records[handle.place()];
        order.remaining = lots.0;
        order.nonce = nonce.0;
        order.older = last;
        order.younger = 0;
        order.level = level;
        &mut order.hot
    }

    /// Takes `lots` off an order that stays, and keeps its place in the queue; `O(1)`.
    ///
    /// # Panics
    /// If nothing of the order were left.
    #[inline]
    pub fn reduce<H: Copy + Default, C: Copy>(&mut self, orders: &mut Orders<H, C>, handle: Handle, lots: Lots) {
        let order = &mut orders.records[handle.place()];
        assert!(lots.0 < order.remaining, "an order of no lots leaves the book");
        order.remaining -= lots.0;
        orders.levels.get_mut(order.level).reduce(lots.0);
    }

    /// Gives an order that stays other lots, and a place behind all others at its price; `O(1)`.
    ///
    /// # Panics
    /// If nothing of the order were left.
    pub fn requeue<H: Copy + Default, C: Copy>(&mut self, orders: &mut Orders<H, C>, handle: Handle, lots: Lots) {
        assert!(lots.0 > 0, "an order of no lots leaves the book");
        let Resting { remaining, older, younger, level, .. } = orders.records[handle.place()];
        debug_assert_eq!(orders.levels.market(level), self.market.0, "an order stays in the book that it rests in");
        orders.records[older as usize].younger = younger;
        orders.records[younger as usize].older = older;
        // The level may be empty for a moment, and is not given up.
        let queue = orders.levels.get_mut(level);
        queue.leave(older, younger, remaining);
        let last = queue.youngest;
        queue.join(handle.0.get(), lots.0);
        let order = &mut orders.records[handle.place()];
        order.remaining = lots.0;
        order.older = last;
        order.younger = 0;
        orders.records[last as usize].younger = handle.0.get();
    }

    /// Takes an order out; `O(1)`, or `O(depth)` if it was the last at the best price or among 16 neighbouring ones.
    ///
    /// # Panics
    /// If the handle's order has left already.
    #[inline]
    pub fn remove<H: Copy + Default, C: Copy>(&mut self, orders: &mut Orders<H, C>, handle: Handle) {
        let Resting { remaining, older, younger, level, .. } = orders.records[handle.place()];
        assert!(level != LevelId::NONE, "whoever keeps a handle drops it together with the order");
        debug_assert_eq!(orders.levels.market(level), self.market.0, "an order leaves the book that it rests in");
        orders.records[older as usize].younger = younger;
        orders.records[younger as usize].older = older;
        orders.levels.leave(&mut self.ladders, level, older, younger, remaining);
        orders.vacate(handle);
    }

    fn ladder(&self, side: Side) -> &Ladder {
        &self.ladders[side as usize]
    }

    fn level_ids<'a, H: Copy + Default, C: Copy>(
        &'a self,
        orders: &'a Orders<H, C>,
        side: Side,
    ) -> impl Iterator<Item = LevelId> + use<'a, H, C> {
        orders.levels.iter(self.ladder(side))
    }
}

/// Inverse of [`key_of`].
#[inline]
fn price_of(side: Side, key: u64) -> Ticks {
    Ticks(key_of(side, Ticks(key)))
}
