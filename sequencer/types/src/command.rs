//! What goes into the engine: everything that happens, in one order. The journal is a list of these.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use crate::config::{
    AssetConfig, EventConfig, FeeTier, GroupTerms, Hours, PerpetualConfig, Phase, SignerGrant, SpotConfig, VenueConfig,
};
use crate::instructions::Instructions;
use crate::order::{
    Amend, Cancel, CancelAfter, CancelAll, CancelMany, Convert, Liquidate, Order, Signed, Transfer, Withdraw,
};
use crate::plan::{Pace, Plan, Trigger};
use crate::session::{Act, Session};
use crate::tree::SignedTree;
use crate::units::{AccountId, BuilderId, EventId, FeedId, MarketId, Nonce, TimeMs, VenueId};

/// One step of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// A signed order.
    Place {
        /// The order.
        order: Signed<Order>,
        /// How to go about it.
        instructions: Instructions,
    },
    /// A signed order that takes the place of another one of its account, in the book or in what that one waits for. Both happen
    /// or neither: if the order is refused, the other stays where it was.
    Replace {
        /// The order that leaves. Unless both are of outcome markets and it rests, it is of the arriving order's market; elsewhere
        /// it is unknown.
        nonce: Nonce,
        /// The order that arrives, judged as if the other were gone.
        order: Signed<Order>,
        /// How to go about it.
        instructions: Instructions,
    },
    /// A signed cancellation of one order.
    Cancel(Signed<Cancel>),
    /// A signed wish for a smaller order.
    Amend(Signed<Amend>),
    /// A signed cancellation of every order below a nonce.
    CancelAll(Signed<CancelAll>),
    /// A signed cancellation of every order of a venue, a market or a side.
    CancelMany(Signed<CancelMany>),
    /// A signed dead-man switch.
    CancelAfter(Signed<CancelAfter>),
    /// A signed withdrawal.
    Withdraw(Signed<Withdraw>),
    /// A signed transfer to another account.
    Transfer(Signed<Transfer>),
    /// A keeper's signed wish to take a position of a failing account; it waits for the next frame.
    Liquidate(Signed<Liquidate>),
    /// A keeper's signed wish to buy an asset of an account that owes cash; it waits for the next frame.
    Convert(Signed<Convert>),
    /// An ingress window begins: until the next one commands stand in order of their [`Precedence`](crate::Precedence), so that whoever reads the
    /// log sees that nobody was let in before a maker who withdrew in the same window. It changes nothing else.
    Window {
        /// When it began, by the sequencer's clock.
        time: TimeMs,
    },
    /// Seals the open frame and opens the next one at `time`, beginning with these inbox items.
    Frame {
        /// Time of the frame that opens.
        time: TimeMs,
        /// The inbox items that it consumes first, in inbox order.
        inbox: Vec<InboxItem>,
        /// Index prices for its time, as their sources will verify them.
        prices: Vec<PriceUpdate>,
    },
    /// A signed order that goes to the book later, or in parts.
    Plan {
        /// The order.
        order: Signed<Order>,
        /// How to go about it.
        instructions: Instructions,
        /// When, and in which parts.
        plan: Plan,
    },
    /// A signed order that takes the place of a waiting one of its account: it follows and excludes what that one did, and those
    /// that followed that one follow it. It waits for another price, or goes in other parts. Both happen or neither.
    Replan {
        /// The order that leaves; it waits in the arriving order's market.
        nonce: Nonce,
        /// The order that arrives.
        order: Signed<Order>,
        /// How to go about it.
        instructions: Instructions,
        /// The price that it waits for, if any.
        trigger: Option<Trigger>,
        /// In which parts it goes.
        pace: Pace,
    },
    /// Orders under one signature, placed one after the other as if each had come alone; one that is refused hinders no other.
    /// Only the gas that their matches may add to the frame is that of one order.
    PlaceTree {
        /// The orders.
        tree: SignedTree,
        /// Orders that leave: the tree's first order takes the place of the first of them, and so on. Those that are left are placed
        /// beside what rests.
        replaces: Box<[Nonce]>,
        /// How to go about each.
        instructions: Instructions,
    },
    /// What a connection does for an account that logged it in, with the login, so that it can be judged without knowing of any other
    /// command.
    InSession {
        /// Who allowed it, and for how long.
        login: Signed<Session>,
        /// What is done.
        act: Act,
    },
}

impl Command {
    /// An order that comes without instructions.
    #[must_use]
    pub fn place(order: Signed<Order>) -> Self {
        Self::Place { order, instructions: Instructions::default() }
    }

    /// Whether it brings an order, and with it risk.
    #[must_use]
    pub fn is_order(&self) -> bool {
        matches!(
            self,
            Self::Place { .. }
                | Self::Replace { .. }
                | Self::Plan { .. }
                | Self::Replan { .. }
                | Self::PlaceTree { .. }
        )
    }

    /// How many commands it counts for where their number is bounded.
    #[must_use]
    pub fn count(&self) -> usize {
        if let Self::PlaceTree { tree, .. } = self { tree.orders().len() } else { 1 }
    }

    /// Says who signed it; nobody signs a frame.
    pub fn set_signer(&mut self, signer: Address) {
        match self {
            Self::Place { order, .. }
            | Self::Replace { order, .. }
            | Self::Plan { order, .. }
            | Self::Replan { order, .. } => order.signer = signer,
            Self::PlaceTree { tree, .. } => tree.signer = signer,
            Self::Cancel(signed) => signed.signer = signer,
            Self::Amend(signed) => signed.signer = signer,
            Self::CancelAll(signed) => signed.signer = signer,
            Self::CancelMany(signed) => signed.signer = signer,
            Self::CancelAfter(signed) => signed.signer = signer,
            Self::Withdraw(signed) => signed.signer = signer,
            Self::Transfer(signed) => signed.signer = signer,
            Self::Liquidate(signed) => signed.signer = signer,
            Self::Convert(signed) => signed.signer = signer,
            Self::InSession { login, .. } => login.signer = signer,
            Self::Window { .. } | Self::Frame { .. } => {}
        }
    }

