//! The simulated 2026 World Cup market: facts, model, traders and replay.
