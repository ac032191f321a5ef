//! Somebody who knows only what the engine's events say, and of them only the deltas of its books.

use std::collections::{BTreeMap, BTreeSet};

use xos_engine::{BookLevel, Delta, Depth, Engine};
use xos_types::*;

use super::naive::Naive;

/// Changed books after which a reader begins anew.
const JOINS_EVERY: u64 = 50;

type Level = (MarketId, Side, Ticks);

#[derive(Debug, Default)]
pub(crate) struct Follower {
    depth: Depth,
    /// Books that somebody began to follow later, from the engine's.
    joined: BTreeMap<MarketId, Depth>,
    followed: u64,
    numbers: BTreeMap<MarketId, u64>,
    /// Level 2.
    levels: BTreeMap<Level, (u128, u32)>,
    /// Level 3, in order of arrival at each price.
    orders: BTreeMap<Level, Vec<(AccountId, Nonce, Lots)>>,
    /// Lots of accepted orders that have neither filled nor been taken away.
    open: BTreeMap<(AccountId, Nonce), u64>,
}

impl Follower {
    /// Follows a command's events; in every book that changed it must have what the two engines have.
    pub(crate) fn follow(&mut self, events: &[Event], engine: &Engine, naive: &Naive) {
        let mut deltas = vec![];
        for event in events {
            self.depth.apply(event, &mut deltas);
            self.count(event);
        }
        self.open.retain(|_, lots| *lots > 0);
        let resting = naive.orders.iter().map(|order| {
            let Order { account, nonce, .. } = order.signed.message;
            ((account, nonce), order.remaining)
        });
        let waiting = naive.waiting.iter().map(|order| ((order.account(), order.nonce()), order.remaining()));
        let live = resting.chain(waiting).collect();
        assert_eq!(self.open, live, "what was submitted has filled, rests, waits or was taken away");
        for delta in &deltas {
            self.take(delta);
        }
        for (market, depth) in &mut self.joined {
            events
                .iter()
                .filter(|event| Depth::market_of(event) == Some(*market))
                .for_each(|event| depth.apply(event, &mut vec![]));
        }
        for market in deltas.iter().map(|delta| delta.market).collect::<BTreeSet<_>>() {
            self.compare(market, engine, naive);
            self.followed += 1;
            if self.followed.is_multiple_of(JOINS_EVERY) || !self.joined.contains_key(&market) {
                self.joined.insert(market, engine.depth(market).unwrap());
            }
        }
    }

    fn count(&mut self, event: &Event) {
        let mut gone = |account: AccountId, nonce: Nonce, lots: Lots| {
            *self.open.get_mut(&(account, nonce)).expect("an order was accepted before anything came of it") -= lots.0;
        };
        match event {
            Event::Accepted { order } | Event::Planned { order, .. } => {
                self.open.insert((order.account, order.nonce), order.size.0);
            }
            Event::Filled(fill) => {
                gone(fill.maker, fill.maker_nonce, fill.size);
                // A close that an owner forced is no order that anybody sent.
                if fill.taker_nonce != Nonce::FORCED {
                    gone(fill.taker, fill.taker_nonce, fill.size);
                }
            }
            Event::AuctionFilled(fill) => {
                gone(fill.buyer.account, fill.buyer.nonce, fill.size);
                gone(fill.seller.account, fill.seller.nonce, fill.size);
            }
            Event::Reduced { account, nonce, by, .. } => gone(*account, *nonce, *by),
            Event::Cancelled { account, nonce, remaining, .. } => gone(*account, *nonce, *remaining),
            _ => {}
        }
    }

    fn take(&mut self, delta: &Delta) {
        let number = self.numbers.entry(delta.market).or_default();
        *number += 1;
        assert_eq!(delta.number, *number, "no number is left out");
        let level = (delta.market, delta.side, delta.price);
        let queue = self.orders.entry(level).or_default();
        let known = queue.iter_mut().find(|(account, nonce, _)| (*account, *nonce) == (delta.account, delta.nonce));
        match known {
            Some((.., shown)) => *shown = delta.shown,
            None => queue.push((delta.account, delta.nonce, delta.shown)),
        }
        queue.retain(|(.., shown)| *shown != Lots(0));
        self.levels.insert(level, (delta.lots, delta.orders));
        self.levels.retain(|_, (_, orders)| *orders > 0);
    }

    fn compare(&self, market: MarketId, engine: &Engine, naive: &Naive) {
        let book = engine.book(market, usize::MAX).unwrap();
        for (side, seen) in [(Side::Buy, book.bids), (Side::Sell, book.asks)] {
            let levels = self.levels.range((market, side, Ticks(0))..=(market, side, Ticks(u64::MAX)));
            let mut levels: Vec<_> = levels
                .map(|((.., price), (lots, orders))| BookLevel {
                    price: *price,
                    lots: Lots((*lots).try_into().unwrap()),
                    orders: *orders,
                })
                .collect();
            if side == Side::Buy {
                levels.reverse();
            }
            assert_eq!(levels, seen, "level 2 of {market}");
            let rebuilt: Vec<_> = self.depth.levels(market, side).collect();
            let seen: Vec<_> = seen.iter().map(|level| (level.price, level.lots.0.into(), level.orders)).collect();
            assert_eq!(rebuilt, seen, "the book of {market} as rebuilt");

            let queue = levels.iter().flat_map(|level| &self.orders[&(market, side, level.price)]).copied();
            let expected = naive.side(market, side).into_iter().map(|index| {
                let order = &naive.orders[index];
                (order.signed.message.account, order.signed.message.nonce, Lots(order.shown))
            });
            assert!(queue.eq(expected), "level 3 of {market}");
        }
        if let Some(joined) = self.joined.get(&market) {
            assert_eq!(
                joined.orders(market),
                self.depth.orders(market),
                "the book of {market} as followed from its middle"
            );
        }
    }
}
