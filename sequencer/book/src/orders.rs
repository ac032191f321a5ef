//! The orders of every book of a group, in one slab.

use core::num::NonZeroU32;

use xos_types::{Lots, MarketId, Nonce, Side, Ticks};

use crate::book::{Guess, Limit};
use crate::fetch::fetch;
use crate::levels::{LevelId, Levels};

/// Where an order lies as long as it rests. Reused afterwards, so whoever keeps one drops it together with the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(pub(crate) NonZeroU32);

impl Handle {
    #[inline]
    pub(crate) fn new(place: u32) -> Option<Self> {
        NonZeroU32::new(place).map(Self)
    }

    #[inline]
    pub(crate) fn place(self) -> usize {
        self.0.get() as usize
    }
}

/// An order in a book.
///
/// `H` is what its user needs at every match, beside the links; with 12 bytes of it a record has 40.
#[derive(Clone, Copy, Debug)]
pub struct Resting<H> {
    pub(crate) remaining: u64,
    pub(crate) nonce: u64,
    /// Neighbours in the level's queue, 0 at its ends. In a vacant place, `younger` is the next vacant one.
    pub(crate) older: u32,
    pub(crate) younger: u32,
    pub(crate) level: LevelId,
    /// What the user of the book hangs on it.
    pub hot: H,
}

impl<H> Resting<H> {
    /// Lots that still rest.
    #[inline]
    pub fn remaining(&self) -> Lots {
        Lots(self.remaining)
    }

    /// Its name within its account.
    #[inline]
    pub fn nonce(&self) -> Nonce {
        Nonce(self.nonce)
    }
}

/// Every resting order of a group, and the price levels of its books.
///
/// `H` lies with each order's links, `C` apart from them: what only a first fill, a cancel or a question asks for.
#[derive(Debug)]
pub struct Orders<H, C = ()> {
    /// The first place belongs to no order: links that lead nowhere lead there, so that following one needs no branch.
    pub(crate) records: Vec<Resting<H>>,
    cold: Chunks<C>,
    pub(crate) levels: Levels,
    /// The first vacant place; 0 for none.
    vacant: u32,
    len: usize,
}

impl<H: Copy + Default, C: Copy> Default for Orders<H, C> {
    fn default() -> Self {
        Self { records: Vec::new(), cold: Chunks::default(), levels: Levels::default(), vacant: 0, len: 0 }
    }
}

/// A level that no order has: the mark of a vacant place.
const VACANT: LevelId = LevelId::NONE;

impl<H: Copy + Default, C: Copy> Orders<H, C> {
    /// Number of resting orders.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no order rests.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A resting order; `O(1)`.
    #[inline]
    #[must_use]
    pub fn get(&self, handle: Handle) -> &Resting<H> {
        &self.records[handle.place()]
    }

    /// What its user hung on a resting order, to be changed; `O(1)`.
    #[inline]
    pub fn hot_mut(&mut self, handle: Handle) -> &mut H {
        &mut self.records[handle.place()].hot
    }

    /// The part of an order that lies apart; `O(1)`.
    #[inline]
    #[must_use]
    pub fn cold(&self, handle: Handle) -> &C {
        self.cold.get(handle.place() - 1)
    }

    /// The same, to be changed; `O(1)`.
    #[inline]
    pub fn cold_mut(&mut self, handle: Handle) -> &mut C {
        self.cold.get_mut(handle.place() - 1)
    }

    /// Its market, and what it offers there.
    #[inline(always)]
    #[must_use]
    pub fn limit(&self, handle: Handle) -> (MarketId, Limit) {
        let order = self.get(handle);
        let (market, side, price) = self.levels.stands_at(order.level);
        (MarketId(market), Limit { side, price, lots: order.remaining() })
    }

    /// Its market.
    #[inline]
    #[must_use]
    pub fn market(&self, handle: Handle) -> MarketId {
        MarketId(self.levels.market(self.get(handle).level))
    }

    /// Its side of the book.
    #[inline]
    #[must_use]
    pub fn side(&self, handle: Handle) -> Side {
        self.levels.side(self.get(handle).level)
    }

