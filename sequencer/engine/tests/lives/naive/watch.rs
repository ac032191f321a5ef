//! Accounts that prices have hurt: the orders that they lose, and which of their fills a batch can carry.

use super::*;

/// A watched account at the start of the frame; one that was sound then had nothing to lose.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    usd: i128,
    maintenance: i128,
}

impl Naive {
    fn failing(&self, account: AccountId) -> bool {
        self.health(&self.accounts[&account]).maintenance() < 0
    }

    pub(super) fn watch(&mut self, account: AccountId) {
        self.accounts.get_mut(&account).unwrap().watched.get_or_insert_default();
    }

    /// What an account has at index prices: positions, balances, orders, what traded in this frame, and what of an asset must
    /// not be forgotten before its end.
    pub(super) fn places(&self, account: AccountId) -> BTreeSet<FeedId> {
        let state = &self.accounts[&account];
        let held = state.positions.iter().filter(|(_, lots)| **lots != 0).map(|(market, _)| *market);
        let orders = self.orders.iter().map(|resting| resting.signed.message).chain(self.leaving);
        let ordered = orders.filter(|order| order.account == account).map(|order| order.market);
        let traded = self
            .open
            .parts
            .iter()
            .map(|part| part.signed.message)
            .filter(|order| order.account == account && self.listing(order.market).kind == MarketKind::Perpetual);
        let markets = held.chain(ordered).chain(traded.map(|order| order.market));
        let assets = state.balances.iter().filter(|(_, atoms)| **atoms != 0).map(|(asset, _)| *asset);
        let reduced = self.open.reduced.iter().filter(|(of, _)| *of == account).map(|(_, asset)| *asset);
        markets.filter_map(|market| self.listing(market).feed).chain(assets).chain(reduced).collect()
    }

    pub(super) fn places_max(&self) -> usize {
        self.terms.max_holdings.into()
    }

    pub(super) fn too_many(&self) -> Reject {
        Reject::TooManyHoldings { limit: self.terms.max_holdings }
    }

    /// Takes orders from an account that cannot carry them, the newest first; whether it fails.
    fn shed(&mut self, account: AccountId, out: &mut Vec<Event>) -> bool {
        if self.available(account) >= 0 {
            return false;
        }
        let failing = self.failing(account);
        // What may leave the group depends on the fund, so it takes no chances.
        let all = failing || account == AccountId::INSURANCE;
        for nonce in self.nonces_of(account).into_iter().rev() {
            let order = self.orders[self.index_of(account, nonce).unwrap()].standing();
            let worth = self.at_worst(account, None);
            let spends = self.spends(&order) && worth.usd < 0;
            let grows = i128::from(order.size.0) > self.closable(account, order.market, order.side);
            if all || worth.available() < 0 && (spends || grows) {
                self.cancel(account, nonce, CancelReason::Margin, out);
            }
        }
        if all {
            for waiting in self.waiting_of(account) {
                self.cancel_waiting(account, waiting.nonce(), CancelReason::Margin, out);
            }
        }
        failing
    }

    /// Everybody loses what they cannot carry. Returns those who fail.
    pub(super) fn shed_all(&mut self, out: &mut Vec<Event>) -> Vec<AccountId> {
        let everybody: Vec<_> = self.accounts.keys().copied().collect();
        everybody.into_iter().filter(|account| self.shed(*account, out)).collect()
    }

    /// Once rescues are done: who fails now and did not, and who is watched in this frame.
    pub(super) fn review(&mut self, told: &[AccountId], out: &mut Vec<Event>) {
        for account in self.accounts.keys().copied().collect::<Vec<_>>() {
            if self.shed(account, out) && !told.contains(&account) {
                out.push(Event::Failing { account });
            }
            let health = self.health(&self.accounts[&account]);
            let crowded = self.places(account).len() > self.places_max();
            let watched = self.available(account) < 0 || health.blocked || crowded;
            let before = Before { usd: health.usd, maintenance: health.maintenance() };
            self.accounts.get_mut(&account).unwrap().watched = watched.then_some(before);
        }
    }

    /// Whether an order pays for something that is not margined.
    pub(super) fn spends(&self, order: &Order) -> bool {
        match self.listing(order.market).kind {
            MarketKind::Outcome => true,
            MarketKind::Spot => order.side == Side::Buy,
            MarketKind::Perpetual => false,
        }
    }

    /// Whether a trade makes what is held larger, or turns it round.
    pub(super) fn grows(&self, order: &Order) -> bool {
        let before = self.position(order.account, order.market);
        let after = before + sign(order.side) * i128::from(order.size.0);
        match self.listing(order.market).kind {
            MarketKind::Spot => order.side == Side::Buy,
            _ => exits::turns_or_grows(before, after),
        }
    }

    /// An account if it made this trade, and paid this fee.
    pub(super) fn after(&self, trade: &Order, fee: i128) -> Account {
        let mut state = self.accounts[&trade.account].clone();
        let lots = sign(trade.side) * i128::from(trade.size.0);
        let listing = self.listing(trade.market);
        state.cash -= lots * i128::from(trade.price.0) * listing.quantum() + fee;
        match listing.kind {
            MarketKind::Spot => {
                *state.balances.entry(listing.feed.unwrap()).or_default() += sign(trade.side) * self.atoms(trade);
            }
            MarketKind::Outcome => *state.positions.entry(trade.market).or_default() += lots,
            MarketKind::Perpetual => return self.handed(&state, trade.market, lots, 0),
        }
        state
    }

    /// Whether the contract takes a batch that ends with this trade, in which the account did what it did.
    pub(super) fn may_trade(&self, trade: &Order, rate: Ppm) -> bool {
        let Some(before) = self.accounts[&trade.account].watched else { return true };
        let after = self.health(&self.after(trade, self.dearest_fee(trade, rate)));
        let grew = self.open.grew.contains(&trade.account) || self.grows(trade);
        let spent = self.open.spent.contains(&trade.account) || self.spends(trade);
        let no_room = after.initial() < 0 || after.blocked || after.holdings > self.places_max();
        let worse = after.maintenance() < 0 && after.maintenance() < before.maintenance;
        let owes = after.usd < 0 && after.usd < before.usd;
        !(grew && no_room || worse || spent && owes)
    }
}
