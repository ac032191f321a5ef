//! How much clients may ask for: a bucket of tokens for every address and one for every account, each filled at a steady rate.
//!
//! - An *address* pays for all that it sends, before anything is done about it: a token for each 4 KiB that a message or its
//!   answer begins, the [weight] of each call, and one for each signature that is to be checked.
//! - An *account* pays one for each order, once the engine has seen that its signer acts for it: so nobody can spend what
//!   belongs to another. Whatever takes orders away costs an account nothing.
//!
//! Who asks for more than is left is refused, told when to try again, and pays a token for having asked; who goes on until it
//! owes a second's worth is disconnected. A bucket that is full needs no memory, and of the others only so many are remembered.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use xos_api::{ApiError, Code};
use xos_types::AccountId;

use super::addresses::Network;
use crate::config::{Allowance, Limits};

/// Bytes of a message that cost a token.
const BYTES: usize = 4 << 10;
/// Buckets that are remembered, of about 40 bytes; beyond them all are forgotten, which takes as many addresses.
const BUCKETS_MAX: usize = 1 << 18;
/// Buckets at which those that are full again are looked for the first time.
const BUCKETS_FEW: usize = 1 << 10;

/// What a call costs its address: what it makes the node do, measured in plain questions.
pub(crate) fn weight(method: &str) -> u64 {
    WEIGHTS.iter().find(|(_, methods)| methods.contains(&method)).map_or(1, |(weight, _)| *weight)
}

/// Methods that cost more than 1.
pub(crate) const WEIGHTS: [(u64, &[&str]); 3] = [
    // They list, or keep something.
    (
        2,
        &[
            "xos_book",
            "xos_holdings",
            "xos_margin",
            "xos_openOrders",
            "xos_plannedOrders",
            "xos_settlement",
            "xos_subscribeAccount",
            "xos_subscribeFunding",
            "xos_subscribeLiquidations",
            "xos_subscribePrices",
            "xos_subscribeTrades",
            "xos_trades",
        ],
    ),
    // They list everything that there is.
    (
        5,
        &[
            "rpc.discover",
            "xos_batches",
            "xos_events",
            "xos_indexMarkets",
            "xos_markets",
            "xos_simulateOrder",
            "xos_subscribeBbo",
            "xos_subscribeBook",
            "xos_subscribeMarkets",
            "xos_subscribeOrders",
            "xos_venues",
        ],
    ),
    // They may read from the disk, or look at the whole state.
    (
        10,
        &[
            "xos_candles",
            "xos_fills",
            "xos_funding",
            "xos_liquidations",
            "xos_orderHistory",
            "xos_stateHash",
            "xos_subscribeCandles",
            "xos_tradeHistory",
            "xos_transfers",
        ],
    ),
];

/// What so many bytes cost.
pub(crate) fn tokens_for(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(BYTES)).unwrap_or(u64::MAX).max(1)
}

/// Everybody's.
#[derive(Debug)]
pub(crate) struct Budgets {
    begun: Instant,
    addresses: Mutex<Buckets<Network>>,
    accounts: Mutex<Buckets<AccountId>>,
}

/// More was asked for than is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    /// Whose bucket: `address` or `account`.
    what: &'static str,
    allowance: Allowance,
    left: u64,
    /// When there will be enough.
    retry: Duration,
    /// It has been told so often enough.
    pub(crate) is_hopeless: bool,
}

