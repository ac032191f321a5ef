//! What a group and its events are made of.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use crate::units::{AccountId, Ppm};

/// Identity of one risk group: what the EIP-712 domain binds orders to, and what the journal belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupConfig {
    /// Chain id of the contracts.
    pub chain_id: u64,
    /// The risk group contract.
    pub group: Address,
    /// Its settlement token.
    pub token: Address,
}

/// How the outcome markets of one event trade, and who decides it. Mirrors `EventConfig` in `Types.sol`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventConfig {
    /// The venue that lists it.
    pub venue: u32,
    /// Number of outcomes, 2 to 128.
    pub outcomes: u8,
    /// Price of certainty; prices run from 1 to `ticks - 1`.
    pub ticks: u64,
    /// Atoms per tick·lot.
    pub quantum: u64,
    /// Taker fee, of value.
    pub taker_fee: Ppm,
    /// Maker fee, of value.
    pub maker_fee: Ppm,
    /// Account that receives the fees.
    pub treasury: AccountId,
    /// Who may resolve the event.
    pub resolver: Address,
    /// What the event asks, for people.
    pub title: String,
    /// What each outcome is called, for people.
    pub labels: Vec<String>,
}

impl EventConfig {
    /// Atoms that a winning lot pays.
    #[must_use]
    pub fn payout_per_lot(&self) -> i128 {
        i128::from(self.ticks) * i128::from(self.quantum)
    }
}
