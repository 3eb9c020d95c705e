//! Signals that ask the command to end, told to the thread that can end it in order.

use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Calls `told` at each SIGINT and SIGTERM, on a thread of its own. A second one ends the process at once,
/// so that nobody is held by an end that takes too long.
pub(crate) fn on_end(mut told: impl FnMut() + Send + 'static) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut signals = signals.forever();
        if signals.next().is_some() {
            told();
        }
        if signals.next().is_some() {
            std::process::exit(1);
        }
    })?;
    Ok(())
}
