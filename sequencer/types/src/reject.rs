//! Why the engine refused a command: what was wrong and what was expected, as data.

use alloy_primitives::Address;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::order::OrderKind;
use crate::units::{
    AccountId, Atoms, BuilderId, EventId, FeedId, Lots, MarketId, Nonce, Position, Ppm, Ticks, TimeMs, VenueId,
};

/// A refusal changes nothing: no state, and no nonce is spent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Reject {
    /// No such account.
    #[error("account {account} does not exist (a deposit through the contract opens one, a transfer an isolated one)")]
    UnknownAccount {
        /// The number that was given.
        account: AccountId,
    },
    /// The signature is somebody else's.
    #[error("signed by {recovered}, but only {expected} may act for account {account}")]
    NotAuthorized {
        /// The account to be acted for.
        account: AccountId,
        /// Who signed.
        recovered: Address,
        /// Who would have to.
        expected: Address,
    },
    /// No such market.
    #[error("market {market} does not exist")]
    UnknownMarket {
        /// The number that was given.
        market: MarketId,
    },
    /// The event is decided.
    #[error("event {event} is resolved; its markets no longer trade")]
    MarketClosed {
        /// The market that was given.
        market: MarketId,
        /// Its event.
        event: EventId,
    },
    /// Nothing trades for now.
    #[error("event {event} is halted; its orders can be cancelled, and it may open again")]
    MarketHalted {
        /// The market that was given.
        market: MarketId,
        /// Its event.
        event: EventId,
    },
    /// The market is closed for now, by its trading hours.
    #[error("market {market} is outside its trading hours; its orders can be cancelled")]
    OutsideHours {
        /// The market that was given.
        market: MarketId,
    },
    /// The market has not opened yet.
    #[error("market {market} takes no orders yet; wait until it opens")]
    MarketPending {
        /// The market that was given.
        market: MarketId,
    },
    /// The market takes orders that rest, and nothing trades yet.
    #[error("market {market} takes only post-only orders until it opens")]
    OnlyPostOnly {
        /// The market that was given.
        market: MarketId,
    },
    /// Orders wait for the market's next call auction.
    #[error(
        "market {market} is in a call auction, for which orders wait; immediate-or-cancel and fill-or-kill do not, so send a          good-till-cancelled order, with an expiry if it must not wait long"
    )]
    OnlyWaiting {
        /// The market that was given.
        market: MarketId,
    },
    /// The market takes no new risk, or none of this account.
    #[error(
        "market {market} only lets this account reduce its position of {position} lots ({why}); orders may sell or buy back \
         {reducible} more"
    )]
    OnlyReducing {
        /// The market that was given.
        market: MarketId,
        /// What the account holds there.
        position: Position,
        /// How many lots an order of the reducing side may have.
        reducible: Lots,
        /// Why.
        why: Restriction,
    },
    /// The market's open interest is at its cap.
    #[error("market {market} has {open} lots open; its cap of {cap} leaves no room for all of this order")]
    OpenInterestCap {
        /// The market that was given.
        market: MarketId,
        /// Lots open.
        open: Lots,
        /// The cap.
        cap: Lots,
    },
    /// The price is not one of the market's.
    #[error("price {price} is outside 1 to {highest} ticks; the nearest valid price is {nearest}")]
    BadPrice {
        /// The price that was given.
        price: Ticks,
        /// The highest valid price.
        highest: Ticks,
        /// The valid price nearest to the one given.
        nearest: Ticks,
    },
    /// The size is zero or too large.
    #[error("size {size} is outside 1 to {largest} lots")]
    BadSize {
        /// The size that was given.
        size: Lots,
        /// The largest valid size.
        largest: Lots,
    },
    /// The nonce was used, or lies below the account's floor.
    #[error("nonce {nonce} is spent; the lowest never used above every used one is {next}")]
    NonceSpent {
        /// The nonce that was given.
        nonce: Nonce,
        /// A nonce that is free.
        next: Nonce,
    },
    /// It expired before it arrived.
    #[error("expired at {expiry}; the frame's time is {time}")]
    Expired {
        /// The expiry that was given.
        expiry: TimeMs,
        /// The frame's time.
        time: TimeMs,
    },
    /// The trader allows less than the venue charges.
    #[error("max fee {max_fee} ppm is below the venue's {required} ppm")]
    FeeTooLow {
        /// What the order allows.
        max_fee: Ppm,
        /// What it must allow.
        required: Ppm,
    },
    /// Nobody is registered as that builder, or a builder's fee names nobody.
    #[error("builder {builder} is not registered; leave builder and builder fee unset, or name one that is")]
    UnknownBuilder {
        /// The number that was given.
        builder: BuilderId,
    },
    /// The builder would be paid more than one may be.
    #[error("builder fee {builder_fee} ppm is above {highest} ppm")]
    BuilderFeeTooHigh {
        /// The fee that was given.
        builder_fee: Ppm,
        /// The highest.
        highest: Ppm,
    },
    /// The account would hold more than it may.
    #[error("the account holds, or has orders for, {limit} assets and perpetuals, the most allowed; close one first")]
    TooManyHoldings {
        /// The most allowed.
        limit: u8,
    },
    /// A price that the account's margin depends on is too old or broke a rule.
    #[error("account {account} holds a perpetual whose price is stale: until there is a new one it can only reduce")]
    HoldsStalePrice {
        /// The account that was given.
        account: AccountId,
    },
    /// The account does not have so much of the asset free.
    #[error("needs {required} atoms of the asset; {available} are free")]
    InsufficientAsset {
        /// Atoms that are neither sold nor offered.
        #[serde(with = "crate::Number")]
        available: u128,
        /// What this command needs.
        #[serde(with = "crate::Number")]
        required: u128,
    },
    /// While the insurance fund is negative, what was paid in may leave, and profits wait.
    #[error("profits wait while the insurance fund is negative; {most} atoms may leave")]
    ProfitsWait {
        /// What may leave.
        #[serde(with = "crate::Number")]
        most: u128,
    },
    /// The pool has fewer tokens than the claim.
    #[error("the pool holds {pool} atoms; more cannot leave before others pay what they lost")]
    PoolExhausted {
        /// What the pool holds.
        pool: Atoms,
    },
    /// A transfer inside the group goes to an account of the same owner.
    #[error("account {to} is not of the owner of account {account}; a transfer goes to one's own accounts only")]
    NotSameOwner {
        /// Whose money.
        account: AccountId,
        /// Where it was to go.
        to: AccountId,
    },
    /// What a transfer opens in a frame neither trades nor leaves the group in it: a batch makes transfers last.
    #[error("account {account} opens when this frame is settled; try again in a moment")]
    OpensWithNextFrame {
        /// The isolated account.
        account: AccountId,
    },
    /// The order would leave the account short at its worst case.
    #[error(
        "needs {required} atoms of margin; {available} are free (cash {cash}, worst payoff {worst_payoff}, reserved by orders {reserved})"
    )]
    InsufficientFunds {
        /// Cash of the account.
        cash: Atoms,
        /// Worst payoff of its positions.
        worst_payoff: Atoms,
        /// What its resting orders may still cost.
        reserved: Atoms,
        /// What is free: cash + worst payoff − reserved.
        available: Atoms,
        /// What this command needs.
        required: Atoms,
    },
    /// The position would leave its range.
    #[error("the position in market {market} could exceed {limit} lots")]
    PositionLimit {
        /// Where.
        market: MarketId,
        /// Largest absolute position.
        limit: Lots,
    },
    /// The account has too many orders, resting and waiting.
    #[error("account already has {limit} orders, the most allowed; cancel one first")]
    TooManyOrders {
        /// The most allowed.
        limit: u64,
    },
    /// The account has too many orders that wait.
    #[error("account already has {limit} orders that wait, the most allowed as they hold no margin; cancel one first")]
    TooManyWaiting {
        /// The most allowed.
        limit: u32,
    },
    /// Post-only, but it would have met an order.
    #[error("post-only at {price} would trade against {best}")]
    WouldTrade {
        /// The order's price.
        price: Ticks,
        /// The best opposite price.
        best: Ticks,
    },
    /// Fill-or-kill, but not all of it could fill.
    #[error("fill-or-kill for {size} lots; only {fillable} could fill at that price")]
    NotFillable {
        /// The order's size.
        size: Lots,
        /// What could have filled.
        fillable: Lots,
    },
    /// No such order.
    #[error("account {account} has no order with nonce {nonce}, resting or waiting")]
    UnknownOrder {
        /// Whose.
        account: AccountId,
        /// Which.
        nonce: Nonce,
    },
    /// What rests in a book waits for nothing, so there is no plan of it to change.
    #[error("order {nonce} rests in the book and has no plan; replace it without one")]
    Rests {
        /// Which order.
        nonce: Nonce,
    },
    /// An order at an index price is replaced within its market, as two markets may share what is held there.
    #[error("order {nonce} is one of market {market} and is replaced there only, not by one in market {wanted}")]
    OtherMarket {
        /// Which order.
        nonce: Nonce,
        /// Where it rests.
        market: MarketId,
        /// Where the other one was to rest.
        wanted: MarketId,
    },
    /// An amended order would not become smaller.
    #[error("order {nonce} has {current} lots; an amendment only makes it smaller, and {size} is not")]
    NotSmaller {
        /// Which order.
        nonce: Nonce,
        /// The size that was given.
        size: Lots,
        /// Its size now, counting what has filled.
        current: Lots,
    },
    /// The plan of an order is none.
    #[error("{fault}")]
    BadPlan {
        /// What is wrong with it.
        fault: PlanFault,
    },
    /// The token is not the group's.
    #[error("token {token} is not held here; expected {expected}")]
    UnknownToken {
        /// The token that was given.
        token: Address,
        /// The settlement token.
        expected: Address,
    },
    /// A withdrawal of nothing.
    #[error("the amount must be at least 1 atom")]
    ZeroAmount,
    /// A claim of which the pool covers less than an atom.
    #[error("while losses are shared, {amount} atoms are worth less than one")]
    WorthNothing {
        /// The amount that was given.
        #[serde(with = "crate::Number")]
        amount: u128,
    },
    /// The account went bankrupt.
    #[error("account {account} is closed")]
    AccountClosed {
        /// The number that was given.
        account: AccountId,
    },
    /// As many keepers' requests wait for the next frame as may.
    #[error("{limit} requests of keepers wait for the next frame, the most that may; try again in it")]
    QueueFull {
        /// The most that may.
        limit: u64,
    },
    /// Only positions in perpetuals are liquidated.
    #[error("market {market} is no perpetual")]
    NotPerpetual {
        /// The market that was given.
        market: MarketId,
    },
    /// Nobody rescues its own account.
    #[error("keeper {keeper} and account {account} have one owner; somebody else must do it")]
    SameOwner {
        /// The keeper.
        keeper: AccountId,
        /// The account.
        account: AccountId,
    },
    /// The market is for isolated accounts.
    #[error("market {market} is for isolated accounts, and account {keeper} is not one of them")]
    IsolatedOnly {
        /// The keeper.
        keeper: AccountId,
        /// The market that was given.
        market: MarketId,
    },
    /// Only members of the venue may take new risk there.
    #[error("account {account} is no member of venue {venue}")]
    NotMember {
        /// The account that was given.
        account: AccountId,
        /// The venue.
        venue: VenueId,
    },
    /// There is no such asset or perpetual, or its price is too old, broke a rule, or was never given.
    #[error("feed {feed} has no price that may be relied on")]
    NotPriced {
        /// Which feed.
        feed: FeedId,
    },
    /// There is no such position, or none of it was asked for.
    #[error("there is nothing to take of account {account} in market {market}")]
    NothingToLiquidate {
        /// The account that was given.
        account: AccountId,
        /// The market that was given.
        market: MarketId,
    },
    /// The index price is worse than the keeper wants.
    #[error("the index price is {price}, worse than the keeper's limit of {limit}")]
    KeeperLimit {
        /// The limit that was given: atoms per lot, times 1e9.
        #[serde(with = "crate::Number")]
        limit: u128,
        /// The index price.
        #[serde(with = "crate::Number")]
        price: u128,
    },
    /// The account is healthy.
    #[error("account {account} does not fail: its maintenance health is {maintenance}")]
    NotFailing {
        /// The account that was given.
        account: AccountId,
        /// Its maintenance health.
        maintenance: Atoms,
    },
    /// An account without equity leaves a debt to whoever shares it, so its last position goes to a keeper whole or not at all.
    #[error("account {account} has no equity left: a keeper takes its last position, and all of it")]
    NotWholeLastPosition {
        /// The account that was given.
        account: AccountId,
        /// The market that was given.
        market: MarketId,
    },
    /// The market may not cost others so much.
    #[error("market {market} would have cost others {loss} atoms, more than its cap of {cap}")]
    LossAboveCap {
        /// The market that was given.
        market: MarketId,
        /// What it would have cost.
        #[serde(with = "crate::Number")]
        loss: u128,
        /// The most that it may.
        #[serde(with = "crate::Number")]
        cap: u128,
    },
    /// The keeper could not carry what it would take.
    #[error("keeper {keeper} would be {missing} atoms short with it")]
    KeeperShort {
        /// The keeper.
        keeper: AccountId,
        /// What it would be short of.
        missing: Atoms,
    },
    /// The account owes nothing.
    #[error("account {account} owes nothing: its cash and what counts as such is {usd}")]
    OwesNothing {
        /// The account that was given.
        account: AccountId,
        /// Cash and what counts as such.
        usd: Atoms,
    },
    /// The account has nothing of that asset, or none of it was asked for.
    #[error("account {account} has nothing of asset {asset} to convert")]
    NothingToConvert {
        /// The account that was given.
        account: AccountId,
        /// The asset that was given.
        asset: FeedId,
    },
}

