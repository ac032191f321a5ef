//! Tables of volume tiers in a life, and fills that cost less by them.

use alloy::primitives::aliases::U24;
use xos_chain::abi::{self, IGateway};
use xos_types::{Fill, MarketId, TradingTerms};

use super::Life;

/// A table before it meets a life: how much more each tier asks for than the one before, and how much less it charges.
#[derive(Clone, Debug)]
pub(crate) struct TiersPlan {
    pub(crate) venue: u8,
    pub(crate) steps: Vec<(u64, u32, u32)>,
}

impl Life {
    pub(super) fn fee_tiers(&mut self, plan: &TiersPlan) {
        let (mut volume, mut taker, mut maker) = (0, 1_000_000_u32, 1_000_000_u32);
        let tiers = plan.steps.iter().map(|(more, less_taker, less_maker)| {
            volume += u128::from(*more);
            (taker, maker) = (taker.saturating_sub(*less_taker), maker.saturating_sub(*less_maker));
            abi::FeeTier { volume, takerShare: U24::from(taker), makerShare: U24::from(maker) }
        });
        let (tiers, venue) = (tiers.collect(), self.pick_venue(plan.venue));
        self.queue(self.deployer.address(), &IGateway::setFeeTiersCall { venue, tiers });
    }

    /// What it took is surely less than the market's own rate: a fee is rounded by less than two atoms.
    pub(super) fn note_discount(&mut self, fill: &Fill) {
        let terms = self.trading_terms(fill.market);
        let value = u128::from(fill.price.0) * u128::from(fill.size.0) * u128::from(terms.quantum);
        let full = value * u128::from(terms.taker_fee.0) / 1_000_000;
        self.totals.discounts += u64::from(!terms.curve && fill.taker_fee.0.unsigned_abs() + 2 < full);
    }

    fn trading_terms(&self, market: MarketId) -> TradingTerms {
        match self.engine.event(market.event()) {
            Some(event) => event.config.terms,
            None => *self.engine.index_markets().find(|listed| listed.market == market).unwrap().terms,
        }
    }
}
