//! Eight numbers in ten limbs of 26 bits, which is what AVX2 has: it multiplies 32 bits, four lanes at a time. So all is done
//! twice, once for each half of the lanes.
//!
//! Between operations a limb is below 2^27 and the last below 2^23, and a number below 2^256 + 2^241. A column of a product is a
//! sum of at most ten parts of 54 bits, and those of sums of two limbs of five parts of 56, for which 64 have room.

use core::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_and_si256, _mm256_blendv_epi8, _mm256_mul_epu32, _mm256_or_si256,
    _mm256_permute2x128_si256, _mm256_set_epi64x, _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_slli_epi64,
    _mm256_srli_epi64, _mm256_sub_epi64, _mm256_unpackhi_epi64, _mm256_unpacklo_epi64,
};

use zerocopy::transmute;

use super::super::field::Field;
use super::super::point::Affine;
use super::LANES;

const LIMBS: usize = 10;
const LIMB: i64 = (1 << 26) - 1;
const LAST: i64 = (1 << 22) - 1;

/// What 2^256 is worth modulo `p`: so much, and 2^6 of the next limb.
const FOLD: i64 = 0x3d1;
const FOLD_NEXT: i32 = 6;
/// What 2^260 is worth: so much, and 2^10 of the next limb.
const FOLD_LIMB: i64 = FOLD << 4;
const FOLD_LIMB_NEXT: i32 = FOLD_NEXT + 4;

/// `4·p` in limbs that are each larger than those that are taken from them.
const FOUR_PRIMES: [i64; LIMBS] = {
    let mut limbs = [LIMB << 2; LIMBS];
    (limbs[0], limbs[1], limbs[LIMBS - 1]) = (0x3ff_fc2f << 2, 0x3ff_ffbf << 2, LAST << 2);
    limbs
};

/// The limbs of four numbers.
type Half = [__m256i; LIMBS];

/// Eight numbers: the first four, and the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wide([Half; 2]);

algorithms!("avx2", four);

impl Wide {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn from_fields([a, b, c, d, e, f, g, h]: [&Field; LANES]) -> Self {
        Self([four([a, b, c, d]), four([e, f, g, h])])
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn fields(&self) -> [Field; LANES] {
        let [[a, b, c, d], [e, f, g, h]] = self.0.map(|half| transpose(words(half)));
        [a, b, c, d, e, f, g, h].map(|field| Field::from_limbs(transmute!(field)))
    }

    /// `self · 2^OWN − other · 2^OTHER`, for up to 8 times.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn less<const OWN: i32, const OTHER: i32>(&self, other: &Self) -> Self {
        let mut result = *self;
        for (half, other) in result.0.iter_mut().zip(&other.0) {
            for ((limb, &other), primes) in half.iter_mut().zip(other).zip(FOUR_PRIMES) {
                let opposite = _mm256_sub_epi64(_mm256_set1_epi64x(primes), other);
                *limb = _mm256_add_epi64(_mm256_slli_epi64::<OWN>(*limb), _mm256_slli_epi64::<OTHER>(opposite));
            }
            *half = settle(*half);
        }
        result
    }

    /// `self − first · 2^FIRST − second`, for up to 4 times.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn less_both<const FIRST: i32>(&self, first: &Self, second: &Self) -> Self {
        let mut result = *self;
        for ((half, first), second) in result.0.iter_mut().zip(&first.0).zip(&second.0) {
            for (((limb, &first), &second), primes) in half.iter_mut().zip(first).zip(second).zip(FOUR_PRIMES) {
                let opposite = |limb| _mm256_sub_epi64(_mm256_set1_epi64x(primes), limb);
                let both = _mm256_add_epi64(_mm256_slli_epi64::<FIRST>(opposite(first)), opposite(second));
                *limb = _mm256_add_epi64(*limb, both);
            }
            *half = settle(*half);
        }
        result
    }

    /// `self · (2^BITS + 1)`, for up to 8 times.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn more<const BITS: i32>(&self) -> Self {
        let mut result = *self;
        for half in &mut result.0 {
            for limb in half.iter_mut() {
                *limb = _mm256_add_epi64(_mm256_slli_epi64::<BITS>(*limb), *limb);
            }
            *half = settle(*half);
        }
        result
    }

    /// The opposites of the lanes of the mask.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn negate_where(&self, mask: u8) -> Self {
        let mut opposite = *self;
        for half in &mut opposite.0 {
            for (limb, primes) in half.iter_mut().zip(FOUR_PRIMES) {
                *limb = _mm256_sub_epi64(_mm256_set1_epi64x(primes), *limb);
            }
            *half = settle(*half);
        }
        self.set(mask, &opposite)
    }

    /// The lanes of the mask from another.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn set(&self, mask: u8, other: &Self) -> Self {
        let mut result = *self;
        for (number, (half, other)) in result.0.iter_mut().zip(&other.0).enumerate() {
            let bit = |lane: usize| -i64::from(mask >> (LANES / 2 * number + lane) & 1);
            let chosen = _mm256_set_epi64x(bit(3), bit(2), bit(1), bit(0));
            for (limb, &other) in half.iter_mut().zip(other) {
                *limb = _mm256_blendv_epi8(*limb, other, chosen);
            }
        }
        result
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn mul(&self, other: &Self) -> Self {
        let ([a, b], [c, d]) = (&self.0, &other.0);
        Self([mul(a, c), mul(b, d)])
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn square(&self) -> Self {
        let [a, b] = &self.0;
        Self([square(a), square(b)])
    }
}

