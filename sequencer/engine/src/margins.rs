//! An account's positions and orders in outcome markets, by market, and what they come to event by event.

use std::collections::BTreeMap;

use xos_types::{EventId, MarketId};

use crate::account::Standing;
use crate::margin::{Outcome, Tally, Worst};
use crate::packed::{HEADER, Packed};
use crate::terms::Terms;

/// Words of a list; what has more is a tree.
const FEW: usize = 256;

/// Outcomes by market, ascending; there is no record where there is neither a position nor an order. Most accounts trade few
/// events, and keep all in one list: a tree's first node takes a kilobyte and a look elsewhere. Beyond [`FEW`] words it is a
/// tree of lists by event, so that no number of events makes one dear.
#[derive(Clone, Debug)]
pub(crate) enum Margins {
    Few(Packed),
    #[allow(clippy::box_collection, reason = "hardly any account has one, and accounts are many")]
    Many(Box<BTreeMap<EventId, Packed>>),
}

impl Default for Margins {
    fn default() -> Self {
        Self::Few(Packed::default())
    }
}

impl Margins {
    /// What is held and ordered in a market.
    #[inline]
    pub(crate) fn outcome(&self, market: MarketId) -> Outcome {
        let found = self.list(market.event()).and_then(|list| list.find(market.0).map(|at| Outcome::load(list, at)));
        found.unwrap_or_default()
    }

    /// Fetches what is held, unless that is so much that it lies in a tree.
    #[inline]
    pub(crate) fn fetch(&self) {
        if let Self::Few(list) = self {
            list.fetch();
        }
    }

    /// Changes what is held or ordered in a market; by how much that moves what its event comes to.
    #[inline]
    pub(crate) fn change(&mut self, terms: &Terms, market: MarketId, change: impl FnOnce(&mut Outcome)) -> Worst {
        let moved = self.change_if(terms, market, |outcome| {
            change(outcome);
            true
        });
        moved.expect("the change was one")
    }

    /// The same, if `change` says so; otherwise whatever it did is forgotten.
    #[inline]
    pub(crate) fn change_if(
        &mut self,
        terms: &Terms,
        market: MarketId,
        change: impl FnOnce(&mut Outcome) -> bool,
    ) -> Option<Worst> {
        let mut change = Some(change);
        let mut changed = None;
        let (before, after) = fold(self.list(market.event()), terms, market.event(), |of, outcome| {
            if of == market
                && let Some(change) = change.take()
            {
                changed = change(outcome).then_some(*outcome);
            }
        });
        self.put(market, changed?);
        Some(after - before)
    }

    /// By how much `with_orders` would fall if this order stood and the other, of the same event, did not; negative if it would
    /// rise.
    #[inline]
    pub(crate) fn fall(&self, terms: &Terms, order: Standing, gone: Option<Standing>) -> i128 {
        let event = order.market.event();
        let (before, after) = fold(self.list(event), terms, event, |of, outcome| {
            if of == order.market {
                outcome.reserve(terms, order.side, order.price, order.lots);
            }
            if let Some(gone) = gone.filter(|gone| of == gone.market) {
                outcome.release(terms, gone.side, gone.price, gone.lots);
            }
        });
        before.with_orders - after.with_orders
    }

    /// By how much an event's worst payoff would move with a trade.
    pub(crate) fn payoff_moves(&self, terms: &Terms, trade: Standing) -> i128 {
        let event = trade.market.event();
        let (before, after) = fold(self.list(event), terms, event, |of, outcome| {
            if of == trade.market {
                outcome.trade(trade.side, trade.lots);
            }
        });
        after.payoff - before.payoff
    }

    /// What an event comes to.
    pub(crate) fn worst(&self, terms: &Terms, event: EventId) -> Worst {
        fold(self.list(event), terms, event, |_, _| ()).0
    }

