//! What leaves an account by its owner's wish.

use super::losses::tell_cut;
use super::*;

/// What is asked to leave.
struct Departure {
    account: AccountId,
    token: Address,
    amount: u128,
    nonce: Nonce,
    expiry: TimeMs,
    signer: Address,
    /// To which account of the group, if it stays in it.
    to: Option<AccountId>,
}

impl Naive {
    /// The asset that a token is; 0 for the settlement token.
    pub(super) fn token(&self, token: Address) -> Option<FeedId> {
        let is_it = |feed: &Feed| matches!(&feed.kept, Kept::Asset(config) if config.token == token);
        let asset = self.feeds.iter().find(|(_, feed)| is_it(feed)).map(|(id, _)| *id);
        if token == self.config.token { Some(FeedId(0)) } else { asset }
    }

    pub(super) fn withdraw(&mut self, signed: &Signed<Withdraw>, out: &mut Vec<Event>) {
        let Withdraw { account, token, amount, nonce, expiry } = signed.message;
        let departure = Departure { account, token, amount, nonce, expiry, signer: signed.signer, to: None };
        if let Some(reject) = self.must_stay(&departure) {
            return out.push(Event::Rejected { account, nonce, reject });
        }
        self.accounts.get_mut(&account).unwrap().used.insert(nonce.0);
        let asset = self.token(token).unwrap();
        let event = self.take_out(account, asset, amount.try_into().unwrap(), false);
        out.push(event);
        self.pay_if_whole(asset, amount);
        self.open.withdrawals.push(*signed);
        self.ended(account, nonce, out);
    }

    pub(super) fn transfer(&mut self, signed: &Signed<Transfer>, out: &mut Vec<Event>) {
        let Transfer { account, gateway, to, token, amount, nonce, expiry } = signed.message;
        let inside = (gateway == Address::ZERO).then_some(to);
        let departure = Departure { account, token, amount, nonce, expiry, signer: signed.signer, to: inside };
        let owner = |account: AccountId| self.accounts.get(&account).map(|state| state.owner);
        let refusal = match (owner(account), inside.map(owner)) {
            (None, _) => Some(Reject::UnknownAccount { account }),
            (_, Some(None)) => Some(Reject::UnknownAccount { account: to }),
            (from, Some(target)) if from != target => Some(Reject::NotSameOwner { account, to }),
            (_, Some(_)) if self.accounts[&to].closed => Some(Reject::AccountClosed { account: to }),
            _ => self.must_stay(&departure),
        };
        if let Some(reject) = refusal {
            return out.push(Event::Rejected { account, nonce, reject });
        }
        self.accounts.get_mut(&account).unwrap().used.insert(nonce.0);
        let (asset, atoms) = (self.token(token).unwrap(), i128::try_from(amount).unwrap());
        if inside.is_none() {
            let event = self.take_out(account, asset, atoms, false);
            out.push(event);
            self.pay_if_whole(asset, amount);
        } else {
            self.note_leaving(account, asset);
            *self.purse(account, asset) -= atoms;
            *self.purse(to, asset) += atoms;
            if asset != FeedId(0) {
                *self.open.came.entry((to, asset)).or_default() += atoms;
                if self.places(to).len() > self.places_max() {
                    self.watch(to);
                }
            }
            out.push(Event::Transferred { account, to, asset, amount });
        }
        self.open.transfers.push(*signed);
        self.ended(account, nonce, out);
    }

    /// What an account has of a token.
    pub(super) fn purse(&mut self, account: AccountId, asset: FeedId) -> &mut i128 {
        let state = self.accounts.get_mut(&account).unwrap();
        if asset == FeedId(0) { &mut state.cash } else { state.balances.entry(asset).or_default() }
    }

    fn note_leaving(&mut self, account: AccountId, asset: FeedId) {
        self.open.grew.insert(account);
        if asset == FeedId(0) {
            self.open.spent.insert(account);
        }
    }

    /// Claims are paid at once unless losses are shared: then what they are worth is known when the frame is sealed.
    fn pay_if_whole(&mut self, asset: FeedId, amount: u128) {
        if asset == FeedId(0) && self.pool.bad_debt == 0 {
            self.pool.tokens -= i128::try_from(amount).unwrap();
        }
    }

    fn take_out(&mut self, account: AccountId, asset: FeedId, atoms: i128, forced: bool) -> Event {
        self.note_leaving(account, asset);
        *self.purse(account, asset) -= atoms;
        let principal = self.accounts.get_mut(&account).unwrap().principal.entry(asset).or_default();
        *principal = (*principal - atoms).max(0);
        if asset == FeedId(0) {
            return Event::Withdrawn { account, amount: Atoms(atoms), forced };
        }
        Event::AssetWithdrawn { account, asset, amount: atoms.try_into().unwrap(), forced }
    }

