//! The EIP-712 domain of one group.

use alloy_primitives::{Address, B256, keccak256};
use xos_types::{GroupConfig, Hash};

use crate::keccak::{LANES, hash_together};
use crate::typed::{Encoder, Typed};

const TYPE: &str = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
const NAME: &str = "Exchange OS";
const VERSION: &str = "1";

/// What a signature is good for: one chain, one group contract. Keeps the separator, so a digest costs two hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain {
    chain_id: u64,
    group: Address,
    separator: B256,
}

impl Domain {
    /// The domain of the group contract `group` on chain `chain_id`.
    #[must_use]
    pub fn new(chain_id: u64, group: Address) -> Self {
        let mut encoder = Encoder::new(keccak256(TYPE));
        encoder.hash(keccak256(NAME).into()).hash(keccak256(VERSION).into()).u64(chain_id).address(group);
        Self { chain_id, group, separator: keccak256(encoder.bytes()) }
    }

    /// The chain that the domain binds to.
    #[must_use]
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The group contract that the domain binds to.
    #[must_use]
    pub const fn group(&self) -> Address {
        self.group
    }

    /// `domainSeparator()` of the contract.
    #[must_use]
    pub const fn separator(&self) -> B256 {
        self.separator
    }

    /// `hashStruct(message)`: the message without the domain.
    #[must_use]
    pub fn struct_hash<T: Typed>(&self, message: &T) -> B256 {
        keccak256(encoded(message).bytes())
    }

    /// What is signed: `keccak256(0x1901 ‖ separator ‖ hashStruct(message))`.
    #[must_use]
    pub fn digest<T: Typed>(&self, message: &T) -> B256 {
        keccak256(self.preimage(self.struct_hash(message).0))
    }

    /// Appends [`Self::struct_hash`] of each message. Eight are hashed in the time of one where the processor can.
    pub fn struct_hashes<T: Typed>(&self, messages: &[T], hashes: &mut Vec<Hash>) {
        let (eights, rest) = messages.as_chunks::<LANES>();
        for eight in eights {
            let encoded = eight.each_ref().map(encoded);
            hashes.extend(hash_together(encoded.each_ref().map(Encoder::bytes)));
        }
        hashes.extend(rest.iter().map(|message| self.struct_hash(message).0));
    }

    /// Appends [`Self::digest`] of each message, with the same saving.
    pub fn digests<T: Typed>(&self, messages: &[T], digests: &mut Vec<Hash>) {
        let first = digests.len();
        self.struct_hashes(messages, digests);
        let (eights, rest) = digests[first..].as_chunks_mut::<LANES>();
        for eight in eights {
            let preimages = eight.map(|hash| self.preimage(hash));
            *eight = hash_together(preimages.each_ref().map(|preimage| &preimage[..]));
        }
        for hash in rest {
            *hash = keccak256(self.preimage(*hash)).0;
        }
    }

    fn preimage(&self, struct_hash: Hash) -> [u8; 66] {
        let mut preimage = [0_u8; 66];
        preimage[0] = 0x19;
        preimage[1] = 0x01;
        preimage[2..34].copy_from_slice(self.separator.as_slice());
        preimage[34..].copy_from_slice(&struct_hash);
        preimage
    }
}

fn encoded<T: Typed>(message: &T) -> Encoder {
    let mut encoder = Encoder::new(T::type_hash());
    message.encode(&mut encoder);
    encoder
}

impl From<&GroupConfig> for Domain {
    fn from(config: &GroupConfig) -> Self {
        Self::new(config.chain_id, config.group)
    }
}
