//! What becomes of a journal on a disk that is full.

use std::process::Command as Process;
use std::time::{Duration, Instant};

use super::*;

/// A file system of so many kilobytes that is unmounted when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// None if this user may not mount one.
    fn mount(kilobytes: u32) -> Option<Self> {
        let at = tempdir().unwrap();
        let mounted = Process::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"])
            .arg(at.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(at)),
            refused => {
                eprintln!("SKIPPED: a full disk cannot be tested here, mount is not permitted: {refused:?}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // If it stays mounted there is nothing to be done about it.
        let _ = Process::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_full_disk_is_noticed_a_segment_ahead_and_nothing_is_lost_when_the_last_is_full() {
    let Some(disk) = SmallDisk::mount(256) else { return };
    let dir = disk.0.path().join("journal");
    let other = disk.0.path().join("other");
    // Room for the journal's first three segments of 64 KiB; the other file takes that of a fourth.
    fs::write(&other, vec![1; 60 << 10]).unwrap();
    let settings = Settings { segment_bytes: 64 << 10, block_bytes: 4 << 20 };
    let mut journal = Journal::open(&dir, &group(), settings).unwrap().resume().unwrap();
    let durability = journal.durability();
    let mut next = 0;
    // Other tests keep the processors busy: whoever makes segments is to have its turn before a whole one is written.
    let pace = || std::thread::sleep(Duration::from_millis(2));
    while durability.shortage().is_none() {
        append(&mut journal, &window(next, 1));
        next += 1;
        pace();
    }
    let shortage = durability.shortage().unwrap();
    assert!(shortage.why.contains("No space left"), "{shortage:?}");
    assert!(segments(&dir).len() < 3 || shortage.bytes_left > 32 << 10, "{shortage:?}");

    // Room comes back: so does the spare segment.
    fs::remove_file(&other).unwrap();
    until("there is a spare segment", || durability.shortage().is_none());

    // This time it does not. What is left is used to the last block; then nobody is told that something happened.
    let mut noticed = None;
    let error = loop {
        let last = journal.append(&window(next, 1)).unwrap();
        if let Err(error) = durability.wait_for(last) {
            break error;
        }
        next += 1;
        if noticed.is_none() && durability.shortage().is_some() {
            noticed = Some(next);
        }
        pace();
    };
    assert!(error.to_string().contains("no room for another segment"), "{error}");
    assert!(next - noticed.unwrap() > 60, "noticed at {noticed:?}, full at {next}");
    drop(journal);
    assert_eq!(held(&dir), window(0, next));
}
