//! Control messages: what clients and server say to each other about events, never events themselves.
//!
//! A control message is `TOPIC 0x00 BODY`: the topic begins with 0xFF, which no event name can, and
//! the body is one MessagePack array. Ids in topics are 16 hex digits, so that no topic of a kind is
//! a prefix of another.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::engine::Frame;

/// The prefix of all control topics that a client subscribes to besides its own.
pub const HELLO: &[u8] = b"\xFFhello/";
/// "I am going, go away from me."
pub const BYE: &[u8] = b"\xFFbye";
/// Figures of the server, every few seconds.
pub const STATS: &[u8] = b"\xFFstats";

/// What a control topic says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topic {
    /// The server's first word on a connection.
    Hello {
        /// Which run of the server.
        epoch: u64,
    },
    /// A barrier: all subscriptions before it stand.
    Sync {
        /// Who asks.
        client: u64,
        /// Which attempt.
        number: u64,
        /// What is asked beside the barrier.
        about: About,
    },
    /// The next position the server expects of a publisher.
    Ack {
        /// Whose.
        publisher: u64,
    },
    /// What a client had before its connection broke.
    Resume {
        /// Who asks.
        client: u64,
        /// Which attempt.
        number: u64,
    },
    /// Replayed frames for one client.
    Rx {
        /// Whose.
        client: u64,
    },
    /// Something that a client tried and its key may not do. Who listens to `rx` hears it.
    Denied {
        /// Who tried.
        client: u64,
    },
    /// Whoever subscribes to it has a handler that waits for room. Nothing is said on it.
    Full {
        /// Who.
        client: u64,
    },
    /// Whether to hold back, since somebody else is [full](Topic::Full). Who listens to `rx` hears it.
    Hold {
        /// Who is asked.
        client: u64,
    },
    /// The text of a shape.
    Shape {
        /// The fingerprint of that text.
        fingerprint: u64,
    },
    /// Where a publisher begins at one run of the server.
    Begin {
        /// Who begins.
        publisher: u64,
    },
    /// Figures of the server.
    Stats,
    /// The server is leaving.
    Bye,
    /// Whoever subscribes to it takes messages of several frames. Nothing is said on it.
    Bundles,
}

/// What a [`Topic::Sync`] asks beside the barrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Nothing.
    Nothing,
    /// The retained frame of the event, and where its sequences stand.
    Event(String),
    /// Where the sequences of all events stand.
    Events,
    /// The text of a shape.
    Shape(u64),
    /// Nothing. The client is about to take its subscriptions to this event back, or, without a name, those to all
    /// events, and does so once it is answered.
    Leaving(Option<String>),
}

impl Topic {
    /// The bytes to subscribe to, and those a message on this topic begins with.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0xFF];
        bytes.extend_from_slice(
            match self {
                Topic::Hello { epoch } => format!("hello/{epoch:016x}"),
                Topic::Sync { client, number, about } => {
                    let barrier = format!("sync/{client:016x}/{number:016x}");
                    match about {
                        About::Nothing => barrier,
                        About::Event(name) => format!("{barrier}/{name}"),
                        About::Events => format!("{barrier}/*"),
                        About::Shape(fingerprint) => format!("{barrier}/#{fingerprint:016x}"),
                        About::Leaving(name) => format!("{barrier}/-{}", name.as_deref().unwrap_or_default()),
                    }
                }
                Topic::Ack { publisher } => format!("ack/{publisher:016x}"),
                Topic::Resume { client, number } => format!("resume/{client:016x}/{number:016x}"),
                Topic::Rx { client } => format!("rx/{client:016x}"),
                Topic::Denied { client } => format!("rx/{client:016x}/denied"),
                Topic::Full { client } => format!("full/{client:016x}"),
                Topic::Hold { client } => format!("rx/{client:016x}/hold"),
                Topic::Shape { fingerprint } => format!("shape/{fingerprint:016x}"),
                Topic::Begin { publisher } => format!("begin/{publisher:016x}"),
                Topic::Stats => "stats".to_owned(),
                Topic::Bye => "bye".to_owned(),
                Topic::Bundles => "bundles".to_owned(),
            }
            .as_bytes(),
        );
        bytes
    }

    /// Reads a topic; `None` for whatever is none.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Topic> {
        let (&0xFF, text) = bytes.split_first()? else { return None };
        let text = std::str::from_utf8(text).ok()?;
        let (kind, rest) = text.split_once('/').unwrap_or((text, ""));
        let mut ids = rest.splitn(3, '/');
        let topic = match kind {
            "hello" => Topic::Hello { epoch: id(ids.next()?)? },
            "sync" => Topic::Sync {
                client: id(ids.next()?)?,
                number: id(ids.next()?)?,
                about: match ids.next() {
                    None => About::Nothing,
                    Some(text) => about(text)?,
                },
            },
            "ack" => Topic::Ack { publisher: id(ids.next()?)? },
            "resume" => Topic::Resume { client: id(ids.next()?)?, number: id(ids.next()?)? },
            "rx" => match (id(ids.next()?)?, ids.next()) {
                (client, None) => Topic::Rx { client },
                (client, Some("hold")) => Topic::Hold { client },
                (client, Some(_)) => Topic::Denied { client },
            },
            "full" => Topic::Full { client: id(ids.next()?)? },
            "shape" => Topic::Shape { fingerprint: id(ids.next()?)? },
            "begin" => Topic::Begin { publisher: id(ids.next()?)? },
            "stats" => Topic::Stats,
            "bye" => Topic::Bye,
            "bundles" => Topic::Bundles,
            _ => return None,
        };
        // Whatever does not read back as written (upper case digits, more parts) is no topic.
        (topic.bytes() == bytes).then_some(topic)
    }

    /// The message on this topic with `body`.
    #[must_use]
    pub fn message<B: Body>(&self, body: &B) -> Frame {
        let mut bytes = self.bytes();
        bytes.push(0);
        // Numbers, strings and lists into memory: nothing in a body can fail to be written.
        if let Err(error) = rmp_serde::encode::write(&mut bytes, body) {
            tracing::error!(%error, "a control message was not written");
        }
        Frame::new(bytes)
    }
}

