//! The public JSON-RPC: methods, wire types and error codes, for servers and clients; and binary order entry, which says the
//! same in fewer bytes.
//!
//! Numbers of 64 bits and more travel as decimal strings (a JSON number is accepted too), hashes, addresses and
//! signatures as `0x…`. Prices are ticks and sizes are lots, as signed; [`MarketInfo`] says what they mean in decimals.

mod codes;
mod entry;
mod error;
mod feeds;
mod history;
mod indexed;
mod margin;
pub mod people;
mod prices;
mod rpc;
mod session;
mod trading;
mod tree;
mod venues;
mod wire;

pub use codes::{Code, Data, Explained, Field};
pub use entry::{
    BY_SESSION, Entry, EntryAnswer, EntryError, EntryPromise, EntryRequest, EntryResult, are_alike, tag_of,
};
pub use error::ApiError;
pub use feeds::{
    AccountMessage, BboMessage, BookCopy, BookMessage, CHECKSUM_LEVELS, CandlesMessage, Cause, FundingInfo,
    FundingMessage, LiquidationsMessage, ListingInfo, MarketEvent, MarketsMessage, NotTheBook, OrderChange, OrderName,
    OrdersCopy, OrdersMessage, PriceInfo, PricesMessage, PublicOrder, Sequence, Session, Trade, TradesMessage,
    book_checksum,
};
pub use history::{
    Before, Candle, FillRecord, FundingRecord, Interval, LiquidationKind, LiquidationRecord, LiquidationRole,
    OrderRecord, OrderState, Role, TransferKind, TransferRecord,
};
pub use indexed::{AssetTerms, HoldingInfo, IndexKind, IndexMarketInfo, PerpetualTerms, SourceTerms};
pub use margin::{LiquidationPrice, MarginInfo, PositionMarginInfo, TrialInfo, TrialRequest};
pub use prices::{PriceReport, PriceReporterClient, PriceReporterServer};
pub use rpc::{XosApiClient, XosApiServer};
pub use session::{Budget, LoggedIn, LoginRequest};
pub use trading::{
    AmendRequest, CancelAfterRequest, CancelManyRequest, PlanRequest, PlannedOrder, ReplaceRequest, Wait, WaitsFor,
};
pub use tree::{Placed, TreeAck, TreeOrder, TreeOutcome, TreeRequest};
pub use venues::{FeeTierInfo, TradedInfo, VenueInfo};
pub use wire::{
    AccountInfo, AccountLimits, Ack, BatchInfo, BookInfo, CancelAllRequest, CancelRequest, CommandSettlement,
    ConvertRequest, EventInfo, EventStatus, FillInfo, FrameInfo, Info, Level, LiquidateRequest, MarketInfo, OpenOrder,
    OrderInfo, OrderOutcome, OrderRequest, OrderStatus, PositionInfo, Receipt, SettlementInfo, SettlementStage,
    StateHash, TradeInfo, TransferRequest, Used, WithdrawRequest,
};
