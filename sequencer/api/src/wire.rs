//! What travels over the RPC.

use alloy_primitives::{Address, B256, Bytes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xos_types::{
    AccountId, Atoms, EventId, FeedId, Hex, Lots, MarketId, Nonce, Number, OrderKind, Position, Ppm, Rate, Side, Ticks,
    TimeMs, VenueId,
};

use crate::error::ApiError;
use crate::session::is_unsigned;
use crate::venues::TradedInfo;

/// A signed order. Field for field what was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderRequest {
    /// The account that trades.
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
    /// Over the EIP-712 `Order`: 64 bytes (ERC-2098) or 65 bytes.
    #[schemars(with = "Hex")]
    pub signature: Bytes,
}

/// A signed cancellation of one order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CancelRequest {
    /// Whose order.
    pub account: AccountId,
    /// Which order.
    pub nonce: Nonce,
    /// Over the EIP-712 `Cancel`; nothing if a session of the connection stands in for it.
    #[serde(default, skip_serializing_if = "is_unsigned")]
    #[schemars(with = "Hex")]
    pub signature: Bytes,
}

/// A signed cancellation of every order below a nonce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CancelAllRequest {
    /// Whose orders.
    pub account: AccountId,
    /// The new floor of the account's nonces.
    pub below: Nonce,
    /// Over the EIP-712 `CancelAll`; nothing if a session of the connection stands in for it.
    #[serde(default, skip_serializing_if = "is_unsigned")]
    #[schemars(with = "Hex")]
    pub signature: Bytes,
}

/// A signed withdrawal to the account's owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WithdrawRequest {
    /// Whose money.
    pub account: AccountId,
    /// The settlement token.
    #[schemars(with = "Hex<20>")]
    pub token: Address,
    /// Atoms.
    #[serde(with = "Number::<u128>")]
    pub amount: u128,
    /// Any number not used before by this account.
    pub nonce: Nonce,
    /// Last millisecond at which it may settle; 0 for no end.
    #[serde(default)]
    pub expiry: TimeMs,
    /// Over the EIP-712 `Withdraw`.
    #[schemars(with = "Hex")]
    pub signature: Bytes,
}

/// A signed transfer to another account of the same owner, or to another group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransferRequest {
    /// Whose money.
    pub account: AccountId,
    /// The gateway of the group that it goes to; the zero address, or nothing, for this one.
    #[serde(default)]
    #[schemars(with = "Hex<20>")]
    pub gateway: Address,
    /// Where it goes. Here, an isolated account that is not there yet is opened.
    pub to: AccountId,
    /// The settlement token, or an asset's.
    #[schemars(with = "Hex<20>")]
    pub token: Address,
    /// Atoms.
    #[serde(with = "Number::<u128>")]
    pub amount: u128,
    /// Any number not used before by this account.
    pub nonce: Nonce,
    /// Last millisecond at which it may settle; 0 for no end.
    #[serde(default)]
    pub expiry: TimeMs,
    /// Over the EIP-712 `Transfer`.
    #[schemars(with = "Hex")]
    pub signature: Bytes,
}

/// A keeper's signed wish to take a position of a failing account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LiquidateRequest {
    /// Who takes.
    pub keeper: AccountId,
    /// Who fails.
    pub account: AccountId,
    /// Which perpetual.
    pub market: MarketId,
    /// At most so many lots of it.
    pub size: Lots,
    /// Worst index price for the keeper, atoms per lot times 1e9: the highest for a long position, the lowest for a short one.
    #[serde(with = "Number::<u128>")]
    pub limit: u128,
    /// Any number not used before by the keeper.
    pub nonce: Nonce,
    /// Last millisecond at which it may happen; 0 for no end.
    #[serde(default)]
    pub expiry: TimeMs,
    /// Over the EIP-712 `Liquidate`.
    #[schemars(with = "Hex")]
    pub signature: Bytes,
}

/// A keeper's signed wish to buy an asset of an account that owes cash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConvertRequest {
    /// Who buys.
    pub keeper: AccountId,
    /// Who owes.
    pub account: AccountId,
    /// The asset's feed.
    pub asset: FeedId,
    /// At most so many of its atoms.
    #[serde(with = "Number::<u128>")]
    pub amount: u128,
    /// Highest index price for the keeper, atoms per lot times 1e9.
    #[serde(with = "Number::<u128>")]
    pub limit: u128,
    /// Any number not used before by the keeper.
    pub nonce: Nonce,
    /// Last millisecond at which it may happen; 0 for no end.
    #[serde(default)]
    pub expiry: TimeMs,
    /// Over the EIP-712 `Convert`.
    #[schemars(with = "Hex")]
    pub signature: Bytes,
}

