//! The contracts as Rust types, made by `build.rs` from their sources.
#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]

use alloy::primitives::aliases::{I24, U24};

include!(concat!(env!("OUT_DIR"), "/abi.rs"));

/// The contract's number of an event. One with more than 24 bits never came from the contract, so it becomes the last
/// possible one, which the contract does not know either.
pub(crate) fn event_number(event: xos_types::EventId) -> U24 {
    U24::saturating_from(event.0)
}

/// Parts per million as the contract packs them. More than 24 bits never came from the contract, and it refuses the most that
/// they can hold.
pub(crate) fn parts(rate: xos_types::Ppm) -> U24 {
    U24::saturating_from(rate.0)
}

/// As [`parts`], with a sign.
pub(crate) fn signed_parts(rate: xos_types::Rate) -> I24 {
    I24::try_from(rate.0).unwrap_or(if rate.0 < 0 { I24::MIN } else { I24::MAX })
}

pub(crate) fn event_id(number: U24) -> xos_types::EventId {
    xos_types::EventId(number.to())
}
