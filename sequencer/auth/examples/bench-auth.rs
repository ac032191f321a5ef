//! What one core spends on signatures and hashes: a JSON line per result.
//!
//! A batch is by as many signers as it has signatures, which is the dearest, unless it says "one signer", which is the
//! cheapest. All but recoveries and first contacts are by known signers, of whom the book has tables unless it says "no
//! tables", or long ones of those that are frequent. Time is what the thread had a core for, so that others on the
//! machine are seen only in its caches.

use std::hint::black_box;
use std::time::Duration;

use alloy_primitives::Address;
use rustix::time::{ClockId, clock_gettime};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, Secp256k1};
use xos_auth::{Claim, Domain, Key, KeyBook, Tree, Verifier, recover, signature_bytes};
use xos_types::{AccountId, Lots, MarketId, Nonce, Order, OrderKind, Ppm, Side, Signature, Ticks, TimeMs};

const ORDERS: usize = 4_096;
const SINGLE: usize = 256;
/// Keys that a node's thread remembers, so that it has tables of all signers here.
const KEYS: usize = 1 << 18;
/// Signers who come again and again.
const FREQUENT: usize = 64;
/// Short rounds and many of them: on a shared machine some are left alone.
const ROUNDS: u32 = 60;

fn main() {
    let domain = Domain::new(31337, Address::repeat_byte(7));
    let orders: Vec<Order> = (0..ORDERS as u64).map(order).collect();
    let keys: Vec<Key> = (1..=ORDERS as u64).map(key).collect();
    let claim = |order: &Order, key: &Key| {
        let digest = domain.digest(order);
        Claim { digest, signature: key.sign(digest), signer: Some(key.address()) }
    };
    let many: Vec<Claim> = orders.iter().zip(&keys).map(|(order, key)| claim(order, key)).collect();
    let one: Vec<Claim> = orders.iter().map(|order| claim(order, &keys[0])).collect();

    let sign = || {
        for order in &orders[..SINGLE] {
            black_box(keys[0].sign_typed(&domain, *order));
        }
    };
    report("auth.sign_us", Unit::Microseconds, best(sign), SINGLE);
    let theirs = libsecp256k1(&many[..SINGLE]);
    report("auth.libsecp256k1_recover_us", Unit::Microseconds, theirs, SINGLE);
    let versus = |bench: &str, ours: Duration, claims: usize| {
        report(&format!("auth.{bench}_us"), Unit::Microseconds, ours, claims);
        let ratio = ours.as_secs_f64() / claims as f64 / (theirs.as_secs_f64() / SINGLE as f64);
        println!(r#"{{"bench":"auth.{bench}_vs_libsecp256k1","unit":"times","value":{ratio:.3}}}"#);
    };
    versus("recover", best(|| many[..SINGLE].iter().for_each(recover_one)), SINGLE);
    versus("single", batches(&known(&many, KEYS), &many[..SINGLE], 1), SINGLE);
    versus("single_no_table", batches(&known(&many, 0), &many[..SINGLE], 1), SINGLE);
    for size in [1, 2, 4, 8, 16, 32, 256, 1_024, 4_096] {
        let count = size.max(SINGLE);
        versus(&format!("batch_{size}"), batches(&known(&many, KEYS), &many[..count], size), count);
    }
    let few: Vec<Claim> = many[..FREQUENT].iter().cycle().take(SINGLE).copied().collect();
    let book = frequent(&many[..FREQUENT]);
    for size in [1, 8, 32] {
        versus(&format!("batch_{size}_frequent"), batches(&book, &few, size), SINGLE);
    }
    for size in [16, 32, 256, 1_024, 4_096] {
        let count = size.max(SINGLE);
        for (signers, claims) in [("", &many), ("_one_signer", &one)] {
            let spent = batches(&known(claims, 0), &claims[..count], size);
            report(&format!("auth.batch_{size}{signers}_no_tables_us"), Unit::Microseconds, spent, count);
        }
    }
    let mut one_false = many[..1_024].to_vec();
    one_false[500].digest = one_false[501].digest;
    for (tables, room) in [("", KEYS), ("_no_tables", 0)] {
        let spent = batches(&known(&many, room), &one_false, 1_024);
        report(&format!("auth.batch_1024_one_false{tables}_us"), Unit::Microseconds, spent, 1_024);
    }
    let strangers = KeyBook::new(KEYS);
    report("auth.first_contact_us", Unit::Microseconds, once(&strangers, &many[..1_024]), 1_024);
    let mut met = strangers;
    Verifier::new().verify(&mut met, &many[..1_024], &mut Vec::new());
    report("auth.second_contact_us", Unit::Microseconds, once(&met, &many[..1_024]), 1_024);
    report("auth.second_contact_of_few_us", Unit::Microseconds, once(&met, &many[..8]), 8);

    let mut digests = Vec::new();
    let bulk = best(|| {
        digests.clear();
        domain.digests(black_box(&orders), &mut digests);
    });
    report("auth.digest_ns", Unit::Nanoseconds, bulk, ORDERS);
    let alone = best(|| {
        for order in &orders {
            black_box(domain.digest(order));
        }
    });
    report("auth.digest_alone_ns", Unit::Nanoseconds, alone, ORDERS);
    report("auth.tree_64_ns", Unit::Nanoseconds, trees(&domain, &keys[..1_024]), 64 * 1_024);
}

fn recover_one(claim: &Claim) {
    assert_eq!(recover(black_box(claim.digest), &claim.signature).ok(), claim.signer);
}

/// A book that has seen the signers twice, a few at a time, so that it has tables of as many as there is room for.
fn known(claims: &[Claim], tables: usize) -> KeyBook {
    let mut book = KeyBook::with_tables(KEYS, tables);
    for claims in claims.chunks(8).chain(claims.chunks(8)) {
        Verifier::new().verify(&mut book, claims, &mut Vec::new());
    }
    book
}

/// A book that has seen the signers often, so that it has long tables of them.
fn frequent(claims: &[Claim]) -> KeyBook {
    let mut book = KeyBook::new(KEYS);
    for _ in 0..100 {
        claims.iter().for_each(|claim| Verifier::new().verify(&mut book, &[*claim], &mut Vec::new()));
    }
    book
}

/// Claims by known signers, so many at a time.
fn batches(book: &KeyBook, claims: &[Claim], size: usize) -> Duration {
    let (mut book, mut verifier, mut verdicts) = (book.clone(), Verifier::new(), Vec::new());
    best(|| {
        verdicts.clear();
        for batch in black_box(claims).chunks(size) {
            verifier.verify(&mut book, batch, &mut verdicts);
        }
        let wrong =
            verdicts.iter().zip(claims).filter(|(verdict, claim)| verdict.as_ref().ok() != claim.signer.as_ref());
        assert!(wrong.count() <= 1);
    })
}

/// Claims checked by a book that nobody has added to meanwhile.
fn once(book: &KeyBook, claims: &[Claim]) -> Duration {
    let mut verifier = Verifier::new();
    let rounds = (0..ROUNDS).map(|_| {
        let (mut book, mut verdicts) = (book.clone(), Vec::new());
        let start = spent();
        verifier.verify(&mut book, black_box(claims), &mut verdicts);
        spent() - start
    });
    rounds.min().expect("there are rounds")
}

fn libsecp256k1(claims: &[Claim]) -> Duration {
    let secp = Secp256k1::verification_only();
    let signatures: Vec<_> = claims
        .iter()
        .map(|claim| {
            let mut bytes = signature_bytes(&claim.signature);
            let parity = i32::from(bytes[32] >> 7);
            bytes[32] &= 0x7f;
            let id = RecoveryId::try_from(parity).expect("a parity is a recovery id");
            let signature = RecoverableSignature::from_compact(&bytes, id).expect("it was made by signing");
            (Message::from_digest(claim.digest.0), signature)
        })
        .collect();
    best(|| {
        for (message, signature) in &signatures {
            black_box(secp.recover_ecdsa(*message, signature).expect("it was made by signing"));
        }
    })
}

/// A tree of 64 orders by each key: hashes, tree, and the signatures in one batch.
fn trees(domain: &Domain, keys: &[Key]) -> Duration {
    let ladders: Vec<Vec<Order>> =
        (0..keys.len() as u64).map(|ladder| (64 * ladder..64 * (ladder + 1)).map(order).collect()).collect();
    let mut tree = Tree::default();
    let mut build = |orders: &[Order], signature, signer| {
        tree.build(domain, orders).expect("64 orders make a tree");
        (tree.claim(domain, signature, signer), tree.message())
    };
    let signatures: Vec<Signature> = ladders
        .iter()
        .zip(keys)
        .map(|(orders, key)| key.sign_typed(domain, build(orders, Signature::default(), None).1).signature)
        .collect();
    let mut book = KeyBook::new(KEYS);
    let mut verifier = Verifier::new();
    let (mut claims, mut verdicts) = (Vec::new(), Vec::new());
    best(|| {
        claims.clear();
        verdicts.clear();
        for ((orders, key), signature) in ladders.iter().zip(keys).zip(&signatures) {
            claims.push(build(black_box(orders), *signature, Some(key.address())).0);
        }
        verifier.verify(&mut book, &claims, &mut verdicts);
        assert!(verdicts.iter().zip(keys).all(|(verdict, key)| *verdict == Ok(key.address())));
    })
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

enum Unit {
    Microseconds,
    Nanoseconds,
}

fn report(bench: &str, unit: Unit, round: Duration, operations: usize) {
    let (unit, scale) = match unit {
        Unit::Microseconds => ("us/op", 1e6),
        Unit::Nanoseconds => ("ns/op", 1e9),
    };
    let seconds = round.as_secs_f64();
    let each = seconds * scale / operations as f64;
    let per_second = operations as f64 / seconds;
    println!(r#"{{"bench":"{bench}","unit":"{unit}","value":{each:.2},"per_second":{per_second:.0}}}"#);
}
