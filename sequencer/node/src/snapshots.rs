//! Saved states in the data folder: the engine after a command, by its sequence number, and the frames that it sealed last.
//!
//! The frames lie beside the snapshot because the chain may still lose their batches: whoever goes on from here hands them in
//! again. Without them a node could only begin with a state that is older than every batch in question.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use xos_engine::Engine;
use xos_types::{Frame, GroupConfig};

const SNAPSHOT: &str = "snapshot";
const FRAMES: &str = "frames";
/// Of what is not complete yet.
const UNFINISHED: &str = "new";
const HASH_BYTES: usize = 32;
/// Sealed frames that are kept with a state: more than a chain that is not far behind may lose. One that is further behind
/// costs a longer start.
const FRAMES_KEPT: usize = 1_024;

/// A state, and the frames sealed last before it.
#[derive(Debug)]
pub(crate) struct Saved {
    pub(crate) engine: Engine,
    /// In order, without gaps, up to the last one that the engine sealed.
    frames: VecDeque<Frame>,
}

impl Saved {
    pub(crate) fn empty(group: GroupConfig) -> Self {
        Self { engine: Engine::new(group), frames: VecDeque::new() }
    }

    /// Notes a frame that the engine has sealed.
    pub(crate) fn keep(&mut self, frame: Frame) {
        if self.frames.len() == FRAMES_KEPT {
            self.frames.pop_front();
        }
        self.frames.push_back(frame);
    }

    /// Whether every frame from number `id` on is here or still to be sealed.
    pub(crate) fn has_frames_from(&self, id: u64) -> bool {
        self.frames.front().map_or(self.engine.frames_sealed() + 1, |first| first.id) <= id.max(1)
    }

    /// The engine, and the frames from number `id` on.
    pub(crate) fn into_parts(self, id: u64) -> (Engine, Vec<Frame>) {
        (self.engine, self.frames.into_iter().filter(|frame| frame.id >= id).collect())
    }
}

/// The saved states of one group.
#[derive(Clone, Debug)]
pub(crate) struct Snapshots {
    dir: PathBuf,
    group: GroupConfig,
    /// How many are kept.
    kept: usize,
}

impl Snapshots {
    pub(crate) fn open(dir: &Path, group: GroupConfig, kept: usize) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned(), group, kept })
    }

    /// Sequence number of the newest one; 0 if there is none.
    pub(crate) fn newest_sequence(&self) -> u64 {
        self.list().ok().and_then(|list| list.last().map(|(sequence, _)| *sequence)).unwrap_or(0)
    }

    /// Sequence number of the oldest one, when there are as many as are kept.
    pub(crate) fn oldest(&self) -> io::Result<Option<u64>> {
        let list = self.list()?;
        Ok(list.first().filter(|_| list.len() >= self.kept).map(|(sequence, _)| *sequence))
    }

    /// The newest state that is intact and fits; an empty one if there is none. A saved state only spares time, so one that
    /// cannot be used is passed over, and said.
    pub(crate) fn newest(&self, fits: impl Fn(&Saved) -> bool) -> Saved {
        let mut list = self.list().unwrap_or_default();
        while let Some((sequence, path)) = list.pop() {
            match self.restore(sequence, &path) {
                Ok(saved) if fits(&saved) => return saved,
                Ok(_) => {}
                Err(why) => tracing::warn!(path = %path.display(), why, "a snapshot cannot be used"),
            }
        }
        Saved::empty(self.group)
    }

    fn restore(&self, sequence: u64, path: &Path) -> Result<Saved, String> {
        let engine = File::open(path).map_err(|error| error.to_string()).and_then(|file| {
            // What is read carries its hash, and it is checked.
            Engine::restore(file).map_err(|error| error.to_string())
        })?;
        if *engine.config() != self.group {
            return Err("it is another group's".to_owned());
        }
        if engine.sequence() != sequence {
            return Err(format!("it is of command {}, not of the one in its name", engine.sequence()));
        }
        let bytes = fs::read(path.with_extension(FRAMES)).map_err(|error| format!("its frames: {error}"))?;
        let frames = decode_frames(&bytes).ok_or("its frames are damaged")?;
        if frames.back().map_or(0, |last| last.id) != engine.frames_sealed() {
            return Err("its frames are those of another state".to_owned());
        }
        Ok(Saved { engine, frames })
    }

    /// Writes the state, and removes the oldest ones that are too many.
    pub(crate) fn write(&self, saved: &Saved) -> io::Result<PathBuf> {
        let mut writing = self.begin(saved);
        while writing.step()? {}
        Ok(writing.path)
    }

    /// The same step by step, for somebody who may stop between two of them, as a crash does.
    pub(crate) fn begin<'a>(&'a self, saved: &'a Saved) -> Writing<'a> {
        let path = self.dir.join(format!("{:020}.{SNAPSHOT}", saved.engine.sequence()));
        Writing { snapshots: self, saved, path, next: Some(Step::WriteFrames) }
    }

    /// Removes what is older than the newest ones, and what a crash has left of others.
    fn tidy(&self) -> io::Result<()> {
        let list = self.list()?;
        let kept = &list[list.len().saturating_sub(self.kept)..];
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let is_ours = path
                .extension()
                .is_some_and(|extension| [SNAPSHOT, FRAMES, UNFINISHED].iter().any(|ours| extension == *ours));
            let is_kept = |(_, kept): &(u64, PathBuf)| path == *kept || path == kept.with_extension(FRAMES);
            if is_ours && !kept.iter().any(is_kept) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Sequence numbers and paths of the snapshots, the oldest first.
    fn list(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut list = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let is_one = path.extension().is_some_and(|extension| extension == SNAPSHOT);
            let sequence = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            if let (true, Some(sequence)) = (is_one, sequence) {
                list.push((sequence, path));
            }
        }
        list.sort();
        Ok(list)
    }
}

