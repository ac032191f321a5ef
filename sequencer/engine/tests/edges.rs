//! Rules at their edges: exactly what may be, and one more. Each stands for a change to the engine that nothing else noticed.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(dead_code, reason = "the group's helpers serve other tests too")]

#[path = "rules/group.rs"]
mod group;
#[path = "rules/perpetuals.rs"]
mod perpetuals;

use group::*;
use perpetuals::*;
use xos_types::*;

fn reducing(order: Order) -> Order {
    Order { reduce_only: true, ..order }
}

#[test]
fn a_match_may_bring_open_interest_to_its_cap() {
    let mut group = Group::new(with(terms(2, 0, 0), |terms| terms.open_interest_cap = Lots(10)));
    group.sell(BOB, 10, 500);
    let events = group.buy(ALICE, 10, 500);
    assert_eq!(fills(&events).iter().map(|fill| fill.size.0).collect::<Vec<_>>(), [10], "{events:?}");
}

/// It would rest for nothing, and never does.
#[test]
fn what_is_left_of_an_order_that_has_reduced_all_is_cancelled_before_it_rests() {
    let mut group = Group::free();
    group.sell(BOB, 5, 500);
    group.buy(ALICE, 5, 500);
    group.buy(CAROL, 5, 500);
    let order = reducing(group.order(ALICE, Side::Sell, 8, 500));
    let events = group.place(order);
    assert_eq!(cancelled(&events), [(3, CancelReason::OnlyReducing)]);
    assert!(!events.iter().any(|event| matches!(event, Event::Rested { .. })), "{events:?}");
}

#[test]
fn a_perpetuals_position_cap_counts_orders_that_rest() {
    let mut group = Group::free();
    let market = MarketId(2 << 8);
    let mut config = bitcoin();
    config.terms.position_cap = Lots(10);
    let listed = InboxPayload::PerpetualSet { market, feed: FeedId(1), config };
    let price =
        PriceUpdate { feed: FeedId(1), answer: 1_000_000_000_000_000_000, published_at: TimeMs(10_000), proof: vec![] };
    group.frame_with(10_000, vec![listed], vec![price]);
    let mut bid = |size| {
        let order = Order { market, ..group.order(ALICE, Side::Buy, size, 900) };
        group.place(order)
    };
    assert!(matches!(bid(10)[..], [Event::Accepted { .. }, Event::Rested { .. }]));
    assert_eq!(*rejected(&bid(1)), Reject::PositionLimit { market, limit: Lots(10) });
}
