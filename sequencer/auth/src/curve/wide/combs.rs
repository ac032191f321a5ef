//! Combinations of the generator and a point in eight lanes: what [`super::super::comb`] does one by one.
//!
//! A combination has four parts (two halves of two factors), or eight, if columns are divided too. Eight combinations take a
//! lane each; fewer take two, four or eight, and their lanes are added up in the end.
//!
//! All lanes take the same steps. Only a point that meets itself or its opposite would take others: there the line between both has
//! no width, and `z` is zero from then on. What has such a lane is not known.

use core::arch::x86_64::_mm512_mask_mov_epi64;

use super::super::comb::{Comb, Combination, Digit, GENERATOR};
use super::super::field::Field;
use super::super::point::{Affine, BETA, Jacobian};
use super::{LANES, Wide};

/// Eight points `(x/z², y/z³)`.
#[derive(Clone, Copy)]
struct Points {
    x: Wide,
    y: Wide,
    z: Wide,
}

/// What a lane adds, column by column.
#[derive(Clone, Copy)]
struct Part<'a> {
    comb: &'a Comb,
    digits: &'a [Digit],
}

/// Appends up to eight sums; infinity for one that is not known.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(in super::super) fn sums((combinations, sums): (&[Combination<'_>], &mut Vec<Jacobian>)) {
    // The last stands in for those that are missing.
    let all: [_; LANES] = std::array::from_fn(|index| combinations.get(index).or(combinations.last()));
    let all = all.map(|combination| combination.expect("there is one"));
    let digits = all.map(Combination::digits);
    // Lanes of a combination, of which each goes through the parts that are left.
    let each = LANES / combinations.len().next_power_of_two();
    let part = |pass: usize, lane: usize| {
        let (index, number) = (lane / each, pass * each + lane % each);
        let comb = if number & 2 == 0 { all[index].comb } else { &*GENERATOR };
        let digits = &digits[index][number >> 1 & 1][number & 1][..comb.columns()];
        let (low, high) = digits.split_at(comb.columns() / 2);
        let digits = match (each == LANES, number & 4 == 0) {
            (false, _) => digits,
            (true, true) => low,
            (true, false) => high,
        };
        Part { comb, digits }
    };
    let passes = (4 / each).max(1);
    let parts: [[_; LANES]; 4] = std::array::from_fn(|pass| std::array::from_fn(|lane| part(pass % passes, lane)));
    let lanes = walk(&parts[..passes], each == 1).to_jacobians();
    sums.extend(lanes.chunks_exact(each).take(combinations.len()).map(together));
}

/// The sum of a combination's lanes.
fn together(lanes: &[Jacobian]) -> Jacobian {
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
            let point = shift(both(4), Comb::SIGNER_COLUMNS / 2 - lower);
            shift(point.add(both(6)), lower).add(both(0)).add(both(2))
        }
    }
}

/// Adds up the parts of each lane; a lane begins with the highest digit of its first part. Every second part is that of a factor's
/// second half, which counts `λ` times if `alternate` says so.
#[target_feature(enable = "avx512f,avx512ifma")]
fn walk(passes: &[[Part<'_>; LANES]], alternate: bool) -> Points {
    let beta = Wide::from_fields([&BETA; LANES]);
    let one = Wide::from_fields([&Field::ONE; LANES]);
    let mut sum = Points { x: one, y: one, z: one };
    let columns = passes[0].iter().map(|part| part.digits.len()).max().unwrap_or(0);
    for column in (0..columns).rev() {
        if column + 1 < columns {
            sum = sum.double();
        }
        for (pass, parts) in passes.iter().enumerate() {
            if parts.iter().all(|part| part.digits.len() <= column) {
                continue;
            }
            let (mut x, y) = entries(parts, column);
            if alternate && pass % 2 == 1 {
                x = x.mul(beta);
            }
            let first = parts.iter().rev().fold(0, |mask, part| mask << 1 | u8::from(part.digits.len() == column + 1));
            let first = if pass == 0 { first } else { 0 };
            if first != u8::MAX {
                sum = sum.add(x, y);
            }
            if first != 0 {
                sum = Points { x: sum.x.set(first, x), y: sum.y.set(first, y), z: sum.z.set(first, one) };
            }
        }
    }
    sum
}

/// An entry of each table; any where a part has no such column.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn entries(parts: &[Part<'_>; LANES], column: usize) -> (Wide, Wide) {
    let mut points = [&Affine::GENERATOR; LANES];
    let mut negative = 0;
    for (lane, (point, part)) in points.iter_mut().zip(parts).enumerate() {
        if let Some(digit) = part.digits.get(column) {
            *point = part.comb.entry(*digit);
            negative |= u8::from(digit.is_negative()) << lane;
        }
    }
    (Wide::xs(points), Wide::ys(points).negate_where(negative))
}

impl Points {
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn to_jacobians(self) -> [Jacobian; LANES] {
        let (xs, ys, zs) = (self.x.to_fields(), self.y.to_fields(), self.z.to_fields());
        std::array::from_fn(|lane| Jacobian { x: xs[lane], y: ys[lane], z: zs[lane] })
    }

    /// [`Jacobian::double`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn double(self) -> Self {
        let (xx, yy) = (self.x.square(), self.y.square());
        let z = self.y.mul(self.z).more::<0>();
        let m = xx.more::<1>();
        let quarter = self.x.mul(yy);
        let x = m.square().less::<0, 3>(quarter);
        let y = m.mul(quarter.less::<2, 0>(x)).less::<0, 3>(yy.square());
        Self { x, y, z }
    }

    /// [`Jacobian::add_affine`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn add(self, x: Wide, y: Wide) -> Self {
        let zz = self.z.square();
        let width = x.mul(zz).sub(self.x);
        let height = y.mul(zz.mul(self.z)).sub(self.y);
        let square = width.square();
        let cube = square.mul(width);
        let middle = self.x.mul(square);
        let sum_x = height.square().less::<0, 1>(middle).sub(cube);
        let sum_y = height.mul(middle.sub(sum_x)).sub(self.y.mul(cube));
        Self { x: sum_x, y: sum_y, z: self.z.mul(width) }
    }
}

impl Wide {
    /// The lanes of the mask from another.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn set(self, mask: u8, other: Self) -> Self {
        let mut limbs = self.0;
        for (limb, &other) in limbs.iter_mut().zip(&other.0) {
            *limb = _mm512_mask_mov_epi64(*limb, mask, other);
        }
        Self(limbs)
    }
}
