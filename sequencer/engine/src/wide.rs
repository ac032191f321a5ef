//! Products that need more than 128 bits, and divisions that say which way they round.

use xos_types::U256;

/// Index prices and funding indices are atoms per lot times this.
pub(crate) const PRICE_SCALE: i128 = 1_000_000_000;
/// Parts in one.
pub(crate) const MILLION: i128 = 1_000_000;

/// `a · b`. Nearly every factor fits 64 bits, and checking a product of two of 128 is a call.
#[inline]
pub(crate) fn times(a: i128, b: i128) -> i128 {
    match (i64::try_from(a), i64::try_from(b)) {
        (Ok(a), Ok(b)) => i128::from(a) * i128::from(b),
        _ => a * b,
    }
}

/// `⌊a / b⌋` for positive `b`: what an account receives is never more, what it owes never less.
#[inline]
pub(crate) fn floor(a: i128, b: i128) -> i128 {
    let (quotient, remainder) = div_rem(a.unsigned_abs(), b);
    if a < 0 { -quotient - i128::from(remainder != 0) } else { quotient }
}

/// `⌈a / b⌉` for positive `b`.
#[inline]
pub(crate) fn ceil(a: i128, b: i128) -> i128 {
    let (quotient, remainder) = div_rem(a.unsigned_abs(), b);
    if a > 0 { quotient + i128::from(remainder != 0) } else { -quotient }
}

/// The same of what is not negative.
#[inline(always)]
pub(crate) fn ceil_unsigned(a: u128, b: i128) -> i128 {
    let (quotient, remainder) = div_rem(a, b);
    quotient + i128::from(remainder != 0)
}

/// Quotient and remainder by a positive `b`. By a constant of 32 bits, which nearly every divisor is, it takes a few
/// multiplications: digit by digit, as on paper. Otherwise it is a call.
#[inline(always)]
fn div_rem(a: u128, b: i128) -> (i128, u128) {
    let Ok(divisor) = u32::try_from(b) else {
        let b = b.unsigned_abs();
        return ((a / b).cast_signed(), a % b);
    };
    let (divisor, high, low) = (u64::from(divisor), high_half(a), low_half(a));
    if high == 0 {
        return ((low / divisor).into(), (low % divisor).into());
    }
    // What is left of one digit is below the divisor, so it and the next one are 64 bits.
    let middle = (high % divisor) << 32 | low >> 32;
    let last = (middle % divisor) << 32 | low & u64::from(u32::MAX);
    let quotient = u128::from(high / divisor) << 64 | u128::from(middle / divisor) << 32 | u128::from(last / divisor);
    (quotient.cast_signed(), (last % divisor).into())
}

#[allow(clippy::cast_possible_truncation, reason = "it is what is asked for")]
const fn low_half(a: u128) -> u64 {
    a as u64
}

const fn high_half(a: u128) -> u64 {
    low_half(a >> 64)
}

/// `⌊a · b / c⌋`, or the highest number if it is higher than that.
pub(crate) fn mul_div(a: u128, b: u128, c: u128) -> u128 {
    if let Some(product) = a.checked_mul(b) {
        return product / c;
    }
    let quotient = U256::from(a) * U256::from(b) / U256::from(c);
    u128::try_from(quotient).unwrap_or(u128::MAX)
}

/// `⌈a · b / c⌉`, or the highest number if it is higher than that.
pub(crate) fn mul_div_up(a: u128, b: u128, c: u128) -> u128 {
    let (product, divisor) = (U256::from(a) * U256::from(b), U256::from(c));
    let quotient = product.div_ceil(divisor);
    u128::try_from(quotient).unwrap_or(u128::MAX)
}

/// `⌊a · b / c⌋` towards minus infinity, of a quotient that fits.
pub(crate) fn mul_div_floor(a: i128, b: u128, c: u128) -> i128 {
    let size = a.unsigned_abs();
    let quotient = if a < 0 { mul_div_up(size, b, c) } else { mul_div(size, b, c) };
    let quotient = i128::try_from(quotient).expect("money is within 127 bits");
    if a < 0 { -quotient } else { quotient }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floors_go_down_and_ceilings_up_on_both_sides_of_zero() {
        assert_eq!((floor(7, 2), floor(-7, 2), floor(-8, 2)), (3, -4, -4));
        assert_eq!((ceil(7, 2), ceil(-7, 2), ceil(8, 2)), (4, -3, 4));
    }

    #[test]
    fn divisions_by_digits_are_those_of_128_bits() {
        let edges =
            [0, 1, 999_999_999, 1_000_000_000, u64::MAX.into(), 1 << 64, (1 << 96) - 1, i128::MAX - 1, i128::MAX];
        for (a, b) in
            edges.into_iter().flat_map(|a| [(a, PRICE_SCALE), (a, MILLION), (a, u32::MAX.into()), (a, 1 << 40)])
        {
            for a in [a, -a] {
                assert_eq!(floor(a, b), a.div_euclid(b), "{a} / {b}");
                assert_eq!(ceil(a, b), -(-a).div_euclid(b), "{a} / {b}");
            }
        }
        assert_eq!(times(i128::from(i64::MIN), i128::from(i64::MIN)), 1 << 126);
        assert_eq!(times(-3, 1 << 100), -3 << 100);
    }

    #[test]
    fn products_beyond_128_bits_divide_exactly() {
        assert_eq!(mul_div(u128::MAX, 10, 20), u128::MAX / 2);
        assert_eq!(mul_div_up(u128::MAX, 10, 20), u128::MAX / 2 + 1);
        assert_eq!(mul_div(u128::MAX, 3, 1), u128::MAX);
        assert_eq!(mul_div(7, 3, 2), 10);
        assert_eq!((mul_div_floor(7, 3, 2), mul_div_floor(-7, 3, 2), mul_div_floor(-8, 3, 2)), (10, -11, -12));
        assert_eq!(mul_div_floor(-i128::MAX, 3, 6), -(i128::MAX / 2) - 1);
    }
}