// It is too long to be had wherever it is used, and so is the next one.
#[inline(never)]
#[target_feature(enable = "avx2")]
fn mul(a: &Half, b: &Half) -> Half {
    reduce(product(a, b))
}

#[inline(never)]
#[target_feature(enable = "avx2")]
fn square(a: &Half) -> Half {
    reduce(columns_of_square(a))
}

#[inline]
#[target_feature(enable = "avx2")]
fn four([a, b, c, d]: [&Field; LANES / 2]) -> Half {
    let [w0, w1, w2, w3] = transpose([a, b, c, d].map(|field| transmute!(*field.limbs())));
    let limbs = [
        w0,
        _mm256_srli_epi64::<26>(w0),
        _mm256_or_si256(_mm256_srli_epi64::<52>(w0), _mm256_slli_epi64::<12>(w1)),
        _mm256_srli_epi64::<14>(w1),
        _mm256_or_si256(_mm256_srli_epi64::<40>(w1), _mm256_slli_epi64::<24>(w2)),
        _mm256_srli_epi64::<2>(w2),
        _mm256_srli_epi64::<28>(w2),
        _mm256_or_si256(_mm256_srli_epi64::<54>(w2), _mm256_slli_epi64::<10>(w3)),
        _mm256_srli_epi64::<16>(w3),
        _mm256_srli_epi64::<42>(w3),
    ];
    limbs.map(|limb| _mm256_and_si256(limb, _mm256_set1_epi64x(LIMB)))
}

/// From words by number to words by place, and back.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose([a, b, c, d]: [__m256i; 4]) -> [__m256i; 4] {
    let (even, odd) = (_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    let (more_even, more_odd) = (_mm256_unpacklo_epi64(c, d), _mm256_unpackhi_epi64(c, d));
    [
        _mm256_permute2x128_si256::<0x20>(even, more_even),
        _mm256_permute2x128_si256::<0x20>(odd, more_odd),
        _mm256_permute2x128_si256::<0x31>(even, more_even),
        _mm256_permute2x128_si256::<0x31>(odd, more_odd),
    ]
}

/// Four words of 64 bits of a number below 2^256 with the same remainder.
#[inline]
#[target_feature(enable = "avx2")]
fn words(half: Half) -> [__m256i; 4] {
    // What is left above 2^256 is at most once, and then what is below is so small that nothing gets there again.
    let [l0, l1, l2, l3, l4, l5, l6, l7, l8, l9] = carry(fold_top(carry(half)));
    let all = |parts: [__m256i; 3]| _mm256_or_si256(_mm256_or_si256(parts[0], parts[1]), parts[2]);
    [
        all([l0, _mm256_slli_epi64::<26>(l1), _mm256_slli_epi64::<52>(l2)]),
        all([_mm256_srli_epi64::<12>(l2), _mm256_slli_epi64::<14>(l3), _mm256_slli_epi64::<40>(l4)]),
        _mm256_or_si256(
            all([_mm256_srli_epi64::<24>(l4), _mm256_slli_epi64::<2>(l5), _mm256_slli_epi64::<28>(l6)]),
            _mm256_slli_epi64::<54>(l7),
        ),
        all([_mm256_srli_epi64::<10>(l7), _mm256_slli_epi64::<16>(l8), _mm256_slli_epi64::<42>(l9)]),
    ]
}

