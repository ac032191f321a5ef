//! What an account holds at index prices: positions in perpetuals and balances of assets, with the sums over the orders that
//! may change them, and what they count for.
//!
//! **Perpetual.** Resting bids may make a position as long as `size + bid lots`, asks as short as `size − ask lots`. The
//! requirement is that of the larger of both. Orders at a price worse than the index lose the difference when they fill; `loss`
//! is the sum of these, over bids above and asks below the index. With `x = size · index`,
//!
//! ```text
//! value = ⌊(x − loss) / 1e9⌋ + ⌊funding⌋        requirement = ⌈⌈m · index / 1e9⌉ · fraction⌉,  m = max(|size + bids|, |size − asks|)
//! ```
//!
//! *It is a bound.* Whatever part of the orders fills, the position lies between `size − asks` and `size + bids`, so its
//! requirement is not above that of `m`; the trades bring `(Δsize · index + loss of those that filled) / 1e9` less cash than
//! index price at most, an integer, so cash and value together are at least `⌊(x − loss) / 1e9⌋`. *It does not fall when an order
//! fills*: both sides move by the fill alike, and `m` does not grow.
//!
//! **Asset.** A sell counts as gone and its price as not yet here; a buy as paid and not yet here. Whatever fills, the balance
//! is at least `balance − asks`, and cash at least what it is less the bids.

use serde::{Deserialize, Serialize};
use xos_types::{FeedId, Lots, Side};

use crate::feeds::{Board, Feed};
use crate::limits::ASSET_VALUE_MAX;
use crate::packed::{HEADER, Packed};
use crate::perpetual::{Perpetual, largest, requirement};
use crate::wide::{MILLION, PRICE_SCALE, mul_div, times};

/// Everything that an account holds at index prices, by feed, and what it counts for.
///
/// What a holding counts for by itself is not kept: it follows from the holding and its feed, and to reckon it twice costs less
/// than to fetch it.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub(crate) struct Holdings {
    pub(crate) sums: Counts,
    /// By feed.
    list: Packed,
    len: u8,
}

/// What is held at one index price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holding {
    pub(crate) feed: FeedId,
    pub(crate) held: Held,
}

/// A position or a balance, with the sums over the resting orders that may change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Held {
    Perpetual(Perpetual),
    Asset(Asset),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asset {
    /// Atoms.
    pub(crate) balance: u128,
    /// Atoms that resting asks offer; never more than there are.
    pub(crate) ask_atoms: u128,
    /// Lots of resting bids: only whether there are any matters.
    pub(crate) bid_lots: u64,
    /// Atoms of cash that resting bids cost.
    pub(crate) bid_cost: i128,
    /// What came in the open frame.
    pub(crate) recent: Recent,
}

/// What came to an account of an asset in a frame, in whatever of its markets.
///
/// A line that must reduce is judged against the balance that the contract sees there, and it takes one market after the other:
/// what was bought in a later one is not there yet. So once such a line has filled, all that the account sells in the frame is
/// covered by what it had at the frame's start, in whatever order its lines stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recent {
    frame: u64,
    /// Atoms bought, or given by a transfer.
    came: u128,
    /// A line that must reduce has filled.
    reduced: bool,
}

impl Asset {
    /// Lots that may still be sold in the frame; fewer than there are if a line that must reduce is or was among them.
    pub(crate) fn sellable(&self, frame: u64, must_reduce: bool, lot: u64) -> u64 {
        let recent = if self.recent.frame == frame { self.recent } else { Recent::default() };
        let came = if must_reduce || recent.reduced { recent.came } else { 0 };
        u64::try_from(self.balance.saturating_sub(came) / u128::from(lot)).unwrap_or(u64::MAX)
    }

    /// Whether what is there may be sold in any order of lines.
    pub(crate) fn sells_freely(&self, frame: u64) -> bool {
        self.recent.frame != frame || !self.recent.reduced
    }

    fn reserve(&mut self, feed: &Feed, offer: Offer) {
        match offer.side {
            Side::Buy => {
                self.bid_lots += offer.lots.0;
                self.bid_cost += offer.cost();
            }
            Side::Sell => self.ask_atoms += atoms(feed, offer.lots),
        }
    }

    fn release(&mut self, feed: &Feed, offer: Offer) {
        match offer.side {
            Side::Buy => {
                self.bid_lots -= offer.lots.0;
                self.bid_cost -= offer.cost();
            }
            Side::Sell => self.ask_atoms -= atoms(feed, offer.lots),
        }
    }