    /// Cash that an event's positions bring at these payouts (ticks per lot and outcome); exact.
    pub(crate) fn payoff(&self, terms: &Terms, event: EventId, payouts: &[u64]) -> i128 {
        let paid = |(market, outcome): (MarketId, Outcome)| {
            i128::from(outcome.position) * i128::from(payouts[usize::from(market.outcome())]) * terms.quantum
        };
        self.of_event(event).map(paid).sum()
    }

    /// Outcomes of an event that there is something of, by market.
    pub(crate) fn of_event(&self, event: EventId) -> impl Iterator<Item = (MarketId, Outcome)> {
        let all = self.list(event).into_iter().flat_map(move |list| entries(list, list.lower_bound(first(event).0)));
        all.take_while(move |(market, _)| market.event() == event)
    }

    /// Everything, by market.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (MarketId, Outcome)> {
        let (few, many) = match self {
            Self::Few(list) => (Some(list), None),
            Self::Many(tree) => (None, Some(tree)),
        };
        let lists = few.into_iter().chain(many.into_iter().flat_map(|tree| tree.values()));
        lists.flat_map(|list| entries(list, 0))
    }

    /// Forgets an event.
    pub(crate) fn remove(&mut self, event: EventId) {
        match self {
            Self::Few(list) => {
                let at = list.lower_bound(first(event).0);
                while list.key(at).is_some_and(|key| MarketId(key).event() == event) {
                    list.remove(at);
                }
            }
            Self::Many(tree) => {
                tree.remove(&event);
                if tree.is_empty() {
                    *self = Self::default();
                }
            }
        }
    }

    /// The list in which an event's outcomes lie.
    #[inline]
    fn list(&self, event: EventId) -> Option<&Packed> {
        match self {
            Self::Few(list) => Some(list),
            Self::Many(tree) => tree.get(&event),
        }
    }

    #[inline]
    fn put(&mut self, market: MarketId, outcome: Outcome) {
        let event = market.event();
        let list = match self {
            Self::Few(list) => list,
            Self::Many(tree) => tree.entry(event).or_default(),
        };
        let found = list.find(market.0);
        if outcome == Outcome::default() {
            // Touching many events and leaving them must not cost memory for ever.
            if let Some(at) = found {
                list.remove(at);
            }
            if list.is_empty() {
                self.remove(event);
            }
            return;
        }
        let at = found.unwrap_or_else(|| list.insert(market.0, 0, HEADER));
        outcome.store(list, at);
        if let Self::Few(list) = self
            && list.words() > FEW
        {
            self.part();
        }
    }

    /// Makes a tree of the list.
    #[cold]
    fn part(&mut self) {
        let mut tree: Box<BTreeMap<EventId, Packed>> = Box::default();
        for (market, outcome) in self.iter() {
            let list = tree.entry(market.event()).or_default();
            let at = list.insert(market.0, 0, HEADER);
            outcome.store(list, at);
        }
        *self = Self::Many(tree);
    }
}

impl Outcome {
    #[inline(always)]
    fn load(list: &Packed, at: usize) -> Self {
        let [position, bid_lots, bid_cost, ask_lots, ask_risk] = list.read(at);
        let lots = |number| u64::try_from(number).expect("it was stored as one");
        let position = i64::try_from(position).expect("it was stored as one");
        Self { position, bid_lots: lots(bid_lots), ask_lots: lots(ask_lots), bid_cost, ask_risk }
    }

    #[inline(always)]
    fn store(self, list: &mut Packed, at: usize) {
        let Self { position, bid_lots, ask_lots, bid_cost, ask_risk } = self;
        list.write(at, 0, &[position.into(), bid_lots.into(), bid_cost, ask_lots.into(), ask_risk]);
    }
}

/// The first market that an event can have.
fn first(event: EventId) -> MarketId {
    MarketId::new(event, 0)
}

fn entries(list: &Packed, at: usize) -> impl Iterator<Item = (MarketId, Outcome)> {
    list.places(at).map(|at| (MarketId(list.key(at).expect("a record lies there")), Outcome::load(list, at)))
}

