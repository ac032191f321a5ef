//! What happens to accounts that fail, rule by rule, with numbers small enough to check by hand.
//!
//! One perpetual, an atom a tick·lot, at 1,000 atoms a lot: 10 % for new risk, 5 % to stay, a penalty of 2 % of which keepers get
//! half. Alice buys 5,000 lots of Bob for a deposit of 1,000,000. At 840 she has 200,000 left and needs 210,000.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(dead_code, reason = "the group's helpers serve other tests too")]

#[path = "rules/group.rs"]
mod group;
#[path = "rules/perpetuals.rs"]
mod perpetuals;

use group::*;
use perpetuals::*;
use xos_engine::Engine;
use xos_engine::limits::KEEPERS_QUEUE_MAX;
use xos_types::*;

const PERPETUAL: MarketId = MarketId(2 << 8);
const BTC: FeedId = FeedId(1);
const GOLD: FeedId = FeedId(2);
const GOLD_TOKEN: Address = Address::repeat_byte(0x71);
const DAVE: u64 = 7;

struct Failing {
    group: Group,
    time: u64,
}

/// A token that counts for half of 100 atoms a lot of 10 of its own.
fn gold() -> AssetConfig {
    AssetConfig {
        token: GOLD_TOKEN,
        lot: 10,
        initial_weight: Ppm(500_000),
        maintenance_weight: Ppm(500_000),
        conversion_discount: Ppm(100_000),
        cap: u128::MAX,
        feed: feed(2),
    }
}

fn update(feed: FeedId, atoms: u64, time: u64) -> PriceUpdate {
    let answer = u128::from(atoms) * 1_000_000_000_000_000;
    PriceUpdate { feed, answer, published_at: TimeMs(time), proof: vec![] }
}

impl Failing {
    /// A perpetual with that configuration, and Dave with a deposit like everybody's.
    fn new(config: PerpetualConfig) -> Self {
        let mut this = Self { group: Group::free(), time: 10_000 };
        let listed = InboxPayload::PerpetualSet { market: PERPETUAL, feed: BTC, config };
        let admitted = InboxPayload::AssetSet { feed: GOLD, config: gold() };
        let items = vec![deposit(DAVE, DEPOSIT.unsigned_abs()), listed, admitted];
        this.group.frame_with(10_000, items, vec![update(BTC, 1_000, 10_000), update(GOLD, 100, 10_000)]);
        this
    }

    /// Alice has bought 5,000 lots of Bob.
    fn usual() -> Self {
        let mut this = Self::new(bitcoin());
        this.trade(ALICE, BOB, 5_000, 1_000);
        this
    }

    fn trade(&mut self, buyer: u64, seller: u64, size: u64, price: u64) {
        for (account, side) in [(seller, Side::Sell), (buyer, Side::Buy)] {
            let order = Order { market: PERPETUAL, ..self.group.order(account, side, size, price) };
            let events = self.group.place(order);
            assert!(matches!(events[0], Event::Accepted { .. }), "{events:?}");
        }
    }

    /// The next frame, so many milliseconds later.
    fn frame(&mut self, ms: u64, items: Vec<InboxPayload>) -> Vec<Event> {
        self.time += ms;
        self.group.frame(self.time, items)
    }

    /// The same at another index price.
    fn at(&mut self, price: u64, ms: u64) -> Vec<Event> {
        self.time += ms;
        self.group.frame_with(self.time, vec![], vec![update(BTC, price, self.time)])
    }

    fn request(&mut self, keeper: u64, account: u64, size: u64) -> Liquidate {
        Liquidate {
            keeper: AccountId(keeper),
            account: AccountId(account),
            market: PERPETUAL,
            size: Lots(size),
            limit: u128::MAX,
            nonce: self.group.next_nonce(),
            expiry: TimeMs(0),
        }
    }

    fn liquidate(&mut self, keeper: u64, account: u64, size: u64) -> Vec<Event> {
        let request = self.request(keeper, account, size);
        self.group.apply(Command::Liquidate(signed(keeper, request)))
    }

    fn convert(&mut self, keeper: u64, account: u64, amount: u128) -> Vec<Event> {
        let message = Convert {
            keeper: AccountId(keeper),
            account: AccountId(account),
            asset: GOLD,
            amount,
            limit: u128::MAX,
            nonce: self.group.next_nonce(),
            expiry: TimeMs(0),
        };
        self.group.apply(Command::Convert(signed(keeper, message)))
    }

    fn engine(&self) -> &Engine {
        &self.group.engine
    }

    fn size(&self, account: u64) -> i128 {
        let held = self.engine().holdings(AccountId(account));
        held.iter().find(|view| view.feed == BTC).map_or(0, |view| view.amount)
    }

    fn health(&self, account: u64) -> xos_engine::Health {
        self.engine().health(AccountId(account)).unwrap()
    }
}

/// What a keeper was refused for.
#[track_caller]
fn refused(events: &[Event]) -> &Reject {
    let refusals = events.iter().filter_map(|event| match event {
        Event::RescueRefused { reject, .. } => Some(reject),
        _ => None,
    });
    let refusals: Vec<_> = refusals.collect();
    let [reject] = refusals[..] else { panic!("expected one refusal, got {events:?}") };
    reject
}

fn rescues(events: &[Event]) -> Vec<Rescue> {
    sealed(events).map_or_else(Vec::new, |frame| frame.rescues.clone())
}

#[track_caller]
fn pick<T>(events: &[Event], of: impl Fn(&Event) -> Option<T>) -> T {
    events.iter().find_map(of).unwrap_or_else(|| panic!("it is not among {events:?}"))
}

