//! What a trader signs. Field for field the structs of `contracts/group/Types.sol`.

use alloy_primitives::Address;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{AccountId, FeedId, Hash, Lots, MarketId, Nonce, Ppm, Ticks, TimeMs, VenueId};

/// Which side of the book; the discriminants are the wire's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Side {
    /// Gains the outcome, pays cash.
    Buy = 0,
    /// Gives the outcome, gains cash.
    Sell = 1,
}

impl Side {
    /// The side that trades against this one.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}

/// What becomes of the part of an order that does not fill at once; the discriminants are the wire's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum OrderKind {
    /// It rests until filled, cancelled or expired.
    GoodTillCancelled = 0,
    /// It is cancelled.
    ImmediateOrCancel = 1,
    /// Nothing fills unless everything does.
    FillOrKill = 2,
    /// The order is refused if any of it would fill at once.
    PostOnly = 3,
}

impl core::fmt::Display for OrderKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::GoodTillCancelled => "good-till-cancelled",
            Self::ImmediateOrCancel => "immediate-or-cancel",
            Self::FillOrKill => "fill-or-kill",
            Self::PostOnly => "post-only",
        })
    }
}

/// A limit order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// The account that trades.
    pub account: AccountId,
    /// The book.
    pub market: MarketId,
    /// Buy or sell.
    pub side: Side,
    /// What becomes of the rest.
    pub kind: OrderKind,
    /// Never grows a position.
    pub reduce_only: bool,
    /// Lots.
    pub size: Lots,
    /// Worst acceptable price.
    pub price: Ticks,
    /// With the account, the order's name for ever.
    pub nonce: Nonce,
    /// Last millisecond at which it may fill; 0 for no end.
    pub expiry: TimeMs,
    /// Highest total fee, of the filled value.
    pub max_fee: Ppm,
    /// Interface to be paid; 0 for none.
    pub builder: u32,
    /// What it is paid, of the filled value.
    pub builder_fee: Ppm,
}

/// Cancels one order. Harmless to repeat: a nonce names one order for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// Whose order.
    pub account: AccountId,
    /// Which order.
    pub nonce: Nonce,
}

/// Makes a resting order smaller; it keeps its place in the queue. Harmless to repeat: an order never grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amend {
    /// Whose order.
    pub account: AccountId,
    /// Which order.
    pub nonce: Nonce,
    /// Its size from now on, counting what has filled: nothing is left of it if so much has.
    pub size: Lots,
}

/// Cancels every order of a venue, a market or a side of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelMany {
    /// Whose orders.
    pub account: AccountId,
    /// On which venue; 0 for any.
    pub venue: VenueId,
    /// In which market; 0 for any.
    pub market: MarketId,
    /// On which side.
    pub sides: Sides,
    /// From the same numbers as orders; never reused, so that nobody can repeat it.
    pub nonce: Nonce,
}

/// One side of the books or both; the discriminants are the wire's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Sides {
    /// Bids.
    Buy = 0,
    /// Asks.
    Sell = 1,
    /// Both.
    Both = 2,
}

impl Sides {
    /// Whether a side is among them.
    #[must_use]
    pub fn contains(self, side: Side) -> bool {
        self == Self::Both || self as u8 == side as u8
    }
}

/// Sets the account's dead-man switch: unless it is set anew before, all orders are cancelled when that time comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelAfter {
    /// Whose orders.
    pub account: AccountId,
    /// The first frame at this time or later cancels them; 0 takes the switch back.
    pub time: TimeMs,
    /// From the same numbers as orders; never reused, so that nobody can repeat an older one.
    pub nonce: Nonce,
}

/// Raises the account's nonce floor: cancels every order below `below` and refuses such nonces from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelAll {
    /// Whose orders.
    pub account: AccountId,
    /// The new floor.
    pub below: Nonce,
}

/// Pays atoms of a token to the account's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdraw {
    /// Whose money.
    pub account: AccountId,
    /// Which token.
    pub token: Address,
    /// How many of its atoms.
    pub amount: u128,
    /// From the same numbers as orders; never reused.
    pub nonce: Nonce,
    /// Last millisecond at which it may settle; 0 for no end.
    pub expiry: TimeMs,
}

/// Moves atoms of a token to another account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Whose money.
    pub account: AccountId,
    /// The zero address for an account of the same group, else the gateway of another group.
    pub gateway: Address,
    /// Account that receives it; 0 opens one in another group.
    pub to: AccountId,
    /// Which token.
    pub token: Address,
    /// How many of its atoms.
    pub amount: u128,
    /// From the same numbers as orders; never reused.
    pub nonce: Nonce,
    /// Last millisecond at which it may settle; 0 for no end.
    pub expiry: TimeMs,
}

/// A keeper takes a failing account's perpetual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Liquidate {
    /// Who takes.
    pub keeper: AccountId,
    /// Who fails.
    pub account: AccountId,
    /// Which perpetual.
    pub market: MarketId,
    /// At most so much of it.
    pub size: Lots,
    /// Worst index price for the keeper, per lot, times 1e9.
    #[serde(with = "crate::Number")]
    pub limit: u128,
    /// From the same numbers as the keeper's orders; never reused.
    pub nonce: Nonce,
    /// Last millisecond at which it may happen; 0 for no end.
    pub expiry: TimeMs,
}

/// A keeper buys an asset of an account that owes cash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Convert {
    /// Who buys.
    pub keeper: AccountId,
    /// Who owes.
    pub account: AccountId,
    /// The asset's feed.
    pub asset: FeedId,
    /// At most so many of its atoms.
    #[serde(with = "crate::Number")]
    pub amount: u128,
    /// Highest index price for the keeper, per lot, times 1e9.
    #[serde(with = "crate::Number")]
    pub limit: u128,
    /// From the same numbers as the keeper's orders; never reused.
    pub nonce: Nonce,
    /// Last millisecond at which it may happen; 0 for no end.
    pub expiry: TimeMs,
}

/// One signature for many orders: the root of the Merkle tree of their struct hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderTree {
    /// Pairs are hashed in ascending order.
    pub root: Hash,
}

/// A signature in the compact form of ERC-2098: the highest bit of `vs` is the parity of `y`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The x coordinate of R.
    #[serde(with = "crate::bytes")]
    pub r: [u8; 32],
    /// `s`, with the parity in its highest bit.
    #[serde(with = "crate::bytes")]
    pub vs: [u8; 32],
}

/// A message, its signature, and the signer that the gateway recovered from it. The engine compares `signer` with who
/// may act for the account at that point of the log; it never recovers signatures itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed<T> {
    /// What was signed.
    pub message: T,
    /// The signature.
    pub signature: Signature,
    /// Who signed, as recovered.
    pub signer: Address,
}
