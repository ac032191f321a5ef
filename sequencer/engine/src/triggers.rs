//! Orders that wait for a price: found by it, and triggered a bounded number at a time.
//!
//! ```text
//!                     the price comes                     as many as a frame has time for
//!   armed, by level ───────────────────▶ cut off, by level ─────────────────────────────▶ triggered
//! ```
//!
//! Levels are kept so that whatever a price reaches lies at the beginning of a set. When a frame opens, that beginning is cut off
//! whole, however much it holds: nobody is lost if the price is gone by the next frame, and nobody comes in who was not there
//! when it came. Then orders are taken from what was cut off: the earliest frame's first, by market, by source and direction,
//! and of these whose level the price met first, then who came first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use xos_types::{AccountId, MarketId, Nonce, Trigger, TriggerSource, TriggerWhen};

use crate::plans::Name;

/// An armed order: its level as a key that is smaller the sooner the price reaches it, its arrival, its name.
type Armed = (u64, u64, Name);

/// A market's armed orders by source and direction.
type Levels = [BTreeSet<Armed>; 4];

const SOURCES: [TriggerSource; 2] = [TriggerSource::Mark, TriggerSource::Index];
const WHENS: [TriggerWhen; 2] = [TriggerWhen::AtOrAbove, TriggerWhen::AtOrBelow];
const LEAST: Name = (AccountId(0), Nonce(0));

fn set_of(source: TriggerSource, when: TriggerWhen) -> usize {
    source as usize * WHENS.len() + when as usize
}

/// Its own inverse.
fn key_of(when: TriggerWhen, level: u64) -> u64 {
    match when {
        TriggerWhen::AtOrAbove => level,
        TriggerWhen::AtOrBelow => !level,
    }
}

/// Every armed order. Derived from what waits, but for which of them a price has reached.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Triggers {
    levels: BTreeMap<MarketId, Levels>,
    /// What prices have reached and is still to be triggered, in order of its turn; none of these is empty.
    reached: VecDeque<BTreeSet<Armed>>,
}

impl Triggers {
    pub(crate) fn arm(&mut self, market: MarketId, trigger: Trigger, arrival: u64, name: Name) {
        let Trigger { source, when, price } = trigger;
        let levels = self.levels.entry(market).or_default();
        levels[set_of(source, when)].insert((key_of(when, price.0), arrival, name));
    }

    /// Takes an order out, whether or not its price has come.
    pub(crate) fn disarm(&mut self, market: MarketId, trigger: Trigger, arrival: u64, name: Name) {
        let Trigger { source, when, price } = trigger;
        let armed = (key_of(when, price.0), arrival, name);
        let waits = self.levels.get_mut(&market).is_some_and(|levels| levels[set_of(source, when)].remove(&armed));
        if waits {
            self.forget_if_empty(market);
        } else {
            let found = self.reached.iter_mut().any(|batch| batch.remove(&armed));
            assert!(found, "what is armed waits for its price, or has met it");
            self.reached.retain(|batch| !batch.is_empty());
        }
    }

    /// Markets in which prices are waited for.
    pub(crate) fn markets(&self) -> Vec<MarketId> {
        self.levels.keys().copied().collect()
    }

    /// Cuts off what a market's prices have reached. `price_of` says them in the same unit as `tick`, what a tick is worth.
    pub(crate) fn cut(&mut self, market: MarketId, tick: i128, price_of: impl Fn(TriggerSource) -> Option<i128>) {
        let Some(levels) = self.levels.get_mut(&market) else { return };
        for source in SOURCES {
            let Some(price) = price_of(source) else { continue };
            for when in WHENS {
                // The last level that is reached.
                let level = match when {
                    TriggerWhen::AtOrAbove => price.div_euclid(tick),
                    TriggerWhen::AtOrBelow => -(-price).div_euclid(tick),
                };
                let level = u64::try_from(level).unwrap_or(if level < 0 { 0 } else { u64::MAX });
                let set = &mut levels[set_of(source, when)];
                let rest = match key_of(when, level).checked_add(1) {
                    Some(key) => set.split_off(&(key, 0, LEAST)),
                    None => BTreeSet::new(),
                };
                let reached = std::mem::replace(set, rest);
                if !reached.is_empty() {
                    self.reached.push_back(reached);
                }
            }
        }
        self.forget_if_empty(market);
    }

