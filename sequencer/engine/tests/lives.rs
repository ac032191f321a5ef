//! Random lives of a group: the engine, a naive oracle and a model of the contract live through the same commands and must
//! agree after every one of them.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::disallowed_methods, reason = "a test may read its environment")]

#[path = "lives/contract.rs"]
mod contract;
#[path = "lives/follower.rs"]
mod follower;
#[path = "lives/naive.rs"]
mod naive;

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use xos_engine::{BookLevel, Engine};
use xos_types::*;

use contract::Contract;
use follower::Follower;
use naive::Naive;

const TOKEN: Address = Address::repeat_byte(0x70);
const ACCOUNTS: u64 = 6;
const VENUE: VenueId = VenueId(1);
/// Accounts 1 and 2, which exist from the start, are governance's.
const GOVERNANCE: Address = Address::with_last_byte(1);
/// Outcomes of the events that every life begins with.
const OUTCOMES: [u8; 4] = [2, 3, 5, 48];

/// What happens next, before it is known whether it makes sense.
#[derive(Clone, Debug)]
enum Step {
    Place(Placing),
    Plan { placing: Placing, planning: Planning },
    Replace { pick: usize, placing: Placing },
    Amend { account: u64, pick: usize, percent: u64, stranger: bool },
    CancelMany { account: u64, venue: u32, market: (u32, u8), sides: Sides, nonce: Choice, stranger: bool },
    CancelAfter { account: u64, later: u64, nonce: Choice, stranger: bool },
    Cancel { account: u64, pick: usize, stranger: bool },
    CancelAll { account: u64, up: i64, stranger: bool },
    Withdraw { account: u64, share: u32, nonce: Choice, expires_in: Option<i64>, oddity: u8 },
    Frame { later: u64, items: Vec<Item> },
}

/// An order to come.
#[derive(Clone, Debug)]
struct Placing {
    order: Order,
    event: u32,
    outcome: u8,
    nonce: Choice,
    expires_in: Option<i64>,
    stranger: bool,
    instructions: Instructions,
}

/// A plan to come.
#[derive(Clone, Debug)]
struct Planning {
    after: Option<Other>,
    cancels: Option<Other>,
    trigger: Option<Trigger>,
    pace: Pace,
    reduce_only: bool,
    /// It is of the market and side of the order that it excludes, as the exits of a position are.
    twin: bool,
}

/// Another order that a plan names.
#[derive(Clone, Copy, Debug)]
enum Other {
    /// One of those that rest or wait.
    Live(usize),
    /// This far from its own nonce.
    Near(i64),
}

/// Where a nonce comes from.
#[derive(Clone, Copy, Debug)]
enum Choice {
    Next,
    Skip(u64),
    Absolute(u64),
}

#[derive(Clone, Debug)]
enum Item {
    Deposit { account: u64, amount: u128 },
    Open { outcomes: u8, fees: Fees },
    Venue { treasury: u64, shares: [u32; 3] },
    Refer { account: u64, builder: u32 },
    Register { account: u64 },
    CancelAll { account: u64, up: i64 },
    Phase { event: u32, phase: Phase },
    Hours { event: u32, hours: Hours },
    Resolve { event: u32, weights: Vec<u8> },
    Force { account: u64, amount: u128 },
}

/// What an event charges.
#[derive(Clone, Copy, Debug)]
struct Fees {
    taker: u32,
    maker: i32,
    curve: bool,
}

fn owner(account: AccountId) -> Address {
    // Accounts 1 and 2 share an owner, and so do 5 and 6.
    Address::with_last_byte(match account.0 {
        1 | 2 => 1,
        number => u8::try_from(number.min(5)).unwrap(),
    })
}

/// An order that nobody has placed.
fn unlikely_order(account: AccountId) -> Order {
    Order {
        account,
        market: MarketId::new(EventId(1), 0),
        side: Side::Buy,
        kind: OrderKind::GoodTillCancelled,
        reduce_only: true,
        size: Lots(9),
        price: Ticks(9),
        nonce: Nonce(3),
        expiry: TimeMs(0),
        max_fee: Ppm(0),
        builder: 0,
        builder_fee: Ppm(0),
    }
}