    /// Why it may not leave.
    fn must_stay(&self, departure: &Departure) -> Option<Reject> {
        let Departure { account, token, amount, nonce, expiry, signer, to } = *departure;
        if let Some(reject) = self.signer(account, signer) {
            return Some(reject);
        }
        let expected = self.config.token;
        let Some(asset) = self.token(token) else { return Some(Reject::UnknownToken { token, expected }) };
        if amount == 0 {
            return Some(Reject::ZeroAmount);
        }
        if let Some(reject) = self.expired(expiry).or_else(|| self.spent(account, nonce)) {
            return Some(reject);
        }
        let atoms = i128::try_from(amount).unwrap_or(i128::MAX);
        if asset == FeedId(0) {
            if atoms > self.available(account) {
                return Some(self.short(account, atoms));
            }
            let leaving: i128 = self.leaving_claims().iter().map(|(_, claim)| claim).sum();
            let left = self.pool.tokens - leaving;
            if to.is_none() && atoms > left {
                return Some(Reject::PoolExhausted { pool: Atoms(left) });
            }
            if to.is_none() && self.pool.worth(atoms) == 0 {
                return Some(Reject::WorthNothing { amount });
            }
        } else if let Some(reject) = self.needs_asset(account, asset, amount) {
            return Some(reject);
        }
        let health = self.health(&self.accounts[&account]);
        if health.blocked {
            return Some(Reject::HoldsStalePrice { account });
        }
        if health.holdings > self.places_max() {
            return Some(self.too_many());
        }
        let Some(to) = to else {
            let most = self.gate(account, asset);
            return (atoms > most).then(|| Reject::ProfitsWait { most: most.try_into().unwrap() });
        };
        let mut target = self.accounts[&to].clone();
        *target.balances.entry(asset).or_default() += if asset == FeedId(0) { 0 } else { atoms };
        let crowded = asset != FeedId(0) && self.health(&target).holdings > self.places_max();
        crowded.then(|| self.too_many())
    }

    /// Atoms that orders offer stay, and those that margin needs.
    fn needs_asset(&self, account: AccountId, asset: FeedId, amount: u128) -> Option<Reject> {
        let available = self.free_atoms(account, asset).try_into().unwrap();
        if amount > available {
            return Some(Reject::InsufficientAsset { available, required: amount });
        }
        let atoms = i128::try_from(amount).unwrap();
        let mut without = self.clone();
        *without.purse(account, asset) -= atoms;
        let (now, then) = (self.at_worst(account, None).initial, without.at_worst(account, None).initial);
        (then < 0).then(|| self.short(account, now - then))
    }

    /// What may leave while the insurance fund is negative: what was paid in.
    fn gate(&self, account: AccountId, asset: FeedId) -> i128 {
        let fund = self.health(&self.accounts[&AccountId::INSURANCE]).usd;
        let paid_in = self.accounts[&account].principal.get(&asset).copied().unwrap_or(0);
        if fund < 0 { paid_in } else { i128::MAX }
    }

    /// As much as an account can spare, once its orders are gone.
    pub(super) fn force_withdrawal(&mut self, account: AccountId, token: Address, amount: u128, out: &mut Vec<Event>) {
        self.cancel_all_of(account, CancelReason::ForcedWithdrawal, out);
        let asset = self.token(token).unwrap();
        let wanted = i128::try_from(amount).unwrap_or(i128::MAX);
        let paid = wanted.min(self.spare(account, asset)).min(self.gate(account, asset));
        if paid == 0 || asset == FeedId(0) && self.pool.worth(paid) == 0 {
            return;
        }
        let event = self.take_out(account, asset, paid, true);
        out.push(event);
        if asset == FeedId(0) {
            tell_cut(account, paid, self.pool.pay(paid), out);
        } else {
            self.busy.insert(account);
        }
    }

    /// Of cash, what neither initial health nor `usd` needs, as far as the pool has it. Of an asset, all that leaves initial
    /// health whole; if that is not all of it, as much as its spare health is certain to cover.
    fn spare(&self, account: AccountId, asset: FeedId) -> i128 {
        let state = &self.accounts[&account];
        let health = self.health(state);
        if health.blocked || health.initial() < 0 {
            return 0;
        }
        if asset == FeedId(0) {
            return health.initial().min(health.usd).max(0).min(self.pool.tokens);
        }
        let (feed, balance) = (&self.feeds[&asset], state.balance(asset));
        let AssetConfig { initial_weight, lot, .. } = *feed.asset();
        let counted = if feed.stale { 0 } else { feed.counted(balance, initial_weight) };
        if counted <= health.initial() {
            return balance;
        }
        // Two divisions were rounded down, so what stays counts for two atoms more than it must.
        let must = counted - health.initial() + 2;
        let stays = ceil(must * i128::from(lot) * MILLION * SCALE, i128::from(initial_weight.0) * feed.price);
        (balance - stays).max(0)
    }
}
