//! `a·G + b·P` for a point with a kept table.
//!
//! An odd number below 2^n is a sum of all `±2^i` for `i` below `n`. Its signs are looked up several at once, as the teeth of
//! a comb meet them that is moved along: Lim and Lee, "More flexible exponentiation with precomputation" (1994). So a
//! number of 129 bits takes 22 additions over 21 doublings from a table of 32 points, and no digit is zero: nothing is
//! decided on the way, and several sums can go side by side.

use std::sync::LazyLock;

use k256::Scalar;

use super::point::{Affine, Jacobian};
use super::scalar::{Odd, split_odd};
use crate::processor::{Vectors, choose, vectors};

/// Bits of a factor: see [`split_odd`].
const BITS: u32 = 129;

/// Teeth for the generator: a table of 64 KiB, which all signatures share.
const GENERATOR_TEETH: u32 = 11;

/// Teeth for a signer: a table of 2 KiB.
const SIGNER_TEETH: u32 = 6;

/// Teeth for a signer who comes again and again: a table of 32 KiB, and two thirds of the steps.
const FREQUENT_TEETH: u32 = 10;

/// The generator's columns are the lowest ones of everybody's: a sum begins with a column of the signer's.
const _: () = assert!(SIGNER_TEETH < FREQUENT_TEETH && FREQUENT_TEETH < GENERATOR_TEETH);

/// Columns of a signer's comb, the most that there are.
const COLUMNS: usize = BITS.div_ceil(SIGNER_TEETH) as usize;

pub(super) static GENERATOR: LazyLock<Comb> = LazyLock::new(|| Comb::new(Affine::GENERATOR, GENERATOR_TEETH));

/// Multiples of one point.
#[derive(Debug)]
pub(crate) struct Comb {
    teeth: u32,
    /// How far the teeth are apart: the number of columns.
    spacing: usize,
    /// By the signs of all teeth but the highest, which is positive.
    entries: Box<[Affine]>,
}

/// An entry of a table, or its opposite.
#[derive(Clone, Copy, Default)]
pub(super) struct Digit(u32);

impl Digit {
    pub(super) const fn is_negative(self) -> bool {
        self.0 & 1 == 1
    }

    const fn entry(self) -> usize {
        (self.0 >> 1) as usize
    }
}

impl Comb {
    /// [`Self::columns`] at most.
    pub(super) const MOST_COLUMNS: usize = COLUMNS;

    /// The table of a signer's key. Takes as long as checking one signature.
    pub(crate) fn of_signer(key: Affine) -> Self {
        Self::new(key, SIGNER_TEETH)
    }

    /// The table of the key of a signer who comes again and again. Takes as long as checking a dozen signatures.
    pub(crate) fn of_frequent_signer(key: Affine) -> Self {
        Self::new(key, FREQUENT_TEETH)
    }

    fn new(point: Affine, teeth: u32) -> Self {
        let spacing = BITS.div_ceil(teeth) as usize;
        let mut powers = vec![Jacobian::from(point)];
        for _ in 1..teeth {
            let last = *powers.last().expect("there is a first");
            powers.push((0..spacing).fold(last, |power, _| power.double()));
        }
        let highest = powers.pop().expect("there is a first");
        let mut sums = vec![powers.iter().fold(highest, |sum, power| sum.add(power.negate_if(true)))];
        for power in powers {
            let twice = power.double();
            for index in 0..sums.len() {
                sums.push(sums[index].add(twice));
            }
        }
        let mut entries = Vec::with_capacity(sums.len());
        Jacobian::to_affine_together(&sums, &mut entries);
        // The sums are multiples by numbers that are not zero, and far below the order.
        let entries = entries.into_iter().map(|entry| entry.expect("a multiple is not infinity")).collect();
        Self { teeth, spacing, entries }
    }

    pub(crate) const fn columns(&self) -> usize {
        self.spacing
    }