// ---------------------------------------------------------------------- flags

#[test]
fn who_fails_loses_its_orders_and_is_flagged_once_a_minute() {
    let mut failing = Failing::usual();
    let order = Order { market: PERPETUAL, ..failing.group.order(ALICE, Side::Buy, 10, 900) };
    failing.group.place(order);
    let events = failing.at(840, 1_000);
    let account = AccountId(ALICE);
    assert_eq!(cancelled(&events), [(10, CancelReason::Margin)]);
    assert!(events.ends_with(&[Event::Failing { account }, Event::Flagged { account }]), "{events:?}");
    assert_eq!(failing.engine().flagged_at(account), Some(TimeMs(failing.time)));
    // A frame that flags somebody is settled though nothing else happened in it.
    assert_eq!(rescues(&failing.frame(1_000, vec![])), [Rescue::Flag { account }]);
}

#[test]
fn a_flag_is_renewed_after_a_minute_and_not_before() {
    // Nobody can take a position whose price is stale, so Alice stays as she is.
    let mut config = bitcoin();
    config.feed.max_age = 2_000;
    let mut failing = Failing::new(config);
    failing.trade(ALICE, BOB, 5_000, 1_000);
    failing.at(840, 1_000);
    let flagged = failing.time;
    let count = |events: &[Event]| events.iter().filter(|event| matches!(event, Event::Flagged { .. })).count();
    assert_eq!(count(&failing.frame(60_000, vec![])), 0);
    assert_eq!(failing.engine().flagged_at(AccountId(ALICE)), Some(TimeMs(flagged)));
    assert_eq!(count(&failing.frame(1, vec![])), 1);
}

#[test]
fn who_owes_cash_keeps_no_order_that_spends_some() {
    let mut failing = Failing::usual();
    let (account, owner) = (AccountId(ALICE), owner(ALICE));
    let gold = InboxPayload::Deposit { account, owner, token: GOLD_TOKEN, amount: 100_000 };
    failing.frame(100, vec![gold]);
    // She may buy back what she sold, until she owes 55,000 that her gold carries.
    failing.group.buy(BOB, 10, 500);
    failing.group.sell(ALICE, 10, 500);
    failing.group.buy(ALICE, 10, 400);
    let events = failing.at(790, 1_000);
    assert_eq!(failing.health(ALICE).usd, -55_000);
    assert_eq!(cancelled(&events), [(10, CancelReason::Margin)]);
    assert!(!events.contains(&Event::Failing { account }), "{events:?}");
}

// ---------------------------------------------------------------------- keepers

#[test]
fn a_keepers_message_waits_for_the_next_frame_and_takes_what_restores_initial_health() {
    let mut failing = Failing::usual();
    failing.at(840, 1_000);
    let events = failing.liquidate(CAROL, ALICE, 5_000);
    assert!(matches!(events[..], [Event::RescueQueued { keeper: AccountId(CAROL), .. }]), "{events:?}");
    assert_eq!((failing.size(ALICE), failing.engine().waiting_keepers()), (5_000, 1));

    let events = failing.at(840, 1_000);
    // 200,000 − 16.8 n ≥ 84 · (5,000 − n) from n = 3,274 on; 2 % of 3,274 · 840 is 55,003.2.
    let done = pick(&events, |event| match event {
        Event::Liquidated { size, value, charge, keeper_part, .. } => Some((*size, value.0, charge.0, keeper_part.0)),
        _ => None,
    });
    assert_eq!(done, (Position(3_274), 2_750_160, 55_004, 27_502));
    assert_eq!((failing.size(ALICE), failing.size(CAROL)), (1_726, 3_274));
    assert!((0..100).contains(&failing.health(ALICE).initial()));
    assert_eq!(failing.health(CAROL).usd, DEPOSIT + 27_502);
    assert_eq!(failing.group.cash(INSURANCE), 27_502);
    assert_eq!(failing.engine().waiting_keepers(), 0);
    let sealed = failing.frame(1_000, vec![]);
    assert!(matches!(rescues(&sealed)[..], [Rescue::Liquidation(_)]));
}

#[test]
fn a_keeper_is_judged_at_the_prices_that_its_message_meets() {
    let mut failing = Failing::usual();
    failing.at(840, 1_000);
    failing.liquidate(CAROL, ALICE, 5_000);
    let events = failing.at(1_000, 1_000);
    assert!(matches!(refused(&events), Reject::NotFailing { account: AccountId(ALICE), .. }));
    assert_eq!(failing.size(CAROL), 0);

    failing.at(840, 1_000);
    let request = Liquidate { limit: 839_000_000_000, ..failing.request(CAROL, ALICE, 10) };
    failing.group.apply(Command::Liquidate(signed(CAROL, request)));
    let events = failing.at(840, 1_000);
    assert_eq!(*refused(&events), Reject::KeeperLimit { limit: 839_000_000_000, price: 840_000_000_000 });
    // It came to nothing, and still cannot come a second time.
    let again = failing.group.apply(Command::Liquidate(signed(CAROL, request)));
    assert!(matches!(rejected(&again), Reject::NonceSpent { .. }));
}

