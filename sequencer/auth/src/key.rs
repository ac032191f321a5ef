//! Private keys.

use core::fmt;
use core::str::FromStr;

use alloy_primitives::{Address, B256, hex, keccak256};
use k256::FieldBytes;
use k256::ecdsa::SigningKey;
use k256::elliptic_curve::Generate;
use xos_types::{Signature, Signed};

use crate::domain::Domain;
use crate::signature::{AuthError, from_ecdsa};
use crate::typed::Typed;

/// A secp256k1 private key. Shows its address and nothing else; wiped from memory when dropped.
#[derive(Clone)]
pub struct Key {
    secret: SigningKey,
    address: Address,
}

impl Key {
    /// A key from the 32 bytes of its scalar.
    ///
    /// # Errors
    /// If the number is zero or not below the curve order.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, AuthError> {
        let secret = SigningKey::from_bytes(&FieldBytes::from(bytes))
            .map_err(|_| AuthError::BadKey { reason: "the number is zero or not below the curve order" })?;
        Ok(Self::new(secret))
    }

    /// A key from 64 hexadecimal digits, with or without `0x`.
    ///
    /// # Errors
    /// If the text is not that, or the number no key.
    pub fn from_hex(text: &str) -> Result<Self, AuthError> {
        let mut bytes = [0_u8; 32];
        hex::decode_to_slice(text.trim(), &mut bytes)
            .map_err(|_| AuthError::BadKey { reason: "expected 64 hexadecimal digits, with or without 0x" })?;
        Self::from_bytes(bytes)
    }

    /// A new key from the operating system's randomness.
    ///
    /// # Panics
    /// If the operating system has none to give.
    #[must_use]
    pub fn random() -> Self {
        Self::new(SigningKey::generate())
    }

    fn new(secret: SigningKey) -> Self {
        let point = secret.verifying_key().to_sec1_point(false);
        // The first byte says "uncompressed"; an address is the end of the hash of the 64 that follow.
        let address = Address::from_word(keccak256(&point.as_bytes()[1..]));
        Self { secret, address }
    }

    /// The 32 bytes of the scalar, for storing the key. Keep them secret.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.secret.to_bytes().into()
    }

    /// Who this key signs as.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Signs a digest. Deterministic (RFC 6979) and always in the lower half of the curve order.
    #[must_use]
    pub fn sign(&self, digest: B256) -> Signature {
        let (ecdsa, recovery) = self.secret.sign_prehash_recoverable(digest.as_slice());
        from_ecdsa(&ecdsa, recovery.is_y_odd())
    }

    /// Signs a message for a domain.
    #[must_use]
    pub fn sign_typed<T: Typed>(&self, domain: &Domain, message: T) -> Signed<T> {
        let signature = self.sign(domain.digest(&message));
        Signed { message, signature, signer: self.address }
    }
}

impl FromStr for Key {
    type Err = AuthError;

    fn from_str(text: &str) -> Result<Self, AuthError> {
        Self::from_hex(text)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.address)
    }
}
