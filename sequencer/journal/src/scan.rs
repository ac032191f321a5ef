//! Reads a journal block by block, checks hashes and chain, and tells a torn tail from a damaged middle.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use xos_types::{GroupConfig, Hash};

use crate::error::JournalError;
use crate::format::{
    BLOCK_BYTES_MAX, BLOCK_HEAD_BYTES, BlockHead, HASH_BYTES, HEADER_BYTES, Header, HeaderFault, SECTOR, VERSION,
    genesis,
};
use crate::segment::{self, Listed};

/// Bytes that are read at a time.
const CHUNK_BYTES: usize = 4 << 20;
const SECTOR_BYTES: u64 = SECTOR as u64;

/// What a crash left behind the last whole block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DroppedTail {
    /// The segment that it stands in, by its first command.
    pub segment: u64,
    /// Where it begins in there.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
    /// The sequence number that its first command would have had.
    pub sequence: u64,
}

/// Where the chain stands behind a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Sequence number of the last command.
    pub sequence: u64,
    /// Hash of the last block.
    pub hash: Hash,
}

impl Tip {
    /// Where a group's chain begins: no command, and the hash that its first block names.
    #[must_use]
    pub fn genesis(config: &GroupConfig) -> Self {
        Self { sequence: 0, hash: genesis(config) }
    }
}

/// A segment being read.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    file: File,
    /// Bytes that the file has, whatever its header says.
    length: u64,
    /// A part of the file that begins at `buffered`.
    buffer: Vec<u8>,
    buffered: u64,
}

/// An intact block; its payload lies in the segment's buffer.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) head: BlockHead,
    pub(crate) hash: Hash,
    whole: Range<usize>,
}

impl Block {
    pub(crate) fn tip(&self) -> Tip {
        Tip { sequence: self.head.last(), hash: self.hash }
    }
}

