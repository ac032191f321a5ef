//! Which nonces of an account are spent, and which of the contract's words hold any of their bits.
//!
//! A counter is the custom, and then both sets are one range of numbers that grows at its end: it is kept in the record, and
//! to look or to add costs no way elsewhere and no memory, however long the account lives. Gaps part the ranges; those below
//! the highest lie in an ordered map, `O(log n)`.

use std::collections::BTreeMap;

use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xos_types::Nonce;

/// The floor of a closed account.
const CLOSED: u64 = u64::MAX;
/// Nonces of the contract's to a word of storage.
const WORD: u64 = 256;

/// Which nonces are spent: all below the floor, and any others.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Nonces {
    floor: u64,
    /// With all below the floor.
    spent: Numbers,
    /// Words in which the contract holds a bit once every frame is settled: for the estimate of gas.
    settled: Numbers,
}

impl Nonces {
    pub(crate) fn floor(&self) -> Nonce {
        Nonce(self.floor)
    }

    /// The lowest nonce above every one used and not below the floor.
    pub(crate) fn next(&self) -> Nonce {
        Nonce(self.spent.highest().map_or(0, |highest| highest.saturating_add(1)))
    }

    /// The last nonce of all is spent from the start: only a closed account's set holds it.
    #[inline]
    pub(crate) fn is_spent(&self, nonce: Nonce) -> bool {
        nonce.0 == CLOSED || self.spent.contains(nonce.0)
    }

    #[inline]
    pub(crate) fn spend(&mut self, nonce: Nonce) {
        self.spent.insert(nonce.0, nonce.0);
    }

    /// Spends every nonce below `floor`; never lowers the floor.
    pub(crate) fn raise_floor(&mut self, floor: Nonce) {
        if floor.0 > self.floor {
            self.floor = floor.0;
            self.spent.insert(0, floor.0 - 1);
        }
    }

    /// Spends every nonce: nothing can be signed for the account any more.
    pub(crate) fn close(&mut self) {
        self.floor = CLOSED;
        self.spent.insert(0, u64::MAX);
    }

    /// Whether the account is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.floor == CLOSED && self.spent.contains(u64::MAX)
    }

    /// The contract sets the nonce's bit: something of its message happened.
    #[inline]
    pub(crate) fn settle(&mut self, nonce: Nonce) {
        let word = nonce.0 / WORD;
        self.settled.insert(word, word);
    }

    /// Whether the contract's word of this nonce is in use.
    #[inline]
    pub(crate) fn is_word_settled(&self, nonce: Nonce) -> bool {
        self.settled.contains(nonce.0 / WORD)
    }
}

/// A set of numbers as ranges that neither overlap nor touch, so that equal sets are equal however they came to be.
#[derive(Debug)]
struct Numbers {
    /// The highest range, first and last; the wrong way round while there is none.
    top: (u64, u64),
    /// The ranges below it, if there ever were any: the last number of each by its first.
    #[allow(
        clippy::box_collection,
        reason = "hardly any account has one, and accounts are many: a word instead of three"
    )]
    below: Option<Box<BTreeMap<u64, u64>>>,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { top: (1, 0), below: None }
    }
}

impl Numbers {
    fn is_empty(&self) -> bool {
        self.top.0 > self.top.1
    }

    fn highest(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.top.1)
    }

    #[inline]
    fn contains(&self, number: u64) -> bool {
        let (first, last) = self.top;
        if number >= first {
            return number <= last;
        }
        let Some(below) = &self.below else { return false };
        below.range(..=number).next_back().is_some_and(|(_, last)| number <= *last)
    }

    /// Adds all from `first` to `last`.
    #[inline]
    fn insert(&mut self, first: u64, last: u64) {
        // In the highest range or right behind it.
        if first >= self.top.0 && first.saturating_sub(1) <= self.top.1 {
            self.top.1 = self.top.1.max(last);
        } else {
            self.insert_apart(first, last);
        }
    }

    #[cold]
    fn insert_apart(&mut self, mut first: u64, mut last: u64) {
        let is_empty = self.is_empty();
        let below = self.below.get_or_insert_default();
        if !is_empty {
            below.insert(self.top.0, self.top.1);
        }
        // What it overlaps or touches becomes part of it.
        while let Some((&start, &end)) = below.range(..=last.saturating_add(1)).next_back()
            && end >= first.saturating_sub(1)
        {
            below.remove(&start);
            first = first.min(start);
            last = last.max(end);
        }
        below.insert(first, last);
        self.top = below.pop_last().expect("it holds what was just added");
        if below.is_empty() {
            self.below = None;
        }
    }
}

