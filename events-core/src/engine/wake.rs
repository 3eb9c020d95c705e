//! Interrupts a wait from another thread.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::sys;
use crate::engine::Waker;

/// A descriptor that becomes readable when somebody calls. Calls between two waits cost one write.
#[derive(Clone)]
pub(super) struct Wake(Arc<Inner>);

struct Inner {
    counter: File,
    called: AtomicBool,
}

impl Wake {
    pub(super) fn new() -> io::Result<Wake> {
        Ok(Wake(Arc::new(Inner { counter: sys::eventfd()?, called: AtomicBool::new(false) })))
    }

    pub(super) fn call(&self) {
        if !self.0.called.swap(true, Ordering::AcqRel) {
            // It fails only when the counter is at its end, and then it is readable anyway.
            let _ = (&self.0.counter).write(&1u64.to_ne_bytes());
        }
    }

    pub(super) fn waker(&self) -> Waker {
        let wake = self.clone();
        Waker::new(move || wake.call())
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.counter.as_fd()
    }

    /// Forgets the calls so far. First the counter, then the flag: the other way round a call in between
    /// would leave the flag set over an empty counter, and no later call would be heard. A call in between
    /// this way needs no hearing, since the wait is just about to return.
    pub(super) fn clear(&self) {
        let _ = (&self.0.counter).read(&mut [0; 8]);
        self.0.called.swap(false, Ordering::AcqRel);
    }
}
