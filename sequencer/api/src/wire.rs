//! What travels over the RPC.

use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};
use xos_types::{AccountId, Atoms, EventId, Lots, MarketId, Nonce, OrderKind, Position, Ppm, Side, Ticks, TimeMs};

use crate::decimal;
use crate::error::ApiError;

/// A signed order. Field for field what was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderRequest {
    /// The account that trades.
    #[serde(with = "decimal")]
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
    #[serde(with = "decimal")]
    pub size: Lots,
    /// Ticks.
    #[serde(with = "decimal")]
    pub price: Ticks,
    /// Any number not used before by this account.
    #[serde(with = "decimal")]
    pub nonce: Nonce,
    /// Last millisecond at which it may fill; 0 for no end.
    #[serde(with = "decimal", default)]
    pub expiry: TimeMs,
    /// Highest total fee, of the filled value.
    pub max_fee: Ppm,
    /// Interface to be paid; 0 for none.
    #[serde(default)]
    pub builder: u32,
    /// What it is paid.
    #[serde(default)]
    pub builder_fee: Ppm,
    /// Over the EIP-712 `Order`: 64 bytes (ERC-2098) or 65 bytes.
    pub signature: Bytes,
}

/// A signed cancellation of one order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CancelRequest {
    /// Whose order.
    #[serde(with = "decimal")]
    pub account: AccountId,
    /// Which order.
    #[serde(with = "decimal")]
    pub nonce: Nonce,
    /// Over the EIP-712 `Cancel`.
    pub signature: Bytes,
}

/// A signed cancellation of every order below a nonce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CancelAllRequest {
    /// Whose orders.
    #[serde(with = "decimal")]
    pub account: AccountId,
    /// The new floor of the account's nonces.
    #[serde(with = "decimal")]
    pub below: Nonce,
    /// Over the EIP-712 `CancelAll`.
    pub signature: Bytes,
}

/// A signed withdrawal to the account's owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WithdrawRequest {
    /// Whose money.
    #[serde(with = "decimal")]
    pub account: AccountId,
    /// The settlement token.
    pub token: Address,
    /// Atoms.
    #[serde(with = "decimal")]
    pub amount: u128,
    /// Any number not used before by this account.
    #[serde(with = "decimal")]
    pub nonce: Nonce,
    /// Last millisecond at which it may settle; 0 for no end.
    #[serde(with = "decimal", default)]
    pub expiry: TimeMs,
    /// Over the EIP-712 `Withdraw`.
    pub signature: Bytes,
}

/// The sequencer's promise: the command stands in the log at `sequence`, and the log up to `log_sequence` hashes to
/// `log_hash`. Signed (EIP-712 `LogHead(uint64 sequence,bytes32 logHash)`), so that a broken promise can be proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Where the command stands in the log.
    #[serde(with = "decimal")]
    pub sequence: u64,
    /// End of the ingress window that it came in.
    #[serde(with = "decimal")]
    pub log_sequence: u64,
    /// Rolling hash of the log there.
    pub log_hash: B256,
    /// The sequencer's signature over (`log_sequence`, `log_hash`), 64 bytes.
    pub signature: Bytes,
}

/// A command took effect and is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ack {
    /// Proof of it.
    pub receipt: Receipt,
    /// Lots filled at once (orders only).
    #[serde(with = "decimal")]
    pub filled: Lots,
    /// Lots that rest in the book (orders), or that were taken out of it (cancellations).
    #[serde(with = "decimal")]
    pub remaining: Lots,
    /// The fills.
    pub fills: Vec<FillInfo>,
}

/// What became of one order of a `placeOrders` call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderOutcome {
    /// It took effect.
    Ok(Ack),
    /// It did not.
    Error(ApiError),
}

/// One fill of an arriving order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FillInfo {
    /// Ticks.
    #[serde(with = "decimal")]
    pub price: Ticks,
    /// Lots.
    #[serde(with = "decimal")]
    pub size: Lots,
    /// Atoms paid by the arriving order.
    #[serde(with = "decimal")]
    pub fee: Atoms,
}

