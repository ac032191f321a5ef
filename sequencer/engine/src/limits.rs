//! Bounds on everything a trader or the chain may ask for, chosen so that no arithmetic of the engine can overflow.
//!
//! The largest product is a value times a rate: `SIZE_MAX · PAYOUT_MAX · 1e6 = 1e36`, and the largest sum an account's
//! margin in one event: `ORDERS_MAX · SIZE_MAX · PAYOUT_MAX = 1e34` atoms. Both stay below `i128::MAX ≈ 1.7e38`.

use crate::gas;

/// Lots of one order.
pub const SIZE_MAX: u64 = 1_000_000_000_000;

/// Lots that an account may hold in a market, long or short, counting its resting orders as filled.
pub const POSITION_MAX: u64 = 1_000_000_000_000_000;

/// Resting orders of one account.
pub const ORDERS_MAX: usize = 10_000;

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
/// that one order may add to a frame. 22 with two outcomes, 15 with 48.
#[must_use]
pub fn fill_or_kill_matches_max(outcomes: u8) -> u32 {
    u32::try_from(gas::certain_matches(outcomes)).map_or(MATCHES_MAX, |matches| matches.min(MATCHES_MAX))
}
