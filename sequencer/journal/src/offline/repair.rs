//! Fills the holes of a damaged journal with a replica's blocks.
//!
//! Every intact block of both is found, wherever it stands and whatever is wrong around it. From the oldest one on the chain
//! then says which block is the next; ours is preferred, and there can be no other with the same hash. So nothing of the
//! replica gets in that our own hashes do not vouch for, up to the last block that we still have.
//!
//! What must be written anew is written beside; a rename says that it is complete, and what then remains is to move files,
//! which a later run can finish.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use xos_types::{GroupConfig, Hash};

use crate::error::JournalError;
use crate::format::{HEADER_BYTES, Header, genesis};
use crate::scan::{Block, Segment, Tip};
use crate::segment::{list, path_of, sync_dir, usual_bytes, write_zeros};
use crate::writer::{REPAIRED_FOLDER, Settings, lock};

/// Where segments are written until all of them are.
const UNFINISHED_FOLDER: &str = "repaired.new";
/// In the folder of repaired segments: the first one that they replace.
const FROM_FILE: &str = "from";
/// In the folder of repaired segments, once the damaged ones are out of the way.
const MOVED_FILE: &str = "moved";

/// What a repair did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Commands that came from the replica.
    pub commands: u64,
    /// Sequence number of the first of them.
    pub first: Option<u64>,
    /// Sequence number of the journal's last command.
    pub last: u64,
    /// Where the segments that were replaced are kept.
    pub kept: Option<PathBuf>,
}

/// Repairs the journal in `dir` with blocks of the one in `replica`, which is only read. Also takes what the replica has behind
/// the last command, if it continues the chain. Says now and then how many bytes it has read.
///
/// # Errors
/// If a node runs on `dir`, if the replica lacks a block that is needed, or if the disk refuses. Then nothing was changed.
pub fn repair(
    dir: impl AsRef<Path>,
    replica: impl AsRef<Path>,
    mut progress: impl FnMut(u64),
) -> Result<Repaired, JournalError> {
    let (dir, replica) = (dir.as_ref(), replica.as_ref());
    let _lock = lock(dir)?;
    if dir.join(REPAIRED_FOLDER).exists() {
        finish(dir)?;
    }
    let mut read = 0;
    let mut tell = |bytes| {
        read += bytes;
        progress(read);
    };
    let ours = Found::all(dir, &mut tell)?;
    let theirs = Found::all(replica, &mut tell)?;
    let plan = Plan::make(dir, &ours, replica, &theirs)?;
    if plan.is_idle() {
        return Ok(Repaired { commands: 0, first: None, last: plan.tip.sequence, kept: None });
    }
    plan.write(dir)?;
    let kept = finish(dir)?;
    Ok(Repaired { commands: plan.commands, first: plan.first_theirs, last: plan.tip.sequence, kept: Some(kept) })
}

/// Where an intact block stands.
#[derive(Clone, Debug)]
struct Place {
    path: PathBuf,
    offset: u64,
    bytes: u64,
    previous: Hash,
    tip: Tip,
}

/// All that is intact in a folder.
#[derive(Debug)]
struct Found {
    /// Oldest first.
    segments: Vec<FoundSegment>,
    /// By the sequence number of the first command.
    blocks: BTreeMap<u64, Place>,
}

#[derive(Debug)]
struct FoundSegment {
    first: u64,
    header: Option<Header>,
    /// Whether it has a header and the length that this says.
    has_its_form: bool,
    debris: Debris,
}

/// What stands between and behind a segment's blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Debris {
    /// Zeros.
    None,
    /// Behind the last one what a crash in the middle of a write leaves.
    TornTail,
    /// What was a block.
    Damage,
}

impl Found {
    fn all(dir: &Path, tell: &mut impl FnMut(u64)) -> Result<Self, JournalError> {
        let mut found = Self { segments: Vec::new(), blocks: BTreeMap::new() };
        for listed in list(dir)? {
            let mut look = || -> io::Result<()> {
                let mut segment = Segment::open(&listed.path)?;
                let header = segment.header(&listed).ok();
                let begins = header.map(|header| Tip { sequence: listed.first - 1, hash: header.previous });
                let debris = found.look_through(&mut segment, begins, tell)?;
                let has_its_form = header.is_some_and(|header| header.bytes == segment.length());
                found.segments.push(FoundSegment { first: listed.first, header, has_its_form, debris });
                Ok(())
            };
            look().map_err(JournalError::io("cannot read", &listed.path))?;
        }
        if found.segments.is_empty() {
            return Err(JournalError::Missing { path: dir.to_owned() });
        }
        Ok(found)
    }

