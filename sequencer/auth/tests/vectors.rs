//! The hashes and signatures of `test/vectors/eip712.json`, which a third implementation made and the contracts are held
//! to as well.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::PathBuf;

use alloy_primitives::{Address, B256, U256};
use serde::Deserialize;
use serde_json::Value;
use xos_auth::{Batch, Domain, Key, Typed, recover};
use xos_types::{
    AccountId, Amend, Cancel, CancelAfter, CancelAll, CancelMany, Convert, FeedId, Liquidate, Lots, MarketId, Nonce,
    Order, OrderKind, OrderTree, Ppm, Scope, Session, Side, Sides, Signature, Ticks, TimeMs, Transfer, VenueId,
    Withdraw,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vectors {
    domain: DomainVector,
    type_hashes: std::collections::BTreeMap<String, B256>,
    orders: Vec<Vector>,
    withdraws: Vec<Vector>,
    cancels: Vec<Vector>,
    cancel_alls: Vec<Vector>,
    amends: Vec<Vector>,
    cancel_manys: Vec<Vector>,
    cancel_afters: Vec<Vector>,
    transfers: Vec<Vector>,
    liquidates: Vec<Vector>,
    converts: Vec<Vector>,
    order_trees: Vec<Vector>,
    sessions: Vec<Vector>,
    batches: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DomainVector {
    chain_id: u64,
    verifying_contract: Address,
    separator: B256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    message: Value,
    struct_hash: B256,
    digest: B256,
    private_key: B256,
    signer: Address,
    r: B256,
    vs: B256,
}

fn vectors() -> Vectors {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../test/vectors/eip712.json");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; test/vectors/make-eip712.mjs writes it", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn domain(vectors: &Vectors) -> Domain {
    Domain::new(vectors.domain.chain_id, vectors.domain.verifying_contract)
}

/// 64-bit numbers stand in the file as decimal strings, smaller ones as numbers.
fn number(message: &Value, field: &str) -> u128 {
    let value = &message[field];
    match value.as_str() {
        Some(text) => text.parse().unwrap_or_else(|_| panic!("`{field}` is {text}")),
        None => value.as_u64().unwrap_or_else(|| panic!("`{field}` is {value}")).into(),
    }
}

fn u64_of(message: &Value, field: &str) -> u64 {
    number(message, field).try_into().unwrap()
}

fn u32_of(message: &Value, field: &str) -> u32 {
    number(message, field).try_into().unwrap()
}

fn hash(message: &Value, field: &str) -> [u8; 32] {
    message[field].as_str().unwrap().parse::<B256>().unwrap().0
}

fn order(message: &Value) -> Order {
    Order {
        account: AccountId(u64_of(message, "account")),
        market: MarketId(u32_of(message, "market")),
        side: if number(message, "side") == 0 { Side::Buy } else { Side::Sell },
        kind: [OrderKind::GoodTillCancelled, OrderKind::ImmediateOrCancel, OrderKind::FillOrKill, OrderKind::PostOnly]
            [usize::try_from(number(message, "kind")).unwrap()],
        reduce_only: message["reduceOnly"].as_bool().unwrap(),
        size: Lots(u64_of(message, "size")),
        price: Ticks(u64_of(message, "price")),
        nonce: Nonce(u64_of(message, "nonce")),
        expiry: TimeMs(u64_of(message, "expiry")),
        max_fee: Ppm(u32_of(message, "maxFee")),
        builder: u32_of(message, "builder"),
        builder_fee: Ppm(u32_of(message, "builderFee")),
    }
}

fn withdraw(message: &Value) -> Withdraw {
    Withdraw {
        account: AccountId(u64_of(message, "account")),
        token: address(message, "token"),
        amount: number(message, "amount"),
        nonce: Nonce(u64_of(message, "nonce")),
        expiry: TimeMs(u64_of(message, "expiry")),
    }
}

fn cancel(message: &Value) -> Cancel {
    Cancel { account: AccountId(u64_of(message, "account")), nonce: Nonce(u64_of(message, "nonce")) }
}

fn cancel_all(message: &Value) -> CancelAll {
    CancelAll { account: AccountId(u64_of(message, "account")), below: Nonce(u64_of(message, "below")) }
}

fn amend(message: &Value) -> Amend {
    let (account, nonce) = (AccountId(u64_of(message, "account")), Nonce(u64_of(message, "nonce")));
    Amend { account, nonce, size: Lots(u64_of(message, "size")) }
}

fn cancel_many(message: &Value) -> CancelMany {
    CancelMany {
        account: AccountId(u64_of(message, "account")),
        venue: VenueId(u32_of(message, "venue")),
        market: MarketId(u32_of(message, "market")),
        sides: [Sides::Buy, Sides::Sell, Sides::Both][usize::try_from(number(message, "sides")).unwrap()],
        nonce: Nonce(u64_of(message, "nonce")),
    }
}

fn cancel_after(message: &Value) -> CancelAfter {
    let (account, nonce) = (AccountId(u64_of(message, "account")), Nonce(u64_of(message, "nonce")));
    CancelAfter { account, time: TimeMs(u64_of(message, "time")), nonce }
}

fn address(message: &Value, field: &str) -> Address {
    message[field].as_str().unwrap().parse().unwrap()
}

fn transfer(message: &Value) -> Transfer {
    Transfer {
        account: AccountId(u64_of(message, "account")),
        gateway: address(message, "gateway"),
        to: AccountId(u64_of(message, "to")),
        token: address(message, "token"),
        amount: number(message, "amount"),
        nonce: Nonce(u64_of(message, "nonce")),
        expiry: TimeMs(u64_of(message, "expiry")),
    }
}

fn liquidate(message: &Value) -> Liquidate {
    Liquidate {
        keeper: AccountId(u64_of(message, "keeper")),
        account: AccountId(u64_of(message, "account")),
        market: MarketId(u32_of(message, "market")),
        size: Lots(u64_of(message, "size")),
        limit: number(message, "limit"),
        nonce: Nonce(u64_of(message, "nonce")),
        expiry: TimeMs(u64_of(message, "expiry")),
    }
}

fn convert(message: &Value) -> Convert {
    Convert {
        keeper: AccountId(u64_of(message, "keeper")),
        account: AccountId(u64_of(message, "account")),
        asset: FeedId(number(message, "asset").try_into().unwrap()),
        amount: number(message, "amount"),
        limit: number(message, "limit"),
        nonce: Nonce(u64_of(message, "nonce")),
        expiry: TimeMs(u64_of(message, "expiry")),
    }
}

fn order_tree(message: &Value) -> OrderTree {
    OrderTree { root: hash(message, "root") }
}

fn session(message: &Value) -> Session {
    assert_eq!(number(message, "scope"), Scope::Cancel as u128);
    let (account, expiry) = (AccountId(u64_of(message, "account")), TimeMs(u64_of(message, "expiry")));
    Session { account, scope: Scope::Cancel, expiry, challenge: hash(message, "challenge") }
}

fn batch(message: &Value) -> Batch {
    Batch { id: u64_of(message, "id"), parent: hash(message, "parent"), content: hash(message, "content") }
}

fn check<T: Typed + Copy>(domain: &Domain, vectors: &[Vector], read: impl Fn(&Value) -> T) {
    assert!(!vectors.is_empty(), "no vectors for {}", T::TYPE);
    for vector in vectors {
        let message = read(&vector.message);
        assert_eq!(domain.struct_hash(&message), vector.struct_hash, "{}", vector.message);
        assert_eq!(domain.digest(&message), vector.digest, "{}", vector.message);

        let given = Signature { r: vector.r.0, vs: vector.vs.0 };
        assert_eq!(recover(vector.digest, &given), Ok(vector.signer), "{}", vector.message);
        let signed = Key::from_bytes(vector.private_key.0).unwrap().sign_typed(domain, message);
        assert_eq!(signed.signer, vector.signer, "{}", vector.message);
        // RFC 6979 fixes the nonce, so two right implementations make the same signature.
        assert_eq!(signed.signature, given, "{}", vector.message);
    }
}

#[test]
fn domain_separator_is_the_shared_one() {
    let vectors = vectors();
    assert_eq!(domain(&vectors).separator(), vectors.domain.separator);
}

#[test]
fn type_hashes_are_the_shared_ones() {
    let hashes = vectors().type_hashes;
    assert_eq!(hashes["Order"], Order::type_hash());
    assert_eq!(hashes["Withdraw"], Withdraw::type_hash());
    assert_eq!(hashes["Cancel"], Cancel::type_hash());
    assert_eq!(hashes["CancelAll"], CancelAll::type_hash());
    assert_eq!(hashes["Amend"], Amend::type_hash());
    assert_eq!(hashes["CancelMany"], CancelMany::type_hash());
    assert_eq!(hashes["CancelAfter"], CancelAfter::type_hash());
    assert_eq!(hashes["Transfer"], Transfer::type_hash());
    assert_eq!(hashes["Liquidate"], Liquidate::type_hash());
    assert_eq!(hashes["Convert"], Convert::type_hash());
    assert_eq!(hashes["OrderTree"], OrderTree::type_hash());
    assert_eq!(hashes["Session"], Session::type_hash());
    assert_eq!(hashes["Batch"], Batch::type_hash());
}

#[test]
fn orders_hash_and_sign_as_shared() {
    let vectors = vectors();
    check(&domain(&vectors), &vectors.orders, order);
}

#[test]
fn withdrawals_hash_and_sign_as_shared() {
    let vectors = vectors();
    check(&domain(&vectors), &vectors.withdraws, withdraw);
}

#[test]
fn cancellations_hash_and_sign_as_shared() {
    let vectors = vectors();
    check(&domain(&vectors), &vectors.cancels, cancel);
    check(&domain(&vectors), &vectors.cancel_alls, cancel_all);
    check(&domain(&vectors), &vectors.cancel_manys, cancel_many);
    check(&domain(&vectors), &vectors.cancel_afters, cancel_after);
}

#[test]
fn amendments_hash_and_sign_as_shared() {
    let vectors = vectors();
    check(&domain(&vectors), &vectors.amends, amend);
}

#[test]
fn transfers_hash_and_sign_as_shared() {
    let vectors = vectors();
    check(&domain(&vectors), &vectors.transfers, transfer);
}

#[test]
fn keepers_messages_hash_and_sign_as_shared() {
    let vectors = vectors();
    check(&domain(&vectors), &vectors.liquidates, liquidate);
    check(&domain(&vectors), &vectors.converts, convert);
}

#[test]
fn order_trees_hash_and_sign_as_shared() {
    let vectors = vectors();
    check(&domain(&vectors), &vectors.order_trees, order_tree);
}

#[test]
fn sessions_hash_and_sign_as_shared() {
    let vectors = vectors();
    check(&domain(&vectors), &vectors.sessions, session);
}

#[test]
fn batches_hash_and_sign_as_shared() {
    let vectors = vectors();
    check(&domain(&vectors), &vectors.batches, batch);
}

/// The vectors have no receipt, so another encoder stands in for the third implementation here.
#[test]
fn log_heads_hash_as_another_encoder_does() {
    alloy_sol_types::sol! {
        struct LogHead { uint64 sequence; bytes32 logHash; }
    }
    use alloy_sol_types::SolStruct;

    let vectors = vectors();
    let domain = domain(&vectors);
    let theirs = alloy_sol_types::Eip712Domain::new(
        Some("Exchange OS".into()),
        Some("1".into()),
        Some(U256::from(domain.chain_id())),
        Some(domain.group()),
        None,
    );
    for (sequence, log_hash) in [(0, B256::ZERO), (7, B256::repeat_byte(0x5a)), (u64::MAX, B256::repeat_byte(0xff))] {
        let ours = xos_auth::LogHead { sequence, log_hash: log_hash.0 };
        let other = LogHead { sequence, logHash: log_hash };
        assert_eq!(domain.struct_hash(&ours), other.eip712_hash_struct());
        assert_eq!(domain.digest(&ours), other.eip712_signing_hash(&theirs));
    }
}
