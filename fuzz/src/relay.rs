//! A server between clients that do whatever the script says.

use std::collections::VecDeque;
use std::time::Duration;

use events_core::delivery::relay::Relay;
use events_core::engine::{Addresses, EngineError, Frame, Hub, Owner, Peer, PublishError, Subscription, Waker};

use super::script::{Script, limits};

/// An engine's end without an engine.
#[derive(Default)]
struct Scripted {
    messages: VecDeque<(Frame, Option<Owner>)>,
    sender: Option<Owner>,
    subscriptions: VecDeque<Subscription>,
    /// So many publications have room.
    room: u64,
}

impl Hub for Scripted {
    fn collect(&mut self) -> Result<Option<Frame>, EngineError> {
        let Some((frame, sender)) = self.messages.pop_front() else { return Ok(None) };
        self.sender = sender;
        Ok(Some(frame))
    }

    fn sender(&self) -> Option<Owner> {
        self.sender
    }

    fn subscription(&mut self) -> Result<Option<Subscription>, EngineError> {
        Ok(self.subscriptions.pop_front())
    }

    fn publish(&mut self, _: &Frame, _: Option<&Frame>, _: Duration) -> Result<(), PublishError> {
        self.room = self.room.checked_sub(1).ok_or(PublishError::Full)?;
        Ok(())
    }

    fn wait(&mut self, _: Duration) -> Result<(), EngineError> {
        Ok(())
    }

    fn disconnect(&mut self, _: Peer) {}

    fn waker(&self) -> Waker {
        Waker::new(|| {})
    }

    fn addresses(&self) -> Addresses {
        Addresses { emit: String::new(), reg: String::new() }
    }
}

fn owner(script: &mut Script<'_>) -> Option<Owner> {
    script.bool().then(|| Owner(script.byte().into()))
}

/// Everything that clients can say to a server, and when.
pub fn relay(bytes: &[u8]) {
    let (limits, mut script) = (limits(), Script(bytes));
    let (mut relay, mut hub, mut now) = (Relay::new(1, limits), Scripted::default(), 0);
    while !script.is_over() {
        match script.byte() % 4 {
            0 => {
                let on = script.byte() % 4 != 0;
                let topic = if script.byte() % 4 == 0 { script.bytes() } else { script.topic().bytes() };
                let peer = script.bool().then(|| Peer(script.id()));
                let owner = owner(&mut script);
                hub.subscriptions.push_back(Subscription { on, topic, peer, owner });
            }
            1 | 2 => {
                let message = script.message();
                let owner = owner(&mut script);
                hub.messages.push_back((message, owner));
            }
            _ => {
                now += u64::from(script.byte());
                hub.room = u64::from(script.byte());
                relay.turn(&mut hub, now, Duration::ZERO).expect("the hub never fails");
                let figures = relay.figures();
                assert!(figures.publishers <= limits.known as u64 && figures.clients <= limits.known as u64);
                // Full is full: what came last may have gone over it, by no more than itself.
                assert!(
                    relay.kept_bytes() <= limits.window + (limits.window_frames + 1) * 1024,
                    "{}",
                    relay.kept_bytes()
                );
            }
        }
    }
}
