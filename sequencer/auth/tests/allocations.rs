//! Hashing and checking orders takes no memory once there is some.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::alloc::System;

use alloy_primitives::{Address, B256};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use xos_auth::{Claim, Domain, Key, KeyBook, Tree, Verifier};
use xos_types::{AccountId, Lots, MarketId, Nonce, Order, OrderKind, Ppm, Side, Ticks, TimeMs};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn order(nonce: u64) -> Order {
    Order {
        account: AccountId(7),
        market: MarketId(258),
        side: Side::Buy,
        kind: OrderKind::PostOnly,
        reduce_only: false,
        size: Lots(100),
        price: Ticks(505),
        nonce: Nonce(nonce),
        expiry: TimeMs(0),
        max_fee: Ppm(1000),
        builder: 0,
        builder_fee: Ppm(0),
    }
}

/// One test, so that no other thread allocates meanwhile.
#[test]
fn the_way_of_an_order_allocates_nothing() {
    let domain = Domain::new(196, Address::repeat_byte(3));
    let orders: Vec<Order> = (0..200).map(order).collect();
    let keys: Vec<Key> = (1..=20).map(|seed| Key::from_bytes([seed; 32]).unwrap()).collect();
    let (mut tree, mut book, mut verifier) = (Tree::default(), KeyBook::with_tables(64, 64), Verifier::new());
    let (mut digests, mut claims, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());

    let mut allocations = Vec::new();
    let signatures: Vec<_> = {
        domain.digests(&orders, &mut digests);
        digests.iter().zip(keys.iter().cycle()).map(|(digest, key)| (key.sign(B256::new(*digest)), key)).collect()
    };
    for _ in 0..6 {
        let region = Region::new(GLOBAL);
        digests.clear();
        domain.digests(&orders, &mut digests);
        claims.clear();
        claims.extend(digests.iter().zip(&signatures).map(|(&digest, (signature, key))| Claim {
            digest: digest.into(),
            signature: *signature,
            signer: Some(key.address()),
        }));
        verdicts.clear();
        verifier.verify(&mut book, &claims, &mut verdicts);
        tree.build(&domain, &orders).unwrap();
        let change = region.change();
        allocations.push(change.allocations + change.reallocations);
        assert!(verdicts.iter().zip(&claims).all(|(verdict, claim)| verdict.as_ref().ok() == claim.signer.as_ref()));
    }
    assert!(allocations[0] > 0, "the first round makes room, the second for more known signers");
    assert_eq!(allocations[2..], [0; 4]);
}
