//! What happened, as it travels: orders, fills, candles and funding.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xos_types::{AccountId, Atoms, CancelReason, Lots, MarketId, Nonce, Number, Order, Position, Side, Ticks, TimeMs};

/// The end of the page before: the sequence number of its last entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Before(#[serde(with = "Number::<u64>")] pub u64);

/// An order from the moment that it was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderRecord {
    /// What was signed.
    pub order: Order,
    /// Where it stands.
    pub state: OrderState,
    /// Lots that filled.
    pub filled: Lots,
    /// Lots that still may.
    pub remaining: Lots,
    /// Σ price · lots of its fills, in ticks: divided by `filled` it is the average price.
    #[serde(with = "Number::<u128>")]
    pub notional: u128,
    /// What its venue charged, less rebates. A builder's fee is charged apart, when a frame is sealed.
    pub fees: Atoms,
    /// The command that placed it.
    #[serde(with = "Number::<u64>")]
    pub placed: u64,
    /// Time of that command's frame.
    pub placed_at: TimeMs,
    /// The command that changed it last.
    #[serde(with = "Number::<u64>")]
    pub changed: u64,
    /// Time of that command's frame.
    pub changed_at: TimeMs,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// It waits for a price, a time or another order.
    Waiting,
    /// It rests, or was about to.
    Open,
    /// All of it filled.
    Filled,
    /// What did not fill is gone.
    Cancelled(CancelReason),
}

/// One side of a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FillRecord {
    /// Whose.
    pub account: AccountId,
    /// Of which order.
    pub nonce: Nonce,
    /// Where.
    pub market: MarketId,
    /// What it did.
    pub side: Side,
    /// Ticks.
    pub price: Ticks,
    /// Lots.
    pub size: Lots,
    /// What it paid; negative for a rebate.
    pub fee: Atoms,
    /// Its part in the trade.
    pub role: Role,
    /// The command that caused it.
    #[serde(with = "Number::<u64>")]
    pub sequence: u64,
    /// Time of that command's frame.
    pub time: TimeMs,
}

/// Which part an order had in a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It rested.
    Maker,
    /// It arrived.
    Taker,
    /// It met another one in a call auction.
    Auction,
}

/// Trades of a market in a stretch of time that had any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Candle {
    /// First millisecond; the stretch is as long as was asked for.
    pub start: TimeMs,
    /// Price of the first trade, ticks.
    pub open: Ticks,
    /// The highest.
    pub high: Ticks,
    /// The lowest.
    pub low: Ticks,
    /// The last.
    pub close: Ticks,
    /// Lots traded.
    #[serde(with = "Number::<u128>")]
    pub volume: u128,
    /// How many trades.
    pub trades: u32,
}

/// How long a candle lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Interval {
    /// A minute.
    #[serde(rename = "1m")]
    Minute,
    /// Five minutes.
    #[serde(rename = "5m")]
    FiveMinutes,
    /// A quarter of an hour.
    #[serde(rename = "15m")]
    Quarter,
    /// An hour.
    #[serde(rename = "1h")]
    Hour,
    /// Four hours.
    #[serde(rename = "4h")]
    FourHours,
    /// A day, from midnight UTC.
    #[serde(rename = "1d")]
    Day,
}

impl Interval {
    /// All of them, the shortest first.
    pub const ALL: [Self; 6] = [Self::Minute, Self::FiveMinutes, Self::Quarter, Self::Hour, Self::FourHours, Self::Day];

    /// Its milliseconds.
    #[must_use]
    pub const fn ms(self) -> u64 {
        const MINUTE: u64 = 60_000;
        match self {
            Self::Minute => MINUTE,
            Self::FiveMinutes => 5 * MINUTE,
            Self::Quarter => 15 * MINUTE,
            Self::Hour => 60 * MINUTE,
            Self::FourHours => 240 * MINUTE,
            Self::Day => 1_440 * MINUTE,
        }
    }
}

/// What funding brought a position when its index moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FundingRecord {
    /// In which perpetual.
    pub market: MarketId,
    /// What was held.
    pub position: Position,
    /// By how much the index moved: atoms a long lot paid, times 1e9.
    #[serde(with = "Number::<i128>")]
    pub moved: i128,
    /// What that brought (negative: cost), rounded down. What an account is charged is rounded once, when its position next
    /// changes, so these may add up to a little less.
    pub amount: Atoms,
    /// The command that moved it.
    #[serde(with = "Number::<u64>")]
    pub sequence: u64,
    /// Time of that command's frame.
    pub time: TimeMs,
}
