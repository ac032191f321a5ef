//! Books rebuilt from events alone, as whoever follows the exchange does it, and what changes in them.
//!
//! Every change of a book has a number, 1, 2, 3 and so on in each market. Whoever misses none and applies them in order has the
//! book; whoever sees a gap knows that it has missed something, asks for the book anew and goes on with the number after it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xos_types::{AccountId, AuctionFill, Event, Fill, Lots, MarketId, Nonce, Pace, Side, Ticks};

/// One change of a market's book: what became of an order (level 3), and of its price (level 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// Which market.
    pub market: MarketId,
    /// One more than that of the market's last change; the first is 1.
    #[serde(with = "xos_types::number")]
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
    #[serde(with = "xos_types::number")]
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
                let place = Place { market: *market, side: *side, price: *price, remaining: *remaining, shown };
                self.orders.insert(name, place);
                self.join(name, deltas);
            }
            Event::Refilled { account, nonce, shown, .. } => {
                let name = (*account, *nonce);
                self.orders.get_mut(&name).expect("what rests shows its next part").shown = *shown;
                self.join(name, deltas);
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

    /// An order stands behind all others at its price with what it shows.
    fn join(&mut self, name: (AccountId, Nonce), deltas: &mut Vec<Delta>) {
        let place = self.orders[&name];
        let sum = self.levels.entry((place.market, place.side, place.price)).or_default();
        sum.lots += u128::from(place.shown.0);
        sum.orders += 1;
        self.tell(name, place, deltas);
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
