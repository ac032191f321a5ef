//! Cost of durability on this disk: `cargo run --release -p xos-journal --example bench-journal [directory]`.
//!
//! Appends blocks of 64 signed orders, one `write` and one `fdatasync` each, to a journal in a temporary directory under
//! the given one (default: the current directory; a memory file system would measure nothing). Prints one line of JSON for
//! commands per second, and for the time of an append at p50 and p99.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Instant;

use hdrhistogram::Histogram;
use xos_journal::Journal;
use xos_types::{
    AccountId, Address, Command, EventId, GroupConfig, GroupTerms, Logged, Lots, MarketId, Nonce, Order, OrderKind,
    Ppm, Side, Signature, Signed, Ticks, TimeMs,
};

const BLOCKS: u64 = 3_000;
const BLOCK_COMMANDS: u64 = 64;

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

fn main() -> Result<(), Box<dyn Error>> {
    let parent = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let dir = tempfile::tempdir_in(parent)?;
    let config = GroupConfig {
        chain_id: 1,
        group: Address::ZERO,
        token: Address::ZERO,
        governance: Address::ZERO,
        terms: GroupTerms::usual(Address::ZERO),
    };
    let (mut journal, _) = Journal::open(dir.path(), &config)?;

    let mut append_us = Histogram::<u64>::new(3)?;
    let start = Instant::now();
    for block in 0..BLOCKS {
        let window: Vec<_> = (block * BLOCK_COMMANDS..(block + 1) * BLOCK_COMMANDS).map(order).collect();
        let before = Instant::now();
        journal.append(&window)?;
        append_us.record(u64::try_from(before.elapsed().as_micros())?)?;
    }
    let rate = u128::from(BLOCKS * BLOCK_COMMANDS) * 1_000_000 / start.elapsed().as_micros();
    println!(r#"{{"bench":"journal.throughput","value":{rate},"unit":"commands/s"}}"#);
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let value = append_us.value_at_quantile(quantile);
        println!(r#"{{"bench":"journal.append.{name}","value":{value},"unit":"us"}}"#);
    }
    Ok(())
}
