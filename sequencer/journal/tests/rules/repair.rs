//! Holes are filled from a replica, if its chain is ours.

use xos_journal::{repair, verify};

use super::*;

/// A replica of [`twenty_blocks`] that goes on, with segments of another size.
fn replica() -> TempDir {
    let dir = tempdir().unwrap();
    let settings = Settings { segment_bytes: 6 * 1024, block_bytes: 4 << 20 };
    let mut journal = Journal::open(dir.path(), &group(), settings).unwrap().resume().unwrap();
    for from in 0..30 {
        append(&mut journal, &window(from, 1));
    }
    dir
}

fn zero(path: &Path, range: std::ops::Range<usize>) {
    let mut bytes = fs::read(path).unwrap();
    bytes[range].fill(0);
    fs::write(path, bytes).unwrap();
}

/// Damages a copy of a journal and has it repaired.
fn after(damage: impl Fn(&[PathBuf])) -> (TempDir, xos_journal::Repaired) {
    let dir = copy(twenty_blocks().path());
    damage(&segments(dir.path()));
    let before = contents(dir.path());
    let repaired = repair(dir.path(), replica().path(), |_| {}).unwrap();
    assert_eq!(held(dir.path()), window(0, 30));
    assert_eq!(verify(dir.path(), |_| {}).unwrap().last, 30);
    // Whatever was replaced is kept as it was.
    let kept = contents(repaired.kept.as_deref().unwrap());
    let from: u64 = kept[0].0.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let same = |path: &Path| before.iter().find(|(old, _)| old.file_name() == path.file_name()).unwrap();
    assert!(kept.iter().all(|(path, bytes)| *bytes == same(path).1));
    // What stood before the damage was not touched.
    for (path, bytes) in before {
        let first: u64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        assert!(first >= from || fs::read(&path).unwrap() == bytes);
    }
    let mut journal = resume(dir.path()).unwrap();
    append(&mut journal, &window(30, 1));
    (dir, repaired)
}

#[test]
fn a_damaged_block_comes_from_the_replica() {
    let (dir, repaired) = after(|segments| zero(&segments[1], 3 * SECTOR + 7..3 * SECTOR + 9));
    // Command 10 was damaged; 21 to 30 are what the replica has beyond it.
    assert_eq!((repaired.commands, repaired.first, repaired.last), (11, Some(10), 30));
    assert!(repaired.kept.unwrap().starts_with(dir.path()));
}

#[test]
fn a_damaged_header_a_cut_segment_and_a_missing_one_come_from_the_replica() {
    let (_, repaired) = after(|segments| zero(&segments[1], 0..8));
    assert_eq!(repaired.commands, 10, "a header can be told without the replica");
    let (_, repaired) = after(|segments| zero(&segments[0], 40..48));
    assert_eq!(repaired.first, Some(21));
    let (_, repaired) = after(|segments| {
        let bytes = fs::read(&segments[1]).unwrap();
        fs::write(&segments[1], &bytes[..2 * SECTOR + 100]).unwrap();
    });
    assert_eq!(repaired.first, Some(9));
    let (_, repaired) = after(|segments| fs::remove_file(&segments[1]).unwrap());
    assert_eq!((repaired.first, repaired.commands), (Some(8), 17));
}

#[test]
fn debris_behind_a_full_segment_is_removed() {
    let dir = tempdir().unwrap();
    let mut journal = resume(dir.path()).unwrap();
    // Blocks of two sectors leave one of seven free.
    for from in 0..6 {
        append(&mut journal, &window(6 * from, 6));
    }
    drop(journal);
    let damaged = copy(dir.path());
    let first = &segments(damaged.path())[0];
    let mut bytes = fs::read(first).unwrap();
    assert!(bytes[7 * SECTOR..].iter().all(|byte| *byte == 0));
    bytes[4000] = 1;
    fs::write(first, bytes).unwrap();
    assert!(matches!(verify(damaged.path(), |_| {}), Err(JournalError::Damaged { sequence: 19, .. })));
    let repaired = repair(damaged.path(), dir.path(), |_| {}).unwrap();
    assert_eq!((repaired.commands, repaired.last), (0, 36));
    assert_eq!(contents(damaged.path()), {
        let mut expected = contents(dir.path());
        expected.iter_mut().for_each(|(path, _)| *path = damaged.path().join(path.file_name().unwrap()));
        expected
    });
}

