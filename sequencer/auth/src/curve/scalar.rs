//! Factors of points: splitting one by the curve's endomorphism, and writing it in digits.

use k256::Scalar;
use k256::elliptic_curve::ff::PrimeField;

use super::field::{limbs, product};
use super::inverse::Modulus;
use super::point::Affine;

/// Round(2^384 · b₂ / n) and round(2^384 · −b₁ / n): division by the order `n` as a multiplication.
const G1: [u64; 4] = [0xe893_209a_45db_b031, 0x3daa_8a14_71e8_ca7f, 0xe86c_90e4_9284_eb15, 0x3086_d221_a7d4_6bcd];
const G2: [u64; 4] = [0x1571_b4ae_8ac4_7f71, 0x2212_08ac_9df5_06c6, 0x6f54_7fa9_0abf_e4c4, 0xe443_7ed6_010e_8828];

/// The two shortest vectors `(a, b)` with `a + b·λ = 0 (mod n)`; `b₁` is negative, and `b₂ = a₁`.
const A1: [u64; 3] = [0xe86c_90e4_9284_eb15, 0x3086_d221_a7d4_6bcd, 0];
const MINUS_B1: [u64; 3] = [0x6f54_7fa9_0abf_e4c3, 0xe443_7ed6_010e_8828, 0];
const A2: [u64; 3] = [0x57c1_108d_9d44_cfd8, 0x14ca_50f7_a8e2_f3f6, 1];

/// The order `n` of the curve, least limb first.
const ORDER: [u64; 4] = [0xbfd2_5e8c_d036_4141, 0xbaae_dce6_af48_a03b, 0xffff_ffff_ffff_fffe, u64::MAX];

/// `λ`, by which [`Affine::endomorphism`] multiplies: a cube root of 1.
const LAMBDA: [u8; 32] = [
    0x53, 0x63, 0xad, 0x4c, 0xc0, 0x5c, 0x30, 0xe0, 0xa5, 0x26, 0x1c, 0x02, 0x88, 0x12, 0x64, 0x5a, 0x12, 0x2e, 0x22,
    0xea, 0x20, 0x81, 0x66, 0x78, 0xdf, 0x02, 0x96, 0x7c, 0x1b, 0x23, 0xbd, 0x72,
];

pub(crate) fn lambda() -> Scalar {
    Scalar::from_repr(LAMBDA.into()).expect("λ is below the order")
}

/// A factor below 2^128, and its sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Half {
    pub(crate) negative: bool,
    pub(crate) size: u128,
}

/// The two factors of a [`split`] with the points that they belong to.
pub(crate) fn halves(scalar: &Scalar, point: Affine) -> [(Affine, u128); 2] {
    let [a, b] = split(scalar);
    [(point.negate_if(a.negative), a.size), (point.endomorphism().negate_if(b.negative), b.size)]
}

/// `k₁` and `k₂` of at most 128 bits with `scalar = k₁ + k₂·λ`, by rounding to the nearest point of a lattice: Gallant,
/// Lambert and Vanstone, "Faster point multiplication on elliptic curves with efficient endomorphisms" (2001). That
/// both stay below 0.64 · 2^128 is shown in k256 and in libsecp256k1, whose constants these are.
pub(crate) fn split(scalar: &Scalar) -> [Half; 2] {
    let k = limbs(&scalar.to_repr().into());
    less_lattice(k, multiply_shift(k, G1), multiply_shift(k, G2)).map(|(negative, [r0, r1, r2])| {
        debug_assert_eq!(r2, 0);
        Half { negative, size: join(r0, r1) }
    })
}

/// An odd number below 2^129 in size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Odd {
    pub(crate) negative: bool,
    /// Half of its size, rounded down.
    pub(crate) half: u128,
}

/// As [`split`], with both numbers odd: the lattice has points of every parity, and one beside the nearest has the wanted one.
/// Of its vectors only `a₂` is even, so that `k₁` is odd if one of `k` and `c₁` is, and `k₂` if one of `c₁` and `c₂` is.
/// Each factor is off by 1.5 at most, so that `k₁` is at most 1.5·(a₁ + a₂) < 1.91 · 2^128 in size, and `k₂` less.
pub(crate) fn split_odd(scalar: &Scalar) -> [Odd; 2] {
    let k = limbs(&scalar.to_repr().into());
    let lowest = u128::from(k[0] & 1);
    let (c1, c2) = (multiply_shift(k, G1) & !1 | (1 - lowest), multiply_shift(k, G2) & !1 | lowest);
    less_lattice(k, c1, c2).map(|(negative, [r0, r1, r2])| {
        debug_assert!(r0 & 1 == 1 && r2 <= 1);
        Odd { negative, half: join(r0 >> 1 | r1 << 63, r1 >> 1 | r2 << 63) }
    })
}

/// `1 / scalar`; 0 for 0.
pub(crate) fn invert(scalar: &Scalar) -> Scalar {
    const MODULUS: Modulus = Modulus::new(ORDER);
    let inverse = MODULUS.invert(limbs(&scalar.to_repr().into()));
    let mut bytes = [0; 32];
    for (chunk, limb) in bytes.chunks_exact_mut(8).zip(inverse.iter().rev()) {
        chunk.copy_from_slice(&limb.to_be_bytes());
    }
    Scalar::from_repr(bytes.into()).expect("an inverse is below the order")
}

/// Signs and sizes of `k₁ = k − c₁·a₁ − c₂·a₂` and `k₂ = −c₁·b₁ − c₂·b₂`. Little more than 128 bits and a sign are left of each
/// difference, so that the lowest 192 bits say everything.
fn less_lattice(k: [u64; 4], c1: u128, c2: u128) -> [(bool, [u64; 3]); 2] {
    let k1 = subtract(subtract([k[0], k[1], k[2]], multiple(c1, A1)), multiple(c2, A2));
    let k2 = subtract(multiple(c1, MINUS_B1), multiple(c2, A1));
    [k1, k2].map(|k| {
        let negative = k[2] >> 63 == 1;
        (negative, if negative { subtract([0; 3], k) } else { k })
    })
}

/// `round(a·b / 2^384)`.
fn multiply_shift(a: [u64; 4], b: [u64; 4]) -> u128 {
    let t = product(a, b);
    join(t[6], t[7]).wrapping_add((t[5] >> 63).into())
}

fn multiple(c: u128, a: [u64; 3]) -> [u64; 3] {
    let [low, high] = parts(c);
    let (r0, carry) = low.carrying_mul(a[0], 0);
    let (r1, carry) = low.carrying_mul(a[1], carry);
    let r2 = low.wrapping_mul(a[2]).wrapping_add(carry);
    let (r1, carry) = high.carrying_mul_add(a[0], r1, 0);
    let r2 = high.wrapping_mul(a[1]).wrapping_add(r2).wrapping_add(carry);
    [r0, r1, r2]
}

fn subtract(a: [u64; 3], b: [u64; 3]) -> [u64; 3] {
    let (r0, borrow) = a[0].borrowing_sub(b[0], false);
    let (r1, borrow) = a[1].borrowing_sub(b[1], borrow);
    let (r2, _) = a[2].borrowing_sub(b[2], borrow);
    [r0, r1, r2]
}

const fn join(low: u64, high: u64) -> u128 {
    (high as u128) << 64 | low as u128
}

#[allow(clippy::cast_possible_truncation, reason = "the parts are what is asked for")]
const fn parts(value: u128) -> [u64; 2] {
    [value as u64, (value >> 64) as u64]
}
