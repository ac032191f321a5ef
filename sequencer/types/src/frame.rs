//! A sealed frame: what one batch settles. The chain crate turns it into the contract's `Batch`.

use serde::{Deserialize, Serialize};

use crate::command::InboxItem;
use crate::order::{Order, Signed, Withdraw};
use crate::units::{AccountId, Atoms, Hash, Lots, MarketId, TimeMs};

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
    /// Positions that it paid out, before any fill.
    pub redemptions: Vec<Redemption>,
    /// Fills netted per order, by market in ascending order; within a market in order of the order's first fill.
    pub markets: Vec<(MarketId, Vec<FillLine>)>,
    /// Signed withdrawals, in order.
    pub withdrawals: Vec<Signed<Withdraw>>,
}

/// One order's netted execution in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillLine {
    /// The order and its signature.
    pub order: Signed<Order>,
    /// Lots filled in this frame.
    pub filled: Lots,
    /// Sum of size·price over those fills, in tick·lots.
    pub notional: u128,
    /// Fee charged for those fills; negative for a rebate.
    pub fee: Atoms,
}

/// Positions of an account in a resolved event, paid and cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redemption {
    /// Whose positions.
    pub account: AccountId,
    /// The first market of the event.
    pub market: MarketId,
}
