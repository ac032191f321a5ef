//! Once a group has been as busy as it gets, orders come, move and go without allocating. Alone in its file: the count is the
//! process's.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(dead_code, reason = "the group's helpers serve other tests too")]

#[path = "rules/group.rs"]
mod group;

use std::alloc::System;

use group::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use xos_types::*;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A day's worth of commands: quotes that move, shrink and leave, and, if so asked, takers that hit some of them.
fn commands(group: &mut Group, takes: bool) -> Vec<Logged> {
    let mut commands = vec![];
    // Each account counts its own nonces, as is the custom.
    let mut next = [ALICE, BOB, CAROL].map(|account| group.engine.account(AccountId(account)).unwrap().next_nonce.0);
    let mut count = |account: u64| {
        let next = &mut next[usize::try_from(account - ALICE).unwrap()];
        *next += 1;
        Nonce(*next - 1)
    };
    for round in 0..200 {
        for (account, side, middle) in [(ALICE, Side::Buy, 400), (BOB, Side::Sell, 600)] {
            let mut order = |price| Order { nonce: count(account), ..group.order(account, side, 10, price) };
            let (first, second) = (order(middle - round % 50), order(middle + round % 50));
            let (account, nonce) = (first.account, second.nonce);
            commands.push(Command::place(signed(account.0, first)));
            let instructions = Instructions::default();
            commands.push(Command::Replace { nonce: first.nonce, order: signed(account.0, second), instructions });
            commands.push(Command::Amend(signed(account.0, Amend { account, nonce, size: Lots(5) })));
            if takes {
                let taker = Order { kind: OrderKind::ImmediateOrCancel, ..group.order(CAROL, side.opposite(), 2, 500) };
                let price = Ticks(if side == Side::Buy { 1 } else { 999 });
                let nonce = count(CAROL);
                commands.push(Command::place(signed(CAROL, Order { price, nonce, ..taker })));
            }
            commands.push(Command::Cancel(signed(account.0, Cancel { account, nonce })));
        }
    }
    commands.into_iter().map(Logged::new).collect()
}

/// Allocations and reallocations while the group applies the commands.
fn allocations(group: &mut Group, commands: &[Logged], events: &mut Vec<Event>) -> usize {
    let region = Region::new(ALLOCATOR);
    for command in commands {
        events.clear();
        group.engine.apply(command, events);
        assert!(!matches!(events[0], Event::Rejected { .. }), "{events:?}");
    }
    let change = region.change();
    change.allocations + change.reallocations
}

#[test]
fn quotes_move_without_allocating_and_fills_allocate_only_their_frames_lines() {
    let mut group = Group::free();
    // Positions stay, so the margin of the event does.
    for (buyer, seller, lots) in [(ALICE, BOB, 900), (CAROL, BOB, 300)] {
        group.sell(seller, lots, 500);
        group.buy(buyer, lots, 500);
    }
    let mut events = Vec::with_capacity(64);
    for takes in [false, true] {
        let warm = commands(&mut group, takes);
        allocations(&mut group, &warm, &mut events);
        group.frame(2_000, vec![]);
        let measured = commands(&mut group, takes);
        let count = allocations(&mut group, &measured, &mut events);
        // A frame's lines leave with it; their vector doubles until it holds the 600 of this one.
        let most = if takes { 12 } else { 0 };
        assert!(count <= most, "{} commands allocated {count} times", measured.len());
    }
}