    /// Notes every intact block of a segment, whose first one continues the chain from `tip`; what else there is.
    fn look_through(
        &mut self,
        segment: &mut Segment,
        mut tip: Option<Tip>,
        tell: &mut impl FnMut(u64),
    ) -> io::Result<Debris> {
        let mut is_damaged = false;
        let mut offset = HEADER_BYTES as u64;
        loop {
            if let Some(block) = segment.block(offset)? {
                let bytes = block.head.block_bytes();
                self.note(&segment.path, offset, &block);
                tell(bytes);
                tip = Some(block.tip());
                offset += bytes;
            } else if segment.written_from(offset)? == 0 {
                return Ok(if is_damaged { Debris::Damage } else { Debris::None });
            } else if let Some((behind, _)) = segment.block_behind(offset, |_, _| true)? {
                is_damaged = true;
                offset = behind;
            } else {
                let has_changed = tip.map(|tip| segment.altered(offset, tip)).transpose()?.flatten().is_some();
                return Ok(if is_damaged || has_changed { Debris::Damage } else { Debris::TornTail });
            }
        }
    }

    fn note(&mut self, path: &Path, offset: u64, block: &Block) {
        let place = Place {
            path: path.to_owned(),
            offset,
            bytes: block.head.block_bytes(),
            previous: block.head.previous,
            tip: block.tip(),
        };
        self.blocks.insert(block.head.first, place);
    }

    /// The block that follows a tip.
    fn after(&self, tip: Tip) -> Option<&Place> {
        self.blocks.get(&(tip.sequence + 1)).filter(|place| place.previous == tip.hash)
    }

    fn header(&self) -> Option<Header> {
        self.segments.iter().find_map(|segment| segment.header)
    }
}

/// The whole journal as it should be, and which part of it must be written anew.
#[derive(Debug)]
struct Plan {
    config: GroupConfig,
    segment_bytes: u64,
    /// Blocks to be written anew, and the tip before them.
    blocks: Vec<Place>,
    before: Tip,
    /// The first segment that they replace.
    from: u64,
    /// The tip behind all of them.
    tip: Tip,
    /// Commands that are the replica's, and the first of them.
    commands: u64,
    first_theirs: Option<u64>,
    idle: bool,
}

impl Plan {
    fn make(dir: &Path, ours: &Found, replica: &Path, theirs: &Found) -> Result<Self, JournalError> {
        let Some(header) = ours.header().or_else(|| theirs.header()) else {
            return Err(JournalError::Missing { path: dir.to_owned() });
        };
        let config = header.config;
        let missing = |tip: Tip| {
            let what = match theirs.blocks.get(&(tip.sequence + 1)) {
                Some(_) => "its block there belongs to another chain".to_owned(),
                None => format!("it has {} blocks of other commands", theirs.blocks.len()),
            };
            JournalError::NotRepairable { sequence: tip.sequence + 1, replica: replica.to_owned(), what }
        };
        if let Some(other) = theirs.header().filter(|other| other.config != config) {
            let (found, expected) = (Box::new(other.config), Box::new(config));
            return Err(JournalError::OtherGroup { path: replica.to_owned(), found, expected });
        }

        let oldest = ours.segments.first().map_or(1, |segment| segment.first);
        let start = Self::start(oldest, &config, ours, theirs)
            .ok_or_else(|| missing(Tip { sequence: oldest.saturating_sub(1), hash: [0; 32] }))?;
        let (mut tip, mut commands, mut first_theirs) = (start, 0, None);
        let mut blocks = Vec::new();
        while let Some((place, is_ours)) =
            ours.after(tip).map(|place| (place, true)).or_else(|| theirs.after(tip).map(|place| (place, false)))
        {
            if !is_ours {
                first_theirs.get_or_insert(tip.sequence + 1);
                commands += place.tip.sequence - tip.sequence;
            }
            blocks.push(place.clone());
            tip = place.tip;
        }
        // Nothing that we still have may be left out.
        let last_known = ours.segments.iter().map(|segment| segment.first.saturating_sub(1));
        let last_known = last_known.chain(ours.blocks.values().map(|place| place.tip.sequence)).max();
        if last_known > Some(tip.sequence) {
            return Err(missing(tip));
        }

        // What a crash left behind the last block is no damage; opening the journal drops it.
        let last = ours.segments.len().saturating_sub(1);
        let first_unclean = ours.segments.iter().enumerate().find(|(index, segment)| match segment.debris {
            Debris::None => !segment.has_its_form,
            Debris::TornTail => !segment.has_its_form || *index != last,
            Debris::Damage => true,
        });
        let first_unclean = first_unclean.map(|(_, segment)| segment.first);
        let first_changed = first_unclean.into_iter().chain(first_theirs).min();
        let idle = first_changed.is_none();
        let from = first_changed.unwrap_or(tip.sequence + 1);
        let from = ours.segments.iter().map(|segment| segment.first).rfind(|first| *first <= from).unwrap_or(oldest);
        let kept = blocks.iter().take_while(|place| place.tip.sequence < from).count();
        let before = kept.checked_sub(1).map_or(start, |index| blocks[index].tip);
        let blocks = blocks.split_off(kept);
        let segment_bytes = ours.header().map_or(Settings::default().segment_bytes, |header| header.bytes);
        Ok(Self { config, segment_bytes, blocks, before, from, tip, commands, first_theirs, idle })
    }