impl Segment {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, length, buffer: Vec::new(), buffered: 0 })
    }

    /// The header, if it is one, and that of the segment that `listed` names.
    pub(crate) fn header(&self, listed: &Listed) -> Result<Header, JournalError> {
        let path = || listed.path.clone();
        let damaged = |what: String| JournalError::Damaged { path: path(), offset: 0, sequence: listed.first, what };
        if self.length < HEADER_BYTES as u64 {
            return Err(damaged(format!("its {} bytes are too few for a header", self.length)));
        }
        let mut header = [0; HEADER_BYTES];
        self.file.read_exact_at(&mut header, 0).map_err(JournalError::io("cannot read", &listed.path))?;
        let header = Header::decode(&header).map_err(|fault| match fault {
            HeaderFault::Damaged(what) => damaged(what),
            HeaderFault::Foreign(what) => JournalError::NotAJournal { path: path(), expected: VERSION, what },
        })?;
        if header.first != listed.first {
            return Err(damaged(format!("its header says that it begins with command {}", header.first)));
        }
        Ok(header)
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Where so many bytes from `offset` on lie in the buffer; less at the end of the file.
    fn fill(&mut self, offset: u64, count: usize) -> io::Result<Range<usize>> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = count.min(left);
        let ahead = offset.checked_sub(self.buffered).and_then(|ahead| usize::try_from(ahead).ok());
        if let Some(start) = ahead.filter(|start| start + count <= self.buffer.len()) {
            return Ok(start..start + count);
        }
        self.buffer.resize(count.max(CHUNK_BYTES).min(left), 0);
        // Nothing is known of the buffer until all of it is read.
        self.buffered = u64::MAX;
        self.file.read_exact_at(&mut self.buffer, offset)?;
        self.buffered = offset;
        Ok(0..count)
    }

    /// Reads from the file again what was read before.
    fn forget(&mut self) {
        self.buffer.clear();
    }

    /// The block at an offset, if a whole and intact one stands there.
    pub(crate) fn block(&mut self, offset: u64) -> io::Result<Option<Block>> {
        let head = self.fill(offset, BLOCK_HEAD_BYTES)?;
        let Some(head) = self.buffer[head].first_chunk().map(BlockHead::decode) else { return Ok(None) };
        if !head.is_plausible() || head.block_bytes() > self.length - offset {
            return Ok(None);
        }
        let count = usize::try_from(head.block_bytes()).map_err(io::Error::other)?;
        let whole = self.fill(offset, count)?;
        let (hashed, written) = self.buffer[whole.clone()].split_at(count - HASH_BYTES);
        let hash = *blake3::hash(hashed).as_bytes();
        Ok((hash == *written).then_some(Block { head, hash, whole }))
    }

    /// Bytes of a block that [`Self::block`] returned last.
    pub(crate) fn bytes(&self, block: &Block) -> &[u8] {
        &self.buffer[block.whole.clone()]
    }

    pub(crate) fn payload(&self, block: &Block) -> &[u8] {
        &self.bytes(block)[BLOCK_HEAD_BYTES..][..block.head.payload_bytes as usize]
    }

    /// How many bytes from `offset` on are not the zeros that a segment is made of.
    pub(crate) fn written_from(&mut self, offset: u64) -> io::Result<u64> {
        let (mut position, mut end) = (offset, offset);
        while position < self.length {
            let chunk = self.fill(position, CHUNK_BYTES)?;
            let chunk = &self.buffer[chunk];
            // Most of what is looked at is zeros, and a sum of them that never ends early is taken many bytes at a time.
            let is_zeros = chunk.iter().fold(0, |any, byte| any | byte) == 0;
            if !is_zeros && let Some(last) = chunk.iter().rposition(|byte| *byte != 0) {
                end = position + last as u64 + 1;
            }
            position += chunk.len() as u64;
        }
        Ok(end - offset)
    }

    /// What was changed in the block at an offset, which is not intact, if it cannot be what a crash in the middle of its write
    /// left. Segments are zeros first and a sector is written whole or not at all, or as far as a write came: so a part that did
    /// not reach the disk is zeros up to a sector's end. Where none is, all of it was there, perhaps synced and told of.
    pub(crate) fn altered(&mut self, offset: u64, tip: Tip) -> io::Result<Option<&'static str>> {
        let head = self.fill(offset, BLOCK_HEAD_BYTES)?;
        let Some(bytes) = self.buffer[head].first_chunk::<BLOCK_HEAD_BYTES>() else { return Ok(None) };
        if bytes.last() == Some(&0) {
            return Ok(None);
        }
        let head = BlockHead::decode(bytes);
        if head.before() != tip || !head.is_plausible() {
            return Ok(Some("the head of a block stands there that never was one of this journal"));
        }
        if head.block_bytes() > self.length - offset {
            return Ok(None);
        }
        let count = usize::try_from(head.block_bytes()).map_err(io::Error::other)?;
        let whole = self.fill(offset, count)?;
        let is_whole = self.buffer[whole.clone()].last() != Some(&0)
            && self.buffer[whole].chunks(SECTOR).all(|sector| sector.iter().any(|byte| *byte != 0));
        Ok(is_whole.then_some("a block stands there that was written whole and has changed since"))
    }

    /// The first intact block behind `offset` that may stand there: `may` is asked with its distance and the sequence number of
    /// its first command before its hash is computed.
    pub(crate) fn block_behind(
        &mut self,
        offset: u64,
        may: impl Fn(u64, u64) -> bool,
    ) -> io::Result<Option<(u64, Block)>> {
        let mut position = offset + SECTOR_BYTES;
        while position + SECTOR_BYTES <= self.length {
            let head = self.fill(position, BLOCK_HEAD_BYTES)?;
            let Some(head) = self.buffer[head].first_chunk().map(BlockHead::decode) else { break };
            if may(position - offset, head.first)
                && let Some(block) = self.block(position)?
            {
                return Ok(Some((position, block)));
            }
            position += SECTOR_BYTES;
        }
        Ok(None)
    }
}

/// What follows the tip.
pub(crate) enum Next {
    /// An intact block that continues the chain.
    Block(Block),
    /// Nothing.
    End,
    /// Something that is no intact block, with no intact block anywhere behind it.
    TornTail(DroppedTail),
}

