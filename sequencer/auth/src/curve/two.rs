//! `a·G + b·P` for one point: what recovering a single signer takes.

use k256::Scalar;

use super::comb::GENERATOR;
use super::point::{Affine, Jacobian};
use super::scalar::{split, split_odd};

/// Bits of a digit for the point, whose table is made anew each time.
const WIDTH: u32 = 5;

/// Digits of a factor of 128 bits, with what a carry adds.
const DIGITS: usize = 130;

/// `a·G + b·point`: the digits of four half factors side by side over 128 doublings (Straus), the generator's with the last
/// few, by its comb.
pub(crate) fn generator_and_point(a: &Scalar, b: &Scalar, point: Affine) -> Jacobian {
    let table: [Jacobian; 1 << (WIDTH - 2)] = odd_multiples(point.into());
    let table = [table, table.map(Jacobian::endomorphism)];
    let a = split_odd(a).map(|number| GENERATOR.digits(number));
    let b = split(b).map(|half| (half.negative, digits(half.size)));
    let mut sum = Jacobian::INFINITY;
    for place in (0..DIGITS).rev() {
        sum = sum.double();
        for (table, (negative, digits)) in table.iter().zip(&b) {
            let digit = digits[place];
            if digit != 0 {
                sum = sum.add(table[usize::from(digit.unsigned_abs() / 2)].negate_if(negative ^ (digit < 0)));
            }
        }
        if place < GENERATOR.columns() {
            sum = GENERATOR.add(sum, a.map(|digits| digits[place]));
        }
    }
    sum
}

/// `P, 3·P, 5·P …`.
fn odd_multiples<const COUNT: usize>(point: Jacobian) -> [Jacobian; COUNT] {
    let double = point.double();
    let mut table = [point; COUNT];
    for place in 1..COUNT {
        table[place] = table[place - 1].add(double);
    }
    table
}

/// Odd digits below `2^(WIDTH − 1)` in size, of which at most one in `WIDTH` is not zero.
#[allow(clippy::cast_possible_truncation, reason = "a digit has 5 bits")]
fn digits(mut factor: u128) -> [i8; DIGITS] {
    let mut digits = [0; DIGITS];
    let mut place = 0;
    let mut carry = 0;
    while factor != 0 || carry != 0 {
        let low = (factor & ((1 << WIDTH) - 1)) as i32 + carry;
        if low & 1 == 0 {
            // Nothing here, or a one and a carry, which go on as a carry.
            factor >>= 1;
            place += 1;
            continue;
        }
        carry = i32::from(low >= 1 << (WIDTH - 1));
        digits[place] = (low - (carry << WIDTH)) as i8;
        factor = factor.checked_shr(WIDTH).unwrap_or(0);
        place += WIDTH as usize;
    }
    digits
}
