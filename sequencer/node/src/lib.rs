//! The sequencer process: takes signed commands in, makes them durable, executes them, settles them, and answers.
//!
//! ```text
//! door ── check signatures ──▶ ingress ──▶ sequencer ──▶ output ──▶ acknowledgements, feeds, answers
//!                              (bounded)   engine   │     (waits     │
//!                     inbox ──────────────────▲     ▼    for disk)   └── sealed frames ──▶ settlement ──▶ chain
//!                                                journal ───▲
//! ```
//!
//! - [`config`]: what the operator decides.
//! - [`check`](check()): looks at everything that can be looked at without starting (`xos node --check`).
//! - [`Node`]: puts the parts together; what happens at a start and at a stop.
//! - `sequencer`: the thread that changes state; it runs ahead of the disk.
//! - `output`: the thread that lets out what the disk has. Nothing leaves before its command is durable.
//! - `recovery`: from the journal back to where the node stood. `kill -9` at any moment loses no acknowledged command and
//!   no batch: the journal holds the first, and the frames that it seals again are the second.
//! - `door`: connections; JSON-RPC, and binary order entry (`docs/order-entry.md`).
//! - `signatures`: threads that check signatures, many at a time.
//! - `feeds`: the thread that makes messages of what happened, and the subscriptions that hand them on (`docs/feeds.md`).
//! - `follower`: a second engine on a thread of its own, which reads the journal, writes the history and saves the state.
//! - `prices`: asks reporters for signed index prices, so that every frame opens with what its markets' contracts believe.
//! - `vitals`: how the node is doing; `metrics` and `operations` show it to operators (`docs/operations.md`).
//! - [`parts`]: what of this the simulation drives step by step.
//! - [`audit`]: replays a journal and compares it with the chain, account by account.
//!
//! Order. Messages of one WebSocket are executed in the order in which they were sent, as are the calls of one batch; orders of
//! one message stay together. Within an ingress window cancels go first, then post-only orders, then the rest; what takes away
//! an order of the same window goes behind it.
//!
//! Overload. Every queue has a bound. At it a request is refused with code 1100 and nothing was done; cancellations have a bound
//! of their own, which no flood of orders reaches. While the disk is nearly
//! full, orders are refused with code 1102; cancellations and withdrawals go on in the room that is left.

pub mod audit;
mod check;
pub mod config;
#[cfg(test)]
mod docs;
mod door;
mod feeds;
mod follower;
mod hashing;
mod history;
mod indexed;
mod ingress;
mod leading;
mod margin;
mod metrics;
mod node;
mod openrpc;
mod operations;
mod output;
mod params;
pub mod parts;
mod prices;
mod receipt;
mod recovery;
mod refusal;
mod replication;
mod rpc;
mod sealing;
mod sequencer;
mod settlement;
mod signatures;
mod snapshots;
#[cfg(test)]
mod testing;
mod trace;
mod trading;
mod trees;
mod venues;
mod vitals;

pub use check::{Checked, Findings, check};
pub use door::naps::runtime;
pub use node::{JOURNAL_FOLDER, NODE_FILE, Node, NodeError, NodeFile};
