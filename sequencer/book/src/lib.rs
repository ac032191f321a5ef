//! Resting orders in price-time order.
//!
//! The crate knows sides, prices, lots and the order of arrival, and nothing of accounts, margin or fees: whoever uses it
//! hangs its own data on every order, a few hot bytes beside the links and the rest apart. A [`Book`] is one market; the
//! orders of all books of a group lie in one [`Orders`], so thousands of quiet markets cost next to nothing; and
//! [`OpenOrders`] finds the orders of one account by nonce.
//!
//! **Costs.** No operation is worse than `O(1)` in the number of orders, but for an account's own index if its owner
//! chose nonces to make it slow (`O(log n)` in that account's orders). Finding a price takes as many steps as the tree of
//! prices is deep: two where prices lie within 1,024 ticks, three within 65,536, and never more than 11 whatever 64-bit
//! prices people choose. Once the slabs have grown to the number of orders that rest at the same time, nothing allocates.
//!
//! **Memory.** An order is 28 bytes of links and what its user hangs on it; a price in a crowded part of the book is 25 bytes.
//! A price far from every other one costs at most 700 bytes (a leaf and an inner node of the tree), and gives them back
//! when it empties.
//!
//! Nothing here depends on addresses, hashes or randomness: the same operations give the same answers and the same handles.
#![deny(clippy::disallowed_types, clippy::disallowed_methods, clippy::float_arithmetic)]

mod book;
mod fetch;
mod levels;
mod open_orders;
mod orders;
mod pool;

pub use book::{Book, Guess, Limit};
pub use fetch::fetch;
pub use levels::Level;
pub use open_orders::OpenOrders;
pub use orders::{Handle, Orders, Resting};
