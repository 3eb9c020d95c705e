//! Whose this process is, and what runs when it exits: what `std` does not tell.
#![allow(unsafe_code)]

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