/// A journal being read, from the first block of some segment on.
#[derive(Debug)]
pub(crate) struct Chain {
    /// Segments still to be read, the next one last.
    later: Vec<Listed>,
    segment: Segment,
    header: Header,
    /// Where in the segment the chain goes on.
    offset: u64,
    tip: Tip,
}

impl Chain {
    /// Begins with the segment that holds command `from`. What stands before it is taken on trust.
    pub(crate) fn open(dir: &Path, from: u64, expected: Option<&GroupConfig>) -> Result<Self, JournalError> {
        let mut later = segment::list(dir)?;
        let Some(first) = later.first() else { return Err(JournalError::Missing { path: dir.to_owned() }) };
        if from < first.first {
            return Err(JournalError::BeginsLater { path: dir.to_owned(), first: first.first, wanted: from });
        }
        later.reverse();
        let holds = later.iter().position(|segment| segment.first <= from).unwrap_or_default();
        later.truncate(holds + 1);
        let listed = later.pop().expect("at least the segment that holds `from` is left");
        let segment = Segment::open(&listed.path).map_err(JournalError::io("cannot open", &listed.path))?;
        let header = segment.header(&listed)?;
        let Header { config, first, previous, .. } = header;
        if let Some(expected) = expected.filter(|expected| **expected != config) {
            let (found, expected) = (Box::new(config), Box::new(*expected));
            return Err(JournalError::OtherGroup { path: listed.path, found, expected });
        }
        let tip = Tip { sequence: first.saturating_sub(1), hash: previous };
        let chain = Self { later, segment, header, offset: HEADER_BYTES as u64, tip };
        if first == 1 && previous != genesis(&config) {
            return Err(chain.damaged("its header does not begin a chain".to_owned()));
        }
        Ok(chain)
    }

    pub(crate) fn config(&self) -> GroupConfig {
        self.header.config
    }

    pub(crate) fn tip(&self) -> Tip {
        self.tip
    }

    /// The segment that was read last, and where the chain ends in it.
    pub(crate) fn end(&self) -> (&Segment, u64) {
        (&self.segment, self.offset)
    }

    pub(crate) fn payload(&self, block: &Block) -> &[u8] {
        self.segment.payload(block)
    }

    /// Bytes of the block that [`Self::advance`] returned last.
    pub(crate) fn bytes(&self, block: &Block) -> &[u8] {
        self.segment.bytes(block)
    }

    /// Reads from the file again what was read ahead of the tip.
    pub(crate) fn forget(&mut self) {
        self.segment.forget();
    }

    /// [`Self::advance`] in a journal that is being written, whose next block is known to be on the disk: perhaps in a segment
    /// that was not there when reading began.
    pub(crate) fn advance_written(&mut self, dir: &Path) -> Result<Block, JournalError> {
        if let Some(block) = self.segment.block(self.offset).map_err(|error| self.io(error))? {
            return self.stepped(block);
        }
        self.later = segment::list(dir)?;
        self.later.retain(|segment| segment.first > self.header.first);
        self.later.reverse();
        match self.advance()? {
            Next::Block(block) => Ok(block),
            Next::End | Next::TornTail(_) => {
                Err(self.damaged("nothing intact stands there, which is durable".to_owned()))
            }
        }
    }

    /// Reads and checks what follows the tip, and moves the tip behind it if it is a block.
    pub(crate) fn advance(&mut self) -> Result<Next, JournalError> {
        loop {
            if let Some(block) = self.segment.block(self.offset).map_err(|error| self.io(error))? {
                return self.step(block);
            }
            if self.later.is_empty() {
                return self.judge_tail();
            }
            self.next_segment()?;
        }
    }

    fn step(&mut self, block: Block) -> Result<Next, JournalError> {
        self.stepped(block).map(Next::Block)
    }

    /// The block, with the tip behind it, if it continues the chain.
    fn stepped(&mut self, block: Block) -> Result<Block, JournalError> {
        let BlockHead { first, previous, .. } = block.head;
        if previous != self.tip.hash || first != self.tip.sequence + 1 {
            let what = "an intact block of commands from {first} on stands there, but it does not continue the chain";
            return Err(self.damaged(what.replace("{first}", &first.to_string())));
        }
        self.tip = block.tip();
        self.offset += block.head.block_bytes();
        Ok(block)
    }

