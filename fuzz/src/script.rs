//! What happens to a state machine, told by bytes.

use events_core::control::{
    About, Acked, Announced, Begins, Denied, Hold, Leaving, Reached, Replay, Resume, Synced, Topic,
};
use events_core::delivery::Limits;
use events_core::engine::Frame;
use events_core::frame::{self, Header};

/// Limits that a short script reaches.
pub(crate) fn limits() -> Limits {
    Limits {
        frame: 64,
        largest_frame: 256,
        window: 512,
        window_frames: 4,
        in_flight: 256,
        in_sockets: 256,
        queue: 256,
        ack_every: 128,
        ack_after: 10,
        stall: 200,
        retry: 50,
        grace: 100,
        known: 4,
        ..Limits::default()
    }
}

const NAMES: [&str; 4] = ["A", "B", "mail.UNREAD", "A_LONGER_NAME"];

/// Bytes, read from the front; zeroes once there are no more.
pub(crate) struct Script<'a>(pub(crate) &'a [u8]);

impl Script<'_> {
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    pub(crate) fn bool(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Mostly small; now and then at the end of what there is.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() {
            byte @ 0..=239 => u64::from(byte),
            byte @ 240..=247 => u64::MAX - u64::from(byte - 240),
            _ => (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte())),
        }
    }

    /// One of few, so that they meet again.
    pub(crate) fn id(&mut self) -> u64 {
        u64::from(self.byte() % 6)
    }

    pub(crate) fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes.to_vec()
    }

    pub(crate) fn name(&mut self) -> String {
        NAMES[usize::from(self.byte()) % NAMES.len()].to_owned()
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let length = self.byte() % 4;
        (0..length).map(|_| item(self)).collect()
    }

    fn standings(&mut self) -> Vec<(u64, u64)> {
        self.list(|script| (script.id(), script.number()))
    }

    pub(crate) fn topic(&mut self) -> Topic {
        match self.byte() % 11 {
            0 => Topic::Hello { epoch: self.id() },
            1 => Topic::Sync {
                client: self.id(),
                number: self.id(),
                about: match self.byte() % 4 {
                    0 => About::Nothing,
                    1 => About::Event(self.name()),
                    2 => About::Events,
                    _ => About::Shape(self.id()),
                },
            },
            2 => Topic::Ack { publisher: self.id() },
            3 => Topic::Resume { client: self.id(), number: self.id() },
            4 => Topic::Rx { client: self.id() },
            5 => Topic::Shape { fingerprint: self.id() },
            6 => Topic::Stats,
            7 => Topic::Bye,
            8 => Topic::Begin { publisher: self.id() },
            9 => Topic::Full { client: self.id() },
            _ => Topic::Hold { client: self.id() },
        }
    }

    /// A frame of an event; its records are any bytes.
    pub(crate) fn event(&mut self) -> Frame {
        let (name, flags) = (self.name(), self.byte() & 0x7F);
        let header = Header {
            flags,
            publisher: self.id(),
            position: self.number(),
            sequence: self.number(),
            fingerprint: self.id(),
            sent_at: 0,
        };
        let mut bytes = Vec::new();
        frame::begin(&mut bytes, &name, &header);
        match self.byte() % 4 {
            0 => bytes.extend(self.bytes()),
            count => bytes.extend((0..count).map(|_| 0x90)),
        }
        Frame::new(bytes)
    }

    fn reached(&mut self) -> Reached {
        Reached { publisher: self.id(), event: self.name(), base: self.number(), next: self.number() }
    }

    /// A control message with the body that belongs to its topic.
    pub(crate) fn control(&mut self) -> Frame {
        let topic = self.topic();
        match &topic {
            Topic::Denied { .. } => topic.message(&Denied { emitted: self.bool(), event: self.name() }),
            Topic::Hold { .. } => topic.message(&Hold { on: self.bool() }),
            Topic::Hello { .. } | Topic::Full { .. } | Topic::Stats | Topic::Bundles => {
                topic.message(&events_core::control::Empty())
            }
            Topic::Sync { .. } => topic.message(&Synced {
                epoch: self.id(),
                baseline: self.standings(),
                sequences: self.standings(),
                shape: self.bool().then(|| self.name()),
                streams: self.list(Self::reached),
            }),
            Topic::Ack { .. } => topic.message(&Acked { next: self.number(), again: self.bool(), keep: self.bool() }),
            Topic::Resume { .. } => {
                topic.message(&Resume { had: self.standings(), names: self.list(Self::name), any: self.bool() })
            }
            Topic::Rx { .. } => topic.message(&Replay {
                number: self.id(),
                end: self.bool(),
                bases: self.list(Self::number),
                baseline: self.standings(),
                sequences: self.list(Self::reached),
            }),
            Topic::Shape { .. } => {
                let shape = self.name();
                let announced = Announced {
                    publisher: self.id(),
                    name: self.name(),
                    sequence: self.number(),
                    fresh: self.number(),
                    shape,
                };
                // Under the fingerprint that it has, or the server would look no further.
                let fingerprint = events_core::shape::fingerprint_of(&announced.shape);
                Topic::Shape { fingerprint }.message(&announced)
            }
            Topic::Begin { .. } => {
                topic.message(&Begins { epoch: self.id(), oldest: self.number(), past: self.number() })
            }
            Topic::Bye => topic.message(&Leaving { last: self.bool() }),
        }
    }

    /// Whatever may come as one message.
    pub(crate) fn message(&mut self) -> Frame {
        match self.byte() % 4 {
            0 => Frame::new(self.bytes()),
            1 => {
                let mut bytes = self.topic().bytes();
                bytes.push(0);
                bytes.extend(self.bytes());
                Frame::new(bytes)
            }
            2 => self.control(),
            _ => self.event(),
        }
    }
}
