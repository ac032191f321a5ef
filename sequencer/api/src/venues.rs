//! Venues: who gets their fees, and what those pay who trade much there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xos_types::{AccountId, FeeTier, Number, Ppm, VenueId};

/// A venue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VenueInfo {
    /// Its number.
    pub venue: VenueId,
    /// The account that gets of its fees what is not shared.
    pub treasury: AccountId,
    /// The protocol's share of them.
    pub protocol_share: Ppm,
    /// The insurance fund's.
    pub insurance_share: Ppm,
    /// That of whoever referred the trader.
    pub referrer_share: Ppm,
    /// Its volume tiers, lowest first; none if everybody pays the same.
    pub fee_tiers: Vec<FeeTierInfo>,
}

/// What those pay who have traded so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeeTierInfo {
    /// Atoms to have traded.
    #[serde(with = "Number::<u128>")]
    pub volume: u128,
    /// Of every market's taker fee, parts per million.
    pub taker_share: Ppm,
    /// Of every market's maker fee, parts per million; a rebate stays as it is.
    pub maker_share: Ppm,
}

impl From<FeeTier> for FeeTierInfo {
    fn from(FeeTier { volume, taker_share, maker_share }: FeeTier) -> Self {
        Self { volume, taker_share, maker_share }
    }
}

/// What an account has traded at a venue that has tiers, and what it pays there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TradedInfo {
    /// Which venue.
    pub venue: VenueId,
    /// Atoms that count, of this period and the one before.
    #[serde(with = "Number::<u128>")]
    pub volume: u128,
    /// How many of the venue's tiers that reaches.
    pub tier: u8,
    /// Of every market's taker fee, parts per million.
    pub taker_share: Ppm,
    /// Of every market's maker fee, parts per million.
    pub maker_share: Ppm,
}
