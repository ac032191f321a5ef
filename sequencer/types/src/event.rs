//! What comes out of the engine. Books, accounts and histories can be rebuilt from these alone.

use alloy_primitives::Address;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{
    AssetConfig, EventConfig, FeeTier, GroupTerms, Hours, PerpetualConfig, Phase, SignerGrant, SpotConfig, VenueConfig,
};
use crate::frame::Frame;
use crate::instructions::Instructions;
use crate::order::{Order, Side};
use crate::plan::Plan;
use crate::reject::Reject;
use crate::rescue::Counterparty;
use crate::units::{
    AccountId, Atoms, BuilderId, EventId, FeedId, Lots, MarketId, Nonce, Position, Ticks, TimeMs, VenueId,
};

/// One consequence of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// An account exists from now on.
    AccountOpened {
        /// Its number.
        account: AccountId,
        /// Who owns it.
        owner: Address,
    },
    /// A deposit was credited.
    Deposited {
        /// To whom.
        account: AccountId,
        /// How much: what arrived, or while losses are shared the larger claim that it buys.
        amount: Atoms,
    },
    /// An event's markets are open.
    EventOpened {
        /// Its number.
        event: EventId,
        /// Its terms.
        config: EventConfig,
    },
    /// An event is decided; its orders were cancelled and its positions will be redeemed.
    EventResolved {
        /// Which event.
        event: EventId,
        /// Ticks per lot and outcome.
        payouts: Vec<u64>,
    },
    /// Another token than the settlement token arrived for an account.
    AssetDeposited {
        /// To whom.
        account: AccountId,
        /// Which asset.
        asset: FeedId,
        /// How many of its atoms.
        #[serde(with = "crate::Number")]
        amount: u128,
        /// Whether it is the account's; else the account holds too many things already, and its owner may claim it.
        credited: bool,
    },
    /// A token is admitted as an asset, or counts in another way.
    AssetSet {
        /// Its feed.
        feed: FeedId,
        /// Its terms.
        config: AssetConfig,
    },
    /// A spot market is open.
    SpotListed {
        /// Its number.
        market: MarketId,
        /// Its terms.
        config: SpotConfig,
    },
    /// A perpetual is open, or has other terms.
    PerpetualSet {
        /// Its number.
        market: MarketId,
        /// Its feed.
        feed: FeedId,
        /// Its terms.
        config: PerpetualConfig,
    },
    /// A feed has another index price.
    Priced {
        /// Which feed.
        feed: FeedId,
        /// Atoms per lot, times 1e9, as far as the feed's rules let it move.
        #[serde(with = "crate::Number")]
        price: u128,
        /// When it was published.
        published_at: TimeMs,
        /// It broke a rule: until a clean one its market only reduces.
        breached: bool,
    },
    /// A price was left out of the frame: the contract would refuse it.
    PriceLeftOut {
        /// Of which feed.
        feed: FeedId,
    },
    /// A perpetual's funding index moved.
    Funded {
        /// Which perpetual, by its feed.
        feed: FeedId,
        /// What a long lot has paid since the market began, atoms times 1e9.
        #[serde(with = "crate::Number")]
        index: i128,
    },
    /// An account's maintenance health is below zero: its orders are gone and it is open to liquidation.
    Failing {
        /// Which account.
        account: AccountId,
    },
    /// A failing account was flagged: from now on the keepers' time runs.
    Flagged {
        /// Which account.
        account: AccountId,
    },
    /// A keeper's request waits for the next frame's prices.
    RescueQueued {
        /// The keeper.
        keeper: AccountId,
        /// Which of its messages.
        nonce: Nonce,
    },
    /// A keeper's request came to nothing. It is gone, and so is its nonce.
    RescueRefused {
        /// The keeper.
        keeper: AccountId,
        /// Which of its messages.
        nonce: Nonce,
        /// Why.
        reject: Reject,
    },
    /// A keeper took a position, or a part of it, of a failing account.
    Liquidated {
        /// Who fails.
        account: AccountId,
        /// Who took.
        keeper: AccountId,
        /// Which of its messages.
        nonce: Nonce,
        /// In which perpetual.
        market: MarketId,
        /// Signed lots that changed hands.
        size: Position,
        /// What they are worth at index price.
        value: Atoms,
        /// The penalty that the account paid on it.
        charge: Atoms,
        /// The keeper's part of the penalty; the rest is the insurance fund's.
        keeper_part: Atoms,
        /// Asked for through the contract's inbox.
        forced: bool,
    },
    /// A keeper bought an asset of an account that owed cash.
    Converted {
        /// Who owed.
        account: AccountId,
        /// Who bought.
        keeper: AccountId,
        /// Which of its messages.
        nonce: Nonce,
        /// Which asset.
        asset: FeedId,
        /// How many of its atoms.
        #[serde(with = "crate::Number")]
        amount: u128,
        /// For how much cash.
        paid: Atoms,
    },
    /// An owner's close of a position waits for its market's price: at index price less the market's penalty.
    CloseForced {
        /// Whose position.
        account: AccountId,
        /// In which perpetual.
        market: MarketId,
        /// Lots to close.
        size: Lots,
    },
    /// The insurance fund took a position.
    TakenOver {
        /// Whose.
        account: AccountId,
        /// In which perpetual.
        market: MarketId,
        /// Signed lots that changed hands.
        size: Position,
        /// Cash that the account got for them (negative: it paid), funding apart.
        received: Atoms,
    },
    /// Opposite positions closed against one.
    Deleveraged {
        /// Whose.
        account: AccountId,
        /// In which perpetual.
        market: MarketId,
        /// Signed lots that were closed.
        size: Position,
        /// Cash that the account got for them (negative: it paid), funding apart; the others paid it.
        received: Atoms,
        /// Who closed against it, in order.
        others: Vec<Counterparty>,
    },
    /// What was left of an asset, too little for anybody to buy, went to the insurance fund.
    Swept {
        /// Whose.
        account: AccountId,
        /// Which asset.
        asset: FeedId,
        /// How many of its atoms.
        #[serde(with = "crate::Number")]
        amount: u128,
    },
    /// Nothing was left of an account but a debt. It is closed.
    Bankrupt {
        /// Whose.
        account: AccountId,
        /// The debt.
        debt: Atoms,
        /// What the insurance fund paid of it; all accounts share the rest.
        paid: Atoms,
    },
    /// What the insurance fund earned paid losses that all accounts share.
    LossesRepaid {
        /// How much of them.
        amount: Atoms,
    },
    /// While losses are shared, a claim on cash that left was paid in part.
    PaidInPart {
        /// Whose.
        account: AccountId,
        /// What left the account.
        claim: Atoms,
        /// What was paid for it.
        paid: Atoms,
    },
    /// An account's position in a delisted perpetual was paid at its last price.
    Closed {
        /// Whose.
        account: AccountId,
        /// Which perpetual.
        market: MarketId,
        /// Cash credited (negative: debited), funding apart.
        amount: Atoms,
    },
    /// Positions in a resolved event were paid.
    Redeemed {
        /// Whose.
        account: AccountId,
        /// In which event.
        event: EventId,
        /// Cash credited (negative: debited).
        amount: Atoms,
    },
    /// The order passed every check. Fills and, if some of it rests, `Rested` follow.
    Accepted {
        /// The order.
        order: Order,
    },
    /// A planned order was taken. It waits, unless `Released` follows.
    Planned {
        /// The order.
        order: Order,
        /// How to go about it.
        instructions: Instructions,
        /// When, and in which parts.
        plan: Plan,
    },
    /// The price that an order waited for has come.
    Triggered {
        /// Whose order.
        account: AccountId,
        /// Which order.
        nonce: Nonce,
    },
    /// A part of a planned order goes to the book, as if it had just arrived. Fills and, if it rests, `Rested` follow; what a
    /// slice of a TWAP does not fill waits for the next one.
    Released {
        /// Whose order.
        account: AccountId,
        /// Which order.
        nonce: Nonce,
        /// How much of it.
        size: Lots,
    },
    /// A part of a planned order should have gone to the book and could not. A slice is caught up later; any other order is
    /// cancelled.
    Refused {
        /// Whose order.
        account: AccountId,
        /// Which order.
        nonce: Nonce,
        /// How much of it.
        size: Lots,
        /// Why.
        reject: Reject,
    },
    /// The book shows the next part of an iceberg, behind all others at its price.
    Refilled {
        /// Whose order.
        account: AccountId,
        /// Which order.
        nonce: Nonce,
        /// Where.
        market: MarketId,
        /// On which side.
        side: Side,
        /// At which price.
        price: Ticks,
        /// How much the book shows of it.
        shown: Lots,
    },
    /// Two orders met.
    Filled(Fill),
    /// A call auction found its price; what fills at it follows.
    AuctionHeld {
        /// Where.
        market: MarketId,
        /// The price of all of it.
        price: Ticks,
        /// Lots that bids would buy at it.
        #[serde(with = "crate::Number")]
        demand: u128,
        /// Lots that asks would sell at it; the lesser of the two trades.
        #[serde(with = "crate::Number")]
        supply: u128,
    },
    /// Two orders met in a call auction.
    AuctionFilled(AuctionFill),
    /// What remains of the order waits in the book.
    Rested {
        /// Whose order.
        account: AccountId,
        /// Which order.
        nonce: Nonce,
        /// Where.
        market: MarketId,
        /// On which side.
        side: Side,
        /// At which price.
        price: Ticks,
        /// How much of it.
        remaining: Lots,
    },
    /// The rest of an accepted order is gone.
    Cancelled {
        /// Whose order.
        account: AccountId,
        /// Which order.
        nonce: Nonce,
        /// Where.
        market: MarketId,
        /// On which side it stood.
        side: Side,
        /// At which price it stood.
        price: Ticks,
        /// How much was taken away.
        remaining: Lots,
        /// Why.
        reason: CancelReason,
    },
    /// An order became smaller and stays where it is.
    Reduced {
        /// Whose order.
        account: AccountId,
        /// Which order.
        nonce: Nonce,
        /// Where.
        market: MarketId,
        /// On which side.
        side: Side,
        /// At which price.
        price: Ticks,
        /// By how much.
        by: Lots,
        /// How much of it is left.
        remaining: Lots,
        /// Why.
        reason: CancelReason,
    },
    /// The account's dead-man switch was set, or with 0 taken back.
    CancelAfterSet {
        /// Whose.
        account: AccountId,
        /// When all its orders will be cancelled.
        time: TimeMs,
    },
    /// The account's nonce floor rose.
    FloorRaised {
        /// Whose.
        account: AccountId,
        /// Nonces below it are spent.
        floor: Nonce,
    },
    /// Money left the account; the frame's batch pays it out.
    Withdrawn {
        /// From whom.
        account: AccountId,
        /// How much.
        amount: Atoms,
        /// Asked for through the contract's inbox.
        forced: bool,
    },
    /// An asset left an account; the frame's batch pays it out.
    AssetWithdrawn {
        /// From whom.
        account: AccountId,
        /// Which asset.
        asset: FeedId,
        /// How many of its atoms.
        #[serde(with = "crate::Number")]
        amount: u128,
        /// Asked for through the contract's inbox.
        forced: bool,
    },
    /// Money or an asset went to another account of the same owner.
    Transferred {
        /// From whom.
        account: AccountId,
        /// To whom.
        to: AccountId,
        /// Which asset; 0 for cash.
        asset: FeedId,
        /// How many atoms.
        #[serde(with = "crate::Number")]
        amount: u128,
    },
    /// A key may act for an account, or what it may has changed.
    SignerSet {
        /// Whose account.
        account: AccountId,
        /// The key and its scope.
        grant: SignerGrant,
    },
    /// An account's membership of a venue has changed.
    MembershipSet {
        /// Which account.
        account: AccountId,
        /// Of which venue.
        venue: VenueId,
        /// The last millisecond of it.
        until: TimeMs,
    },
    /// An account has a referrer.
    ReferrerSet {
        /// Which account.
        account: AccountId,
        /// Who referred it.
        referrer: BuilderId,
    },
    /// A builder's fees go to an account.
    BuilderSet {
        /// The builder.
        builder: BuilderId,
        /// Where its fees go.
        account: AccountId,
    },
    /// A venue shares its fees like this from now on.
    VenueSet {
        /// Which venue.
        venue: VenueId,
        /// Where its fees go.
        config: VenueConfig,
    },
    /// A venue's tiers are these from now on.
    FeeTiersSet {
        /// Which venue.
        venue: VenueId,
        /// Its tiers, lowest first.
        tiers: Vec<FeeTier>,
    },
    /// A listing is in another phase.
    PhaseSet {
        /// Which listing: an event, or the number of a spot or perpetual market.
        event: EventId,
        /// The phase.
        phase: Phase,
    },
    /// A listing trades at other times.
    HoursSet {
        /// Which listing.
        event: EventId,
        /// When it trades.
        hours: Hours,
    },
    /// A listing's session has begun or ended, by its hours. Its orders stay where they are.
    SessionTurned {
        /// Which listing.
        event: EventId,
        /// Whether it trades from now on, as far as its phase lets it.
        open: bool,
    },
    /// The group's terms changed.
    TermsSet(GroupTerms),
    /// Fees of the frame that was just sealed became cash.
    FeesPaid {
        /// To whom.
        account: AccountId,
        /// How much.
        amount: Atoms,
    },
    /// The command changed nothing.
    Rejected {
        /// Whose command.
        account: AccountId,
        /// Its nonce (for `CancelAll` the floor it asked for).
        nonce: Nonce,
        /// Why.
        reject: Reject,
    },
    /// A frame was sealed and is ready to be settled.
    FrameSealed(Box<Frame>),
}

