//! What the journal promises, rule by rule, against real files.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tempfile::{TempDir, tempdir};
use xos_journal::{DroppedTail, Journal, JournalError, LOG_FILE, Replay, read_only};
use xos_types::*;

fn group() -> GroupConfig {
    GroupConfig {
        chain_id: 1952,
        group: Address::repeat_byte(0x11),
        token: Address::repeat_byte(0x22),
        governance: Address::repeat_byte(0x55),
        terms: GroupTerms::usual(Address::repeat_byte(0x66)),
    }
}

fn cancel(nonce: u64) -> Command {
    let message = Cancel { account: AccountId(nonce % 7), nonce: Nonce(nonce) };
    Command::Cancel(Signed { message, signature: Signature::default(), signer: Address::repeat_byte(0x33) })
}

fn window(from: u64, count: u64) -> Vec<Logged> {
    (from..from + count).map(cancel).map(Logged::new).collect()
}

/// What a replay yields, checking that sequence numbers have no gaps.
fn commands(replay: Replay) -> Vec<Logged> {
    let numbered: Vec<_> = replay.map(Result::unwrap).collect();
    assert!(numbered.iter().zip(1..).all(|((sequence, _), expected)| *sequence == expected));
    numbered.into_iter().map(|(_, command)| command).collect()
}

fn reopen(dir: &Path) -> Result<(Journal, Replay), JournalError> {
    Journal::open(dir, &group())
}

/// A journal of three blocks of 2, 3 and 2 commands, and where each block ends.
fn three_blocks() -> (TempDir, Vec<u64>) {
    let dir = tempdir().unwrap();
    let (mut journal, _) = reopen(dir.path()).unwrap();
    let mut ends = vec![journal.bytes()];
    for (from, count) in [(0, 2), (2, 3), (5, 2)] {
        journal.append(&window(from, count)).unwrap();
        ends.push(journal.bytes());
    }
    (dir, ends)
}

fn log(dir: &Path) -> Vec<u8> {
    fs::read(dir.join(LOG_FILE)).unwrap()
}

fn put(dir: &Path, bytes: &[u8]) {
    fs::write(dir.join(LOG_FILE), bytes).unwrap();
}

#[test]
fn what_was_appended_is_replayed_in_order() {
    let (dir, _) = three_blocks();
    let (journal, replay) = reopen(dir.path()).unwrap();
    assert_eq!((journal.last_sequence(), replay.last_sequence(), replay.dropped_tail()), (7, 7, None));
    assert_eq!(commands(replay), window(0, 7));
}

#[test]
fn appending_after_reopening_continues_the_chain() {
    let (dir, _) = three_blocks();
    for from in 7..20 {
        let (mut journal, replay) = reopen(dir.path()).unwrap();
        assert_eq!(replay.last_sequence(), from);
        assert_eq!(journal.append(&window(from, 1)).unwrap(), from + 1);
    }
    assert_eq!(commands(reopen(dir.path()).unwrap().1), window(0, 20));
}

#[test]
fn an_empty_window_writes_nothing() {
    let (dir, ends) = three_blocks();
    let (mut journal, _) = reopen(dir.path()).unwrap();
    assert_eq!(journal.append(&[]).unwrap(), 7);
    assert_eq!(journal.bytes(), ends[3]);
}

#[test]
fn a_replay_ends_where_the_journal_was_opened() {
    let (dir, _) = three_blocks();
    let (mut journal, replay) = reopen(dir.path()).unwrap();
    journal.append(&window(7, 1)).unwrap();
    assert_eq!(commands(replay), window(0, 7));
}

#[test]
fn a_tail_torn_at_any_byte_is_dropped_and_the_chain_goes_on() {
    let (dir, ends) = three_blocks();
    let whole = log(dir.path());
    let last = usize::try_from(ends[2]).unwrap();
    for length in last..whole.len() {
        put(dir.path(), &whole[..length]);
        let (mut journal, replay) = reopen(dir.path()).unwrap();
        let bytes = (length - last) as u64;
        let expected = (bytes > 0).then_some(DroppedTail { offset: ends[2], bytes, sequence: 6 });
        assert_eq!(replay.dropped_tail(), expected, "torn at byte {length}");
        assert_eq!(commands(replay), window(0, 5));
        assert_eq!(log(dir.path()), whole[..last]);
        journal.append(&window(5, 2)).unwrap();
        drop(journal);
        assert_eq!(log(dir.path()), whole, "the same commands make the same bytes");
    }
}