/// Why an account may only reduce its position in a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Restriction {
    /// The market's phase.
    Phase,
    /// The account is no member of the market's venue.
    Membership,
    /// The market is for isolated accounts.
    IsolatedOnly,
    /// The market's index price is too old, broke a rule, or was never given.
    Price,
    /// The order says so itself.
    Order,
}

impl core::fmt::Display for Restriction {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Phase => "the market is in its reduce-only phase",
            Self::Membership => "only members of the venue may take new risk",
            Self::IsolatedOnly => "only isolated accounts may take new risk",
            Self::Price => "the market's index price is stale",
            Self::Order => "the order is reduce-only",
        })
    }
}

/// What is wrong with the plan of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum PlanFault {
    /// An outcome has no index price.
    #[error("market {market} trades an outcome, which has no index price; let the trigger look at the mark price")]
    NoIndex {
        /// The order's market.
        market: MarketId,
    },
    /// The trigger's level is no price of the market.
    #[error("trigger price {price} is outside 1 to {highest} ticks; the nearest valid price is {nearest}")]
    TriggerPrice {
        /// The level that was given.
        price: Ticks,
        /// The highest valid price.
        highest: Ticks,
        /// The valid price nearest to the one given.
        nearest: Ticks,
    },
    /// It is to follow or to exclude itself.
    #[error("order {nonce} names itself; name another order to follow, or to exclude")]
    Itself {
        /// The order.
        nonce: Nonce,
    },
    /// It is to rest or to come in parts, and its kind forbids that.
    #[error(
        "an order signed {kind} ends with the frame it first fills in; sign a TWAP good-till-cancelled, an iceberg that or post-only"
    )]
    EndsAtOnce {
        /// The kind that was signed.
        kind: OrderKind,
    },
    /// An iceberg shows too little or too much.
    #[error("an iceberg of this size shows {smallest} to {largest} lots; {display} are outside")]
    Display {
        /// The part that was given.
        display: Lots,
        /// The smallest part.
        smallest: Lots,
        /// The largest part: all of it.
        largest: Lots,
    },
    /// A TWAP has one slice, or more than lots.
    #[error("{slices} slices are outside 2 to {most}; every slice needs a lot")]
    Slices {
        /// The number that was given.
        slices: u16,
        /// The most for this size.
        most: u16,
    },
    /// Slices come too fast or too slowly.
    #[error("an interval of {interval} ms is outside {shortest} to {longest} ms")]
    Interval {
        /// The interval that was given.
        interval: u32,
        /// The shortest.
        shortest: u32,
        /// The longest.
        longest: u32,
    },
    /// An order excludes one other at most.
    #[error("order {nonce} and order {with} exclude each other already; cancel one of them first")]
    Paired {
        /// The order that was named.
        nonce: Nonce,
        /// The one that it excludes.
        with: Nonce,
    },
}
