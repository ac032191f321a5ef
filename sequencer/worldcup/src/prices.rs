//! Prices of coins for the demo: a tape of what they cost, and reporters who sign it, each with a key of its own.
//!
//! The tape is Binance's capture of 2024-08-08 if `XOS_DATA` names the folder that has it, and a random walk otherwise. Either is
//! played forwards and back again, so that it never ends and never jumps.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jsonrpsee::core::{RpcResult, async_trait};
use jsonrpsee::server::{Server, ServerHandle};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use xos_api::{PriceReport, PriceReporterServer};
use xos_auth::Key;
use xos_chain::SignedReport;
use xos_types::{Address, B256, TimeMs};

/// From one price on the tape to the next.
const STEP: Duration = Duration::from_millis(100);
const CENT: u128 = 10_000_000_000_000_000;
/// Prices of a random walk: five minutes.
const WALK: usize = 3_000;
/// What the walk begins at, in cents.
const COINS: [(&str, &str, u64); 3] =
    [("BTC", "btcusdt", 6_100_000), ("ETH", "ethusdt", 265_000), ("ACME", "", 23_150)];

/// What coins cost, in cents, a price every tenth of a second.
#[derive(Debug)]
pub struct Tape {
    prices: BTreeMap<&'static str, Vec<u64>>,
    /// Where they come from, for people.
    pub source: &'static str,
}

impl Tape {
    /// The capture if it is there, else a walk.
    #[must_use]
    pub fn load(seed: u64) -> Self {
        let folder = std::env::var_os("XOS_DATA").map(|data| Path::new(&data).join("binance-usdm-20240808"));
        let mut source = "a seeded random walk";
        let prices = COINS
            .iter()
            .zip(0u64..)
            .map(|(&(name, file, from), salt)| {
                let captured = folder.as_ref().and_then(|folder| capture(&folder.join(format!("{file}.gz"))));
                if captured.is_some() {
                    source = "Binance's capture of 2024-08-08";
                }
                (name, captured.unwrap_or_else(|| walk(from, seed.wrapping_add(salt))))
            })
            .collect();
        Self { prices, source }
    }

    /// One that somebody has made up: of some coins, prices in cents, two or more, one every tenth of a second.
    #[must_use]
    pub fn of(prices: impl IntoIterator<Item = (&'static str, Vec<u64>)>) -> Self {
        Self { prices: prices.into_iter().collect(), source: "made up" }
    }

    /// What a coin costs so long after the beginning, dollars with 18 decimals.
    fn at(&self, name: &str, since: Duration) -> Option<u128> {
        let prices = self.prices.get(name)?;
        let step = usize::try_from(since.as_millis() / STEP.as_millis()).ok()?;
        let turn = 2 * (prices.len() - 1).max(1);
        let place = step % turn;
        let place = if place < prices.len() { place } else { turn - place };
        Some(u128::from(prices[place]) * CENT)
    }
}

/// Each step a hundredth of a percent or so, either way.
fn walk(from: u64, seed: u64) -> Vec<u64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut price = from;
    (0..WALK)
        .map(|_| {
            let most = (price / 8_000).max(1);
            price = (price + rng.random_range(0..=2 * most)).saturating_sub(most).max(from / 2);
            price
        })
        .collect()
}

/// The trades of a capture, the last one of every step; `None` if it cannot be read. A line is local nanoseconds, a space, the
/// message.
fn capture(file: &Path) -> Option<Vec<u64>> {
    let output = Command::new("gzip").arg("-dc").arg(file).output().ok().filter(|output| output.status.success())?;
    let mut prices = Vec::new();
    let mut step = None;
    for line in String::from_utf8(output.stdout).ok()?.lines().filter(|line| line.contains("\"e\":\"trade\"")) {
        let (nanoseconds, message) = line.split_once(' ')?;
        let now = nanoseconds.parse::<u128>().ok()? / STEP.as_nanos();
        let message: serde_json::Value = serde_json::from_str(message).ok()?;
        let price = cents(message["data"]["p"].as_str()?)?;
        match step {
            Some(last) if last == now => *prices.last_mut()? = price,
            _ => prices.push(price),
        }
        step = Some(now);
    }
    (prices.len() > 1).then_some(prices)
}

