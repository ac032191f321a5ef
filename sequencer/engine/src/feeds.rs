//! Index prices and funding, as `contracts/group/Prices.sol` keeps them, to the atom.
//!
//! A price that breaks a rule of its feed counts as far as the rule allows, and until a clean one comes the feed is *stale*:
//! its market only reduces and it carries no new risk.
//!
//! **Funding.** Each frame the mark price is the median of three: the index, the middle of the best bid and ask, and the last
//! trade; whatever does not exist is the index (median of three: Binance, Hyperliquid and the Exchange OS whitepaper). The
//! premium of the mark over the index flows from longs to shorts over [`CONVERGENCE_MS`] (Derive's hourly premium over a
//! convergence period of 8 h):
//!
//! ```text
//! Δindex = ⌊premium · elapsed / CONVERGENCE_MS⌋, at most ⌊index price · cap · elapsed / (1e6 · hour)⌋ either way
//! ```
//!
//! in atoms per lot times 1e9. The index moves at most once a second; what frames in between sampled, and what the division
//! leaves (less than one part in 1e9 of an atom a lot), is carried on, so frequent frames lose nothing. The cap is the contract's, for the time since the index last moved, at most an
//! hour: what is above it is forgone.

use core::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};
use xos_types::{
    Address, AssetConfig, EventId, FeedConfig, FeedId, FundingUpdate, MarketId, PerpetualConfig, Ppm, PriceUpdate,
    Ticks, TimeMs,
};

use crate::holders::Holders;
use crate::limits::INDEX_MAX;
use crate::terms::Terms;
use crate::wide::{MILLION, PRICE_SCALE, ceil, ceil_unsigned, floor, mul_div, times};

/// How long a constant premium takes to flow once, in milliseconds: 8 hours.
pub(crate) const CONVERGENCE_MS: i128 = 8 * HOUR_MS;
const HOUR_MS: i128 = 3_600_000;
/// How long the index stands still at least: whenever it moves, everybody who holds the perpetual is valued anew, and the
/// batch pays for it.
const FUNDING_MS: u64 = 1_000;
/// A source's prices have 18 decimals.
const SOURCE_SCALE: u128 = 1_000_000_000_000_000_000;

/// An index price, and how what is held at that price counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Feed {
    /// Who says the price; nobody once its perpetual is delisted.
    pub(crate) config: Option<FeedConfig>,
    max_age: u32,
    pub(crate) kind: FeedKind,
    /// Atoms per lot, times 1e9; 0 before the first.
    pub(crate) price: i128,
    /// When that was published.
    pub(crate) time: TimeMs,
    pub(crate) breached: bool,
    /// Whether new risk may not rely on the price in the open frame.
    pub(crate) stale: bool,
    /// What a long lot has paid so far, atoms times 1e9. Of an asset 0.
    pub(crate) funding_index: i128,
    /// When the index last moved.
    funding_time: TimeMs,
    /// Up to when premiums are counted.
    sampled: TimeMs,
    /// What is due and not in the index yet, in 1 / [`CONVERGENCE_MS`].
    remainder: i128,
    /// The last trade, atoms per lot times 1e9; 0 before the first.
    pub(crate) last_trade: i128,
    /// What a perpetual has cost others so far, in atoms: what the fund lost on takeovers, and what accounts without equity
    /// owed when keepers took their last positions.
    pub(crate) loss: u128,
    /// Of an asset: atoms that accounts hold together, deposits less what left.
    pub(crate) custody: u128,
    /// Accounts that have a holding there. Derived from the accounts.
    #[serde(skip)]
    pub(crate) holders: Holders,
}

/// What is held at an index price.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum FeedKind {
    /// A token's atoms.
    Asset(AssetConfig),
    /// A perpetual's lots.
    Perpetual { market: MarketId, tiers: Tiers, penalty: Ppm, funding_cap: Ppm, loss_cap: u128 },
}

/// How much of a position's notional must be there.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Tiers {
    /// Highest notional of the first three, in atoms.
    bounds: [i128; 3],
    initial: [u32; 4],
    maintenance: [u32; 4],
}

/// Every feed of the group, by number from 1.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Board(Vec<Feed>);

impl Board {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn find(&self, id: FeedId) -> Option<&Feed> {
        self.0.get(usize::from(id.0).checked_sub(1)?)
    }

    pub(crate) fn push(&mut self, feed: Feed) {
        self.0.push(feed);
    }

