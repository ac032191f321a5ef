//! Numbers modulo secp256k1's field prime `p = 2^256 − 2^32 − 977`.
//!
//! Four limbs of 64 bits hold any number below 2^256, so a value has up to two forms and [`Field::normal`] gives the
//! canonical one; what is compared or written out is brought to it first. Everything here works on public data and takes
//! its time from it.

use super::inverse::Modulus;
use crate::processor::choose;

/// `2^256 − p`: what a carry out of the fourth limb is worth.
const FOLD: u64 = 0x1_0000_03d1;

/// `p`, least limb first.
const PRIME: [u64; 4] = [0xffff_fffe_ffff_fc2f, u64::MAX, u64::MAX, u64::MAX];

/// A number modulo `p`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field([u64; 4]);

impl Field {
    pub(crate) const ZERO: Self = Self([0; 4]);
    pub(crate) const ONE: Self = Self([1, 0, 0, 0]);

    pub(crate) const fn from_limbs(limbs: [u64; 4]) -> Self {
        Self(limbs)
    }

    #[inline]
    pub(crate) const fn limbs(&self) -> &[u64; 4] {
        &self.0
    }

    /// The number of 32 bytes, most significant first, if it is below `p`.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let value = Self(limbs(bytes));
        value.is_normal().then_some(value)
    }

    pub(crate) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(self.normal().0.iter().rev()) {
            chunk.copy_from_slice(&limb.to_be_bytes());
        }
        bytes
    }

    /// The form below `p`.
    #[inline]
    pub(crate) fn normal(self) -> Self {
        if self.is_normal() {
            return self;
        }
        // Below 2^256 and not below p, so that one p is to be taken off, and only the lowest limb can be left.
        Self([self.0[0].wrapping_sub(PRIME[0]), 0, 0, 0])
    }

    #[inline]
    fn is_normal(&self) -> bool {
        let [a, b, c, d] = self.0;
        b & c & d != u64::MAX || a < PRIME[0]
    }

    #[inline]
    pub(crate) fn is_zero(&self) -> bool {
        // Limb by limb in registers: an array compared as 16 bytes waits for its stores.
        let [a, b, c, d] = self.0;
        if b & c & d == u64::MAX { a == PRIME[0] } else { a | b | c | d == 0 }
    }

    pub(crate) fn is_odd(self) -> bool {
        self.normal().0[0] & 1 == 1
    }

    #[inline(always)]
    pub(crate) fn add(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        let (r0, carry) = a[0].carrying_add(b[0], false);
        let (r1, carry) = a[1].carrying_add(b[1], carry);
        let (r2, carry) = a[2].carrying_add(b[2], carry);
        let (r3, carry) = a[3].carrying_add(b[3], carry);
        add_small([r0, r1, r2, r3], if carry { FOLD } else { 0 }, 0)
    }

    #[inline(always)]
    pub(crate) fn double(self) -> Self {
        self.add(self)
    }

    #[inline(always)]
    pub(crate) fn sub(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        let (r0, borrow) = a[0].borrowing_sub(b[0], false);
        let (r1, borrow) = a[1].borrowing_sub(b[1], borrow);
        let (r2, borrow) = a[2].borrowing_sub(b[2], borrow);
        let (r3, borrow) = a[3].borrowing_sub(b[3], borrow);
        // A borrow took 2^256, which is p + FOLD.
        let (r0, borrow) = r0.overflowing_sub(if borrow { FOLD } else { 0 });
        if borrow {
            return borrow_far([r0, r1, r2, r3]);
        }
        Self([r0, r1, r2, r3])
    }

    #[inline]
    pub(crate) fn negate(self) -> Self {
        Self::ZERO.sub(self)
    }

    #[inline(always)]
    pub(crate) fn mul(self, other: Self) -> Self {
        reduce(product(self.0, other.0))
    }

    #[inline(always)]
    pub(crate) fn square(self) -> Self {
        let [a0, a1, a2, a3] = self.0;
        // Each product of two different limbs once, then doubled, then the squares.
        let (t1, carry) = a0.carrying_mul(a1, 0);
        let (t2, carry) = a0.carrying_mul(a2, carry);
        let (t3, t4) = a0.carrying_mul(a3, carry);
        let (t3, carry) = a1.carrying_mul_add(a2, t3, 0);
        let (t4, t5) = a1.carrying_mul_add(a3, t4, carry);
        let (t5, t6) = a2.carrying_mul_add(a3, t5, 0);
        let t7 = t6 >> 63;
        let t6 = t6 << 1 | t5 >> 63;
        let t5 = t5 << 1 | t4 >> 63;
        let t4 = t4 << 1 | t3 >> 63;
        let t3 = t3 << 1 | t2 >> 63;
        let t2 = t2 << 1 | t1 >> 63;
        let t1 = t1 << 1;
        let (t0, high) = a0.carrying_mul(a0, 0);
        let (t1, carry) = t1.carrying_add(high, false);
        let (low, high) = a1.carrying_mul(a1, 0);
        let (t2, carry) = t2.carrying_add(low, carry);
        let (t3, carry) = t3.carrying_add(high, carry);
        let (low, high) = a2.carrying_mul(a2, 0);
        let (t4, carry) = t4.carrying_add(low, carry);
        let (t5, carry) = t5.carrying_add(high, carry);
        let (low, high) = a3.carrying_mul(a3, 0);
        let (t6, carry) = t6.carrying_add(low, carry);
        let (t7, _) = t7.carrying_add(high, carry);
        reduce([t0, t1, t2, t3, t4, t5, t6, t7])
    }

    /// `1 / self`; 0 for 0.
    pub(crate) fn invert(self) -> Self {
        const MODULUS: Modulus = Modulus::new(PRIME);
        Self(MODULUS.invert(self.normal().0))
    }
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.normal().0 == other.normal().0
    }
}

