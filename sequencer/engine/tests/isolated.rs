//! Accounts for one market alone, rule by rule: who opens them, what they may do, and that what they lose is all they had.
//!
//! The numbers are those of `rescues.rs`: a perpetual of an atom a tick·lot at 1,000 atoms a lot, 10 % for new risk, 5 % to
//! stay, a penalty of 2 %. It is for isolated accounts only.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(dead_code, reason = "the group's helpers serve other tests too")]

#[path = "rules/group.rs"]
mod group;
#[path = "rules/perpetuals.rs"]
mod perpetuals;

use group::*;
use perpetuals::*;
use xos_engine::Engine;
use xos_types::*;

const PERPETUAL: MarketId = MarketId(2 << 8);
const OUTCOME: MarketId = MarketId(1 << 8);
const BTC: FeedId = FeedId(1);
const AGENT: Address = Address::repeat_byte(0xa9);
const TIME: u64 = 10_000;

fn perpetual(isolated_only: bool) -> InboxPayload {
    let terms = TradingTerms { isolated_only, ..TradingTerms::free(VENUE, 1) };
    InboxPayload::PerpetualSet { market: PERPETUAL, feed: BTC, config: PerpetualConfig { terms, ..bitcoin() } }
}

fn price(atoms: u64, time: u64) -> PriceUpdate {
    let answer = u128::from(atoms) * 1_000_000_000_000_000;
    PriceUpdate { feed: BTC, answer, published_at: TimeMs(time), proof: vec![] }
}

/// The account of `parent` for a market alone.
fn apart(parent: u64, market: MarketId) -> u64 {
    AccountId(parent).isolated(market).0
}

/// An event for everybody and a perpetual for isolated accounts only.
fn group() -> Group {
    let mut group = Group::free();
    group.frame_with(TIME, vec![perpetual(true)], vec![price(1_000, TIME)]);
    group
}

fn transfer_of(group: &mut Group, from: u64, to: u64, amount: u128) -> Transfer {
    let nonce = group.next_nonce();
    let (account, to) = (AccountId(from), AccountId(to));
    Transfer { account, gateway: Address::ZERO, to, token: TOKEN, amount, nonce, expiry: TimeMs(0) }
}

/// Signed by the owner.
fn transfer(group: &mut Group, from: u64, to: u64, amount: u128) -> Vec<Event> {
    let message = transfer_of(group, from, to, amount);
    group.apply(Command::Transfer(signed(AccountId(from).parent().0, message)))
}

/// Opens accounts for the perpetual of all of those, with so much each; they may trade.
fn open(group: &mut Group, parents: &[u64], amount: u128, time: u64) {
    for parent in parents {
        transfer(group, *parent, apart(*parent, PERPETUAL), amount);
    }
    group.frame(time, vec![]);
}

fn order(group: &mut Group, account: u64, side: Side, size: u64, price: u64) -> Signed<Order> {
    let order = Order { market: PERPETUAL, ..group.order(account, side, size, price) };
    signed(AccountId(account).parent().0, order)
}

fn place(group: &mut Group, account: u64, side: Side, size: u64, price: u64) -> Vec<Event> {
    let order = order(group, account, side, size, price);
    group.apply(Command::place(order))
}

fn trade(group: &mut Group, buyer: u64, seller: u64, size: u64, price: u64) {
    place(group, seller, Side::Sell, size, price);
    assert_eq!(fills(&place(group, buyer, Side::Buy, size, price)).len(), 1);
}

fn size(engine: &Engine, account: u64) -> i128 {
    engine.holdings(AccountId(account)).iter().find(|view| view.feed == BTC).map_or(0, |view| view.amount)
}

fn liquidate(group: &mut Group, keeper: u64, account: u64, size: u64) -> Vec<Event> {
    let (keeper_id, account, nonce) = (AccountId(keeper), AccountId(account), group.next_nonce());
    let (size, limit, expiry) = (Lots(size), u128::MAX, TimeMs(0));
    let message = Liquidate { keeper: keeper_id, account, market: PERPETUAL, size, limit, nonce, expiry };
    group.apply(Command::Liquidate(signed(keeper_id.parent().0, message)))
}

