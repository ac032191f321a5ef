//! A session: one signature that lets a connection cancel for an account, for a while, without further ones.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::order::Sides;
use crate::units::{AccountId, Hash, MarketId, Nonce, TimeMs, VenueId};

/// What whoever logs in signs. No contract ever sees it: what a session may do never reaches the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// For which account.
    pub account: AccountId,
    /// What it may do.
    pub scope: Scope,
    /// The last millisecond at which it may.
    pub expiry: TimeMs,
    /// What the node gave the connection to sign, so that nobody can log in with it elsewhere.
    pub challenge: Hash,
}

/// What a session may do; the discriminants are the wire's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Scope {
    /// Take orders away, and set the dead-man switch.
    Cancel = 1,
}

/// What a session does: as the signed message of that name, but nobody can repeat it, so it has no nonce of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// Cancels one order.
    Cancel {
        /// Which one.
        nonce: Nonce,
    },
    /// Cancels every order below a nonce.
    CancelAll {
        /// The new floor of the account's nonces.
        below: Nonce,
    },
    /// Cancels every order of a venue, a market or a side.
    CancelMany {
        /// On which venue; 0 for any.
        venue: VenueId,
        /// In which market; 0 for any.
        market: MarketId,
        /// On which side.
        sides: Sides,
    },
    /// Sets the dead-man switch.
    CancelAfter {
        /// The first frame at this time or later cancels every order; 0 takes the switch back.
        time: TimeMs,
    },
}

impl Act {
    /// The nonce that it names; 0 if it names none.
    #[must_use]
    pub const fn nonce(&self) -> Nonce {
        match self {
            Self::Cancel { nonce } => *nonce,
            Self::CancelAll { below } => *below,
            Self::CancelMany { .. } | Self::CancelAfter { .. } => Nonce(0),
        }
    }
}
