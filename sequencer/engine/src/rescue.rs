//! Accounts that fail: who is flagged, when the keepers' time is over, what happens to positions and debts then, and in which
//! order (DESIGN.md, section 8; `contracts/group/Rescues.sol`).
//!
//! When a frame has its prices, and before anything trades in it,
//!
//! 1. failing accounts lose their orders and are flagged: the keepers' time begins. A flag is good for a minute;
//! 2. keepers' requests that wait are judged, in order of arrival (`keepers`);
//! 3. what the book left of closes that owners forced (`forced`), then all positions of accounts whose keepers' time is over, go
//!    to the insurance fund, or close against the opposite side (`exits`);
//! 4. accounts of which nothing is left but a debt are closed. The fund pays it as far as it can, all share the rest (`losses`).
//!
//! Accounts come in ascending order, their positions by feed. Each part has its share of the gas that rescues may use of a frame;
//! what does not fit waits for the next.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use xos_types::{AccountId, Atoms, Event, EventId, FeedId, Lots, MarketId, MarketKind, Rescue, TimeMs};

use crate::engine::{Engine, event_index};
use crate::gas;
use crate::holdings::{Held, asset_value};
use crate::inbox::Given;
use crate::keepers::Queue;

/// A flag that old must be renewed: the account may have been healthy in between.
const FLAG_LIFE_MS: u64 = 60_000;
/// Atoms of cash: less than anybody would sign a conversion for.
const DUST: i128 = 1_000_000;

/// What the group knows of accounts that fail.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Rescues {
    /// When accounts were last flagged.
    flagged: BTreeMap<AccountId, TimeMs>,
    /// Closes that owners have forced.
    forced: BTreeMap<(AccountId, MarketId), ForcedClose>,
    /// Keepers' requests that wait for the next frame.
    pub(crate) queue: Queue,
    /// Accounts that have taken something in the frame that opens, or were paid for a delisted perpetual or an asset in it. The
    /// contract knows what such an account was before the batch, position by position; if somebody else closed another one of
    /// it, it would take the account's money for what it was, and not the positions. So that waits for the next frame. Empty
    /// once the frame is open.
    #[serde(skip)]
    pub(crate) busy: BTreeSet<AccountId>,
    /// Positions that changed hands in the frame that opens; empty once it is open.
    #[serde(skip)]
    pub(crate) moved: BTreeSet<(EventId, AccountId)>,
}

/// A close that an owner has forced: how much of it is left, and since when.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct ForcedClose {
    lots: u64,
    since: TimeMs,
    /// The book has had its chance; what is left is for the insurance fund or the opposite side.
    offered: bool,
}

/// Gas that a part of the rescues may still use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    left: u64,
    /// Nothing was done yet: whatever comes first may be done, however dear it is.
    untouched: bool,
}

impl Budget {
    fn new() -> Self {
        Self { left: gas::RESCUE_GAS_PER_FRAME / 3, untouched: true }
    }

    pub(crate) fn allows(self, cost: u64) -> bool {
        self.untouched || cost <= self.left
    }

    /// Whether there is so much left.
    pub(crate) fn has(self, cost: u64) -> bool {
        cost <= self.left
    }

    pub(crate) fn spend(&mut self, cost: u64) {
        *self = Self { left: self.left.saturating_sub(cost), untouched: false };
    }
}

impl Rescues {
    /// Whether the keepers have had their time with a failing account, and its flag still stands.
    pub(crate) fn is_grace_over(&self, account: AccountId, time: TimeMs, grace: u32) -> bool {
        let Some(since) = self.flagged.get(&account) else { return false };
        since.0 + u64::from(grace) <= time.0 && time.0 <= since.0 + FLAG_LIFE_MS
    }

    /// Lots that are still to be closed because the owner forced it, and that the book did not take.
    pub(crate) fn forced_rest(&self, account: AccountId, market: MarketId) -> Option<u64> {
        self.forced.get(&(account, market)).filter(|forced| forced.offered).map(|forced| forced.lots)
    }

    /// Forced closes that the book has still to be offered.
    pub(crate) fn to_offer(&self) -> Vec<(AccountId, MarketId, Lots)> {
        let waiting = self.forced.iter().filter(|(_, forced)| !forced.offered);
        waiting.map(|(&(account, market), forced)| (account, market, Lots(forced.lots))).collect()
    }

    /// The book takes no more of a forced close.
    pub(crate) fn note_offered(&mut self, account: AccountId, market: MarketId) {
        if let Some(forced) = self.forced.get_mut(&(account, market)) {
            forced.offered = true;
        }
    }