#[test]
fn a_replica_of_another_chain_is_refused_and_nothing_changes() {
    let dir = copy(twenty_blocks().path());
    zero(&segments(dir.path())[1], 3 * SECTOR..4 * SECTOR);
    let before = contents(dir.path());
    let other = tempdir().unwrap();
    let mut journal = resume(other.path()).unwrap();
    for from in 100..130 {
        append(&mut journal, &window(from, 1));
    }
    let error = repair(dir.path(), other.path(), |_| {}).unwrap_err();
    assert!(matches!(error, JournalError::NotRepairable { sequence: 10, .. }), "{error}");
    assert!(error.to_string().contains("another chain"), "{error}");
    // A replica that ends before the hole does is of no use, either.
    let short = copy(twenty_blocks().path());
    segments(short.path())[1..].iter().for_each(|path| fs::remove_file(path).unwrap());
    let error = repair(dir.path(), short.path(), |_| {}).unwrap_err();
    assert!(matches!(error, JournalError::NotRepairable { sequence: 10, .. }), "{error}");
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn a_sound_journal_is_left_alone_and_a_running_node_s_refused() {
    let dir = copy(twenty_blocks().path());
    let before = contents(dir.path());
    let twin = copy(dir.path());
    let repaired = repair(dir.path(), twin.path(), |_| {}).unwrap();
    assert_eq!((repaired.commands, repaired.kept, repaired.last), (0, None, 20));
    assert_eq!(contents(dir.path()), before);
    let _running = resume(dir.path()).unwrap();
    assert!(matches!(repair(dir.path(), twin.path(), |_| {}), Err(JournalError::Locked { .. })));
}

#[test]
fn a_repair_that_was_interrupted_is_finished_by_the_next_one() {
    let (dir, _) = after(|segments| zero(&segments[1], 3 * SECTOR..4 * SECTOR));
    // As if it had been killed before it moved the last of its files.
    let newest = segments(dir.path()).pop().unwrap();
    let repaired = dir.path().join("repaired");
    fs::create_dir(&repaired).unwrap();
    fs::write(repaired.join("from"), "8").unwrap();
    fs::write(repaired.join("moved"), "").unwrap();
    fs::rename(&newest, repaired.join(newest.file_name().unwrap())).unwrap();
    assert!(matches!(open(dir.path()), Err(JournalError::HalfRepaired { .. })));
    repair(dir.path(), replica().path(), |_| {}).unwrap();
    assert_eq!(held(dir.path()), window(0, 31));
    resume(dir.path()).unwrap();
}

/// A bit that turned in the last block is damage, and not the torn tail that opening would drop.
#[test]
fn a_changed_last_block_comes_from_the_replica_or_is_given_up_for_one_that_lacks_it() {
    let flip = |segments: &[PathBuf]| {
        let path = segments.last().unwrap();
        let mut bytes = fs::read(path).unwrap();
        let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes[last - 40] ^= 4;
        fs::write(path, bytes).unwrap();
    };
    let (_, repaired) = after(flip);
    assert_eq!((repaired.commands, repaired.first, repaired.last), (11, Some(20), 30));

    // Its operator has nothing better than a copy of the same: the rest is saved, and he is told where it ends.
    let dir = copy(twenty_blocks().path());
    flip(&segments(dir.path()));
    let same = copy(dir.path());
    assert!(matches!(resume(dir.path()), Err(JournalError::Damaged { sequence: 20, .. })));
    let repaired = repair(dir.path(), same.path(), |_| {}).unwrap();
    assert_eq!((repaired.commands, repaired.last), (0, 19));
    assert!(repaired.kept.is_some());
    assert_eq!(held(dir.path()), window(0, 19));
}
