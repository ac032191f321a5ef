//! What was paid in less what was taken out, not below 0: all that may leave while the insurance fund is negative.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xos_types::FeedId;

use crate::packed::{HEADER, Packed};

/// By asset; 0 is the settlement token.
#[derive(Debug, Default)]
pub(crate) struct Principal(Packed);

impl Principal {
    pub(crate) fn of(&self, asset: FeedId) -> u128 {
        self.0.find(asset.0.into()).map_or(0, |at| self.amount(at))
    }

    pub(crate) fn set(&mut self, asset: FeedId, amount: u128) {
        let key = asset.0.into();
        let at = self.0.find(key).unwrap_or_else(|| self.0.insert(key, 0, HEADER));
        self.0.write(at, 0, &[amount.cast_signed()]);
    }

    fn amount(&self, at: usize) -> u128 {
        let [amount] = self.0.read(at);
        amount.cast_unsigned()
    }
}

impl Serialize for Principal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let asset = |at| self.0.key(at).and_then(|key| u8::try_from(key).ok()).map(FeedId).expect("it is of an asset");
        serializer.collect_seq(self.0.places(0).map(|at| (asset(at), self.amount(at))).collect::<Vec<_>>())
    }
}

impl<'de> Deserialize<'de> for Principal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Amounts;

        impl<'de> Visitor<'de> for Amounts {
            type Value = Principal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("assets and amounts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut amounts: A) -> Result<Principal, A::Error> {
                let mut principal = Principal::default();
                while let Some((asset, amount)) = amounts.next_element()? {
                    principal.set(asset, amount);
                }
                Ok(principal)
            }
        }

        deserializer.deserialize_seq(Amounts)
    }
}
