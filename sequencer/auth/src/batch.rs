//! Many signatures at once, each with the verdict that [`recover`](crate::recover) gives.
//!
//! A signature `(r, s)` over `z` with recovery bit determines one point `R` (`x = r`, parity as given; `r + n` is not
//! accepted as an `x`), and it is by the key `Q` if and only if
//!
//! ```text
//! R = (z/s)·G + (r/s)·Q
//! ```
//!
//! so that recovery is the same equation solved for `Q`. With a key at hand it need only be checked. Where there is a table of the
//! key, the right side is summed and compared with `x` and parity; whatever does not agree is recovered, so that a sum
//! that comes out as "not known" costs time and never a verdict. Others are checked together by a random combination of them,
//!
//! ```text
//! Σ aᵢ·Rᵢ = (Σ aᵢ·zᵢ/sᵢ)·G + Σ over signers j (Σ of j's aᵢ·rᵢ/sᵢ)·Qⱼ
//! ```
//!
//! (Naccache, M'Raïhi, Vaudenay, Raphaeli, "Can D.S.A. be improved?", 1994, for DSA; Bellare, Garay, Rabin, "Fast batch
//! verification for modular exponentiation and digital signatures", 1998, for small random exponents.) The left side
//! costs half of what whole factors would, and a signer's terms merge into one.
//!
//! **Soundness.** The weights are drawn from the operating system's generator after the claims are fixed, `aᵢ = uᵢ + vᵢ·λ`
//! with `uᵢ`, `vᵢ` of 64 bits, which are 2^128 − 1 different numbers modulo `n` that are not zero (no vector of the lattice of
//! `λ` is that short). The group has prime order; if one equation is false, then for any choice of all other weights at
//! most one value of its weight makes the sum come out. So a batch with a false claim passes with a probability of at
//! most 1/(2^128 − 1), errors that would cancel each other included. When a batch fails, parts of it are asked with the
//! same weights: their parts are at most twice as many as the claims, and each passes wrongly with no greater probability.
//!
//! A high `s` is refused before: `(r, n − s)` with the other parity is the same signature. With a low `s`, `R` is unique,
//! since the parity chooses between `R` and `−R` and the range of `r` fixes its `x`.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use alloy_primitives::{Address, B256};
use k256::Scalar;
use xos_types::Signature;

use crate::curve::{
    Affine, Comb, Combination, Field, Jacobian, LANES, Summer, generator_and_point, halves, invert, lambda, sums,
};
use crate::key_book::KeyBook;
use crate::processor::{Vectors, vectors};
use crate::signature::{AuthError, Parts, address_of, recover, recover_key, scalar_of};

/// A failed batch of so few is settled one by one: what a smaller batch saves, a failure costs.
const FEW: usize = 8;

/// Tables that are made in one batch at most: together they take a quarter of a millisecond.
const TABLES_AT_ONCE: usize = 8;

/// Without the lanes of AVX-512 tables are slower, and so many claims are faster summed.
const SUMMED_WITHOUT_LANES: usize = 128;

/// A signature and who is expected to have made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What was signed.
    pub digest: B256,
    /// The signature.
    pub signature: Signature,
    /// Who probably signed: the account's owner, or who signed for it last. A guess decides how fast the verdict comes
    /// and never what it is. Its key is learned if it was right.
    pub signer: Option<Address>,
}

/// Who signed, as [`recover`](crate::recover) says it.
pub type Verdict = Result<Address, AuthError>;

/// Checks signatures in batches. Keeps its memory from one batch to the next.
#[derive(Debug, Default)]
pub struct Verifier {
    /// Claims by signers with a table, each checked by itself.
    direct: Vec<Equation>,
    /// Claims by other known signers.
    equations: Vec<Equation>,
    signers: Vec<Signer>,
    /// How many tables may still be made; none if even those that there are are not used.
    makable: Option<usize>,
    numbers: HashMap<Address, usize>,
    random: Vec<u8>,
    products: Vec<Scalar>,
    factors: Vec<Scalar>,
    terms: Vec<(Affine, u128)>,
    summer: Summer,
    sums: Vec<Jacobian>,
    points: Vec<Option<Affine>>,
}

#[derive(Debug)]
struct Signer {
    key: Affine,
    comb: Option<Arc<Comb>>,
}

/// A claim by a known signer: `R = z·G + r·Q`, once both are divided by `s`.
#[derive(Debug)]
struct Equation {
    claim: usize,
    signer: usize,
    x: Field,
    odd: bool,
    s: Scalar,
    z: Scalar,
    r: Scalar,
    /// Filled in for a batch: `R`, and the weight that all is multiplied by, `u + v·λ`.
    point: Affine,
    u: i64,
    v: i64,
    weight: Scalar,
}

