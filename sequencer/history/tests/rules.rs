//! What the history keeps, and that it is the same however often, and from wherever, the log is told again.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "rules/logs.rs"]
mod logs;

use logs::*;
use proptest::prelude::*;
use xos_api::{Interval, LiquidationKind, LiquidationRole, OrderState, Role, TransferKind};
use xos_history::History;
use xos_types::*;

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
fn transfers_are_told_with_where_they_went_and_who_asked() {
    use TransferKind::{Claimable, Deposit, Fees, Received, Sent, SharedLoss, Withdrawal};
    let (_dir, history) = opened();
    let three = AccountId(3);
    let gateway = Address::repeat_byte(9);
    let left = |amount, forced| Event::Withdrawn { account: three, amount: Atoms(amount), forced };
    let cut = |claim, paid| Event::PaidInPart { account: three, claim: Atoms(claim), paid: Atoms(paid) };
    let arrived = |account, amount, credited| Event::AssetDeposited {
        account: AccountId(account),
        asset: ASSET,
        amount,
        credited,
    };
    tell(
        &history,
        &log(vec![
            vec![admitted()],
            vec![Event::Deposited { account: three, amount: Atoms(1_000) }, arrived(3, 50, true), arrived(4, 7, false)],
            // It is listed when it is sealed.
            vec![left(400, false), Event::AssetWithdrawn { account: three, asset: ASSET, amount: 20, forced: false }],
            vec![Event::Transferred { account: three, to: AccountId(4), asset: FeedId(0), amount: 100 }],
            vec![
                sealed(
                    7,
                    &[withdrawal(3, 1, CASH, 400)],
                    &[
                        transfer(withdrawal(3, 2, COIN, 20), gateway, 8),
                        transfer(withdrawal(3, 3, CASH, 100), Address::ZERO, 4),
                    ],
                ),
                Event::FeesPaid { account: AccountId(4), amount: Atoms(2) },
                cut(400, 390),
            ],
            vec![left(30, true), cut(30, 29)],
            vec![Event::AssetWithdrawn { account: three, asset: ASSET, amount: 6, forced: true }],
        ]),
    );
    let moved = |account, before, limit| {
        let records = history.transfers(AccountId(account), before, limit).unwrap();
        assert!(records.iter().all(|record| record.time == TimeMs(record.sequence * 60_000)));
        assert!(records.iter().all(|record| record.account == AccountId(account)));
        let told = records.iter().map(|record| (record.sequence, record.kind, record.token, record.amount));
        told.collect::<Vec<_>>()
    };
    let newest = [(7, Withdrawal, COIN, 6), (6, SharedLoss, CASH, 1), (6, Withdrawal, CASH, 30)];
    let asked = [(5, SharedLoss, CASH, 10), (5, Sent, CASH, 100), (5, Sent, COIN, 20), (5, Withdrawal, CASH, 400)];
    let first = [(2, Deposit, COIN, 50), (2, Deposit, CASH, 1_000)];
    assert_eq!(moved(3, None, 99), [newest.as_slice(), &asked, &first].concat());
    assert_eq!(moved(4, None, 99), [(5, Fees, CASH, 2), (5, Received, CASH, 100), (2, Claimable, COIN, 7)]);
    // Pages end where a command does.
    assert_eq!((moved(3, None, 2), moved(3, Some(6), 1), moved(3, Some(2), 9)), (newest.into(), asked.into(), vec![]));

    let asked = history.transfers(three, Some(6), 4).unwrap();
    let who = |index: usize| (asked[index].other, asked[index].gateway, asked[index].nonce, asked[index].batch);
    assert_eq!(who(0), (None, None, None, 0), "a loss");
    assert_eq!(who(1), (Some(AccountId(4)), None, Some(Nonce(3)), 7), "to an account of the group");
    assert_eq!(who(2), (Some(AccountId(8)), Some(gateway), Some(Nonce(2)), 7), "to another group");
    assert_eq!(who(3), (None, None, Some(Nonce(1)), 7), "a withdrawal");
    let received = history.transfers(AccountId(4), Some(6), 9).unwrap()[1];
    assert_eq!((received.other, received.nonce, received.batch), (Some(three), None, 7));
    assert_eq!(history.transfers(three, None, 1).unwrap()[0].nonce, None, "the chain asked for it");
    assert_eq!(history.transfers(AccountId(8), None, 9).unwrap(), [], "another group's account has the same number");
}

