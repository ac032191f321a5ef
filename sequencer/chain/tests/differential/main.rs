//! Engine and contract live the same random lives and must agree on everything.
//!
//! A life is a list of steps: deposits, venues, events of 2 to 48 outcomes with fees, rebates and caps, orders of every kind
//! (good and bad ones, by owners and by keys that act for them, at once or with a plan), cancellations, withdrawals, requests
//! by transaction, memberships, phases, resolutions, frames. Traders sign for real. The inbox is the contract's own, read
//! from its logs; every sealed frame becomes a batch that the contract must accept, and after each batch both sides are compared
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

use crate::life::{
    AssetPlan, EventPlan, FeedPlan, IsolatedStep, KindStep, Life, PerpetualPlan, Placement, RescueStep, Step,
    TermsPlan, TiersPlan, TradePlan, VenuePlan,
};

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
    let flags = (prop::bool::weighted(0.3), prop::bool::weighted(0.1), prop::bool::weighted(0.12));
    let cap = || prop_oneof![4 => Just(0_u64), 1 => 1_u64..2_000];
    (outcomes, value, (taker, maker), any::<u8>(), flags, (cap(), cap())).prop_map(
        |(outcomes, (ticks, quantum), (taker_fee, maker_fee), venue, (curve, restricted, isolated_only), caps)| {
            EventPlan {
                outcomes,
                ticks,
                quantum,
                taker_fee,
                maker_fee,
                venue,
                curve,
                restricted,
                isolated_only,
                position_cap: caps.0,
                open_interest_cap: caps.1,
            }
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

fn tiers_plan() -> impl Strategy<Value = TiersPlan> {
    let more =
        prop_oneof![3 => 1_u64..1_000_000, 1 => 1_u64..10_000_000_000, 1 => any::<u64>().prop_map(|more| more.max(1))];
    let less = || prop_oneof![1 => Just(0_u32), 3 => 0_u32..600_000];
    let steps = proptest::collection::vec((more, less(), less()), 0..=8);
    (any::<u8>(), steps).prop_map(|(venue, steps)| TiersPlan { venue, steps })
}

fn size() -> impl Strategy<Value = u64> {
    prop_oneof![20 => 1_u64..100, 4 => 100_u64..1_000, 2 => 1_u64..20_000, 1 => 1_u64..1_000_000_000_000, 1 => Just(0)]
}

/// Most orders come without a plan.
fn plan() -> impl Strategy<Value = u64> {
    prop_oneof![2 => Just(0_u64), 1 => any::<u64>()]
}

fn placement() -> impl Strategy<Value = Placement> {
    let price = prop_oneof![6 => 0_u16..=1_000, 6 => 300_u16..700, 1 => Just(0), 1 => Just(1_000)];
    (any::<u8>(), any::<u8>(), any::<u8>(), any::<bool>(), 0_u8..8, price, size(), any::<u8>(), plan()).prop_map(
        |(account, event, outcome, buy, kind, price, size, twist, plan)| Placement {
            account,
            event,
            outcome,
            buy,
            kind,
            price,
            size,
            twist,
            plan,
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
        2 => tiers_plan().prop_map(Step::FeeTiers),
        6 => (any::<u8>(), any::<u8>(), 0_u64..60_000)
            .prop_map(|(account, venue, ms)| Step::Join { account, venue, ms }),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(event, phase)| Step::Phase { event, phase }),
        1 => Just(Step::Terms),
        1 => event_plan().prop_map(Step::Open),
        1 => (any::<u8>(), any::<u64>()).prop_map(|(event, how)| Step::Resolve { event, how }),
        6 => isolated_step().prop_map(Step::Isolated),
        7 => frame.prop_map(|(ms, items)| Step::Frame { ms, items, prices: 0 }),
    ]
}

fn isolated_step() -> impl Strategy<Value = IsolatedStep> {
    let part = || prop_oneof![1 => any::<u8>(), 3 => 0_u8..64];
    prop_oneof![
        3 => (any::<[u8; 3]>(), part())
            .prop_map(|([from, parent, market], part)| IsolatedStep::Fund { from, parent, market, part }),
        1 => any::<[u8; 3]>().prop_map(|[pick, to, part]| IsolatedStep::Empty { pick, to, part }),
    ]
}

#[test]
fn engine_and_contract_agree_on_every_life() {
    let lives = lives();
    let life = (proptest::collection::vec(event_plan(), 1..4), proptest::collection::vec(step(), 1..800));
    let totals = live(lives, &life, |(events, steps)| Life::begin(&events).live(&steps));
    println!("{lives} lives: {totals:?}");
    // A test of nothing would pass too.
    assert!(totals.batches > u64::from(lives) && totals.fill_lines > 10 * u64::from(lives), "{totals:?}");
    for (what, count) in totals.kinds() {
        assert!(count > 0, "no {what} in {lives} lives: {totals:?}");
    }
}

fn feed_plan() -> impl Strategy<Value = FeedPlan> {
    // Atoms per lot and dollar, times 1e9: a lot is about a hundredth of a unit, or something odd.
    let unit = prop_oneof![3 => Just(10_000_000_000_000_u64), 1 => Just(9_999_999_937), 1 => Just(123_456_789_012_345)];
    let age = prop_oneof![6 => 3_000_u32..60_000, 1 => 1_u32..2_000];
    let gap = prop_oneof![6 => 5_000_u32..100_000, 1 => 1_u32..2_000];
    let most = prop_oneof![3 => 50_000_u32..=1_000_000, 1 => 1_000_u32..50_000];
    (unit, age, gap, most).prop_map(|(unit, max_age, max_gap, max_move)| FeedPlan { unit, max_age, max_gap, max_move })
}

fn terms_plan() -> impl Strategy<Value = TermsPlan> {
    let quantum = prop_oneof![3 => Just(100_u64), 1 => Just(1), 1 => Just(7)];
    let taker = prop_oneof![Just(0_u32), Just(500), Just(333), Just(100_000)];
    let maker = prop_oneof![3 => Just(0_i32), 1 => Just(300), 2 => -100_i32..0];
    let cap = || prop_oneof![5 => Just(0_u64), 1 => 1_u64..50_000];
    let flags = (prop::bool::weighted(0.05), prop::bool::weighted(0.25));
    (any::<u8>(), quantum, taker, maker, flags, [cap(), cap()]).prop_map(
        |(venue, quantum, taker_fee, maker_fee, (restricted, isolated_only), caps)| TermsPlan {
            venue,
            quantum,
            taker_fee,
            maker_fee,
            restricted,
            isolated_only,
            caps,
        },
    )
}

fn perpetual_plan() -> impl Strategy<Value = PerpetualPlan> {
    let fraction = || 20_u32..300;
    let bound = || 1_u32..2_000;
    let fractions = [fraction(), fraction(), fraction(), fraction()];
    let losses = prop_oneof![5 => Just(1_000_000_000_u64), 1 => 0_u64..10_000_000];
    (fractions, 20_u32..90, [bound(), bound(), bound()], (0_u32..=40_000, losses), feed_plan()).prop_map(
        |(initial, maintenance, bounds, (funding_cap, loss_cap), feed)| PerpetualPlan {
            initial,
            maintenance,
            bounds,
            funding_cap,
            loss_cap,
            feed,
        },
    )
}

fn asset_plan() -> impl Strategy<Value = AssetPlan> {
    let lot = prop_oneof![Just(10_000_u64), Just(1), Just(1_000_000_007), Just(10_000_000_000_000_000)];
    let weight = || 0_u32..=1_000_000;
    let cap = prop_oneof![5 => Just(0_u64), 1 => 1_000_u64..10_000];
    (any::<u8>(), lot, [weight(), weight(), 0_u32..=100_000], cap, feed_plan())
        .prop_map(|(pick, lot, weights, cap, feed)| AssetPlan { pick: pick % 4, lot, weights, cap, feed })
}

fn kind_step() -> impl Strategy<Value = KindStep> {
    let price = prop_oneof![6 => 450_u16..550, 3 => 300_u16..700, 1 => 0_u16..1_000];
    let size = prop_oneof![20 => 1_u64..400, 1 => 1_u64..1_000_000];
    let trade = (any::<u8>(), any::<u8>(), any::<bool>(), 0_u8..8, price, size, any::<u8>(), plan());
    prop_oneof![
        100 => trade.prop_map(|(account, market, buy, kind, price, size, twist, plan)| {
            KindStep::Trade(TradePlan { account, market, buy, kind, price, size, twist, plan })
        }),
        1 => asset_plan().prop_map(KindStep::Admit),
        1 => (any::<u8>(), terms_plan()).prop_map(|(asset, terms)| KindStep::Spot { asset, terms }),
        1 => (terms_plan(), perpetual_plan())
            .prop_map(|(terms, perpetual)| KindStep::Perpetual { terms, perpetual }),
        1 => (any::<u8>(), terms_plan(), perpetual_plan())
            .prop_map(|(market, terms, perpetual)| KindStep::Change { market, terms, perpetual }),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(market, phase)| KindStep::Phase { market, phase }),
        6 => (any::<u8>(), any::<u8>(), any::<u64>())
            .prop_map(|(account, asset, amount)| KindStep::Deposit { account, asset, amount }),
        4 => (any::<u8>(), any::<u8>(), any::<u8>())
            .prop_map(|(account, asset, part)| KindStep::Withdraw { account, asset, part }),
        3 => (any::<u8>(), any::<u8>(), any::<u8>())
            .prop_map(|(account, asset, part)| KindStep::ForceWithdrawal { account, asset, part }),
        6 => (any::<u8>(), any::<u8>(), any::<u8>(), any::<u8>())
            .prop_map(|(account, to, asset, part)| KindStep::Transfer { account, to, asset, part }),
    ]
}

/// The markets that a life with kinds begins with.
fn listings() -> impl Strategy<Value = Vec<Step>> {
    let assets = proptest::collection::vec(asset_plan(), 1..3);
    let spots = proptest::collection::vec((any::<u8>(), terms_plan()), 1..3);
    let perpetuals = proptest::collection::vec((terms_plan(), perpetual_plan()), 1..4);
    // Another venue and an event that may be its: else few lives have any.
    let venue = (venue_plan(), event_plan())
        .prop_map(|(venue, event)| [Step::Venue(VenuePlan { pick: 0, ..venue }), Step::Open(event)]);
    (venue, assets, spots, perpetuals, any::<u64>()).prop_map(|(venue, assets, spots, perpetuals, prices)| {
        let admit = assets.into_iter().map(|plan| KindStep::Admit(AssetPlan { pick: 255, ..plan }));
        let spots = spots.into_iter().map(|(asset, terms)| KindStep::Spot { asset, terms });
        let perpetuals = perpetuals.into_iter().map(|(terms, perpetual)| KindStep::Perpetual { terms, perpetual });
        let deposits = (0..24_u8).map(|n| KindStep::Deposit { account: n, asset: n / 8, amount: u64::from(n) << 50 });
        let open = Step::Frame { ms: 1_000, items: u8::MAX, prices };
        let steps = admit.chain(spots).chain(perpetuals).chain(deposits).map(Step::Kind);
        let steps = venue.into_iter().chain(steps).chain([open.clone()]);
        steps.chain(isolated_accounts()).chain([open]).collect()
    })
}

/// Every trader's for some market, mostly for one that admits no others.
fn isolated_accounts() -> impl Iterator<Item = Step> {
    (2..8_u8)
        .flat_map(|parent| [1, 6].map(|market| IsolatedStep::Fund { from: 0, parent, market, part: 40 }))
        .map(Step::Isolated)
}

fn any_step() -> impl Strategy<Value = Step> {
    let frame = (prop_oneof![8 => 200_u64..2_500, 1 => 0_u64..100_000], any::<u8>(), any::<u64>());
    prop_oneof![
        6 => step(),
        1 => isolated_step().prop_map(Step::Isolated),
        16 => kind_step().prop_map(Step::Kind),
        2 => frame.prop_map(|(ms, items, prices)| Step::Frame { ms, items, prices }),
    ]
}

#[test]
fn engine_and_contract_agree_on_every_life_with_all_kinds() {
    let lives = lives();
    let events = proptest::collection::vec(event_plan(), 1..3);
    let life = (events, listings(), proptest::collection::vec(any_step(), 1..600));
    let totals = live(lives, &life, |(events, listings, steps)| Life::begin(&events).live(&[listings, steps].concat()));
    println!("{lives} lives with all kinds: {totals:?}");
    for (what, count) in totals.more_kinds() {
        assert!(count > 0 || lives < LIVES, "no {what} in {lives} lives: {totals:?}");
    }
    let options = totals.options.unexpected();
    assert!(
        options.is_empty() || lives < LIVES,
        "options that never change, or change though they are fixed: {options:?}"
    );
}

fn rescue_step() -> impl Strategy<Value = RescueStep> {
    let permille = prop_oneof![3 => 300_u16..800, 3 => 1_200_u16..2_500, 3 => 800_u16..1_200, 1 => 10_u16..300];
    prop_oneof![
        24 => any::<[u8; 4]>()
            .prop_map(|[buyer, seller, market, parts]| RescueStep::Deal { buyer, seller, market, parts }),
        12 => any::<[u8; 4]>()
            .prop_map(|[keeper, pick, size, twist]| RescueStep::Liquidate { keeper, pick, size, twist }),
        8 => any::<[u8; 4]>()
            .prop_map(|[keeper, pick, amount, twist]| RescueStep::Convert { keeper, pick, amount, twist }),
        3 => any::<[u8; 2]>().prop_map(|[account, market]| RescueStep::ForceClose { account, market }),
        4 => any::<[u8; 3]>()
            .prop_map(|[keeper, pick, size]| RescueStep::ForceLiquidation { keeper, pick, size }),
        3 => (any::<u32>(), any::<u8>()).prop_map(|(amount, shift)| RescueStep::Fund { amount, shift }),
        10 => (any::<u8>(), permille, 500_u64..4_000, proptest::collection::vec(any::<[u8; 4]>(), 0..4))
            .prop_map(|(feed, permille, ms, keepers)| RescueStep::Crash { feed, permille, ms, keepers }),
        6 => (1_u8..4, prop_oneof![4 => 300_u64..3_000, 1 => 3_000_u64..70_000])
            .prop_map(|(frames, ms)| RescueStep::Wait { frames, ms }),
    ]
}

/// Assets, and perpetuals with high leverage whose prices may move far; everybody has some collateral.
fn fragile_listings() -> impl Strategy<Value = Vec<Step>> {
    let feed =
        || feed_plan().prop_map(|plan| FeedPlan { max_age: 60_000, max_gap: 100_000, max_move: 1_000_000, ..plan });
    let asset = (asset_plan(), feed(), 300_000_u32..=900_000).prop_map(|(plan, feed, weight)| AssetPlan {
        weights: [weight, weight + 50_000, plan.weights[2]],
        feed,
        ..plan
    });
    let fractions = proptest::array::uniform4(20_u32..120);
    let perpetual =
        (perpetual_plan(), fractions, feed()).prop_map(|(plan, initial, feed)| PerpetualPlan { initial, feed, ..plan });
    let terms = (terms_plan(), prop_oneof![2 => Just(0_u32), 1 => Just(500)]).prop_map(|(plan, taker_fee)| TermsPlan {
        taker_fee,
        maker_fee: 0,
        caps: [0; 2],
        ..plan
    });
    let perpetuals = proptest::collection::vec((terms, perpetual), 1..4);
    (asset, perpetuals, any::<u64>()).prop_map(|(asset, perpetuals, prices)| {
        let admit = KindStep::Admit(AssetPlan { pick: 255, ..asset });
        let perpetuals = perpetuals.into_iter().map(|(terms, perpetual)| KindStep::Perpetual { terms, perpetual });
        let deposits = (0..8_u8).map(|n| KindStep::Deposit { account: n, asset: 0, amount: u64::from(n) << 50 });
        let open = Step::Frame { ms: 1_000, items: u8::MAX, prices };
        let steps = [admit].into_iter().chain(perpetuals).chain(deposits).map(Step::Kind);
        steps.chain([open.clone()]).chain(isolated_accounts()).chain([open]).collect()
    })
}

/// Mostly trades, and what becomes of them.
fn failing_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => kind_step().prop_map(Step::Kind),
        12 => rescue_step().prop_map(Step::Rescue),
        2 => isolated_step().prop_map(Step::Isolated),
        1 => (any::<[u8; 2]>(), 1_000_u64..60_000).prop_map(|([account, agent], ms)| {
            Step::Grant { account, agent, ms, max_notional: 0, rights: 7 }
        }),
        1 => step(),
    ]
}

