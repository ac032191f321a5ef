//! The public keys that signers were seen with.

use std::collections::HashMap;

use alloy_primitives::Address;

use crate::curve::Affine;

/// Public keys by address. A signature shows its signer's key only after a whole recovery; whoever has shown it once is
/// checked in batches from then on.
///
/// Bounded: it holds at least the last half of its capacity of signers used, and forgets older ones. It learns only
/// signers that the caller named ([`Claim::signer`](crate::Claim::signer)) and that did sign, so that strangers with new
/// keys cannot push anybody out.
#[derive(Clone, Debug)]
pub struct KeyBook {
    /// How many keys make a generation.
    generation: usize,
    /// Used since the generation began.
    recent: HashMap<Address, Affine>,
    /// Those of the generation before that were not used again.
    older: HashMap<Address, Affine>,
}

impl KeyBook {
    /// An empty book for at most `capacity` keys (rounded up to an even number, 2 at least). A key takes about 100 bytes.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { generation: capacity.div_ceil(2).max(1), recent: HashMap::new(), older: HashMap::new() }
    }

    /// How many keys it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.recent.len() + self.older.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a signature by `signer` can be checked in a batch.
    #[must_use]
    pub fn knows(&self, signer: Address) -> bool {
        self.recent.contains_key(&signer) || self.older.contains_key(&signer)
    }

    /// The signer's key; a use keeps it.
    pub(crate) fn key(&mut self, signer: Address) -> Option<Affine> {
        if let Some(key) = self.recent.get(&signer) {
            return Some(*key);
        }
        let key = self.older.remove(&signer)?;
        self.learn(signer, key);
        Some(key)
    }

    pub(crate) fn learn(&mut self, signer: Address, key: Affine) {
        if self.recent.len() == self.generation {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(signer, key);
    }
}
