//! The bytes of headers and blocks; the table is in the crate's documentation.

use core::fmt::Display;

use xos_types::{Address, GroupConfig, GroupTerms, Hash, Logged, Ppm};

use crate::scan::Tip;

const MAGIC: [u8; 8] = *b"XOSJRNL\0";
pub(crate) const VERSION: u32 = 5;

/// What a disk writes whole or not at all. Headers and blocks begin at a multiple of it, so that writing one never rewrites
/// a sector that holds another.
pub(crate) const SECTOR: usize = 512;
/// Bytes of a segment's header.
pub(crate) const HEADER_BYTES: usize = SECTOR;
/// Bytes of a block before its payload.
pub(crate) const BLOCK_HEAD_BYTES: usize = 4 + 4 + 8 + HASH_BYTES;
pub(crate) const HASH_BYTES: usize = 32;

/// Most bytes of encoded commands in one block.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// Most bytes of one block, and so of one write.
pub(crate) const BLOCK_BYTES_MAX: u64 = block_bytes(PAYLOAD_BYTES_MAX);

/// Bytes of a block with so much payload.
pub(crate) const fn block_bytes(payload: usize) -> u64 {
    (BLOCK_HEAD_BYTES + payload + HASH_BYTES).next_multiple_of(SECTOR) as u64
}

/// Most payload of a block that fits into an empty segment.
pub(crate) fn payload_max(segment_bytes: u64) -> usize {
    let room = usize::try_from(segment_bytes).unwrap_or(usize::MAX) - HEADER_BYTES - BLOCK_HEAD_BYTES - HASH_BYTES;
    room.min(PAYLOAD_BYTES_MAX)
}

/// What the first command's block names as the block before it.
pub(crate) fn genesis(config: &GroupConfig) -> Hash {
    let mut bytes = MAGIC.to_vec();
    put_config(&mut bytes, config);
    *blake3::hash(&bytes).as_bytes()
}

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Whose journal it is.
    pub(crate) config: GroupConfig,
    /// Sequence number of its first command.
    pub(crate) first: u64,
    /// Hash of the block before its first.
    pub(crate) previous: Hash,
    /// Bytes of the whole file.
    pub(crate) bytes: u64,
}

/// Why a header cannot be used.
pub(crate) enum HeaderFault {
    /// It was one, and something changed it.
    Damaged(String),
    /// It never was one that this program reads.
    Foreign(String),
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.bytes.to_le_bytes());
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&self.previous);
        put_config(&mut bytes, &self.config);
        bytes.resize(HEADER_BYTES - HASH_BYTES, 0);
        bytes.extend_from_slice(blake3::hash(&bytes).as_bytes());
        bytes.try_into().expect("the fields are shorter than a header, and the rest fills it")
    }

    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, HeaderFault> {
        let mut rest = &bytes[..];
        if take::<8>(&mut rest) != MAGIC {
            return Err(HeaderFault::Foreign("it does not begin with the journal's magic number".to_owned()));
        }
        if blake3::hash(&bytes[..HEADER_BYTES - HASH_BYTES]) != bytes[HEADER_BYTES - HASH_BYTES..] {
            return Err(HeaderFault::Damaged("its header's hash does not match".to_owned()));
        }
        let version = u32::from_le_bytes(take(&mut rest));
        if version != VERSION {
            return Err(HeaderFault::Foreign(format!("its format version is {version}")));
        }
        let bytes = u64::from_le_bytes(take(&mut rest));
        let first = u64::from_le_bytes(take(&mut rest));
        let previous = take(&mut rest);
        Ok(Self { config: take_config(&mut rest), first, previous, bytes })
    }
}

fn put_config(bytes: &mut Vec<u8>, config: &GroupConfig) {
    bytes.extend_from_slice(&config.chain_id.to_le_bytes());
    bytes.extend_from_slice(config.group.as_slice());
    bytes.extend_from_slice(config.token.as_slice());
    bytes.extend_from_slice(config.governance.as_slice());
    let GroupTerms { sequencer, max_holdings, keeper_share, grace } = config.terms;
    bytes.extend_from_slice(sequencer.as_slice());
    bytes.push(max_holdings);
    bytes.extend_from_slice(&keeper_share.0.to_le_bytes());
    bytes.extend_from_slice(&grace.to_le_bytes());
}

fn take_config(rest: &mut &[u8]) -> GroupConfig {
    let chain_id = u64::from_le_bytes(take(rest));
    let group = Address::from(take::<20>(rest));
    let token = Address::from(take::<20>(rest));
    let governance = Address::from(take::<20>(rest));
    let sequencer = Address::from(take::<20>(rest));
    let [max_holdings] = take::<1>(rest);
    let keeper_share = Ppm(u32::from_le_bytes(take(rest)));
    let grace = u32::from_le_bytes(take(rest));
    let terms = GroupTerms { sequencer, max_holdings, keeper_share, grace };
    GroupConfig { chain_id, group, token, governance, terms }
}

