//! What the director and the processes say to each other: one JSON value per line.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The user of the pictures.
pub(crate) const UID: &str = "b4a2";

/// What a client is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Register a handler for one of the two events of the pictures.
    Register(String),
    /// Take that back, and register one handler for all events.
    RegisterAll,
    /// Emit both events of the pictures.
    EmitPair,
    /// Emit these events, each by itself, and wait for the server to have them.
    Emit(Vec<(String, Value)>),
    /// Tell how many events were missed.
    Count,
}

/// What a process answers.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// It has begun.
    Ready,
    /// The server has the registration.
    Registered,
    /// The server has the events.
    Emitted,
    /// So many were missed.
    Missed(u64),
}

/// An event that came.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Got {
    pub(crate) event: String,
    pub(crate) payload: Value,
    /// From `emit` in one process to the handler in the other.
    pub(crate) microseconds: u64,
}
