//! The rules of planned orders, one by one: triggers, orders that exclude each other, brackets, TWAPs, icebergs, and reduce-only
//! orders that shrink with their position.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(dead_code, reason = "the group's helpers serve other tests too")]

#[path = "rules/group.rs"]
mod group;

use group::*;
use xos_engine::WaitsFor;
use xos_engine::limits::{ORDERS_MAX, WAITING_MAX};
use xos_types::*;

const MARKET: MarketId = MarketId::new(EVENT, 0);
/// A perpetual at an index price of dollars per lot, as many ticks as atoms.
const PERPETUAL: MarketId = MarketId::new(EventId(2), 0);
const DOLLAR: u64 = 1_000_000;

/// A plan of nothing but a trigger at the mark price.
fn at(when: TriggerWhen, price: u64) -> Plan {
    Plan { trigger: Some(Trigger { source: TriggerSource::Mark, when, price: Ticks(price) }), ..Plan::default() }
}

fn below(price: u64) -> Plan {
    at(TriggerWhen::AtOrBelow, price)
}

fn above(price: u64) -> Plan {
    at(TriggerWhen::AtOrAbove, price)
}

fn iceberg(display: u64) -> Plan {
    Plan { pace: Pace::Iceberg { display: Lots(display) }, ..Plan::default() }
}

fn twap(slices: u16, interval: u32) -> Plan {
    Plan { pace: Pace::Twap { slices, interval }, ..Plan::default() }
}

fn immediate(order: Order) -> Order {
    Order { kind: OrderKind::ImmediateOrCancel, ..order }
}

fn reducing(order: Order) -> Order {
    Order { reduce_only: true, ..order }
}

impl Group {
    fn plan(&mut self, order: Order, plan: Plan) -> Vec<Event> {
        let order = signed(order.account.0, order);
        self.apply(Command::Plan { order, instructions: Instructions::default(), plan })
    }

    fn cancel(&mut self, order: Order) -> Vec<Event> {
        let Order { account, nonce, .. } = order;
        self.apply(Command::Cancel(signed(account.0, Cancel { account, nonce })))
    }

    /// Alice holds so many lots that she bought from Bob at 500, which is the last trade.
    fn long(&mut self, lots: u64) {
        self.sell(BOB, lots, 500);
        self.buy(ALICE, lots, 500);
    }

    /// Somebody else trades a lot at this price, so that it is the mark where the book allows it.
    fn trade_at(&mut self, price: u64) {
        self.sell(BOB, 1, price);
        self.buy(CAROL, 1, price);
    }

    fn position(&self, account: u64) -> i64 {
        let positions = self.engine.positions(AccountId(account));
        positions.iter().find(|(market, _)| *market == MARKET).map_or(0, |(_, lots)| lots.0)
    }

    fn waits(&self, order: Order) -> Option<WaitsFor> {
        self.engine.planned_order(order.account, order.nonce).map(|view| view.waits_for)
    }

    fn rests(&self, order: Order) -> Option<u64> {
        self.engine.order(order.account, order.nonce).map(|view| view.remaining.0)
    }
}

fn triggered(events: &[Event]) -> Vec<Nonce> {
    let of = |event: &Event| if let Event::Triggered { nonce, .. } = event { Some(*nonce) } else { None };
    events.iter().filter_map(of).collect()
}

fn released(events: &[Event]) -> Vec<(Nonce, u64)> {
    let of =
        |event: &Event| if let Event::Released { nonce, size, .. } = event { Some((*nonce, size.0)) } else { None };
    events.iter().filter_map(of).collect()
}

