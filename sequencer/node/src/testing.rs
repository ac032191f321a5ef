//! Commands and events for unit tests.

use xos_types::{
    AccountId, Address, Atoms, Cancel, Command, Event, EventConfig, EventId, Fill, GroupConfig, GroupTerms, InboxItem,
    InboxPayload, Lots, MarketId, Nonce, Order, OrderKind, Ppm, Side, Signature, Signed, Ticks, TimeMs, TradingTerms,
    VenueConfig, VenueId, Withdraw,
};

pub(crate) const GROUP: GroupConfig = GroupConfig {
    chain_id: 31_337,
    group: Address::repeat_byte(0x11),
    token: Address::repeat_byte(0x22),
    governance: Address::repeat_byte(0x33),
    terms: GroupTerms::usual(Address::repeat_byte(0x44)),
};
/// Settings of a test's journal.
pub(crate) const SMALL_DISK: xos_journal::Settings =
    xos_journal::Settings { segment_bytes: 64 << 10, block_bytes: 4 << 20 };

/// The disk of a node that has nothing to write.
pub(crate) fn idle_disk() -> xos_journal::Durability {
    let dir = tempfile::tempdir().unwrap();
    xos_journal::Journal::open(dir.path(), &GROUP, SMALL_DISK).unwrap().resume().unwrap().durability()
}

/// Limits that nobody reaches.
pub(crate) fn ample_limits() -> crate::config::Limits {
    let folder = tempfile::tempdir().unwrap();
    let (deployment, key) = (folder.path().join("deployment.json"), folder.path().join("sequencer.key"));
    std::fs::write(&deployment, "{}").unwrap();
    std::fs::write(&key, "01".repeat(32)).unwrap();
    let settings = crate::config::Settings {
        deployment: Some(deployment),
        sequencer_key_file: Some(key),
        ..crate::config::Settings::default()
    };
    settings.check().unwrap().limits
}

/// Vitals that nobody looks at.
pub(crate) fn idle_vitals() -> std::sync::Arc<crate::vitals::Vitals> {
    crate::vitals::Vitals::new(&GROUP, std::path::Path::new("."), std::time::Duration::from_secs(1))
}

/// Feeds of an exchange that has just begun.
pub(crate) fn idle_feeds() -> crate::feeds::Feeds {
    use crate::feeds::{Feeds, OrderNames, Publisher};
    Feeds::start(Publisher::new(OrderNames::new(b"a test"), &xos_engine::Engine::new(GROUP))).unwrap()
}

/// The API of a node whose sequencer has ended.
pub(crate) fn idle_rpc() -> crate::rpc::Rpc {
    use std::sync::Arc;

    let folder = tempfile::tempdir().unwrap();
    let batches = crate::settlement::Batches::open(&folder.path().join("batches.jsonl")).unwrap();
    let backlog = crate::ingress::Backlog::new(0, 0, 1);
    let (_, status) = tokio::sync::watch::channel(xos_chain::SettlementStatus::default());
    let (vitals, domain) = (idle_vitals(), xos_auth::Domain::from(&GROUP));
    let role = crate::replication::Role::alone();
    let sequencer = crate::ingress::Sequencer::channel(1, 1, Arc::clone(&backlog), idle_disk(), role).0;
    let past = xos_history::History::open(folder.path().join("history"), &GROUP).unwrap();
    crate::rpc::Rpc {
        sequencer: sequencer.clone(),
        settlement: Arc::new(crate::settlement::Settlement::new(batches, status, backlog)),
        budgets: Arc::new(crate::door::budget::Budgets::new(&ample_limits())),
        signatures: crate::signatures::Signatures::start(domain, Arc::clone(&vitals)).unwrap(),
        vitals,
        group: GROUP,
        domain,
        key: xos_auth::Key::from_bytes([1; 32]).unwrap(),
        decimals: 6,
        state_hash: Arc::default(),
        subscriptions: Arc::new(crate::feeds::serve::Subscriptions::new(idle_feeds(), sequencer, past.clone())),
        past,
        follower: Arc::default(),
    }
}

/// The accounts of [`inbox`].
pub(crate) const ALICE: u64 = 3;
pub(crate) const BOB: u64 = 4;
pub(crate) const MARKET: MarketId = MarketId::new(EventId(1), 0);

/// Owner of an account of [`inbox`].
pub(crate) fn trader(account: u64) -> Address {
    Address::with_last_byte(u8::try_from(account).unwrap())
}

/// A venue, deposits for Alice and Bob, and an event.
pub(crate) fn inbox() -> Vec<InboxItem> {
    let deposit = |account| InboxPayload::Deposit {
        account: AccountId(account),
        owner: trader(account),
        token: GROUP.token,
        amount: 1_000_000_000,
    };
    let venue = VenueConfig {
        treasury: AccountId::PROTOCOL,
        protocol_share: Ppm(0),
        insurance_share: Ppm(0),
        referrer_share: Ppm(0),
    };
    let config = EventConfig {
        terms: TradingTerms::free(VenueId(1), 10),
        outcomes: 2,
        ticks: 1_000,
        resolver: trader(9),
        title: "Rain tomorrow?".into(),
        labels: vec!["yes".into(), "no".into()],
    };
    let opened = InboxPayload::EventOpened { event: EventId(1), config };
    let items =
        (0..).zip([InboxPayload::VenueSet { venue: VenueId(1), config: venue }, deposit(ALICE), deposit(BOB), opened]);
    items.map(|(index, payload)| InboxItem { index, time: TimeMs(1), payload }).collect()
}

fn signed<T>(account: u64, message: T) -> Signed<T> {
    Signed { message, signature: Signature::default(), signer: trader(account) }
}

pub(crate) fn order_of(account: u64, nonce: u64, side: Side, kind: OrderKind, price: u64) -> Command {
    Command::place(signed(
        account,
        Order {
            account: AccountId(account),
            market: MARKET,
            side,
            kind,
            reduce_only: false,
            size: Lots(10),
            price: Ticks(price),
            nonce: Nonce(nonce),
            expiry: TimeMs(0),
            max_fee: Ppm(0),
            builder: 0,
            builder_fee: Ppm(0),
        },
    ))
}

pub(crate) fn order(nonce: u64, kind: OrderKind) -> Command {
    order_of(ALICE, nonce, Side::Buy, kind, 500)
}

pub(crate) fn cancel_of(account: u64, nonce: u64) -> Command {
    Command::Cancel(signed(account, Cancel { account: AccountId(account), nonce: Nonce(nonce) }))
}

pub(crate) fn cancel(nonce: u64) -> Command {
    cancel_of(ALICE, nonce)
}

pub(crate) fn withdraw(nonce: u64) -> Command {
    let message =
        Withdraw { account: AccountId(ALICE), token: GROUP.token, amount: 1, nonce: Nonce(nonce), expiry: TimeMs(0) };
    Command::Withdraw(signed(ALICE, message))
}

pub(crate) fn fill(market: MarketId, price: u64) -> Event {
    Event::Filled(Fill {
        market,
        price: Ticks(price),
        size: Lots(1),
        taker_side: Side::Buy,
        maker: AccountId(ALICE),
        maker_nonce: Nonce(1),
        maker_fee: Atoms::ZERO,
        maker_remaining: Lots(0),
        taker: AccountId(BOB),
        taker_nonce: Nonce(1),
        taker_fee: Atoms::ZERO,
    })
}
