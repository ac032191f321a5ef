//! EIP-712 digests and the signatures over them.
//!
//! A message is hashed by [`Domain`], which binds it to one deployment and one group, and signed with a [`Key`]; a
//! gateway turns message and signature back into the signer with [`verify`], or many at once with a [`Verifier`] and the
//! keys of a [`KeyBook`]. A [`Tree`] makes one signature stand for many orders. Hashes are equal to the contract's, bit for
//! bit: `test/vectors/eip712.json` holds both to one outside tool.
//!
//! Limits: secp256k1 keys only (no contract signatures: settlement asks nobody). Checking is variable time in its public
//! inputs; signing is constant time in the key and deterministic (RFC 6979). What it costs stands in
//! docs/decisions/0027: a known signer's signature less than half of libsecp256k1's recovery alone, and a ninth among eight, with
//! AVX-512; an order's digest 0.4 µs among others and 1.6 alone. Neither allocates once there was room.

mod batch;
mod curve;
mod domain;
mod keccak;
mod key;
mod key_book;
mod processor;
mod signature;
mod tree;
mod typed;

pub use batch::{Claim, Verdict, Verifier};
pub use domain::Domain;
pub use key::Key;
pub use key_book::KeyBook;
pub use signature::{AuthError, parse_signature, recover, signature_bytes, verify};
pub use tree::{Tree, tree_of};
pub use typed::{Batch, Encoder, LogHead, Typed};
