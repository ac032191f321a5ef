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

use std::ops::Sub;

use xos_types::{Lots, Side, Ticks};

use crate::terms::Terms;
use crate::wide::times;

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

/// What an event's outcomes come to together; see the module's head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Worst {
    /// Of the positions.
    pub(crate) payoff: i128,
    pub(crate) with_orders: i128,
}

/// [`Worst`] while outcomes are still being added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    payoff: i128,
    value: i128,
    bid_cost: i128,
}

impl Outcome {
    /// An order of `lots` begins to rest.
    #[inline]
    pub(crate) fn reserve(&mut self, terms: &Terms, side: Side, price: Ticks, lots: Lots) {
        match side {
            Side::Buy => {
                self.bid_lots += lots.0;
                self.bid_cost += terms.value(price, lots);
            }
            Side::Sell => {
                self.ask_lots += lots.0;
                self.ask_risk += ask_risk(terms, price, lots);
            }
        }
    }

    /// `lots` of a resting order no longer rest.
    #[inline]
    pub(crate) fn release(&mut self, terms: &Terms, side: Side, price: Ticks, lots: Lots) {
        match side {
            Side::Buy => {
                self.bid_lots -= lots.0;
                self.bid_cost -= terms.value(price, lots);
            }
            Side::Sell => {
                self.ask_lots -= lots.0;
                self.ask_risk -= ask_risk(terms, price, lots);
            }
        }
    }

    /// Lots that would be held in the direction of `side` if all orders on that side filled.
    #[inline]
    pub(crate) fn exposure(&self, side: Side) -> i128 {
        match side {
            Side::Buy => i128::from(self.bid_lots) + i128::from(self.position),
            Side::Sell => i128::from(self.ask_lots) - i128::from(self.position),
        }
    }

    /// `lots` change hands.
    #[inline]
    pub(crate) fn trade(&mut self, side: Side, lots: Lots) {
        let lots = i64::try_from(lots.0).expect("an order is at most SIZE_MAX lots");
        match side {
            Side::Buy => self.position += lots,
            Side::Sell => self.position -= lots,
        }
    }
}

impl Tally {
    /// Of no outcome yet.
    pub(crate) const NONE: Self = Self { payoff: i128::MAX, value: i128::MAX, bid_cost: 0 };

    /// With one outcome more.
    #[inline]
    pub(crate) fn with(self, terms: &Terms, outcome: &Outcome) -> Self {
        let payoff = times(terms.payout_per_lot.into(), outcome.position.into());
        Self {
            payoff: self.payoff.min(payoff),
            value: self.value.min(payoff + outcome.bid_cost - outcome.ask_risk),
            bid_cost: self.bid_cost + outcome.bid_cost,
        }
    }

    /// Of all outcomes.
    #[inline]
    pub(crate) fn worst(self) -> Worst {
        Worst { payoff: self.payoff, with_orders: self.value - self.bid_cost }
    }
}

impl Sub for Worst {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { payoff: self.payoff - other.payoff, with_orders: self.with_orders - other.with_orders }
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
    use xos_types::{Address, EventConfig, TradingTerms, VenueId};

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
        .unwrap()
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
            let mut held: Vec<Outcome> =
                positions.iter().map(|position| Outcome { position: *position, ..Outcome::default() }).collect();
            let worst = |held: &[Outcome]| held.iter().fold(Tally::NONE, |tally, outcome| tally.with(&terms, outcome)).worst();
            let least = by_enumeration(&terms, positions, &[]);
            prop_assert_eq!(worst(&held), Worst { payoff: least, with_orders: least });
            for (count, (outcome, side, price, lots)) in orders.iter().enumerate() {
                held[usize::from(*outcome)].reserve(&terms, *side, Ticks(*price), Lots(*lots));
                let with_orders = by_enumeration(&terms, positions, &orders[..=count]);
                prop_assert_eq!(worst(&held), Worst { payoff: least, with_orders });
            }
            for (outcome, side, price, lots) in &orders {
                held[usize::from(*outcome)].release(&terms, *side, Ticks(*price), Lots(*lots));
            }
            prop_assert_eq!(worst(&held), Worst { payoff: least, with_orders: least });
        }
    }
}
