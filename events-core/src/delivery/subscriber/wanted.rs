//! Which events a client's active registrations want.

use rustc_hash::FxHashMap;

use super::Interest;
use crate::frame::View;
use crate::frame::name::Name;

/// Counts registrations by what they want.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    names: FxHashMap<Name, usize>,
    any: usize,
}

impl Wanted {
    /// A registration became active.
    pub(super) fn more(&mut self, interest: &Interest) {
        match interest {
            Interest::Any => self.any += 1,
            Interest::Event(name) => *self.names.entry(name.as_str().into()).or_default() += 1,
        }
    }

    /// An active one is gone.
    pub(super) fn less(&mut self, interest: &Interest) {
        match interest {
            Interest::Any => self.any -= 1,
            Interest::Event(name) => {
                if let Some(count) = self.names.get_mut(name.as_bytes()) {
                    *count -= 1;
                    if *count == 0 {
                        self.names.remove(name.as_bytes());
                    }
                }
            }
        }
    }

    /// Whether one of them wants this event.
    pub(super) fn has(&self, view: &View<'_>) -> bool {
        self.any > 0 || self.names.contains_key(view.key())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::super::{Action, Step, Subscriber};
    use super::*;
    use crate::control::{About, Synced, Topic};
    use crate::delivery::Limits;
    use crate::engine::Frame;
    use crate::frame::{Header, bundle};

    /// Frames of publisher 9, in one message.
    fn message(frames: &[(&str, u64)]) -> Frame {
        let views = frames.iter().map(|&(name, position)| {
            let header = Header { flags: 0, publisher: 9, position, sequence: 0, fingerprint: 0, sent_at: 0 };
            View { topic: name.as_bytes(), header, records: &[0x90] }
        });
        Frame::new(bundle::message(views))
    }

    /// How many messages the subscriber hands on: as news, and as had.
    fn handed(subscriber: &mut Subscriber, message: Frame) -> (usize, usize) {
        let mut actions = VecDeque::new();
        subscriber.message(message, None, 0, &mut actions);
        let count = |which: fn(&Step) -> bool| {
            actions.iter().filter(|action| matches!(action, Action::Step(step) if which(step))).count()
        };
        (count(|step| matches!(step, Step::Frame(_))), count(|step| matches!(step, Step::Had(_))))
    }

    fn wants(subscriber: &mut Subscriber, id: u64, name: &str) {
        let mut actions = VecDeque::new();
        subscriber.register(id, Interest::Event(name.to_owned()), 0, &mut actions);
        // It has asked with the number that comes next.
        let topic = Topic::Sync { client: 1, number: id, about: About::Event(name.to_owned()) };
        subscriber.message(topic.message(&Synced::default()), None, 0, &mut actions);
        assert!(actions.iter().any(|action| matches!(action, Action::Step(Step::Activate { .. }))), "{name}");
    }

    #[test]
    fn what_nobody_wants_here_does_not_overtake_what_somebody_does() {
        let mut subscriber = Subscriber::new(1, 1, Limits::default(), &mut VecDeque::new());
        subscriber.message(Topic::Hello { epoch: 1 }.message(&crate::control::Empty()), None, 0, &mut VecDeque::new());
        wants(&mut subscriber, 1, "A");
        // The server knows nothing of B yet, or nothing more, so it may send A behind it.
        assert_eq!(handed(&mut subscriber, message(&[("B", 2)])), (0, 0));
        assert_eq!(handed(&mut subscriber, message(&[("B", 4), ("B", 6)])), (0, 0));
        assert_eq!(handed(&mut subscriber, message(&[("A", 1), ("A", 3)])), (1, 0));
        assert_eq!(handed(&mut subscriber, message(&[("A", 3)])), (0, 1));
        assert_eq!(handed(&mut subscriber, message(&[("A", 5)])), (1, 0));
        wants(&mut subscriber, 2, "B");
        assert_eq!(handed(&mut subscriber, message(&[("A", 8), ("B", 9)])), (1, 0));
        assert_eq!(handed(&mut subscriber, message(&[("B", 9)])), (0, 1));
        subscriber.unregister(2, 0, &mut VecDeque::new());
        assert_eq!(handed(&mut subscriber, message(&[("B", 10)])), (0, 0));
    }
}
