//! What one core spends on signatures and hashes: a JSON line per result.
//!
//! "Many signers" is the dearest batch, in which every order is by somebody else; "one signer" the cheapest.

use std::hint::black_box;
use std::time::Duration;

use alloy_primitives::Address;
use rustix::time::{ClockId, clock_gettime};
use xos_auth::{Claim, Domain, Key, KeyBook, Verifier, recover};
use xos_types::{AccountId, Lots, MarketId, Nonce, Order, OrderKind, Ppm, Side, Ticks, TimeMs};

const ORDERS: usize = 4_096;
const SINGLE: usize = 256;
/// Short rounds and many of them: on a shared machine some are left alone.
const ROUNDS: u32 = 60;

fn main() {
    let domain = Domain::new(31337, Address::repeat_byte(7));
    let orders: Vec<Order> = (0..ORDERS as u64).map(order).collect();
    let keys: Vec<Key> = (1..=ORDERS as u64).map(key).collect();
    let many: Vec<Claim> = orders.iter().zip(&keys).map(|(order, key)| claim(&domain, order, key)).collect();
    let one: Vec<Claim> = orders.iter().map(|order| claim(&domain, order, &keys[0])).collect();

    let sign = best(|| {
        for order in &orders[..SINGLE] {
            black_box(keys[0].sign_typed(&domain, *order));
        }
    });
    report("auth.sign_us", "us/op", sign, SINGLE);
    let single = best(|| {
        for claim in &many[..SINGLE] {
            assert_eq!(recover(black_box(claim.digest), &claim.signature).ok(), claim.signer);
        }
    });
    report("auth.single_us", "us/op", single, SINGLE);

    let mut digests = Vec::new();
    let each = best(|| {
        digests.clear();
        digests.extend(orders.iter().map(|order| domain.digest(black_box(order)).0));
    });
    report("auth.digest_alone_ns", "ns/op", each, ORDERS);
    let bulk = best(|| {
        digests.clear();
        domain.digests(black_box(&orders), &mut digests);
    });
    report("auth.digest_ns", "ns/op", bulk, ORDERS);

    for size in [256, 1_024, 4_096] {
        for (signers, claims) in [("", &many), ("_one_signer", &one)] {
            let batch = batch(&claims[..size]);
            report(&format!("auth.batch_{size}{signers}_us"), "us/op", batch, size);
        }
    }
}

fn batch(claims: &[Claim]) -> Duration {
    let mut book = KeyBook::new(2 * ORDERS);
    let mut verifier = Verifier::new();
    let mut verdicts = Vec::new();
    verifier.verify(&mut book, claims, &mut verdicts);
    best(|| {
        verdicts.clear();
        verifier.verify(&mut book, black_box(claims), &mut verdicts);
        assert!(verdicts.iter().zip(claims).all(|(verdict, claim)| verdict.as_ref().ok() == claim.signer.as_ref()));
    })
}

fn claim(domain: &Domain, order: &Order, key: &Key) -> Claim {
    let digest = domain.digest(order);
    Claim { digest, signature: key.sign(digest), signer: Some(key.address()) }
}

fn key(number: u64) -> Key {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&number.to_be_bytes());
    Key::from_bytes(bytes).expect("a small number is a key")
}

fn order(nonce: u64) -> Order {
    Order {
        account: AccountId(1),
        market: MarketId(256),
        side: Side::Buy,
        kind: OrderKind::GoodTillCancelled,
        reduce_only: false,
        size: Lots(100),
        price: Ticks(500),
        nonce: Nonce(nonce),
        expiry: TimeMs(0),
        max_fee: Ppm(1_000),
        builder: 0,
        builder_fee: Ppm(0),
    }
}

/// The fastest round: what the work costs when nothing else disturbs it.
fn best(mut work: impl FnMut()) -> Duration {
    let rounds = (0..ROUNDS).map(|_| {
        let start = spent();
        work();
        spent() - start
    });
    rounds.min().expect("there are rounds")
}

/// Time that this thread has had a core for.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("time spent is not negative")
}

fn report(bench: &str, unit: &str, round: Duration, operations: usize) {
    let seconds = round.as_secs_f64();
    let scale = if unit.starts_with("ns") { 1e9 } else { 1e6 };
    let each = seconds * scale / operations as f64;
    let per_second = operations as f64 / seconds;
    println!(r#"{{"bench":"{bench}","unit":"{unit}","value":{each:.2},"per_second":{per_second:.0}}}"#);
}
