//! The engine's rules, one by one, each with an example small enough to check by hand.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "rules/group.rs"]
mod group;

use group::*;
use xos_engine::limits::{MATCHES_MAX, ORDERS_MAX, POSITION_MAX, SIZE_MAX, fill_or_kill_matches_max};
use xos_engine::{Engine, EventStatus, REDEMPTION_GAS_PER_FRAME};
use xos_types::*;

// ---------------------------------------------------------------------- price and time

#[test]
fn better_prices_fill_first_and_equal_prices_in_order_of_arrival() {
    let mut group = Group::free();
    group.sell(ALICE, 10, 500);
    group.sell(BOB, 10, 490);
    group.sell(BOB, 10, 500);
    let met = fills(&group.buy(CAROL, 25, 500));
    let met: Vec<_> =
        met.iter().map(|fill| (fill.maker.0, fill.price.0, fill.size.0, fill.maker_remaining.0)).collect();
    assert_eq!(met, [(BOB, 490, 10, 0), (ALICE, 500, 10, 0), (BOB, 500, 5, 5)]);
}

#[test]
fn trades_happen_at_the_resting_orders_price() {
    let mut group = Group::free();
    group.sell(ALICE, 10, 300);
    group.buy(BOB, 10, 900);
    assert_eq!((group.cash(ALICE), group.cash(BOB)), (DEPOSIT + 3_000, DEPOSIT - 3_000));
}

#[test]
fn what_does_not_fill_rests_at_its_limit() {
    let mut group = Group::free();
    group.sell(ALICE, 10, 300);
    let events = group.buy(BOB, 15, 310);
    assert!(matches!(events.last(), Some(Event::Rested { remaining: Lots(5), price: Ticks(310), .. })));
    let book = group.engine.book(MarketId::new(EVENT, 0), 9).unwrap();
    assert_eq!((book.bids[0].price, book.bids[0].lots, book.bids[0].orders), (Ticks(310), Lots(5), 1));
    assert!(book.asks.is_empty());
}

#[test]
fn immediate_or_cancel_never_rests() {
    let mut group = Group::free();
    group.sell(ALICE, 10, 300);
    let order = Order { kind: OrderKind::ImmediateOrCancel, ..group.order(BOB, Side::Buy, 15, 310) };
    assert_eq!(cancelled(&group.place(order)), [(5, CancelReason::Immediate)]);
    assert_eq!(group.engine.resting_orders(), 0);
}

#[test]
fn fill_or_kill_fills_whole_or_not_at_all() {
    let mut group = Group::free();
    group.sell(ALICE, 10, 300);
    group.sell(CAROL, 10, 400);
    let kill = Order { kind: OrderKind::FillOrKill, ..group.order(BOB, Side::Buy, 11, 399) };
    assert_eq!(*rejected(&group.place(kill)), Reject::NotFillable { size: Lots(11), fillable: Lots(10) });
    let fill = Order { kind: OrderKind::FillOrKill, ..group.order(BOB, Side::Buy, 20, 400) };
    assert_eq!(fills(&group.place(fill)).len(), 2);
}

#[test]
fn own_orders_do_not_count_towards_fill_or_kill() {
    let mut group = Group::free();
    group.sell(BOB, 10, 300);
    group.sell(ALICE, 10, 300);
    let kill = Order { kind: OrderKind::FillOrKill, ..group.order(BOB, Side::Buy, 11, 300) };
    assert_eq!(*rejected(&group.place(kill)), Reject::NotFillable { size: Lots(11), fillable: Lots(10) });
    assert_eq!(group.engine.resting_orders(), 2, "a refusal cancels nothing");
}

#[test]
fn post_only_never_takes_not_even_from_itself() {
    let mut group = Group::free();
    group.sell(ALICE, 10, 300);
    for account in [ALICE, BOB] {
        let order = Order { kind: OrderKind::PostOnly, ..group.order(account, Side::Buy, 1, 300) };
        assert_eq!(*rejected(&group.place(order)), Reject::WouldTrade { price: Ticks(300), best: Ticks(300) });
    }
    let order = Order { kind: OrderKind::PostOnly, ..group.order(BOB, Side::Buy, 1, 299) };
    assert!(matches!(group.place(order).last(), Some(Event::Rested { .. })));
}

#[test]
fn the_resting_order_yields_in_a_self_trade() {
    let mut group = Group::free();
    group.sell(ALICE, 10, 300);
    group.sell(BOB, 5, 300);
    let events = group.buy(ALICE, 5, 300);
    assert_eq!(cancelled(&events), [(10, CancelReason::SelfTrade)]);
    assert_eq!(fills(&events).len(), 1);
    assert_eq!(group.engine.resting_orders(), 0);
}

#[test]
fn one_command_meets_a_bounded_number_of_orders_and_never_rests_crossed() {
    let mut group = Group::free();
    for _ in 0..=MATCHES_MAX {
        group.sell(ALICE, 1, 300);
    }
    let events = group.buy(BOB, 200, 300);
    assert_eq!(fills(&events).len(), 128);
    assert_eq!(cancelled(&events), [(72, CancelReason::MatchLimit)]);
    // With one order left to meet, the next one rests behind it.
    assert!(matches!(group.buy(BOB, 2, 300).last(), Some(Event::Rested { remaining: Lots(1), .. })));
}

#[test]
fn fill_or_kill_needs_no_more_orders_than_are_certain_to_fit() {
    let most = u64::from(fill_or_kill_matches_max(2));
    assert_eq!((most, fill_or_kill_matches_max(48), fill_or_kill_matches_max(128)), (20, 14, 11));
    let mut group = Group::free();
    for _ in 0..=most {
        group.sell(ALICE, 1, 300);
    }
    let kill = Order { kind: OrderKind::FillOrKill, ..group.order(BOB, Side::Buy, most + 1, 300) };
    assert_eq!(*rejected(&group.place(kill)), Reject::NotFillable { size: Lots(most + 1), fillable: Lots(most) });
    let kill = Order { kind: OrderKind::FillOrKill, ..group.order(BOB, Side::Buy, most, 300) };
    assert_eq!(fills(&group.place(kill)).len(), usize::try_from(most).unwrap());
}

/// 130 fresh accounts, each with an order of an unused nonce word, in an event with many words of positions: the dearest
/// settlement that traders can arrange. One order may add only so much of it to a frame, and a fill-or-kill within its limit
/// still fills whole.
#[test]
fn one_order_cannot_make_a_frame_outgrow_a_transaction() {
    for outcomes in [2, 48, 128] {
        let mut group = Group::new(terms(outcomes, 1_000, 0));
        let makers = (CAROL + 1)..=(CAROL + 130);
        group.frame(1_001, makers.clone().map(|account| deposit(account, 1_000)).collect());
        for account in makers {
            let order = group.order(account, Side::Sell, 1, 300);
            group.place(Order { nonce: Nonce(order.nonce.0 * 1_000), ..order });
        }
        group.frame(2_000, vec![]);
        let before = group.engine.frame_gas();
        let most = u64::from(fill_or_kill_matches_max(outcomes));
        let kill = Order { kind: OrderKind::FillOrKill, ..group.order(BOB, Side::Buy, most, 300) };
        assert_eq!(fills(&group.place(kill)).len(), usize::try_from(most).unwrap(), "{outcomes} outcomes");
        assert!(group.engine.frame_gas() - before <= 3_700_000);

        group.frame(3_000, vec![]);
        let events = group.buy(BOB, 130, 300);
        let met = u64::try_from(fills(&events).len()).unwrap();
        assert!(met < MATCHES_MAX.into() && met >= most.min(130 - most), "{outcomes} outcomes: {met} met");
        assert!(group.engine.frame_gas() - before <= 3_700_000);
        if met + most < 130 {
            assert_eq!(cancelled(&events), [(130 - met, CancelReason::MatchLimit)]);
        }
    }
}

