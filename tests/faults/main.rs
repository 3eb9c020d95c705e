//! Breaks things between real processes and counts what arrives: every row of `docs/faults.md`.
//!
//! ```text
//!  this test ─┬─ starts itself again ─▶ a server, publishers, subscribers: roles.rs
//!             ├─ kills, stops and restarts them
//!             └─ asks them what they counted, and prints one line: world.rs, ledger.rs
//! ```
//!
//! With `EVENTS_FAULTS=full` each row has its full size; then run it in release.

#[path = "../common/mod.rs"]
mod common;

mod burst;
mod circles;
mod clock;
mod exits;
mod handlers;
mod killed;
mod ledger;
mod many;
mod process;
mod roles;
mod stalled;
mod standby;
mod world;

/// What the other processes do; nothing when the tests are run.
#[test]
fn plays_its_role() {
    roles::play();
}
