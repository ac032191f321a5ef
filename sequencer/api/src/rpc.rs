//! The methods. Served over HTTP and WebSocket; subscriptions over WebSocket only.

use alloy_primitives::{Address, B256};
use jsonrpsee::core::{RpcResult, SubscriptionResult};
use jsonrpsee::proc_macros::rpc;
use xos_types::{AccountId, EventId, MarketId, Nonce, TimeMs};

use crate::feeds::{
    AccountMessage, BboMessage, BookMessage, CandlesMessage, FundingMessage, LiquidationsMessage, MarketsMessage,
    OrdersMessage, PricesMessage, Sequence, TradesMessage,
};
use crate::history::{
    Before, Candle, FillRecord, FundingRecord, Interval, LiquidationRecord, OrderRecord, TransferRecord,
};
use crate::indexed::{HoldingInfo, IndexMarketInfo};
use crate::margin::{MarginInfo, TrialInfo, TrialRequest};
use crate::session::{Budget, LoggedIn, LoginRequest};
use crate::trading::{AmendRequest, CancelAfterRequest, CancelManyRequest, PlanRequest, PlannedOrder, ReplaceRequest};
use crate::tree::{TreeAck, TreeRequest};
use crate::venues::VenueInfo;
use crate::wire::{
    AccountInfo, Ack, BatchInfo, BookInfo, CancelAllRequest, CancelRequest, CommandSettlement, ConvertRequest,
    EventInfo, Info, LiquidateRequest, MarketInfo, OpenOrder, OrderInfo, OrderOutcome, OrderRequest, StateHash,
    TradeInfo, TransferRequest, WithdrawRequest,
};

/// Everything that a trader, an interface or an auditor asks of the sequencer.
#[rpc(server, client, namespace = "xos")]
pub trait XosApi {
    /// What this node is and where it stands.
    #[method(name = "info")]
    async fn info(&self) -> RpcResult<Info>;

    /// `true` if the sequencer answers. Also `GET /health`.
    #[method(name = "health")]
    async fn health(&self) -> RpcResult<bool>;

    /// `true` if commands are taken and settlement goes on; an error says what does not. Also `GET /ready`.
    #[method(name = "ready")]
    async fn ready(&self) -> RpcResult<bool>;

    /// A hash of the whole state at one point of the log, for auditors who replay it. At most one a second is computed;
    /// in between the last one is repeated.
    #[method(name = "stateHash")]
    async fn state_hash(&self) -> RpcResult<StateHash>;

    /// Every venue of the group, in order.
    #[method(name = "venues")]
    async fn venues(&self) -> RpcResult<Vec<VenueInfo>>;

    /// Every event of the group, in order.
    #[method(name = "events")]
    async fn events(&self) -> RpcResult<Vec<EventInfo>>;

    /// The markets of one event, or all of them.
    #[method(name = "markets")]
    async fn markets(&self, event: Option<EventId>) -> RpcResult<Vec<MarketInfo>>;

    /// Every perpetual and spot market, with its index price.
    #[method(name = "indexMarkets")]
    async fn index_markets(&self) -> RpcResult<Vec<IndexMarketInfo>>;

    /// What an account holds at index prices: perpetuals and assets.
    #[method(name = "holdings")]
    async fn holdings(&self, account: AccountId) -> RpcResult<Vec<HoldingInfo>>;

    /// The best `depth` levels (at most 1000) of each side.
    #[method(name = "book")]
    async fn book(&self, market: MarketId, depth: Option<u32>) -> RpcResult<BookInfo>;

    /// The latest trades of a market, newest first, at most `limit` (100 by default, 1000 at most).
    #[method(name = "trades")]
    async fn trades(&self, market: MarketId, limit: Option<u32>) -> RpcResult<Vec<TradeInfo>>;

    /// One account.
    #[method(name = "account")]
    async fn account(&self, account: AccountId) -> RpcResult<AccountInfo>;

    /// How an account stands: what it is worth and must be worth, and where its perpetuals would be liquidated.
    #[method(name = "margin")]
    async fn margin(&self, account: AccountId) -> RpcResult<MarginInfo>;

    /// What an order would do if it came now; nothing happens. What it would be refused for is the error.
    #[method(name = "simulateOrder")]
    async fn simulate_order(&self, order: TrialRequest) -> RpcResult<TrialInfo>;

    /// The accounts of an owner.
    #[method(name = "accountsOf")]
    async fn accounts_of(&self, owner: Address) -> RpcResult<Vec<AccountId>>;

    /// The resting orders of an account.
    #[method(name = "openOrders")]
    async fn open_orders(&self, account: AccountId) -> RpcResult<Vec<OpenOrder>>;

    /// What the log knows of one order.
    #[method(name = "order")]
    async fn order(&self, account: AccountId, nonce: Nonce) -> RpcResult<OrderInfo>;

    /// An account's orders since the log began, those placed last first: `limit` of them (100 by default, 1000 at most), placed
    /// by commands before number `before`. What one command did stays together. It is a moment behind `xos_order`.
    #[method(name = "orderHistory")]
    async fn order_history(
        &self,
        account: AccountId,
        before: Option<Before>,
        limit: Option<u32>,
    ) -> RpcResult<Vec<OrderRecord>>;

