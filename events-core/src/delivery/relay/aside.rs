//! What is collected while the ring may drop nothing: who asks for a replay gets through, since it is what the ring
//! waits for; all else waits in the order in which it came.

use std::collections::VecDeque;

use super::Relay;
use super::permits::Sender;
use crate::control::{self, Topic};
use crate::delivery::Now;
use crate::engine::{EngineError, Frame, Hub};

#[derive(Debug, Default)]
pub(super) struct Aside {
    messages: VecDeque<(Frame, Sender)>,
    bytes: usize,
}

impl Aside {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    fn push(&mut self, message: Frame, sender: Sender) {
        self.bytes += message.len();
        self.messages.push_back((message, sender));
    }

    fn pop(&mut self) -> Option<(Frame, Sender)> {
        let (message, sender) = self.messages.pop_front()?;
        self.bytes -= message.len();
        Some((message, sender))
    }
}

impl Relay {
    /// The next message, and who sent it.
    pub(super) fn next_message(&mut self, hub: &mut dyn Hub) -> Result<Option<(Frame, Sender)>, EngineError> {
        match self.aside.pop() {
            Some(message) => Ok(Some(message)),
            None => Ok(hub.collect()?.map(|message| (message, Sender::of(hub)))),
        }
    }

    /// Looks for those who ask for a replay, behind no more than a window of messages that have to wait.
    pub(super) fn look_for_resumes(&mut self, hub: &mut dyn Hub, now: Now) -> Result<(), EngineError> {
        while self.aside.bytes < self.limits.window
            && let Some(message) = hub.collect()?
        {
            let sender = Sender::of(hub);
            let resumes = matches!(control::parse(&message), Some((Topic::Resume { .. }, _)));
            if resumes && !self.is_too_large(&message) {
                self.controlled(&message, &sender, now);
            } else {
                self.aside.push(message, sender);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Pace;
    use super::super::stub::Stub;
    use super::*;
    use crate::control::Resume;
    use crate::delivery::Limits;

    #[test]
    fn who_asks_for_a_replay_is_heard_while_all_else_waits_in_its_order() {
        // A frame has 50 bytes: ten of them are more than four windows, and nothing may leave the ring for a second.
        let limits = Limits { window: 120, window_frames: 0, ..Limits::default() };
        let (mut relay, mut hub) = (Relay::new(1, limits), Stub::default());
        hub.told(&Topic::Rx { client: 5 }, 1);
        (2..12).for_each(|position| hub.emit(9, position));
        assert_eq!(relay.turn(&mut hub, 0, Duration::ZERO).expect("open"), Pace::Held);
        assert!(relay.is_in_grace(500_000));
        assert_eq!(relay.figures().frames, 10);

        hub.emit(9, 12);
        let asks = Resume { had: vec![(9, 10)], names: vec!["E".to_owned()], any: false };
        hub.frames.push_back(Topic::Resume { client: 5, number: 1 }.message(&asks));
        hub.emit(9, 13);
        assert_eq!(relay.turn(&mut hub, 100_000, Duration::ZERO).expect("open"), Pace::Held);
        assert_eq!((relay.figures().replays, relay.figures().frames), (1, 10));
        relay.turn(&mut hub, 200_000, Duration::ZERO).expect("open");
        assert_eq!((relay.figures().replayed, relay.figures().frames), (1, 10));

        for now in [5_000_000, 6_000_000] {
            relay.turn(&mut hub, now, Duration::ZERO).expect("open");
        }
        let figures = relay.figures();
        assert_eq!((figures.frames, figures.duplicates, figures.early), (12, 0, 0), "{figures:?}");
    }
}
