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

use crate::feeds::{Feed, notional, scaled};
use crate::limits::ASSET_VALUE_MAX;
use crate::room::{SIXTEENTH, make_room};
use crate::wide::{MILLION, PRICE_SCALE, floor, mul_div, times};

/// Everything that an account holds at index prices, by feed, and what it counts for.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Holdings {
    /// Σ of `value`, less what resting buys of assets cost.
    pub(crate) usd: i128,
    /// Σ of what assets count for towards initial health, less what perpetuals require for new risk, orders counted.
    pub(crate) margin: i128,
    list: Vec<Holding>,
    /// The feeds of the first few of the list: whoever looks for one need not look at the others.
    first: [FeedId; FIRST],
}

/// Feeds that are found without a look at the list. Most accounts hold at no more.
const FIRST: usize = 16;

/// What is held at one index price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holding {
    pub(crate) feed: FeedId,
    /// Where the feed's list of holders has the account.
    pub(crate) place: u32,
    pub(crate) held: Held,
    counts: Counts,
}

/// A position or a balance, with the sums over the resting orders that may change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Held {
    Perpetual(Perpetual),
    Asset(Asset),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[repr(C, packed(8))]
pub(crate) struct Perpetual {
    /// Signed lots.
    pub(crate) size: i64,
    /// Funding index up to which it has paid.
    pub(crate) paid_up_to: i128,
    /// Lots and average entry price in ticks when the last frame was sealed, as the contract has them; see
    /// [`Perpetual::settle`].
    pub(crate) settled_size: i64,
    pub(crate) entry: u64,
    /// Lines of the open frame are still to be settled.
    pub(crate) unsettled: bool,
    /// Lots of resting bids and of resting asks.
    pub(crate) offered: [u64; 2],
    /// What bids above and asks below the index lose if they fill: atoms times 1e9, at the open frame's price.
    pub(crate) loss: i128,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[repr(C, packed(8))]
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
#[repr(C, packed(8))]
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

/// What a holding adds to the account's sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, packed(8))]
struct Counts {
    usd: i128,
    /// What it counts for, or less what it requires.
    margin: i128,
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
        let price = i128::from(self.lot_price) * PRICE_SCALE;
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
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Holding> {
        self.list.iter()
    }

    /// Holdings, and feeds with resting orders.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Reads a bit of each cache line of an entry, so that they are fetched.
    pub(crate) fn glance(&self, feed: FeedId) -> u64 {
        let Some(holding) = self.find(feed) else { return 0 };
        let held = match holding.held {
            Held::Perpetual(held) => held.offered[0] ^ held.entry ^ u64::from(held.paid_up_to != 0),
            Held::Asset(held) => held.bid_lots ^ held.recent.frame ^ u64::from(held.balance != 0),
        };
        held ^ u64::from({ holding.counts.margin } != 0)
    }

    #[inline]
    pub(crate) fn find(&self, feed: FeedId) -> Option<&Holding> {
        self.place_of(feed).map(|place| &self.list[place])
    }

    pub(crate) fn find_mut(&mut self, feed: FeedId) -> Option<&mut Holding> {
        self.place_of(feed).map(|place| &mut self.list[place])
    }

    /// Where a feed is in the list.
    #[inline]
    fn place_of(&self, feed: FeedId) -> Option<usize> {
        let few = self.list.len().min(FIRST);
        match self.first[..few].iter().position(|first| *first == feed) {
            None if self.list.len() > FIRST => self.list.iter().position(|holding| holding.feed == feed),
            place => place,
        }
    }

    /// Notes the feeds of the first few anew, after the list has changed.
    fn note_first(&mut self) {
        for (first, holding) in self.first.iter_mut().zip(&self.list) {
            *first = holding.feed;
        }
    }

    #[inline]
    pub(crate) fn perpetual(&self, feed: FeedId) -> Option<&Perpetual> {
        match &self.find(feed)?.held {
            Held::Perpetual(held) => Some(held),
            Held::Asset(_) => None,
        }
    }

    #[inline]
    pub(crate) fn asset(&self, feed: FeedId) -> Option<&Asset> {
        match &self.find(feed)?.held {
            Held::Asset(held) => Some(held),
            Held::Perpetual(_) => None,
        }
    }

