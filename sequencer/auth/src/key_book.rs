//! The public keys that signers were seen with.

use std::collections::HashMap;
use std::sync::Arc;

use alloy_primitives::Address;

use crate::curve::{Affine, Comb};

/// For so many keys there is room for one table, if nobody says how many.
const KEYS_PER_TABLE: usize = 32;

/// A key whose table was pushed out gets another at every so-manieth use, so that more signers than there is room for cost
/// little more than without tables.
const USES_PER_TABLE: u8 = 8;

/// Public keys by address. A signature shows its signer's key only after a whole recovery; whoever has shown it once is
/// checked by it from then on, and from the second time by a table of its multiples, which is two and a half times as fast.
///
/// Bounded: it holds at least the last half of its capacity of signers used, and forgets older ones, and so with the tables. It
/// learns only signers that the caller named ([`Claim::signer`](crate::Claim::signer)) and
/// that did sign, so that strangers with new keys cannot push anybody out.
#[derive(Clone, Debug)]
pub struct KeyBook {
    keys: Generations<Known>,
    combs: Generations<Arc<Comb>>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    key: Affine,
    /// Uses without a table, modulo [`USES_PER_TABLE`].
    uses: u8,
}

impl KeyBook {
    /// An empty book for at most `capacity` keys, and a table for one in 32 of them. See [`Self::with_tables`].
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self::with_tables(capacity, capacity / KEYS_PER_TABLE)
    }

    /// An empty book for at most `capacity` keys (rounded up to an even number, 2 at least), of about 100 bytes, and at most
    /// `tables` tables (rounded up to an even number), of 2 KiB.
    #[must_use]
    pub fn with_tables(capacity: usize, tables: usize) -> Self {
        Self { keys: Generations::new(capacity.max(1)), combs: Generations::new(tables) }
    }

    /// How many keys it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.recent.len() + self.keys.older.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a signature by `signer` can be checked without recovering it.
    #[must_use]
    pub fn knows(&self, signer: Address) -> bool {
        self.keys.recent.contains_key(&signer) || self.keys.older.contains_key(&signer)
    }

    /// The signer's key, and its table if there is one; a use keeps both.
    pub(crate) fn key(&mut self, signer: Address) -> Option<(Affine, Option<Arc<Comb>>)> {
        let known = self.keys.get(signer)?;
        if let Some(comb) = self.combs.get(signer) {
            return Some((known.key, Some(Arc::clone(comb))));
        }
        let due = known.uses == 0 && self.combs.size > 0;
        known.uses = (known.uses + 1) % USES_PER_TABLE;
        let comb = due.then(|| {
            let comb = Arc::new(Comb::of_signer(known.key));
            self.combs.insert(signer, Arc::clone(&comb));
            comb
        });
        Some((known.key, comb))
    }

    pub(crate) fn learn(&mut self, signer: Address, key: Affine) {
        self.keys.insert(signer, Known { key, uses: 0 });
    }
}

/// What is known of signers, the last half of the capacity of those used at least.
#[derive(Clone, Debug)]
struct Generations<T> {
    /// How many make a generation.
    size: usize,
    /// Used since the generation began.
    recent: HashMap<Address, T>,
    /// Those of the generation before that were not used again.
    older: HashMap<Address, T>,
}

impl<T> Generations<T> {
    fn new(capacity: usize) -> Self {
        Self { size: capacity.div_ceil(2), recent: HashMap::new(), older: HashMap::new() }
    }

    fn get(&mut self, signer: Address) -> Option<&mut T> {
        if !self.recent.contains_key(&signer) {
            let value = self.older.remove(&signer)?;
            self.insert(signer, value);
        }
        self.recent.get_mut(&signer)
    }

    fn insert(&mut self, signer: Address, value: T) {
        if self.recent.len() == self.size {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(signer, value);
    }
}
