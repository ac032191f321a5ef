//! The engine on one core: `cargo run --release -p xos-engine --example bench-engine`.
//!
//! The usual mix of matching engines' benchmarks (exchange-core's): one market, 1,000 accounts that hold positions and
//! collateral, about 1,000 resting orders in 750 price slots; 9 % of the commands are orders that rest, 3 %
//! immediate-or-cancel orders, 6 % cancels and 82 % replacements; about 6 % trade. A frame is sealed whenever a node would,
//! at 12M gas. What is measured is `Engine::apply` as the node calls it: rights, nonces, margin, matching, fees, netting into
//! frames, events and the log's hash; not signatures and not the journal. Commands and their bytes are made before.
//!
//! - **throughput**: what else a machine does can only slow it down, so the stream is run many times, in pieces, and each
//!   piece counts with its fastest time; the median run stands beside it. Commands come from the cache, where whoever decoded
//!   them has left them.
//! - **open loop**: a million commands a second, each with a time at which it is due whatever became of those before it; its
//!   latency counts from then, so a stall delays everything behind it. The run with the lowest p99 counts.
//! - **many markets**: 100 markets, 100,000 accounts and a million resting orders: nearly every order is a miss of every cache.
//!
//! Each result is a line of JSON. With an argument, only what it names: `mixed`, `open`, `many`.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout)]

mod stream;

use std::time::{Duration, Instant};

use stream::{Crowd, GROUP, Stream};
use xos_engine::Engine;
use xos_types::{Event, Logged};

const COMMANDS: usize = 300_000;
const PIECE: usize = 500;
const RUNS: usize = 21;
const OPEN_LOOP_RUNS: usize = 11;

fn print(bench: &str, value: u128, unit: &str) {
    println!(r#"{{"bench":"{bench}","value":{value},"unit":"{unit}"}}"#);
}

/// An engine with accounts, positions and a book.
fn opened(stream: &Stream) -> Engine {
    let mut engine = Engine::new(GROUP);
    let mut events = Vec::new();
    for command in &stream.opening {
        events.clear();
        engine.apply(command, &mut events);
    }
    engine
}

fn run(engine: &mut Engine, commands: &[Logged], events: &mut Vec<Event>) {
    for command in commands {
        events.clear();
        engine.apply(command, events);
    }
}

/// Reads commands, as whoever has just decoded them did.
fn touch(commands: &[Logged]) {
    let sum: u64 = commands.iter().flat_map(|command| command.bytes()).map(|byte| u64::from(*byte)).sum();
    std::hint::black_box(sum);
}

fn throughput(bench: &str, stream: &Stream, runs: usize) {
    let mut fastest = vec![u128::MAX; stream.commands.chunks(PIECE).count()];
    let mut totals = Vec::new();
    let mut events = Vec::with_capacity(1 << 16);
    for _ in 0..runs {
        let mut engine = opened(stream);
        let mut total = 0;
        for (piece, fastest) in stream.commands.chunks(PIECE).zip(&mut fastest) {
            touch(piece);
            let start = Instant::now();
            run(&mut engine, piece, &mut events);
            let elapsed = start.elapsed().as_nanos();
            *fastest = elapsed.min(*fastest);
            total += elapsed;
        }
        totals.push(total);
    }
    totals.sort_unstable();
    let rate = |nanoseconds: u128| stream.commands.len() as u128 * 1_000_000_000 / nanoseconds;
    print(&format!("{bench}.throughput"), rate(fastest.iter().sum()), "commands/s");
    print(&format!("{bench}.throughput_median"), rate(totals[runs / 2]), "commands/s");
}

/// Latencies of every command, sorted.
fn open_loop(stream: &Stream, between: Duration) -> Vec<u128> {
    let mut engine = opened(stream);
    let mut events = Vec::with_capacity(1 << 16);
    let mut latencies = Vec::with_capacity(stream.commands.len());
    let mut due = Instant::now() + Duration::from_millis(1);
    for command in &stream.commands {
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        events.clear();
        engine.apply(command, &mut events);
        latencies.push((Instant::now() - due).as_nanos());
        due += between;
    }
    latencies.sort_unstable();
    latencies
}

fn main() {
    let asked = std::env::args().nth(1);
    let wants = |what: &str| asked.as_deref().is_none_or(|asked| asked == what);

    let crowd = Crowd { accounts: 1_000, events: 1, orders: 1_000, spread: 810, slots: Some(750) };
    let stream = Stream::mixed(COMMANDS, crowd);
    stream.check_mix();
    if wants("mixed") {
        throughput("engine.mixed", &stream, RUNS);
    }
    if wants("open") {
        let at = |latencies: &Vec<u128>, per_mille: usize| latencies[latencies.len() * per_mille / 1_000];
        let runs = (0..OPEN_LOOP_RUNS).map(|_| open_loop(&stream, Duration::from_micros(1)));
        let best = runs.min_by_key(|latencies| at(latencies, 990)).expect("there are runs");
        for (name, per_mille) in [("p50", 500), ("p99", 990), ("p999", 999)] {
            print(&format!("engine.mixed.open_loop_1m.{name}_ns"), at(&best, per_mille), "ns");
        }
    }
    if wants("many") {
        let crowd = Crowd { accounts: 100_000, events: 50, orders: 1_000_000, spread: 7_500, slots: None };
        let stream = Stream::mixed(COMMANDS, crowd);
        stream.check_mix();
        throughput("engine.many_markets", &stream, RUNS / 4);
    }
}
