//! How the sequencer is to go about an order, beyond what is signed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What comes with an order and is no part of what is signed and settled. An instruction only ever makes an order do less, or
/// at a better price: the contract holds the sequencer to the signed price, size, expiry and fee whatever it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instructions {
    /// What happens when it meets an order of its own account.
    pub self_trade: SelfTrade,
    /// What happens to a post-only order that would trade; nothing to others.
    pub crossing: Crossing,
}

/// What happens when an arriving order meets one of its own account. An account never trades with itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SelfTrade {
    /// The resting order is cancelled, and the arriving one goes on.
    #[default]
    CancelMaker,
    /// The rest of the arriving order is cancelled.
    CancelTaker,
    /// Both are cancelled.
    CancelBoth,
    /// Both lose the lots of the smaller one, which is cancelled with that.
    Decrement,
}

/// What happens to a post-only order that would trade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Crossing {
    /// It is refused.
    #[default]
    Refuse,
    /// It rests at the nearest price at which it does not trade.
    Slide,
}
