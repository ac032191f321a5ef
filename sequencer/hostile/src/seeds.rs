//! Real messages.

use alloy_primitives::{Address, B256, keccak256};
use serde::Serialize;
use serde_json::json;
use xos_api::{
    Budget, Code, Entry, EntryAnswer, EntryPromise, EntryRequest, EntryResult, OrderRequest, PlanRequest,
    ReplaceRequest, TreeOrder, TreeRequest, Wait,
};
use xos_auth::{Domain, Key, Tree, Typed, signature_bytes};
use xos_journal::{Journal, Settings, blocks as blocks_of};
use xos_types::{
    AccountId, Act, Amend, Cancel, CancelAfter, CancelAll, CancelMany, Command, Convert, Crossing, EventConfig,
    EventId, FeedId, GroupConfig, GroupTerms, InboxItem, InboxPayload, Instructions, Liquidate, Logged, Lots, MarketId,
    Nonce, Order, OrderKind, Pace, Plan, Ppm, PriceUpdate, Scope, SelfTrade, Session, Side, Sides, Signature, Signed,
    SignedTree, Ticks, TimeMs, TradingTerms, Transfer, Trigger, TriggerSource, TriggerWhen, VenueConfig, VenueId,
    Withdraw,
};

use crate::signatures::CLAIM_BYTES;

const ALICE: AccountId = AccountId(3);
const TOKEN: Address = Address::repeat_byte(0x22);
const MARKET: MarketId = MarketId::new(EventId(1), 0);

/// The key of a signer.
pub(crate) fn signer(number: u8) -> Key {
    Key::from_bytes([number.clamp(1, 254); 32]).expect("it is below the curve's order")
}

/// The group whose log it is.
pub(crate) fn group() -> GroupConfig {
    GroupConfig {
        chain_id: 1952,
        group: Address::repeat_byte(0x11),
        token: TOKEN,
        governance: Address::repeat_byte(0x55),
        terms: GroupTerms::usual(Address::repeat_byte(0x66)),
    }
}

fn order(nonce: u64, side: Side, price: u64) -> Order {
    Order {
        account: ALICE,
        market: MARKET,
        side,
        kind: if nonce.is_multiple_of(2) { OrderKind::PostOnly } else { OrderKind::GoodTillCancelled },
        reduce_only: false,
        size: Lots(10 * nonce),
        price: Ticks(price),
        nonce: Nonce(nonce),
        expiry: TimeMs(1_790_000_000_000),
        max_fee: Ppm(1_000),
        builder: 0,
        builder_fee: Ppm(0),
    }
}

fn signed<T: Typed + Copy>(message: T) -> Signed<T> {
    signer(3).sign_typed(&Domain::from(&group()), message)
}

fn ladder() -> SignedTree {
    let orders = [order(20, Side::Buy, 400), order(21, Side::Buy, 401), order(22, Side::Sell, 600)];
    let mut tree = Tree::default();
    tree.build(&Domain::from(&group()), &orders).expect("three orders are a tree");
    let Signed { signature, signer, .. } = signed(tree.message());
    SignedTree::new(orders, signature, signer).expect("they are of one account")
}

pub(crate) fn entry_requests() -> Vec<Vec<u8>> {
    let instructions = Instructions { self_trade: SelfTrade::Decrement, crossing: Crossing::Slide };
    let (account, nonce) = (ALICE, Nonce(4));
    // Who signed is not in the message.
    let tree = || SignedTree::new(ladder().orders(), ladder().signature, Address::ZERO).expect("it is a tree");
    let place = |nonce| {
        let Signed { message, signature, .. } = signed(order(nonce, Side::Sell, 500));
        Entry::Place(message, instructions, signature)
    };
    let Signed { message, signature, .. } = signed(order(9, Side::Buy, 400));
    let lists = [
        (1..=5).map(place).collect(),
        vec![Entry::Replace(nonce, message, instructions, signature)],
        vec![Entry::Cancel(Cancel { account, nonce }, signed(Cancel { account, nonce }).signature)],
        vec![Entry::Cancel(Cancel { account, nonce }, xos_api::BY_SESSION)],
        vec![Entry::CancelAll(
            CancelAll { account, below: nonce },
            signed(CancelAll { account, below: nonce }).signature,
        )],
        vec![Entry::Tree(tree(), [].into(), instructions)],
        vec![Entry::Tree(tree(), [Nonce(1), Nonce(2), Nonce(3)].into(), instructions)],
    ];
    (7..).zip(lists).map(|(tag, entries)| EntryRequest { tag, entries }.encode()).collect()
}

pub(crate) fn entry_answers() -> Vec<Vec<u8>> {
    let budget = Budget { address: 49_990, account: Some(9_999) };
    let result = |refused| EntryResult { refused, sequence: 1_041, filled: Lots(4), remaining: Lots(6) };
    let promise = EntryPromise { sequence: 1_041, log_hash: [7; 32], signature: Signature { r: [1; 32], vs: [2; 32] } };
    let done = EntryAnswer::Done {
        tag: 7,
        promise,
        budget,
        results: vec![result(None), result(Some(Code::BadPrice)), result(None)],
        reasons: vec![(1, "price 0 is outside 1 to 999 ticks; the nearest valid price is 1".to_owned())],
    };
    let reason = "there is no more room".to_owned();
    let refused = EntryAnswer::Refused { tag: 8, code: Code::Overloaded, retry_ms: 20, budget, reason };
    [done, refused].iter().map(EntryAnswer::encode).collect()
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data becomes JSON")
}