impl Budgets {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            begun: Instant::now(),
            addresses: Mutex::new(Buckets::new("address", limits.address)),
            accounts: Mutex::new(Buckets::new("account", limits.account)),
        }
    }

    /// Takes tokens of an address; answers how many are left.
    ///
    /// # Errors
    /// If there are not as many.
    pub(crate) fn spend(&self, address: Network, tokens: u64) -> Result<u64, Short> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).spend(address, tokens, self.now())
    }

    /// Takes tokens of an address for what is done already.
    pub(crate) fn owe(&self, address: Network, tokens: u64) {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).owe(address, tokens, self.now());
    }

    /// How many tokens an address has.
    pub(crate) fn left(&self, address: Network) -> u64 {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).left(address, self.now())
    }

    /// Whether an account has so many tokens. It pays when its orders have been seen to be its own.
    ///
    /// # Errors
    /// If not.
    pub(crate) fn affords(&self, account: AccountId, tokens: u64) -> Result<(), Short> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).affords(account, tokens, self.now())
    }

    /// Takes tokens of an account for what is done already; answers how many are left.
    pub(crate) fn owe_of_account(&self, account: AccountId, tokens: u64) -> u64 {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.owe(account, tokens, self.now());
        accounts.left(account, self.now())
    }

    /// How many tokens an account has.
    pub(crate) fn left_of_account(&self, account: AccountId) -> u64 {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).left(account, self.now())
    }

    /// Nanoseconds since the node began; 584 years fit.
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl From<Short> for ApiError {
    fn from(short: Short) -> Self {
        let Short { what, allowance: Allowance { per_second, burst }, left, retry, .. } = short;
        let retry_ms = u64::try_from(retry.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let message = format!(
            "this {what} has {left} tokens left, which is too few; nothing was done; it gets {per_second} a second and keeps \
             up to {burst}; try again in {retry_ms} ms"
        );
        let data = json!({ "what": what, "left": left, "perSecond": per_second, "burst": burst, "retryMs": retry_ms });
        Self::new(Code::OverBudget, message, data)
    }
}

/// Buckets that are not full, by when they will be.
#[derive(Debug)]
struct Buckets<K> {
    what: &'static str,
    allowance: Allowance,
    /// In nanoseconds. How far it lies ahead is how much is missing.
    full_at: HashMap<K, u64>,
    /// At so many those that are full again are forgotten.
    sweep_at: usize,
}

impl<K: Copy + Eq + Hash> Buckets<K> {
    fn new(what: &'static str, allowance: Allowance) -> Self {
        Self { what, allowance, full_at: HashMap::new(), sweep_at: BUCKETS_FEW }
    }

    fn spend(&mut self, key: K, tokens: u64, now: u64) -> Result<u64, Short> {
        if self.affords(key, tokens, now).is_err() {
            // Asking costs, too, and so will asking again.
            self.owe(key, 1, now);
            self.affords(key, tokens + 1, now)?;
        }
        self.owe(key, tokens, now);
        Ok(self.left(key, now))
    }

    fn affords(&self, key: K, tokens: u64, now: u64) -> Result<(), Short> {
        let missing = self.missing(key, now);
        let wanted = missing.saturating_add(self.nanoseconds(tokens));
        let most = self.nanoseconds(self.allowance.burst.into());
        if wanted <= most {
            return Ok(());
        }
        Err(Short {
            what: self.what,
            allowance: self.allowance,
            left: self.left(key, now),
            retry: Duration::from_nanos(wanted - most),
            is_hopeless: missing >= self.deepest(),
        })
    }

    fn owe(&mut self, key: K, tokens: u64, now: u64) {
        self.make_room(now);
        let missing = self.missing(key, now).saturating_add(self.nanoseconds(tokens)).min(self.deepest());
        self.full_at.insert(key, now.saturating_add(missing));
    }

    fn left(&self, key: K, now: u64) -> u64 {
        let most = self.nanoseconds(self.allowance.burst.into());
        most.saturating_sub(self.missing(key, now)) / self.nanoseconds(1)
    }

    fn missing(&self, key: K, now: u64) -> u64 {
        self.full_at.get(&key).map_or(0, |full_at| full_at.saturating_sub(now))
    }

    /// How long the bucket takes to get so many.
    fn nanoseconds(&self, tokens: u64) -> u64 {
        (1_000_000_000 / u64::from(self.allowance.per_second)).max(1).saturating_mul(tokens)
    }

    /// Nobody owes more than a second's worth, so that nobody is shut out for longer.
    fn deepest(&self) -> u64 {
        self.nanoseconds(u64::from(self.allowance.burst) + u64::from(self.allowance.per_second))
    }

    fn make_room(&mut self, now: u64) {
        if self.full_at.len() < self.sweep_at {
            return;
        }
        self.full_at.retain(|_, full_at| *full_at > now);
        if self.full_at.len() >= BUCKETS_MAX {
            self.full_at.clear();
        }
        self.sweep_at = (2 * self.full_at.len()).clamp(BUCKETS_FEW, BUCKETS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWANCE: Allowance = Allowance { per_second: 10, burst: 100 };
    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_bucket_holds_a_burst_and_fills_at_its_rate() {
        let mut buckets = Buckets::new("address", ALLOWANCE);
        assert_eq!(buckets.spend(1, 60, 0), Ok(40));
        assert_eq!(buckets.spend(1, 40, 0), Ok(0));
        let short = buckets.spend(1, 20, SECOND).unwrap_err();
        // Having asked cost one, as will asking again.
        assert_eq!((short.left, short.retry, short.is_hopeless), (9, Duration::from_millis(1_200), false));
        assert_eq!(buckets.spend(1, 29, 3 * SECOND), Ok(0));
        assert_eq!(buckets.left(1, 1_000 * SECOND), 100, "it holds no more than the burst");
        assert_eq!(buckets.left(2, 0), 100, "another's is another's");
    }

    #[test]
    fn who_goes_on_asking_is_hopeless_and_waits_a_second_and_no_more() {
        let mut buckets = Buckets::new("address", ALLOWANCE);
        assert_eq!(buckets.spend(1, 100, 0), Ok(0));
        for asked in 0..9 {
            assert!(!buckets.spend(1, 1, 0).unwrap_err().is_hopeless, "after {asked}");
        }
        for _ in 0..10_000 {
            assert!(buckets.spend(1, 1, 0).unwrap_err().is_hopeless);
        }
        assert_eq!(buckets.spend(1, 1, SECOND + SECOND / 10), Ok(0));
    }

    #[test]
    fn what_is_done_already_is_owed() {
        let mut buckets = Buckets::new("account", ALLOWANCE);
        assert_eq!(buckets.affords(1, 100, 0), Ok(()));
        buckets.owe(1, 105, 0);
        assert_eq!(buckets.left(1, 0), 0);
        assert!(buckets.affords(1, 1, SECOND / 2).is_err());
        assert_eq!(buckets.affords(1, 1, SECOND), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_full_buckets_take_none() {
        let mut buckets = Buckets::new("address", ALLOWANCE);
        for key in 0..10 * BUCKETS_FEW {
            // Each is full again before the next one is asked for.
            let _ = buckets.spend(key, 1, u64::try_from(key).unwrap() * SECOND / 10);
            assert!(buckets.full_at.len() <= BUCKETS_FEW);
        }
        for key in 0..2 * BUCKETS_MAX {
            let _ = buckets.spend(key, 1, 0);
            assert!(buckets.full_at.len() <= BUCKETS_MAX);
        }
    }

    #[test]
    fn a_message_costs_a_token_for_each_four_kilobytes_that_it_begins() {
        assert_eq!([0, 1, 4096, 4097, 1 << 20].map(tokens_for), [1, 1, 1, 2, 256]);
    }
}
