//! Taking old segments out of a journal's folder, while a node writes on.
//!
//! Only whole segments go, the oldest first, and never the newest: whatever interrupts this leaves a journal without a gap, which
//! begins later.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::JournalError;
use crate::segment::{Listed, list, sync_dir};

/// Ending of a segment on its way to another disk.
const UNFINISHED: &str = "moving";

/// What becomes of segments that no restart needs any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OldSegments {
    /// They stay.
    #[default]
    Keep,
    /// They are moved to this folder.
    Archive(PathBuf),
    /// They are removed.
    Remove,
}

/// Sequence number of a journal's first command; earlier ones lie somewhere else.
///
/// # Errors
/// If there is no journal.
pub fn first_command(dir: impl AsRef<Path>) -> Result<u64, JournalError> {
    let dir = dir.as_ref();
    list(dir)?.first().map(|oldest| oldest.first).ok_or_else(|| JournalError::Missing { path: dir.to_owned() })
}

/// Takes out the segments that hold nothing but commands before `first`; how many these were.
///
/// # Errors
/// If the disk refuses. What was taken out until then is out, and the rest goes on another time.
pub fn retire(dir: impl AsRef<Path>, first: u64, how: &OldSegments) -> Result<usize, JournalError> {
    let dir = dir.as_ref();
    let segments = list(dir)?;
    // Each ends where the next one begins, so the last one is never among them.
    let old = segments.windows(2).take_while(|pair| pair[1].first <= first).count();
    for Listed { path, .. } in &segments[..old] {
        let take_out = || match how {
            OldSegments::Keep => Ok(()),
            OldSegments::Archive(archive) => move_to(path, archive),
            OldSegments::Remove => fs::remove_file(path),
        };
        take_out().and_then(|()| sync_dir(dir)).map_err(JournalError::io("cannot take out", path))?;
    }
    Ok(if *how == OldSegments::Keep { 0 } else { old })
}

/// Moves a file, to another disk if need be. It is gone here only when it is safe there.
fn move_to(path: &Path, archive: &Path) -> io::Result<()> {
    fs::create_dir_all(archive)?;
    let name = path.file_name().unwrap_or_default();
    let place = archive.join(name);
    if place.exists() {
        // Left of a move that was interrupted, or put back by somebody since: the same bytes, or none of ours.
        if !same(path, &place)? {
            let what = format!("{} is there already and differs", place.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
        }
    } else {
        let unfinished = archive.join(name).with_extension(UNFINISHED);
        fs::copy(path, &unfinished)?;
        File::open(&unfinished)?.sync_all()?;
        fs::rename(&unfinished, &place)?;
        sync_dir(archive)?;
    }
    fs::remove_file(path)
}

fn same(one: &Path, other: &Path) -> io::Result<bool> {
    let hash = |path: &Path| -> io::Result<blake3::Hash> {
        let mut hasher = blake3::Hasher::new();
        io::copy(&mut File::open(path)?, &mut hasher)?;
        Ok(hasher.finalize())
    };
    Ok(hash(one)? == hash(other)?)
}