/// Takes a control message apart; `None` for whatever is none.
#[must_use]
pub fn parse(message: &[u8]) -> Option<(Topic, &[u8])> {
    let zero = message.iter().take(crate::frame::MAX_NAME + 64).position(|&byte| byte == 0)?;
    Some((Topic::parse(&message[..zero])?, &message[zero + 1..]))
}

/// Reads a body; `None` for whatever is not laid out so.
#[must_use]
pub fn body<B: Body>(bytes: &[u8]) -> Option<B> {
    rmp_serde::from_slice(bytes).ok()
}

fn about(text: &str) -> Option<About> {
    if let Some(fingerprint) = text.strip_prefix('#') {
        return Some(About::Shape(id(fingerprint)?));
    }
    if text == "*" {
        return Some(About::Events);
    }
    let (name, leaving) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
    let name = (name.len() <= crate::frame::MAX_NAME).then(|| name.to_owned())?;
    Some(if leaving { About::Leaving((!name.is_empty()).then_some(name)) } else { About::Event(name) })
}

fn id(text: &str) -> Option<u64> {
    (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok())?
}

/// The body of a control message: a MessagePack array of fixed layout.
pub trait Body: Serialize + DeserializeOwned {}

macro_rules! bodies {
    ($($name:ident),*) => { $(impl Body for $name {})* };
}

bodies!(Empty, Leaving, Synced, Acked, Resume, Replay, Denied, Hold, Announced, Begins, Figures);

/// Nothing to say: an empty array.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty();

/// The body of [`Topic::Bye`], which is said twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaving {
    /// `false`: send nothing more. `true`: everything that was sent has been handed out before this.
    pub last: bool,
}

/// The answer to a [`Topic::Sync`]. The retained frame, if there is one, is the message's second part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synced {
    /// Which run of the server answers.
    pub epoch: u64,
    /// Where every publisher stands that the server knows.
    pub baseline: Vec<Standing>,
    /// Where the sequences of the event asked for stand: publisher, next sequence.
    pub sequences: Vec<(u64, u64)>,
    /// The text of the shape asked for.
    pub shape: Option<String>,
    /// Where those of all events stand, if that was asked for.
    pub streams: Vec<Reached>,
}

/// Where a publisher stands: its id and the newest position the server took.
pub type Standing = (u64, u64);

/// The body of [`Topic::Ack`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acked {
    /// The position the server expects next; 0 if it does not know the publisher.
    pub next: u64,
    /// Whether the publisher must go back there and send again from it.
    pub again: bool,
    /// Whether it must keep more than its window, since the server does: [`Limits::grown`](crate::delivery::Limits::grown).
    #[serde(default)]
    pub keep: bool,
}

/// The body of [`Topic::Resume`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// What the client had: the newest position of each publisher.
    pub had: Vec<Standing>,
    /// The events it wants.
    pub names: Vec<String>,
    /// Whether it wants all events.
    pub any: bool,
}

/// The body of [`Topic::Rx`]. The second part, if there is one, is a replayed frame, or several; without one and
/// with [`end`](Replay::end) unset it is a look whether the client's queue has room, and means nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Of which attempt.
    pub number: u64,
    /// The replay ends here: what comes from now on is live.
    pub end: bool,
    /// For each frame in the second part: the [`base`](Reached::base) of its event and publisher.
    pub bases: Vec<u64>,
    /// At the end: where every publisher stands.
    pub baseline: Vec<Standing>,
    /// At the end: where the sequences stand.
    pub sequences: Vec<Reached>,
}

