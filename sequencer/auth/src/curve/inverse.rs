//! Inverses modulo a prime by Bernstein and Yang, "Fast constant-time gcd computation and modular inversion" (2019), here
//! in variable time: half the time of Fermat's power.
//!
//! A step makes of an odd `f` and any `g` with the same common divisors another pair, smaller in the end, and looks at
//! nothing but the lowest bit of `g` and a counter. So 62 steps need the lowest 62 bits only: they are found on single words
//! as a matrix, and then done to the whole numbers at once. When `g` is 0, `f` is 1 or −1.

/// Steps of one matrix, and bits of a limb.
const STEPS: u32 = 62;

const LIMB: u64 = (1 << STEPS) - 1;

/// A number in five limbs of 62 bits, least first, of which the last has the sign.
type Signed = [i64; 5];

/// An odd prime just below 2^256.
pub(super) struct Modulus {
    prime: Signed,
    /// Modulo 2^64.
    inverse: u64,
}

impl Modulus {
    /// The prime of these limbs, least first.
    pub(super) const fn new(limbs: [u64; 4]) -> Self {
        // An odd number is its own inverse modulo 8, and each round doubles the bits that are right.
        let mut inverse = limbs[0];
        let mut round = 0;
        while round < 5 {
            inverse = inverse.wrapping_mul(2_u64.wrapping_sub(limbs[0].wrapping_mul(inverse)));
            round += 1;
        }
        Self { prime: signed(limbs), inverse }
    }

    /// `1 / value` for a value below the prime; 0 for 0.
    pub(super) fn invert(&self, value: [u64; 4]) -> [u64; 4] {
        // At any time d·value = f and e·value = g modulo the prime.
        let (mut f, mut g) = (self.prime, signed(value));
        let (mut d, mut e) = ([0; 5], [1, 0, 0, 0, 0]);
        let mut balance = -1;
        while g != [0; 5] {
            let [first, second] = steps(&mut balance, f[0].cast_unsigned(), g[0].cast_unsigned());
            (f, g) = (first.of(f, g), second.of(f, g));
            (d, e) = (self.quotient(first, d, e), self.quotient(second, d, e));
        }
        let d = if f[4] < 0 { plus([0; 5], -1, d) } else { d };
        // The last limb counts 2^248. A quotient by 2^256 instead of by the prime is at most one off.
        let near = plus(d, -(d[4] >> 8), self.prime);
        let reduced = (-1..=1).map(|times| plus(near, times, self.prime)).find(|number| number[4] >= 0);
        unsigned(reduced.expect("a number that is no less than minus the prime"))
    }

    /// The row's number divided by 2^62 modulo the prime: first as much of the prime is added as makes it divisible, half of
    /// the prime at most after the division. There are 12 matrices at most, so that sums stay below seven primes.
    #[inline]
    fn quotient(&self, row: Row, d: Signed, e: Signed) -> Signed {
        let lowest = row.0.wrapping_mul(d[0]).wrapping_add(row.1.wrapping_mul(e[0])).cast_unsigned();
        let short = lowest.wrapping_mul(self.inverse).wrapping_neg();
        let times = (short << (64 - STEPS)).cast_signed() >> (64 - STEPS);
        divided(|limb| sum([(row.0, d[limb]), (row.1, e[limb]), (times, self.prime[limb])]))
    }
}

/// A row of a matrix. Both sizes together are at most 2^62.
#[derive(Clone, Copy)]
struct Row(i64, i64);

impl Row {
    /// The row's number divided by 2^62, without a rest.
    #[inline]
    fn of(self, f: Signed, g: Signed) -> Signed {
        divided(|limb| sum([(self.0, f[limb]), (self.1, g[limb])]))
    }
}

/// 62 steps for numbers that end in `f` and `g`, times 2^62. `balance` counts from one matrix to the next.
fn steps(balance: &mut i64, mut f: u64, mut g: u64) -> [Row; 2] {
    let (mut first, mut second) = ((1_u64, 0_u64), (0_u64, 1_u64));
    let mut left = STEPS;
    loop {
        // An even g is halved: here all others are doubled instead.
        let zeros = (g | u64::MAX << left).trailing_zeros();
        g >>= zeros;
        first = (first.0 << zeros, first.1 << zeros);
        left -= zeros;
        *balance -= i64::from(zeros);
        if left == 0 {
            return [first, second].map(|row| Row(row.0.cast_signed(), row.1.cast_signed()));
        }
        if *balance < 0 {
            *balance = -*balance;
            (f, g) = (g, f.wrapping_neg());
            (first, second) = (second, (first.0.wrapping_neg(), first.1.wrapping_neg()));
        }
        // Until the balance turns, f is added to each odd g: as often at once as clears up to six bits. The product with f is
        // −1/f modulo 64.
        let bits = i64::from(left.min(6)).min(*balance + 1);
        let times = g.wrapping_mul(f).wrapping_mul(f.wrapping_mul(f).wrapping_sub(2)) & ((1 << bits) - 1);
        g = g.wrapping_add(f.wrapping_mul(times));
        second.0 = second.0.wrapping_add(first.0.wrapping_mul(times));
        second.1 = second.1.wrapping_add(first.1.wrapping_mul(times));
    }
}

/// A sum of products, each below 2^124 in size.
#[inline(always)]
fn sum<const COUNT: usize>(products: [(i64, i64); COUNT]) -> i128 {
    // Nothing wraps: a checked product of this width is a call, though.
    products.iter().fold(0, |sum: i128, &(a, b)| sum.wrapping_add(i128::from(a).wrapping_mul(b.into())))
}

/// The number of the columns, whose lowest 62 bits are zero, without these.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "limbs are cut off, and the last has less than 64 bits")]
fn divided(column: impl Fn(usize) -> i128) -> Signed {
    let mut carry = column(0) >> STEPS;
    std::array::from_fn(|limb| {
        if limb == 4 {
            return carry as i64;
        }
        let value = carry.wrapping_add(column(limb + 1));
        carry = value >> STEPS;
        value as i64 & LIMB.cast_signed()
    })
}

/// `a + times·b` for a few times.
#[allow(clippy::cast_possible_truncation, reason = "limbs are cut off, and the last has less than 64 bits")]
fn plus(a: Signed, times: i64, b: Signed) -> Signed {
    let mut carry = 0;
    std::array::from_fn(|limb| {
        let value = i128::from(a[limb]) + sum([(times, b[limb])]) + carry;
        carry = value >> STEPS;
        if limb == 4 { value as i64 } else { value as i64 & LIMB.cast_signed() }
    })
}

const fn signed([a, b, c, d]: [u64; 4]) -> Signed {
    [
        (a & LIMB).cast_signed(),
        ((a >> 62 | b << 2) & LIMB).cast_signed(),
        ((b >> 60 | c << 4) & LIMB).cast_signed(),
        ((c >> 58 | d << 6) & LIMB).cast_signed(),
        (d >> 56).cast_signed(),
    ]
}

fn unsigned(limbs: Signed) -> [u64; 4] {
    let [a, b, c, d, e] = limbs.map(i64::cast_unsigned);
    [a | b << 62, b >> 2 | c << 60, c >> 4 | d << 58, d >> 6 | e << 56]
}
