//! Volume tiers: whoever trades much at a venue pays a share of what its markets charge.
//!
//! Volume is the value of fills, taking and making, by venue. An isolated account's is its parent's, and so is its tier. It counts
//! in the period in which its frame is and in the next one, so what was traded counts for one to two periods. It is counted when a
//! frame is sealed, and periods turn when one opens: within a frame nobody's tier changes.
//!
//! Only venues that have tiers are counted; elsewhere this costs an account nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xos_types::{AccountId, Event, FeeTier, Ppm, TimeMs, VenueId};

use crate::engine::{Engine, event_index};
use crate::fees::part;
use crate::terms::Terms;

/// How long a period is; the first one began with 1970.
const PERIOD_MS: u64 = 14 * 24 * 3_600_000;

/// A venue's tiers, and who has traded how much there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tiers {
    table: Vec<FeeTier>,
    /// Atoms of this period and of the one before.
    now: BTreeMap<AccountId, u128>,
    before: BTreeMap<AccountId, u128>,
}

impl Tiers {
    fn count(&mut self, account: AccountId, value: u128) {
        let traded = self.now.entry(account.parent()).or_default();
        // More than the contract's highest threshold is all the same.
        *traded = traded.saturating_add(value);
    }

    fn traded(&self, account: AccountId) -> u128 {
        let of = |period: &BTreeMap<AccountId, u128>| period.get(&account.parent()).copied().unwrap_or(0);
        of(&self.now).saturating_add(of(&self.before))
    }

    /// How many tiers an account has reached.
    fn reached(&self, account: AccountId) -> usize {
        let traded = self.traded(account);
        self.table.partition_point(|tier| tier.volume <= traded)
    }

    fn of(&self, account: AccountId) -> FeeTier {
        self.reached(account).checked_sub(1).map_or(FeeTier::NONE, |last| self.table[last])
    }

    /// So many periods have ended.
    fn turn(&mut self, ended: u64) {
        if ended > 0 {
            self.before = std::mem::take(&mut self.now);
        }
        if ended > 1 {
            self.before = BTreeMap::new();
        }
    }

    /// Panics if the table is one that the contract refuses.
    fn check_table(&self) {
        assert!(self.table.len() <= FeeTier::MOST, "the contract takes few tiers");
        let mut below = FeeTier::NONE;
        for tier in &self.table {
            assert!(tier.volume > below.volume, "a tier is of more volume than the one before");
            let lower = tier.taker_share <= below.taker_share && tier.maker_share <= below.maker_share;
            assert!(lower, "a tier only lowers fees");
            below = *tier;
        }
    }
}

/// What an account has traded at a venue that has tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TradedView {
    /// Which venue.
    pub venue: VenueId,
    /// Atoms that count: of this period and of the one before.
    #[serde(with = "xos_types::Number")]
    pub volume: u128,
    /// How many tiers that reaches.
    pub tier: u8,
    /// What the account is charged of a market's taker fee.
    pub taker_share: Ppm,
    /// What it is charged of a market's maker fee.
    pub maker_share: Ppm,
}

impl Engine {
    /// A venue's tiers, lowest first.
    #[must_use]
    pub fn fee_tiers(&self, venue: VenueId) -> &[FeeTier] {
        self.tiers.get(&venue).map_or(&[], |tiers| &tiers.table)
    }

