//! The append-only, hash-chained log that makes a command durable before anyone hears of it.
