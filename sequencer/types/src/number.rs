//! Whole numbers in JSON: 64 bits and more travel as decimal strings, because many readers of JSON round them; strings and
//! numbers are both accepted. Binary formats hold the plain number.

use core::fmt::{self, Display};
use core::marker::PhantomData;
use core::str::FromStr;
use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Widths that every JSON reader keeps exact.
const EXACT_BYTES: usize = 4;

/// How a whole number travels; for `#[serde(with = "Number")]`.
#[derive(Debug)]
pub struct Number<T>(PhantomData<T>);

impl<T> Number<T> {
    const IS_EXACT: bool = size_of::<T>() <= EXACT_BYTES;

    /// Writes the number.
    ///
    /// # Errors
    /// Those of the format.
    pub fn serialize<S: Serializer>(number: &T, serializer: S) -> Result<S::Ok, S::Error>
    where
        T: Display + Serialize,
    {
        if serializer.is_human_readable() && !Self::IS_EXACT {
            return serializer.collect_str(number);
        }
        number.serialize(serializer)
    }

    /// Reads the number.
    ///
    /// # Errors
    /// Those of the format, and if it is no whole number in range.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr + Deserialize<'de>,
    {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(Visitor(PhantomData));
        }
        T::deserialize(deserializer)
    }
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

impl<T: FromStr> JsonSchema for Number<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let is_signed = "-1".parse::<T>().is_ok();
        let digits = if is_signed { "^-?[0-9]+$" } else { "^[0-9]+$" };
        let mut schema = match (generator.contract().is_deserialize(), Self::IS_EXACT) {
            (true, _) => json_schema!({ "type": ["string", "integer"], "pattern": digits }),
            (false, true) => json_schema!({ "type": "integer" }),
            (false, false) => return json_schema!({ "type": "string", "pattern": digits }),
        };
        if !is_signed {
            schema.insert("minimum".into(), 0.into());
        }
        schema
    }
}

#[cfg(test)]
mod tests {
    use schemars::generate::SchemaSettings;
    use serde_json::json;

    use super::*;
    use crate::units::{Atoms, Lots, MarketId};

    #[test]
    fn schemas_say_how_numbers_travel() {
        let written = |describe: fn(&mut SchemaGenerator) -> Schema| {
            describe(&mut SchemaSettings::draft07().for_serialize().into_generator()).to_value()
        };
        let read = |describe: fn(&mut SchemaGenerator) -> Schema| {
            describe(&mut SchemaSettings::draft07().for_deserialize().into_generator()).to_value()
        };
        assert_eq!(written(Number::<u64>::json_schema), json!({ "type": "string", "pattern": "^[0-9]+$" }));
        assert_eq!(written(Number::<i128>::json_schema), json!({ "type": "string", "pattern": "^-?[0-9]+$" }));
        assert_eq!(written(Number::<u32>::json_schema), json!({ "type": "integer", "minimum": 0 }));
        let either = json!({ "type": ["string", "integer"], "pattern": "^[0-9]+$", "minimum": 0 });
        assert_eq!(read(Number::<u8>::json_schema), either);
        assert_eq!(written(Lots::json_schema)["type"], "string");
        assert_eq!(written(Atoms::json_schema)["pattern"], "^-?[0-9]+$");
        assert_eq!(written(MarketId::json_schema)["type"], "integer");
    }
}
