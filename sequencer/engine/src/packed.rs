//! Records of a few numbers each, packed into one list.
//!
//! Of what an account may have in a market most is nothing most of the time, lots and prices fit 32 bits, and what does not fits 64.
//! So a record is a header and its numbers, each in no more words of 32 bits than it needs:
//!
//! ```text
//! ┌──────────────────────── header ────────────────────────┬──────────┬─────────────────────┬──── ─ ─
//! │ key 32 │ words 8 │ tag 8 │ widths 8 · 2: 0, 1, 2 or 4 │ a number │ a larger one: two   │
//! └────────────────────────────────────────────────────────┴──────────┴─────────────────────┴──── ─ ─
//! ```
//!
//! Records are in ascending order of their keys, and found by going from header to header: an account has few, and one after the
//! other they are a line or two of the cache. A number keeps the words that it ever needed as long as its record is there, and a
//! list grows by a sixteenth and never shrinks: so orders that come and go neither move what lies behind them nor ask for
//! memory.

use xos_book::fetch;

use crate::room::SIXTEENTH;

/// See the module's head. Behind the last record there is a header of nothing at least: a length and a capacity would be two
/// words more of every account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packed(Box<[u32]>);

/// Numbers of a record at most, and words of its header.
const NUMBERS_MAX: usize = 8;
pub(crate) const HEADER: usize = 2;
/// Words of a cache line, and how many lines of a list are worth being fetched.
const LINE: usize = 16;
const LINES: usize = 5;

/// What a width leaves of the two words where a number begins, and by how many bits it stands too low there to be signed.
const MASKS: [u64; 4] = [0, u32::MAX as u64, u64::MAX, u64::MAX];
const SIGNS: [u32; 4] = [0, 32, 0, 0];
/// The width of a number of four words.
const WIDE: usize = 3;

/// Everything but the key.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// With the header; 0 behind the last record.
    words: u8,
    tag: u8,
    /// Of each number, from the lowest bits.
    widths: u16,
}

impl Shape {
    #[inline]
    fn pack(self) -> u32 {
        u32::from(self.words) << 24 | u32::from(self.tag) << 16 | u32::from(self.widths)
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "each part is cut out of the word")]
    fn unpack(word: u32) -> Self {
        Self { words: (word >> 24) as u8, tag: (word >> 16) as u8, widths: word as u16 }
    }
}

impl Packed {
    pub(crate) fn is_empty(&self) -> bool {
        self.key(0).is_none()
    }

    /// Words of all records.
    pub(crate) fn words(&self) -> usize {
        self.end(0)
    }

    /// Where the first record lies whose key is not below that one, if any: else the end.
    #[inline]
    pub(crate) fn lower_bound(&self, key: u32) -> usize {
        let mut at = 0;
        while let Some(found) = self.key(at)
            && found < key
        {
            at = self.next(at);
        }
        at
    }

    /// Where the record of a key lies.
    #[inline]
    pub(crate) fn find(&self, key: u32) -> Option<usize> {
        let at = self.lower_bound(key);
        (self.key(at) == Some(key)).then_some(at)
    }

    /// Fetches its first cache lines; as many requests however long it is, because a branch on its length is guessed wrong half of
    /// the time.
    #[inline]
    pub(crate) fn fetch(&self) {
        let Some(last) = self.0.len().checked_sub(1) else { return };
        (0..=LINES).for_each(|line| fetch(&self.0[last.min(line * LINE)]));
    }

    /// Key of the record there; `None` at the end.
    #[inline]
    pub(crate) fn key(&self, at: usize) -> Option<u32> {
        let is_record = *self.0.get(at + 1)? != 0;
        is_record.then(|| self.0[at])
    }

    #[inline]
    pub(crate) fn tag(&self, at: usize) -> u8 {
        self.shape(at).tag
    }

    /// Where the record behind that one lies.
    #[inline]
    pub(crate) fn next(&self, at: usize) -> usize {
        at + usize::from(self.shape(at).words)
    }

