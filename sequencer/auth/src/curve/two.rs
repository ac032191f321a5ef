//! `a·G + b·P` for one point: what recovering a single signer takes.

use std::sync::LazyLock;

use k256::Scalar;

use super::point::{Affine, Jacobian};
use super::scalar::split;

/// Bits of a digit for the point, whose table is made anew each time, and for the generator, whose table is kept.
const POINT_WIDTH: u32 = 5;
const GENERATOR_WIDTH: u32 = 10;

/// Digits of a factor of 128 bits, with what a carry adds.
const DIGITS: usize = 130;

/// `G, 3·G, 5·G …`, and the same times λ.
static GENERATOR: LazyLock<[[Affine; 1 << (GENERATOR_WIDTH - 2)]; 2]> = LazyLock::new(|| {
    let odd = odd_multiples(Affine::GENERATOR.into());
    let table = odd.map(|point| point.to_affine().expect("an odd multiple is not infinity"));
    [table, table.map(Affine::endomorphism)]
});

/// `a·G + b·point`: the digits of four half factors side by side over 128 doublings (Straus).
pub(crate) fn generator_and_point(a: &Scalar, b: &Scalar, point: Affine) -> Jacobian {
    let table: [Jacobian; 1 << (POINT_WIDTH - 2)] = odd_multiples(point.into());
    let table = [table, table.map(Jacobian::endomorphism)];
    let a = split(a).map(|half| (half.negative, digits(half.size, GENERATOR_WIDTH)));
    let b = split(b).map(|half| (half.negative, digits(half.size, POINT_WIDTH)));
    let mut sum = Jacobian::INFINITY;
    for place in (0..DIGITS).rev() {
        sum = sum.double();
        for (table, (negative, digits)) in table.iter().zip(&b) {
            let digit = digits[place];
            if digit != 0 {
                sum = sum.add(table[usize::from(digit.unsigned_abs() / 2)].negate_if(negative ^ (digit < 0)));
            }
        }
        for (table, (negative, digits)) in GENERATOR.iter().zip(&a) {
            let digit = digits[place];
            if digit != 0 {
                sum = sum.add_affine(table[usize::from(digit.unsigned_abs() / 2)].negate_if(negative ^ (digit < 0)));
            }
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

/// Odd digits below `2^(width − 1)` in size, of which at most one in `width` is not zero.
#[allow(clippy::cast_possible_truncation, reason = "a digit is as wide as the caller says: 10 bits")]
fn digits(mut factor: u128, width: u32) -> [i16; DIGITS] {
    let mut digits = [0; DIGITS];
    let mut place = 0;
    let mut carry = 0;
    while factor != 0 || carry != 0 {
        let low = (factor & ((1 << width) - 1)) as i32 + carry;
        if low & 1 == 0 {
            // Nothing here, or a one and a carry, which go on as a carry.
            factor >>= 1;
            place += 1;
            continue;
        }
        carry = i32::from(low >= 1 << (width - 1));
        digits[place] = (low - (carry << width)) as i16;
        factor = factor.checked_shr(width).unwrap_or(0);
        place += width as usize;
    }
    digits
}