#[test]
fn a_liquidation_is_told_from_both_sides() {
    use LiquidationKind::{Bankrupt, CloseForced, Converted, Deleveraged, Flagged, Liquidated, Swept, TakenOver};
    use LiquidationRole::{Fund, Keeper, Opposite, Subject};
    let (_dir, history) = opened();
    let three = AccountId(3);
    tell(
        &history,
        &log(vec![
            vec![listed()],
            vec![fill((3, 1), (4, 1), PERPETUAL, Side::Buy, 17, 100)],
            vec![Event::Flagged { account: three }],
            // Short 17 lots at an index price of 100: the keeper is paid to take 10 of them, and 20 of the penalty of 50.
            vec![liquidated(3, 5, -10, -1_000, false)],
            vec![Event::Converted {
                account: three,
                keeper: AccountId(5),
                nonce: Nonce(8),
                asset: ASSET,
                amount: 4,
                paid: Atoms(390),
            }],
            vec![Event::CloseForced { account: three, market: PERPETUAL, size: Lots(7) }],
            // It pays 701 for 7 lots: 300.4, so 301, to the one, and to the other what is left.
            vec![deleveraged(3, -7, -701, &[(4, 3), (6, 4)])],
            vec![
                Event::TakenOver { account: three, market: PERPETUAL, size: Position(2), received: Atoms(190) },
                Event::Swept { account: three, asset: ASSET, amount: 5 },
                Event::Bankrupt { account: three, debt: Atoms(60), paid: Atoms(45) },
            ],
            vec![liquidated(6, 5, 1, 100, true)],
        ]),
    );
    let told = |account, before, limit| {
        let records = history.liquidations(AccountId(account), before, limit).unwrap();
        assert!(records.iter().all(|record| record.account == AccountId(account)));
        let sides = records.iter().map(|record| {
            (
                record.sequence,
                record.kind,
                record.role,
                record.other.map_or(0, |other| other.0),
                record.amount,
                record.cash.0,
            )
        });
        sides.collect::<Vec<_>>()
    };
    let last = [(8, Bankrupt, Subject, 1, 0, 60), (8, Swept, Subject, 1, -5, 0), (8, TakenOver, Subject, 1, -2, 190)];
    let deleveraging = [(7, Deleveraged, Subject, 6, 4, -400), (7, Deleveraged, Subject, 4, 3, -301)];
    let first = [
        (6, CloseForced, Subject, 0, 7, 0),
        (5, Converted, Subject, 5, -4, 390),
        (4, Liquidated, Subject, 5, 10, -1_050),
        (3, Flagged, Subject, 0, 0, 0),
    ];
    assert_eq!(told(3, None, 99), [last.as_slice(), &deleveraging, &first].concat());
    assert_eq!(
        (told(3, None, 1), told(3, Some(8), 1), told(3, Some(3), 9)),
        (last.into(), deleveraging.into(), vec![])
    );
    let fund = [(8, Bankrupt, Fund, 3, 0, -45), (8, Swept, Fund, 3, 5, 0), (8, TakenOver, Fund, 3, 2, -190)];
    assert_eq!(told(1, None, 9), fund);
    assert_eq!(told(4, None, 9), [(7, Deleveraged, Opposite, 3, -3, 301)]);
    assert_eq!(told(6, Some(9), 9), [(7, Deleveraged, Opposite, 3, -4, 400)]);
    let keeper = [
        (9, Liquidated, Keeper, 6, 1, -80),
        (5, Converted, Keeper, 3, 4, -390),
        (4, Liquidated, Keeper, 3, -10, 1_020),
    ];
    assert_eq!(told(5, None, 9), keeper);

    let one = |account, before| history.liquidations(AccountId(account), before, 1).unwrap()[0];
    let (subject, keeper) = (one(3, Some(5)), one(5, Some(5)));
    assert_eq!((subject.penalty, keeper.penalty), (Atoms(50), Atoms(-20)));
    for side in [subject, keeper] {
        assert_eq!((side.market, side.asset, side.nonce), (Some(PERPETUAL), None, Some(Nonce(9))));
        assert_eq!(-(side.cash.0 + side.penalty.0) / side.amount, 100, "the index price");
    }
    assert_eq!((one(6, None).nonce, one(3, None).shared), (None, Atoms(15)));
    assert_eq!((one(5, Some(6)).market, one(5, Some(6)).asset), (None, Some(ASSET)));
}

#[test]
fn what_the_insurance_fund_owes_itself_all_share() {
    let (_dir, history) = opened();
    let fund = AccountId::INSURANCE;
    tell(&history, &log(vec![vec![Event::Bankrupt { account: fund, debt: Atoms(60), paid: Atoms(0) }]]));
    let records = history.liquidations(fund, None, 9).unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].role, records[0].other, records[0].cash), (LiquidationRole::Subject, None, Atoms(60)));
    assert_eq!(records[0].shared, Atoms(60));
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

#[test]
fn a_command_belongs_to_the_first_sealed_frame_that_ends_with_it_or_later() {
    let (_dir, history) = opened();
    assert_eq!(history.frame_of(1).unwrap(), None);
    tell(&history, &log(vec![vec![sealed(1, &[], &[])], vec![sealed(4, &[], &[])]]));
    let frames = [1, 10, 11, 40, 41].map(|sequence| history.frame_of(sequence).unwrap().map(|(frame, _)| frame));
    assert_eq!(frames, [Some(1), Some(1), Some(4), Some(4), None]);
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
        let commands = log([vec![vec![listed(), admitted()]], commands].concat());
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
        for account in (1..8).map(AccountId) {
            let transfers = |history: &History| history.transfers(account, None, usize::MAX).unwrap();
            prop_assert_eq!(transfers(&pieced), transfers(&whole));
            let liquidations = |history: &History| history.liquidations(account, None, usize::MAX).unwrap();
            prop_assert_eq!(liquidations(&pieced), liquidations(&whole));
        }
        prop_assert_eq!(pieced.digest().unwrap(), whole.digest().unwrap());
    }
}
