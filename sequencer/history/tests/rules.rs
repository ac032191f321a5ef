//! What the history keeps, and that it is the same however often, and from wherever, the log is told again.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;
use xos_api::{Interval, OrderState, Role};
use xos_history::History;
use xos_types::*;

const GROUP: GroupConfig = GroupConfig {
    chain_id: 1,
    group: Address::ZERO,
    token: Address::ZERO,
    governance: Address::ZERO,
    terms: GroupTerms::usual(Address::ZERO),
};
const SHARE: MarketId = MarketId(256);
const PERPETUAL: MarketId = MarketId(512);
const FEED: FeedId = FeedId(1);

type Log = Vec<(u64, TimeMs, Vec<Event>)>;

fn order(account: u64, nonce: u64, market: MarketId, side: Side, size: u64, price: u64) -> Event {
    let order = Order {
        account: AccountId(account),
        market,
        side,
        kind: OrderKind::GoodTillCancelled,
        reduce_only: false,
        size: Lots(size),
        price: Ticks(price),
        nonce: Nonce(nonce),
        expiry: TimeMs(0),
        max_fee: Ppm(0),
        builder: 0,
        builder_fee: Ppm(0),
    };
    Event::Accepted { order }
}

fn fill(maker: (u64, u64), taker: (u64, u64), market: MarketId, side: Side, size: u64, price: u64) -> Event {
    Event::Filled(Fill {
        market,
        price: Ticks(price),
        size: Lots(size),
        taker_side: side,
        maker: AccountId(maker.0),
        maker_nonce: Nonce(maker.1),
        maker_fee: Atoms(-1),
        maker_remaining: Lots(0),
        taker: AccountId(taker.0),
        taker_nonce: Nonce(taker.1),
        taker_fee: Atoms(3),
    })
}

fn listed() -> Event {
    let terms = TradingTerms::free(VenueId(1), 1);
    let feed =
        FeedConfig { source: Address::ZERO, name: B256::ZERO, unit: 1, max_age: 0, max_gap: 0, max_move: Ppm(0) };
    let config = PerpetualConfig {
        terms,
        feed,
        initial_fractions: [Ppm(2); 4],
        maintenance_fractions: [Ppm(1); 4],
        tier_bounds: [1, 2, 3],
        penalty: Ppm(0),
        funding_cap: Ppm(1),
        loss_cap: 0,
        title: "Bitcoin".into(),
    };
    Event::PerpetualSet { market: PERPETUAL, feed: FEED, config }
}

fn tell(history: &History, log: &[(u64, TimeMs, Vec<Event>)]) {
    history.record(log.iter().map(|(sequence, time, events)| (*sequence, *time, events.as_slice()))).unwrap();
}

/// A log whose commands are a minute apart.
fn log(commands: Vec<Vec<Event>>) -> Log {
    (1..).zip(commands).map(|(sequence, events)| (sequence, TimeMs(sequence * 60_000), events)).collect()
}

fn opened() -> (tempfile::TempDir, History) {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open(dir.path(), &GROUP).unwrap();
    (dir, history)
}

#[test]
fn an_order_is_followed_from_its_acceptance_to_its_end() {
    let (_dir, history) = opened();
    tell(
        &history,
        &log(vec![
            vec![order(3, 1, SHARE, Side::Sell, 10, 500)],
            vec![order(4, 1, SHARE, Side::Buy, 4, 510), fill((3, 1), (4, 1), SHARE, Side::Buy, 4, 500)],
            vec![order(4, 2, SHARE, Side::Buy, 1, 500), fill((3, 1), (4, 2), SHARE, Side::Buy, 1, 500)],
            vec![Event::Cancelled {
                account: AccountId(3),
                nonce: Nonce(1),
                market: SHARE,
                side: Side::Sell,
                price: Ticks(500),
                remaining: Lots(5),
                reason: CancelReason::Requested,
            }],
        ]),
    );
    let maker = history.order(AccountId(3), Nonce(1)).unwrap().unwrap();
    assert_eq!(maker.state, OrderState::Cancelled(CancelReason::Requested));
    assert_eq!((maker.filled, maker.remaining, maker.notional, maker.fees), (Lots(5), Lots(0), 2_500, Atoms(-2)));
    assert_eq!((maker.placed, maker.changed, maker.changed_at), (1, 4, TimeMs(240_000)));
    let taker = history.order(AccountId(4), Nonce(1)).unwrap().unwrap();
    assert_eq!((taker.state, taker.filled, taker.fees), (OrderState::Filled, Lots(4), Atoms(3)));
    assert_eq!(history.order(AccountId(4), Nonce(3)).unwrap(), None);

    let nonces = |before, limit| -> Vec<u64> {
        let orders = history.orders(AccountId(4), before, limit).unwrap();
        orders.iter().map(|record| record.order.nonce.0).collect()
    };
    assert_eq!((nonces(None, 10), nonces(Some(3), 10), nonces(None, 1)), (vec![2, 1], vec![1], vec![2]));
    let fills = history.fills(AccountId(3), None, 10).unwrap();
    assert_eq!(fills.iter().map(|fill| (fill.sequence, fill.size.0)).collect::<Vec<_>>(), [(3, 1), (2, 4)]);
    assert_eq!((fills[0].role, fills[0].side, fills[0].fee), (Role::Maker, Side::Sell, Atoms(-1)));
    let trades = history.trades(SHARE, Some(3), 10).unwrap();
    assert_eq!((trades.len(), trades[0].sequence, trades[0].size), (1, 2, Lots(4)));
    assert_eq!(history.cursor().unwrap(), 4);
}

