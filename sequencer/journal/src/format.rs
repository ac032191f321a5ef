//! The bytes of headers and blocks; the table is in the crate's documentation.

use xos_types::{Address, GroupConfig, GroupTerms, Hash, Logged, Ppm};

const MAGIC: [u8; 8] = *b"XOSJRNL\0";
pub(crate) const VERSION: u32 = 4;

/// Bytes of the file's header.
pub(crate) const HEADER_BYTES: usize = 8 + 4 + 8 + 3 * 20 + TERMS_BYTES + HASH_BYTES;
/// Bytes of a group's terms.
const TERMS_BYTES: usize = 20 + 1 + 4 + 4;
/// Bytes of a block before its payload.
pub(crate) const BLOCK_HEAD_BYTES: usize = 4 + 4 + 8 + HASH_BYTES;
pub(crate) const HASH_BYTES: usize = 32;

/// Most bytes of encoded commands in one block.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 20;

/// Most bytes of one block, and so of one write.
pub(crate) const BLOCK_BYTES_MAX: u64 = (BLOCK_HEAD_BYTES + PAYLOAD_BYTES_MAX + HASH_BYTES) as u64;

/// The header of a group's journal.
pub(crate) fn encode_header(config: &GroupConfig) -> [u8; HEADER_BYTES] {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&config.chain_id.to_le_bytes());
    bytes.extend_from_slice(config.group.as_slice());
    bytes.extend_from_slice(config.token.as_slice());
    bytes.extend_from_slice(config.governance.as_slice());
    let GroupTerms { sequencer, max_holdings, keeper_share, grace } = config.terms;
    bytes.extend_from_slice(sequencer.as_slice());
    bytes.push(max_holdings);
    bytes.extend_from_slice(&keeper_share.0.to_le_bytes());
    bytes.extend_from_slice(&grace.to_le_bytes());
    bytes.extend_from_slice(blake3::hash(&bytes).as_bytes());
    bytes.try_into().expect("the fields add up to HEADER_BYTES")
}

/// The group that a header names and the header's hash, or what is wrong with it.
pub(crate) fn decode_header(bytes: &[u8; HEADER_BYTES]) -> Result<(GroupConfig, Hash), String> {
    let mut rest = &bytes[..];
    if take::<8>(&mut rest) != MAGIC {
        return Err("it does not begin with the journal's magic number".to_owned());
    }
    let version = u32::from_le_bytes(take(&mut rest));
    if version != VERSION {
        return Err(format!("its format version is {version}"));
    }
    let chain_id = u64::from_le_bytes(take(&mut rest));
    let group = Address::from(take::<20>(&mut rest));
    let token = Address::from(take::<20>(&mut rest));
    let governance = Address::from(take::<20>(&mut rest));
    let sequencer = Address::from(take::<20>(&mut rest));
    let [max_holdings] = take::<1>(&mut rest);
    let keeper_share = Ppm(u32::from_le_bytes(take(&mut rest)));
    let grace = u32::from_le_bytes(take(&mut rest));
    let hash: Hash = take(&mut rest);
    if *blake3::hash(&bytes[..HEADER_BYTES - HASH_BYTES]).as_bytes() != hash {
        return Err("its header's hash does not match".to_owned());
    }
    let terms = GroupTerms { sequencer, max_holdings, keeper_share, grace };
    Ok((GroupConfig { chain_id, group, token, governance, terms }, hash))
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
        BLOCK_HEAD_BYTES as u64 + u64::from(self.payload_bytes) + HASH_BYTES as u64
    }

    /// Whether a block could begin like this; every command takes at least a byte.
    pub(crate) fn is_plausible(&self) -> bool {
        self.commands > 0 && self.commands <= self.payload_bytes && self.payload_bytes as usize <= PAYLOAD_BYTES_MAX
    }
}

/// Puts commands together as a block in `block` and returns its hash, or the payload's size if that is too large.
pub(crate) fn encode_block(
    block: &mut Vec<u8>,
    commands: &[Logged],
    first: u64,
    previous: Hash,
) -> Result<Hash, usize> {
    block.clear();
    block.resize(BLOCK_HEAD_BYTES, 0);
    for command in commands {
        block.extend_from_slice(command.bytes());
    }
    let payload = block.len() - BLOCK_HEAD_BYTES;
    if payload > PAYLOAD_BYTES_MAX {
        return Err(payload);
    }
    let head = BlockHead {
        payload_bytes: u32::try_from(payload).expect("PAYLOAD_BYTES_MAX fits"),
        commands: u32::try_from(commands.len()).expect("every command takes at least a byte of the payload"),
        first,
        previous,
    };
    block[..BLOCK_HEAD_BYTES].copy_from_slice(&head.encode());
    let hash = *blake3::hash(block).as_bytes();
    block.extend_from_slice(&hash);
    Ok(hash)
}

/// The commands of an intact block's payload, or what is wrong with them.
pub(crate) fn decode_commands(payload: &[u8], count: u32) -> Result<Vec<Logged>, String> {
    let mut commands = Vec::with_capacity(count as usize);
    let mut rest = payload;
    for index in 0..count {
        let (command, after) = Logged::take_from(rest)
            .map_err(|error| format!("command {index} of {count} cannot be decoded ({error})"))?;
        commands.push(command);
        rest = after;
    }
    if !rest.is_empty() {
        return Err(format!("{} bytes follow the last of {count} commands", rest.len()));
    }
    Ok(commands)
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (taken, after) = rest.split_first_chunk().expect("callers pass arrays of the right length");
    *rest = after;
    *taken
}
