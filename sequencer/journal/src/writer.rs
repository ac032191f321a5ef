//! The one writer of a journal: commands are handed over, a thread writes them.
//!
//! ```text
//!   append ──▶ open block ──(swap)──▶ writer: seal, write, fdatasync ──▶ durable up to n ──▶ whoever waits
//!              grows while the                     │ full
//!              last one is written                 ▼
//!                                     spare segment ◀── preparer: zeros, one segment ahead
//! ```

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use xos_types::{GroupConfig, Logged};

use crate::LOCK_FILE;
use crate::block::SealedBlock;
use crate::cut::cut_behind;
use crate::error::JournalError;
use crate::format::{HEADER_BYTES, Header, OpenBlock, block_bytes, genesis, payload_max};
use crate::replay::{Ended, Replay};
use crate::retire::first_command;
use crate::scan::{Chain, DroppedTail, Next, Tip};
use crate::segment::{list, prepare_spare, put_in_place, sync_dir, usual_bytes};
use crate::shared::{Durability, Offer, Shared, Work};

/// Name of a repair's unfinished work in a journal's directory.
pub(crate) const REPAIRED_FOLDER: &str = "repaired";

/// How a journal lies on its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of each new segment.
    pub segment_bytes: u64,
    /// Most bytes of commands that wait for the commit before theirs, and so of a block, but for a single command that has more;
    /// then whoever appends waits, too.
    pub block_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, block_bytes: 4 << 20 }
    }
}

/// A journal that is open, and is to be read before it is written on.
#[derive(Debug)]
pub struct Recovery {
    dir: PathBuf,
    segment_bytes: u64,
    block_bytes: usize,
    replay: Replay,
    lock: File,
}

/// A group's journal, open for appending. Dropping it writes what was handed over and releases the lock.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    handed_over: u64,
    /// Most bytes of a command.
    payload_max: usize,
    /// Most bytes of a block of several.
    block_bytes: usize,
    threads: Vec<JoinHandle<()>>,
    _lock: File,
}

impl Journal {
    /// Opens the journal in `dir`, or creates it. What it holds comes with [`Recovery::replay`].
    ///
    /// # Errors
    /// If another process holds it, if it is another group's or its first header is damaged, or if the disk refuses.
    pub fn open(dir: impl AsRef<Path>, config: &GroupConfig, settings: Settings) -> Result<Recovery, JournalError> {
        let dir = dir.as_ref();
        fs::create_dir_all(dir).map_err(JournalError::io("cannot create", dir))?;
        let lock = lock(dir)?;
        let repaired = dir.join(REPAIRED_FOLDER);
        if repaired.exists() {
            return Err(JournalError::HalfRepaired { path: repaired });
        }
        let segment_bytes = usual_bytes(settings.segment_bytes);
        if list(dir)?.is_empty() {
            prepare_spare(dir, segment_bytes, || true).map_err(JournalError::io("cannot make a segment in", dir))?;
            let header = Header { config: *config, first: 1, previous: genesis(config), bytes: segment_bytes };
            put_in_place(dir, &header)?;
            // The folder's own name must survive, too.
            let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
            sync_dir(parent).map_err(JournalError::io("cannot sync", parent))?;
        }
        let replay = Replay::open(dir, first_command(dir)?, Some(config))?;
        Ok(Recovery { dir: dir.to_owned(), segment_bytes, block_bytes: settings.block_bytes, replay, lock })
    }

    /// Hands commands over and returns the last one's sequence number. They survive a crash, all of those before them too,
    /// when [`Durability::sequence`] has come so far; until then nobody may be told of them. Waits only if the disk is far
    /// behind.
    ///
    /// # Errors
    /// [`JournalError::CommandTooLarge`] leaves the journal as it was. Any other error is for good: how much of what was
    /// handed over survives is unknown, so the process must end and open the journal again.
    pub fn append(&mut self, commands: &[Logged]) -> Result<u64, JournalError> {
        if let Some(bytes) =
            commands.iter().map(|command| command.bytes().len()).find(|bytes| *bytes > self.payload_max)
        {
            return Err(JournalError::CommandTooLarge { bytes, limit: self.payload_max });
        }
        self.shared.hand_over(commands, self.payload_max.min(self.block_bytes))?;
        self.handed_over += commands.len() as u64;
        Ok(self.handed_over)
    }

