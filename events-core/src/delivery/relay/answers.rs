//! What waits to be said: an answer that finds its client's queue full is not tried again in every turn.
//!
//! ```text
//!  asked ─▶ queue ─▶ said
//!             ▲   └─ no room: none to this client for 1 ms, doubling to 64 ms, and none is put together
//!             └──────┘
//! ```

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Relay, sent};
use crate::control::{About, Reached, Synced, Topic};
use crate::delivery::Now;
use crate::delivery::intake::Stream;
use crate::engine::{EngineError, Frame, Hub};
use crate::frame::{bundle, flags};

/// How many answers may wait for clients that do not read.
const ANSWERS: usize = 16_384;
/// How long an answer without room waits at first, and at most, in microseconds.
const WAIT: Now = 1_000;
const LONGEST_WAIT: Now = 64_000;

/// What waits to be said.
#[derive(Debug)]
pub(super) enum Answer {
    /// This.
    Message(Frame),
    /// What holds at the moment it is said, so that what a client gets before the answer and what the
    /// answer speaks of are the same.
    Sync {
        client: u64,
        number: u64,
        about: About,
        /// Whether the client may know about it.
        open: bool,
    },
    /// The retained frame of this event, for those whose sync was answered without it.
    Retained(Box<str>),
}

impl Answer {
    /// Whose queue it needs; 0 if it is for all.
    fn client(&self) -> u64 {
        match self {
            Answer::Sync { client, .. } => *client,
            Answer::Message(_) | Answer::Retained(_) => 0,
        }
    }
}

/// All that waits to be said.
#[derive(Debug, Default)]
pub(super) struct Answers {
    queue: VecDeque<Answer>,
    /// The syncs in it, by client and number: to ask again what waits to be answered adds nothing.
    asked: FxHashSet<(u64, u64)>,
    /// Clients without room: how long they wait, and until when.
    full: FxHashMap<u64, (Now, Now)>,
    /// When something may be said at the earliest.
    due: Now,
}

impl Answers {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// When it is worth to try again; `None` if nothing waits.
    pub(super) fn due(&self) -> Option<Now> {
        (!self.queue.is_empty()).then_some(self.due)
    }

    /// Adds one. Returns whether another had to go for it, whoever asked for which asks again.
    pub(super) fn push(&mut self, answer: Answer) -> bool {
        if let Answer::Sync { client, number, .. } = answer
            && !self.asked.insert((client, number))
        {
            return false;
        }
        let full = self.queue.len() >= ANSWERS;
        if full && let Some(oldest) = self.queue.pop_front() {
            self.forget(&oldest);
        }
        self.queue.push_back(answer);
        self.due = 0;
        full
    }

    /// The next that may be said now, of so many.
    fn next(&mut self, now: Now) -> Option<Answer> {
        let answer = self.queue.pop_front()?;
        match self.full.get(&answer.client()) {
            Some(&(_, until)) if now < until => {
                self.wait(answer, until);
                None
            }
            _ => Some(answer),
        }
    }

    fn wait(&mut self, answer: Answer, until: Now) {
        self.due = self.due.min(until);
        self.queue.push_back(answer);
    }

    fn had_room(&mut self, answer: &Answer) {
        self.full.remove(&answer.client());
        self.forget(answer);
    }

    fn had_no_room(&mut self, answer: Answer, now: Now) {
        let client = answer.client();
        let mut until = now + WAIT;
        // What is for all waits for the slowest of them, who may be another each time.
        if client != 0 {
            let (wait, last) = self.full.entry(client).or_insert((WAIT / 2, 0));
            *wait = (*wait * 2).min(LONGEST_WAIT);
            *last = now + *wait;
            until = *last;
        }
        self.wait(answer, until);
    }

    fn forget(&mut self, answer: &Answer) {
        if let Answer::Sync { client, number, .. } = answer {
            self.asked.remove(&(*client, *number));
        }
        // Those whose answers had to go are not taken out one by one.
        if self.asked.is_empty() || self.full.len() > ANSWERS {
            self.full.clear();
        }
    }
}

impl Relay {
    pub(super) fn push_answer(&mut self, answer: Answer) {
        self.figures.refused += u64::from(self.answers.push(answer));
    }

