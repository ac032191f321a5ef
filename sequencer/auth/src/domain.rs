//! The EIP-712 domain of one group.

use alloy_primitives::{Address, B256, keccak256};
use xos_types::GroupConfig;

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
        Self { chain_id, group, separator: encoder.finish() }
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
        let mut encoder = Encoder::new(T::type_hash());
        message.encode(&mut encoder);
        encoder.finish()
    }

    /// What is signed: `keccak256(0x1901 ‖ separator ‖ hashStruct(message))`.
    #[must_use]
    pub fn digest<T: Typed>(&self, message: &T) -> B256 {
        let mut preimage = [0_u8; 66];
        preimage[0] = 0x19;
        preimage[1] = 0x01;
        preimage[2..34].copy_from_slice(self.separator.as_slice());
        preimage[34..].copy_from_slice(self.struct_hash(message).as_slice());
        keccak256(preimage)
    }
}

impl From<&GroupConfig> for Domain {
    fn from(config: &GroupConfig) -> Self {
        Self::new(config.chain_id, config.group)
    }
}
