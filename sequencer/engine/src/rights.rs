//! Who may do what, and for how long: keys that act for accounts, members of venues, and accounts that may only reduce.
//!
//! The contract judges every line by the rights at the frame's time. So a resting order leaves the book when the key that
//! signed it may no longer trade it, or when it could grow a position that may only become smaller, before anything of the
//! frame can fill it.

use std::collections::{BTreeMap, BTreeSet};

use xos_book::Handle;
use xos_types::{
    AccountId, Address, CancelReason, Event, EventId, FeedId, Lots, MarketId, Order, Phase, Reject, Restriction, Side,
    Signed, SignerGrant, TimeMs, VenueId,
};

use crate::account::Account;
use crate::engine::{Engine, Listing, event_index};
use crate::plans::Waiting;
use crate::terms::Terms;

/// When rights end, soonest first.
#[derive(Debug, Default)]
pub(crate) struct Rights {
    keys: BTreeSet<(TimeMs, AccountId, Address)>,
    memberships: BTreeSet<(TimeMs, AccountId, VenueId)>,
}

impl Rights {
    /// What ends of an account's rights that have not ended yet.
    pub(crate) fn remember(&mut self, id: AccountId, account: &Account, time: TimeMs) {
        let keys = account.granted().signers.values().filter(|grant| grant.trade && grant.expiry >= time);
        self.keys.extend(keys.map(|grant| (grant.expiry, id, grant.signer)));
        let memberships = account.granted().memberships.iter().filter(|(_, until)| **until >= time);
        self.memberships.extend(memberships.map(|(venue, until)| (*until, id, *venue)));
    }
}

impl Account {
    /// Whether `signer` may trade on a venue for so much: the owner, or a key in its scope. Venue 0 asks for every venue.
    pub(crate) fn may_trade(&self, signer: Address, venue: VenueId, notional: u128, time: TimeMs) -> bool {
        signer == self.owner
            || self.granted().signers.get(&signer).is_some_and(|grant| grant.may_trade(venue, notional, time))
    }

    /// Whether `signer` may send money to the owner.
    pub(crate) fn may_withdraw(&self, signer: Address, time: TimeMs) -> bool {
        signer == self.owner || self.granted().signers.get(&signer).is_some_and(|grant| grant.may_withdraw(time))
    }

    /// Whether `signer` may have signed that order of the listing.
    pub(crate) fn may_sign(&self, signer: Address, listing: &Listing, order: &Order, time: TimeMs) -> bool {
        // Beyond 128 bits it is above every limit, which has 96.
        let notional = u128::from(order.size.0).saturating_mul(order.price.0.into());
        let notional = notional.saturating_mul(listing.terms.quantum.unsigned_abs());
        self.may_trade(signer, listing.terms.venue, notional, time)
    }

    pub(crate) fn not_authorized(&self, account: AccountId, recovered: Address) -> Reject {
        Reject::NotAuthorized { account, recovered, expected: self.owner }
    }

    /// Lots by which orders of `side` may reduce the position in a market.
    pub(crate) fn reducible(&self, terms: &Terms, market: MarketId, side: Side) -> u64 {
        reducible(self.position(terms, market), side)
    }
}

/// Lots by which orders of `side` may reduce a position.
pub(crate) fn reducible(position: i64, side: Side) -> u64 {
    match side {
        Side::Buy => position.min(0).unsigned_abs(),
        Side::Sell => position.max(0).unsigned_abs(),
    }
}

impl Engine {
    /// Refuses a signer who can do nothing at all for an account now: neither its owner nor a key that acts for it.
    ///
    /// # Errors
    /// Why not.
    pub fn check_signer(&self, account: AccountId, signer: Address) -> Result<(), Reject> {
        let state = self.find_account(account).ok_or(Reject::UnknownAccount { account })?;
        let acts = |grant: &SignerGrant| (grant.trade || grant.withdraw) && grant.expiry >= self.frame.time;
        if signer == state.owner || self.accounts.parent(account).granted().signers.get(&signer).is_some_and(acts) {
            return Ok(());
        }
        Err(state.not_authorized(account, signer))
    }