/// A trade between a resting order and an arriving one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// Where.
    pub market: MarketId,
    /// At the resting order's price.
    pub price: Ticks,
    /// How much.
    pub size: Lots,
    /// Side of the arriving order.
    pub taker_side: Side,
    /// Owner of the resting order.
    pub maker: AccountId,
    /// The resting order.
    pub maker_nonce: Nonce,
    /// What the maker paid; negative for a rebate.
    pub maker_fee: Atoms,
    /// Lots of the resting order that still rest, shown or not.
    pub maker_remaining: Lots,
    /// Owner of the arriving order.
    pub taker: AccountId,
    /// The arriving order.
    pub taker_nonce: Nonce,
    /// What the taker paid.
    pub taker_fee: Atoms,
}

/// A trade between two resting orders of which neither took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuctionFill {
    /// Where.
    pub market: MarketId,
    /// The auction's one price.
    pub price: Ticks,
    /// How much.
    pub size: Lots,
    /// Who bought.
    pub buyer: AuctionParty,
    /// Who sold.
    pub seller: AuctionParty,
}

/// One side of a trade in a call auction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuctionParty {
    /// Owner of the order.
    pub account: AccountId,
    /// The order.
    pub nonce: Nonce,
    /// What it paid: the fee of an order that makes, and never a rebate, which somebody who takes would have to pay.
    pub fee: Atoms,
    /// The price at which it stands.
    pub limit: Ticks,
    /// Lots of it that still rest.
    pub remaining: Lots,
}