#[test]
fn self_trades_count_as_met() {
    let mut group = Group::free();
    for _ in 0..MATCHES_MAX {
        group.sell(BOB, 1, 300);
    }
    group.sell(ALICE, 1, 300);
    let events = group.buy(BOB, 1, 300);
    assert_eq!(fills(&events).len(), 0);
    assert_eq!(cancelled(&events).last(), Some(&(1, CancelReason::MatchLimit)));
}

// ---------------------------------------------------------------------- nonces and signers

#[test]
fn a_nonce_is_used_once_and_a_rejection_spends_none() {
    let mut group = Group::free();
    let order = Order { price: Ticks(1_000), ..group.order(ALICE, Side::Buy, 1, 1) };
    let nearest = Reject::BadPrice { price: Ticks(1_000), highest: Ticks(999), nearest: Ticks(999) };
    assert_eq!(*rejected(&group.place(order)), nearest);
    let order = Order { price: Ticks(1), ..order };
    assert!(matches!(group.place(order)[0], Event::Accepted { .. }));
    let next = Nonce(order.nonce.0 + 1);
    assert_eq!(*rejected(&group.place(order)), Reject::NonceSpent { nonce: order.nonce, next });
}

#[test]
fn a_cancelled_orders_nonce_stays_spent() {
    let mut group = Group::free();
    let order = group.order(ALICE, Side::Buy, 1, 1);
    group.place(order);
    let cancel = Command::Cancel(signed(ALICE, Cancel { account: order.account, nonce: order.nonce }));
    assert_eq!(cancelled(&group.apply(cancel.clone())), [(1, CancelReason::Requested)]);
    assert!(matches!(rejected(&group.apply(cancel)), Reject::UnknownOrder { .. }));
    assert!(matches!(rejected(&group.place(order)), Reject::NonceSpent { .. }));
}

#[test]
fn withdrawals_and_orders_share_nonces() {
    let mut group = Group::free();
    group.withdraw(ALICE, 1);
    let nonce = group.engine.account(AccountId(ALICE)).unwrap().next_nonce.0 - 1;
    let order = Order { nonce: Nonce(nonce), ..group.order(ALICE, Side::Buy, 1, 1) };
    assert!(matches!(rejected(&group.place(order)), Reject::NonceSpent { .. }));
}

#[test]
fn only_the_owner_acts_for_an_account() {
    let mut group = Group::free();
    let order = group.order(ALICE, Side::Buy, 1, 1);
    let account = order.account;
    let expected = Reject::NotAuthorized { account, recovered: owner(BOB), expected: owner(ALICE) };
    let withdraw = Withdraw { account, token: TOKEN, amount: 1, nonce: Nonce(900), expiry: TimeMs(0) };
    for command in [
        Command::place(signed(BOB, order)),
        Command::Cancel(signed(BOB, Cancel { account, nonce: Nonce(1) })),
        Command::CancelAll(signed(BOB, CancelAll { account, below: Nonce(1) })),
        Command::Withdraw(signed(BOB, withdraw)),
    ] {
        assert_eq!(*rejected(&group.apply(command)), expected);
    }
}

#[test]
fn cancel_all_cancels_below_the_floor_and_keeps_the_rest() {
    let mut group = Group::free();
    let orders: Vec<_> = (0..3).map(|_| group.order(ALICE, Side::Buy, 1, 1)).collect();
    orders.iter().for_each(|order| drop(group.place(*order)));
    let below = orders[2].nonce;
    let events = group.apply(Command::CancelAll(signed(ALICE, CancelAll { account: AccountId(ALICE), below })));
    assert_eq!(cancelled(&events), [(1, CancelReason::BelowFloor); 2]);
    assert_eq!(events.last(), Some(&Event::FloorRaised { account: AccountId(ALICE), floor: below }));
    assert_eq!(group.engine.open_orders(AccountId(ALICE)).len(), 1);
    let lower = CancelAll { account: AccountId(ALICE), below: Nonce(0) };
    let events = group.apply(Command::CancelAll(signed(ALICE, lower)));
    assert_eq!(events, [Event::FloorRaised { account: AccountId(ALICE), floor: below }], "a floor never falls");
}

// ---------------------------------------------------------------------- margin

#[test]
fn a_bid_holds_back_its_cost_and_an_ask_its_loss() {
    let mut group = Group::free();
    group.buy(ALICE, 10, 300);
    assert_eq!(group.available(ALICE), DEPOSIT - 3_000);
    group.sell(BOB, 10, 400);
    assert_eq!(group.available(BOB), DEPOSIT - 6_000);
}

#[test]
fn bids_on_all_outcomes_hold_back_only_what_a_winner_leaves_lost() {
    let mut group = Group::free();
    group.buy(ALICE, 10, 300);
    let other = Order { market: MarketId::new(EVENT, 1), ..group.order(ALICE, Side::Buy, 10, 500) };
    group.place(other);
    // At worst only the dearer bid fills, or both fill and one of them wins more than both cost.
    assert_eq!(group.available(ALICE), DEPOSIT - 5_000);
}

#[test]
fn one_of_each_outcome_is_worth_certainty_and_can_be_withdrawn() {
    let mut group = Group::free();
    for outcome in 0..2 {
        let ask = Order { market: MarketId::new(EVENT, outcome), ..group.order(BOB, Side::Sell, 10, 500) };
        let bid = Order { market: MarketId::new(EVENT, outcome), ..group.order(ALICE, Side::Buy, 10, 500) };
        group.place(ask);
        group.place(bid);
    }
    let alice = group.engine.account(AccountId(ALICE)).unwrap();
    assert_eq!((alice.cash.0, alice.worst_payoff.0, alice.available.0), (DEPOSIT - 10_000, 10_000, DEPOSIT));
    let events = group.withdraw(ALICE, DEPOSIT.unsigned_abs());
    assert!(matches!(events[..], [Event::Withdrawn { forced: false, .. }]));
    assert_eq!(group.cash(ALICE), -10_000);
    assert_eq!(group.available(ALICE), 0);
}

#[test]
fn an_order_that_frees_margin_is_accepted_with_nothing_available() {
    let mut group = Group::free();
    group.buy(ALICE, 1_000, 500);
    group.sell(BOB, 1_000, 500);
    let spare = group.available(ALICE);
    group.withdraw(ALICE, spare.unsigned_abs());
    assert_eq!(group.available(ALICE), 0);
    assert!(matches!(rejected(&group.buy(ALICE, 1, 1)), Reject::InsufficientFunds { .. }));
    assert!(matches!(group.sell(ALICE, 1_000, 400).last(), Some(Event::Rested { .. })));
}

#[test]
fn a_shortfall_names_what_is_free_and_what_is_needed() {
    let mut group = Group::free();
    group.buy(ALICE, 1_000, 900);
    let expected = Reject::InsufficientFunds {
        cash: Atoms(DEPOSIT),
        worst_payoff: Atoms(0),
        reserved: Atoms(900_000),
        available: Atoms(100_000),
        required: Atoms(100_100),
    };
    let order = Order { market: MarketId::new(EVENT, 0), ..group.order(ALICE, Side::Buy, 1_001, 100) };
    assert_eq!(*rejected(&group.place(order)), expected);
}

#[test]
fn positions_are_bounded_with_resting_orders_counted() {
    let mut group = Group::new(EventConfig { ticks: 2, ..terms(2, 0, 0) });
    group.frame(1_001, vec![deposit(ALICE, 1 << 60), deposit(BOB, 1 << 60)]);
    group.sell(ALICE, SIZE_MAX, 1);
    group.buy(BOB, SIZE_MAX, 1);
    // Bob is long and Alice short by one full order: each may add one less in that direction, and one more in the other.
    let limit = Reject::PositionLimit { market: MarketId::new(EVENT, 0), limit: Lots(POSITION_MAX) };
    let full = POSITION_MAX / SIZE_MAX;
    let rest = |group: &mut Group, account, side, orders| {
        for _ in 0..orders {
            let order = group.order(account, side, SIZE_MAX, 1);
            assert!(matches!(group.place(order).last(), Some(Event::Rested { .. })));
        }
        let order = group.order(account, side, 1, 1);
        assert_eq!(*rejected(&group.place(order)), limit);
        let elsewhere = Order { market: MarketId::new(EVENT, 1), ..group.order(account, side, 1, 1) };
        assert!(matches!(group.place(elsewhere)[0], Event::Accepted { .. }), "another market has its own limit");
        let below = Nonce(elsewhere.nonce.0 + 1);
        group.apply(Command::CancelAll(signed(account, CancelAll { account: elsewhere.account, below })));
    };
    rest(&mut group, BOB, Side::Buy, full - 1);
    rest(&mut group, BOB, Side::Sell, full + 1);
    rest(&mut group, ALICE, Side::Sell, full - 1);
    rest(&mut group, ALICE, Side::Buy, full + 1);
}

