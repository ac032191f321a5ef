//! Books rebuilt from events alone, as whoever follows the exchange does it, and what changes in them.
//!
//! Every change of a book has a number, 1, 2, 3 and so on in each market. Whoever misses none and applies them in order has the
//! book; whoever sees a gap knows that it has missed something, asks for the book anew and goes on with the number after it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xos_types::{AccountId, AuctionFill, Event, Fill, Lots, MarketId, Nonce, Pace, Side, Ticks};

use crate::engine::Engine;

/// One change of a market's book: what became of an order (level 3), and of its price (level 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// Which market.
    pub market: MarketId,
    /// One more than that of the market's last change; the first is 1.
    #[serde(with = "xos_types::Number")]
    pub number: u64,
    /// On which side.
    pub side: Side,
    /// At which price.
    pub price: Ticks,
    /// Owner of the order.
    pub account: AccountId,
    /// The order.
    pub nonce: Nonce,
    /// Lots of the order that the book shows from now on; 0 if it is gone. An order that was not there before is behind all
    /// others, and so is an iceberg that shows its next part: it goes and comes back.
    pub shown: Lots,
    /// Lots of all orders at the price from now on.
    #[serde(with = "xos_types::Number")]
    pub lots: u128,
    /// How many orders there are at the price from now on; 0 if the level is gone.
    pub orders: u32,
}

/// Where an order rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    market: MarketId,
    side: Side,
    price: Ticks,
    remaining: Lots,
    /// Of what remains.
    shown: Lots,
    /// The higher, the later it came to its price.
    turn: u64,
}

/// A resting order as the book shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// On which side.
    pub side: Side,
    /// At which price.
    pub price: Ticks,
    /// Owner of the order.
    pub account: AccountId,
    /// The order.
    pub nonce: Nonce,
    /// Lots of it that the book shows.
    pub lots: Lots,
}

/// What stands at a price.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    lots: u128,
    orders: u32,
}

/// Every book of a group, from its events.
///
/// ```
/// use xos_engine::Depth;
/// use xos_types::{AccountId, Event, Lots, MarketId, Nonce, Side, Ticks};
///
/// let (market, price) = (MarketId(256), Ticks(500));
/// let rested = |nonce| Event::Rested {
///     account: AccountId(4), nonce: Nonce(nonce), market, side: Side::Buy, price, remaining: Lots(10),
/// };
/// let (mut depth, mut deltas) = (Depth::default(), Vec::new());
/// depth.apply(&rested(1), &mut deltas);
/// depth.apply(&rested(2), &mut deltas);
/// assert_eq!((deltas[1].number, deltas[1].lots, deltas[1].orders), (2, 20, 2));
/// ```
#[derive(Debug, Default)]
pub struct Depth {
    orders: BTreeMap<(AccountId, Nonce), Place>,
    levels: BTreeMap<(MarketId, Side, Ticks), Sum>,
    numbers: BTreeMap<MarketId, u64>,
    /// Turns that were given out.
    turns: u64,
    /// What icebergs show at a time, from their plans until they end.
    displays: BTreeMap<(AccountId, Nonce), Lots>,
}

impl Depth {
    /// Applies the next event and appends what it changes, at most one delta for each order that it names.
    pub fn apply(&mut self, event: &Event, deltas: &mut Vec<Delta>) {
        match event {
            Event::Planned { order, plan, .. } => {
                if let Pace::Iceberg { display } = plan.pace {
                    self.displays.insert((order.account, order.nonce), display);
                }
            }
            Event::Rested { account, nonce, market, side, price, remaining } => {
                let name = (*account, *nonce);
                let shown = self.displays.get(&name).map_or(*remaining, |display| *remaining.min(display));
                let place =
                    Place { market: *market, side: *side, price: *price, remaining: *remaining, shown, turn: 0 };
                self.orders.insert(name, place);
                self.join(name);
                self.tell(name, self.orders[&name], deltas);
            }
            Event::Refilled { account, nonce, shown, .. } => {
                let name = (*account, *nonce);
                self.orders.get_mut(&name).expect("what rests shows its next part").shown = *shown;
                self.join(name);
                self.tell(name, self.orders[&name], deltas);
            }
            Event::Filled(Fill { maker, maker_nonce, size, .. }) => {
                self.leave((*maker, *maker_nonce), *size, *size, deltas);
            }
            Event::AuctionFilled(AuctionFill { size, buyer, seller, .. }) => {
                for party in [buyer, seller] {
                    self.leave((party.account, party.nonce), *size, *size, deltas);
                }
            }
            Event::Reduced { account, nonce, by, .. } => self.lessen((*account, *nonce), *by, deltas),
            Event::Cancelled { account, nonce, remaining, .. } => {
                self.lessen((*account, *nonce), *remaining, deltas);
                self.displays.remove(&(*account, *nonce));
            }
            _ => {}
        }
    }

