//! The engine on one core: `cargo run --release -p xos-engine --example bench-engine`.
//!
//! **The mixed workload** is the usual mix of matching engines' benchmarks ([`mix`]: 9 % orders that rest, 3 % immediate ones,
//! 6 % cancels, 82 % replacements, about 6 % trade) in one perpetual: 1,000 accounts, all of which hold positions and
//! collateral, and about 1,000 resting orders in 750 price slots. Margin is on, takers pay a fee, and a replacement carries its
//! newly signed order. The log's clock runs at a million commands a second; a frame is sealed whenever a node would, at 12M
//! gas (every 800 commands or so), and every 100 ms of the clock one brings a new index price, at which all positions and
//! orders are valued anew. What is measured is `Engine::apply` as the node calls it: rights, nonces, margin, matching, fees,
//! netting into frames, events and the log's hash; not signatures and not the journal. Commands and their bytes are made
//! before.
//!
//! - **throughput**: what else a machine does can only slow it down, so the stream is run many times, in pieces, and each
//!   piece counts with its fastest time; the median run stands beside it. Commands come from the cache, where whoever decoded
//!   them has left them. `hashed_elsewhere` is the same while another thread hashes the log, as in the node; on a machine
//!   without an idle core that says little.
//! - **open loop**: a million commands a second, each with a time at which it is due whatever became of those before it; its
//!   latency counts from then, so a stall delays everything behind it. The run with the lowest p99 counts. On a machine that
//!   does other things that says more of those, so beside it stand the engine's **own** latencies: each command with its
//!   fastest time of several runs, and the queue reckoned from these.
//! - **replay**: the same log from a journal on disk, as after a crash: the journal's thread reads and checks, one hashes the log
//!   again, and this one decodes and applies. `decoded` is all but the engine.
//! - **many markets**: the same mix in 100 markets (20 events of two outcomes, 30 spot markets of as many assets, 30 perpetuals),
//!   100,000 accounts that trade in eight of them each, and a million resting orders: nearly every order is a miss of every
//!   cache. Prices stand still; what a frame costs that moves all of them is measured apart.
//!
//! Each result is a line of JSON. With an argument, only what it names: `mixed`, `open`, `replay`, `many`. With `profile` or
//! `profile-many` it prints nothing and applies a stream once, for a profiler that counts what happens within `profiled`:
//! `valgrind --tool=callgrind --collect-atstart=no --toggle-collect='*profiled*' bench-engine profile`.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout)]

#[path = "../../../node/src/hashing.rs"]
mod hashing;
#[path = "../../../book/examples/mix/mod.rs"]
mod mix;
#[path = "../opening/mod.rs"]
mod opening;
mod stream;

use std::time::{Duration, Instant};

use hashing::HashThread;
use opening::{GROUP, Opening};
use stream::{Crowd, Stream};
use xos_engine::{Engine, Lookout};
use xos_journal::{Journal, Recovery, Replay, Settings};
use xos_types::{Event, Logged};

const COMMANDS: usize = 300_000;
const PROFILED: usize = 50_000;
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

/// The same, whose log is hashed by another thread, as the node does it.
fn opened_with_thread(stream: &Stream) -> Engine {
    let mut engine = opened(stream);
    engine.hash_elsewhere(Box::new(HashThread::start().expect("a thread")));
    engine
}

fn run(engine: &mut Engine, commands: &[Logged], events: &mut Vec<Event>) {
    let mut lookout = Lookout::default();
    for (place, command) in commands.iter().enumerate() {
        engine.look_ahead(&mut lookout, &commands[place..], Logged::command);
        events.clear();
        engine.apply(command, events);
    }
}

/// Applies what a journal holds.
fn replay(engine: &mut Engine, journal: &mut Replay, events: &mut Vec<Event>) {
    while let Some((_, batch)) = journal.next_batch().expect("it was just written") {
        run(engine, batch, events);
    }
}

/// Reads commands whole, with their bytes, as whoever has just decoded them wrote them.
fn touch(commands: &[Logged]) {
    for command in commands {
        std::hint::black_box(command.clone());
    }
}

