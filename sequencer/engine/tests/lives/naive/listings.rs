//! What is listed: events with a market for each outcome, spot markets, perpetuals.

use super::*;

#[derive(Clone, Debug)]
pub(crate) struct Listing {
    pub(crate) kind: MarketKind,
    pub(crate) terms: TradingTerms,
    pub(crate) outcomes: u8,
    /// One more than the highest price; of an outcome the price of certainty.
    pub(crate) ticks: u64,
    /// At which index price what it trades is held.
    pub(crate) feed: Option<FeedId>,
    /// What the outcomes of an event pay, once that is known.
    pub(crate) payouts: Option<Vec<u64>>,
    pub(crate) phase: Phase,
    /// If they were ever set.
    pub(super) hours: Option<Hours>,
    /// Outside of its hours.
    pub(super) closed: bool,
}

impl Listing {
    fn new(kind: MarketKind, terms: TradingTerms, feed: Option<FeedId>) -> Self {
        let (phase, payouts, hours) = (Phase::Open, None, None);
        // A lot is worth 1e11 atoms at most.
        let ticks = 100_000_000_000 / terms.quantum + 1;
        Self { kind, terms, outcomes: 1, ticks, feed, payouts, phase, hours, closed: false }
    }

    pub(super) fn event(config: &EventConfig) -> Self {
        let (outcomes, ticks) = (config.outcomes, config.ticks.into());
        Self { outcomes, ticks, ..Self::new(MarketKind::Outcome, config.terms, None) }
    }

    pub(super) fn spot(config: &SpotConfig) -> Self {
        Self::new(MarketKind::Spot, config.terms, Some(config.asset))
    }

    pub(super) fn perpetual(feed: FeedId, config: &PerpetualConfig) -> Self {
        Self::new(MarketKind::Perpetual, config.terms, Some(feed))
    }

    pub(super) fn quantum(&self) -> i128 {
        self.terms.quantum.into()
    }

    /// What a winning lot pays.
    pub(crate) fn payout(&self) -> i128 {
        i128::from(self.ticks) * self.quantum()
    }

    pub(super) fn value(&self, price: u64, size: u64) -> i128 {
        i128::from(price) * i128::from(size) * self.quantum()
    }

    /// What a fee is a rate of.
    pub(super) fn base(&self, price: u64, size: u64) -> i128 {
        let (value, ticks) = (self.value(price, size), i128::from(self.ticks));
        if self.terms.curve { value * (ticks - i128::from(price)) / ticks } else { value }
    }

    /// The most that an account may hold either way. There is no limit to what is held of an asset.
    pub(super) fn position_max(&self) -> Option<u64> {
        let cap = self.terms.position_cap.0;
        let cap = if cap == 0 { POSITION_MAX } else { cap.min(POSITION_MAX) };
        (self.kind != MarketKind::Spot).then_some(cap)
    }

    /// The most that may be open.
    pub(super) fn open_max(&self) -> u64 {
        let cap = self.terms.open_interest_cap.0;
        if cap == 0 || self.kind == MarketKind::Spot { u64::MAX } else { cap }
    }
}

impl Naive {
    pub(super) fn listing(&self, market: MarketId) -> &Listing {
        &self.listings[&market.event()]
    }

    pub(super) fn phase(&self, market: MarketId) -> Phase {
        self.listing(market).phase
    }

    /// Whether nothing may trade in a market for now.
    pub(super) fn is_shut(&self, market: MarketId) -> bool {
        let Listing { closed, phase, .. } = self.listing(market);
        *closed || matches!(phase, Phase::Pending | Phase::PostOnly | Phase::Halted)
    }

    /// Every market, by number.
    pub(super) fn markets(&self) -> Vec<MarketId> {
        let all = self.listings.iter();
        all.flat_map(|(event, listing)| (0..listing.outcomes).map(|k| MarketId::new(*event, k))).collect()
    }

    /// Lots open in a market: the sum of long positions.
    pub(crate) fn open_interest(&self, market: MarketId) -> i128 {
        self.accounts.values().map(|state| state.lots(market).max(0)).sum()
    }
}
