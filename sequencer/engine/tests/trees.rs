//! Orders under one signature: each is an order like any other.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(dead_code, reason = "the group's helpers serve other tests too")]

#[path = "rules/group.rs"]
mod group;

use group::*;
use xos_engine::Engine;
use xos_engine::limits::TREE_ORDERS_MAX;
use xos_types::*;

const SIGNATURE: Signature = Signature { r: [7; 32], vs: [8; 32] };

fn tree(orders: Vec<Order>) -> SignedTree {
    let signer = owner(orders[0].account.0);
    SignedTree::new(orders, SIGNATURE, signer).unwrap()
}

fn place(orders: Vec<Order>) -> Command {
    replace(&[], orders)
}

/// The first orders take the place of these.
fn replace(old: &[Nonce], orders: Vec<Order>) -> Command {
    Command::PlaceTree { tree: tree(orders), replaces: old.into(), instructions: Instructions::default() }
}

/// What was said to each order: whether it was accepted.
fn verdicts(events: &[Event]) -> Vec<bool> {
    let verdict = |event: &Event| match event {
        Event::Accepted { .. } | Event::Planned { .. } => Some(true),
        Event::Rejected { .. } => Some(false),
        _ => None,
    };
    events.iter().filter_map(verdict).collect()
}

fn snapshot(group: &Group) -> Vec<u8> {
    let mut bytes = vec![];
    group.engine.snapshot(&mut bytes).unwrap();
    bytes
}

#[test]
fn each_order_of_a_tree_is_judged_by_itself_and_all_have_one_place_in_the_log() {
    let mut group = Group::free();
    let good = group.order(ALICE, Side::Buy, 5, 300);
    let priceless = group.order(ALICE, Side::Buy, 5, 0);
    let again = Order { size: Lots(6), ..good };
    let last = group.order(ALICE, Side::Sell, 2, 700);
    let before = group.engine.sequence();
    let events = group.apply(place(vec![good, priceless, again, last]));
    assert_eq!(group.engine.sequence(), before + 1);
    assert_eq!(verdicts(&events), [true, false, false, true]);
    let open = group.engine.open_orders(AccountId(ALICE));
    assert_eq!(open.iter().map(|view| view.order).collect::<Vec<_>>(), [good, last]);
}

#[test]
fn the_orders_of_a_tree_do_what_they_would_do_alone() {
    let (mut together, mut apart) = (Group::free(), Group::free());
    for group in [&mut together, &mut apart] {
        group.sell(BOB, 4, 400);
        group.sell(CAROL, 4, 410);
    }
    let kinds =
        [OrderKind::GoodTillCancelled, OrderKind::FillOrKill, OrderKind::ImmediateOrCancel, OrderKind::PostOnly];
    let orders: Vec<Order> = kinds.map(|kind| Order { kind, ..together.order(ALICE, Side::Buy, 3, 410) }).to_vec();
    let one = together.apply(place(orders.clone()));
    let many: Vec<Event> = orders.into_iter().flat_map(|order| apart.place(order)).collect();
    assert_eq!(one, many);
}

#[test]
fn a_line_refers_to_its_tree_which_the_frame_has_once() {
    let mut group = Group::free();
    let ladder: Vec<Order> = (0..5).map(|rung| group.order(ALICE, Side::Sell, 2, 400 + rung)).collect();
    group.apply(place(ladder.clone()));
    let number = TreeId(group.engine.sequence());
    group.buy(BOB, 5, 402);
    // What remains of the tree leaves; its lines stay.
    group.apply(Command::CancelAll(signed(ALICE, CancelAll { account: AccountId(ALICE), below: Nonce(99) })));
    assert_eq!(group.engine.living_trees(), 0);
    let events = group.frame(2_000, vec![]);
    let frame = sealed(&events).unwrap();
    assert_eq!(frame.trees, [(number, tree(ladder.clone()))]);
    let [(_, lines)] = &frame.markets[..] else { panic!("{:?}", frame.markets) };
    let of_tree: Vec<_> = lines.iter().filter(|line| line.order.signature.tree() == Some(number)).collect();
    assert_eq!(of_tree.iter().map(|line| line.order.message).collect::<Vec<_>>(), ladder[..3]);
    assert!(of_tree.iter().all(|line| line.order.signer == owner(ALICE)));
}

