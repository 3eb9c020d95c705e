//! Whether a subscription that is granted goes to the connection that it came from.
//!
//! libzmq grants to "the connection of the message received last", which it remembers by an address in memory. When
//! that connection has ended meanwhile, another may have got the address. So what comes late from a connection
//! that has ended is never granted, and neither is what could be either's of two.

use std::collections::{HashMap, HashSet};
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use super::monitor::Event;

/// The last words of a connection come this long after its end at the most.
const LATE: Duration = Duration::from_millis(20);

/// The connections of a socket.
#[derive(Default)]
pub(super) struct Standing {
    by_fd: HashMap<RawFd, State>,
    /// Numbers of connections that have ended, whose last words may still come.
    ended: HashSet<usize>,
    /// When the last of them ended.
    last_end: Option<Instant>,
}

#[derive(Default)]
struct State {
    /// Connections with this descriptor of which nothing was heard yet and the last words may still come.
    unheard: u32,
    stands: bool,
    /// The number of the one that stands.
    id: Option<usize>,
}

impl Standing {
    pub(super) fn note(&mut self, event: Event, now: Instant) {
        match event {
            Event::Accepted(fd) => {
                let state = self.by_fd.entry(fd).or_default();
                state.unheard += 1;
                state.stands = true;
            }
            Event::Disconnected(fd) => {
                if let Some(state) = self.by_fd.get_mut(&fd) {
                    state.stands = false;
                    self.ended.extend(state.id.take());
                }
                self.last_end = Some(now);
            }
            _ => {}
        }
    }

    /// Whether what comes from connection `id`, which has the descriptor `fd`, is from the one that has it now.
    pub(super) fn is_sure(&mut self, fd: RawFd, id: usize) -> bool {
        let Some(state) = self.by_fd.get_mut(&fd) else { return false };
        if !state.stands || self.ended.contains(&id) {
            return false;
        }
        if state.id.is_none() && state.unheard == 1 {
            state.id = Some(id);
            state.unheard = 0;
        }
        state.id == Some(id)
    }

    /// Nothing is left to be received.
    pub(super) fn settled(&mut self, now: Instant) {
        if self.last_end.is_some_and(|at| now.duration_since(at) >= LATE) {
            self.last_end = None;
            self.ended.clear();
            self.by_fd.retain(|_, state| state.stands);
            for state in self.by_fd.values_mut() {
                state.unheard = u32::from(state.id.is_none());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_words_of_one_are_not_taken_for_those_of_the_next() {
        let (mut standing, begin) = (Standing::default(), Instant::now());
        standing.note(Event::Accepted(5), begin);
        assert!(standing.is_sure(5, 100) && standing.is_sure(5, 100));
        assert!(!standing.is_sure(6, 101) && !standing.is_sure(5, 102));
        standing.note(Event::Disconnected(5), begin);
        assert!(!standing.is_sure(5, 100));
        standing.note(Event::Accepted(5), begin);
        assert!(!standing.is_sure(5, 100));
        assert!(standing.is_sure(5, 103) && !standing.is_sure(5, 100));
        standing.settled(begin + LATE);
        assert!(standing.is_sure(5, 103));
    }

    #[test]
    fn what_could_be_either_of_two_is_neither_until_it_is_clear() {
        let (mut standing, begin) = (Standing::default(), Instant::now());
        for event in [Event::Accepted(5), Event::Disconnected(5), Event::Accepted(5)] {
            standing.note(event, begin);
        }
        assert!(!standing.is_sure(5, 100));
        standing.settled(begin);
        assert!(!standing.is_sure(5, 100));
        standing.settled(begin + LATE);
        assert!(standing.is_sure(5, 101) && !standing.is_sure(5, 100));
    }
}
