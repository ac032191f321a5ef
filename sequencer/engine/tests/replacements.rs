//! What a replacement is judged by where margin looks at an index price.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(dead_code, reason = "the group's helpers serve other tests too")]

#[path = "rules/group.rs"]
mod group;
#[path = "rules/perpetuals.rs"]
mod perpetuals;

use group::*;
use perpetuals::*;
use xos_types::*;

const PERPETUAL: MarketId = MarketId(2 << 8);

/// A perpetual at an index price of 1,000 atoms a lot, a tenth of which new risk needs.
fn perpetual() -> Group {
    let mut group = Group::free();
    let listed = InboxPayload::PerpetualSet { market: PERPETUAL, feed: FeedId(1), config: bitcoin() };
    let time = TimeMs(2_000);
    let answer = 1_000_000_000_000_000_000;
    group.frame_with(
        2_000,
        vec![listed],
        vec![PriceUpdate { feed: FeedId(1), answer, published_at: time, proof: vec![] }],
    );
    group
}

#[test]
fn a_refused_replacement_says_what_would_be_free_without_the_order_that_it_replaces() {
    let mut group = perpetual();
    // It holds back 10,000 for its margin, and 10,000 that it would lose against the index.
    let old = Order { market: PERPETUAL, ..group.order(CAROL, Side::Buy, 100, 1_100) };
    group.place(old);
    assert_eq!(group.available(CAROL), DEPOSIT - 20_000);

    let new = Order { market: PERPETUAL, ..group.order(CAROL, Side::Buy, 20_000, 1_000) };
    let (order, instructions) = (signed(CAROL, new), Instructions::default());
    let events = group.apply(Command::Replace { nonce: old.nonce, order, instructions });
    let expected = Reject::InsufficientFunds {
        cash: Atoms(DEPOSIT),
        worst_payoff: Atoms(0),
        reserved: Atoms(0),
        available: Atoms(DEPOSIT),
        required: Atoms(2_000_000),
    };
    assert_eq!(*rejected(&events), expected);
}
