//! What must hold after every command, recomputed from scratch. Too slow for the product; every test calls it.

use std::collections::{BTreeMap, BTreeSet};

use xos_book::Handle;
use xos_types::{AccountId, EventId, Nonce, Side, Signed, TimeMs};

use crate::account::{Account, Standing, exposure};
use crate::engine::{Engine, Listing, event_index};
use crate::margin::EventMargin;

impl Engine {
    /// Checks conservation, books, reserves and indexes; `O(state)`.
    ///
    /// # Panics
    /// If one does not hold, naming it: that is a bug of the engine.
    pub fn check_invariants(&self) {
        let mut resting = 0;
        for (number, listing) in (1u32..).zip(&self.listings) {
            resting += self.check_books(EventId(number), listing);
            self.check_positions(EventId(number), listing);
        }
        assert_eq!(resting, self.orders.len(), "every order lies in exactly one book");
        let open: usize = self.accounts.iter().map(|account| account.orders.len()).sum();
        assert_eq!(resting, open, "every order is known to its account");

        let mut expiries = BTreeSet::new();
        for (id, account) in self.account_ids().zip(&self.accounts) {
            self.check_account(id, account, &mut expiries);
        }
        assert_eq!(expiries, self.expiries, "exactly the orders that expire are in the expiry index");
        self.switches.check();
        let altered = self.accounts.iter().flat_map(|account| account.orders.iter());
        let altered = altered.filter(|handle| self.orders.altered(*handle).is_some()).count();
        assert_eq!(
            altered,
            self.orders.altered_len(),
            "exactly the orders that differ from what was signed are so marked"
        );
        self.check_conservation();
    }

    fn check_books(&self, event: EventId, listing: &Listing) -> usize {
        let mut resting = 0;
        for book in &listing.books {
            if let (Some(bid), Some(ask)) = (book.best(Side::Buy), book.best(Side::Sell)) {
                assert!(bid < ask, "the book of event {event} is crossed: {bid} >= {ask}");
            }
            for side in [Side::Buy, Side::Sell] {
                let mut sums: BTreeMap<_, (u128, u32)> = BTreeMap::new();
                for handle in book.queue(&self.orders.resting, side) {
                    let Standing { side: own, price, lots: remaining, .. } = self.orders.standing(handle);
                    assert!(own == side && remaining.0 > 0, "an order rests on its own side");
                    let known = self.resting(self.orders.account(handle), self.orders.nonce(handle));
                    assert_eq!(known, Some(handle), "an account knows its orders");
                    let (lots, orders) = sums.entry(price).or_default();
                    *lots += u128::from(remaining.0);
                    *orders += 1;
                    resting += 1;
                }
                let levels: BTreeMap<_, _> = book
                    .levels(&self.orders.resting, side)
                    .map(|(price, level)| (price, (level.lots(), level.orders())))
                    .collect();
                assert_eq!(sums, levels, "a level's sums are those of its orders");
            }
        }
        assert!(listing.payouts.is_none() || resting == 0, "a resolved event has no orders");
        resting
    }

    /// Positions of an outcome sum to zero until the event's redemption has begun.
    fn check_positions(&self, event: EventId, listing: &Listing) {
        if listing.payouts.is_some() {
            return;
        }
        for k in 0..usize::from(listing.terms.outcomes) {
            let positions = self.accounts.iter().filter_map(|account| account.margins.get(&event));
            let held: Vec<i128> = positions.map(|margin| i128::from(margin.outcomes[k].position)).collect();
            assert_eq!(held.iter().sum::<i128>(), 0, "positions in event {event}, outcome {k} sum to zero");
            let long: i128 = held.iter().filter(|lots| **lots > 0).sum();
            assert_eq!(long, i128::from(listing.open_interest[k]), "open interest in event {event}, outcome {k}");
            assert!(listing.open_interest[k] <= listing.terms.open_interest_max, "open interest is within its cap");
        }
    }