/// A state on its way to the disk. Each file is written beside its place, synced and then renamed, the frames before the state, so
/// a crash leaves all of it or nothing that is taken for it.
pub(crate) struct Writing<'a> {
    snapshots: &'a Snapshots,
    saved: &'a Saved,
    path: PathBuf,
    /// None when all are done.
    next: Option<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    WriteFrames,
    PutFrames,
    WriteState,
    PutState,
    /// Makes the names durable.
    SyncNames,
    /// What is too old, or was never completed, goes.
    Tidy,
}

impl Writing<'_> {
    /// Takes the next step; false if there was none.
    pub(crate) fn step(&mut self) -> io::Result<bool> {
        let Some(step) = self.next else { return Ok(false) };
        let frames_path = self.path.with_extension(FRAMES);
        let unfinished = self.path.with_extension(UNFINISHED);
        self.next = match step {
            Step::WriteFrames => {
                let frames = encode_frames(&self.saved.frames).map_err(io::Error::other)?;
                write_synced(&unfinished, |writer| writer.write_all(&frames))?;
                Some(Step::PutFrames)
            }
            Step::PutFrames => fs::rename(&unfinished, frames_path).map(|()| Some(Step::WriteState))?,
            Step::WriteState => {
                write_synced(&unfinished, |writer| self.saved.engine.snapshot(writer).map(drop))?;
                Some(Step::PutState)
            }
            Step::PutState => fs::rename(&unfinished, &self.path).map(|()| Some(Step::SyncNames))?,
            Step::SyncNames => {
                File::open(&self.snapshots.dir)?.sync_all()?;
                Some(Step::Tidy)
            }
            Step::Tidy => self.snapshots.tidy().map(|()| None)?,
        };
        Ok(true)
    }
}

fn write_synced(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let mut writer = BufWriter::new(File::create(path)?);
    write(&mut writer)?;
    writer.flush()?;
    writer.get_ref().sync_all()
}

/// The frames, and a hash of that.
fn encode_frames(frames: &VecDeque<Frame>) -> Result<Vec<u8>, postcard::Error> {
    let mut bytes = postcard::to_allocvec(frames)?;
    let hash = blake3::hash(&bytes);
    bytes.extend_from_slice(hash.as_bytes());
    Ok(bytes)
}

fn decode_frames(bytes: &[u8]) -> Option<VecDeque<Frame>> {
    let (frames, hash) = bytes.split_last_chunk::<HASH_BYTES>()?;
    if blake3::hash(frames).as_bytes() != hash {
        return None;
    }
    postcard::from_bytes(frames).ok()
}

#[cfg(test)]
mod tests {
    use xos_types::{Command, Event, Logged, TimeMs};

    use super::*;
    use crate::testing::{GROUP, inbox};

