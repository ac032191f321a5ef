//! What goes into the engine: everything that happens, in one order. The journal is a list of these.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use crate::config::EventConfig;
use crate::order::{Cancel, CancelAll, Order, Signed, Withdraw};
use crate::units::{AccountId, EventId, TimeMs};

/// One step of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// A signed order.
    Place(Signed<Order>),
    /// A signed cancellation of one order.
    Cancel(Signed<Cancel>),
    /// A signed cancellation of every order below a nonce.
    CancelAll(Signed<CancelAll>),
    /// A signed withdrawal.
    Withdraw(Signed<Withdraw>),
    /// Seals the open frame and opens the next one at `time`, beginning with these inbox items.
    Frame {
        /// Time of the frame that opens.
        time: TimeMs,
        /// The inbox items that it consumes first, in inbox order.
        inbox: Vec<InboxItem>,
    },
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

/// What the chain tells the sequencer; the order of the variants is the contract's `InboxKind`.
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
}