    /// What is added in each column for `number` times the point, and no sense in columns that it does not have.
    ///
    /// Inlined into what is compiled for wide vectors; without branches, so that any can be used.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "only as many bits are looked at as there are columns")]
    pub(super) fn digits(&self, number: Odd) -> [Digit; COLUMNS] {
        const BITS: [u32; COLUMNS] = {
            let mut bits = [1; COLUMNS];
            let mut column = 1;
            while column < COLUMNS {
                bits[column] = bits[column - 1] << 1;
                column += 1;
            }
            bits
        };
        // Half an odd number has a one for each positive sign, but for the highest of all, which is always positive.
        let mut signs = [0_u32; COLUMNS];
        for tooth in 0..self.teeth {
            let row = (number.half >> (tooth as usize * self.spacing)) as u32;
            let one = 1 << tooth;
            for (signs, bit) in signs.iter_mut().zip(BITS) {
                *signs |= if row & bit == 0 { 0 } else { one };
            }
        }
        let highest = 1 << (self.teeth - 1);
        signs[self.spacing - 1] |= highest;
        let all = highest - 1;
        let negative = u32::from(number.negative);
        signs.map(|signs| {
            let opposite = u32::from(signs & highest == 0);
            let entry = (signs ^ opposite.wrapping_neg()) & all;
            Digit(entry << 1 | (opposite ^ negative))
        })
    }

    #[inline]
    pub(super) fn entry(&self, digit: Digit) -> &Affine {
        &self.entries[digit.entry()]
    }

    /// `sum` and a column's entries for both halves of a factor.
    pub(super) fn add(&self, sum: Jacobian, digits: [Digit; 2]) -> Jacobian {
        let [first, second] = digits.map(|digit| self.entry(digit).negate_if(digit.is_negative()));
        sum.add_affine(first).add_affine(second.endomorphism())
    }
}

/// `generator·G + factor·P`, where `P` is the point of the comb.
#[derive(Clone, Copy)]
pub(crate) struct Combination<'a> {
    pub(crate) generator: Scalar,
    pub(crate) factor: Scalar,
    pub(crate) comb: &'a Comb,
}

impl Combination<'_> {
    /// The digits of both halves of both factors, the point's first.
    #[inline(always)]
    pub(super) fn digits(&self) -> [[[Digit; COLUMNS]; 2]; 2] {
        [
            split_odd(&self.factor).map(|number| self.comb.digits(number)),
            split_odd(&self.generator).map(|number| GENERATOR.digits(number)),
        ]
    }

    fn sum(&self) -> Jacobian {
        let [factor, generator] = self.digits();
        let mut sum = Jacobian::INFINITY;
        for column in (0..self.comb.columns()).rev() {
            sum = self.comb.add(sum.double(), factor.map(|digits| digits[column]));
            if column < GENERATOR.columns() {
                sum = GENERATOR.add(sum, generator.map(|digits| digits[column]));
            }
        }
        sum
    }
}

/// So few sums are faster one by one than in the lanes of AVX2, which are all filled however few there are (docs/decisions/0027).
const FEW: usize = 3;

/// Appends up to eight sums. One in which a point met itself or its opposite on the way may come out as infinity.
pub(crate) fn sums(combinations: &[Combination<'_>], sums: &mut Vec<Jacobian>) {
    if vectors() == Vectors::Four && combinations.len() <= FEW {
        return portable_sums((combinations, sums));
    }
    side_by_side(combinations, sums);
}

/// The same in lanes, if the processor has any, however few they are.
pub(super) fn side_by_side(combinations: &[Combination<'_>], sums: &mut Vec<Jacobian>) {
    choose(
        (combinations, sums),
        #[cfg(target_arch = "x86_64")]
        super::wide::avx512::sums,
        #[cfg(target_arch = "x86_64")]
        super::wide::avx2::sums,
        portable_sums,
    );
}

fn portable_sums((combinations, sums): (&[Combination<'_>], &mut Vec<Jacobian>)) {
    sums.extend(combinations.iter().map(Combination::sum));
}