/// The columns of a product, by Karatsuba's way: halves of five limbs take three products instead of four.
#[inline]
#[target_feature(enable = "avx2")]
fn product(a: &Half, b: &Half) -> [__m256i; 2 * LIMBS] {
    let ([a_low, a_high], [b_low, b_high]) = (fives(a), fives(b));
    let (low, high) = (columns(a_low, b_low), columns(a_high, b_high));
    let middle = columns(sum(a_low, a_high), sum(b_low, b_high));
    let mut all = [_mm256_setzero_si256(); 2 * LIMBS];
    all[..9].copy_from_slice(&low);
    all[10..19].copy_from_slice(&high);
    for (column, middle) in middle.into_iter().enumerate() {
        let outer = _mm256_add_epi64(low[column], high[column]);
        all[5 + column] = _mm256_add_epi64(all[5 + column], _mm256_sub_epi64(middle, outer));
    }
    all
}

#[inline]
#[target_feature(enable = "avx2")]
fn fives(limbs: &Half) -> [[__m256i; 5]; 2] {
    let [l0, l1, l2, l3, l4, l5, l6, l7, l8, l9] = *limbs;
    [[l0, l1, l2, l3, l4], [l5, l6, l7, l8, l9]]
}

#[inline]
#[target_feature(enable = "avx2")]
fn sum(mut a: [__m256i; 5], b: [__m256i; 5]) -> [__m256i; 5] {
    for (a, b) in a.iter_mut().zip(b) {
        *a = _mm256_add_epi64(*a, b);
    }
    a
}

#[inline]
#[target_feature(enable = "avx2")]
fn columns(a: [__m256i; 5], b: [__m256i; 5]) -> [__m256i; 9] {
    let mut columns = [_mm256_setzero_si256(); 9];
    // One by one, since the compiler would leave a loop around them, and no column in a register.
    add_row::<0>(&mut columns, a, b);
    add_row::<1>(&mut columns, a, b);
    add_row::<2>(&mut columns, a, b);
    add_row::<3>(&mut columns, a, b);
    add_row::<4>(&mut columns, a, b);
    columns
}

#[inline]
#[target_feature(enable = "avx2")]
fn add_row<const ROW: usize>(columns: &mut [__m256i; 9], a: [__m256i; 5], b: [__m256i; 5]) {
    for (limb, b) in b.into_iter().enumerate() {
        columns[ROW + limb] = _mm256_add_epi64(columns[ROW + limb], _mm256_mul_epu32(a[ROW], b));
    }
}

/// The columns of a square.
#[inline]
#[target_feature(enable = "avx2")]
fn columns_of_square(a: &Half) -> [__m256i; 2 * LIMBS] {
    let twice = a.map(|limb| _mm256_add_epi64(limb, limb));
    [
        column::<0>(a, &twice),
        column::<1>(a, &twice),
        column::<2>(a, &twice),
        column::<3>(a, &twice),
        column::<4>(a, &twice),
        column::<5>(a, &twice),
        column::<6>(a, &twice),
        column::<7>(a, &twice),
        column::<8>(a, &twice),
        column::<9>(a, &twice),
        column::<10>(a, &twice),
        column::<11>(a, &twice),
        column::<12>(a, &twice),
        column::<13>(a, &twice),
        column::<14>(a, &twice),
        column::<15>(a, &twice),
        column::<16>(a, &twice),
        column::<17>(a, &twice),
        column::<18>(a, &twice),
        _mm256_setzero_si256(),
    ]
}

/// One column of a square: each product of two limbs once, with one of them doubled.
#[inline]
#[target_feature(enable = "avx2")]
fn column<const COLUMN: usize>(a: &Half, twice: &Half) -> __m256i {
    let lowest = COLUMN.saturating_sub(LIMBS - 1);
    let mut sum =
        if COLUMN.is_multiple_of(2) { _mm256_mul_epu32(a[COLUMN / 2], a[COLUMN / 2]) } else { _mm256_setzero_si256() };
    for i in lowest..COLUMN.div_ceil(2) {
        sum = _mm256_add_epi64(sum, _mm256_mul_epu32(twice[i], a[COLUMN - i]));
    }
    sum
}