    /// The market whose book an event may change; `None` of an event that says nothing of orders.
    #[must_use]
    pub fn market_of(event: &Event) -> Option<MarketId> {
        match event {
            Event::Planned { order, .. } => Some(order.market),
            Event::Filled(fill) => Some(fill.market),
            Event::AuctionFilled(fill) => Some(fill.market),
            Event::Rested { market, .. }
            | Event::Refilled { market, .. }
            | Event::Reduced { market, .. }
            | Event::Cancelled { market, .. } => Some(*market),
            _ => None,
        }
    }

    /// Number of the market's last change; 0 before the first.
    #[must_use]
    pub fn number(&self, market: MarketId) -> u64 {
        self.numbers.get(&market).copied().unwrap_or(0)
    }

    /// The levels of a side, best first: price, lots and orders.
    pub fn levels(&self, market: MarketId, side: Side) -> impl Iterator<Item = (Ticks, u128, u32)> + use<'_> {
        let levels = self.levels.range((market, side, Ticks(0))..=(market, side, Ticks(u64::MAX)));
        let mut levels = levels.map(|((.., price), sum)| (*price, sum.lots, sum.orders));
        core::iter::from_fn(move || if side == Side::Buy { levels.next_back() } else { levels.next() })
    }

    /// The orders of a market as its book shows them: best price first, at a price in the order in which they would fill, the
    /// bids before the asks.
    #[must_use]
    pub fn orders(&self, market: MarketId) -> Vec<Shown> {
        let mut queue: Vec<_> = self.orders.iter().filter(|(_, place)| place.market == market).collect();
        queue.sort_unstable_by_key(|(_, Place { side, price, turn, .. })| match side {
            Side::Buy => (0, u64::MAX - price.0, *turn),
            Side::Sell => (1, price.0, *turn),
        });
        let shown = queue.into_iter().map(|((account, nonce), place)| Shown {
            side: place.side,
            price: place.price,
            account: *account,
            nonce: *nonce,
            lots: place.shown,
        });
        shown.collect()
    }

    /// An order stands behind all others at its price with what it shows.
    fn join(&mut self, name: (AccountId, Nonce)) {
        self.turns += 1;
        let place = self.orders.get_mut(&name).expect("it was put there");
        place.turn = self.turns;
        let sum = self.levels.entry((place.market, place.side, place.price)).or_default();
        sum.lots += u128::from(place.shown.0);
        sum.orders += 1;
    }

    /// Lots are taken off an order, first those that it does not show.
    fn lessen(&mut self, name: (AccountId, Nonce), lots: Lots, deltas: &mut Vec<Delta>) {
        let hidden = self.orders.get(&name).map_or(0, |place| place.remaining.0 - place.shown.0);
        self.leave(name, lots, Lots(lots.0.saturating_sub(hidden)), deltas);
    }

    /// Lots leave an order, and so many of them its level. One that does not rest changes nothing: events speak of arriving and
    /// of waiting orders too.
    fn leave(&mut self, name: (AccountId, Nonce), lots: Lots, shown: Lots, deltas: &mut Vec<Delta>) {
        let Some(place) = self.orders.get_mut(&name) else { return };
        let level = (place.market, place.side, place.price);
        place.remaining.0 -= lots.0;
        place.shown.0 -= shown.0;
        let place = *place;
        if place.remaining == Lots(0) {
            self.orders.remove(&name);
            self.displays.remove(&name);
        }
        if shown == Lots(0) {
            return;
        }
        let sum = self.levels.get_mut(&level).expect("an order stands at a level");
        sum.lots -= u128::from(shown.0);
        sum.orders -= u32::from(place.shown == Lots(0));
        self.tell(name, place, deltas);
        if self.levels[&level].orders == 0 {
            self.levels.remove(&level);
        }
    }

    fn tell(&mut self, (account, nonce): (AccountId, Nonce), place: Place, deltas: &mut Vec<Delta>) {
        let Place { market, side, price, shown, .. } = place;
        let Sum { lots, orders } = self.levels[&(market, side, price)];
        let number = self.numbers.entry(market).or_default();
        *number += 1;
        deltas.push(Delta { market, number: *number, side, price, account, nonce, shown, lots, orders });
    }
}

impl Engine {
    /// A market's book as it stands, to be followed from here on by the events of that market; `None` if there is no such market.
    #[must_use]
    pub fn depth(&self, market: MarketId) -> Option<Depth> {
        let book = self.find_book(market)?;
        let mut depth = Depth::default();
        for side in [Side::Buy, Side::Sell] {
            for handle in book.queue(&self.orders.resting, side) {
                let name = (self.orders.account(handle), self.orders.nonce(handle));
                let order = self.orders.rested(handle, &self.accounts);
                let (price, remaining, shown) = (order.price, order.remaining, order.shown);
                depth.orders.insert(name, Place { market, side, price, remaining, shown, turn: 0 });
                depth.join(name);
                if order.display != Lots(0) {
                    depth.displays.insert(name, order.display);
                }
            }
        }
        for waiting in self.plans.iter().filter(|waiting| waiting.market() == market) {
            if let Pace::Iceberg { display } = waiting.plan.pace {
                depth.displays.insert(waiting.name(), display);
            }
        }
        Some(depth)
    }
}
