//! What happens in a life, before it is known whether it makes sense.

use proptest::prelude::*;
use xos_types::*;

use super::life::ACCOUNTS;

/// What happens next, before it is known whether it makes sense.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Place(Placing),
    /// Orders of the first one's account; so many of them take the place of others.
    Tree {
        placings: Vec<Placing>,
        replaces: usize,
        pick: usize,
    },
    Plan {
        placing: Placing,
        planning: Planning,
    },
    Replace {
        pick: usize,
        placing: Placing,
        in_its_market: bool,
    },
    Replan {
        pick: usize,
        placing: Placing,
        trigger: Option<Trigger>,
        pace: Pace,
    },
    Amend {
        account: u64,
        pick: usize,
        percent: u64,
        stranger: bool,
    },
    CancelMany {
        account: u64,
        venue: u32,
        market: (u32, u8),
        sides: Sides,
        nonce: Choice,
        stranger: bool,
    },
    CancelAfter {
        account: u64,
        later: u64,
        nonce: Choice,
        stranger: bool,
    },
    Cancel {
        account: u64,
        pick: usize,
        stranger: bool,
    },
    CancelAll {
        account: u64,
        up: i64,
        stranger: bool,
    },
    Withdraw {
        account: u64,
        asset: u8,
        share: u32,
        nonce: Choice,
        expires_in: Option<i64>,
        oddity: u8,
    },
    Transfer {
        account: u64,
        to: u64,
        asset: u8,
        share: u32,
        nonce: Choice,
        oddity: u8,
    },
    Liquidate(Rescuing),
    Convert(Rescuing),
    Frame {
        later: u64,
        items: Vec<Item>,
        quotes: Vec<Quote>,
    },
}

/// What a keeper wants of one who fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rescuing {
    pub(crate) keeper: u64,
    /// Of which account, if there is one of those that are in need.
    pub(crate) pick: usize,
    pub(crate) needy: bool,
    pub(crate) asset: u8,
    pub(crate) market: u32,
    /// How much of what the account has.
    pub(crate) permille: u64,
    pub(crate) oddity: u8,
    pub(crate) nonce: Choice,
}

/// An order to come.
#[derive(Clone, Debug)]
pub(crate) struct Placing {
    pub(crate) order: Order,
    /// In a market that has an index price, its own is so many ticks above that.
    pub(crate) above_index: i64,
    pub(crate) event: u32,
    pub(crate) outcome: u8,
    pub(crate) nonce: Choice,
    pub(crate) expires_in: Option<i64>,
    pub(crate) stranger: bool,
    pub(crate) instructions: Instructions,
}

/// A plan to come.
#[derive(Clone, Debug)]
pub(crate) struct Planning {
    pub(crate) after: Option<Other>,
    pub(crate) cancels: Option<Other>,
    pub(crate) trigger: Option<Trigger>,
    pub(crate) pace: Pace,
    pub(crate) reduce_only: bool,
    /// It is of the market and side of the order that it excludes, as the exits of a position are.
    pub(crate) twin: bool,
}

/// Another order that a plan names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Other {
    /// One of those that rest or wait.
    Live(usize),
    /// This far from its own nonce.
    Near(i64),
}

/// Where a nonce comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice {
    Next,
    Skip(u64),
    Absolute(u64),
}

#[derive(Clone, Debug)]
pub(crate) enum Item {
    Deposit {
        account: u64,
        amount: u128,
    },
    Open {
        outcomes: u8,
        fees: Fees,
    },
    Venue {
        treasury: u64,
        shares: [u32; 3],
    },
    /// The venue charges less of those who trade much.
    FeeTiers {
        tiers: Vec<FeeTier>,
    },
    Refer {
        account: u64,
        builder: u32,
    },
    Register {
        account: u64,
    },
    CancelAll {
        account: u64,
        up: i64,
    },
    Phase {
        event: u32,
        phase: Phase,
    },
    Hours {
        event: u32,
        hours: Hours,
    },
    Resolve {
        event: u32,
        weights: Vec<u8>,
    },
    Force {
        account: u64,
        asset: u8,
        amount: u128,
    },
    DepositAsset {
        account: u64,
        asset: u8,
        amount: u128,
    },
    /// An asset counts in another way.
    Weigh {
        asset: u8,
        percent: u32,
    },
    /// A perpetual has other terms.
    Tighten {
        perpetual: u8,
        percent: u32,
    },
    Terms {
        max_holdings: u8,
        grace: u32,
    },
    ForceClose {
        account: u64,
        perpetual: u8,
    },
    ForceLiquidation(Rescuing),
}

/// What a feed's source says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quote {
    pub(crate) feed: u8,
    /// Thousandths by which the price moves.
    pub(crate) moves: i64,
    /// Milliseconds before the frame.
    pub(crate) ago: u64,
}