    /// Every feed's number, ascending.
    pub(crate) fn ids(&self) -> impl Iterator<Item = FeedId> + use<> {
        (1..=self.0.len()).map(|number| FeedId(u8::try_from(number).expect("the contract numbers 255 feeds at most")))
    }

    /// The feed of a perpetual.
    pub(crate) fn perpetual_of(&self, of: MarketId) -> Option<FeedId> {
        self.ids().find(|id| matches!(&self[*id].kind, FeedKind::Perpetual { market, .. } if *market == of))
    }

    /// The asset that is this token.
    pub(crate) fn asset_of(&self, token: Address) -> Option<FeedId> {
        self.ids().find(|id| matches!(&self[*id].kind, FeedKind::Asset(config) if config.token == token))
    }
}

impl Index<FeedId> for Board {
    type Output = Feed;

    fn index(&self, id: FeedId) -> &Feed {
        &self.0[usize::from(id.0) - 1]
    }
}

impl IndexMut<FeedId> for Board {
    fn index_mut(&mut self, id: FeedId) -> &mut Feed {
        &mut self.0[usize::from(id.0) - 1]
    }
}

impl Tiers {
    fn new(config: &PerpetualConfig) -> Self {
        Self {
            bounds: config.tier_bounds.map(|millions| i128::from(millions) * MILLION),
            initial: config.initial_fractions.map(|fraction| fraction.0),
            maintenance: config.maintenance_fractions.map(|fraction| fraction.0),
        }
    }

    /// Highest notional of the first three tiers, atoms, ascending.
    pub(crate) fn bounds(&self) -> [i128; 3] {
        self.bounds
    }

    #[inline]
    fn of(&self, notional: i128) -> usize {
        // They rise, so those below it come first, and to count them all takes no branch.
        self.bounds.iter().map(|bound| usize::from(notional > *bound)).sum()
    }

    /// `⌈notional · fraction⌉` for new risk. It never falls as the notional grows, as no tier's fraction is below the one
    /// before (`Limits.sol`).
    #[inline]
    pub(crate) fn initial(&self, notional: i128) -> i128 {
        part(notional, self.initial[self.of(notional)])
    }

    /// The same to stay.
    pub(crate) fn maintenance(&self, notional: i128) -> i128 {
        part(notional, self.maintenance[self.of(notional)])
    }
}

/// `⌈notional · fraction⌉`.
#[inline]
fn part(notional: i128, fraction: u32) -> i128 {
    let product = match u64::try_from(notional) {
        Ok(notional) => u128::from(notional) * u128::from(fraction),
        Err(_) => notional.unsigned_abs() * u128::from(fraction),
    };
    ceil_unsigned(product, MILLION)
}

impl Feed {
    pub(crate) fn asset(config: AssetConfig) -> Self {
        Self::new(config.feed, FeedKind::Asset(config), TimeMs(0))
    }

    pub(crate) fn perpetual(market: MarketId, config: &PerpetualConfig, time: TimeMs) -> Self {
        Self::new(config.feed, perpetual_kind(market, config), time)
    }

    fn new(config: FeedConfig, kind: FeedKind, time: TimeMs) -> Self {
        Self {
            config: Some(config),
            max_age: config.max_age,
            kind,
            price: 0,
            time: TimeMs(0),
            breached: false,
            stale: true,
            funding_index: 0,
            funding_time: time,
            sampled: time,
            remainder: 0,
            last_trade: 0,
            loss: 0,
            custody: 0,
            holders: Holders::default(),
        }
    }

    /// The asset counts in another way from now on.
    pub(crate) fn set_asset(&mut self, config: AssetConfig) {
        self.set_config(config.feed);
        self.kind = FeedKind::Asset(config);
    }

    /// The perpetual has other terms from now on; one that is delisted keeps its last price.
    pub(crate) fn set_perpetual(&mut self, market: MarketId, config: &PerpetualConfig) {
        if self.config.is_some() {
            self.set_config(config.feed);
        }
        self.kind = perpetual_kind(market, config);
    }

    fn set_config(&mut self, config: FeedConfig) {
        self.config = Some(config);
        self.max_age = config.max_age;
    }

    /// Whether the price may not carry new risk at `time`: it is too old, broke a rule, or was never given.
    pub(crate) fn is_stale_at(&self, time: TimeMs) -> bool {
        self.breached || u128::from(self.time.0) + u128::from(self.max_age) < u128::from(time.0)
    }

