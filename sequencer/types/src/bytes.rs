//! Bytes of a fixed length: hexadecimal for people; in binary formats written and read in one piece. Serde's own form of an
//! array is a sequence of elements, one call each, which made a signature the slowest part of a command.

use core::fmt;

use alloy_primitives::hex;
use serde::{Deserializer, Serializer, de};

/// Writes the bytes; for `#[serde(with = "crate::bytes")]`.
pub(crate) fn serialize<const N: usize, S: Serializer>(bytes: &[u8; N], serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        return serializer.serialize_str(&hex::encode_prefixed(bytes));
    }
    serializer.serialize_bytes(bytes)
}

/// Reads the bytes; for `#[serde(with = "crate::bytes")]`.
pub(crate) fn deserialize<'de, const N: usize, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; N], D::Error> {
    if deserializer.is_human_readable() {
        return deserializer.deserialize_str(Visitor);
    }
    deserializer.deserialize_bytes(Visitor)
}

struct Visitor<const N: usize>;

impl<const N: usize> de::Visitor<'_> for Visitor<N> {
    type Value = [u8; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{N} bytes, hexadecimal or as they are")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        hex::decode_to_array(text).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}