    /// Lots change hands.
    fn trade(&mut self, feed: &Feed, frame: u64, side: Side, lots: Lots) {
        let atoms = atoms(feed, lots);
        match side {
            Side::Buy => {
                self.balance += atoms;
                self.note(frame, atoms, false);
            }
            Side::Sell => self.balance -= atoms,
        }
    }

    /// See [`Held::requote`]. Only what is offered is to be valued.
    fn requote(&mut self, feed: &Feed, gone: Option<Offer>, comes: Option<Offer>) -> Counts {
        let (cost, offered) = (self.bid_cost, self.ask_atoms);
        gone.into_iter().for_each(|gone| self.release(feed, gone));
        comes.into_iter().for_each(|comes| self.reserve(feed, comes));
        let margin = |offered| self.margin(feed, offered);
        let moved = if self.ask_atoms == offered { 0 } else { margin(self.ask_atoms) - margin(offered) };
        Counts { usd: cost - self.bid_cost, margin: moved }
    }

    /// What it counts for towards initial health if resting asks offer so many atoms: whoever sells counts it as gone.
    fn margin(&self, feed: &Feed, ask_atoms: u128) -> i128 {
        let kept = self.balance.saturating_sub(ask_atoms);
        let weight = if feed.stale { 0 } else { feed.as_asset().initial_weight.0 };
        asset_value(feed, kept) * i128::from(weight) / MILLION
    }

    /// A new frame begins.
    pub(crate) fn forget(&mut self) {
        self.recent = Recent::default();
    }

    /// Notes what came, or that a line that must reduce has filled.
    pub(crate) fn note(&mut self, frame: u64, came: u128, reduced: bool) {
        let before = if self.recent.frame == frame { self.recent } else { Recent::default() };
        self.recent = Recent { frame, came: before.came + came, reduced: before.reduced | reduced };
    }
}

/// What a holding adds to the account's sums, and these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, packed(8))]
pub(crate) struct Counts {
    /// What perpetuals are worth, less what resting buys of assets cost.
    pub(crate) usd: i128,
    /// What assets count for towards initial health, less what perpetuals require for new risk, orders counted.
    pub(crate) margin: i128,
}

/// By how much an account's health would fall if an order stood; negative if it would rise.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fall {
    /// Of cash and what counts as such.
    pub(crate) usd: i128,
    /// Of initial health.
    pub(crate) initial: i128,
}

/// Lots of an order at its price, in atoms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) side: Side,
    pub(crate) lots: Lots,
    /// Atoms of cash per lot: price times quantum.
    lot_price: u64,
}

impl Offer {
    pub(crate) fn new(side: Side, lot_price: u64, lots: Lots) -> Self {
        Self { side, lots, lot_price }
    }

    /// What it loses at once against the index if it fills, atoms times 1e9.
    #[inline]
    pub(crate) fn loss(self, index: i128) -> i128 {
        // Of two factors without a sign, so that it is one multiplication.
        let price = (u128::from(self.lot_price) * PRICE_SCALE.unsigned_abs()).cast_signed();
        let worse = match self.side {
            Side::Buy => price - index,
            Side::Sell => index - price,
        };
        if worse <= 0 { 0 } else { times(worse, self.lots.0.into()) }
    }

    #[inline]
    fn cost(self) -> i128 {
        i128::from(self.lot_price) * i128::from(self.lots.0)
    }
}

impl Holdings {
    pub(crate) fn iter(&self) -> impl Iterator<Item = Holding> {
        self.list.places(0).map(|at| Holding { feed: self.feed_at(at), held: Held::load(&self.list, at) })
    }

    /// Holdings, and feeds with resting orders.
    pub(crate) fn len(&self) -> usize {
        self.len.into()
    }

    /// Fetches what is held.
    #[inline]
    pub(crate) fn fetch(&self) {
        self.list.fetch();
    }

    #[inline]
    pub(crate) fn find(&self, feed: FeedId) -> Option<Held> {
        self.list.find(key(feed)).map(|at| Held::load(&self.list, at))
    }

    pub(crate) fn contains(&self, feed: FeedId) -> bool {
        self.list.find(key(feed)).is_some()
    }

    #[inline]
    pub(crate) fn perpetual(&self, feed: FeedId) -> Option<Perpetual> {
        match self.find(feed)? {
            Held::Perpetual(held) => Some(held),
            Held::Asset(_) => None,
        }
    }

