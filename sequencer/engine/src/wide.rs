//! Products that need more than 128 bits, and divisions that say which way they round.

use xos_types::U256;

/// Index prices and funding indices are atoms per lot times this.
pub(crate) const PRICE_SCALE: i128 = 1_000_000_000;
/// Parts in one.
pub(crate) const MILLION: i128 = 1_000_000;

/// `⌊a / b⌋` for positive `b`: what an account receives is never more, what it owes never less.
pub(crate) const fn floor(a: i128, b: i128) -> i128 {
    a.div_euclid(b)
}

/// `⌈a / b⌉` for positive `b`.
pub(crate) const fn ceil(a: i128, b: i128) -> i128 {
    -(-a).div_euclid(b)
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
    fn products_beyond_128_bits_divide_exactly() {
        assert_eq!(mul_div(u128::MAX, 10, 20), u128::MAX / 2);
        assert_eq!(mul_div_up(u128::MAX, 10, 20), u128::MAX / 2 + 1);
        assert_eq!(mul_div(u128::MAX, 3, 1), u128::MAX);
        assert_eq!(mul_div(7, 3, 2), 10);
        assert_eq!((mul_div_floor(7, 3, 2), mul_div_floor(-7, 3, 2), mul_div_floor(-8, 3, 2)), (10, -11, -12));
        assert_eq!(mul_div_floor(-i128::MAX, 3, 6), -(i128::MAX / 2) - 1);
    }
}
