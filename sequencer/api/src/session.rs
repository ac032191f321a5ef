//! What travels over the RPC of sessions, and of what is left to a client.

use alloy_primitives::{Address, B256, Bytes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xos_types::{AccountId, Hex, Scope, TimeMs};

/// A signed login of one connection for one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoginRequest {
    /// For which account.
    pub account: AccountId,
    /// What it may do: `cancel`.
    pub scope: Scope,
    /// The last millisecond at which it may.
    pub expiry: TimeMs,
    /// What `xos_challenge` gave this connection.
    #[schemars(with = "Hex<32>")]
    pub challenge: B256,
    /// Everything of the account is to be cancelled when the connection ends.
    #[serde(default)]
    pub cancel_on_disconnect: bool,
    /// Over the EIP-712 `Session`.
    #[schemars(with = "Hex")]
    pub signature: Bytes,
}

/// A connection is logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoggedIn {
    /// For which account.
    pub account: AccountId,
    /// Who allowed it.
    #[schemars(with = "Hex<20>")]
    pub signer: Address,
    /// What it may do.
    pub scope: Scope,
    /// Until when.
    pub expiry: TimeMs,
    /// Whether everything of the account is cancelled when the connection ends.
    pub cancel_on_disconnect: bool,
}

/// Whether a session of the connection is to stand in for the signature.
pub(crate) fn is_unsigned(signature: &Bytes) -> bool {
    signature.is_empty()
}

/// Tokens that are left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// To the client's address.
    pub address: u64,
    /// To the account, if one was asked for: the least of those that a message was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<u64>,
}
