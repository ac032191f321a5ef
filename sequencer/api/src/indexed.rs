//! Markets that follow an index price, and what accounts hold at them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xos_types::{FeedId, Lots, MarketId, Number, Ppm, Rate, Ticks, TimeMs, VenueId};

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
    /// Whether only members of the venue may take new risk.
    pub restricted: bool,
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