    #[inline]
    pub(crate) fn asset(&self, feed: FeedId) -> Option<Asset> {
        match self.find(feed)? {
            Held::Asset(held) => Some(held),
            Held::Perpetual(_) => None,
        }
    }

    /// Lots of a perpetual, and of the bids and asks that rest in it.
    #[inline]
    pub(crate) fn position(&self, feed: FeedId) -> (i64, [u64; 2]) {
        match self.list.find(key(feed)) {
            Some(at) if self.list.tag(at) & PERPETUAL != 0 => Perpetual::position(&self.list, at),
            _ => (0, [0; 2]),
        }
    }

    /// Whether there is a place for a feed, and nothing at it.
    #[inline]
    pub(crate) fn is_vacant(&self, feed: FeedId) -> bool {
        // Of most perpetuals there is something, and that is soon seen.
        self.position(feed) == (0, [0; 2]) && self.find(feed).is_some_and(Held::is_empty)
    }

    /// Positions and balances that are not zero: what the contract counts.
    pub(crate) fn held(&self) -> usize {
        self.iter().filter(|holding| holding.held.is_held()).count()
    }

    /// Makes a place for a feed that the account has nothing at.
    pub(crate) fn open(&mut self, id: FeedId, feed: &Feed) {
        let held = Held::nothing(feed);
        let at = self.list.insert(key(id), 0, if feed.is_perpetual() { Perpetual::WORDS } else { HEADER });
        held.store(&mut self.list, at);
        self.len += 1;
    }

    /// A holding as a snapshot has it.
    pub(crate) fn restore(&mut self, id: FeedId, feed: &Feed, held: Held) {
        self.open(id, feed);
        self.change(id, feed, |place| *place = held);
    }

    /// Gives up the place of a feed at which there is nothing left.
    pub(crate) fn close(&mut self, feed: FeedId, board: &Board) {
        let at = self.list.find(key(feed)).expect("what is given up is there");
        self.list.remove(at);
        self.len -= 1;
        // If the feed has moved since it was last valued, what the place counted for is not what was taken off the sums.
        self.revalue(board, |_| false);
    }

    /// Changes a holding and carries what that moves into the sums.
    ///
    /// # Panics
    /// If there is no place for the feed.
    pub(crate) fn change<T>(&mut self, id: FeedId, feed: &Feed, change: impl FnOnce(&mut Held) -> T) -> T {
        let at = self.place_of(id);
        let before = Held::load(&self.list, at);
        let mut held = before;
        let result = change(&mut held);
        held.store(&mut self.list, at);
        self.count(held.counts_more_than(&before, feed));
        result
    }

    /// Changes something of a holding that counts for nothing.
    ///
    /// # Panics
    /// If there is no place for the feed.
    pub(crate) fn amend<T>(&mut self, id: FeedId, change: impl FnOnce(&mut Held) -> T) -> T {
        let at = self.place_of(id);
        let mut held = Held::load(&self.list, at);
        let result = change(&mut held);
        held.store(&mut self.list, at);
        result
    }

    /// Lots change hands, which an order had offered that rested, or one that arrived. Returns the cash that funding up to now brings.
    ///
    /// # Panics
    /// If there is no place for the feed.
    pub(crate) fn trade(
        &mut self,
        id: FeedId,
        feed: &Feed,
        frame: u64,
        (side, lots): (Side, Lots),
        rested: Option<Offer>,
    ) -> i128 {
        let at = self.place_of(id);
        if self.list.tag(at) & PERPETUAL == 0 {
            return self.change(id, feed, |held| {
                let asset = held.asset();
                rested.into_iter().for_each(|offer| asset.release(feed, offer));
                asset.trade(feed, frame, side, lots);
                0
            });
        }
        // Without a look at what else it might be: a fill does little beside this.
        let before = self.perpetual_at(at);
        let mut held = before;
        rested.into_iter().for_each(|offer| held.release(feed, offer));
        let paid = held.trade(feed, side, lots);
        held.store(&mut self.list, at, PERPETUAL | IN_FRAME);
        self.count(held.counts_more_than(&before, feed));
        paid
    }