    /// Why the account may only reduce its positions in an event, if so.
    pub(crate) fn restriction(&self, account: AccountId, listing: &Listing) -> Option<Restriction> {
        if listing.phase == Phase::ReduceOnly {
            Some(Restriction::Phase)
        } else if self.board.find(listing.terms.feed).is_some_and(|feed| feed.stale) {
            Some(Restriction::Price)
        } else if listing.terms.isolated_only && !is_isolated_in(account, listing.books[0].market()) {
            Some(Restriction::IsolatedOnly)
        } else if listing.terms.restricted && !self.is_member(account, listing.terms.venue) {
            Some(Restriction::Membership)
        } else {
            None
        }
    }

    /// Whether an account, or the one that it is isolated from, is a member of a venue now.
    pub(crate) fn is_member(&self, account: AccountId, venue: VenueId) -> bool {
        self.accounts.parent(account).granted().memberships.get(&venue).is_some_and(|until| *until >= self.frame.time)
    }

    /// Refuses an order that could do more than reduce, where no more is allowed; `freed` lots on its side are about to leave.
    pub(crate) fn check_reducing(&self, listing: &Listing, order: &Order, freed: Lots) -> Result<(), Reject> {
        let (terms, account) = (&listing.terms, &self.accounts[order.account]);
        let (why, reducible) = if let Some(why) = self.restriction(order.account, listing) {
            let resting = account.resting_lots(terms, order.market, order.side) - freed.0;
            // What rests on this side was held to the same limit.
            (why, Lots(account.reducible(terms, order.market, order.side).saturating_sub(resting)))
        } else if order.reduce_only {
            // It may be of more lots than there are to reduce; it never fills more.
            let reducible = account.reducible(terms, order.market, order.side);
            if reducible > 0 {
                return Ok(());
            }
            (Restriction::Order, Lots(0))
        } else {
            return Ok(());
        };
        if order.size <= reducible {
            return Ok(());
        }
        let position = xos_types::Position(account.position(terms, order.market));
        Err(Reject::OnlyReducing { market: order.market, position, reducible, why })
    }

    pub(crate) fn set_signer(&mut self, account: AccountId, grant: SignerGrant, events: &mut Vec<Event>) {
        assert!(!account.is_isolated(), "the contract knows keys of numbered accounts");
        let state = &mut self.accounts[account];
        if let Some(before) = state.granted_mut().signers.insert(grant.signer, grant) {
            self.rights.keys.remove(&(before.expiry, account, grant.signer));
        }
        if grant.trade && grant.expiry >= self.frame.time {
            self.rights.keys.insert((grant.expiry, account, grant.signer));
        }
        events.push(Event::SignerSet { account, grant });
        self.cancel_unauthorized(account, grant.signer, events);
    }

    pub(crate) fn set_membership(
        &mut self,
        account: AccountId,
        venue: VenueId,
        until: TimeMs,
        events: &mut Vec<Event>,
    ) {
        assert!(!account.is_isolated(), "the contract knows memberships of numbered accounts");
        let state = &mut self.accounts[account];
        if let Some(before) = state.granted_mut().memberships.insert(venue, until) {
            self.rights.memberships.remove(&(before, account, venue));
        }
        events.push(Event::MembershipSet { account, venue, until });
        if until >= self.frame.time {
            self.rights.memberships.insert((until, account, venue));
        } else {
            self.keep_reducing_on(venue, events);
        }
    }

