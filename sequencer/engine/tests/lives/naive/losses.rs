//! Losses that all accounts share: together they own more on paper than the pool has. Claims are worth their part of it, deposits
//! buy claims at that price, and what the insurance fund earns pays the difference first.

use super::*;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pool {
    pub(crate) tokens: i128,
    pub(crate) bad_debt: i128,
}

impl Pool {
    pub(super) fn worth(self, claim: i128) -> i128 {
        if self.bad_debt == 0 { claim } else { floor(claim * self.tokens, self.tokens + self.bad_debt) }
    }

    /// Whoever leaves first gains nothing: what stays is worth what it was.
    pub(super) fn pay(&mut self, claim: i128) -> i128 {
        let paid = self.worth(claim);
        self.tokens -= paid;
        self.bad_debt -= claim - paid;
        paid
    }

    /// The claim that a deposit buys.
    pub(super) fn take(&mut self, amount: i128) -> i128 {
        let Self { tokens, bad_debt } = *self;
        let whole = bad_debt == 0 || tokens == 0;
        let credited = if whole { amount } else { floor(amount * (tokens + bad_debt), tokens).min(amount * MILLION) };
        self.tokens += amount;
        self.bad_debt += credited - amount;
        credited
    }

    /// How much of what the fund earns pays losses.
    pub(super) fn repay(&mut self, earned: i128) -> i128 {
        let repaid = earned.min(self.bad_debt);
        self.bad_debt -= repaid;
        repaid
    }
}

impl Naive {
    /// What the fund earns outside of a frame's fees.
    pub(super) fn insure(&mut self, earned: i128, out: &mut Vec<Event>) {
        let repaid = self.pool.repay(earned);
        *self.purse(AccountId::INSURANCE, FeedId(0)) += earned - repaid;
        if repaid != 0 {
            out.push(Event::LossesRepaid { amount: Atoms(repaid) });
        }
    }

    /// Claims that leave with the open frame: what they are worth is known when its fees are.
    pub(super) fn leaving_claims(&self) -> Vec<(AccountId, i128)> {
        let token = self.config.token;
        let withdrawn = self.open.withdrawals.iter().map(|signed| signed.message);
        let withdrawn = withdrawn.map(|of| (of.account, of.token, of.amount));
        let away = self.open.transfers.iter().map(|signed| signed.message).filter(|of| of.gateway != Address::ZERO);
        let away = away.map(|of| (of.account, of.token, of.amount));
        let all = withdrawn.chain(away).filter(|(_, of, _)| *of == token && self.pool.bad_debt != 0);
        all.map(|(account, _, amount)| (account, amount.try_into().unwrap())).collect()
    }

    /// The pool once the open frame is settled, and what each claim was paid.
    pub(crate) fn settled_pool(&self, repaid: i128) -> (Pool, Vec<(AccountId, i128, i128)>) {
        let mut pool = self.pool;
        pool.bad_debt -= repaid;
        let claims = self.leaving_claims().into_iter();
        let paid = claims.map(|(account, claim)| (account, claim, pool.pay(claim))).collect();
        (pool, paid)
    }
}

/// Says that a claim was paid in part, if it was.
pub(super) fn tell_cut(account: AccountId, claim: i128, paid: i128, out: &mut Vec<Event>) {
    if paid != claim {
        out.push(Event::PaidInPart { account, claim: Atoms(claim), paid: Atoms(paid) });
    }
}