    /// One line of a sealed frame, as the contract settles it (see [`Perpetual::settle`]); the position before it and behind it.
    ///
    /// # Panics
    /// If there is no place for the feed.
    #[inline]
    pub(crate) fn settle(&mut self, feed: FeedId, side: Side, lots: Lots, notional: u128) -> (i64, i64) {
        let at = self.place_of(feed);
        let mut held = self.perpetual_at(at);
        let before = held.settled_size;
        held.settle(side, lots, notional);
        held.store(&mut self.list, at, PERPETUAL);
        (before, held.settled_size)
    }

    /// The position in a perpetual when all lines of a frame are settled; `None` if its place was given up.
    #[inline]
    pub(crate) fn settled(&self, feed: FeedId) -> Option<i64> {
        let held = self.perpetual_at(self.list.find(key(feed))?);
        assert_eq!(held.size, held.settled_size, "the lines of a frame are all that traded");
        Some(held.size)
    }

    /// The record there, which is of a perpetual.
    #[inline(always)]
    fn perpetual_at(&self, at: usize) -> Perpetual {
        Perpetual::load(&self.list, at, self.list.tag(at) & IN_FRAME != 0)
    }

    /// Values everything anew, orders at those feeds as if they lost nothing.
    pub(crate) fn revalue(&mut self, board: &Board, price_moved: impl Fn(FeedId) -> bool) {
        self.sums = Counts::default();
        let mut at = 0;
        while let Some(id) = self.list.key(at).map(feed_of) {
            let (tag, feed) = (self.list.tag(at), &board[id]);
            let counts = if tag & PERPETUAL == 0 {
                Held::load(&self.list, at).counts(feed)
            } else {
                let mut held = self.perpetual_at(at);
                if held.loss != 0 && price_moved(id) {
                    held.loss = 0;
                    held.store(&mut self.list, at, tag);
                }
                held.counts(feed)
            };
            self.count(counts);
            at = self.list.next(at);
        }
    }

    /// The feeds of all places, ascending.
    pub(crate) fn feeds(&self) -> impl Iterator<Item = FeedId> {
        self.list.places(0).map(|at| self.feed_at(at))
    }

    /// By how much initial health would fall without so many atoms of an asset, which are free.
    pub(crate) fn fall_without(&self, id: FeedId, feed: &Feed, amount: u128) -> i128 {
        let Some(mut held) = self.find(id) else { return 0 };
        let before = held.counts(feed).margin;
        held.asset().balance -= amount;
        before - held.counts(feed).margin
    }

    /// By how much health would fall if the offer stood too, and the other did not.
    #[inline]
    pub(crate) fn fall(&self, id: FeedId, feed: &Feed, offer: Offer, gone: Option<Offer>) -> Fall {
        let mut held = self.find(id).unwrap_or_else(|| Held::nothing(feed));
        let moved = held.requote(feed, gone, Some(offer));
        Fall { usd: -moved.usd, initial: -moved.usd - moved.margin }
    }

    /// An offer no longer rests, another begins to, or both; carries what that moves into the sums.
    ///
    /// # Panics
    /// If there is no place for the feed.
    #[inline]
    pub(crate) fn requote(&mut self, id: FeedId, feed: &Feed, gone: Option<Offer>, comes: Option<Offer>) {
        let at = self.place_of(id);
        if self.list.tag(at) & PERPETUAL != 0 {
            let (size, before) = Perpetual::position(&self.list, at);
            let mut offered = before;
            gone.into_iter().for_each(|gone| offered[gone.side as usize] -= gone.lots.0);
            comes.into_iter().for_each(|comes| offered[comes.side as usize] += comes.lots.0);
            return self.offer(at, feed, size, [before, offered], [gone, comes]);
        }
        let mut held = Held::load(&self.list, at);
        let moved = held.requote(feed, gone, comes);
        held.store(&mut self.list, at);
        self.count(moved);
    }

    /// On one side of a perpetual an offer leaves (of no lots if there was none) and another comes, unless there is no place for
    /// it or all that side's offers would make the position larger than `most`; whether they did.
    #[inline]
    pub(crate) fn shift(&mut self, id: FeedId, feed: &Feed, gone: Offer, comes: Offer, most: u64) -> bool {
        let Some(at) = self.list.find(key(id)).filter(|at| self.list.tag(*at) & PERPETUAL != 0) else { return false };
        let (size, before) = Perpetual::position(&self.list, at);
        let side = comes.side;
        let mut offered = before;
        offered[side as usize] = before[side as usize] - gone.lots.0 + comes.lots.0;
        // A position and what its orders may make of it are within 2 · POSITION_MAX.
        let (towards, on_side) = (1 - 2 * (side as i64), offered[side as usize].cast_signed());
        if size * towards + on_side > most.cast_signed() {
            return false;
        }
        let gone = (gone.lots != Lots(0)).then_some(gone);
        self.offer(at, feed, size, [before, offered], [gone, Some(comes)]);
        true
    }

