//! Any commands.

use proptest::prelude::*;
use xos_types::*;

fn signature() -> impl Strategy<Value = (Signature, Address)> {
    (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<[u8; 20]>())
        .prop_map(|(r, vs, signer)| (Signature { r, vs }, Address::from(signer)))
}

fn sign<T>(message: T, (signature, signer): (Signature, Address)) -> Signed<T> {
    Signed { message, signature, signer }
}

fn order() -> impl Strategy<Value = Order> {
    let kinds = prop_oneof![
        Just(OrderKind::GoodTillCancelled),
        Just(OrderKind::ImmediateOrCancel),
        Just(OrderKind::FillOrKill),
        Just(OrderKind::PostOnly)
    ];
    let names = (any::<u64>(), any::<u32>(), any::<bool>(), kinds, any::<bool>());
    (names, any::<[u64; 4]>(), any::<[u32; 3]>()).prop_map(
        |(
            (account, market, buys, kind, reduce_only),
            [size, price, nonce, expiry],
            [max_fee, builder, builder_fee],
        )| {
            Order {
                account: AccountId(account),
                market: MarketId(market),
                side: if buys { Side::Buy } else { Side::Sell },
                kind,
                reduce_only,
                size: Lots(size),
                price: Ticks(price),
                nonce: Nonce(nonce),
                expiry: TimeMs(expiry),
                max_fee: Ppm(max_fee),
                builder,
                builder_fee: Ppm(builder_fee),
            }
        },
    )
}

fn payload() -> impl Strategy<Value = InboxPayload> {
    let address = || any::<[u8; 20]>().prop_map(Address::from);
    prop_oneof![
        (any::<u64>(), address(), address(), any::<u128>()).prop_map(|(account, owner, token, amount)| {
            InboxPayload::Deposit { account: AccountId(account), owner, token, amount }
        }),
        (any::<u32>(), prop::collection::vec(any::<u64>(), 0..9))
            .prop_map(|(event, payouts)| InboxPayload::EventResolved { event: EventId(event), payouts }),
        (
            any::<u32>(),
            any::<[u32; 3]>(),
            any::<(i32, bool, [u64; 3])>(),
            address(),
            ".*",
            prop::collection::vec(".*", 0..4)
        )
            .prop_map(
                |(
                    event,
                    [venue, taker_fee, ticks],
                    (maker_fee, curve, [quantum, cap, open]),
                    resolver,
                    title,
                    labels,
                )| {
                    let terms = TradingTerms {
                        taker_fee: Ppm(taker_fee),
                        maker_fee: Rate(maker_fee),
                        curve,
                        position_cap: Lots(cap),
                        open_interest_cap: Lots(open),
                        ..TradingTerms::free(VenueId(venue), quantum)
                    };
                    let config = EventConfig { terms, outcomes: 3, ticks, resolver, title, labels };
                    InboxPayload::EventOpened { event: EventId(event), config }
                }
            ),
        (any::<u64>(), address(), any::<[u64; 2]>(), any::<[u32; 3]>(), any::<[bool; 2]>()).prop_map(
            |(account, signer, [expiry, max_notional], venues, [trade, withdraw])| {
                let (expiry, max_notional) = (TimeMs(expiry), max_notional.into());
                let venues = venues.map(VenueId);
                let grant = SignerGrant { signer, expiry, max_notional, trade, withdraw, venues };
                InboxPayload::SignerSet { account: AccountId(account), grant }
            }
        ),
        (any::<[u64; 5]>(), any::<u32>(), any::<u128>()).prop_map(
            |([keeper, account, size, nonce, expiry], market, limit)| {
                InboxPayload::ForcedLiquidation(Liquidate {
                    keeper: AccountId(keeper),
                    account: AccountId(account),
                    market: MarketId(market),
                    size: Lots(size),
                    limit,
                    nonce: Nonce(nonce),
                    expiry: TimeMs(expiry),
                })
            }
        ),
        (any::<u64>(), address(), any::<u128>()).prop_map(|(account, token, amount)| {
            InboxPayload::ForcedWithdrawal { account: AccountId(account), token, amount }
        }),
    ]
}

