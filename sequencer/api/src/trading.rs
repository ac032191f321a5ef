//! What travels over the RPC of orders beyond the plain one: planned, replaced, made smaller, cancelled many at a time.

use alloy_primitives::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xos_types::{
    AccountId, Crossing, Hex, Lots, MarketId, Nonce, Order, OrderKind, Pace, Plan, SelfTrade, Side, Sides, Ticks,
    TimeMs, Trigger, VenueId,
};

use crate::session::is_unsigned;
use crate::wire::OrderRequest;

/// A signed order that goes to the book later, in parts, or with instructions. Only the order is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanRequest {
    /// The order.
    pub order: OrderRequest,
    /// When it goes to the book, and in which parts; at once and whole if it says nothing.
    #[serde(default)]
    pub plan: Plan,
    /// What happens when it meets an order of its own account: `cancel_maker`, `cancel_taker`, `cancel_both` or `decrement`.
    #[serde(default)]
    pub self_trade: SelfTrade,
    /// What happens to a post-only order that would trade: `refuse` or `slide`.
    #[serde(default)]
    pub crossing: Crossing,
}

/// A signed order that takes another one's place, where that one rests or waits. Both happen or neither.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplaceRequest {
    /// The order that leaves, of the same account.
    pub replaces: Nonce,
    /// The order that arrives.
    pub order: OrderRequest,
    /// What it waits for from now on, if the one that leaves waits; without it, for the same.
    #[serde(default)]
    pub wait: Option<Wait>,
    /// As in [`PlanRequest`].
    #[serde(default)]
    pub self_trade: SelfTrade,
    /// As in [`PlanRequest`].
    #[serde(default)]
    pub crossing: Crossing,
}

/// How a waiting order waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Wait {
    /// The price that it waits for, if any.
    pub trigger: Option<Trigger>,
    /// In which parts it then goes.
    pub pace: Pace,
}

/// A signed wish for a smaller order, which keeps its place in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AmendRequest {
    /// Whose order.
    pub account: AccountId,
    /// Which order.
    pub nonce: Nonce,
    /// Lots that it is to have, counting those that have filled.
    pub size: Lots,
    /// Over the EIP-712 `Amend`.
    #[schemars(with = "Hex")]
    pub signature: Bytes,
}

/// A signed cancellation of every order of a venue, a market or a side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CancelManyRequest {
    /// Whose orders.
    pub account: AccountId,
    /// On which venue; 0 for any.
    #[serde(default)]
    pub venue: VenueId,
    /// In which market; 0 for any.
    #[serde(default)]
    pub market: MarketId,
    /// `buy`, `sell` or `both`.
    pub sides: Sides,
    /// Any number not used before by this account; nothing without a signature.
    #[serde(default)]
    pub nonce: Nonce,
    /// Over the EIP-712 `CancelMany`; nothing if a session of the connection stands in for it.
    #[serde(default, skip_serializing_if = "is_unsigned")]
    #[schemars(with = "Hex")]
    pub signature: Bytes,
}

/// A signed dead-man switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CancelAfterRequest {
    /// Whose orders.
    pub account: AccountId,
    /// The first frame at this time or later cancels them all; 0 takes the switch back.
    pub time: TimeMs,
    /// Any number not used before by this account; nothing without a signature.
    #[serde(default)]
    pub nonce: Nonce,
    /// Over the EIP-712 `CancelAfter`; nothing if a session of the connection stands in for it.
    #[serde(default, skip_serializing_if = "is_unsigned")]
    #[schemars(with = "Hex")]
    pub signature: Bytes,
}

/// An order of which something waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedOrder {
    /// Its name within the account.
    pub nonce: Nonce,
    /// Where.
    pub market: MarketId,
    /// On which side.
    pub side: Side,
    /// What becomes of what does not fill.
    pub kind: OrderKind,
    /// Never grows a position.
    pub reduce_only: bool,
    /// Ticks.
    pub price: Ticks,
    /// Lots when signed.
    pub size: Lots,
    /// When it goes to the book, and in which parts.
    pub plan: Plan,
    /// Lots that wait.
    pub remaining: Lots,
    /// Lots that its slices filled.
    pub filled: Lots,
    /// The order with which it excludes each other, if any.
    pub excludes: Option<Nonce>,
    /// What it waits for: `order`, `price`, `frame`, or `{"time": …}`, that of its next slice.
    pub waits_for: WaitsFor,
}

/// What a planned order waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitsFor {
    /// The order that it follows.
    Order,
    /// A price.
    Price,
    /// The time of its next slice.
    Time(TimeMs),
    /// The next frame.
    Frame,
}

impl From<&OrderRequest> for Order {
    /// What was signed.
    fn from(request: &OrderRequest) -> Self {
        Self {
            account: request.account,
            market: request.market,
            side: request.side,
            kind: request.kind,
            reduce_only: request.reduce_only,
            size: request.size,
            price: request.price,
            nonce: request.nonce,
            expiry: request.expiry,
            max_fee: request.max_fee,
            builder: request.builder,
            builder_fee: request.builder_fee,
        }
    }
}

impl OrderRequest {
    /// An order with its signature.
    #[must_use]
    pub fn new(order: Order, signature: Bytes) -> Self {
        Self {
            account: order.account,
            market: order.market,
            side: order.side,
            kind: order.kind,
            reduce_only: order.reduce_only,
            size: order.size,
            price: order.price,
            nonce: order.nonce,
            expiry: order.expiry,
            max_fee: order.max_fee,
            builder: order.builder,
            builder_fee: order.builder_fee,
            signature,
        }
    }
}