/// What an event charges.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fees {
    pub(crate) taker: u32,
    pub(crate) maker: i32,
    pub(crate) curve: bool,
}
pub(crate) fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        12 => Just(Choice::Next),
        2 => (1u64..200).prop_map(Choice::Skip),
        2 => prop_oneof![30 => 0u64..120, 1 => Just(u64::MAX)].prop_map(Choice::Absolute),
    ]
}

pub(crate) fn expires() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![3 => Just(None), 2 => (-2i64..40).prop_map(Some)]
}

pub(crate) fn instructions() -> impl Strategy<Value = Instructions> {
    let self_trade = prop_oneof![
        3 => Just(SelfTrade::CancelMaker),
        1 => Just(SelfTrade::CancelTaker),
        1 => Just(SelfTrade::CancelBoth),
        2 => Just(SelfTrade::Decrement),
    ];
    let crossing = prop_oneof![Just(Crossing::Refuse), Just(Crossing::Slide)];
    (self_trade, crossing).prop_map(|(self_trade, crossing)| Instructions { self_trade, crossing })
}

pub(crate) fn place() -> impl Strategy<Value = Placing> {
    let size =
        prop_oneof![20 => 1u64..60, 2 => 60u64..3000, 1 => Just(0), 1 => Just(1_000_000_000_001), 1 => Just(u64::MAX)];
    let price = prop_oneof![30 => 6u64..15, 10 => 1u64..20, 1 => Just(0), 1 => Just(20), 1 => Just(u64::MAX)];
    let kind = prop_oneof![
        8 => Just(OrderKind::GoodTillCancelled),
        3 => Just(OrderKind::ImmediateOrCancel),
        2 => Just(OrderKind::FillOrKill),
        3 => Just(OrderKind::PostOnly),
    ];
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let market = prop_oneof![12 => (1u32..=4, 0u8..2), 3 => (1u32..=7, 0u8..6), 1 => (any::<u32>(), any::<u8>())];
    let odd = prop_oneof![30 => Just((false, 0, 0)), 1 => (any::<bool>(), 0u32..2, 0u32..2)];
    let max_fee = prop_oneof![10 => Just(100_000u32), 1 => 0u32..20_000];
    let account = prop_oneof![30 => 1u64..=ACCOUNTS, 1 => Just(0), 1 => any::<u64>()];
    (
        account,
        market,
        side,
        kind,
        size,
        price,
        odd,
        max_fee,
        (choice(), expires(), prop::bool::weighted(0.02), instructions(), prop::bool::weighted(0.15)),
    )
        .prop_map(
            |(
                account,
                (event, outcome),
                side,
                kind,
                size,
                price,
                odd,
                max_fee,
                (nonce, expires_in, stranger, instructions, reduce_only),
            )| {
                let order = Order {
                    account: AccountId(account),
                    market: MarketId(0),
                    side,
                    kind,
                    reduce_only,
                    size: Lots(size),
                    price: Ticks(price),
                    nonce: Nonce(0),
                    expiry: TimeMs(0),
                    max_fee: Ppm(max_fee),
                    builder: 77 * u32::from(odd.0) + 78 * odd.1,
                    builder_fee: Ppm(odd.2),
                };
                Placing { order, above_index: 0, event, outcome, nonce, expires_in, stranger, instructions }
            },
        )
}

/// Few enough orders to meet no limit of gas, of which the oracle knows nothing.
pub(crate) fn tree(placing: impl Strategy<Value = Placing>) -> impl Strategy<Value = Step> {
    let replaces = prop_oneof![2 => Just(0), 1 => 0usize..5];
    (prop::collection::vec(placing, 1..6), replaces, any::<usize>()).prop_map(|(placings, replaces, pick)| Step::Tree {
        placings,
        replaces,
        pick,
    })
}

/// An order that takes a waiting one's place, or tries.
pub(crate) fn replan((pick, placing, planning): (usize, Placing, Planning)) -> Step {
    let Planning { trigger, pace, .. } = planning;
    Step::Replan { pick, placing, trigger, pace }
}