// ---------------------------------------------------------------------- opening, funding, closing

#[test]
fn the_first_transfer_opens_an_isolated_account_and_later_ones_fund_it() {
    let mut group = group();
    let account = AccountId(apart(ALICE, PERPETUAL));
    let moved = |amount| Event::Transferred { account: AccountId(ALICE), to: account, asset: FeedId(0), amount };
    let opened = Event::AccountOpened { account, owner: owner(ALICE) };
    assert_eq!(transfer(&mut group, ALICE, account.0, 40), [opened, moved(40)]);
    assert_eq!(transfer(&mut group, ALICE, account.0, 2), [moved(2)]);
    assert_eq!((group.cash(account.0), group.cash(ALICE)), (42, DEPOSIT - 42));
    assert_eq!(group.engine.accounts_of(owner(ALICE)), [AccountId(ALICE), account]);
    let ids: Vec<u64> = group.engine.account_ids().map(|id| id.0).collect();
    assert_eq!(ids, [INSURANCE, PROTOCOL, TREASURY, ALICE, BOB, CAROL, account.0]);
    assert_eq!(sealed(&group.frame(TIME + 1, vec![])).unwrap().transfers.len(), 2);
}

#[test]
fn an_isolated_account_sends_its_money_back_and_stays_open() {
    let mut group = group();
    let account = apart(ALICE, PERPETUAL);
    transfer(&mut group, ALICE, account, 40);
    // In the same frame, too: a batch makes transfers in their order.
    transfer(&mut group, account, ALICE, 15);
    group.frame(TIME + 1, vec![]);
    assert!(matches!(rejected(&transfer(&mut group, account, ALICE, 26)), Reject::InsufficientFunds { .. }));
    transfer(&mut group, account, ALICE, 25);
    assert_eq!((group.cash(account), group.cash(ALICE)), (0, DEPOSIT));
    assert!(matches!(transfer(&mut group, ALICE, account, 1)[..], [Event::Transferred { .. }]));
}

#[test]
fn a_transfer_leaves_its_sender_what_margin_needs() {
    let mut group = group();
    group.buy(ALICE, 1_000, 400);
    let account = apart(ALICE, PERPETUAL);
    let free = group.available(ALICE).unsigned_abs();
    assert!(matches!(rejected(&transfer(&mut group, ALICE, account, free + 1)), Reject::InsufficientFunds { .. }));
    assert!(group.engine.account(AccountId(account)).is_none(), "a refusal opens nothing");
    transfer(&mut group, ALICE, account, free);
    assert_eq!((group.available(ALICE), group.cash(account)), (0, free.cast_signed()));
}

#[test]
fn only_its_owner_opens_an_isolated_account_and_from_any_account_of_theirs() {
    let mut group = group();
    let of_bob = AccountId(apart(BOB, PERPETUAL));
    let refusal = Reject::NotSameOwner { account: AccountId(ALICE), to: of_bob };
    assert_eq!(*rejected(&transfer(&mut group, ALICE, of_bob.0, 1)), refusal);
    for nobody in [0, 99] {
        let unknown = Reject::UnknownAccount { account: AccountId(nobody) };
        assert_eq!(*rejected(&transfer(&mut group, ALICE, apart(nobody, PERPETUAL), 1)), unknown);
    }
    let unlisted = Reject::UnknownMarket { market: MarketId(3 << 8) };
    assert_eq!(*rejected(&transfer(&mut group, ALICE, apart(ALICE, MarketId(3 << 8)), 1)), unlisted);

    let second = InboxPayload::Deposit { account: AccountId(7), owner: owner(ALICE), token: TOKEN, amount: 5 };
    group.frame(TIME + 1, vec![second]);
    let message = transfer_of(&mut group, 7, apart(ALICE, PERPETUAL), 5);
    group.apply(Command::Transfer(signed(ALICE, message)));
    assert_eq!(group.cash(apart(ALICE, PERPETUAL)), 5);
    let all = [ALICE, 7, apart(ALICE, PERPETUAL)].map(AccountId);
    assert_eq!(group.engine.accounts_of(owner(ALICE)), all, "ascending");
    // A number that a deposit opens later still comes before.
    let third = InboxPayload::Deposit { account: AccountId(8), owner: owner(ALICE), token: TOKEN, amount: 5 };
    group.frame(TIME + 2, vec![third]);
    assert_eq!(group.engine.accounts_of(owner(ALICE)), [all[0], all[1], AccountId(8), all[2]]);
}

