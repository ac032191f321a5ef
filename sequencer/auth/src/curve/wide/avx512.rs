//! Eight numbers in five limbs of 52 bits, which is what AVX-512's multiplier takes.
//!
//! Between operations a limb has at most 52 bits and the last at most 49, so that any value goes into any operation. A
//! column of a product is a sum of at most ten parts of 52 bits, for which 64 have room.

use core::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_mask_mov_epi64,
    _mm512_mask_sub_epi64, _mm512_or_si512, _mm512_set_epi64, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_slli_epi64, _mm512_srli_epi64, _mm512_sub_epi64,
};

use zerocopy::{FromBytes, IntoBytes};

use super::super::field::Field;
use super::super::point::Affine;
use super::LANES;

const LIMB: i64 = (1 << 52) - 1;
const LAST: i64 = (1 << 48) - 1;

/// `2^256 − p`, and `2^260 mod p`.
const FOLD: i64 = 0x1_0000_03d1;
const FOLD_LIMB: i64 = FOLD << 4;

/// `4·p` in limbs that are each larger than those that are taken from them.
const FOUR_PRIMES: [i64; 5] = [0xf_fffe_ffff_fc2f << 2, LIMB << 2, LIMB << 2, LIMB << 2, LAST << 2];

/// Eight numbers, limb by limb.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wide([__m512i; 5]);

algorithms!("avx512f,avx512ifma", eight);

impl Wide {
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn from_fields(fields: [&Field; LANES]) -> Self {
        let mut words = [_mm512_setzero_si512(); 4];
        for (limb, word) in words.iter_mut().enumerate() {
            let [a, b, c, d, e, f, g, h] = fields;
            let at = |field: &Field| field.limbs()[limb].cast_signed();
            *word = _mm512_set_epi64(at(h), at(g), at(f), at(e), at(d), at(c), at(b), at(a));
        }
        let [w0, w1, w2, w3] = words;
        let mask = _mm512_set1_epi64(LIMB);
        Self([
            _mm512_and_si512(w0, mask),
            _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64(w0, 52), _mm512_slli_epi64(w1, 12)), mask),
            _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64(w1, 40), _mm512_slli_epi64(w2, 24)), mask),
            _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64(w2, 28), _mm512_slli_epi64(w3, 36)), mask),
            _mm512_srli_epi64(w3, 16),
        ])
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn fields(&self) -> [Field; LANES] {
        // A last limb of 2^48 and more is folded once more; what is left is below 2^256.
        let [r0, r1, r2, r3, r4] = settle(self.0).0;
        let words = [
            _mm512_or_si512(r0, _mm512_slli_epi64(r1, 52)),
            _mm512_or_si512(_mm512_srli_epi64(r1, 12), _mm512_slli_epi64(r2, 40)),
            _mm512_or_si512(_mm512_srli_epi64(r2, 24), _mm512_slli_epi64(r3, 28)),
            _mm512_or_si512(_mm512_srli_epi64(r3, 36), _mm512_slli_epi64(r4, 16)),
        ];
        let mut fields = [[0; 4]; LANES];
        for (limb, word) in words.iter().enumerate() {
            let word = <[u64; LANES]>::read_from_bytes(word.as_bytes()).expect("both have 64 bytes");
            for (field, word) in fields.iter_mut().zip(word) {
                field[limb] = word;
            }
        }
        fields.map(Field::from_limbs)
    }

    /// `self · 2^OWN − other · 2^OTHER`, for up to 8 times.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn less<const OWN: u32, const OTHER: u32>(&self, other: &Self) -> Self {
        let mut limbs = self.0;
        for ((limb, &other), primes) in limbs.iter_mut().zip(&other.0).zip(FOUR_PRIMES) {
            let opposite = _mm512_sub_epi64(_mm512_set1_epi64(primes), other);
            *limb = _mm512_add_epi64(_mm512_slli_epi64::<OWN>(*limb), _mm512_slli_epi64::<OTHER>(opposite));
        }
        settle(limbs)
    }

    /// `self − first · 2^FIRST − second`, for up to 4 times.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn less_both<const FIRST: u32>(&self, first: &Self, second: &Self) -> Self {
        let mut limbs = self.0;
        for (((limb, &first), &second), primes) in limbs.iter_mut().zip(&first.0).zip(&second.0).zip(FOUR_PRIMES) {
            let opposite = |limb| _mm512_sub_epi64(_mm512_set1_epi64(primes), limb);
            let both = _mm512_add_epi64(_mm512_slli_epi64::<FIRST>(opposite(first)), opposite(second));
            *limb = _mm512_add_epi64(*limb, both);
        }
        settle(limbs)
    }

    /// `self · (2^BITS + 1)`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn more<const BITS: u32>(&self) -> Self {
        let mut limbs = self.0;
        for limb in &mut limbs {
            *limb = _mm512_add_epi64(_mm512_slli_epi64::<BITS>(*limb), *limb);
        }
        settle(limbs)
    }

    /// The opposites of the lanes of the mask.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn negate_where(&self, mask: u8) -> Self {
        let mut limbs = self.0;
        for (limb, primes) in limbs.iter_mut().zip(FOUR_PRIMES) {
            *limb = _mm512_mask_sub_epi64(*limb, mask, _mm512_set1_epi64(primes), *limb);
        }
        settle(limbs)
    }

    /// The lanes of the mask from another.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn set(&self, mask: u8, other: &Self) -> Self {
        let mut limbs = self.0;
        for (limb, &other) in limbs.iter_mut().zip(&other.0) {
            *limb = _mm512_mask_mov_epi64(*limb, mask, other);
        }
        Self(limbs)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn mul(&self, other: &Self) -> Self {
        let (a, b) = (self.0, other.0);
        let (mut low, mut high) = ([_mm512_setzero_si512(); 9], [_mm512_setzero_si512(); 9]);
        for i in 0..5 {
            for j in 0..5 {
                low[i + j] = _mm512_madd52lo_epu64(low[i + j], a[i], b[j]);
                high[i + j] = _mm512_madd52hi_epu64(high[i + j], a[i], b[j]);
            }
        }
        reduce(low, high)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn square(&self) -> Self {
        let a = self.0;
        let (mut low, mut high) = ([_mm512_setzero_si512(); 9], [_mm512_setzero_si512(); 9]);
        for i in 0..5 {
            for j in i + 1..5 {
                low[i + j] = _mm512_madd52lo_epu64(low[i + j], a[i], a[j]);
                high[i + j] = _mm512_madd52hi_epu64(high[i + j], a[i], a[j]);
            }
        }
        for column in 0..9 {
            low[column] = _mm512_add_epi64(low[column], low[column]);
            high[column] = _mm512_add_epi64(high[column], high[column]);
        }
        for i in 0..5 {
            low[2 * i] = _mm512_madd52lo_epu64(low[2 * i], a[i], a[i]);
            high[2 * i] = _mm512_madd52hi_epu64(high[2 * i], a[i], a[i]);
        }
        reduce(low, high)
    }
}

