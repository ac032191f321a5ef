//! Markets that follow an index price, and what accounts hold at them.

use alloy_primitives::{Address, B256};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xos_types::{FeedId, Hex, Lots, MarketId, Number, Ppm, Rate, Ticks, TimeMs, VenueId};

use crate::wire::EventStatus;

/// What a position in a market is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IndexKind {
    /// Signed contracts.
    Perpetual,
    /// Tokens.
    Spot,
}

/// A perpetual or a spot market.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IndexMarketInfo {
    /// Its number.
    pub market: MarketId,
    /// The venue that lists it.
    pub venue: VenueId,
    /// What it is.
    pub kind: IndexKind,
    /// What it is called.
    pub title: String,
    /// Where it stands; `resolved` once it is delisted.
    pub status: EventStatus,
    /// Price of one tick in whole tokens, for one whole coin (or whatever the index prices), in decimals.
    pub tick_size: String,
    /// Coins in one lot, in decimals.
    pub lot_size: String,
    /// Atoms per tick·lot.
    #[serde(with = "Number::<u64>")]
    pub quantum: u64,
    /// Taker fee, parts per million of value.
    pub taker_fee: Ppm,
    /// Maker fee, parts per million of value; negative for a rebate.
    pub maker_fee: Rate,
    /// Whether fees are on `price · (1 − price)` instead of on value.
    pub curve: bool,
    /// Whether only members of the venue may take new risk.
    pub restricted: bool,
    /// Whether only isolated accounts may hold it.
    pub isolated_only: bool,
    /// Most lots that an account may hold either way; 0 for no cap.
    pub position_cap: Lots,
    /// Most lots that may be open; 0 for no cap.
    pub open_interest_cap: Lots,
    /// How a perpetual is margined; none of a spot market.
    pub margin: Option<PerpetualTerms>,
    /// How a spot market's asset counts as collateral; none of a perpetual.
    pub asset: Option<AssetTerms>,
    /// Who says its index price; nobody once a perpetual is delisted.
    pub source: Option<SourceTerms>,
    /// Its index price's number.
    pub feed: FeedId,
    /// Index price, atoms per lot times 1e9; 0 before the first.
    #[serde(with = "Number::<u128>")]
    pub index: u128,
    /// The same in ticks, rounded down.
    pub index_ticks: Ticks,
    /// When it was published.
    pub index_time: TimeMs,
    /// Whether it may not carry new risk: too old, or it broke a rule.
    pub stale: bool,
    /// What a long lot of a perpetual has paid so far, atoms times 1e9.
    #[serde(with = "Number::<i128>")]
    pub funding_index: i128,
    /// Lots open.
    pub open_interest: Lots,
    /// Best bid, ticks.
    pub best_bid: Option<Ticks>,
    /// Best ask, ticks.
    pub best_ask: Option<Ticks>,
    /// Price of the last trade, ticks.
    pub last: Option<Ticks>,
}

/// How a perpetual is margined. Shares are parts per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PerpetualTerms {
    /// What new risk needs, of notional at index price, by tier.
    pub initial_fractions: [Ppm; 4],
    /// What a position needs to stay.
    pub maintenance_fractions: [Ppm; 4],
    /// Highest notional of the first three tiers, in millions of atoms. A tier's share is of the whole notional.
    pub tier_bounds: [u32; 3],
    /// What a liquidation or a forced close costs, of notional.
    pub penalty: Ppm,
    /// Most that funding may move in an hour, of the index price.
    pub funding_cap: Ppm,
    /// Most atoms that the market may cost others.
    #[serde(with = "Number::<u128>")]
    pub loss_cap: u128,
}

/// How an asset counts as collateral. Shares are parts per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssetTerms {
    /// The token.
    #[schemars(with = "Hex<20>")]
    pub token: Address,
    /// Its atoms in one lot.
    #[serde(with = "Number::<u64>")]
    pub lot: u64,
    /// What of its value counts for new risk.
    pub initial_weight: Ppm,
    /// What of it counts to stay.
    pub maintenance_weight: Ppm,
    /// What a keeper who converts it pays less than its index price.
    pub conversion_discount: Ppm,
    /// Most atoms that the group takes in.
    #[serde(with = "Number::<u128>")]
    pub cap: u128,
}

/// Who says an index price, and what is believed of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceTerms {
    /// The contract that verifies prices.
    #[schemars(with = "Hex<20>")]
    pub contract: Address,
    /// What it calls this one.
    #[schemars(with = "Hex<32>")]
    pub name: B256,
    /// Index price per dollar of its price: atoms per lot, times 1e9.
    #[serde(with = "Number::<u128>")]
    pub unit: u128,
    /// Milliseconds after which the last price is too old for new risk.
    pub max_age_ms: u32,
    /// Longest time between two prices in milliseconds; a longer one makes the price suspect.
    pub max_gap_ms: u32,
    /// Largest move in a second, parts per million; a larger one is cut to it, and makes the price suspect.
    pub max_move: Ppm,
}

/// What an account holds at one index price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HoldingInfo {
    /// Which index price.
    pub feed: FeedId,
    /// Its perpetual; none for an asset.
    pub market: Option<MarketId>,
    /// Signed lots of a perpetual, atoms of an asset.
    #[serde(with = "Number::<i128>")]
    pub amount: i128,
    /// Average price at which a perpetual was entered; 0 for an asset.
    pub entry: Ticks,
    /// Atoms of an asset that resting orders offer.
    #[serde(with = "Number::<u128>")]
    pub offered: u128,
}