    /// The account that it is for and who signed it; nobody signs a frame.
    #[must_use]
    pub fn signer(&self) -> Option<(AccountId, Address)> {
        match self {
            Self::Place { order, .. }
            | Self::Replace { order, .. }
            | Self::Plan { order, .. }
            | Self::Replan { order, .. } => Some((order.message.account, order.signer)),
            Self::PlaceTree { tree, .. } => Some((tree.account(), tree.signer)),
            Self::Cancel(signed) => Some((signed.message.account, signed.signer)),
            Self::Amend(signed) => Some((signed.message.account, signed.signer)),
            Self::CancelAll(signed) => Some((signed.message.account, signed.signer)),
            Self::CancelMany(signed) => Some((signed.message.account, signed.signer)),
            Self::CancelAfter(signed) => Some((signed.message.account, signed.signer)),
            Self::Withdraw(signed) => Some((signed.message.account, signed.signer)),
            Self::Transfer(signed) => Some((signed.message.account, signed.signer)),
            Self::Liquidate(signed) => Some((signed.message.keeper, signed.signer)),
            Self::Convert(signed) => Some((signed.message.keeper, signed.signer)),
            Self::InSession { login, .. } => Some((login.message.account, login.signer)),
            Self::Window { .. } | Self::Frame { .. } => None,
        }
    }
}

/// What a feed's price source says for a frame's time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceUpdate {
    /// Which feed.
    pub feed: FeedId,
    /// Dollars with 18 decimals.
    #[serde(with = "crate::Number")]
    pub answer: u128,
    /// When the source published it.
    pub published_at: TimeMs,
    /// What the source needs to verify it on chain.
    pub proof: Vec<u8>,
}

/// One item of the group contract's inbox, as queued on chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxItem {
    /// Position in the inbox, from 0.
    pub index: u64,
    /// Block time at which it was queued.
    pub time: TimeMs,
    /// What it says.
    pub payload: InboxPayload,
}

/// What the chain tells the sequencer. Each variant is a kind of the contract's `InboxKind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InboxPayload {
    /// Tokens arrived for an account; the first deposit opens it.
    Deposit {
        /// Credited account.
        account: AccountId,
        /// Its owner.
        owner: Address,
        /// The token that arrived.
        token: Address,
        /// Atoms that arrived.
        amount: u128,
    },
    /// An event with a market per outcome.
    EventOpened {
        /// Its number.
        event: EventId,
        /// Its terms.
        config: EventConfig,
    },
    /// An event is decided.
    EventResolved {
        /// Which event.
        event: EventId,
        /// What a lot of each outcome pays, in ticks.
        payouts: Vec<u64>,
    },
    /// An owner asked the contract for money.
    ForcedWithdrawal {
        /// Whose money.
        account: AccountId,
        /// Which token.
        token: Address,
        /// At most this many atoms.
        amount: u128,
    },
    /// An owner spent every nonce below one.
    CancelAll {
        /// Whose nonces.
        account: AccountId,
        /// The lowest that is still good.
        floor: Nonce,
    },
    /// An owner asked for a position in a perpetual to be closed.
    ForcedClose {
        /// Whose position.
        account: AccountId,
        /// Which perpetual.
        market: MarketId,
    },
    /// A keeper asked for a liquidation by transaction.
    ForcedLiquidation(Liquidate),
    /// An owner let a key act for an account, or changed or revoked what it may.
    SignerSet {
        /// Whose account.
        account: AccountId,
        /// The key and its scope.
        grant: SignerGrant,
    },
    /// An account is a member of a venue until a date.
    MembershipSet {
        /// Which account.
        account: AccountId,
        /// Of which venue.
        venue: VenueId,
        /// The last millisecond of it; 0 ends it.
        until: TimeMs,
    },
    /// An owner named who referred the account.
    ReferrerSet {
        /// Which account.
        account: AccountId,
        /// Who referred it.
        referrer: BuilderId,
    },
    /// An account is paid what a builder or referrer earns.
    BuilderSet {
        /// The builder.
        builder: BuilderId,
        /// Where its fees go.
        account: AccountId,
    },
    /// A venue opened, or shares its fees in another way.
    VenueSet {
        /// Which venue.
        venue: VenueId,
        /// Where its fees go.
        config: VenueConfig,
    },
    /// A market's listing moved to another phase.
    PhaseSet {
        /// The first market of its event.
        market: MarketId,
        /// The phase.
        phase: Phase,
    },
    /// A market trades at other times.
    HoursSet {
        /// The first market of its event.
        market: MarketId,
        /// When it trades.
        hours: Hours,
    },
    /// The group's terms changed.
    TermsSet(GroupTerms),
    /// A token is admitted as an asset, or counts in another way.
    AssetSet {
        /// Its feed.
        feed: FeedId,
        /// Its terms.
        config: AssetConfig,
    },
    /// A spot market opened.
    SpotListed {
        /// Its number.
        market: MarketId,
        /// Its terms.
        config: SpotConfig,
    },
    /// A perpetual opened, or has other terms.
    PerpetualSet {
        /// Its number.
        market: MarketId,
        /// Its feed.
        feed: FeedId,
        /// Its terms.
        config: PerpetualConfig,
    },
    /// A venue charges less of those who trade much.
    FeeTiersSet {
        /// Which venue.
        venue: VenueId,
        /// Its tiers, lowest first; none ends all discounts.
        tiers: Vec<FeeTier>,
    },
}