#[test]
fn a_tail_whose_end_was_never_flushed_is_dropped() {
    let (dir, ends) = three_blocks();
    let whole = log(dir.path());
    // A file may have got its length but not all of its data.
    for flushed in usize::try_from(ends[2]).unwrap()..whole.len() - 32 {
        let mut torn = whole.clone();
        torn[flushed..].fill(0);
        put(dir.path(), &torn);
        let (_, replay) = reopen(dir.path()).unwrap();
        assert!(replay.dropped_tail().is_some(), "flushed up to byte {flushed}");
        assert_eq!(commands(replay), window(0, 5));
    }
}

#[test]
fn a_dropped_tail_is_kept_beside_the_log() {
    let (dir, ends) = three_blocks();
    let whole = log(dir.path());
    put(dir.path(), &whole[..whole.len() - 1]);
    reopen(dir.path()).unwrap();
    let kept = fs::read(dir.path().join(format!("dropped-{}.bin", ends[2]))).unwrap();
    assert_eq!(kept, whole[usize::try_from(ends[2]).unwrap()..whole.len() - 1]);
}

#[test]
fn a_flipped_bit_in_the_last_block_drops_that_block_only() {
    let (dir, ends) = three_blocks();
    let whole = log(dir.path());
    for byte in usize::try_from(ends[2]).unwrap()..whole.len() {
        let mut flipped = whole.clone();
        flipped[byte] ^= 1 << (byte % 8);
        put(dir.path(), &flipped);
        let (_, replay) = reopen(dir.path()).unwrap();
        assert_eq!(replay.dropped_tail().unwrap().offset, ends[2], "flipped in byte {byte}");
        assert_eq!(commands(replay), window(0, 5));
    }
}

#[test]
fn a_flipped_bit_in_the_middle_is_refused_and_nothing_changes() {
    let (dir, ends) = three_blocks();
    let whole = log(dir.path());
    for byte in usize::try_from(ends[0]).unwrap()..usize::try_from(ends[2]).unwrap() {
        let mut flipped = whole.clone();
        flipped[byte] ^= 1 << (byte % 8);
        put(dir.path(), &flipped);
        let (start, first) = if (byte as u64) < ends[1] { (ends[0], 1) } else { (ends[1], 3) };
        match reopen(dir.path()) {
            Err(JournalError::Damaged { offset, sequence, .. }) => assert_eq!((offset, sequence), (start, first)),
            other => panic!("flipped in byte {byte}: {other:?}"),
        }
        assert_eq!(log(dir.path()), flipped);
    }
}

#[test]
fn a_missing_or_foreign_block_is_refused() {
    let (dir, ends) = three_blocks();
    let whole = log(dir.path());
    let at = |index: usize| usize::try_from(ends[index]).unwrap();
    let without_second = [&whole[..at(1)], &whole[at(2)..]].concat();
    put(dir.path(), &without_second);
    let error = reopen(dir.path()).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { offset, sequence: 3, .. } if offset == ends[1]), "{error}");

    // The same sequence numbers from another history: intact, but of another chain.
    let other = tempdir().unwrap();
    let (mut journal, _) = reopen(other.path()).unwrap();
    for (from, count) in [(10, 2), (12, 3), (15, 2)] {
        journal.append(&window(from, count)).unwrap();
    }
    let spliced = [&whole[..at(2)], &log(other.path())[at(2)..]].concat();
    put(dir.path(), &spliced);
    let error = reopen(dir.path()).unwrap_err();
    assert!(error.to_string().contains("does not continue the chain"), "{error}");
}