#[test]
fn what_one_command_did_stays_together() {
    let (_dir, history) = opened();
    let fills = (1..=5).map(|nonce| fill((3, nonce), (4, 1), SHARE, Side::Buy, 1, 500));
    tell(&history, &log(vec![vec![fill((3, 9), (4, 9), SHARE, Side::Buy, 1, 400)], fills.collect()]));
    assert_eq!(history.markets().unwrap(), [SHARE]);
    assert_eq!(history.trades(SHARE, None, 2).unwrap().len(), 5);
    assert_eq!(history.trades(SHARE, None, 6).unwrap().len(), 6);
    assert_eq!(history.fills(AccountId(4), None, 1).unwrap().len(), 5);
}

#[test]
fn candles_of_any_length_are_those_of_their_minutes() {
    let (_dir, history) = opened();
    // A trade a minute, its price the minute's number, from the first minute on.
    let prices = (1..=130).map(|price| vec![fill((3, price), (4, price), SHARE, Side::Buy, 2, price)]);
    tell(&history, &log(prices.collect()));
    let candles = |interval, from: u64, until: u64, limit| {
        let found = history.candles(SHARE, interval, TimeMs(from * 60_000), TimeMs(until * 60_000), limit).unwrap();
        found.iter().map(|c| (c.start.0 / 60_000, c.open.0, c.high.0, c.low.0, c.close.0, c.volume)).collect::<Vec<_>>()
    };
    assert_eq!(candles(Interval::Minute, 1, 3, 9), [(1, 1, 1, 1, 1, 2), (2, 2, 2, 2, 2, 2)]);
    assert_eq!(candles(Interval::FiveMinutes, 0, 10, 9), [(0, 1, 4, 1, 4, 8), (5, 5, 9, 5, 9, 10)]);
    assert_eq!(candles(Interval::FiveMinutes, 1, 6, 9), [(5, 5, 9, 5, 9, 10)], "from a start on, and to its end");
    assert_eq!(candles(Interval::Hour, 0, 1_000, 9)[1..], [(60, 60, 119, 60, 119, 120), (120, 120, 130, 120, 130, 22)]);
    assert_eq!(candles(Interval::FourHours, 0, 1_000, 9), [(0, 1, 130, 1, 130, 260)]);
    assert_eq!(candles(Interval::Day, 0, 1_000, 9), [(0, 1, 130, 1, 130, 260)]);
    assert_eq!(candles(Interval::Minute, 0, 1_000, 3).len(), 3);
    assert_eq!(candles(Interval::Minute, 9, 3, 3), []);
}