    pub(crate) fn tiers(&self) -> &Tiers {
        match &self.kind {
            FeedKind::Perpetual { tiers, .. } => tiers,
            FeedKind::Asset(_) => unreachable!("asked of what holds a perpetual"),
        }
    }

    pub(crate) fn as_asset(&self) -> &AssetConfig {
        match &self.kind {
            FeedKind::Asset(config) => config,
            FeedKind::Perpetual { .. } => unreachable!("asked of what holds an asset"),
        }
    }

    /// A trade of its market, of which it is the mark's part.
    pub(crate) fn note_trade(&mut self, terms: &Terms, price: Ticks) {
        self.last_trade = i128::from(price.0) * terms.quantum * PRICE_SCALE;
    }

    /// Of a perpetual the liquidation's penalty, of an asset the conversion's discount.
    pub(crate) fn penalty(&self) -> Ppm {
        match &self.kind {
            FeedKind::Perpetual { penalty, .. } => *penalty,
            FeedKind::Asset(config) => config.conversion_discount,
        }
    }

    /// The most that a perpetual may cost others.
    pub(crate) fn loss_cap(&self) -> u128 {
        match &self.kind {
            FeedKind::Perpetual { loss_cap, .. } => *loss_cap,
            FeedKind::Asset(_) => unreachable!("asked of what holds a perpetual"),
        }
    }

    /// What lots are worth at index price, rounded down, and the penalty on that, rounded up.
    pub(crate) fn value_and_charge(&self, lots: i64) -> (i128, i128) {
        let value = floor(scaled(lots.into(), self.price), PRICE_SCALE);
        (value, ceil(value.abs() * i128::from(self.penalty().0), MILLION))
    }

    /// The listing of a perpetual.
    pub(crate) fn listing(&self) -> Option<EventId> {
        match self.kind {
            FeedKind::Perpetual { market, .. } => Some(market.event()),
            FeedKind::Asset(_) => None,
        }
    }

    pub(crate) fn is_perpetual(&self) -> bool {
        matches!(self.kind, FeedKind::Perpetual { .. })
    }

    /// Takes a price for a frame at `time` as far as the feed's rules let it; whether the contract would take it at all.
    pub(crate) fn accept(&mut self, update: &PriceUpdate, time: TimeMs) -> bool {
        let Some(config) = self.config else { return false };
        if update.published_at > time || update.published_at < self.time {
            return false;
        }
        let told = mul_div(update.answer, config.unit, SOURCE_SCALE);
        let Some(told) = i128::try_from(told).ok().filter(|told| (1..=INDEX_MAX).contains(told)) else { return false };
        let mut price = told;
        let mut breached = false;
        if self.price != 0 {
            let elapsed = update.published_at.0 - self.time.0;
            breached |= elapsed > u64::from(config.max_gap);
            // Beyond what a price can be the bound is none.
            let bound = u128::from(config.max_move.0).saturating_mul(elapsed.into());
            let bound = mul_div(self.price.unsigned_abs(), bound, 1_000_000_000);
            let bound = i128::try_from(bound).unwrap_or(i128::MAX).min(INDEX_MAX);
            price = told.clamp(self.price - bound, self.price + bound);
            breached |= price != told;
        }
        (self.price, self.time, self.breached) = (price, update.published_at, breached);
        true
    }

    /// Counts the premium of `mark` since it was last counted and moves the index by what it comes to; `None` if it does not.
    pub(crate) fn fund(&mut self, id: FeedId, mark: i128, time: TimeMs) -> Option<FundingUpdate> {
        let FeedKind::Perpetual { funding_cap, .. } = self.kind else { return None };
        // An hour at most counts: after a silence nobody pays for all of it. Nothing is due on a price that is not believed.
        let elapsed = i128::from(time.0 - self.sampled.0).min(HOUR_MS);
        self.sampled = time;
        if self.price == 0 || self.stale || self.config.is_none() {
            return None;
        }
        // A premium is a price at most, so these products are far below 2^127.
        let due = (mark - self.price) * elapsed + self.remainder;
        if time.0 - self.funding_time.0 < FUNDING_MS {
            self.remainder = due;
            return None;
        }
        let since = i128::from(time.0 - self.funding_time.0).min(HOUR_MS);
        let cap = floor(self.price * i128::from(funding_cap.0) * since, MILLION * HOUR_MS);
        let step = floor(due, CONVERGENCE_MS);
        let moved = step.clamp(-cap, cap);
        self.remainder = if moved == step { due - step * CONVERGENCE_MS } else { 0 };
        if moved == 0 {
            return None;
        }
        self.funding_index += moved;
        self.funding_time = time;
        Some(FundingUpdate { feed: id, index: self.funding_index })
    }