    /// Other lots are offered of a perpetual than before, because an offer leaves, another comes, or both. Most orders lose nothing
    /// against the index and lie on the side that is not the larger: then nothing is to be reckoned.
    #[inline(always)]
    fn offer(
        &mut self,
        at: usize,
        feed: &Feed,
        size: i64,
        [before, offered]: [[u64; 2]; 2],
        [gone, comes]: [Option<Offer>; 2],
    ) {
        let loss = |offer: Option<Offer>| offer.map_or(0, |offer| offer.loss(feed.price));
        let moved = loss(comes) - loss(gone);
        if moved != 0 || !Perpetual::offer(&mut self.list, at, offered) {
            let (tag, mut held) = (self.list.tag(at), self.perpetual_at(at));
            let worth = held.value(feed);
            held.offered = offered;
            held.loss += moved;
            held.store(&mut self.list, at, tag);
            self.sums.usd += held.value(feed) - worth;
        }
        let (was, now) = (largest(size, before), largest(size, offered));
        if was != now {
            // What counts alone is the sum already.
            let counted = if self.len == 1 { -self.sums.margin } else { requirement(was, feed) };
            self.sums.margin += counted - requirement(now, feed);
        }
    }

    /// An offer of an asset leaves (of no lots if there was none) and another comes, on the same side, unless there is no place for
    /// it or more would be offered than is there; whether they did.
    pub(crate) fn shift_asset(&mut self, id: FeedId, feed: &Feed, gone: Offer, comes: Offer) -> bool {
        let Some(at) = self.list.find(key(id)) else { return false };
        let mut held = Held::load(&self.list, at);
        let asset = held.asset();
        let moved = asset.requote(feed, Some(gone), Some(comes));
        if comes.side == Side::Sell && asset.ask_atoms > asset.balance {
            return false;
        }
        held.store(&mut self.list, at);
        self.count(moved);
        true
    }

    #[inline]
    fn place_of(&self, feed: FeedId) -> usize {
        self.list.find(key(feed)).expect("a place is made before anything is held or ordered")
    }

    fn feed_at(&self, at: usize) -> FeedId {
        feed_of(self.list.key(at).expect("a record lies there"))
    }

    #[inline]
    fn count(&mut self, moved: Counts) {
        self.sums.usd += moved.usd;
        self.sums.margin += moved.margin;
    }
}

fn key(feed: FeedId) -> u32 {
    feed.0.into()
}

fn feed_of(key: u32) -> FeedId {
    FeedId(u8::try_from(key).expect("it was a feed's"))
}

/// Tags of a holding's record: it is of a perpetual; lines of it are still to be settled, or a line that must reduce has filled.
const PERPETUAL: u8 = 1;
const IN_FRAME: u8 = 2;

impl Held {
    /// What stands in a record. What is most often not zero, and what most often changes, comes first.
    #[inline(always)]
    fn load(list: &Packed, at: usize) -> Self {
        let tag = list.tag(at);
        if tag & PERPETUAL != 0 {
            return Self::Perpetual(Perpetual::load(list, at, tag & IN_FRAME != 0));
        }
        let [balance, ask_atoms, bid_lots, bid_cost, frame, came] = list.read(at);
        let recent = Recent { frame: unsigned(frame), came: came.cast_unsigned(), reduced: tag & IN_FRAME != 0 };
        Self::Asset(Asset {
            balance: balance.cast_unsigned(),
            ask_atoms: ask_atoms.cast_unsigned(),
            bid_lots: unsigned(bid_lots),
            bid_cost,
            recent,
        })
    }

    #[inline(always)]
    fn store(self, list: &mut Packed, at: usize) {
        let in_frame = |marked: bool| if marked { IN_FRAME } else { 0 };
        match self {
            Self::Perpetual(held) => held.store(list, at, PERPETUAL | in_frame(held.unsettled)),
            Self::Asset(Asset { balance, ask_atoms, bid_lots, bid_cost, recent }) => {
                let (balance, ask_atoms, came) =
                    (balance.cast_signed(), ask_atoms.cast_signed(), recent.came.cast_signed());
                let numbers = [balance, ask_atoms, bid_lots.into(), bid_cost, recent.frame.into(), came];
                list.write(at, in_frame(recent.reduced), &numbers);
            }
        }
    }

