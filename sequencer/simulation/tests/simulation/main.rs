#![allow(clippy::unwrap_used, reason = "a test may panic")]
#[path = "../../../chain/tests/artifact/mod.rs"]
mod artifact;
mod blocks;
mod dice;
mod endpoint;
mod evm;
mod trace;
