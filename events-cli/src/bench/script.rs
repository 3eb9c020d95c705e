//! What the director and the processes of the bench say to each other.

use serde::{Deserialize, Serialize};

use crate::args::Mode;

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Register for the first so many types.
    Register { types: usize },
    /// Count, from 0, until so many events have come.
    Count { expected: u64 },
    /// Emit.
    Emit { events: u64, size: usize, types: usize, mode: Mode },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Ready,
    Registered,
    Counting,
    /// So many have come.
    Progress(u64),
    Counted(Counted),
    Emitted(Emitted),
}

/// What a publisher did.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Emitted {
    pub(super) events: u64,
    /// Nanoseconds since 1970.
    pub(super) began: u64,
}

/// What a subscriber got.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Counted {
    pub(super) received: u64,
    /// When the last one came, in nanoseconds since 1970.
    pub(super) ended: u64,
    /// How long some of them took, in nanoseconds.
    pub(super) took: Vec<u64>,
}