/// The sequencer's promise: the command stands in the log at `sequence`, and the log up to `log_sequence` hashes to
/// `log_hash`. Signed (EIP-712 `LogHead(uint64 sequence,bytes32 logHash)`), so that a broken promise can be proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Where the command stands in the log.
    #[serde(with = "Number::<u64>")]
    pub sequence: u64,
    /// End of the ingress window that it came in, or of a later one that was durable as soon.
    #[serde(with = "Number::<u64>")]
    pub log_sequence: u64,
    /// Rolling hash of the log there.
    #[schemars(with = "Hex<32>")]
    pub log_hash: B256,
    /// The sequencer's signature over (`log_sequence`, `log_hash`), 64 bytes.
    #[schemars(with = "Hex")]
    pub signature: Bytes,
}

/// A command took effect and is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ack {
    /// Proof of it.
    pub receipt: Receipt,
    /// Lots filled at once (orders only).
    pub filled: Lots,
    /// Lots that rest in the book or wait (orders), or that were taken off or out of it (amendments, cancellations).
    pub remaining: Lots,
    /// The fills.
    pub fills: Vec<FillInfo>,
}

/// What became of one item of a call that has several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderOutcome {
    /// It took effect.
    Ok(Ack),
    /// It did not.
    Error(ApiError),
}

/// One fill of an arriving order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FillInfo {
    /// Ticks.
    pub price: Ticks,
    /// Lots.
    pub size: Lots,
    /// Atoms paid by the arriving order.
    pub fee: Atoms,
}

/// What this node is and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    /// The software's version.
    pub version: String,
    /// EIP-712 domain: chain id.
    pub chain_id: u64,
    /// EIP-712 domain: verifying contract; the risk group.
    #[schemars(with = "Hex<20>")]
    pub group: Address,
    /// The settlement token.
    #[schemars(with = "Hex<20>")]
    pub token: Address,
    /// Decimals of the settlement token.
    pub token_decimals: u8,
    /// Who signs batches and receipts.
    #[schemars(with = "Hex<20>")]
    pub sequencer: Address,
    /// Commands in the log.
    #[serde(with = "Number::<u64>")]
    pub sequence: u64,
    /// Rolling hash of the log.
    #[schemars(with = "Hex<32>")]
    pub log_hash: B256,
    /// Time of the open frame.
    pub frame_time: TimeMs,
    /// Accounts that exist.
    #[serde(with = "Number::<u64>")]
    pub accounts: u64,
    /// Whether the node takes commands; a standby only answers.
    pub leads: bool,
    /// How often the lead has changed; 0 for a node that is alone.
    #[serde(with = "Number::<u64>")]
    pub epoch: u64,
    /// How settlement stands.
    pub settlement: SettlementInfo,
}

/// The state as a hash, at one point of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateHash {
    /// Commands in the log.
    #[serde(with = "Number::<u64>")]
    pub sequence: u64,
    /// Rolling hash of the log there.
    #[schemars(with = "Hex<32>")]
    pub log_hash: B256,
    /// Hash of everything that the engine holds there.
    #[schemars(with = "Hex<32>")]
    pub state_hash: B256,
}

/// How far settlement is behind matching.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettlementInfo {
    /// Last sealed frame.
    #[serde(with = "Number::<u64>")]
    pub sealed: u64,
    /// Last batch on chain; lower than before if its block was reorganised away.
    #[serde(with = "Number::<u64>")]
    pub settled: u64,
    /// Last batch in a block that no reorganisation can take back; 0 until the node has seen one become so.
    #[serde(with = "Number::<u64>")]
    pub finalized: u64,
    /// Batches, since the node started, that were settled in blocks which were reorganised away. They are settled again.
    #[serde(with = "Number::<u64>")]
    pub reorganised: u64,
    /// Inbox items consumed by the log.
    #[serde(with = "Number::<u64>")]
    pub inbox_consumed: u64,
    /// Inbox items seen on chain.
    #[serde(with = "Number::<u64>")]
    pub inbox_seen: u64,
    /// Batches whose transaction reverted since the node started.
    #[serde(with = "Number::<u64>")]
    pub reverted: u64,
    /// What settlement waits for, if anything is amiss (the chain's endpoint, gas money); it goes on by itself.
    pub waiting: Option<String>,
    /// Why settlement stopped for good, if it did.
    pub halted: Option<String>,
}