    /// Its price.
    #[inline]
    #[must_use]
    pub fn price(&self, handle: Handle) -> Ticks {
        self.levels.price(self.get(handle).level)
    }

    /// Fetches an order's links and what its user hung on it.
    #[inline]
    pub fn fetch(&self, handle: Handle) {
        let order = self.get(handle);
        fetch(&order.remaining);
        fetch(&order.hot);
    }

    /// Fetches what a change of an order touches beside its own links, which are to be there: its level and its neighbours in
    /// the queue. The order may have left in between.
    #[inline]
    pub fn fetch_around(&self, handle: Handle) {
        let order = self.get(handle);
        fetch(&self.records[order.older as usize].younger);
        fetch(&self.records[order.younger as usize].older);
        self.levels.fetch(order.level);
    }

    /// The youngest order where an order would most likely queue, if there is one.
    #[inline]
    #[must_use]
    pub fn youngest_at(&self, guess: Guess) -> Option<Handle> {
        Handle::new(self.levels.get(guess.0).youngest)
    }

    /// The order that most likely is the first of a queue, if there is one.
    #[inline]
    #[must_use]
    pub fn oldest_at(&self, guess: Guess) -> Option<Handle> {
        Handle::new(self.levels.get(guess.0).oldest)
    }

    /// Fetches the level at a guess.
    #[inline]
    pub fn fetch_level(&self, guess: Guess) {
        self.levels.fetch(guess.0);
    }

    /// Leaves and inner nodes of the trees of prices, for whoever watches memory.
    #[must_use]
    pub fn tree_size(&self) -> (usize, usize) {
        self.levels.len()
    }

    /// A place for one more order. What lies there is stale; writing it field by field spares a copy that the processor
    /// would have to wait for.
    #[inline]
    pub(crate) fn occupy(&mut self, cold: impl FnOnce() -> C) -> Handle {
        self.len += 1;
        match Handle::new(self.vacant) {
            Some(handle) => {
                self.vacant = self.records[handle.place()].younger;
                *self.cold.get_mut(handle.place() - 1) = cold();
                handle
            }
            None => self.grow(cold()),
        }
    }

    #[cold]
    fn grow(&mut self, cold: C) -> Handle {
        let stale = Resting { remaining: 0, nonce: 0, older: 0, younger: 0, level: VACANT, hot: H::default() };
        if self.records.is_empty() {
            self.records.push(stale);
        }
        if self.records.len() == self.records.capacity() {
            // By a sixteenth: doubling would leave up to half of the memory idle, and large blocks grow by moving pages.
            self.records.reserve_exact(64.max(self.records.len() / 16));
        }
        let place = u32::try_from(self.records.len()).expect("memory ends long before 2^32 orders");
        self.records.push(stale);
        self.cold.push(cold);
        Handle::new(place).expect("the first place is taken")
    }

    /// Gives a place back.
    #[inline]
    pub(crate) fn vacate(&mut self, handle: Handle) {
        let place = &mut self.records[handle.place()];
        place.level = VACANT;
        place.younger = self.vacant;
        self.vacant = handle.0.get();
        self.len -= 1;
    }
}

/// A vector in pieces of [`CHUNK`], so that growing it neither moves nor wastes what is large.
#[derive(Debug)]
struct Chunks<C>(Vec<Vec<C>>);

const CHUNK: usize = 1024;

impl<C> Default for Chunks<C> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<C> Chunks<C> {
    #[inline]
    fn get(&self, index: usize) -> &C {
        &self.0[index / CHUNK][index % CHUNK]
    }

    #[inline]
    fn get_mut(&mut self, index: usize) -> &mut C {
        &mut self.0[index / CHUNK][index % CHUNK]
    }

    fn push(&mut self, record: C) {
        match self.0.last_mut().filter(|chunk| chunk.len() < CHUNK) {
            Some(chunk) => chunk.push(record),
            None => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(record);
                self.0.push(chunk);
            }
        }
    }
}
