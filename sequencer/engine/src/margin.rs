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

use crate::terms::Terms;

/// One outcome's position and the sums over the account's resting orders in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    pub(crate) outcomes: Vec<Outcome>,
    /// Σ bid cost over all outcomes.
    bid_cost: i128,
    /// See the module's head; both are kept by `rederive`.
    pub(crate) worst_payoff: i128,
    pub(crate) worst_with_orders: i128,
}

impl EventMargin {
    pub(crate) fn new(terms: &Terms) -> Self {
        Self {
            outcomes: vec![Outcome::default(); usize::from(terms.outcomes)],
            bid_cost: 0,
            worst_payoff: 0,
            worst_with_orders: 0,
        }
    }

    /// An order of `lots` begins to rest.
    pub(crate) fn reserve(&mut self, terms: &Terms, outcome: u8, side: Side, price: Ticks, lots: Lots) {
        let entry = &mut self.outcomes[usize::from(outcome)];
        match side {
            Side::Buy => {
                let cost = terms.value(price, lots);
                entry.bid_lots += lots.0;
                entry.bid_cost += cost;
                self.bid_cost += cost;
            }
            Side::Sell => {
                entry.ask_lots += lots.0;
                entry.ask_risk += ask_risk(terms, price, lots);
            }
        }
    }

    /// `lots` of a resting order no longer rest.
    pub(crate) fn release(&mut self, terms: &Terms, outcome: u8, side: Side, price: Ticks, lots: Lots) {
        let entry = &mut self.outcomes[usize::from(outcome)];
        match side {
            Side::Buy => {
                let cost = terms.value(price, lots);
                entry.bid_lots -= lots.0;
                entry.bid_cost -= cost;
                self.bid_cost -= cost;
            }
            Side::Sell => {
                entry.ask_lots -= lots.0;
                entry.ask_risk -= ask_risk(terms, price, lots);
            }
        }
    }

    /// `lots` change hands.
    pub(crate) fn trade(&mut self, outcome: u8, side: Side, lots: Lots) {
        let lots = i64::try_from(lots.0).expect("an order is at most SIZE_MAX lots");
        let entry = &mut self.outcomes[usize::from(outcome)];
        match side {
            Side::Buy => entry.position += lots,
            Side::Sell => entry.position -= lots,
        }
    }

    /// Recomputes both minima; `O(outcomes)`.
    pub(crate) fn rederive(&mut self, terms: &Terms) {
        self.worst_payoff = self.minimum(|entry| terms.payout_per_lot * i128::from(entry.position));
        self.worst_with_orders = self.minimum(|entry| entry.value_if_wins(terms)) - self.bid_cost;
    }

    /// `worst_with_orders` if one more order stood.
    pub(crate) fn worst_with(&self, terms: &Terms, outcome: u8, side: Side, price: Ticks, lots: Lots) -> i128 {
        let (extra_bid, extra_risk) = match side {
            Side::Buy => (terms.value(price, lots), 0),
            Side::Sell => (0, ask_risk(terms, price, lots)),
        };
        let mut worst = i128::MAX;
        for (k, entry) in self.outcomes.iter().enumerate() {
            let own = if k == usize::from(outcome) { extra_bid - extra_risk } else { 0 };
            worst = worst.min(entry.value_if_wins(terms) + own);
        }
        worst - self.bid_cost - extra_bid
    }

    /// Cash that the positions bring at these payouts (ticks per lot and outcome); exact.
    pub(crate) fn payoff(&self, terms: &Terms, payouts: &[u64]) -> i128 {
        self.outcomes
            .iter()
            .zip(payouts)
            .map(|(entry, payout)| i128::from(entry.position) * i128::from(*payout) * terms.quantum)
            .sum()
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
        terms.payout_per_lot * i128::from(self.position) + self.bid_cost - self.ask_risk
    }
}

/// What selling `lots` at `price` loses if the outcome wins.
fn ask_risk(terms: &Terms, price: Ticks, lots: Lots) -> i128 {
    terms.value(Ticks(terms.ticks - price.0), lots)
}
