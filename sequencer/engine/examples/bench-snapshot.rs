//! Snapshots and replay: `cargo run --release -p xos-engine --example bench-snapshot`.
//!
//! That many accounts and as many resting orders in 100 markets (a million unless told otherwise). A snapshot is written by an
//! engine that follows the log (`docs/decisions/0017-snapshots-follow-the-log.md`), so the live one does not stop for it; what
//! is measured is how long the follower takes to write, and how long a node takes from the file's bytes to the state, whose
//! hash is checked. Replay is from the log's bytes: decoding and applying the orders. Each result is a line of JSON.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout)]

use std::time::Instant;

use xos_engine::Engine;
use xos_types::{
    AccountId, Address, Command, EventConfig, EventId, GroupConfig, GroupTerms, InboxItem, InboxPayload, Logged, Lots,
    MarketId, Nonce, Order, OrderKind, Ppm, Side, Signature, Signed, Ticks, TimeMs, TradingTerms, VenueConfig, VenueId,
};

const GROUP: GroupConfig = GroupConfig {
    chain_id: 1,
    group: Address::ZERO,
    token: Address::ZERO,
    governance: Address::ZERO,
    terms: GroupTerms::usual(Address::ZERO),
};
const VENUE: VenueId = VenueId(1);
const EVENTS: u32 = 50;
const TICKS: u32 = 1_000;
/// Number of the first account that a deposit opens.
const FIRST: u64 = 3;

fn owner(account: AccountId) -> Address {
    Address::left_padding_from(&account.0.to_be_bytes())
}

fn opening(accounts: u64) -> Command {
    let deposits = (FIRST..FIRST + accounts).map(|account| {
        let account = AccountId(account);
        InboxPayload::Deposit { account, owner: owner(account), token: Address::ZERO, amount: 1 << 60 }
    });
    let config = VenueConfig {
        treasury: AccountId::PROTOCOL,
        protocol_share: Ppm(0),
        insurance_share: Ppm(0),
        referrer_share: Ppm(0),
    };
    let events = (1..=EVENTS).map(|event| {
        let config = EventConfig {
            terms: TradingTerms { taker_fee: Ppm(1_000), ..TradingTerms::free(VENUE, 1_000) },
            outcomes: 2,
            ticks: TICKS,
            resolver: Address::ZERO,
            title: String::new(),
            labels: Vec::new(),
        };
        InboxPayload::EventOpened { event: EventId(event), config }
    });
    let payloads = deposits.chain([InboxPayload::VenueSet { venue: VENUE, config }]).chain(events);
    let item = |(index, payload)| InboxItem { index, time: TimeMs(0), payload };
    Command::Frame { time: TimeMs(1), inbox: (0..).zip(payloads).map(item).collect(), prices: Vec::new() }
}

/// The `n`-th account's order: markets and prices are spread, bids below the middle and asks above.
fn order(n: u64) -> Command {
    let account = AccountId(FIRST + n);
    let spread = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let event = EventId(1 + u32::try_from(spread % u64::from(EVENTS)).expect("few events"));
    let outcome = u8::try_from(spread / 50 % 2).expect("two outcomes");
    let half = u64::from(TICKS) / 2;
    let (side, price) = match spread / 100 % 2 {
        0 => (Side::Buy, 1 + spread / 200 % (half - 1)),
        _ => (Side::Sell, half + spread / 200 % half),
    };
    let message = Order {
        account,
        market: MarketId::new(event, outcome),
        side,
        kind: OrderKind::GoodTillCancelled,
        reduce_only: false,
        size: Lots(1 + spread % 100),
        price: Ticks(price),
        nonce: Nonce(n % 1_000),
        expiry: TimeMs(0),
        max_fee: Ppm(1_000),
        builder: 0,
        builder_fee: Ppm(0),
    };
    let signature = Signature { r: [0x5a; 32], vs: [0xa5; 32] };
    Command::place(Signed { message, signature, signer: owner(account) })
}

fn print(bench: &str, value: u128, unit: &str) {
    println!(r#"{{"bench":"{bench}","value":{}.{:03},"unit":"{unit}"}}"#, value / 1_000, value % 1_000);
}

fn main() {
    let count = std::env::args().nth(1).map_or(1_000_000, |count| count.parse().expect("a number of accounts"));
    let mut engine = Engine::new(GROUP);
    let mut events = Vec::new();
    engine.apply(&opening(count).into(), &mut events);
    // Seals the frame, which still holds the inbox.
    engine.apply(&Command::Frame { time: TimeMs(2), inbox: Vec::new(), prices: Vec::new() }.into(), &mut events);
    events.clear();

    let log: Vec<u8> = (0..count).flat_map(|n| Logged::new(order(n)).bytes().to_vec()).collect();
    let (mut rest, start) = (&log[..], Instant::now());
    while !rest.is_empty() {
        let (command, after) = Logged::take_from(rest).expect("it was just encoded");
        events.clear();
        engine.apply(&command, &mut events);
        rest = after;
    }
    let rate = u128::from(count) * 1_000_000_000 / start.elapsed().as_nanos();
    assert_eq!(engine.resting_orders() as u64, count, "every order rests");
    println!(r#"{{"bench":"engine.replay.throughput","value":{rate},"unit":"commands/s"}}"#);

    let (mut written, mut restored) = (u128::MAX, u128::MAX);
    let mut snapshot = Vec::new();
    for _ in 0..5 {
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
}