/// The number of the columns of a product.
#[inline]
#[target_feature(enable = "avx2")]
fn reduce(mut columns: [__m256i; 2 * LIMBS]) -> Half {
    // The upper half becomes limbs, since only 32 bits of it are multiplied. A product of two numbers leaves it 19 bits in the last.
    // A carry waits for the one before it, so there are two rows of them side by side; where they meet, what the first brings
    // is carried once more, and leaves its neighbour a few bits above 26.
    for [column, other] in [[9, 14], [10, 15], [11, 16], [12, 17], [13, 18]] {
        carry_one(&mut columns, column);
        carry_one(&mut columns, other);
    }
    carry_one(&mut columns, 14);
    let fold = _mm256_set1_epi64x(FOLD_LIMB);
    let mut limbs = [_mm256_setzero_si256(); LIMBS];
    limbs.copy_from_slice(&columns[..LIMBS]);
    for (limb, &above) in columns[LIMBS..].iter().enumerate() {
        limbs[limb] = _mm256_add_epi64(limbs[limb], _mm256_mul_epu32(above, fold));
        if limb + 1 < LIMBS {
            limbs[limb + 1] = _mm256_add_epi64(limbs[limb + 1], _mm256_slli_epi64::<FOLD_LIMB_NEXT>(above));
        }
    }
    // The next limb of the last one is above 2^260 again.
    let above = _mm256_slli_epi64::<FOLD_LIMB_NEXT>(columns[2 * LIMBS - 1]);
    limbs[0] = _mm256_add_epi64(limbs[0], _mm256_mul_epu32(above, fold));
    limbs[1] = _mm256_add_epi64(limbs[1], _mm256_slli_epi64::<FOLD_LIMB_NEXT>(above));
    for [limb, other] in [[0, 5], [1, 6], [2, 7], [3, 8]] {
        carry_one(&mut limbs, limb);
        carry_one(&mut limbs, other);
    }
    carry_one(&mut limbs, 4);
    carry_one(&mut limbs, 5);
    fold_top(limbs)
}

/// Carries what one limb has above 26 bits to the next.
#[inline]
#[target_feature(enable = "avx2")]
fn carry_one(limbs: &mut [__m256i], limb: usize) {
    let carry = _mm256_srli_epi64::<26>(limbs[limb]);
    limbs[limb] = _mm256_and_si256(limbs[limb], _mm256_set1_epi64x(LIMB));
    limbs[limb + 1] = _mm256_add_epi64(limbs[limb + 1], carry);
}

/// The same for all, one after the other; the last one keeps what it gets.
#[inline]
#[target_feature(enable = "avx2")]
fn carry(mut limbs: Half) -> Half {
    for limb in 0..LIMBS - 1 {
        carry_one(&mut limbs, limb);
    }
    limbs
}

/// Folds what lies above 2^256, less than 2^16 times that, into the first two limbs.
#[inline]
#[target_feature(enable = "avx2")]
fn fold_top(mut limbs: Half) -> Half {
    let above = _mm256_srli_epi64::<22>(limbs[LIMBS - 1]);
    limbs[LIMBS - 1] = _mm256_and_si256(limbs[LIMBS - 1], _mm256_set1_epi64x(LAST));
    limbs[0] = _mm256_add_epi64(limbs[0], _mm256_mul_epu32(above, _mm256_set1_epi64x(FOLD)));
    limbs[1] = _mm256_add_epi64(limbs[1], _mm256_slli_epi64::<FOLD_NEXT>(above));
    limbs
}

/// Limbs of up to 32 bits, each of which carries to its neighbour alone, all at once.
#[inline]
#[target_feature(enable = "avx2")]
fn settle(limbs: Half) -> Half {
    let above = _mm256_srli_epi64::<22>(limbs[LIMBS - 1]);
    let mut settled = limbs.map(|limb| _mm256_and_si256(limb, _mm256_set1_epi64x(LIMB)));
    settled[LIMBS - 1] = _mm256_and_si256(limbs[LIMBS - 1], _mm256_set1_epi64x(LAST));
    for limb in 1..LIMBS {
        settled[limb] = _mm256_add_epi64(settled[limb], _mm256_srli_epi64::<26>(limbs[limb - 1]));
    }
    settled[0] = _mm256_add_epi64(settled[0], _mm256_mul_epu32(above, _mm256_set1_epi64x(FOLD)));
    settled[1] = _mm256_add_epi64(settled[1], _mm256_slli_epi64::<FOLD_NEXT>(above));
    settled
}