#[test]
fn a_tree_is_forgotten_with_the_last_of_its_orders() {
    let mut group = Group::free();
    let ladder: Vec<Order> = (0..4).map(|rung| group.order(ALICE, Side::Sell, 2, 400 + rung)).collect();
    group.apply(place(ladder.clone()));
    let cancel = |order: &Order| Command::Cancel(signed(ALICE, Cancel { account: order.account, nonce: order.nonce }));
    group.apply(cancel(&ladder[0]));
    let amend = Amend { account: AccountId(ALICE), nonce: ladder[1].nonce, size: Lots(1) };
    group.apply(Command::Amend(signed(ALICE, amend)));
    let quote = group.order(ALICE, Side::Sell, 3, 500);
    let instructions = Instructions::default();
    group.apply(Command::Replace { nonce: ladder[2].nonce, order: signed(ALICE, quote), instructions });
    group.apply(cancel(&ladder[3]));
    assert_eq!(group.engine.living_trees(), 1);
    group.apply(cancel(&ladder[1]));
    assert_eq!(group.engine.living_trees(), 0, "the order that took a place in it has its own signature");
    let refused = group.order(ALICE, Side::Sell, 0, 400);
    group.apply(place(vec![refused]));
    assert_eq!(group.engine.living_trees(), 0, "nothing rests of it");
}

#[test]
fn a_ladder_moves_by_one_signature() {
    let mut group = Group::free();
    let ladder = |group: &mut Group, from: u64| -> Vec<Order> {
        (0..8).map(|rung| group.order(ALICE, Side::Buy, 2, from + rung)).collect()
    };
    let mut old = ladder(&mut group, 300);
    group.apply(place(old.clone()));
    for step in 1..4 {
        let new = ladder(&mut group, 300 + step);
        let nonces: Vec<Nonce> = old.iter().map(|order| order.nonce).collect();
        let events = group.apply(replace(&nonces, new.clone()));
        assert_eq!(verdicts(&events), [true; 8]);
        let mut open: Vec<_> = group.engine.open_orders(AccountId(ALICE)).iter().map(|view| view.order).collect();
        open.sort_by_key(|order| order.nonce);
        assert_eq!(open, new);
        old = new;
    }
    let more = ladder(&mut group, 400);
    let gone = [old[0].nonce, Nonce(77)];
    let events = group.apply(replace(&gone, more));
    assert_eq!(verdicts(&events), [true, false, true, true, true, true, true, true], "who replaces nothing is refused");
    assert_eq!(group.engine.open_orders(AccountId(ALICE)).len(), 14);
}

#[test]
fn an_order_of_a_tree_waits_in_the_place_of_one_that_waited_and_settles_with_its_tree() {
    let mut group = Group::free();
    group.buy(BOB, 1, 300);
    group.sell(CAROL, 1, 300);
    let stop = group.order(ALICE, Side::Buy, 4, 350);
    let trigger = Trigger { source: TriggerSource::Mark, when: TriggerWhen::AtOrAbove, price: Ticks(300) };
    let plan = Plan { trigger: Some(trigger), ..Plan::default() };
    group.apply(Command::Plan { order: signed(ALICE, stop), instructions: Instructions::default(), plan });
    group.sell(CAROL, 9, 320);
    let other = group.order(ALICE, Side::Buy, 3, 340);
    assert_eq!(verdicts(&group.apply(replace(&[stop.nonce], vec![other]))), [true]);
    let number = TreeId(group.engine.sequence());
    let mut restored = Engine::restore(&snapshot(&group)[..]).unwrap();
    restored.check_invariants();
    let frame = Command::Frame { time: TimeMs(2_000), inbox: vec![], prices: vec![] };
    let (events, mut again) = (group.apply(frame.clone()), vec![]);
    restored.apply(&frame.into(), &mut again);
    assert_eq!(events, again);
    assert_eq!(fills(&events).iter().map(|fill| fill.size.0).sum::<u64>(), 3, "it went to the book");
    let events = group.frame(3_000, vec![]);
    assert_eq!(sealed(&events).unwrap().trees, [(number, tree(vec![other]))]);
}

