//! The one writer of a journal.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use xos_types::{GroupConfig, Logged};

use crate::error::JournalError;
use crate::format::{PAYLOAD_BYTES_MAX, encode_block, encode_header};
use crate::replay::Replay;
use crate::scan::{DroppedTail, Tip};
use crate::{LOCK_FILE, LOG_FILE};

/// A group's journal, open for appending. Dropping it releases the lock.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    tip: Tip,
    poisoned: bool,
    /// The block being written; reused.
    block: Vec<u8>,
    _lock: File,
}

impl Journal {
    /// Opens the journal in `dir`, or creates it, and checks all of it. The replay yields what it holds; a torn tail has
    /// been cut off (see the crate's documentation).
    ///
    /// # Errors
    /// If another process holds it, if it is damaged or another group's, or if the disk refuses.
    pub fn open(dir: impl AsRef<Path>, config: &GroupConfig) -> Result<(Self, Replay), JournalError> {
        let dir = dir.as_ref();
        fs::create_dir_all(dir).map_err(JournalError::io("cannot create", dir))?;
        let lock = lock(&dir.join(LOCK_FILE))?;
        let path = dir.join(LOG_FILE);
        if !path.try_exists().map_err(JournalError::io("cannot look for", &path))? {
            create(dir, &path, config)?;
        }
        let mut file =
            OpenOptions::new().read(true).append(true).open(&path).map_err(JournalError::io("cannot open", &path))?;
        // A handle of its own: a clone would share its position with the replay's.
        let reader = File::open(&path).map_err(JournalError::io("cannot open", &path))?;
        let (replay, _) = Replay::check(&path, reader, Some(config))?;
        if let Some(tail) = replay.dropped_tail() {
            cut_off(dir, &path, &mut file, tail)?;
        }
        let tip = replay.end();
        Ok((Self { path, file, tip, poisoned: false, block: Vec::new(), _lock: lock }, replay))
    }

    /// Appends one window of commands as one block and returns the last one's sequence number. When it returns, they
    /// survive a crash. No commands, no block.
    ///
    /// # Errors
    /// [`JournalError::BlockTooLarge`] leaves the journal as it was. Any other error poisons it: nobody may be told that
    /// these commands happened, and every later append fails.
    pub fn append(&mut self, commands: &[Logged]) -> Result<u64, JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        if commands.is_empty() {
            return Ok(self.tip.sequence);
        }
        let hash = encode_block(&mut self.block, commands, self.tip.sequence + 1, self.tip.hash)
            .map_err(|bytes| JournalError::BlockTooLarge { bytes, limit: PAYLOAD_BYTES_MAX })?;
        self.file.write_all(&self.block).and_then(|()| self.file.sync_data()).map_err(|error| {
            self.poisoned = true;
            JournalError::io("cannot append to", &self.path)(error)
        })?;
        self.tip = Tip {
            offset: self.tip.offset + self.block.len() as u64,
            sequence: self.tip.sequence + commands.len() as u64,
            hash,
        };
        Ok(self.tip.sequence)
    }

    /// Sequence number of the last durable command; 0 if there is none.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        self.tip.sequence
    }

    /// Length of the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.tip.offset
    }
}

fn lock(path: &Path) -> Result<File, JournalError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(JournalError::io("cannot open", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(JournalError::io("cannot lock", path)(error)),
    }
}

/// The header is written beside the log and renamed into place, so a log never has half of one.
fn create(dir: &Path, path: &Path, config: &GroupConfig) -> Result<(), JournalError> {
    let fresh = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = File::create(&fresh)?;
        file.write_all(&encode_header(config))?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        sync_dir(dir)
    };
    write().map_err(JournalError::io("cannot create", path))
}

/// Keeps a copy of the tail, then removes it from the log.
fn cut_off(dir: &Path, path: &Path, file: &mut File, tail: DroppedTail) -> Result<(), JournalError> {
    let copy = dir.join(format!("dropped-{}.bin", tail.offset));
    let mut cut = || -> io::Result<()> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(tail.offset))?;
        file.read_to_end(&mut bytes)?;
        let mut kept = File::create(&copy)?;
        kept.write_all(&bytes)?;
        kept.sync_all()?;
        sync_dir(dir)?;
        file.set_len(tail.offset)?;
        file.sync_all()
    };
    cut().map_err(JournalError::io("cannot cut the torn tail off", path))?;
    tracing::warn!(
        path = %path.display(), offset = tail.offset, bytes = tail.bytes, sequence = tail.sequence,
        copy = %copy.display(),
        "dropped the unfinished end of the journal; a crash in the middle of a write leaves one"
    );
    Ok(())
}

/// Makes names in a directory durable.
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use xos_types::{Address, Command, GroupTerms, TimeMs};

    use super::*;

    fn frame(time: u64) -> Logged {
        Logged::new(Command::Frame { time: TimeMs(time), inbox: vec![], prices: vec![] })
    }

    #[test]
    fn a_failed_write_poisons_the_journal() {
        let dir = tempfile::tempdir().unwrap();
        let config = GroupConfig {
            chain_id: 1,
            group: Address::ZERO,
            token: Address::ZERO,
            governance: Address::ZERO,
            terms: GroupTerms::usual(Address::ZERO),
        };
        let (mut journal, _) = Journal::open(dir.path(), &config).unwrap();
        journal.append(&[frame(1)]).unwrap();
        let disk = std::mem::replace(&mut journal.file, OpenOptions::new().write(true).open("/dev/full").unwrap());
        assert!(matches!(journal.append(&[frame(2)]), Err(JournalError::Io { .. })));
        journal.file = disk;
        assert!(matches!(journal.append(&[frame(3)]), Err(JournalError::Poisoned)));
        assert_eq!(journal.last_sequence(), 1);
        drop(journal);
        let (_, replay) = Journal::open(dir.path(), &config).unwrap();
        assert_eq!(replay.map(Result::unwrap).collect::<Vec<_>>(), [(1, frame(1))]);
    }
}
