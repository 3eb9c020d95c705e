//! What a client counts, and how often it may log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::client::Counts;
use crate::error::Error;
use crate::lock;

#[derive(Default)]
pub(crate) struct Counters {
    handled: AtomicU64,
    missed: AtomicU64,
    foreign: AtomicU64,
    undecodable: AtomicU64,
    mismatched: AtomicU64,
    panicked: AtomicU64,
}

/// What a client counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientStats {
    /// Events that `emit` accepted.
    pub emitted: u64,
    /// Events that `emit` refused.
    pub refused: u64,
    /// Events that the server has not acknowledged yet.
    pub unacknowledged: u64,
    /// Calls of handlers.
    pub handled: u64,
    /// Events that were emitted by others and did not arrive.
    pub missed: u64,
    /// Messages of other protocols.
    pub foreign: u64,
    /// Records and messages that could not be read.
    pub undecodable: u64,
    /// Frames whose shape differs too much from this program's.
    pub mismatched: u64,
    /// Calls of handlers that panicked.
    pub panicked: u64,
}

impl Counters {
    pub(crate) fn handled(&self) {
        // Only the handler thread counts here: no need for a read and a write in one.
        self.handled.store(self.handled.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    pub(crate) fn missed(&self, missed: u64) {
        self.missed.fetch_add(missed, Ordering::Relaxed);
    }

    pub(crate) fn problem(&self, error: &Error) {
        let counter = match error {
            Error::Foreign { .. } => &self.foreign,
            Error::SchemaMismatch { .. } => &self.mismatched,
            Error::HandlerPanicked { .. } | Error::ReadingPanicked { .. } => &self.panicked,
            Error::Take { .. } | Error::Malformed => &self.undecodable,
            _ => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, out: &Counts) -> ClientStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ClientStats {
            emitted: out.emitted,
            refused: out.refused,
            unacknowledged: out.unacknowledged,
            handled: read(&self.handled),
            missed: read(&self.missed),
            foreign: read(&self.foreign),
            undecodable: read(&self.undecodable),
            mismatched: read(&self.mismatched),
            panicked: read(&self.panicked),
        }
    }
}

/// Lets ten messages through at once and then one a second.
pub(crate) struct Limiter(std::sync::Mutex<(Instant, u32)>);

const AT_ONCE: u32 = 10;

impl Default for Limiter {
    fn default() -> Limiter {
        Limiter(std::sync::Mutex::new((Instant::now(), AT_ONCE)))
    }
}

impl Limiter {
    pub(crate) fn allow(&self) -> bool {
        let (last, left) = &mut *lock(&self.0);
        let seconds = last.elapsed().as_secs();
        if seconds > 0 {
            *left = AT_ONCE.min(left.saturating_add(u32::try_from(seconds).unwrap_or(AT_ONCE)));
            *last += Duration::from_secs(seconds);
        }
        let allowed = *left > 0;
        *left = left.saturating_sub(1);
        allowed
    }
}
