//! Random lives of a group: the engine, a naive oracle and a model of the contract live through the same commands and must
//! agree after every one of them.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::disallowed_methods, reason = "a test may read its environment")]

#[path = "lives/compare.rs"]
mod compare;
#[path = "lives/contract.rs"]
mod contract;
#[path = "lives/follower.rs"]
mod follower;
#[path = "lives/kinds.rs"]
mod kinds;
#[path = "lives/life.rs"]
mod life;
#[path = "lives/naive/mod.rs"]
mod naive;
#[path = "lives/previews.rs"]
mod previews;
#[path = "lives/steps.rs"]
mod steps;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};
use xos_engine::Engine;
use xos_types::*;

use kinds::{kinds_step, stormy_step};
use life::{ACCOUNTS, Life, World, group};
use steps::{Item, Step, crowded_step, step};

/// A world, and up to so many steps in it.
fn life(steps: usize) -> impl Strategy<Value = (World, Vec<Step>)> {
    let with = |world| move |steps| (world, steps);
    prop_oneof![
        outcomes(steps).prop_map(with(World::Outcomes)),
        prop::collection::vec(kinds_step(), 1..steps).prop_map(with(World::Kinds)),
        prop::collection::vec(stormy_step(), 1..steps).prop_map(with(World::Kinds)),
    ]
}

/// Up to so many steps of either sort where only outcomes trade.
fn outcomes(steps: usize) -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![prop::collection::vec(step(), 1..steps), prop::collection::vec(crowded_step(), 1..steps)]
}

/// More with `PROPTEST_CASES`.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(192)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        max_shrink_iters: 4_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn engine_oracle_and_contract_agree_after_every_command((world, steps) in life(250)) {
        let mut life = Life::begin(world);
        for step in steps {
            life.step(step);
        }
        // The last frame settles too.
        life.frame(1, vec![], vec![]);

        // The same log, from its bytes, gives the same state and the same events.
        let bytes: Vec<u8> = life.log.iter().flat_map(|command| Logged::new(command.clone()).bytes().to_vec()).collect();
        let mut again = Engine::new(group());
        let (mut rest, mut events) = (&bytes[..], vec![]);
        for command in &life.log {
            let (logged, after) = Logged::take_from(rest).unwrap();
            prop_assert_eq!(logged.command(), command);
            again.apply(&logged, &mut events);
            rest = after;
        }
        prop_assert!(rest.is_empty());
        prop_assert_eq!(again.log_hash(), life.engine.log_hash());
        prop_assert_eq!(again.state_hash(), life.engine.state_hash());
    }

    #[test]
    fn a_snapshot_anywhere_and_the_rest_of_the_log_give_the_same_events_and_hashes(
        (world, steps) in life(250), at in any::<prop::sample::Index>(),
    ) {
        let mut life = Life::begin(world);
        for step in steps {
            life.step(step);
        }
        let (early, late) = life.log.split_at(at.index(life.log.len()));
        let (mut live, mut events) = (Engine::new(group()), vec![]);
        for command in early {
            live.apply(&command.clone().into(), &mut events);
        }
        let mut snapshot = vec![];
        let hash = live.snapshot(&mut snapshot).unwrap();
        let mut restored = Engine::restore(&snapshot[..]).unwrap();
        restored.check_invariants();
        prop_assert_eq!((hash, hash), (live.state_hash(), restored.state_hash()));
        for command in late {
            let (mut here, mut there) = (vec![], vec![]);
            live.apply(&command.clone().into(), &mut here);
            restored.apply(&command.clone().into(), &mut there);
            prop_assert_eq!(here, there);
        }
        prop_assert_eq!(live.log_hash(), restored.log_hash());
        prop_assert_eq!(live.state_hash(), restored.state_hash());
        prop_assert_eq!(live.state_hash(), life.engine.state_hash());
    }

    #[test]
    fn everybody_can_leave_once_every_event_is_resolved(
        steps in outcomes(150), weights in prop::collection::vec(0u8..4, 48),
    ) {
        let mut life = Life::begin(World::Outcomes);
        for step in steps {
            life.step(step);
        }
        let events: Vec<_> = life.naive.listings.keys().map(|event| event.0).collect();
        life.frame(1, events.into_iter().map(|event| Item::Resolve { event, weights: weights.clone() }).collect(), vec![]);
        life.frame(1, (1..=ACCOUNTS).map(|account| Item::Force { account, asset: 0, amount: u128::MAX }).collect(), vec![]);
        life.frame(1, vec![], vec![]);
        prop_assert_eq!(life.engine.custody(), Atoms(0));
        prop_assert_eq!(life.engine.resting_orders(), 0);
        prop_assert_eq!(life.contract.unwrap().tokens, 0);
        for account in life.engine.account_ids() {
            prop_assert_eq!(life.engine.account(account).unwrap().cash, Atoms(0));
        }
    }
}