/// Runs the pieces of a stream, one after the other and all of it `runs` times.
fn throughput(bench: &str, stream: &Stream, runs: usize, open: fn(&Stream) -> Engine) {
    let mut fastest = vec![u128::MAX; stream.commands.len().div_ceil(PIECE)];
    let mut totals = Vec::new();
    let mut events = Vec::with_capacity(1 << 16);
    for _ in 0..runs {
        let mut engine = open(stream);
        let mut total = 0;
        for (commands, fastest) in stream.commands.chunks(PIECE).zip(&mut fastest) {
            touch(commands);
            let start = Instant::now();
            run(&mut engine, commands, &mut events);
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

fn replay_throughput(bench: &str, stream: &Stream, runs: usize) {
    let dir = tempfile::tempdir().expect("a folder");
    let mut journal =
        Journal::open(dir.path(), &GROUP, Settings::default()).and_then(Recovery::resume).expect("a journal");
    for commands in [&stream.opening, &stream.commands].into_iter().flat_map(|commands| commands.chunks(PIECE)) {
        journal.append(commands).expect("a disk");
    }
    journal.close().expect("a disk");
    let opened_journal = || xos_journal::read_only(dir.path(), stream.opening.len() as u64 + 1).expect("a journal");
    let (mut totals, mut decoding, mut events) = (Vec::new(), Vec::new(), Vec::with_capacity(1 << 16));
    for _ in 0..runs {
        let (mut engine, mut journal) = (opened_with_thread(stream), opened_journal());
        let start = Instant::now();
        replay(&mut engine, &mut journal, &mut events);
        totals.push(start.elapsed().as_nanos());
        assert_eq!(engine.sequence(), (stream.opening.len() + stream.commands.len()) as u64, "all of it");
        let (mut journal, start) = (opened_journal(), Instant::now());
        while journal.next_batch().expect("it was just written").is_some() {}
        decoding.push(start.elapsed().as_nanos());
    }
    let rate = |nanoseconds: u128| stream.commands.len() as u128 * 1_000_000_000 / nanoseconds;
    for (name, mut times) in [(bench.to_owned(), totals), (format!("{bench}.decoded"), decoding)] {
        times.sort_unstable();
        print(&format!("{name}.throughput"), rate(times[0]), "commands/s");
        print(&format!("{name}.throughput_median"), rate(times[runs / 2]), "commands/s");
    }
}

/// Nanoseconds that every command takes in the fastest of several runs.
fn own_times(stream: &Stream) -> Vec<u128> {
    let mut fastest = vec![u128::MAX; stream.commands.len()];
    let mut events = Vec::with_capacity(1 << 16);
    for _ in 0..OPEN_LOOP_RUNS {
        let mut engine = opened_with_thread(stream);
        for (command, fastest) in stream.commands.iter().zip(&mut fastest) {
            let start = Instant::now();
            events.clear();
            engine.apply(command, &mut events);
            *fastest = start.elapsed().as_nanos().min(*fastest);
        }
    }
    fastest
}

/// The latencies that follow from the times, sorted.
fn queued(times: &[u128], between: Duration) -> Vec<u128> {
    let (mut due, mut free) = (0, 0);
    let mut latencies: Vec<_> = times
        .iter()
        .map(|time| {
            free = free.max(due) + time;
            let latency = free - due;
            due += between.as_nanos();
            latency
        })
        .collect();
    latencies.sort_unstable();
    latencies
}

/// Latencies of every command, sorted.
fn open_loop(stream: &Stream, between: Duration) -> Vec<u128> {
    let mut engine = opened_with_thread(stream);
    let mut events = Vec::with_capacity(1 << 16);
    // Written before, so that no command waits for a page of what only measures it.
    let mut latencies = vec![u128::MAX; stream.commands.len()];
    let mut due = Instant::now() + Duration::from_millis(1);
    for (command, latency) in stream.commands.iter().zip(&mut latencies) {
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        events.clear();
        engine.apply(command, &mut events);
        *latency = (Instant::now() - due).as_nanos();
        due += between;
    }
    latencies.sort_unstable();
    latencies
}

/// Microseconds that a frame takes in which every index price moves.
fn reprice(stream: &Stream, opening: &Opening) -> u128 {
    let mut engine = opened(stream);
    let mut events = Vec::with_capacity(1 << 16);
    run(&mut engine, &stream.commands, &mut events);
    let frame = stream.reprice(opening);
    let start = Instant::now();
    events.clear();
    engine.apply(&frame, &mut events);
    start.elapsed().as_micros()
}

/// What a profiler looks at.
#[inline(never)]
fn profiled(engine: &mut Engine, stream: &Stream, events: &mut Vec<Event>) {
    for commands in stream.commands.chunks(PIECE) {
        touch(commands);
        run(engine, commands, events);
    }
}

fn profile(stream: &Stream) {
    profiled(&mut opened(stream), stream, &mut Vec::with_capacity(1 << 16));
}

fn main() {
    let asked = std::env::args().nth(1);
    let asks = |what: &str| asked.as_deref() == Some(what);
    let wants = |what: &str| asked.is_none() || asks(what);

    if wants("mixed") || wants("open") || wants("replay") || asks("profile") {
        let opening = Opening {
            accounts: 1_000,
            cash: 1_000_000_000_000_000,
            events: 0,
            spots: 0,
            perpetuals: 1,
            ticks: 100_000,
        };
        let crowd = Crowd { opening, markets: 1, orders: 1_000, spread: 810, slots: Some(750), reprices: true };
        let stream = Stream::mixed(if asks("profile") { PROFILED } else { COMMANDS }, crowd);
        if asks("profile") {
            profile(&stream);
        }
        if wants("mixed") {
            throughput("engine.mixed", &stream, RUNS, opened);
            throughput("engine.mixed.hashed_elsewhere", &stream, RUNS, opened_with_thread);
        }
        if wants("open") {
            let at = |latencies: &[u128], per_mille: usize| latencies[latencies.len() * per_mille / 1_000];
            let between = Duration::from_micros(1);
            let runs = (0..OPEN_LOOP_RUNS).map(|_| open_loop(&stream, between));
            let best = runs.min_by_key(|latencies| at(latencies, 990)).expect("there are runs");
            let own = queued(&own_times(&stream), between);
            for (name, per_mille) in [("p50", 500), ("p99", 990), ("p999", 999)] {
                print(&format!("engine.mixed.open_loop_1m.{name}_ns"), at(&best, per_mille), "ns");
                print(&format!("engine.mixed.open_loop_1m.own_{name}_ns"), at(&own, per_mille), "ns");
            }
        }
        if wants("replay") {
            replay_throughput("engine.replay", &stream, RUNS);
        }
    }
    if wants("many") || asks("profile-many") {
        let opening = Opening {
            accounts: 100_000,
            cash: 1_000_000_000_000_000,
            events: 20,
            spots: 30,
            perpetuals: 30,
            ticks: 100_000,
        };
        let crowd = Crowd { opening, markets: 8, orders: 1_000_000, spread: 7_500, slots: None, reprices: false };
        let stream = Stream::mixed(COMMANDS, crowd);
        if asks("profile-many") {
            return profile(&stream);
        }
        throughput("engine.many_markets", &stream, RUNS / 4, opened);
        print("engine.many_markets.reprice_us", reprice(&stream, &opening), "us");
    }
}
