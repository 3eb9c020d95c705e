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
            if matches!(control::parse(&message), Some((Topic::Resume { .. }, _))) {
                self.controlled(&message, &sender, now);
            } else {
                self.aside.push(message, sender);
            }
        }
        Ok(())
    }
}
