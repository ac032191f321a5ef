//! An event's terms in the widths that the engine calculates with.

use xos_types::{EventConfig, Lots, Ppm, Ticks};

use crate::limits::{OUTCOMES_MAX, PAYOUT_MAX};

/// What pricing and margin need to know of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) outcomes: u8,
    pub(crate) ticks: u64,
    /// Atoms per tick·lot.
    pub(crate) quantum: i128,
    /// Atoms that a winning lot pays.
    pub(crate) payout_per_lot: i128,
    pub(crate) taker_fee: Ppm,
    pub(crate) maker_fee: Ppm,
}

impl Terms {
    /// Panics on terms that the contract refuses to open.
    pub(crate) fn new(config: &EventConfig) -> Self {
        assert!((2..=OUTCOMES_MAX).contains(&config.outcomes), "the contract opens events of 2 to 128 outcomes");
        assert!(config.ticks >= 2 && config.quantum >= 1, "the contract opens events with a price and a value");
        assert!(config.payout_per_lot() <= PAYOUT_MAX, "the contract bounds what a winning lot pays");
        assert!(config.taker_fee.0 <= 1_000_000 && config.maker_fee.0 <= 1_000_000, "a fee is at most the value");
        Self {
            outcomes: config.outcomes,
            ticks: config.ticks,
            quantum: i128::from(config.quantum),
            payout_per_lot: config.payout_per_lot(),
            taker_fee: config.taker_fee,
            maker_fee: config.maker_fee,
        }
    }

    /// Atoms that `size` lots cost at `price`; exact.
    pub(crate) fn value(&self, price: Ticks, size: Lots) -> i128 {
        i128::from(price.0) * i128::from(size.0) * self.quantum
    }

    /// The highest rate that an order may be charged.
    pub(crate) fn highest_fee(&self) -> Ppm {
        self.taker_fee.max(self.maker_fee)
    }
}
