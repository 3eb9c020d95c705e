//! Whose this process is, whether it was forked, what it does with free memory, and what runs when it exits: what `std` does
//! not tell.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, Once, OnceLock};

/// The user whose rights this process has.
pub(crate) fn effective_user() -> libc::uid_t {
    // SAFETY: takes nothing, always succeeds, and touches no memory of ours.
    unsafe { libc::geteuid() }
}

/// How many forks lie between this process and the first.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// In which process something was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Birth(u32);

impl Birth {
    pub(crate) fn now() -> Birth {
        extern "C" fn forked() {
            FORKS.fetch_add(1, Ordering::Relaxed);
        }
        static ONCE: Once = Once::new();
        // SAFETY: only stores the pointer to a function that lives as long as the program, and does nothing in a child but add.
        ONCE.call_once(|| unsafe {
            // Without memory for that it goes unnoticed.
            let _ = libc::pthread_atfork(None, None, Some(forked));
        });
        Birth(FORKS.load(Ordering::Relaxed))
    }

    /// Whether this process was forked from that one: its threads did not come along, and its connections are not ours.
    #[inline]
    pub(crate) fn is_inherited(self) -> bool {
        FORKS.load(Ordering::Relaxed) != self.0
    }
}

/// What a process has one of. A forked child begins without: what it inherited is locked by nobody who is there, works with
/// threads that are not, and lies there as it is.
pub(crate) struct Own<T>(OnceLock<OfProcess<T>>);

struct OfProcess<T> {
    made: Birth,
    value: Mutex<Option<T>>,
    of_child: OnceLock<Box<OfProcess<T>>>,
}

impl<T> Own<T> {
    pub(crate) const fn new() -> Own<T> {
        Own(OnceLock::new())
    }

    /// What this process has.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<T>> {
        let mut own = self.0.get_or_init(OfProcess::new);
        while own.made.is_inherited() {
            own = own.of_child.get_or_init(|| Box::new(OfProcess::new()));
        }
        crate::lock(&own.value)
    }
}

impl<T> OfProcess<T> {
    fn new() -> OfProcess<T> {
        OfProcess { made: Birth::now(), value: Mutex::new(None), of_child: OnceLock::new() }
    }
}

/// Calls `run` when the process exits by itself: at the end of `main`, or by `std::process::exit`.
/// Nothing runs when it is killed.
pub(crate) fn at_exit(run: extern "C" fn()) {
    // SAFETY: `atexit` only stores the pointer to a function that lives as long as the program.
    let refused = unsafe { libc::atexit(run) } != 0;
    if refused {
        tracing::warn!("the exit handler was not installed: flush before the process ends");
    }
}

/// Has the C library keep what messages have freed for the messages that come next, if nobody has told it otherwise. glibc
/// gives it back after 256 KiB, until it has seen a larger block go; so one goes here. See `docs/decisions/free-memory.md`.
#[cfg(feature = "zmq")]
pub(crate) fn keep_free_memory() {
    /// Twice as much stays with the process from now on: what queues on both sides of a connection take in a burst.
    const FREED_ONCE: usize = 4 << 20;
    static ONCE: Once = Once::new();
    // SAFETY: `free` takes what `malloc` gave, be it null; nobody else knows of it.
    ONCE.call_once(|| unsafe { libc::free(std::hint::black_box(libc::malloc(FREED_ONCE))) });
}

#[cfg(test)]
pub(crate) mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// Runs `act` in a forked child. Returns whether it came to its end there, within 20 s and without a panic.
    pub(crate) fn in_a_child(act: impl FnOnce()) -> bool {
        // SAFETY: the child runs `act` and leaves without what the test harness had to do at its end. If it hangs the alarm
        // ends it.
        unsafe {
            let child = libc::fork();
            assert_ne!(child, -1, "{}", std::io::Error::last_os_error());
            if child == 0 {
                libc::alarm(20);
                libc::_exit(i32::from(catch_unwind(AssertUnwindSafe(act)).is_err()));
            }
            let mut status = -1;
            assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
            status == 0
        }
    }

    #[test]
    fn a_child_begins_without_what_its_parent_has_one_of() {
        let own = Own::new();
        let held = &mut *own.lock();
        *held = Some(1);
        assert!(in_a_child(|| {
            assert_eq!(own.lock().replace(2), None);
            assert_eq!(*own.lock(), Some(2));
        }));
        assert_eq!(*held, Some(1));
    }
}