#[test]
fn what_is_hopeless_is_refused_at_once() {
    let mut failing = Failing::usual();
    let mut refusal = |change: fn(&mut Liquidate)| {
        let mut request = failing.request(CAROL, ALICE, 10);
        change(&mut request);
        rejected(&failing.group.apply(Command::Liquidate(signed(CAROL, request)))).clone()
    };
    assert!(matches!(refusal(|request| request.market = MarketId(256)), Reject::NotPerpetual { .. }));
    assert!(matches!(refusal(|request| request.market = MarketId(9 << 8)), Reject::UnknownMarket { .. }));
    assert!(matches!(refusal(|request| request.account = AccountId(99)), Reject::UnknownAccount { .. }));
    assert!(matches!(refusal(|request| request.account = AccountId(CAROL)), Reject::SameOwner { .. }));
    assert!(matches!(refusal(|request| request.keeper = AccountId(BOB)), Reject::NotAuthorized { .. }));
    assert!(matches!(refusal(|request| request.expiry = TimeMs(1)), Reject::Expired { .. }));
    let convert = |asset| Convert {
        keeper: AccountId(CAROL),
        account: AccountId(ALICE),
        asset,
        amount: 1,
        limit: 1,
        nonce: Nonce(900),
        expiry: TimeMs(0),
    };
    for asset in [FeedId(0), BTC, FeedId(77)] {
        let events = failing.group.apply(Command::Convert(signed(CAROL, convert(asset))));
        assert_eq!(*rejected(&events), Reject::NotPriced { feed: asset });
    }
}

#[test]
fn a_keepers_key_must_be_good_when_its_message_happens() {
    let mut failing = Failing::usual();
    let key = Address::repeat_byte(0xa9);
    let grant = SignerGrant {
        signer: key,
        expiry: TimeMs(12_000),
        max_notional: 0,
        trade: true,
        withdraw: false,
        venues: [VenueId(0); 3],
    };
    failing.frame(500, vec![InboxPayload::SignerSet { account: AccountId(CAROL), grant }]);
    failing.at(840, 500);
    let request = failing.request(CAROL, ALICE, 10);
    let events = failing.group.apply(Command::Liquidate(Signed { signer: key, ..signed(CAROL, request) }));
    assert!(matches!(events[..], [Event::RescueQueued { .. }]));
    assert!(matches!(refused(&failing.at(840, 1_001)), Reject::NotAuthorized { .. }));
}

#[test]
fn a_floor_that_a_keeper_raises_takes_back_what_waits() {
    let mut failing = Failing::usual();
    failing.at(840, 1_000);
    let request = failing.request(CAROL, ALICE, 10);
    failing.group.apply(Command::Liquidate(signed(CAROL, request)));
    let (account, below) = (AccountId(CAROL), Nonce(request.nonce.0 + 1));
    failing.group.apply(Command::CancelAll(signed(CAROL, CancelAll { account, below })));
    let events = failing.at(840, 1_000);
    assert_eq!(*refused(&events), Reject::NonceSpent { nonce: request.nonce, next: below });
    assert_eq!(failing.size(CAROL), 0);
}

#[test]
fn only_so_many_messages_of_keepers_wait() {
    let mut failing = Failing::usual();
    for _ in 0..KEEPERS_QUEUE_MAX {
        assert!(matches!(failing.liquidate(CAROL, ALICE, 1)[..], [Event::RescueQueued { .. }]));
    }
    assert_eq!(*rejected(&failing.liquidate(CAROL, ALICE, 1)), Reject::QueueFull { limit: 256 });
}

#[test]
fn an_account_without_equity_gives_a_keeper_its_last_position_whole_and_the_market_bears_the_debt() {
    let mut failing = Failing::usual();
    // She owes 50,000.
    failing.at(790, 1_000);
    failing.liquidate(CAROL, ALICE, 4_999);
    let events = failing.at(790, 1_000);
    assert_eq!(*refused(&events), Reject::NotWholeLastPosition { account: AccountId(ALICE), market: PERPETUAL });
    failing.liquidate(CAROL, ALICE, 5_000);
    let events = failing.at(790, 1_000);
    let charge = pick(&events, |event| match event {
        Event::Liquidated { charge, .. } => Some(charge.0),
        _ => None,
    });
    assert_eq!((charge, failing.size(CAROL), failing.health(ALICE).usd), (0, 5_000, -50_000));
    assert_eq!(failing.engine().feeds().next().unwrap().loss, 50_000);
}

#[test]
fn a_market_costs_others_no_more_than_its_cap() {
    let mut failing = Failing::new(PerpetualConfig { loss_cap: 49_999, ..bitcoin() });
    failing.trade(ALICE, BOB, 5_000, 1_000);
    failing.at(790, 1_000);
    failing.liquidate(CAROL, ALICE, 5_000);
    let events = failing.at(790, 1_000);
    assert_eq!(*refused(&events), Reject::LossAboveCap { market: PERPETUAL, loss: 50_000, cap: 49_999 });
}

#[test]
fn a_keeper_must_carry_all_that_it_asks_for() {
    let mut failing = Failing::usual();
    failing.at(840, 1_000);
    failing.group.withdraw(CAROL, 999_000);
    failing.liquidate(CAROL, ALICE, 5_000);
    // 84 atoms a lot and one, and she has 1,000.
    let missing = Atoms(5_000 * 84 + 1 - 1_000);
    assert_eq!(*refused(&failing.at(840, 1_000)), Reject::KeeperShort { keeper: AccountId(CAROL), missing });
}

#[test]
fn orders_that_a_keepers_new_position_leaves_no_room_for_are_gone() {
    let mut failing = Failing::usual();
    let order = Order { market: PERPETUAL, ..failing.group.order(CAROL, Side::Buy, 9_000, 800) };
    failing.group.place(order);
    failing.at(840, 1_000);
    failing.liquidate(CAROL, ALICE, 5_000);
    let events = failing.at(840, 1_000);
    assert_eq!(failing.size(CAROL), 3_274);
    let gone = pick(&events, |event| match event {
        Event::Cancelled { account, nonce, reason, .. } => Some((*account, *nonce, *reason)),
        _ => None,
    });
    assert_eq!(gone, (AccountId(CAROL), order.nonce, CancelReason::Margin));
}