fn event_config(outcomes: u8, Fees { taker, maker, curve }: Fees) -> EventConfig {
    let free = TradingTerms::free(VENUE, 7);
    EventConfig {
        terms: TradingTerms { taker_fee: Ppm(taker), maker_fee: Rate(maker), curve, ..free },
        outcomes,
        ticks: 20,
        resolver: Address::ZERO,
        title: "who?".into(),
        labels: (0..outcomes).map(|k| k.to_string()).collect(),
    }
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        12 => Just(Choice::Next),
        2 => (1u64..200).prop_map(Choice::Skip),
        2 => (0u64..120).prop_map(Choice::Absolute),
    ]
}

fn expires() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![3 => Just(None), 2 => (-2i64..40).prop_map(Some)]
}

fn instructions() -> impl Strategy<Value = Instructions> {
    let self_trade = prop_oneof![
        3 => Just(SelfTrade::CancelMaker),
        1 => Just(SelfTrade::CancelTaker),
        1 => Just(SelfTrade::CancelBoth),
        2 => Just(SelfTrade::Decrement),
    ];
    let crossing = prop_oneof![Just(Crossing::Refuse), Just(Crossing::Slide)];
    (self_trade, crossing).prop_map(|(self_trade, crossing)| Instructions { self_trade, crossing })
}

fn place() -> impl Strategy<Value = Placing> {
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
                Placing { order, event, outcome, nonce, expires_in, stranger, instructions }
            },
        )
}

fn planning() -> impl Strategy<Value = Planning> {
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

fn fees() -> impl Strategy<Value = Fees> {
    (0u32..100_000, -100i32..100, prop::bool::weighted(0.3)).prop_map(|(taker, percent, curve)| {
        // A rebate is at most what takers pay.
        let maker = i32::try_from(taker).unwrap() * percent / 100;
        Fees { taker, maker, curve }
    })
}

/// Around the first minute of a Thursday, in which lives pass; mostly open.
fn hours() -> impl Strategy<Value = Hours> {
    prop_oneof![
        2 => Just(Hours::default()),
        1 => Just(Hours { weekdays: 0b000_1000, opens: 0, closes: 1 }),
        1 => Just(Hours { weekdays: 0b000_1000, opens: 1, closes: 1_440 }),
    ]
}

fn item() -> impl Strategy<Value = Item> {
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
        1 => (1u64..=ACCOUNTS, 1u32..4).prop_map(|(account, builder)| Item::Refer { account, builder }),
        1 => (1u64..=ACCOUNTS).prop_map(|account| Item::Register { account }),
        1 => (1u64..=ACCOUNTS, -9i64..3).prop_map(|(account, up)| Item::CancelAll { account, up }),
        2 => (1u32..=6, phase).prop_map(|(event, phase)| Item::Phase { event, phase }),
        1 => (1u32..=6, hours()).prop_map(|(event, hours)| Item::Hours { event, hours }),
        2 => (1u32..=6, prop::collection::vec(0u8..4, 48)).prop_map(|(event, weights)| Item::Resolve { event, weights }),
        3 => (1u64..=ACCOUNTS, prop_oneof![0u128..5_000, Just(u128::MAX)])
            .prop_map(|(account, amount)| Item::Force { account, amount }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let account = || prop_oneof![20 => 1u64..=ACCOUNTS, 1 => any::<u64>()];
    let stranger = || prop::bool::weighted(0.02);
    let sides = || prop_oneof![Just(Sides::Buy), Just(Sides::Sell), Just(Sides::Both)];
    prop_oneof![
        50 => place().prop_map(Step::Place),
        12 => (place(), planning()).prop_map(|(placing, planning)| Step::Plan { placing, planning }),
        14 => (any::<usize>(), place()).prop_map(|(pick, placing)| Step::Replace { pick, placing }),
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
        1 => (account(), -5i64..5, stranger())
            .prop_map(|(account, up, stranger)| Step::CancelAll { account, up, stranger }),
        4 => (account(), 0u32..1_100_000, choice(), expires(), any::<u8>()).prop_map(
            |(account, share, nonce, expires_in, oddity)| Step::Withdraw { account, share, nonce, expires_in, oddity }
        ),
        4 => (500u64..5_000).prop_map(|later| Step::Frame { later, items: vec![] }),
        8 => (0u64..12, prop::collection::vec(item(), 0..3)).prop_map(|(later, items)| Step::Frame { later, items }),
    ]
}

/// As [`step`], of people who crowd around one price of one market and hardly do anything else, so that plans come to
/// something.
fn crowded_step() -> impl Strategy<Value = Step> {
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
        20 => (placing(), planning()).prop_map(|(placing, planning)| Step::Plan { placing, planning }),
        3 => (any::<usize>(), placing()).prop_map(|(pick, placing)| Step::Replace { pick, placing }),
        2 => (3u64..=ACCOUNTS, any::<usize>(), 0u64..110)
            .prop_map(|(account, pick, percent)| Step::Amend { account, pick, percent, stranger: false }),
        2 => (3u64..=ACCOUNTS, any::<usize>())
            .prop_map(|(account, pick)| Step::Cancel { account, pick, stranger: false }),
        1 => (3u64..=ACCOUNTS)
            .prop_map(|account| Step::Frame { later: 1, items: vec![Item::Deposit { account, amount: 20_000 }] }),
        8 => (0u64..3_000).prop_map(|later| Step::Frame { later, items: vec![] }),
        1 => prop_oneof![Just(Phase::Open), Just(Phase::Auction), Just(Phase::Halted)]
            .prop_map(|phase| Step::Frame { later: 1, items: vec![Item::Phase { event: 2, phase }] }),
        1 => step(),
    ]
}

/// Up to so many steps of either sort.
fn life(steps: usize) -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![prop::collection::vec(step(), 1..steps), prop::collection::vec(crowded_step(), 1..steps)]
}

