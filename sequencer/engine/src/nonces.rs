//! Which nonces of an account are spent, and which of the contract's words hold any of their bits.
//!
//! A counter is the custom, and then both sets are one range of numbers that grows at its end: it is kept in the record, and
//! to look or to add costs no way elsewhere and no memory, however long the account lives. Gaps part the ranges; those below
//! the highest lie in an ordered map, `O(log n)`.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xos_types::Nonce;

/// The floor of a closed account.
const CLOSED: u64 = u64::MAX;
/// Nonces of the contract's to a word of storage.
const WORD: u64 = 256;

/// Which nonces are spent: all below the floor, and any others.
#[derive(Debug, Default)]
pub(crate) struct Nonces {
    /// With all below the floor.
    spent: Top,
    /// Words in which the contract holds a bit once every frame is settled: for the estimate of gas.
    settled: Top,
    /// Hardly any account has it, and accounts are many.
    apart: Option<Box<Apart>>,
}

/// What only those have who raise their floor or leave gaps.
#[derive(Debug, Default)]
struct Apart {
    floor: u64,
    spent: Below,
    settled: Below,
}

/// The highest range of a set of numbers, first and last; the wrong way round while there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Top(u64, u64);

/// The ranges below it: the last number of each by its first. Ranges neither overlap nor touch, so that equal sets are equal
/// however they came to be.
type Below = BTreeMap<u64, u64>;

impl Nonces {
    pub(crate) fn floor(&self) -> Nonce {
        Nonce(self.apart.as_ref().map_or(0, |apart| apart.floor))
    }

    /// The lowest nonce above every one used and not below the floor.
    pub(crate) fn next(&self) -> Nonce {
        Nonce(if self.spent.is_none() { 0 } else { self.spent.1.saturating_add(1) })
    }

    /// The last nonce of all is spent from the start: only a closed account's set holds it.
    #[inline(always)]
    pub(crate) fn is_spent(&self, nonce: Nonce) -> bool {
        nonce.0 == CLOSED || self.spent.contains(nonce.0, || self.apart.as_ref().map(|apart| &apart.spent))
    }

    #[inline]
    pub(crate) fn spend(&mut self, nonce: Nonce) {
        self.spend_all(nonce.0, nonce.0);
    }

    #[inline(always)]
    fn spend_all(&mut self, first: u64, last: u64) {
        if !self.spent.grow(first, last) {
            insert(&mut self.spent, &mut self.apart.get_or_insert_default().spent, first, last);
            self.tidy();
        }
    }

    /// Spends every nonce below `floor`; never lowers the floor.
    pub(crate) fn raise_floor(&mut self, floor: Nonce) {
        if floor > self.floor() {
            self.spend_all(0, floor.0 - 1);
            self.apart.get_or_insert_default().floor = floor.0;
        }
    }

    /// Spends every nonce: nothing can be signed for the account any more.
    pub(crate) fn close(&mut self) {
        self.spend_all(0, u64::MAX);
        self.apart.get_or_insert_default().floor = CLOSED;
    }

    /// Whether the account is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.floor() == Nonce(CLOSED) && self.spent.1 == u64::MAX
    }

    /// The contract sets the nonce's bit: something of its message happened.
    #[inline]
    pub(crate) fn settle(&mut self, nonce: Nonce) {
        let word = nonce.0 / WORD;
        if !self.settled.grow(word, word) {
            insert(&mut self.settled, &mut self.apart.get_or_insert_default().settled, word, word);
            self.tidy();
        }
    }

    /// Whether the contract's word of this nonce is in use.
    #[inline]
    pub(crate) fn is_word_settled(&self, nonce: Nonce) -> bool {
        self.settled.contains(nonce.0 / WORD, || self.apart.as_ref().map(|apart| &apart.settled))
    }

    /// Gives back what holds nothing.
    fn tidy(&mut self) {
        let is_nothing = |apart: &Apart| apart.floor == 0 && apart.spent.is_empty() && apart.settled.is_empty();
        if self.apart.as_deref().is_some_and(is_nothing) {
            self.apart = None;
        }
    }
}

impl Default for Top {
    fn default() -> Self {
        Self(1, 0)
    }
}

impl Top {
    fn is_none(self) -> bool {
        self.0 > self.1
    }

