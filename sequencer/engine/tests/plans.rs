//! The rules of planned orders, one by one: triggers, orders that exclude each other, brackets, TWAPs, icebergs, and reduce-only
//! orders that shrink with their position.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(dead_code, reason = "the group's helpers serve other tests too")]

#[path = "rules/group.rs"]
mod group;

use group::*;
use xos_types::*;

fn iceberg(display: u64) -> Plan {
    Plan { pace: Pace::Iceberg { display: Lots(display) }, ..Plan::default() }
}

fn plan(group: &mut Group, order: Order, plan: Plan) -> Vec<Event> {
    let order = signed(order.account.0, order);
    group.apply(Command::Plan { order, instructions: Instructions::default(), plan })
}

#[test]
fn an_iceberg_shows_a_part_and_the_next_one_behind_all_others_at_its_price() {
    let mut group = Group::free();
    let order = group.order(ALICE, Side::Sell, 30, 400);
    plan(&mut group, order, iceberg(10));
    group.sell(BOB, 5, 400);
    let events = group.buy(CAROL, 18, 400);
    let met: Vec<_> = fills(&events).iter().map(|fill| (fill.maker.0, fill.size.0, fill.maker_remaining.0)).collect();
    assert_eq!(met, [(ALICE, 10, 20), (BOB, 5, 0), (ALICE, 3, 17)]);
}
