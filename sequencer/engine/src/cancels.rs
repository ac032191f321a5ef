//! Orders made smaller or taken away by their owners: one, all of a venue, market or side, or all when nobody is there to
//! renew the dead-man switch.

use std::collections::{BTreeMap, BTreeSet};

use xos_book::Handle;
use xos_types::{
    AccountId, Address, Amend, CancelAfter, CancelMany, CancelReason, Event, Lots, MarketId, MarketKind, Nonce, Reject,
    Side, Signed, TimeMs, VenueId,
};

use crate::account::Standing;
use crate::engine::{Engine, event_index};
use crate::follow::Live;
use crate::plans::Waiting;

/// Dead-man switches: when all orders of an account are to be cancelled.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    by_account: BTreeMap<AccountId, TimeMs>,
    /// The same, soonest first.
    by_time: BTreeSet<(TimeMs, AccountId)>,
}

impl Switches {
    /// Sets an account's switch, or takes it back with time 0.
    pub(crate) fn set(&mut self, account: AccountId, time: TimeMs) {
        if let Some(before) = self.by_account.remove(&account) {
            self.by_time.remove(&(before, account));
        }
        if time != TimeMs(0) {
            self.by_account.insert(account, time);
            self.by_time.insert((time, account));
        }
    }

    pub(crate) fn of(&self, account: AccountId) -> Option<TimeMs> {
        self.by_account.get(&account).copied()
    }

    /// Every switch, by account.
    pub(crate) fn by_account(&self) -> &BTreeMap<AccountId, TimeMs> {
        &self.by_account
    }

    /// Takes out an account whose time has come, the soonest first.
    fn pop(&mut self, now: TimeMs) -> Option<AccountId> {
        let (_, account) = self.by_time.first().copied().filter(|(time, _)| *time <= now)?;
        self.set(account, TimeMs(0));
        Some(account)
    }

    /// # Panics
    /// If the two orders differ.
    pub(crate) fn check(&self) {
        let by_time = self.by_account.iter().map(|(account, time)| (*time, *account)).collect::<BTreeSet<_>>();
        assert_eq!(by_time, self.by_time, "every dead-man switch has its time");
    }
}

impl Engine {
    pub(crate) fn amend(&mut self, signed: &Signed<Amend>, events: &mut Vec<Event>) {
        let Amend { account, nonce, size } = signed.message;
        match self.check_amend(signed) {
            Ok((Live::Waiting, current)) => {
                let waiting = self.plans.get((account, nonce)).expect("it waits");
                if size <= waiting.filled {
                    self.cancel_waiting((account, nonce), CancelReason::Requested, events);
                } else {
                    let by = Lots(current.0 - size.0);
                    self.reduce_waiting((account, nonce), by, CancelReason::Requested, events);
                }
            }
            Ok((Live::Resting(handle), current)) => {
                let filled = current.0 - self.orders.remaining(handle).0;
                if size.0 <= filled {
                    self.cancel(handle, CancelReason::Requested, events);
                } else {
                    self.reduce(handle, Lots(current.0 - size.0), CancelReason::Requested, events);
                }
            }
            Err(reject) => events.push(Event::Rejected { account, nonce, reject }),
        }
    }

    /// The order and its size now, if it may be made smaller.
    fn check_amend(&self, signed: &Signed<Amend>) -> Result<(Live, Lots), Reject> {
        let Amend { account, nonce, size } = signed.message;
        let live = self.check_live(account, nonce, signed.signer)?;
        let current = match live {
            Live::Resting(handle) => self.orders.size(handle),
            Live::Waiting => self.plans.get((account, nonce)).expect("it waits").size(),
        };
        if size >= current {
            return Err(Reject::NotSmaller { nonce, size, current });
        }
        Ok((live, current))
    }

    /// Takes `by` lots off an order that stays where it is, and frees what they reserved.
    pub(crate) fn reduce(&mut self, handle: Handle, by: Lots, reason: CancelReason, events: &mut Vec<Event>) {
        let (account, nonce) = (self.orders.account(handle), self.orders.nonce(handle));
        let standing = self.orders.standing(handle);
        let Standing { market, side, price, lots } = standing;
        let listing = &mut self.listings[event_index(market.event())];
        let terms = listing.terms;
        let reserved = self.orders.reserved(handle, standing, &terms);
        if self.orders.reduces(handle) && terms.kind != MarketKind::Spot {
            self.reducing.reduce((account, market, side), by);
        }
        self.orders.reduce(&mut listing.books[usize::from(market.outcome())], handle, by);
        let remaining = Lots(lots.0 - by.0);
        let freed = reserved - self.orders.reserved(handle, Standing { lots: remaining, ..standing }, &terms);
        let gone = Standing { lots: by, ..standing };
        self.accounts[account].release(&terms, &self.board, gone, freed);
        events.push(Event::Reduced { account, nonce, market, side, price, by, remaining, reason });
    }

