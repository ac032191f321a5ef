//! Whole numbers in JSON: 64 bits and more travel as decimal strings, because many readers of JSON round them; strings and
//! numbers are both accepted. Binary formats hold the plain number.

use core::fmt::{self, Display};
use core::marker::PhantomData;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Widths that every JSON reader keeps exact.
const EXACT_BYTES: usize = 4;

/// Writes the number; for `#[serde(with = "xos_types::number")]`.
///
/// # Errors
/// Those of the format.
pub fn serialize<T: Display + Serialize, S: Serializer>(number: &T, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() && size_of::<T>() > EXACT_BYTES {
        return serializer.collect_str(number);
    }
    number.serialize(serializer)
}

/// Reads the number; for `#[serde(with = "xos_types::number")]`.
///
/// # Errors
/// Those of the format, and if it is no whole number in range.
pub fn deserialize<'de, T: FromStr + Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    if deserializer.is_human_readable() {
        return deserializer.deserialize_any(Visitor(PhantomData));
    }
    T::deserialize(deserializer)
}

struct Visitor<T>(PhantomData<T>);

impl<T: FromStr> de::Visitor<'_> for Visitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number in range, as a decimal string or a JSON number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}
