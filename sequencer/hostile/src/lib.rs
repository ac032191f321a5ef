//! Every decoder of bytes that may be anybody's, what it holds to whatever they are, and bytes to begin with.
//!
//! `fuzz/` runs them for as long as one likes, led by what code they reach; this crate's tests for a moment, the same every time.
//! A decoder that panics, or does not hold to what it promises, has a bug.
#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "a panic is how a bug is told")]

mod log;
mod seeds;
mod signatures;
mod state;
mod wire;

/// A decoder of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    /// What it is called; its fuzz target has that name.
    pub name: &'static str,
    /// Panics if the decoder does not hold to what it promises.
    pub holds: fn(&[u8]),
    /// Real messages.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const DECODERS: [Decoder; 9] = [
    Decoder { name: "entry_request", holds: wire::entry_request, seeds: seeds::entry_requests },
    Decoder { name: "entry_answer", holds: wire::entry_answer, seeds: seeds::entry_answers },
    Decoder { name: "request_json", holds: wire::request_json, seeds: seeds::requests_json },
    Decoder { name: "feed_json", holds: wire::feed_json, seeds: seeds::feeds_json },
    Decoder { name: "command", holds: log::command, seeds: seeds::commands },
    Decoder { name: "block", holds: log::block, seeds: seeds::blocks },
    Decoder { name: "journal", holds: log::journal, seeds: seeds::blocks },
    Decoder { name: "snapshot", holds: state::snapshot, seeds: seeds::snapshots },
    Decoder { name: "signatures", holds: signatures::signatures, seeds: seeds::signatures },
];

/// The decoder of that name.
#[must_use]
pub fn decoder(name: &str) -> Decoder {
    DECODERS.into_iter().find(|decoder| decoder.name == name).expect("a decoder's name")
}