/// The three that live, and the log.
struct Life {
    engine: Engine,
    naive: Naive,
    contract: Contract,
    follower: Follower,
    log: Vec<Command>,
    inbox: u64,
    time: u64,
    seen: BTreeSet<String>,
}

fn group() -> GroupConfig {
    GroupConfig {
        chain_id: 1952,
        group: Address::repeat_byte(0x99),
        token: TOKEN,
        governance: GOVERNANCE,
        terms: GroupTerms::usual(Address::ZERO),
    }
}

impl Life {
    fn begin() -> Self {
        let mut life = Self {
            engine: Engine::new(group()),
            naive: Naive::new(group()),
            contract: Contract::new(GOVERNANCE),
            follower: Follower::default(),
            log: vec![],
            inbox: 0,
            time: 1_000,
            seen: BTreeSet::new(),
        };
        let deposits = (1..=ACCOUNTS).map(|account| Item::Deposit { account, amount: 20_000 });
        let venue = Item::Venue { treasury: 3, shares: [200_000, 100_000, 150_000] };
        let fees = [(0, 0, false), (2_500, -2_500, false), (1_234, 999, true), (99_999, 3, false)];
        let events = OUTCOMES
            .into_iter()
            .zip(fees)
            .map(|(outcomes, (taker, maker, curve))| Item::Open { outcomes, fees: Fees { taker, maker, curve } });
        let people = [Item::Register { account: 4 }, Item::Refer { account: 6, builder: 1 }];
        life.frame(0, deposits.chain([venue]).chain(people).chain(events).collect());
        life
    }

    fn expiry(&self, expires_in: Option<i64>) -> TimeMs {
        TimeMs(expires_in.map_or(0, |delta| self.time.saturating_add_signed(delta)))
    }

    fn nonce(&self, account: AccountId, choice: Choice) -> Nonce {
        let next = if self.naive.accounts.contains_key(&account) { self.naive.next_nonce(account) } else { 0 };
        Nonce(match choice {
            Choice::Next => next,
            Choice::Skip(by) => next + by,
            Choice::Absolute(nonce) => nonce,
        })
    }

    fn sign<T>(&self, message: T, account: AccountId, stranger: bool) -> Signed<T> {
        let signer = if stranger { Address::repeat_byte(0xee) } else { owner(account) };
        // Distinct signatures, so that a line with the wrong order's signature is noticed.
        let mut signature = Signature::default();
        signature.r[..8].copy_from_slice(&(self.log.len() as u64).to_le_bytes());
        Signed { message, signature, signer }
    }

