//! The rules of call auctions and of the phases before a market opens, each with an example small enough to check by hand.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "shared with the other rules")]
#[path = "rules/group.rs"]
mod group;

use group::*;
use xos_engine::limits::ORDERS_MAX;
use xos_engine::{AUCTION_GAS_PER_FRAME, EventStatus};
use xos_types::*;

const MARKET: MarketId = MarketId::new(EVENT, 0);

fn phase(phase: Phase) -> InboxPayload {
    InboxPayload::PhaseSet { market: MARKET, phase }
}

/// A group whose market waits for auctions.
fn in_auction(terms: EventConfig) -> Group {
    let mut group = Group::new(terms);
    group.frame(1_000, vec![phase(Phase::Auction)]);
    group
}

/// Buyer, seller, lots and price of each fill.
fn met(events: &[Event]) -> Vec<(u64, u64, u64, u64)> {
    let of = |event: &Event| match event {
        Event::AuctionFilled(AuctionFill { price, size, buyer, seller, .. }) => {
            Some((buyer.account.0, seller.account.0, size.0, price.0))
        }
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

#[test]
fn orders_wait_and_whoever_can_agree_trades_at_one_price_when_the_next_frame_opens() {
    let mut group = in_auction(terms(2, 0, 0));
    group.buy(ALICE, 10, 600);
    group.buy(CAROL, 5, 520);
    assert_eq!(fills(&group.sell(BOB, 12, 400)), []);
    let events = group.frame(2_000, vec![]);
    // All 12 sell anywhere from 400 to 520, and 15 are wanted there: of these prices 500 is the middle of best bid and ask.
    assert_eq!(met(&events), [(ALICE, BOB, 10, 500), (CAROL, BOB, 2, 500)]);
    assert_eq!(group.cash(ALICE), DEPOSIT - 5_000);
    assert_eq!(group.cash(BOB), DEPOSIT + 12 * 500);
    let book = group.engine.book(MARKET, 9).unwrap();
    assert_eq!((book.bids.len(), book.bids[0].lots, book.asks.len()), (1, Lots(3), 0));
}

#[test]
fn better_prices_trade_first_and_equal_ones_in_order_of_arrival() {
    let mut group = in_auction(terms(2, 0, 0));
    group.buy(ALICE, 5, 500);
    group.buy(BOB, 5, 500);
    group.buy(TREASURY, 5, 510);
    group.sell(CAROL, 8, 500);
    assert_eq!(met(&group.frame(2_000, vec![])), [(TREASURY, CAROL, 5, 500), (ALICE, CAROL, 3, 500)]);
}

#[test]
fn the_last_price_decides_where_several_are_as_good() {
    let mut group = Group::free();
    group.sell(ALICE, 1, 530);
    group.buy(BOB, 1, 530);
    group.frame(2_000, vec![phase(Phase::Auction)]);
    group.buy(ALICE, 5, 600);
    group.sell(BOB, 5, 400);
    assert_eq!(met(&group.frame(3_000, vec![])), [(ALICE, BOB, 5, 530)]);
}

#[test]
fn nobody_takes_so_both_pay_the_makers_fee_and_nobody_gets_a_rebate() {
    let mut group = in_auction(terms(2, 50_000, 10_000));
    group.buy(ALICE, 10, 500);
    group.sell(BOB, 10, 500);
    let events = group.frame(2_000, vec![]);
    let Some(Event::AuctionFilled(fill)) = events.iter().find(|event| matches!(event, Event::AuctionFilled(_))) else {
        panic!("the two meet");
    };
    assert_eq!((fill.buyer.fee, fill.seller.fee), (Atoms(50), Atoms(50)));

    let mut group = in_auction(terms(2, 50_000, -10_000));
    group.buy(ALICE, 10, 500);
    group.sell(BOB, 10, 500);
    group.frame(2_000, vec![]);
    group.frame(3_000, vec![]);
    assert_eq!((group.cash(ALICE), group.cash(BOB)), (DEPOSIT - 5_000, DEPOSIT + 5_000));
}

#[test]
fn an_order_that_cannot_wait_is_refused() {
    let mut group = in_auction(terms(2, 0, 0));
    for kind in [OrderKind::ImmediateOrCancel, OrderKind::FillOrKill] {
        let order = Order { kind, ..group.order(ALICE, Side::Buy, 1, 500) };
        assert_eq!(*rejected(&group.place(order)), Reject::OnlyWaiting { market: MARKET });
    }
    group.sell(BOB, 1, 400);
    let order = Order { kind: OrderKind::PostOnly, ..group.order(ALICE, Side::Buy, 1, 500) };
    assert!(matches!(group.place(order)[..], [Event::Accepted { .. }, Event::Rested { .. }]));
}

#[test]
fn an_account_never_trades_with_itself() {
    let mut group = in_auction(terms(2, 0, 0));
    group.sell(ALICE, 5, 400);
    assert_eq!(cancelled(&group.buy(ALICE, 5, 500)), [(5, CancelReason::SelfTrade)]);
    group.sell(BOB, 5, 400);
    assert_eq!(met(&group.frame(2_000, vec![])).len(), 1);

    let instructions = Instructions { self_trade: SelfTrade::CancelTaker, ..Instructions::default() };
    group.sell(ALICE, 5, 400);
    let order = signed(ALICE, group.order(ALICE, Side::Buy, 7, 400));
    assert_eq!(cancelled(&group.apply(Command::Place { order, instructions })), [(7, CancelReason::SelfTrade)]);
    let instructions = Instructions { self_trade: SelfTrade::Decrement, ..Instructions::default() };
    let order = signed(ALICE, group.order(ALICE, Side::Buy, 7, 400));
    let events = group.apply(Command::Place { order, instructions });
    assert!(matches!(events.last(), Some(Event::Rested { remaining: Lots(2), .. })));
}

#[test]
fn an_order_that_only_reduces_fills_no_more_than_its_position() {
    let mut group = Group::free();
    group.sell(ALICE, 4, 500);
    group.buy(BOB, 4, 500);
    group.frame(2_000, vec![phase(Phase::Auction)]);
    let order = Order { reduce_only: true, ..group.order(BOB, Side::Sell, 10, 400) };
    let events = group.place(order);
    assert!(matches!(events.last(), Some(Event::Reduced { by: Lots(6), remaining: Lots(4), .. })));
    group.buy(CAROL, 10, 500);
    assert_eq!(met(&group.frame(3_000, vec![])), [(CAROL, BOB, 4, 500)]);
}

#[test]
fn a_bid_that_would_open_more_than_the_cap_leaves() {
    let mut group = in_auction(with(terms(2, 0, 0), |terms| terms.open_interest_cap = Lots(10)));
    group.buy(ALICE, 8, 500);
    group.buy(CAROL, 8, 500);
    group.sell(BOB, 16, 500);
    let events = group.frame(2_000, vec![]);
    assert_eq!(met(&events), [(ALICE, BOB, 8, 500)]);
    assert_eq!(cancelled(&events), [(8, CancelReason::OpenInterestCap)]);
}

#[test]
fn what_is_still_crossed_is_cleared_when_the_market_opens_and_before_anybody_else_trades() {
    let mut group = in_auction(terms(2, 0, 0));
    group.buy(ALICE, 5, 500);
    group.sell(BOB, 5, 500);
    let events = group.frame(2_000, vec![phase(Phase::Open)]);
    assert_eq!(met(&events), [(ALICE, BOB, 5, 500)]);
    group.buy(ALICE, 5, 500);
    assert_eq!(fills(&group.sell(BOB, 5, 500)).len(), 1, "from now on orders meet at once");
}

#[test]
fn a_halted_market_keeps_its_crossed_book_until_it_may_trade() {
    let mut group = in_auction(terms(2, 0, 0));
    group.buy(ALICE, 5, 500);
    group.sell(BOB, 5, 500);
    assert_eq!(met(&group.frame(2_000, vec![phase(Phase::Halted)])), []);
    assert_eq!(met(&group.frame(3_000, vec![phase(Phase::PostOnly)])), []);
    assert_eq!(met(&group.frame(4_000, vec![phase(Phase::Open)])).len(), 1);
}

#[test]
fn before_it_opens_a_market_takes_nothing_or_post_only_orders() {
    let mut group = Group::free();
    group.frame(2_000, vec![phase(Phase::Pending)]);
    assert_eq!(*rejected(&group.buy(ALICE, 1, 500)), Reject::MarketPending { market: MARKET });
    group.frame(3_000, vec![phase(Phase::PostOnly)]);
    assert_eq!(*rejected(&group.buy(ALICE, 1, 500)), Reject::OnlyPostOnly { market: MARKET });
    let order = Order { kind: OrderKind::PostOnly, ..group.order(ALICE, Side::Buy, 1, 500) };
    assert!(matches!(group.place(order)[..], [Event::Accepted { .. }, Event::Rested { .. }]));
    let order = Order { kind: OrderKind::PostOnly, ..group.order(BOB, Side::Sell, 1, 500) };
    assert!(matches!(rejected(&group.place(order)), Reject::WouldTrade { .. }));
}

#[test]
fn outside_its_hours_a_market_keeps_its_orders_and_takes_none() {
    let mut group = in_auction(terms(2, 0, 0));
    group.buy(ALICE, 5, 500);
    group.sell(BOB, 5, 500);
    // Thursday the first of January 1970, one minute after midnight to two.
    let hours = Hours { weekdays: 0b000_1000, opens: 1, closes: 2 };
    let events = group.frame(2_000, vec![InboxPayload::HoursSet { market: MARKET, hours }]);
    assert!(events.contains(&Event::SessionTurned { event: EVENT, open: false }));
    assert_eq!(met(&events), []);
    assert_eq!(group.engine.event(EVENT).unwrap().status, EventStatus::Closed);
    assert_eq!(*rejected(&group.buy(CAROL, 1, 500)), Reject::OutsideHours { market: MARKET });
    let order = group.engine.open_orders(AccountId(BOB))[0].order;
    let cancel = Cancel { account: order.account, nonce: order.nonce };
    assert_eq!(cancelled(&group.apply(Command::Cancel(signed(BOB, cancel)))), [(5, CancelReason::Requested)]);
    assert!(group.frame(60_000, vec![]).contains(&Event::SessionTurned { event: EVENT, open: true }));
    group.sell(BOB, 5, 500);
    assert_eq!(met(&group.frame(119_999, vec![])), [(ALICE, BOB, 5, 500)]);
    assert!(group.frame(120_000, vec![]).contains(&Event::SessionTurned { event: EVENT, open: false }));
}

#[test]
fn an_auction_takes_no_more_gas_than_its_part_and_goes_on_in_the_next_frame() {
    let mut group = in_auction(terms(2, 0, 0));
    let pairs = ORDERS_MAX.min(200);
    for _ in 0..pairs {
        group.buy(ALICE, 1, 500);
        group.sell(BOB, 1, 500);
    }
    let (mut done, mut frames) = (0, 0);
    while done < pairs {
        frames += 1;
        let events = group.frame(2_000 + frames, vec![]);
        let met = met(&events);
        assert!(!met.is_empty() && met.iter().all(|(.., price)| *price == 500));
        done += met.len();
        assert!(group.engine.frame_gas() < AUCTION_GAS_PER_FRAME + 200_000);
    }
    assert!(frames > 1, "so many lines need more than one frame");
    assert_eq!(group.engine.resting_orders(), 0);
}
