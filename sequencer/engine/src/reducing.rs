//! Resting orders that only reduce: never of more lots together than there are to reduce.
//!
//! When the position shrinks, the excess is taken off those that would fill last: the worst price first, and at one price the
//! newest (highest nonce). Orders of a spot market need none of this: what an order sells is held for it.

use std::collections::{BTreeMap, BTreeSet};

use xos_book::Handle;
use xos_types::{AccountId, CancelReason, Event, Lots, MarketId, MarketKind, Nonce, Side, Ticks};

use crate::engine::{Engine, event_index};

/// The reduce-only orders of an account on one side of a market.
type Place = (AccountId, MarketId, Side);

/// Every resting reduce-only order where positions are margined. Derived from the books.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reducing {
    /// By price, the best first, and nonce.
    orders: BTreeSet<(Place, u64, Nonce)>,
    lots: BTreeMap<Place, u64>,
}

impl Reducing {
    pub(crate) fn insert(&mut self, place: Place, price: Ticks, nonce: Nonce, lots: Lots) {
        self.orders.insert((place, key_of(place.2, price), nonce));
        *self.lots.entry(place).or_default() += lots.0;
    }

    pub(crate) fn remove(&mut self, place: Place, price: Ticks, nonce: Nonce, lots: Lots) {
        self.orders.remove(&(place, key_of(place.2, price), nonce));
        self.reduce(place, lots);
    }

    /// An order of the place has fewer lots.
    pub(crate) fn reduce(&mut self, place: Place, lots: Lots) {
        let sum = self.lots.get_mut(&place).expect("it has orders");
        *sum -= lots.0;
        if *sum == 0 {
            self.lots.remove(&place);
        }
    }

    /// # Panics
    /// If orders would reduce more than there is.
    pub(crate) fn check(&self, reducible: impl Fn(Place) -> u64) {
        for (place, lots) in &self.lots {
            assert!(*lots <= reducible(*place), "reduce-only orders of {place:?} are of {lots} lots");
        }
    }

    /// How many orders of each account are here.
    pub(crate) fn counts(&self) -> BTreeMap<AccountId, u32> {
        let mut counts = BTreeMap::new();
        for ((account, ..), ..) in &self.orders {
            *counts.entry(*account).or_default() += 1;
        }
        counts
    }

    fn lots(&self, place: Place) -> u64 {
        self.lots.get(&place).copied().unwrap_or(0)
    }

    /// The order that would fill last.
    fn last(&self, place: Place) -> Option<Nonce> {
        let range = (place, 0, Nonce(0))..=(place, u64::MAX, Nonce(u64::MAX));
        self.orders.range(range).next_back().map(|(_, _, nonce)| *nonce)
    }
}

/// Smaller the sooner it fills.
fn key_of(side: Side, price: Ticks) -> u64 {
    match side {
        Side::Buy => !price.0,
        Side::Sell => price.0,
    }
}

impl Engine {
    /// Where an order is kept here, if it is.
    pub(crate) fn reducing_place(&self, handle: Handle) -> Option<Place> {
        let market = self.orders.market(handle);
        let margined = || self.listings[event_index(market.event())].terms.kind != MarketKind::Spot;
        (self.orders.reduces(handle) && margined())
            .then(|| (self.orders.account(handle), market, self.orders.side(handle)))
    }

    /// Takes off an account's reduce-only orders what they could not reduce.
    pub(crate) fn trim(&mut self, account: AccountId, market: MarketId, events: &mut Vec<Event>) {
        for side in [Side::Buy, Side::Sell] {
            let place = (account, market, side);
            let terms = &self.listings[event_index(market.event())].terms;
            let reducible = self.accounts[account].reducible(terms, market, side);
            while let Some(excess) = self.reducing.lots(place).checked_sub(reducible).filter(|excess| *excess > 0) {
                let nonce = self.reducing.last(place).expect("there are lots");
                let handle = self.resting(account, nonce).expect("only resting orders are kept here");
                if self.orders.remaining(handle).0 <= excess {
                    self.cancel(handle, CancelReason::OnlyReducing, events);
                } else {
                    self.reduce(handle, Lots(excess), CancelReason::OnlyReducing, events);
                }
            }
        }
    }

    /// Every resting reduce-only order, looked for anew.
    pub(crate) fn find_reducing(&self) -> Reducing {
        let mut found = Reducing::default();
        for handle in self.accounts.iter().flat_map(|account| account.orders.iter()) {
            if let Some(place) = self.reducing_place(handle) {
                let (price, nonce) = (self.orders.price(handle), self.orders.nonce(handle));
                found.insert(place, price, nonce, self.orders.remaining(handle));
            }
        }
        found
    }
}
