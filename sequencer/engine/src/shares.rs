//! Who gets the fees of a frame, exactly as the contract shares them when it settles the frame (`Fills.sol`): the referrer's
//! share line by line, then of each market's rest the protocol's and the insurance fund's, and what remains is the venue's.
//! Shares round down, in favour of the venue's treasury. A builder's fee is the trader's beside that, line by line.
//!
//! Losses that all accounts share are paid first out of what the insurance fund earns (`losses`).

use std::collections::BTreeMap;

use xos_types::{AccountId, Atoms, BuilderId, Event, FillLine, MarketId, Ppm, VenueConfig};

use crate::account::Account;
use crate::engine::{Engine, event_index};
use crate::fees::{builder_fee, share};
use crate::gas::{MarketState, Word};

/// What the fees of a frame bring.
#[derive(Debug, Default)]
pub(crate) struct FrameFees {
    /// By account.
    pub(crate) accrued: BTreeMap<AccountId, Atoms>,
    /// Of losses that all share.
    pub(crate) repaid: i128,
}

impl Engine {
    /// What the open frame's fees bring when it is sealed, by account. They are nobody's cash before, so nothing that happens
    /// later in the frame (a rebate, a share that rounds the other way) can take from anybody what was counted with.
    #[must_use]
    pub fn accrued_fees(&self) -> BTreeMap<AccountId, Atoms> {
        self.frame_fees().accrued
    }

    /// The same, with what of them pays losses.
    pub(crate) fn frame_fees(&self) -> FrameFees {
        let mut accrued = BTreeMap::new();
        let mut pool = self.pool;
        let mut repaid = 0;
        for (market, lines) in self.frame.markets() {
            let listing = &self.listings[event_index(market.event())];
            let venue = &self.venues[&listing.terms.venue];
            let mut total = 0;
            for line in lines {
                let order = &line.order.message;
                if let Some(payee) = self.builders.get(&BuilderId(order.builder)) {
                    add(&mut accrued, *payee, builder_fee(&listing.terms, line.notional, order.builder_fee));
                }
                total += line.fee.0 - self.share_with_referrer(line, venue, &mut accrued);
            }
            assert!(total >= 0, "rebates are at most the fees of the orders that took, less what their referrers get");
            let protocol = share(total, venue.protocol_share);
            let insurance = share(total, venue.insurance_share);
            add(&mut accrued, AccountId::PROTOCOL, protocol);
            let pays_losses = pool.repay(insurance);
            repaid += pays_losses;
            add(&mut accrued, AccountId::INSURANCE, insurance - pays_losses);
            add(&mut accrued, venue.treasury, total - protocol - insurance);
        }
        FrameFees { accrued, repaid }
    }

    /// Turns what was accrued in the frame that was just sealed into cash.
    pub(crate) fn pay_fees(&mut self, FrameFees { accrued, repaid }: FrameFees, events: &mut Vec<Event>) {
        for (account, amount) in accrued {
            self.accounts[account].cash += amount.0;
            events.push(Event::FeesPaid { account, amount });
        }
        if repaid != 0 {
            events.push(Event::LossesRepaid { amount: Atoms(repaid) });
        }
    }

    /// Who is paid a share of the account's fees, if anybody.
    pub(crate) fn referrer_of(&self, account: AccountId) -> Option<AccountId> {
        referrer(&self.builders, &self.accounts[account])
    }

    /// The most of a taker's fee that goes to its referrer.
    pub(crate) fn referrer_share(&self, account: AccountId, venue: &VenueConfig) -> Ppm {
        self.referrer_of(account).map_or(Ppm(0), |_| venue.referrer_share)
    }

    /// Lets the frame have lines of a market.
    pub(crate) fn open_lines(&mut self, market: MarketId) {
        if !self.frame.has_lines(market) {
            let state = self.market_state(market);
            self.frame.open_lines(market, state);
        }
    }

    /// What the contract holds of a market and of those who get its fees.
    fn market_state(&self, market: MarketId) -> MarketState {
        let listing = &self.listings[event_index(market.event())];
        let venue = &self.venues[&listing.terms.venue];
        let cash_word = |payee: AccountId| self.accounts[payee].cash_word();
        let shared = |share: Ppm, payee: AccountId| (share.0 > 0).then(|| cash_word(payee));
        MarketState {
            open_interest: listing.terms.capped.then(|| Word::used_if(listing.open_interest(market) != 0)),
            payees: [
                (listing.terms.highest_fee().0 > 0).then(|| cash_word(venue.treasury)),
                shared(venue.protocol_share, AccountId::PROTOCOL),
                shared(venue.insurance_share, AccountId::INSURANCE),
            ],
        }
    }

    fn share_with_referrer(
        &self,
        line: &FillLine,
        venue: &VenueConfig,
        accrued: &mut BTreeMap<AccountId, Atoms>,
    ) -> i128 {
        let Some(payee) = self.referrer_of(line.order.message.account) else { return 0 };
        let amount = share(line.fee.0.max(0), venue.referrer_share);
        add(accrued, payee, amount);
        amount
    }
}

/// See [`Engine::referrer_of`].
pub(crate) fn referrer(builders: &BTreeMap<BuilderId, AccountId>, account: &Account) -> Option<AccountId> {
    builders.get(&account.referrer).copied()
}

fn add(accrued: &mut BTreeMap<AccountId, Atoms>, account: AccountId, amount: i128) {
    if amount != 0 {
        *accrued.entry(account).or_default() += Atoms(amount);
    }
}
