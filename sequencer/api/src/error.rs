//! An error as it travels: a stable code, a sentence, and data that says what was wrong and what was expected.

use jsonrpsee::types::ErrorObjectOwned;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::codes::Code;

/// An error as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiError {
    /// The number, stable for ever.
    pub code: i32,
    /// The code's name.
    pub name: Code,
    /// What was wrong and what to do, for people.
    pub message: String,
    /// The same as data.
    pub data: Value,
}

impl ApiError {
    /// An error with its explanation and data.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>, data: Value) -> Self {
        Self { code: code as i32, name: code, message: message.into(), data }
    }
}

impl From<ApiError> for ErrorObjectOwned {
    fn from(error: ApiError) -> Self {
        let mut data = error.data;
        if let Value::Object(map) = &mut data {
            map.insert("name".into(), serde_json::to_value(error.name).unwrap_or(Value::Null));
        }
        Self::owned(error.code, error.message, Some(data))
    }
}