#[test]
fn a_damaged_header_is_no_torn_tail() {
    let (dir, _) = three_blocks();
    let whole = log(dir.path());
    for byte in 0..112 {
        let mut flipped = whole.clone();
        flipped[byte] ^= 0x10;
        put(dir.path(), &flipped);
        assert!(matches!(reopen(dir.path()), Err(JournalError::NotAJournal { .. })), "byte {byte}");
    }
    put(dir.path(), &whole[..40]);
    assert!(matches!(reopen(dir.path()), Err(JournalError::NotAJournal { .. })));
}

#[test]
fn another_groups_journal_is_refused_naming_both() {
    let (dir, _) = three_blocks();
    let before = log(dir.path());
    let other = GroupConfig { group: Address::repeat_byte(0x44), ..group() };
    let error = Journal::open(dir.path(), &other).unwrap_err();
    assert!(matches!(&error, JournalError::OtherGroup { .. }));
    let text = error.to_string();
    assert!(text.contains(&group().group.to_string()) && text.contains(&other.group.to_string()), "{text}");
    assert_eq!(log(dir.path()), before);
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let (dir, _) = three_blocks();
    let (journal, _) = reopen(dir.path()).unwrap();
    assert!(matches!(reopen(dir.path()), Err(JournalError::Locked { .. })));
    drop(journal);
    assert!(reopen(dir.path()).is_ok());
}

#[test]
fn an_audit_reads_beside_the_writer_and_changes_nothing() {
    let (dir, ends) = three_blocks();
    let whole = log(dir.path());
    let torn = &whole[..whole.len() - 1];
    put(dir.path(), torn);
    let (found, replay) = read_only(dir.path()).unwrap();
    assert_eq!(found, group());
    assert_eq!(replay.dropped_tail().map(|tail| tail.offset), Some(ends[2]));
    assert_eq!(commands(replay), window(0, 5));
    assert_eq!(log(dir.path()), torn);

    let (mut journal, _) = reopen(dir.path()).unwrap();
    journal.append(&window(5, 1)).unwrap();
    assert_eq!(commands(read_only(dir.path()).unwrap().1), window(0, 6));
}

#[test]
fn there_is_nothing_to_audit_in_an_empty_directory() {
    let dir = tempdir().unwrap();
    assert!(matches!(read_only(dir.path()), Err(JournalError::Missing { .. })));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_journal_may_be_empty() {
    let dir = tempdir().unwrap();
    drop(reopen(dir.path()).unwrap());
    let (journal, replay) = reopen(dir.path()).unwrap();
    assert_eq!((journal.last_sequence(), commands(replay)), (0, vec![]));
}

// ---------------------------------------------------------------------- any commands

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

fn command() -> impl Strategy<Value = Command> {
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_commands_in_any_windows_come_back(
        windows in prop::collection::vec(prop::collection::vec(command().prop_map(Logged::new), 0..8), 0..8), reopen_at in 0usize..8,
    ) {
        let dir = tempdir().unwrap();
        let (mut journal, _) = reopen(dir.path()).unwrap();
        for (index, window) in windows.iter().enumerate() {
            if index == reopen_at {
                drop(journal);
                journal = reopen(dir.path()).unwrap().0;
            }
            journal.append(window).unwrap();
        }
        drop(journal);
        let expected: Vec<Logged> = windows.into_iter().flatten().collect();
        prop_assert_eq!(commands(reopen(dir.path()).unwrap().1), expected);
    }

    /// Whatever a disk does to a file, opening it neither panics nor yields a command that was not written there.
    #[test]
    fn damage_anywhere_yields_a_prefix_or_an_error(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>(),
    ) {
        let (dir, _) = three_blocks();
        let mut bytes = log(dir.path());
        for (index, value) in changes {
            let length = bytes.len();
            bytes[index.index(length)] = value;
        }
        bytes.truncate(cut.index(2 * bytes.len()) + 1);
        put(dir.path(), &bytes);
        if let Ok((_, replay)) = reopen(dir.path()) {
            let found = commands(replay);
            prop_assert_eq!(&found[..], &window(0, 7)[..found.len()]);
        }
    }
}
