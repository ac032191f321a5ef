//! What travels over the RPC of orders under one signature.

use alloy_primitives::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xos_types::{
    AccountId, Crossing, Hex, Lots, MarketId, Nonce, Order, OrderKind, Ppm, SelfTrade, Side, Ticks, TimeMs,
};

use crate::error::ApiError;
use crate::wire::{FillInfo, Receipt};

/// Orders of one account under one signature, placed in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TreeRequest {
    /// The account that trades.
    pub account: AccountId,
    /// 1 to 1,024 orders: the leaves of the tree, in their order.
    pub orders: Vec<TreeOrder>,
    /// Orders that leave: the first order takes the place of the first of these, and so on; the others are placed beside what rests.
    #[serde(default)]
    pub replaces: Vec<Nonce>,
    /// What happens when one meets an order of its own account: `cancel_maker`, `cancel_taker`, `cancel_both` or `decrement`.
    #[serde(default)]
    pub self_trade: SelfTrade,
    /// What happens to a post-only order that would trade: `refuse` or `slide`.
    #[serde(default)]
    pub crossing: Crossing,
    /// Over the EIP-712 `OrderTree`: 64 bytes (ERC-2098) or 65 bytes.
    #[schemars(with = "Hex")]
    pub signature: Bytes,
}

/// An order of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TreeOrder {
    /// The book.
    pub market: MarketId,
    /// `buy` or `sell`.
    pub side: Side,
    /// `good_till_cancelled`, `immediate_or_cancel`, `fill_or_kill` or `post_only`.
    pub kind: OrderKind,
    /// Never grows a position.
    #[serde(default)]
    pub reduce_only: bool,
    /// Lots.
    pub size: Lots,
    /// Ticks.
    pub price: Ticks,
    /// Any number not used before by this account.
    pub nonce: Nonce,
    /// Last millisecond at which it may fill; 0 for no end.
    #[serde(default)]
    pub expiry: TimeMs,
    /// Highest total fee, of the filled value.
    pub max_fee: Ppm,
    /// Interface to be paid; 0 for none.
    #[serde(default)]
    pub builder: u32,
    /// What it is paid.
    #[serde(default)]
    pub builder_fee: Ppm,
}

impl TreeOrder {
    /// What is signed, as a leaf of the tree.
    #[must_use]
    pub fn of(self, account: AccountId) -> Order {
        let Self { market, side, kind, reduce_only, size, price, nonce, expiry, max_fee, builder, builder_fee } = self;
        Order { account, market, side, kind, reduce_only, size, price, nonce, expiry, max_fee, builder, builder_fee }
    }
}

impl From<&Order> for TreeOrder {
    fn from(order: &Order) -> Self {
        let Order {
            market, side, kind, reduce_only, size, price, nonce, expiry, max_fee, builder, builder_fee, ..
        } = *order;
        Self { market, side, kind, reduce_only, size, price, nonce, expiry, max_fee, builder, builder_fee }
    }
}

/// A tree stands in the log and is durable; its orders came to something each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TreeAck {
    /// Proof of it, for all of them.
    pub receipt: Receipt,
    /// In their order.
    pub orders: Vec<TreeOutcome>,
}

/// What became of one order of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TreeOutcome {
    /// It took effect.
    Ok(Placed),
    /// It did not.
    Error(ApiError),
}

/// An order that was placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Placed {
    /// Lots filled at once.
    pub filled: Lots,
    /// Lots that rest in the book or wait.
    pub remaining: Lots,
    /// The fills.
    pub fills: Vec<FillInfo>,
}