/// What an event comes to, and what it would if its outcomes were `changed`; `O(outcomes)`.
#[inline]
fn fold(
    list: Option<&Packed>,
    terms: &Terms,
    event: EventId,
    mut changed: impl FnMut(MarketId, &mut Outcome),
) -> (Worst, Worst) {
    let mut at = list.map_or(0, |list| list.lower_bound(first(event).0));
    let (mut before, mut after) = (Tally::NONE, Tally::NONE);
    for k in 0..terms.outcomes {
        let market = MarketId::new(event, k);
        let mut outcome = Outcome::default();
        if let Some(list) = list
            && list.key(at) == Some(market.0)
        {
            outcome = Outcome::load(list, at);
            at = list.next(at);
        }
        before = before.with(terms, &outcome);
        changed(market, &mut outcome);
        after = after.with(terms, &outcome);
    }
    (before.worst(), after.worst())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xos_types::{Address, EventConfig, Lots, Side, Ticks, TradingTerms, VenueId};

    use super::*;

    proptest! {
        #[test]
        fn they_are_an_ordered_map_and_know_what_each_event_comes_to(
            steps in prop::collection::vec((1u32..40, 0u8..3, any::<bool>(), 0u64..4), 0..200),
        ) {
            let terms = Terms::event(&EventConfig {
                terms: TradingTerms::free(VenueId(1), 3),
                outcomes: 3,
                ticks: 10,
                resolver: Address::ZERO,
                title: String::new(),
                labels: Vec::new(),
            }).unwrap();
            let (mut margins, mut map) = (Margins::default(), BTreeMap::<MarketId, Outcome>::new());
            let worst = |map: &BTreeMap<MarketId, Outcome>, event| {
                let all = (0..3).map(|k| map.get(&MarketId::new(event, k)).copied().unwrap_or_default());
                all.fold(Tally::NONE, |tally, outcome| tally.with(&terms, &outcome)).worst()
            };
            for (event, k, buys, lots) in steps {
                let (event, side) = (EventId(event), if buys { Side::Buy } else { Side::Sell });
                let market = MarketId::new(event, k);
                if lots == 0 {
                    margins.remove(event);
                    map.retain(|market, _| market.event() != event);
                } else {
                    let order = Standing { market, side, price: Ticks(3), lots: Lots(lots) };
                    let before = worst(&map, event);
                    let foreseen = margins.fall(&terms, order, None);
                    let moves = margins.payoff_moves(&terms, order);
                    let entry = map.entry(market).or_default();
                    entry.reserve(&terms, side, order.price, order.lots);
                    let moved = margins.change(&terms, market, |held| held.reserve(&terms, side, order.price, order.lots));
                    prop_assert_eq!(moved, worst(&map, event) - before);
                    prop_assert_eq!(-moved.with_orders, foreseen);
                    prop_assert_eq!(margins.fall(&terms, Standing { lots: Lots(0), ..order }, Some(order)), -foreseen);
                    if lots == 1 {
                        let entry = map.entry(market).or_default();
                        let act = |held: &mut Outcome| {
                            held.release(&terms, side, order.price, order.lots);
                            held.trade(side, order.lots);
                        };
                        act(entry);
                        if *entry == Outcome::default() {
                            map.remove(&market);
                        }
                        prop_assert_eq!(margins.change(&terms, market, act).payoff, moves);
                    }
                }
                prop_assert!(margins.iter().eq(map.iter().map(|(market, outcome)| (*market, *outcome))));
                prop_assert_eq!(margins.outcome(market), map.get(&market).copied().unwrap_or_default());
                prop_assert_eq!(margins.worst(&terms, event), worst(&map, event));
                let of_event = map.iter().filter(|(market, _)| market.event() == event);
                prop_assert!(margins.of_event(event).eq(of_event.map(|(market, outcome)| (*market, *outcome))));
            }
        }
    }
}
