//! What an account is worth and what it must be worth, as `contracts/group/Margin.sol` reckons it: positions alone, no orders.
//!
//! ```text
//! usd     = cash + Σ events' worst payoff + Σ perpetuals ⌊size·index⌋ + Σ ⌊funding⌋
//! equity* = usd + Σ assets ⌊⌊balance·index⌋·weight*⌋
//! require*= Σ perpetuals ⌈⌈|size|·index⌉·fraction*⌉        (* initial or maintenance)
//! ```
//!
//! Every division rounds against the account.

use xos_types::{FeedId, Lots, MarketKind};

use crate::account::{Account, Standing, cash_of};
use crate::feeds::{Board, Feed, notional, scaled};
use crate::holdings::{Asset, Held, asset_value};
use crate::terms::Terms;
use crate::wide::{MILLION, PRICE_SCALE, floor};

/// See the module's head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Cash, and what events and perpetuals are worth.
    pub usd: i128,
    /// With assets at their initial weights; a stale one counts for nothing.
    pub initial_equity: i128,
    /// With assets at their maintenance weights.
    pub maintenance_equity: i128,
    /// What perpetuals need for new risk.
    pub initial_requirement: i128,
    /// What they need to stay.
    pub maintenance_requirement: i128,
    /// How many assets and perpetuals are held.
    pub holdings: usize,
    /// A perpetual's price is stale: no new risk, nothing may leave.
    pub blocked: bool,
}

/// What a position in a perpetual counts for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weight {
    /// Atoms, rounded down.
    pub(crate) value: i128,
    /// Atoms, rounded up.
    pub(crate) initial: i128,
    pub(crate) maintenance: i128,
}

impl Weight {
    pub(crate) fn of(feed: &Feed, size: i64) -> Self {
        Self::at(feed, size, feed.price)
    }

    /// The same at another index price.
    pub(crate) fn at(feed: &Feed, size: i64, price: i128) -> Self {
        let notional = notional(size.unsigned_abs(), price);
        Self {
            value: floor(scaled(size.into(), price), PRICE_SCALE),
            initial: feed.tiers().initial(notional),
            maintenance: feed.tiers().maintenance(notional),
        }
    }
}

impl Health {
    /// What new risk must leave above zero.
    #[must_use]
    pub const fn initial(&self) -> i128 {
        self.initial_equity - self.initial_requirement
    }

    /// Below zero the account is open to liquidation.
    #[must_use]
    pub const fn maintenance(&self) -> i128 {
        self.maintenance_equity - self.maintenance_requirement
    }

    /// Initial health if one position became another, and cash with it.
    pub(crate) fn initial_after(&self, feed: &Feed, before: i64, after: i64, cash: i128) -> i128 {
        let (old, new) = (Weight::of(feed, before), Weight::of(feed, after));
        self.initial() + cash + new.value - old.value + old.initial - new.initial
    }

    /// `usd` then.
    pub(crate) fn usd_after(&self, feed: &Feed, before: i64, after: i64, cash: i128) -> i128 {
        self.usd + cash + Weight::of(feed, after).value - Weight::of(feed, before).value
    }

    /// What an account can give away: neither its initial health nor its `usd` may fall below zero for it.
    pub(crate) fn spare(&self) -> i128 {
        if self.blocked { 0 } else { self.initial().min(self.usd).max(0) }
    }

    fn of(money: i128, held: impl Iterator<Item = (FeedId, Held)>, board: &Board) -> Self {
        let mut health = Self { usd: money, ..Self::default() };
        for (id, held) in held {
            let feed = &board[id];
            match held {
                Held::Perpetual(held) if held.size != 0 => {
                    let weight = Weight::of(feed, held.size);
                    health.usd += weight.value + held.funding(feed);
                    health.initial_requirement += weight.initial;
                    health.maintenance_requirement += weight.maintenance;
                    health.blocked |= feed.stale;
                    health.holdings += 1;
                }
                Held::Asset(held) if held.balance != 0 => {
                    let (value, asset) = (asset_value(feed, held.balance), feed.as_asset());
                    health.maintenance_equity += value * i128::from(asset.maintenance_weight.0) / MILLION;
                    if !feed.stale {
                        health.initial_equity += value * i128::from(asset.initial_weight.0) / MILLION;
                    }
                    health.holdings += 1;
                }
                Held::Perpetual(_) | Held::Asset(_) => {}
            }
        }
        // Until here the equities were those of the assets alone.
        health.initial_equity += health.usd;
        health.maintenance_equity += health.usd;
        health
    }
}

impl Account {
    /// Its health as the contract sees it.
    pub(crate) fn health(&self, board: &Board) -> Health {
        let held = self.holdings.iter().map(|holding| (holding.feed, holding.held));
        Health::of(self.cash + self.worst_payoff, held, board)
    }

    /// Its health if it made this trade and paid this fee.
    pub(crate) fn health_after(&self, board: &Board, terms: &Terms, trade: Standing, fee: i128) -> Health {
        let money = self.cash + self.worst_payoff - fee + cash_of(terms, trade.side, trade.price, trade.lots);
        if terms.kind == MarketKind::Outcome {
            let held = self.holdings.iter().map(|holding| (holding.feed, holding.held));
            return Health::of(money + self.margins.payoff_moves(terms, trade), held, board);
        }
        let feed = &board[terms.feed];
        let (mut traded, mut paid) = (false, 0);
        let mut held: Vec<_> = self.holdings.iter().map(|holding| (holding.feed, holding.held)).collect();
        for (_, held) in held.iter_mut().filter(|(id, _)| *id == terms.feed) {
            paid = held.trade(feed, 0, trade.side, trade.lots);
            traded = true;
        }
        assert!(traded || trade.lots == Lots(0), "a place is made before anything is traded");
        Health::of(money + paid, held.into_iter(), board)
    }

    /// Its health with so many atoms more of an asset, and so much cash less.
    pub(crate) fn health_with_asset(&self, board: &Board, id: FeedId, amount: u128, paid: i128) -> Health {
        let mut held: Vec<_> = self.holdings.iter().map(|holding| (holding.feed, holding.held)).collect();
        match held.iter_mut().find(|(feed, _)| *feed == id) {
            Some((_, held)) => held.asset().balance += amount,
            None => held.push((id, Held::Asset(Asset { balance: amount, ..Asset::default() }))),
        }
        Health::of(self.cash + self.worst_payoff - paid, held.into_iter(), board)
    }
}
