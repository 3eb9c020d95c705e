//! What a subscriber asks of the client around it.

use crate::control::{Acked, Denied, Reached};
use crate::engine::Frame;

/// What the client must do, in this order.
#[derive(Debug)]
pub enum Action {
    /// Subscribe to this topic.
    Subscribe(Vec<u8>),
    /// Take a subscription back.
    Unsubscribe(Vec<u8>),
    /// Send this control message to the server.
    Send(Frame),
    /// Hand this to the handlers.
    Step(Step),
    /// The server acknowledges frames of this client's publisher.
    Acked(Acked),
    /// The server drops what this client's key may not do.
    Denied(Denied),
    /// From now on only handlers may emit, or everybody again.
    Hold(bool),
    /// A server greets.
    Greeted {
        /// How it compares with what was before.
        greeting: Greeting,
        /// Which run it is.
        epoch: u64,
    },
    /// The text of a shape that was asked for, if the server knows it.
    Shape(u64, Option<String>),
    /// The server is leaving: send nothing more until another greets.
    Pause,
    /// The server has left, as far as this client is concerned.
    Bye,
}

/// How a connection's first message compares with what was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// The first server of this client.
    First,
    /// The run of the server that it was before.
    Same,
    /// Another run.
    New,
}

/// What happens at the handlers, in order.
#[derive(Debug)]
pub enum Step {
    /// A frame to decode and hand to whoever registered.
    Frame(Frame),
    /// A frame that was replayed.
    Replayed {
        /// The frame.
        frame: Frame,
        /// Where its event and publisher stood when the server began to know them.
        base: u64,
    },
    /// A frame that this client had before: it is not handed out again.
    Had(Frame),
    /// A retained frame that the server has got back: for registrations that still wait for one.
    Retained(Frame),
    /// A message of another protocol.
    Foreign(Frame),
    /// Bytes that are neither.
    Malformed,
    /// A registration is active from here on.
    Activate {
        /// Which one.
        registration: u64,
        /// The retained frame of its event.
        retained: Option<Frame>,
        /// Where the sequences of its event stand: publisher and next sequence.
        sequences: Vec<(u64, u64)>,
        /// If it is for all events: where those of all stand.
        streams: Vec<Reached>,
    },
    /// A replay has ended, or something was skipped: these sequences are reached, whatever arrived.
    Reached(Vec<Reached>),
    /// From here on everything comes from another run of the server: what is active now was so before it.
    NewServer,
}

/// Which events a registration is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interest {
    /// One event, by name.
    Event(String),
    /// All events.
    Any,
}
