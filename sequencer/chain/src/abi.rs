//! The contracts as Rust types, made by `build.rs` from their sources.
#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]

use alloy::primitives::aliases::U24;

include!(concat!(env!("OUT_DIR"), "/abi.rs"));

/// The contract's number of an event. One with more than 24 bits never came from the contract, so it becomes the last
/// possible one, which the contract does not know either.
pub(crate) fn event_number(event: xos_types::EventId) -> U24 {
    U24::saturating_from(event.0)
}

pub(crate) fn event_id(number: U24) -> xos_types::EventId {
    xos_types::EventId(number.to())
}