    /// Hands over a block of another journal of the same group, to be written as it is. It must continue this one.
    ///
    /// # Errors
    /// Those of [`Self::append`].
    pub fn append_block(&mut self, block: SealedBlock) -> Result<u64, JournalError> {
        let last = block.tip().sequence;
        self.shared.hand_over_sealed(block)?;
        self.handed_over = last;
        Ok(last)
    }

    /// From now on each block is handed to `offer` when it is sealed, before it is written, and commands count as durable
    /// only when [`Durability::confirm`] has said that the replica has them, too. The next block grows until then. The replica must hold
    /// what this journal holds.
    pub fn replicate(&mut self, offer: impl FnMut(SealedBlock) + Send + 'static) {
        self.shared.replicate(Box::new(offer), self.handed_over);
    }

    /// There is a replica that has the commands up to that one. Whatever this disk has beyond it was told to nobody and may still be
    /// taken back, so it does not count as durable until the replica has it, too.
    pub fn hold_back(&self, confirmed: u64) {
        self.shared.hold_back(confirmed);
    }

    /// Sequence number of the last command that was handed over; 0 if there is none.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        self.handed_over
    }

    /// How far the disk has come, for whoever must wait for it.
    #[must_use]
    pub fn durability(&self) -> Durability {
        Durability(Arc::clone(&self.shared))
    }

    /// Writes what was handed over and closes the journal.
    ///
    /// # Errors
    /// If not all of it became durable.
    pub fn close(mut self) -> Result<(), JournalError> {
        self.end_threads();
        self.durability().wait_for(self.handed_over)
    }

    fn end_threads(&mut self) {
        // The writer first: it may need one more segment.
        self.shared.close();
        for (index, thread) in self.threads.drain(..).enumerate() {
            if index > 0 {
                self.shared.close_spare();
            }
            // A panic has been said by the thread, and by its mark on the journal.
            let _ = thread.join();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.end_threads();
    }
}

impl Recovery {
    /// Begins reading with command `from`; segments before the one that holds it are taken on trust.
    ///
    /// # Errors
    /// If the journal begins later.
    pub fn begin_at(self, from: u64) -> Result<Self, JournalError> {
        let replay = Replay::open(&self.dir, from, Some(&self.replay.group()))?;
        Ok(Self { replay, ..self })
    }

    /// Where the chain stands behind each block, from the beginning of the segment that holds command `from` on, or of the oldest
    /// that there is; first where it stands before them.
    ///
    /// # Errors
    /// If the journal is damaged.
    pub fn tips(&self, from: u64) -> Result<Vec<Tip>, JournalError> {
        let from = from.max(first_command(&self.dir)?);
        let mut chain = Chain::open(&self.dir, from, Some(&self.replay.group()))?;
        let mut tips = vec![chain.tip()];
        while let Next::Block(block) = chain.advance()? {
            tips.push(block.tip());
        }
        Ok(tips)
    }

    /// Makes the block that ends at `tip` the last one. Whatever follows was never told to anybody, says the caller; a copy is
    /// kept. Reading begins anew, with the first command that there is.
    ///
    /// # Errors
    /// If there is no such block, or the disk refuses.
    pub fn cut_behind(self, tip: Tip) -> Result<Self, JournalError> {
        let group = self.replay.group();
        cut_behind(&self.dir, &group, tip)?;
        let first = first_command(&self.dir)?;
        Ok(Self { replay: Replay::open(&self.dir, first, Some(&group))?, ..self })
    }

