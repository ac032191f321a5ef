//! How positions of an event, and the orders that may change them, count towards margin.
//!
//! **Worst payoff** of the positions: `min` over the outcomes of the lots held (0 where none are), times what a winning lot
//! pays. Payouts of a winner, a split or a void always sum to 1 over the outcomes, so no resolution pays less.
//!
//! **Worst with orders**: the least, over winners `k` and over every subset of the resting orders that might fill first, of
//! what positions and fills are then worth. Each order is independent and linear, so the worst subset is known per winner:
//! a bid on another outcome fills (and loses its cost), a bid on `k` does not (it would gain), an ask on `k` fills (and loses
//! `1 − price`), an ask elsewhere does not (it would gain its price). Hence, with `P` the payout per lot,
//!
//! ```text
//! min over k of (P·positionₖ + bid costₖ − ask riskₖ) − Σ bid cost
//! ```
//!
//! `contracts/group/Margin.sol` computes the first; the engine keeps the second above zero, which implies the first.

use xos_types::{Lots, Side, Ticks};

use crate::account::Standing;
use crate::terms::Terms;

/// One outcome's position and the sums over the account's resting orders in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, packed(8))]
pub(crate) struct Outcome {
    /// Signed lots.
    pub(crate) position: i64,
    /// Lots of resting bids and asks, for the position limit.
    pub(crate) bid_lots: u64,
    pub(crate) ask_lots: u64,
    /// Σ price·remaining·quantum of the resting bids.
    pub(crate) bid_cost: i128,
    /// Σ (ticks − price)·remaining·quantum of the resting asks.
    pub(crate) ask_risk: i128,
}

/// One account's margin in one event. Entries and totals change together, through the methods below only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventMargin {
    pub(crate) outcomes: Box<[Outcome]>,
    pub(crate) sums: Sums,
}

/// What the outcomes come to together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, packed(8))]
pub(crate) struct Sums {
    /// Σ bid cost over all outcomes.
    bid_cost: i128,
    /// See the module's head; both are kept by `rederive`.
    pub(crate) worst_payoff: i128,
    pub(crate) worst_with_orders: i128,
}

impl EventMargin {
    pub(crate) fn new(terms: &Terms) -> Self {
        Self { outcomes: vec![Outcome::default(); usize::from(terms.outcomes)].into(), sums: Sums::default() }
    }

    /// An order of `lots` begins to rest.
    #[inline]
    pub(crate) fn reserve(&mut self, terms: &Terms, outcome: u8, side: Side, price: Ticks, lots: Lots) {
        let entry = &mut self.outcomes[usize::from(outcome)];
        match side {
            Side::Buy => {
                let cost = terms.value(price, lots);
                entry.bid_lots += lots.0;
                entry.bid_cost += cost;
                self.sums.bid_cost += cost;
            }
            Side::Sell => {
                entry.ask_lots += lots.0;
                entry.ask_risk += ask_risk(terms, price, lots);
            }
        }
    }

    /// `lots` of a resting order no longer rest.
    #[inline]
    pub(crate) fn release(&mut self, terms: &Terms, outcome: u8, side: Side, price: Ticks, lots: Lots) {
        let entry = &mut self.outcomes[usize::from(outcome)];
        match side {
            Side::Buy => {
                let cost = terms.value(price, lots);
                entry.bid_lots -= lots.0;
                entry.bid_cost -= cost;
                self.sums.bid_cost -= cost;
            }
            Side::Sell => {
                entry.ask_lots -= lots.0;
                entry.ask_risk -= ask_risk(terms, price, lots);
            }
        }
    }

    /// `lots` change hands.
    #[inline]
    pub(crate) fn trade(&mut self, outcome: u8, side: Side, lots: Lots) {
        let lots = i64::try_from(lots.0).expect("an order is at most SIZE_MAX lots");
        let entry = &mut self.outcomes[usize::from(outcome)];
        match side {
            Side::Buy => entry.position += lots,
            Side::Sell => entry.position -= lots,
        }
    }

    /// Recomputes both minima; `O(outcomes)`.
    #[inline]
    pub(crate) fn rederive(&mut self, terms: &Terms) {
        self.sums.worst_payoff = self.minimum(|entry| i128::from(terms.payout_per_lot) * i128::from(entry.position));
        self.sums.worst_with_orders = self.minimum(|entry| entry.value_if_wins(terms)) - self.sums.bid_cost;
    }

    /// `worst_with_orders` if one more order stood, and another did not.
    #[inline]
    pub(crate) fn worst_with(&self, terms: &Terms, order: Standing, gone: Option<Standing>) -> i128 {
        let weigh = |order: Standing| match order.side {
            Side::Buy => (terms.value(order.price, order.lots), 0),
            Side::Sell => (0, ask_risk(terms, order.price, order.lots)),
        };
        let (bid, risk) = weigh(order);
        let (gone_outcome, (gone_bid, gone_risk)) =
            gone.map_or((0, (0, 0)), |gone| (gone.market.outcome(), weigh(gone)));
        let mut worst = i128::MAX;
        for (k, entry) in (0u8..).zip(&*self.outcomes) {
            let mut value = entry.value_if_wins(terms);
            if k == order.market.outcome() {
                value += bid - risk;
            }
            if k == gone_outcome {
                value -= gone_bid - gone_risk;
            }
            worst = worst.min(value);
        }
        worst - self.sums.bid_cost - bid + gone_bid
    }

    /// Cash that the positions bring at these payouts (ticks per lot and outcome); exact.
    pub(crate) fn payoff(&self, terms: &Terms, payouts: &[u64]) -> i128 {
        self.outcomes
            .iter()
            .zip(payouts)
            .map(|(entry, payout)| i128::from(entry.position) * i128::from(*payout) * terms.quantum)
            .sum()
    }