/// A batch settles fills and withdrawals before it makes transfers.
#[test]
fn what_opens_in_a_frame_neither_trades_nor_withdraws_in_it() {
    let mut group = group();
    let account = apart(ALICE, PERPETUAL);
    transfer(&mut group, ALICE, account, 1_000);
    let soon = Reject::OpensWithNextFrame { account: AccountId(account) };
    let withdraw = |group: &mut Group| {
        let (account, nonce) = (AccountId(account), group.next_nonce());
        let message = Withdraw { account, token: TOKEN, amount: 300, nonce, expiry: TimeMs(0) };
        group.apply(Command::Withdraw(signed(ALICE, message)))
    };
    assert_eq!(*rejected(&place(&mut group, account, Side::Buy, 1, 1_000)), soon);
    assert_eq!(*rejected(&withdraw(&mut group)), soon);
    group.frame(TIME + 1, vec![]);
    assert!(matches!(place(&mut group, account, Side::Buy, 1, 1_000)[0], Event::Accepted { .. }));
    assert!(matches!(withdraw(&mut group)[..], [Event::Withdrawn { amount: Atoms(300), .. }]));
}

#[test]
fn opening_costs_a_frame_more_than_funding() {
    let mut group = group();
    let mut cost = |to| {
        let before = group.engine.frame_gas();
        transfer(&mut group, ALICE, to, 1);
        group.engine.frame_gas() - before
    };
    let (opened, funded) = (cost(apart(ALICE, PERPETUAL)), cost(apart(ALICE, PERPETUAL)));
    assert!(opened > funded + 44_200, "two words are written for the first time: {opened}, {funded}");
}

// ---------------------------------------------------------------------- who may trade

#[test]
fn a_market_for_isolated_accounts_admits_its_own_and_nobody_else() {
    let mut group = group();
    open(&mut group, &[ALICE, BOB], 100_000, TIME + 1);
    transfer(&mut group, ALICE, apart(ALICE, OUTCOME), 100_000);
    group.frame(TIME + 2, vec![]);
    for stranger in [ALICE, apart(ALICE, OUTCOME)] {
        let events = place(&mut group, stranger, Side::Buy, 1, 1_000);
        assert!(matches!(rejected(&events), Reject::OnlyReducing { why: Restriction::IsolatedOnly, .. }));
    }
    let (a, b) = (apart(ALICE, PERPETUAL), apart(BOB, PERPETUAL));
    trade(&mut group, a, b, 10, 1_000);
    assert_eq!((size(&group.engine, a), size(&group.engine, b)), (10, -10));
    assert_eq!((size(&group.engine, ALICE), group.cash(ALICE)), (0, DEPOSIT - 200_000));
}

#[test]
fn an_events_isolated_accounts_trade_each_of_its_outcomes() {
    let mut group = Group::new(with(terms(3, 0, 0), |terms| terms.isolated_only = true));
    let (a, b) = (apart(ALICE, MarketId::new(EVENT, 2)), apart(BOB, MarketId::new(EVENT, 0)));
    transfer(&mut group, ALICE, a, 1_000);
    transfer(&mut group, BOB, b, 1_000);
    group.frame(TIME, vec![]);
    let sell = group.order(b, Side::Sell, 1, 400);
    group.apply(Command::place(signed(BOB, sell)));
    let buy = group.order(a, Side::Buy, 1, 400);
    assert_eq!(fills(&group.apply(Command::place(signed(ALICE, buy)))).len(), 1);
}