/// One settled batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchInfo {
    /// Its number.
    #[serde(with = "Number::<u64>")]
    pub id: u64,
    /// Its hash, as stored by the contract.
    #[schemars(with = "Hex<32>")]
    pub hash: B256,
    /// The transaction.
    #[schemars(with = "Hex<32>")]
    pub transaction: B256,
    /// The block.
    #[serde(with = "Number::<u64>")]
    pub block: u64,
    /// The frame's time.
    pub time: TimeMs,
    /// Orders filled in it (netted lines).
    #[serde(with = "Number::<u64>")]
    pub orders_filled: u64,
    /// Gas used, all in.
    #[serde(with = "Number::<u64>")]
    pub gas_used: u64,
    /// Gas of the calldata alone (16 a byte, 4 a zero byte).
    #[serde(with = "Number::<u64>")]
    pub calldata_gas: u64,
}

/// One market: one book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MarketInfo {
    /// Its number.
    pub market: MarketId,
    /// The venue that lists it.
    pub venue: VenueId,
    /// Its event.
    pub event: EventId,
    /// What pays.
    pub label: String,
    /// Price of one tick in whole tokens per share, in decimals ("0.001").
    pub tick_size: String,
    /// Shares in one lot, in decimals ("0.01"); a share of the winning outcome pays 1 token.
    pub lot_size: String,
    /// Lowest valid price, ticks.
    pub lowest: Ticks,
    /// Highest valid price, ticks.
    pub highest: Ticks,
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
    /// Lots open: the sum of long positions.
    pub open_interest: Lots,
    /// Best bid, ticks.
    pub best_bid: Option<Ticks>,
    /// Best ask, ticks.
    pub best_ask: Option<Ticks>,
    /// Price of the last trade, ticks.
    pub last: Option<Ticks>,
}

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// Its markets take no orders yet.
    Pending,
    /// Orders wait for call auctions, one a frame.
    Auction,
    /// Its markets take post-only orders, and nothing trades yet.
    PostOnly,
    /// Its markets trade.
    Open,
    /// Positions may only become smaller.
    ReduceOnly,
    /// Nothing trades for now.
    Halted,
    /// Nothing trades until the next session, by its trading hours.
    Closed,
    /// It is decided.
    Resolved,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventInfo {
    /// Its number.
    pub event: EventId,
    /// The venue that lists it.
    pub venue: VenueId,
    /// What it asks.
    pub title: String,
    /// What its outcomes are called.
    pub labels: Vec<String>,
    /// Where it stands.
    pub status: EventStatus,
    /// What each outcome pays, ticks a lot, once resolved.
    pub payouts: Option<Vec<u64>>,
    /// Who may resolve it.
    #[schemars(with = "Hex<20>")]
    pub resolver: Address,
}

/// How far the settlement of a command has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SettlementStage {
    /// Its frame is not sealed.
    Open,
    /// Its frame is sealed, and waits for its batch to be settled. A standby does not settle, and hears of nothing later.
    Sealed,
    /// Its batch is on chain.
    Settled,
    /// Its batch is in a block that no reorganisation can take back.
    Final,
}

/// Where the settlement of a command stands, and with it that of the fills which it caused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommandSettlement {
    /// The command's number.
    #[serde(with = "Number::<u64>")]
    pub sequence: u64,
    /// How far it is.
    pub stage: SettlementStage,
    /// Its frame once that is sealed, which is also the number of the batch.
    pub frame: Option<FrameInfo>,
    /// The batch once it is settled; none of one that `xos_batches` does not keep any more.
    pub batch: Option<BatchInfo>,
}

/// A sealed frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FrameInfo {
    /// Its number.
    #[serde(with = "Number::<u64>")]
    pub id: u64,
    /// When it opened.
    pub time: TimeMs,
}

