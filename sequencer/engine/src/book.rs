//! Resting orders in price-time order.
//!
//! Orders live in one slab for all books. A price level is a doubly linked list through the slab, oldest first, so that
//! adding, cancelling and filling an order is `O(1)` once its level is known (`O(log levels)`).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use xos_types::{AccountId, Lots, MarketId, Nonce, Order, Side, Signed, Ticks};

use crate::account::Standing;
use crate::fees::FeeCredit;
use crate::frame::LineRef;
use crate::terms::Terms;

/// Where an order lies in the slab; never part of the state's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(u32);

/// An order in a book.
#[derive(Clone, Debug)]
pub(crate) struct RestingOrder {
    pub(crate) signed: Signed<Order>,
    pub(crate) remaining: Lots,
    pub(crate) credit: FeeCredit,
    /// Its line in the open frame, if it filled there.
    pub(crate) line: Option<LineRef>,
    older: Option<Slot>,
    younger: Option<Slot>,
}

impl RestingOrder {
    pub(crate) fn new(signed: Signed<Order>, remaining: Lots, credit: FeeCredit, line: Option<LineRef>) -> Self {
        Self { signed, remaining, credit, line, older: None, younger: None }
    }

    pub(crate) fn order(&self) -> &Order {
        &self.signed.message
    }

    pub(crate) fn account(&self) -> AccountId {
        self.signed.message.account
    }

    pub(crate) fn nonce(&self) -> Nonce {
        self.signed.message.nonce
    }

    pub(crate) fn market(&self) -> MarketId {
        self.signed.message.market
    }

    /// The most that it may still be charged.
    pub(crate) fn reserved_fee(&self, terms: &Terms) -> i128 {
        let base = terms.fee_base(self.order().price, self.remaining);
        self.credit.outstanding(base, terms.maker_fee.fee())
    }

    /// What its account's margin holds for it.
    pub(crate) fn standing(&self) -> Standing {
        let order = self.order();
        Standing { market: order.market, side: order.side, price: order.price, lots: self.remaining }
    }
}

/// Every resting order of the group.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    slots: Vec<Option<RestingOrder>>,
    free: Vec<Slot>,
}

impl Orders {
    pub(crate) fn get(&self, slot: Slot) -> &RestingOrder {
        self.slots[index(slot)].as_ref().expect("a slot in use: books and accounts drop it together with the order")
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> &mut RestingOrder {
        self.slots[index(slot)].as_mut().expect("a slot in use: books and accounts drop it together with the order")
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn insert(&mut self, order: RestingOrder) -> Slot {
        if let Some(slot) = self.free.pop() {
            self.slots[index(slot)] = Some(order);
            slot
        } else {
            let slot = Slot(u32::try_from(self.slots.len()).expect("memory ends long before 2^32 orders"));
            self.slots.push(Some(order));
            slot
        }
    }

    fn remove(&mut self, slot: Slot) -> RestingOrder {
        let order = self.slots[index(slot)].take().expect("a slot in use: books and accounts drop it together");
        self.free.push(slot);
        order
    }
}

fn index(slot: Slot) -> usize {
    slot.0 as usize
}

/// The orders of one side at one price.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level {
    oldest: Slot,
    youngest: Slot,
    /// Σ remaining; wider than an order's size, so no crowd overflows it.
    pub(crate) lots: u128,
    pub(crate) orders: u32,
}

/// One market's resting orders.
#[derive(Debug, Default)]
pub(crate) struct Book {
    bids: BTreeMap<Ticks, Level>,
    asks: BTreeMap<Ticks, Level>,
}

impl Book {
    /// The best price of a side.
    pub(crate) fn best(&self, side: Side) -> Option<Ticks> {
        match side {
            Side::Buy => self.bids.last_key_value().map(|(price, _)| *price),
            Side::Sell => self.asks.first_key_value().map(|(price, _)| *price),
        }
    }

