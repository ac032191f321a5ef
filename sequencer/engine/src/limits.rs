//! Bounds on everything a trader or the chain may ask for, chosen so that no arithmetic of the engine can overflow.
//!
//! Of what has an index price, `2 · POSITION_MAX · INDEX_MAX = 2e35` and its products with a rate are the largest: a
//! requirement multiplies a notional of 2e26 atoms by 1e6.
//!
//! The largest product of outcomes is a value times a rate: `SIZE_MAX · PAYOUT_MAX · 1e6 = 1e36`, and the largest sum an account's
//! margin in one event: `ORDERS_MAX · SIZE_MAX · PAYOUT_MAX = 1e34` atoms. Both stay below `i128::MAX ≈ 1.7e38`.

use xos_types::{MarketKind, Ppm};

use crate::gas;

/// Lots of one order.
pub const SIZE_MAX: u64 = 1_000_000_000_000;

/// Lots that an account may hold in a market, long or short, counting its resting orders as filled.
pub const POSITION_MAX: u64 = 1_000_000_000_000_000;

/// Orders of one account, resting or waiting.
pub const ORDERS_MAX: usize = 10_000;

/// Orders of all trees of an account of which one rests or waits, those that do neither any more included: what a tree has is kept
/// until the last of it has left.
pub const TREE_ORDERS_MAX: usize = 4 * ORDERS_MAX;

/// Resting orders that one arriving order may meet, own ones included; fewer if settling their lines would cost more gas
/// than one order may add to a frame. What then still crosses is cancelled.
pub const MATCHES_MAX: u32 = 128;

/// Atoms that a winning lot may pay: `ticks · quantum` of an event.
pub const PAYOUT_MAX: i128 = 1_000_000_000_000_000_000;

/// Outcomes of one event.
pub const OUTCOMES_MAX: u8 = 128;

/// Atoms that one deposit may bring; 2^96, far above any token's supply and far below where sums overflow.
pub const DEPOSIT_MAX: u128 = 1 << 96;

/// Resting orders that a fill-or-kill order may need in an event of so many outcomes: as many as are certain to fit the gas
/// that one order may add to a frame. 20 with two outcomes, 14 with 48.
#[must_use]
pub fn fill_or_kill_matches_max(outcomes: u8) -> u32 {
    u32::try_from(gas::certain_matches(MarketKind::Outcome, outcomes))
        .map_or(MATCHES_MAX, |matches| matches.min(MATCHES_MAX))
}

/// Highest index price that the engine takes: atoms per lot times 1e9, $100,000 a lot. A price above it is left out, and its
/// market only reduces when the last one is too old.
pub const INDEX_MAX: i128 = 100_000_000_000_000_000_000;

/// Highest price of a lot in a spot or perpetual market, in atoms.
pub const LOT_VALUE_MAX: u64 = 100_000_000_000;

/// What a balance of an asset counts for at most, in atoms.
pub const ASSET_VALUE_MAX: u128 = 1_000_000_000_000_000_000_000_000_000_000;

/// Requests of keepers that may wait for the next frame.
pub const KEEPERS_QUEUE_MAX: usize = 256;

/// Highest fee of a builder, of value: 10 %, as the highest of a venue.
pub const BUILDER_FEE_MAX: Ppm = Ppm(100_000);

/// Orders of one account that wait outside the books. They hold no margin, so that nothing but this bounds how many there are.
pub const WAITING_MAX: u32 = 200;

/// Parts that an iceberg may come in: each costs those who meet it a match.
pub const ICEBERG_PARTS_MAX: u64 = 1_000;

/// Milliseconds between two slices of a TWAP: no less than the frames that bring them usually take, a day at most.
pub const TWAP_INTERVAL_MIN: u32 = 1_000;
/// See [`TWAP_INTERVAL_MIN`].
pub const TWAP_INTERVAL_MAX: u32 = 86_400_000;

/// How many times its planned size a slice may have to catch up what those before it missed.
pub const TWAP_CATCH_UP: u64 = 3;

/// Waiting orders that may be triggered as one frame opens, and slices that may fall due; the others have their turn when the next
/// frames open.
pub const TRIGGERS_MAX: usize = 4_096;

/// Waiting orders that may go to the book as one frame opens; fewer if settling their lines costs too much.
pub const RELEASES_MAX: u32 = 4_096;

/// Whether an order is certain to meet these within the gas that one order may add to a frame, whatever their lines cost. Each
/// comes as how many assets and perpetuals its account has or orders, and whether it pays a builder.
#[must_use]
pub fn fits_one_order(kind: MarketKind, outcomes: u8, taker: (usize, bool), makers: &[(usize, bool)]) -> bool {
    let dearest = |(holdings, pays_builder)| gas::dearest_line(kind, outcomes, holdings, pays_builder);
    gas::certain(dearest(taker), makers.iter().map(|maker| dearest(*maker)).sum(), gas::MATCHES)
}

/// What steps of a rescue are estimated to cost, by how many places the accounts in it take: each part of the rescues has a third
/// of [`RESCUE_GAS_PER_FRAME`](crate::RESCUE_GAS_PER_FRAME).
pub mod rescue_gas {
    pub use crate::gas::{bankruptcy, conversion, counterparty, deleveraging, flag, liquidation, takeover};
}
