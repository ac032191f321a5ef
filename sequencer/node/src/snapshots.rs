//! Snapshots in the data folder: the state after a command, by its sequence number.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use xos_engine::Engine;
use xos_types::GroupConfig;

const EXTENSION: &str = "snapshot";

/// The snapshots of one group.
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

    /// The newest state that is intact and fits; an empty one if there is none. A snapshot only saves time, so one that cannot be
    /// used is passed over, and said.
    pub(crate) fn newest(&self, fits: impl Fn(&Engine) -> bool) -> Engine {
        let mut list = self.list().unwrap_or_default();
        while let Some((sequence, path)) = list.pop() {
            match self.restore(sequence, &path) {
                Ok(engine) if fits(&engine) => return engine,
                Ok(_) => {}
                Err(why) => tracing::warn!(path = %path.display(), why, "a snapshot cannot be used"),
            }
        }
        Engine::new(self.group)
    }

    fn restore(&self, sequence: u64, path: &Path) -> Result<Engine, String> {
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
        Ok(engine)
    }

    /// Writes the state, and removes the oldest ones that are too many. Written beside and renamed, so a crash leaves all of it
    /// or nothing.
    pub(crate) fn write(&self, engine: &Engine) -> io::Result<PathBuf> {
        let path = self.dir.join(format!("{:020}.{EXTENSION}", engine.sequence()));
        let fresh = path.with_extension("new");
        let mut writer = BufWriter::new(File::create(&fresh)?);
        engine.snapshot(&mut writer)?;
        writer.flush()?;
        writer.get_ref().sync_all()?;
        fs::rename(&fresh, &path)?;
        File::open(&self.dir)?.sync_all()?;
        let list = self.list()?;
        for (_, old) in list.iter().take(list.len().saturating_sub(self.kept)) {
            fs::remove_file(old)?;
        }
        Ok(path)
    }

    /// Sequence numbers and paths, the oldest first.
    fn list(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut list = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let is_one = path.extension().is_some_and(|extension| extension == EXTENSION);
            let sequence = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            if let (true, Some(sequence)) = (is_one, sequence) {
                list.push((sequence, path));
            }
        }
        list.sort();
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use xos_types::{Command, Logged, TimeMs};

    use super::*;
    use crate::testing::{GROUP, inbox};

    fn engine(commands: u64) -> Engine {
        let mut engine = Engine::new(GROUP);
        for n in 1..=commands {
            let inbox = if n == 1 { inbox() } else { Vec::new() };
            let command = Logged::new(Command::Frame { time: TimeMs(n), inbox, prices: Vec::new() });
            engine.apply(&command, &mut Vec::new());
        }
        engine
    }

    #[test]
    fn the_newest_that_is_intact_and_fits_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(dir.path(), GROUP, 2).unwrap();
        assert_eq!((snapshots.newest(|_| true).sequence(), snapshots.newest_sequence()), (0, 0));
        for commands in [2, 5, 9] {
            snapshots.write(&engine(commands)).unwrap();
        }
        assert_eq!(snapshots.list().unwrap().len(), 2, "the oldest is gone");
        let newest = snapshots.newest(|_| true);
        assert_eq!((newest.sequence(), newest.state_hash()), (9, engine(9).state_hash()));
        assert_eq!(snapshots.newest(|engine| engine.sequence() <= 8).sequence(), 5);

        // Damaged, misnamed, another group's: each is passed over.
        let (_, path) = snapshots.list().unwrap().pop().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(snapshots.newest(|_| true).sequence(), 5);
        let (_, five) = snapshots.list().unwrap().remove(0);
        fs::rename(five, dir.path().join("00000000000000000007.snapshot")).unwrap();
        assert_eq!(snapshots.newest(|_| true).sequence(), 0);
        let other = GroupConfig { chain_id: 1, ..GROUP };
        snapshots.write(&engine(6)).unwrap();
        assert_eq!(Snapshots::open(dir.path(), other, 2).unwrap().newest(|_| true).sequence(), 0);
    }
}