pub(crate) fn planning() -> impl Strategy<Value = Planning> {
    let other = || {
        let named = prop_oneof![4 => any::<usize>().prop_map(Other::Live), 2 => (0i64..4).prop_map(Other::Near)];
        prop_oneof![5 => Just(None), 3 => named.prop_map(Some)]
    };
    let level = prop_oneof![20 => 4u64..17, 1 => Just(0), 1 => Just(20), 1 => Just(u64::MAX)];
    let source = prop_oneof![15 => Just(TriggerSource::Mark), 1 => Just(TriggerSource::Index)];
    let when = prop_oneof![Just(TriggerWhen::AtOrAbove), Just(TriggerWhen::AtOrBelow)];
    let trigger = (source, when, level).prop_map(|(source, when, level)| Trigger { source, when, price: Ticks(level) });
    let pace = prop_oneof![
        5 => Just(Pace::Whole),
        3 => (0u64..30).prop_map(|display| Pace::Iceberg { display: Lots(display) }),
        3 => (1u16..6, prop_oneof![9 => 1_000u32..3_000, 1 => Just(10), 1 => Just(u32::MAX)])
            .prop_map(|(slices, interval)| Pace::Twap { slices, interval }),
    ];
    (other(), other(), prop::option::weighted(0.5, trigger), pace, any::<bool>(), any::<bool>()).prop_map(
        |(after, cancels, trigger, pace, reduce_only, twin)| Planning {
            after,
            cancels,
            trigger,
            pace,
            reduce_only,
            twin,
        },
    )
}

pub(crate) fn fees() -> impl Strategy<Value = Fees> {
    (0u32..100_000, -100i32..100, prop::bool::weighted(0.3)).prop_map(|(taker, percent, curve)| {
        // A rebate is at most what takers pay.
        let maker = i32::try_from(taker).unwrap() * percent / 100;
        Fees { taker, maker, curve }
    })
}

/// Tables that a few fills, or no life, climb.
fn fee_tiers() -> impl Strategy<Value = Vec<FeeTier>> {
    let more =
        prop_oneof![4 => 1u128..3_000, 2 => 1u128..100_000, 1 => 1u128..10_000_000_000, 1 => Just(u128::MAX / 8)];
    let lower = || prop_oneof![1 => Just(0u32), 3 => 0u32..600_000];
    prop::collection::vec((more, lower(), lower()), 0..=FeeTier::MOST).prop_map(|steps| {
        let climb = |below: &mut FeeTier, (more, taker, maker): (u128, u32, u32)| {
            let lower = |share: Ppm, by: u32| Ppm(share.0.saturating_sub(by));
            let (taker_share, maker_share) = (lower(below.taker_share, taker), lower(below.maker_share, maker));
            *below = FeeTier { volume: below.volume + more, taker_share, maker_share };
            Some(*below)
        };
        steps.into_iter().scan(FeeTier::NONE, climb).collect()
    })
}

/// Around the first minute of a Thursday, in which lives pass; mostly open.
pub(crate) fn hours() -> impl Strategy<Value = Hours> {
    prop_oneof![
        2 => Just(Hours::default()),
        1 => Just(Hours { weekdays: 0b000_1000, opens: 0, closes: 1 }),
        1 => Just(Hours { weekdays: 0b000_1000, opens: 1, closes: 1_440 }),
    ]
}

