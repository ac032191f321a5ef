//! Time until a node that died has its state again: `cargo run --release -p xos-node --example bench-recovery [directory]`.
//!
//! Ten million commands of the engine's mixed workload (`bench-engine`) lie in a journal under the given directory (default: the
//! current one; about 2 GB, removed afterwards). They are read, checked, decoded and applied as at a start without a snapshot,
//! from the page cache, as after a crash of the process. Prints a line of JSON with the seconds; then what a start costs whose
//! snapshot is one million commands old.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout)]

#[path = "../src/hashing.rs"]
mod hashing;
#[path = "../../book/examples/mix/mod.rs"]
mod mix;
#[path = "../../engine/examples/opening/mod.rs"]
mod opening;
#[path = "../../engine/examples/bench-engine/stream.rs"]
#[allow(dead_code, reason = "shared with the engine's benchmark, which uses more of it")]
mod stream;

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use hashing::HashThread;
use opening::{GROUP, Opening};
use stream::{Crowd, Stream};
use xos_engine::{Engine, Lookout};
use xos_journal::{Journal, Settings};
use xos_types::Logged;

const COMMANDS: usize = 10_000_000;
/// Commands of a window.
const WINDOW: usize = 1_000;
/// Commands since the snapshot: those after which a node takes one.
const SINCE_SNAPSHOT: u64 = 1_000_000;

/// Applies the rest of a journal, as the node does: in batches, while another thread hashes the log.
fn recover(mut engine: Engine, journal: &Path) -> Result<Engine, Box<dyn Error>> {
    engine.hash_elsewhere(Box::new(HashThread::start()?));
    let mut events = Vec::new();
    let mut replay = xos_journal::read_only(journal, engine.sequence() + 1)?;
    while let Some((_, batch)) = replay.next_batch()? {
        let mut lookout = Lookout::default();
        for (place, command) in batch.iter().enumerate() {
            engine.look_ahead(&mut lookout, &batch[place..], Logged::command);
            events.clear();
            engine.apply(command, &mut events);
        }
    }
    Ok(engine)
}

fn main() -> Result<(), Box<dyn Error>> {
    let parent = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let dir = tempfile::tempdir_in(parent)?;
    let opening =
        Opening { accounts: 1_000, cash: 1_000_000_000_000_000, events: 0, spots: 0, perpetuals: 1, ticks: 100_000 };
    let crowd = Crowd { opening, markets: 1, orders: 1_000, spread: 810, slots: Some(750), reprices: true };
    let stream = Stream::mixed(COMMANDS, crowd);

    let mut journal = Journal::open(dir.path(), &GROUP, Settings::default())?.resume()?;
    let mut snapshot = Vec::new();
    let mut live = Engine::new(GROUP);
    let mut events = Vec::new();
    let last = (stream.opening.len() + stream.commands.len()) as u64;
    for window in stream.opening.chunks(WINDOW).chain(stream.commands.chunks(WINDOW)) {
        journal.append(window)?;
        for command in window {
            events.clear();
            live.apply(command, &mut events);
            if live.sequence() + SINCE_SNAPSHOT == last {
                live.snapshot(&mut snapshot)?;
            }
        }
    }
    journal.close()?;
    drop(stream);

    let started = Instant::now();
    let recovered = recover(Engine::new(GROUP), dir.path())?;
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!((recovered.sequence(), recovered.state_hash()), (live.sequence(), live.state_hash()));
    println!(r#"{{"bench":"recovery.10m_s","value":{seconds:.3},"unit":"s"}}"#);

    let started = Instant::now();
    let recovered = recover(Engine::restore(snapshot.as_slice())?, dir.path())?;
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!((recovered.sequence(), recovered.state_hash()), (live.sequence(), live.state_hash()));
    println!(r#"{{"bench":"recovery.from_snapshot_s","value":{seconds:.3},"unit":"s"}}"#);
    Ok(())
}
