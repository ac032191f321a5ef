//! What the chain says: the inbox is the only door (DESIGN.md, law 1), and the contract applies the same items to the same
//! effect when it settles the frame.

use xos_book::Handle;
use xos_types::{
    AccountId, Address, Atoms, BuilderId, CancelReason, Event, EventConfig, EventId, InboxItem, InboxPayload, MarketId,
    Phase, Side, VenueConfig, VenueId,
};

use crate::account::Account;
use crate::engine::{Engine, Listing, account_index, event_index};
use crate::limits::DEPOSIT_MAX;

impl Engine {
    /// Applies one inbox item.
    ///
    /// Its assertions name what contract and node guarantee; a group whose inbox contradicts its state must stop.
    pub(crate) fn consume(&mut self, item: &InboxItem, events: &mut Vec<Event>) {
        assert_eq!(item.index, self.next_inbox, "the node passes inbox items on in order, without gaps");
        self.next_inbox += 1;
        match &item.payload {
            InboxPayload::Deposit { account, owner, token, amount } => {
                self.check_token(*token);
                self.deposit(*account, *owner, *amount, events);
            }
            InboxPayload::EventOpened { event, config } => self.open_event(*event, config, events),
            InboxPayload::EventResolved { event, payouts } => self.resolve_event(*event, payouts, events),
            // As on chain it waits until the whole inbox is consumed: [`Engine::force_withdrawal`].
            InboxPayload::ForcedWithdrawal { token, .. } => self.check_token(*token),
            InboxPayload::CancelAll { account, floor } => {
                if self.knows(*account) {
                    self.raise_floor(*account, *floor, events);
                }
            }
            // The contract takes both up only where there is a position in a perpetual, and this group lists none.
            InboxPayload::ForcedClose { .. } | InboxPayload::ForcedLiquidation(_) => {}
            InboxPayload::SignerSet { account, grant } => self.set_signer(*account, *grant, events),
            InboxPayload::MembershipSet { account, venue, until } => {
                self.set_membership(*account, *venue, *until, events);
            }
            InboxPayload::ReferrerSet { account, referrer } => {
                if self.knows(*account) {
                    self.accounts[account_index(*account)].referrer = *referrer;
                    events.push(Event::ReferrerSet { account: *account, referrer: *referrer });
                }
            }
            InboxPayload::BuilderSet { builder, account } => self.set_builder(*builder, *account, events),
            InboxPayload::VenueSet { venue, config } => self.set_venue(*venue, *config, events),
            InboxPayload::PhaseSet { market, phase } => self.set_phase(*market, *phase, events),
            InboxPayload::TermsSet(terms) => {
                self.group_terms = Some(*terms);
                events.push(Event::TermsSet(*terms));
            }
        }
        self.frame.consume(item.clone());
    }

    fn check_token(&self, token: Address) {
        assert_eq!(token, self.config.token, "the chain side passes items of the settlement token only");
    }

    /// Whether a request concerns an account that exists. Owners may also ask for isolated accounts before a transfer opens
    /// them, and this engine opens none: they hold nothing, so nothing comes of it.
    fn knows(&self, account: AccountId) -> bool {
        let known = self.find_account(account).is_some();
        assert!(known || account.is_isolated(), "the contract takes requests of accounts that exist");
        known
    }

    fn set_builder(&mut self, builder: BuilderId, account: AccountId, events: &mut Vec<Event>) {
        assert!(self.find_account(account).is_some(), "the contract registers accounts that exist as builders");
        self.builders.insert(builder, account);
        events.push(Event::BuilderSet { builder, account });
    }

    fn set_venue(&mut self, venue: VenueId, config: VenueConfig, events: &mut Vec<Event>) {
        assert!(self.find_account(config.treasury).is_some(), "the contract opens venues with a treasury that exists");
        let shares = u64::from(config.protocol_share.0)
            + u64::from(config.insurance_share.0)
            + u64::from(config.referrer_share.0);
        assert!(shares <= 1_000_000, "the contract shares no more than a venue's fees");
        self.venues.insert(venue, config);
        events.push(Event::VenueSet { venue, config });
    }