pub(crate) fn item() -> impl Strategy<Value = Item> {
    let phase = prop_oneof![
        6 => Just(Phase::Open),
        1 => Just(Phase::Pending),
        4 => Just(Phase::Auction),
        1 => Just(Phase::PostOnly),
        2 => Just(Phase::ReduceOnly),
        2 => Just(Phase::Halted),
    ];
    prop_oneof![
        6 => (1u64..=ACCOUNTS, 1u128..30_000).prop_map(|(account, amount)| Item::Deposit { account, amount }),
        1 => (2u8..6, fees()).prop_map(|(outcomes, fees)| Item::Open { outcomes, fees }),
        1 => (1u64..=ACCOUNTS, [0u32..333_333, 0u32..333_333, 0u32..333_333])
            .prop_map(|(treasury, shares)| Item::Venue { treasury, shares }),
        1 => fee_tiers().prop_map(|tiers| Item::FeeTiers { tiers }),
        1 => (1u64..=ACCOUNTS, 1u32..4).prop_map(|(account, builder)| Item::Refer { account, builder }),
        1 => (1u64..=ACCOUNTS).prop_map(|account| Item::Register { account }),
        1 => (1u64..=ACCOUNTS, -9i64..3).prop_map(|(account, up)| Item::CancelAll { account, up }),
        2 => (1u32..=6, phase).prop_map(|(event, phase)| Item::Phase { event, phase }),
        1 => (1u32..=6, hours()).prop_map(|(event, hours)| Item::Hours { event, hours }),
        2 => (1u32..=6, prop::collection::vec(0u8..4, 48)).prop_map(|(event, weights)| Item::Resolve { event, weights }),
        3 => (1u64..=ACCOUNTS, prop_oneof![0u128..5_000, Just(u128::MAX)])
            .prop_map(|(account, amount)| Item::Force { account, asset: 0, amount }),
    ]
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let account = || prop_oneof![20 => 1u64..=ACCOUNTS, 1 => any::<u64>()];
    let stranger = || prop::bool::weighted(0.02);
    let sides = || prop_oneof![Just(Sides::Buy), Just(Sides::Sell), Just(Sides::Both)];
    prop_oneof![
        50 => place().prop_map(Step::Place),
        6 => tree(place()),
        12 => (place(), planning()).prop_map(|(placing, planning)| Step::Plan { placing, planning }),
        14 => (any::<usize>(), place()).prop_map(|(pick, placing)| Step::Replace { pick, placing, in_its_market: false }),
        3 => (any::<usize>(), place(), planning()).prop_map(replan),
        6 => (account(), any::<usize>(), 0u64..110, stranger())
            .prop_map(|(account, pick, percent, stranger)| Step::Amend { account, pick, percent, stranger }),
        2 => (account(), 0u32..3, (0u32..4, 0u8..2), sides(), choice(), stranger()).prop_map(
            |(account, venue, market, sides, nonce, stranger)| {
                Step::CancelMany { account, venue, market, sides, nonce, stranger }
            }
        ),
        2 => (account(), 0u64..60, choice(), stranger())
            .prop_map(|(account, later, nonce, stranger)| Step::CancelAfter { account, later, nonce, stranger }),
        8 => (account(), any::<usize>(), stranger())
            .prop_map(|(account, pick, stranger)| Step::Cancel { account, pick, stranger }),
        1 => (account(), prop_oneof![30 => -5i64..5, 1 => Just(i64::MAX)], stranger())
            .prop_map(|(account, up, stranger)| Step::CancelAll { account, up, stranger }),
        4 => (account(), 0u32..1_100_000, choice(), expires(), any::<u8>()).prop_map(
            |(account, share, nonce, expires_in, oddity)| Step::Withdraw { account, asset: 0, share, nonce, expires_in, oddity }
        ),
        4 => (500u64..5_000).prop_map(|later| Step::Frame { later, items: vec![], quotes: vec![] }),
        8 => (0u64..12, prop::collection::vec(item(), 0..3)).prop_map(|(later, items)| Step::Frame { later, items, quotes: vec![] }),
        // A week or two, after which volumes count no longer, or for the last time.
        1 => (1u64..=4).prop_map(|weeks| Step::Frame { later: weeks * 604_800_000, items: vec![], quotes: vec![] }),
    ]
}

/// As [`step`], of people who crowd around one price of one market and hardly do anything else, so that plans come to
/// something.
pub(crate) fn crowded_step() -> impl Strategy<Value = Step> {
    let placing = || {
        let kind = prop_oneof![
            8 => Just(OrderKind::GoodTillCancelled),
            3 => Just(OrderKind::ImmediateOrCancel),
            1 => Just(OrderKind::FillOrKill),
            1 => Just(OrderKind::PostOnly),
        ];
        (place(), 3u64..=ACCOUNTS, 0u8..2, kind, 1u64..50, 8u64..13, prop::bool::weighted(0.3)).prop_map(
            |(mut placing, account, outcome, kind, size, price, reduce_only)| {
                let (account, size, price) = (AccountId(account), Lots(size), Ticks(price));
                let max_fee = Ppm(100_000);
                let order = Order { account, kind, size, price, reduce_only, max_fee, ..placing.order };
                placing.order = Order { builder: 0, builder_fee: Ppm(0), ..order };
                Placing { event: 2, outcome: outcome / 2, ..placing }
            },
        )
    };
    prop_oneof![
        20 => placing().prop_map(Step::Place),
        4 => tree(placing()),
        20 => (placing(), planning()).prop_map(|(placing, planning)| Step::Plan { placing, planning }),
        3 => (any::<usize>(), placing()).prop_map(|(pick, placing)| Step::Replace { pick, placing, in_its_market: false }),
        3 => (any::<usize>(), placing(), planning()).prop_map(replan),
        2 => (3u64..=ACCOUNTS, any::<usize>(), 0u64..110)
            .prop_map(|(account, pick, percent)| Step::Amend { account, pick, percent, stranger: false }),
        2 => (3u64..=ACCOUNTS, any::<usize>())
            .prop_map(|(account, pick)| Step::Cancel { account, pick, stranger: false }),
        1 => (3u64..=ACCOUNTS)
            .prop_map(|account| Step::Frame { later: 1, items: vec![Item::Deposit { account, amount: 20_000 }], quotes: vec![] }),
        8 => (0u64..3_000).prop_map(|later| Step::Frame { later, items: vec![], quotes: vec![] }),
        1 => prop_oneof![Just(Phase::Open), Just(Phase::Auction), Just(Phase::Halted)]
            .prop_map(|phase| Step::Frame { later: 1, items: vec![Item::Phase { event: 2, phase }], quotes: vec![] }),
        1 => step(),
    ]
}
