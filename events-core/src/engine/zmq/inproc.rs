//! Tells clients of an inproc address that their server is gone, which libzmq does not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::wake::Wake;

/// The inproc addresses of one context, and who listens there.
#[derive(Default)]
pub(super) struct Inproc(Mutex<HashMap<String, Place>>);

#[derive(Default)]
struct Place {
    links: Vec<Weak<Link>>,
    served: bool,
}

/// A client's view of the server at an inproc address.
pub(super) struct Link {
    gone: AtomicBool,
    there: bool,
    wake: Wake,
}

impl Link {
    /// Whether a server was there when the watch began.
    pub(super) fn is_there(&self) -> bool {
        self.there
    }

    /// Whether the server went away since this was asked last.
    pub(super) fn take_gone(&self) -> bool {
        self.gone.swap(false, Ordering::AcqRel)
    }
}

impl Inproc {
    /// Watches the server at `address` and calls `wake` when it goes.
    pub(super) fn watch(&self, address: &str, wake: &Wake) -> Arc<Link> {
        let mut places = self.lock();
        let place = places.entry(address.to_owned()).or_default();
        let link = Arc::new(Link { gone: AtomicBool::new(false), there: place.served, wake: wake.clone() });
        place.links.retain(|link| link.strong_count() > 0);
        place.links.push(Arc::downgrade(&link));
        link
    }

    /// A server is at `address` now.
    pub(super) fn served(&self, address: &str) {
        self.lock().entry(address.to_owned()).or_default().served = true;
    }

    /// The server at `address` is gone: tells everybody who watches.
    pub(super) fn gone(&self, address: &str) {
        let mut places = self.lock();
        let Some(place) = places.get_mut(address) else { return };
        place.served = false;
        for link in place.links.iter().filter_map(Weak::upgrade) {
            link.gone.store(true, Ordering::Release);
            link.wake.call();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
