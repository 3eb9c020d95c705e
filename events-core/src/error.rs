//! What can go wrong, and what was missed.

use std::fmt;

use crate::engine::{EngineError, Trouble};
use crate::event::PutError;
use crate::shape::ShapeMismatch;
use crate::take::TakeError;

/// Why something was not done.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There was no room for the event within the time `emit` may wait; nothing was emitted.
    #[error(
        "`{event}` was not emitted: the queue to the server is full, since no server is there or a subscriber \
         is slow; emit it again later"
    )]
    Backpressure {
        /// The event.
        event: String,
        /// Why no server can be reached, if that is known.
        #[source]
        trouble: Option<Trouble>,
    },
    /// The uid is taken on this event and client.
    #[error("`{event}` has a handler with uid `{uid}` already; use `on::<E>().uid(..).replace()` to replace it")]
    AlreadyRegistered {
        /// The event.
        event: String,
        /// The uid.
        uid: String,
    },
    /// A field cannot be written.
    #[error("`{event}` was not emitted: its payload cannot be written")]
    Put {
        /// The event.
        event: String,
        /// The field, and why.
        source: PutError,
    },
    /// The event is larger than a frame may be.
    #[error("`{event}` was not emitted: it takes {bytes} bytes, and a frame at most {limit}; split it up")]
    TooLarge {
        /// The event.
        event: String,
        /// Its size with the header.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// No event can have this name.
    #[error(
        "`{name}` is no name of an event: it begins with a letter or `_`, holds letters, digits, `_`, `.` and `-`, and has \
         at most {} bytes",
        crate::frame::MAX_NAME
    )]
    Name {
        /// What was given.
        name: String,
    },
    /// A record arrived that is no payload of the event; it was skipped.
    #[error("a record of `{event}` by publisher {publisher:016x} cannot be read and was skipped")]
    Take {
        /// The event.
        event: String,
        /// Who emitted it.
        publisher: u64,
        /// Where it differs.
        source: TakeError,
    },
    /// A publisher's catalog has another shape for the event, which this program cannot read.
    #[error("`{event}` by publisher {publisher:016x} has another shape than here; bring both to one catalog")]
    SchemaMismatch {
        /// The event.
        event: String,
        /// Who emitted it.
        publisher: u64,
        /// The first field that differs.
        source: ShapeMismatch,
    },
    /// A message of another protocol arrived on the event; it was not read.
    #[error("a message on `{event}` comes from a program of another protocol and was not read")]
    Foreign {
        /// The event.
        event: String,
    },
    /// Bytes arrived that are no frame.
    #[error("a message that is no frame arrived and was dropped")]
    Malformed,
    /// A handler panicked; it goes on with the next event.
    #[error("the handler `{uid}` of `{event}` panicked: {message}")]
    HandlerPanicked {
        /// The event.
        event: String,
        /// The handler's uid.
        uid: String,
        /// What it said.
        message: String,
    },
    /// The code that makes a payload from its bytes panicked, a conversion of its own for instance; the record was
    /// skipped.
    #[error("reading a record of `{event}` panicked: {message}")]
    ReadingPanicked {
        /// The event.
        event: String,
        /// What it said.
        message: String,
    },
    /// The server did not acknowledge everything in time.
    #[error("{} not known to have reached the server within the limit", are(*.unacknowledged))]
    NotFlushed {
        /// How many.
        unacknowledged: u64,
        /// Why no server can be reached, if that is known.
        #[source]
        trouble: Option<Trouble>,
    },
    /// No connection to the server comes about, and not because nobody is there.
    #[error("no connection to the server comes about")]
    NoConnection(#[source] Trouble),
    /// The server dropped an event that this client's key may not emit.
    #[error(
        "the server dropped `{event}`: this client's key may not emit it; whoever runs the server can allow it by \
         `events keys allow FILE --emit …`"
    )]
    MayNotEmit {
        /// The event.
        event: String,
    },
    /// The server does not hand on an event that this client's key may not register for.
    #[error(
        "the server does not hand `{event}` on to this client: its key may not register for it; whoever runs the server \
         can allow it by `events keys allow FILE --register …`"
    )]
    MayNotRegister {
        /// The event; `*` if it was for all events.
        event: String,
    },
    /// The address has a scheme that no engine serves.
    #[error("`{address}` is no address of an engine of this build; allowed are {allowed}")]
    Scheme {
        /// What was given.
        address: String,
        /// The schemes there are.
        allowed: String,
    },
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
    /// The client is that of a process from which this one was forked; nothing was done.
    #[error(
        "this client was left behind by a fork, and can do nothing in the child; connect one there with `Client::connect`"
    )]
    Forked,
    /// The default client was configured after it was used.
    #[error("the default client is in use already; call `configure` before anything else")]
    AlreadyConfigured,
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// As [`Display`](fmt::Display), with the sources: it is what `main` prints of an error.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

fn are(events: u64) -> String {
    if events == 1 { "1 event is".to_owned() } else { format!("{events} events are") }
}

/// Records that were emitted and did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lagged {
    /// The event.
    pub event: String,
    /// Who emitted them.
    pub publisher: u64,
    /// How many.
    pub missed: u64,
}

/// A change of the connection to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Connection {
    /// The first server is there.
    Connected,
    /// The connection broke, or the server is leaving.
    Reconnecting,
    /// A server is there again.
    Reconnected,
}