    /// Nothing held, and no orders.
    fn nothing(feed: &Feed) -> Self {
        if feed.is_perpetual() { Self::Perpetual(Perpetual::default()) } else { Self::Asset(Asset::default()) }
    }

    pub(crate) fn is_held(self) -> bool {
        match self {
            Self::Perpetual(held) => held.size != 0,
            Self::Asset(held) => held.balance != 0,
        }
    }

    pub(crate) fn is_perpetual(self) -> bool {
        matches!(self, Self::Perpetual(_))
    }

    /// Nothing held and no orders.
    pub(crate) fn is_empty(self) -> bool {
        match self {
            Self::Perpetual(held) => held.size == 0 && !held.unsettled && held.offered == [0; 2],
            Self::Asset(held) => held.balance == 0 && held.ask_atoms == 0 && held.bid_lots == 0 && !held.recent.reduced,
        }
    }

    pub(crate) fn perpetual(&mut self) -> &mut Perpetual {
        match self {
            Self::Perpetual(held) => held,
            Self::Asset(_) => unreachable!("a feed is one kind for ever"),
        }
    }

    pub(crate) fn asset(&mut self) -> &mut Asset {
        match self {
            Self::Asset(held) => held,
            Self::Perpetual(_) => unreachable!("a feed is one kind for ever"),
        }
    }

    /// The same with no orders.
    pub(crate) fn without_orders(self) -> Self {
        match self {
            Self::Perpetual(held) => Self::Perpetual(Perpetual { offered: [0; 2], loss: 0, ..held }),
            Self::Asset(held) => Self::Asset(Asset { bid_lots: 0, bid_cost: 0, ask_atoms: 0, ..held }),
        }
    }

    /// An offer begins to rest.
    #[inline]
    pub(crate) fn reserve(&mut self, feed: &Feed, offer: Offer) {
        match self {
            Self::Perpetual(held) => held.reserve(feed, offer),
            Self::Asset(held) => held.reserve(feed, offer),
        }
    }

    /// Lots change hands. Returns the cash that funding up to now brings.
    pub(crate) fn trade(&mut self, feed: &Feed, frame: u64, side: Side, lots: Lots) -> i128 {
        match self {
            Self::Perpetual(held) => held.trade(feed, side, lots),
            Self::Asset(held) => {
                held.trade(feed, frame, side, lots);
                0
            }
        }
    }

    /// Orders leave or come, and nothing else moves; by how much what it counts for does.
    #[inline]
    fn requote(&mut self, feed: &Feed, gone: Option<Offer>, comes: Option<Offer>) -> Counts {
        match self {
            Self::Perpetual(held) => held.requote(feed, gone, comes),
            Self::Asset(held) => held.requote(feed, gone, comes),
        }
    }

    /// By how much it counts for more than it did before something of it changed.
    #[inline]
    fn counts_more_than(&self, before: &Self, feed: &Feed) -> Counts {
        if let (Self::Perpetual(held), Self::Perpetual(before)) = (self, before) {
            return held.counts_more_than(before, feed);
        }
        let (before, now) = (before.counts(feed), self.counts(feed));
        Counts { usd: now.usd - before.usd, margin: now.margin - before.margin }
    }

    fn counts(&self, feed: &Feed) -> Counts {
        match self {
            Self::Perpetual(held) => held.counts(feed),
            Self::Asset(held) => Counts { usd: -held.bid_cost, margin: held.margin(feed, held.ask_atoms) },
        }
    }
}

/// A number of a record that was stored as one of 64 bits.
#[inline]
fn unsigned(number: i128) -> u64 {
    u64::try_from(number).expect("it was stored as one")
}

/// Atoms of so many lots of an asset.
pub(crate) fn atoms(feed: &Feed, lots: Lots) -> u128 {
    u128::from(lots.0) * u128::from(feed.as_asset().lot)
}

/// What a balance is worth, in atoms of cash, rounded down.
pub(crate) fn asset_value(feed: &Feed, balance: u128) -> i128 {
    let divisor = u128::from(feed.as_asset().lot) * PRICE_SCALE.unsigned_abs();
    let value = mul_div(balance, feed.price.unsigned_abs(), divisor).min(ASSET_VALUE_MAX);
    i128::try_from(value).expect("ASSET_VALUE_MAX is far below 2^127")
}