/// What this node is and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    /// The software's version.
    pub version: String,
    /// EIP-712 domain: chain id.
    pub chain_id: u64,
    /// EIP-712 domain: verifying contract; the risk group.
    pub group: Address,
    /// The settlement token.
    pub token: Address,
    /// Decimals of the settlement token.
    pub token_decimals: u8,
    /// Who signs batches and receipts.
    pub sequencer: Address,
    /// Commands in the log.
    #[serde(with = "decimal")]
    pub sequence: u64,
    /// Rolling hash of the log.
    pub log_hash: B256,
    /// Time of the open frame.
    #[serde(with = "decimal")]
    pub frame_time: TimeMs,
    /// Accounts that exist.
    #[serde(with = "decimal")]
    pub accounts: u64,
    /// How settlement stands.
    pub settlement: SettlementInfo,
}

/// The state as a hash, at one point of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateHash {
    /// Commands in the log.
    #[serde(with = "decimal")]
    pub sequence: u64,
    /// Rolling hash of the log there.
    pub log_hash: B256,
    /// Hash of everything that the engine holds there.
    pub state_hash: B256,
}

/// How far settlement is behind matching.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettlementInfo {
    /// Last sealed frame.
    #[serde(with = "decimal")]
    pub sealed: u64,
    /// Last batch on chain.
    #[serde(with = "decimal")]
    pub settled: u64,
    /// Inbox items consumed by the log.
    #[serde(with = "decimal")]
    pub inbox_consumed: u64,
    /// Inbox items seen on chain.
    #[serde(with = "decimal")]
    pub inbox_seen: u64,
    /// Batches whose transaction reverted since the node started.
    #[serde(with = "decimal")]
    pub reverted: u64,
    /// What settlement waits for, if anything is amiss (the chain's endpoint, gas money); it goes on by itself.
    pub waiting: Option<String>,
    /// Why settlement stopped for good, if it did.
    pub halted: Option<String>,
}

/// One settled batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchInfo {
    /// Its number.
    #[serde(with = "decimal")]
    pub id: u64,
    /// Its hash, as stored by the contract.
    pub hash: B256,
    /// The transaction.
    pub transaction: B256,
    /// The block.
    #[serde(with = "decimal")]
    pub block: u64,
    /// The frame's time.
    #[serde(with = "decimal")]
    pub time: TimeMs,
    /// Orders filled in it (netted lines).
    #[serde(with = "decimal")]
    pub orders_filled: u64,
    /// Gas used, all in.
    #[serde(with = "decimal")]
    pub gas_used: u64,
    /// Gas of the calldata alone (16 a byte, 4 a zero byte).
    #[serde(with = "decimal")]
    pub calldata_gas: u64,
}