impl Serialize for Numbers {
    /// Every range, in ascending order.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let top = (!self.is_empty()).then_some(self.top);
        let ranges = self.below.iter().flat_map(|below| below.iter()).map(|(first, last)| (*first, *last)).chain(top);
        let mut list = serializer
            .serialize_seq(Some(self.below.as_ref().map_or(0, |below| below.len()) + usize::from(top.is_some())))?;
        for range in ranges {
            list.serialize_element(&range)?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut below: BTreeMap<u64, u64> = Vec::<(u64, u64)>::deserialize(deserializer)?.into_iter().collect();
        let top = below.pop_last();
        let below = (!below.is_empty()).then(|| Box::new(below));
        Ok(top.map_or_else(Self::default, |top| Self { top, below }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn any_unused_nonce_at_or_above_the_floor_is_good_once() {
        let mut nonces = Nonces::default();
        for nonce in [0, 63, 64, 1_000_000, u64::MAX - 1] {
            assert!(!nonces.is_spent(Nonce(nonce)));
            nonces.spend(Nonce(nonce));
            assert!(nonces.is_spent(Nonce(nonce)));
        }
        assert!(!nonces.is_spent(Nonce(1)));
        assert!(!nonces.is_spent(Nonce(65)));
    }

    #[test]
    fn a_raised_floor_spends_everything_below_and_never_falls() {
        let mut nonces = Nonces::default();
        nonces.spend(Nonce(70));
        nonces.spend(Nonce(200));
        nonces.raise_floor(Nonce(71));
        assert!(nonces.is_spent(Nonce(3)) && nonces.is_spent(Nonce(70)) && !nonces.is_spent(Nonce(71)));
        nonces.raise_floor(Nonce(5));
        assert_eq!(nonces.floor(), Nonce(71));
        assert!(nonces.is_spent(Nonce(200)));
        assert_eq!(nonces.next(), Nonce(201));
        nonces.raise_floor(Nonce(500));
        assert_eq!(nonces.next(), Nonce(500));
        assert!(nonces.spent.below.is_none());
    }

    #[test]
    fn who_counts_needs_no_memory_wherever_the_counter_began() {
        for start in [0, 1, 1_780_000_000_000] {
            let mut nonces = Nonces::default();
            for nonce in (start..start + 1_000).map(Nonce) {
                assert!(!nonces.is_spent(nonce));
                nonces.spend(nonce);
                nonces.settle(nonce);
            }
            assert!(nonces.spent.below.is_none() && nonces.settled.below.is_none());
            assert!(nonces.is_spent(Nonce(start + 999)) && !nonces.is_spent(Nonce(start + 1_000)));
        }
    }

    proptest! {
        #[test]
        fn they_are_a_set_and_its_form_does_not_depend_on_how_it_came_to_be(
            ranges in prop::collection::vec((prop_oneof![0u64..40, (u64::MAX - 40)..=u64::MAX], 0u64..4), 0..60),
        ) {
            let (mut set, mut numbers) = (BTreeSet::new(), Numbers::default());
            for (first, more) in ranges {
                let last = first.saturating_add(more);
                numbers.insert(first, last);
                set.extend(first..=last);
                prop_assert_eq!(numbers.highest(), set.last().copied());
            }
            let near = (0u64..50).chain((u64::MAX - 50)..=u64::MAX);
            prop_assert!(near.into_iter().all(|number| numbers.contains(number) == set.contains(&number)));
            let mut counted = Numbers::default();
            set.iter().for_each(|number| counted.insert(*number, *number));
            prop_assert_eq!(postcard::to_allocvec(&numbers).unwrap(), postcard::to_allocvec(&counted).unwrap());
        }
    }
}
