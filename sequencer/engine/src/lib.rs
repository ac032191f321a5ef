//! The deterministic exchange core: `(state, command) → (state', events)`.
//!
//! No clock, randomness, I/O, floating point, threads or unordered maps (`clippy.toml` refuses them): time and money come
//! in as commands, and the same log gives the same [`Engine::state_hash`] on every machine, for ever.
//!
//! Where to read what: [`Engine`] takes a command apart; `place` lets an order in, `check` says whether it may, `matching`
//! whom it meets, `quiet` is the short way of those that meet nobody, `trees` places many under one signature; `cancels` takes orders away, `auction` clears what waits for one price; `plans` keeps what waits for a
//! price, a time or another order, `planned` takes it in, `replan` lets one take another's place, `triggers` finds by price and
//! `releases` lets it into the books, `follow` says what a fill or an end of one order does
//! to others, `reducing` keeps reduce-only orders within what there is to reduce; `orders` keeps what rests, in
//! [`xos_book`]'s price-time order; `accounts` finds an account by its number and `owners` those of an owner, `isolated` opens those for one market;
//! `account` and `margin` hold cash, positions and what resting orders may still cost, in lists that `packed` keeps small;
//! `feeds` takes prices and funding, `holdings` is what has a price, `perpetual` a position in one, `holders` who has any, `health` what the contract will say of an account,
//! `watch` who needs a closer look; `rescue` says what happens to accounts that fail and in which order, `keepers` and
//! `exits` who takes what they hold, `handover` how it changes hands, `forced` offers closes that owners force in the books, `losses` what all share; `departures` is what leaves;
//! `log` numbers and hashes what came in, `ahead` fetches what the next commands will touch; `fees` rounds, `tiers` lowers what those pay who trade much and `shares` says
//! who gets them; `frame` nets fills into what one batch settles; `inbox` applies what the chain said; `rights` knows who
//! may act and who may only reduce, `sessions` what a connection does without signatures; `views` answers questions, `depth` rebuilds books from events, `digest` walks the state
//! for its hash and for the `snapshot` that an engine can start from.
//!
//! A trader's command never panics the engine: it is applied or rejected with a reason. What the contract or the node
//! guarantees (a gapless inbox, valid event terms) is asserted, because going on with a broken premise loses money.
#![deny(clippy::disallowed_types, clippy::disallowed_methods, clippy::float_arithmetic)]

mod account;
mod accounts;
mod ahead;
mod auction;
mod cancels;
mod check;
mod departures;
mod depth;
mod digest;
mod distinct;
mod engine;
mod exits;
mod feeds;
mod fees;
mod follow;
mod forced;
mod frame;
mod gas;
mod handover;
mod health;
mod holders;
mod holdings;
mod inbox;
mod indexed;
mod invariants;
mod isolated;
mod keepers;
pub mod limits;
mod listed;
mod log;
mod losses;
mod margin;
mod margin_view;
mod margins;
mod matching;
mod nonces;
mod orders;
mod owners;
mod packed;
mod perpetual;
mod place;
mod planned;
mod plans;
mod preview;
mod principal;
mod quiet;
mod reducing;
mod releases;
mod replan;
mod rescue;
mod rights;
mod room;
mod sessions;
mod shares;
mod snapshot;
mod terms;
mod tiers;
mod trees;
mod triggers;
mod views;
mod watch;
mod wide;

pub use ahead::Lookout;
pub use depth::{Delta, Depth, Shown};
pub use engine::Engine;
pub use gas::{AUCTION_GAS_PER_FRAME, INBOX_GAS_PER_FRAME, REDEMPTION_GAS_PER_FRAME, RESCUE_GAS_PER_FRAME};
pub use health::Health;
pub use indexed::{IndexMarketView, Traded};
pub use listed::ListingView;
pub use log::{HashBlocks, hash_block};
pub use margin_view::{MarginView, PositionMargin};
pub use preview::Preview;
pub use snapshot::SnapshotError;
pub use tiers::TradedView;
pub use views::{
    AccountView, BookLevel, BookView, EventStatus, EventView, FeedView, HoldingView, LimitsView, OrderView,
    PlannedView, WaitsFor,
};
