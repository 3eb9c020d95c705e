//! Who may emit, while there is no room for all.
//!
//! ```text
//!  a handler that waits for room    before everybody else: what it handles makes room in the inbox
//!  any handler                      alone, while somebody who listens to what is emitted here is full;
//!                                   of the others one event passes now and then
//!  everybody                        otherwise
//! ```

use std::time::{Duration, Instant};

/// While only handlers may emit, one event of somebody else passes after so long, and then another. Who answers slowly has
/// enough to do and nobody is refused; and a circle takes long to fill by that.
const HELD: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Turns {
    /// Emits in handlers that wait for room.
    handlers_waiting: usize,
    /// A handler has waited for room in vain, and the server has taken nothing since: the next do not wait. What they
    /// handle makes room in the inbox, and so a circle that is full loosens.
    jammed: bool,
    /// Only handlers may emit, since then or since somebody else has: what they are called with has to go somewhere, and
    /// there is no room elsewhere.
    held: Option<Instant>,
}

impl Turns {
    /// Whether it is the turn of a handler, or of somebody else.
    #[inline]
    pub(super) fn may_emit(&mut self, handler: bool) -> bool {
        handler || (self.handlers_waiting == 0 && self.held.is_none()) || self.lets_pass()
    }

    #[cold]
    fn lets_pass(&mut self) -> bool {
        let passes = self.handlers_waiting == 0 && self.held_for().is_none_or(|left| left.is_zero());
        if passes && let Some(since) = &mut self.held {
            *since = Instant::now();
        }
        passes
    }

    /// How long nobody but a handler may emit yet; `None` if all may.
    fn held_for(&self) -> Option<Duration> {
        self.held.map(|since| HELD.saturating_sub(since.elapsed()))
    }

    /// Somebody who listens to what is emitted here has no room, or has room again.
    pub(super) fn hold(&mut self, on: bool) {
        self.held = on.then(Instant::now);
    }

    /// Another server takes what is emitted: it knows of nobody who has no room.
    pub(super) fn begin_anew(&mut self) {
        self.held = None;
    }

    /// The server has taken something.
    pub(super) fn moved(&mut self) {
        self.jammed = false;
    }

    /// Whether whoever waits for his turn gives up: when his time is over, or a handler before others have.
    pub(super) fn gives_up(&self, handler: bool, left: Duration) -> bool {
        left.is_zero() || (handler && self.jammed)
    }

    /// Somebody gave up who would have waited so long.
    pub(super) fn gave_up(&mut self, handler: bool, limit: Duration) {
        // Who asked for no wait has not waited in vain.
        self.jammed |= handler && !limit.is_zero();
    }

    /// Somebody begins to wait who has so much time left: when it may be his turn at the latest.
    pub(super) fn begin_wait(&mut self, handler: bool, left: Duration) -> Duration {
        self.handlers_waiting += usize::from(handler);
        let turn = self.held_for().filter(|held| !handler && !held.is_zero());
        turn.map_or(left, |turn| left.min(turn))
    }

    pub(super) fn end_wait(&mut self, handler: bool) {
        self.handlers_waiting -= usize::from(handler);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(1_000);

    #[test]
    fn handlers_that_wait_go_first() {
        let mut turns = Turns::default();
        assert!(turns.may_emit(false));
        assert_eq!(turns.begin_wait(true, LONG), LONG);
        assert!(!turns.may_emit(false));
        assert!(turns.may_emit(true));
        turns.end_wait(true);
        assert!(turns.may_emit(false));
    }

    #[test]
    fn while_it_is_held_one_who_is_no_handler_passes_after_a_while_and_then_none_for_as_long() {
        let mut turns = Turns::default();
        turns.hold(true);
        assert!(!turns.may_emit(false));
        assert!(turns.may_emit(true));
        assert!(turns.begin_wait(false, LONG) <= HELD, "he looks again by then");
        assert_eq!(turns.begin_wait(true, LONG), LONG);
        turns.end_wait(true);
        turns.held = Some(Instant::now().checked_sub(HELD).expect("a machine that is up for longer"));
        assert!(turns.may_emit(false));
        assert!(!turns.may_emit(false));
        turns.begin_anew();
        assert!(turns.may_emit(false));
    }

    #[test]
    fn where_one_handler_has_waited_in_vain_the_next_do_not_wait() {
        let mut turns = Turns::default();
        turns.gave_up(true, Duration::ZERO);
        assert!(!turns.gives_up(true, LONG));
        turns.gave_up(false, LONG);
        assert!(!turns.gives_up(true, LONG));
        turns.gave_up(true, LONG);
        assert!(turns.gives_up(true, LONG));
        assert!(!turns.gives_up(false, LONG));
        turns.moved();
        assert!(!turns.gives_up(true, LONG));
        assert!(turns.gives_up(true, Duration::ZERO));
    }
}
