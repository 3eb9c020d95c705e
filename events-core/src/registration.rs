//! A handler's entry in its client: what both the caller of `register` and the handler thread know.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::client::Shared;

/// One registration, as everybody sees it.
pub(crate) struct Slot {
    id: u64,
    /// The event's name; `None` for all events.
    event: Option<Box<str>>,
    uid: Box<str>,
    /// One of the constants below.
    state: AtomicU8,
    once: bool,
    called: AtomicBool,
    /// The server has the subscription.
    stands: AtomicBool,
    /// The present server does not hand the event on to this client.
    refused: AtomicBool,
    /// It was active when the present server began.
    veteran: AtomicBool,
    client: Weak<Shared>,
}

const PENDING: u8 = 0;
const ACTIVE: u8 = 1;
const CANCELLED: u8 = 2;

impl Slot {
    pub(crate) fn new(id: u64, event: Option<&str>, uid: &str, once: bool, client: Weak<Shared>) -> Slot {
        Slot {
            id,
            event: event.map(Into::into),
            uid: uid.into(),
            state: AtomicU8::new(PENDING),
            once,
            called: AtomicBool::new(false),
            stands: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            veteran: AtomicBool::new(false),
            client,
        }
    }

    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn event(&self) -> Option<&str> {
        self.event.as_deref()
    }

    pub(crate) fn uid(&self) -> &str {
        &self.uid
    }

    #[inline]
    pub(crate) fn is_active(&self) -> bool {
        self.state.load(Ordering::Acquire) == ACTIVE
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.state.load(Ordering::Acquire) == CANCELLED
    }

    /// Whether the server has answered.
    pub(crate) fn stands(&self) -> bool {
        self.stands.load(Ordering::Acquire)
    }

    /// Whether every event emitted from now on arrives.
    pub(crate) fn is_sure(&self) -> bool {
        self.stands() && !self.is_cancelled() && !self.is_refused()
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Acquire)
    }

    pub(crate) fn set_refused(&self, refused: bool) {
        self.refused.store(refused, Ordering::Release);
    }

    pub(crate) fn set_stands(&self) {
        self.stands.store(true, Ordering::Release);
    }

    pub(crate) fn activate(&self) {
        // A registration that was taken back meanwhile stays so.
        let _ = self.state.compare_exchange(PENDING, ACTIVE, Ordering::AcqRel, Ordering::Acquire);
    }

    /// It takes the place of `old` in the middle of the stream.
    pub(crate) fn follow(&self, old: &Slot, active: bool) {
        if active {
            self.activate();
        }
        self.veteran.store(old.is_veteran(), Ordering::Relaxed);
    }

    /// Another server begins: what is active now was so before it.
    pub(crate) fn new_server(&self) {
        self.veteran.store(self.is_active(), Ordering::Relaxed);
    }

    /// Whether it was active when the present server began.
    #[inline]
    pub(crate) fn is_veteran(&self) -> bool {
        self.veteran.load(Ordering::Relaxed)
    }

    /// Whether it became active under the present server and has not been called.
    pub(crate) fn waits_for_first(&self) -> bool {
        self.is_active() && !self.is_veteran() && !self.called.load(Ordering::Acquire)
    }

    /// Returns whether it was not cancelled before.
    pub(crate) fn cancel(&self) -> bool {
        self.state.swap(CANCELLED, Ordering::AcqRel) != CANCELLED
    }

    /// Whether the handler is to be called now. A handler for one event only is taken back with it.
    #[inline]
    pub(crate) fn may_call(&self) -> bool {
        if !self.is_active() {
            return false;
        }
        if self.once {
            return self.may_call_once();
        }
        // Most often it was called before, and a look is cheaper than a swap.
        if !self.called.load(Ordering::Relaxed) {
            self.called.store(true, Ordering::Release);
        }
        true
    }

    #[cold]
    fn may_call_once(&self) -> bool {
        let first = !self.called.swap(true, Ordering::AcqRel);
        if first && let Some(client) = self.client.upgrade() {
            client.unregister(self);
        }
        first
    }
}

/// A handler that was registered. Dropping this keeps the handler; see [`scoped`](Registration::scoped).
pub struct Registration {
    slot: Arc<Slot>,
}

impl Registration {
    pub(crate) fn new(slot: Arc<Slot>) -> Registration {
        Registration { slot }
    }

    /// The uid: unique per event and client.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.slot.uid()
    }

    /// Whether the server has the subscription, so that every event emitted from now on arrives.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.slot.is_sure()
    }

    /// Waits until the registration is active, at most `limit`. Returns whether it is.
    ///
    /// Inside a handler of the same client this returns at once: it would wait for itself.
    #[must_use]
    pub fn wait_active(&self, limit: Duration) -> bool {
        self.slot.client.upgrade().is_some_and(|client| client.wait_active(&self.slot, limit))
    }

    /// Takes the handler back. It is not called again once this returns, unless it is running.
    pub fn unregister(self) {
        if let Some(client) = self.slot.client.upgrade() {
            client.unregister(&self.slot);
        }
    }

    /// The same, but dropping it takes the handler back.
    #[must_use = "dropping it takes the handler back"]
    pub fn scoped(self) -> ScopedRegistration {
        ScopedRegistration(self.slot)
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = self.slot.event().unwrap_or("every event");
        f.debug_struct("Registration").field("event", &event).field("uid", &self.uid()).finish_non_exhaustive()
    }
}

/// A handler that is taken back when this is dropped.
#[must_use = "dropping it takes the handler back"]
pub struct ScopedRegistration(Arc<Slot>);

impl ScopedRegistration {
    /// The uid: unique per event and client.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.0.uid()
    }
}

impl Drop for ScopedRegistration {
    fn drop(&mut self) {
        if let Some(client) = self.0.client.upgrade() {
            client.unregister(&self.0);
        }
    }
}

impl fmt::Debug for ScopedRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScopedRegistration").field(&self.uid()).finish()
    }
}
