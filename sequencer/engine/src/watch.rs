//! Accounts whose margin needs a closer look: what a move of prices did to them, and which of their fills a batch can carry.
//!
//! An account is *watched* while its health with all orders is below zero, it holds a perpetual with a stale price, or more
//! than it may. For all others no fill of an order that was accepted can break a rule of the contract, and nothing is looked at
//! when they trade. A watched account's fills are judged one by one, as the contract will judge the batch that ends with
//! them (`Judgement.sol`); one that it would refuse does not happen, and its order is gone.
//!
//! At the start of a frame, when its prices are known, whoever is below zero loses orders that can make things worse, the
//! newest (highest nonce) first, until the rest fits. Who is below zero in maintenance health loses all orders and is open to
//! liquidation.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use xos_types::{AccountId, CancelReason, Event, FeedId, MarketKind, Side};

use crate::account::{Account, Standing};
use crate::engine::{Engine, event_index};
use crate::feeds::FeedKind;
use crate::health::Health;
use crate::holders::Holders;
use crate::terms::Terms;

/// Accounts between one that is valued and one that is fetched meanwhile.
const AHEAD: usize = 6;

/// A watched account at the start of the frame, or of its being watched.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Before {
    usd: i128,
    maintenance: i128,
}

/// What of a feed has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// Its price, terms or state.
    Price,
    /// Only its funding index, and orders owe no funding.
    Funding,
}

impl Engine {
    /// The most assets and perpetuals that an account may hold.
    pub(crate) fn holdings_max(&self) -> usize {
        self.group_terms.max_holdings.into()
    }

    /// Makes a place for what the account is about to hold or order.
    pub(crate) fn open_place(&mut self, account: AccountId, feed: FeedId) {
        let holdings = &mut self.accounts[account].holdings;
        if !holdings.contains(feed) {
            let record = &mut self.board[feed];
            holdings.open(feed, record);
            record.holders.insert(account);
        }
    }

    /// Gives up a place that nothing needs any more.
    pub(crate) fn tidy(&mut self, account: AccountId, feed: FeedId) {
        let holdings = &mut self.accounts[account].holdings;
        if holdings.is_vacant(feed) {
            holdings.close(feed, &self.board);
            self.board[feed].holders.remove(account);
        }
    }

    /// Values what is held at feeds anew, each of which has moved in some way, and what is ordered there if it is not only
    /// funding that has.
    pub(crate) fn revalue(&mut self, moved: &BTreeMap<FeedId, Moved>) {
        let (most, mut by_feed, mut holders) = (self.holdings_max(), [None; 256], Holders::default());
        for (id, how) in moved {
            by_feed[usize::from(id.0)] = Some(*how);
            holders.extend(&self.board[*id].holders);
        }
        // An account is fetched first, and when it is there what it points to, both ahead of their turn.
        let (mut accounts, mut lists) = (holders.iter().skip(2 * AHEAD), holders.iter().skip(AHEAD));
        for holder in holders.iter() {
            if let Some(account) = accounts.next().and_then(|ahead| self.find_account(ahead)) {
                account.fetch();
            }
            if let Some(account) = lists.next().and_then(|ahead| self.find_account(ahead)) {
                account.holdings.fetch();
            }
            let account = &mut self.accounts[holder];
            account.holdings.revalue(&self.board, |id| by_feed[usize::from(id.0)] == Some(Moved::Price));
            let is_stale = |id: FeedId| by_feed[usize::from(id.0)].is_some() && self.board[id].stale;
            if account.available() < 0 || account.holdings.len() > most || account.holdings.feeds().any(is_stale) {
                self.suspects.insert(holder);
            }
        }
        for (id, how) in moved {
            if *how == Moved::Price {
                self.reckon_losses(*id);
            }
        }
    }

    /// What resting orders lose against the index at its new price, of accounts that are valued as if they lost nothing. Only the
    /// best of a book do: bids above it and asks below.
    fn reckon_losses(&mut self, id: FeedId) {
        let feed = &self.board[id];
        let FeedKind::Perpetual { market, .. } = feed.kind else { return };
        let listing = &self.listings[event_index(market.event())];
        for side in [Side::Buy, Side::Sell] {
            for handle in listing.books[0].queue(&self.orders.resting, side) {
                let loss = self.orders.standing(handle).offer(&listing.terms).loss(feed.price);
                if loss == 0 {
                    break;
                }
                let holder = self.orders.account(handle);
                let account = &mut self.accounts[holder];
                account.holdings.change(id, feed, |held| held.perpetual().loss += loss);
                if account.available() < 0 {
                    self.suspects.insert(holder);
                }
            }
        }
    }

    /// Judges everybody who may have come to be watched, or to be watched no more.
    ///
    /// `told` are those of whom it was said already that they fail.
    pub(crate) fn review(&mut self, told: &BTreeSet<AccountId>, events: &mut Vec<Event>) {
        let mut suspects = std::mem::take(&mut self.suspects);
        suspects.extend(std::mem::take(&mut self.watched).into_keys());
        for account in suspects {
            if self.shed(account, events) && !told.contains(&account) {
                events.push(Event::Failing { account });
            }
            let state = &self.accounts[account];
            let health = state.health(&self.board);
            let watched = state.available() < 0 || health.blocked || state.holdings.len() > self.holdings_max();
            self.accounts[account].watched = watched;
            if watched {
                self.watched.insert(account, Before { usd: health.usd, maintenance: health.maintenance() });
            }
        }
    }

