//! A position in a perpetual, with the sums over the resting orders that may change it, and the record that an account keeps of it.
//!
//! Every fill takes a record apart and puts it together again, and every order that rests looks at three of its numbers. So its
//! numbers have fixed places, in one of three lengths:
//!
//! ```text
//! narrow  │ head 2 │ size │ bids │ asks │ entry │ unsettled size │ paid up to 2 │
//! losing  │ the same                                                            │ loss 2 │
//! wide    │ head 2 │ the first five in two words each, the last two in four                │
//! ```
//!
//! Lots and prices nearly always fit a word of 32 bits, what is times 1e9 two of them, and few orders rest where they lose
//! against the index. A record keeps the length that it ever needed: orders that come and go move nothing behind it.

use serde::{Deserialize, Serialize};
use xos_types::{Lots, Side};

use crate::feeds::{Feed, notional, scaled};
use crate::holdings::{Counts, Offer};
use crate::packed::{HEADER, Packed};
use crate::wide::{PRICE_SCALE, floor, times};

/// Words of a record.
const NARROW: usize = HEADER + 7;
const LOSING: usize = NARROW + 2;
const WIDE: usize = HEADER + 5 * 2 + 2 * 4;
/// Where a record that is not wide has its size and the lots of its bids; those of its asks follow.
const SIZE: usize = HEADER;
const BIDS: usize = SIZE + 1;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Perpetual {
    /// Signed lots.
    pub(crate) size: i64,
    /// Funding index up to which it has paid.
    pub(crate) paid_up_to: i128,
    /// Lots and average entry price in ticks when the last frame was sealed, as the contract has them; see
    /// [`Perpetual::settle`].
    pub(crate) settled_size: i64,
    pub(crate) entry: u64,
    /// Lines of the open frame are still to be settled.
    pub(crate) unsettled: bool,
    /// Lots of resting bids and of resting asks.
    pub(crate) offered: [u64; 2],
    /// What bids above and asks below the index lose if they fill: atoms times 1e9, at the open frame's price.
    pub(crate) loss: i128,
}

/// The record of a position; see the module's head. Its tag is its user's.
impl Perpetual {
    /// Words of a record at first.
    pub(crate) const WORDS: usize = NARROW;

    /// What stands in a record; `unsettled` is not in it.
    #[inline(always)]
    pub(crate) fn load(list: &Packed, at: usize, unsettled: bool) -> Self {
        let record = list.record(at);
        let (narrow, more) = record.split_first_chunk::<NARROW>().expect("no record is shorter");
        let loss = match *more {
            [] => 0,
            [low, high] => signed(low, high).into(),
            _ => return Self::load_wide(record, unsettled),
        };
        let [.., size, bids, asks, entry, unsettled_size, paid_low, paid_high] = *narrow;
        let size = i64::from(size.cast_signed());
        Self {
            size,
            paid_up_to: signed(paid_low, paid_high).into(),
            settled_size: size - i64::from(unsettled_size.cast_signed()),
            entry: entry.into(),
            unsettled,
            offered: [bids.into(), asks.into()],
            loss,
        }
    }

    /// Gives a record these numbers.
    #[inline(always)]
    pub(crate) fn store(self, list: &mut Packed, at: usize, tag: u8) {
        let Self { size, paid_up_to, settled_size, entry, offered: [bids, asks], loss, .. } = self;
        let unsettled_size = size - settled_size;
        let fits = i32::try_from(size).is_ok()
            & u32::try_from(bids).is_ok()
            & u32::try_from(asks).is_ok()
            & u32::try_from(entry).is_ok()
            & i32::try_from(unsettled_size).is_ok()
            & i64::try_from(paid_up_to).is_ok()
            & i64::try_from(loss).is_ok();
        let needed = match (fits, loss) {
            (true, 0) => NARROW,
            (true, _) => LOSING,
            (false, _) => WIDE,
        };
        let record = list.stretch(at, needed, tag);
        if record.len() == WIDE {
            return self.store_wide(record);
        }
        let (paid, loss) = (words(paid_up_to), words(loss));
        let numbers = [words(size.into())[0], words(bids.into())[0], words(asks.into())[0], words(entry.into())[0]];
        record[SIZE..SIZE + 4].copy_from_slice(&numbers);
        record[SIZE + 4..NARROW].copy_from_slice(&[words(unsettled_size.into())[0], paid[0], paid[1]]);
        if let [low, high] = &mut record[NARROW..] {
            (*low, *high) = (loss[0], loss[1]);
        }
    }

