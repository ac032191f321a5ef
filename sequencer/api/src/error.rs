//! Stable error codes, and data that says what was wrong and what was expected.

use jsonrpsee::types::ErrorObjectOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Codes of this API; they never change their meaning. Below −32000 stand JSON-RPC's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(i32)]
pub enum Code {
    /// The request is not of the form that the method takes.
    InvalidRequest = 1000,
    /// The signature is malformed, or recovers to somebody who may not act for the account.
    BadSignature = 1001,
    /// No such account.
    UnknownAccount = 1002,
    /// No such market or event.
    UnknownMarket = 1003,
    /// The market does not trade.
    MarketClosed = 1004,
    /// The price is not one of the market's.
    BadPrice = 1005,
    /// The size is not one of the market's.
    BadSize = 1006,
    /// The nonce was used already.
    NonceSpent = 1007,
    /// Too late.
    Expired = 1008,
    /// The order allows a lower fee than the venue charges.
    FeeTooLow = 1009,
    /// A field that this group does not serve yet.
    Unsupported = 1010,
    /// Not enough free funds.
    InsufficientFunds = 1011,
    /// A position or order-count limit.
    LimitReached = 1012,
    /// Post-only, but it would have traded.
    WouldTrade = 1013,
    /// Fill-or-kill, but it could not be filled.
    NotFillable = 1014,
    /// No such order.
    UnknownOrder = 1015,
    /// The token is not held here.
    UnknownToken = 1016,
    /// The market, or the account's standing in it, allows smaller positions only.
    OnlyReducing = 1017,
    /// It is not signed, and no session of the connection stands in for that.
    NoSession = 1018,
    /// A feed no longer keeps what came after the place from which it should resume.
    NotKept = 1019,
    /// The node has more work queued than it takes; nothing was done; try again.
    Overloaded = 1100,
    /// The node stopped before it could answer; whether the command took effect can be asked with `xos_order` once it is back.
    Unavailable = 1101,
    /// The node's disk is nearly full, so it takes no orders; cancellations and withdrawals it does.
    DiskFull = 1102,
    /// The node is shutting down; nothing was done; try again when it is back.
    Stopping = 1103,
    /// Another node leads; nothing was done; send it there.
    Standby = 1104,
    /// The address or the account has asked for more than it may in a time; nothing was done; try again a little later.
    OverBudget = 1105,
}

impl Code {
    /// Every code, in order.
    pub const ALL: [Self; 26] = [
        Self::InvalidRequest,
        Self::BadSignature,
        Self::UnknownAccount,
        Self::UnknownMarket,
        Self::MarketClosed,
        Self::BadPrice,
        Self::BadSize,
        Self::NonceSpent,
        Self::Expired,
        Self::FeeTooLow,
        Self::Unsupported,
        Self::InsufficientFunds,
        Self::LimitReached,
        Self::WouldTrade,
        Self::NotFillable,
        Self::UnknownOrder,
        Self::UnknownToken,
        Self::OnlyReducing,
        Self::NoSession,
        Self::NotKept,
        Self::Overloaded,
        Self::Unavailable,
        Self::DiskFull,
        Self::Stopping,
        Self::Standby,
        Self::OverBudget,
    ];

    /// The code with that number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as i32 == number)
    }
}

/// An error as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
