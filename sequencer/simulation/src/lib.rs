//! A whole exchange on one thread in virtual time, and everything that can go wrong with it.
//!
//! The simulation is a test (`tests/simulation`): this library is empty. `docs/simulation.md` says what is real in it, what is
//! simulated, and how a seed is lived again.