    /// Positions and balances that are not zero: what the contract counts.
    pub(crate) fn held(&self) -> usize {
        self.list.iter().filter(|holding| holding.is_held()).count()
    }

    /// Makes a place for a feed that the account has nothing at; `place` is where the feed lists the account.
    pub(crate) fn open(&mut self, id: FeedId, feed: &Feed, place: u32) {
        let held =
            if feed.is_perpetual() { Held::Perpetual(Perpetual::default()) } else { Held::Asset(Asset::default()) };
        let at = self.list.partition_point(|holding| holding.feed < id);
        make_room(&mut self.list, SIXTEENTH);
        self.list.insert(at, Holding { feed: id, place, held, counts: Counts::default() });
        self.note_first();
    }

    /// A holding as a snapshot has it, behind all others.
    pub(crate) fn restore(&mut self, id: FeedId, feed: &Feed, place: u32, held: Held) {
        self.list.push(Holding { feed: id, place, held, counts: Counts::default() });
        self.note_first();
        self.change(id, feed, |_| ());
    }

    /// Gives up the place of a feed at which there is nothing left.
    pub(crate) fn close(&mut self, feed: FeedId) {
        self.list.retain(|holding| holding.feed != feed);
        self.note_first();
    }

    /// Changes a holding and carries what that moves into the sums.
    ///
    /// # Panics
    /// If there is no place for the feed.
    pub(crate) fn change<T>(&mut self, id: FeedId, feed: &Feed, change: impl FnOnce(&mut Held) -> T) -> T {
        let place = self.place_of(id).expect("a place is made before anything is held or ordered");
        self.change_at(place, feed, change)
    }

    /// The feed of a place in the list, which is below [`Self::len`].
    #[inline]
    pub(crate) fn feed_at(&self, place: usize) -> FeedId {
        if place < FIRST { self.first[place] } else { self.list[place].feed }
    }

    /// As [`Self::change`], at that place in the list.
    pub(crate) fn change_at<T>(&mut self, place: usize, feed: &Feed, change: impl FnOnce(&mut Held) -> T) -> T {
        let holding = &mut self.list[place];
        let result = change(&mut holding.held);
        let (before, after) = (holding.counts, holding.held.counts(feed));
        holding.counts = after;
        self.count(before, after);
        result
    }

    /// By how much initial health would fall without so many atoms of an asset, which are free.
    pub(crate) fn fall_without(&self, id: FeedId, feed: &Feed, amount: u128) -> i128 {
        let Some(holding) = self.find(id) else { return 0 };
        let mut held = holding.held;
        held.asset().balance -= amount;
        holding.counts.margin - held.counts(feed).margin
    }

    /// By how much health would fall if the offer stood too, and the other did not.
    #[inline]
    pub(crate) fn fall(&self, id: FeedId, feed: &Feed, offer: Offer, gone: Option<Offer>) -> Fall {
        let (mut held, before) = match self.find(id) {
            Some(holding) => (holding.held, holding.counts),
            None if feed.is_perpetual() => (Held::Perpetual(Perpetual::default()), Counts::default()),
            None => (Held::Asset(Asset::default()), Counts::default()),
        };
        let after = held.requote(feed, gone, Some(offer), before);
        let usd = before.usd - after.usd;
        let initial = usd + before.margin - after.margin;
        Fall { usd, initial }
    }

    /// An offer no longer rests, another begins to, or both; carries what that moves into the sums.
    ///
    /// # Panics
    /// If there is no place for the feed.
    #[inline]
    pub(crate) fn requote(&mut self, id: FeedId, feed: &Feed, gone: Option<Offer>, comes: Option<Offer>) {
        let holding = self.find_mut(id).expect("a place is made before anything is held or ordered");
        let before = holding.counts;
        holding.counts = holding.held.requote(feed, gone, comes, before);
        let after = holding.counts;
        self.count(before, after);
    }

