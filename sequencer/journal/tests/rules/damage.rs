//! What becomes of a journal that a crash or a disk has damaged.

use std::os::unix::fs::FileExt;

use proptest::prelude::*;
use xos_journal::{DroppedTail, verify};

use super::*;

/// Where the blocks of [`three_blocks`] end.
const ENDS: [usize; 4] = [SECTOR, 2 * SECTOR, 3 * SECTOR, 4 * SECTOR];

/// A journal of three blocks whose one segment has these bytes.
fn with(bytes: &[u8]) -> TempDir {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("00000000000000000001.segment"), bytes).unwrap();
    dir
}

fn whole() -> Vec<u8> {
    contents(three_blocks().path()).remove(0).1
}

#[test]
fn blocks_stand_where_these_tests_say() {
    let whole = whole();
    assert!(ENDS.windows(2).all(|block| whole[block[0]..block[1]].iter().any(|byte| *byte != 0)));
    assert!(whole[ENDS[3]..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_tail_torn_at_any_byte_is_dropped_and_the_chain_goes_on() {
    let whole = whole();
    for written in ENDS[2]..ENDS[3] - 1 {
        let mut torn = whole.clone();
        torn[written..].fill(0);
        let dir = with(&torn);
        let mut recovery = open(dir.path()).unwrap();
        let replay = recovery.replay();
        assert_eq!(commands(replay), window(0, 5));
        let bytes = torn[ENDS[2]..].iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
        let tail = DroppedTail { segment: 1, offset: ENDS[2] as u64, bytes, sequence: 6 };
        assert_eq!(replay.dropped_tail(), (bytes > 0).then_some(tail), "torn at byte {written}");
        let mut journal = recovery.resume().unwrap();
        assert!(contents(dir.path())[0].1[ENDS[2]..].iter().all(|byte| *byte == 0), "cut off");
        append(&mut journal, &window(5, 2));
        drop(journal);
        assert_eq!(contents(dir.path())[0].1, whole, "the same commands make the same bytes");
    }
}

#[test]
fn sectors_of_a_write_may_reach_the_disk_in_any_order() {
    let dir = tempdir().unwrap();
    let mut journal = resume(dir.path()).unwrap();
    append(&mut journal, &window(0, 2));
    append(&mut journal, &window(2, 20));
    drop(journal);
    let whole = contents(dir.path()).remove(0).1;
    let sectors = (whole.iter().rposition(|byte| *byte != 0).unwrap() + 1 - ENDS[1]).div_ceil(SECTOR);
    assert_eq!(sectors, 4);
    for reached in 0..(1_u32 << sectors) - 1 {
        let mut torn = whole.clone();
        for sector in (0..sectors).filter(|sector| reached & (1 << sector) == 0) {
            torn[ENDS[1] + sector * SECTOR..][..SECTOR].fill(0);
        }
        let dir = with(&torn);
        let mut recovery = open(dir.path()).unwrap();
        assert_eq!(commands(recovery.replay()), window(0, 2), "{reached:b}");
        assert_eq!(recovery.replay().dropped_tail().is_some(), reached != 0);
    }
}

#[test]
fn a_dropped_tail_is_kept_beside_the_journal() {
    let mut torn = whole();
    torn[ENDS[3] - 5..].fill(0);
    let dir = with(&torn);
    resume(dir.path()).unwrap();
    let kept = fs::read(dir.path().join(format!("dropped-6-{}.bin", ENDS[2]))).unwrap();
    assert_eq!(kept, torn[ENDS[2]..ENDS[3] - 5]);
}

#[test]
fn a_flipped_bit_in_the_middle_is_refused_and_nothing_changes() {
    let whole = whole();
    for byte in ENDS[0]..ENDS[2] {
        let mut flipped = whole.clone();
        flipped[byte] ^= 1 << (byte % 8);
        let dir = with(&flipped);
        let (start, first) = if byte < ENDS[1] { (ENDS[0] as u64, 1) } else { (ENDS[1] as u64, 3) };
        match resume(dir.path()) {
            Err(JournalError::Damaged { offset, sequence, .. }) => assert_eq!((offset, sequence), (start, first)),
            other => panic!("flipped in byte {byte}: {other:?}"),
        }
        assert_eq!(contents(dir.path())[0].1, flipped);
    }
}

/// Its commands were acknowledged, so it must not pass for a write that a crash interrupted.
#[test]
fn a_flipped_bit_in_the_last_block_is_refused_and_nothing_changes() {
    let whole = whole();
    assert_ne!(whole[ENDS[3] - 1], 0, "these commands make a hash that shows where it ends");
    let mut passed = Vec::new();
    for byte in ENDS[2]..ENDS[3] {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[byte] ^= 1 << bit;
            let dir = with(&flipped);
            match resume(dir.path()) {
                Err(JournalError::Damaged { offset, sequence: 6, .. }) => assert_eq!(offset, ENDS[2] as u64),
                Ok(_) => passed.push((byte - ENDS[2], bit)),
                other => panic!("bit {bit} of byte {byte} flipped: {other:?}"),
            }
            if passed.last() != Some(&(byte - ENDS[2], bit)) {
                assert_eq!(contents(dir.path())[0].1, flipped);
            }
        }
    }
    // Bits that make its length so much greater that the block would reach behind what was written.
    assert!(passed.iter().all(|(byte, _)| *byte < 4), "{passed:?}");
}

/// Whatever single thing happens to a journal, no command is lost without somebody being told.
#[test]
fn a_flip_or_cut_at_any_byte_of_any_segment_is_noticed() {
    let dir = twenty_blocks();
    let (mut refused, mut dropped) = (0, 0);
    let mut look = |what: String, may_be_dropped: bool| match verify(dir.path(), |_| {}) {
        Err(JournalError::Damaged { .. } | JournalError::NotAJournal { .. }) => refused += 1,
        Ok(found) if may_be_dropped && found.dropped_tail.is_some() && found.last >= 19 => dropped += 1,
        other => panic!("{what}: {other:?}"),
    };
    for (index, (path, whole)) in contents(dir.path()).iter().enumerate() {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        for (byte, value) in whole.iter().enumerate() {
            file.write_all_at(&[value ^ 1 << (byte % 8)], byte as u64).unwrap();
            look(format!("segment {index}, byte {byte} flipped"), index == 2);
            file.write_all_at(&[*value], byte as u64).unwrap();
        }
        for length in (0..whole.len()).rev() {
            file.set_len(length as u64).unwrap();
            look(format!("segment {index}, cut at {length}"), false);
        }
        file.write_all_at(whole, 0).unwrap();
    }
    // Of the last segment only what follows its last block may be dropped, and a length that points there.
    let behind = 4096 - 7 * SECTOR;
    assert!((behind..behind + 4).contains(&dropped), "{dropped}");
    assert_eq!(refused, 3 * 2 * 4096 - dropped);
}

#[test]
fn a_missing_or_foreign_block_is_refused() {
    let whole = whole();
    let mut without_second = whole.clone();
    without_second.copy_within(ENDS[2]..ENDS[3], ENDS[1]);
    without_second[ENDS[2]..].fill(0);
    let error = resume(with(&without_second).path()).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { offset, sequence: 3, .. } if offset == ENDS[1] as u64), "{error}");

    // The same sequence numbers from another history: intact, but of another chain.
    let other = tempdir().unwrap();
    let mut journal = resume(other.path()).unwrap();
    for (from, count) in [(10, 2), (12, 3), (15, 2)] {
        append(&mut journal, &window(from, count));
    }
    let spliced = [&whole[..ENDS[2]], &contents(other.path())[0].1[ENDS[2]..]].concat();
    let error = resume(with(&spliced).path()).unwrap_err();
    assert!(error.to_string().contains("does not continue the chain"), "{error}");
}

