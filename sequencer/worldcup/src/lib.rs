//! The simulated 2026 World Cup market: facts, model, traders and replay.
//!
//! [`facts`] is what happened, [`model`] and [`simulate`] what could have been known before and during each match,
//! [`replay`] plays the one against the other in compressed time, and [`trader`]s meet on the exchange in between.

pub mod bracket;
pub mod clock;
pub mod demo;
pub mod facts;
pub mod fair;
pub mod fit;
pub mod model;
pub mod prices;
pub mod replay;
pub mod session;
pub mod simulate;
pub mod table;
pub mod tally;
pub mod trader;
