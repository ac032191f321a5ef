//! A listing's terms in the widths that the engine calculates with.

use xos_types::{
    EventConfig, FeedId, Lots, MarketKind, PerpetualConfig, Ppm, Rate, SpotConfig, Ticks, TradingTerms, VenueId,
};

use crate::fees::FeeCredit;
use crate::limits::{LOT_VALUE_MAX, OUTCOMES_MAX, PAYOUT_MAX, POSITION_MAX};

/// What pricing and margin need to know of a listing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) kind: MarketKind,
    /// The index price of what is traded; of an event 0.
    pub(crate) feed: FeedId,
    /// Atoms of the asset per lot of a spot market; elsewhere 1.
    pub(crate) lot: u64,
    pub(crate) venue: VenueId,
    /// Of a spot or perpetual market 1.
    pub(crate) outcomes: u8,
    /// One more than the highest price.
    pub(crate) ticks: u64,
    /// Atoms per tick·lot.
    pub(crate) quantum: i128,
    /// The same.
    quantum_low: u64,
    /// Atoms that a winning lot pays; of a spot or perpetual market 0.
    pub(crate) payout_per_lot: i64,
    pub(crate) taker_fee: Ppm,
    pub(crate) maker_fee: Rate,
    /// Fees are on `price · (1 − price)`.
    curve: bool,
    pub(crate) restricted: bool,
    pub(crate) isolated_only: bool,
    /// Most lots that an account may hold either way.
    pub(crate) position_max: u64,
    /// Whether there is a cap: then the contract counts what is open.
    pub(crate) capped: bool,
    /// Most lots that may be open in a market; without a cap, as many as can be counted.
    pub(crate) open_interest_max: u64,
}

impl Terms {
    /// Or why the contract opens no such event.
    pub(crate) fn event(config: &EventConfig) -> Result<Self, &'static str> {
        if !(2..=OUTCOMES_MAX).contains(&config.outcomes) {
            return Err("the contract opens events of 2 to 128 outcomes");
        }
        if config.ticks < 2 {
            return Err("the contract opens events with a price");
        }
        let payout = i64::try_from(config.payout_per_lot()).ok().filter(|payout| i128::from(*payout) <= PAYOUT_MAX);
        Ok(Self {
            outcomes: config.outcomes,
            ticks: config.ticks.into(),
            payout_per_lot: payout.ok_or("the contract bounds what a winning lot pays")?,
            ..Self::new(MarketKind::Outcome, FeedId(0), &config.terms)?
        })
    }

    /// Or why the contract lists no such market.
    pub(crate) fn spot(lot: u64, config: &SpotConfig) -> Result<Self, &'static str> {
        // What is held of an asset is somebody's money, so the contract caps none of it.
        let terms = Self::new(MarketKind::Spot, config.asset, &config.terms)?;
        Ok(Self { lot, capped: false, position_max: u64::MAX, open_interest_max: u64::MAX, ..terms })
    }

    /// Or why the contract lists no such market.
    pub(crate) fn perpetual(feed: FeedId, config: &PerpetualConfig) -> Result<Self, &'static str> {
        // The contract counts what is open of every perpetual.
        Ok(Self { capped: true, ..Self::new(MarketKind::Perpetual, feed, &config.terms)? })
    }

    fn new(kind: MarketKind, feed: FeedId, terms: &TradingTerms) -> Result<Self, &'static str> {
        if terms.quantum == 0 {
            return Err("the contract lists markets with a value");
        }
        if terms.highest_fee().0 > 1_000_000 {
            return Err("a fee is at most the value");
        }
        if terms.maker_fee.rebate() > terms.taker_fee {
            return Err("a rebate is paid out of the fee of the order that took");
        }
        if kind != MarketKind::Outcome && terms.curve {
            return Err("the contract charges on the curve for outcomes only");
        }
        let capped = |cap: Lots, max: u64| if cap.0 == 0 { max } else { cap.0.min(max) };
        Ok(Self {
            kind,
            feed,
            lot: 1,
            venue: terms.venue,
            outcomes: 1,
            // At least one price: the contract's highest quantum is above the highest value of a lot, and then it is that.
            ticks: (LOT_VALUE_MAX / terms.quantum).max(1) + 1,
            quantum: i128::from(terms.quantum),
            quantum_low: terms.quantum,
            payout_per_lot: 0,
            taker_fee: terms.taker_fee,
            maker_fee: terms.maker_fee,
            curve: terms.curve,
            restricted: terms.restricted,
            isolated_only: terms.isolated_only,
            capped: terms.position_cap.0 != 0 || terms.open_interest_cap.0 != 0,
            position_max: capped(terms.position_cap, POSITION_MAX),
            open_interest_max: capped(terms.open_interest_cap, u64::MAX),
        })
    }

    /// Atoms that a lot costs at `price`; exact.
    #[inline]
    pub(crate) fn lot_price(&self, price: Ticks) -> u64 {
        // At any price at most `PAYOUT_MAX` or `LOT_VALUE_MAX`.
        price.0 * self.quantum_low
    }

    /// Atoms that `size` lots cost at `price`; exact.
    #[inline]
    pub(crate) fn value(&self, price: Ticks, size: Lots) -> i128 {
        let value = u128::from(self.lot_price(price)) * u128::from(size.0);
        value.cast_signed()
    }

    /// Atoms that a fee is a rate of: the value, or on the curve `value · (1 − price)`.
    ///
    /// On the curve it rounds down, in favour of the trader by less than an atom of the base: the contract rounds up once for
    /// a netted line, and a sum of bases that were rounded up could exceed that. Rounded down they cannot, because
    /// `p · (1 − p)` is concave (`Fills.sol`).
    #[inline]
    pub(crate) fn fee_base(&self, price: Ticks, size: Lots) -> i128 {
        let value = self.value(price, size);
        if self.curve { value * i128::from(self.ticks - price.0) / i128::from(self.ticks) } else { value }
    }

    /// What an order that has paid as far as `credit` says may still be charged for so many lots at a price.
    #[inline(always)]
    pub(crate) fn outstanding(&self, credit: FeeCredit, price: Ticks, size: Lots, rate: Ppm) -> i128 {
        if rate.0 == 0 { 0 } else { credit.outstanding(self.fee_base(price, size), rate) }
    }

    /// The highest rate that an order may be charged.
    #[inline]
    pub(crate) fn highest_fee(&self) -> Ppm {
        self.taker_fee.max(self.maker_fee.fee())
    }
}