#[test]
fn a_missing_or_foreign_segment_is_refused() {
    let dir = twenty_blocks();
    let missing = copy(dir.path());
    fs::remove_file(&segments(missing.path())[1]).unwrap();
    let error = resume(missing.path()).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { sequence: 8, .. }), "{error}");

    let other = tempdir().unwrap();
    let mut journal = resume(other.path()).unwrap();
    for from in 10..30 {
        append(&mut journal, &window(from, 1));
    }
    let spliced = copy(dir.path());
    fs::copy(&segments(other.path())[1], &segments(spliced.path())[1]).unwrap();
    let error = resume(spliced.path()).unwrap_err();
    assert!(error.to_string().contains("does not continue the segment before it"), "{error}");
    let renamed = copy(dir.path());
    fs::copy(&segments(other.path())[2], &segments(renamed.path())[1]).unwrap();
    let error = resume(renamed.path()).unwrap_err();
    assert!(error.to_string().contains("begins with command 15"), "{error}");
}

#[test]
fn what_an_earlier_run_left_in_the_spare_never_becomes_part_of_a_segment() {
    let dir = twenty_blocks();
    // A header, and blocks that nobody was told of; and half of the next spare.
    fs::copy(&segments(dir.path())[1], dir.path().join("spare")).unwrap();
    fs::write(dir.path().join("spare.new"), [1; 700]).unwrap();
    let mut journal = resume(dir.path()).unwrap();
    for from in 20..23 {
        append(&mut journal, &window(from, 1));
    }
    drop(journal);
    assert_eq!(segments(dir.path()).len(), 4);
    assert_eq!(held(dir.path()), window(0, 23));
    assert_eq!(verify(dir.path(), |_| {}).unwrap().dropped_tail, None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever a disk does to a file, opening it neither panics nor yields a command that was not written there.
    #[test]
    fn damage_anywhere_yields_a_prefix_or_an_error(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = whole();
        for (index, value) in changes {
            // The interesting half.
            bytes[index.index(5 * SECTOR)] = value;
        }
        bytes.truncate(cut.index(2 * bytes.len()) + 1);
        let dir = with(&bytes);
        if let Ok(mut recovery) = open(dir.path()) {
            let found: Vec<_> = recovery.replay().map_while(|read| read.ok().map(|(_, command)| command)).collect();
            prop_assert_eq!(&found[..], &window(0, 7)[..found.len()]);
        }
    }
}
