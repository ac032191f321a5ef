//! An account: cash, positions, resting orders, spent nonces, and running sums of its margin.
//!
//! `available = cash + Σ worst with orders − Σ fees that resting orders may still cost`, and it is never negative: an order
//! must leave it so, and fills, cancels and resolutions never lower it. The sums are kept incrementally; an event's part is
//! re-derived when the event is touched and no other event is looked at.

use std::collections::BTreeMap;

use xos_book::OpenOrders;
use xos_types::{
    AccountId, Address, Atoms, BuilderId, EventId, Lots, MarketId, Order, Reject, Side, SignerGrant, Ticks, TimeMs,
    VenueId,
};

use crate::gas::{LineState, Word};
use crate::margin::{EventMargin, risk_alone};
use crate::margins::Margins;
use crate::nonces::Nonces;
use crate::terms::Terms;

/// State of one account.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) owner: Address,
    pub(crate) cash: i128,
    pub(crate) nonces: Nonces,
    /// Who is paid a share of its fees; 0 for nobody.
    pub(crate) referrer: BuilderId,
    /// Keys that were ever allowed to act for it, and what they may.
    pub(crate) signers: BTreeMap<Address, SignerGrant>,
    /// Until when it is a member of venues.
    pub(crate) memberships: BTreeMap<VenueId, TimeMs>,
    /// Resting orders by nonce.
    pub(crate) orders: OpenOrders,
    /// Positions and orders by event; there is no entry where there are neither.
    pub(crate) margins: Margins,
    /// Σ worst payoff of the positions; the contract keeps the same number.
    pub(crate) worst_payoff: i128,
    /// Σ worst with orders.
    pub(crate) worst_with_orders: i128,
    /// Σ fees that resting orders may still cost.
    pub(crate) fee_reserve: i128,
}

/// A resting order's part in its account's margin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) market: MarketId,
    pub(crate) side: Side,
    pub(crate) price: Ticks,
    pub(crate) lots: Lots,
}

/// How far an order has come when it fills.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// It filled before.
    pub(crate) partly_filled: bool,
    /// After this fill nothing more of it can fill.
    pub(crate) completes: bool,
}

impl Account {
    pub(crate) fn new(owner: Address) -> Self {
        Self {
            owner,
            cash: 0,
            nonces: Nonces::default(),
            referrer: BuilderId(0),
            signers: BTreeMap::new(),
            memberships: BTreeMap::new(),
            orders: OpenOrders::default(),
            margins: Margins::default(),
            worst_payoff: 0,
            worst_with_orders: 0,
            fee_reserve: 0,
        }
    }

    /// What may be withdrawn or put at risk.
    #[inline]
    pub(crate) fn available(&self) -> i128 {
        self.cash + self.worst_with_orders - self.fee_reserve
    }

    /// What resting orders hold back.
    pub(crate) fn reserved(&self) -> i128 {
        self.cash + self.worst_payoff - self.available()
    }

    /// The refusal for something that would lower `available` by `required`, after orders that hold back `freed` are gone.
    pub(crate) fn insufficient(&self, required: i128, freed: i128) -> Reject {
        Reject::InsufficientFunds {
            cash: Atoms(self.cash),
            worst_payoff: Atoms(self.worst_payoff),
            reserved: Atoms(self.reserved() - freed),
            available: Atoms(self.available() + freed),
            required: Atoms(required),
        }
    }

    /// Signed lots held in a market.
    pub(crate) fn position(&self, market: MarketId) -> i64 {
        self.margins.get(&market.event()).map_or(0, |margin| margin.outcomes[usize::from(market.outcome())].position)
    }

    /// Lots of the account's resting orders on one side of a market.
    pub(crate) fn resting_lots(&self, market: MarketId, side: Side) -> u64 {
        let Some(margin) = self.margins.get(&market.event()) else { return 0 };
        let outcome = &margin.outcomes[usize::from(market.outcome())];
        match side {
            Side::Buy => outcome.bid_lots,
            Side::Sell => outcome.ask_lots,
        }
    }

    /// What the contract holds of this account before a line of `order`.
    pub(crate) fn line_state(
        &self,
        terms: &Terms,
        order: &Order,
        progress: Progress,
        referrer: Option<(AccountId, Word)>,
    ) -> LineState {
        let margin = self.margins.get(&order.market.event());
        LineState {
            outcomes: terms.outcomes,
            partly_filled: progress.partly_filled,
            completes: progress.completes,
            nonce_word: Word::used_if(self.nonces.is_word_settled(order.nonce)),
            position_word: Word::used_if(margin.is_some_and(|margin| margin.holds_word_of(order.market.outcome()))),
            cash_word: self.cash_word(),
            referrer,
        }
    }

    /// Whether the contract's word of the account's money holds anything.
    pub(crate) fn cash_word(&self) -> Word {
        Word::used_if(self.cash != 0 || self.worst_payoff != 0)
    }

