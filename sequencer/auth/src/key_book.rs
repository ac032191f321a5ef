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

/// A signer gets a long table when its short one was used so often, which makes up for the time that it takes.
const USES_PER_LONG_TABLE: u32 = 64;

/// For so many tables there is room for a long one.
const TABLES_PER_LONG: usize = 32;

/// As many tables are made in the time of a long one.
const LONG_TABLE: usize = 8;

/// Public keys by address. A signature shows its signer's key only after a whole recovery; whoever has shown it once is
/// checked by it from then on, and from the second time by a table of its multiples, which is three times as fast. Whoever comes again
/// and again gets a long table, which is faster by a fifth.
///
/// Bounded: it holds at least the last half of its capacity of signers used, and forgets older ones, and so with the tables. It
/// learns only signers that the caller named ([`Claim::signer`](crate::Claim::signer)) and
/// that did sign, so that strangers with new keys cannot push anybody out.
#[derive(Clone, Debug)]
pub struct KeyBook {
    keys: Generations<Known>,
    tables: Generations<Table>,
    long: Generations<Arc<Comb>>,
}

#[derive(Clone, Debug)]
struct Table {
    comb: Arc<Comb>,
    /// Since it was made, or a long one was.
    uses: u32,
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
    /// `tables` tables (rounded up to an even number), of 2 KiB; one in 32 of them may be a long one of 32 KiB beside it.
    #[must_use]
    pub fn with_tables(capacity: usize, tables: usize) -> Self {
        Self {
            keys: Generations::new(capacity.max(1)),
            tables: Generations::new(tables),
            long: Generations::new(tables / TABLES_PER_LONG),
        }
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

    /// The signer's key, and its table if there is one or it is time for one; a use keeps both. `makable` counts the tables that
    /// may still be made.
    pub(crate) fn key(&mut self, signer: Address, makable: &mut usize) -> Option<(Affine, Option<Arc<Comb>>)> {
        let known = self.keys.get(signer)?;
        if let Some(comb) = self.long.get(signer) {
            return Some((known.key, Some(Arc::clone(comb))));
        }
        if let Some(table) = self.tables.get(signer) {
            table.uses = table.uses.saturating_add(1);
            if table.uses < USES_PER_LONG_TABLE || *makable < LONG_TABLE || self.long.size == 0 {
                return Some((known.key, Some(Arc::clone(&table.comb))));
            }
            table.uses = 0;
            *makable -= LONG_TABLE;
            let comb = Arc::new(Comb::of_frequent_signer(known.key));
            self.long.insert(signer, Arc::clone(&comb));
            return Some((known.key, Some(comb)));
        }
        if known.uses > 0 || self.tables.size == 0 {
            known.uses = (known.uses + 1) % USES_PER_TABLE;
            return Some((known.key, None));
        }
        if *makable == 0 {
            return Some((known.key, None));
        }
        known.uses = 1;
        *makable -= 1;
        let (key, comb) = (known.key, Arc::new(Comb::of_signer(known.key)));
        self.tables.insert(signer, Table { comb: Arc::clone(&comb), uses: 0 });
        Some((key, Some(comb)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_again_and_again_has_a_long_table_and_only_so_many_do() {
        let mut book = KeyBook::with_tables(64, 64);
        let signers: Vec<Address> = (1..=5).map(Address::repeat_byte).collect();
        let mut columns = |signer: Address, mut makable: usize| {
            if !book.knows(signer) {
                book.learn(signer, Affine::GENERATOR);
            }
            let (_, comb) = book.key(signer, &mut makable).unwrap();
            assert!(book.long.recent.len() + book.long.older.len() <= 2);
            (comb.unwrap().columns(), makable)
        };
        let short = Comb::of_signer(Affine::GENERATOR).columns();
        let long = Comb::of_frequent_signer(Affine::GENERATOR).columns();
        assert!(long < short);
        for signer in &signers {
            assert_eq!(columns(*signer, LONG_TABLE), (short, LONG_TABLE - 1), "it is made");
            for _ in 1..USES_PER_LONG_TABLE {
                assert_eq!(columns(*signer, LONG_TABLE), (short, LONG_TABLE));
            }
            assert_eq!(columns(*signer, LONG_TABLE - 1), (short, LONG_TABLE - 1), "there is no time for a long one");
            assert_eq!(columns(*signer, LONG_TABLE), (long, 0));
            assert_eq!(columns(*signer, 0), (long, 0), "it is kept");
        }
        assert_eq!(columns(signers[0], LONG_TABLE), (short, LONG_TABLE), "its long one was pushed out");
    }
}