// ---------------------------------------------------------------------- the fund, and the opposite side

#[test]
fn after_the_keepers_time_the_fund_takes_the_position_at_the_bankruptcy_price() {
    let mut failing = Failing::usual();
    failing.frame(1_000, vec![deposit(INSURANCE, 1_000_000)]);
    failing.at(840, 1_000);
    failing.frame(4_999, vec![]);
    assert_eq!(failing.size(ALICE), 5_000);
    let events = failing.frame(1, vec![]);
    // All of her equity, 200,000, goes with it.
    let taken = Event::TakenOver {
        account: AccountId(ALICE),
        market: PERPETUAL,
        size: Position(5_000),
        received: Atoms(4_000_000),
    };
    assert!(events.contains(&taken), "{events:?}");
    assert_eq!((failing.size(ALICE), failing.group.cash(ALICE)), (0, 0));
    assert_eq!((failing.size(INSURANCE), failing.health(INSURANCE).usd), (5_000, 1_200_000));
    let entry = failing.engine().holdings(AccountId::INSURANCE)[0].entry;
    assert_eq!(entry, Ticks(800), "what it paid for a lot");
}

#[test]
fn the_fund_takes_losses_up_to_the_markets_cap() {
    for (loss_cap, takes) in [(50_000, true), (49_999, false)] {
        let mut failing = Failing::new(PerpetualConfig { loss_cap, ..bitcoin() });
        failing.trade(ALICE, BOB, 5_000, 1_000);
        failing.frame(1_000, vec![deposit(INSURANCE, 1_000_000)]);
        failing.at(790, 1_000);
        let events = failing.frame(5_000, vec![]);
        assert_eq!(events.iter().any(|event| matches!(event, Event::TakenOver { .. })), takes, "{events:?}");
        assert_eq!((failing.size(ALICE), failing.size(INSURANCE)), (0, if takes { 5_000 } else { 0 }));
    }
}

#[test]
fn no_position_carries_more_of_a_debt_than_it_is_worth() {
    let mut failing = Failing::usual();
    failing.frame(1_000, vec![deposit(INSURANCE, 1_000_000)]);
    // It is worth 5,000, and she owes 3,995,000 with it.
    failing.at(1, 1_000);
    let events = failing.frame(5_000, vec![]);
    let received = pick(&events, |event| match event {
        Event::TakenOver { received, .. } => Some(received.0),
        _ => None,
    });
    assert_eq!(received, 10_000);
}

#[test]
fn a_fund_that_cannot_carry_it_leaves_it_to_those_who_won_most() {
    let mut failing = Failing::new(bitcoin());
    failing.trade(ALICE, BOB, 2_000, 1_000);
    failing.trade(ALICE, CAROL, 1_000, 990);
    failing.trade(ALICE, DAVE, 2_000, 1_000);
    let before = failing.group.cash(ALICE);
    failing.at(839, 1_000);
    let events = failing.frame(5_000, vec![]);
    let (received, others) = pick(&events, |event| match event {
        Event::Deleveraged { received, others, .. } => Some((received.0, others.clone())),
        _ => None,
    });
    // Bob and Dave won 16 % with the same equity, Carol less with more; among equals the lower number goes first.
    let others: Vec<_> = others.iter().map(|other| (other.account.0, other.size.0)).collect();
    assert_eq!(others, [(BOB, 2_000), (DAVE, 2_000), (CAROL, 1_000)]);
    assert_eq!(received, -before, "the bankruptcy price leaves nothing");
    assert_eq!((failing.size(ALICE), failing.group.cash(ALICE)), (0, 0));
    assert_eq!([BOB, CAROL, DAVE].map(|account| failing.size(account)), [0; 3]);
    let cash: i128 = [ALICE, BOB, CAROL, DAVE].map(|account| failing.group.cash(account)).iter().sum();
    assert_eq!(cash, 4 * DEPOSIT);
}

#[test]
fn orders_that_only_reduce_go_with_what_they_were_to_reduce() {
    let mut failing = Failing::usual();
    let phase = InboxPayload::PhaseSet { market: PERPETUAL, phase: Phase::ReduceOnly };
    failing.frame(100, vec![phase]);
    let order = Order { market: PERPETUAL, ..failing.group.order(BOB, Side::Buy, 5_000, 500) };
    assert!(matches!(failing.group.place(order)[0], Event::Accepted { .. }));
    failing.at(840, 1_000);
    let events = failing.frame(5_000, vec![]);
    assert_eq!(failing.size(BOB), 0);
    assert!(cancelled_reasons(&events).contains(&CancelReason::OnlyReducing), "{events:?}");
}

fn cancelled_reasons(events: &[Event]) -> Vec<CancelReason> {
    let reasons = events.iter().filter_map(|event| match event {
        Event::Cancelled { reason, .. } => Some(*reason),
        _ => None,
    });
    reasons.collect()
}

// ---------------------------------------------------------------------- debts

/// Carol takes Alice's position at 790, which leaves a debt of 50,000; nobody pays it before its time.
fn indebted() -> Failing {
    let mut failing = Failing::usual();
    failing.at(790, 1_000);
    failing.liquidate(CAROL, ALICE, 5_000);
    failing.at(790, 1_000);
    failing
}

