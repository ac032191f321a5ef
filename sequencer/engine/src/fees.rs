//! Fees: parts per million of a fill's value, rounded up over the order's whole life.
//!
//! An order that meets forty others pays at most one atom of rounding, not forty. With `A = Σ valueᵢ·rateᵢ` over its fills
//! so far, it has paid `ceil(A / 1e6)`: in favour of the treasury, against the trader. Only the prepaid part of the last
//! atom, `1e6·ceil(A / 1e6) − A < 1e6`, has to be remembered.
//!
//! The contract accepts every frame's fee. It allows `ceil(V·R / 1e6)` for a frame's value `V` at the highest rate `R`. The
//! frame raises `A` by `a ≤ V·R`, and the engine charges `ceil((A+a) / 1e6) − ceil(A / 1e6) ≤ ceil(a / 1e6)`, because the
//! ceiling of a sum is at most the sum of the ceilings.
//!
//! Volume tiers (`tiers`) lower the rate of a fill to a part of it, rounded up, and so leave both sides of that: `a ≤ V·R` still
//! holds. A resting order's reserve, `ceil((W·R − c) / 1e6)` for what is left of it, `W`, and what it has prepaid, `c`, stays at the
//! full rate. A fill of `v` at a lower rate `r` lowers it by its fee `f` at least, as what is left is then
//! `ceil(((W−v)·R − (c + f·1e6 − v·r)) / 1e6) = ceil((W·R − c − v·(R−r)) / 1e6) − f`.
//!
//! A rebate is rounded down fill by fill, in favour of the venue: the contract allows `floor(V·R / 1e6)` for a frame, and a sum
//! of floors is at most the floor of the sum.

use serde::{Deserialize, Serialize};
use xos_types::{Lots, Ppm, Ticks};

use crate::terms::Terms;
use crate::wide::{MILLION, ceil};

const MILLION_LOW: u64 = 1_000_000;

/// A share of an amount that is not negative, rounded down.
#[inline]
pub(crate) fn share(amount: i128, rate: Ppm) -> i128 {
    if rate.0 == 0 {
        return 0;
    }
    amount * i128::from(rate.0) / MILLION
}

/// What of a rate is charged, rounded up to a millionth, in favour of the treasury and never above the rate.
#[inline]
pub(crate) fn part(rate: Ppm, share: Ppm) -> Ppm {
    let part = (u64::from(rate.0) * u64::from(share.0)).div_ceil(MILLION_LOW);
    Ppm(u32::try_from(part).expect("a share is at most all of it"))
}

/// What a maker gets back of `base`: at most what the order that took pays for the same fill, less `referrer_share` of it,
/// rounded up, if somebody referred the taker. So no frame's rebates exceed its fees, which the contract insists on.
pub(crate) fn rebate(base: i128, rate: Ppm, taker_fee: i128, referrer_share: Ppm) -> i128 {
    if rate.0 == 0 {
        return 0;
    }
    let referrer = (taker_fee * i128::from(referrer_share.0) + MILLION - 1) / MILLION;
    share(base, rate).min(taker_fee - referrer)
}

/// A builder's fee on a line of so many tick·lots, rounded down, as the contract charges it.
pub(crate) fn builder_fee(terms: &Terms, notional: u128, rate: Ppm) -> i128 {
    // Lots and a lot's value are at most 1e12 and 1e18 in a fill, and a frame has fewer than 1e5: below 1e35, times a rate
    // of BUILDER_FEE_MAX below 2^127 for every line that custody can pay.
    let value = i128::try_from(notional).expect("a notional is within 127 bits") * terms.quantum;
    value / MILLION * i128::from(rate.0) + value % MILLION * i128::from(rate.0) / MILLION
}

/// What is held back of each resting lot for its builder: rounded up lot by lot, so that whatever part of an order fills at
/// its price, in however many lines, no more is charged than was held back for that part.
pub(crate) fn builder_reserve(terms: &Terms, price: Ticks, rate: Ppm) -> i128 {
    if rate.0 == 0 {
        return 0;
    }
    ceil(terms.value(price, Lots(1)) * i128::from(rate.0), MILLION)
}

/// What an order has prepaid of the next atom of its fees, in millionths of an atom; below 1e6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FeeCredit(u32);

impl FeeCredit {
    /// Whether it is less than an atom.
    pub(crate) fn is_possible(&self) -> bool {
        i128::from(self.0) < MILLION
    }

    /// The fee for a fill on a base of `value` atoms: as many whole atoms as the credit does not cover.
    #[inline]
    pub(crate) fn charge(&mut self, value: i128, rate: Ppm) -> i128 {
        if rate.0 == 0 {
            return 0;
        }
        let fee = self.outstanding(value, rate);
        let left = i128::from(self.0) + fee * MILLION - value * i128::from(rate.0);
        self.0 = u32::try_from(left).expect("at least 0 and below 1e6: the fee is the smallest that covers the value");
        fee
    }

