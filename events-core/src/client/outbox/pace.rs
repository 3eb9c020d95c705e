//! When a message of a burst is closed.
//!
//! ```text
//!  fast   by whoever emits, when it holds what comes in a MOMENT   ──┐
//!  full   by whoever emits, when nothing more fits                 ──┼─▶ the engine
//!  else   by the uplink thread, when it passes by                  ──┘
//! ```

use std::time::{Duration, Instant};

/// Whoever emits closes a message when it holds as much as has come in so long of late. So the first part of what he emits at
/// once is on its way while he writes the next, and no thread has to be woken for that at the right time.
const MOMENT: Duration = Duration::from_micros(150);
/// What comes more slowly than so many bytes in a [`MOMENT`] waits for the uplink thread: messages cost more than they hold.
const FAST: f64 = 16_384.0;
/// Over how long it is reckoned at least, so that many messages count.
const SPAN: Duration = Duration::from_millis(1);
/// How often the uplink thread passes by in a burst that is slow.
const PASS: Duration = Duration::from_micros(100);
/// It takes that much longer to come again for so many bytes that it has found, since waking others costs the same for a small
/// message as for a large one.
const FOR_EACH: usize = 32 << 10;
/// And that is the longest.
const LONGEST_PASS: Duration = Duration::from_micros(300);

/// How much a burst sends, and what follows from it.
pub(super) struct Pace {
    /// An open message of so many bytes is to be closed.
    full: usize,
    /// What `full` is for every message, but for one that could not leave.
    usual: usize,
    /// How many bytes have been sent since then.
    sent: usize,
    since: Instant,
    /// How many were in the last message.
    last: usize,
}

impl Pace {
    pub(super) fn new() -> Pace {
        Pace { full: usize::MAX, usual: usize::MAX, sent: 0, since: Instant::now(), last: 0 }
    }

    /// Where so many bytes come in a moment.
    #[cfg(test)]
    pub(super) fn of(bytes: usize) -> Pace {
        Pace { full: bytes, usual: bytes, ..Pace::new() }
    }

    /// Whether whoever emits closes an open message of so many bytes.
    #[inline]
    pub(super) fn is_full(&self, open: usize) -> bool {
        open >= self.full
    }

    /// The open message would not leave if it was closed: it goes on until another has left.
    pub(super) fn keep_open(&mut self) {
        self.full = usize::MAX;
    }

    /// A message has left.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.full = self.usual;
        self.sent += bytes;
        self.last = bytes;
    }

    /// Reckons anew how much comes in a moment. Called by the uplink thread when it passes by.
    pub(super) fn reckon(&mut self, now: Instant) {
        let time = now.duration_since(self.since);
        if time >= SPAN {
            let comes = self.sent as f64 * MOMENT.as_secs_f64() / time.as_secs_f64();
            self.usual = if comes >= FAST { comes as usize } else { usize::MAX };
            (self.full, self.sent, self.since) = (self.usual, 0, now);
        }
    }

    /// How long a message is open at least before the uplink thread closes it: by then whoever emits has, if he goes on as
    /// before.
    pub(super) fn least(&self) -> Duration {
        until_next(self.last)
    }
}

/// When the uplink thread passes by again after it has found so many bytes.
pub(super) fn until_next(found: usize) -> Duration {
    LONGEST_PASS.min(PASS + PASS.mul_f64(found as f64 / FOR_EACH as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_the_longer_the_more_the_last_one_found() {
        for (found, micros) in [(0, 100), (FOR_EACH / 2, 150), (FOR_EACH, 200), (2 * FOR_EACH, 300), (1 << 24, 300)] {
            assert_eq!(until_next(found), Duration::from_micros(micros), "{found}");
        }
    }

    #[test]
    fn a_message_is_full_when_it_holds_what_comes_in_a_moment() {
        let mut pace = Pace::new();
        let began = pace.since;
        assert!(!pace.is_full(1 << 30), "nothing is known yet");
        // 100 KB in a moment, each in two messages.
        for time in 1..=20 {
            (0..2).for_each(|_| pace.sent(50_000));
            pace.reckon(began + MOMENT * time);
        }
        assert!(!pace.is_full(99_000));
        assert!(pace.is_full(101_000));
        pace.keep_open();
        assert!(!pace.is_full(1 << 30), "it could not leave");
        pace.sent(101_000);
        assert!(pace.is_full(101_000));
        pace.reckon(began + Duration::from_secs(1));
        assert!(!pace.is_full(1 << 30), "it is slow");
    }
}
