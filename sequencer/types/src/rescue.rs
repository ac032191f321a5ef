//! What happens when an account fails, step by step, as a batch carries it. Mirrors `Rescue` in `Types.sol`.

use serde::{Deserialize, Serialize};

use crate::order::{Convert, Liquidate, Signed};
use crate::units::{AccountId, Lots, MarketId};

/// One step; a frame has them in the order in which they happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rescue {
    /// An account's maintenance health is below zero: the keepers' time begins.
    Flag {
        /// Which account.
        account: AccountId,
    },
    /// A keeper took a position.
    Liquidation(Signed<Liquidate>),
    /// A keeper bought an asset.
    Conversion(Signed<Convert>),
    /// The insurance fund took a position.
    Takeover {
        /// Whose.
        account: AccountId,
        /// In which perpetual.
        market: MarketId,
    },
    /// Opposite positions closed against one.
    Deleveraging {
        /// Whose.
        account: AccountId,
        /// In which perpetual.
        market: MarketId,
        /// Who had to, the most profitable first.
        others: Vec<Counterparty>,
    },
    /// Nothing was left but a debt.
    Bankruptcy {
        /// Whose.
        account: AccountId,
    },
}

/// An account that is deleveraged, and by how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counterparty {
    /// Which account.
    pub account: AccountId,
    /// Lots of its position that close.
    pub size: Lots,
}