pub(crate) fn requests_json() -> Vec<Vec<u8>> {
    let request = |nonce| {
        let Signed { message, signature, .. } = signed(order(nonce, Side::Buy, 400));
        OrderRequest::new(message, signature_bytes(&signature).into())
    };
    let trigger = Trigger { source: TriggerSource::Mark, when: TriggerWhen::AtOrBelow, price: Ticks(150) };
    let pace = Pace::Twap { slices: 5, interval: 1_000 };
    let plan = Plan { after: Some(Nonce(10)), trigger: Some(trigger), cancels: Some(Nonce(11)), pace };
    let (self_trade, crossing) = (SelfTrade::CancelTaker, Crossing::Slide);
    let signature = "0x".to_owned() + &"5a".repeat(64);
    let tree = ladder();
    let tree = TreeRequest {
        account: ALICE,
        orders: tree.orders().iter().map(TreeOrder::from).collect(),
        replaces: vec![Nonce(1)],
        self_trade,
        crossing,
        signature: signature_bytes(&tree.signature).into(),
    };
    let wait = Some(Wait { trigger: Some(trigger), pace: Pace::Iceberg { display: Lots(50) } });
    vec![
        json(&request(1)),
        json(&PlanRequest { order: request(12), plan, self_trade, crossing }),
        json(&ReplaceRequest { replaces: Nonce(12), order: request(13), wait, self_trade, crossing }),
        json(&tree),
        json(&json!({ "account": "3", "nonce": "1", "signature": signature })),
        json(&json!({ "account": "3", "below": 100, "signature": signature })),
        json(&json!({ "account": "3", "nonce": "1", "size": "500", "signature": signature })),
        json(
            &json!({ "account": "3", "venue": 1, "market": 256, "sides": "both", "nonce": "14", "signature": signature }),
        ),
        json(&json!({ "account": "3", "time": "1781193660000", "nonce": "15", "signature": signature })),
        json(&json!({
            "account": "3", "scope": "cancel", "expiry": "1781197200000", "challenge": B256::repeat_byte(7),
            "cancelOnDisconnect": true, "signature": signature,
        })),
        json(&json!({ "account": "3", "token": TOKEN, "amount": "1000000", "nonce": "3", "signature": signature })),
        json(&json!({
            "account": "3", "gateway": TOKEN, "to": "9223372049739678208", "token": TOKEN, "amount": "1000000", "nonce": "4",
            "signature": signature,
        })),
        json(&json!({
            "keeper": "3", "account": "4", "market": 512, "size": "100", "limit": "1000000000000", "nonce": "4",
            "signature": signature,
        })),
        json(&json!({
            "keeper": "3", "account": "4", "asset": 2, "amount": "1000000", "limit": "1000000000000", "nonce": "5",
            "signature": signature,
        })),
        json(&u64::MAX.to_string()),
        json(&"1m"),
    ]
}

/// The examples of the page on feeds, and two messages that follow each other.
pub(crate) fn feeds_json() -> Vec<Vec<u8>> {
    let page = include_str!("../../../docs/feeds.md");
    let examples = page.split("```json\n").skip(1).filter_map(|block| block.split("\n```").next());
    let mut seeds: Vec<Vec<u8>> = examples.map(|example| example.replace('\n', " ").into_bytes()).collect();
    seeds.push([&seeds[0][..], b"\n", &seeds[1]].concat());
    seeds
}

