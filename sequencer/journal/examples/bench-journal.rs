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
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use xos_journal::{Journal, JournalError, Settings};
use xos_types::{
    AccountId, Address, Command, EventId, GroupConfig, GroupTerms, Logged, Lots, MarketId, Nonce, Order, OrderKind,
    Ppm, Side, Signature, Signed, Ticks, TimeMs,
};

const COMMANDS: u64 = 10_000_000;
const WINDOW_COMMANDS: u64 = 64;
const PACED_PER_SECOND: u64 = 100_000;
const PACED_COMMANDS: u64 = 10 * PACED_PER_SECOND;
const LATENCY_US_MAX: u64 = 60_000_000;
/// Between two hand-overs of the open loop.
const TICK: Duration = Duration::from_micros(100);

fn order(nonce: u64) -> Logged {
    let message = Order {
        account: AccountId(1 + nonce % 40),
        market: MarketId::new(EventId(1), 7),
        side: if nonce.is_multiple_of(2) { Side::Buy } else { Side::Sell },
        kind: OrderKind::GoodTillCancelled,
        reduce_only: false,
        size: Lots(100),
        price: Ticks(500),
        nonce: Nonce(nonce),
        expiry: TimeMs(1_780_000_000_000),
        max_fee: Ppm(1_000),
        builder: 0,
        builder_fee: Ppm(0),
    };
    let signature = Signature { r: [0xa5; 32], vs: [0x5a; 32] };
    Logged::new(Command::place(Signed { message, signature, signer: Address::repeat_byte(0x42) }))
}

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

/// Hands commands over when they are due; how long each took to be seen durable, in microseconds. The first second warms up.
fn at_a_pace(mut journal: Journal) -> Result<Histogram<u64>, Box<dyn Error>> {
    let (handed_over, outputs) = channel::<(u64, u64)>();
    let durability = journal.durability();
    let start = Instant::now();
    let due = move |command: u64| start + Duration::from_secs(1) * u32::try_from(command).unwrap_or(u32::MAX) / 100_000;
    let output = std::thread::spawn(move || -> Result<Histogram<u64>, String> {
        let mut latency_us = Histogram::<u64>::new_with_max(LATENCY_US_MAX, 3).map_err(|error| error.to_string())?;
        for (first, last) in outputs {
            durability.wait_for(last).map_err(|error| error.to_string())?;
            let seen = Instant::now();
            for command in (first..last).filter(|command| *command >= PACED_PER_SECOND) {
                let us = u64::try_from(seen.saturating_duration_since(due(command)).as_micros()).unwrap_or(u64::MAX);
                latency_us.saturating_record(us);
            }
        }
        Ok(latency_us)
    });
    let mut next = 0;
    while next < PACED_COMMANDS {
        std::thread::sleep(TICK);
        let now = Instant::now();
        let first = next;
        while next < PACED_COMMANDS && due(next) <= now {
            next += 1;
        }
        let window: Vec<_> = (first..next).map(order).collect();
        // An empty journal numbers its commands from 1 on, so this is the last one's sequence number.
        journal.append(&window)?;
        handed_over.send((first, next))?;
    }
    drop(handed_over);
    Ok(output.join().map_err(|_| "the output's thread panicked")??)
}