    /// On one side of a perpetual an offer leaves (of no lots if there was none) and another comes, unless there is no place for
    /// it or all that side's offers would make the position larger than `most`; whether they did.
    #[inline]
    pub(crate) fn shift(&mut self, id: FeedId, feed: &Feed, gone: Offer, comes: Offer, most: u64) -> bool {
        let Some(place) = self.place_of(id) else { return false };
        let holding = &mut self.list[place];
        let Held::Perpetual(held) = &mut holding.held else { return false };
        let side = comes.side;
        let offered = held.offered[side as usize] - gone.lots.0 + comes.lots.0;
        // A position and what its orders may make of it are within 2 · POSITION_MAX.
        let towards = 1 - 2 * (side as i64);
        if held.size * towards + offered.cast_signed() > most.cast_signed() {
            return false;
        }
        let (loss, largest) = (held.loss, held.largest());
        held.offered[side as usize] = offered;
        let gone_loss = if gone.lots == Lots(0) { 0 } else { gone.loss(feed.price) };
        held.loss = loss - gone_loss + comes.loss(feed.price);
        if held.loss != loss {
            let usd = held.value(feed);
            self.usd += usd - holding.counts.usd;
            holding.counts.usd = usd;
        }
        if held.largest() != largest {
            let margin = -held.requirement(feed);
            self.margin += margin - holding.counts.margin;
            holding.counts.margin = margin;
        }
        true
    }

    #[inline]
    fn count(&mut self, before: Counts, after: Counts) {
        self.usd += after.usd - before.usd;
        self.margin += after.margin - before.margin;
    }
}

impl Holding {
    pub(crate) fn is_held(&self) -> bool {
        match self.held {
            Held::Perpetual(held) => held.size != 0,
            Held::Asset(held) => held.balance != 0,
        }
    }

    pub(crate) fn is_perpetual(&self) -> bool {
        matches!(self.held, Held::Perpetual(_))
    }

    /// Nothing held and no orders.
    pub(crate) fn is_empty(&self) -> bool {
        match self.held {
            Held::Perpetual(held) => held.size == 0 && !held.unsettled && held.offered == [0; 2],
            Held::Asset(held) => held.balance == 0 && held.ask_atoms == 0 && held.bid_lots == 0 && !held.recent.reduced,
        }
    }
}

impl Held {
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
        match (self, offer.side) {
            (Self::Perpetual(held), side) => {
                held.offered[side as usize] += offer.lots.0;
                held.loss += offer.loss(feed.price);
            }
            (Self::Asset(held), Side::Buy) => {
                held.bid_lots += offer.lots.0;
                held.bid_cost += offer.cost();
            }
            (Self::Asset(held), Side::Sell) => held.ask_atoms += atoms(feed, offer.lots),
        }
    }

    /// An offer no longer rests.
    #[inline]
    pub(crate) fn release(&mut self, feed: &Feed, offer: Offer) {
        match (self, offer.side) {
            (Self::Perpetual(held), side) => {
                held.offered[side as usize] -= offer.lots.0;
                held.loss -= offer.loss(feed.price);
            }
            (Self::Asset(held), Side::Buy) => {
                held.bid_lots -= offer.lots.0;
                held.bid_cost -= offer.cost();
            }
            (Self::Asset(held), Side::Sell) => held.ask_atoms -= atoms(feed, offer.lots),
        }
    }

    /// Orders leave or come, and nothing else moves; what it counts for then, if it counted for `before`.
    ///
    /// Most of them lose nothing against the index and lie on the side that is not the larger. Then nothing is to be reckoned.
    #[inline]
    fn requote(&mut self, feed: &Feed, gone: Option<Offer>, comes: Option<Offer>, before: Counts) -> Counts {
        let was = match self {
            Self::Perpetual(held) => Some((held.loss, held.largest())),
            Self::Asset(_) => None,
        };
        if let Some(gone) = gone {
            self.release(feed, gone);
        }
        if let Some(comes) = comes {
            self.reserve(feed, comes);
        }
        let (Self::Perpetual(held), Some((loss, largest))) = (&*self, was) else { return self.counts(feed) };
        Counts {
            usd: if held.loss == loss { before.usd } else { held.value(feed) },
            margin: if held.largest() == largest { before.margin } else { -held.requirement(feed) },
        }
    }

    /// Lots change hands. Returns the cash that funding up to now brings.
    pub(crate) fn trade(&mut self, feed: &Feed, frame: u64, side: Side, lots: Lots) -> i128 {
        match self {
            Self::Perpetual(held) => held.trade(feed, side, lots),
            Self::Asset(held) => {
                let atoms = atoms(feed, lots);
                match side {
                    Side::Buy => {
                        held.balance += atoms;
                        held.note(frame, atoms, false);
                    }
                    Side::Sell => held.balance -= atoms,
                }
                0
            }
        }
    }

