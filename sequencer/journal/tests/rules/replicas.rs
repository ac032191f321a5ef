//! Blocks that leave a journal, come into another one, and are taken back.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use xos_journal::{JournalError, SealedBlock, Tip, blocks, read_only};

use crate::{append, group, held, open, resume, window};

/// A journal of many small blocks in several segments.
fn filled(count: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = resume(dir.path()).unwrap();
    for number in 0..count {
        append(&mut journal, &window(number, 1));
    }
    journal.close().unwrap();
    dir
}

fn all(dir: &tempfile::TempDir) -> Vec<SealedBlock> {
    blocks(dir.path(), &group(), 1).unwrap().map(Result::unwrap).collect()
}

#[test]
fn blocks_of_one_journal_make_another_the_same() {
    let first = filled(40);
    let carried = all(&first);
    let second = tempfile::tempdir().unwrap();
    let mut journal = resume(second.path()).unwrap();
    for block in &carried {
        let parsed = SealedBlock::parse(block.bytes().clone()).unwrap();
        assert_eq!(&parsed, block);
        journal.append_block(parsed).unwrap();
    }
    assert_eq!(journal.last_sequence(), 40);
    journal.close().unwrap();
    assert_eq!(all(&second), carried);
    assert_eq!(held(second.path()), held(first.path()));
    // It goes on by itself where the other one ended.
    let mut journal = resume(second.path()).unwrap();
    journal.append(&window(41, 1)).unwrap();
    journal.close().unwrap();
    assert_eq!(read_only(second.path(), 1).unwrap().count(), 41);
    let from = blocks(second.path(), &group(), 17).unwrap().next().unwrap().unwrap();
    assert_eq!(from.first(), 17);
    assert_eq!(from.before(), carried[15].tip());
}

#[test]
fn a_block_that_does_not_continue_the_journal_fails_it() {
    let carried = all(&filled(3));
    let dir = tempfile::tempdir().unwrap();
    let mut journal = resume(dir.path()).unwrap();
    journal.append_block(carried[0].clone()).unwrap();
    journal.durability().wait_for(1).unwrap();
    journal.append_block(carried[2].clone()).unwrap();
    assert!(matches!(journal.close(), Err(JournalError::Failed { cause }) if cause.contains("begins with command 3")));
    assert_eq!(all(&dir), carried[..1]);
}

#[test]
fn commands_wait_for_the_replica() {
    let dir = filled(3);
    let mut journal = resume(dir.path()).unwrap();
    let offered = Arc::new(Mutex::new(Vec::new()));
    let taking = Arc::clone(&offered);
    journal.replicate(move |block| taking.lock().unwrap().push(block));
    let durability = journal.durability();
    assert_eq!(durability.sequence(), 3);
    let until_local = |number| {
        while durability.local_sequence() < number {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    journal.append(&window(4, 1)).unwrap();
    until_local(4);
    assert_eq!(durability.sequence(), 3, "the disk alone does not count");
    journal.append(&window(5, 1)).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(
        (durability.local_sequence(), offered.lock().unwrap().len()),
        (4, 1),
        "one block is on its way at a time"
    );
    durability.confirm(4);
    durability.wait_for(4).unwrap();
    until_local(5);
    assert_eq!(durability.sequence(), 4);
    // The replica cannot be ahead of the disk for those who wait.
    durability.confirm(9);
    assert_eq!(durability.sequence(), 5);
    journal.close().unwrap();
    assert_eq!(*offered.lock().unwrap(), all(&dir)[3..], "what was offered is what is on disk");
}

#[test]
fn what_only_this_disk_has_does_not_count_until_the_replica_has_it() {
    let longer = all(&filled(5));
    let dir = filled(3);
    let mut journal = resume(dir.path()).unwrap();
    let durability = journal.durability();
    assert_eq!(durability.sequence(), 3, "alone, the disk is enough");
    journal.hold_back(1);
    assert_eq!((durability.local_sequence(), durability.sequence()), (3, 1));
    durability.confirm(2);
    assert_eq!(durability.sequence(), 2);
    // What comes from the replica is there already, with all before it.
    journal.append_block(longer[3].clone()).unwrap();
    durability.wait_for(4).unwrap();
    assert_eq!(durability.sequence(), 4);
    // What this node appends by itself is not.
    journal.append(&window(4, 1)).unwrap();
    while durability.local_sequence() < 5 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(durability.sequence(), 4);
    durability.confirm(5);
    assert_eq!(durability.sequence(), 5);
    journal.close().unwrap();
}

#[test]
fn a_replica_that_is_somebody_elses_fails_whoever_waits() {
    let dir = filled(1);
    let mut journal = resume(dir.path()).unwrap();
    journal.replicate(|_| {});
    journal.append(&window(2, 1)).unwrap();
    let durability = journal.durability();
    let waiting = durability.clone();
    let waits = std::thread::spawn(move || waiting.wait_for(2));
    durability.fail("another node leads".to_owned());
    assert!(matches!(waits.join().unwrap(), Err(JournalError::Failed { cause }) if cause == "another node leads"));
    durability.confirm(2);
    assert_eq!(durability.sequence(), 1, "nor is anybody told later");
    assert!(journal.append(&window(3, 1)).is_err());
}

#[test]
fn the_end_of_a_journal_is_taken_back_block_by_block() {
    let whole = filled(40);
    let tips = open(whole.path()).unwrap().tips(1).unwrap();
    assert_eq!((tips.len(), tips[0]), (41, Tip::genesis(&group())));
    for kept in [40, 39, 20, 8, 7, 1, 0] {
        let dir = filled(40);
        let tip = open(dir.path()).unwrap().tips(1).unwrap()[kept];
        let cut = open(dir.path()).unwrap().cut_behind(tip).unwrap();
        let mut journal = cut.resume().unwrap();
        assert_eq!(journal.last_sequence(), kept as u64);
        // Other commands come in their place.
        journal.append(&window(1_000, 2)).unwrap();
        journal.close().unwrap();
        assert_eq!(read_only(dir.path(), 1).unwrap().count(), kept + 2, "{kept}");
        let copies = std::fs::read_dir(dir.path()).unwrap().filter(|entry| {
            let name = entry.as_ref().unwrap().file_name().into_string().unwrap();
            name.starts_with("cut-") || name.ends_with(".cut")
        });
        assert_eq!(copies.count() > 0, kept < 40, "{kept}");
    }
    // A tip that is not this journal's changes nothing.
    let wrong = Tip { sequence: 20, hash: [7; 32] };
    let journal = open(whole.path()).unwrap();
    assert!(journal.cut_behind(wrong).is_err());
    assert_eq!(read_only(whole.path(), 1).unwrap().count(), 40);
}