    fn step(&mut self, step: Step) {
        let command = match step {
            Step::Place(placing) => {
                let (order, instructions) = self.order(placing);
                Command::Place { order, instructions }
            }
            Step::Plan { mut placing, planning } => {
                let Planning { after, cancels, trigger, pace, reduce_only, twin } = planning;
                placing.order.reduce_only |= reduce_only;
                if let Pace::Twap { .. } = pace
                    && placing.order.kind != OrderKind::FillOrKill
                {
                    placing.order.kind = OrderKind::GoodTillCancelled;
                }
                let (mut order, instructions) = self.order(placing);
                let Order { account, nonce, .. } = order.message;
                if let Some(Other::Live(pick)) = cancels
                    && twin
                {
                    let Order { market, side, reduce_only, .. } = self.any_order(account, pick);
                    order.message = Order { market, side, reduce_only, ..order.message };
                }
                let name = |other| match other {
                    Other::Live(pick) => self.any_order(account, pick).nonce,
                    Other::Near(by) => Nonce(nonce.0.saturating_add_signed(by)),
                };
                let plan = Plan { after: after.map(name), trigger, cancels: cancels.map(name), pace };
                Command::Plan { order, instructions, plan }
            }
            Step::Replace { pick, placing } => {
                let (order, instructions) = self.order(placing);
                Command::Replace { nonce: self.any_order(order.message.account, pick).nonce, order, instructions }
            }
            Step::Amend { account, pick, percent, stranger } => {
                let account = AccountId(account);
                let Order { nonce, size, .. } = self.any_order(account, pick);
                let size = Lots(size.0 * percent / 100);
                Command::Amend(self.sign(Amend { account, nonce, size }, account, stranger))
            }
            Step::CancelMany { account, venue, market: (event, outcome), sides, nonce, stranger } => {
                let account = AccountId(account);
                let market = MarketId::new(EventId(event), if event == 0 { 0 } else { outcome });
                let (venue, nonce) = (VenueId(venue), self.nonce(account, nonce));
                Command::CancelMany(self.sign(CancelMany { account, venue, market, sides, nonce }, account, stranger))
            }
            Step::CancelAfter { account, later, nonce, stranger } => {
                let account = AccountId(account);
                let time = TimeMs(if later < 10 { 0 } else { self.time + later - 12 });
                let nonce = self.nonce(account, nonce);
                Command::CancelAfter(self.sign(CancelAfter { account, time, nonce }, account, stranger))
            }
            Step::Cancel { account, pick, stranger } => {
                let account = AccountId(account);
                let nonce = self.any_order(account, pick).nonce;
                Command::Cancel(self.sign(Cancel { account, nonce }, account, stranger))
            }
            Step::CancelAll { account, up, stranger } => {
                let account = AccountId(account);
                let below = Nonce(self.nonce(account, Choice::Next).0.saturating_add_signed(up));
                Command::CancelAll(self.sign(CancelAll { account, below }, account, stranger))
            }
            Step::Withdraw { account, share, nonce, expires_in, oddity } => {
                let account = AccountId(account);
                let available = self.engine.account(account).map_or(1_000, |view| view.available.0.unsigned_abs());
                let amount = match oddity {
                    0 => u128::MAX,
                    1 => 0,
                    2 => available + 1,
                    _ => available * u128::from(share) / 1_000_000,
                };
                let token = if oddity == 3 { Address::ZERO } else { TOKEN };
                let (nonce, expiry) = (self.nonce(account, nonce), self.expiry(expires_in));
                let message = Withdraw { account, token, amount, nonce, expiry };
                Command::Withdraw(self.sign(message, account, oddity == 4))
            }
            Step::Frame { later, items } => return self.frame(later, items),
        };
        self.apply(command);
    }

    fn order(&self, placing: Placing) -> (Signed<Order>, Instructions) {
        let Placing { mut order, event, outcome, nonce, expires_in, stranger, instructions } = placing;
        order.market = MarketId::new(EventId(event), outcome);
        order.nonce = self.nonce(order.account, nonce);
        order.expiry = self.expiry(expires_in);
        (self.sign(order, order.account, stranger), instructions)
    }

    /// One of an account's orders, resting or waiting, or one that it hardly has.
    fn any_order(&self, account: AccountId, pick: usize) -> Order {
        let resting = self.engine.open_orders(account).into_iter().map(|view| view.order);
        let waiting = self.engine.planned_orders(account).into_iter().map(|view| view.order);
        let all: Vec<Order> = resting.chain(waiting).collect();
        if all.is_empty() { unlikely_order(account) } else { all[pick % all.len()] }
    }

