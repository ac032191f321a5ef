//! What has come up already: a set that is asked and emptied often, and allocates only while it grows.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What can be found in a [`Distinct`] by a number that is nearly its own.
pub(crate) trait Key: Copy + Eq {
    fn number(&self) -> u64;
}

/// Places of a table that is kept when it is emptied.
const KEPT: usize = 8_192;

/// A set in order of arrival. It is found by open addressing, half full at most. Keys whose numbers collide make it slower, up
/// to `O(n)` for each look: it is for what gas bounds to about a thousand.
#[derive(Debug)]
pub(crate) struct Distinct<K> {
    /// In order of arrival, which the log decides.
    keys: Vec<K>,
    /// Places of keys, from 1; 0 where there is none. A power of two of them.
    table: Vec<u32>,
}

impl<K> Default for Distinct<K> {
    fn default() -> Self {
        Self { keys: Vec::new(), table: Vec::new() }
    }
}

impl<K: Key> Distinct<K> {
    /// Adds a key; whether it is new.
    pub(crate) fn insert(&mut self, key: K) -> bool {
        if 2 * self.keys.len() >= self.table.len() {
            self.grow();
        }
        let mut at = self.home(&key);
        loop {
            match self.table[at] {
                0 => break,
                place if self.keys[place as usize - 1] == key => return false,
                _ => at = (at + 1) % self.table.len(),
            }
        }
        self.keys.push(key);
        self.table[at] = u32::try_from(self.keys.len()).expect("a frame is sealed long before 2^32 keys");
        true
    }

    /// Forgets all keys and keeps its memory, up to what gas bounds a frame to: a group's first frames have no such bound.
    pub(crate) fn clear(&mut self) {
        if self.table.len() > KEPT {
            *self = Self::default();
        }
        self.keys.clear();
        self.table.fill(0);
    }

    #[allow(clippy::cast_possible_truncation, reason = "masked below the table's length")]
    fn home(&self, key: &K) -> usize {
        let mixed = key.number().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize & (self.table.len() - 1)
    }

    #[cold]
    fn grow(&mut self) {
        let keys = std::mem::take(&mut self.keys);
        self.table = vec![0; (2 * self.table.len()).max(64)];
        self.keys.reserve(self.table.len() / 2);
        for key in keys {
            self.insert(key);
        }
    }
}

impl<K: Serialize> Serialize for Distinct<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.keys.serialize(serializer)
    }
}

impl<'de, K: Key + Deserialize<'de>> Deserialize<'de> for Distinct<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut distinct = Self::default();
        for key in Vec::<K>::deserialize(deserializer)? {
            distinct.insert(key);
        }
        Ok(distinct)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    impl Key for u64 {
        fn number(&self) -> u64 {
            // Some collide.
            self / 3
        }
    }

    proptest! {
        #[test]
        fn a_key_is_new_once_until_all_are_forgotten(keys in prop::collection::vec(0u64..500, 0..900), cut in 0usize..900) {
            let (mut distinct, mut set) = (Distinct::default(), BTreeSet::new());
            for (count, key) in keys.into_iter().enumerate() {
                if count == cut {
                    distinct.clear();
                    set.clear();
                }
                prop_assert_eq!(distinct.insert(key), set.insert(key));
            }
            let bytes = postcard::to_allocvec(&distinct).unwrap();
            let mut again: Distinct<u64> = postcard::from_bytes(&bytes).unwrap();
            prop_assert!(set.iter().all(|key| !again.insert(*key)));
        }
    }
}
