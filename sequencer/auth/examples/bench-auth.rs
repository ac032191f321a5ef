//! What one core spends on signatures: a JSON line per result.

use std::hint::black_box;
use std::time::{Duration, Instant};

use alloy_primitives::Address;
use xos_auth::{Domain, Key, verify};
use xos_types::{AccountId, Lots, MarketId, Nonce, Order, OrderKind, Ppm, Side, Ticks, TimeMs};

const ORDERS: u64 = 2_000;
const ROUNDS: u32 = 7;

fn main() {
    let domain = Domain::new(31337, Address::repeat_byte(7));
    let key = Key::from_bytes([7; 32]).expect("a small number is a key");
    let orders: Vec<Order> = (0..ORDERS).map(order).collect();
    let signed: Vec<_> = orders.iter().map(|&order| key.sign_typed(&domain, order)).collect();

    let sign = |orders: &[Order]| {
        for &order in orders {
            black_box(key.sign_typed(&domain, order));
        }
    };
    report("auth.sign", best(|| sign(&orders)));
    report(
        "auth.recover",
        best(|| {
            for order in &signed {
                let verified = verify(&domain, black_box(order.message), order.signature);
                assert_eq!(verified.map(|verified| verified.signer), Ok(key.address()));
            }
        }),
    );
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
fn best(work: impl Fn()) -> Duration {
    let rounds = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed()
    });
    rounds.min().expect("there are rounds")
}

fn report(bench: &str, round: Duration) {
    let seconds = round.as_secs_f64();
    let each = seconds * 1e6 / ORDERS as f64;
    let per_second = ORDERS as f64 / seconds;
    println!(r#"{{"bench":"{bench}","unit":"us/op","value":{each:.2},"per_second":{per_second:.0}}}"#);
}
