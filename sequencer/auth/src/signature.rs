//! From signature bytes to the signer.

use alloy_primitives::{Address, B256, keccak256};
use k256::FieldBytes;
use k256::ecdsa::{RecoveryId, Signature as Ecdsa, VerifyingKey};
use xos_types::{Signature, Signed};

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
    let odd = signature.vs[0] & PARITY_BIT != 0;
    let mut s = signature.vs;
    s[0] &= !PARITY_BIT;
    let ecdsa = scalars(signature.r, s)?;
    let key = VerifyingKey::recover_from_prehash(digest.as_slice(), &ecdsa, RecoveryId::new(odd, false))
        .map_err(|_| AuthError::NotRecoverable)?;
    Ok(address_of(&key))
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

pub(crate) fn address_of(key: &VerifyingKey) -> Address {
    let point = key.to_sec1_point(false);
    // The first byte says "uncompressed"; an address is the end of the hash of the 64 that follow.
    Address::from_word(keccak256(&point.as_bytes()[1..]))
}

fn scalars(r: [u8; 32], s: [u8; 32]) -> Result<Ecdsa, AuthError> {
    let in_range = |scalar: [u8; 32]| k256::NonZeroScalar::from_repr(FieldBytes::from(scalar)).into_option();
    let r = in_range(r).ok_or(AuthError::ScalarOutOfRange { scalar: "r" })?;
    let s = in_range(s).ok_or(AuthError::ScalarOutOfRange { scalar: "s" })?;
    let ecdsa = Ecdsa::from_scalars(r, s).map_err(|_| AuthError::NotRecoverable)?;
    if ecdsa.normalize_s() != ecdsa {
        return Err(AuthError::HighS);
    }
    Ok(ecdsa)
}