/// Why the rest of an order went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// Its owner cancelled it, or made it smaller.
    Requested,
    /// Another order took its place.
    Replaced,
    /// Its account's dead-man switch fired.
    DeadMan,
    /// Its owner raised the nonce floor above it.
    BelowFloor,
    /// Its time was up.
    Expired,
    /// Immediate-or-cancel: the rest found no counterpart.
    Immediate,
    /// It met as many resting orders as one command may.
    MatchLimit,
    /// Its event was resolved.
    EventResolved,
    /// It met an order of its own account.
    SelfTrade,
    /// A forced withdrawal frees everything that orders reserved.
    ForcedWithdrawal,
    /// A match would have taken the market above its cap on open interest.
    OpenInterestCap,
    /// Only smaller positions are allowed now, by the market's phase or for want of a membership, and it could have made
    /// one larger.
    OnlyReducing,
    /// The key that signed it may no longer trade it.
    SignerRevoked,
    /// Its account can no longer carry it at the prices of the frame.
    Margin,
    /// Its market has other terms.
    TermsChanged,
    /// Its market was delisted.
    Delisted,
    /// An order that it excludes has filled, or the price of that one came.
    OneCancelsOther,
    /// The order that it was to follow has ended, and it is of more lots than that one filled.
    NothingToFollow,
    /// The price of an order that was to follow it came: what that one is to close grows no more.
    Followed,
    /// When it should have gone to the book it was refused.
    Refused,
}