/// A command of every kind.
pub(crate) fn log() -> Vec<Logged> {
    let (account, nonce, venue, market, expiry) = (ALICE, Nonce(40), VenueId(1), MARKET, TimeMs(0));
    let instructions = Instructions { self_trade: SelfTrade::Decrement, crossing: Crossing::Slide };
    let trigger = Trigger { source: TriggerSource::Index, when: TriggerWhen::AtOrAbove, price: Ticks(700) };
    let pace = Pace::Iceberg { display: Lots(5) };
    let plan = Plan { after: Some(Nonce(1)), trigger: Some(trigger), cancels: Some(Nonce(2)), pace };
    let session = Session { account, scope: Scope::Cancel, expiry: TimeMs(1_790_000_000_000), challenge: [5; 32] };
    let event = EventConfig {
        terms: TradingTerms::free(venue, 10),
        outcomes: 3,
        ticks: 1_000,
        resolver: Address::repeat_byte(0x77),
        title: "Spain - Argentina".to_owned(),
        labels: ["Spain", "Draw", "Argentina"].map(String::from).to_vec(),
    };
    let deposit = InboxPayload::Deposit { account, owner: signer(3).address(), token: TOKEN, amount: 1_000_000_000 };
    let shares = VenueConfig {
        treasury: AccountId::PROTOCOL,
        protocol_share: Ppm(100_000),
        insurance_share: Ppm(100_000),
        referrer_share: Ppm(0),
    };
    let opened = InboxPayload::EventOpened { event: EventId(1), config: event };
    let items = [deposit, InboxPayload::VenueSet { venue, config: shares }, opened];
    let inbox = (0..).zip(items).map(|(index, payload)| InboxItem { index, time: TimeMs(1_000), payload }).collect();
    let price =
        PriceUpdate { feed: FeedId(1), answer: 61_234_500_000, published_at: TimeMs(900), proof: vec![0xab; 100] };
    let act = Act::CancelMany { venue, market, sides: Sides::Both };
    let commands = [
        Command::Window { time: TimeMs(999) },
        Command::Frame { time: TimeMs(1_000), inbox, prices: vec![price] },
        Command::Place { order: signed(order(1, Side::Buy, 400)), instructions },
        Command::Replace { nonce: Nonce(1), order: signed(order(2, Side::Buy, 401)), instructions },
        Command::Plan { order: signed(order(3, Side::Sell, 900)), instructions, plan },
        Command::Replan {
            nonce: Nonce(3),
            order: signed(order(4, Side::Sell, 901)),
            instructions,
            trigger: Some(trigger),
            pace,
        },
        Command::PlaceTree { tree: ladder(), replaces: [Nonce(2)].into(), instructions },
        Command::Amend(signed(Amend { account, nonce: Nonce(20), size: Lots(7) })),
        Command::Cancel(signed(Cancel { account, nonce: Nonce(21) })),
        Command::CancelMany(signed(CancelMany { account, venue, market, sides: Sides::Buy, nonce })),
        Command::CancelAfter(signed(CancelAfter { account, time: TimeMs(9_000), nonce: Nonce(41) })),
        Command::CancelAll(signed(CancelAll { account, below: Nonce(45) })),
        Command::Withdraw(signed(Withdraw { account, token: TOKEN, amount: 1 << 70, nonce: Nonce(50), expiry })),
        Command::Transfer(signed(Transfer {
            account,
            gateway: Address::ZERO,
            to: account.isolated(market),
            token: TOKEN,
            amount: 1_000,
            nonce: Nonce(51),
            expiry,
        })),
        Command::Liquidate(signed(Liquidate {
            keeper: account,
            account: AccountId(4),
            market,
            size: Lots(9),
            limit: u128::MAX,
            nonce: Nonce(52),
            expiry,
        })),
        Command::Convert(signed(Convert {
            keeper: account,
            account: AccountId(4),
            asset: FeedId(2),
            amount: 1 << 80,
            limit: 5,
            nonce: Nonce(53),
            expiry,
        })),
        Command::InSession { login: signed(session), act },
    ];
    commands.into_iter().map(Logged::new).collect()
}

pub(crate) fn commands() -> Vec<Vec<u8>> {
    log().iter().map(|command| command.bytes().to_vec()).collect()
}

/// Blocks of a journal: each alone, and all together, as they stand in a segment.
pub(crate) fn blocks() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let settings = Settings { segment_bytes: 64 << 10, ..Settings::default() };
    let found = Journal::open(folder.path(), &group(), settings).expect("a journal");
    let mut journal = found.resume().expect("a journal");
    let log = log();
    for commands in [&log[..1], &log[1..3], &log[3..]] {
        let last = journal.append(commands).expect("a block");
        journal.durability().wait_for(last).expect("a block on the disk");
    }
    journal.close().expect("a journal that is closed");
    let blocks = blocks_of(folder.path(), &group(), 1).expect("its blocks");
    let mut seeds: Vec<Vec<u8>> = blocks.map(|block| block.expect("a block").bytes().to_vec()).collect();
    seeds.push(seeds.concat());
    seeds
}

/// The state that the engine's own tests keep, and one that this log leads to.
pub(crate) fn snapshots() -> Vec<Vec<u8>> {
    let mut engine = xos_engine::Engine::new(group());
    let mut events = Vec::new();
    for command in log().iter().skip(1) {
        engine.apply(command, &mut events);
    }
    let mut snapshot = Vec::new();
    engine.snapshot(&mut snapshot).expect("memory takes everything");
    vec![include_bytes!("../../engine/tests/snapshot/version-1.bin").to_vec(), snapshot]
}

/// Claims: right ones, one that names somebody else, and a signature alone as wallets return it.
pub(crate) fn signatures() -> Vec<Vec<u8>> {
    let claim = |named: u8, by: u8| {
        let digest = keccak256([named, by]);
        let signature = signature_bytes(&signer(by).sign(digest));
        [&[named][..], digest.as_slice(), &signature].concat()
    };
    let many: Vec<u8> = (1..=12).flat_map(|number| claim(number, number)).collect();
    let mut wrong = many.clone();
    wrong.extend(claim(3, 4));
    wrong.extend(claim(0, 5));
    wrong[2 * CLAIM_BYTES + 40] ^= 1;
    let alone = [&signature_bytes(&signer(1).sign(B256::ZERO))[..], &[27]].concat();
    vec![claim(1, 1), many, wrong, alone]
}
