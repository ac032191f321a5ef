//! What happened, as it travels: orders, fills, candles, funding, transfers and liquidations.

use alloy_primitives::Address;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xos_types::{
    AccountId, Atoms, CancelReason, FeedId, Hex, Lots, MarketId, Nonce, Number, Order, Position, Side, Ticks, TimeMs,
};

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

/// Money or an asset that came to an account, left it, or moved between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransferRecord {
    /// Whose.
    pub account: AccountId,
    /// What it was.
    pub kind: TransferKind,
    /// Of which token.
    #[schemars(with = "Hex<20>")]
    pub token: Address,
    /// How many of its atoms.
    #[serde(with = "Number::<u128>")]
    pub amount: u128,
    /// Who got what was sent, or sent what was received. With a `gateway` it is an account of the other group, 0 a new one.
    pub other: Option<AccountId>,
    /// The gateway of the group that it was sent to; none within this one.
    #[schemars(with = "Option<Hex<20>>")]
    pub gateway: Option<Address>,
    /// The account's message that asked for it; none if none did.
    pub nonce: Option<Nonce>,
    /// The batch that carries the message, and pays what leaves; 0 without one.
    #[serde(with = "Number::<u64>")]
    pub batch: u64,
    /// The command that caused it; of what a message asked for, the one that sealed the frame.
    #[serde(with = "Number::<u64>")]
    pub sequence: u64,
    /// Time of that command's frame.
    pub time: TimeMs,
}

/// Why money or an asset moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransferKind {
    /// It arrived from the chain; while losses are shared, the larger claim that it buys.
    Deposit,
    /// An asset arrived for an account that holds too many things already. It is not the account's; its owner may claim it.
    Claimable,
    /// It left to the owner. Without a message it was asked for through the contract's inbox.
    Withdrawal,
    /// It left to another account.
    Sent,
    /// It came from another account of the same owner.
    Received,
    /// What a withdrawal of the same command, or something sent to another group, was not paid: losses were shared.
    SharedLoss,
    /// The account's part in the fees of a frame: a venue's, a builder's, a referrer's, the protocol's or the fund's.
    Fees,
}

/// What a keeper, the insurance fund or the opposite side did to an account, or an account as one of these to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiquidationRecord {
    /// Whose side of it this is.
    pub account: AccountId,
    /// What was done.
    pub kind: LiquidationKind,
    /// The account's part in it.
    pub role: LiquidationRole,
    /// The other side; none of a flag or a forced close.
    pub other: Option<AccountId>,
    /// In which perpetual; none of an asset, a flag or a debt.
    pub market: Option<MarketId>,
    /// Which asset; none of a perpetual, a flag or a debt.
    pub asset: Option<FeedId>,
    /// What the account got (negative: gave): lots of the perpetual, or atoms of the asset.
    #[serde(with = "Number::<i128>")]
    pub amount: i128,
    /// Cash that the account got (negative: paid), funding apart.
    pub cash: Atoms,
    /// What of that is a penalty: what was paid, or negative a keeper's part of it. `−(cash + penalty) / amount` of a liquidation
    /// is the index price of a lot.
    pub penalty: Atoms,
    /// What the fund could not pay of a debt; all accounts share it.
    pub shared: Atoms,
    /// The keeper's message; none if the contract's inbox asked, or nobody.
    pub nonce: Option<Nonce>,
    /// The command that caused it.
    #[serde(with = "Number::<u64>")]
    pub sequence: u64,
    /// Time of that command's frame.
    pub time: TimeMs,
}

/// What was done about an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LiquidationKind {
    /// Its maintenance health was below zero: the keepers' time began.
    Flagged,
    /// A keeper took a position, or a part of it, at index price less a penalty.
    Liquidated,
    /// A keeper bought an asset to pay what the account owed.
    Converted,
    /// Its owner forced a close; `amount` is what is to be closed. Fills follow, and of what the book leaves a takeover or
    /// a deleveraging.
    CloseForced,
    /// The insurance fund took a position.
    TakenOver,
    /// A position closed against an opposite one.
    Deleveraged,
    /// The insurance fund was given an asset too little for anybody to buy.
    Swept,
    /// Nothing was left but a debt, which the account was relieved of. It is closed.
    Bankrupt,
}

/// Which part an account had in what was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LiquidationRole {
    /// It was done to it.
    Subject,
    /// It took or bought.
    Keeper,
    /// It is the insurance fund.
    Fund,
    /// Its position closed against the other's.
    Opposite,
}
