//! Newtypes for ids and quantities.
//!
//! `price` is [`Ticks`], `size` is [`Lots`]; a market's *quantum* (atoms per tick·lot) turns their product into exact
//! [`Atoms`] of the settlement token, so a trade never rounds.

use core::fmt;
use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::number::Number;

macro_rules! newtype {
    ($(#[$meta:meta])* $name:ident($inner:ty)) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub $inner);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Number::serialize(&self.0, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Number::deserialize(deserializer).map(Self)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                Number::<$inner>::json_schema(generator)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl core::str::FromStr for $name {
            type Err = core::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

newtype!(
    /**
    Number of an account in one group; 0 names none. With the highest bit set it is an isolated account:
    `1 | 31 bits of its parent's number | 32 bits of its market`.
    */
    AccountId(u64)
);
newtype!(/** Number of an event in one group; 0 names none; 24 bits. */ EventId(u32));
newtype!(
    /** Number of a market: the event in the upper 24 bits, the outcome (from 0) in the lowest 8. */
    MarketId(u32)
);
newtype!(/** Size of an order or a fill, in lots. */ Lots(u64));
newtype!(/** Price in ticks. */ Ticks(u64));
newtype!(/** Signed lots that an account holds in a market; negative is short. */ Position(i64));
newtype!(/** Atoms of the settlement token, signed. */ Atoms(i128));
newtype!(/** Names an order within its account; never reused. */ Nonce(u64));
newtype!(/** Unix milliseconds. */ TimeMs(u64));
newtype!(/** Parts per million. */ Ppm(u32));
newtype!(/** Parts per million of what a maker trades: a fee, or if negative a rebate. */ Rate(i32));
newtype!(/** Number of a venue; 0 names none. */ VenueId(u32));
newtype!(/** Number of a builder or referrer; 0 names none. */ BuilderId(u32));
newtype!(/** Number of an index price in one group, and of what is held at it; 0 is the settlement token. */ FeedId(u8));

/// A 256-bit hash of the log, a batch or the state.
pub type Hash = [u8; 32];

impl Nonce {
    /// What a close that an owner has forced goes by: no order may have it, so its lines are told from all others.
    pub const FORCED: Self = Self(u64::MAX);
}

impl AccountId {
    /// The insurance fund, which exists from the start and is owned by governance.
    pub const INSURANCE: Self = Self(1);
    /// The protocol's treasury, which exists from the start and is owned by governance.
    pub const PROTOCOL: Self = Self(2);

    const ISOLATED: u64 = 1 << 63;

    /// The account of this one for a market alone: what it loses there is all that was put in.
    ///
    /// # Panics
    /// If this is no number that a deposit opens (31 bits).
    #[must_use]
    pub const fn isolated(self, market: MarketId) -> Self {
        assert!(self.0 >> 31 == 0, "isolated accounts belong to numbered ones");
        Self(Self::ISOLATED | self.0 << 32 | market.0 as u64)
    }

    /// Whether it is an account for one market, which only a transfer can open.
    #[must_use]
    pub const fn is_isolated(self) -> bool {
        self.0 & Self::ISOLATED != 0
    }

    /// The account that an isolated one belongs to, whose keys and memberships are its own, too; any other is its own.
    #[must_use]
    pub const fn parent(self) -> Self {
        if self.is_isolated() { Self((self.0 & !Self::ISOLATED) >> 32) } else { self }
    }

    /// The market that an isolated account is for.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "the market is the low half of the number")]
    pub const fn isolated_market(self) -> MarketId {
        MarketId(self.0 as u32)
    }
}

impl Rate {
    /// The rate as far as it is a fee.
    #[must_use]
    pub const fn fee(self) -> Ppm {
        Ppm(if self.0 > 0 { self.0.unsigned_abs() } else { 0 })
    }

    /// The rate as far as it is a rebate.
    #[must_use]
    pub const fn rebate(self) -> Ppm {
        Ppm(if self.0 < 0 { self.0.unsigned_abs() } else { 0 })
    }
}

impl MarketId {
    /// The market of an event's outcome.
    #[must_use]
    pub const fn new(event: EventId, outcome: u8) -> Self {
        Self((event.0 << 8) | outcome as u32)
    }

    /// The event that this market belongs to.
    #[must_use]
    pub const fn event(self) -> EventId {
        EventId(self.0 >> 8)
    }

    /// Which outcome of the event this market trades, from 0.
    #[must_use]
    pub const fn outcome(self) -> u8 {
        (self.0 & 0xff) as u8
    }
}

impl Atoms {
    /// No money.
    pub const ZERO: Self = Self(0);
}

impl core::ops::Add for Atoms {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl core::ops::Sub for Atoms {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl core::ops::Neg for Atoms {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl core::ops::AddAssign for Atoms {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl core::ops::SubAssign for Atoms {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl core::iter::Sum for Atoms {
    fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
        items.fold(Self::ZERO, |sum, item| sum + item)
    }
}