    /// The tip before the oldest command.
    fn start(oldest: u64, config: &GroupConfig, ours: &Found, theirs: &Found) -> Option<Tip> {
        let sequence = oldest.saturating_sub(1);
        let of_header = || ours.segments.first()?.header.map(|header| header.previous);
        let of_block = || ours.blocks.get(&oldest).or_else(|| theirs.blocks.get(&oldest)).map(|place| place.previous);
        let hash = if oldest == 1 { genesis(config) } else { of_header().or_else(of_block)? };
        Some(Tip { sequence, hash })
    }

    fn is_idle(&self) -> bool {
        self.idle
    }

    /// Writes the new segments beside the old ones, and last gives their folder the name that says that it is complete.
    fn write(&self, dir: &Path) -> Result<(), JournalError> {
        let fresh = dir.join(UNFINISHED_FOLDER);
        let write = || -> io::Result<()> {
            if fresh.exists() {
                fs::remove_dir_all(&fresh)?;
            }
            fs::create_dir(&fresh)?;
            let (mut tip, mut blocks) = (self.before, self.blocks.iter().peekable());
            loop {
                let first_bytes = blocks.peek().map_or(0, |place| place.bytes);
                let bytes = usual_bytes(self.segment_bytes.max(HEADER_BYTES as u64 + first_bytes));
                let path = path_of(&fresh, tip.sequence + 1);
                let file = File::create(&path)?;
                write_zeros(&file, bytes, || true)?;
                let header = Header { config: self.config, first: tip.sequence + 1, previous: tip.hash, bytes };
                file.write_all_at(&header.encode(), 0)?;
                let mut offset = HEADER_BYTES as u64;
                while let Some(place) = blocks.next_if(|place| offset + place.bytes <= bytes) {
                    file.write_all_at(&place.read()?, offset)?;
                    (offset, tip) = (offset + place.bytes, place.tip);
                }
                file.sync_all()?;
                if blocks.peek().is_none() {
                    break;
                }
            }
            write_synced(&fresh.join(FROM_FILE), &self.from.to_string())?;
            sync_dir(&fresh)?;
            fs::rename(&fresh, dir.join(REPAIRED_FOLDER))?;
            sync_dir(dir)
        };
        write().map_err(JournalError::io("cannot write repaired segments to", &fresh))
    }
}

impl Place {
    fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.bytes).map_err(io::Error::other)?];
        File::open(&self.path)?.read_exact_at(&mut bytes, self.offset)?;
        Ok(bytes)
    }
}

/// Moves the replaced segments out of the way and the repaired ones in, or finishes doing so; where the old ones are now.
fn finish(dir: &Path) -> Result<PathBuf, JournalError> {
    let repaired = dir.join(REPAIRED_FOLDER);
    let from = fs::read_to_string(repaired.join(FROM_FILE)).map_err(JournalError::io("cannot read", &repaired))?;
    let from: u64 = from.trim().parse().map_err(|error| {
        JournalError::io("cannot read", &repaired)(io::Error::new(io::ErrorKind::InvalidData, error))
    })?;
    let kept = dir.join(format!("damaged-{from}"));
    let (old, new) = (list(dir)?, list(&repaired)?);
    let put = || -> io::Result<()> {
        if !repaired.join(MOVED_FILE).exists() {
            fs::create_dir_all(&kept)?;
            for segment in old.iter().filter(|segment| segment.first >= from) {
                fs::rename(&segment.path, free_name(&kept, &segment.path))?;
            }
            sync_dir(&kept)?;
            sync_dir(dir)?;
            write_synced(&repaired.join(MOVED_FILE), "")?;
            sync_dir(&repaired)?;
        }
        for segment in &new {
            fs::rename(&segment.path, path_of(dir, segment.first))?;
        }
        sync_dir(dir)?;
        fs::remove_dir_all(&repaired)?;
        sync_dir(dir)
    };
    put().map_err(JournalError::io("cannot put repaired segments into", dir))?;
    Ok(kept)
}

/// Where in `folder` a file can be put without replacing what an earlier repair kept.
fn free_name(folder: &Path, path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut names = std::iter::once(name.to_string()).chain((1..).map(|count| format!("{name}.{count}")));
    let free = names.find(|name| !folder.join(name).exists());
    folder.join(free.expect("there are more names than files"))
}

fn write_synced(path: &Path, content: &str) -> io::Result<()> {
    fs::write(path, content)?;
    File::open(path)?.sync_all()
}
