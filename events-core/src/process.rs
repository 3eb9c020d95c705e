//! Whose this process is, what it does with free memory, and what runs when it exits: what `std` does not tell.
#![allow(unsafe_code)]

use std::hint::black_box;
use std::sync::Once;

/// Twice as much free memory stays with the process from now on: what queues on both sides of a connection take in a burst.
const FREED_ONCE: usize = 4 << 20;

/// The user whose rights this process has.
pub(crate) fn effective_user() -> libc::uid_t {
    // SAFETY: takes nothing, always succeeds, and touches no memory of ours.
    unsafe { libc::geteuid() }
}

/// Calls `run` when the process exits by itself: at the end of `main`, or by `std::process::exit`.
/// Nothing runs when it is killed.
pub fn at_exit(run: extern "C" fn()) {
    // SAFETY: `atexit` only stores the pointer to a function that lives as long as the program.
    let refused = unsafe { libc::atexit(run) } != 0;
    if refused {
        tracing::warn!("the exit handler was not installed: flush before the process ends");
    }
}

/// Has the C library keep what messages have freed for the messages that come next, if nobody has told it otherwise. glibc
/// gives it back after 256 KiB, until it has seen a larger block go; so one goes here. See `docs/decisions/free-memory.md`.
pub(crate) fn keep_free_memory() {
    static ONCE: Once = Once::new();
    // SAFETY: `free` takes what `malloc` gave, be it null; nobody else knows of it.
    ONCE.call_once(|| unsafe { libc::free(black_box(libc::malloc(FREED_ONCE))) });
}
