//! The command line of Exchange OS.
fn main() {}