    /// No positions and no orders.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        // Most entries are told apart by the sums alone.
        self.sums.bid_cost == 0
            && self.sums.worst_with_orders == 0
            && self.outcomes.iter().all(|entry| entry.position == 0 && entry.bid_lots == 0 && entry.ask_lots == 0)
    }

    /// Whether the contract's word of an outcome's position, which holds four, is in use.
    pub(crate) fn holds_word_of(&self, outcome: u8) -> bool {
        let first = usize::from(outcome - outcome % 4);
        self.outcomes[first..].iter().take(4).any(|entry| entry.position != 0)
    }

    pub(crate) fn holds_position(&self) -> bool {
        self.outcomes.iter().any(|entry| entry.position != 0)
    }

    fn minimum(&self, value: impl Fn(&Outcome) -> i128) -> i128 {
        self.outcomes.iter().map(value).min().expect("an event has at least two outcomes")
    }
}

impl Outcome {
    /// What position and orders are worth at worst if this outcome wins, before the bids on all outcomes are paid.
    fn value_if_wins(&self, terms: &Terms) -> i128 {
        i128::from(terms.payout_per_lot) * i128::from(self.position) + self.bid_cost - self.ask_risk
    }
}

/// What an order may lose where its account has neither a position nor another order.
pub(crate) fn risk_alone(terms: &Terms, Standing { side, price, lots, .. }: Standing) -> i128 {
    match side {
        Side::Buy => terms.value(price, lots),
        Side::Sell => ask_risk(terms, price, lots),
    }
}

/// What selling `lots` at `price` loses if the outcome wins.
#[inline]
fn ask_risk(terms: &Terms, price: Ticks, lots: Lots) -> i128 {
    terms.value(Ticks(terms.ticks - price.0), lots)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xos_types::{Address, EventConfig, EventId, MarketId, TradingTerms, VenueId};

    use super::*;

    fn terms(outcomes: u8) -> Terms {
        Terms::event(&EventConfig {
            terms: TradingTerms::free(VenueId(1), 3),
            outcomes,
            ticks: 10,
            resolver: Address::ZERO,
            title: String::new(),
            labels: Vec::new(),
        })
    }

    /// Cash and positions after some orders filled, valued under every winner; the least over all subsets of orders.
    fn by_enumeration(terms: &Terms, positions: &[i64], orders: &[(u8, Side, u64, u64)]) -> i128 {
        let mut least = i128::MAX;
        for filled in 0..1u32 << orders.len() {
            let mut cash = 0;
            let mut held: Vec<i128> = positions.iter().map(|position| i128::from(*position)).collect();
            for (_, (outcome, side, price, lots)) in orders.iter().enumerate().filter(|(bit, _)| filled >> bit & 1 == 1)
            {
                let sign = if *side == Side::Buy { 1 } else { -1 };
                held[usize::from(*outcome)] += sign * i128::from(*lots);
                cash -= sign * terms.value(Ticks(*price), Lots(*lots));
            }
            least = held.iter().map(|lots| lots * i128::from(terms.payout_per_lot) + cash).fold(least, i128::min);
        }
        least
    }

    proptest! {
        #[test]
        fn worst_with_orders_is_the_least_over_winners_and_subsets(
            outcomes in 2u8..6,
            positions in prop::collection::vec(-50i64..50, 6),
            orders in prop::collection::vec((0u8..6, any::<bool>(), 1u64..10, 1u64..40), 0..9),
        ) {
            let terms = terms(outcomes);
            let positions = &positions[..usize::from(outcomes)];
            let orders: Vec<_> = orders
                .into_iter()
                .map(|(outcome, buys, price, lots)| (outcome % outcomes, if buys { Side::Buy } else { Side::Sell }, price, lots))
                .collect();
            let mut margin = EventMargin::new(&terms);
            for (entry, position) in margin.outcomes.iter_mut().zip(positions) {
                entry.position = *position;
            }
            margin.rederive(&terms);
            prop_assert_eq!({ margin.sums.worst_payoff }, by_enumeration(&terms, positions, &[]));
            for (count, (outcome, side, price, lots)) in orders.iter().enumerate() {
                let (price, lots) = (Ticks(*price), Lots(*lots));
                let market = MarketId::new(EventId(1), *outcome);
                let order = Standing { market, side: *side, price, lots };
                let foreseen = margin.worst_with(&terms, order, None);
                prop_assert_eq!(-EventMargin::new(&terms).worst_with(&terms, order, None), risk_alone(&terms, order));
                let mut other = margin.clone();
                other.reserve(&terms, outcomes - 1, Side::Sell, Ticks(3), Lots(7));
                other.rederive(&terms);
                let gone = Standing { market: MarketId::new(EventId(1), outcomes - 1), side: Side::Sell, price: Ticks(3), lots: Lots(7) };
                prop_assert_eq!(other.worst_with(&terms, order, Some(gone)), foreseen);
                margin.reserve(&terms, *outcome, *side, price, lots);
                margin.rederive(&terms);
                prop_assert_eq!({ margin.sums.worst_with_orders }, foreseen);
                prop_assert_eq!({ margin.sums.worst_with_orders }, by_enumeration(&terms, positions, &orders[..=count]));
            }
            for (outcome, side, price, lots) in &orders {
                margin.release(&terms, *outcome, *side, Ticks(*price), Lots(*lots));
            }
            margin.rederive(&terms);
            prop_assert_eq!({ margin.sums.worst_with_orders }, { margin.sums.worst_payoff });
        }
    }
}