#[test]
fn the_fund_pays_a_bankrupt_accounts_debt_as_far_as_it_can_and_all_share_the_rest() {
    let mut failing = indebted();
    failing.frame(100, vec![deposit(INSURANCE, 20_000)]);
    let events = failing.frame(5_000, vec![]);
    let bankrupt = Event::Bankrupt { account: AccountId(ALICE), debt: Atoms(50_000), paid: Atoms(20_000) };
    assert!(events.contains(&bankrupt), "{events:?}");
    assert_eq!((failing.group.cash(ALICE), failing.group.cash(INSURANCE)), (0, 0));
    assert_eq!(failing.engine().bad_debt(), Atoms(30_000));
    // Nothing can be signed for it any more, with whatever nonce.
    let order = Order { nonce: Nonce(u64::MAX), ..failing.group.order(ALICE, Side::Buy, 1, 1) };
    assert!(matches!(rejected(&failing.group.place(order)), Reject::NonceSpent { .. }));
    let events = failing.liquidate(ALICE, BOB, 1);
    assert_eq!(*rejected(&events), Reject::AccountClosed { account: AccountId(ALICE) });
}

#[test]
fn while_losses_are_shared_claims_leave_at_what_they_are_worth_and_deposits_buy_at_that() {
    let mut failing = indebted();
    failing.frame(5_000, vec![]);
    let (pool, debt) = (failing.engine().custody().0, failing.engine().bad_debt().0);
    assert_eq!((pool, debt), (5 * DEPOSIT, 50_000));

    // Fees that come after it may raise what it is worth, so what is paid is known when the frame is sealed.
    failing.group.withdraw(DAVE, 505_000);
    assert_eq!(failing.group.cash(DAVE), DEPOSIT - 505_000);
    let events = failing.frame(100, vec![]);
    let part = Event::PaidInPart { account: AccountId(DAVE), claim: Atoms(505_000), paid: Atoms(500_000) };
    assert!(events.contains(&part), "{events:?}");
    assert_eq!((failing.engine().custody().0, failing.engine().bad_debt().0), (4_500_000, 45_000));

    let before = failing.group.cash(DAVE);
    failing.frame(100, vec![deposit(DAVE, 100_000)]);
    assert_eq!(failing.group.cash(DAVE) - before, 101_000);
    assert_eq!((failing.engine().custody().0, failing.engine().bad_debt().0), (4_600_000, 46_000));
    assert_eq!(*rejected(&failing.group.withdraw(DAVE, 1)), Reject::WorthNothing { amount: 1 });
}

#[test]
fn what_the_fund_earns_pays_shared_losses_first() {
    let mut failing = indebted();
    failing.frame(5_000, vec![venue([0, 1_000_000, 0])]);
    let config = EventConfig { outcomes: 2, ..terms(2, 100_000, 0) };
    failing.frame(100, vec![InboxPayload::EventOpened { event: EventId(3), config }]);
    let market = MarketId::new(EventId(3), 0);
    for (account, side) in [(BOB, Side::Sell), (DAVE, Side::Buy)] {
        let order = Order { market, ..failing.group.order(account, side, 1_000, 500) };
        failing.group.place(order);
    }
    // 10 % of 500,000.
    let events = failing.frame(100, vec![]);
    assert!(events.contains(&Event::LossesRepaid { amount: Atoms(50_000) }), "{events:?}");
    assert_eq!((failing.engine().bad_debt(), failing.group.cash(INSURANCE)), (Atoms(0), 0));
}

#[test]
fn what_a_closed_accounts_outcomes_pay_above_their_worst_is_the_funds() {
    let mut failing = Failing::new(bitcoin());
    // 100 lots of an outcome at 500 cost her 50,000 and pay nothing at worst.
    for (account, side) in [(DAVE, Side::Sell), (ALICE, Side::Buy)] {
        let order = failing.group.order(account, side, 100, 500);
        failing.group.place(order);
    }
    failing.trade(ALICE, BOB, 5_000, 1_000);
    failing.at(790, 1_000);
    failing.liquidate(CAROL, ALICE, 5_000);
    failing.at(790, 1_000);
    failing.frame(5_000, vec![]);
    assert_eq!(failing.engine().bad_debt(), Atoms(100_000));
    let events = failing.frame(100, vec![resolve(&[1_000, 0])]);
    let paid = Event::Redeemed { account: AccountId(ALICE), event: EVENT, amount: Atoms(0) };
    assert!(events.contains(&paid), "{events:?}");
    assert!(events.contains(&Event::LossesRepaid { amount: Atoms(100_000) }), "{events:?}");
    assert_eq!((failing.group.cash(ALICE), failing.engine().bad_debt()), (0, Atoms(0)));
}

// ---------------------------------------------------------------------- conversions

#[test]
fn a_keeper_buys_as_much_of_an_asset_as_pays_the_debt_and_offers_of_it_go() {
    let mut failing = Failing::usual();
    let spot = SpotConfig { terms: TradingTerms::free(VENUE, 1), asset: GOLD, title: "Gold".into() };
    let market = MarketId(3 << 8);
    let bring =
        InboxPayload::Deposit { account: AccountId(ALICE), owner: owner(ALICE), token: GOLD_TOKEN, amount: 100_000 };
    failing.frame(100, vec![bring, InboxPayload::SpotListed { market, config: spot }]);
    // She owes 50,000 and has 10,000 lots of gold, which count for 500,000.
    failing.at(790, 1_000);
    assert_eq!(failing.health(ALICE).usd, -50_000);
    let order = Order { market, ..failing.group.order(ALICE, Side::Sell, 9_900, 200) };
    failing.group.place(order);
    failing.convert(CAROL, ALICE, u128::MAX);
    let events = failing.at(790, 1_000);
    // At 9 atoms of cash for an atom of gold.
    let done = pick(&events, |event| match event {
        Event::Converted { amount, paid, .. } => Some((*amount, paid.0)),
        _ => None,
    });
    assert_eq!(done, (5_556, 50_004));
    assert_eq!(failing.health(ALICE).usd, 4);
    assert!(failing.engine().open_orders(AccountId(ALICE)).is_empty(), "it offered more than is left");
    failing.convert(CAROL, ALICE, 1);
    assert_eq!(*refused(&failing.at(790, 1_000)), Reject::OwesNothing { account: AccountId(ALICE), usd: Atoms(4) });
}

