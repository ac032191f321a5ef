//! Engine and contract live the same random lives and must agree on everything.
//!
//! A life is a list of steps: deposits, venues, events of 2 to 48 outcomes with fees, rebates and caps, orders of every kind
//! (good and bad ones, by owners and by keys that act for them), cancellations, withdrawals, requests by transaction,
//! memberships, phases, resolutions, frames. Traders sign for real. The inbox is the contract's own, read from
//! its logs; every sealed frame becomes a batch that the contract must accept, and after each batch both sides are compared
//! to the atom. In the end everybody leaves with everything.
//!
//! `XOS_LIVES` sets how many lives are tried; a life that fails is shrunk and kept beside this file.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../artifact/mod.rs"]
mod artifact;
mod evm;
mod life;

use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};

use crate::life::{EventPlan, Life, Placement, Step, VenuePlan};

const LIVES: u32 = 64;

fn event_plan() -> impl Strategy<Value = EventPlan> {
    let outcomes = prop_oneof![3 => Just(2_u8), 3 => Just(3), 2 => Just(5), 1 => Just(48)];
    // Ticks and quantum: a lot pays from 2 atoms to the most that the contract allows.
    let value = prop_oneof![
        6 => Just((1_000_u32, 10_u64)),
        1 => Just((2, 1)),
        1 => Just((10, 1_000)),
        1 => Just((1_000_000, 7)),
        1 => Just((1_000, 1_000_000_000_000)),
    ];
    let taker = prop_oneof![Just(0_u32), Just(1_000), Just(333), Just(100_000)];
    let maker = prop_oneof![3 => Just(0_i32), 1 => Just(1_000), 1 => Just(100_000), 2 => -100_i32..0];
    let flags = (prop::bool::weighted(0.3), prop::bool::weighted(0.1));
    let cap = || prop_oneof![4 => Just(0_u64), 1 => 1_u64..2_000];
    (outcomes, value, (taker, maker), any::<u8>(), flags, (cap(), cap())).prop_map(
        |(outcomes, (ticks, quantum), (taker_fee, maker_fee), venue, (curve, restricted), caps)| EventPlan {
            outcomes,
            ticks,
            quantum,
            taker_fee,
            maker_fee,
            venue,
            curve,
            restricted,
            position_cap: caps.0,
            open_interest_cap: caps.1,
        },
    )
}

fn venue_plan() -> impl Strategy<Value = VenuePlan> {
    let share = || prop_oneof![Just(0_u32), Just(1), 0_u32..333_333, Just(333_333)];
    (any::<u8>(), any::<u8>(), [share(), share(), share()]).prop_map(|(pick, treasury, shares)| VenuePlan {
        pick: pick % 4,
        treasury,
        shares,
    })
}

fn size() -> impl Strategy<Value = u64> {
    prop_oneof![20 => 1_u64..100, 4 => 100_u64..1_000, 2 => 1_u64..20_000, 1 => 1_u64..1_000_000_000_000, 1 => Just(0)]
}

fn placement() -> impl Strategy<Value = Placement> {
    let price = prop_oneof![6 => 0_u16..=1_000, 6 => 300_u16..700, 1 => Just(0), 1 => Just(1_000)];
    (any::<u8>(), any::<u8>(), any::<u8>(), any::<bool>(), 0_u8..8, price, size(), any::<u8>()).prop_map(
        |(account, event, outcome, buy, kind, price, size, twist)| Placement {
            account,
            event,
            outcome,
            buy,
            kind,
            price,
            size,
            twist,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let limit = prop_oneof![3 => Just(0_u64), 1 => 1_u64..1_000_000];
    let frame = (prop_oneof![8 => 0_u64..2_500, 1 => 0_u64..400_000], any::<u8>());
    prop_oneof![
        120 => placement().prop_map(Step::Place),
        8 => (any::<u8>(), any::<u8>()).prop_map(|(account, pick)| Step::Cancel { account, pick }),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(account, ahead)| Step::CancelAll { account, ahead }),
        5 => (any::<u8>(), any::<u8>()).prop_map(|(account, part)| Step::Withdraw { account, part }),
        4 => (any::<u8>(), any::<u64>(), any::<bool>())
            .prop_map(|(account, amount, fresh)| Step::Deposit { account, amount, fresh }),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(account, part)| Step::ForceWithdrawal { account, part }),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(account, ahead)| Step::ForceCancelAll { account, ahead }),
        9 => (any::<u8>(), any::<u8>(), 0_u64..60_000, limit, any::<u8>()).prop_map(
            |(account, agent, ms, max_notional, rights)| Step::Grant { account, agent, ms, max_notional, rights }
        ),
        1 => any::<u8>().prop_map(|account| Step::Register { account }),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(account, builder)| Step::Refer { account, builder }),
        1 => venue_plan().prop_map(Step::Venue),
        6 => (any::<u8>(), any::<u8>(), 0_u64..60_000)
            .prop_map(|(account, venue, ms)| Step::Join { account, venue, ms }),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(event, phase)| Step::Phase { event, phase }),
        1 => Just(Step::Terms),
        1 => event_plan().prop_map(Step::Open),
        1 => (any::<u8>(), any::<u64>()).prop_map(|(event, how)| Step::Resolve { event, how }),
        7 => frame.prop_map(|(ms, items)| Step::Frame { ms, items }),
    ]
}

#[test]
fn engine_and_contract_agree_on_every_life() {
    let lives = std::env::var("XOS_LIVES").map_or(LIVES, |text| text.parse().expect("XOS_LIVES is a number"));
    let mut runner = TestRunner::new(Config {
        cases: lives,
        max_shrink_iters: 2_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        source_file: Some(file!()),
        ..Config::default()
    });
    let totals = std::cell::RefCell::new(life::Totals::default());
    let life = (proptest::collection::vec(event_plan(), 1..4), proptest::collection::vec(step(), 1..800));
    let result = runner.run(&life, |(events, steps)| {
        let lived = Life::begin(&events).live(&steps);
        totals.borrow_mut().add(&lived);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    let totals = totals.into_inner();
    println!("{lives} lives: {totals:?}");
    // A test of nothing would pass too.
    assert!(totals.batches > u64::from(lives) && totals.fill_lines > 10 * u64::from(lives), "{totals:?}");
    for (what, count) in totals.kinds() {
        assert!(count > 0, "no {what} in {lives} lives: {totals:?}");
    }
}

#[test]
fn a_fund_that_trades_with_positions_behind_it_holds_up_nobodys_profit() {
    Life::fund_trades_while_a_profit_leaves();
}