#[test]
fn an_isolated_account_may_trade_elsewhere_with_what_it_has() {
    let mut group = group();
    open(&mut group, &[ALICE], 500, TIME + 1);
    let account = apart(ALICE, PERPETUAL);
    group.sell(BOB, 2, 400);
    let order = group.order(account, Side::Buy, 2, 400);
    assert!(matches!(rejected(&group.apply(Command::place(signed(ALICE, order)))), Reject::InsufficientFunds { .. }));
    let order = Order { size: Lots(1), ..order };
    assert_eq!(fills(&group.apply(Command::place(signed(ALICE, order)))).len(), 1);
    assert_eq!(group.engine.positions(AccountId(account)), [(OUTCOME, Position(1))]);
    assert_eq!(group.cash(account), 100);
}

#[test]
fn whoever_holds_a_market_that_became_isolated_may_leave() {
    let mut group = Group::free();
    group.frame_with(TIME, vec![perpetual(false)], vec![price(1_000, TIME)]);
    trade(&mut group, ALICE, BOB, 10, 1_000);
    open(&mut group, &[CAROL], 100_000, TIME + 1);
    group.frame(TIME + 2, vec![perpetual(true)]);
    assert!(matches!(rejected(&place(&mut group, ALICE, Side::Sell, 11, 1_000)), Reject::OnlyReducing { .. }));
    place(&mut group, apart(CAROL, PERPETUAL), Side::Buy, 10, 1_000);
    assert_eq!(fills(&place(&mut group, ALICE, Side::Sell, 10, 1_000)).len(), 1);
    assert_eq!((size(&group.engine, ALICE), size(&group.engine, apart(CAROL, PERPETUAL))), (0, 10));
}

fn grant(expiry: u64, withdraw: bool) -> InboxPayload {
    let (signer, expiry, venues) = (AGENT, TimeMs(expiry), [VenueId(0); 3]);
    let grant = SignerGrant { signer, expiry, max_notional: 0, trade: true, withdraw, venues };
    InboxPayload::SignerSet { account: AccountId(ALICE), grant }
}

#[test]
fn a_key_acts_for_its_accounts_isolated_ones_and_its_orders_there_end_with_it() {
    let mut group = group();
    group.frame(TIME + 1, vec![grant(TIME + 100, true)]);
    let account = apart(ALICE, PERPETUAL);
    let message = transfer_of(&mut group, ALICE, account, 100_000);
    group.apply(Command::Transfer(Signed { signer: AGENT, ..signed(ALICE, message) }));
    group.frame(TIME + 2, vec![]);
    let by_key = |group: &mut Group| Signed { signer: AGENT, ..order(group, account, Side::Buy, 1, 900) };
    let placed = by_key(&mut group);
    assert!(matches!(group.apply(Command::place(placed)).last(), Some(Event::Rested { .. })));
    assert!(group.engine.check_signer(AccountId(account), AGENT).is_ok());
    assert_eq!(cancelled(&group.frame(TIME + 100, vec![])), []);
    assert_eq!(cancelled(&group.frame(TIME + 101, vec![])), [(1, CancelReason::SignerRevoked)], "its time is over");

    group.frame(TIME + 102, vec![grant(TIME + 200, false)]);
    let placed = by_key(&mut group);
    group.apply(Command::place(placed));
    let back = transfer_of(&mut group, account, ALICE, 1);
    let refused = group.apply(Command::Transfer(Signed { signer: AGENT, ..signed(ALICE, back) }));
    assert!(matches!(rejected(&refused), Reject::NotAuthorized { .. }), "it may trade only");
    assert_eq!(cancelled(&group.frame(TIME + 103, vec![grant(0, false)])), [(1, CancelReason::SignerRevoked)]);
    let placed = by_key(&mut group);
    assert!(matches!(rejected(&group.apply(Command::place(placed))), Reject::NotAuthorized { .. }));
}

