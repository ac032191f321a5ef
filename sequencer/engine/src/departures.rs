//! What leaves an account by its owner's wish: withdrawals, and transfers to other accounts (`Withdrawals.sol`,
//! `Custody.sol`).
//!
//! Whatever leaves must leave nothing uncovered, all resting orders counted. In a batch withdrawals and transfers come after
//! every fill; here they come as they are asked for, which makes no difference: no fill lowers what is available.

use xos_types::{AccountId, Address, Atoms, Event, FeedId, Nonce, Reject, Signed, TimeMs, Transfer, Withdraw};

use crate::account::Account;
use crate::engine::Engine;
use crate::gas;
use crate::holdings::{Held, Holdings};
use crate::inbox::Given;

/// What is asked to leave.
#[derive(Clone, Copy, Debug)]
struct Departure {
    account: AccountId,
    token: Address,
    amount: u128,
    nonce: Nonce,
    expiry: TimeMs,
    signer: Address,
}

/// Whether it leaves the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Outside,
    Inside(AccountId),
}

impl Engine {
    pub(crate) fn withdraw(&mut self, signed: &Signed<Withdraw>, events: &mut Vec<Event>) {
        let Withdraw { account, token, amount, nonce, expiry } = signed.message;
        let departure = Departure { account, token, amount, nonce, expiry, signer: signed.signer };
        match self.check_departure(departure, Way::Outside) {
            Ok(asset) => {
                self.spend_message(account, nonce);
                self.take_out(account, asset, amount);
                events.push(left(account, asset, amount));
                self.pay_if_whole(asset, amount);
                self.frame.withdraw(*signed);
                self.follow_end((account, nonce), events);
            }
            Err(reject) => events.push(Event::Rejected { account, nonce, reject }),
        }
    }

    pub(crate) fn transfer(&mut self, signed: &Signed<Transfer>, events: &mut Vec<Event>) {
        let Transfer { account, gateway, to, token, amount, nonce, expiry } = signed.message;
        let departure = Departure { account, token, amount, nonce, expiry, signer: signed.signer };
        let way = if gateway == Address::ZERO { Way::Inside(to) } else { Way::Outside };
        let checked = self.check_sender(signed).and_then(|()| self.check_departure(departure, way));
        let asset = match checked {
            Ok(asset) => asset,
            Err(reject) => {
                events.push(Event::Rejected { account, nonce, reject });
                return;
            }
        };
        self.spend_message(account, nonce);
        if way == Way::Outside {
            self.take_out(account, asset, amount);
            events.push(left(account, asset, amount));
            self.pay_if_whole(asset, amount);
            self.frame.transfer(*signed);
            self.follow_end((account, nonce), events);
            return;
        }
        self.frame.transfer(*signed);
        if self.find_account(to).is_none() {
            self.open_isolated(to, events);
        }
        let frame = self.frame.id();
        self.charge_holdings(account);
        self.charge_holdings(to);
        self.accounts[account].note(frame, true, asset == FeedId(0));
        if asset == FeedId(0) {
            let atoms = i128::try_from(amount).expect("what is available is within 128 bits");
            self.accounts[account].cash -= atoms;
            self.accounts[to].cash += atoms;
        } else {
            self.take_asset(account, asset, amount);
            self.give_asset(to, asset, amount, Given::ByTransfer);
            // With its orders it may want more places than it has.
            if self.suspects.remove(&to) {
                self.watch(to);
            }
        }
        events.push(Event::Transferred { account, to, asset, amount });
        self.follow_end((account, nonce), events);
    }

    /// Pays a claim out of the pool, unless losses are shared: then what it is worth is known when the frame is sealed.
    fn pay_if_whole(&mut self, asset: FeedId, amount: u128) {
        if asset == FeedId(0) && self.pool.bad_debt == 0 {
            self.pool.tokens -= i128::try_from(amount).expect("what is available is within 128 bits");
        }
    }

    /// Takes atoms out of an account, and an asset out of what the group holds of it.
    pub(crate) fn take_out(&mut self, account: AccountId, asset: FeedId, amount: u128) {
        let frame = self.frame.id();
        // It is judged, and so is the fund, which decides how much may leave.
        self.charge_holdings(account);
        self.charge_holdings(AccountId::INSURANCE);
        let state = &mut self.accounts[account];
        state.note(frame, true, asset == FeedId(0));
        let principal = state.principal.of(asset).saturating_sub(amount);
        state.principal.set(asset, principal);
        if asset == FeedId(0) {
            let atoms = i128::try_from(amount).expect("what is available is within 128 bits");
            state.cash -= atoms;
        } else {
            self.take_asset(account, asset, amount);
            self.board[asset].custody -= amount;
        }
    }

    /// What may leave of a token while the insurance fund is negative: what was put in. Its orders are never accepted if they
    /// could take it below zero, so it is not by the end of the frame either.
    pub(crate) fn gate(&self, account: AccountId, asset: FeedId) -> u128 {
        let fund = &self.accounts[AccountId::INSURANCE];
        if fund.health(&self.board).usd >= 0 {
            return u128::MAX;
        }
        self.accounts[account].principal.of(asset)
    }