    fn check_account(&self, id: AccountId, account: &Account, expiries: &mut BTreeSet<(TimeMs, AccountId, Nonce)>) {
        let mut margins: BTreeMap<EventId, EventMargin> = BTreeMap::new();
        for (event, margin) in account.margins.iter() {
            let terms = &self.listings[event_index(*event)].terms;
            let mut fresh = EventMargin::new(terms);
            for (entry, held) in fresh.outcomes.iter_mut().zip(&margin.outcomes) {
                entry.position = held.position;
            }
            margins.insert(*event, fresh);
        }
        let mut fee_reserve = 0;
        for handle in account.orders.iter() {
            fee_reserve += self.add_to(&mut margins, handle);
            let order = self.orders.order(handle);
            if order.expiry != TimeMs(0) {
                assert!(order.expiry >= self.frame.time, "an expired order rests");
                expiries.insert((order.expiry, id, order.nonce));
            }
            assert!(account.nonces.is_spent(order.nonce), "a resting order's nonce is spent");
            self.check_rights(account, handle);
        }
        for (event, margin) in &mut margins {
            margin.rederive(&self.listings[event_index(*event)].terms);
        }
        assert!(margins.iter().eq(account.margins.iter()), "account {id}: sums per event");
        assert_eq!(fee_reserve, account.fee_reserve, "account {id}: reserve for fees");
        let worst_payoff: i128 = margins.values().map(|margin| margin.worst_payoff).sum();
        let worst_with_orders: i128 = margins.values().map(|margin| margin.worst_with_orders).sum();
        assert_eq!(worst_payoff, account.worst_payoff, "account {id}: worst payoff");
        assert_eq!(worst_with_orders, account.worst_with_orders, "account {id}: worst with orders");
        assert!(account.available() >= 0, "account {id} is short: {}", account.available());
        assert!(account.cash + worst_payoff >= account.available(), "account {id}: orders cannot add margin");
    }

    /// The contract would settle a fill of the order by who signed it and by what its account may do.
    fn check_rights(&self, account: &Account, handle: Handle) {
        let Signed { message: order, signer, .. } = self.orders.signed(handle, &self.accounts);
        let (market, side) = (order.market, order.side);
        let listing = &self.listings[event_index(market.event())];
        let may = account.may_sign(signer, listing, &order, self.frame.time);
        assert!(may, "whoever signed a resting order may still trade it");
        if self.restriction(account, listing).is_some() {
            let reducible = account.reducible(market, side);
            assert!(account.resting_lots(market, side) <= reducible, "who may only reduce has no other orders");
        }
        assert!(
            exposure(account.margins.get(&market.event()), market, side) <= i128::from(listing.terms.position_max),
            "positions stay within their cap, orders counted"
        );
    }

    /// Adds an order to the sums from scratch; returns its reserve for fees.
    fn add_to(&self, margins: &mut BTreeMap<EventId, EventMargin>, handle: Handle) -> i128 {
        let standing = self.orders.standing(handle);
        let terms = &self.listings[event_index(standing.market.event())].terms;
        let margin = margins.entry(standing.market.event()).or_insert_with(|| EventMargin::new(terms));
        margin.reserve(terms, standing.market.outcome(), standing.side, standing.price, standing.lots);
        self.orders.reserved_fee(handle, terms)
    }

    /// What accounts hold is what came in and did not leave: cash, and what resolved events still owe each other.
    fn check_conservation(&self) {
        let cash: i128 = self.accounts.iter().map(|account| account.cash).sum();
        let owed: i128 = self
            .redemptions
            .iter()
            .map(|(event, id)| {
                let listing = &self.listings[event_index(*event)];
                let payouts = listing.payouts.as_ref().expect("only resolved events are queued");
                let account = self.find_account(*id).expect("a queued account exists");
                account.margins.get(event).map_or(0, |margin| margin.payoff(&listing.terms, payouts))
            })
            .sum();
        let fees: i128 = self.accrued_fees().values().map(|amount| amount.0).sum();
        assert_eq!(
            cash + owed + fees,
            self.custody,
            "cash, unpaid redemptions and the frame's fees are deposits less withdrawals"
        );
    }
}