    /// A halted market keeps its orders; where only reducing is allowed, the others leave.
    fn set_phase(&mut self, market: MarketId, phase: Phase, events: &mut Vec<Event>) {
        let event = market.event();
        assert!(self.find_listing(event).is_some(), "the contract moves listings that exist");
        let listing = &mut self.listings[event_index(event)];
        if listing.payouts.is_some() {
            return;
        }
        listing.phase = phase;
        events.push(Event::PhaseSet { event, phase });
        if phase == Phase::ReduceOnly {
            self.keep_reducing(event, events);
        }
    }

    fn deposit(&mut self, account: AccountId, owner: Address, amount: u128, events: &mut Vec<Event>) {
        assert!(amount <= DEPOSIT_MAX, "the contract bounds what one deposit may bring");
        let amount = i128::try_from(amount).expect("DEPOSIT_MAX is far below 2^127");
        if self.find_account(account).is_none() {
            let next = AccountId(self.accounts.len() as u64 + 1);
            assert_eq!(account, next, "the contract numbers accounts from 1 without gaps");
            self.accounts.push(Account::new(owner));
            self.owners.entry(owner).or_default().push(account);
            events.push(Event::AccountOpened { account, owner });
        }
        self.accounts[account_index(account)].cash += amount;
        self.custody += amount;
        events.push(Event::Deposited { account, amount: Atoms(amount) });
    }

    fn open_event(&mut self, event: EventId, config: &EventConfig, events: &mut Vec<Event>) {
        let next = u32::try_from(self.listings.len() + 1).expect("event numbers have 24 bits");
        assert_eq!(event, EventId(next), "the contract numbers events from 1 without gaps");
        let venue = config.terms.venue;
        assert!(self.venues.contains_key(&venue), "the contract opens events of venues that exist");
        self.listings.push(Listing::new(event, config.clone()));
        events.push(Event::EventOpened { event, config: config.clone() });
    }

    /// Cancels the event's orders market by market, bids before asks, in the order in which they would have filled, and
    /// queues every holder for redemption. Payouts add up to the price of certainty, so what is paid adds up to nothing.
    fn resolve_event(&mut self, event: EventId, payouts: &[u64], events: &mut Vec<Event>) {
        let listing = self.find_listing(event).expect("the contract resolves events that it opened");
        assert!(listing.payouts.is_none(), "the contract resolves an event once");
        assert_eq!(payouts.len(), usize::from(listing.terms.outcomes), "the contract takes a payout for each outcome");
        let total: u128 = payouts.iter().map(|payout| u128::from(*payout)).sum();
        assert_eq!(total, u128::from(listing.terms.ticks), "the contract takes payouts that add up to certainty");

        let handles: Vec<Handle> = listing
            .books
            .iter()
            .flat_map(|book| [Side::Buy, Side::Sell].map(|side| book.queue(&self.orders.resting, side)))
            .flatten()
            .collect();
        for handle in handles {
            self.cancel(handle, CancelReason::EventResolved, events);
        }
        let listing = &mut self.listings[event_index(event)];
        listing.payouts = Some(payouts.to_vec());
        events.push(Event::EventResolved { event, payouts: payouts.to_vec() });

        for (index, account) in self.accounts.iter().enumerate() {
            // Its orders are gone, so what is left of an entry is positions.
            if account.margins.contains_key(&event) {
                self.redemptions.insert((event, AccountId(index as u64 + 1)));
            }
        }
    }

    /// Pays as much of `amount` as the account can spare without its orders. Positions alone decide, so the contract,
    /// which knows no resting orders, pays the same: the lesser of initial health and `usd`, which are one number for an
    /// account of cash and outcomes. It would pay no more than was paid in while the insurance fund is negative; the fund
    /// is an account like any other, and no account here ever is.
    pub(crate) fn force_withdrawal(&mut self, account: AccountId, amount: u128, events: &mut Vec<Event>) {
        if !self.knows(account) {
            return;
        }
        let state = &self.accounts[account_index(account)];
        for (_, handle) in state.orders.by_nonce(&self.orders.resting) {
            self.cancel(handle, CancelReason::ForcedWithdrawal, events);
        }
        let state = &mut self.accounts[account_index(account)];
        let spare = state.cash + state.worst_payoff;
        assert_eq!(spare, state.available(), "without orders nothing is reserved");
        let paid = i128::try_from(amount).unwrap_or(i128::MAX).min(spare);
        if paid > 0 {
            state.cash -= paid;
            self.custody -= paid;
            events.push(Event::Withdrawn { account, amount: Atoms(paid), forced: true });
        }
    }
}