/// Some lives that are the same in every run and build.
fn same_lives(world: World, count: usize, step: impl Strategy<Value = Step>) -> impl Iterator<Item = Life> {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let steps = prop::collection::vec(step, 200);
    (0..count).map(move |_| {
        let mut life = Life::begin(world);
        for step in steps.new_tree(&mut runner).unwrap().current() {
            life.step(step);
        }
        life
    })
}

/// `make test-builds` compares what this prints in a debug and in a release build.
#[test]
fn the_same_lives_have_hashes() {
    let outcomes = same_lives(World::Outcomes, 10, step()).chain(same_lives(World::Outcomes, 10, crowded_step()));
    let kinds = same_lives(World::Kinds, 10, kinds_step()).chain(same_lives(World::Kinds, 10, stormy_step()));
    for life in outcomes.chain(kinds) {
        let [state, log] = [life.engine.state_hash(), life.engine.log_hash()].map(B256::from);
        println!("\nhash {state} {log}");
    }
}

/// The properties above say something only if lives meet everything that can happen to them. Limits that need thousands of
/// orders are met in `rules.rs`. With `--nocapture` it says what commands they were, and how many were taken.
#[test]
fn lives_meet_every_event_and_refusal() {
    let (mut met, mut tally) = (BTreeMap::new(), BTreeMap::new());
    let times = (cases() as usize / 400).max(1);
    let outcomes = same_lives(World::Outcomes, 100 * times, step());
    let crowds = same_lives(World::Outcomes, 100 * times, crowded_step());
    let kinds = same_lives(World::Kinds, 100 * times, kinds_step());
    let storms = same_lives(World::Kinds, 1_000 * times, stormy_step());
    for life in outcomes.chain(crowds).chain(kinds).chain(storms) {
        for (name, count) in life.seen {
            *met.entry(name).or_insert(0) += count;
        }
        for (name, (tried, refused)) in life.tally {
            let sum: &mut (u64, u64) = tally.entry(name).or_default();
            *sum = (sum.0 + tried, sum.1 + refused);
        }
    }
    let commands: u64 = tally.values().map(|(tried, _)| tried).sum();
    println!("{commands} commands");
    for (name, (tried, refused)) in tally {
        println!("{name:20} {tried:9}, accepted {:3} %", 100 * (tried - refused) / tried);
    }
    for (name, count) in &met {
        println!("{name:40} {count:9}");
    }
    let seen: BTreeSet<String> = met.into_keys().collect();
    let expected = [
        "Accepted",
        "AccountOpened",
        "AssetDeposited",
        "AssetSet",
        "AssetWithdrawn",
        "AuctionFilled",
        "AuctionHeld",
        "Bankrupt",
        "BuilderSet",
        "CancelAfterSet",
        "Cancelled BelowFloor",
        "Cancelled DeadMan",
        "Cancelled Delisted",
        "Cancelled EventResolved",
        "Cancelled Expired",
        "Cancelled Followed",
        "Cancelled ForcedWithdrawal",
        "Cancelled Immediate",
        "Cancelled Margin",
        "Cancelled NothingToFollow",
        "Cancelled OneCancelsOther",
        "Cancelled OnlyReducing",
        "Cancelled OpenInterestCap",
        "Cancelled Refused",
        "Cancelled Replaced",
        "Cancelled Requested",
        "Cancelled SelfTrade",
        "Cancelled TermsChanged",
        "CloseForced",
        "Closed",
        "Converted",
        "Deleveraged",
        "Deposited",
        "EventOpened",
        "EventResolved",
        "Failing",
        "FeeTiersSet",
        "FeesPaid",
        "Filled",
        "Filled at a discount",
        "Filled by force",
        "Flagged",
        "FloorRaised",
        "Foreseen",
        "Foreseen in part",
        "FrameSealed",
        "FrameSealed with trees",
        "Funded",
        "HoursSet",
        "Liquidated",
        "LossesRepaid",
        "PaidInPart",
        "PerpetualSet",
        "PhaseSet",
        "Planned",
        "PriceLeftOut",
        "Priced",
        "Redeemed",
        "Reduced NothingToFollow",
        "Reduced OneCancelsOther",
        "Reduced OnlyReducing",
        "Reduced Requested",
        "Reduced SelfTrade",
        "ReferrerSet",
        "Refilled",
        "Refused",
        "Rejected AccountClosed",
        "Rejected BadPlan",
        "Rejected BadPrice",
        "Rejected BadSize",
        "Rejected BuilderFeeTooHigh",
        "Rejected Expired",
        "Rejected FeeTooLow",
        "Rejected HoldsStalePrice",
        "Rejected InsufficientAsset",
        "Rejected InsufficientFunds",
        "Rejected MarketClosed",
        "Rejected MarketHalted",
        "Rejected MarketPending",
        "Rejected NonceSpent",
        "Rejected NotAuthorized",
        "Rejected NotFillable",
        "Rejected NotPerpetual",
        "Rejected NotPriced",
        "Rejected NotSameOwner",
        "Rejected NotSmaller",
        "Rejected OnlyPostOnly",
        "Rejected OnlyReducing",
        "Rejected OnlyWaiting",
        "Rejected OutsideHours",
        "Rejected PositionLimit",
        "Rejected ProfitsWait",
        "Rejected Rests",
        "Rejected SameOwner",
        "Rejected TooManyHoldings",
        "Rejected UnknownAccount",
        "Rejected UnknownBuilder",
        "Rejected UnknownMarket",
        "Rejected UnknownOrder",
        "Rejected UnknownToken",
        "Rejected WouldTrade",
        "Rejected ZeroAmount",
        "Released",
        "RescueQueued",
        "RescueRefused Expired",
        "RescueRefused HoldsStalePrice",
        "RescueRefused KeeperLimit",
        "RescueRefused KeeperShort",
        "RescueRefused LossAboveCap",
        "RescueRefused MarketClosed",
        "RescueRefused NotFailing",
        "RescueRefused NotPerpetual",
        "RescueRefused NotPriced",
        "RescueRefused NotWholeLastPosition",
        "RescueRefused NothingToConvert",
        "RescueRefused NothingToLiquidate",
        "RescueRefused OwesNothing",
        "RescueRefused SameOwner",
        "RescueRefused UnknownAccount",
        "Rested",
        "SessionTurned",
        "SpotListed",
        "Swept",
        "TakenOver",
        "TermsSet",
        "Transferred",
        "Triggered",
        "VenueSet",
        "Withdrawn false",
        "Withdrawn true",
        "Would fail at a price",
        "Would fail at no price",
    ];
    let expected: BTreeSet<String> = expected.into_iter().map(String::from).collect();
    let missing: Vec<_> = expected.difference(&seen).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
}
