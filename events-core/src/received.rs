//! What a handler gets: the payload and what is known about it.

use std::ops::Deref;
use std::time::{Duration, SystemTime};

use crate::frame::{Header, flags};

/// An event that arrived. Derefs to its payload.
#[derive(Clone, Debug)]
pub struct Received<E> {
    payload: E,
    about: About,
}

/// What a frame says about its records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    pub(crate) publisher: u64,
    pub(crate) sequence: u64,
    pub(crate) sent_at: u64,
    pub(crate) fingerprint: u64,
    /// It was kept by the server and came at registration.
    pub(crate) kept: bool,
}

impl About {
    pub(crate) fn new(header: &Header, kept: bool) -> About {
        About {
            publisher: header.publisher,
            sequence: header.sequence,
            sent_at: header.sent_at,
            fingerprint: header.fingerprint,
            kept: kept && header.has(flags::RETAINED),
        }
    }
}

impl<E> Received<E> {
    #[inline]
    pub(crate) fn new(payload: E, about: About) -> Received<E> {
        Received { payload, about }
    }

    /// The payload.
    pub fn payload(&self) -> &E {
        &self.payload
    }

    /// Takes the payload out.
    pub fn into_payload(self) -> E {
        self.payload
    }

    /// The id of the client that emitted it: random, new for each client.
    pub fn publisher(&self) -> u64 {
        self.about.publisher
    }

    /// Its number among all of this event by this publisher, from 0.
    pub fn sequence(&self) -> u64 {
        self.about.sequence
    }

    /// When it was emitted, by the emitter's clock. Events that were emitted in one burst share it.
    pub fn sent_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(self.about.sent_at)).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// How long ago it was emitted, by both clocks; zero if its clock is ahead of ours.
    pub fn age(&self) -> Duration {
        SystemTime::now().duration_since(self.sent_at()).unwrap_or_default()
    }

    /// Whether the server had kept it, and hands it to a registration that came later.
    pub fn is_retained(&self) -> bool {
        self.about.kept
    }

    /// Whether its publisher's shape was compared with ours. Light clients give none.
    pub fn is_verified(&self) -> bool {
        self.about.fingerprint != 0
    }

    /// The same with another payload.
    pub fn map<T>(self, map: impl FnOnce(E) -> T) -> Received<T> {
        Received { payload: map(self.payload), about: self.about }
    }
}

impl<E> Deref for Received<E> {
    type Target = E;

    #[inline]
    fn deref(&self) -> &E {
        &self.payload
    }
}