    /// Says what there is to say to the clients that have room.
    pub(super) fn answer(&mut self, hub: &mut dyn Hub, now: Now) -> Result<(), EngineError> {
        if self.answers.due().is_none_or(|due| now < due) {
            return Ok(());
        }
        self.answers.due = Now::MAX;
        for _ in 0..self.answers.queue.len() {
            let Some(answer) = self.answers.next(now) else { continue };
            if let Answer::Sync { about, .. } = &answer
                && !self.may_answer(about)
            {
                self.answers.wait(answer, now + WAIT);
                continue;
            }
            let (head, body) = match &answer {
                Answer::Message(message) => (message.clone(), None),
                Answer::Sync { client, number, about, open } => self.synced(*client, *number, about, *open),
                Answer::Retained(name) => match self.retained.get(name) {
                    Some(frame) => (Frame::new(bundle::with_flags(frame, |_| flags::TOLD_AGAIN)), None),
                    None => continue,
                },
            };
            if sent(hub.publish(&head, body.as_ref(), std::time::Duration::ZERO))? {
                self.answers.had_room(&answer);
            } else {
                self.answers.had_no_room(answer, now);
            }
        }
        Ok(())
    }

    /// The answer to a sync, and its second part.
    fn synced(&self, client: u64, number: u64, about: &About, open: bool) -> (Frame, Option<Frame>) {
        let mut synced = Synced {
            epoch: self.epoch,
            baseline: self.intake.baseline(),
            sequences: Vec::new(),
            shape: None,
            streams: Vec::new(),
        };
        let mut retained = None;
        match about {
            _ if !open => {}
            About::Nothing | About::Leaving(_) => {}
            About::Event(name) => {
                // What lies before the base is from before this server, and not for a new registration.
                let next = |(publisher, base, stream)| (publisher, self.next_of(stream).max(base));
                synced.sequences = self.intake.streams(name).map(next).collect();
                retained = self.retained.get(name).cloned();
            }
            About::Events => {
                // As above.
                let reached = |stream| {
                    let reached = self.reached(stream);
                    Reached { next: reached.next.max(reached.base), ..reached }
                };
                synced.streams = self.intake.all_streams().map(reached).collect();
            }
            About::Shape(fingerprint) => synced.shape = self.shapes.get(fingerprint).cloned(),
        }
        (Topic::Sync { client, number, about: about.clone() }.message(&synced), retained)
    }

    /// Where a stream stands, by its publisher, event and base.
    pub(super) fn reached(&self, (publisher, event, base, stream): (u64, &str, u64, Stream)) -> Reached {
        Reached { publisher, event: event.to_owned(), base, next: self.next_of(stream) }
    }

    fn next_of(&self, stream: Stream) -> u64 {
        match stream {
            Stream::Next(next) => next,
            Stream::InRing(index) => self.ring.sequence_behind(index).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sync(client: u64, number: u64) -> Answer {
        Answer::Sync { client, number, about: About::Nothing, open: true }
    }

    /// How often something is tried within a second of turns from then on, one each millisecond, if `room` says who has some.
    fn tries(answers: &mut Answers, from: Now, room: impl Fn(u64) -> bool) -> usize {
        let mut tries = 0;
        for now in (from..from + 1_000_000).step_by(1_000) {
            if answers.due().is_none_or(|due| now < due) {
                continue;
            }
            answers.due = Now::MAX;
            for _ in 0..answers.queue.len() {
                let Some(answer) = answers.next(now) else { continue };
                tries += 1;
                if room(answer.client()) {
                    answers.had_room(&answer);
                } else {
                    answers.had_no_room(answer, now);
                }
            }
        }
        tries
    }

    #[test]
    fn who_does_not_read_costs_a_try_now_and_then_however_much_it_asks() {
        let mut answers = Answers::default();
        (0..1_000).for_each(|number| _ = answers.push(sync(7, number)));
        let tries = tries(&mut answers, 0, |_| false);
        assert!((15..=25).contains(&tries), "{tries} tries");
        assert_eq!(answers.queue.len(), 1_000);
    }

    #[test]
    fn nobody_waits_for_one_that_does_not_read() {
        let mut answers = Answers::default();
        (0..100).for_each(|number| _ = answers.push(sync(7, number)));
        (0..100).for_each(|number| _ = answers.push(sync(8, number)));
        tries(&mut answers, 0, |client| client == 8);
        assert!(answers.queue.iter().all(|answer| answer.client() == 7));
        // When there is room again everything is said.
        assert_eq!(tries(&mut answers, 1_000_000, |_| true), 100);
        assert!(answers.is_empty() && answers.asked.is_empty() && answers.full.is_empty());
    }

    #[test]
    fn what_is_asked_again_while_it_waits_waits_once_and_the_oldest_makes_room() {
        let mut answers = Answers::default();
        (0..10).for_each(|_| _ = answers.push(sync(7, 1)));
        assert_eq!(answers.queue.len(), 1);
        let dropped = (0..ANSWERS as u64 + 5).filter(|&number| answers.push(sync(8, number))).count();
        assert_eq!((dropped, answers.queue.len(), answers.asked.len()), (6, ANSWERS, ANSWERS));
    }
}
