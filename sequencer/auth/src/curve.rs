//! Arithmetic on secp256k1 in variable time, for public data only: signatures are checked with it, never made.
//!
//! k256 keeps its field to itself and spends twice the time (docs/decisions/0027), so that field and points are written
//! here, as small as verifying needs. Scalars are k256's. Tests hold every operation to k256's.

mod comb;
mod field;
mod inverse;
mod pairs;
mod point;
mod scalar;
mod sum;
mod two;
#[cfg(target_arch = "x86_64")]
mod wide;

#[cfg(test)]
mod tests;

pub(crate) use comb::{Comb, Combination, sums};
pub(crate) use field::{Field, LANES};
pub(crate) use point::{Affine, Jacobian};
pub(crate) use scalar::{halves, invert, lambda};
pub(crate) use sum::Summer;
pub(crate) use two::generator_and_point;