    pub(crate) fn cancel_many(&mut self, signed: &Signed<CancelMany>, events: &mut Vec<Event>) {
        let CancelMany { account, venue, market, nonce, .. } = signed.message;
        let scope = self.find_market(market).map_or(venue, |listing| listing.terms.venue);
        if let Err(reject) = self.check_request(account, nonce, signed.signer, scope) {
            return events.push(Event::Rejected { account, nonce, reject });
        }
        self.accounts[account].nonces.spend(nonce);
        self.cancel_chosen(&signed.message, events);
        self.follow_end((account, nonce), events);
    }

    pub(crate) fn cancel_chosen(&mut self, chosen: &CancelMany, events: &mut Vec<Event>) {
        let CancelMany { account, venue, market, sides, .. } = *chosen;
        let mut chosen = self.accounts[account].orders.by_nonce(&self.orders.resting);
        let is_meant = |engine: &Self, of: MarketId, side: Side| {
            sides.contains(side)
                && (market == MarketId(0) || market == of)
                && (venue == VenueId(0) || venue == engine.listings[event_index(of.event())].terms.venue)
        };
        chosen.retain(|(_, handle)| is_meant(self, self.orders.market(*handle), self.orders.side(*handle)));
        for (_, handle) in chosen {
            self.cancel(handle, CancelReason::Requested, events);
        }
        let is_meant =
            |engine: &Self, waiting: &Waiting| is_meant(engine, waiting.market(), waiting.signed.message.side);
        self.cancel_waiting_of(account, CancelReason::Requested, is_meant, events);
    }

    pub(crate) fn set_switch(&mut self, signed: &Signed<CancelAfter>, events: &mut Vec<Event>) {
        let CancelAfter { account, nonce, .. } = signed.message;
        // It touches every venue, so a key for some of them will not do.
        if let Err(reject) = self.check_request(account, nonce, signed.signer, VenueId(0)) {
            return events.push(Event::Rejected { account, nonce, reject });
        }
        self.accounts[account].nonces.spend(nonce);
        self.turn_switch(&signed.message, events);
        self.follow_end((account, nonce), events);
    }

    pub(crate) fn turn_switch(&mut self, switch: &CancelAfter, events: &mut Vec<Event>) {
        let CancelAfter { account, time, .. } = *switch;
        self.switches.set(account, time);
        events.push(Event::CancelAfterSet { account, time });
    }

    /// Cancels the orders of everybody whose dead-man switch has come due.
    pub(crate) fn fire_switches(&mut self, events: &mut Vec<Event>) {
        while let Some(account) = self.switches.pop(self.frame.time) {
            for (_, handle) in self.accounts[account].orders.by_nonce(&self.orders.resting) {
                self.cancel(handle, CancelReason::DeadMan, events);
            }
            self.cancel_waiting_of(account, CancelReason::DeadMan, |_, _| true, events);
        }
    }

    /// Account, signer and nonce, in this order.
    fn check_request(&self, account: AccountId, nonce: Nonce, signer: Address, venue: VenueId) -> Result<(), Reject> {
        self.check_canceller(account, signer, venue)?;
        let nonces = &self.accounts[account].nonces;
        if nonces.is_spent(nonce) {
            return Err(Reject::NonceSpent { nonce, next: nonces.next() });
        }
        Ok(())
    }

    /// Account and signer, in this order: who may take away orders on a venue, or on every one (0).
    pub(crate) fn check_canceller(&self, account: AccountId, signer: Address, venue: VenueId) -> Result<(), Reject> {
        let state = self.find_account(account).ok_or(Reject::UnknownAccount { account })?;
        if !self.accounts.parent(account).may_trade(signer, venue, 0, self.frame.time) {
            return Err(state.not_authorized(account, signer));
        }
        Ok(())
    }
}