    /// The median of index, the middle of the book and the last trade; whatever is missing is the index.
    pub(crate) fn mark(&self, best: Option<(i128, i128)>) -> i128 {
        let middle = best.map_or(self.price, |(bid, ask)| (bid + ask) / 2);
        let last = if self.last_trade == 0 { self.price } else { self.last_trade };
        let (low, high) = (middle.min(last), middle.max(last));
        self.price.clamp(low, high)
    }
}

fn perpetual_kind(market: MarketId, config: &PerpetualConfig) -> FeedKind {
    let fractions = config.initial_fractions.iter().zip(&config.maintenance_fractions);
    assert!(fractions.clone().all(|(initial, maintenance)| maintenance < initial), "the contract wants less to stay");
    assert!(config.initial_fractions.is_sorted() && config.tier_bounds.is_sorted(), "the contract wants rising tiers");
    FeedKind::Perpetual {
        market,
        tiers: Tiers::new(config),
        penalty: config.penalty,
        funding_cap: config.funding_cap,
        loss_cap: config.loss_cap,
    }
}

/// What `lots` are worth at an index price before the last division: atoms times 1e9. A position and a price are at most
/// 1e15 and 1e20.
#[inline]
pub(crate) fn scaled(lots: i128, price: i128) -> i128 {
    times(lots, price)
}

/// Notional of a position, rounded up.
#[inline]
pub(crate) fn notional(lots: u64, price: i128) -> i128 {
    let price = price.unsigned_abs();
    // Nearly every price fits 64 bits, and checking a product of two of 128 is a call.
    let product = match u64::try_from(price) {
        Ok(price) => u128::from(lots) * u128::from(price),
        Err(_) => u128::from(lots) * price,
    };
    ceil_unsigned(product, PRICE_SCALE)
}

#[cfg(test)]
mod tests {
    use xos_types::{B256, EventId, Lots, TradingTerms, VenueId};

    use super::*;

    fn perpetual() -> Feed {
        let source =
            FeedConfig { source: Address::ZERO, name: B256::ZERO, unit: 1, max_age: 0, max_gap: 0, max_move: Ppm(0) };
        let config = PerpetualConfig {
            terms: TradingTerms { open_interest_cap: Lots(0), ..TradingTerms::free(VenueId(1), 1) },
            feed: source,
            initial_fractions: [Ppm(2); 4],
            maintenance_fractions: [Ppm(1); 4],
            tier_bounds: [1, 2, 3],
            penalty: Ppm(0),
            funding_cap: Ppm(1_000_000),
            loss_cap: 0,
            title: String::new(),
        };
        let mut feed = Feed::perpetual(MarketId::new(EventId(1), 0), &config, TimeMs(0));
        (feed.price, feed.stale) = (7_000_000_007, false);
        feed
    }

    #[test]
    fn frequent_frames_move_the_funding_index_once_a_second_and_lose_nothing() {
        let (mut seldom, mut often) = (perpetual(), perpetual());
        let (mark, mut moves) = (7_000_100_000, 0);
        for time in (1u64..=5_000).map(TimeMs) {
            moves += usize::from(often.fund(FeedId(1), mark, time).is_some());
        }
        for time in (1_000u64..=5_000).step_by(1_000).map(TimeMs) {
            seldom.fund(FeedId(1), mark, time);
        }
        assert_eq!(moves, 5);
        assert_eq!((often.funding_index, often.remainder), (seldom.funding_index, seldom.remainder));
        assert_eq!(often.funding_index, 99_993 * 5_000 / CONVERGENCE_MS);
    }

    #[test]
    fn what_is_above_the_cap_is_forgone_to_the_last_part() {
        let mut feed = perpetual();
        // Of 2,083,333 and a third that are due, as much as the whole price in an hour.
        let premium = 60_000_000_001;
        assert!(feed.fund(FeedId(1), feed.price + premium, TimeMs(1_000)).is_some());
        assert_eq!((feed.funding_index, feed.remainder), (7_000_000_007 / 3_600, 0));
        // With that third two thirds more would move the index.
        assert_eq!(feed.fund(FeedId(1), feed.price + 19_200, TimeMs(2_000)), None);
    }
}