    #[cold]
    fn load_wide(record: &[u32], unsettled: bool) -> Self {
        let long = |place: usize| signed(record[HEADER + 2 * place], record[HEADER + 2 * place + 1]);
        let longest = |place: usize| i128::from(long(place + 1)) << 64 | i128::from(long(place).cast_unsigned());
        let size = long(0);
        Self {
            size,
            paid_up_to: longest(5),
            settled_size: size - long(4),
            entry: long(3).cast_unsigned(),
            unsettled,
            offered: [long(1).cast_unsigned(), long(2).cast_unsigned()],
            loss: longest(7),
        }
    }

    #[cold]
    fn store_wide(self, record: &mut [u32]) {
        let Self { size, paid_up_to, settled_size, entry, offered: [bids, asks], loss, .. } = self;
        let numbers = [size.into(), bids.into(), asks.into(), entry.into(), (size - settled_size).into()];
        let (long, longest) = record[HEADER..].split_at_mut(2 * numbers.len());
        for (place, number) in long.chunks_exact_mut(2).zip(numbers) {
            place.copy_from_slice(&words(number)[..2]);
        }
        for (place, number) in longest.chunks_exact_mut(4).zip([paid_up_to, loss]) {
            place.copy_from_slice(&words(number));
        }
    }

    /// Lots of a record's position, and of the bids and asks that rest there.
    #[inline(always)]
    pub(crate) fn position(list: &Packed, at: usize) -> (i64, [u64; 2]) {
        let record = list.record(at);
        if record.len() == WIDE {
            let Self { size, offered, .. } = Self::load_wide(record, false);
            return (size, offered);
        }
        (i64::from(record[SIZE].cast_signed()), [record[BIDS].into(), record[BIDS + 1].into()])
    }

    /// Gives a record other lots of bids and asks, if there is room for them; whether there was.
    #[inline(always)]
    pub(crate) fn offer(list: &mut Packed, at: usize, offered: [u64; 2]) -> bool {
        let record = list.record_mut(at);
        match offered.map(u32::try_from) {
            [Ok(bids), Ok(asks)] if record.len() < WIDE => record[BIDS..BIDS + 2].copy_from_slice(&[bids, asks]),
            _ => return false,
        }
        true
    }
}

#[inline(always)]
fn signed(low: u32, high: u32) -> i64 {
    (u64::from(high) << 32 | u64::from(low)).cast_signed()
}

/// A number's words, lowest first.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "words are cut out of the number")]
fn words(number: i128) -> [u32; 4] {
    [number as u32, (number >> 32) as u32, (number >> 64) as u32, (number >> 96) as u32]
}

impl Perpetual {
    /// What it is worth at index price, less what its orders would lose and what funding costs.
    pub(crate) fn value(&self, feed: &Feed) -> i128 {
        self.worth(feed, self.loss) + self.funding(feed)
    }

    /// The same without funding, if its orders lost so much.
    #[inline]
    fn worth(&self, feed: &Feed, loss: i128) -> i128 {
        floor(scaled(self.size.into(), feed.price) - loss, PRICE_SCALE)
    }

    pub(crate) fn reserve(&mut self, feed: &Feed, offer: Offer) {
        self.offered[offer.side as usize] += offer.lots.0;
        self.loss += offer.loss(feed.price);
    }

    pub(crate) fn release(&mut self, feed: &Feed, offer: Offer) {
        self.offered[offer.side as usize] -= offer.lots.0;
        self.loss -= offer.loss(feed.price);
    }

