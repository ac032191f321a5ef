//! Units, orders, commands and events: the vocabulary that every other crate shares.
//!
//! A quantity is a newtype and only meaningful arithmetic compiles. What crosses a boundary (the journal, the chain, the
//! RPC) is one of the types below; nothing here does I/O or knows the time.

mod bytes;
mod command;
mod config;
mod decode;
mod event;
mod frame;
mod instructions;
mod logged;
mod number;
mod order;
mod plan;
mod precedence;
mod reject;
mod rescue;
mod schema;
mod session;
mod tree;
mod units;

pub use command::{Command, InboxItem, InboxPayload, PriceUpdate};
pub use config::{
    AssetConfig, EventConfig, FeeTier, FeedConfig, GroupConfig, GroupTerms, Hours, MarketKind, PerpetualConfig, Phase,
    SignerGrant, SpotConfig, TradingTerms, VenueConfig,
};
pub use event::{AuctionFill, AuctionParty, CancelReason, Event, Fill};
pub use frame::{FillLine, Frame, FundingUpdate, Redemption};
pub use instructions::{Crossing, Instructions, SelfTrade};
pub use logged::Logged;
pub use number::Number;
pub use order::{
    Amend, Cancel, CancelAfter, CancelAll, CancelMany, Convert, Liquidate, Order, OrderKind, OrderTree, Side, Sides,
    Signature, Signed, Transfer, Withdraw,
};
pub use plan::{Pace, Plan, Trigger, TriggerSource, TriggerWhen};
pub use precedence::{Precedence, WindowOrder};
pub use reject::{PlanFault, Reject, Restriction};
pub use rescue::{Counterparty, Rescue};
pub use schema::Hex;
pub use session::{Act, Scope, Session};
pub use tree::{SignedTree, TreeId, UnfitTree};
pub use units::{
    AccountId, Atoms, BuilderId, EventId, FeedId, Hash, Lots, MarketId, Nonce, Position, Ppm, Rate, Ticks, TimeMs,
    VenueId,
};

pub use alloy_primitives::{Address, B256, U256};