#[test]
fn an_isolated_account_is_a_member_with_its_parent() {
    let mut group = Group::new(with(terms(2, 0, 0), |terms| terms.restricted = true));
    let account = apart(ALICE, OUTCOME);
    transfer(&mut group, ALICE, account, 1_000);
    let member = |until| InboxPayload::MembershipSet { account: AccountId(ALICE), venue: VENUE, until: TimeMs(until) };
    group.frame(TIME, vec![]);
    let buy = group.order(account, Side::Buy, 1, 400);
    let buy = Command::place(signed(ALICE, buy));
    assert!(matches!(rejected(&group.apply(buy.clone())), Reject::OnlyReducing { why: Restriction::Membership, .. }));
    group.frame(TIME + 1, vec![member(TIME + 2)]);
    assert!(matches!(group.apply(buy).last(), Some(Event::Rested { .. })));
    assert_eq!(cancelled(&group.frame(TIME + 2, vec![])), []);
    assert_eq!(cancelled(&group.frame(TIME + 3, vec![])), [(1, CancelReason::OnlyReducing)]);
}

#[test]
fn each_account_spends_its_own_nonces() {
    let mut group = group();
    open(&mut group, &[ALICE], 100_000, TIME + 1);
    let account = apart(ALICE, PERPETUAL);
    let order = order(&mut group, account, Side::Buy, 1, 900);
    group.apply(Command::place(order));
    let elsewhere = Order { account: AccountId(ALICE), market: OUTCOME, price: Ticks(1), ..order.message };
    assert!(matches!(group.apply(Command::place(signed(ALICE, elsewhere)))[0], Event::Accepted { .. }));
    let all = CancelAll { account: AccountId(account), below: Nonce(order.message.nonce.0 + 1) };
    let gone = group.apply(Command::CancelAll(signed(ALICE, all)));
    assert_eq!(cancelled(&gone), [(1, CancelReason::BelowFloor)]);
    assert_eq!(group.engine.resting_orders(), 1, "the parent's stays");
}

// ---------------------------------------------------------------------- what it loses

#[test]
fn what_an_isolated_account_loses_is_all_that_it_had() {
    let mut group = group();
    let account = apart(ALICE, OUTCOME);
    transfer(&mut group, ALICE, account, 1_000);
    group.frame(TIME + 1, vec![]);
    group.sell(BOB, 2, 500);
    let order = group.order(account, Side::Buy, 2, 500);
    group.apply(Command::place(signed(ALICE, order)));
    group.frame(TIME + 2, vec![resolve(&[0, 1_000])]);
    assert_eq!((group.cash(account), group.cash(ALICE), group.cash(BOB)), (0, DEPOSIT - 1_000, DEPOSIT + 1_000));
}

/// Alice's account for the perpetual has bought 5,000 lots of Bob's, each for 500,000: at 940 it has 200,000 left and needs
/// 235,000.
fn failing() -> Group {
    let mut group = group();
    open(&mut group, &[ALICE, BOB, CAROL], 500_000, TIME + 1);
    trade(&mut group, apart(ALICE, PERPETUAL), apart(BOB, PERPETUAL), 5_000, 1_000);
    group
}

