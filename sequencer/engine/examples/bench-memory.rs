//! Memory of resting orders and of accounts, everything in: `cargo run --release -p xos-engine --example bench-memory -- 10000000`.
//!
//! What is counted is what the allocator gave out: the engine's live bytes with what is measured, less those without.
//!
//! - **An order**: that many (a million unless told otherwise) come to rest in 100 markets of every kind, each account with as
//!   many as it may have. So it holds the links, what was signed, the price levels, what the account's index, margin and nonces
//!   keep, and the room that vectors have grown ahead.
//! - **An account**: 100,000 are opened, and trade until each has eight positions: in three events, two assets and three
//!   perpetuals. Nothing rests any more. It holds the owner, cash, nonces, what was paid in, the index of owners, and what
//!   markets and feeds keep of their holders. Beside it, eight positions of one kind; and *quoting*: as the first, but with a bid
//!   resting in each of the eight markets, of which only the orders' own records do not count.
#![allow(clippy::print_stdout)]
#![allow(clippy::disallowed_methods, reason = "a benchmark takes arguments")]

#[path = "opening/mod.rs"]
mod opening;

use std::alloc::System;

use opening::{FIRST, GROUP, Opening, empty_frame, order, sign};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use xos_engine::{Engine, limits};
use xos_types::{AccountId, Command, Event, Lots, MarketId, Nonce, Order, Side};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ORDERS: u64 = 1_000_000;
const ACCOUNTS: u64 = 100_000;
const TICKS: u32 = 1_000;
/// Bytes of a resting order's links and of what was signed.
const ORDER_RECORDS: usize = 40 + 104;
const MARKETS: Opening = Opening { accounts: 0, cash: 1 << 90, events: 20, spots: 30, perpetuals: 30, ticks: TICKS };

fn live_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

fn apply(engine: &mut Engine, command: Command, events: &mut Vec<Event>) {
    events.clear();
    engine.apply(&command.into(), events);
    assert!(!events.iter().any(|event| matches!(event, Event::Rejected { .. })), "{events:?}");
}

/// In hundredths, because the engine's lints refuse floats.
fn print(bench: &str, bytes: usize, count: u64, unit: &str) {
    let hundredths = bytes as u64 * 100 / count;
    println!(r#"{{"bench":"{bench}","value":{}.{:02},"unit":"{unit}"}}"#, hundredths / 100, hundredths % 100);
}

/// Where the `n`-th account trades: it may hold things at 32 index prices.
fn markets_of(n: u64) -> Vec<MarketId> {
    let (all, first) = (MARKETS.markets(), usize::try_from(n).expect("few accounts") * 20);
    (first..first + 20).map(|market| all[market % all.len()]).collect()
}

/// The `n`-th order: accounts take turns, markets and prices are spread, bids below the middle and asks above.
fn spread_order(n: u64, accounts: u64) -> Order {
    let spread = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let markets = markets_of(n % accounts);
    let market = markets[usize::try_from(spread % markets.len() as u64).expect("few markets")];
    let half = MARKETS.middle();
    let (side, price) = match spread / 100 % 2 {
        0 => (Side::Buy, 1 + spread / 200 % (half - 1)),
        _ => (Side::Sell, half + spread / 200 % half),
    };
    let order = order(AccountId(FIRST + n % accounts), Nonce(n / accounts), market, side, price);
    Order { size: Lots(1 + spread % 100), ..order }
}

fn measure_orders(orders: u64) {
    let accounts = orders.div_ceil(limits::ORDERS_MAX as u64);
    let (mut engine, mut events) = (Engine::new(GROUP), Vec::with_capacity(1 << 16));
    let opening = Opening { accounts, ..MARKETS };
    apply(
        &mut engine,
        opening.frame(1 << 40, |account, market| markets_of(account.0 - FIRST).contains(&market)),
        &mut events,
    );
    // Seals the frame, which still holds the inbox.
    apply(&mut engine, empty_frame(2), &mut events);
    events.clear();

    let before = live_bytes();
    for n in 0..orders {
        let order = spread_order(n, accounts);
        apply(&mut engine, Command::place(sign(order, order.account)), &mut events);
    }
    events.clear();
    let bytes = live_bytes() - before;
    assert_eq!(engine.resting_orders() as u64, orders, "every order rests");
    print("engine.order_bytes", bytes, orders, "bytes/order");
    print(&format!("engine.memory.{orders}_orders"), bytes, 1, "bytes");
}

/// Accounts with a position in every market, or balance, of an opening.
fn measure_accounts(bench: &str, opening: Opening, quotes: bool) {
    // Markets and what busy frames keep are in it too, and do not count among so many.
    let (before, mut events) = (live_bytes(), Vec::new());
    let mut engine = Engine::new(GROUP);
    apply(&mut engine, opening.frame(1_000, |_, _| true), &mut events);
    apply(&mut engine, empty_frame(2), &mut events);
    let mut markets = opening.markets();
    markets.dedup_by_key(|market| market.event());
    let middle = opening.middle();
    for account in (FIRST..FIRST + opening.accounts).step_by(2) {
        for (nonce, market) in (1..).map(Nonce).zip(&markets) {
            for (side, account) in [(Side::Sell, AccountId(account)), (Side::Buy, AccountId(account + 1))] {
                let order = Order { size: Lots(5), ..order(account, nonce, *market, side, middle) };
                apply(&mut engine, Command::place(sign(order, account)), &mut events);
            }
        }
        if engine.frame_gas() >= 12_000_000 {
            apply(&mut engine, empty_frame(2), &mut events);
        }
    }
    apply(&mut engine, empty_frame(2), &mut events);
    assert_eq!(engine.resting_orders(), 0, "every order filled");
    if quotes {
        for account in (FIRST..FIRST + opening.accounts).map(AccountId) {
            let first = markets.len() as u64 + 1;
            for (nonce, market) in (first..).map(Nonce).zip(&markets) {
                let order = Order { size: Lots(5), ..order(account, nonce, *market, Side::Buy, middle / 2) };
                apply(&mut engine, Command::place(sign(order, account)), &mut events);
            }
        }
    }
    drop(events);
    let bytes = live_bytes() - before - engine.resting_orders() * ORDER_RECORDS;
    print(bench, bytes, opening.accounts, "bytes/account");
}

fn main() {
    let orders = std::env::args().nth(1).map_or(ORDERS, |orders| orders.parse().expect("a number of orders"));
    measure_orders(orders);
    let none = Opening { accounts: ACCOUNTS, cash: 1 << 60, events: 0, spots: 0, perpetuals: 0, ticks: TICKS };
    let mixed = Opening { events: 3, spots: 2, perpetuals: 3, ..none };
    measure_accounts("engine.account_bytes", mixed, false);
    measure_accounts("engine.account_bytes.quoting", mixed, true);
    measure_accounts("engine.account_bytes.outcomes", Opening { events: 8, ..none }, false);
    measure_accounts("engine.account_bytes.assets", Opening { spots: 8, ..none }, false);
    measure_accounts("engine.account_bytes.perpetuals", Opening { perpetuals: 8, ..none }, false);
    measure_accounts("engine.account_bytes.none", none, false);
}