    /// An order begins to rest; `fee` is the most that it may still be charged.
    #[inline]
    pub(crate) fn reserve(&mut self, terms: &Terms, order: Standing, fee: i128) {
        self.fee_reserve += fee;
        self.change(terms, order.market.event(), |margin| {
            margin.reserve(terms, order.market.outcome(), order.side, order.price, order.lots);
        });
    }

    /// An order no longer rests.
    #[inline]
    pub(crate) fn release(&mut self, terms: &Terms, order: Standing, fee: i128) {
        self.fee_reserve -= fee;
        self.change(terms, order.market.event(), |margin| {
            margin.release(terms, order.market.outcome(), order.side, order.price, order.lots);
        });
    }

    /// An order of an event no longer rests, and another of the same event begins to.
    #[inline]
    pub(crate) fn swap(&mut self, terms: &Terms, (old, old_fee): (Standing, i128), (new, new_fee): (Standing, i128)) {
        self.fee_reserve += new_fee - old_fee;
        self.change(terms, new.market.event(), |margin| {
            margin.release(terms, old.market.outcome(), old.side, old.price, old.lots);
            margin.reserve(terms, new.market.outcome(), new.side, new.price, new.lots);
        });
    }

    /// Lots of a resting order trade at its own price; `released` is what its reserve for fees falls by.
    ///
    /// `available` does not fall: the worst case had counted this fill, and the reserve falls by the fee at least.
    pub(crate) fn trade_resting(&mut self, terms: &Terms, order: Standing, fee: i128, released: i128) {
        let before = self.available();
        self.fee_reserve -= released;
        self.cash += cash_of(terms, order.side, order.price, order.lots) - fee;
        self.change(terms, order.market.event(), |margin| {
            margin.release(terms, order.market.outcome(), order.side, order.price, order.lots);
            margin.trade(order.market.outcome(), order.side, order.lots);
        });
        assert!(self.available() >= before, "a resting order's fill never costs more than was reserved for it");
    }

    /// Lots of an arriving order trade; margin was checked for the whole of it at its limit.
    pub(crate) fn trade_arriving(&mut self, terms: &Terms, trade: Standing, fee: i128) {
        self.cash += cash_of(terms, trade.side, trade.price, trade.lots) - fee;
        self.change(terms, trade.market.event(), |margin| {
            margin.trade(trade.market.outcome(), trade.side, trade.lots);
        });
    }

    /// Pays out and clears the positions in a resolved event.
    pub(crate) fn redeem(&mut self, terms: &Terms, event: EventId, payouts: &[u64]) -> i128 {
        let margin = self.margins.remove(&event).expect("queued because it holds positions");
        let payoff = margin.payoff(terms, payouts);
        assert!(payoff >= margin.worst_payoff, "no resolution pays less than the worst payoff");
        assert!(margin.worst_payoff == margin.worst_with_orders, "orders were cancelled when the event was resolved");
        self.worst_payoff -= margin.worst_payoff;
        self.worst_with_orders -= margin.worst_with_orders;
        self.cash += payoff;
        payoff
    }

    /// Applies a change to an event's margin and carries what it moved into the account's sums.
    fn change(&mut self, terms: &Terms, event: EventId, change: impl FnOnce(&mut EventMargin)) {
        let margin = self.margins.get_or_insert_with(event, || EventMargin::new(terms));
        let (worst_payoff, worst_with_orders) = (margin.worst_payoff, margin.worst_with_orders);
        change(margin);
        margin.rederive(terms);
        self.worst_payoff += margin.worst_payoff - worst_payoff;
        self.worst_with_orders += margin.worst_with_orders - worst_with_orders;
        // Touching many events and leaving them must not cost memory for ever.
        if margin.is_empty() {
            self.margins.remove(&event);
        }
    }
}

/// Lots that an account with that margin would hold in the direction of `side` if its orders on that side filled.
#[inline]
pub(crate) fn exposure(margin: Option<&EventMargin>, market: MarketId, side: Side) -> i128 {
    let Some(margin) = margin else { return 0 };
    let outcome = &margin.outcomes[usize::from(market.outcome())];
    match side {
        Side::Buy => i128::from(outcome.bid_lots) + i128::from(outcome.position),
        Side::Sell => i128::from(outcome.ask_lots) - i128::from(outcome.position),
    }
}

/// By how much Σ worst with orders would fall if this order stood and the other, of the same event, did not; negative if it
/// would rise.
#[inline]
pub(crate) fn risk(margin: Option<&EventMargin>, terms: &Terms, order: Standing, gone: Option<Standing>) -> i128 {
    match margin {
        Some(margin) => margin.worst_with_orders - margin.worst_with(terms, order, gone),
        None => risk_alone(terms, order),
    }
}

/// Cash that a trade brings: positive for a sale.
fn cash_of(terms: &Terms, side: Side, price: Ticks, lots: Lots) -> i128 {
    match side {
        Side::Buy => -terms.value(price, lots),
        Side::Sell => terms.value(price, lots),
    }
}
