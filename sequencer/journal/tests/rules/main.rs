//! What the journal promises, rule by rule, against real files.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod commands;
mod damage;
mod disk;
mod kill;
mod repair;
mod replay;
mod replicas;
mod retire;
mod stepwise;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tempfile::{TempDir, tempdir};
use xos_journal::{Journal, JournalError, LOCK_FILE, Reader, Recovery, Replay, Settings, read_only};
use xos_types::*;

/// Room for a header and seven small blocks.
const SMALL: Settings = Settings { segment_bytes: 4096, block_bytes: 4 << 20 };
const SECTOR: usize = 512;

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

/// So many commands, of which the first has sequence number `from + 1` in the journals below.
fn window(from: u64, count: u64) -> Vec<Logged> {
    (from..from + count).map(cancel).map(Logged::new).collect()
}

/// What a replay yields, checking that sequence numbers have no gaps.
fn commands(replay: &mut Replay) -> Vec<Logged> {
    let numbered: Vec<_> = replay.map(Result::unwrap).collect();
    assert!(numbered.iter().zip(1..).all(|((sequence, _), expected)| *sequence == expected));
    numbered.into_iter().map(|(_, command)| command).collect()
}

/// A process that another test starts in this moment holds every file of this one until it has become another program, the lock
/// of a journal that was closed just now among them; so a lock is asked for again for a moment.
fn open(dir: &Path) -> Result<Recovery, JournalError> {
    let begun = Instant::now();
    loop {
        match Journal::open(dir, &group(), SMALL) {
            Err(JournalError::Locked { .. }) if begun.elapsed() < Duration::from_secs(1) => {
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return opened,
        }
    }
}

/// Opens for appending without looking at what is there.
fn resume(dir: &Path) -> Result<Journal, JournalError> {
    open(dir)?.resume()
}

/// What is in a journal that no node runs on.
fn held(dir: &Path) -> Vec<Logged> {
    commands(&mut read_only(dir, 1).unwrap())
}

/// Appends commands as a block of their own.
fn append(journal: &mut Journal, commands: &[Logged]) -> u64 {
    let last = journal.append(commands).unwrap();
    journal.durability().wait_for(last).unwrap();
    last
}

/// A journal of blocks of 2, 3 and 2 commands, each in a sector and a half.
fn three_blocks() -> TempDir {
    let dir = tempdir().unwrap();
    let mut journal = resume(dir.path()).unwrap();
    for (from, count) in [(0, 2), (2, 3), (5, 2)] {
        append(&mut journal, &window(from, count));
    }
    dir
}

/// A journal of twenty blocks of one command each, and so of several segments.
fn twenty_blocks() -> TempDir {
    let dir = tempdir().unwrap();
    let mut journal = resume(dir.path()).unwrap();
    for from in 0..20 {
        append(&mut journal, &window(from, 1));
    }
    dir
}

/// The segments of a journal, oldest first.
fn segments(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "segment")).collect();
    segments.sort();
    segments
}

/// Everything that a journal consists of, by name.
fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    segments(dir).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// A copy that may be damaged; nothing but the segments.
fn copy(dir: &Path) -> TempDir {
    let copied = tempdir().unwrap();
    for path in segments(dir) {
        fs::copy(&path, copied.path().join(path.file_name().unwrap())).unwrap();
    }
    copied
}

#[test]
fn what_was_appended_is_replayed_in_order() {
    let dir = three_blocks();
    let mut recovery = open(dir.path()).unwrap();
    let replay = recovery.replay();
    assert_eq!(commands(replay), window(0, 7));
    assert_eq!((replay.last_sequence(), replay.dropped_tail()), (7, None));
    assert_eq!(recovery.resume().unwrap().last_sequence(), 7);
}

#[test]
fn appending_after_reopening_continues_the_chain() {
    let dir = three_blocks();
    for from in 7..40 {
        let mut journal = resume(dir.path()).unwrap();
        assert_eq!(journal.last_sequence(), from);
        assert_eq!(journal.append(&window(from, 1)).unwrap(), from + 1);
    }
    assert_eq!(held(dir.path()), window(0, 40));
}