    fn counts(&self, feed: &Feed) -> Counts {
        match self {
            Self::Perpetual(held) => Counts { usd: held.value(feed), margin: -held.requirement(feed) },
            Self::Asset(held) => {
                // Whoever sells counts it as gone.
                let kept = held.balance.saturating_sub(held.ask_atoms);
                let weight = if feed.stale { 0 } else { feed.as_asset().initial_weight.0 };
                let counted = asset_value(feed, kept) * i128::from(weight) / MILLION;
                Counts { usd: -held.bid_cost, margin: counted }
            }
        }
    }
}

impl Perpetual {
    /// The largest position, either way, that its orders could make it.
    #[inline]
    fn largest(&self) -> u64 {
        // A position and what its orders may make of it are within 2 · POSITION_MAX.
        let most = (self.size + self.offered[0].cast_signed()).unsigned_abs();
        let least = (self.size - self.offered[1].cast_signed()).unsigned_abs();
        most.max(least)
    }

    /// What it is worth at index price, less what its orders would lose and what funding costs.
    fn value(&self, feed: &Feed) -> i128 {
        floor(scaled(self.size.into(), feed.price) - self.loss, PRICE_SCALE) + self.funding(feed)
    }

    /// What must be there for the largest position.
    #[inline]
    fn requirement(&self, feed: &Feed) -> i128 {
        feed.tiers().initial(notional(self.largest(), feed.price))
    }

    /// What funding up to now brings, rounded down; negative is what it costs.
    pub(crate) fn funding(&self, feed: &Feed) -> i128 {
        // The index has rarely moved since the account last paid.
        if feed.funding_index == self.paid_up_to {
            return 0;
        }
        floor(times(-i128::from(self.size), feed.funding_index - self.paid_up_to), PRICE_SCALE)
    }

    fn trade(&mut self, feed: &Feed, side: Side, lots: Lots) -> i128 {
        let paid = self.funding(feed);
        self.unsettled = true;
        let lots = i64::try_from(lots.0).expect("an order is at most SIZE_MAX lots");
        self.size += if side == Side::Buy { lots } else { -lots };
        // The contract keeps nothing of a position that is closed.
        self.paid_up_to = if self.size == 0 { 0 } else { feed.funding_index };
        paid
    }

    /// Signed lots change hands outside the book, before any fill of a frame. Returns the cash that funding up to now brings.
    pub(crate) fn hand_over(&mut self, feed: &Feed, lots: i64, notional: u128) -> i128 {
        assert!(self.size == self.settled_size && !self.unsettled, "nothing has traded in the frame yet");
        let paid = self.funding(feed);
        self.size += lots;
        self.paid_up_to = if self.size == 0 { 0 } else { feed.funding_index };
        let side = if lots > 0 { Side::Buy } else { Side::Sell };
        self.settle(side, Lots(lots.unsigned_abs()), notional);
        paid
    }

    /// One line of a sealed frame, as the contract settles it. Lines net an order's fills and stand in the order of its first
    /// one, so the average entry price, which rounds line by line, is theirs and not the fills'.
    pub(crate) fn settle(&mut self, side: Side, lots: Lots, notional: u128) {
        let lots = i64::try_from(lots.0).expect("a line is at most SIZE_MAX lots");
        let before = self.settled_size;
        let after = before + if side == Side::Buy { lots } else { -lots };
        if grows(before, after) {
            let same_side = before.signum() == after.signum();
            let average = if same_side {
                (u128::from(self.entry) * u128::from(before.unsigned_abs()) + notional)
                    / u128::from(after.unsigned_abs())
            } else {
                notional / u128::from(lots.unsigned_abs())
            };
            self.entry = u64::try_from(average).expect("an average of prices of 64 bits");
        }
        if after == 0 {
            self.entry = 0;
        }
        self.settled_size = after;
    }
}

/// Whether going from one position to another is more than closing a part of it.
pub(crate) fn grows(before: i64, after: i64) -> bool {
    if after > 0 { after > before || before < 0 } else { after < 0 && (after < before || before > 0) }
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