/// The number of the columns of a product, whose high parts count one column further.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn reduce(low: [__m512i; 9], high: [__m512i; 9]) -> Wide {
    let mut columns = [_mm512_setzero_si512(); 10];
    columns[..9].copy_from_slice(&low);
    for column in 0..9 {
        columns[column + 1] = _mm512_add_epi64(columns[column + 1], high[column]);
    }
    // The upper half becomes limbs, since only 52 bits of it are multiplied. Two numbers below 2^257 leave it 46 bits
    // in the last.
    let mask = _mm512_set1_epi64(LIMB);
    for column in 5..9 {
        columns[column + 1] = _mm512_add_epi64(columns[column + 1], _mm512_srli_epi64(columns[column], 52));
        columns[column] = _mm512_and_si512(columns[column], mask);
    }
    let fold = _mm512_set1_epi64(FOLD_LIMB);
    let mut limbs = [_mm512_setzero_si512(); 5];
    limbs.copy_from_slice(&columns[..5]);
    for (limb, &column) in columns[5..].iter().enumerate() {
        limbs[limb] = _mm512_madd52lo_epu64(limbs[limb], column, fold);
        if limb < 4 {
            limbs[limb + 1] = _mm512_madd52hi_epu64(limbs[limb + 1], column, fold);
        }
    }
    // The high part of the last one is above 2^260 again.
    let above = _mm512_madd52hi_epu64(_mm512_setzero_si512(), columns[9], fold);
    limbs[0] = _mm512_madd52lo_epu64(limbs[0], above, fold);
    limbs[1] = _mm512_madd52hi_epu64(limbs[1], above, fold);
    settle(limbs)
}

/// Carries, after what lies above 2^256 was folded: 52 bits in each limb but the last, and there at most 49.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn settle(mut limbs: [__m512i; 5]) -> Wide {
    let mask = _mm512_set1_epi64(LIMB);
    let above = _mm512_srli_epi64(limbs[4], 48);
    limbs[4] = _mm512_and_si512(limbs[4], _mm512_set1_epi64(LAST));
    limbs[0] = _mm512_madd52lo_epu64(limbs[0], above, _mm512_set1_epi64(FOLD));
    for limb in 0..4 {
        limbs[limb + 1] = _mm512_add_epi64(limbs[limb + 1], _mm512_srli_epi64(limbs[limb], 52));
        limbs[limb] = _mm512_and_si512(limbs[limb], mask);
    }
    Wide(limbs)
}