    /// Where the records from `at` on lie.
    pub(crate) fn places(&self, at: usize) -> impl Iterator<Item = usize> {
        let is_record = |at: &usize| self.key(*at).is_some();
        std::iter::successors(Some(at).filter(is_record), move |at| Some(self.next(*at)).filter(is_record))
    }

    /// A record's numbers. Widths are as good as random, so that only what is hardly ever there costs a branch; and nothing here
    /// panics, so that a number which nobody asks for costs nothing.
    #[inline(always)]
    pub(crate) fn read<const N: usize>(&self, at: usize) -> [i128; N] {
        let word = |at: usize| u64::from(self.0.get(at).copied().unwrap_or_default());
        let mut widths = self.shape(at).widths;
        let mut next = at + HEADER;
        let mut numbers = [0; N];
        for number in &mut numbers {
            let width = usize::from(widths & 3);
            widths >>= 2;
            let low = (word(next) | word(next + 1) << 32) & MASKS[width];
            *number = i128::from((low << SIGNS[width]).cast_signed() >> SIGNS[width]);
            if width == WIDE {
                let high = word(next + 2) | word(next + 3) << 32;
                *number = i128::from(high.cast_signed()) << 64 | i128::from(low);
            }
            next += width + usize::from(width == WIDE);
        }
        numbers
    }

    /// All words of a record; behind its header, they are what its user says if they are no numbers of their own widths.
    #[inline(always)]
    pub(crate) fn record(&self, at: usize) -> &[u32] {
        &self.0[at..self.next(at)]
    }

    #[inline(always)]
    pub(crate) fn record_mut(&mut self, at: usize) -> &mut [u32] {
        let end = self.next(at);
        &mut self.0[at..end]
    }

    /// Gives a record so many words, if it has fewer, and another tag. Words that are new hold anything.
    #[inline(always)]
    pub(crate) fn stretch(&mut self, at: usize, words: usize, tag: u8) -> &mut [u32] {
        let before = self.shape(at).words;
        let words = words.max(before.into());
        if words > before.into() {
            self.resize(at, before.into(), words);
        }
        let shape = Shape { words: u8::try_from(words).expect("a record is at most 34 words"), tag, widths: 0 };
        self.0[at + 1] = shape.pack();
        &mut self.0[at..at + words]
    }

    /// Adds a record of so many words, zeros behind its header.
    pub(crate) fn insert(&mut self, key: u32, tag: u8, words: usize) -> usize {
        let at = self.lower_bound(key);
        debug_assert!(self.key(at) != Some(key), "a key has one record");
        self.resize(at, 0, words);
        self.0[at..at + words].fill(0);
        self.0[at] = key;
        self.0[at + 1] =
            Shape { words: u8::try_from(words).expect("a record is at most 34 words"), tag, widths: 0 }.pack();
        at
    }

    /// Gives a record other numbers, word by word where they will lie: to read a copy at once that was written in parts makes the
    /// processor wait.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "words are cut out of numbers")]
    pub(crate) fn write<const N: usize>(&mut self, at: usize, tag: u8, numbers: &[i128; N]) {
        const { assert!(N <= NUMBERS_MAX) };
        let before = self.shape(at);
        let (mut count, mut widths) = (HEADER, 0);
        for (place, number) in numbers.iter().enumerate() {
            let low = *number as i64;
            let needed = if i128::from(low) == *number { width_of(low) } else { WIDE };
            let width = needed.max(usize::from(before.widths >> (2 * place) & 3));
            count += width + usize::from(width == WIDE);
            widths |= (width as u16) << (2 * place);
        }
        let words = u8::try_from(count).expect("a record is at most 34 words");
        if words != before.words {
            self.resize(at, before.words.into(), count);
        }
        let record = &mut self.0[at..at + count];
        record[1] = Shape { words, tag, widths }.pack();
        let mut next = HEADER;
        for (place, number) in numbers.iter().enumerate() {
            let width = usize::from(widths >> (2 * place) & 3);
            if width >= 1 {
                record[next] = *number as u32;
            }
            if width >= 2 {
                record[next + 1] = (*number >> 32) as u32;
            }
            if width == WIDE {
                record[next + 2] = (*number >> 64) as u32;
                record[next + 3] = (*number >> 96) as u32;
            }
            next += width + usize::from(width == WIDE);
        }
    }

