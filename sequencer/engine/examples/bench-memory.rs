//! Memory of a resting order, everything in: `cargo run --release -p xos-engine --example bench-memory -- 10000000`.
//!
//! That many orders (a million unless told otherwise) come to rest in 100 markets, each account with as many as it may have.
//! What is counted is what the allocator gave out for them: the engine's live bytes when all rest, less those when the
//! accounts and markets were there and no order was. So it holds the links, what was signed, the price levels, what the
//! account's index, margin and nonces keep, and the room that vectors have grown ahead.
#![allow(clippy::print_stdout)]
#![allow(clippy::disallowed_methods, reason = "a benchmark takes arguments")]

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use xos_engine::{Engine, limits};
use xos_types::{
    AccountId, Address, Command, EventConfig, EventId, GroupConfig, GroupTerms, InboxItem, InboxPayload, Lots,
    MarketId, Nonce, Order, OrderKind, Ppm, Side, Signature, Signed, Ticks, TimeMs, TradingTerms, VenueConfig, VenueId,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ORDERS: u64 = 1_000_000;
const VENUE: VenueId = VenueId(1);
const EVENTS: u32 = 50;
const OUTCOMES: u8 = 2;
const TICKS: u32 = 1_000;
/// Number of the first account that a deposit opens.
const FIRST: u64 = 3;

fn owner(account: AccountId) -> Address {
    Address::left_padding_from(&account.0.to_be_bytes())
}

fn live_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

fn opening(accounts: u64) -> Command {
    let deposits = (FIRST..FIRST + accounts).map(|account| {
        let account = AccountId(account);
        InboxPayload::Deposit { account, owner: owner(account), token: Address::ZERO, amount: 1 << 90 }
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
            outcomes: OUTCOMES,
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

/// The `n`-th order: accounts take turns, markets and prices are spread, bids below the middle and asks above.
fn order(n: u64, accounts: u64) -> Command {
    let account = AccountId(FIRST + n % accounts);
    let nonce = n / accounts;
    let spread = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let market = spread % u64::from(EVENTS * u32::from(OUTCOMES));
    let event = EventId(1 + u32::try_from(market / u64::from(OUTCOMES)).expect("few events"));
    let outcome = u8::try_from(market % u64::from(OUTCOMES)).expect("few outcomes");
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
        nonce: Nonce(nonce),
        expiry: TimeMs(0),
        max_fee: Ppm(1_000),
        builder: 0,
        builder_fee: Ppm(0),
    };
    Command::place(Signed { message, signature: Signature::default(), signer: owner(account) })
}

fn main() {
    let orders = std::env::args().nth(1).map_or(ORDERS, |orders| orders.parse().expect("a number of orders"));
    let accounts = orders.div_ceil(limits::ORDERS_MAX as u64);
    let mut engine = Engine::new(GroupConfig {
        chain_id: 1,
        group: Address::ZERO,
        token: Address::ZERO,
        governance: Address::ZERO,
        terms: GroupTerms::usual(Address::ZERO),
    });
    let mut events = Vec::with_capacity(1 << 16);
    engine.apply(&opening(accounts).into(), &mut events);
    // Seals the frame, which still holds the inbox.
    engine.apply(&Command::Frame { time: TimeMs(2), inbox: Vec::new(), prices: Vec::new() }.into(), &mut events);
    events.clear();

    let before = live_bytes();
    for n in 0..orders {
        events.clear();
        engine.apply(&order(n, accounts).into(), &mut events);
    }
    events.clear();
    let bytes = live_bytes() - before;
    assert_eq!(engine.resting_orders() as u64, orders, "every order rests");
    // In hundredths, because the engine's lints refuse floats.
    let hundredths = bytes as u64 * 100 / orders;
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    println!(r#"{{"bench":"engine.order_bytes","value":{whole}.{rest:02},"unit":"bytes/order"}}"#);
    println!(r#"{{"bench":"engine.memory.{orders}_orders","value":{bytes},"unit":"bytes"}}"#);
}