    /// What the journal holds. It ends with an error where the journal is damaged.
    pub fn replay(&mut self) -> &mut Replay {
        &mut self.replay
    }

    /// Opens the journal for appending behind the last command; whatever was not read yet is checked first. A torn tail is
    /// cut off (see the crate's documentation).
    ///
    /// # Errors
    /// If the journal is damaged, or the disk refuses.
    pub fn resume(self) -> Result<Journal, JournalError> {
        let block_bytes = self.block_bytes;
        let (mut writer, lock) = self.writer()?;
        let (shared, segment_bytes, handed_over) =
            (Arc::clone(&writer.shared), writer.segment_bytes, writer.tip.sequence);
        let preparing = Arc::clone(&shared);
        let threads = vec![
            spawn("journal writer", &shared, move || writer.run())?,
            spawn("journal preparer", &shared, move || prepare(&preparing, segment_bytes))?,
        ];
        let payload_max = payload_max(segment_bytes);
        Ok(Journal { shared, handed_over, payload_max, block_bytes, threads, _lock: lock })
    }

    pub(crate) fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    /// Who writes on behind the last command, and the lock that he holds.
    pub(crate) fn writer(self) -> Result<(Writer, File), JournalError> {
        let Self { dir, segment_bytes, replay, lock, .. } = self;
        let Ended { chain, dropped } = replay.finish()?;
        let (segment, offset) = chain.end();
        let path = segment.path.clone();
        let file =
            OpenOptions::new().read(true).write(true).open(&path).map_err(JournalError::io("cannot open", &path))?;
        if let Some(tail) = dropped {
            cut_off(&dir, &path, &file, tail)?;
        }
        let writer = Writer {
            shared: Shared::new(dir, chain.tip().sequence),
            config: chain.config(),
            segment_bytes,
            path,
            file,
            offset,
            synced: offset,
            end: segment.length(),
            tip: chain.tip(),
            offer: None,
        };
        writer.shared.set_bytes_left(writer.end - writer.offset);
        Ok((writer, lock))
    }
}

/// Starts a thread whose panic fails the journal: somebody may wait for what it was to do.
fn spawn(
    name: &str,
    shared: &Arc<Shared>,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, JournalError> {
    struct Mark(Arc<Shared>);
    impl Drop for Mark {
        fn drop(&mut self) {
            if std::thread::panicking() {
                self.0.fail("one of its threads panicked".to_owned());
            }
        }
    }
    let mark = Mark(Arc::clone(shared));
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _mark = mark;
        work();
    });
    started.map_err(JournalError::io("cannot start a thread for", &shared.dir))
}

/// Writes blocks and makes them durable: on the writing thread, or step by step.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    config: GroupConfig,
    pub(crate) segment_bytes: u64,
    pub(crate) path: PathBuf,
    file: File,
    /// Where the next block goes.
    pub(crate) offset: u64,
    /// Up to where the segment survives a crash.
    pub(crate) synced: u64,
    /// Where the segment ends.
    end: u64,
    pub(crate) tip: Tip,
    /// Where blocks go besides the disk.
    pub(crate) offer: Option<Offer>,
}

impl Writer {
    fn run(&mut self) {
        let mut block = OpenBlock::new();
        while let Some(work) = self.shared.take(&mut block, &mut self.offer) {
            // One commit: one write, or one for each segment, and one sync.
            let written = match work {
                Work::Open => self.write(&mut block),
                Work::Sealed(blocks) => self.copy(blocks),
            };
            if let Err(error) = written.and_then(|()| self.commit()) {
                tracing::error!(%error, "the journal fails");
                return self.shared.fail(error.to_string());
            }
        }
    }