    /// See [`Held::requote`]. Most orders lose nothing against the index and lie on the side that is not the larger: then nothing
    /// is to be reckoned.
    #[inline]
    pub(crate) fn requote(&mut self, feed: &Feed, gone: Option<Offer>, comes: Option<Offer>) -> Counts {
        let (loss, largest) = (self.loss, self.largest());
        gone.into_iter().for_each(|gone| self.release(feed, gone));
        comes.into_iter().for_each(|comes| self.reserve(feed, comes));
        let now = self.largest();
        Counts {
            usd: if self.loss == loss { 0 } else { self.worth(feed, self.loss) - self.worth(feed, loss) },
            margin: if now == largest { 0 } else { requirement(largest, feed) - requirement(now, feed) },
        }
    }

    /// What it adds to its account's sums.
    #[inline]
    pub(crate) fn counts(&self, feed: &Feed) -> Counts {
        Counts { usd: self.value(feed), margin: -self.requirement(feed) }
    }

    /// By how much it counts for more than it did before something of it changed.
    #[inline]
    pub(crate) fn counts_more_than(&self, before: &Self, feed: &Feed) -> Counts {
        let (was, now) = (before.largest(), self.largest());
        Counts {
            usd: self.value(feed) - before.value(feed),
            margin: if now == was { 0 } else { requirement(was, feed) - requirement(now, feed) },
        }
    }

    /// The largest position, either way, that its orders could make it.
    #[inline]
    fn largest(&self) -> u64 {
        largest(self.size, self.offered)
    }

    /// What must be there for the largest position.
    #[inline]
    fn requirement(&self, feed: &Feed) -> i128 {
        requirement(self.largest(), feed)
    }

    /// What funding up to now brings, rounded down; negative is what it costs.
    pub(crate) fn funding(&self, feed: &Feed) -> i128 {
        // The index has rarely moved since the account last paid.
        if feed.funding_index == self.paid_up_to {
            return 0;
        }
        floor(times(-i128::from(self.size), feed.funding_index - self.paid_up_to), PRICE_SCALE)
    }

    pub(crate) fn trade(&mut self, feed: &Feed, side: Side, lots: Lots) -> i128 {
        let paid = self.funding(feed);
        self.unsettled = true;
        let lots = i64::try_from(lots.0).expect("an order is at most SIZE_MAX lots");
        self.size += if side == Side::Buy { lots } else { -lots };
        // The contract keeps nothing of a position that is closed.
        self.paid_up_to = if self.size == 0 { 0 } else { feed.funding_index };
        paid
    }

    /// Signed lots change hands outside the book, before any fill of a frame. Returns the cash that funding up to now brings.
    pub(crate) fn hand_over(&mut self, feed: &Feed, lots: i64, notional: u128) -> i128 {
        assert!(self.size == self.settled_size && !self.unsettled, "nothing has traded in the frame yet");
        let paid = self.funding(feed);
        self.size += lots;
        self.paid_up_to = if self.size == 0 { 0 } else { feed.funding_index };
        let side = if lots > 0 { Side::Buy } else { Side::Sell };
        self.settle(side, Lots(lots.unsigned_abs()), notional);
        paid
    }

    /// One line of a sealed frame, as the contract settles it. Lines net an order's fills and stand in the order of its first
    /// one, so the average entry price, which rounds line by line, is theirs and not the fills'.
    pub(crate) fn settle(&mut self, side: Side, lots: Lots, notional: u128) {
        let lots = i64::try_from(lots.0).expect("a line is at most SIZE_MAX lots");
        let before = self.settled_size;
        let after = before + if side == Side::Buy { lots } else { -lots };
        if grows(before, after) {
            let same_side = before.signum() == after.signum();
            let average = if same_side {
                (u128::from(self.entry) * u128::from(before.unsigned_abs()) + notional)
                    / u128::from(after.unsigned_abs())
            } else {
                notional / u128::from(lots.unsigned_abs())
            };
            self.entry = u64::try_from(average).expect("an average of prices of 64 bits");
        }
        if after == 0 {
            self.entry = 0;
        }
        self.settled_size = after;
    }
}

