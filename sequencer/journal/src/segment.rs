//! Segment files: their names, and how one comes to be.
//!
//! A segment is written full of zeros before anything else stands in it, so that appending changes no metadata of the file
//! system, and so that a full disk is noticed a segment ahead. Until it is complete it has another name.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::JournalError;
use crate::format::{Header, SECTOR};

/// Ending of a segment's name; before it stands the sequence number of its first command.
const EXTENSION: &str = "segment";
/// A segment in waiting: zeros only.
const SPARE_FILE: &str = "spare";
/// The same while zeros are being written.
const UNFINISHED_FILE: &str = "spare.new";
/// Zeros written between two syncs: little enough that a commit hardly waits for them.
static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

/// A segment of a journal's folder.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// Sequence number of its first command, by its name.
    pub(crate) first: u64,
    pub(crate) path: PathBuf,
}

/// The segments in a folder, oldest first.
pub(crate) fn list(dir: &Path) -> Result<Vec<Listed>, JournalError> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(dir).map_err(JournalError::io("cannot list", dir))? {
        let path = entry.map_err(JournalError::io("cannot list", dir))?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            let first = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            segments.extend(first.map(|first| Listed { first, path }));
        }
    }
    segments.sort_unstable_by_key(|segment| segment.first);
    Ok(segments)
}

/// Where the segment that begins with a command stands.
pub(crate) fn path_of(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.{EXTENSION}"))
}

/// Sees to it that a spare segment of that size waits in the folder; false if `go_on`, which is asked now and then, no longer
/// wants it.
pub(crate) fn prepare_spare(dir: &Path, bytes: u64, go_on: impl Fn() -> bool) -> io::Result<bool> {
    let (spare, unfinished) = (dir.join(SPARE_FILE), dir.join(UNFINISHED_FILE));
    if fs::metadata(&spare).is_ok_and(|metadata| metadata.len() == bytes) {
        // One of an earlier run, which may have begun to use it. It keeps its place on the disk.
        return write_zeros(&OpenOptions::new().write(true).open(&spare)?, bytes, go_on);
    }
    let complete = File::create(&unfinished).and_then(|file| write_zeros(&file, bytes, go_on));
    if !matches!(complete, Ok(true)) {
        // Whatever was wrong, what it occupies is needed more elsewhere.
        let _ = fs::remove_file(&unfinished);
        return complete;
    }
    fs::rename(&unfinished, &spare)?;
    sync_dir(dir)?;
    Ok(true)
}

/// Writes so many zeros, unless `go_on` says that they are not wanted any more.
pub(crate) fn write_zeros(file: &File, bytes: u64, go_on: impl Fn() -> bool) -> io::Result<bool> {
    let mut written = 0;
    while written < bytes {
        if !go_on() {
            return Ok(false);
        }
        let count = usize::try_from(bytes - written).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        file.write_all_at(&ZEROS[..count], written)?;
        file.sync_data()?;
        written += count as u64;
    }
    file.sync_all()?;
    Ok(true)
}

/// Turns the spare into the segment that its header describes. When this returns, the segment survives a crash.
pub(crate) fn put_in_place(dir: &Path, header: &Header) -> Result<(File, PathBuf), JournalError> {
    let (spare, path) = (dir.join(SPARE_FILE), path_of(dir, header.first));
    let place = || -> io::Result<File> {
        let file = OpenOptions::new().read(true).write(true).open(&spare)?;
        file.write_all_at(&header.encode(), 0)?;
        file.sync_data()?;
        fs::rename(&spare, &path)?;
        sync_dir(dir)?;
        Ok(file)
    };
    let file = place().map_err(JournalError::io("cannot begin", &path))?;
    Ok((file, path))
}

/// A size that a segment can have, near the one asked for.
pub(crate) fn usual_bytes(asked: u64) -> u64 {
    asked.clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX).next_multiple_of(SECTOR as u64)
}

/// A header and room for a few small blocks.
const SEGMENT_BYTES_MIN: u64 = 4 << 10;
const SEGMENT_BYTES_MAX: u64 = 16 << 30;

/// Makes names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