    /// Writes a block behind the last one and empties it.
    pub(crate) fn write(&mut self, block: &mut OpenBlock) -> Result<(), JournalError> {
        if self.offset + block_bytes(block.payload_bytes()) > self.end {
            self.next_segment()?;
        }
        let (bytes, tip) = block.seal(self.tip);
        if let Some(offer) = &mut self.offer {
            // On its way while the disk writes.
            offer(SealedBlock::of(bytes));
        }
        self.file.write_all_at(bytes, self.offset).map_err(JournalError::io("cannot append to", &self.path))?;
        self.offset += bytes.len() as u64;
        self.tip = tip;
        block.clear();
        Ok(())
    }

    /// Writes another journal's blocks as they are, all that fit into the segment together.
    pub(crate) fn copy(&mut self, blocks: VecDeque<SealedBlock>) -> Result<(), JournalError> {
        let mut together: Vec<u8> = Vec::new();
        for block in blocks {
            if block.before() != self.tip {
                let cause =
                    format!("a block begins with command {}, but {} is the last", block.first(), self.tip.sequence);
                return Err(JournalError::Failed { cause });
            }
            let bytes = block.bytes();
            if self.offset + (together.len() + bytes.len()) as u64 > self.end {
                self.put(&mut together)?;
                self.next_segment()?;
            }
            together.extend_from_slice(bytes);
            self.tip = block.tip();
        }
        self.put(&mut together)
    }

    fn put(&mut self, bytes: &mut Vec<u8>) -> Result<(), JournalError> {
        self.file.write_all_at(bytes, self.offset).map_err(JournalError::io("cannot append to", &self.path))?;
        self.offset += bytes.len() as u64;
        bytes.clear();
        Ok(())
    }

    /// Makes durable what was written, and says so.
    pub(crate) fn commit(&mut self) -> Result<(), JournalError> {
        self.sync()?;
        self.shared.set_bytes_left(self.end - self.offset);
        self.shared.set_local(self.tip.sequence);
        Ok(())
    }

    /// After an error nobody knows what the disk holds: a second sync could succeed without the first one's data.
    fn sync(&mut self) -> Result<(), JournalError> {
        if self.synced < self.offset && !skips_syncs() {
            self.file.sync_data().map_err(JournalError::io("cannot append to", &self.path))?;
            self.synced = self.offset;
        }
        Ok(())
    }

    /// What was written to the last one is durable before there is another.
    fn next_segment(&mut self) -> Result<(), JournalError> {
        self.sync()?;
        self.shared.await_spare()?;
        let header = Header {
            config: self.config,
            first: self.tip.sequence + 1,
            previous: self.tip.hash,
            bytes: self.segment_bytes,
        };
        (self.file, self.path) = put_in_place(&self.shared.dir, &header)?;
        (self.offset, self.synced, self.end) = (HEADER_BYTES as u64, HEADER_BYTES as u64, self.segment_bytes);
        self.shared.want_spare();
        Ok(())
    }
}

/// The preparing thread: keeps one spare segment ready.
fn prepare(shared: &Shared, segment_bytes: u64) {
    let mut short = false;
    while shared.await_want() {
        match prepare_spare(&shared.dir, segment_bytes, || !shared.is_closing()) {
            Ok(false) => return,
            Ok(true) => {
                if std::mem::take(&mut short) {
                    tracing::info!(path = %shared.dir.display(), "there is room for the journal again");
                }
                shared.set_spare(Ok(()));
            }
            Err(error) => {
                if !std::mem::replace(&mut short, true) {
                    tracing::error!(path = %shared.dir.display(), %error, "no room for another segment of the journal");
                }
                shared.set_spare(Err(error.to_string()));
            }
        }
    }
}