/// A frame is sealed between commands, so what one may add is bounded, however many orders it brings.
#[test]
fn a_tree_adds_no_more_to_a_frame_than_one_order_may() {
    let added = |orders: u64| {
        let mut group = Group::free();
        let makers = 7..67;
        group.frame(2_000, makers.clone().map(|account| deposit(account, 100_000)).collect());
        for account in makers {
            group.sell(account, 1, 400);
        }
        let orders: Vec<Order> = (0..orders).map(|_| group.order(ALICE, Side::Buy, 60 / orders, 400)).collect();
        let before = group.engine.frame_gas();
        let events = group.apply(place(orders));
        let stopped = cancelled(&events).iter().filter(|(_, reason)| *reason == CancelReason::MatchLimit).count();
        (group.engine.frame_gas() - before, fills(&events).len(), stopped)
    };
    let (one, met, stopped) = added(1);
    assert!((3_000_000..3_800_000).contains(&one) && (20..60).contains(&met) && stopped == 1, "{one} {met} {stopped}");
    for orders in [2, 12, 60] {
        let (gas, met, stopped) = added(orders);
        assert!(gas <= 3_800_000 && met < 60 && stopped > 0, "{orders} orders: {gas} {met} {stopped}");
    }
}

#[test]
fn a_fill_or_kill_order_counts_on_no_more_than_what_its_tree_has_left() {
    let mut group = Group::free();
    group.frame(2_000, (7..60).map(|account| deposit(account, 100_000)).collect());
    for account in 7..60 {
        group.sell(account, 1, 400);
    }
    let ten = |group: &mut Group| Order { kind: OrderKind::FillOrKill, ..group.order(ALICE, Side::Buy, 10, 400) };
    let orders: Vec<Order> = (0..4).map(|_| ten(&mut group)).collect();
    let events = group.apply(place(orders));
    let accepted = verdicts(&events);
    assert!(accepted[0] && !accepted[3], "{accepted:?}");
    let filled = accepted.iter().filter(|accepted| **accepted).count();
    assert_eq!(fills(&events).len(), 10 * filled, "whole or not at all");
    let alone = ten(&mut group);
    assert_eq!(verdicts(&group.place(alone)), [true], "the next command begins anew");
}

#[test]
fn a_key_signs_a_tree_within_what_it_may() {
    let mut group = Group::free();
    let key = Address::repeat_byte(0xa9);
    let grant = SignerGrant {
        signer: key,
        expiry: TimeMs(9_000),
        max_notional: 1_000,
        trade: true,
        withdraw: false,
        venues: [VenueId(0); 3],
    };
    group.frame(2_000, vec![InboxPayload::SignerSet { account: AccountId(ALICE), grant }]);
    let orders = [2, 4, 3].map(|size| group.order(ALICE, Side::Buy, size, 300)).to_vec();
    let tree = SignedTree::new(orders, SIGNATURE, key).unwrap();
    let events = group.apply(Command::PlaceTree { tree, replaces: [].into(), instructions: Instructions::default() });
    assert_eq!(verdicts(&events), [true, false, true]);
}

/// Nobody fills the memory with large trees of which one order lives.
#[test]
fn an_account_has_only_so_many_orders_in_living_trees() {
    let mut group = Group::free();
    let large = |group: &mut Group| -> Vec<Order> {
        let good = group.order(ALICE, Side::Buy, 1, 300);
        let dead = |_| Order { size: Lots(0), ..group.order(ALICE, Side::Buy, 1, 300) };
        [good].into_iter().chain((1..1_000).map(dead)).collect()
    };
    let accepted = |events: &[Event]| verdicts(events).iter().filter(|accepted| **accepted).count();
    let first = large(&mut group);
    assert_eq!(accepted(&group.apply(place(first.clone()))), 1);
    for _ in 1..TREE_ORDERS_MAX / 1_000 {
        let orders = large(&mut group);
        assert_eq!(accepted(&group.apply(place(orders))), 1);
    }
    let one_more = group.order(ALICE, Side::Buy, 1, 300);
    let limit = TREE_ORDERS_MAX as u64;
    assert_eq!(rejected(&group.apply(place(vec![one_more]))), &Reject::TooManyOrders { limit });
    assert_eq!(verdicts(&group.place(one_more)), [true], "an order by itself needs no tree");
    group.apply(Command::Cancel(signed(ALICE, Cancel { account: AccountId(ALICE), nonce: first[0].nonce })));
    let again = large(&mut group);
    assert_eq!(accepted(&group.apply(place(again))), 1);
}
