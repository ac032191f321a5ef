//! Commands, blocks, and segments of a journal.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use bytes::Bytes;
use xos_journal::{Journal, SealedBlock, Settings, read_only, verify};
use xos_types::{Command, Logged};

use crate::seeds::{group, log};

const HASH_BYTES: usize = 32;
/// Length and number of commands, the first one's sequence number, the hash of the block before.
const HEAD_BYTES: usize = 4 + 4 + 8 + HASH_BYTES;
const SECTOR: usize = 512;

/// A command is decoded as postcard decodes it, with the same bytes behind it; so is one that is decoded over another.
pub(crate) fn command(log: &[u8]) {
    let expected = postcard::take_from_bytes::<Command>(log);
    let mut over = Logged::new(Command::Window { time: xos_types::TimeMs(1) });
    match (Logged::take_from(log), expected) {
        (Ok((logged, rest)), Ok((command, behind))) => {
            assert_eq!((logged.command(), rest), (&command, behind));
            assert_eq!(logged.bytes(), &log[..log.len() - rest.len()]);
            assert_eq!(over.take_over(log).expect("it was decoded before"), rest);
            assert_eq!(over, logged);
            // What it is written as is decoded to the same.
            let again = Logged::new(command);
            assert_eq!(Logged::take_from(again.bytes()).expect("what was encoded is decoded").0, again);
        }
        (Err(_), Err(_)) => assert!(over.take_over(log).is_err()),
        (ours, postcards) => panic!("decoded as {ours:?}, and by postcard as {postcards:?}"),
    }
}

/// A block has the hash that it ends with; one that has it is read to the end. Bytes are tried as they are, and with the hash put
/// right.
pub(crate) fn block(bytes: &[u8]) {
    let mut sealed = bytes.to_vec();
    seal(&mut sealed);
    for bytes in [bytes.to_vec(), sealed] {
        if let Ok(block) = SealedBlock::parse(Bytes::from(bytes.clone())) {
            assert_eq!(block.bytes()[..], bytes);
            if let Ok(commands) = block.commands() {
                assert_eq!(block.tip().sequence, block.before().sequence + commands.len() as u64);
            }
        }
    }
}

fn seal(block: &mut [u8]) {
    if let Some(hashed) = block.len().checked_sub(HASH_BYTES) {
        let hash = *blake3::hash(&block[..hashed]).as_bytes();
        block[hashed..].copy_from_slice(&hash);
    }
}

/// A segment with a header, in which any bytes can stand.
struct Segment {
    folder: tempfile::TempDir,
    path: PathBuf,
    header: Vec<u8>,
    bytes: usize,
    /// Hash of the block before the first.
    before: [u8; HASH_BYTES],
}

impl Segment {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let settings = Settings { segment_bytes: 8 << 10, ..Settings::default() };
        let mut journal =
            Journal::open(folder.path(), &group(), settings).and_then(|found| found.resume()).expect("a journal");
        journal.append(&log()[..1]).expect("a block");
        journal.close().expect("a journal that is closed");
        let mut segments: Vec<PathBuf> = fs::read_dir(folder.path())
            .expect("the folder is there")
            .filter_map(|entry| {
                Some(entry.ok()?.path()).filter(|path| path.extension().is_some_and(|end| end == "segment"))
            })
            .collect();
        segments.sort();
        let path = segments.swap_remove(0);
        let whole = fs::read(&path).expect("the segment is there");
        for other in segments {
            fs::remove_file(other).expect("it is there");
        }
        let before =
            whole[SECTOR..][HEAD_BYTES - HASH_BYTES..HEAD_BYTES].try_into().expect("as many bytes as a hash has");
        Self { folder, path, header: whole[..SECTOR].to_vec(), bytes: whole.len(), before }
    }
}

/// A journal with these bytes behind its header is read by all who read it alike, and changed by none of them. Bytes are tried as they
/// are, and with hashes and chain put right as far as blocks stand there.
pub(crate) fn journal(bytes: &[u8]) {
    static SEGMENT: OnceLock<Segment> = OnceLock::new();
    let segment = SEGMENT.get_or_init(Segment::new);
    let mut body = bytes.to_vec();
    body.resize(segment.bytes - segment.header.len(), 0);
    let mut chained = body.clone();
    chain(&mut chained, segment.before);
    for body in [body, chained] {
        let whole = [&segment.header[..], &body].concat();
        fs::write(&segment.path, &whole).expect("there is room");
        let verified = verify(segment.folder.path(), |_| {});
        let replayed = read_only(segment.folder.path(), 1).and_then(|mut replay| {
            let commands = replay.by_ref().collect::<Result<Vec<_>, _>>()?;
            Ok((commands.len() as u64, replay.last_sequence(), replay.dropped_tail()))
        });
        match (verified, replayed) {
            (Ok(verified), Ok((commands, last, dropped))) => {
                assert_eq!((verified.last, verified.dropped_tail), (last, dropped));
                assert_eq!(commands, last);
            }
            (Err(_), Err(_)) => {}
            (verified, replayed) => panic!("verified as {verified:?}, replayed as {replayed:?}"),
        }
        assert!(fs::read(&segment.path).is_ok_and(|after| after == whole), "reading changes nothing");
    }
}

/// Makes a chain of what might be blocks by the lengths that they claim.
fn chain(body: &mut [u8], mut before: [u8; HASH_BYTES]) {
    let mut rest = body;
    while let Some(payload) = rest.first_chunk().map(|length| u32::from_le_bytes(*length) as usize) {
        let length = (HEAD_BYTES + payload + HASH_BYTES).next_multiple_of(SECTOR);
        if payload == 0 || length > rest.len() {
            return;
        }
        let (block, behind) = rest.split_at_mut(length);
        block[HEAD_BYTES - HASH_BYTES..HEAD_BYTES].copy_from_slice(&before);
        seal(block);
        before = *block.last_chunk().expect("a block is longer than a hash");
        rest = behind;
    }
}
