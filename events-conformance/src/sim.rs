//! A simulator: the state machines of the delivery, in one thread and in virtual time, over a network
//! that breaks as a seed says.
//!
//! ```text
//!  seed ─▶ Chance ─▶ choices ─▶ World ─┬─ Program (Publisher, Subscriber, Handling) ─┐
//!                                      ├─ Net (connections, queues, subscriptions) ──┼─▶ Ledger ─▶ promises
//!                                      └─ Relay ─────────────────────────────────────┘
//! ```
//!
//! Whatever happens is one [`Choice`](world::Choice): a message moves on, the server takes a turn, a
//! connection breaks. Delay is nothing but other choices that come first, so a random walk over choices
//! reaches every interleaving, and a search over all of them proves a small case.

pub mod chance;
pub mod ledger;
pub mod net;
pub mod program;
pub mod search;
pub mod walk;
pub mod world;

/// The events that programs emit: names of which one is the beginning of another; `R…` are retained.
pub const EVENTS: [&str; 4] = ["A", "AB", "R", "R.B"];
/// Stands for all of them where a handler is registered.
pub const ANY: &str = "*";