#[test]
fn resting_orders_are_bounded() {
    let mut group = Group::free();
    for _ in 0..ORDERS_MAX {
        let order = group.order(ALICE, Side::Buy, 1, 1);
        group.engine.apply(&Command::place(signed(ALICE, order)).into(), &mut vec![]);
    }
    assert_eq!(*rejected(&group.buy(ALICE, 1, 1)), Reject::TooManyOrders { limit: ORDERS_MAX as u64 });
}

#[test]
fn the_largest_terms_and_sizes_do_not_overflow() {
    let config = EventConfig { outcomes: 128, ticks: 1_000_000, labels: vec![], ..terms(2, 1_000_000, 1_000_000) };
    let mut group = Group::new(with(config, |terms| terms.quantum = 1_000_000_000_000));
    for _ in 0..600 {
        let funds = [ALICE, BOB].map(|account| deposit(account, 1 << 96));
        group.engine.apply(
            &Command::Frame {
                time: TimeMs(2_000),
                inbox: (group.engine.next_inbox()..)
                    .zip(funds)
                    .map(|(index, payload)| InboxItem { index, time: TimeMs(0), payload })
                    .collect(),
                prices: vec![],
            }
            .into(),
            &mut vec![],
        );
    }
    for (account, side, price) in [(ALICE, Side::Buy, 999_999), (BOB, Side::Sell, 1)] {
        let all_in = Order { max_fee: Ppm(u32::MAX), ..group.order(account, side, SIZE_MAX, price) };
        assert!(matches!(group.place(all_in)[0], Event::Accepted { .. }));
    }
    assert_eq!(group.engine.positions(AccountId(ALICE)), [(MarketId::new(EVENT, 0), Position(1_000_000_000_000))]);
}

// ---------------------------------------------------------------------- fees

#[test]
fn fees_go_to_the_treasury_and_round_up_once_per_order() {
    let mut group = Group::new(terms(2, 100, 50));
    let ask = group.order(ALICE, Side::Sell, 40, 3);
    group.place(ask);
    // 40 fills worth 3 atoms each: 120 atoms at 50 and 100 millionths, so each party owes one atom in all, per order.
    for _ in 0..40 {
        group.buy(BOB, 1, 3);
    }
    assert_eq!(group.cash(ALICE), DEPOSIT + 120 - 1);
    assert_eq!(group.cash(BOB), DEPOSIT - 120 - 40, "forty orders, each with its own atom");
    assert_eq!(group.engine.event(EVENT).unwrap().fees, Atoms(41));
    assert_eq!(group.cash(TREASURY), DEPOSIT, "fees are nobody's cash before their frame is sealed");
    assert_eq!(group.engine.accrued_fees()[&AccountId(TREASURY)], Atoms(41));
    let events = group.frame(2_000, vec![]);
    assert!(events.contains(&Event::FeesPaid { account: AccountId(TREASURY), amount: Atoms(41) }));
    assert_eq!(group.cash(TREASURY), DEPOSIT + 41);
}

#[test]
fn an_order_must_allow_the_venues_higher_fee() {
    let mut group = Group::new(terms(2, 100, 250));
    let order = Order { max_fee: Ppm(249), ..group.order(ALICE, Side::Buy, 1, 1) };
    assert_eq!(*rejected(&group.place(order)), Reject::FeeTooLow { max_fee: Ppm(249), required: Ppm(250) });
}

#[test]
fn a_resting_order_holds_back_its_fee() {
    let mut group = Group::new(terms(2, 0, 100_000));
    group.buy(ALICE, 10, 100);
    assert_eq!(group.available(ALICE), DEPOSIT - 1_000 - 100);
}

// ---------------------------------------------------------------------- frames

#[test]
fn an_empty_frame_spends_no_id() {
    let mut group = Group::free();
    let first = group.frame(2_000, vec![]);
    assert_eq!(sealed(&first).unwrap().id, 1, "it held the deposits");
    group.buy(ALICE, 1, 1);
    assert!(group.frame(3_000, vec![]).is_empty(), "a resting order settles nothing");
    assert_eq!(group.engine.frames_sealed(), 1);
    group.withdraw(ALICE, 1);
    assert_eq!(sealed(&group.frame(4_000, vec![])).unwrap().id, 2);
}

#[test]
fn a_frame_ends_with_the_last_command_before_the_next() {
    let mut group = Group::free();
    group.withdraw(ALICE, 1);
    let (sequence, log_hash) = (group.engine.sequence(), group.engine.log_hash());
    let events = group.frame(5_000, vec![]);
    let frame = sealed(&events).unwrap();
    assert_eq!((frame.sequence, frame.log_hash, frame.time), (sequence, log_hash, TimeMs(1_000)));
    assert_eq!(group.engine.frame_time(), TimeMs(5_000));
}

#[test]
fn time_never_goes_back() {
    let mut group = Group::free();
    group.frame(5_000, vec![]);
    group.frame(4_000, vec![]);
    assert_eq!(group.engine.frame_time(), TimeMs(5_000));
}

#[test]
fn fills_are_netted_per_order_in_order_of_first_fill() {
    let mut group = Group::free();
    group.frame(2_000, vec![]);
    let maker = group.order(ALICE, Side::Sell, 10, 300);
    group.place(maker);
    let (first, second) = (group.order(BOB, Side::Buy, 4, 300), group.order(CAROL, Side::Buy, 3, 310));
    group.place(first);
    group.place(second);
    let events = group.frame(3_000, vec![]);
    let frame = sealed(&events).unwrap();
    let (market, lines) = &frame.markets[0];
    assert_eq!(*market, maker.market);
    let lines: Vec<_> = lines.iter().map(|line| (line.order.message, line.filled.0, line.notional)).collect();
    assert_eq!(lines, [(maker, 7, 2_100), (first, 4, 1_200), (second, 3, 900)]);
    // A later frame has a line of its own for what fills there.
    group.buy(BOB, 3, 300);
    let events = group.frame(4_000, vec![]);
    assert_eq!(sealed(&events).unwrap().markets[0].1[0].filled, Lots(3));
}

#[test]
fn orders_expire_when_a_frame_opens_after_their_time() {
    let mut group = Group::free();
    let order = Order { expiry: TimeMs(2_000), ..group.order(ALICE, Side::Buy, 1, 1) };
    group.place(order);
    assert_eq!(cancelled(&group.frame(2_000, vec![])), []);
    assert_eq!(cancelled(&group.frame(2_001, vec![])), [(1, CancelReason::Expired)]);
    let late = Order { expiry: TimeMs(2_000), ..group.order(ALICE, Side::Buy, 1, 1) };
    assert_eq!(*rejected(&group.place(late)), Reject::Expired { expiry: TimeMs(2_000), time: TimeMs(2_001) });
}

#[test]
fn estimated_gas_grows_with_what_must_settle() {
    let mut group = Group::free();
    group.frame(2_000, vec![]);
    let empty = group.engine.frame_gas();
    group.sell(ALICE, 10, 300);
    assert_eq!(group.engine.frame_gas(), empty, "what rests settles nothing");
    let mut last = empty;
    let mut added = |group: &Group| {
        let now = group.engine.frame_gas();
        now - std::mem::replace(&mut last, now)
    };
    group.buy(BOB, 1, 300);
    let market_and_two_first_lines = added(&group);
    group.buy(BOB, 1, 300);
    let one_more_line = added(&group);
    assert!(one_more_line > 12_000 && market_and_two_first_lines > 4 * one_more_line);
    group.withdraw(BOB, 1);
    assert!(added(&group) > 100_000);
}