fn refused(events: &[Event]) -> Vec<(Nonce, Reject)> {
    let of = |event: &Event| match event {
        Event::Refused { nonce, reject, .. } => Some((*nonce, reject.clone())),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

fn gone(events: &[Event]) -> Vec<(Nonce, CancelReason)> {
    let of = |event: &Event| match event {
        Event::Cancelled { nonce, reason, .. } => Some((*nonce, *reason)),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

fn reduced(events: &[Event]) -> Vec<(Nonce, u64, CancelReason)> {
    let of = |event: &Event| match event {
        Event::Reduced { nonce, remaining, reason, .. } => Some((*nonce, remaining.0, *reason)),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

#[track_caller]
fn fault(events: &[Event]) -> PlanFault {
    match rejected(events) {
        Reject::BadPlan { fault } => *fault,
        other => panic!("expected a bad plan, got {other:?}"),
    }
}

// ---------------------------------------------------------------------- triggers

#[test]
fn a_stop_waits_until_its_price_comes_and_then_trades_as_if_it_had_just_arrived() {
    let mut group = Group::free();
    group.long(10);
    let stop = immediate(group.order(ALICE, Side::Sell, 10, 380));
    group.plan(stop, below(400));
    assert_eq!(group.waits(stop), Some(WaitsFor::Price));
    group.buy(CAROL, 10, 390);
    assert_eq!(triggered(&group.frame(2_000, vec![])), [], "the last trade, 500, is above");
    group.trade_at(391);
    let events = group.frame(3_000, vec![]);
    assert_eq!((triggered(&events), released(&events)), (vec![stop.nonce], vec![(stop.nonce, 10)]));
    assert_eq!(fills(&events).iter().map(|fill| (fill.price.0, fill.size.0)).collect::<Vec<_>>(), [(390, 10)]);
    assert_eq!((group.position(ALICE), group.waits(stop)), (0, None));
}

#[test]
fn a_market_stop_is_immediate_or_cancel_with_a_bound() {
    let mut group = Group::free();
    group.long(10);
    let stop = immediate(group.order(ALICE, Side::Sell, 10, 380));
    group.plan(stop, below(400));
    group.trade_at(390);
    group.buy(CAROL, 10, 379);
    let events = group.frame(2_000, vec![]);
    assert_eq!(gone(&events), [(stop.nonce, CancelReason::Immediate)]);
    assert_eq!(group.position(ALICE), 10);
}

#[test]
fn a_limit_order_rests_when_its_price_has_come() {
    let mut group = Group::free();
    let entry = group.order(ALICE, Side::Buy, 10, 600);
    group.plan(entry, above(590));
    group.trade_at(595);
    group.frame(2_000, vec![]);
    assert_eq!(group.rests(entry), Some(10));
}

#[test]
fn a_trigger_that_holds_already_fires_when_the_next_frame_opens() {
    let mut group = Group::free();
    group.trade_at(500);
    let order = group.order(ALICE, Side::Buy, 10, 400);
    assert_eq!(triggered(&group.plan(order, above(500))), []);
    assert_eq!(triggered(&group.frame(1_001, vec![])), [order.nonce]);
}

#[test]
fn the_mark_of_an_outcome_is_the_median_of_bid_ask_and_last_trade() {
    for (bid, ask, last, mark) in [(400, 600, 500, 500), (400, 600, 700, 600), (400, 600, 300, 400)] {
        let mut group = Group::free();
        group.trade_at(last);
        group.buy(CAROL, 1, bid);
        group.sell(BOB, 1, ask);
        let [up, down] = [0, 1].map(|_| group.order(ALICE, Side::Buy, 1, 1));
        group.plan(up, above(mark + 1));
        group.plan(down, below(mark - 1));
        assert_eq!(triggered(&group.frame(2_000, vec![])), []);
        let [up, down] = [0, 1].map(|_| group.order(ALICE, Side::Buy, 1, 1));
        group.plan(up, above(mark));
        group.plan(down, below(mark));
        assert_eq!(triggered(&group.frame(3_000, vec![])), [up.nonce, down.nonce]);
    }
}

#[test]
fn a_lonely_offer_fires_nothing_before_the_first_trade_and_then_bounds_the_mark_on_its_side() {
    let mut group = Group::free();
    let order = group.order(ALICE, Side::Buy, 1, 1);
    group.plan(order, above(700));
    group.buy(CAROL, 1, 900);
    assert_eq!(triggered(&group.frame(2_000, vec![])), []);
    group.sell(BOB, 1, 900);
    group.buy(CAROL, 1, 500);
    group.sell(BOB, 1, 650);
    assert_eq!(triggered(&group.frame(3_000, vec![])), [], "an ask of 650 is below the last trade, 900");
    group.buy(CAROL, 1, 650);
    group.trade_at(800);
    assert_eq!(triggered(&group.frame(4_000, vec![])), [order.nonce]);
}

#[test]
fn triggers_fire_by_market_and_arrival_whatever_their_levels() {
    let mut group = Group::free();
    let other = MarketId::new(EVENT, 1);
    group.trade_at(500);
    for (account, side) in [(BOB, Side::Sell), (CAROL, Side::Buy)] {
        let order = Order { market: other, ..group.order(account, side, 1, 500) };
        group.place(order);
    }
    let first = Order { market: other, ..group.order(ALICE, Side::Buy, 1, 1) };
    let second = group.order(CAROL, Side::Buy, 1, 1);
    let third = group.order(ALICE, Side::Buy, 1, 1);
    group.plan(first, above(400));
    group.plan(second, above(450));
    group.plan(third, below(700));
    assert_eq!(triggered(&group.frame(2_000, vec![])), [second.nonce, third.nonce, first.nonce]);
}

#[test]
fn what_waits_holds_no_margin_and_is_checked_when_its_turn_comes() {
    let mut group = Group::free();
    let before = group.available(ALICE);
    let [first, second] = [0, 1].map(|_| group.order(ALICE, Side::Buy, 1_500, 600));
    group.plan(first, above(500));
    group.plan(second, above(500));
    assert_eq!(group.available(ALICE), before);
    group.trade_at(500);
    let events = group.frame(2_000, vec![]);
    let [(nonce, Reject::InsufficientFunds { required, .. })] = refused(&events)[..] else { panic!("{events:?}") };
    assert_eq!((nonce, required), (second.nonce, Atoms(900_000)));
    assert_eq!(gone(&events), [(second.nonce, CancelReason::Refused)]);
    assert_eq!(group.rests(first), Some(1_500));
}

#[test]
fn a_planned_order_spends_its_nonce_and_counts_among_the_accounts_orders() {
    let mut group = Group::free();
    let order = group.order(ALICE, Side::Buy, 1, 100);
    group.plan(order, above(900));
    assert!(matches!(rejected(&group.place(order)), Reject::NonceSpent { .. }));
    for _ in 1..ORDERS_MAX {
        let order = group.order(ALICE, Side::Buy, 1, 100);
        group.engine.apply(&Command::place(signed(ALICE, order)).into(), &mut vec![]);
    }
    let one_more = group.order(ALICE, Side::Buy, 1, 100);
    let limit = ORDERS_MAX as u64;
    assert_eq!(*rejected(&group.place(one_more)), Reject::TooManyOrders { limit });
    assert_eq!(*rejected(&group.plan(one_more, above(900))), Reject::TooManyOrders { limit });
    // When its turn comes it takes nobody's place but its own.
    group.trade_at(950);
    assert_eq!(refused(&group.frame(2_000, vec![])), []);
    assert_eq!(group.rests(order), Some(1));
}

#[test]
fn an_account_has_a_bounded_number_of_orders_that_wait() {
    let mut group = Group::free();
    for _ in 0..WAITING_MAX {
        let order = group.order(ALICE, Side::Buy, 1, 100);
        assert!(matches!(group.plan(order, above(900))[..], [Event::Planned { .. }]));
    }
    let one_more = group.order(ALICE, Side::Buy, 1, 100);
    assert_eq!(*rejected(&group.plan(one_more, above(900))), Reject::TooManyWaiting { limit: WAITING_MAX });
    assert!(matches!(group.plan(one_more, iceberg(1)).last(), Some(Event::Rested { .. })), "this one does not wait");
}

#[test]
fn a_halted_market_fires_nothing_until_it_opens_again() {
    let mut group = Group::free();
    group.trade_at(500);
    let order = group.order(ALICE, Side::Buy, 1, 100);
    group.plan(order, above(400));
    let phase = |phase| InboxPayload::PhaseSet { market: MARKET, phase };
    assert_eq!(triggered(&group.frame(2_000, vec![phase(Phase::Halted)])), []);
    assert_eq!(triggered(&group.frame(3_000, vec![phase(Phase::Open)])), [order.nonce]);
}

#[test]
fn more_stops_than_a_frame_has_room_for_go_in_the_next_ones_in_their_order() {
    let mut group = Group::free();
    let stops: Vec<Order> = (0..150)
        .map(|_| {
            let stop = immediate(group.order(ALICE, Side::Buy, 1, 500));
            group.plan(stop, above(500));
            group.sell(BOB, 1, 500);
            stop
        })
        .collect();
    group.sell(BOB, 1, 500);
    group.buy(CAROL, 1, 500);
    let (mut order, mut frames, mut triggers) = (vec![], 0, 0);
    while order.len() < stops.len() {
        frames += 1;
        let events = group.frame(1_000 + frames, vec![]);
        triggers += triggered(&events).len();
        assert_eq!(triggers, stops.len(), "the price came once, for all of them");
        assert!(group.engine.frame_gas() < 8_000_000, "{}", group.engine.frame_gas());
        order.extend(released(&events).into_iter().map(|(nonce, _)| nonce));
    }
    assert!(frames > 1, "all in one frame");
    assert_eq!(order, stops.iter().map(|stop| stop.nonce).collect::<Vec<_>>());
    assert_eq!(group.position(ALICE), 150);
}

#[test]
fn an_index_trigger_of_an_outcome_is_refused() {
    let mut group = Group::free();
    let order = group.order(ALICE, Side::Buy, 1, 100);
    let trigger = Trigger { source: TriggerSource::Index, when: TriggerWhen::AtOrAbove, price: Ticks(500) };
    let events = group.plan(order, Plan { trigger: Some(trigger), ..Plan::default() });
    assert_eq!(fault(&events), PlanFault::NoIndex { market: MARKET });
}

#[test]
fn a_level_that_is_no_price_names_the_nearest() {
    let mut group = Group::free();
    for (price, nearest) in [(0, 1), (1_000, 999)] {
        let order = group.order(ALICE, Side::Buy, 1, 100);
        let (price, highest, nearest) = (Ticks(price), Ticks(999), Ticks(nearest));
        assert_eq!(fault(&group.plan(order, above(price.0))), PlanFault::TriggerPrice { price, highest, nearest });
    }
}

// ---------------------------------------------------------------------- index and mark of a perpetual

/// A group with a perpetual of no fees, whose index is as many dollars as its prices are dollars of atoms.
fn perpetual(dollars: u64) -> Group {
    let mut group = Group::free();
    let sequencer = Address::repeat_byte(0x05);
    let terms = GroupTerms { sequencer, max_holdings: 32, keeper_share: Ppm(0), grace: 0 };
    let rich = [ALICE, BOB, CAROL].map(|account| deposit(account, 1_000_000_000_000));
    let listed = perpetual_set(TradingTerms::free(VENUE, DOLLAR));
    group.frame(1_001, [InboxPayload::TermsSet(terms), listed].into_iter().chain(rich).collect());
    group.priced(1_002, dollars);
    group
}

/// The perpetual is listed, or has these terms from now on.
fn perpetual_set(terms: TradingTerms) -> InboxPayload {
    let feed = FeedConfig {
        source: Address::repeat_byte(0x0f),
        name: B256::ZERO,
        // An atom per lot, times 1e9, for each millionth of a dollar.
        unit: 1_000_000_000_000_000,
        max_age: 3_600_000,
        max_gap: 3_600_000,
        max_move: Ppm(1_000_000),
    };
    let config = PerpetualConfig {
        terms,
        feed,
        initial_fractions: [Ppm(100_000); 4],
        maintenance_fractions: [Ppm(50_000); 4],
        tier_bounds: [1, 2, 3],
        penalty: Ppm(10_000),
        funding_cap: Ppm(0),
        loss_cap: 0,
        title: "a perpetual".into(),
    };
    InboxPayload::PerpetualSet { market: PERPETUAL, feed: FeedId(1), config }
}

impl Group {
    /// Opens a frame with an index price of the perpetual.
    fn priced(&mut self, time: u64, dollars: u64) -> Vec<Event> {
        let answer = u128::from(dollars) * 1_000_000_000_000_000_000;
        let price = PriceUpdate { feed: FeedId(1), answer, published_at: TimeMs(time), proof: vec![] };
        self.apply(Command::Frame { time: TimeMs(time), inbox: vec![], prices: vec![price] })
    }

    fn perpetual_order(&mut self, account: u64, side: Side, size: u64, price: u64) -> Order {
        Order { market: PERPETUAL, ..self.order(account, side, size, price) }
    }
}

#[test]
fn an_index_trigger_looks_at_the_oracles_price_and_never_at_the_book() {
    let mut group = perpetual(100);
    let order = group.perpetual_order(ALICE, Side::Buy, 1, 50);
    let trigger = Trigger { source: TriggerSource::Index, when: TriggerWhen::AtOrBelow, price: Ticks(90) };
    group.plan(order, Plan { trigger: Some(trigger), ..Plan::default() });
    for (account, side) in [(BOB, Side::Sell), (CAROL, Side::Buy)] {
        let trade = group.perpetual_order(account, side, 1, 80);
        group.place(trade);
    }
    assert_eq!(triggered(&group.priced(2_000, 91)), []);
    assert_eq!(triggered(&group.priced(3_000, 90)), [order.nonce]);
    assert_eq!(group.rests(order), Some(1));
}

#[test]
fn a_mark_trigger_of_a_perpetual_looks_at_the_median_of_index_book_and_last_trade() {
    let mut group = perpetual(100);
    let order = group.perpetual_order(ALICE, Side::Buy, 1, 50);
    group.plan(order, below(90));
    let quote = |group: &mut Group, account, side, price| {
        let order = group.perpetual_order(account, side, 1, price);
        group.place(order)
    };
    quote(&mut group, BOB, Side::Sell, 80);
    quote(&mut group, CAROL, Side::Buy, 80);
    assert_eq!(triggered(&group.priced(2_000, 100)), [], "last trade 80, index and middle 100");
    quote(&mut group, CAROL, Side::Buy, 86);
    quote(&mut group, BOB, Side::Sell, 94);
    assert_eq!(triggered(&group.priced(3_000, 100)), [order.nonce], "last trade 80, middle 90, index 100");
}

#[test]
fn a_delisting_and_terms_that_change_cancel_what_waits_as_they_cancel_what_rests() {
    let dearer = TradingTerms { taker_fee: Ppm(1_000), ..TradingTerms::free(VENUE, DOLLAR) };
    let delisted = InboxPayload::PhaseSet { market: PERPETUAL, phase: Phase::Delisted };
    let causes = [(delisted, CancelReason::Delisted), (perpetual_set(dearer), CancelReason::TermsChanged)];
    for (cause, reason) in causes {
        let mut group = perpetual(100);
        let [waiting, resting] = [0, 1].map(|_| group.perpetual_order(ALICE, Side::Buy, 1, 50));
        group.plan(waiting, below(90));
        group.place(resting);
        let mut gone = gone(&group.frame(2_000, vec![cause]));
        gone.sort_by_key(|(nonce, _)| *nonce);
        assert_eq!(gone, [(waiting.nonce, reason), (resting.nonce, reason)]);
    }
}

// ---------------------------------------------------------------------- one cancels the other

#[test]
fn the_first_fill_of_an_order_cancels_the_one_that_it_excludes() {
    let mut group = Group::free();
    let dip = group.order(ALICE, Side::Buy, 10, 400);
    group.place(dip);
    let breakout = group.order(ALICE, Side::Buy, 10, 600);
    group.plan(breakout, Plan { cancels: Some(dip.nonce), ..above(590) });
    let events = group.sell(BOB, 1, 400);
    assert_eq!(gone(&events), [(breakout.nonce, CancelReason::OneCancelsOther)]);
    assert_eq!((group.rests(dip), group.waits(breakout)), (Some(9), None));
}

#[test]
fn a_price_that_comes_cancels_the_other_order_before_it_can_fill() {
    let mut group = Group::free();
    let dip = group.order(ALICE, Side::Buy, 10, 400);
    group.place(dip);
    let breakout = group.order(ALICE, Side::Buy, 10, 600);
    group.plan(breakout, Plan { cancels: Some(dip.nonce), ..above(590) });
    group.trade_at(595);
    let events = group.frame(2_000, vec![]);
    assert_eq!(gone(&events), [(dip.nonce, CancelReason::OneCancelsOther)]);
    assert_eq!(group.rests(breakout), Some(10));
}

#[test]
fn of_two_orders_whose_price_comes_at_once_the_one_goes_whose_level_it_met_first_and_then_who_came_first() {
    for (levels, winner) in [([400, 350], 1), ([350, 400], 0), ([400, 400], 0)] {
        let mut group = Group::free();
        let orders = [0, 1].map(|_| group.order(ALICE, Side::Buy, 10, 300));
        group.plan(orders[0], above(levels[0]));
        group.plan(orders[1], Plan { cancels: Some(orders[0].nonce), ..above(levels[1]) });
        group.trade_at(450);
        let events = group.frame(2_000, vec![]);
        assert_eq!(triggered(&events), [orders[winner].nonce]);
        assert_eq!(gone(&events), [(orders[1 - winner].nonce, CancelReason::OneCancelsOther)]);
    }
}

#[test]
fn one_large_order_never_fills_both_of_a_pair() {
    let mut group = Group::free();
    let near = group.order(ALICE, Side::Sell, 10, 400);
    group.place(near);
    let far = group.order(ALICE, Side::Sell, 10, 410);
    group.plan(far, Plan { cancels: Some(near.nonce), ..Plan::default() });
    let events = group.buy(BOB, 20, 450);
    assert_eq!(fills(&events).iter().map(|fill| fill.maker_nonce).collect::<Vec<_>>(), [near.nonce]);
    assert_eq!(gone(&events), [(far.nonce, CancelReason::OneCancelsOther)]);
}

#[test]
fn fill_or_kill_does_not_count_on_an_order_that_another_may_cancel() {
    let mut group = Group::free();
    let near = group.order(ALICE, Side::Sell, 10, 400);
    group.place(near);
    let far = group.order(ALICE, Side::Sell, 10, 410);
    group.plan(far, Plan { cancels: Some(near.nonce), ..Plan::default() });
    let kill = Order { kind: OrderKind::FillOrKill, ..group.order(BOB, Side::Buy, 20, 450) };
    assert!(matches!(rejected(&group.place(kill)), Reject::NotFillable { fillable: Lots(0), .. }));
}

#[test]
fn exits_of_one_position_share_their_lots() {
    let mut group = Group::free();
    group.long(10);
    let profit = reducing(group.order(ALICE, Side::Sell, 10, 600));
    group.place(profit);
    let stop = reducing(immediate(group.order(ALICE, Side::Sell, 10, 300)));
    group.plan(stop, Plan { cancels: Some(profit.nonce), ..below(400) });
    let events = group.buy(BOB, 4, 600);
    assert_eq!(reduced(&events), [(stop.nonce, 6, CancelReason::OneCancelsOther)], "six lots are still protected");
    let events = group.buy(BOB, 6, 600);
    assert_eq!(gone(&events), [(stop.nonce, CancelReason::OneCancelsOther)]);
}

#[test]
fn a_stop_that_finds_too_few_buyers_leaves_the_take_profit_what_it_could_not_sell() {
    let mut group = Group::free();
    group.long(10);
    let profit = reducing(group.order(ALICE, Side::Sell, 10, 600));
    group.place(profit);
    let stop = reducing(immediate(group.order(ALICE, Side::Sell, 10, 300)));
    group.plan(stop, Plan { cancels: Some(profit.nonce), ..below(400) });
    group.trade_at(390);
    group.buy(CAROL, 3, 350);
    let events = group.frame(2_000, vec![]);
    assert_eq!(gone(&events), [(stop.nonce, CancelReason::Immediate)]);
    assert_eq!((group.rests(profit), group.position(ALICE)), (Some(7), 7));
}

#[test]
fn cancelling_one_of_a_pair_leaves_the_other_alone() {
    let mut group = Group::free();
    let one = group.order(ALICE, Side::Buy, 10, 400);
    group.place(one);
    let other = group.order(ALICE, Side::Buy, 10, 300);
    group.plan(other, Plan { cancels: Some(one.nonce), ..Plan::default() });
    assert_eq!(gone(&group.cancel(one)), [(one.nonce, CancelReason::Requested)]);
    assert_eq!(group.rests(other), Some(10));
}

#[test]
fn an_order_that_moves_takes_its_pair_along() {
    let mut group = Group::free();
    let one = group.order(ALICE, Side::Buy, 10, 400);
    group.place(one);
    let other = group.order(ALICE, Side::Buy, 10, 300);
    group.plan(other, Plan { cancels: Some(one.nonce), ..Plan::default() });
    let moved = group.order(ALICE, Side::Buy, 10, 420);
    let (order, instructions) = (signed(ALICE, moved), Instructions::default());
    group.apply(Command::Replace { nonce: one.nonce, order, instructions });
    let events = group.sell(BOB, 1, 420);
    assert_eq!(gone(&events), [(other.nonce, CancelReason::OneCancelsOther)]);
}

#[test]
fn an_order_excludes_one_other_and_not_itself() {
    let mut group = Group::free();
    let one = group.order(ALICE, Side::Buy, 10, 400);
    group.place(one);
    let excluding = |nonce| Plan { cancels: Some(nonce), ..Plan::default() };
    let other = group.order(ALICE, Side::Buy, 10, 300);
    group.plan(other, excluding(one.nonce));
    let third = group.order(ALICE, Side::Buy, 10, 200);
    let (nonce, with) = (one.nonce, other.nonce);
    assert_eq!(fault(&group.plan(third, excluding(nonce))), PlanFault::Paired { nonce, with });
    let nonce = third.nonce;
    assert_eq!(fault(&group.plan(third, excluding(nonce))), PlanFault::Itself { nonce });
    let nonce = Nonce(999);
    let unknown = Reject::UnknownOrder { account: AccountId(ALICE), nonce };
    assert_eq!(*rejected(&group.plan(third, excluding(nonce))), unknown);
}

// ---------------------------------------------------------------------- brackets

/// Exits of ten lots for Alice's next order, sent before it: take-profit at 600, stop below 400.
fn exits(group: &mut Group) -> (Order, Order, Order) {
    let mut orders = [0; 3].map(|_| group.order(ALICE, Side::Sell, 10, 600));
    orders[1] = reducing(orders[1]);
    orders[2] = Order { price: Ticks(300), ..reducing(immediate(orders[2])) };
    let [entry, profit, stop] = orders;
    let entry = Order { side: Side::Buy, price: Ticks(500), ..entry };
    let after = Some(entry.nonce);
    group.plan(profit, Plan { after, ..Plan::default() });
    group.plan(stop, Plan { after, cancels: Some(profit.nonce), ..below(400) });
    (entry, profit, stop)
}

#[test]
fn the_exits_of_a_bracket_sleep_until_its_entry_fills() {
    let mut group = Group::free();
    let (entry, profit, stop) = exits(&mut group);
    group.trade_at(390);
    assert_eq!(triggered(&group.frame(2_000, vec![])), []);
    assert_eq!((group.waits(profit), group.waits(stop)), (Some(WaitsFor::Order), Some(WaitsFor::Order)));
    group.place(entry);
    group.trade_at(500);
    group.sell(BOB, 9, 500);
    assert_eq!((group.waits(profit), group.waits(stop)), (Some(WaitsFor::Frame), Some(WaitsFor::Price)));
    group.frame(3_000, vec![]);
    assert_eq!((group.rests(profit), group.waits(stop)), (Some(10), Some(WaitsFor::Price)));
    let events = group.buy(CAROL, 10, 600);
    assert_eq!(gone(&events), [(stop.nonce, CancelReason::OneCancelsOther)]);
    assert_eq!(group.position(ALICE), 0);
}

#[test]
fn exits_close_what_their_entry_filled_and_no_more() {
    let mut group = Group::free();
    let (entry, profit, stop) = exits(&mut group);
    group.place(entry);
    group.sell(BOB, 4, 500);
    group.cancel(entry);
    let events = group.frame(2_000, vec![]);
    assert_eq!(reduced(&events), [(profit.nonce, 4, CancelReason::NothingToFollow)]);
    group.buy(CAROL, 10, 350);
    group.trade_at(350);
    let events = group.frame(3_000, vec![]);
    assert_eq!(released(&events), [(stop.nonce, 4)]);
    assert_eq!(gone(&events), [(profit.nonce, CancelReason::OneCancelsOther)], "the stop sold what it was for");
    assert_eq!(group.position(ALICE), 0);
}

#[test]
fn the_rest_of_an_entry_is_cancelled_when_the_price_of_its_stop_comes() {
    let mut group = Group::free();
    let (entry, _, stop) = exits(&mut group);
    let entry = Order { price: Ticks(395), ..entry };
    group.place(entry);
    group.sell(BOB, 4, 395);
    let events = group.frame(2_000, vec![]);
    assert_eq!(triggered(&events), [stop.nonce]);
    assert_eq!(gone(&events)[0], (entry.nonce, CancelReason::Followed));
    assert_eq!(released(&events)[0], (stop.nonce, 4));
}

#[test]
fn the_exits_of_an_entry_that_ends_unfilled_are_cancelled() {
    let mut group = Group::free();
    let (entry, profit, stop) = exits(&mut group);
    group.place(entry);
    let nothing = CancelReason::NothingToFollow;
    let expected = [(entry.nonce, CancelReason::Requested), (profit.nonce, nothing), (stop.nonce, nothing)];
    assert_eq!(gone(&group.cancel(entry)), expected);
}

#[test]
fn an_exit_may_come_while_its_entry_rests_or_before_it_but_not_after_it() {
    let mut group = Group::free();
    let entry = group.order(ALICE, Side::Buy, 10, 500);
    group.place(entry);
    group.sell(BOB, 3, 500);
    let late = reducing(group.order(ALICE, Side::Sell, 10, 300));
    group.plan(late, Plan { after: Some(entry.nonce), ..below(400) });
    assert_eq!(group.waits(late), Some(WaitsFor::Price), "three lots have filled already");
    group.sell(BOB, 7, 500);
    let too_late = reducing(group.order(ALICE, Side::Sell, 10, 300));
    let (account, nonce) = (AccountId(ALICE), entry.nonce);
    let events = group.plan(too_late, Plan { after: Some(nonce), ..below(400) });
    assert_eq!(*rejected(&events), Reject::UnknownOrder { account, nonce });
}

#[test]
fn the_exits_of_an_entry_that_moves_follow_it() {
    let mut group = Group::free();
    let (entry, profit, stop) = exits(&mut group);
    group.place(entry);
    let moved = Order { price: Ticks(510), ..group.order(ALICE, Side::Buy, 10, 510) };
    let (order, instructions) = (signed(ALICE, moved), Instructions::default());
    group.apply(Command::Replace { nonce: entry.nonce, order, instructions });
    assert_eq!(group.waits(profit), Some(WaitsFor::Order));
    group.sell(BOB, 10, 510);
    assert_eq!((group.waits(profit), group.waits(stop)), (Some(WaitsFor::Frame), Some(WaitsFor::Price)));
}

#[test]
fn exits_of_an_order_that_can_never_come_are_cancelled() {
    let mut group = Group::free();
    let (entry, profit, _) = exits(&mut group);
    let account = AccountId(ALICE);
    let events = group.apply(Command::CancelAll(signed(ALICE, CancelAll { account, below: profit.nonce })));
    assert_eq!(entry.nonce.0 + 1, profit.nonce.0);
    assert_eq!(gone(&events).len(), 2);
    let (_, profit, stop) = exits(&mut group);
    let below = Nonce(stop.nonce.0 + 1);
    let events = group.apply(Command::CancelAll(signed(ALICE, CancelAll { account, below })));
    let floor = CancelReason::BelowFloor;
    assert_eq!(gone(&events), [(profit.nonce, floor), (stop.nonce, floor)]);
}

#[test]
fn a_chain_of_followers_ends_with_its_first() {
    let mut group = Group::free();
    let first = group.order(ALICE, Side::Buy, 1, 100);
    group.place(first);
    let mut last = first;
    for _ in 0..WAITING_MAX {
        let next = group.order(ALICE, Side::Buy, 1, 100);
        group.plan(next, Plan { after: Some(last.nonce), ..Plan::default() });
        last = next;
    }
    let events = group.cancel(first);
    assert_eq!(gone(&events).len(), 1 + WAITING_MAX as usize);
    assert_eq!(gone(&events).last(), Some(&(last.nonce, CancelReason::NothingToFollow)));
}

// ---------------------------------------------------------------------- TWAP

#[test]
fn the_slices_of_a_twap_are_parts_of_one_order_and_sum_to_it_exactly() {
    let mut group = Group::free();
    group.sell(BOB, 100, 500);
    let order = group.order(ALICE, Side::Buy, 10, 500);
    assert_eq!(released(&group.plan(order, twap(4, 1_000))), [], "the first slice goes when the next frame opens");
    let mut slices = vec![];
    for time in [1_500, 2_000, 2_500, 3_500, 4_500, 5_500] {
        slices.extend(released(&group.frame(time, vec![])).into_iter().map(|(_, lots)| lots));
    }
    assert_eq!(slices, [2, 3, 2, 3], "at 1500, 2500, 3500 and 4500");
    assert_eq!((group.position(ALICE), group.waits(order)), (10, None));
    let events = group.frame(6_000, vec![]);
    let lines = sealed(&events);
    assert!(lines.is_none(), "each slice was in a frame of its own");
}

#[test]
fn what_a_slice_misses_later_ones_catch_up_three_times_their_size_at_most() {
    let mut group = Group::free();
    let order = group.order(ALICE, Side::Buy, 50, 500);
    group.plan(order, twap(5, 1_000));
    let mut slices = vec![];
    for time in [2_000, 3_000, 4_000] {
        slices.extend(released(&group.frame(time, vec![])));
    }
    group.sell(BOB, 100, 500);
    for time in [5_000, 6_000] {
        slices.extend(released(&group.frame(time, vec![])));
    }
    assert_eq!(slices.iter().map(|(_, lots)| *lots).collect::<Vec<_>>(), [10, 20, 30, 30, 20]);
    assert_eq!(group.position(ALICE), 50);
}

#[test]
fn what_the_last_slice_leaves_is_cancelled() {
    let mut group = Group::free();
    let order = group.order(ALICE, Side::Buy, 10, 500);
    group.plan(order, twap(2, 1_000));
    group.frame(2_000, vec![]);
    group.sell(BOB, 3, 500);
    let events = group.frame(3_000, vec![]);
    assert_eq!(gone(&events), [(order.nonce, CancelReason::Immediate)]);
    assert_eq!(group.position(ALICE), 3);
}

#[test]
fn a_slice_that_is_refused_says_why_and_is_caught_up() {
    let mut group = Group::free();
    let order = group.order(ALICE, Side::Buy, 4_000, 500);
    group.plan(order, twap(4, 1_000));
    let blocking = group.order(ALICE, Side::Buy, 1_500, 400);
    group.place(blocking);
    assert!(matches!(refused(&group.frame(2_000, vec![]))[..], [(_, Reject::InsufficientFunds { .. })]));
    group.cancel(blocking);
    group.sell(BOB, 1_900, 500);
    assert_eq!(released(&group.frame(3_000, vec![])), [(order.nonce, 2_000)]);
    assert_eq!(group.position(ALICE), 1_900);
}

#[test]
fn a_twap_pays_the_fee_of_one_order_and_its_nonce_settles_once() {
    let mut group = Group::new(terms(2, 333, 0));
    let order = group.order(ALICE, Side::Buy, 3, 500);
    group.plan(order, twap(3, 1_000));
    let mut fees = vec![];
    for time in [2_000, 3_000, 4_000] {
        group.sell(BOB, 1, 500);
        fees.extend(fills(&group.frame(time, vec![])).iter().map(|fill| fill.taker_fee.0));
    }
    // 500 atoms at 333 ppm are a sixth of an atom, and three of them half of one.
    assert_eq!(fees, [1, 0, 0]);
}

#[test]
fn a_twap_after_a_trigger_begins_when_its_price_comes() {
    let mut group = Group::free();
    group.sell(BOB, 100, 500);
    let order = group.order(ALICE, Side::Buy, 10, 500);
    group.plan(order, Plan { pace: twap(2, 1_000).pace, ..above(490) });
    group.frame(2_000, vec![]);
    group.buy(CAROL, 1, 500);
    assert_eq!(released(&group.frame(5_000, vec![])), [(order.nonce, 5)]);
    assert_eq!(released(&group.frame(5_999, vec![])), []);
    assert_eq!(released(&group.frame(6_000, vec![])), [(order.nonce, 5)]);
}

#[test]
fn slices_need_a_lot_each_and_an_interval_within_bounds() {
    let mut group = Group::free();
    let order = group.order(ALICE, Side::Buy, 10, 500);
    for slices in [0, 1, 11] {
        assert_eq!(fault(&group.plan(order, twap(slices, 1_000))), PlanFault::Slices { slices, most: 10 });
    }
    for interval in [0, 999, 86_400_001] {
        let (shortest, longest) = (1_000, 86_400_000);
        let expected = PlanFault::Interval { interval, shortest, longest };
        assert_eq!(fault(&group.plan(order, twap(2, interval))), expected);
    }
}

#[test]
fn an_order_that_ends_with_its_frame_cannot_come_in_parts() {
    let mut group = Group::free();
    for (kind, plan) in [
        (OrderKind::ImmediateOrCancel, twap(2, 1_000)),
        (OrderKind::PostOnly, twap(2, 1_000)),
        (OrderKind::ImmediateOrCancel, iceberg(5)),
    ] {
        let order = Order { kind, ..group.order(ALICE, Side::Buy, 10, 500) };
        assert_eq!(fault(&group.plan(order, plan)), PlanFault::EndsAtOnce { kind });
    }
}

// ---------------------------------------------------------------------- icebergs

#[test]
fn an_iceberg_shows_a_part_and_the_next_one_behind_all_others_at_its_price() {
    let mut group = Group::free();
    let order = group.order(ALICE, Side::Sell, 30, 400);
    group.plan(order, iceberg(10));
    group.sell(BOB, 5, 400);
    let lots = |group: &Group| group.engine.book(MARKET, 9).unwrap().asks[0].lots.0;
    assert_eq!(lots(&group), 15);
    let events = group.buy(CAROL, 18, 400);
    let met: Vec<_> = fills(&events).iter().map(|fill| (fill.maker.0, fill.size.0, fill.maker_remaining.0)).collect();
    assert_eq!(met, [(ALICE, 10, 20), (BOB, 5, 0), (ALICE, 3, 17)]);
    assert_eq!(lots(&group), 7);
    let view = group.engine.order(order.account, order.nonce).unwrap();
    assert_eq!((view.remaining, view.hidden), (Lots(17), Lots(10)));
}

#[test]
fn an_iceberg_that_arrives_takes_with_all_of_it_and_hides_what_rests() {
    let mut group = Group::free();
    group.sell(BOB, 12, 400);
    let order = group.order(ALICE, Side::Buy, 30, 400);
    let events = group.plan(order, iceberg(5));
    assert_eq!(fills(&events)[0].size, Lots(12));
    assert_eq!(group.engine.book(MARKET, 9).unwrap().bids[0].lots, Lots(5));
}

#[test]
fn the_end_of_an_iceberg_stops_no_order_that_is_tried() {
    let mut group = Group::free();
    let short = group.order(BOB, Side::Sell, 5, 400);
    group.place(short);
    group.buy(CAROL, 5, 400);
    let order = group.order(ALICE, Side::Sell, 3, 400);
    group.plan(order, iceberg(2));
    group.buy(CAROL, 2, 400);
    // It shows the one lot that is left.
    let order = Order { reduce_only: true, ..group.order(BOB, Side::Buy, 2, 400) };
    let preview = group.engine.preview(&order, Instructions::default()).unwrap();
    assert_eq!((preview.filled, preview.rests), (Lots(1), Lots(1)));
    assert_eq!(preview.margin, {
        group.place(order);
        group.engine.margin(order.account).unwrap()
    });
}

#[test]
fn what_icebergs_hide_is_tried_part_by_part() {
    let mut group = Group::new(with(terms(2, 0, 0), |terms| terms.open_interest_cap = Lots(11)));
    let order = group.order(ALICE, Side::Sell, 20, 400);
    group.plan(order, iceberg(2));
    let order = group.order(BOB, Side::Sell, 20, 400);
    group.plan(order, iceberg(3));
    let order = group.order(CAROL, Side::Buy, 30, 400);
    let foreseen = group.engine.preview(&order, Instructions::default()).unwrap();
    let events = group.place(order);
    let met: Vec<_> = fills(&events).iter().map(|fill| fill.size.0).collect();
    assert_eq!(met, [2, 3, 2, 3], "the next part would be too much");
    assert_eq!((foreseen.filled, foreseen.rests), (Lots(10), Lots(0)));
}

#[test]
fn an_iceberg_reserves_what_it_hides() {
    let mut group = Group::free();
    let order = group.order(ALICE, Side::Buy, 30, 400);
    group.plan(order, iceberg(5));
    assert_eq!(group.available(ALICE), DEPOSIT - 12_000);
    group.sell(BOB, 7, 400);
    assert_eq!(group.available(ALICE), DEPOSIT - 12_000);
    group.cancel(order);
    assert_eq!(group.available(ALICE), DEPOSIT - 2_800);
}

#[test]
fn an_amended_iceberg_loses_what_nobody_sees_first() {
    let mut group = Group::free();
    let order = group.order(ALICE, Side::Buy, 30, 400);
    group.plan(order, iceberg(10));
    let (account, nonce) = (order.account, order.nonce);
    let shown = |group: &Group| group.engine.book(MARKET, 9).unwrap().bids[0].lots.0;
    for (size, shows) in [(12, 10), (10, 10), (4, 4)] {
        group.apply(Command::Amend(signed(ALICE, Amend { account, nonce, size: Lots(size) })));
        assert_eq!((group.rests(order), shown(&group)), (Some(size), shows));
    }
}

#[test]
fn one_line_of_the_batch_holds_every_part_of_an_iceberg_that_fills_in_the_frame() {
    let mut group = Group::new(terms(2, 0, 333));
    let order = group.order(ALICE, Side::Sell, 30, 500);
    group.plan(order, iceberg(1));
    group.buy(CAROL, 3, 500);
    let fees: i128 = fills(&group.buy(BOB, 3, 500)).iter().map(|fill| fill.maker_fee.0).sum();
    assert_eq!(fees, 0, "the first atom paid for six lots");
    let events = group.frame(2_000, vec![]);
    let line = sealed(&events).unwrap().markets[0].1.iter().find(|line| line.order.message == order).unwrap();
    assert_eq!((line.filled, line.notional, line.fee), (Lots(6), 3_000, Atoms(1)));
}

#[test]
fn fill_or_kill_counts_what_an_iceberg_shows_and_nothing_behind_it() {
    let mut group = Group::free();
    let order = group.order(ALICE, Side::Sell, 30, 400);
    group.plan(order, iceberg(10));
    group.sell(BOB, 5, 400);
    group.sell(BOB, 50, 401);
    let kill = Order { kind: OrderKind::FillOrKill, ..group.order(CAROL, Side::Buy, 16, 401) };
    assert_eq!(*rejected(&group.place(kill)), Reject::NotFillable { size: Lots(16), fillable: Lots(15) });
    // Until it shows all that is left of it.
    group.buy(CAROL, 27, 400);
    let fill = Order { kind: OrderKind::FillOrKill, ..group.order(CAROL, Side::Buy, 16, 401) };
    let lots: Vec<_> = fills(&group.place(fill)).iter().map(|fill| fill.size.0).collect();
    assert_eq!(lots, [8, 8]);
}

#[test]
fn an_iceberg_comes_in_a_thousand_parts_at_most() {
    let mut group = Group::free();
    let order = group.order(ALICE, Side::Buy, 1_001, 100);
    for display in [0, 1, 1_002] {
        let (smallest, largest) = (Lots(2), Lots(1_001));
        let expected = PlanFault::Display { display: Lots(display), smallest, largest };
        assert_eq!(fault(&group.plan(order, iceberg(display))), expected);
    }
}

// ---------------------------------------------------------------------- reduce-only orders

#[test]
fn resting_reduce_only_orders_shrink_with_the_position_the_worst_price_first() {
    let mut group = Group::free();
    group.long(10);
    let [best, worst] = [600, 610].map(|price| {
        let order = reducing(group.order(ALICE, Side::Sell, 5, price));
        group.place(order);
        order
    });
    group.sell(ALICE, 7, 550);
    let events = group.buy(CAROL, 7, 550);
    assert_eq!(gone(&events), [(worst.nonce, CancelReason::OnlyReducing)]);
    assert_eq!(reduced(&events), [(best.nonce, 3, CancelReason::OnlyReducing)]);
    assert_eq!(group.position(ALICE), 3);
}

#[test]
fn at_one_price_the_newest_reduce_only_order_shrinks_first() {
    let mut group = Group::free();
    group.long(10);
    let [older, newer] = [0, 1].map(|_| {
        let order = reducing(group.order(ALICE, Side::Sell, 5, 600));
        group.place(order);
        order
    });
    group.sell(ALICE, 4, 550);
    assert_eq!(reduced(&group.buy(CAROL, 4, 550)), [(newer.nonce, 1, CancelReason::OnlyReducing)]);
    assert_eq!(group.rests(older), Some(5));
}

#[test]
fn a_reduce_only_order_rests_with_no_more_than_there_is_to_reduce() {
    let mut group = Group::free();
    group.long(10);
    let order = reducing(group.order(ALICE, Side::Sell, 25, 600));
    let events = group.place(order);
    assert_eq!(reduced(&events), [(order.nonce, 10, CancelReason::OnlyReducing)]);
}

#[test]
fn a_position_that_changes_sign_takes_its_reduce_only_orders_along() {
    let mut group = Group::free();
    group.long(10);
    let order = reducing(group.order(ALICE, Side::Sell, 10, 600));
    group.place(order);
    group.sell(ALICE, 15, 550);
    assert_eq!(gone(&group.buy(CAROL, 15, 550)), [(order.nonce, CancelReason::OnlyReducing)]);
    assert_eq!(group.position(ALICE), -5);
}

#[test]
fn reduce_only_orders_of_a_perpetual_shrink_with_it() {
    let mut group = perpetual(100);
    for (account, side) in [(ALICE, Side::Buy), (BOB, Side::Sell)] {
        let trade = group.perpetual_order(account, side, 10, 100);
        group.place(trade);
    }
    let exit = reducing(group.perpetual_order(ALICE, Side::Sell, 10, 120));
    group.place(exit);
    let sale = group.perpetual_order(ALICE, Side::Sell, 4, 100);
    group.place(sale);
    let purchase = group.perpetual_order(CAROL, Side::Buy, 4, 100);
    assert_eq!(reduced(&group.place(purchase)), [(exit.nonce, 6, CancelReason::OnlyReducing)]);
}

#[test]
fn one_large_order_never_meets_a_reduce_only_order_that_has_nothing_left_to_reduce() {
    let mut group = Group::free();
    group.long(10);
    let order = reducing(group.order(ALICE, Side::Sell, 10, 600));
    group.place(order);
    group.sell(ALICE, 10, 550);
    let events = group.buy(CAROL, 20, 650);
    assert_eq!(fills(&events).len(), 1);
    assert_eq!(gone(&events), [(order.nonce, CancelReason::OnlyReducing)]);
    assert!(matches!(events.last(), Some(Event::Rested { remaining: Lots(10), .. })));
}

// ---------------------------------------------------------------------- what cancels orders cancels those that wait

#[test]
fn whatever_cancels_resting_orders_cancels_waiting_ones() {
    type Cause = fn(&mut Group) -> Vec<Event>;
    const ACCOUNT: AccountId = AccountId(ALICE);
    let causes: [(CancelReason, Cause); 6] = [
        (CancelReason::Requested, |group| {
            let (account, venue, market, sides, nonce) = (ACCOUNT, VENUE, MARKET, Sides::Buy, Nonce(900));
            group.apply(Command::CancelMany(signed(ALICE, CancelMany { account, venue, market, sides, nonce })))
        }),
        (CancelReason::DeadMan, |group| {
            let switch = CancelAfter { account: ACCOUNT, time: TimeMs(1_500), nonce: Nonce(900) };
            group.apply(Command::CancelAfter(signed(ALICE, switch)));
            group.frame(1_600, vec![])
        }),
        (CancelReason::BelowFloor, |group| {
            let all = CancelAll { account: ACCOUNT, below: Nonce(800) };
            group.apply(Command::CancelAll(signed(ALICE, all)))
        }),
        (CancelReason::Expired, |group| group.frame(9_001, vec![])),
        (CancelReason::EventResolved, |group| group.frame(1_600, vec![resolve(&[1_000, 0])])),
        (CancelReason::ForcedWithdrawal, |group| {
            let forced = InboxPayload::ForcedWithdrawal { account: ACCOUNT, token: TOKEN, amount: 1 };
            group.frame(1_600, vec![forced])
        }),
    ];
    for (reason, cause) in causes {
        let mut group = Group::free();
        let order = Order { expiry: TimeMs(9_000), ..group.order(ALICE, Side::Buy, 10, 500) };
        group.plan(order, above(600));
        assert_eq!(gone(&cause(&mut group)), [(order.nonce, reason)]);
        assert_eq!(group.waits(order), None);
    }
}

#[test]
fn a_market_that_only_reduces_leaves_waiting_orders_until_their_turn_comes() {
    let mut group = Group::free();
    group.long(10);
    let more = group.order(ALICE, Side::Buy, 10, 500);
    group.plan(more, below(400));
    let stop = reducing(immediate(group.order(ALICE, Side::Sell, 10, 300)));
    group.plan(stop, below(450));
    group.trade_at(390);
    group.buy(CAROL, 10, 350);
    let closed = InboxPayload::PhaseSet { market: MARKET, phase: Phase::ReduceOnly };
    let events = group.frame(2_000, vec![closed]);
    let [(nonce, Reject::OnlyReducing { reducible, why, .. })] = refused(&events)[..] else { panic!("{events:?}") };
    assert_eq!((nonce, reducible, why), (more.nonce, Lots(0), Restriction::Phase));
    assert_eq!(released(&events), [(stop.nonce, 10)]);
    assert_eq!(gone(&events).last(), Some(&(stop.nonce, CancelReason::Immediate)));
}

#[test]
fn an_order_of_a_revoked_key_waits_no_more() {
    let mut group = Group::free();
    let account = AccountId(ALICE);
    let grant = SignerGrant {
        signer: Address::repeat_byte(0xa9),
        expiry: TimeMs(5_000),
        max_notional: 0,
        trade: true,
        withdraw: false,
        venues: [VenueId(0); 3],
    };
    group.frame(1_100, vec![InboxPayload::SignerSet { account, grant }]);
    let order = group.order(ALICE, Side::Buy, 10, 500);
    let by_key = Signed { signer: grant.signer, ..signed(ALICE, order) };
    group.apply(Command::Plan { order: by_key, instructions: Instructions::default(), plan: above(600) });
    assert_eq!(group.waits(order), Some(WaitsFor::Price));
    assert_eq!(gone(&group.frame(5_001, vec![])), [(order.nonce, CancelReason::SignerRevoked)]);
}

#[test]
fn a_waiting_order_can_be_cancelled_and_made_smaller_by_its_owner_only() {
    let mut group = Group::free();
    let order = group.order(ALICE, Side::Buy, 10, 500);
    group.plan(order, above(600));
    let (account, nonce) = (order.account, order.nonce);
    let amend = Amend { account, nonce, size: Lots(4) };
    assert!(matches!(rejected(&group.apply(Command::Amend(signed(BOB, amend)))), Reject::NotAuthorized { .. }));
    let events = group.apply(Command::Amend(signed(ALICE, amend)));
    assert_eq!(reduced(&events), [(nonce, 4, CancelReason::Requested)]);
    let cancel = Cancel { account, nonce };
    assert!(matches!(rejected(&group.apply(Command::Cancel(signed(BOB, cancel)))), Reject::NotAuthorized { .. }));
    assert_eq!(gone(&group.cancel(order)), [(nonce, CancelReason::Requested)]);
}

/// A failing account's orders can only do harm to whoever takes its positions over.
#[test]
fn a_failing_account_keeps_nothing_that_waits() {
    let mut group = perpetual(100);
    let (buy, sell) =
        (group.perpetual_order(ALICE, Side::Buy, 90_000, 100), group.perpetual_order(BOB, Side::Sell, 90_000, 100));
    group.place(buy);
    group.place(sell);
    let stop = reducing(immediate(group.perpetual_order(ALICE, Side::Sell, 90_000, 1)));
    group.plan(stop, below(80));
    let events = group.priced(2_000, 85);
    assert!(events.contains(&Event::Failing { account: AccountId(ALICE) }), "{events:?}");
    assert_eq!(gone(&events), [(stop.nonce, CancelReason::Margin)]);
}

#[test]
fn a_fault_says_what_was_wrong_and_what_is_right() {
    let faults = [
        (PlanFault::NoIndex { market: MARKET }.to_string(), "has no index price"),
        (PlanFault::Slices { slices: 1, most: 9 }.to_string(), "1 slices are outside 2 to 9"),
        (PlanFault::EndsAtOnce { kind: OrderKind::FillOrKill }.to_string(), "sign a TWAP good-till-cancelled"),
    ];
    for (text, part) in faults {
        assert!(text.contains(part), "{text}");
    }
}