    /// Takes a record out.
    pub(crate) fn remove(&mut self, at: usize) {
        self.resize(at, self.shape(at).words.into(), 0);
    }

    #[inline]
    fn shape(&self, at: usize) -> Shape {
        Shape::unpack(self.0[at + 1])
    }

    /// Where the records from `at` on end.
    fn end(&self, at: usize) -> usize {
        let mut end = at;
        while self.key(end).is_some() {
            end = self.next(end);
        }
        end
    }

    /// What is `before` words long, in front of other records or of nothing, comes to be `after` words long; what lies behind it
    /// moves.
    fn resize(&mut self, at: usize, before: usize, after: usize) {
        let end = self.end(at + before);
        let length = end - before + after;
        if length + HEADER > self.0.len() {
            let room = (length + HEADER).max(self.0.len() + self.0.len() / SIXTEENTH);
            let mut longer = vec![0; room].into_boxed_slice();
            longer[..end].copy_from_slice(&self.0[..end]);
            self.0 = longer;
        }
        self.0.copy_within(at + before..end, at + after);
        if length < end {
            self.0[length..end].fill(0);
        }
    }
}

/// Words that a number takes.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "it is what is asked about")]
fn width_of(number: i64) -> usize {
    usize::from(number != 0) + usize::from(i64::from(number as i32) != number)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = i128> {
        const EDGES: [i128; 9] =
            [0, 1, -1, i64::MAX as i128, i64::MIN as i128, 1 << 63, -(1 << 64), i128::MAX, i128::MIN];
        prop_oneof![2 => Just(0), 2 => any::<i64>().prop_map(i128::from), 1 => any::<i128>(), 1 => prop::sample::select(&EDGES[..])]
    }

    proptest! {
        #[test]
        fn they_are_an_ordered_map_of_numbers(
            steps in prop::collection::vec((0u32..12, any::<u8>(), prop::option::of(prop::array::uniform5(number()))), 0..100),
        ) {
            let (mut packed, mut map) = (Packed::default(), BTreeMap::new());
            for (key, tag, numbers) in steps {
                match (packed.find(key), numbers) {
                    (Some(at), None) => packed.remove(at),
                    (None, None) => {}
                    (found, Some(numbers)) => {
                        let at = found.unwrap_or_else(|| packed.insert(key, tag, HEADER));
                        packed.write(at, tag, &numbers);
                    }
                }
                match numbers {
                    Some(numbers) => map.insert(key, (tag, numbers)),
                    None => map.remove(&key),
                };
                let all = packed.places(0).map(|at| (packed.key(at).unwrap(), (packed.tag(at), packed.read::<5>(at))));
                prop_assert_eq!(all.collect::<Vec<_>>(), map.iter().map(|(key, record)| (*key, *record)).collect::<Vec<_>>());
                prop_assert_eq!(packed.is_empty(), map.is_empty());
                for key in 0..13 {
                    prop_assert_eq!(packed.find(key).is_some(), map.contains_key(&key));
                    prop_assert_eq!(packed.key(packed.lower_bound(key)), map.range(key..).next().map(|(key, _)| *key));
                }
            }
        }
    }

    #[test]
    fn what_is_zero_takes_no_memory_what_is_small_a_word_and_what_was_large_keeps_its_room() {
        let mut packed = Packed::default();
        let at = packed.insert(7, 0, HEADER);
        for (numbers, words) in [
            ([0; 4], 2),
            ([0, 5, -5, 0], 4),
            ([0, 1 << 31, 1 << 63, -1], 9),
            ([3, 0, 0, 0], 10),
            ([i128::MIN; 4], 18),
            ([0; 4], 18),
        ] {
            packed.write(at, 0, &numbers);
            assert_eq!((packed.words(), packed.read(at)), (words, numbers));
        }
    }
}
