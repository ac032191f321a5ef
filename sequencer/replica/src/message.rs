//! The bytes of messages and beats; the table is in the crate's documentation.

use bytes::{BufMut, Bytes, BytesMut};
use xos_journal::{SealedBlock, Tip};

const BLOCK: u8 = 1;
const EPOCH: u8 = 2;
/// Bytes before the body.
const HEAD_BYTES: usize = 1 + 8;
const SUM_BYTES: usize = 16;
const EPOCH_BYTES: usize = HEAD_BYTES + SUM_BYTES + 16 + 8 + 32;

/// A node's name for as long as it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId(pub [u8; 16]);

impl NodeId {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }
}

/// A node takes the lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochRecord {
    /// The epoch that begins.
    pub epoch: u64,
    /// Who leads.
    pub leader: NodeId,
    /// Where the chain of blocks stands.
    pub tip: Tip,
}

/// What stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A block of the leader's journal.
    Block {
        /// Of the leader that appended it.
        epoch: u64,
        /// The block.
        block: SealedBlock,
    },
    /// A node takes the lead.
    Epoch(EpochRecord),
}

impl Message {
    /// Its bytes in the log.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        match self {
            Self::Block { epoch, block } => {
                bytes.reserve(HEAD_BYTES + SUM_BYTES + block.bytes().len());
                bytes.put_u8(BLOCK);
                bytes.put_u64_le(*epoch);
                let sum = sum(&bytes, &block.tip().hash);
                bytes.put_slice(&sum);
                bytes.put_slice(block.bytes());
            }
            Self::Epoch(EpochRecord { epoch, leader, tip }) => {
                bytes.put_u8(EPOCH);
                bytes.put_u64_le(*epoch);
                let mut body = BytesMut::new();
                body.put_slice(&leader.0);
                body.put_u64_le(tip.sequence);
                body.put_slice(&tip.hash);
                let sum = sum(&bytes, &body);
                bytes.put_slice(&sum);
                bytes.put_slice(&body);
            }
        }
        bytes.freeze()
    }

    /// Reads and checks one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(bytes: Bytes) -> Result<Self, String> {
        if bytes.len() < HEAD_BYTES + SUM_BYTES {
            return Err("is too short".to_owned());
        }
        let (kind, epoch) = (bytes[0], u64::from_le_bytes(field(&bytes, 1)));
        let (head, written) = (&bytes[..HEAD_BYTES], field::<SUM_BYTES>(&bytes, HEAD_BYTES));
        let body = bytes.slice(HEAD_BYTES + SUM_BYTES..);
        let damaged = || "is damaged".to_owned();
        match kind {
            BLOCK => {
                let block = SealedBlock::parse(body).map_err(|what| format!("holds no block: {what}"))?;
                if sum(head, &block.tip().hash) != written {
                    return Err(damaged());
                }
                Ok(Self::Block { epoch, block })
            }
            EPOCH if bytes.len() == EPOCH_BYTES => {
                if sum(head, &body) != written {
                    return Err(damaged());
                }
                let tip = Tip { sequence: u64::from_le_bytes(field(&body, 16)), hash: field(&body, 24) };
                Ok(Self::Epoch(EpochRecord { epoch, leader: NodeId(field(&body, 0)), tip }))
            }
            _ => Err(format!("is of no kind that is known here ({kind})")),
        }
    }

    /// Whose time it was appended in.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        match self {
            Self::Block { epoch, .. } => *epoch,
            Self::Epoch(record) => record.epoch,
        }
    }

    /// Where the chain of blocks stands behind it.
    #[must_use]
    pub fn tip(&self) -> Tip {
        match self {
            Self::Block { block, .. } => block.tip(),
            Self::Epoch(record) => record.tip,
        }
    }
}

fn sum(head: &[u8], rest: &[u8]) -> [u8; SUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(head).update(rest);
    field(hasher.finalize().as_bytes(), 0)
}

/// Bytes at an offset that is known to be within.
fn field<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    *bytes[offset..].first_chunk().expect("the length was checked")
}

/// What a leader says several times a lease: that it is there, where clients find it, and which frame it sealed last, by whose hash a
/// standby sees that its own engine did the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Its epoch.
    pub epoch: u64,
    /// Who says it.
    pub leader: NodeId,
    /// Last durable frame's number; 0 if there is none.
    pub frame: u64,
    /// Hash over every command and event up to that frame.
    pub log_hash: [u8; 32],
    /// Where it takes requests.
    pub address: String,
}

impl Beat {
    const ADDRESS: usize = 8 + 16 + 8 + 32;
    const ADDRESS_MAX: usize = 256;

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u64_le(self.epoch);
        bytes.put_slice(&self.leader.0);
        bytes.put_u64_le(self.frame);
        bytes.put_slice(&self.log_hash);
        bytes.put_slice(self.address.as_bytes());
        bytes.freeze()
    }

    /// Reads one; `None` if it is none.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < Self::ADDRESS || bytes.len() > Self::ADDRESS + Self::ADDRESS_MAX {
            return None;
        }
        Some(Self {
            epoch: u64::from_le_bytes(field(bytes, 0)),
            leader: NodeId(field(bytes, 8)),
            frame: u64::from_le_bytes(field(bytes, 24)),
            log_hash: field(bytes, 32),
            address: std::str::from_utf8(&bytes[Self::ADDRESS..]).ok()?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_beats_come_back_and_any_flipped_bit_is_noticed() {
        let record = EpochRecord { epoch: 7, leader: NodeId([3; 16]), tip: Tip { sequence: 9, hash: [5; 32] } };
        let bytes = Message::Epoch(record).encode();
        assert_eq!(Message::decode(bytes.clone()), Ok(Message::Epoch(record)));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            Message::decode(damaged.into()).unwrap_err();
        }
        let beat = Beat { epoch: 7, leader: NodeId([3; 16]), frame: 4, log_hash: [8; 32], address: "http://a".into() };
        assert_eq!(Beat::decode(&beat.encode()), Some(beat));
        assert_eq!(Beat::decode(b"something else"), None);
    }
}