#[test]
fn an_empty_window_writes_nothing() {
    let dir = three_blocks();
    let before = contents(dir.path());
    let mut journal = resume(dir.path()).unwrap();
    assert_eq!(journal.append(&[]).unwrap(), 7);
    journal.close().unwrap();
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn what_is_durable_is_on_disk_and_what_was_handed_over_becomes_durable() {
    let dir = tempdir().unwrap();
    let mut journal = resume(dir.path()).unwrap();
    let durability = journal.durability();
    for from in (0..300).step_by(3) {
        let last = journal.append(&window(from, 3)).unwrap();
        assert!(durability.sequence() <= last);
        if from % 30 == 0 {
            durability.wait_for(last).unwrap();
            assert!(durability.sequence() >= last);
            assert!(held(dir.path()).len() as u64 >= last);
        }
    }
    journal.close().unwrap();
    assert_eq!(durability.sequence(), 300);
    assert_eq!(held(dir.path()), window(0, 300));
}

#[test]
fn segments_are_named_by_their_first_command_and_reading_begins_at_any_of_them() {
    let dir = twenty_blocks();
    let firsts: Vec<u64> =
        segments(dir.path()).iter().map(|path| path.file_stem().unwrap().to_str().unwrap().parse().unwrap()).collect();
    assert_eq!(firsts, [1, 8, 15]);
    for from in 1..=20 {
        let read: Vec<_> = read_only(dir.path(), from).unwrap().map(Result::unwrap).collect();
        assert_eq!(read.first().unwrap().0, from);
        let read: Vec<_> = read.into_iter().map(|(_, command)| command).collect();
        assert_eq!(read, window(from - 1, 21 - from));
    }
    assert_eq!(read_only(dir.path(), 21).unwrap().count(), 0);

    // An archived segment is missed only by who asks for it.
    fs::remove_file(&segments(dir.path())[0]).unwrap();
    assert_eq!(read_only(dir.path(), 8).unwrap().count(), 13);
    let error = read_only(dir.path(), 7).unwrap_err();
    assert!(matches!(error, JournalError::BeginsLater { first: 8, wanted: 7, .. }), "{error}");
    // It can be written on; whoever needs the beginning is told where it is not.
    let recovery = open(dir.path()).unwrap();
    assert_eq!(recovery.tips(1).unwrap()[0].sequence, 7);
    assert!(matches!(recovery.begin_at(1), Err(JournalError::BeginsLater { first: 8, wanted: 1, .. })));
}

#[test]
fn who_reads_on_behind_the_writer_gets_every_command_once() {
    let dir = tempdir().unwrap();
    let mut journal = resume(dir.path()).unwrap();
    let durability = journal.durability();
    append(&mut journal, &window(0, 5));
    let mut readers = [1, 4, 40].map(|from| (from, Reader::open(dir.path(), from).unwrap(), Vec::new()));
    // Over several segments, which were not there when reading began; now and then nothing new has come.
    for from in (5..200).step_by(5) {
        for (_, reader, read) in &mut readers {
            while let Some((first, commands)) = reader.next_batch(durability.sequence()).unwrap() {
                read.extend((first..).zip(commands));
            }
        }
        let last = journal.append(&window(from, 5)).unwrap();
        if from % 3 == 0 {
            durability.wait_for(last).unwrap();
        }
    }
    journal.close().unwrap();
    assert!(segments(dir.path()).len() > 3);
    for (from, mut reader, mut read) in readers {
        while let Some((first, commands)) = reader.next_batch(200).unwrap() {
            read.extend((first..).zip(commands));
        }
        let expected: Vec<_> = (from..).zip(window(from - 1, 201 - from)).collect();
        assert_eq!(read, expected, "from {from}");
        let error = reader.next_batch(201).unwrap_err();
        assert!(matches!(error, JournalError::Damaged { sequence: 201, .. }), "{error}");
    }
}

#[test]
fn a_segment_has_its_whole_length_from_the_beginning() {
    let dir = three_blocks();
    assert_eq!(contents(dir.path())[0].1.len(), 4096);
}

#[test]
fn a_window_that_no_block_holds_is_cut_and_a_command_that_no_block_holds_is_refused() {
    let dir = tempdir().unwrap();
    let mut journal = resume(dir.path()).unwrap();
    append(&mut journal, &window(0, 500));
    let labels = vec!["x".repeat(4096)];
    let terms = TradingTerms::free(VenueId(1), 10);
    let config = EventConfig { terms, outcomes: 1, ticks: 10, resolver: Address::ZERO, title: String::new(), labels };
    let payload = InboxPayload::EventOpened { event: EventId(1), config };
    let inbox = vec![InboxItem { index: 0, time: TimeMs(1), payload }];
    let large = Logged::new(Command::Frame { time: TimeMs(1), inbox, prices: vec![] });
    let refused = journal.append(&[window(500, 1), vec![large]].concat());
    assert!(matches!(refused, Err(JournalError::CommandTooLarge { .. })), "{refused:?}");
    append(&mut journal, &window(500, 1));
    drop(journal);
    assert_eq!(held(dir.path()), window(0, 501));
}

#[test]
fn another_groups_journal_is_refused_naming_both() {
    let dir = three_blocks();
    let before = contents(dir.path());
    let other = GroupConfig { group: Address::repeat_byte(0x44), ..group() };
    let error = Journal::open(dir.path(), &other, SMALL).unwrap_err();
    assert!(matches!(&error, JournalError::OtherGroup { .. }));
    let text = error.to_string();
    assert!(text.contains(&group().group.to_string()) && text.contains(&other.group.to_string()), "{text}");
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let dir = three_blocks();
    let journal = resume(dir.path()).unwrap();
    assert!(matches!(open(dir.path()), Err(JournalError::Locked { .. })));
    drop(journal);
    assert!(open(dir.path()).is_ok());
}

#[test]
fn an_audit_reads_beside_the_writer_and_changes_nothing() {
    let dir = tempdir().unwrap();
    let mut journal = resume(dir.path()).unwrap();
    let durability = journal.durability();
    let path = dir.path().to_owned();
    let reading = std::thread::spawn(move || {
        let mut seen = 0;
        while seen < 2_000 {
            let durable = durability.sequence();
            let read = held(&path);
            assert!(read.len() as u64 >= durable, "{} of {durable}", read.len());
            assert_eq!(read, window(0, read.len() as u64));
            seen = read.len();
        }
    });
    for from in 0..2_000 {
        append(&mut journal, &window(from, 1));
    }
    reading.join().unwrap();
}

#[test]
fn there_is_nothing_to_audit_in_an_empty_directory() {
    let dir = tempdir().unwrap();
    assert!(matches!(read_only(dir.path(), 1), Err(JournalError::Missing { .. })));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_journal_may_be_empty() {
    let dir = tempdir().unwrap();
    drop(resume(dir.path()).unwrap());
    assert_eq!((resume(dir.path()).unwrap().last_sequence(), held(dir.path())), (0, vec![]));
    assert!(dir.path().join(LOCK_FILE).exists());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_commands_in_any_windows_come_back(
        windows in prop::collection::vec(prop::collection::vec(commands::command().prop_map(Logged::new), 0..8), 0..8),
        reopen_at in 0usize..8,
    ) {
        let dir = tempdir().unwrap();
        let mut journal = resume(dir.path()).unwrap();
        let mut expected = Vec::new();
        for (index, window) in windows.into_iter().enumerate() {
            if index == reopen_at {
                drop(journal);
                journal = resume(dir.path()).unwrap();
            }
            // A title of any length may be too long for a segment as small as these.
            match journal.append(&window) {
                Ok(_) => expected.extend(window),
                Err(JournalError::CommandTooLarge { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        drop(journal);
        prop_assert_eq!(commands(open(dir.path()).unwrap().replay()), expected);
    }
}