/// Takes the lock that one process holds while it writes.
pub(crate) fn lock(dir: &Path) -> Result<File, JournalError> {
    let path = dir.join(LOCK_FILE);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(JournalError::io("cannot open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked { path }),
        Err(TryLockError::Error(error)) => Err(JournalError::io("cannot lock", &path)(error)),
    }
}

/// Keeps a copy of the tail, then makes zeros of it.
fn cut_off(dir: &Path, path: &Path, file: &File, tail: DroppedTail) -> Result<(), JournalError> {
    let copy = dir.join(format!("dropped-{}-{}.bin", tail.sequence, tail.offset));
    let cut = || -> io::Result<()> {
        let mut bytes = vec![0; usize::try_from(tail.bytes).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, tail.offset)?;
        let mut kept = File::create(&copy)?;
        kept.write_all(&bytes)?;
        kept.sync_all()?;
        sync_dir(dir)?;
        bytes.fill(0);
        file.write_all_at(&bytes, tail.offset)?;
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

/// The bug that is put in to see that it is found.
fn skips_syncs() -> bool {
    cfg!(feature = "canary") && std::env::var_os("XOS_CANARY").is_some_and(|bug| bug == "skipped-fsync")
}

#[cfg(test)]
mod tests {
    use xos_types::{Address, Command, GroupTerms, TimeMs};

    use super::*;

    fn frame(time: u64) -> Logged {
        Logged::new(Command::Frame { time: TimeMs(time), inbox: vec![], prices: vec![] })
    }

    fn config() -> GroupConfig {
        GroupConfig {
            chain_id: 1,
            group: Address::ZERO,
            token: Address::ZERO,
            governance: Address::ZERO,
            terms: GroupTerms::usual(Address::ZERO),
        }
    }

    fn writer(dir: &Path, file: File) -> Writer {
        Writer {
            shared: Shared::new(dir.to_owned(), 0),
            config: config(),
            segment_bytes: 4096,
            path: dir.join("segment"),
            file,
            offset: 512,
            synced: 512,
            end: 4096,
            tip: Tip { sequence: 0, hash: [0; 32] },
            offer: None,
        }
    }

    /// Lets a writer write one command to a file; what those who wait for it are told.
    fn told(dir: &Path, file: File) -> (Result<(), JournalError>, Result<(), JournalError>) {
        let mut writer = writer(dir, file);
        let shared = Arc::clone(&writer.shared);
        let waiting = Arc::clone(&shared);
        let waits = std::thread::spawn(move || Durability(waiting).wait_for(1));
        shared.hand_over(&[frame(1)], 1 << 20).unwrap();
        shared.close();
        writer.run();
        (waits.join().unwrap(), shared.hand_over(&[frame(2)], 1 << 20))
    }

    #[test]
    fn a_failed_write_fails_whoever_waits_and_whoever_appends() {
        let dir = tempfile::tempdir().unwrap();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (waited, appended) = told(dir.path(), full);
        assert!(
            matches!(&waited, Err(JournalError::Failed { cause }) if cause.contains("No space left")),
            "{waited:?}"
        );
        assert!(matches!(appended, Err(JournalError::Failed { .. })));
    }

    #[test]
    fn a_failed_sync_is_as_bad_as_a_failed_write() {
        let dir = tempfile::tempdir().unwrap();
        // It takes every byte and cannot be synced.
        let null = OpenOptions::new().write(true).open("/dev/null").unwrap();
        let (waited, appended) = told(dir.path(), null);
        assert!(
            matches!(&waited, Err(JournalError::Failed { cause }) if cause.contains("cannot append")),
            "{waited:?}"
        );
        assert!(matches!(appended, Err(JournalError::Failed { .. })));
        // The same on a file that can be, so that it is the sync which makes the difference.
        let file = File::create(dir.path().join("segment")).unwrap();
        let (waited, appended) = told(dir.path(), file);
        assert!(waited.is_ok() && appended.is_ok(), "{waited:?} {appended:?}");
    }

    #[test]
    fn a_writer_that_panics_leaves_nobody_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let shared = Shared::new(dir.path().to_owned(), 0);
        let thread = spawn("journal writer", &shared, || panic!("a bug")).unwrap();
        assert!(matches!(Durability(Arc::clone(&shared)).wait_for(1), Err(JournalError::Failed { .. })));
        thread.join().unwrap_err();
    }
}
