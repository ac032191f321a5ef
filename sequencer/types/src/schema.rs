//! How bytes are described to those who read JSON.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// So many bytes in hexadecimal, for `#[schemars(with = "Hex<32>")]`; 0 for any number of them.
#[derive(Debug)]
pub struct Hex<const BYTES: usize = 0>;

impl<const BYTES: usize> JsonSchema for Hex<BYTES> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Hex".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let digits = if BYTES == 0 { "([0-9a-fA-F]{2})*".to_owned() } else { format!("[0-9a-fA-F]{{{}}}", 2 * BYTES) };
        json_schema!({ "type": "string", "pattern": format!("^0x{digits}$") })
    }
}
