//! The book that everybody writes first: a sorted map of queues, and a hash map from an order's name to its price.

use std::collections::hash_map::HashMap;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use crate::stream::{Command, Limit};
use crate::{Contender, Fills};

#[derive(Default)]
pub(crate) struct BTreeBook {
    bids: BTreeMap<u64, VecDeque<Order>>,
    asks: BTreeMap<u64, VecDeque<Order>>,
    names: HashMap<(u32, u64), (bool, u64), BuildHasherDefault<Fold>>,
}

struct Order {
    account: u32,
    nonce: u64,
    remaining: u64,
}

/// A multiplication a word, folded: as fast as a hash of numbers gets, so that hashing is not what is compared.
#[derive(Default)]
struct Fold(u64);

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("names are numbers");
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15_u128;
        #[allow(clippy::cast_possible_truncation, reason = "both halves are used")]
        let (low, high) = (product as u64, (product >> 64) as u64);
        self.0 = low ^ high;
    }
}

impl BTreeBook {
    fn take(&mut self, Limit { account, nonce, buys, price, mut lots }: Limit, rests: bool, fills: &mut Fills) {
        let (own, other) = if buys { (&mut self.bids, &mut self.asks) } else { (&mut self.asks, &mut self.bids) };
        while lots > 0 {
            let best = if buys { other.first_entry() } else { other.last_entry() };
            let Some(mut level) = best.filter(|level| if buys { *level.key() <= price } else { *level.key() >= price })
            else {
                break;
            };
            let at = *level.key();
            let queue = level.get_mut();
            while lots > 0
                && let Some(maker) = queue.front_mut()
            {
                let filled = lots.min(maker.remaining);
                fills.add((maker.account, maker.nonce), at, filled);
                maker.remaining -= filled;
                lots -= filled;
                if maker.remaining == 0 {
                    self.names.remove(&(maker.account, maker.nonce));
                    queue.pop_front();
                }
            }
            if queue.is_empty() {
                level.remove();
            }
        }
        if rests && lots > 0 {
            own.entry(price).or_default().push_back(Order { account, nonce, remaining: lots });
            self.names.insert((account, nonce), (buys, price));
        }
    }

    fn cancel(&mut self, account: u32, nonce: u64) {
        let Some((buys, price)) = self.names.remove(&(account, nonce)) else { return };
        let side = if buys { &mut self.bids } else { &mut self.asks };
        let queue = side.get_mut(&price).expect("a resting order has a level");
        let place = queue.iter().position(|order| (order.account, order.nonce) == (account, nonce));
        queue.remove(place.expect("a resting order is in its level"));
        if queue.is_empty() {
            side.remove(&price);
        }
    }
}

impl Contender for BTreeBook {
    fn new(_: usize) -> Self {
        Self::default()
    }

    fn apply(&mut self, command: &Command, fills: &mut Fills) {
        match *command {
            Command::Place(limit) => self.take(limit, true, fills),
            Command::ImmediateOrCancel(limit) => self.take(limit, false, fills),
            Command::Cancel { account, nonce } => self.cancel(account, nonce),
            Command::Move { nonce, to } => {
                self.cancel(to.account, nonce);
                self.take(to, true, fills);
            }
        }
    }

    fn size(&self) -> (usize, usize) {
        (self.names.len(), self.bids.len() + self.asks.len())
    }
}
