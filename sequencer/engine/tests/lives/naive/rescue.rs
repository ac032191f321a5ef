//! What becomes of accounts that fail, in the order of DESIGN.md, section 8: a flag and the keepers' time, keepers, forced closes
//! and all positions of those whose time is over, and at the end debts.

use xos_engine::RESCUE_GAS_PER_FRAME;
use xos_engine::limits::rescue_gas;

use super::*;

/// A flag is good for a minute.
const FLAG_LIFE: u64 = 60_000;
/// Nobody signs a conversion for an asset worth a dollar or less.
const DUST: i128 = 1_000_000;

/// A close that an owner has forced: how much of it is left, and since when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForcedClose {
    pub(crate) lots: i128,
    pub(crate) since: u64,
    /// What is left of it is no more for the book.
    pub(super) offered: bool,
}

/// Gas that a part of the rescues may use; whatever comes first may be done, however dear it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    left: u64,
    untouched: bool,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { left: RESCUE_GAS_PER_FRAME / 3, untouched: true }
    }

    pub(super) fn allows(self, cost: u64) -> bool {
        self.untouched || self.has(cost)
    }

    pub(super) fn has(self, cost: u64) -> bool {
        cost <= self.left
    }

    pub(super) fn spend(&mut self, cost: u64) {
        *self = Self { left: self.left.saturating_sub(cost), untouched: false };
    }
}

impl Naive {
    /// Returns those who fail at the frame's prices.
    pub(super) fn rescue(&mut self, out: &mut Vec<Event>) -> Vec<AccountId> {
        let failing = self.shed_all(out);
        out.extend(failing.iter().map(|account| Event::Failing { account: *account }));
        self.flag(&failing, out);
        self.serve_keepers(out);
        let mut budget = Budget::new();
        if self.close_out_all(&failing, &mut budget, out) {
            self.declare_bankruptcies(&failing, &mut budget, out);
        }
        self.busy.clear();
        self.fit_orders(out);
        failing
    }

    pub(super) fn gas_places(&self, account: AccountId) -> usize {
        if self.accounts.contains_key(&account) { self.places(account).len() } else { 0 }
    }

    fn flag(&mut self, failing: &[AccountId], out: &mut Vec<Event>) {
        let (now, mut budget) = (self.open.time, Budget::new());
        for &account in failing {
            if self.flags.get(&account).is_some_and(|since| since + FLAG_LIFE >= now) {
                continue;
            }
            let cost = rescue_gas::flag(self.gas_places(account));
            if !budget.allows(cost) {
                break;
            }
            budget.spend(cost);
            self.flags.insert(account, now);
            self.open.rescues.push(Rescue::Flag { account });
            out.push(Event::Flagged { account });
        }
    }

    /// Whether the keepers have had their time with a failing account.
    pub(super) fn is_grace_over(&self, account: AccountId) -> bool {
        let (now, grace) = (self.open.time, u64::from(self.terms.grace));
        self.flags.get(&account).is_some_and(|since| since + grace <= now && now <= since + FLAG_LIFE)
    }

    // ------------------------------------------------------------------ closes that owners force

    pub(super) fn force_close(&mut self, account: AccountId, market: MarketId, since: u64, out: &mut Vec<Event>) {
        let lots = self.accounts[&account].lots(market).abs();
        if lots > 0 {
            let offered = false;
            let forced = self.forced.entry((account, market)).or_insert(ForcedClose { lots, since, offered });
            (forced.lots, forced.offered) = (lots, offered);
            out.push(Event::CloseForced { account, market, size: Lots(lots.try_into().unwrap()) });
        }
    }

    /// It is of the position that was there, and ends with it, whoever closes it.
    pub(super) fn end_forced(&mut self, account: AccountId, market: MarketId, before: i128, after: i128) {
        if before != 0 && before.signum() != after.signum() {
            self.forced.remove(&(account, market));
        }
    }

    fn close_out_all(&mut self, failing: &[AccountId], budget: &mut Budget, out: &mut Vec<Event>) -> bool {
        let mut due: Vec<(AccountId, MarketId)> = self.forced.keys().copied().collect();
        for &account in failing {
            if self.is_grace_over(account) {
                // By feed, as everything that is held at an index price.
                let held = self.perpetuals().filter(|(market, _)| self.accounts[&account].lots(*market) != 0);
                due.extend(held.map(|(market, _)| (account, market)));
            }
        }
        due.into_iter().all(|(account, market)| self.close_out(account, market, budget, out))
    }

    // ------------------------------------------------------------------ bankruptcy

    fn declare_bankruptcies(&mut self, failing: &[AccountId], budget: &mut Budget, out: &mut Vec<Event>) {
        for &account in failing {
            let Some(dust) = self.dust_of(account).filter(|_| self.is_grace_over(account)) else { continue };
            let fund = self.gas_places(AccountId::INSURANCE);
            let cost = rescue_gas::bankruptcy(self.gas_places(account), fund, dust.len());
            if !budget.allows(cost) {
                return;
            }
            budget.spend(cost);
            self.declare_bankrupt(account, &dust, out);
            self.open.rescues.push(Rescue::Bankruptcy { account });
        }
    }

    /// What is left of an account that is nothing but a debt, if it is, and the fund has room for it.
    fn dust_of(&self, account: AccountId) -> Option<Vec<(FeedId, i128)>> {
        let state = &self.accounts[&account];
        let has_position = self.perpetuals().any(|(market, _)| state.lots(market) != 0);
        let dust: Vec<_> = state.balances.iter().filter(|(_, atoms)| **atoms != 0).map(|(id, n)| (*id, *n)).collect();
        let is_dust = |(id, atoms): &(FeedId, i128)| {
            let feed = &self.feeds[id];
            !feed.stale && feed.counted(*atoms, Ppm(1_000_000)) <= DUST
        };
        if self.health(state).usd >= 0 || has_position || !dust.iter().all(is_dust) {
            return None;
        }
        let mut fund = self.accounts[&AccountId::INSURANCE].clone();
        let before = self.health(&fund).holdings;
        for (id, atoms) in &dust {
            *fund.balances.entry(*id).or_default() += atoms;
        }
        let after = self.health(&fund).holdings;
        let crowded = after > before && after > self.places_max();
        (!(crowded && self.open.grew.contains(&AccountId::INSURANCE))).then_some(dust)
    }

    /// The fund pays what it can spare, all share the rest, and the account is closed.
    fn declare_bankrupt(&mut self, account: AccountId, dust: &[(FeedId, i128)], out: &mut Vec<Event>) {
        let fund = AccountId::INSURANCE;
        let debt = -self.health(&self.accounts[&account]).usd;
        for &(asset, atoms) in dust {
            *self.purse(account, asset) -= atoms;
            *self.purse(fund, asset) += atoms;
            out.push(Event::Swept { account, asset, amount: atoms.unsigned_abs() });
        }
        let health = self.health(&self.accounts[&fund]);
        let spare = if health.blocked { 0 } else { health.initial().min(health.usd).max(0) };
        let paid = if account == fund { 0 } else { debt.min(spare) };
        *self.purse(fund, FeedId(0)) -= paid;
        *self.purse(account, FeedId(0)) += debt;
        if account != fund {
            let state = self.accounts.get_mut(&account).unwrap();
            (state.closed, state.floor) = (true, u64::MAX);
        }
        self.pool.bad_debt += debt - paid;
        out.push(Event::Bankrupt { account, debt: Atoms(debt), paid: Atoms(paid) });
    }
}
