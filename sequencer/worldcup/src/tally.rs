//! What all traders together have seen: counted by every session, read by the table and the summary.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use xos_types::{EventId, MarketId, Ticks};

/// Latencies beyond a minute count as a minute.
const LATENCY_MAX_US: u64 = 60_000_000;

/// Counters; cheap enough to share among all traders.
#[derive(Debug)]
pub struct Tally {
    accepted: AtomicU64,
    rejected: AtomicU64,
    cancelled: AtomicU64,
    trades: AtomicU64,
    reconnects: AtomicU64,
    verified: AtomicU64,
    lost: AtomicU64,
    receipts_checked: AtomicU64,
    receipts_broken: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    rejections: BTreeMap<String, u64>,
    /// Value traded by event, in atoms.
    volume: BTreeMap<EventId, u128>,
    last_price: BTreeMap<MarketId, Ticks>,
    latency: Histogram<u64>,
}

/// The counters at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Counts {
    pub accepted: u64,
    pub rejected: u64,
    pub cancelled: u64,
    pub trades: u64,
    pub reconnects: u64,
    pub verified: u64,
    pub lost: u64,
    pub receipts_checked: u64,
    pub receipts_broken: u64,
}

impl Default for Tally {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).expect("the bounds are valid");
        Self {
            accepted: zero(),
            rejected: zero(),
            cancelled: zero(),
            trades: zero(),
            reconnects: zero(),
            verified: zero(),
            lost: zero(),
            receipts_checked: zero(),
            receipts_broken: zero(),
            inner: Mutex::new(Inner {
                rejections: BTreeMap::new(),
                volume: BTreeMap::new(),
                last_price: BTreeMap::new(),
                latency,
            }),
        }
    }
}

impl Tally {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        // Counters stay meaningful even if somebody panicked while adding to them.
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Orders of one call that were acknowledged, all after the same time.
    pub(crate) fn acknowledged(&self, orders: u64, after: Duration) {
        self.accepted.fetch_add(orders, Ordering::Relaxed);
        let micros = u64::try_from(after.as_micros()).unwrap_or(LATENCY_MAX_US).clamp(1, LATENCY_MAX_US);
        self.inner().latency.saturating_record_n(micros, orders);
    }

    pub(crate) fn rejected(&self, orders: u64, why: &str) {
        self.rejected.fetch_add(orders, Ordering::Relaxed);
        *self.inner().rejections.entry(why.into()).or_default() += orders;
    }

    pub(crate) fn cancelled(&self, orders: u64) {
        self.cancelled.fetch_add(orders, Ordering::Relaxed);
    }

    pub(crate) fn traded(&self, market: MarketId, price: Ticks, value: u128) {
        self.trades.fetch_add(1, Ordering::Relaxed);
        let mut inner = self.inner();
        *inner.volume.entry(market.event()).or_default() += value;
        inner.last_price.insert(market, price);
    }

    pub(crate) fn reconnected(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn verified(&self, known: bool) {
        self.verified.fetch_add(1, Ordering::Relaxed);
        self.lost.fetch_add(u64::from(!known), Ordering::Relaxed);
    }

    pub(crate) fn receipt(&self, good: bool) {
        self.receipts_checked.fetch_add(1, Ordering::Relaxed);
        self.receipts_broken.fetch_add(u64::from(!good), Ordering::Relaxed);
    }

    /// The counters now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            accepted: read(&self.accepted),
            rejected: read(&self.rejected),
            cancelled: read(&self.cancelled),
            trades: read(&self.trades),
            reconnects: read(&self.reconnects),
            verified: read(&self.verified),
            lost: read(&self.lost),
            receipts_checked: read(&self.receipts_checked),
            receipts_broken: read(&self.receipts_broken),
        }
    }

    /// Microseconds from signing to acknowledgement that this share of the orders did not exceed.
    #[must_use]
    pub fn latency_us(&self, share: f64) -> u64 {
        self.inner().latency.value_at_quantile(share)
    }

    /// Why orders were rejected, the most frequent first.
    #[must_use]
    pub fn rejections(&self) -> Vec<(String, u64)> {
        let mut list: Vec<_> = self.inner().rejections.iter().map(|(why, count)| (why.clone(), *count)).collect();
        list.sort_by_key(|(_, count)| core::cmp::Reverse(*count));
        list
    }

    /// Value traded by event in atoms, the largest first.
    #[must_use]
    pub fn volumes(&self) -> Vec<(EventId, u128)> {
        let mut list: Vec<_> = self.inner().volume.iter().map(|(event, value)| (*event, *value)).collect();
        list.sort_by_key(|(_, value)| core::cmp::Reverse(*value));
        list
    }

    /// The price of the last trade of a market.
    #[must_use]
    pub fn last_price(&self, market: MarketId) -> Option<Ticks> {
        self.inner().last_price.get(&market).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_quantiles_add_up() {
        let tally = Tally::default();
        tally.acknowledged(98, Duration::from_micros(500));
        tally.acknowledged(2, Duration::from_millis(20));
        tally.rejected(3, "would_trade");
        tally.traded(MarketId::new(EventId(4), 1), Ticks(300), 70);
        tally.traded(MarketId::new(EventId(4), 2), Ticks(600), 30);
        tally.verified(true);
        tally.verified(false);
        let counts = tally.counts();
        assert_eq!((counts.accepted, counts.rejected, counts.trades, counts.verified, counts.lost), (100, 3, 2, 2, 1));
        assert_eq!(tally.volumes(), [(EventId(4), 100)]);
        assert_eq!(tally.last_price(MarketId::new(EventId(4), 2)), Some(Ticks(600)));
        assert!((495..=505).contains(&tally.latency_us(0.5)));
        assert!((19_900..=20_100).contains(&tally.latency_us(0.99)));
    }
}
