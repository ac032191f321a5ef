//! Losses that all accounts share, to the atom of `InboxItems.sol`, `Custody.sol` and `Ledger.sol`.
//!
//! What the insurance fund cannot pay of a bankrupt account's debt becomes *bad debt*: accounts together then own more on paper
//! than the pool holds. Nobody's balance changes; claims are worth `pool / (pool + bad debt)` when they leave, deposits buy
//! claims at that price, and what the fund earns pays the bad debt before it is the fund's.
//!
//! A batch shares its fees before it pays withdrawals, and fees that come after a withdrawal was asked for may still raise what
//! it is worth. So while losses are shared, what withdrawals of a frame take out of the pool is known when it is sealed.

use serde::{Deserialize, Serialize};
use xos_types::{AccountId, Address, Atoms, Event};

use crate::engine::Engine;
use crate::wide::mul_div;

/// Claims for each atom of a deposit while losses are shared: where claims are worth nearly nothing what is credited must stay
/// countable.
const CREDIT_MAX: u128 = 1_000_000;

/// What covers claims on cash, and what does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pool {
    pub(crate) tokens: i128,
    pub(crate) bad_debt: i128,
}

impl Pool {
    /// The part of a claim that the pool covers, rounded down in favour of those who stay.
    pub(crate) fn covered(self, claim: i128) -> i128 {
        if self.bad_debt == 0 {
            return claim;
        }
        let [claim, tokens, all] = [claim, self.tokens, self.tokens + self.bad_debt].map(i128::unsigned_abs);
        i128::try_from(mul_div(claim, tokens, all)).expect("no more than the claim")
    }

    /// Pays a claim; the ratio stays what it was, so leaving first gains nothing. Returns what is paid.
    pub(crate) fn pay(&mut self, claim: i128) -> i128 {
        let paid = self.covered(claim);
        self.tokens -= paid;
        self.bad_debt -= claim - paid;
        paid
    }

    /// Takes a deposit in; what it buys is credited.
    fn take(&mut self, amount: u128) -> u128 {
        let mut credited = amount;
        if self.bad_debt != 0 && self.tokens != 0 {
            let [tokens, all] = [self.tokens, self.tokens + self.bad_debt].map(i128::unsigned_abs);
            credited = mul_div(amount, all, tokens).min(amount * CREDIT_MAX);
            self.bad_debt += i128::try_from(credited - amount).expect("2^96 atoms times a million fit");
        }
        self.tokens += i128::try_from(amount).expect("a deposit is far below 2^127");
        credited
    }

    /// What the fund earns pays the bad debt first. Returns how much of it.
    pub(crate) fn repay(&mut self, earned: i128) -> i128 {
        let repaid = earned.min(self.bad_debt);
        self.bad_debt -= repaid;
        repaid
    }
}

impl Engine {
    /// Takes a deposit of the settlement token in; returns the claim that it buys.
    pub(crate) fn buy_claim(&mut self, amount: u128) -> i128 {
        i128::try_from(self.pool.take(amount)).expect("2^96 atoms times a million fit")
    }

    /// Atoms that the insurance fund earns outside the fees of a frame.
    pub(crate) fn insure(&mut self, earned: i128, events: &mut Vec<Event>) {
        let repaid = self.pool.repay(earned);
        self.accounts[AccountId::INSURANCE].cash += earned - repaid;
        if repaid != 0 {
            events.push(Event::LossesRepaid { amount: Atoms(repaid) });
        }
    }

    /// Pays a claim on cash out of the pool at once.
    pub(crate) fn pay_claim(&mut self, account: AccountId, claim: i128, events: &mut Vec<Event>) {
        let paid = self.pool.pay(claim);
        tell_cut(account, claim, paid, events);
    }

    /// Claims of the open frame that will be paid out of the pool when it is sealed, in the batch's order.
    pub(crate) fn waiting_claims(&self) -> impl Iterator<Item = (AccountId, i128)> {
        let token = self.config.token;
        let withdrawals = self.frame.withdrawals().iter().map(|signed| &signed.message);
        let withdrawals = withdrawals.map(|request| (request.account, request.token, request.amount));
        let away = self.frame.transfers().iter().map(|signed| &signed.message);
        let away = away.filter(|request| request.gateway != Address::ZERO);
        let away = away.map(|request| (request.account, request.token, request.amount));
        let waits = self.pool.bad_debt != 0;
        let claims = withdrawals.chain(away).filter(move |(_, of, _)| waits && *of == token);
        claims.map(|(account, _, amount)| (account, i128::try_from(amount).expect("cash is within 128 bits")))
    }

    /// The pool as the open frame's batch will leave it, and what it pays for each waiting claim.
    pub(crate) fn settled_pool(&self, repaid: i128) -> (Pool, Vec<(AccountId, i128, i128)>) {
        let mut pool = self.pool;
        pool.bad_debt -= repaid;
        let paid = self.waiting_claims().map(|(account, claim)| (account, claim, pool.pay(claim))).collect();
        (pool, paid)
    }
}

/// Says that a claim was paid in part, if it was.
pub(crate) fn tell_cut(account: AccountId, claim: i128, paid: i128, events: &mut Vec<Event>) {
    if paid != claim {
        events.push(Event::PaidInPart { account, claim: Atoms(claim), paid: Atoms(paid) });
    }
}
