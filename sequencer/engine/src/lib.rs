//! The deterministic exchange core: (state, command) to (state, events).
