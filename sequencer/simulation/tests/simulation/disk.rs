//! What a crash and time do to a journal's files.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use xos_journal::Unsynced;

use crate::dice::Dice;

const SECTOR: u64 = 512;

/// The power fails: of what was written and not synced any part may be there; the rest is zeros, as before.
pub(crate) fn lose(unsynced: &Unsynced, dice: &Dice) -> String {
    let Unsynced { path, bytes } = unsynced;
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let zeros = |from: u64, to: u64| {
        let count = usize::try_from(to.saturating_sub(from)).unwrap();
        file.write_all_at(&vec![0; count], from).unwrap();
    };
    match dice.between(0, 3) {
        0 => zeros(bytes.start, bytes.end),
        1 => {
            let torn = dice.between(bytes.start, bytes.end);
            zeros(torn, bytes.end);
            return format!("torn {} bytes into {} that were not synced", torn - bytes.start, bytes.end - bytes.start);
        }
        2 => {
            let mut lost = 0;
            for sector in (bytes.start..bytes.end).step_by(usize::try_from(SECTOR).unwrap()) {
                if dice.chance(500) {
                    zeros(sector, (sector + SECTOR).min(bytes.end));
                    lost += 1;
                }
            }
            return format!("{lost} sectors are lost of {} bytes that were not synced", bytes.end - bytes.start);
        }
        _ => return "everything survived although it was not synced".to_owned(),
    }
    format!("{} bytes that were not synced are lost", bytes.end - bytes.start)
}

/// The segment in waiting is as a crash may leave it: half made, or begun to be used.
pub(crate) fn spoil_spare(journal: &Path, dice: &Dice) {
    let spare = journal.join("spare");
    let Ok(length) = fs::metadata(&spare).map(|metadata| metadata.len()) else { return };
    let file = OpenOptions::new().write(true).open(&spare).unwrap();
    match dice.between(0, 2) {
        0 => fs::remove_file(&spare).unwrap(),
        1 => file.set_len(dice.between(0, length)).unwrap(),
        _ => file.write_all_at(&vec![7; usize::try_from(SECTOR).unwrap()], 0).unwrap(),
    }
}

/// Segments of a journal, oldest first.
pub(crate) fn segments(journal: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(journal).map(|entries| entries.flatten().map(|entry| entry.path()).collect());
    let mut paths: Vec<PathBuf> = entries.unwrap_or_default();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "segment"));
    paths.sort();
    paths
}

/// Where a bit was turned.
#[derive(Debug)]
pub(crate) struct Flip {
    pub(crate) path: PathBuf,
    pub(crate) offset: u64,
    bit: u8,
}

impl Flip {
    /// Turns a bit of a block that another one follows.
    pub(crate) fn in_the_middle(journal: &Path, dice: &Dice) -> Option<Self> {
        let path = segments(journal).first()?.clone();
        let bytes = fs::read(&path).unwrap();
        // The first block begins at the second sector; it must not be the journal's last one.
        let length = u32::from_le_bytes(bytes.get(512..516)?.try_into().ok()?);
        let end = (512 + 48 + u64::from(length) + 32).next_multiple_of(SECTOR);
        let follows = bytes.get(usize::try_from(end).ok()?..)?.iter().any(|byte| *byte != 0);
        if length == 0 || !(follows || segments(journal).len() > 1) {
            return None;
        }
        let offset = 512 + dice.between(0, 47 + u64::from(length));
        let flip = Self { path, offset, bit: 1 << dice.between(0, 7) };
        flip.turn();
        Some(flip)
    }

    /// Turns it, and turns it back.
    pub(crate) fn turn(&self) {
        let file = OpenOptions::new().read(true).write(true).open(&self.path).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, self.offset).unwrap();
        byte[0] ^= self.bit;
        file.write_all_at(&byte, self.offset).unwrap();
    }
}