    /// After so many commands: what the chain says, then an order each.
    fn saved(commands: u64) -> Saved {
        let mut saved = Saved::empty(GROUP);
        for n in 1..=commands {
            let inbox = if n == 1 { inbox() } else { Vec::new() };
            let mut events = Vec::new();
            let command = Logged::new(Command::Frame { time: TimeMs(n), inbox, prices: Vec::new() });
            saved.engine.apply(&command, &mut events);
            for event in events {
                if let Event::FrameSealed(frame) = event {
                    saved.keep(*frame);
                }
            }
        }
        saved
    }

    #[test]
    fn a_crash_between_any_two_steps_leaves_the_state_before_or_the_new_one() {
        for steps in 0..=6 {
            let dir = tempfile::tempdir().unwrap();
            let snapshots = Snapshots::open(dir.path(), GROUP, 1).unwrap();
            snapshots.write(&saved(3)).unwrap();
            let (state, mut taken) = (saved(7), 0);
            let mut writing = snapshots.begin(&state);
            while taken < steps && writing.step().unwrap() {
                taken += 1;
            }
            assert_eq!(taken, steps);
            // In the middle of a write, what is written beside is torn.
            let unfinished = dir.path().join(format!("{:020}.{UNFINISHED}", 7));
            if let Ok(bytes) = fs::read(&unfinished) {
                fs::write(&unfinished, &bytes[..bytes.len() / 2]).unwrap();
            }
            let found = snapshots.newest(|_| true);
            assert_eq!(found.engine.sequence(), if steps < 4 { 3 } else { 7 }, "after {steps} steps");
            assert_eq!(found.engine.state_hash(), saved(found.engine.sequence()).engine.state_hash());
            // The next one removes what was left.
            snapshots.write(&saved(9)).unwrap();
            let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(left.len(), 2, "{left:?}");
            assert_eq!(snapshots.newest_sequence(), 9);
        }
    }

    #[test]
    fn the_newest_that_is_intact_and_fits_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(dir.path(), GROUP, 2).unwrap();
        let newest = |fits: &dyn Fn(&Saved) -> bool| snapshots.newest(fits).engine.sequence();
        assert_eq!((newest(&|_| true), snapshots.newest_sequence()), (0, 0));
        for commands in [2, 5, 9] {
            snapshots.write(&saved(commands)).unwrap();
        }
        assert_eq!(snapshots.list().unwrap().len(), 2, "the oldest is gone");
        let restored = snapshots.newest(|_| true);
        assert_eq!((restored.engine.sequence(), restored.engine.state_hash()), (9, saved(9).engine.state_hash()));
        assert_eq!(restored.frames, saved(9).frames);
        assert_eq!(newest(&|saved| saved.engine.sequence() <= 8), 5);
        // The first frame holds what the chain said, and nothing has happened since.
        assert!(restored.has_frames_from(1) && restored.has_frames_from(0));
        assert_eq!((restored.into_parts(1).1.len(), saved(9).into_parts(2).1.len()), (1, 0));
        let forgot = Saved { frames: VecDeque::new(), ..saved(9) };
        assert!(!forgot.has_frames_from(1) && forgot.has_frames_from(2));

        // Damaged, misnamed, another group's: each is passed over.
        let (_, path) = snapshots.list().unwrap().pop().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(newest(&|_| true), 5);
        let (_, five) = snapshots.list().unwrap().remove(0);
        let frames = fs::read(five.with_extension(FRAMES)).unwrap();
        fs::write(five.with_extension(FRAMES), &frames[1..]).unwrap();
        assert_eq!(newest(&|_| true), 0, "without its frames it is no use");
        fs::write(five.with_extension(FRAMES), &frames).unwrap();
        assert_eq!(newest(&|_| true), 5);
        let misnamed = dir.path().join("00000000000000000007.snapshot");
        fs::rename(five.with_extension(FRAMES), misnamed.with_extension(FRAMES)).unwrap();
        fs::rename(five, misnamed).unwrap();
        assert_eq!(newest(&|_| true), 0);
        let other = GroupConfig { chain_id: 1, ..GROUP };
        snapshots.write(&saved(6)).unwrap();
        assert_eq!(Snapshots::open(dir.path(), other, 2).unwrap().newest(|_| true).engine.sequence(), 0);
    }
}