    /// Drops what the contract would never queue.
    fn frame(&mut self, later: u64, items: Vec<Item>) {
        let (mut opened, mut builders) = (self.naive.events.len(), self.naive.builders.len());
        let mut resolved = vec![];
        let mut payloads = vec![];
        for item in items {
            match item {
                Item::Deposit { account, amount } => {
                    let account = AccountId(account);
                    payloads.push(InboxPayload::Deposit { account, owner: owner(account), token: TOKEN, amount });
                }
                Item::Open { outcomes, fees } => {
                    opened += 1;
                    let event = EventId(u32::try_from(opened).unwrap());
                    payloads.push(InboxPayload::EventOpened { event, config: event_config(outcomes, fees) });
                }
                Item::Venue { treasury, shares } => {
                    let [protocol_share, insurance_share, referrer_share] = shares.map(Ppm);
                    let treasury = AccountId(treasury);
                    let config = VenueConfig { treasury, protocol_share, insurance_share, referrer_share };
                    payloads.push(InboxPayload::VenueSet { venue: VENUE, config });
                }
                Item::Register { account } => {
                    builders += 1;
                    let builder = BuilderId(u32::try_from(builders).unwrap());
                    payloads.push(InboxPayload::BuilderSet { builder, account: AccountId(account) });
                }
                Item::Refer { account, builder } => {
                    let (account, referrer) = (AccountId(account), BuilderId(builder));
                    if usize::try_from(builder).unwrap() <= builders {
                        payloads.push(InboxPayload::ReferrerSet { account, referrer });
                    }
                }
                Item::CancelAll { account, up } => {
                    let account = AccountId(account);
                    let floor = Nonce(self.nonce(account, Choice::Next).0.saturating_add_signed(up));
                    payloads.push(InboxPayload::CancelAll { account, floor });
                }
                Item::Phase { event, phase } => {
                    let event = EventId(event);
                    // What is decided is final.
                    if matches!(self.naive.events.get(&event), Some((_, None))) && !resolved.contains(&event) {
                        payloads.push(InboxPayload::PhaseSet { market: MarketId::new(event, 0), phase });
                    }
                }
                Item::Hours { event, hours } => {
                    if self.naive.events.contains_key(&EventId(event)) {
                        payloads.push(InboxPayload::HoursSet { market: MarketId::new(EventId(event), 0), hours });
                    }
                }
                Item::Resolve { event, weights } => {
                    let event = EventId(event);
                    let Some((config, None)) = self.naive.events.get(&event) else { continue };
                    if resolved.contains(&event) {
                        continue;
                    }
                    resolved.push(event);
                    payloads.push(InboxPayload::EventResolved { event, payouts: split(config, &weights) });
                }
                Item::Force { account, amount } => {
                    payloads.push(InboxPayload::ForcedWithdrawal { account: AccountId(account), token: TOKEN, amount });
                }
            }
        }
        let inbox = (self.inbox..).zip(payloads).map(|(index, payload)| InboxItem { index, time: TimeMs(0), payload });
        let inbox: Vec<_> = inbox.collect();
        self.inbox += inbox.len() as u64;
        // Now and then the clock that feeds the log goes back.
        let time = if later == 11 { self.time - 500 } else { self.time + later };
        self.time = self.time.max(time);
        self.apply(Command::Frame { time: TimeMs(time), inbox, prices: vec![] });
    }

    fn apply(&mut self, command: Command) {
        let log_hash = self.engine.log_hash();
        let before = self.naive.clone();
        let mut events = vec![];
        let logged = Logged::new(command.clone());
        self.engine.apply(&logged, &mut events);
        let expected = self.naive.apply(&command, log_hash);
        assert_eq!(events, expected, "after {command:?}");
        self.engine.check_invariants();
        self.compare_accounts();
        assert_eq!(self.engine.accrued_fees(), self.naive.accrued());
        if let Command::Place { order, .. } | Command::Replace { order, .. } = &command {
            self.compare_book(order.message.market);
        }
        self.follower.follow(&events, &self.engine, &self.naive);
        for event in &events {
            if let Event::FrameSealed(frame) = event {
                self.contract.settle(frame);
                compare_contract(&self.contract, &before);
            }
            self.seen.insert(name(event));
        }
        self.log.push(command);
        assert_eq!(self.engine.sequence(), self.log.len() as u64);
    }