    /// The best price against which an order of `side` at `limit` would trade.
    pub(crate) fn best_crossing(&self, side: Side, limit: Ticks) -> Option<Ticks> {
        self.best(side.opposite()).filter(|best| crosses(side, limit, *best))
    }

    /// The order that one of `side` at `limit` would meet first.
    pub(crate) fn first_crossing(&self, side: Side, limit: Ticks) -> Option<Slot> {
        let level = match side {
            Side::Buy => self.asks.first_key_value(),
            Side::Sell => self.bids.last_key_value(),
        };
        level.filter(|(price, _)| crosses(side, limit, **price)).map(|(_, level)| level.oldest)
    }

    /// Levels of a side, best first.
    pub(crate) fn levels(&self, side: Side) -> Box<dyn Iterator<Item = (Ticks, &Level)> + '_> {
        match side {
            Side::Buy => Box::new(self.bids.iter().rev().map(|(price, level)| (*price, level))),
            Side::Sell => Box::new(self.asks.iter().map(|(price, level)| (*price, level))),
        }
    }

    /// Orders of a side in the order in which they would fill.
    pub(crate) fn queue<'a>(&'a self, orders: &'a Orders, side: Side) -> impl Iterator<Item = Slot> + 'a {
        self.levels(side).flat_map(move |(_, level)| {
            std::iter::successors(Some(level.oldest), move |slot| orders.get(*slot).younger)
        })
    }

    /// Adds an order behind all others at its price.
    pub(crate) fn insert(&mut self, orders: &mut Orders, order: RestingOrder) -> Slot {
        let (side, price, lots) = (order.order().side, order.order().price, u128::from(order.remaining.0));
        debug_assert!(self.best_crossing(side, price).is_none(), "an order rests only when it meets nothing");
        let slot = orders.insert(order);
        match self.side_mut(side).entry(price) {
            Entry::Vacant(vacant) => {
                vacant.insert(Level { oldest: slot, youngest: slot, lots, orders: 1 });
            }
            Entry::Occupied(mut occupied) => {
                let level = occupied.get_mut();
                orders.get_mut(level.youngest).younger = Some(slot);
                orders.get_mut(slot).older = Some(level.youngest);
                level.youngest = slot;
                level.lots += lots;
                level.orders += 1;
            }
        }
        slot
    }

    /// Takes `lots` off an order that stays.
    pub(crate) fn reduce(&mut self, orders: &mut Orders, slot: Slot, lots: Lots) {
        let order = orders.get_mut(slot);
        assert!(lots < order.remaining, "an order of no lots leaves the book");
        order.remaining = Lots(order.remaining.0 - lots.0);
        let (side, price) = (order.order().side, order.order().price);
        self.side_mut(side).get_mut(&price).expect("a resting order has a level").lots -= u128::from(lots.0);
    }

    /// Takes an order out.
    pub(crate) fn remove(&mut self, orders: &mut Orders, slot: Slot) -> RestingOrder {
        let order = orders.remove(slot);
        if let Some(older) = order.older {
            orders.get_mut(older).younger = order.younger;
        }
        if let Some(younger) = order.younger {
            orders.get_mut(younger).older = order.older;
        }
        let Entry::Occupied(mut occupied) = self.side_mut(order.order().side).entry(order.order().price) else {
            unreachable!("a resting order has a level");
        };
        let level = occupied.get_mut();
        match (order.older, order.younger) {
            (None, None) => {
                occupied.remove();
                return order;
            }
            (None, Some(younger)) => level.oldest = younger,
            (Some(older), None) => level.youngest = older,
            (Some(_), Some(_)) => {}
        }
        level.lots -= u128::from(order.remaining.0);
        level.orders -= 1;
        order
    }

    fn side_mut(&mut self, side: Side) -> &mut BTreeMap<Ticks, Level> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }
}

/// Whether an order of `side` at `limit` trades against a resting price.
fn crosses(side: Side, limit: Ticks, resting: Ticks) -> bool {
    match side {
        Side::Buy => resting <= limit,
        Side::Sell => resting >= limit,
    }
}