/// One market: one book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MarketInfo {
    /// Its number.
    pub market: MarketId,
    /// The venue that lists it.
    pub venue: u32,
    /// Its event.
    pub event: EventId,
    /// What pays.
    pub label: String,
    /// Price of one tick in whole tokens per share, in decimals ("0.001").
    pub tick_size: String,
    /// Shares in one lot, in decimals ("0.01"); a share of the winning outcome pays 1 token.
    pub lot_size: String,
    /// Lowest valid price, ticks.
    #[serde(with = "decimal")]
    pub lowest: Ticks,
    /// Highest valid price, ticks.
    #[serde(with = "decimal")]
    pub highest: Ticks,
    /// Atoms per tick·lot.
    #[serde(with = "decimal")]
    pub quantum: u64,
    /// Taker fee, parts per million of value.
    pub taker_fee: Ppm,
    /// Maker fee, parts per million of value.
    pub maker_fee: Ppm,
    /// Best bid, ticks.
    pub best_bid: Option<Ticks>,
    /// Best ask, ticks.
    pub best_ask: Option<Ticks>,
    /// Price of the last trade, ticks.
    pub last: Option<Ticks>,
}

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// Its markets trade.
    Open,
    /// It is decided.
    Resolved,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventInfo {
    /// Its number.
    pub event: EventId,
    /// The venue that lists it.
    pub venue: u32,
    /// What it asks.
    pub title: String,
    /// What its outcomes are called.
    pub labels: Vec<String>,
    /// Where it stands.
    pub status: EventStatus,
    /// What each outcome pays, ticks a lot, once resolved.
    pub payouts: Option<Vec<u64>>,
    /// Who may resolve it.
    pub resolver: Address,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountInfo {
    /// Its number.
    #[serde(with = "decimal")]
    pub account: AccountId,
    /// Who owns it.
    pub owner: Address,
    /// Atoms.
    #[serde(with = "decimal")]
    pub cash: Atoms,
    /// Worst payoff of its positions, summed over events, atoms.
    #[serde(with = "decimal")]
    pub worst_payoff: Atoms,
    /// What resting orders may still cost, atoms.
    #[serde(with = "decimal")]
    pub reserved: Atoms,
    /// Free for orders and withdrawals: cash + worst payoff − reserved.
    #[serde(with = "decimal")]
    pub available: Atoms,
    /// A nonce above every used one.
    #[serde(with = "decimal")]
    pub next_nonce: Nonce,
    /// What it holds.
    pub positions: Vec<PositionInfo>,
}

/// One position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PositionInfo {
    /// Where.
    pub market: MarketId,
    /// Lots; negative is short.
    #[serde(with = "decimal")]
    pub lots: Position,
}

/// A resting order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenOrder {
    /// Its name within the account.
    #[serde(with = "decimal")]
    pub nonce: Nonce,
    /// Where.
    pub market: MarketId,
    /// On which side.
    pub side: Side,
    /// Ticks.
    #[serde(with = "decimal")]
    pub price: Ticks,
    /// Lots when signed.
    #[serde(with = "decimal")]
    pub size: Lots,
    /// Lots that still rest.
    #[serde(with = "decimal")]
    pub remaining: Lots,
}

/// What the log knows of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Never seen: the order was not accepted.
    Unknown,
    /// It rests.
    Resting,
    /// Accepted once, no longer in the book (filled, cancelled, expired, or a settled withdrawal).
    Done,
}

/// The answer to `xos_order`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderInfo {
    /// What the log knows.
    pub status: OrderStatus,
    /// The order, while it rests.
    pub open: Option<OpenOrder>,
}

/// Price levels of one book, best first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BookInfo {
    /// Which.
    pub market: MarketId,
    /// Commands in the log when it looked like this.
    #[serde(with = "decimal")]
    pub sequence: u64,
    /// Buyers.
    pub bids: Vec<Level>,
    /// Sellers.
    pub asks: Vec<Level>,
}

/// One price level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Level {
    /// Ticks.
    #[serde(with = "decimal")]
    pub price: Ticks,
    /// Lots.
    #[serde(with = "decimal")]
    pub size: Lots,
    /// Number of orders.
    pub orders: u32,
}

/// One trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TradeInfo {
    /// Where.
    pub market: MarketId,
    /// The command that caused it.
    #[serde(with = "decimal")]
    pub sequence: u64,
    /// Time of its frame.
    #[serde(with = "decimal")]
    pub time: TimeMs,
    /// Ticks.
    #[serde(with = "decimal")]
    pub price: Ticks,
    /// Lots.
    #[serde(with = "decimal")]
    pub size: Lots,
    /// Side of the arriving order.
    pub taker_side: Side,
}

/// What happened to an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountUpdate {
    /// The command that caused it.
    #[serde(with = "decimal")]
    pub sequence: u64,
    /// The engine's event, as JSON: `{"Filled": {…}}`, `{"Cancelled": {…}}` and so on.
    pub event: serde_json::Value,
}
