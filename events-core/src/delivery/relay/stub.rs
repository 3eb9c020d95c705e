//! A hub for tests, on which they put what comes and look at what goes.

use std::collections::VecDeque;
use std::time::Duration;

use crate::control::Topic;
use crate::engine::{Addresses, EngineError, Frame, Hub, Peer, PublishError, Subscription, Waker};
use crate::frame::{self, Header, flags};

#[derive(Default)]
pub(super) struct Stub {
    pub(super) told: VecDeque<Subscription>,
    pub(super) frames: VecDeque<Frame>,
    /// Messages of one part.
    pub(super) published: Vec<Frame>,
    /// And of two.
    pub(super) pairs: Vec<(Frame, Frame)>,
    /// Nobody takes anything.
    pub(super) full: bool,
    /// So many messages are still taken.
    pub(super) room: Option<usize>,
    pub(super) stuck: Vec<Peer>,
    pub(super) disconnected: Vec<u64>,
    /// The connection whose subscriptions are taken back by name.
    pub(super) named: Option<u64>,
}

impl Stub {
    pub(super) fn told(&mut self, topic: &Topic, peer: u64) {
        self.subscribed(topic.bytes(), true, peer);
    }

    pub(super) fn subscribed(&mut self, topic: Vec<u8>, on: bool, peer: u64) {
        self.told.push_back(Subscription { on, topic, peer: Some(Peer(peer)), owner: None });
    }

    /// An empty frame of a publisher that says that it begins there.
    pub(super) fn emit(&mut self, publisher: u64, position: u64) {
        self.emit_as("E", publisher, position);
    }

    pub(super) fn emit_as(&mut self, name: &str, publisher: u64, position: u64) {
        let header = Header { flags: flags::OLDEST, publisher, position, sequence: 0, fingerprint: 0, sent_at: 0 };
        let mut bytes = Vec::new();
        frame::begin(&mut bytes, name, &header);
        self.frames.push_back(Frame::new(bytes));
    }
}

impl Hub for Stub {
    fn collect(&mut self) -> Result<Option<Frame>, EngineError> {
        Ok(self.frames.pop_front())
    }

    fn subscription(&mut self) -> Result<Option<Subscription>, EngineError> {
        Ok(self.told.pop_front())
    }

    fn names(&self, connection: Peer) -> bool {
        self.named == Some(connection.0)
    }

    fn publish(&mut self, head: &Frame, body: Option<&Frame>, _: Duration) -> Result<(), PublishError> {
        if self.full || self.room == Some(0) {
            return Err(PublishError::Full);
        }
        self.room = self.room.map(|room| room - 1);
        match body {
            Some(body) => self.pairs.push((head.clone(), body.clone())),
            None => self.published.push(head.clone()),
        }
        Ok(())
    }

    fn wait(&mut self, _: Duration) -> Result<(), EngineError> {
        Ok(())
    }

    fn stuck(&mut self, _: bool) -> Vec<Peer> {
        self.stuck.clone()
    }

    fn disconnect(&mut self, peer: Peer) {
        self.disconnected.push(peer.0);
    }

    fn waker(&self) -> Waker {
        Waker::new(|| {})
    }

    fn addresses(&self) -> Addresses {
        Addresses { emit: String::new(), reg: String::new() }
    }
}