// ---------------------------------------------------------------------- inbox

#[test]
fn resolution_cancels_orders_and_pays_holders_in_the_same_frame() {
    let mut group = Group::free();
    group.sell(BOB, 10, 400);
    group.buy(ALICE, 10, 400);
    group.buy(CAROL, 5, 100);
    let events = group.frame(2_000, vec![resolve(&[1_000, 0])]);
    assert_eq!(cancelled(&events), [(5, CancelReason::EventResolved)]);
    assert_eq!((group.cash(ALICE), group.cash(BOB)), (DEPOSIT + 6_000, DEPOSIT - 6_000));
    assert_eq!(group.engine.event(EVENT).unwrap().status, EventStatus::Resolved);
    let closed = Reject::MarketClosed { market: MarketId::new(EVENT, 0), event: EVENT };
    assert_eq!(*rejected(&group.buy(ALICE, 1, 1)), closed);
}

#[test]
fn a_void_pays_every_outcome_its_share() {
    let mut group = Group::free();
    group.sell(BOB, 10, 400);
    group.buy(ALICE, 10, 400);
    group.frame(2_000, vec![resolve(&[500, 500])]);
    assert_eq!((group.cash(ALICE), group.cash(BOB)), (DEPOSIT + 1_000, DEPOSIT - 1_000));
}

#[test]
fn redemptions_beyond_a_frames_gas_wait_for_the_next_frames() {
    let mut group = Group::new(terms(48, 0, 0));
    let holders = 300;
    let accounts = (CAROL + 1)..=(CAROL + holders);
    group.frame(1_001, accounts.clone().map(|account| deposit(account, 1_000)).collect());
    group.sell(ALICE, holders, 1);
    for account in accounts.clone() {
        group.buy(account, 1, 1);
    }
    let mut payouts = vec![0; 48];
    payouts[0] = 1_000;
    group.frame(2_000, vec![resolve(&payouts)]);
    let per_frame = group.engine.frame_gas();
    assert!(per_frame > REDEMPTION_GAS_PER_FRAME / 2 && per_frame < 2 * REDEMPTION_GAS_PER_FRAME);
    let per_frame = usize::try_from(REDEMPTION_GAS_PER_FRAME / (10_000 + 22_100 + 10_000 + 12 * 8_000)).unwrap();
    let total = usize::try_from(holders).unwrap() + 1;
    assert_eq!(group.engine.pending_redemptions(), total - per_frame);
    assert_eq!(group.cash(ALICE), DEPOSIT + 300 - 300_000, "the lowest account number is paid first");
    let waiting = group.engine.account(AccountId(CAROL + holders)).unwrap();
    assert_eq!((waiting.cash.0, waiting.worst_payoff.0), (999, 0));
    let mut redeemed = vec![];
    for frame in 1..=20 {
        let events = group.frame(2_000 + frame, vec![]);
        redeemed.extend(sealed(&events).map(|frame| frame.redemptions.len()));
    }
    assert_eq!(redeemed.iter().sum::<usize>(), total);
    assert!(redeemed.iter().all(|count| *count <= per_frame));
    assert_eq!(group.cash(CAROL + holders), 999 + 1_000);
}

#[test]
fn a_forced_withdrawal_frees_reserves_and_pays_what_positions_allow() {
    let mut group = Group::free();
    group.sell(BOB, 100, 400);
    group.buy(ALICE, 100, 400);
    group.buy(BOB, 100, 300);
    let force = |account, amount| InboxPayload::ForcedWithdrawal { account: AccountId(account), token: TOKEN, amount };
    let events = group.frame(2_000, vec![force(BOB, u128::MAX)]);
    let paid = DEPOSIT + 40_000 - 100_000;
    assert_eq!(cancelled(&events), [(100, CancelReason::ForcedWithdrawal)]);
    assert_eq!(events.last(), Some(&Event::Withdrawn { account: AccountId(BOB), amount: Atoms(paid), forced: true }));
    let events = group.frame(3_000, vec![force(BOB, 1)]);
    assert_eq!(events.len(), 1, "nothing to spare pays nothing: only the frame before was sealed");
}

#[test]
fn a_deposit_opens_an_account_once_for_its_owner() {
    let mut group = Group::free();
    let events = group.frame(2_000, vec![deposit(7, 7), deposit(7, 8)]);
    let account = AccountId(7);
    let expected = [
        Event::AccountOpened { account, owner: owner(7) },
        Event::Deposited { account, amount: Atoms(7) },
        Event::Deposited { account, amount: Atoms(8) },
    ];
    assert_eq!(events[1..], expected);
    assert_eq!(group.engine.accounts_of(owner(7)), [account]);
}

#[test]
#[should_panic(expected = "the node passes inbox items on in order, without gaps")]
fn a_gap_in_the_inbox_stops_the_group() {
    let item = InboxItem { index: 1, time: TimeMs(0), payload: deposit(1, 1) };
    let frame = Command::Frame { time: TimeMs(1), inbox: vec![item], prices: vec![] };
    Engine::new(config()).apply(&frame.into(), &mut vec![]);
}

// ---------------------------------------------------------------------- who gets the fees

