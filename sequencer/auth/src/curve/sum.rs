//! Many points times many factors, added up: Pippenger's buckets, filled by affine additions.
//!
//! A factor is written in signed digits of some bits each. For one digit's place, each point goes to the bucket of its
//! digit (its opposite, for a negative digit), the points of each bucket are added up, and the sum over `digit · bucket` is
//! two additions a bucket. The points are added in pairs until each bucket has one, so that a round's pairs can share an
//! inversion.

use super::pairs::Pairs;
use super::point::{Affine, Jacobian};

/// Points that are in the buckets at once: half a megabyte, so that they stay in the second cache.
const ENTRIES: usize = 8_192;

/// What a bucket costs in affine additions, at least: a mixed and a full Jacobian addition.
const BUCKET_COST: usize = 4;

/// Widths of digits among which the cheapest is taken.
const WIDTHS: core::ops::RangeInclusive<u32> = 2..=12;

/// Adds up terms; keeps its memory from one sum to the next.
#[derive(Debug, Default)]
pub(crate) struct Summer {
    /// How many points stand in each bucket, by place and digit.
    counts: Vec<usize>,
    /// The points of the buckets, one bucket after the other.
    entries: Vec<Affine>,
    /// Where the next point of each bucket goes, while they are filled.
    ends: Vec<usize>,
    /// Where the pairs of a round begin, and their sums.
    pairs: Vec<usize>,
    sums: Vec<Option<Affine>>,
    adder: Pairs,
}

impl Summer {
    /// `Σ factor · point`.
    pub(crate) fn sum(&mut self, terms: &[(Affine, u128)]) -> Jacobian {
        let digits = Digits::for_terms(terms);
        let at_once = (ENTRIES / terms.len().max(1)).max(1);
        let mut total = Jacobian::INFINITY;
        let mut end = digits.places;
        while end > 0 {
            let first = end.saturating_sub(at_once);
            self.fill(terms, &digits, first..end);
            while self.halve() {}
            let mut buckets = self.entries.as_slice();
            // Buckets lie in the order of their places, and the highest place is wanted first.
            for counts in self.counts.chunks_exact(digits.buckets()).rev() {
                let held = counts.iter().sum::<usize>();
                let (others, mine) = buckets.split_at(buckets.len() - held);
                buckets = others;
                for _ in 0..digits.width {
                    total = total.double();
                }
                total = total.add(weighted(counts, mine));
            }
            end = first;
        }
        total
    }

    /// Puts every term into its bucket of each of the places.
    fn fill(&mut self, terms: &[(Affine, u128)], digits: &Digits, places: core::ops::Range<usize>) {
        let buckets = digits.buckets();
        self.counts.clear();
        self.counts.resize(buckets * places.len(), 0);
        for (row, place) in places.clone().enumerate() {
            let counts = &mut self.counts[row * buckets..][..buckets];
            for (_, factor) in terms {
                if let Some((_, bucket)) = digits.bucket(*factor, place) {
                    counts[bucket] += 1;
                }
            }
        }
        let mut end = 0;
        self.ends.clear();
        self.ends.extend(self.counts.iter().map(|count| {
            let start = end;
            end += count;
            start
        }));
        // Room for all that there can be, so that no random factor asks for more later.
        let most = terms.len() * places.len();
        self.entries.clear();
        self.entries.reserve(most);
        self.entries.resize(end, Affine::GENERATOR);
        self.pairs.clear();
        self.pairs.reserve(most / 2);
        self.sums.clear();
        self.sums.reserve(most / 2);
        self.adder.reserve(most / 2);
        for (row, place) in places.enumerate() {
            let ends = &mut self.ends[row * buckets..][..buckets];
            for (point, factor) in terms {
                if let Some((negative, bucket)) = digits.bucket(*factor, place) {
                    self.entries[ends[bucket]] = point.negate_if(negative);
                    ends[bucket] += 1;
                }
            }
        }
    }

    /// Adds the points of each bucket in pairs; false if no bucket held two.
    fn halve(&mut self) -> bool {
        self.pairs.clear();
        let mut start = 0;
        for &count in &self.counts {
            self.pairs.extend((start..start + count - count % 2).step_by(2));
            start += count;
        }
        if self.pairs.is_empty() {
            return false;
        }
        self.sums.clear();
        self.adder.add(&self.entries, &self.pairs, &mut self.sums);
        // Sums and what was left alone move together, and never past where they came from.
        let mut sums = self.sums.iter();
        let (mut read, mut write) = (0, 0);
        for count in &mut self.counts {
            let start = write;
            for sum in sums.by_ref().take(*count / 2).flatten() {
                self.entries[write] = *sum;
                write += 1;
            }
            read += *count;
            if *count % 2 == 1 {
                self.entries[write] = self.entries[read - 1];
                write += 1;
            }
            *count = write - start;
        }
        self.entries.truncate(write);
        true
    }
}

/// The place of a factor's digits.
struct Digits {
    width: u32,
    places: usize,
    /// Half a digit in every place but the last. What is added to all digits alike and taken from each again makes them
    /// signed without carrying.
    bias: u128,
}

impl Digits {
    /// The width that makes the sum of these terms cheapest.
    fn for_terms(terms: &[(Affine, u128)]) -> Self {
        let bits: usize = terms.iter().map(|(_, factor)| (u128::BITS - factor.leading_zeros()) as usize).sum();
        let most = terms.iter().map(|(_, factor)| u128::BITS - factor.leading_zeros()).max().unwrap_or(0);
        let cost = |width: u32| {
            let buckets = ((most / width + 1) as usize) << (width - 1);
            bits / width as usize + BUCKET_COST * buckets
        };
        Self::new(WIDTHS.min_by_key(|&width| cost(width)).expect("there are widths"))
    }

    fn new(width: u32) -> Self {
        let places = u128::BITS / width + 1;
        let bias = (0..places - 1).map(|place| 1 << (place * width + width - 1)).sum();
        Self { width, places: places as usize, bias }
    }

    /// Buckets of one place.
    fn buckets(&self) -> usize {
        1 << (self.width - 1)
    }

    /// The bucket of a factor's digit, and whether the digit is negative; none for a digit of 0.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "places are few, and digits have 12 bits")]
    fn bucket(&self, factor: u128, place: usize) -> Option<(bool, usize)> {
        let (biased, carry) = factor.overflowing_add(self.bias);
        let shift = self.width * place as u32;
        let half = 1 << (self.width - 1);
        let digit = if place + 1 < self.places {
            (biased >> shift) as i64 & (2 * half - 1)
        } else {
            // Less than half a digit is left above: there are not as many bits.
            let above = biased.checked_shr(shift).unwrap_or(0) as i64;
            half + above + (i64::from(carry) << (u128::BITS - shift))
        };
        let digit = digit - half;
        (digit != 0).then(|| (digit < 0, digit.unsigned_abs() as usize - 1))
    }
}

/// `Σ (i + 1) · bucket i`, where a bucket holds a point or none: the sum over all sums from a bucket to the last.
fn weighted(counts: &[usize], mut points: &[Affine]) -> Jacobian {
    let (mut from_here, mut total) = (Jacobian::INFINITY, Jacobian::INFINITY);
    for &count in counts.iter().rev() {
        if count == 1 {
            let (point, others) = points.split_last().expect("as many points as counted");
            from_here = from_here.add_affine(*point);
            points = others;
        }
        total = total.add(from_here);
    }
    total
}
