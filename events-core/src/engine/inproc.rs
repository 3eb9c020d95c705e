//! Tells clients of an inproc address that their server is gone, which libzmq does not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::wake::Wake;

/// The inproc addresses of one context, and who listens there.
#[derive(Default)]
pub(super) struct Inproc(Mutex<HashMap<String, Vec<Weak<Link>>>>);

/// A client's view of the server at an inproc address.
pub(super) struct Link {
    gone: AtomicBool,
    wake: Wake,
}

impl Link {
    /// Whether the server went away since this was asked last.
    pub(super) fn take_gone(&self) -> bool {
        self.gone.swap(false, Ordering::AcqRel)
    }
}

impl Inproc {
    /// Watches the server at `address` and calls `wake` when it goes.
    pub(super) fn watch(&self, address: &str, wake: &Wake) -> Arc<Link> {
        let link = Arc::new(Link { gone: AtomicBool::new(false), wake: wake.clone() });
        let mut places = self.lock();
        let links = places.entry(address.to_owned()).or_default();
        links.retain(|link| link.strong_count() > 0);
        links.push(Arc::downgrade(&link));
        link
    }

    /// Tells everybody who watches `address`.
    pub(super) fn gone(&self, address: &str) {
        for link in self.lock().get(address).into_iter().flatten().filter_map(Weak::upgrade) {
            link.gone.store(true, Ordering::Release);
            link.wake.call();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Weak<Link>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