    /// A close that the owner forced is of the position that was there, and ends with it, whoever closes it.
    pub(crate) fn end_forced(&mut self, account: AccountId, market: MarketId, before: i64, after: i64) {
        if before != 0 && before.signum() != after.signum() {
            self.forced.remove(&(account, market));
        }
    }

    /// Lots of a position were closed by somebody else's decision.
    pub(crate) fn reduce_forced(&mut self, account: AccountId, market: MarketId, lots: u64) {
        let Some(forced) = self.forced.get_mut(&(account, market)) else { return };
        forced.lots = forced.lots.saturating_sub(lots);
        if forced.lots == 0 {
            self.forced.remove(&(account, market));
        }
    }

    /// A position in a delisted perpetual was paid.
    pub(crate) fn close_delisted(&mut self, account: AccountId, market: MarketId) {
        self.forced.remove(&(account, market));
        self.busy.insert(account);
    }

    /// When the account was last flagged.
    pub(crate) fn flagged_at(&self, account: AccountId) -> Option<TimeMs> {
        self.flagged.get(&account).copied()
    }

    /// What is left of a forced close, and since when.
    pub(crate) fn forced_close(&self, account: AccountId, market: MarketId) -> Option<(Lots, TimeMs)> {
        self.forced.get(&(account, market)).map(|forced| (Lots(forced.lots), forced.since))
    }

    /// Every forced close.
    pub(crate) fn forced_closes(&self) -> impl Iterator<Item = (AccountId, MarketId, Lots)> {
        self.forced.iter().map(|(&(account, market), forced)| (account, market, Lots(forced.lots)))
    }
}

impl Engine {
    /// The position as it is now is to be closed.
    pub(crate) fn force_close(
        &mut self,
        account: AccountId,
        market: MarketId,
        queued: TimeMs,
        events: &mut Vec<Event>,
    ) {
        if !self.knows(account) {
            return;
        }
        let terms = self.find_market(market).expect("the contract takes closes in perpetuals that exist").terms;
        assert_eq!(terms.kind, MarketKind::Perpetual, "the contract takes closes in perpetuals");
        let lots = self.size_of(account, terms.feed).unsigned_abs();
        if lots == 0 {
            return;
        }
        let since = self.rescues.forced.get(&(account, market)).map_or(queued, |forced| forced.since);
        self.rescues.forced.insert((account, market), ForcedClose { lots, since, offered: false });
        events.push(Event::CloseForced { account, market, size: Lots(lots) });
    }

    /// Carries out what is due when a frame has opened; see the module's head. Returns the accounts that were failing.
    pub(crate) fn rescue(&mut self, events: &mut Vec<Event>) -> BTreeSet<AccountId> {
        let failing = self.find_failing(events);
        self.flag(&failing, events);
        self.serve_keepers(Budget::new(), events);
        let mut budget = Budget::new();
        if self.close_out_all(&failing, &mut budget, events) {
            self.declare_bankruptcies(&failing, &mut budget, events);
        }
        self.rescues.busy.clear();
        self.fit_orders(events);
        failing
    }

    /// Takes all orders from accounts that fail at the frame's prices. Who was neither looked at before nor has anything at a
    /// price that moved is as it was.
    fn find_failing(&mut self, events: &mut Vec<Event>) -> BTreeSet<AccountId> {
        let looked_at: BTreeSet<AccountId> = self.suspects.iter().chain(self.watched.keys()).copied().collect();
        let failing: BTreeSet<AccountId> =
            looked_at.into_iter().filter(|account| self.shed(*account, events)).collect();
        events.extend(failing.iter().map(|account| Event::Failing { account: *account }));
        failing
    }

    /// Flags who fails and has no flag that still stands.
    fn flag(&mut self, failing: &BTreeSet<AccountId>, events: &mut Vec<Event>) {
        let time = self.frame.time;
        let mut budget = Budget::new();
        for &account in failing {
            let stands = |since: &TimeMs| since.0 + FLAG_LIFE_MS >= time.0;
            if self.rescues.flagged.get(&account).is_some_and(stands) {
                continue;
            }
            let cost = gas::flag(self.places(account));
            if !budget.allows(cost) {
                break;
            }
            budget.spend(cost);
            self.rescues.flagged.insert(account, time);
            self.frame.rescue(Rescue::Flag { account }, cost);
            events.push(Event::Flagged { account });
        }
    }