    fn compare_accounts(&self) {
        for (account, state) in &self.naive.accounts {
            let view = self.engine.account(*account).unwrap();
            let available = self.naive.available(*account, None);
            let worst_payoff = self.naive.worst_payoffs(*account);
            assert_eq!(view.cash.0, state.cash, "cash of {account}");
            assert_eq!(view.worst_payoff.0, worst_payoff, "worst payoff of {account}");
            assert_eq!(view.available.0, available, "available of {account}");
            assert_eq!(view.reserved.0, state.cash + worst_payoff - available, "reserved of {account}");
            let switch = self.naive.switches.get(account).copied().map(TimeMs);
            assert_eq!(self.engine.cancel_after(*account), switch, "dead-man switch of {account}");
            let waiting: Vec<_> = self.naive.waiting_of(*account);
            let waiting = waiting.iter().map(|waiting| (waiting.signed.message, waiting.remaining(), waiting.filled));
            let seen = self.engine.planned_orders(*account);
            let seen = seen.iter().map(|view| (view.order, view.remaining.0, view.filled.0));
            assert!(waiting.eq(seen), "what waits of {account}");
            assert_eq!((view.floor.0, view.next_nonce.0), (state.floor, self.naive.next_nonce(*account)));
            let positions: Vec<_> = state.positions.iter().filter(|(_, lots)| **lots != 0).collect();
            let seen = self.engine.positions(*account);
            assert_eq!(positions.len(), seen.len());
            for ((market, lots), (seen_market, seen_lots)) in positions.into_iter().zip(seen) {
                assert_eq!((*market, *lots), (seen_market, i128::from(seen_lots.0)));
            }
        }
    }

    fn compare_book(&self, market: MarketId) {
        let Some(book) = self.engine.book(market, usize::MAX) else { return };
        for (side, seen) in [(Side::Buy, book.bids), (Side::Sell, book.asks)] {
            let mut levels: Vec<BookLevel> = vec![];
            for index in self.naive.side(market, side) {
                let resting = &self.naive.orders[index];
                let price = Ticks(resting.price);
                match levels.last_mut().filter(|level| level.price == price) {
                    Some(level) => {
                        level.lots.0 += resting.shown;
                        level.orders += 1;
                    }
                    None => levels.push(BookLevel { price, lots: Lots(resting.shown), orders: 1 }),
                }
            }
            assert_eq!(seen, levels);
        }
    }
}

/// The variant of an event, with the reason of a rejection or cancellation.
fn name(event: &Event) -> String {
    let variant = |debug: String| debug.split([' ', '(']).next().unwrap().to_owned();
    match event {
        Event::Rejected { reject, .. } => format!("Rejected {}", variant(format!("{reject:?}"))),
        Event::Cancelled { reason, .. } => format!("Cancelled {reason:?}"),
        Event::Reduced { reason, .. } => format!("Reduced {reason:?}"),
        Event::Withdrawn { forced, .. } => format!("Withdrawn {forced}"),
        other => variant(format!("{other:?}")),
    }
}

/// The settled state is the one that the log had when the frame was sealed.
fn compare_contract(contract: &Contract, at_seal: &Naive) {
    let accrued = at_seal.accrued();
    for (account, state) in &at_seal.accounts {
        let fees = accrued.get(account).copied().unwrap_or_default().0;
        let cash = contract.cash.get(account).copied().unwrap_or(0);
        assert_eq!(cash, state.cash + fees, "settled cash of {account}");
        assert_eq!(contract.worst_payoff(*account), at_seal.worst_payoffs(*account), "settled payoff of {account}");
        for (market, lots) in &state.positions {
            let held = contract.positions.get(&(*account, market.event()));
            let held = held.map_or(0, |lots| lots[usize::from(market.outcome())]);
            assert_eq!(i128::from(held), *lots, "settled position of {account} in {market}");
        }
    }
}

/// Payouts in these proportions, adding up to certainty; the last outcome takes the remainder.
fn split(config: &EventConfig, weights: &[u8]) -> Vec<u64> {
    let (weights, ticks) = (&weights[..usize::from(config.outcomes)], u64::from(config.ticks));
    let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let mut payouts: Vec<u64> = weights.iter().map(|weight| u64::from(*weight) * ticks / total.max(1)).collect();
    let rest = ticks - payouts.iter().sum::<u64>();
    *payouts.last_mut().unwrap() += rest;
    payouts
}

