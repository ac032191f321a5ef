//! Eight sums of points side by side, and eight roots, and eight combinations by combs, with AVX-512 or AVX2. [`super::pairs`],
//! [`super::field`] and [`super::comb`] do the same one by one, and tests hold all of them together.
//!
//! Both kinds of vectors have their own form of eight numbers modulo `p` ([`avx512`], [`avx2`]) and do the same with them
//! ([`algorithms`]). Rust wants every function that is compiled for a processor to name its features, so a macro writes them
//! for each.

#[macro_use]
mod algorithms;
pub(super) mod avx2;
pub(super) mod avx512;

use super::comb::{Comb, Digit, GENERATOR};
use super::field::Field;
use super::point::{Affine, Jacobian};

/// Numbers side by side.
pub(crate) const LANES: usize = 8;

/// Products on the way to an inversion; memory that is kept.
#[derive(Debug, Default)]
pub(super) struct Products {
    eight: Vec<avx512::Wide>,
    four: Vec<avx2::Wide>,
}

impl Products {
    /// Room for so many pairs of points.
    pub(super) fn reserve(&mut self, pairs: usize) {
        use crate::processor::{Vectors, vectors};
        self.eight.clear();
        self.four.clear();
        match vectors() {
            Vectors::Eight => self.eight.reserve(pairs.div_ceil(LANES)),
            Vectors::Four => self.four.reserve(pairs.div_ceil(LANES)),
            Vectors::None => {}
        }
    }
}

/// What a lane adds, column by column.
#[derive(Clone, Copy)]
struct Part<'a> {
    comb: &'a Comb,
    digits: &'a [Digit],
}

/// An entry of each table, any where a part has no such column, and which of them are negative.
fn entries<'a>(parts: &[Part<'a>; LANES], column: usize) -> ([&'a Affine; LANES], u8) {
    let mut points = [&Affine::GENERATOR; LANES];
    let mut negative = 0;
    for (lane, (point, part)) in points.iter_mut().zip(parts).enumerate() {
        if let Some(digit) = part.digits.get(column) {
            *point = part.comb.entry(*digit);
            negative |= u8::from(digit.is_negative()) << lane;
        }
    }
    (points, negative)
}

/// The points of up to eight pairs; the first pair stands in for those that are missing.
#[inline(always)]
fn both<'a>(points: &'a [Affine], group: &[usize]) -> ([&'a Affine; LANES], [&'a Affine; LANES]) {
    let mut a = [&points[group[0]]; LANES];
    let mut b = [&points[group[0] + 1]; LANES];
    for (lane, &pair) in group.iter().enumerate() {
        (a[lane], b[lane]) = (&points[pair], &points[pair + 1]);
    }
    (a, b)
}

/// One inversion for eight numbers that are not zero.
fn invert(values: [Field; LANES]) -> [Field; LANES] {
    let mut products = [Field::ONE; LANES];
    for lane in 1..LANES {
        products[lane] = products[lane - 1].mul(values[lane - 1]);
    }
    let mut inverse = products[LANES - 1].mul(values[LANES - 1]).invert();
    for lane in (0..LANES).rev() {
        products[lane] = products[lane].mul(inverse);
        inverse = inverse.mul(values[lane]);
    }
    products
}

/// The sum of a combination's lanes, whose point's comb has so many columns.
fn together(lanes: &[Jacobian], columns: usize) -> Jacobian {
    if lanes.iter().any(Jacobian::is_infinity) {
        return Jacobian::INFINITY;
    }
    let both = |first: usize| lanes[first].add(lanes[first + 1].endomorphism());
    match lanes.len() {
        1 => lanes[0],
        2 => both(0),
        4 => both(0).add(both(2)),
        _ => {
            // The upper columns of the point's comb count as much as its lower ones' number says, and the generator's as theirs.
            let shift = |point: Jacobian, by: usize| (0..by).fold(point, |point, _| point.double());
            let lower = GENERATOR.columns() / 2;
            let point = shift(both(4), columns / 2 - lower);
            shift(point.add(both(6)), lower).add(both(0)).add(both(2))
        }
    }
}