#[test]
fn engine_and_contract_agree_on_every_life_of_accounts_that_fail() {
    let lives = lives();
    let events = proptest::collection::vec(event_plan(), 1..3);
    let life = (events, fragile_listings(), proptest::collection::vec(failing_step(), 100..400));
    let totals = live(lives, &life, |(events, listings, steps)| Life::begin(&events).live(&[listings, steps].concat()));
    println!("{lives} lives of accounts that fail: {totals:?}");
    let missing = totals.rescues.missing(lives);
    assert!(missing.is_empty() || lives < LIVES, "too few in {lives} lives (seen, least): {missing:?}");
}

fn lives() -> u32 {
    std::env::var("XOS_LIVES").map_or(LIVES, |text| text.parse().expect("XOS_LIVES is a number"))
}

/// So many lives, and what happened in them.
fn live<S: Strategy>(lives: u32, life: &S, live: impl Fn(S::Value) -> life::Totals) -> life::Totals {
    let totals = std::cell::RefCell::new(life::Totals::default());
    let result = runner(lives).run(life, |plan| {
        totals.borrow_mut().add(&live(plan));
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    totals.into_inner()
}

fn runner(lives: u32) -> TestRunner {
    TestRunner::new(Config {
        cases: lives,
        max_shrink_iters: 400,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        source_file: Some(file!()),
        ..Config::default()
    })
}

#[test]
fn a_fund_that_trades_with_positions_behind_it_holds_up_nobodys_profit() {
    Life::fund_trades_while_a_profit_leaves();
}

#[test]
fn a_forced_liquidation_of_which_a_part_is_dearer_than_the_whole_stops_no_batch() {
    let (event, terms, feed) = cheap_lots();
    Life::a_part_may_be_an_atom_dearer_than_the_whole(event, &terms, feed);
}

#[test]
fn a_forced_close_meets_the_book_and_the_contract_takes_its_line() {
    let (event, terms, feed) = cheap_lots();
    Life::a_forced_close_meets_the_book(event, &terms, feed);
}

/// A perpetual without fees whose lots are worth a few atoms.
fn cheap_lots() -> (EventPlan, TermsPlan, FeedPlan) {
    let event = EventPlan {
        outcomes: 2,
        ticks: 10,
        quantum: 1,
        taker_fee: 0,
        maker_fee: 0,
        venue: 0,
        curve: false,
        restricted: false,
        isolated_only: false,
        position_cap: 0,
        open_interest_cap: 0,
    };
    let terms = TermsPlan {
        venue: 0,
        quantum: 1,
        taker_fee: 0,
        maker_fee: 0,
        restricted: false,
        isolated_only: false,
        caps: [0; 2],
    };
    let feed = FeedPlan { unit: 103_000_000, max_age: 60_000, max_gap: 60_000, max_move: 1_000_000 };
    (event, terms, feed)
}
