//! How a server leaves: it stops the publishers, waits for what they had sent, and then takes nothing any more.

use super::Relay;
use crate::control::{Leaving, Topic};

impl Relay {
    /// Tells every client that this server leaves, those included that come from now on: first that they send no more, and
    /// with `last` that nothing comes any more. From then on nothing is taken, since nobody would get it.
    pub fn leave(&mut self, last: bool) {
        self.leaving = Some(Leaving { last });
        self.leaves();
    }

    /// Says how far the leaving is, if it has begun.
    pub(super) fn leaves(&mut self) {
        if let Some(leaving) = self.leaving {
            self.say(Topic::Bye.message(&leaving));
        }
    }

    /// Whether it was said that nothing comes any more.
    pub(super) fn has_left(&self) -> bool {
        self.leaving.is_some_and(|leaving| leaving.last)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Pace;
    use super::super::stub::Stub;
    use super::*;
    use crate::control::{self, Acked};
    use crate::delivery::Limits;
    use crate::engine::{Frame, Subscription};

    /// What the server says in a turn: words of leaving, and up to where it acknowledges publisher 9.
    fn said(relay: &mut Relay, hub: &mut Stub, now: u64) -> (Vec<Leaving>, Option<u64>, Pace) {
        let pace = relay.turn(hub, now, Duration::ZERO).expect("open");
        let published: Vec<Frame> = hub.published.drain(..).collect();
        let of = |topic: Topic| {
            let heard = published.iter().filter_map(|message| control::parse(message));
            heard.filter(move |(of, _)| *of == topic).map(|(_, body)| body).collect::<Vec<_>>()
        };
        let byes = of(Topic::Bye).into_iter().filter_map(control::body).collect();
        let acked: Vec<Acked> = of(Topic::Ack { publisher: 9 }).into_iter().filter_map(control::body).collect();
        (byes, acked.last().map(|acked| acked.next), pace)
    }

    #[test]
    fn who_comes_late_is_told_and_nothing_is_taken_behind_the_last_word() {
        let (mut relay, mut hub) = (Relay::new(1, Limits::default()), Stub::default());
        hub.told(&Topic::Bye, 1);
        hub.emit(9, 1);
        assert_eq!(said(&mut relay, &mut hub, 0).0, []);
        assert_eq!(said(&mut relay, &mut hub, 20_000).1, Some(2));

        relay.leave(false);
        assert_eq!(said(&mut relay, &mut hub, 30_000).0, [Leaving { last: false }]);
        hub.told(&Topic::Bye, 2);
        hub.emit(9, 2);
        assert_eq!(said(&mut relay, &mut hub, 40_000).0, [Leaving { last: false }]);
        assert_eq!(said(&mut relay, &mut hub, 60_000).1, Some(3));

        relay.leave(true);
        hub.told(&Topic::Bye, 3);
        hub.emit(9, 3);
        assert_eq!(said(&mut relay, &mut hub, 70_000).0.last(), Some(&Leaving { last: true }));
        assert_eq!(said(&mut relay, &mut hub, 90_000), (Vec::new(), None, Pace::Held));
        assert_eq!(hub.frames.len(), 1);
    }

    /// As where a client has begun over a socket and goes on through memory, and the server hears of the socket last.
    #[test]
    fn whose_connection_ended_without_a_name_has_another() {
        let (mut relay, mut hub) = (Relay::new(1, Limits::default()), Stub { named: Some(2), ..Stub::default() });
        let rx = Topic::Rx { client: 7 };
        hub.told(&rx, 2);
        hub.told(&rx, 1);
        hub.told.push_back(Subscription { on: false, topic: rx.bytes(), peer: None, owner: None });
        said(&mut relay, &mut hub, 0);
        assert!(!relay.is_alone());
        hub.subscribed(rx.bytes(), false, 2);
        said(&mut relay, &mut hub, 1);
        assert!(relay.is_alone());
    }
}