    /// Watches an account from the middle of a frame on.
    pub(crate) fn watch(&mut self, account: AccountId) {
        let before = self.watched_since(account);
        let state = &mut self.accounts[account];
        if !state.watched {
            state.watched = true;
            self.watched.insert(account, before);
        }
    }

    /// What a watched account had before, or would have had if it were watched from now on: at the frame's start it was sound, or
    /// it would have been watched.
    pub(crate) fn watched_since(&self, account: AccountId) -> Before {
        self.watched.get(&account).copied().unwrap_or(Before { usd: 0, maintenance: 0 })
    }

    /// Takes orders from an account that cannot carry them; whether it fails.
    pub(crate) fn shed(&mut self, account: AccountId, events: &mut Vec<Event>) -> bool {
        let state = &self.accounts[account];
        if state.available() >= 0 {
            return false;
        }
        let failing = state.health(&self.board).maintenance() < 0;
        // What may leave the group depends on the fund, so it takes no chances.
        let all = failing || account == AccountId::INSURANCE;
        for (_, handle) in state.orders.by_nonce(&self.orders.resting).into_iter().rev() {
            let state = &self.accounts[account];
            let standing = self.orders.standing(handle);
            let terms = &self.listings[event_index(standing.market.event())].terms;
            let reducible = state.reducible(terms, standing.market, standing.side);
            let spends = spends(terms, standing.side) && state.usd_with_orders() < 0;
            if all || (state.available() < 0 && (spends || standing.lots.0 > reducible)) {
                self.cancel(handle, CancelReason::Margin, events);
            }
        }
        if all {
            self.cancel_waiting_of(account, CancelReason::Margin, |_, _| true, events);
        }
        failing
    }

    /// Whether the contract would take a batch that ends with this trade of a watched account.
    pub(crate) fn may_trade(&self, account: AccountId, terms: &Terms, trade: Standing, fee: i128) -> bool {
        self.carries(&self.accounts[account], self.watched[&account], terms, trade, fee)
    }

    /// The same of an account as it stands or would stand.
    pub(crate) fn carries(&self, state: &Account, before: Before, terms: &Terms, trade: Standing, fee: i128) -> bool {
        let did = state.did(self.frame.id());
        let (grows, spends) = state.trade_does(terms, trade);
        let after = state.health_after(&self.board, terms, trade, fee);
        judge(after, before, did.grew || grows, did.spent || spends, self.holdings_max())
    }

    /// Whether an order that only reduces leaves maintenance health no worse, if all of it fills at its limit.
    pub(crate) fn reduces_without_harm(&self, account: AccountId, terms: &Terms, trade: Standing, fee: i128) -> bool {
        let state = &self.accounts[account];
        let (before, after) = (state.health(&self.board), state.health_after(&self.board, terms, trade, fee));
        after.maintenance() >= before.maintenance()
    }
}

/// Whether an order of that side pays for something that is not margined.
pub(crate) fn spends(terms: &Terms, side: Side) -> bool {
    match terms.kind {
        MarketKind::Outcome => true,
        MarketKind::Spot => side == Side::Buy,
        MarketKind::Perpetual => false,
    }
}

/// `Judgement.sol` for an account that ends a batch like this.
fn judge(now: Health, before: Before, grew: bool, spent: bool, holdings_max: usize) -> bool {
    if grew && (now.initial() < 0 || now.blocked || now.holdings > holdings_max) {
        return false;
    }
    if now.maintenance() < 0 && now.maintenance() < before.maintenance {
        return false;
    }
    !(spent && now.usd < 0 && now.usd < before.usd)
}

/// Accounts to look at when a frame's prices are known.
pub(crate) type Suspects = BTreeSet<AccountId>;

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a batch may end with an account that had so much before, and has that now.
    fn judged((usd, maintenance): (i128, i128), now: (i128, i128), (grew, spent): (bool, bool)) -> bool {
        let (before, (usd, equity)) = (Before { usd, maintenance }, now);
        let now = Health { usd, initial_equity: equity, maintenance_equity: equity, ..Health::default() };
        judge(now, before, grew, spent, 32)
    }

    #[test]
    fn who_is_below_zero_may_not_fall_further() {
        let reduced = (false, false);
        assert!(judged((5, -10), (5, -10), reduced) && judged((5, -10), (5, -9), reduced));
        assert!(!judged((5, -10), (5, -11), reduced));
        assert!(judged((5, 10), (5, 0), reduced), "above zero it may");
        assert!(!judged((5, -10), (5, -9), (true, false)), "and nobody takes new risk there");
    }

    #[test]
    fn nobody_spends_cash_that_is_not_there() {
        let spent = (false, true);
        assert!(judged((-5, 10), (-5, 10), spent) && judged((5, 10), (0, 10), spent));
        assert!(!judged((-5, 10), (-6, 10), spent) && !judged((5, 10), (-1, 10), spent));
        assert!(judged((5, 10), (-1, 10), (false, false)), "a loss may take it");
    }
}
