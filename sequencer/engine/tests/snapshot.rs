//! What a snapshot is, byte by byte, and what is refused. That it continues the log is a property in `lives.rs`.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::disallowed_methods, reason = "a test may read its environment")]
#![allow(dead_code, reason = "the group's helpers serve other tests too")]

#[path = "rules/group.rs"]
mod group;

use group::*;
use xos_engine::{Engine, SnapshotError};
use xos_types::*;

/// A bit of everything that a snapshot holds: fills in this frame and an earlier one, amended and sliding orders, expiry,
/// keys, memberships, a dead-man switch, an isolated account and what another one is promised, fees under way, an iceberg, a slice to come, exits of an entry, a tree with a line.
fn life() -> Group {
    let mut group = Group::new(terms(3, 1_234, 567));
    group.sell(ALICE, 100, 420);
    let expiring = Order { expiry: TimeMs(9_000), ..group.order(BOB, Side::Buy, 70, 410) };
    group.place(expiring);
    group.buy(CAROL, 33, 500);
    let grant = SignerGrant {
        signer: Address::repeat_byte(0xa9),
        expiry: TimeMs(5_000),
        max_notional: 0,
        trade: true,
        withdraw: false,
        venues: [VenueId(0); 3],
    };
    let account = AccountId(ALICE);
    let member = InboxPayload::MembershipSet { account, venue: VENUE, until: TimeMs(7_000) };
    group.frame(2_000, vec![deposit(7, 123), InboxPayload::SignerSet { account, grant }, member]);
    let order = group.order(ALICE, Side::Buy, 10, 300);
    group.place_as(grant.signer, order);
    group.apply(Command::Amend(signed(ALICE, Amend { account, nonce: order.nonce, size: Lots(6) })));
    let post_only = Order { kind: OrderKind::PostOnly, ..group.order(CAROL, Side::Sell, 3, 200) };
    let instructions = Instructions { self_trade: SelfTrade::Decrement, crossing: Crossing::Slide };
    group.apply(Command::Place { order: signed(CAROL, post_only), instructions });
    let switch = CancelAfter { account, time: TimeMs(8_000), nonce: Nonce(900) };
    group.apply(Command::CancelAfter(signed(ALICE, switch)));
    group.withdraw(BOB, 999);
    group.buy(BOB, 7, 420);
    for pace in [Pace::Iceberg { display: Lots(4) }, Pace::Twap { slices: 3, interval: 1_000 }] {
        let order = group.order(CAROL, Side::Buy, 30, 200);
        group.apply(planned(order, Plan { pace, ..Plan::default() }));
    }
    let entry = group.order(BOB, Side::Buy, 5, 150);
    let trigger = Trigger { source: TriggerSource::Mark, when: TriggerWhen::AtOrBelow, price: Ticks(100) };
    let stop = Order { reduce_only: true, expiry: TimeMs(90_000), ..group.order(BOB, Side::Sell, 5, 90) };
    group.apply(planned(stop, Plan { after: Some(entry.nonce), trigger: Some(trigger), ..Plan::default() }));
    let profit = Order { reduce_only: true, ..group.order(BOB, Side::Sell, 5, 700) };
    group.apply(planned(profit, Plan { after: Some(entry.nonce), cancels: Some(stop.nonce), ..Plan::default() }));
    group.place(entry);
    group.sell(ALICE, 2, 150);
    let [there, promised] = [0, 1].map(|outcome| account.isolated(MarketId::new(EVENT, outcome)));
    let (nonce, expiry, gateway) = (Nonce(901), TimeMs(0), Address::ZERO);
    let opening = Transfer { account, gateway, to: there, token: TOKEN, amount: 1_000, nonce, expiry };
    group.apply(Command::Transfer(signed(ALICE, opening)));
    group.frame(2_500, vec![InboxPayload::CancelAll { account: promised, floor: Nonce(3) }]);
    let ladder = [250, 251].map(|price| group.order(BOB, Side::Buy, 1, price)).to_vec();
    let tree = SignedTree::new(ladder, Signature { r: [4; 32], vs: [5; 32] }, owner(BOB)).unwrap();
    group.apply(Command::PlaceTree { tree, replaces: [].into(), instructions: Instructions::default() });
    group.sell(ALICE, 1, 251);
    let apart = group.order(there.0, Side::Buy, 2, 120);
    group.apply(Command::place(signed(ALICE, apart)));
    group
}

fn planned(order: Order, plan: Plan) -> Command {
    Command::Plan { order: signed(order.account.0, order), instructions: Instructions::default(), plan }
}

fn bytes() -> Vec<u8> {
    let mut bytes = vec![];
    life().engine.snapshot(&mut bytes).unwrap();
    bytes
}

fn error(bytes: &[u8]) -> SnapshotError {
    Engine::restore(bytes).unwrap_err()
}

/// If this fails the format has changed: raise its version (or that of the records), then write the file with `BLESS=1`.
#[test]
fn the_format_is_the_one_in_the_repository() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshot/version-1.bin");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, bytes()).unwrap();
    }
    let golden = std::fs::read(path).unwrap();
    assert!(golden == bytes(), "a snapshot of the same log has other bytes than {path}");
    let engine = Engine::restore(&golden[..]).unwrap();
    engine.check_invariants();
    assert_eq!(engine.state_hash(), life().engine.state_hash());
}

#[test]
fn the_last_bytes_are_the_states_hash_and_so_is_the_hash_of_the_records() {
    let bytes = bytes();
    let (records, hash) = bytes.split_last_chunk::<32>().unwrap();
    assert_eq!(*hash, life().engine.state_hash());
    assert_eq!(*hash, *blake3::hash(&records[12..]).as_bytes());
}

#[test]
fn a_damaged_snapshot_is_refused_wherever_the_damage_is() {
    let whole = bytes();
    for place in (12..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        assert!(matches!(error(&bytes), SnapshotError::Damaged(_)), "byte {place}");
    }
    for length in [12, 40, whole.len() - 1] {
        assert!(matches!(error(&whole[..length]), SnapshotError::Damaged(_)), "{length} bytes");
    }
}

#[test]
fn another_file_or_version_is_no_snapshot() {
    let mut other = bytes();
    other[8] = 9;
    assert!(matches!(error(&other), SnapshotError::NotASnapshot(_)));
    other[0] = b'Y';
    assert!(matches!(error(&other), SnapshotError::NotASnapshot(_)));
    assert!(matches!(error(b""), SnapshotError::NotASnapshot(_)));
}