impl Equation {
    /// Whether this is its `R`.
    fn is_by(&self, point: Option<Affine>) -> bool {
        point.is_some_and(|point| point.x == self.x && point.y.is_odd() == self.odd)
    }
}

impl Verifier {
    /// A verifier without any memory yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a verdict for each claim, in their order. Claims by signers of whom the book has a table are checked each by
    /// itself, eight side by side; those by others that it knows are checked together; the rest are recovered singly, and
    /// learned where they were named rightly.
    ///
    /// A claim that names a known signer and is by another is recovered in the end. If the signer has no table, it fails its
    /// batch, and costs two more batches of the same size and a few single checks. If every eighth claim is false, all are
    /// checked singly, after a sum for each time that the batch can be halved: at 1,024, less than twice what recovering
    /// all at once would have cost.
    pub fn verify(&mut self, keys: &mut KeyBook, claims: &[Claim], verdicts: &mut Vec<Verdict>) {
        let first = verdicts.len();
        self.direct.clear();
        self.equations.clear();
        self.signers.clear();
        self.numbers.clear();
        self.makable = (claims.len() < SUMMED_WITHOUT_LANES || vectors() == Vectors::Eight).then_some(TABLES_AT_ONCE);
        for (index, claim) in claims.iter().enumerate() {
            verdicts.push(match self.enter(keys, index, claim) {
                // Stands until it is found wrong.
                Ok(Some(signer)) => Ok(signer),
                Ok(None) => first_contact(keys, claim),
                Err(error) => Err(error),
            });
        }
        let verdicts = &mut verdicts[first..];
        self.divide_by_s();
        self.settle_directly(claims, verdicts);
        if self.equations.len() > FEW {
            self.find_points(verdicts);
        }
        if self.equations.len() <= FEW || self.weigh().is_err() {
            // Too few to save anything, or no randomness to say something about many at once.
            return self.settle_singly(0..self.equations.len(), claims, verdicts);
        }
        self.settle(0..self.equations.len(), claims, verdicts);
    }

    /// Takes a claim into the batch and names its signer, or none if no key is known.
    fn enter(&mut self, keys: &mut KeyBook, index: usize, claim: &Claim) -> Result<Option<Address>, AuthError> {
        let parts = Parts::read(&claim.signature)?;
        let Some(address) = claim.signer else { return Ok(None) };
        let signer = match self.numbers.get(&address) {
            Some(&number) => number,
            None => {
                let mut none = 0;
                let Some((key, comb)) = keys.key(address, self.makable.as_mut().unwrap_or(&mut none)) else {
                    return Ok(None);
                };
                self.signers.push(Signer { key, comb: comb.filter(|_| self.makable.is_some()) });
                self.numbers.insert(address, self.signers.len() - 1);
                self.signers.len() - 1
            }
        };
        let list = if self.signers[signer].comb.is_some() { &mut self.direct } else { &mut self.equations };
        list.push(Equation {
            claim: index,
            signer,
            x: parts.x,
            odd: parts.odd,
            s: parts.s,
            z: scalar_of(claim.digest),
            r: parts.r,
            point: Affine::GENERATOR,
            u: 0,
            v: 0,
            weight: Scalar::ONE,
        });
        Ok(Some(address))
    }

    /// Divides each `z` and `r` by its `s`. One inversion serves all (Montgomery's trick).
    fn divide_by_s(&mut self) {
        self.products.clear();
        let mut product = Scalar::ONE;
        for equation in self.direct.iter().chain(&self.equations) {
            self.products.push(product);
            product *= equation.s;
        }
        // A product of numbers that are not zero, modulo a prime.
        let mut inverse = invert(&product);
        for equation in self.direct.iter_mut().chain(&mut self.equations).rev() {
            let own = inverse * self.products.pop().expect("a product for each");
            inverse *= equation.s;
            equation.z *= own;
            equation.r *= own;
        }
    }

    /// Settles the claims by signers who have a table.
    fn settle_directly(&mut self, claims: &[Claim], verdicts: &mut [Verdict]) {
        self.sums.clear();
        self.points.clear();
        // Those that go side by side take as long as the longest.
        let comb = |equation: &Equation| self.signers[equation.signer].comb.as_deref().map(Comb::columns);
        self.direct.sort_unstable_by_key(comb);
        for group in self.direct.chunks(LANES) {
            let combination = |equation: &Equation| {
                let comb = self.signers[equation.signer].comb.as_deref().expect("its signer has a table");
                Combination { generator: equation.z, factor: equation.r, comb }
            };
            let first = combination(&group[0]);
            let combinations: [_; LANES] = std::array::from_fn(|lane| group.get(lane).map_or(first, combination));
            sums(&combinations[..group.len()], &mut self.sums);
        }
        Jacobian::to_affine_together(&self.sums, &mut self.points);
        for (equation, point) in self.direct.iter().zip(&self.points) {
            if !equation.is_by(*point) {
                let claim = &claims[equation.claim];
                verdicts[equation.claim] = recover(claim.digest, &claim.signature);
            }
        }
    }

