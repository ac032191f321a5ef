//! When an order goes to the book, and in which parts, if not at once and whole.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Lots, Nonce, Ticks};

/// What an order waits for, which other one it excludes, and how much of it goes at a time. No part of it is signed: like an
/// instruction it only ever makes an order do less, or do it later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// It sleeps until that order of the same account fills, and never is of more lots than that one filled. That order
    /// rests, waits, or is still to come.
    pub after: Option<Nonce>,
    /// It waits for a price; awake first, if it also sleeps.
    pub trigger: Option<Trigger>,
    /// That order of the same account and this one exclude each other. Reduce-only orders of one side of a market share their
    /// lots: what one fills is taken off the other. Of others one is cancelled when the other fills or its price comes.
    pub cancels: Option<Nonce>,
    /// In which parts it goes.
    pub pace: Pace,
}

/// A price that an order waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// Which price.
    pub source: TriggerSource,
    /// On which side of `price` it must be.
    pub when: TriggerWhen,
    /// The level, in ticks of the order's market.
    pub price: Ticks,
}

/// Which of a market's prices a trigger looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TriggerSource {
    /// Index and book blended: the median of three. Of an outcome: of the best bid, the best ask and the last trade.
    Mark,
    /// What the market's oracle said. An outcome has none.
    Index,
}

/// Where the price must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TriggerWhen {
    /// At the level or higher.
    AtOrAbove,
    /// At the level or lower.
    AtOrBelow,
}

/// In which parts an order goes to the book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Pace {
    /// In one.
    #[default]
    Whole,
    /// It rests whole, but the book shows a part; when that is filled, the next part is shown, behind all others at the price.
    Iceberg {
        /// Lots of a part.
        display: Lots,
    },
    /// A slice each interval, the first when it begins, each immediate-or-cancel at the order's price. What slices miss is
    /// caught up by later ones, which are at most three times the planned size; what the last one leaves is cancelled.
    Twap {
        /// How many.
        slices: u16,
        /// Milliseconds from one to the next.
        interval: u32,
    },
}

impl Plan {
    /// Whether an order with this plan goes to the book when it arrives.
    #[must_use]
    pub const fn goes_at_once(&self) -> bool {
        self.after.is_none() && self.trigger.is_none() && !matches!(self.pace, Pace::Twap { .. })
    }
}
