//! A sealed frame: what one batch settles. The chain crate turns it into the contract's `Batch`.

use serde::{Deserialize, Serialize};

use crate::command::{InboxItem, PriceUpdate};
use crate::order::{Order, Signed, Transfer, Withdraw};
use crate::rescue::Rescue;
use crate::tree::{SignedTree, TreeId};
use crate::units::{AccountId, Atoms, FeedId, Hash, Lots, MarketId, TimeMs};

/// Everything that happened between two seals, netted, in the order of the batch's steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Follows the last sealed frame that held anything; the first is 1.
    pub id: u64,
    /// When it opened.
    pub time: TimeMs,
    /// Sequence number of its last command.
    pub sequence: u64,
    /// Rolling hash of the log at `sequence`.
    pub log_hash: Hash,
    /// Inbox items that it consumed first.
    pub inbox: Vec<InboxItem>,
    /// Index prices that it took, by feed.
    pub prices: Vec<PriceUpdate>,
    /// Funding indices that it moved, by feed.
    pub funding: Vec<FundingUpdate>,
    /// Positions that it paid out, before any fill.
    pub redemptions: Vec<Redemption>,
    /// What happened to accounts that fail, before any fill.
    pub rescues: Vec<Rescue>,
    /// The trees that its lines refer to, by number.
    pub trees: Vec<(TreeId, SignedTree)>,
    /// Fills netted per order, by market in ascending order; within a market in order of the order's first fill.
    pub markets: Vec<(MarketId, Vec<FillLine>)>,
    /// Signed withdrawals, in order.
    pub withdrawals: Vec<Signed<Withdraw>>,
    /// Signed transfers, in order; they follow every withdrawal.
    pub transfers: Vec<Signed<Transfer>>,
}

/// A perpetual's cumulative funding: what a long lot has paid since the market began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FundingUpdate {
    /// Which perpetual, by its feed.
    pub feed: FeedId,
    /// Atoms times 1e9.
    #[serde(with = "crate::Number")]
    pub index: i128,
}

/// One order's netted execution in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillLine {
    /// The order and its signature, or in its place the number of the tree that it is of.
    pub order: Signed<Order>,
    /// Lots filled in this frame.
    pub filled: Lots,
    /// Sum of size·price over those fills, in tick·lots.
    pub notional: u128,
    /// Fee charged for those fills; negative for a rebate.
    pub fee: Atoms,
}

/// Positions of an account in a resolved event or a delisted perpetual, paid and cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redemption {
    /// Whose positions.
    pub account: AccountId,
    /// The perpetual, or the first market of the event.
    pub market: MarketId,
}
