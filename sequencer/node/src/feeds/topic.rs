//! What can be listened to, and what becomes of a reader who is slow.

use xos_api::Interval;
use xos_types::{AccountId, MarketId};

/// A feed. All its readers get the same messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// A book by price.
    Book(MarketId),
    /// A book by order.
    Orders(MarketId),
    /// Its best prices.
    Bbo(MarketId),
    /// Trades of a market, or of all.
    Trades(Option<MarketId>),
    /// Candles of a market.
    Candles(MarketId, Interval),
    /// Index and mark prices.
    Prices,
    /// Funding indices.
    Funding,
    /// What happens to accounts that fail.
    Liquidations,
    /// What concerns an account.
    Account(AccountId),
    /// Phases, hours and what else becomes of listings.
    Markets,
}

/// What a reader who is slow misses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slow {
    /// What the latest message makes obsolete.
    Skips,
    /// Changes: it gets the whole anew.
    BeginsAnew,
    /// Nothing, as long as the ring keeps what it has not read; then its subscription ends.
    Ends,
}

impl Topic {
    pub(crate) fn slow(self) -> Slow {
        match self {
            Self::Bbo(_) | Self::Prices => Slow::Skips,
            Self::Book(_) => Slow::BeginsAnew,
            Self::Orders(_)
            | Self::Trades(_)
            | Self::Candles(..)
            | Self::Funding
            | Self::Liquidations
            | Self::Account(_)
            | Self::Markets => Slow::Ends,
        }
    }

    /// The market that it is about, if it is about one.
    pub(crate) fn market(self) -> Option<MarketId> {
        match self {
            Self::Book(market) | Self::Orders(market) | Self::Bbo(market) | Self::Candles(market, _) => Some(market),
            Self::Trades(market) => market,
            Self::Prices | Self::Funding | Self::Liquidations | Self::Account(_) | Self::Markets => None,
        }
    }

    /// The market whose book it shows, if it shows one.
    pub(crate) fn book(self) -> Option<MarketId> {
        match self {
            Self::Book(market) | Self::Orders(market) | Self::Bbo(market) => Some(market),
            _ => None,
        }
    }
}