    /// What an account has traded at every venue that has tiers. What the open frame adds counts once it is sealed.
    pub fn traded(&self, account: AccountId) -> impl Iterator<Item = TradedView> + use<'_> {
        self.tiers.iter().map(move |(venue, tiers)| {
            let FeeTier { taker_share, maker_share, .. } = tiers.of(account);
            let tier = u8::try_from(tiers.reached(account)).expect("a venue has few tiers");
            let volume = tiers.traded(account);
            TradedView { venue: *venue, volume, tier, taker_share, maker_share }
        })
    }

    /// What an order of the account is charged that takes.
    #[inline]
    pub(crate) fn taker_rate(&self, terms: &Terms, account: AccountId) -> Ppm {
        let full = terms.taker_fee;
        self.tiers.get(&terms.venue).map_or(full, |tiers| part(full, tiers.of(account).taker_share))
    }

    /// What an order of the account is charged that makes.
    ///
    /// What is held back for it is at the full rate: its account may have another tier when it fills.
    #[inline]
    pub(crate) fn maker_rate(&self, terms: &Terms, account: AccountId) -> Ppm {
        let full = terms.maker_fee.fee();
        self.tiers.get(&terms.venue).map_or(full, |tiers| part(full, tiers.of(account).maker_share))
    }

    /// A venue that had no tiers begins to count; one that has none any more forgets.
    pub(crate) fn set_fee_tiers(&mut self, venue: VenueId, table: &[FeeTier], events: &mut Vec<Event>) {
        assert!(self.venues.contains_key(&venue), "the contract sets tiers of venues that exist");
        if table.is_empty() {
            self.tiers.remove(&venue);
        } else {
            let tiers = self.tiers.entry(venue).or_default();
            tiers.table = table.to_vec();
            tiers.check_table();
        }
        events.push(Event::FeeTiersSet { venue, tiers: table.to_vec() });
    }

    /// The open frame's lines, before it is sealed.
    pub(crate) fn count_volume(&mut self) {
        if self.tiers.is_empty() {
            return;
        }
        for (market, lines) in self.frame.markets() {
            let terms = &self.listings[event_index(market.event())].terms;
            let Some(tiers) = self.tiers.get_mut(&terms.venue) else { continue };
            for line in lines {
                let value = line.notional.saturating_mul(terms.quantum.unsigned_abs());
                tiers.count(line.order.message.account, value);
            }
        }
    }

    /// The frame's time was `before`, and is what it is now.
    pub(crate) fn turn_periods(&mut self, before: TimeMs) {
        let ended = self.frame.time.0 / PERIOD_MS - before.0 / PERIOD_MS;
        self.tiers.values_mut().for_each(|tiers| tiers.turn(ended));
    }

    /// Tables are as the contract takes them, and whoever is counted has traded something.
    pub(crate) fn check_tiers(&self) {
        for (venue, tiers) in &self.tiers {
            assert!(self.venues.contains_key(venue) && !tiers.table.is_empty(), "tiers are of a venue that has some");
            tiers.check_table();
            for (account, traded) in tiers.now.iter().chain(&tiers.before) {
                let counts = !account.is_isolated() && self.find_account(*account).is_some() && *traded > 0;
                assert!(counts, "account {account} has traded nothing of its own at venue {venue}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: AccountId = AccountId(3);

    fn tier(volume: u128, taker: u32, maker: u32) -> FeeTier {
        FeeTier { volume, taker_share: Ppm(taker), maker_share: Ppm(maker) }
    }

    fn tiers() -> Tiers {
        Tiers { table: vec![tier(100, 800_000, 1_000_000), tier(1_000, 300_000, 0)], ..Tiers::default() }
    }

    #[test]
    fn a_threshold_is_reached_by_as_much_as_it_says() {
        let mut tiers = tiers();
        let mut reaches = |more| {
            tiers.count(ALICE, more);
            tiers.of(ALICE)
        };
        assert_eq!(reaches(99), FeeTier::NONE);
        assert_eq!(reaches(1), tier(100, 800_000, 1_000_000));
        assert_eq!(reaches(899), tier(100, 800_000, 1_000_000));
        assert_eq!(reaches(1), tier(1_000, 300_000, 0));
        assert_eq!(reaches(u128::MAX), tier(1_000, 300_000, 0));
    }

    #[test]
    fn what_is_traded_counts_in_its_period_and_the_next() {
        let mut tiers = tiers();
        tiers.count(ALICE, 600);
        tiers.turn(0);
        tiers.turn(1);
        tiers.count(ALICE, 400);
        assert_eq!((tiers.traded(ALICE), tiers.reached(ALICE)), (1_000, 2));
        tiers.turn(1);
        assert_eq!((tiers.traded(ALICE), tiers.reached(ALICE)), (400, 1));
        tiers.turn(2);
        assert_eq!(tiers, self::tiers(), "what is over takes no room");
    }

    #[test]
    fn an_isolated_account_counts_for_its_parent_and_has_its_tier() {
        let mut tiers = tiers();
        let apart = AccountId((1 << 63) | (ALICE.0 << 32) | 256);
        assert_eq!(apart.parent(), ALICE);
        tiers.count(apart, 60);
        tiers.count(ALICE, 40);
        assert_eq!((tiers.reached(ALICE), tiers.reached(apart)), (1, 1));
    }
}