    /// A segment that is followed by another is complete: zeros up to its end, and the other goes on from here.
    fn next_segment(&mut self) -> Result<(), JournalError> {
        self.check_length()?;
        let written = self.segment.written_from(self.offset).map_err(|error| self.io(error))?;
        let Some(listed) = self.later.last() else { return Ok(()) };
        let follows = listed.first == self.tip.sequence + 1;
        if written > 0 || !follows {
            let next = listed.path.display();
            let what = format!("no intact block stands there, but {next} follows, which begins with {}", listed.first);
            return Err(self.damaged(what));
        }
        let segment = Segment::open(&listed.path).map_err(JournalError::io("cannot open", &listed.path))?;
        let header = segment.header(listed)?;
        if header.previous != self.tip.hash || header.config != self.config() {
            return Err(JournalError::Damaged {
                path: listed.path.clone(),
                offset: 0,
                sequence: listed.first,
                what: "it does not continue the segment before it".to_owned(),
            });
        }
        self.later.pop();
        (self.segment, self.header, self.offset) = (segment, header, HEADER_BYTES as u64);
        Ok(())
    }

    /// Segments get their length before anything else stands in them.
    fn check_length(&self) -> Result<(), JournalError> {
        let (length, bytes) = (self.segment.length, self.header.bytes);
        if length == bytes {
            return Ok(());
        }
        Err(self.damaged(format!("the file has {length} bytes, but was made with {bytes}")))
    }

    /// No intact block stands at the tip: is it the end of what was written, or a hole in it?
    fn judge_tail(&mut self) -> Result<Next, JournalError> {
        let verdict = self.look_at_tail().map_err(|error| self.io(error))?;
        if matches!(verdict, Tail::Empty) {
            return self.check_length().map(|()| Next::End);
        }
        // A running node may have written on since the tip was looked at.
        self.segment.forget();
        if let Some(block) = self.segment.block(self.offset).map_err(|error| self.io(error))? {
            return self.step(block);
        }
        self.check_length()?;
        match verdict {
            Tail::Empty => Ok(Next::End),
            Tail::Altered(what) => Err(self.damaged(what.to_owned())),
            Tail::Torn(bytes) => Ok(Next::TornTail(DroppedTail {
                segment: self.header.first,
                offset: self.offset,
                bytes,
                sequence: self.tip.sequence + 1,
            })),
            Tail::TooLong(bytes) => {
                Err(self.damaged(format!("{bytes} bytes follow, more than one unfinished write leaves")))
            }
            Tail::BlockBehind(offset) => {
                Err(self.damaged(format!("no intact block stands there, but one follows at byte {offset}")))
            }
        }
    }

    fn look_at_tail(&mut self) -> io::Result<Tail> {
        self.segment.forget();
        let bytes = self.segment.written_from(self.offset)?;
        if bytes == 0 {
            return Ok(Tail::Empty);
        }
        // Its commands come later, by no more than the bytes between could hold. This alone makes a false candidate very rare.
        let next = self.tip.sequence + 1;
        let may = |distance, first| first >= next && first - next <= distance;
        if let Some((offset, _)) = self.segment.block_behind(self.offset, may)? {
            return Ok(Tail::BlockBehind(offset));
        }
        if bytes > BLOCK_BYTES_MAX {
            return Ok(Tail::TooLong(bytes));
        }
        Ok(self.segment.altered(self.offset, self.tip)?.map_or(Tail::Torn(bytes), Tail::Altered))
    }

    pub(crate) fn damaged(&self, what: String) -> JournalError {
        JournalError::Damaged {
            path: self.segment.path.clone(),
            offset: self.offset,
            sequence: self.tip.sequence + 1,
            what,
        }
    }

    fn io(&self, error: io::Error) -> JournalError {
        JournalError::io("cannot read", &self.segment.path)(error)
    }
}

/// What stands behind the last block of the last segment.
enum Tail {
    Empty,
    Torn(u64),
    TooLong(u64),
    BlockBehind(u64),
    /// A whole block was written, and it is not what was written any more.
    Altered(&'static str),
}