/// "61800.20" as cents; further digits are cut off. Some trades of the capture say 0, which is no price.
fn cents(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part: String = part.chars().chain("00".chars()).take(2).collect();
    let cents = whole.parse::<u64>().ok()?.checked_mul(100)?.checked_add(part.parse().ok()?)?;
    (cents > 0).then_some(cents)
}

/// Who signs the tape's prices, one server each.
#[derive(Debug)]
pub struct Reporters {
    /// Where they serve.
    pub urls: Vec<String>,
    /// Who they sign as, in ascending order.
    pub addresses: Vec<Address>,
    /// The contract that they sign for, once it is deployed; before, they have nothing to say.
    source: Arc<OnceLock<Address>>,
    /// They stop when these are dropped.
    _servers: Vec<ServerHandle>,
}

impl Reporters {
    /// Starts so many.
    ///
    /// # Errors
    /// If there is no port for one.
    pub async fn start(tape: Tape, count: usize, chain_id: u64) -> std::io::Result<Self> {
        let tape = Arc::new((tape, Instant::now()));
        let source = Arc::<OnceLock<Address>>::default();
        let (mut urls, mut addresses, mut servers) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..count {
            let key = Key::random();
            addresses.push(key.address());
            let reporter = Reporter { key, chain_id, tape: Arc::clone(&tape), source: Arc::clone(&source) };
            let server = Server::builder().build(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
            urls.push(format!("http://{}", server.local_addr()?));
            servers.push(server.start(reporter.into_rpc()));
        }
        addresses.sort_unstable();
        Ok(Self { urls, addresses, source, _servers: servers })
    }

    /// Has them sign for a contract from here on.
    pub fn sign_for(&self, source: Address) {
        // The first one counts; there is no second.
        let _ = self.source.set(source);
    }
}

struct Reporter {
    key: Key,
    chain_id: u64,
    tape: Arc<(Tape, Instant)>,
    source: Arc<OnceLock<Address>>,
}

#[async_trait]
impl PriceReporterServer for Reporter {
    async fn reports(&self) -> RpcResult<Vec<PriceReport>> {
        let Some(&source) = self.source.get() else { return Ok(Vec::new()) };
        let (tape, begun) = &*self.tape;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let time = TimeMs(u64::try_from(now).unwrap_or(u64::MAX));
        let report = |&(name, ..): &(&'static str, &str, u64)| {
            let feed = feed_name(name);
            let price = tape.at(name, begun.elapsed())?;
            let signed = SignedReport::sign(&self.key, self.chain_id, source, feed, price, time);
            Some(PriceReport { source, feed, price, time, signature: signed.signature })
        };
        Ok(COINS.iter().filter_map(report).collect())
    }
}

/// A feed's name as contracts hold it: its letters, padded with zeros.
fn feed_name(name: &str) -> B256 {
    B256::right_padding_from(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tape_goes_forwards_and_back_and_the_same_seed_walks_the_same_way() {
        let tape = Tape::of([("BTC", vec![1, 2, 3])]);
        let at = |step: u32| tape.at("BTC", STEP * step).unwrap() / CENT;
        assert_eq!([0, 1, 2, 3, 4, 5].map(at), [1, 2, 3, 2, 1, 2]);
        assert_eq!(tape.at("DOGE", STEP), None);
        let path = walk(6_100_000, 7);
        assert_eq!(path, walk(6_100_000, 7));
        assert_ne!(path, walk(6_100_000, 8));
        // Less than the two percent a second that the market believes.
        assert!(path.windows(2).all(|pair| pair[0].abs_diff(pair[1]) <= pair[0] / 7_000));
    }

    #[test]
    fn prices_of_the_capture_are_read_in_cents() {
        assert_eq!(
            ["61800.20", "2650.5", "7", "0.004", "x"].map(cents),
            [Some(6_180_020), Some(265_050), Some(700), None, None]
        );
    }
}
