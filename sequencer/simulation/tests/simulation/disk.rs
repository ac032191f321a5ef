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

/// A crash meets a state on its way to the disk, after so many of its steps: what was being written is torn, and where the power
/// fails, names may be gone that were not synced.
pub(crate) fn unsettle_state(snapshots: &Path, steps: u32, power_fails: bool, dice: &Dice) -> String {
    let files = |extension: &str| {
        let entries = fs::read_dir(snapshots).map(|entries| entries.flatten().map(|entry| entry.path()).collect());
        let mut paths: Vec<PathBuf> = entries.unwrap_or_default();
        paths.retain(|path| path.extension().is_some_and(|found| found == extension));
        paths.sort();
        paths
    };
    let mut lost = String::new();
    for path in files("new") {
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(dice.between(0, file.metadata().unwrap().len())).unwrap();
        lost += ", its file torn";
    }
    // The names are synced by the fifth step.
    if power_fails && (2..5).contains(&steps) {
        for extension in ["frames", "snapshot"] {
            let Some(newest) = files(extension).pop().filter(|_| extension == "frames" || steps == 4) else { continue };
            if dice.chance(500) {
                fs::remove_file(newest).unwrap();
                lost += ", a name lost";
            }
        }
    }
    format!("a state is saved up to step {steps}{lost}")
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

    /// Turns a bit of the last block, where that can be told from a write that did not come to its end: not in its length, and
    /// only if the block has neither a sector of zeros nor a hash that ends with one.
    pub(crate) fn in_the_last_block(journal: &Path, dice: &Dice) -> Option<Self> {
        let path = segments(journal).pop()?;
        let bytes = fs::read(&path).unwrap();
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().unwrap()) as usize);
        let whole = |payload: usize| (48 + payload + 32).next_multiple_of(512);
        let (mut last, mut next) = (None, 512);
        while let Some(payload) = word(next).filter(|payload| *payload > 0) {
            last = Some(next..next + whole(payload));
            next += whole(payload);
        }
        let block = bytes.get(last.clone()?)?;
        let tells = block.last() != Some(&0) && block.chunks(512).all(|sector| sector.iter().any(|byte| *byte != 0));
        let intact = blake3::hash(&block[..block.len() - 32]).as_bytes()[..] == block[block.len() - 32..];
        if !tells || !intact {
            return None;
        }
        // In the hash's last byte and the head's, one bit may be all that shows that they were written.
        let at = dice.pick(&[dice.between(4, 46), dice.between(48, block.len() as u64 - 2)]);
        let flip = Self { path, offset: last?.start as u64 + at, bit: 1 << dice.between(0, 7) };
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
