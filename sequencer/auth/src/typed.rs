//! The messages that are signed, and how each is encoded. Field order is the contract's.

use std::sync::LazyLock;

use alloy_primitives::{Address, B256, keccak256};
use xos_types::{
    Amend, Cancel, CancelAfter, CancelAll, CancelMany, Convert, Hash, Liquidate, Order, OrderTree, Session, Transfer,
    Withdraw,
};

/// A message with an EIP-712 type. All members are atomic, so `encodeData` is one word each.
pub trait Typed {
    /// `encodeType`, as in the contract.
    const TYPE: &'static str;

    /// `keccak256(TYPE)`, computed once.
    fn type_hash() -> B256;

    /// Feeds the members to the encoder in the order of [`Self::TYPE`].
    fn encode(&self, encoder: &mut Encoder);
}

/// Words of the longest message, its type hash included: an order's.
pub(crate) const WORDS: usize = 13;

/// Writes `typeHash ‖ encodeData` word by word. What it writes is hashed at once: feeding a hasher word by word costs more.
pub struct Encoder {
    words: [[u8; 32]; WORDS],
    used: usize,
}

impl Encoder {
    pub(crate) fn new(type_hash: B256) -> Self {
        let mut encoder = Self { words: [[0; 32]; WORDS], used: 0 };
        encoder.hash(type_hash.0);
        encoder
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.words[..self.used].as_flattened()
    }

    /// `bytes32`.
    ///
    /// # Panics
    /// If the message has more members than the longest one.
    pub fn hash(&mut self, value: Hash) -> &mut Self {
        self.words[self.used] = value;
        self.used += 1;
        self
    }

    /// `uint128`.
    pub fn u128(&mut self, value: u128) -> &mut Self {
        let mut word = [0_u8; 32];
        word[16..].copy_from_slice(&value.to_be_bytes());
        self.hash(word)
    }

    /// `uint64`.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.u128(value.into())
    }

    /// `uint32`, and `uint8` and `bool`, whose words are those of the same number.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.u128(value.into())
    }

    /// `address`.
    pub fn address(&mut self, value: Address) -> &mut Self {
        self.hash(value.into_word().0)
    }
}

/// The end of the log that a receipt promises: the log up to `sequence` hashes to `log_hash`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// Sequence number of the last command.
    pub sequence: u64,
    /// Rolling hash there.
    pub log_hash: Hash,
}

/// What the sequencer signs for a batch; the struct hash of this message is the batch's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The batch's number.
    pub id: u64,
    /// Hash of the batch before; zero for the first.
    pub parent: Hash,
    /// keccak of the batch's ABI encoding in the calldata.
    pub content: Hash,
}

macro_rules! typed {
    ($message:ty, $type:literal, |$value:ident, $encoder:ident| $encode:expr) => {
        impl Typed for $message {
            const TYPE: &'static str = $type;

            fn type_hash() -> B256 {
                static HASH: LazyLock<B256> = LazyLock::new(|| keccak256($type));
                *HASH
            }

            fn encode(&self, $encoder: &mut Encoder) {
                let $value = self;
                $encode;
            }
        }
    };
}

typed!(
    Order,
    "Order(uint64 account,uint32 market,uint8 side,uint8 kind,bool reduceOnly,uint64 size,uint64 price,uint64 nonce,\
     uint64 expiry,uint32 maxFee,uint32 builder,uint32 builderFee)",
    |order, encoder| encoder
        .u64(order.account.0)
        .u32(order.market.0)
        .u32(order.side as u32)
        .u32(order.kind as u32)
        .u32(order.reduce_only.into())
        .u64(order.size.0)
        .u64(order.price.0)
        .u64(order.nonce.0)
        .u64(order.expiry.0)
        .u32(order.max_fee.0)
        .u32(order.builder)
        .u32(order.builder_fee.0)
);

typed!(Cancel, "Cancel(uint64 account,uint64 nonce)", |cancel, encoder| encoder
    .u64(cancel.account.0)
    .u64(cancel.nonce.0));

typed!(CancelAll, "CancelAll(uint64 account,uint64 below)", |cancel, encoder| encoder
    .u64(cancel.account.0)
    .u64(cancel.below.0));

typed!(Amend, "Amend(uint64 account,uint64 nonce,uint64 size)", |amend, encoder| encoder
    .u64(amend.account.0)
    .u64(amend.nonce.0)
    .u64(amend.size.0));

typed!(
    CancelMany,
    "CancelMany(uint64 account,uint32 venue,uint32 market,uint8 sides,uint64 nonce)",
    |cancel, encoder| encoder
        .u64(cancel.account.0)
        .u32(cancel.venue.0)
        .u32(cancel.market.0)
        .u32(cancel.sides as u32)
        .u64(cancel.nonce.0)
);

typed!(CancelAfter, "CancelAfter(uint64 account,uint64 time,uint64 nonce)", |switch, encoder| encoder
    .u64(switch.account.0)
    .u64(switch.time.0)
    .u64(switch.nonce.0));

typed!(Session, "Session(uint64 account,uint8 scope,uint64 expiry,bytes32 challenge)", |session, encoder| encoder
    .u64(session.account.0)
    .u32(session.scope as u32)
    .u64(session.expiry.0)
    .hash(session.challenge));

typed!(
    Withdraw,
    "Withdraw(uint64 account,address token,uint128 amount,uint64 nonce,uint64 expiry)",
    |withdraw, encoder| encoder
        .u64(withdraw.account.0)
        .address(withdraw.token)
        .u128(withdraw.amount)
        .u64(withdraw.nonce.0)
        .u64(withdraw.expiry.0)
);

typed!(
    Transfer,
    "Transfer(uint64 account,address gateway,uint64 to,address token,uint128 amount,uint64 nonce,uint64 expiry)",
    |transfer, encoder| encoder
        .u64(transfer.account.0)
        .address(transfer.gateway)
        .u64(transfer.to.0)
        .address(transfer.token)
        .u128(transfer.amount)
        .u64(transfer.nonce.0)
        .u64(transfer.expiry.0)
);

typed!(
    Liquidate,
    "Liquidate(uint64 keeper,uint64 account,uint32 market,uint64 size,uint128 limit,uint64 nonce,uint64 expiry)",
    |request, encoder| encoder
        .u64(request.keeper.0)
        .u64(request.account.0)
        .u32(request.market.0)
        .u64(request.size.0)
        .u128(request.limit)
        .u64(request.nonce.0)
        .u64(request.expiry.0)
);

typed!(
    Convert,
    "Convert(uint64 keeper,uint64 account,uint8 asset,uint128 amount,uint128 limit,uint64 nonce,uint64 expiry)",
    |request, encoder| encoder
        .u64(request.keeper.0)
        .u64(request.account.0)
        .u32(request.asset.0.into())
        .u128(request.amount)
        .u128(request.limit)
        .u64(request.nonce.0)
        .u64(request.expiry.0)
);

typed!(OrderTree, "OrderTree(bytes32 root)", |tree, encoder| encoder.hash(tree.root));

typed!(LogHead, "LogHead(uint64 sequence,bytes32 logHash)", |head, encoder| encoder
    .u64(head.sequence)
    .hash(head.log_hash));

typed!(Batch, "Batch(uint64 id,bytes32 parent,bytes32 content)", |batch, encoder| encoder
    .u64(batch.id)
    .hash(batch.parent)
    .hash(batch.content));