#[test]
fn dust_of_assets_goes_to_the_fund_when_nothing_else_is_left() {
    let mut failing = Failing::usual();
    let bring = InboxPayload::Deposit { account: AccountId(ALICE), owner: owner(ALICE), token: GOLD_TOKEN, amount: 10 };
    failing.frame(100, vec![bring]);
    failing.at(700, 1_000);
    failing.liquidate(CAROL, ALICE, 5_000);
    failing.at(700, 1_000);
    let events = failing.frame(5_000, vec![]);
    assert!(events.contains(&Event::Swept { account: AccountId(ALICE), asset: GOLD, amount: 10 }), "{events:?}");
    assert_eq!(failing.engine().holdings(AccountId::INSURANCE)[0].amount, 10);
}

#[test]
fn dust_is_worth_a_million_atoms_at_most() {
    for (amount, is_dust) in [(100_000, true), (100_010, false)] {
        let mut failing = Failing::usual();
        let (account, owner) = (AccountId(ALICE), owner(ALICE));
        failing.frame(100, vec![InboxPayload::Deposit { account, owner, token: GOLD_TOKEN, amount }]);
        // She owes 600,000, and her gold counts for 500,000.
        failing.at(680, 1_000);
        failing.liquidate(CAROL, ALICE, 5_000);
        failing.at(680, 1_000);
        let events = failing.frame(5_000, vec![]);
        let is_swept = |event: &Event| matches!(event, Event::Swept { amount: swept, .. } if *swept == amount);
        assert_eq!(events.iter().any(is_swept), is_dust, "{events:?}");
    }
}

// ---------------------------------------------------------------------- what owners and keepers force

fn close_of(account: u64) -> InboxPayload {
    InboxPayload::ForcedClose { account: AccountId(account), market: PERPETUAL }
}

#[test]
fn a_forced_close_happens_at_index_price_less_the_penalty_without_any_grace() {
    let mut failing = Failing::usual();
    failing.frame(100, vec![deposit(INSURANCE, 1_000_000)]);
    let events = failing.frame(100, vec![close_of(ALICE)]);
    let (account, market) = (AccountId(ALICE), PERPETUAL);
    assert!(events.contains(&Event::CloseForced { account, market, size: Lots(5_000) }));
    assert!(!events.iter().any(|event| matches!(event, Event::TakenOver { .. })), "the book comes first: {events:?}");
    let events = failing.frame(100, vec![]);
    let received = Atoms(5_000 * 980);
    assert!(events.contains(&Event::TakenOver { account, market, size: Position(5_000), received }), "{events:?}");
    assert_eq!((failing.size(ALICE), failing.group.cash(ALICE)), (0, DEPOSIT - 100_000));
    assert_eq!(failing.engine().forced_close(account, market), None);
}

#[test]
fn without_a_fund_the_opposite_side_closes_and_gets_the_penalty() {
    let mut failing = Failing::usual();
    failing.frame(100, vec![close_of(ALICE)]);
    let events = failing.frame(100, vec![]);
    let others = pick(&events, |event| match event {
        Event::Deleveraged { others, .. } => Some(others.clone()),
        _ => None,
    });
    assert_eq!(others, [Counterparty { account: AccountId(BOB), size: Lots(5_000) }]);
    assert_eq!((failing.group.cash(ALICE), failing.group.cash(BOB)), (DEPOSIT - 100_000, DEPOSIT + 100_000));
}

/// The lines of the frame that the last events sealed, in the perpetual.
fn lines(events: &[Event]) -> Vec<(u64, Nonce, u64, u128, i128)> {
    let frame = pick(events, |event| match event {
        Event::FrameSealed(frame) => Some(frame.clone()),
        _ => None,
    });
    let lines = frame.markets.iter().filter(|(market, _)| *market == PERPETUAL).flat_map(|(_, lines)| lines);
    let line = |line: &FillLine| {
        let Order { account, nonce, .. } = line.order.message;
        (account.0, nonce, line.filled.0, line.notional, line.fee.0)
    };
    lines.map(line).collect()
}

#[test]
fn a_forced_close_meets_the_book_first_and_the_fund_takes_the_rest() {
    let mut failing = Failing::usual();
    failing.frame(100, vec![deposit(INSURANCE, 1_000_000)]);
    let bids = [(3_000, 990), (1_000, 980), (1_000, 979)].map(|(size, price)| {
        let order = Order { market: PERPETUAL, ..failing.group.order(CAROL, Side::Buy, size, price) };
        failing.group.place(order);
        order.nonce
    });
    let events = failing.frame(100, vec![close_of(ALICE)]);
    let fills: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Filled(fill) => Some((fill.maker_nonce, fill.taker, fill.taker_nonce, fill.size.0, fill.price.0)),
            _ => None,
        })
        .collect();
    let alice = AccountId(ALICE);
    let by_force = Nonce::FORCED;
    assert_eq!(fills, [(bids[0], alice, by_force, 3_000, 990), (bids[1], alice, by_force, 1_000, 980)]);
    assert_eq!(failing.engine().forced_close(alice, PERPETUAL), Some((Lots(1_000), TimeMs(0))));

    // One line that nobody signed, and then the fund: the bid at 979 is below index less the penalty.
    let events = failing.frame(100, vec![]);
    let notional = 3_000 * 990 + 1_000 * 980;
    assert_eq!(lines(&events)[1], (ALICE, by_force, 4_000, notional, 0));
    let received = Atoms(1_000 * 980);
    assert!(events.contains(&Event::TakenOver { account: alice, market: PERPETUAL, size: Position(1_000), received }));
    assert_eq!((failing.size(ALICE), failing.engine().forced_close(alice, PERPETUAL)), (0, None));
    assert_eq!(failing.group.cash(ALICE), DEPOSIT - 5_000_000 + notional.cast_signed() + received.0);
}

