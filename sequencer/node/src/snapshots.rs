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

    /// Writes the state, and removes the oldest ones that are too many. Written beside and renamed, the frames first, so a crash
    /// leaves all of it or nothing that is taken for it.
    pub(crate) fn write(&self, saved: &Saved) -> io::Result<PathBuf> {
        let path = self.dir.join(format!("{:020}.{SNAPSHOT}", saved.engine.sequence()));
        let frames = encode_frames(&saved.frames).map_err(io::Error::other)?;
        put(&path.with_extension(FRAMES), |writer| writer.write_all(&frames))?;
        put(&path, |writer| saved.engine.snapshot(writer).map(drop))?;
        File::open(&self.dir)?.sync_all()?;
        let list = self.list()?;
        for (_, old) in list.iter().take(list.len().saturating_sub(self.kept)) {
            fs::remove_file(old)?;
            fs::remove_file(old.with_extension(FRAMES))?;
        }
        Ok(path)
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

/// Writes a file beside its place, syncs it and renames it.
fn put(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut writer = BufWriter::new(File::create(&fresh)?);
    write(&mut writer)?;
    writer.flush()?;
    writer.get_ref().sync_all()?;
    fs::rename(&fresh, path)
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