    /// What is still to be paid if `value` more atoms are traded at `rate`.
    ///
    /// In however many fills that happens, the sum of their fees is this: `charge` moves fee and credit together, so
    /// `outstanding` falls by exactly the fee charged. A reserve of this size is therefore never short and ends at 0.
    #[inline]
    pub(crate) fn outstanding(self, value: i128, rate: Ppm) -> i128 {
        debug_assert!(value >= 0);
        if rate.0 == 0 {
            return 0;
        }
        // Nearly every value fits 64 bits with its rate, and dividing 128 bits is slow.
        if let Ok(value) = u64::try_from(value)
            && let Some(due) = value.checked_mul(rate.0.into())
        {
            return due.saturating_sub(self.0.into()).div_ceil(MILLION_LOW).into();
        }
        let due = value * i128::from(rate.0) - i128::from(self.0);
        if due <= 0 { 0 } else { (due + MILLION - 1) / MILLION }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_order_filled_in_dust_pays_one_atom_of_rounding_in_all() {
        let mut credit = FeeCredit::default();
        let fees: i128 = (0..40).map(|_| credit.charge(1, Ppm(100))).sum();
        assert_eq!(fees, 1);
    }

    #[test]
    fn no_rate_no_fee() {
        assert_eq!(FeeCredit::default().charge(1_000_000, Ppm(0)), 0);
    }

    proptest! {
        #[test]
        fn total_is_the_ceiling_over_the_orders_life(fills in prop::collection::vec((0i128..10_000_000_000, 0u32..=1_000_000), 1..50)) {
            let (mut credit, mut paid, mut exact) = (FeeCredit::default(), 0i128, 0i128);
            for (value, rate) in fills {
                paid += credit.charge(value, Ppm(rate));
                exact += value * i128::from(rate);
                prop_assert_eq!(paid, (exact + MILLION - 1) / MILLION);
            }
        }

        #[test]
        fn a_part_of_a_rate_is_never_above_it_and_less_than_a_millionth_too_much(
            rate in 0u32..=1_000_000, share in 0u32..=1_000_000,
        ) {
            let (part, exact) = (u64::from(part(Ppm(rate), Ppm(share)).0), u64::from(rate) * u64::from(share));
            prop_assert!(part <= u64::from(rate));
            prop_assert!(part * 1_000_000 >= exact && part * 1_000_000 < exact + 1_000_000);
        }

        #[test]
        fn a_frame_never_pays_more_than_the_contract_allows(
            before in prop::collection::vec((0i128..10_000_000, 0u32..=1_000_000), 0..20),
            frame in prop::collection::vec((0i128..10_000_000, any::<bool>()), 1..20),
            taker in 0u32..=1_000_000, maker in 0u32..=1_000_000, tier in [0u32..=1_000_000, 0u32..=1_000_000],
        ) {
            let mut credit = FeeCredit::default();
            // In earlier frames its account may have had other tiers.
            for (value, share) in before { credit.charge(value, part(Ppm(maker), Ppm(share))); }
            let mut paid = 0;
            let mut traded = 0;
            let rates = [part(Ppm(maker), Ppm(tier[0])), part(Ppm(taker), Ppm(tier[1]))];
            for (value, takes) in frame {
                paid += credit.charge(value, rates[usize::from(takes)]);
                traded += value;
            }
            let allowed = (traded * i128::from(taker.max(maker)) + MILLION - 1) / MILLION;
            prop_assert!(paid <= allowed);
        }

        #[test]
        fn the_reserve_falls_by_exactly_what_is_charged(
            parts in prop::collection::vec(0i128..10_000_000_000, 1..30), spent in 0i128..1_000_000, rate in 0u32..=1_000_000,
        ) {
            let mut credit = FeeCredit::default();
            credit.charge(spent, Ppm(rate));
            let mut rest: i128 = parts.iter().sum();
            for part in parts {
                let before = credit.outstanding(rest, Ppm(rate));
                let fee = credit.charge(part, Ppm(rate));
                rest -= part;
                prop_assert_eq!(before - fee, credit.outstanding(rest, Ppm(rate)));
            }
            prop_assert_eq!(credit.outstanding(rest, Ppm(rate)), 0);
        }

        #[test]
        fn a_reserve_at_the_full_rate_is_never_short_whatever_tiers_its_fills_have(
            fills in prop::collection::vec((0i128..10_000_000_000, 0u32..=1_000_000), 1..30), spent in 0i128..1_000_000,
            rate in 0u32..=1_000_000,
        ) {
            let mut credit = FeeCredit::default();
            credit.charge(spent, Ppm(rate));
            let mut rest: i128 = fills.iter().map(|(value, _)| value).sum();
            for (value, share) in fills {
                let reserved = credit.outstanding(rest, Ppm(rate));
                let fee = credit.charge(value, part(Ppm(rate), Ppm(share)));
                rest -= value;
                let still_reserved = credit.outstanding(rest, Ppm(rate));
                prop_assert!(reserved - still_reserved >= fee, "{reserved} - {still_reserved} pays no {fee}");
            }
            prop_assert_eq!(credit.outstanding(rest, Ppm(rate)), 0);
        }
    }
}
