//! What was asked of the server and not answered yet.

use crate::delivery::{Limits, Now};

/// Something the server was asked, and when it is asked again.
///
/// It keeps its number as long as the connection stands: an answer that was slow, since it stood in a
/// full queue, is as good as a quick one. And it is asked ever more rarely, so that a server that is
/// late is not held up more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) number: u64,
    pub(super) again: Now,
    patience: Now,
}

impl Question {
    pub(super) fn new(number: u64, now: Now, limits: &Limits) -> Question {
        Question { number, again: now + limits.retry, patience: limits.retry }
    }

    pub(super) fn is_late(&self, now: Now) -> bool {
        now >= self.again
    }

    /// It was asked again.
    pub(super) fn repeated(&mut self, now: Now) {
        self.patience *= if self.patience < SLOWEST { 2 } else { 1 };
        self.again = now + self.patience;
    }

    /// An answer is on its way.
    pub(super) fn moves(&mut self, now: Now) {
        self.again = now + self.patience;
    }
}

/// Nothing is asked again more rarely than this, in microseconds.
const SLOWEST: Now = 8_000_000;
