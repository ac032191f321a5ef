//! Old segments leave, the rest reads on, and what was put back is whole again.

use xos_journal::{OldSegments, first_command, repair, retire, verify};

use super::*;

#[test]
fn only_segments_of_nothing_but_older_commands_leave_and_the_newest_never_does() {
    // Its segments begin with commands 1, 8 and 15.
    let dir = twenty_blocks();
    let archive = dir.path().join("archive");
    let how = OldSegments::Archive(archive.clone());
    let all = contents(dir.path());
    for (first, leave, begins) in [(7, 0, 1), (8, 1, 8), (14, 0, 8), (15, 1, 15), (1_000, 0, 15)] {
        assert_eq!(retire(dir.path(), first, &how).unwrap(), leave, "before {first}");
        assert_eq!(first_command(dir.path()).unwrap(), begins);
    }
    let found = verify(dir.path(), |_| {}).unwrap();
    assert_eq!((found.first, found.last), (15, 20));
    let read: Vec<_> = read_only(dir.path(), 15).unwrap().map(|read| read.unwrap().1).collect();
    assert_eq!(read, window(14, 6));
    assert!(matches!(read_only(dir.path(), 1), Err(JournalError::BeginsLater { first: 15, wanted: 1, .. })));

    // It is written on meanwhile and afterwards.
    let mut journal = resume(dir.path()).unwrap();
    append(&mut journal, &window(20, 1));
    drop(journal);

    // What was moved is what it was; put back, the journal is whole.
    for (path, bytes) in contents(&archive) {
        assert!(all.contains(&(dir.path().join(path.file_name().unwrap()), bytes)));
        fs::rename(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    assert_eq!(held(dir.path()), window(0, 21));
}

#[test]
fn segments_are_kept_or_removed_as_was_asked() {
    let dir = twenty_blocks();
    let before = contents(dir.path());
    assert_eq!(retire(dir.path(), 15, &OldSegments::Keep).unwrap(), 0);
    assert_eq!(contents(dir.path()), before);
    assert_eq!(retire(dir.path(), 15, &OldSegments::Remove).unwrap(), 2);
    assert_eq!(contents(dir.path()), before[2..]);
}

#[test]
fn a_move_that_was_interrupted_is_finished_and_another_file_is_not_overwritten() {
    let dir = twenty_blocks();
    let archive = tempdir().unwrap();
    let how = OldSegments::Archive(archive.path().to_owned());
    let name = |index: usize| segments(dir.path())[index].file_name().unwrap().to_owned();
    // Copied and not removed yet; begun and torn.
    fs::copy(&segments(dir.path())[0], archive.path().join(name(0))).unwrap();
    fs::write(archive.path().join(name(1)).with_extension("moving"), [7; 100]).unwrap();
    assert_eq!(retire(dir.path(), 15, &how).unwrap(), 2);
    assert_eq!(verify(archive.path(), |_| {}).unwrap().last, 14);

    let other = twenty_blocks();
    let mut bytes = fs::read(&segments(other.path())[0]).unwrap();
    bytes[700] ^= 1;
    fs::write(&segments(other.path())[0], bytes).unwrap();
    let error = retire(other.path(), 15, &how).unwrap_err();
    assert!(error.to_string().contains("is there already and differs"), "{error}");
    assert_eq!(segments(other.path()).len(), 3, "nothing left");
}

#[test]
fn a_journal_that_begins_later_is_repaired_from_a_whole_one() {
    let (dir, replica) = (twenty_blocks(), twenty_blocks());
    retire(dir.path(), 8, &OldSegments::Remove).unwrap();
    let mut bytes = fs::read(&segments(dir.path())[0]).unwrap();
    bytes[3 * SECTOR + 60] ^= 1;
    fs::write(&segments(dir.path())[0], bytes).unwrap();
    let repaired = repair(dir.path(), replica.path(), |_| {}).unwrap();
    assert_eq!((repaired.commands, repaired.last), (1, 20));
    assert_eq!(verify(dir.path(), |_| {}).unwrap().first, 8);
}
