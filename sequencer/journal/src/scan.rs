//! Reads a journal block by block, checks hashes and chain, and tells a torn tail from a damaged middle.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use xos_types::{GroupConfig, Hash};

use crate::error::JournalError;
use crate::format::{BLOCK_BYTES_MAX, BLOCK_HEAD_BYTES, BlockHead, HASH_BYTES, HEADER_BYTES, VERSION, decode_header};

const READ_BUFFER_BYTES: usize = 1 << 20;

/// What a crash left behind the last whole block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DroppedTail {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
    /// The sequence number that its first command would have had.
    pub sequence: u64,
}

/// Where the chain stands behind a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tip {
    /// Bytes up to here are intact.
    pub(crate) offset: u64,
    /// Sequence number of the last command.
    pub(crate) sequence: u64,
    /// Hash of the last block, or of the header.
    pub(crate) hash: Hash,
}

/// What follows the tip.
pub(crate) enum Next {
    /// An intact block that continues the chain; its payload is in the scanner.
    Block(BlockHead),
    /// The file's end.
    End,
    /// Something that is no intact block, with no intact block behind it.
    TornTail(DroppedTail),
}

/// A journal being read from its beginning.
#[derive(Debug)]
pub(crate) struct Scanner {
    path: PathBuf,
    file: BufReader<File>,
    /// Bytes that count; what is appended after opening does not.
    length: u64,
    tip: Tip,
    payload: Vec<u8>,
}

impl Scanner {
    /// Checks the header; also returns whose journal it is.
    pub(crate) fn open(path: &Path, file: File) -> Result<(Self, GroupConfig), JournalError> {
        let length = file.metadata().map_err(JournalError::io("cannot read", path))?.len();
        let mut file = BufReader::with_capacity(READ_BUFFER_BYTES, file);
        file.seek(SeekFrom::Start(0)).map_err(JournalError::io("cannot read", path))?;
        let not_a_journal = |what: String| JournalError::NotAJournal { path: path.to_owned(), expected: VERSION, what };
        if length < HEADER_BYTES as u64 {
            return Err(not_a_journal(format!("its {length} bytes are too few for a header")));
        }
        let mut header = [0; HEADER_BYTES];
        file.read_exact(&mut header).map_err(JournalError::io("cannot read", path))?;
        let (config, hash) = decode_header(&header).map_err(not_a_journal)?;
        let tip = Tip { offset: HEADER_BYTES as u64, sequence: 0, hash };
        Ok((Self { path: path.to_owned(), file, length, tip, payload: Vec::new() }, config))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn tip(&self) -> Tip {
        self.tip
    }

    /// Stops reading at `length`.
    pub(crate) fn limit(&mut self, length: u64) {
        self.length = self.length.min(length);
    }

    /// Payload of the block that `advance` returned last.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Reads and checks what follows the tip, and moves the tip behind it if it is a block.
    pub(crate) fn advance(&mut self) -> Result<Next, JournalError> {
        if self.tip.offset == self.length {
            return Ok(Next::End);
        }
        let Some((head, hash)) = self.read_block(self.tip.offset).map_err(|error| self.io(error))? else {
            return self.judge_tail();
        };
        let sequence = self.tip.sequence + 1;
        if head.previous != self.tip.hash || head.first != sequence {
            return Err(self.damaged(format!(
                "an intact block of commands from {} on stands there, but it does not continue the chain",
                head.first
            )));
        }
        let last = self.tip.sequence + u64::from(head.commands);
        self.tip = Tip { offset: self.tip.offset + head.block_bytes(), sequence: last, hash };
        Ok(Next::Block(head))
    }

    /// The block at an offset with its hash, if a whole and intact one stands there. Leaves its payload in `payload`.
    fn read_block(&mut self, offset: u64) -> io::Result<Option<(BlockHead, Hash)>> {
        let room = self.length - offset;
        if room < BLOCK_HEAD_BYTES as u64 {
            return Ok(None);
        }
        self.seek(offset)?;
        let mut head_bytes = [0; BLOCK_HEAD_BYTES];
        self.file.read_exact(&mut head_bytes)?;
        let head = BlockHead::decode(&head_bytes);
        if !head.is_plausible() || head.block_bytes() > room {
            return Ok(None);
        }
        self.payload.resize(head.payload_bytes as usize, 0);
        self.file.read_exact(&mut self.payload)?;
        let mut written = [0; HASH_BYTES];
        self.file.read_exact(&mut written)?;
        let hash = *blake3::Hasher::new().update(&head_bytes).update(&self.payload).finalize().as_bytes();
        Ok((hash == written).then_some((head, hash)))
    }

    /// Consecutive blocks are read through the buffer; only a jump seeks.
    fn seek(&mut self, offset: u64) -> io::Result<()> {
        let position = self.file.stream_position()?;
        let distance = i64::try_from(i128::from(offset) - i128::from(position)).map_err(io::Error::other)?;
        self.file.seek_relative(distance)
    }

    /// No intact block stands at the tip: is it the end of what was written, or a hole in it?
    fn judge_tail(&mut self) -> Result<Next, JournalError> {
        let tail = DroppedTail {
            offset: self.tip.offset,
            bytes: self.length - self.tip.offset,
            sequence: self.tip.sequence + 1,
        };
        if tail.bytes > BLOCK_BYTES_MAX {
            return Err(self.damaged(format!("{} bytes follow, more than one unfinished write leaves", tail.bytes)));
        }
        match self.find_block_behind(tail).map_err(|error| self.io(error))? {
            Some(offset) => {
                Err(self.damaged(format!("no intact block stands there, but one follows at byte {offset}")))
            }
            None => Ok(Next::TornTail(tail)),
        }
    }

    /// The first intact block behind the start of `tail`, at whatever byte it begins. Its sequence number must lie ahead, by
    /// no more than the bytes between could hold: this alone makes a false candidate very rare, so almost no hash is spent.
    fn find_block_behind(&mut self, tail: DroppedTail) -> io::Result<Option<u64>> {
        let mut bytes = Vec::new();
        self.seek(tail.offset)?;
        (&mut self.file).take(tail.bytes).read_to_end(&mut bytes)?;
        for (distance, head) in (0u64..).zip(bytes.array_windows::<BLOCK_HEAD_BYTES>()).skip(1) {
            let head = BlockHead::decode(head);
            let ahead = head.first > tail.sequence && head.first - tail.sequence <= distance;
            if ahead && head.is_plausible() && self.read_block(tail.offset + distance)?.is_some() {
                return Ok(Some(tail.offset + distance));
            }
        }
        Ok(None)
    }

    pub(crate) fn damaged(&self, what: String) -> JournalError {
        let Tip { offset, sequence, .. } = self.tip;
        JournalError::Damaged { path: self.path.clone(), offset, sequence: sequence + 1, what }
    }

    fn io(&self, error: io::Error) -> JournalError {
        JournalError::io("cannot read", &self.path)(error)
    }
}
