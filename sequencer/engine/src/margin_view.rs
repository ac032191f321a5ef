//! How an account stands: what it is worth, what it must be worth, and how far its prices are from where it fails.

use serde::Serialize;
use xos_types::{AccountId, Atoms, FeedId, Position};

use crate::account::Account;
use crate::engine::Engine;
use crate::feeds::{Board, Feed};
use crate::health::{Health, Weight};
use crate::holdings::Held;
use crate::limits::INDEX_MAX;
use crate::wide::PRICE_SCALE;

/// How an account stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarginView {
    /// Its health, orders apart: as the contract sees it.
    pub health: Health,
    /// What may be withdrawn or put at risk, every resting order at its worst.
    pub available: Atoms,
    /// Its positions in perpetuals, by feed.
    pub positions: Vec<PositionMargin>,
}

/// What a position in a perpetual counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PositionMargin {
    /// Which.
    pub feed: FeedId,
    /// Signed lots.
    pub size: Position,
    /// Lots at index price, atoms, rounded down; negative of a short one.
    pub value: Atoms,
    /// Funding that it has not been paid yet, rounded down; negative if it owes.
    pub funding: Atoms,
    /// What it needs for new risk, rounded up.
    pub initial: Atoms,
    /// What it needs to stay.
    pub maintenance: Atoms,
    /// The nearest index price at which the account fails, all else as it is: atoms per lot times 1e9. Today's, if it fails already;
    /// `None` if it does at none that the engine takes.
    pub liquidation: Option<u128>,
}

impl Engine {
    /// How an account stands; `None` if there is no such account.
    #[must_use]
    pub fn margin(&self, account: AccountId) -> Option<MarginView> {
        self.find_account(account).map(|state| state.margin(&self.board))
    }
}

impl Account {
    pub(crate) fn margin(&self, board: &Board) -> MarginView {
        let health = self.health(board);
        let positions = self.holdings.iter().filter_map(|holding| match holding.held {
            Held::Perpetual(held) if held.size != 0 => {
                let feed = &board[holding.feed];
                let weight = Weight::of(feed, held.size);
                Some(PositionMargin {
                    feed: holding.feed,
                    size: Position(held.size),
                    value: Atoms(weight.value),
                    funding: Atoms(held.funding(feed)),
                    initial: Atoms(weight.initial),
                    maintenance: Atoms(weight.maintenance),
                    liquidation: liquidation(&health, feed, held.size).map(i128::unsigned_abs),
                })
            }
            Held::Perpetual(_) | Held::Asset(_) => None,
        });
        let positions = positions.collect();
        MarginView { health, available: Atoms(self.available()), positions }
    }
}

/// See [`PositionMargin::liquidation`].
///
/// On the way from today's price a short position only gets worse. So does a long one, but where its notional falls to a lower
/// tier, whose smaller requirement makes it better: it may fail right above such a price and not below.
fn liquidation(health: &Health, feed: &Feed, size: i64) -> Option<i128> {
    let now = Weight::of(feed, size);
    let others = health.maintenance() - now.value + now.maintenance;
    let fails = |price| {
        let then = Weight::at(feed, size, price);
        others + then.value - then.maintenance < 0
    };
    if fails(feed.price) {
        return Some(feed.price);
    }
    let lots = i128::from(size.unsigned_abs());
    // The lowest price of each tier: a notional is rounded up.
    let lowest = |bound: i128| bound * PRICE_SCALE / lots + 1;
    let ends = if size > 0 {
        let tiers = feed.tiers().bounds().map(lowest).into_iter().rev().filter(|end| *end < feed.price);
        tiers.chain([0]).collect()
    } else {
        vec![INDEX_MAX]
    };
    let mut sound = feed.price;
    for end in ends {
        if fails(end) {
            return Some(first(sound, end, fails));
        }
        sound = end;
    }
    None
}

/// The failing price that is nearest to `sound`, if all fail from somewhere on the way to `failing`.
fn first(mut sound: i128, mut failing: i128, fails: impl Fn(i128) -> bool) -> i128 {
    while (sound - failing).abs() > 1 {
        let middle = (sound + failing) / 2;
        if fails(middle) {
            failing = middle;
        } else {
            sound = middle;
        }
    }
    failing
}
