//! Signed orders, and an open loop that hands them to a journal at a pace; for the benchmarks of journals.

use std::error::Error;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use xos_journal::Journal;
use xos_types::{
    AccountId, Address, Command, EventId, Logged, Lots, MarketId, Nonce, Order, OrderKind, Ppm, Side, Signature,
    Signed, Ticks, TimeMs,
};

const PACED_PER_SECOND: u64 = 100_000;
const PACED_COMMANDS: u64 = 10 * PACED_PER_SECOND;
const LATENCY_US_MAX: u64 = 60_000_000;
/// Between two hand-overs of the open loop.
const TICK: Duration = Duration::from_micros(100);

pub(crate) fn order(nonce: u64) -> Logged {
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

/// Hands commands over when they are due; how long each took to be seen durable, in microseconds. The first second warms up.
pub(crate) fn at_a_pace(mut journal: Journal) -> Result<Histogram<u64>, Box<dyn Error>> {
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
