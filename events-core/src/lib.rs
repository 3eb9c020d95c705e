//! Events between programs: the wire, the delivery, the client, the server and the engines.
//!
//! Programs use the crate `events`, which adds the built-in catalog and the global functions.
#![deny(unsafe_code)]

pub mod addresses;
pub mod client;
pub mod control;
pub mod counters;
pub mod delivery;
pub mod dispatch;
pub mod engine;
pub mod error;
pub mod event;
mod exit;
pub mod field;
pub mod frame;
pub mod permission;
mod process;
pub mod reader;
pub mod received;
pub mod registration;
#[cfg(feature = "zmq")]
pub mod security;
pub mod server;
pub mod shape;
mod shared_bytes;
pub mod take;
pub mod text;
pub mod timestamp;
pub mod writer;

#[doc(hidden)]
pub mod __private;

pub use event::{Catalog, Event, EventInfo, FieldInfo, PutError, PutErrorKind, Receive};
pub use field::Field;
pub use reader::Reader;
pub use shape::{Shape, ShapeMismatch};
pub use shared_bytes::SharedBytes;
pub use take::{TakeError, TakeErrorKind};
pub use text::{Blob, OwnedBlob, OwnedText, Text};
pub use timestamp::Timestamp;
pub use uuid::Uuid;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks. What a panicking thread left behind is still consistent: no code of a user runs under a lock
/// of ours.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number nobody else has and nobody can guess; never 0.
fn random_id() -> u64 {
    loop {
        // Without the system's randomness the hasher's keys, which come from the same source, do.
        let id = getrandom::u64().unwrap_or_else(|_| {
            use std::hash::{BuildHasher, RandomState};
            RandomState::new().hash_one(std::process::id())
        });
        if id != 0 {
            return id;
        }
    }
}
