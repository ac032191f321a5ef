//! The sequencer process.
