//! A waiting order that another one takes the place of, and a slice that meets an auction.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(dead_code, reason = "the group's helpers serve other tests too")]

#[path = "rules/group.rs"]
mod group;

use group::*;
use xos_engine::WaitsFor;
use xos_types::*;

const MARKET: MarketId = MarketId::new(EVENT, 0);

fn below(price: u64) -> Trigger {
    Trigger { source: TriggerSource::Mark, when: TriggerWhen::AtOrBelow, price: Ticks(price) }
}

fn stop(price: u64) -> Plan {
    Plan { trigger: Some(below(price)), ..Plan::default() }
}

fn twap(slices: u16, interval: u32) -> Plan {
    Plan { pace: Pace::Twap { slices, interval }, ..Plan::default() }
}

impl Group {
    fn plan(&mut self, order: Order, plan: Plan) -> Vec<Event> {
        let order = signed(order.account.0, order);
        self.apply(Command::Plan { order, instructions: Instructions::default(), plan })
    }

    fn replace(&mut self, old: Order, order: Order) -> Vec<Event> {
        let (nonce, instructions) = (old.nonce, Instructions::default());
        self.apply(Command::Replace { nonce, order: signed(order.account.0, order), instructions })
    }

    fn replan(&mut self, old: Order, order: Order, plan: Plan) -> Vec<Event> {
        let Plan { trigger, pace, .. } = plan;
        let (nonce, instructions) = (old.nonce, Instructions::default());
        self.apply(Command::Replan { nonce, order: signed(order.account.0, order), instructions, trigger, pace })
    }

    /// Alice holds so many lots that she bought from Bob at 500, which is the last trade.
    fn long(&mut self, lots: u64) {
        self.sell(BOB, lots, 500);
        self.buy(ALICE, lots, 500);
    }

    /// Somebody trades a lot at this price, so that it is the mark where the book allows it.
    fn trade_at(&mut self, price: u64) {
        self.sell(BOB, 1, price);
        self.buy(CAROL, 1, price);
    }

    fn waits(&self, order: Order) -> Option<WaitsFor> {
        self.engine.planned_order(order.account, order.nonce).map(|view| view.waits_for)
    }

    fn position(&self, account: u64) -> i64 {
        let positions = self.engine.positions(AccountId(account));
        positions.iter().find(|(market, _)| *market == MARKET).map_or(0, |(_, lots)| lots.0)
    }
}