#[test]
fn funding_is_of_what_was_held_when_the_index_moved() {
    let (_dir, history) = opened();
    let funded = |index: i128| Event::Funded { feed: FEED, index };
    tell(
        &history,
        &log(vec![
            vec![listed()],
            vec![funded(1_000_000_000)],
            // Account 3 sells 10 to account 4, which then closes 4 of them.
            vec![fill((3, 1), (4, 1), PERPETUAL, Side::Buy, 10, 100)],
            vec![funded(3_500_000_001), fill((4, 2), (3, 2), PERPETUAL, Side::Buy, 4, 100)],
            vec![funded(3_000_000_000)],
            vec![Event::Closed { account: AccountId(4), market: PERPETUAL, amount: Atoms(0) }],
            vec![funded(9_000_000_000)],
        ]),
    );
    let paid = |account, before, limit| {
        let records = history.funding(AccountId(account), None, before, limit).unwrap();
        records.iter().map(|record| (record.sequence, record.position.0, record.amount.0)).collect::<Vec<_>>()
    };
    // Rounded down: longs pay 25.00000001, so 26, and shorts get 25; then shorts pay 3.000000006, so 4.
    assert_eq!(paid(4, None, 9), [(5, 6, 3), (4, 10, -26)]);
    assert_eq!(paid(3, None, 9), [(7, -6, 36), (5, -6, -4), (4, -10, 25)]);
    assert_eq!((paid(3, Some(5), 9), paid(3, None, 1)), (vec![(4, -10, 25)], vec![(7, -6, 36)]));
    assert_eq!(history.funding(AccountId(3), Some(SHARE), None, 9).unwrap(), []);
}

#[test]
fn another_groups_history_is_thrown_away() {
    let (dir, history) = opened();
    tell(&history, &log(vec![vec![order(3, 1, SHARE, Side::Sell, 10, 500)]]));
    drop(history);
    let history = History::open(dir.path(), &GROUP).unwrap();
    assert_eq!((history.cursor().unwrap(), history.orders(AccountId(3), None, 9).unwrap().len()), (1, 1));
    drop(history);
    let history = History::open(dir.path(), &GroupConfig { chain_id: 2, ..GROUP }).unwrap();
    assert_eq!((history.cursor().unwrap(), history.orders(AccountId(3), None, 9).unwrap().len()), (0, 0));
}

fn event() -> impl Strategy<Value = Event> {
    let market = || prop_oneof![Just(SHARE), Just(PERPETUAL)];
    let side = || prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    prop_oneof![
        4 => (3u64..6, 1u64..9, market(), side(), 1u64..9).prop_map(|(a, n, m, s, lots)| order(a, n, m, s, lots, 7)),
        4 => (3u64..5, 1u64..9, 1u64..9, market(), side(), 1u64..9)
            .prop_map(|(a, n, o, m, s, lots)| fill((a, n), (a + 1, o), m, s, lots, 5 + lots)),
        1 => (-9i128..9).prop_map(|index| Event::Funded { feed: FEED, index: index * 1_000_000_000 }),
        1 => (3u64..6, -9i64..9).prop_map(|(account, size)| Event::TakenOver {
            account: AccountId(account),
            market: PERPETUAL,
            size: Position(size),
            received: Atoms(0),
        }),
        1 => (3u64..6, 1u64..9, 0u64..4).prop_map(|(account, nonce, remaining)| Event::Reduced {
            account: AccountId(account),
            nonce: Nonce(nonce),
            market: SHARE,
            side: Side::Buy,
            price: Ticks(1),
            by: Lots(1),
            remaining: Lots(remaining),
            reason: CancelReason::Requested,
        }),
    ]
}

#[test]
fn one_that_is_about_to_be_left_is_waited_for() {
    let (dir, held) = opened();
    let leaving = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(100));
        drop(held);
    });
    assert_eq!(History::open(dir.path(), &GROUP).unwrap().cursor().unwrap(), 0);
    leaving.join().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Deleted and rebuilt, or told in pieces that overlap and begin anywhere before the cursor: it comes to the same.
    #[test]
    fn it_follows_from_the_log_alone(
        commands in prop::collection::vec(prop::collection::vec(event(), 0..4), 1..60),
        pieces in prop::collection::vec((0usize..60, 1usize..30), 1..12),
    ) {
        let commands = log([vec![vec![listed()]], commands].concat());
        let (_dir, whole) = opened();
        tell(&whole, &commands);
        let (dir, mut pieced) = opened();
        for (back, length) in pieces {
            let cursor = usize::try_from(pieced.cursor().unwrap()).unwrap();
            let from = cursor.saturating_sub(back);
            tell(&pieced, &commands[from..commands.len().min(cursor + length)]);
            // As after a crash that lost nothing but where it was.
            drop(pieced);
            pieced = History::open(dir.path(), &GROUP).unwrap();
        }
        let cursor = usize::try_from(pieced.cursor().unwrap()).unwrap();
        tell(&pieced, &commands[cursor.saturating_sub(3)..]);
        prop_assert_eq!(pieced.digest().unwrap(), whole.digest().unwrap());
    }
}