/// With a fee of 1 %, 990 would bring 980.1, and its fee of 9.9 is rounded up for a lot alone.
#[test]
fn the_fee_is_part_of_what_a_forced_close_may_cost() {
    for (bid, ask, meets) in [(989, 1_010, false), (990, 1_009, true)] {
        let mut config = bitcoin();
        config.terms.taker_fee = Ppm(10_000);
        let mut failing = Failing::new(config);
        failing.trade(ALICE, BOB, 5_000, 1_000);
        for (side, price) in [(Side::Buy, bid), (Side::Sell, ask)] {
            let order = failing.group.order(CAROL, side, 1, price);
            failing.group.place(Order { market: PERPETUAL, max_fee: Ppm(10_000), ..order });
        }
        let events = failing.frame(100, vec![close_of(ALICE), close_of(BOB)]);
        let met: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::Filled(fill) => Some((fill.taker.0, fill.taker_fee.0)),
                _ => None,
            })
            .collect();
        assert_eq!(met, if meets { vec![(ALICE, 10), (BOB, 11)] } else { vec![] }, "bid {bid}, ask {ask}");
    }
}

#[test]
fn a_forced_close_never_meets_its_owners_orders_and_takes_them_away() {
    let mut failing = Failing::usual();
    let own = Order { market: PERPETUAL, ..failing.group.order(ALICE, Side::Buy, 10, 1_000) };
    failing.group.place(own);
    let other = Order { market: PERPETUAL, ..failing.group.order(CAROL, Side::Buy, 10, 990) };
    failing.group.place(other);
    let events = failing.frame(100, vec![close_of(ALICE)]);
    assert_eq!(cancelled(&events), [(10, CancelReason::SelfTrade)]);
    assert_eq!(failing.size(ALICE), 4_990);
}

/// Its place in the line is not its own any more: the contract takes lines in order, and one before may end the position.
#[test]
fn whoever_was_met_by_another_forced_close_waits_for_the_next_frame() {
    let mut failing = Failing::usual();
    failing.frame(100, vec![deposit(INSURANCE, 1_000_000)]);
    // Bob, who is short, bids for twice what he needs; Alice's close hits him before his own is looked at.
    let bid = Order { market: PERPETUAL, ..failing.group.order(BOB, Side::Buy, 4_000, 1_000) };
    failing.group.place(bid);
    let ask = Order { market: PERPETUAL, ..failing.group.order(CAROL, Side::Sell, 1_000, 1_000) };
    let events = failing.frame(100, vec![close_of(ALICE), close_of(BOB)]);
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Filled(_))).count(), 1);
    assert_eq!((failing.size(ALICE), failing.size(BOB)), (1_000, -1_000));
    failing.group.place(ask);
    let events = failing.frame(100, vec![]);
    let (bob, market) = (AccountId(BOB), PERPETUAL);
    assert!(events.iter().any(|event| matches!(event, Event::Filled(fill) if fill.taker == bob)), "{events:?}");
    assert_eq!((failing.size(BOB), failing.engine().forced_close(bob, market)), (0, None));
}

#[test]
fn where_nobody_may_take_a_forced_close_goes_to_the_fund() {
    for phase in [Phase::Halted, Phase::PostOnly, Phase::Pending, Phase::Auction] {
        let mut failing = Failing::usual();
        failing.frame(100, vec![deposit(INSURANCE, 1_000_000)]);
        let bid = Order { market: PERPETUAL, ..failing.group.order(CAROL, Side::Buy, 10, 1_000) };
        failing.group.place(bid);
        let set = InboxPayload::PhaseSet { market: PERPETUAL, phase };
        let events = failing.frame(100, vec![set, close_of(ALICE)]);
        assert!(!events.iter().any(|event| matches!(event, Event::Filled(_))), "{phase:?}");
        let events = failing.frame(100, vec![]);
        assert!(events.iter().any(|event| matches!(event, Event::TakenOver { .. })), "{phase:?}: {events:?}");
    }
}

/// The reach of one order in the book is bounded, so a large close takes several frames.
#[test]
fn a_forced_close_goes_on_in_the_next_frame_where_the_book_was_too_long() {
    let mut failing = Failing::usual();
    for _ in 0..300 {
        let bid = Order { market: PERPETUAL, ..failing.group.order(CAROL, Side::Buy, 10, 1_000) };
        failing.group.place(bid);
    }
    let mut left = vec![5_000];
    failing.frame(100, vec![close_of(ALICE)]);
    while left.last() != Some(&failing.size(ALICE)) {
        left.push(failing.size(ALICE));
        let events = failing.frame(100, vec![]);
        let taken = events.iter().any(|event| matches!(event, Event::Deleveraged { .. } | Event::TakenOver { .. }));
        assert_eq!(taken, failing.size(ALICE) == 0, "the book is tried as long as it has something: {events:?}");
        if taken {
            break;
        }
    }
    assert!(left.len() >= 3 && left.last() == Some(&2_000), "{left:?}");
}