    /// A key may move money between its owner's accounts; where another group's gateway sends it only the owner may say.
    fn check_sender(&self, signed: &Signed<Transfer>) -> Result<(), Reject> {
        let Transfer { account, gateway, to, .. } = signed.message;
        let state = self.find_account(account).ok_or(Reject::UnknownAccount { account })?;
        if gateway != Address::ZERO {
            return if signed.signer == state.owner {
                Ok(())
            } else {
                Err(state.not_authorized(account, signed.signer))
            };
        }
        let Some(target) = self.find_account(to) else { return self.check_opening(account, to) };
        if target.owner != state.owner {
            return Err(Reject::NotSameOwner { account, to });
        }
        if target.nonces.is_closed() { Err(Reject::AccountClosed { account: to }) } else { Ok(()) }
    }

    /// The asset that leaves (0 for cash), if it may: account, signer, token, amount, expiry, nonce, then what margin needs.
    fn check_departure(&self, departure: Departure, way: Way) -> Result<FeedId, Reject> {
        let Departure { account, token, amount, nonce, expiry, signer } = departure;
        let state = self.find_account(account).ok_or(Reject::UnknownAccount { account })?;
        if !self.accounts.parent(account).may_withdraw(signer, self.frame.time) {
            return Err(state.not_authorized(account, signer));
        }
        let asset = if token == self.config.token { Some(FeedId(0)) } else { self.board.asset_of(token) };
        let asset = asset.ok_or(Reject::UnknownToken { token, expected: self.config.token })?;
        if amount == 0 {
            return Err(Reject::ZeroAmount);
        }
        self.check_expiry(expiry)?;
        if state.nonces.is_spent(nonce) {
            return Err(Reject::NonceSpent { nonce, next: state.nonces.next() });
        }
        if asset == FeedId(0) {
            // An amount that does not even fit is more than anybody has.
            let atoms = i128::try_from(amount).unwrap_or(i128::MAX);
            if atoms > state.available() {
                return Err(state.insufficient(atoms, 0));
            }
            if way == Way::Outside {
                self.check_pool(atoms)?;
            }
        } else {
            self.check_asset_departure(state, asset, amount)?;
        }
        if state.watched {
            self.check_calm(account, state)?;
        }
        match way {
            Way::Outside => {
                self.check_settled(account)?;
                let most = self.gate(account, asset);
                if amount > most {
                    return Err(Reject::ProfitsWait { most });
                }
            }
            Way::Inside(to) => self.check_room(to, asset)?,
        }
        Ok(asset)
    }

    /// The pool has the claim, whatever fees of the frame will do to what it is worth, and covers at least an atom of it.
    fn check_pool(&self, claim: i128) -> Result<(), Reject> {
        let waiting: i128 = self.waiting_claims().map(|(_, claim)| claim).sum();
        let left = self.pool.tokens - waiting;
        if claim > left {
            return Err(Reject::PoolExhausted { pool: Atoms(left) });
        }
        if self.pool.covered(claim) == 0 {
            return Err(Reject::WorthNothing { amount: claim.unsigned_abs() });
        }
        Ok(())
    }

    fn check_asset_departure(&self, state: &Account, asset: FeedId, amount: u128) -> Result<(), Reject> {
        let free = state.holdings.asset(asset).map_or(0, |held| held.balance - held.ask_atoms);
        if amount > free {
            return Err(Reject::InsufficientAsset { available: free, required: amount });
        }
        let fall = state.holdings.fall_without(asset, &self.board[asset], amount);
        if fall > state.initial_with_orders() {
            return Err(state.insufficient(fall, 0));
        }
        Ok(())
    }

    /// Nothing leaves an account that holds a perpetual with a stale price, or more than it may.
    fn check_calm(&self, account: AccountId, state: &Account) -> Result<(), Reject> {
        let health = state.health(&self.board);
        if health.blocked {
            return Err(Reject::HoldsStalePrice { account });
        }
        let limit = self.holdings_max();
        if health.holdings > limit {
            return Err(Reject::TooManyHoldings { limit: u8::try_from(limit).expect("at most 32") });
        }
        Ok(())
    }

    /// Whoever is given an asset may not come to hold too many.
    fn check_room(&self, to: AccountId, asset: FeedId) -> Result<(), Reject> {
        // The contract counts what it holds then, even if it held too many before. One that is about to be opened holds nothing.
        let holdings = self.find_account(to).map(|state| &state.holdings);
        let held = holdings.map_or(0, Holdings::held);
        let more = usize::from(!holdings.and_then(|held| held.find(asset)).is_some_and(Held::is_held));
        let limit = self.holdings_max();
        if asset == FeedId(0) || held + more <= limit {
            return Ok(());
        }
        Err(Reject::TooManyHoldings { limit: u8::try_from(limit).expect("at most 32") })
    }

    fn charge_holdings(&mut self, account: AccountId) {
        self.frame.charge(gas::holdings(self.accounts[account].holdings.len() + 1));
    }

    fn spend_message(&mut self, account: AccountId, nonce: Nonce) {
        let nonces = &mut self.accounts[account].nonces;
        nonces.spend(nonce);
        nonces.settle(nonce);
    }
}

fn left(account: AccountId, asset: FeedId, amount: u128) -> Event {
    if asset == FeedId(0) {
        let amount = Atoms(i128::try_from(amount).expect("what is available is within 128 bits"));
        return Event::Withdrawn { account, amount, forced: false };
    }
    Event::AssetWithdrawn { account, asset, amount, forced: false }
}