#[test]
fn keepers_of_an_isolated_market_are_isolated_accounts_of_other_owners() {
    let mut group = failing();
    let account = apart(ALICE, PERPETUAL);
    group.frame_with(TIME + 20_000, vec![], vec![price(940, TIME + 20_000)]);
    assert!(group.engine.flagged_at(AccountId(account)).is_some());
    let own = Reject::SameOwner { keeper: AccountId(ALICE), account: AccountId(account) };
    assert_eq!(*rejected(&liquidate(&mut group, ALICE, account, 1)), own);
    liquidate(&mut group, CAROL, account, 5_000);
    liquidate(&mut group, apart(CAROL, PERPETUAL), account, 5_000);
    let events = group.frame(TIME + 30_000, vec![]);
    let refusal = Reject::IsolatedOnly { keeper: AccountId(CAROL), market: PERPETUAL };
    assert!(events.iter().any(|event| matches!(event, Event::RescueRefused { reject, .. } if *reject == refusal)));
    let taken = events.iter().find_map(|event| match event {
        Event::Liquidated { keeper, size, .. } => Some((keeper.0, i128::from(size.0))),
        _ => None,
    });
    let taken = taken.expect("the isolated keeper takes it");
    assert_eq!(taken.0, apart(CAROL, PERPETUAL));
    assert!(taken.1 > 0 && taken.1 < 5_000, "no more than restores initial health");
    assert_eq!(size(&group.engine, account), 5_000 - taken.1);
    assert_eq!(size(&group.engine, apart(CAROL, PERPETUAL)), taken.1);
}

#[test]
fn without_keepers_its_position_closes_against_the_winner_and_its_parent_pays_nothing() {
    let mut group = failing();
    let account = apart(ALICE, PERPETUAL);
    group.frame_with(TIME + 20_000, vec![], vec![price(880, TIME + 20_000)]);
    let grace = u64::from(GroupTerms::usual(Address::ZERO).grace);
    let events = group.frame(TIME + 20_000 + grace, vec![]);
    assert!(events.iter().any(|event| matches!(event, Event::Deleveraged { account: id, .. } if id.0 == account)));
    assert_eq!([account, apart(BOB, PERPETUAL)].map(|id| size(&group.engine, id)), [0, 0]);
    assert_eq!(group.cash(account), 0);
    assert_eq!(group.cash(ALICE), DEPOSIT - 500_000);
    assert_eq!(group.cash(apart(BOB, PERPETUAL)), 1_000_000, "the winner has what there was");
}

/// Its debt is the group's: the parent goes on, and nothing can be sent to what is closed.
#[test]
fn a_bankrupt_isolated_account_is_closed_and_its_parent_is_not() {
    let mut group = failing();
    let account = apart(ALICE, PERPETUAL);
    group.frame_with(TIME + 20_000, vec![], vec![price(880, TIME + 20_000)]);
    liquidate(&mut group, apart(CAROL, PERPETUAL), account, 5_000);
    transfer(&mut group, CAROL, apart(CAROL, PERPETUAL), 400_000);
    let events = group.frame(TIME + 30_000, vec![]);
    assert!(events.iter().any(|event| matches!(event, Event::Liquidated { .. })), "{events:?}");
    let bankrupt = Event::Bankrupt { account: AccountId(account), debt: Atoms(100_000), paid: Atoms(0) };
    assert!(events.contains(&bankrupt), "{events:?}");
    let closed = Reject::AccountClosed { account: AccountId(account) };
    assert_eq!(*rejected(&transfer(&mut group, ALICE, account, 1)), closed);
    assert!(matches!(transfer(&mut group, ALICE, apart(ALICE, OUTCOME), 1)[..], [_, Event::Transferred { .. }]));
    assert_eq!(group.engine.bad_debt(), Atoms(100_000));
}

// ---------------------------------------------------------------------- by transaction

#[test]
fn an_owner_forces_withdrawals_and_closes_of_isolated_accounts() {
    let mut group = failing();
    let account = AccountId(apart(ALICE, PERPETUAL));
    let withdraw = |amount| InboxPayload::ForcedWithdrawal { account, token: TOKEN, amount };
    let events = group.frame(TIME + 20_000, vec![withdraw(1)]);
    assert!(!events.iter().any(|event| matches!(event, Event::Withdrawn { .. })), "margin needs all of it");
    // The opposite side gets the penalty of 2 %.
    group.frame(TIME + 30_000, vec![InboxPayload::ForcedClose { account, market: PERPETUAL }]);
    let events = group.frame(TIME + 31_000, vec![]);
    assert!(events.iter().any(|event| matches!(event, Event::Deleveraged { .. })), "{events:?}");
    assert_eq!(group.cash(account.0), 400_000);
    let events = group.frame(TIME + 40_000, vec![withdraw(u128::MAX)]);
    assert_eq!(events.last(), Some(&Event::Withdrawn { account, amount: Atoms(400_000), forced: true }));
}