pub(crate) fn command() -> impl Strategy<Value = Command> {
    let item = (any::<u64>(), any::<u64>(), payload()).prop_map(|(index, time, payload)| InboxItem {
        index,
        time: TimeMs(time),
        payload,
    });
    prop_oneof![
        (order(), signature()).prop_map(|(order, by)| Command::place(sign(order, by))),
        (any::<u64>(), order(), signature()).prop_map(|(nonce, order, by)| Command::Replace {
            nonce: Nonce(nonce),
            order: sign(order, by),
            instructions: Instructions { self_trade: SelfTrade::Decrement, crossing: Crossing::Slide },
        }),
        (any::<u64>(), order(), 1u64..99, signature()).prop_map(|(nonce, order, level, by)| Command::Replan {
            nonce: Nonce(nonce),
            order: sign(order, by),
            instructions: Instructions::default(),
            trigger: Some(Trigger { source: TriggerSource::Index, when: TriggerWhen::AtOrBelow, price: Ticks(level) }),
            pace: Pace::Iceberg { display: Lots(level) },
        }),
        (any::<u64>(), any::<u64>(), any::<u64>(), signature()).prop_map(|(account, nonce, size, by)| {
            Command::Amend(sign(Amend { account: AccountId(account), nonce: Nonce(nonce), size: Lots(size) }, by))
        }),
        (any::<u64>(), any::<u64>(), any::<u64>(), signature()).prop_map(|(account, nonce, time, by)| {
            Command::CancelAfter(sign(
                CancelAfter { account: AccountId(account), time: TimeMs(time), nonce: Nonce(nonce) },
                by,
            ))
        }),
        (any::<u64>(), any::<u32>(), any::<u64>(), signature()).prop_map(|(account, market, nonce, by)| {
            let (account, market, nonce) = (AccountId(account), MarketId(market), Nonce(nonce));
            Command::CancelMany(sign(CancelMany { account, venue: VenueId(1), market, sides: Sides::Both, nonce }, by))
        }),
        (any::<u64>(), any::<u64>(), signature()).prop_map(|(account, nonce, by)| {
            Command::Cancel(sign(Cancel { account: AccountId(account), nonce: Nonce(nonce) }, by))
        }),
        (any::<u64>(), any::<u64>(), any::<[u8; 32]>(), signature()).prop_map(|(account, number, challenge, by)| {
            let (account, expiry) = (AccountId(account), TimeMs(number));
            let login = sign(Session { account, scope: Scope::Cancel, expiry, challenge }, by);
            let act = match number % 4 {
                0 => Act::Cancel { nonce: Nonce(number) },
                1 => Act::CancelAll { below: Nonce(number) },
                2 => Act::CancelMany { venue: VenueId(1), market: MarketId(2), sides: Sides::Sell },
                _ => Act::CancelAfter { time: expiry },
            };
            Command::InSession { login, act }
        }),
        (any::<u64>(), any::<u64>(), signature()).prop_map(|(account, below, by)| {
            Command::CancelAll(sign(CancelAll { account: AccountId(account), below: Nonce(below) }, by))
        }),
        (any::<[u64; 3]>(), any::<u128>(), signature()).prop_map(|([account, nonce, expiry], amount, by)| {
            let account = AccountId(account);
            let (token, nonce, expiry) = (by.1, Nonce(nonce), TimeMs(expiry));
            Command::Withdraw(sign(Withdraw { account, token, amount, nonce, expiry }, by))
        }),
        (any::<u64>(), prop::collection::vec(item, 0..3)).prop_map(|(time, inbox)| Command::Frame {
            time: TimeMs(time),
            inbox,
            prices: vec![]
        }),
    ]
}