impl Eq for Field {}

/// Numbers whose roots are taken together.
pub(crate) const LANES: usize = 8;

/// Roots of eight numbers. A number without a root gives some other number.
pub(crate) fn roots(values: [Field; LANES]) -> [Field; LANES] {
    choose(
        values,
        #[cfg(target_arch = "x86_64")]
        super::wide::avx512::roots,
        #[cfg(target_arch = "x86_64")]
        super::wide::avx2::roots,
        portable_roots,
    )
}

/// Step by step side by side, so that one waits while another is worked on.
///
/// `p` leaves 3 when divided by 4, so `a^((p+1)/4)` is a root of every square `a`.
pub(crate) fn portable_roots<const LANES: usize>(values: [Field; LANES]) -> [Field; LANES] {
    let [x2, x22, x223] = runs(values);
    let power = mul(squares(x223, 23), x22);
    let power = mul(squares(power, 6), x2);
    squares(power, 2)
}

/// `a^(2^k − 1)` for `k` of 2, 22 and 223: the runs of ones in `(p + 1) / 4`.
fn runs<const LANES: usize>(x: [Field; LANES]) -> [[Field; LANES]; 3] {
    let x2 = mul(squares(x, 1), x);
    let x3 = mul(squares(x2, 1), x);
    let x6 = mul(squares(x3, 3), x3);
    let x9 = mul(squares(x6, 3), x3);
    let x11 = mul(squares(x9, 2), x2);
    let x22 = mul(squares(x11, 11), x11);
    let x44 = mul(squares(x22, 22), x22);
    let x88 = mul(squares(x44, 44), x44);
    let x176 = mul(squares(x88, 88), x88);
    let x220 = mul(squares(x176, 44), x44);
    let x223 = mul(squares(x220, 3), x3);
    [x2, x22, x223]
}

fn squares<const LANES: usize>(mut x: [Field; LANES], times: usize) -> [Field; LANES] {
    for _ in 0..times {
        for lane in &mut x {
            *lane = lane.square();
        }
    }
    x
}

fn mul<const LANES: usize>(mut a: [Field; LANES], b: [Field; LANES]) -> [Field; LANES] {
    for (a, b) in a.iter_mut().zip(b) {
        *a = a.mul(b);
    }
    a
}

/// The limbs, least first, of 32 bytes, most significant first.
pub(crate) fn limbs(bytes: &[u8; 32]) -> [u64; 4] {
    let mut limbs = [0; 4];
    for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.chunks_exact(8)) {
        *limb = u64::from_be_bytes(chunk.try_into().expect("chunks have 8 bytes"));
    }
    limbs
}

/// The product of two numbers below 2^256.
#[inline(always)]
pub(crate) fn product(a: [u64; 4], b: [u64; 4]) -> [u64; 8] {
    let mut t = [0; 8];
    let mut i = 0;
    while i < 4 {
        let mut carry = 0;
        let mut j = 0;
        while j < 4 {
            (t[i + j], carry) = a[i].carrying_mul_add(b[j], t[i + j], carry);
            j += 1;
        }
        t[i + 4] = carry;
        i += 1;
    }
    t
}

#[inline(always)]
fn reduce(t: [u64; 8]) -> Field {
    let (r0, carry) = FOLD.carrying_mul_add(t[4], t[0], 0);
    let (r1, carry) = FOLD.carrying_mul_add(t[5], t[1], carry);
    let (r2, carry) = FOLD.carrying_mul_add(t[6], t[2], carry);
    let (r3, carry) = FOLD.carrying_mul_add(t[7], t[3], carry);
    // At most FOLD was carried, so that its worth has 67 bits.
    let (low, high) = FOLD.carrying_mul(carry, 0);
    add_small([r0, r1, r2, r3], low, high)
}

/// Adds a number below 2^67.
#[inline(always)]
fn add_small(r: [u64; 4], low: u64, high: u64) -> Field {
    let (r0, carry) = r[0].overflowing_add(low);
    let (r1, carry) = r[1].carrying_add(high, carry);
    if carry {
        return carry_far([r0, r1, r[2], r[3]]);
    }
    Field([r0, r1, r[2], r[3]])
}

/// Adds 2^128, which happens so seldom that nobody should wait for it.
#[cold]
fn carry_far(r: [u64; 4]) -> Field {
    let (r2, carry) = r[2].overflowing_add(1);
    let (r3, carry) = r[3].overflowing_add(carry.into());
    // After a carry less than 2^67 is left: what it is worth stays within two limbs.
    let (r0, carry) = r[0].overflowing_add(if carry { FOLD } else { 0 });
    Field([r0, r[1].wrapping_add(carry.into()), r2, r3])
}

/// Takes off 2^64, which is as seldom.
#[cold]
fn borrow_far(r: [u64; 4]) -> Field {
    let (r1, borrow) = r[1].overflowing_sub(1);
    let (r2, borrow) = r[2].overflowing_sub(borrow.into());
    let (r3, borrow) = r[3].overflowing_sub(borrow.into());
    // A second borrow leaves more than 2^256 − FOLD, from whose lowest limb FOLD can be taken once more.
    Field([r[0].wrapping_sub(if borrow { FOLD } else { 0 }), r1, r2, r3])
}