    /// An account's sides of trades, paged like `xos_orderHistory`.
    #[method(name = "fills")]
    async fn fills(&self, account: AccountId, before: Option<Before>, limit: Option<u32>)
    -> RpcResult<Vec<FillRecord>>;

    /// A market's trades since the log began, paged like `xos_orderHistory`.
    #[method(name = "tradeHistory")]
    async fn trade_history(
        &self,
        market: MarketId,
        before: Option<Before>,
        limit: Option<u32>,
    ) -> RpcResult<Vec<TradeInfo>>;

    /// A market's candles that begin at `from` or later and before `until`, oldest first, at most `limit` (100 by default, 1000
    /// at most). Stretches without a trade have none.
    #[method(name = "candles")]
    async fn candles(
        &self,
        market: MarketId,
        interval: Interval,
        from: TimeMs,
        until: Option<TimeMs>,
        limit: Option<u32>,
    ) -> RpcResult<Vec<Candle>>;

    /// What funding brought an account's positions, in one perpetual or in all, paged like `xos_orderHistory`.
    #[method(name = "funding")]
    async fn funding(
        &self,
        account: AccountId,
        market: Option<MarketId>,
        before: Option<Before>,
        limit: Option<u32>,
    ) -> RpcResult<Vec<FundingRecord>>;

    /// Money and assets that came to an account, left it, or moved between it and another, paged like `xos_orderHistory`.
    #[method(name = "transfers")]
    async fn transfers(
        &self,
        account: AccountId,
        before: Option<Before>,
        limit: Option<u32>,
    ) -> RpcResult<Vec<TransferRecord>>;

    /// What keepers, the insurance fund and the opposite side did to an account, and it as one of these to others, paged like
    /// `xos_orderHistory`.
    #[method(name = "liquidations")]
    async fn liquidations(
        &self,
        account: AccountId,
        before: Option<Before>,
        limit: Option<u32>,
    ) -> RpcResult<Vec<LiquidationRecord>>;

    /// Settled batches from number `from` on, at most `limit` (100 by default, 1000 at most).
    #[method(name = "batches")]
    async fn batches(&self, from: u64, limit: Option<u32>) -> RpcResult<Vec<BatchInfo>>;

    /// How far the settlement of a command has come, and so that of the fills which bear its number: its frame, its batch, and
    /// whether that is final.
    #[method(name = "settlement")]
    async fn settlement(&self, sequence: Sequence) -> RpcResult<CommandSettlement>;

    /// Places one order.
    #[method(name = "placeOrder")]
    async fn place_order(&self, order: OrderRequest) -> RpcResult<Ack>;

    /// Places up to 200 orders, in order, with a result for each.
    #[method(name = "placeOrders")]
    async fn place_orders(&self, orders: Vec<OrderRequest>) -> RpcResult<Vec<OrderOutcome>>;

    /// Places up to 1,024 orders of one account under one signature, in order, with a result for each.
    #[method(name = "placeTree")]
    async fn place_tree(&self, tree: TreeRequest) -> RpcResult<TreeAck>;

    /// Cancels one order.
    #[method(name = "cancel")]
    async fn cancel(&self, cancel: CancelRequest) -> RpcResult<Ack>;

    /// Cancels up to 200 orders, with a result for each.
    #[method(name = "cancelOrders")]
    async fn cancel_orders(&self, cancels: Vec<CancelRequest>) -> RpcResult<Vec<OrderOutcome>>;

    /// Cancels every order of an account below a nonce.
    #[method(name = "cancelAll")]
    async fn cancel_all(&self, cancel: CancelAllRequest) -> RpcResult<Ack>;

    /// Places up to 200 orders that go to the book later, in parts, or with instructions, in order, with a result for each.
    #[method(name = "planOrders")]
    async fn plan_orders(&self, orders: Vec<PlanRequest>) -> RpcResult<Vec<OrderOutcome>>;

    /// Lets up to 200 orders take the places of others, in order, with a result for each.
    #[method(name = "replaceOrders")]
    async fn replace_orders(&self, replacements: Vec<ReplaceRequest>) -> RpcResult<Vec<OrderOutcome>>;

    /// Makes up to 200 orders smaller, with a result for each.
    #[method(name = "amendOrders")]
    async fn amend_orders(&self, amendments: Vec<AmendRequest>) -> RpcResult<Vec<OrderOutcome>>;

    /// Cancels every order of a venue, a market or a side.
    #[method(name = "cancelMany")]
    async fn cancel_many(&self, cancel: CancelManyRequest) -> RpcResult<Ack>;

    /// Sets an account's dead-man switch, or takes it back.
    #[method(name = "cancelAfter")]
    async fn cancel_after(&self, switch: CancelAfterRequest) -> RpcResult<Ack>;

    /// What a login on this connection signs.
    #[method(name = "challenge")]
    async fn challenge(&self) -> RpcResult<B256>;

    /// Lets this connection cancel for an account without further signatures. A second login for an account takes the place of the
    /// first.
    #[method(name = "login")]
    async fn login(&self, login: LoginRequest) -> RpcResult<LoggedIn>;

