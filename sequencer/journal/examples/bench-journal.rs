//! Cost of durability on this disk: `cargo run --release -p xos-journal --example bench-journal [directory]`.
//!
//! Everything happens in a temporary directory under the given one (default: the current directory; a memory file system
//! would measure nothing). Prints one line of JSON for each of:
//!
//! - `journal.throughput`: ten million signed orders are encoded, handed over in windows of 64, and durable at the end.
//! - `journal.at_100k`: 100,000 orders a second for ten seconds, in an open loop: an order counts from when it was due, not
//!   from when the loop came round to it, until a thread that waits for the disk, as the node's output does, has seen it
//!   durable. Orders are handed over ten times a millisecond, so a twentieth of a millisecond of it is the bench's own.
//! - `journal.read.throughput`: the ten million are read, checked and decoded again, from the page cache.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use xos_journal::{Journal, JournalError, Settings};
use xos_types::{Address, GroupConfig, GroupTerms};

use paced::{at_a_pace, order};

mod paced;

const COMMANDS: u64 = 10_000_000;
const WINDOW_COMMANDS: u64 = 64;

fn open(dir: &Path) -> Result<xos_journal::Recovery, JournalError> {
    let config = GroupConfig {
        chain_id: 1,
        group: Address::ZERO,
        token: Address::ZERO,
        governance: Address::ZERO,
        terms: GroupTerms::usual(Address::ZERO),
    };
    Journal::open(dir, &config, Settings::default())
}

fn per_second(commands: u64, took: Duration) -> u128 {
    u128::from(commands) * 1_000_000_000 / took.as_nanos().max(1)
}

fn main() -> Result<(), Box<dyn Error>> {
    let parent = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let (dir, paced) = (tempfile::tempdir_in(&parent)?, tempfile::tempdir_in(&parent)?);

    let mut journal = open(dir.path())?.resume()?;
    let start = Instant::now();
    let mut window = Vec::new();
    for first in (0..COMMANDS).step_by(usize::try_from(WINDOW_COMMANDS)?) {
        window.clear();
        window.extend((first..COMMANDS.min(first + WINDOW_COMMANDS)).map(order));
        journal.append(&window)?;
    }
    journal.close()?;
    let rate = per_second(COMMANDS, start.elapsed());
    println!(r#"{{"bench":"journal.throughput","value":{rate},"unit":"commands/s"}}"#);

    let latency_us = at_a_pace(open(paced.path())?.resume()?)?;
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
        let value = latency_us.value_at_quantile(quantile);
        println!(r#"{{"bench":"journal.at_100k.{name}_us","value":{value},"unit":"us"}}"#);
    }

    let mut recovery = open(dir.path())?;
    let start = Instant::now();
    let mut read = 0;
    for command in recovery.replay() {
        command?;
        read += 1;
    }
    let rate = per_second(read, start.elapsed());
    if read != COMMANDS {
        return Err(format!("{read} commands came back of {COMMANDS}").into());
    }
    println!(r#"{{"bench":"journal.read.throughput","value":{rate},"unit":"commands/s"}}"#);
    Ok(())
}