    /// Closes what must be closed; `false` if the budget did not go far enough.
    fn close_out_all(&mut self, failing: &BTreeSet<AccountId>, budget: &mut Budget, events: &mut Vec<Event>) -> bool {
        let forced = self.rescues.forced.keys().map(|(account, market)| (*account, market.event()));
        let mut due: Vec<(AccountId, EventId)> = forced.collect();
        for &account in failing {
            if self.rescues.is_grace_over(account, self.frame.time, self.group_terms.grace) {
                let held = self.accounts[account].holdings.iter();
                let listings = held.filter_map(|holding| self.board[holding.feed].listing());
                due.extend(listings.map(|listing| (account, listing)));
            }
        }
        due.into_iter().all(|(account, listing)| self.close_out(account, listing, budget, events))
    }

    fn declare_bankruptcies(&mut self, failing: &BTreeSet<AccountId>, budget: &mut Budget, events: &mut Vec<Event>) {
        for &account in failing {
            if !self.rescues.is_grace_over(account, self.frame.time, self.group_terms.grace) {
                continue;
            }
            let Some(dust) = self.dust_of(account) else { continue };
            let cost = gas::bankruptcy(self.places(account), self.places(AccountId::INSURANCE), dust.len());
            if !budget.allows(cost) {
                return;
            }
            budget.spend(cost);
            self.declare_bankrupt(account, &dust, events);
            self.frame.rescue(Rescue::Bankruptcy { account }, cost);
        }
    }

    /// What an account holds if that is nothing but a debt and too little of assets for anybody to buy; `None` if it is more, or
    /// the fund cannot be given it in this frame.
    fn dust_of(&self, account: AccountId) -> Option<Vec<(FeedId, u128)>> {
        let state = &self.accounts[account];
        if state.health(&self.board).usd >= 0 {
            return None;
        }
        let mut dust = Vec::new();
        for holding in state.holdings.iter().filter(|holding| holding.held.is_held()) {
            let feed = &self.board[holding.feed];
            match holding.held {
                Held::Asset(held) if !feed.stale && asset_value(feed, held.balance) <= DUST => {
                    dust.push((holding.feed, held.balance));
                }
                Held::Asset(_) | Held::Perpetual(_) => return None,
            }
        }
        // The contract would refuse a fund that took a position in this frame and ends it holding more than it may.
        let fund = &self.accounts[AccountId::INSURANCE];
        let new = dust.iter().filter(|(id, _)| !fund.holdings.find(*id).is_some_and(Held::is_held)).count();
        let crowded = new > 0 && fund.holdings.held() + new > self.holdings_max();
        (!crowded || !fund.did(self.frame.id()).grew).then_some(dust)
    }

    /// Nothing is left but a debt: the fund pays what it can spare, all accounts share the rest, and the account is closed. What
    /// its outcome positions pay above their worst goes to the fund from then on.
    fn declare_bankrupt(&mut self, account: AccountId, dust: &[(FeedId, u128)], events: &mut Vec<Event>) {
        let fund = AccountId::INSURANCE;
        let debt = -self.accounts[account].health(&self.board).usd;
        for &(asset, amount) in dust {
            self.take_asset(account, asset, amount);
            self.give_asset(fund, asset, amount, Given::ByDeposit);
            events.push(Event::Swept { account, asset, amount });
        }
        let mut paid = 0;
        if account != fund {
            let fund = &mut self.accounts[fund];
            paid = debt.min(fund.health(&self.board).spare());
            fund.cash -= paid;
            self.accounts[account].nonces.close();
        }
        self.pool.bad_debt += debt - paid;
        self.accounts[account].cash += debt;
        self.suspects.extend([account, fund]);
        events.push(Event::Bankrupt { account, debt: Atoms(debt), paid: Atoms(paid) });
    }

    /// # Panics
    /// If what is remembered of rescues contradicts the accounts.
    pub(crate) fn check_rescues(&self) {
        assert!(self.rescues.busy.is_empty() && self.rescues.moved.is_empty(), "a frame that is open has been rescued");
        for (account, market, lots) in self.rescues.forced_closes() {
            let terms = &self.listings[event_index(market.event())].terms;
            let held = self.accounts[account].holdings.perpetual(terms.feed);
            // Fills of the open frame count when it is sealed.
            let settled = held.map_or(0, |held| held.settled_size);
            assert!(lots.0 > 0 && settled != 0, "a forced close of account {account} in {market} has a position");
        }
        for (id, account) in self.accounts.entries() {
            let idle = account.orders.is_empty() && account.holdings.iter().all(|holding| !holding.held.is_perpetual());
            assert!(!account.nonces.is_closed() || idle, "account {id} is closed and holds no perpetual");
        }
    }
}
