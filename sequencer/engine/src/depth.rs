//! Books rebuilt from events alone, as whoever follows the exchange does it, and what changes in them.
//!
//! Every change of a book has a number, 1, 2, 3 and so on in each market. Whoever misses none and applies them in order has the
//! book; whoever sees a gap knows that it has missed something, asks for the book anew and goes on with the number after it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xos_types::{AccountId, AuctionFill, Event, Fill, Lots, MarketId, Nonce, Side, Ticks};

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
    /// Lots of the order that rest from now on; 0 if it is gone. An order that was not there before is behind all others.
    pub remaining: Lots,
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
}

impl Depth {
    /// Applies the next event and appends what it changes, at most one delta for each order that it names.
    pub fn apply(&mut self, event: &Event, deltas: &mut Vec<Delta>) {
        match event {
            Event::Rested { account, nonce, market, side, price, remaining } => {
                let place = Place { market: *market, side: *side, price: *price, remaining: *remaining };
                // What rests anew stands behind all others, wherever it was.
                self.set((*account, *nonce), Lots(0), deltas);
                self.add((*account, *nonce), place, deltas);
            }
            Event::Filled(Fill { maker, maker_nonce, maker_remaining, .. }) => {
                self.set((*maker, *maker_nonce), *maker_remaining, deltas);
            }
            Event::AuctionFilled(AuctionFill { buyer, seller, .. }) => {
                for party in [buyer, seller] {
                    self.set((party.account, party.nonce), party.remaining, deltas);
                }
            }
            Event::Reduced { account, nonce, remaining, .. } => self.set((*account, *nonce), *remaining, deltas),
            Event::Cancelled { account, nonce, .. } => self.set((*account, *nonce), Lots(0), deltas),
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

    fn add(&mut self, name: (AccountId, Nonce), place: Place, deltas: &mut Vec<Delta>) {
        self.orders.insert(name, place);
        let sum = self.levels.entry((place.market, place.side, place.price)).or_default();
        sum.lots += u128::from(place.remaining.0);
        sum.orders += 1;
        self.tell(name, place, deltas);
    }

    /// Leaves so much of an order. One that never rested changes nothing: events speak of arriving orders too.
    fn set(&mut self, name: (AccountId, Nonce), remaining: Lots, deltas: &mut Vec<Delta>) {
        let Some(place) = self.orders.get_mut(&name) else { return };
        let level = (place.market, place.side, place.price);
        let gone = place.remaining.0.checked_sub(remaining.0).expect("an order that rests only becomes smaller");
        place.remaining = remaining;
        let place = *place;
        let sum = self.levels.get_mut(&level).expect("an order stands at a level");
        sum.lots -= u128::from(gone);
        if remaining == Lots(0) {
            sum.orders -= 1;
            self.orders.remove(&name);
        }
        self.tell(name, place, deltas);
        if self.levels[&level].orders == 0 {
            self.levels.remove(&level);
        }
    }

    fn tell(&mut self, (account, nonce): (AccountId, Nonce), place: Place, deltas: &mut Vec<Delta>) {
        let Place { market, side, price, remaining } = place;
        let Sum { lots, orders } = self.levels[&(market, side, price)];
        let number = self.numbers.entry(market).or_default();
        *number += 1;
        deltas.push(Delta { market, number: *number, side, price, account, nonce, remaining, lots, orders });
    }
}
