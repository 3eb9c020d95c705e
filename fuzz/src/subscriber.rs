//! A client, its handlers included, whose server says whatever the script says.

use std::collections::VecDeque;

use events_core::delivery::subscriber::{Action, Interest, Subscriber};
use events_core::dispatch::handling::{Handling, Seen};

use super::script::{Script, limits};

/// Everything that a server can say to a client, and when.
pub fn subscriber(bytes: &[u8]) {
    let (mut script, mut actions, mut now) = (Script(bytes), VecDeque::new(), 0);
    let mut subscriber = Subscriber::new(1, 1, limits(), &mut actions);
    let mut handling = Handling::default();
    let mut next = 1;
    while !script.is_over() {
        match script.byte() % 16 {
            0 => {
                let name = script.bool().then(|| script.name());
                handling.add(next, name.as_deref());
                subscriber.register(next, name.map_or(Interest::Any, Interest::Event), now, &mut actions);
                next += 1;
            }
            1 => {
                let id = script.id();
                subscriber.unregister(id, now, &mut actions);
                handling.remove(id);
            }
            2 => subscriber.ask_shape(script.id(), now, &mut actions),
            3 => subscriber.hold(script.bool(), now, &mut actions),
            4 => subscriber.fall_behind(now, &mut actions),
            5 => subscriber.disconnected(),
            6 => subscriber.alive(&mut actions),
            7 => {
                now += u64::from(script.byte());
                subscriber.tick(now, &mut actions);
            }
            _ => {
                let head = script.message();
                let body = script.bool().then(|| script.message());
                subscriber.message(head, body, now, &mut actions);
            }
        }
        for action in actions.drain(..) {
            let Action::Step(step) = action else { continue };
            for seen in handling.step(step) {
                if let Seen::Lagged(lagged) = seen {
                    assert_ne!(lagged.missed, 0, "nothing was missed");
                }
            }
        }
    }
}