/// The body of [`Topic::Denied`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Denied {
    /// It was emitted; otherwise it was registered for.
    pub emitted: bool,
    /// Which event; `*` for a subscription that is not to one event.
    pub event: String,
}

/// The body of [`Topic::Hold`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Until another word, what is not emitted in a handler has to wait.
    pub on: bool,
}

/// Where the sequence of one event of one publisher stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// Whose.
    pub publisher: u64,
    /// Which event.
    pub event: String,
    /// Where it stood when this run of the server began to know it: everything before lies before every
    /// registration of this run.
    pub base: u64,
    /// The next sequence.
    pub next: u64,
}

/// The body of [`Topic::Shape`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// Who emits events of that shape.
    pub publisher: u64,
    /// Which event.
    pub name: String,
    /// The sequence of the first record of it that the publisher can still send.
    pub sequence: u64,
    /// The sequence of the first record of it that no server has acknowledged.
    pub fresh: u64,
    /// The canonical text.
    pub shape: String,
}

/// The body of [`Topic::Begin`]: what a publisher says to the run of the server that has greeted it, before its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begins {
    /// To which run. To any other it means nothing.
    pub epoch: u64,
    /// The position of the oldest frame that the publisher has: nothing before it will come.
    pub oldest: u64,
    /// The position of the first frame that no earlier server has acknowledged.
    pub past: u64,
}

/// The body of [`Topic::Stats`]: counted since the server began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Figures {
    /// Frames taken in and handed out.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames that came twice and were dropped.
    pub duplicates: u64,
    /// Frames that came too early, before one that was lost on the way.
    pub early: u64,
    /// Messages of another protocol that were forwarded.
    pub foreign: u64,
    /// Messages that are no frames and were dropped.
    pub malformed: u64,
    /// Control messages that were dropped.
    pub refused: u64,
    /// Clients that were disconnected because they stalled.
    pub stalled: u64,
    /// Replays begun.
    pub replays: u64,
    /// Frames sent again in replays.
    pub replayed: u64,
    /// Publishers known now.
    pub publishers: u64,
    /// Clients connected now.
    pub clients: u64,
    /// Frames, control messages and subscriptions under an id of somebody else, which were dropped.
    pub forged: u64,
    /// Frames and subscriptions that a key may not make, which were dropped.
    pub denied: u64,
    /// Frames beyond the limits of this server, which were dropped.
    pub excess: u64,
    /// Connections there are now, for events in and for events out.
    pub connections: u64,
    /// Connections that were ended because there were too many.
    pub turned_away: u64,
    /// Connections that were ended because they subscribed to too much.
    pub oversubscribed: u64,
    /// Connections that ended before they could carry messages: strangers, other protocols, and those that said
    /// nothing.
    pub failed_handshakes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn topics_read_back() {
        let (client, number) = (0x0123_4567_89ab_cdef, 7);
        for topic in [
            Topic::Hello { epoch: 5 },
            Topic::Sync { client, number, about: About::Nothing },
            Topic::Sync { client, number, about: About::Event("mail.UNREAD".into()) },
            Topic::Sync { client, number, about: About::Shape(3) },
            Topic::Sync { client, number, about: About::Leaving(Some("mail.UNREAD".into())) },
            Topic::Sync { client, number, about: About::Leaving(None) },
            Topic::Bundles,
            Topic::Ack { publisher: 3 },
            Topic::Resume { client, number },
            Topic::Rx { client },
            Topic::Denied { client },
            Topic::Full { client },
            Topic::Hold { client },
            Topic::Shape { fingerprint: 9 },
            Topic::Begin { publisher: 3 },
            Topic::Stats,
            Topic::Bye,
        ] {
            assert_eq!(Topic::parse(&topic.bytes()), Some(topic));
        }
        for bytes in [&b""[..], b"\xFF", b"bye", b"\xFFack/1", b"\xFFack/00000000000000AB", b"\xFFbye/1", b"\xFFhello/"]
        {
            assert_eq!(Topic::parse(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_message_reads_back() {
        let acked = Acked { next: 300, again: true, keep: false };
        let message = Topic::Ack { publisher: 1 }.message(&acked);
        let (topic, bytes) = parse(&message).expect("a control message");
        assert_eq!((topic, body(bytes)), (Topic::Ack { publisher: 1 }, Some(acked)));
        assert_eq!(bytes, [0x93, 0xCD, 0x01, 0x2C, 0xC3, 0xC2]);
        assert_eq!(body(&[0x92, 0xCD, 0x01, 0x2C, 0xC3]), Some(acked), "of a server that never asks to keep more");
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(bytes in any::<Vec<u8>>()) {
            let _ = parse(&bytes);
            let _ = (body::<Synced>(&bytes), body::<Resume>(&bytes), body::<Replay>(&bytes), body::<Announced>(&bytes));
        }
    }
}