/// The largest position, either way, that so many lots of bids and of asks could make one.
#[inline]
pub(crate) fn largest(size: i64, offered: [u64; 2]) -> u64 {
    // A position and what its orders may make of it are within 2 · POSITION_MAX.
    let most = (size + offered[0].cast_signed()).unsigned_abs();
    let least = (size - offered[1].cast_signed()).unsigned_abs();
    most.max(least)
}

/// What must be there for a position of so many lots.
#[inline]
pub(crate) fn requirement(lots: u64, feed: &Feed) -> i128 {
    feed.tiers().initial(notional(lots, feed.price))
}

/// Whether going from one position to another is more than closing a part of it.
pub(crate) fn grows(before: i64, after: i64) -> bool {
    if after > 0 { after > before || before < 0 } else { after < 0 && (after < before || before > 0) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Mostly what is usual, and now and then of any width.
    fn number() -> impl Strategy<Value = i128> {
        prop_oneof![3 => -1_000i128..1_000, 1 => any::<i32>().prop_map(i128::from), 1 => any::<i64>().prop_map(i128::from)]
    }

    fn perpetual() -> impl Strategy<Value = Perpetual> {
        let long = prop_oneof![3 => Just(0), 2 => any::<i64>().prop_map(i128::from), 1 => any::<i128>()];
        let lots = (number(), number(), number(), number(), number());
        (lots, long.clone(), long, any::<bool>()).prop_map(|(lots, paid_up_to, loss, unsettled)| {
            let (size, settled_size, bids, asks, entry) = lots;
            // A position and what of it is unsettled are far within 64 bits.
            let half = |number: i128| i64::try_from(number).unwrap() / 4;
            let some = |number: i128| i64::try_from(number).unwrap().unsigned_abs();
            Perpetual {
                size: half(size),
                paid_up_to,
                settled_size: half(settled_size),
                entry: some(entry),
                unsettled,
                offered: [some(bids), some(asks)],
                loss,
            }
        })
    }

    proptest! {
        #[test]
        fn a_record_holds_what_was_stored_last_and_leaves_its_neighbours_alone(
            steps in prop::collection::vec((0u32..3, perpetual()), 1..40),
        ) {
            let mut list = Packed::default();
            let mut held = [Perpetual::default(); 3];
            for key in 0..3 {
                let at = list.insert(key, 0, Perpetual::WORDS);
                assert_eq!(Perpetual::load(&list, at, false), Perpetual::default());
            }
            for (key, perpetual) in steps {
                let at = list.find(key).unwrap();
                perpetual.store(&mut list, at, 3);
                held[key as usize] = perpetual;
                let offered = perpetual.offered.map(|lots| lots / 3);
                if Perpetual::offer(&mut list, at, offered) {
                    held[key as usize].offered = offered;
                } else {
                    let wide = offered.iter().any(|lots| u32::try_from(*lots).is_err());
                    prop_assert!(list.record(at).len() == WIDE || wide);
                }
                for (key, held) in (0..3).zip(held) {
                    let at = list.find(key).unwrap();
                    prop_assert_eq!(Perpetual::load(&list, at, held.unsettled), held);
                    prop_assert_eq!(Perpetual::position(&list, at), (held.size, held.offered));
                }
            }
        }
    }

    #[test]
    fn a_record_is_as_long_as_its_numbers_ever_asked_for() {
        let mut list = Packed::default();
        let at = list.insert(7, 0, Perpetual::WORDS);
        let usual = Perpetual {
            size: -5,
            entry: 9,
            paid_up_to: 1 << 62,
            offered: [1, u32::MAX.into()],
            ..Perpetual::default()
        };
        for (perpetual, words) in [
            (usual, NARROW),
            (Perpetual { loss: 1, ..usual }, LOSING),
            (usual, LOSING),
            (Perpetual { entry: 1 << 32, ..usual }, WIDE),
            (usual, WIDE),
        ] {
            perpetual.store(&mut list, at, 0);
            assert_eq!(list.record(at).len(), words);
            assert_eq!(Perpetual::load(&list, at, false), perpetual);
        }
    }
}
