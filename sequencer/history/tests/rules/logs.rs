//! Logs to tell a history: short words for events, and events at random.

use proptest::prelude::*;
use xos_history::History;
use xos_types::*;

pub(crate) const GROUP: GroupConfig = GroupConfig {
    chain_id: 1,
    group: Address::ZERO,
    token: CASH,
    governance: Address::ZERO,
    terms: GroupTerms::usual(Address::ZERO),
};
pub(crate) const CASH: Address = Address::repeat_byte(1);
pub(crate) const COIN: Address = Address::repeat_byte(2);
pub(crate) const SHARE: MarketId = MarketId(256);
pub(crate) const PERPETUAL: MarketId = MarketId(512);
pub(crate) const FEED: FeedId = FeedId(1);
pub(crate) const ASSET: FeedId = FeedId(2);

pub(crate) type Log = Vec<(u64, TimeMs, Vec<Event>)>;

pub(crate) fn order(account: u64, nonce: u64, market: MarketId, side: Side, size: u64, price: u64) -> Event {
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

pub(crate) fn fill(maker: (u64, u64), taker: (u64, u64), market: MarketId, side: Side, size: u64, price: u64) -> Event {
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

const PRICES: FeedConfig =
    FeedConfig { source: Address::ZERO, name: B256::ZERO, unit: 1, max_age: 0, max_gap: 0, max_move: Ppm(0) };

pub(crate) fn admitted() -> Event {
    let config = AssetConfig {
        token: COIN,
        lot: 1,
        initial_weight: Ppm(0),
        maintenance_weight: Ppm(0),
        conversion_discount: Ppm(0),
        cap: 0,
        feed: PRICES,
    };
    Event::AssetSet { feed: ASSET, config }
}

fn signed<T>(message: T) -> Signed<T> {
    Signed { message, signature: Signature::default(), signer: Address::ZERO }
}

pub(crate) fn withdrawal(account: u64, nonce: u64, token: Address, amount: u128) -> Withdraw {
    Withdraw { account: AccountId(account), token, amount, nonce: Nonce(nonce), expiry: TimeMs(0) }
}

pub(crate) fn transfer(withdraw: Withdraw, gateway: Address, to: u64) -> Transfer {
    let Withdraw { account, token, amount, nonce, expiry } = withdraw;
    Transfer { account, gateway, to: AccountId(to), token, amount, nonce, expiry }
}

pub(crate) fn sealed(id: u64, withdrawals: &[Withdraw], transfers: &[Transfer]) -> Event {
    Event::FrameSealed(Box::new(Frame {
        id,
        time: TimeMs(0),
        sequence: 10 * id,
        log_hash: Hash::default(),
        inbox: Vec::new(),
        prices: Vec::new(),
        funding: Vec::new(),
        redemptions: Vec::new(),
        rescues: Vec::new(),
        trees: Vec::new(),
        markets: Vec::new(),
        withdrawals: withdrawals.iter().copied().map(signed).collect(),
        transfers: transfers.iter().copied().map(signed).collect(),
    }))
}

pub(crate) fn liquidated(account: u64, keeper: u64, size: i64, value: i128, forced: bool) -> Event {
    Event::Liquidated {
        account: AccountId(account),
        keeper: AccountId(keeper),
        nonce: Nonce(9),
        market: PERPETUAL,
        size: Position(size),
        value: Atoms(value),
        charge: Atoms(50),
        keeper_part: Atoms(20),
        forced,
    }
}

pub(crate) fn deleveraged(account: u64, size: i64, received: i128, others: &[(u64, u64)]) -> Event {
    let others = others.iter().map(|&(account, size)| Counterparty { account: AccountId(account), size: Lots(size) });
    Event::Deleveraged {
        account: AccountId(account),
        market: PERPETUAL,
        size: Position(size),
        received: Atoms(received),
        others: others.collect(),
    }
}

pub(crate) fn listed() -> Event {
    let terms = TradingTerms::free(VenueId(1), 1);
    let config = PerpetualConfig {
        terms,
        feed: PRICES,
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

pub(crate) fn tell(history: &History, log: &[(u64, TimeMs, Vec<Event>)]) {
    history.record(log.iter().map(|(sequence, time, events)| (*sequence, *time, events.as_slice()))).unwrap();
}

/// A log whose commands are a minute apart.
pub(crate) fn log(commands: Vec<Vec<Event>>) -> Log {
    (1..).zip(commands).map(|(sequence, events)| (sequence, TimeMs(sequence * 60_000), events)).collect()
}

pub(crate) fn opened() -> (tempfile::TempDir, History) {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open(dir.path(), &GROUP).unwrap();
    (dir, history)
}

/// What moves money and assets.
fn movement() -> impl Strategy<Value = Event> {
    let token = || prop_oneof![Just(CASH), Just(COIN)];
    let asked = move || {
        (3u64..6, 1u64..9, token(), 1u128..9)
            .prop_map(|(account, nonce, token, amount)| withdrawal(account, nonce, token, amount))
    };
    let gateway = || prop_oneof![Just(Address::ZERO), Just(Address::repeat_byte(9))];
    let sent = (asked(), gateway()).prop_map(|(asked, gateway)| transfer(asked, gateway, asked.account.0 + 1));
    let of = |account| (Just(account), 1i128..9, any::<bool>());
    prop_oneof![
        (3u64..6).prop_flat_map(of).prop_map(|(account, amount, forced)| Event::Withdrawn {
            account: AccountId(account),
            amount: Atoms(amount),
            forced,
        }),
        (3u64..6).prop_flat_map(of).prop_map(|(account, amount, credited)| Event::AssetDeposited {
            account: AccountId(account),
            asset: ASSET,
            amount: amount.unsigned_abs(),
            credited,
        }),
        (3u64..6, 5i128..9).prop_map(|(account, claim)| Event::PaidInPart {
            account: AccountId(account),
            claim: Atoms(claim),
            paid: Atoms(4),
        }),
        (1u64..9, prop::collection::vec(asked(), 0..3), prop::collection::vec(sent, 0..3))
            .prop_map(|(id, withdrawals, transfers)| sealed(id, &withdrawals, &transfers)),
    ]
}

/// What becomes of accounts that fail.
fn failure() -> impl Strategy<Value = Event> {
    prop_oneof![
        (3u64..6).prop_map(|account| Event::Flagged { account: AccountId(account) }),
        (3u64..6, 1u64..9).prop_map(|(account, size)| Event::CloseForced {
            account: AccountId(account),
            market: PERPETUAL,
            size: Lots(size),
        }),
        (3u64..5, -9i64..9, -99i128..99, any::<bool>()).prop_map(|(account, size, value, forced)| liquidated(
            account,
            account + 1,
            size,
            value,
            forced
        )),
        (3u64..5, -9i64..9, -99i128..99, 1u64..9, 1u64..9).prop_map(|(account, size, received, one, two)| {
            deleveraged(account, size, received, &[(account + 1, one), (account + 2, two)])
        }),
        (3u64..6, 0i128..9).prop_map(|(account, paid)| Event::Bankrupt {
            account: AccountId(account),
            debt: Atoms(9),
            paid: Atoms(paid),
        }),
    ]
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
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
        2 => movement(),
        2 => failure(),
    ]
}
