//! From signature bytes to the signer.

use alloy_primitives::{Address, B256, keccak256};
use k256::ecdsa::Signature as Ecdsa;
use k256::elliptic_curve::ff::PrimeField;
use k256::elliptic_curve::ops::Reduce;
use k256::elliptic_curve::scalar::IsHigh;
use k256::{FieldBytes, Scalar};
use xos_types::{Signature, Signed};

use crate::curve::{Affine, Field, generator_and_point, invert};
use crate::domain::Domain;
use crate::typed::Typed;

const PARITY_BIT: u8 = 0x80;

/// What is wrong with a signature or a key. A well-formed signature by somebody else is no error here: it recovers, and
/// the engine says who was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Neither of the two forms.
    #[error("the signature has {got} bytes; expected 64 (ERC-2098: r ‖ vs) or 65 (r ‖ s ‖ v)")]
    WrongLength {
        /// How many bytes were given.
        got: usize,
    },
    /// The last byte of a 65-byte signature.
    #[error("the signature's last byte (v) is {got}; expected 27 or 28 (0 or 1 are accepted)")]
    WrongV {
        /// The byte that was given.
        got: u8,
    },
    /// The other, equally valid signature of the same message; only one of the two is accepted.
    #[error("the signature's s lies in the upper half of the curve order; use order − s and flip the parity")]
    HighS,
    /// A scalar that no signature has.
    #[error("the signature's {scalar} is zero or not below the curve order")]
    ScalarOutOfRange {
        /// `r` or `s`.
        scalar: &'static str,
    },
    /// No public key belongs to it.
    #[error("the signature recovers to no public key; it was not made by signing")]
    NotRecoverable,
    /// Orders of one signature.
    #[error("{got} orders under one signature; expected 1 to {most}")]
    TreeSize {
        /// How many were given.
        got: usize,
        /// How many there may be.
        most: usize,
    },
    /// Not a private key.
    #[error("not a private key: {reason}")]
    BadKey {
        /// What is wrong with it (never the key itself).
        reason: &'static str,
    },
}

/// Recovers who signed `message` for `domain`, and keeps all three together. Whether that signer may act for the
/// message's account is the engine's question.
///
/// # Errors
/// If no key could have made the signature.
pub fn verify<T: Typed>(domain: &Domain, message: T, signature: Signature) -> Result<Signed<T>, AuthError> {
    let signer = recover(domain.digest(&message), &signature)?;
    Ok(Signed { message, signature, signer })
}

/// Recovers the address whose key signed `digest`.
///
/// # Errors
/// If no key could have made the signature, or it is the malleable twin of one.
pub fn recover(digest: B256, signature: &Signature) -> Result<Address, AuthError> {
    recover_key(digest, signature).map(|key| address_of(&key))
}

/// Solves `R = (z/s)·G + (r/s)·Q` for the key `Q`.
pub(crate) fn recover_key(digest: B256, signature: &Signature) -> Result<Affine, AuthError> {
    let parts = Parts::read(signature)?;
    let point = Affine::decompress(parts.x, parts.odd).ok_or(AuthError::NotRecoverable)?;
    let inverse = invert(&parts.r);
    let generator = -(scalar_of(digest) * inverse);
    generator_and_point(&generator, &(parts.s * inverse), point).to_affine().ok_or(AuthError::NotRecoverable)
}

/// A signature taken apart, each part in its range and `s` in the lower half.
pub(crate) struct Parts {
    pub(crate) r: Scalar,
    pub(crate) s: Scalar,
    /// `r` once more, as the x coordinate that it is.
    pub(crate) x: Field,
    pub(crate) odd: bool,
}

impl Parts {
    pub(crate) fn read(signature: &Signature) -> Result<Self, AuthError> {
        let odd = signature.vs[0] & PARITY_BIT != 0;
        let mut s = signature.vs;
        s[0] &= !PARITY_BIT;
        let (r, s) = scalars(signature.r, s)?;
        let x = Field::from_bytes(&signature.r).expect("the order is below the field's prime");
        Ok(Self { r, s, x, odd })
    }
}

/// Reads a signature of 64 bytes (ERC-2098) or 65 (`r ‖ s ‖ v`, as wallets return it).
///
/// # Errors
/// If the bytes have neither form, or `s` is in the upper half (so that `vs` cannot hold it, and because every signature
/// has such a twin).
pub fn parse_signature(bytes: &[u8]) -> Result<Signature, AuthError> {
    let (compact, v) = match bytes.len() {
        64 => (bytes, None),
        65 => (&bytes[..64], Some(bytes[64])),
        got => return Err(AuthError::WrongLength { got }),
    };
    let mut signature = Signature::default();
    signature.r.copy_from_slice(&compact[..32]);
    signature.vs.copy_from_slice(&compact[32..]);
    if let Some(v) = v {
        let parity = match v {
            0 | 27 => 0,
            1 | 28 => PARITY_BIT,
            got => return Err(AuthError::WrongV { got }),
        };
        scalars(signature.r, signature.vs)?;
        signature.vs[0] |= parity;
    } else {
        let mut s = signature.vs;
        s[0] &= !PARITY_BIT;
        scalars(signature.r, s)?;
    }
    Ok(signature)
}

/// The 64 bytes `r ‖ vs`.
#[must_use]
pub fn signature_bytes(signature: &Signature) -> [u8; 64] {
    let mut bytes = [0_u8; 64];
    bytes[..32].copy_from_slice(&signature.r);
    bytes[32..].copy_from_slice(&signature.vs);
    bytes
}

pub(crate) fn from_ecdsa(ecdsa: &Ecdsa, odd: bool) -> Signature {
    let (r, s) = ecdsa.split_bytes();
    let mut signature = Signature { r: r.into(), vs: s.into() };
    if odd {
        signature.vs[0] |= PARITY_BIT;
    }
    signature
}

pub(crate) fn address_of(key: &Affine) -> Address {
    let mut coordinates = [0; 64];
    coordinates[..32].copy_from_slice(&key.x.to_bytes());
    coordinates[32..].copy_from_slice(&key.y.to_bytes());
    Address::from_word(keccak256(coordinates))
}

/// A digest as the number that is signed.
pub(crate) fn scalar_of(digest: B256) -> Scalar {
    Scalar::reduce(&FieldBytes::from(digest.0))
}

fn scalars(r: [u8; 32], s: [u8; 32]) -> Result<(Scalar, Scalar), AuthError> {
    let in_range = |scalar: [u8; 32]| {
        Scalar::from_repr(FieldBytes::from(scalar)).into_option().filter(|scalar| !bool::from(scalar.is_zero()))
    };
    let number = in_range(r).ok_or(AuthError::ScalarOutOfRange { scalar: "r" })?;
    let proof = in_range(s).ok_or(AuthError::ScalarOutOfRange { scalar: "s" })?;
    if bool::from(proof.is_high()) {
        return Err(AuthError::HighS);
    }
    Ok((number, proof))
}