/// How much of a limit an account has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Used {
    /// So much.
    pub used: u32,
    /// The most that may be.
    pub limit: u32,
}

/// What an account may have many of. Positions have caps by market, requests have budgets (`xos_budget`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountLimits {
    /// Orders, resting or waiting.
    pub orders: Used,
    /// Of these, orders that wait outside the books.
    pub waiting: Used,
    /// Assets and perpetuals that it holds or has orders for.
    pub holdings: Used,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountInfo {
    /// Its number.
    pub account: AccountId,
    /// Who owns it.
    #[schemars(with = "Hex<20>")]
    pub owner: Address,
    /// Atoms.
    pub cash: Atoms,
    /// Worst payoff of its positions, summed over events, atoms.
    pub worst_payoff: Atoms,
    /// What resting orders may still cost, atoms.
    pub reserved: Atoms,
    /// Free for orders and withdrawals: cash + worst payoff − reserved.
    pub available: Atoms,
    /// A nonce above every used one.
    pub next_nonce: Nonce,
    /// What it holds.
    pub positions: Vec<PositionInfo>,
    /// What it and its isolated accounts have traded at venues that have volume tiers, and what they pay there.
    pub traded: Vec<TradedInfo>,
    /// How much of what is limited it uses.
    pub limits: AccountLimits,
}

/// One position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PositionInfo {
    /// Where.
    pub market: MarketId,
    /// Lots; negative is short.
    pub lots: Position,
}

/// A resting order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenOrder {
    /// Its name within the account.
    pub nonce: Nonce,
    /// Where.
    pub market: MarketId,
    /// On which side.
    pub side: Side,
    /// Ticks.
    pub price: Ticks,
    /// Lots when signed.
    pub size: Lots,
    /// Lots that still rest.
    pub remaining: Lots,
}

/// What the log knows of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Never seen: the order was not accepted.
    Unknown,
    /// It rests.
    Resting,
    /// It waits for a price, a time or another order; `xos_plannedOrders` says for which.
    Waiting,
    /// Accepted once, and nothing of it rests or waits any more (filled, cancelled, expired, or a settled withdrawal).
    Done,
}

/// The answer to `xos_order`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderInfo {
    /// What the log knows.
    pub status: OrderStatus,
    /// The order, while it rests.
    pub open: Option<OpenOrder>,
}

/// Price levels of one book, best first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookInfo {
    /// Which.
    pub market: MarketId,
    /// Commands in the log when it looked like this.
    #[serde(with = "Number::<u64>")]
    pub sequence: u64,
    /// Buyers.
    pub bids: Vec<Level>,
    /// Sellers.
    pub asks: Vec<Level>,
}

/// One price level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Level {
    /// Ticks.
    pub price: Ticks,
    /// Lots.
    pub size: Lots,
    /// Number of orders.
    pub orders: u32,
}

/// One trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TradeInfo {
    /// Where.
    pub market: MarketId,
    /// The command that caused it.
    #[serde(with = "Number::<u64>")]
    pub sequence: u64,
    /// Time of its frame.
    pub time: TimeMs,
    /// Ticks.
    pub price: Ticks,
    /// Lots.
    pub size: Lots,
    /// Side of the arriving order; none of a call auction, in which nobody takes.
    pub taker_side: Option<Side>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_numbers_are_strings_in_json_and_both_forms_are_read() {
        let order = OpenOrder {
            nonce: Nonce(u64::MAX),
            market: MarketId(256),
            side: Side::Buy,
            price: Ticks(450),
            size: Lots(10),
            remaining: Lots(4),
        };
        let json = serde_json::to_value(order).unwrap();
        assert_eq!(json["nonce"], "18446744073709551615");
        assert_eq!(json["market"], 256);
        assert_eq!(serde_json::from_value::<OpenOrder>(json).unwrap(), order);
        assert_eq!(serde_json::from_str::<AccountId>("7").unwrap(), serde_json::from_str("\"7\"").unwrap());
        assert_eq!(
            serde_json::from_str::<Atoms>("\"-170141183460469231731687303715884105728\"").unwrap(),
            Atoms(i128::MIN)
        );
        for wrong in ["\"-1\"", "1.5", "\"0x10\"", "18446744073709551616", "null"] {
            assert!(serde_json::from_str::<Nonce>(wrong).is_err(), "{wrong}");
        }
    }
}