fn fees_paid(events: &[Event]) -> Vec<(u64, i128)> {
    let of = |event: &Event| match event {
        Event::FeesPaid { account, amount } => Some((account.0, amount.0)),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

/// Bob is referred by Carol, on a venue that shares its fees like this.
fn refer_bob(group: &mut Group, shares: [u32; 3]) {
    let referrer = BuilderId(1);
    let registered = InboxPayload::BuilderSet { builder: referrer, account: AccountId(CAROL) };
    let referred = InboxPayload::ReferrerSet { account: AccountId(BOB), referrer };
    group.frame(1_001, vec![venue(shares), registered, referred]);
}

#[test]
fn a_venue_shares_its_fees_rounding_in_favour_of_its_treasury() {
    let mut group = Group::new(terms(2, 1_000, 0));
    group.frame(1_001, vec![venue([300_000, 200_000, 0])]);
    group.sell(ALICE, 9, 500);
    group.buy(BOB, 9, 500);
    // 4,500 atoms at 1,000 millionths are a fee of 5, of which 30 % are 1 and 20 % are 1.
    assert_eq!(fees_paid(&group.frame(2_000, vec![])), [(INSURANCE, 1), (PROTOCOL, 1), (TREASURY, 3)]);
}

#[test]
fn shares_are_of_a_markets_fees_in_a_frame_and_not_of_each_fee() {
    let mut group = Group::new(terms(2, 1_000, 0));
    group.frame(1_001, vec![venue([300_000, 0, 0])]);
    group.sell(ALICE, 20, 500);
    for _ in 0..4 {
        group.buy(BOB, 2, 500);
    }
    let paid = fees_paid(&group.frame(2_000, vec![]));
    assert_eq!(paid, [(PROTOCOL, 1), (TREASURY, 3)], "30 % of 4, not four times 30 % of 1");
}

#[test]
fn a_referrer_gets_its_share_of_each_line_before_the_others() {
    let mut group = Group::new(terms(2, 10_000, 0));
    refer_bob(&mut group, [500_000, 0, 250_000]);
    group.sell(ALICE, 40, 500);
    group.buy(BOB, 20, 500);
    group.buy(TREASURY, 20, 500);
    // 100 of each buyer; a quarter of Bob's goes to Carol, half of the other 175 to the protocol.
    assert_eq!(fees_paid(&group.frame(2_000, vec![])), [(PROTOCOL, 87), (TREASURY, 88), (CAROL, 25)]);
    assert_eq!(group.cash(CAROL), DEPOSIT + 25);
}

#[test]
fn the_insurance_fund_and_the_protocols_treasury_exist_from_the_start() {
    let engine = Engine::new(config());
    assert_eq!(engine.accounts_of(config().governance), [AccountId::INSURANCE, AccountId::PROTOCOL]);
    assert_eq!(engine.account(AccountId::PROTOCOL).unwrap().cash, Atoms(0));
}

#[test]
fn a_maker_is_paid_its_rebate_out_of_the_takers_fee() {
    let mut group = Group::new(terms(2, 1_000, -400));
    group.sell(ALICE, 100, 500);
    assert_eq!(group.available(ALICE), DEPOSIT - 50_000, "a rebate reserves nothing");
    let fill = fills(&group.buy(BOB, 100, 500))[0];
    assert_eq!((fill.taker_fee, fill.maker_fee), (Atoms(50), Atoms(-20)));
    assert_eq!(group.cash(ALICE), DEPOSIT + 50_000 + 20);
    assert_eq!(fees_paid(&group.frame(2_000, vec![])), [(TREASURY, 30)]);
}

#[test]
fn a_rebate_leaves_the_takers_referrer_its_share() {
    let mut group = Group::new(terms(2, 1_000, -1_000));
    refer_bob(&mut group, [0, 0, 300_000]);
    group.sell(ALICE, 100, 500);
    let fill = fills(&group.buy(BOB, 100, 500))[0];
    assert_eq!((fill.taker_fee, fill.maker_fee), (Atoms(50), Atoms(-35)));
    assert_eq!(fees_paid(&group.frame(2_000, vec![])), [(CAROL, 15)]);
}

#[test]
fn on_the_curve_a_fee_is_on_price_times_its_complement() {
    let mut group = Group::new(with(terms(2, 10_000, 0), |terms| terms.curve = true));
    group.sell(ALICE, 10, 900);
    // 9,000 atoms, of which a tenth counts.
    assert_eq!(fills(&group.buy(BOB, 10, 900))[0].taker_fee, Atoms(9));
}

// ---------------------------------------------------------------------- caps, phases, members

#[test]
fn a_position_cap_counts_resting_orders() {
    let mut group = Group::new(with(terms(2, 0, 0), |terms| terms.position_cap = Lots(10)));
    group.buy(ALICE, 6, 400);
    let limit = Reject::PositionLimit { market: MarketId::new(EVENT, 0), limit: Lots(10) };
    assert_eq!(*rejected(&group.buy(ALICE, 5, 400)), limit);
    assert!(matches!(group.buy(ALICE, 4, 400)[0], Event::Accepted { .. }));
}

#[test]
fn a_match_above_the_cap_on_open_interest_does_not_happen() {
    let mut group = Group::new(with(terms(2, 0, 0), |terms| terms.open_interest_cap = Lots(10)));
    group.sell(ALICE, 6, 400);
    group.sell(ALICE, 6, 410);
    let events = group.buy(BOB, 12, 410);
    assert_eq!(fills(&events).len(), 1);
    assert_eq!(cancelled(&events), [(6, CancelReason::OpenInterestCap)]);
    let kill = Order { kind: OrderKind::FillOrKill, ..group.order(CAROL, Side::Buy, 5, 410) };
    let full = Reject::OpenInterestCap { market: MarketId::new(EVENT, 0), open: Lots(6), cap: Lots(10) };
    assert_eq!(*rejected(&group.place(kill)), full);
    // Who closes opens nothing.
    group.buy(ALICE, 6, 400);
    assert_eq!(fills(&group.sell(BOB, 6, 400)).len(), 1);
}

#[test]
fn who_closes_with_one_order_and_opens_with_the_next_is_foreseen() {
    let mut group = Group::new(with(terms(2, 0, 0), |terms| terms.open_interest_cap = Lots(10)));
    group.sell(BOB, 6, 400);
    group.buy(ALICE, 6, 400);
    group.sell(ALICE, 6, 410);
    group.sell(ALICE, 6, 420);
    let order = group.order(CAROL, Side::Buy, 12, 420);
    let foreseen = group.engine.preview(&order, Instructions::default()).unwrap();
    assert_eq!((foreseen.filled, foreseen.rests), (Lots(6), Lots(0)));
    assert_eq!(cancelled(&group.place(order)), [(6, CancelReason::OpenInterestCap)]);
}

fn phase(phase: Phase) -> InboxPayload {
    InboxPayload::PhaseSet { market: MarketId::new(EVENT, 0), phase }
}

#[test]
fn in_its_reduce_only_phase_a_market_lets_positions_shrink_only() {
    let mut group = Group::free();
    group.sell(BOB, 10, 400);
    group.buy(ALICE, 10, 400);
    group.buy(CAROL, 5, 390);
    group.sell(ALICE, 8, 500);
    group.sell(ALICE, 8, 600);
    let events = group.frame(2_000, vec![phase(Phase::ReduceOnly)]);
    // Of Alice's asks the first one closes a part of her position; both together would turn it.
    assert_eq!(cancelled(&events), [(5, CancelReason::OnlyReducing), (8, CancelReason::OnlyReducing)]);
    assert_eq!(group.engine.event(EVENT).unwrap().status, EventStatus::ReduceOnly);
    let market = MarketId::new(EVENT, 0);
    let refusal = |position, reducible| {
        let (position, reducible) = (Position(position), Lots(reducible));
        Reject::OnlyReducing { market, position, reducible, why: Restriction::Phase }
    };
    assert_eq!(*rejected(&group.sell(ALICE, 3, 500)), refusal(10, 2));
    assert_eq!(*rejected(&group.buy(CAROL, 1, 1)), refusal(0, 0));
    assert_eq!(fills(&group.buy(BOB, 8, 500)).len(), 1, "Bob buys back what he sold");
    group.frame(3_000, vec![phase(Phase::Open)]);
    assert!(matches!(group.buy(CAROL, 1, 1)[0], Event::Accepted { .. }));
}

#[test]
fn a_halted_market_keeps_its_orders_and_takes_none() {
    let mut group = Group::free();
    group.buy(ALICE, 5, 400);
    assert_eq!(cancelled(&group.frame(2_000, vec![phase(Phase::Halted)])), []);
    let halted = Reject::MarketHalted { market: MarketId::new(EVENT, 0), event: EVENT };
    assert_eq!(*rejected(&group.sell(BOB, 5, 400)), halted);
    group.frame(3_000, vec![phase(Phase::Open)]);
    assert_eq!(fills(&group.sell(BOB, 5, 400)).len(), 1);
    group.frame(4_000, vec![phase(Phase::Halted), resolve(&[1_000, 0])]);
    assert_eq!(group.cash(ALICE), DEPOSIT + 3_000, "a halted event can be decided");
}

fn member(account: u64, until: u64) -> InboxPayload {
    InboxPayload::MembershipSet { account: AccountId(account), venue: VENUE, until: TimeMs(until) }
}

#[test]
fn only_members_take_new_risk_where_a_venue_wants_it_so() {
    let mut group = Group::new(with(terms(2, 0, 0), |terms| terms.restricted = true));
    assert!(matches!(rejected(&group.buy(ALICE, 1, 1)), Reject::OnlyReducing { why: Restriction::Membership, .. }));
    group.frame(2_000, vec![member(ALICE, 3_000), member(BOB, 9_000)]);
    group.buy(ALICE, 10, 400);
    group.sell(BOB, 10, 400);
    group.buy(ALICE, 5, 300);
    group.sell(ALICE, 10, 700);
    assert_eq!(cancelled(&group.frame(3_000, vec![])), []);
    // Her membership is over: what buys leaves, what sells may stay.
    assert_eq!(cancelled(&group.frame(3_001, vec![])), [(5, CancelReason::OnlyReducing)]);
    assert_eq!(fills(&group.buy(BOB, 10, 700)).len(), 1);
    group.sell(BOB, 5, 800);
    assert_eq!(cancelled(&group.frame(4_000, vec![member(BOB, 0)])), [(5, CancelReason::OnlyReducing)]);
}

#[test]
fn where_only_isolated_accounts_may_hold_nobody_opens_a_position() {
    let mut group = Group::new(with(terms(2, 0, 0), |terms| terms.isolated_only = true));
    assert!(matches!(rejected(&group.buy(ALICE, 1, 1)), Reject::OnlyReducing { why: Restriction::IsolatedOnly, .. }));
}

// ---------------------------------------------------------------------- requests by transaction

#[test]
fn an_owner_can_cancel_everything_by_transaction() {
    let mut group = Group::free();
    let orders: Vec<_> = (0..3).map(|_| group.order(ALICE, Side::Buy, 1, 1)).collect();
    orders.iter().for_each(|order| drop(group.place(*order)));
    let floor = orders[2].nonce;
    let events = group.frame(2_000, vec![InboxPayload::CancelAll { account: AccountId(ALICE), floor }]);
    assert_eq!(cancelled(&events), [(1, CancelReason::BelowFloor); 2]);
    assert_eq!(events.last(), Some(&Event::FloorRaised { account: AccountId(ALICE), floor }));
    let late = Order { nonce: Nonce(floor.0 - 1), ..orders[0] };
    assert!(matches!(rejected(&group.place(late)), Reject::NonceSpent { .. }));
}

#[test]
fn a_forced_withdrawal_sees_the_whole_inbox_before_it_pays() {
    let mut group = Group::free();
    let force = InboxPayload::ForcedWithdrawal { account: AccountId(ALICE), token: TOKEN, amount: u128::MAX };
    let events = group.frame(2_000, vec![force, deposit(ALICE, 5)]);
    let amount = Atoms(DEPOSIT + 5);
    assert_eq!(events.last(), Some(&Event::Withdrawn { account: AccountId(ALICE), amount, forced: true }));
}

#[test]
fn requests_for_what_does_not_exist_here_change_nothing() {
    let mut group = Group::free();
    let isolated = AccountId(1 << 63 | ALICE << 32 | 512);
    let liquidate = Liquidate {
        keeper: AccountId(ALICE),
        account: AccountId(BOB),
        market: MarketId(512),
        size: Lots(1),
        limit: 1,
        nonce: Nonce(1),
        expiry: TimeMs(0),
    };
    let items = vec![
        InboxPayload::ForcedWithdrawal { account: isolated, token: TOKEN, amount: 1 },
        InboxPayload::CancelAll { account: isolated, floor: Nonce(9) },
        InboxPayload::ForcedClose { account: isolated, market: MarketId(512) },
        InboxPayload::ForcedLiquidation(liquidate),
    ];
    let count = items.len();
    let events = group.frame(2_000, items);
    assert!(matches!(events[..], [Event::FrameSealed(_), Event::RescueRefused { .. }]), "{events:?}");
    assert_eq!(sealed(&group.frame(3_000, vec![])).unwrap().inbox.len(), count, "they are consumed all the same");
}

#[test]
fn changed_terms_of_the_group_are_told() {
    let mut group = Group::free();
    let terms = GroupTerms { sequencer: owner(77), max_holdings: 3, keeper_share: Ppm(1), grace: 5 };
    let events = group.frame(2_000, vec![InboxPayload::TermsSet(terms)]);
    assert_eq!(events.last(), Some(&Event::TermsSet(terms)));
}

// ---------------------------------------------------------------------- keys that act for accounts

const AGENT: Address = Address::repeat_byte(0xa9);

fn grant(change: impl FnOnce(&mut SignerGrant)) -> InboxPayload {
    let mut grant = SignerGrant {
        signer: AGENT,
        expiry: TimeMs(5_000),
        max_notional: 0,
        trade: true,
        withdraw: false,
        venues: [VenueId(0); 3],
    };
    change(&mut grant);
    InboxPayload::SignerSet { account: AccountId(ALICE), grant }
}

#[test]
fn a_key_trades_within_its_scope() {
    type Change = fn(&mut SignerGrant);
    let cases: [(bool, Change); 7] = [
        (true, |_| {}),
        (true, |grant| grant.max_notional = 4_000),
        (false, |grant| grant.max_notional = 3_999),
        (true, |grant| grant.venues = [VenueId(7), VENUE, VenueId(0)]),
        (false, |grant| grant.venues = [VenueId(7), VenueId(0), VenueId(0)]),
        (false, |grant| grant.trade = false),
        (false, |grant| grant.expiry = TimeMs(0)),
    ];
    let mut group = Group::free();
    let order = group.order(ALICE, Side::Buy, 10, 400);
    assert!(matches!(rejected(&group.place_as(AGENT, order)), Reject::NotAuthorized { .. }));
    for (index, (allowed, change)) in cases.into_iter().enumerate() {
        group.frame(2_000, vec![grant(change)]);
        let order = group.order(ALICE, Side::Buy, 10, 400);
        let accepted = matches!(group.place_as(AGENT, order)[0], Event::Accepted { .. });
        assert_eq!(accepted, allowed, "case {index}");
    }
}

#[test]
fn a_key_moves_no_money_unless_it_may() {
    let mut group = Group::free();
    group.frame(2_000, vec![grant(|_| {})]);
    let message = Withdraw { account: AccountId(ALICE), token: TOKEN, amount: 1, nonce: Nonce(900), expiry: TimeMs(0) };
    let by_agent = Command::Withdraw(Signed { signer: AGENT, ..signed(ALICE, message) });
    assert!(matches!(rejected(&group.apply(by_agent.clone())), Reject::NotAuthorized { .. }));
    group.frame(2_001, vec![grant(|grant| (grant.trade, grant.withdraw) = (false, true))]);
    assert!(matches!(group.apply(by_agent)[..], [Event::Withdrawn { .. }]));
}

#[test]
fn a_keys_orders_leave_with_its_right_to_trade_them() {
    let mut group = Group::free();
    let rest = |group: &mut Group| {
        let order = group.order(ALICE, Side::Buy, 10, 400);
        assert!(matches!(group.place_as(AGENT, order).last(), Some(Event::Rested { .. })));
    };
    group.buy(ALICE, 3, 400);
    let changes: [fn(&mut SignerGrant); 2] = [|grant| grant.expiry = TimeMs(0), |grant| grant.max_notional = 1];
    for change in changes {
        group.frame(2_000, vec![grant(|_| {})]);
        rest(&mut group);
        assert_eq!(cancelled(&group.frame(2_000, vec![grant(change)])), [(10, CancelReason::SignerRevoked)]);
    }
    group.frame(2_100, vec![grant(|_| {})]);
    rest(&mut group);
    assert_eq!(cancelled(&group.frame(5_000, vec![])), []);
    assert_eq!(cancelled(&group.frame(5_001, vec![])), [(10, CancelReason::SignerRevoked)]);
    assert_eq!(group.engine.open_orders(AccountId(ALICE)).len(), 1, "the owner's own order stays");
}

#[test]
fn a_key_cancels_where_it_may_trade() {
    let mut group = Group::free();
    group.frame(2_000, vec![grant(|grant| grant.venues[0] = VENUE)]);
    let order = group.order(ALICE, Side::Buy, 10, 400);
    group.place(order);
    let all = CancelAll { account: AccountId(ALICE), below: Nonce(999) };
    let by_agent = Signed { signer: AGENT, ..signed(ALICE, all) };
    assert!(matches!(rejected(&group.apply(Command::CancelAll(by_agent))), Reject::NotAuthorized { .. }));
    let one = Cancel { account: AccountId(ALICE), nonce: order.nonce };
    let by_agent = Signed { signer: AGENT, ..signed(ALICE, one) };
    assert_eq!(cancelled(&group.apply(Command::Cancel(by_agent))), [(10, CancelReason::Requested)]);
}

// ---------------------------------------------------------------------- changing orders

fn replace(old: Order, order: Order) -> Command {
    let instructions = Instructions::default();
    Command::Replace { nonce: old.nonce, order: signed(order.account.0, order), instructions }
}

fn amend(order: Order, size: u64) -> Command {
    let Order { account, nonce, .. } = order;
    Command::Amend(signed(account.0, Amend { account, nonce, size: Lots(size) }))
}

fn reduced(events: &[Event]) -> Vec<(u64, u64, CancelReason)> {
    let reduced = |event: &Event| match event {
        Event::Reduced { by, remaining, reason, .. } => Some((by.0, remaining.0, *reason)),
        _ => None,
    };
    events.iter().filter_map(reduced).collect()
}

#[test]
fn a_replacement_takes_the_old_order_out_and_trades_or_rests() {
    let mut group = Group::free();
    group.sell(BOB, 4, 300);
    let old = group.order(ALICE, Side::Buy, 10, 200);
    group.place(old);
    let new = group.order(ALICE, Side::Buy, 10, 300);
    let events = group.apply(replace(old, new));
    assert_eq!(cancelled(&events), [(10, CancelReason::Replaced)]);
    assert_eq!(fills(&events).len(), 1);
    assert!(matches!(events.last(), Some(Event::Rested { remaining: Lots(6), price: Ticks(300), .. })));
    assert_eq!(group.available(ALICE), DEPOSIT - 3_000);
}

#[test]
fn a_refused_replacement_leaves_the_old_order_and_its_place_in_the_queue() {
    let mut group = Group::free();
    let old = group.order(ALICE, Side::Buy, 10, 200);
    group.place(old);
    group.buy(CAROL, 10, 200);
    let available = group.available(ALICE);
    let dear = group.order(ALICE, Side::Buy, 5_000, 999);
    assert!(matches!(rejected(&group.apply(replace(old, dear))), Reject::InsufficientFunds { .. }));
    assert_eq!(group.available(ALICE), available);
    assert_eq!(fills(&group.sell(BOB, 5, 200))[0].maker, AccountId(ALICE));
}

#[test]
fn a_replacement_is_judged_as_if_the_old_order_were_gone() {
    let mut group = Group::free();
    let old = group.order(ALICE, Side::Buy, 1_000, 999);
    group.place(old);
    let new = group.order(ALICE, Side::Buy, 1_000, 998);
    assert!(matches!(rejected(&group.place(new)), Reject::InsufficientFunds { .. }));
    assert!(matches!(group.apply(replace(old, new)).last(), Some(Event::Rested { .. })));
    // A post-only order does not cross the bid that it replaces.
    let ask = Order { kind: OrderKind::PostOnly, ..group.order(ALICE, Side::Sell, 10, 500) };
    assert!(matches!(group.apply(replace(new, ask)).last(), Some(Event::Rested { .. })));
}

#[test]
fn only_a_resting_order_of_the_same_account_can_be_replaced() {
    let mut group = Group::free();
    let of_bob = group.order(BOB, Side::Buy, 10, 200);
    group.place(of_bob);
    let new = group.order(ALICE, Side::Buy, 10, 210);
    let unknown = Reject::UnknownOrder { account: AccountId(ALICE), nonce: of_bob.nonce };
    assert_eq!(*rejected(&group.apply(replace(of_bob, new))), unknown);
    let stranger = Command::Replace {
        nonce: of_bob.nonce,
        order: Signed { signer: owner(ALICE), ..signed(BOB, Order { account: AccountId(BOB), ..new }) },
        instructions: Instructions::default(),
    };
    assert!(matches!(rejected(&group.apply(stranger)), Reject::NotAuthorized { .. }));
    assert_eq!(group.engine.resting_orders(), 1);
}

#[test]
fn an_amended_order_keeps_its_place_and_frees_what_it_no_longer_needs() {
    let mut group = Group::free();
    let first = group.order(ALICE, Side::Buy, 10, 200);
    group.place(first);
    group.buy(CAROL, 10, 200);
    assert_eq!(reduced(&group.apply(amend(first, 4))), [(6, 4, CancelReason::Requested)]);
    assert_eq!(group.available(ALICE), DEPOSIT - 800);
    let met = fills(&group.sell(BOB, 5, 200));
    assert_eq!((met[0].maker, met[0].size), (AccountId(ALICE), Lots(4)));
}

#[test]
fn an_amended_size_counts_what_has_filled_and_only_shrinks() {
    let mut group = Group::free();
    let order = group.order(ALICE, Side::Buy, 10, 200);
    group.place(order);
    group.sell(BOB, 3, 200);
    let grows = |size, current| Reject::NotSmaller { nonce: order.nonce, size: Lots(size), current: Lots(current) };
    assert_eq!(*rejected(&group.apply(amend(order, 10))), grows(10, 10));
    assert_eq!(reduced(&group.apply(amend(order, 5))), [(5, 2, CancelReason::Requested)]);
    assert_eq!(*rejected(&group.apply(amend(order, 5))), grows(5, 5));
    assert_eq!(cancelled(&group.apply(amend(order, 3))), [(2, CancelReason::Requested)], "all of it has filled");
    assert!(matches!(rejected(&group.apply(amend(order, 1))), Reject::UnknownOrder { .. }));
}

#[test]
fn a_line_of_an_amended_order_still_carries_what_was_signed() {
    let mut group = Group::free();
    let order = group.order(ALICE, Side::Buy, 10, 200);
    group.place(order);
    group.apply(amend(order, 4));
    group.sell(BOB, 4, 200);
    let events = group.frame(2_000, vec![]);
    assert!(
        sealed(&events).unwrap().markets[0].1.iter().any(|line| line.order.message == order && line.filled == Lots(4))
    );
}

fn with_instructions(order: Order, self_trade: SelfTrade, crossing: Crossing) -> Command {
    let instructions = Instructions { self_trade, crossing };
    Command::Place { order: signed(order.account.0, order), instructions }
}

#[test]
fn an_order_says_who_yields_in_a_self_trade() {
    // Alice's bid of 10 meets her own ask of `own` and then Bob's.
    let meet = |mode, own| {
        let mut group = Group::free();
        group.sell(ALICE, own, 300);
        group.sell(BOB, 9, 300);
        let bid = group.order(ALICE, Side::Buy, 10, 300);
        let events = group.apply(with_instructions(bid, mode, Crossing::Refuse));
        let filled = fills(&events).iter().map(|fill| fill.size.0).sum::<u64>();
        let rests = group.engine.open_orders(AccountId(ALICE)).iter().map(|open| open.remaining.0).collect::<Vec<_>>();
        (cancelled(&events), reduced(&events), filled, rests)
    };
    let own = CancelReason::SelfTrade;
    assert_eq!(meet(SelfTrade::CancelMaker, 4), (vec![(4, own)], vec![], 9, vec![1]));
    assert_eq!(meet(SelfTrade::CancelTaker, 4), (vec![(10, own)], vec![], 0, vec![4]));
    assert_eq!(meet(SelfTrade::CancelBoth, 4), (vec![(4, own), (10, own)], vec![], 0, vec![]));
    assert_eq!(meet(SelfTrade::Decrement, 4), (vec![(4, own)], vec![(4, 6, own)], 6, vec![]));
    assert_eq!(meet(SelfTrade::Decrement, 10), (vec![(10, own), (10, own)], vec![], 0, vec![]));
    assert_eq!(meet(SelfTrade::Decrement, 14), (vec![(10, own)], vec![(10, 4, own)], 0, vec![4]));
}

#[test]
fn fill_or_kill_is_refused_if_a_self_trade_would_end_it() {
    for (mode, fillable) in [(SelfTrade::CancelTaker, 3), (SelfTrade::CancelBoth, 3), (SelfTrade::Decrement, 3)] {
        let mut group = Group::free();
        group.sell(ALICE, 3, 300);
        group.sell(BOB, 5, 300);
        group.sell(ALICE, 10, 300);
        let kill = Order { kind: OrderKind::FillOrKill, ..group.order(BOB, Side::Buy, 5, 300) };
        let refusal = Reject::NotFillable { size: Lots(5), fillable: Lots(fillable) };
        assert_eq!(*rejected(&group.apply(with_instructions(kill, mode, Crossing::Refuse))), refusal);
    }
}

#[test]
fn a_sliding_post_only_order_rests_next_to_what_it_would_have_met() {
    let mut group = Group::free();
    group.sell(BOB, 5, 300);
    let bid = Order { kind: OrderKind::PostOnly, ..group.order(ALICE, Side::Buy, 10, 320) };
    let events = group.apply(with_instructions(bid, SelfTrade::CancelMaker, Crossing::Slide));
    assert!(matches!(events.last(), Some(Event::Rested { price: Ticks(299), .. })));
    assert_eq!(group.available(ALICE), DEPOSIT - 2_990, "it holds back what it can cost where it rests");
    let open = group.engine.order(AccountId(ALICE), bid.nonce).unwrap();
    assert_eq!((open.order, open.price), (bid, Ticks(299)), "what was signed is what settles");
    let ask = Order { kind: OrderKind::PostOnly, ..group.order(CAROL, Side::Sell, 1, 100) };
    let events = group.apply(with_instructions(ask, SelfTrade::CancelMaker, Crossing::Slide));
    assert!(matches!(events.last(), Some(Event::Rested { price: Ticks(300), .. })));
    // There is no price below the lowest.
    group.sell(BOB, 1, 300);
    let mut group = Group::free();
    group.sell(BOB, 5, 1);
    let bid = Order { kind: OrderKind::PostOnly, ..group.order(ALICE, Side::Buy, 10, 5) };
    let refusal = Reject::WouldTrade { price: Ticks(5), best: Ticks(1) };
    assert_eq!(*rejected(&group.apply(with_instructions(bid, SelfTrade::CancelMaker, Crossing::Slide))), refusal);
}

#[test]
fn many_orders_are_cancelled_by_venue_market_or_side_and_only_once() {
    let mut group = Group::free();
    let rest = |group: &mut Group| {
        group.buy(ALICE, 1, 100);
        group.sell(ALICE, 2, 900);
        let other = Order { market: MarketId::new(EVENT, 1), ..group.order(ALICE, Side::Buy, 3, 100) };
        group.place(other);
    };
    let request = |nonce, venue, market, sides| {
        let (account, venue, nonce) = (AccountId(ALICE), VenueId(venue), Nonce(nonce));
        Command::CancelMany(signed(ALICE, CancelMany { account, venue, market, sides, nonce }))
    };
    let (any, first) = (MarketId(0), MarketId::new(EVENT, 0));
    let cases: [(_, _, _, &[u64]); 6] = [
        (0, any, Sides::Both, &[1, 2, 3]),
        (VENUE.0, any, Sides::Both, &[1, 2, 3]),
        (VENUE.0 + 1, any, Sides::Both, &[]),
        (0, first, Sides::Both, &[1, 2]),
        (0, any, Sides::Buy, &[1, 3]),
        (0, first, Sides::Sell, &[2]),
    ];
    for (nonce, (venue, market, sides, expected)) in (1_000..).zip(cases) {
        rest(&mut group);
        let command = request(nonce, venue, market, sides);
        let gone: Vec<_> = cancelled(&group.apply(command.clone())).iter().map(|(lots, _)| *lots).collect();
        assert_eq!(gone, expected, "{command:?}");
        assert!(matches!(rejected(&group.apply(command)), Reject::NonceSpent { .. }));
        group.apply(request(nonce + 500, 0, any, Sides::Both));
    }
}

#[test]
fn a_dead_mans_switch_cancels_everything_at_the_first_frame_of_its_time() {
    let mut group = Group::free();
    let mut nonce = 5_000;
    let mut set = |group: &mut Group, time| {
        nonce += 1;
        let message = CancelAfter { account: AccountId(ALICE), time: TimeMs(time), nonce: Nonce(nonce) };
        let events = group.apply(Command::CancelAfter(signed(ALICE, message)));
        assert_eq!(events, [Event::CancelAfterSet { account: AccountId(ALICE), time: TimeMs(time) }]);
        message
    };
    group.buy(ALICE, 1, 100);
    group.buy(BOB, 1, 100);
    let first = set(&mut group, 2_000);
    set(&mut group, 3_000);
    assert_eq!(cancelled(&group.frame(2_500, vec![])), [], "it was renewed");
    let repeated = Command::CancelAfter(signed(ALICE, first));
    assert!(matches!(rejected(&group.apply(repeated)), Reject::NonceSpent { .. }));
    assert_eq!(cancelled(&group.frame(3_000, vec![])), [(1, CancelReason::DeadMan)]);
    assert_eq!(group.engine.cancel_after(AccountId(ALICE)), None, "it fires once");
    set(&mut group, 4_000);
    set(&mut group, 0);
    group.buy(ALICE, 1, 100);
    assert_eq!(cancelled(&group.frame(5_000, vec![])), [], "it was taken back");
}

// ---------------------------------------------------------------------- the log

/// The definition, word for word.
#[test]
fn the_logs_hash_begins_with_the_group_and_covers_every_command_in_blocks() {
    let blake3 = |parts: &[&[u8]]| *blake3::hash(&parts.concat()).as_bytes();
    let mut engine = Engine::new(config());
    let mut hash = blake3(&[&postcard::to_allocvec(&config()).unwrap()]);
    assert_eq!(engine.log_hash(), hash);
    let mut block = vec![];
    for number in 0..600 {
        let cancel = Cancel { account: AccountId(ALICE), nonce: Nonce(number) };
        let command = Logged::new(match number % 250 {
            249 => Command::Frame { time: TimeMs(number), inbox: vec![], prices: Vec::new() },
            _ => Command::Cancel(signed(ALICE, cancel)),
        });
        if let Command::Frame { .. } = command.command() {
            (hash, block) = (engine.log_hash(), vec![]);
        }
        engine.apply(&command, &mut vec![]);
        block.extend_from_slice(command.bytes());
        assert_eq!(engine.log_hash(), blake3(&[&hash, &block]), "rejected commands are part of the log");
        if block.len() >= 16_384 {
            (hash, block) = (engine.log_hash(), vec![]);
        }
    }
}

#[test]
fn the_states_hash_sees_every_kind_of_change() {
    let mut group = Group::free();
    let mut hashes = vec![group.engine.state_hash()];
    let resting = group.order(ALICE, Side::Buy, 5, 5);
    group.place(resting);
    hashes.push(group.engine.state_hash());
    group.sell(BOB, 2, 5);
    hashes.push(group.engine.state_hash());
    group.withdraw(ALICE, 1);
    hashes.push(group.engine.state_hash());
    group.frame(2_000, vec![resolve(&[0, 1_000])]);
    hashes.push(group.engine.state_hash());
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 5);
}

/// One short log with a bit of everything, and the hashes that it must give on every machine. A change of rules, encoding or
/// gas estimates changes the second one: then journals of running groups no longer replay to what was announced, so such a
/// change is a decision.
#[test]
fn a_log_gives_the_same_hashes_on_every_machine() {
    let mut group = Group::new(terms(3, 1_234, 567));
    group.sell(ALICE, 100, 420);
    let expiring = Order { expiry: TimeMs(2_500), ..group.order(BOB, Side::Buy, 70, 410) };
    group.place(expiring);
    group.buy(CAROL, 33, 500);
    group.frame(2_000, vec![deposit(7, 123)]);
    group.withdraw(BOB, 999);
    group.buy(BOB, 7, 420);
    let resting = group.order(CAROL, Side::Buy, 9, 300);
    group.place(resting);
    group.apply(amend(resting, 6));
    let new = Order { kind: OrderKind::PostOnly, ..group.order(ALICE, Side::Sell, 3, 200) };
    group.apply(with_instructions(new, SelfTrade::Decrement, Crossing::Slide));
    let next = group.order(ALICE, Side::Sell, 4, 700);
    group.apply(replace(new, next));
    let hex = |hash: Hash| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(group.engine.log_hash()), "5bcf87ba2c014c6a722bbf48c6a68d3dfd023d472469951db0f69fa14f35db1c");
    assert_eq!(hex(group.engine.state_hash()), "7d76a22169b09e1f89dbe7f0b98a0b4dc0352c3dec7d4494e7704f9d5e125a3a");
}
