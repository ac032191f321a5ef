//! Once a group has been as busy as it gets, orders come, move, trade and go without allocating, in markets of every kind. Alone
//! in its file: the count is the process's.

#[path = "../examples/opening/mod.rs"]
mod opening;

use std::alloc::System;

use opening::{FIRST, GROUP, Opening, empty_frame, order, sign};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use xos_engine::Engine;
use xos_types::*;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const OPENING: Opening =
    Opening { accounts: 3, cash: 1_000_000_000_000, events: 1, spots: 1, perpetuals: 1, ticks: 1_000 };
const ALICE: AccountId = AccountId(FIRST);
const BOB: AccountId = AccountId(FIRST + 1);
const CAROL: AccountId = AccountId(FIRST + 2);

/// Each account counts its own nonces, as is the custom.
#[derive(Default)]
struct Counters([u64; 3]);

impl Counters {
    fn next(&mut self, account: AccountId) -> Nonce {
        let count = &mut self.0[usize::try_from(account.0 - FIRST).expect("few accounts")];
        *count += 1;
        Nonce(*count)
    }
}

/// A day's worth of commands in a market: quotes that move, shrink and leave, and, if so asked, takers that hit some of them.
fn commands(counters: &mut Counters, market: MarketId, takes: bool) -> Vec<Logged> {
    let mut commands = vec![];
    for round in 0..200 {
        for (account, side, middle) in [(ALICE, Side::Buy, 400), (BOB, Side::Sell, 600)] {
            let mut quote = |price| {
                let order = order(account, counters.next(account), market, side, price);
                Order { size: Lots(10), ..order }
            };
            let (first, second) = (quote(middle - round % 50), quote(middle + round % 50));
            let nonce = second.nonce;
            commands.push(Command::place(sign(first, account)));
            let instructions = Instructions::default();
            commands.push(Command::Replace { nonce: first.nonce, order: sign(second, account), instructions });
            commands.push(Command::Amend(sign(Amend { account, nonce, size: Lots(5) }, account)));
            if takes {
                let price = if side == Side::Buy { 1 } else { 999 };
                let taker = order(CAROL, counters.next(CAROL), market, side.opposite(), price);
                let taker = Order { kind: OrderKind::ImmediateOrCancel, size: Lots(2), ..taker };
                commands.push(Command::place(sign(taker, CAROL)));
            }
            commands.push(Command::Cancel(sign(Cancel { account, nonce }, account)));
        }
    }
    commands.into_iter().map(Logged::new).collect()
}

/// Allocations and reallocations while the engine applies the commands, and how many of these traded.
fn allocations(engine: &mut Engine, commands: &[Logged], events: &mut Vec<Event>) -> (usize, usize) {
    let (region, mut trades) = (Region::new(ALLOCATOR), 0);
    for command in commands {
        events.clear();
        engine.apply(command, events);
        assert!(!matches!(events[0], Event::Rejected { .. }), "{events:?}");
        trades += usize::from(events.iter().any(|event| matches!(event, Event::Filled(_))));
    }
    let change = region.change();
    (change.allocations + change.reallocations, trades)
}

#[test]
fn orders_come_move_and_go_without_allocating_and_fills_allocate_once_for_their_markets_lines() {
    let (mut engine, mut counters) = (Engine::new(GROUP), Counters::default());
    let mut events = Vec::with_capacity(64);
    engine.apply(&OPENING.frame(1_000_000, |_, _| true).into(), &mut events);
    for market in OPENING.markets() {
        // Positions stay, so what they lie in does.
        for (buyer, seller, lots) in [(ALICE, BOB, 900), (CAROL, BOB, 300)] {
            for (account, side) in [(seller, Side::Sell), (buyer, Side::Buy)] {
                let order = Order { size: Lots(lots), ..order(account, counters.next(account), market, side, 500) };
                engine.apply(&Command::place(sign(order, account)).into(), &mut events);
            }
        }
        for takes in [false, true] {
            let warm = commands(&mut counters, market, takes);
            allocations(&mut engine, &warm, &mut events);
            engine.apply(&empty_frame(2_000).into(), &mut events);
            let measured = commands(&mut counters, market, takes);
            let (count, trades) = allocations(&mut engine, &measured, &mut events);
            assert_eq!(trades, if takes { 400 } else { 0 });
            // A frame's lines leave with it: what the next one needs is a list for the market, and where to keep that.
            let most = if takes { 2 } else { 0 };
            assert!(count <= most, "{} commands in {market} allocated {count} times", measured.len());
            engine.apply(&empty_frame(2_000).into(), &mut events);
        }
    }
}
