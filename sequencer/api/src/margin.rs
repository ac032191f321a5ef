//! How an account stands, and what an order would do to it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xos_types::{
    AccountId, Atoms, Crossing, FeedId, Lots, MarketId, Number, OrderKind, Position, SelfTrade, Side, Ticks,
};

/// An account's margin. Everything is in atoms, and rounded against the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MarginInfo {
    /// Whose.
    pub account: AccountId,
    /// Cash, what events pay at worst, and what perpetuals are worth with their funding.
    pub usd: Atoms,
    /// That and assets, at their weights for new risk.
    pub initial_equity: Atoms,
    /// The same at their weights to stay.
    pub maintenance_equity: Atoms,
    /// What perpetuals need for new risk.
    pub initial_requirement: Atoms,
    /// What they need to stay.
    pub maintenance_requirement: Atoms,
    /// What may be withdrawn or put at risk, every resting order at its worst. Orders count here alone.
    pub available: Atoms,
    /// Whether `maintenanceEquity` is below `maintenanceRequirement`: keepers may take its positions.
    pub failing: bool,
    /// Whether it holds a perpetual whose price is stale: no new risk, and nothing may leave.
    pub blocked: bool,
    /// Its perpetuals.
    pub positions: Vec<PositionMarginInfo>,
}

/// What a position in a perpetual counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PositionMarginInfo {
    /// Where.
    pub market: MarketId,
    /// Its index price's number.
    pub feed: FeedId,
    /// Lots; negative is short.
    pub lots: Position,
    /// Lots at index price; negative of a short position.
    pub value: Atoms,
    /// Funding that it has not been paid yet; negative if it owes.
    pub funding: Atoms,
    /// What it needs for new risk.
    pub initial_requirement: Atoms,
    /// What it needs to stay.
    pub maintenance_requirement: Atoms,
    /// The nearest index price at which the account is failing if all else stays as it is: today's if it is failing already, none
    /// if it is at no price.
    pub liquidation: Option<LiquidationPrice>,
}

/// An index price at which an account is failing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiquidationPrice {
    /// Atoms per lot times 1e9.
    #[serde(with = "Number::<u128>")]
    pub index: u128,
    /// The same in ticks, rounded down.
    pub ticks: Ticks,
}

/// An order to be tried; nobody signs it. It is tried as its account's owner's, with a nonce that was not used, without an end, and
/// with a fee limit that suffices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrialRequest {
    /// The account that would trade.
    pub account: AccountId,
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
    /// What happens when it meets an order of its own account: `cancel_maker`, `cancel_taker`, `cancel_both` or `decrement`.
    #[serde(default)]
    pub self_trade: SelfTrade,
    /// What happens to a post-only order that would trade: `refuse` or `slide`.
    #[serde(default)]
    pub crossing: Crossing,
}

/// What an order would do if it came now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrialInfo {
    /// Lots that would fill.
    pub filled: Lots,
    /// Σ price · lots of these, in ticks: divided by `filled` it is the average price.
    #[serde(with = "Number::<u128>")]
    pub notional: u128,
    /// What the venue would charge for these.
    pub fees: Atoms,
    /// Lots that would rest.
    pub rests: Lots,
    /// Where, in ticks: at the order's limit, or better if it slides.
    pub price: Ticks,
    /// How the account would stand then.
    pub margin: MarginInfo,
}
