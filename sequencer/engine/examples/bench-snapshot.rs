//! Snapshots: `cargo run --release -p xos-engine --example bench-snapshot`.
//!
//! That many accounts and as many resting orders in 100 markets of every kind (a million unless told otherwise).
//!
//! - **The pause.** A snapshot is written by an engine that follows the log (`docs/decisions/0017-snapshots-follow-the-log.md`), so
//!   the live one does not stop for it. What it still pays is that somebody else uses memory and caches: it applies commands
//!   while a follower on the other core writes, and the longest time that one command takes is the pause. Other processes make
//!   longer ones, so this is the shortest of several runs; beside it the same without a follower.
//! - **The follower**: how long it takes to write, and how long a node takes from the file's bytes to the state, whose hash is
//!   checked.
//! - **Cold replay**: from the log's bytes, an order for each account that had none, which is a miss of every cache.
//!
//! Each result is a line of JSON.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock and starts a thread"
)]
#![allow(clippy::print_stdout)]

#[path = "opening/mod.rs"]
mod opening;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use opening::{FIRST, GROUP, Opening, empty_frame, order, sign};
use xos_engine::Engine;
use xos_types::{AccountId, Command, Instructions, Logged, Lots, MarketId, MarketKind, Nonce, Order, Side};

const MARKETS: Opening = Opening { accounts: 0, cash: 1 << 60, events: 20, spots: 30, perpetuals: 30, ticks: 1_000 };
const RUNS: u64 = 5;

/// The `n`-th account's order: markets and prices are spread, bids below the middle and asks above.
fn spread_order(n: u64, nonce: u64) -> Order {
    let spread = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let market = market_of(n);
    let half = MARKETS.middle();
    // A spot market's asks need its asset, which nobody has.
    let buys = MARKETS.kind(market) == MarketKind::Spot || (spread / 100).is_multiple_of(2);
    let (side, price) =
        if buys { (Side::Buy, 1 + spread / 200 % (half - 1)) } else { (Side::Sell, half + spread / 200 % half) };
    let order = order(AccountId(FIRST + n), Nonce(nonce), market, side, price);
    Order { size: Lots(1 + spread % 100), ..order }
}

fn market_of(n: u64) -> MarketId {
    let markets = MARKETS.markets();
    markets[usize::try_from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20).expect("64 bits") % markets.len()]
}

fn print(bench: &str, value: u128, unit: &str) {
    println!(r#"{{"bench":"{bench}","value":{}.{:03},"unit":"{unit}"}}"#, value / 1_000, value % 1_000);
}

/// Applies the commands; the longest time that one took while `counts`.
fn longest(engine: &mut Engine, commands: &[Logged], counts: impl Fn() -> bool) -> Duration {
    let (mut longest, mut events) = (Duration::ZERO, Vec::with_capacity(1 << 16));
    let mut before = Instant::now();
    for command in commands {
        events.clear();
        engine.apply(command, &mut events);
        let now = Instant::now();
        if counts() {
            longest = longest.max(now - before);
        }
        before = now;
    }
    longest
}

/// Every account in turn replaces its order.
fn moves(count: u64, round: u64) -> Vec<Logged> {
    let moved = |n| {
        let order = spread_order(n, round + 1);
        let order = sign(order, order.account);
        Command::Replace { nonce: Nonce(round), order, instructions: Instructions::default() }
    };
    (0..count).map(moved).map(Logged::new).collect()
}

fn main() {
    let count = std::env::args().nth(1).map_or(1_000_000, |count| count.parse().expect("a number of accounts"));
    let mut engine = Engine::new(GROUP);
    let mut events = Vec::new();
    let opening = Opening { accounts: count, ..MARKETS };
    engine.apply(&opening.frame(0, |_, _| false).into(), &mut events);
    // Seals the frame, which still holds the inbox.
    engine.apply(&empty_frame(2).into(), &mut events);
    events = Vec::with_capacity(64);

    let place = |n| Logged::new(Command::place(sign(spread_order(n, 0), AccountId(FIRST + n))));
    let log: Vec<u8> = (0..count).flat_map(|n| place(n).bytes().to_vec()).collect();
    let (mut rest, start) = (&log[..], Instant::now());
    while !rest.is_empty() {
        let (command, after) = Logged::take_from(rest).expect("it was just encoded");
        events.clear();
        engine.apply(&command, &mut events);
        rest = after;
    }
    let rate = u128::from(count) * 1_000_000_000 / start.elapsed().as_nanos();
    assert_eq!(engine.resting_orders() as u64, count, "every order rests");
    drop(log);
    println!(r#"{{"bench":"engine.replay.cold","value":{rate},"unit":"commands/s"}}"#);

    let (mut written, mut restored) = (u128::MAX, u128::MAX);
    let mut snapshot = Vec::new();
    for _ in 0..RUNS {
        snapshot.clear();
        let start = Instant::now();
        let hash = engine.snapshot(&mut snapshot).expect("memory takes everything");
        written = written.min(start.elapsed().as_millis());
        let start = Instant::now();
        let again = Engine::restore(&snapshot[..]).expect("it was just written");
        restored = restored.min(start.elapsed().as_millis());
        assert_eq!(again.state_hash(), hash);
    }
    print("engine.snapshot.write_s", written, "s");
    print("engine.restore_s", restored, "s");
    print("engine.snapshot.mb", snapshot.len() as u128 / 1_000, "MB");

    let follower = Engine::restore(&snapshot[..]).expect("it was just written");
    drop(snapshot);
    let (mut alone, mut followed) = (Duration::MAX, Duration::MAX);
    for round in 0..RUNS {
        alone = alone.min(longest(&mut engine, &moves(count, 2 * round), || true));
        let commands = moves(count, 2 * round + 1);
        let writes = AtomicBool::new(true);
        let pause = std::thread::scope(|scope| {
            scope.spawn(|| {
                follower.snapshot(std::io::sink()).expect("a sink takes everything");
                writes.store(false, Ordering::Release);
            });
            longest(&mut engine, &commands, || writes.load(Ordering::Acquire))
        });
        followed = followed.min(pause);
    }
    print("engine.snapshot.pause_ms", followed.as_micros(), "ms");
    print("engine.snapshot.pause_ms_without", alone.as_micros(), "ms");
}