    #[inline(always)]
    fn contains<'a>(self, number: u64, below: impl FnOnce() -> Option<&'a Below>) -> bool {
        if number >= self.0 {
            return number <= self.1;
        }
        below().is_some_and(|below| below.range(..=number).next_back().is_some_and(|(_, last)| number <= *last))
    }

    /// Adds all from `first` to `last` if they are in it or right behind it; whether they were.
    #[inline]
    fn grow(&mut self, first: u64, last: u64) -> bool {
        let grows = first >= self.0 && first.saturating_sub(1) <= self.1;
        if grows {
            self.1 = self.1.max(last);
        }
        grows
    }
}

/// Adds all from `first` to `last` to the set of which these are parts.
#[cold]
fn insert(top: &mut Top, below: &mut Below, mut first: u64, mut last: u64) {
    if !top.is_none() {
        below.insert(top.0, top.1);
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
    let (first, last) = below.pop_last().expect("it holds what was just added");
    *top = Top(first, last);
}

impl Serialize for Nonces {
    /// The floor, and of both sets every range in ascending order.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ranges = |top: Top, below: Option<&Below>| {
            let top = (!top.is_none()).then_some((top.0, top.1));
            below.into_iter().flatten().map(|(first, last)| (*first, *last)).chain(top).collect::<Vec<_>>()
        };
        let apart = self.apart.as_deref();
        let spent = ranges(self.spent, apart.map(|apart| &apart.spent));
        let settled = ranges(self.settled, apart.map(|apart| &apart.settled));
        (self.floor().0, spent, settled).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Nonces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (floor, Ranges(spent, below_spent), Ranges(settled, below_settled)) =
            Deserialize::deserialize(deserializer)?;
        let has_apart = floor != 0 || !below_spent.is_empty() || !below_settled.is_empty();
        let apart = has_apart.then(|| Box::new(Apart { floor, spent: below_spent, settled: below_settled }));
        Ok(Self { spent, settled, apart })
    }
}

/// A set as it is written: its highest range, and those below. Nearly every set is one range, and there are two for every account
/// of a snapshot, so they are read without memory of their own.
struct Ranges(Top, Below);

impl<'de> Deserialize<'de> for Ranges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ascending;

        impl<'de> Visitor<'de> for Ascending {
            type Value = Ranges;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("ranges of numbers, ascending")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut ranges: A) -> Result<Ranges, A::Error> {
                let (mut top, mut below) = (Top::default(), Below::new());
                while let Some((first, last)) = ranges.next_element()? {
                    let lower = std::mem::replace(&mut top, Top(first, last));
                    if !lower.is_none() {
                        below.insert(lower.0, lower.1);
                    }
                }
                Ok(Ranges(top, below))
            }
        }

        deserializer.deserialize_seq(Ascending)
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
        let apart = nonces.apart.as_deref().unwrap();
        assert!(apart.spent.is_empty() && apart.floor == 500);
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
            assert!(nonces.apart.is_none());
            assert!(nonces.is_spent(Nonce(start + 999)) && !nonces.is_spent(Nonce(start + 1_000)));
        }
    }

    proptest! {
        #[test]
        fn they_are_a_set_and_its_form_does_not_depend_on_how_it_came_to_be(
            ranges in prop::collection::vec((prop_oneof![0u64..40, (u64::MAX - 40)..=u64::MAX], 0u64..4), 0..60),
        ) {
            let (mut set, mut nonces) = (BTreeSet::new(), Nonces::default());
            for (first, more) in ranges {
                let last = first.saturating_add(more);
                nonces.spend_all(first, last);
                set.extend(first..=last);
                prop_assert_eq!(nonces.next().0, set.last().map_or(0, |last| last.saturating_add(1)));
            }
            let near = (0u64..50).chain((u64::MAX - 50)..u64::MAX);
            prop_assert!(near.into_iter().all(|number| nonces.is_spent(Nonce(number)) == set.contains(&number)));
            let mut counted = Nonces::default();
            set.iter().for_each(|number| counted.spend(Nonce(*number)));
            let bytes = postcard::to_allocvec(&nonces).unwrap();
            prop_assert_eq!(&bytes, &postcard::to_allocvec(&counted).unwrap());
            let again: Nonces = postcard::from_bytes(&bytes).unwrap();
            prop_assert_eq!(bytes, postcard::to_allocvec(&again).unwrap());
        }
    }
}