#[test]
fn a_forced_close_waits_for_a_price_and_ends_with_the_position() {
    let mut config = bitcoin();
    config.feed.max_age = 2_000;
    let mut failing = Failing::new(config);
    failing.trade(ALICE, BOB, 5_000, 1_000);
    failing.frame(5_000, vec![close_of(ALICE)]);
    let (account, market) = (AccountId(ALICE), PERPETUAL);
    assert_eq!(failing.engine().forced_close(account, market), Some((Lots(5_000), TimeMs(0))));
    // The market only reduces now, and both do.
    failing.trade(BOB, ALICE, 5_000, 1_000);
    assert_eq!(failing.engine().forced_close(account, market), None, "it will have ended when the frame is settled");
    failing.at(1_000, 1_000);
    assert_eq!(failing.engine().forced_close(account, market), None);
    assert_eq!(failing.size(ALICE), 0);
}

#[test]
fn nothing_comes_of_a_close_without_a_position() {
    let mut failing = Failing::usual();
    let events = failing.frame(100, vec![close_of(CAROL)]);
    assert!(!events.iter().any(|event| matches!(event, Event::CloseForced { .. })));
    assert_eq!(failing.engine().forced_close(AccountId(CAROL), PERPETUAL), None);
}

#[test]
fn a_forced_liquidation_happens_if_it_can_and_stops_nothing() {
    let mut failing = Failing::usual();
    let request = failing.request(CAROL, ALICE, 5_000);
    let events = failing.frame(100, vec![InboxPayload::ForcedLiquidation(request)]);
    assert!(matches!(refused(&events), Reject::NotFailing { .. }));
    failing.at(840, 1_000);
    let events = failing.frame(100, vec![InboxPayload::ForcedLiquidation(request)]);
    let forced = pick(&events, |event| match event {
        Event::Liquidated { forced, size, .. } => Some((*forced, *size)),
        _ => None,
    });
    assert_eq!(forced, (true, Position(3_274)));
    assert!(rescues(&failing.frame(100, vec![])).is_empty(), "the inbox item is all that the batch needs");
}

// ---------------------------------------------------------------------- bounds

#[test]
fn what_rescues_cost_is_bounded_and_the_rest_waits() {
    let mut failing = Failing::new(bitcoin());
    let many = 8..=107_u64;
    let rich =
        InboxPayload::Deposit { account: AccountId(BOB), owner: owner(BOB), token: TOKEN, amount: 1_000_000_000 };
    let mut items: Vec<_> = many.clone().map(|account| deposit(account, 1_000)).collect();
    items.push(rich);
    failing.frame(100, items);
    for account in many.clone() {
        failing.trade(account, BOB, 5, 1_000);
    }
    let flags = |events: &[Event]| events.iter().filter(|event| matches!(event, Event::Flagged { .. })).count();
    let first = flags(&failing.at(840, 1_000));
    let gas = failing.engine().frame_gas();
    let second = flags(&failing.frame(100, vec![]));
    assert!(first > 10 && first < 100 && first + second <= 100, "{first} and {second}");
    assert!(gas < 100_000 + 200_000 + xos_engine::RESCUE_GAS_PER_FRAME, "{gas}");
}

#[test]
fn a_snapshot_holds_what_waits() {
    let mut failing = indebted();
    failing.frame(5_000, vec![]);
    failing.trade(DAVE, BOB, 100, 790);
    let mut config = bitcoin();
    config.feed.max_age = 1_000;
    let set = InboxPayload::PerpetualSet { market: PERPETUAL, feed: BTC, config };
    failing.frame(5_000, vec![set, close_of(DAVE)]);
    failing.liquidate(CAROL, BOB, 10);
    failing.group.withdraw(DAVE, 1_000);
    let mut bytes = vec![];
    let hash = failing.engine().snapshot(&mut bytes).unwrap();
    let restored = Engine::restore(&bytes[..]).unwrap();
    restored.check_invariants();
    assert_eq!(restored.state_hash(), hash);
    assert_eq!(restored.waiting_keepers(), 1);
    assert_eq!(restored.forced_close(AccountId(DAVE), PERPETUAL), Some((Lots(100), TimeMs(0))));
    assert_eq!(restored.flagged_at(AccountId(ALICE)), failing.engine().flagged_at(AccountId(ALICE)));
    assert_eq!((restored.custody(), restored.bad_debt()), (failing.engine().custody(), failing.engine().bad_debt()));
}

// ---------------------------------------------------------------------- orders at an index price

/// Two markets may share what is held at one price, so margin cannot let go in one and take up in the other at once.
#[test]
fn an_order_at_an_index_price_is_replaced_within_its_market_only() {
    let mut this = Failing::new(bitcoin());
    let bid = Order { market: PERPETUAL, ..this.group.order(ALICE, Side::Buy, 1, 900) };
    this.group.place(bid);
    let mut replace = |order: Order| {
        let (order, instructions) = (signed(ALICE, order), Instructions::default());
        this.group.apply(Command::Replace { nonce: bid.nonce, order, instructions })
    };
    let wanted = MarketId::new(EVENT, 0);
    let elsewhere = Order { market: wanted, nonce: Nonce(bid.nonce.0 + 1), ..bid };
    let refusal = Reject::OtherMarket { nonce: bid.nonce, market: PERPETUAL, wanted };
    assert_eq!(*rejected(&replace(elsewhere)), refusal);
    assert!(matches!(replace(Order { market: PERPETUAL, ..elsewhere }).last(), Some(Event::Rested { .. })));
}