    /// The order whose turn it is to be triggered.
    pub(crate) fn next(&self) -> Option<Name> {
        self.reached.front().and_then(BTreeSet::first).map(|(_, _, name)| *name)
    }

    /// What prices have reached, for the state's records.
    pub(crate) fn reached(&self) -> Vec<Vec<Name>> {
        let names = |batch: &BTreeSet<Armed>| batch.iter().map(|(_, _, name)| *name).collect();
        self.reached.iter().map(names).collect()
    }

    /// As a snapshot has it: these were reached together, behind those before.
    pub(crate) fn restore_reached(&mut self, batch: impl IntoIterator<Item = (MarketId, Trigger, u64, Name)>) {
        let mut reached = BTreeSet::new();
        for (market, trigger, arrival, name) in batch {
            self.disarm(market, trigger, arrival, name);
            reached.insert((key_of(trigger.when, trigger.price.0), arrival, name));
        }
        self.reached.push_back(reached);
    }

    fn forget_if_empty(&mut self, market: MarketId) {
        if self.levels.get(&market).is_some_and(|levels| levels.iter().all(BTreeSet::is_empty)) {
            self.levels.remove(&market);
        }
    }
}

#[cfg(test)]
mod tests {
    use xos_types::Ticks;

    use super::*;

    const MARKET: MarketId = MarketId(256);

    fn armed(levels: &[(TriggerWhen, u64)]) -> Triggers {
        let mut triggers = Triggers::default();
        for (arrival, (when, price)) in (1..).zip(levels) {
            let trigger = Trigger { source: TriggerSource::Mark, when: *when, price: Ticks(*price) };
            triggers.arm(MARKET, trigger, arrival, (AccountId(1), Nonce(arrival)));
        }
        triggers
    }

    fn taken(triggers: &mut Triggers) -> Vec<u64> {
        triggers.reached().into_iter().flatten().map(|(_, nonce)| nonce.0).collect()
    }

    #[test]
    fn a_price_reaches_the_levels_up_to_it_and_no_further() {
        use TriggerWhen::{AtOrAbove, AtOrBelow};
        let levels = [(AtOrAbove, 10), (AtOrAbove, 11), (AtOrBelow, 9), (AtOrBelow, 10), (AtOrBelow, 11)];
        // Ticks are worth 4: 40 is 10 ticks, and 42 between 10 and 11.
        for (price, expected) in [
            (40, vec![1, 5, 4]),
            (42, vec![1, 5]),
            (44, vec![1, 2, 5]),
            (39, vec![5, 4]),
            (0, vec![5, 4, 3]),
            (i128::MAX, vec![1, 2]),
        ] {
            let mut triggers = armed(&levels);
            triggers.cut(MARKET, 4, |source| (source == TriggerSource::Mark).then_some(price));
            assert_eq!(taken(&mut triggers), expected, "at {price}");
        }
    }

    #[test]
    fn what_a_price_has_reached_stays_reached_and_can_be_taken_out() {
        let mut triggers = armed(&[(TriggerWhen::AtOrAbove, 10), (TriggerWhen::AtOrAbove, 20)]);
        triggers.cut(MARKET, 1, |_| Some(20));
        triggers.cut(MARKET, 1, |_| Some(5));
        assert_eq!((taken(&mut triggers), triggers.markets()), (vec![1, 2], vec![]));
        let trigger =
            |price| Trigger { source: TriggerSource::Mark, when: TriggerWhen::AtOrAbove, price: Ticks(price) };
        triggers.disarm(MARKET, trigger(10), 1, (AccountId(1), Nonce(1)));
        assert_eq!(triggers.next(), Some((AccountId(1), Nonce(2))));
        triggers.disarm(MARKET, trigger(20), 2, (AccountId(1), Nonce(2)));
        assert_eq!(triggers, Triggers::default());
    }
}
