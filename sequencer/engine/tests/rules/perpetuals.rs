//! A perpetual to state rules with.

use xos_types::*;

use crate::group::VENUE;

/// The feed of that number: any move is allowed, and a price is good for an hour.
pub(crate) fn feed(number: u8) -> FeedConfig {
    FeedConfig {
        source: Address::repeat_byte(9),
        name: B256::repeat_byte(number),
        unit: 1_000_000_000_000,
        max_age: 3_600_000,
        max_gap: 3_600_000,
        max_move: Ppm(1_000_000),
    }
}

/// A perpetual on feed 1 that wants a tenth, and half of it to stay.
pub(crate) fn bitcoin() -> PerpetualConfig {
    PerpetualConfig {
        terms: TradingTerms::free(VENUE, 1),
        feed: feed(1),
        initial_fractions: [Ppm(100_000); 4],
        maintenance_fractions: [Ppm(50_000); 4],
        tier_bounds: [1_000, 2_000, 3_000],
        penalty: Ppm(20_000),
        funding_cap: Ppm(0),
        loss_cap: 1_000_000,
        title: "Bitcoin".into(),
    }
}