    /// Ends what has ended by the frame's time.
    pub(crate) fn lapse(&mut self, events: &mut Vec<Event>) {
        let time = self.frame.time;
        while let Some(&(end, account, signer)) = self.rights.keys.first()
            && end < time
        {
            self.rights.keys.pop_first();
            self.cancel_unauthorized(account, signer, events);
        }
        let mut venues = BTreeSet::new();
        while let Some(&(end, _, venue)) = self.rights.memberships.first()
            && end < time
        {
            self.rights.memberships.pop_first();
            venues.insert(venue);
        }
        for venue in venues {
            self.keep_reducing_on(venue, events);
        }
    }

    /// Cancels what a key has signed and may not trade any more for an account and its isolated ones, by nonce.
    fn cancel_unauthorized(&mut self, parent: AccountId, signer: Address, events: &mut Vec<Event>) {
        for account in self.accounts.family(parent) {
            self.cancel_unauthorized_of(account, signer, events);
        }
    }

    fn cancel_unauthorized_of(&mut self, account: AccountId, signer: Address, events: &mut Vec<Event>) {
        let state = self.accounts.parent(account);
        let mut revoked = self.accounts[account].orders.by_nonce(&self.orders.resting);
        revoked.retain(|(_, handle)| {
            let listing = &self.listings[event_index(self.orders.market(*handle).event())];
            self.orders.signer(*handle, &self.accounts) == signer
                && !state.may_sign(signer, listing, &self.orders.order(*handle), self.frame.time)
        });
        for (_, handle) in revoked {
            self.cancel(handle, CancelReason::SignerRevoked, events);
        }
        let is_revoked = |engine: &Self, waiting: &Waiting| {
            let state = engine.accounts.parent(account);
            let listing = &engine.listings[event_index(waiting.market().event())];
            let Signed { message: order, signer: by, .. } = &waiting.signed;
            *by == signer && !state.may_sign(signer, listing, order, engine.frame.time)
        };
        self.cancel_waiting_of(account, CancelReason::SignerRevoked, is_revoked, events);
    }

    /// As [`Self::keep_reducing`], for every event that the venue keeps to its members.
    fn keep_reducing_on(&mut self, venue: VenueId, events: &mut Vec<Event>) {
        for event in (1u32..).map(EventId).take(self.listings.len()) {
            let terms = &self.listings[event_index(event)].terms;
            if terms.restricted && terms.venue == venue {
                self.keep_reducing(event, events);
            }
        }
    }

    /// As [`Self::keep_reducing`], for every market at an index price.
    pub(crate) fn keep_reducing_at(&mut self, feed: FeedId, events: &mut Vec<Event>) {
        for event in (1u32..).map(EventId).take(self.listings.len()) {
            if self.listings[event_index(event)].terms.feed == feed {
                self.keep_reducing(event, events);
            }
        }
    }

    /// Cancels the orders of accounts that may only reduce in an event, but for those that together only do so: market by
    /// market, bids before asks, and those that would fill first stay.
    pub(crate) fn keep_reducing(&mut self, event: EventId, events: &mut Vec<Event>) {
        let listing = &self.listings[event_index(event)];
        let mut doomed: Vec<Handle> = Vec::new();
        for book in &listing.books {
            for side in [Side::Buy, Side::Sell] {
                let mut left: BTreeMap<AccountId, u64> = BTreeMap::new();
                for handle in book.queue(&self.orders.resting, side) {
                    let id = self.orders.account(handle);
                    let account = &self.accounts[id];
                    if self.restriction(id, listing).is_none() {
                        continue;
                    }
                    let reducible = || account.reducible(&listing.terms, self.orders.market(handle), side);
                    let left = left.entry(id).or_insert_with(reducible);
                    match left.checked_sub(self.orders.remaining(handle).0) {
                        Some(rest) => *left = rest,
                        None => doomed.push(handle),
                    }
                }
            }
        }
        for handle in doomed {
            self.cancel(handle, CancelReason::OnlyReducing, events);
        }
    }
}

/// Whether it is an isolated account for a market of that listing, or for all of its event.
fn is_isolated_in(account: AccountId, market: MarketId) -> bool {
    account.is_isolated() && account.isolated_market().event() == market.event()
}