/// What stands before a block's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockHead {
    pub(crate) payload_bytes: u32,
    pub(crate) commands: u32,
    pub(crate) first: u64,
    pub(crate) previous: Hash,
}

impl BlockHead {
    fn encode(&self) -> [u8; BLOCK_HEAD_BYTES] {
        let mut bytes = [0; BLOCK_HEAD_BYTES];
        bytes[..4].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.commands.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.first.to_le_bytes());
        bytes[16..].copy_from_slice(&self.previous);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; BLOCK_HEAD_BYTES]) -> Self {
        let mut rest = &bytes[..];
        Self {
            payload_bytes: u32::from_le_bytes(take(&mut rest)),
            commands: u32::from_le_bytes(take(&mut rest)),
            first: u64::from_le_bytes(take(&mut rest)),
            previous: take(&mut rest),
        }
    }

    /// Bytes of the whole block.
    pub(crate) fn block_bytes(&self) -> u64 {
        block_bytes(self.payload_bytes as usize)
    }

    /// Where the chain stood before it.
    pub(crate) fn before(&self) -> Tip {
        Tip { sequence: self.first.saturating_sub(1), hash: self.previous }
    }

    /// Whether a block could begin like this; every command takes at least a byte, and the first of all is number 1.
    pub(crate) fn is_plausible(&self) -> bool {
        let has_commands = self.commands > 0 && self.commands <= self.payload_bytes;
        let has_numbers = self.first > 0 && self.first.checked_add(u64::from(self.commands)).is_some();
        has_commands && has_numbers && self.payload_bytes as usize <= PAYLOAD_BYTES_MAX
    }

    /// Sequence number of its last command.
    pub(crate) fn last(&self) -> u64 {
        self.first.saturating_add(u64::from(self.commands) - 1)
    }
}

/// A block as it grows: room for the head, then commands.
#[derive(Debug)]
pub(crate) struct OpenBlock {
    bytes: Vec<u8>,
    commands: u32,
}

impl OpenBlock {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; BLOCK_HEAD_BYTES], commands: 0 }
    }

    pub(crate) fn push(&mut self, command: &Logged) {
        self.bytes.extend_from_slice(command.bytes());
        self.commands += 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.commands == 0
    }

    pub(crate) fn commands(&self) -> u32 {
        self.commands
    }

    pub(crate) fn payload_bytes(&self) -> usize {
        self.bytes.len() - BLOCK_HEAD_BYTES
    }

    /// Makes it the block behind `tip`; what is to be written, and the tip behind it.
    pub(crate) fn seal(&mut self, tip: Tip) -> (&[u8], Tip) {
        let head = BlockHead {
            payload_bytes: u32::try_from(self.payload_bytes()).expect("PAYLOAD_BYTES_MAX fits"),
            commands: self.commands,
            first: tip.sequence + 1,
            previous: tip.hash,
        };
        self.bytes[..BLOCK_HEAD_BYTES].copy_from_slice(&head.encode());
        let end = usize::try_from(head.block_bytes()).expect("a block fits into memory");
        self.bytes.resize(end - HASH_BYTES, 0);
        let hash = *blake3::hash(&self.bytes).as_bytes();
        self.bytes.extend_from_slice(&hash);
        (&self.bytes, Tip { sequence: head.last(), hash })
    }

    /// Empties it and keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.truncate(BLOCK_HEAD_BYTES);
        self.commands = 0;
    }
}

/// Decodes command `index` of the `count` of an intact block's payload, which `rest` begins with; what follows it, or what is wrong.
#[inline]
pub(crate) fn decode_next<'a, E: Display>(
    rest: &'a [u8],
    index: u32,
    count: u32,
    decode: impl FnOnce(&'a [u8]) -> Result<&'a [u8], E>,
) -> Result<&'a [u8], String> {
    let rest = decode(rest).map_err(|error| format!("command {index} of {count} cannot be decoded ({error})"))?;
    if index + 1 == count && !rest.is_empty() {
        return Err(format!("{} bytes follow the last of {count} commands", rest.len()));
    }
    Ok(rest)
}

/// Adds the commands of an intact block's payload to `commands`, or says what is wrong with them.
pub(crate) fn decode_commands(payload: &[u8], count: u32, commands: &mut Vec<Logged>) -> Result<(), String> {
    let mut rest = payload;
    for index in 0..count {
        rest = decode_next(rest, index, count, |log| {
            Logged::take_from(log).map(|(command, rest)| {
                commands.push(command);
                rest
            })
        })?;
    }
    Ok(())
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (taken, after) = rest.split_first_chunk().expect("callers pass arrays of the right length");
    *rest = after;
    *taken
}