    /// Finds each signature's point; a claim without one leaves the batch.
    fn find_points(&mut self, verdicts: &mut [Verdict]) {
        for group in self.equations.chunks_mut(LANES) {
            let compressed = std::array::from_fn::<_, LANES, _>(|lane| {
                group.get(lane).map_or((Field::ONE, false), |e| (e.x, e.odd))
            });
            for (equation, point) in group.iter_mut().zip(Affine::decompress_together(compressed)) {
                match point {
                    Some(point) => equation.point = point,
                    None => verdicts[equation.claim] = Err(AuthError::NotRecoverable),
                }
            }
        }
        self.equations.retain(|equation| verdicts[equation.claim].is_ok());
    }

    /// Draws weights.
    fn weigh(&mut self) -> Result<(), getrandom::Error> {
        self.random.resize(self.equations.len() * 16, 0);
        getrandom::fill(&mut self.random)?;
        let lambda = lambda();
        for (equation, random) in self.equations.iter_mut().zip(self.random.chunks_exact_mut(16)) {
            while random.iter().all(|&byte| byte == 0) {
                getrandom::fill(random)?;
            }
            let (u, v) = random.split_at(8);
            equation.u = i64::from_le_bytes(u.try_into().expect("half of 16 bytes"));
            equation.v = i64::from_le_bytes(v.try_into().expect("half of 16 bytes"));
            equation.weight = signed(equation.u) + signed(equation.v) * lambda;
        }
        Ok(())
    }

    /// Settles a part of the batch: nothing is left to say if its sum comes out.
    fn settle(&mut self, part: Range<usize>, claims: &[Claim], verdicts: &mut [Verdict]) {
        if !self.holds(part.clone()) {
            self.divide(part, claims, verdicts);
        }
    }

    /// Settles a part that holds a false claim: in halves, and the last few one by one.
    fn divide(&mut self, part: Range<usize>, claims: &[Claim], verdicts: &mut [Verdict]) {
        if part.len() <= FEW {
            return self.settle_singly(part, claims, verdicts);
        }
        let middle = part.start + part.len() / 2;
        let (left, right) = (part.start..middle, middle..part.end);
        if self.holds(left.clone()) {
            self.divide(right, claims, verdicts);
        } else {
            self.divide(left, claims, verdicts);
            self.settle(right, claims, verdicts);
        }
    }

    fn settle_singly(&self, part: Range<usize>, claims: &[Claim], verdicts: &mut [Verdict]) {
        for equation in &self.equations[part] {
            let sum = generator_and_point(&equation.z, &equation.r, self.signers[equation.signer].key);
            if !equation.is_by(sum.to_affine()) {
                let claim = &claims[equation.claim];
                verdicts[equation.claim] = recover(claim.digest, &claim.signature);
            }
        }
    }

    /// Whether the weighted sum of a part's equations comes out.
    fn holds(&mut self, part: Range<usize>) -> bool {
        let part = &self.equations[part];
        self.terms.clear();
        self.factors.clear();
        self.factors.resize(self.signers.len(), Scalar::ZERO);
        let mut generator = Scalar::ZERO;
        for equation in part {
            let (u, v) = (equation.u, equation.v);
            self.terms.push((equation.point.negate_if(u > 0), u.unsigned_abs().into()));
            self.terms.push((equation.point.endomorphism().negate_if(v > 0), v.unsigned_abs().into()));
            generator += equation.z * equation.weight;
            self.factors[equation.signer] += equation.r * equation.weight;
        }
        self.terms.extend(halves(&generator, Affine::GENERATOR));
        for (factor, signer) in self.factors.iter().zip(&self.signers) {
            // Signers of other parts have no share in this one.
            if !bool::from(factor.is_zero()) {
                self.terms.extend(halves(factor, signer.key));
            }
        }
        self.summer.sum(&self.terms).is_infinity()
    }
}

/// Recovers one signer, and learns the key if the claim named it.
fn first_contact(keys: &mut KeyBook, claim: &Claim) -> Verdict {
    let key = recover_key(claim.digest, &claim.signature)?;
    let signer = address_of(&key);
    if claim.signer == Some(signer) {
        keys.learn(signer, key);
    }
    Ok(signer)
}

fn signed(number: i64) -> Scalar {
    let size = Scalar::from(number.unsigned_abs());
    if number < 0 { -size } else { size }
}