/// The contract remembers a floor and a referrer of an account that no transfer has opened yet.
#[test]
fn what_an_owner_asked_before_an_account_opens_holds_when_it_does() {
    let mut group = group();
    let account = AccountId(apart(ALICE, PERPETUAL));
    let (floor, referrer) = (Nonce(900), BuilderId(1));
    let items = vec![
        InboxPayload::BuilderSet { builder: referrer, account: AccountId(BOB) },
        InboxPayload::CancelAll { account, floor },
        InboxPayload::CancelAll { account, floor: Nonce(7) },
        InboxPayload::ReferrerSet { account, referrer },
    ];
    let events = group.frame(TIME + 1, items);
    assert!(matches!(events[..], [Event::FrameSealed(_), Event::BuilderSet { .. }]), "{events:?}");
    let mut bytes = vec![];
    group.engine.snapshot(&mut bytes).unwrap();
    group.engine = Engine::restore(&bytes[..]).unwrap();

    let events = transfer(&mut group, ALICE, account.0, 100_000);
    let expected = [
        Event::AccountOpened { account, owner: owner(ALICE) },
        Event::FloorRaised { account, floor },
        Event::ReferrerSet { account, referrer },
    ];
    assert_eq!(events[..3], expected);
    group.frame(TIME + 20_000, vec![]);
    let late = order(&mut group, account.0, Side::Buy, 1, 900);
    assert!(matches!(rejected(&group.apply(Command::place(late))), Reject::NonceSpent { next: Nonce(900), .. }));
}

// ---------------------------------------------------------------------- state

#[test]
fn a_snapshot_holds_isolated_accounts_and_goes_on_as_the_original() {
    let mut group = failing();
    place(&mut group, apart(CAROL, PERPETUAL), Side::Buy, 3, 900);
    place(&mut group, apart(BOB, PERPETUAL), Side::Buy, 3, 910);
    transfer(&mut group, ALICE, apart(ALICE, PERPETUAL), 10_000);
    transfer(&mut group, ALICE, apart(ALICE, OUTCOME), 7);
    let mut bytes = vec![];
    let hash = group.engine.snapshot(&mut bytes).unwrap();
    let mut restored = Engine::restore(&bytes[..]).unwrap();
    restored.check_invariants();
    assert_eq!(restored.state_hash(), hash);
    assert_eq!(restored.isolated_accounts(), 4);
    assert!(restored.account_ids().eq(group.engine.account_ids()));

    let early = Order { market: OUTCOME, price: Ticks(1), ..group.order(apart(ALICE, OUTCOME), Side::Buy, 1, 1) };
    let sell = order(&mut group, apart(ALICE, PERPETUAL), Side::Sell, 4, 900);
    let commands = [
        Command::place(signed(ALICE, early)),
        Command::place(sell),
        Command::Frame { time: TimeMs(TIME + 90_000), inbox: vec![], prices: vec![price(930, TIME + 90_000)] },
        Command::place(signed(ALICE, Order { nonce: Nonce(77_777), ..early })),
    ];
    for command in commands {
        let mut events = vec![];
        restored.apply(&command.clone().into(), &mut events);
        restored.check_invariants();
        assert_eq!(events, group.apply(command));
        assert_eq!(restored.state_hash(), group.engine.state_hash());
    }
    assert_eq!(size(&restored, apart(ALICE, PERPETUAL)), 4_996);
}