fn gone(events: &[Event]) -> Vec<(Nonce, CancelReason)> {
    let of = |event: &Event| match event {
        Event::Cancelled { nonce, reason, .. } => Some((*nonce, *reason)),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

fn released(events: &[Event]) -> Vec<(Nonce, u64)> {
    let of =
        |event: &Event| if let Event::Released { nonce, size, .. } = event { Some((*nonce, size.0)) } else { None };
    events.iter().filter_map(of).collect()
}

fn immediate(order: Order) -> Order {
    Order { kind: OrderKind::ImmediateOrCancel, reduce_only: true, ..order }
}

#[test]
fn an_order_that_replaces_a_stop_waits_for_the_same_price() {
    let mut group = Group::free();
    group.long(10);
    let old = immediate(group.order(ALICE, Side::Sell, 10, 400));
    group.plan(old, stop(450));
    let new = immediate(group.order(ALICE, Side::Sell, 8, 390));
    let events = group.replace(old, new);
    assert_eq!(gone(&events), [(old.nonce, CancelReason::Replaced)]);
    assert_eq!(events[1], Event::Planned { order: new, instructions: Instructions::default(), plan: stop(450) });
    assert_eq!((group.waits(old), group.waits(new)), (None, Some(WaitsFor::Price)));
    group.trade_at(450);
    assert_eq!(released(&group.frame(2_000, vec![])), [(new.nonce, 8)]);
}

#[test]
fn a_stop_trails_by_waiting_for_another_price() {
    let mut group = Group::free();
    group.long(10);
    let old = immediate(group.order(ALICE, Side::Sell, 10, 300));
    group.plan(old, stop(450));
    group.trade_at(550);
    let new = immediate(group.order(ALICE, Side::Sell, 10, 300));
    let events = group.replan(old, new, stop(500));
    assert_eq!(events[1], Event::Planned { order: new, instructions: Instructions::default(), plan: stop(500) });
    group.trade_at(500);
    assert_eq!(released(&group.frame(2_000, vec![])), [(new.nonce, 10)], "at the new price");
}

#[test]
fn what_hangs_on_a_waiting_order_hangs_on_the_one_that_replaces_it() {
    let mut group = Group::free();
    group.long(10);
    // A take-profit rests, a stop excludes it, and an order follows the stop.
    let profit = Order { reduce_only: true, ..group.order(ALICE, Side::Sell, 10, 600) };
    group.place(profit);
    let old = immediate(group.order(ALICE, Side::Sell, 10, 400));
    group.plan(old, Plan { cancels: Some(profit.nonce), ..stop(450) });
    let next = group.order(ALICE, Side::Buy, 5, 300);
    group.plan(next, Plan { after: Some(old.nonce), ..Plan::default() });
    let new = immediate(group.order(ALICE, Side::Sell, 10, 400));
    group.replan(old, new, stop(460));
    let view = group.engine.planned_order(new.account, new.nonce).unwrap();
    assert_eq!(view.excludes, Some(profit.nonce));
    let view = group.engine.planned_order(next.account, next.nonce).unwrap();
    assert_eq!(view.plan.after, Some(new.nonce));
    // The take-profit fills four lots, and the stop has as many fewer.
    group.buy(BOB, 4, 600);
    assert_eq!(group.engine.planned_order(new.account, new.nonce).unwrap().remaining, Lots(6));
}

#[test]
fn an_exit_that_is_replaced_is_never_of_more_than_its_entry_filled() {
    let mut group = Group::free();
    let entry = group.order(ALICE, Side::Buy, 10, 500);
    let old = immediate(group.order(ALICE, Side::Sell, 10, 400));
    group.plan(old, Plan { after: Some(entry.nonce), ..stop(450) });
    group.place(entry);
    assert_eq!(group.waits(old), Some(WaitsFor::Order));
    let asleep = immediate(group.order(ALICE, Side::Sell, 10, 390));
    group.replan(old, asleep, stop(440));
    assert_eq!(group.waits(asleep), Some(WaitsFor::Order), "its entry has not filled");
    group.sell(BOB, 4, 500);
    assert_eq!(group.waits(asleep), Some(WaitsFor::Price));
    let armed = immediate(group.order(ALICE, Side::Sell, 10, 390));
    group.replan(asleep, armed, stop(445));
    assert_eq!(group.waits(armed), Some(WaitsFor::Price), "four lots have filled already");
    group.apply(Command::Cancel(signed(ALICE, Cancel { account: entry.account, nonce: entry.nonce })));
    // Without a price it follows the entry, which is over.
    let last = immediate(group.order(ALICE, Side::Sell, 10, 390));
    group.replan(armed, last, Plan::default());
    assert_eq!(group.waits(last), Some(WaitsFor::Frame));
    assert_eq!(released(&group.frame(2_000, vec![])), [(last.nonce, 4)]);
}

#[test]
fn a_twap_that_is_replaced_begins_anew_when_its_next_slice_was_due() {
    let mut group = Group::free();
    group.sell(BOB, 100, 500);
    let old = group.order(ALICE, Side::Buy, 40, 500);
    group.plan(old, twap(4, 1_000));
    assert_eq!(released(&group.frame(2_000, vec![])), [(old.nonce, 10)]);
    let new = group.order(ALICE, Side::Buy, 80, 500);
    assert_eq!(gone(&group.replace(old, new)), [(old.nonce, CancelReason::Replaced)]);
    assert_eq!(group.waits(new), Some(WaitsFor::Time(TimeMs(3_000))));
    assert_eq!(released(&group.frame(2_500, vec![])), []);
    assert_eq!(released(&group.frame(3_000, vec![])), [(new.nonce, 20)]);
    assert_eq!(released(&group.frame(4_000, vec![])), [(new.nonce, 20)]);
    assert_eq!(group.position(ALICE), 50);
}

#[test]
fn a_replacement_that_is_refused_leaves_the_waiting_order_where_it_was() {
    let mut group = Group::free();
    let old = group.order(ALICE, Side::Buy, 10, 500);
    group.plan(old, stop(450));
    let new = group.order(ALICE, Side::Buy, 10, 510);
    let rests = group.order(ALICE, Side::Buy, 1, 100);
    group.place(rests);
    let bad = Plan { trigger: Some(below(0)), ..Plan::default() };
    let (nonce, wanted) = (old.nonce, MarketId::new(EVENT, 1));
    let elsewhere = Order { market: wanted, ..new };
    let nothing = Order { size: Lots(0), ..new };
    type IsExpected = fn(&Reject) -> bool;
    let cases: [(Vec<Event>, IsExpected); 6] = [
        (group.replan(rests, new, stop(450)), |reject| matches!(reject, Reject::Rests { .. })),
        (group.replan(old, new, bad), |reject| matches!(reject, Reject::BadPlan { .. })),
        (group.replan(old, elsewhere, stop(450)), |reject| matches!(reject, Reject::OtherMarket { .. })),
        (group.replace(old, nothing), |reject| matches!(reject, Reject::BadSize { .. })),
        (group.replace(old, Order { nonce, ..new }), |reject| matches!(reject, Reject::NonceSpent { .. })),
        (group.replan(Order { nonce: Nonce(999), ..old }, new, stop(450)), |reject| {
            matches!(reject, Reject::UnknownOrder { .. })
        }),
    ];
    for (events, is_expected) in cases {
        assert!(is_expected(rejected(&events)) && events.len() == 1, "{events:?}");
    }
    let (order, instructions) = (signed(BOB, new), Instructions::default());
    let events = group.apply(Command::Replace { nonce, order, instructions });
    assert!(matches!(rejected(&events), Reject::NotAuthorized { .. }));
    assert_eq!(group.waits(old), Some(WaitsFor::Price));
    let excluded = Plan { cancels: Some(old.nonce), ..stop(450) };
    assert!(matches!(group.plan(new, excluded)[0], Event::Planned { .. }), "its nonce was never spent");
}

/// A slice takes from the book, and while a market waits for an auction nobody can be taken from.
#[test]
fn slices_wait_while_a_market_collects_orders_for_an_auction_and_are_caught_up_later() {
    let mut group = Group::free();
    group.sell(BOB, 100, 500);
    let order = group.order(ALICE, Side::Buy, 40, 500);
    group.plan(order, twap(4, 1_000));
    assert_eq!(released(&group.frame(2_000, vec![])), [(order.nonce, 10)]);
    let market = MARKET;
    group.frame(2_100, vec![InboxPayload::PhaseSet { market, phase: Phase::Auction }]);
    for time in [3_000, 4_000, 5_000, 9_000] {
        let events = group.frame(time, vec![]);
        let touched = events.iter().any(|event| !matches!(event, Event::FrameSealed(_)));
        assert!(!touched, "nothing is released, refused or cancelled at {time}: {events:?}");
    }
    assert_eq!(group.waits(order), Some(WaitsFor::Time(TimeMs(10_000))));
    group.frame(9_500, vec![InboxPayload::PhaseSet { market, phase: Phase::Open }]);
    assert_eq!(released(&group.frame(10_000, vec![])), [(order.nonce, 30)], "three slices at most");
    assert_eq!((group.position(ALICE), group.waits(order)), (40, None));
}

/// A TWAP whose first slice meets an auction has not begun.
#[test]
fn a_twap_begins_when_its_market_trades() {
    let mut group = Group::free();
    group.sell(BOB, 100, 500);
    let market = MARKET;
    group.frame(1_500, vec![InboxPayload::PhaseSet { market, phase: Phase::Auction }]);
    let order = group.order(ALICE, Side::Buy, 40, 500);
    group.plan(order, twap(4, 1_000));
    for time in [2_000, 3_000, 9_000] {
        assert_eq!(released(&group.frame(time, vec![])), []);
    }
    group.frame(9_500, vec![InboxPayload::PhaseSet { market, phase: Phase::Open }]);
    let slices = [10_000, 11_000, 12_000, 13_000].map(|time| released(&group.frame(time, vec![])));
    assert_eq!(slices, [10; 4].map(|lots| vec![(order.nonce, lots)]));
}