/// More with `PROPTEST_CASES`.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(192)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn engine_oracle_and_contract_agree_after_every_command(steps in life(250)) {
        let mut life = Life::begin();
        for step in steps {
            life.step(step);
        }
        // The last frame settles too.
        life.frame(1, vec![]);

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
        steps in life(250), at in any::<prop::sample::Index>(),
    ) {
        let mut life = Life::begin();
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
        steps in life(150), weights in prop::collection::vec(0u8..4, 48),
    ) {
        let mut life = Life::begin();
        for step in steps {
            life.step(step);
        }
        let events: Vec<_> = life.naive.events.keys().map(|event| event.0).collect();
        life.frame(1, events.into_iter().map(|event| Item::Resolve { event, weights: weights.clone() }).collect());
        life.frame(1, (1..=ACCOUNTS).map(|account| Item::Force { account, amount: u128::MAX }).collect());
        life.frame(1, vec![]);
        prop_assert_eq!(life.engine.custody(), Atoms(0));
        prop_assert_eq!(life.engine.resting_orders(), 0);
        prop_assert_eq!(life.contract.tokens, 0);
        for account in life.engine.account_ids() {
            prop_assert_eq!(life.engine.account(account).unwrap().cash, Atoms(0));
        }
    }
}

/// Some lives that are the same in every run and build.
fn same_lives(count: usize, step: impl Strategy<Value = Step>) -> impl Iterator<Item = Life> {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let steps = prop::collection::vec(step, 200);
    (0..count).map(move |_| {
        let mut life = Life::begin();
        for step in steps.new_tree(&mut runner).unwrap().current() {
            life.step(step);
        }
        life
    })
}

/// `make test-builds` compares what this prints in a debug and in a release build.
#[test]
fn the_same_lives_have_hashes() {
    for life in same_lives(10, step()).chain(same_lives(10, crowded_step())) {
        let [state, log] = [life.engine.state_hash(), life.engine.log_hash()].map(B256::from);
        println!("\nhash {state} {log}");
    }
}

/// The properties above say something only if lives meet everything that can happen to them. Limits that need thousands of
/// orders are met in `rules.rs`.
#[test]
fn lives_meet_every_event_and_refusal() {
    let mut seen = BTreeSet::new();
    for mut life in same_lives(100, step()).chain(same_lives(60, crowded_step())) {
        seen.append(&mut life.seen);
    }
    let expected = [
        "Accepted",
        "Planned",
        "Refilled",
        "Refused",
        "Released",
        "Triggered",
        "AccountOpened",
        "AuctionFilled",
        "AuctionHeld",
        "BuilderSet",
        "CancelAfterSet",
        "Deposited",
        "EventOpened",
        "EventResolved",
        "FeesPaid",
        "Filled",
        "FloorRaised",
        "FrameSealed",
        "HoursSet",
        "PhaseSet",
        "Redeemed",
        "Reduced NothingToFollow",
        "Reduced OneCancelsOther",
        "Reduced OnlyReducing",
        "Reduced Requested",
        "Reduced SelfTrade",
        "ReferrerSet",
        "Rested",
        "SessionTurned",
        "VenueSet",
        "Withdrawn false",
        "Withdrawn true",
        "Cancelled BelowFloor",
        "Cancelled DeadMan",
        "Cancelled EventResolved",
        "Cancelled Expired",
        "Cancelled Followed",
        "Cancelled ForcedWithdrawal",
        "Cancelled Immediate",
        "Cancelled NothingToFollow",
        "Cancelled OneCancelsOther",
        "Cancelled OnlyReducing",
        "Cancelled Refused",
        "Cancelled Replaced",
        "Cancelled Requested",
        "Cancelled SelfTrade",
        "Rejected BadPlan",
        "Rejected BadPrice",
        "Rejected BadSize",
        "Rejected Expired",
        "Rejected FeeTooLow",
        "Rejected InsufficientFunds",
        "Rejected MarketClosed",
        "Rejected MarketHalted",
        "Rejected MarketPending",
        "Rejected NonceSpent",
        "Rejected NotAuthorized",
        "Rejected NotFillable",
        "Rejected NotSmaller",
        "Rejected OnlyPostOnly",
        "Rejected OnlyReducing",
        "Rejected OnlyWaiting",
        "Rejected OutsideHours",
        "Rejected UnknownAccount",
        "Rejected UnknownMarket",
        "Rejected UnknownOrder",
        "Rejected UnknownToken",
        "Rejected UnknownBuilder",
        "Rejected Waits",
        "Rejected WouldTrade",
        "Rejected ZeroAmount",
    ];
    let expected: BTreeSet<String> = expected.into_iter().map(String::from).collect();
    assert_eq!(seen, expected);
}