    /// Ends this connection's session for an account and cancels nothing; `true` if there was one.
    #[method(name = "logout")]
    async fn logout(&self, account: AccountId) -> RpcResult<bool>;

    /// The tokens that are left to the client's address, and to an account.
    #[method(name = "budget")]
    async fn budget(&self, account: Option<AccountId>) -> RpcResult<Budget>;

    /// The orders of an account of which something waits outside the books.
    #[method(name = "plannedOrders")]
    async fn planned_orders(&self, account: AccountId) -> RpcResult<Vec<PlannedOrder>>;

    /// Withdraws to the account's owner; the frame's batch pays it out.
    #[method(name = "withdraw")]
    async fn withdraw(&self, withdraw: WithdrawRequest) -> RpcResult<Ack>;

    /// Moves money to another account of the same owner, or to another group. The first transfer to the number of an isolated
    /// account opens it, with the next frame.
    #[method(name = "transfer")]
    async fn transfer(&self, transfer: TransferRequest) -> RpcResult<Ack>;

    /// Asks to take a position of a failing account. It waits for the next frame; the keeper's `xos_subscribeAccount` says what
    /// came of it.
    #[method(name = "liquidate")]
    async fn liquidate(&self, liquidate: LiquidateRequest) -> RpcResult<Ack>;

    /// Asks to buy an asset of an account that owes cash. It waits for the next frame; the keeper's `xos_subscribeAccount` says
    /// what came of it.
    #[method(name = "convert")]
    async fn convert(&self, convert: ConvertRequest) -> RpcResult<Ack>;

    /// A book by price: as it stands, then what changed. Who reads slowly gets it anew. `from` resumes, here as everywhere: it is
    /// the `sequence` of the last message that the reader has, and what came since follows instead of a snapshot.
    #[subscription(name = "subscribeBook" => "bookUpdate", unsubscribe = "unsubscribeBook", item = BookMessage)]
    async fn subscribe_book(&self, market: MarketId, from: Option<Sequence>) -> SubscriptionResult;

    /// A book by order: as it stands, then what became of its orders. Ends with a reason for who reads too slowly.
    #[subscription(name = "subscribeOrders" => "ordersUpdate", unsubscribe = "unsubscribeOrders", item = OrdersMessage)]
    async fn subscribe_orders(&self, market: MarketId, from: Option<Sequence>) -> SubscriptionResult;

    /// The best bid and ask, whenever one changed. Who reads slowly skips to the latest.
    #[subscription(name = "subscribeBbo" => "bboUpdate", unsubscribe = "unsubscribeBbo", item = BboMessage)]
    async fn subscribe_bbo(&self, market: MarketId, from: Option<Sequence>) -> SubscriptionResult;

    /// The trades of one market, or of all.
    #[subscription(name = "subscribeTrades" => "tradesUpdate", unsubscribe = "unsubscribeTrades", item = TradesMessage)]
    async fn subscribe_trades(&self, market: Option<MarketId>, from: Option<Sequence>) -> SubscriptionResult;

    /// The open candle of a market, whenever a trade changed it.
    #[subscription(name = "subscribeCandles" => "candlesUpdate", unsubscribe = "unsubscribeCandles", item = CandlesMessage)]
    async fn subscribe_candles(
        &self,
        market: MarketId,
        interval: Interval,
        from: Option<Sequence>,
    ) -> SubscriptionResult;

    /// Index and mark prices, frame by frame. Who reads slowly skips to the latest.
    #[subscription(name = "subscribePrices" => "pricesUpdate", unsubscribe = "unsubscribePrices", item = PricesMessage)]
    async fn subscribe_prices(&self, from: Option<Sequence>) -> SubscriptionResult;

    /// Funding indices that move.
    #[subscription(name = "subscribeFunding" => "fundingUpdate", unsubscribe = "unsubscribeFunding", item = FundingMessage)]
    async fn subscribe_funding(&self, from: Option<Sequence>) -> SubscriptionResult;

    /// What happens to accounts that fail: flags, liquidations, conversions, takeovers, deleveraging.
    #[subscription(name = "subscribeLiquidations" => "liquidationsUpdate", unsubscribe = "unsubscribeLiquidations", item = LiquidationsMessage)]
    async fn subscribe_liquidations(&self, from: Option<Sequence>) -> SubscriptionResult;

    /// All that concerns an account, up to the settlement of its batches. It needs no key, so it is a drop copy for whoever keeps
    /// one.
    #[subscription(name = "subscribeAccount" => "accountUpdate", unsubscribe = "unsubscribeAccount", item = AccountMessage)]
    async fn subscribe_account(&self, account: AccountId, from: Option<Sequence>) -> SubscriptionResult;

    /// What is listed, in which phase, and when its next session opens or closes; then whatever of that changes.
    #[subscription(name = "subscribeMarkets" => "marketsUpdate", unsubscribe = "unsubscribeMarkets", item = MarketsMessage)]
    async fn subscribe_markets(&self, from: Option<Sequence>) -> SubscriptionResult;
}
