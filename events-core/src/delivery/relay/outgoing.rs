//! What the server sends next, and notes once it has.
//!
//! ```text
//!  whole:  message ──────────────────▶ published ─▶ handed_out: in the ring, and acknowledged
//!  apart:  message ─┬─ for these ────▶ published
//!                   ├─ for those ────▶ published
//!                   └─ …   ──────────▶ published ─▶ handed_out, whole
//! ```
//!
//! Until it is handed out it counts nowhere: what the server says of itself is always what everybody has been sent.

use std::collections::VecDeque;
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use super::answers::Answer;
use super::{Client, Relay, sent};
use crate::control::{self, About, Topic};
use crate::delivery::Now;
use crate::delivery::intake::{Intake, Stream};
use crate::delivery::interests::{Class, Interests};
use crate::delivery::retained::Kept;
use crate::delivery::ring::sequence_behind;
use crate::engine::{EngineError, Frame, Hub, Peer};
use crate::frame::bundle::{self, views};
use crate::frame::{self, Bundle, Content, View, flags};

/// A client that wants events of several parts is sent them together first, if there are no more of these.
const COPIES: usize = 64;

/// A message on its way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    message: Frame,
    /// Not everybody wants all of it: what goes out instead, as far as it has not been sent.
    parts: Option<VecDeque<Part>>,
    /// Some of it has been sent.
    begun: bool,
    /// The names in it, where the rest has to wait: many may ask about them meanwhile.
    names: FxHashSet<String>,
}

/// Frames that go out together.
#[derive(Debug)]
struct Part {
    message: Frame,
    /// For this client by itself. What it gets with others comes behind, and it has it then.
    only: Option<u64>,
}

/// The clients of connections.
pub(super) type ClientOf<'a> = &'a dyn Fn(Peer) -> Option<u64>;

impl Outgoing {
    /// A message that goes out as it is.
    pub(super) fn whole(message: Frame) -> Outgoing {
        Outgoing { message, parts: None, begun: false, names: FxHashSet::default() }
    }

    /// A message that is taken apart, if it is one of several frames.
    pub(super) fn apart(message: Frame, interests: &mut Interests, client_of: ClientOf<'_>) -> Outgoing {
        let parts = match frame::parse(&message) {
            Ok(Content::Bundle(bundle)) => {
                let views: Vec<View<'_>> = bundle.views().flatten().collect();
                Some(taken_apart(interests, client_of, &views))
            }
            _ => None,
        };
        Outgoing { parts, ..Outgoing::whole(message) }
    }

    /// The same for who wants what now.
    fn sorted_again(self, interests: &mut Interests, client_of: ClientOf<'_>) -> Outgoing {
        match (self.parts, frame::parse(&self.message)) {
            (Some(parts), _) if self.begun => {
                let left = parts.iter().filter(|part| part.only.is_none());
                let mut left: Vec<View<'_>> = left.flat_map(|part| views(&part.message)).collect();
                left.sort_unstable_by_key(|view| view.header.position);
                let parts = Some(taken_apart(interests, client_of, &left));
                Outgoing { parts, ..self }
            }
            (_, Ok(Content::Bundle(bundle))) if are_for_the_same(interests, &bundle) != Some(true) => {
                Outgoing::apart(self.message, interests, client_of)
            }
            _ => Outgoing::whole(self.message),
        }
    }

    /// What is sent next, and for whom alone; `None` if all was.
    fn next(&self) -> Option<(&Frame, Option<u64>)> {
        match &self.parts {
            Some(parts) => parts.front().map(|part| (&part.message, part.only)),
            None if self.begun => None,
            None => Some((&self.message, None)),
        }
    }

    /// That has been sent.
    fn went(&mut self) {
        self.begun = true;
        if let Some(parts) = &mut self.parts {
            parts.pop_front();
        }
    }

    /// Whether some have been sent what others have not yet. Then it is neither before nor behind what the server says of
    /// where things stand.
    fn is_begun(&self) -> bool {
        self.begun
    }

    /// The rest of it has to wait.
    fn waits(self) -> Outgoing {
        if !self.begun || !self.names.is_empty() {
            return self;
        }
        Outgoing { names: views(&self.message).map(|view| view.name().to_owned()).collect(), ..self }
    }
}

/// Whether the frames are all for the same connections, who take several at once. `None` if it is not what a publisher puts
/// together: numbered without holes, and nothing that must be alone.
pub(super) fn are_for_the_same(interests: &Interests, bundle: &Bundle<'_>) -> Option<bool> {
    let mut first = None;
    let mut same = true;
    for (view, expected) in bundle.views().zip(bundle.first.position..) {
        let View { header, topic, .. } = view.ok()?;
        if header.position != expected || header.position == 0 || header.has(flags::ALONE) {
            return None;
        }
        let class = interests.class(topic);
        same &= class.is_some_and(|class| !class.single) && *first.get_or_insert(class) == class;
    }
    Some(same)
}

/// An event's name in a message.
struct Kind<'a> {
    topic: &'a [u8],
    lane: usize,
    class: Option<Class>,
}

/// The names in some frames, and of each frame the index of its own.
fn kinds<'a>(interests: &mut Interests, frames: &[View<'a>]) -> (Vec<Kind<'a>>, Vec<usize>) {
    let mut topics: Vec<&[u8]> = Vec::new();
    let mut known = FxHashMap::default();
    let mut kind_of = Vec::with_capacity(frames.len());
    for view in frames {
        kind_of.push(*known.entry(view.topic).or_insert_with(|| {
            topics.push(view.topic);
            topics.len() - 1
        }));
    }
    let lanes = interests.lanes(topics.iter().copied());
    let kinds = topics.into_iter().zip(lanes);
    (kinds.map(|(topic, lane)| Kind { topic, lane, class: interests.class(topic) }).collect(), kind_of)
}

/// The messages in which frames reach those who want them. Frames change places only where nobody wants both, or has been sent
/// both before; so whoever wants several has them in their order.
fn taken_apart(interests: &mut Interests, client_of: ClientOf<'_>, frames: &[View<'_>]) -> VecDeque<Part> {
    let (kinds, kind_of) = kinds(interests, frames);
    let copied = copied(interests, client_of, &kinds, &kind_of);
    let mut parts = VecDeque::new();
    for (peer, client) in copied.values().flatten() {
        let wanted: Vec<bool> = kinds.iter().map(|kind| interests.wants(*peer, kind.topic)).collect();
        let views = frames.iter().zip(&kind_of).filter(|(_, kind)| wanted[**kind]).map(|(view, _)| *view);
        parts.push_back(Part { message: Frame::new(bundle::message(views)), only: Some(*client) });
    }
    let mut messages: Vec<Vec<View<'_>>> = Vec::new();
    // Of each lane, or class where the order is seen to, the message that may take more, and for whom it is.
    let mut open: FxHashMap<(usize, Option<Class>), (usize, Class)> = FxHashMap::default();
    for (view, kind) in frames.iter().zip(kind_of) {
        let Kind { lane, class, .. } = kinds[kind];
        let Some(class) = class else {
            // It may be for anybody.
            open.clear();
            messages.push(vec![*view]);
            continue;
        };
        let place = (lane, copied.contains_key(&lane).then_some(class));
        match open.get(&place).filter(|(_, of)| *of == class && !class.single) {
            Some((message, _)) => messages[*message].push(*view),
            None => {
                open.insert(place, (messages.len(), class));
                messages.push(vec![*view]);
            }
        }
    }
    let messages = messages.into_iter().map(|views| Frame::new(bundle::message(views.into_iter())));
    parts.extend(messages.map(|message| Part { message, only: None }));
    parts
}

/// The lanes in which those who want events of several classes get them by themselves first, and who these are. That is worth
/// it if there are fewer of them than it saves messages.
fn copied(
    interests: &Interests,
    client_of: ClientOf<'_>,
    kinds: &[Kind<'_>],
    kind_of: &[usize],
) -> FxHashMap<usize, Vec<(Peer, u64)>> {
    // By lane: the last class, how many messages it makes in this order, and how many of these stay so in any order.
    let mut runs: FxHashMap<usize, (Option<Class>, usize, usize)> = FxHashMap::default();
    for &kind in kind_of {
        let Kind { lane, class, .. } = kinds[kind];
        // It may be for anybody.
        let Some(Class { single, .. }) = class else { return FxHashMap::default() };
        let (last, count, singles) = runs.entry(lane).or_default();
        *count += usize::from(std::mem::replace(last, class) != class || single);
        *singles += usize::from(single);
    }
    let of_lane = |lane: usize| kinds.iter().filter(move |kind| kind.lane == lane);
    let copied = runs.into_iter().filter_map(|(lane, (_, runs, singles))| {
        let several = |peer: &&Peer| {
            let mut wanted = of_lane(lane).filter(|kind| interests.wants(**peer, kind.topic)).map(|kind| kind.class);
            wanted.next().is_some_and(|first| wanted.any(|other| other != first))
        };
        let several_at_once = of_lane(lane).filter_map(|kind| kind.class).filter(|class| !class.single);
        let classes: FxHashSet<_> = several_at_once.collect();
        let most = runs.checked_sub(classes.len() + singles + 1)?.min(COPIES);
        let spanning: Vec<Peer> = interests.spanning(lane)?.iter().filter(several).take(most + 1).copied().collect();
        let of_clients = || spanning.iter().map(|peer| Some((*peer, client_of(*peer)?))).collect::<Option<_>>();
        (spanning.len() <= most).then(of_clients)?.map(|spanning| (lane, spanning))
    });
    copied.collect()
}

/// The client whose connection this is.
pub(super) fn client_of(clients: &FxHashMap<u64, Client>, peer: Peer) -> Option<u64> {
    clients.iter().find(|(_, client)| client.peer == Some(peer)).map(|(id, _)| *id)
}

impl Relay {
    /// Sends what is to be sent, waiting for room once at most. `false`: somebody has none.
    pub(super) fn hand_out(&mut self, hub: &mut dyn Hub, now: Now, wait: &mut Duration) -> Result<bool, EngineError> {
        let Some(mut outgoing) = self.pending.take() else { return Ok(true) };
        while let Some((message, only)) = outgoing.next() {
            let done = match only {
                Some(client) => {
                    let head = Topic::Rx { client }.message(&control::Replay::default());
                    hub.publish(&head, Some(message), *wait)
                }
                None => hub.publish(message, None, *wait),
            };
            if !sent(done)? {
                self.pending = Some(outgoing.waits());
                return Ok(false);
            }
            *wait = Duration::ZERO;
            outgoing.went();
        }
        self.handed_out(&outgoing.message, now);
        Ok(true)
    }

    /// Whether a replay may end now: whoever gets it may have missed the first of what goes out, which is not in the ring yet.
    pub(super) fn replays_may_end(&self) -> bool {
        !self.pending.as_ref().is_some_and(Outgoing::is_begun)
    }

    /// Whether it can be said where these events stand.
    pub(super) fn may_answer(&self, about: &About) -> bool {
        let Some(outgoing) = self.pending.as_ref().filter(|outgoing| outgoing.is_begun()) else { return true };
        match about {
            About::Event(name) => !outgoing.names.contains(name),
            About::Events => false,
            About::Nothing | About::Leaving(_) | About::Shape(_) => true,
        }
    }

    /// Somebody may want more or less: what waits to go out together may not belong together any more. Before anything
    /// is answered, since from its answer on a registration gets everything.
    pub(super) fn sort_again(&mut self) {
        let client_of = |peer| client_of(&self.clients, peer);
        self.pending = self.pending.take().map(|outgoing| outgoing.sorted_again(&mut self.interests, &client_of));
    }

    /// Everybody who subscribed has been sent the message: from here on it counts, and its publisher need not keep it.
    fn handed_out(&mut self, message: &Frame, now: Now) {
        let (first, frames) = match frame::parse(message) {
            Ok(Content::Event(view)) => (view.header, 1),
            Ok(Content::Bundle(bundle)) => (bundle.first, bundle.len() as u64),
            _ => return,
        };
        self.figures.frames += frames;
        self.figures.bytes += message.len() as u64;
        if first.position != 0 {
            if Intake::is_resumed(&first) {
                self.begin_grace(now);
            }
            self.intake.take(first.publisher, first.position.saturating_add(frames - 1), message.len(), now);
            let index = self.ring.push(message.clone());
            // Of a frame alone, which may hold thousands of records, these are counted when somebody asks.
            let at = |view: &View<'_>| match frames {
                1 => Stream::InRing(index),
                _ => Stream::Next(sequence_behind(view)),
            };
            let notes = views(message).map(|view| (view, at(&view)));
            self.intake.note(first.publisher, notes);
        }
        for view in views(message).filter(|view| view.header.has(flags::RETAINED)) {
            self.retain(&view, if frames == 1 { message.clone() } else { Frame::new(view.to_bytes()) });
        }
    }

    pub(super) fn retain(&mut self, view: &View<'_>, frame: Frame) {
        match self.retained.keep(view, frame) {
            Kept::Newest | Kept::Outdated => {}
            // Who registered here before its publisher came back was told that there is none.
            Kept::Recovered => self.push_answer(Answer::Retained(view.name().into())),
            Kept::NoRoom => self.figures.refused += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stub::Stub;
    use super::*;
    use crate::delivery::Limits;
    use crate::frame::Header;

    /// A message of publisher 9: frames of these names, at positions from 1 on.
    fn message(names: &[&str]) -> Frame {
        let views = names.iter().zip(1..).map(|(&name, position)| {
            let flags = if position == 1 { flags::OLDEST } else { 0 };
            let header = Header { flags, publisher: 9, position, sequence: 0, fingerprint: 0, sent_at: 0 };
            View { topic: name.as_bytes(), header, records: &[0x90] }
        });
        Frame::new(bundle::message(views))
    }

    /// A server, and clients that want these events.
    fn server(wanted: &[&[&str]]) -> (Relay, Stub) {
        let (mut relay, mut hub) = (Relay::new(1, Limits::default()), Stub::default());
        for (names, peer) in wanted.iter().zip(1..) {
            hub.told(&Topic::Bundles, peer);
            names.iter().for_each(|name| hub.subscribed(frame::topic(name), true, peer));
        }
        // In the second turn it has nothing to say any more.
        (0..2).for_each(|now| _ = relay.turn(&mut hub, now, Duration::ZERO).expect("open"));
        (relay, hub)
    }

    /// The names and positions of what was published of events, message by message.
    fn published(hub: &mut Stub) -> Vec<Vec<(String, u64)>> {
        let events = hub.published.drain(..).filter(|message| control::parse(message).is_none());
        events
            .map(|message| views(&message).map(|view| (view.name().to_owned(), view.header.position)).collect())
            .collect()
    }

    fn as_published(messages: &[&[(&str, u64)]]) -> Vec<Vec<(String, u64)>> {
        let one = |(name, position): &(&str, u64)| ((*name).to_owned(), *position);
        messages.iter().map(|message| message.iter().map(one).collect()).collect()
    }

    #[test]
    fn each_gets_one_message_of_its_own() {
        let (mut relay, mut hub) = server(&[&["A", "C"], &["B"]]);
        hub.frames.push_back(message(&["A", "B", "A", "B", "A"]));
        relay.turn(&mut hub, 0, Duration::ZERO).expect("open");
        assert_eq!(published(&mut hub), as_published(&[&[("A", 1), ("A", 3), ("A", 5)], &[("B", 2), ("B", 4)]]));
        assert_eq!(relay.figures().frames, 5);
    }

    #[test]
    fn who_wants_both_has_them_in_order() {
        let (mut relay, mut hub) = server(&[&["A", "B"], &["B"], &["C"]]);
        hub.frames.push_back(message(&["A", "C", "A", "B", "C", "B", "A"]));
        relay.turn(&mut hub, 0, Duration::ZERO).expect("open");
        let expected: &[&[_]] = &[&[("A", 1), ("A", 3)], &[("C", 2), ("C", 5)], &[("B", 4), ("B", 6)], &[("A", 7)]];
        assert_eq!(published(&mut hub), as_published(expected));
    }

    /// For whom alone the messages are that were published, and what is in them.
    fn by_itself(hub: &Stub) -> Vec<(u64, Vec<(String, u64)>)> {
        let of = |(head, body): &(Frame, Frame)| match control::parse(head)?.0 {
            Topic::Rx { client } => {
                Some((client, views(body).map(|view| (view.name().to_owned(), view.header.position)).collect()))
            }
            _ => None,
        };
        hub.pairs.iter().filter_map(of).collect()
    }

    #[test]
    fn who_wants_all_beside_others_has_it_first_and_by_itself() {
        let all: &[&str] = &["A", "B", "C"];
        let (mut relay, mut hub) = server(&[&["A"], &["B"], all]);
        let names = ["A", "B", "C", "A", "B", "A", "B"];
        let expected: Vec<_> = names.iter().zip(1..).map(|(name, position)| ((*name).to_owned(), position)).collect();
        // Without a client of ours behind the connection there is no way to it alone.
        hub.frames.push_back(message(&names));
        relay.turn(&mut hub, 2, Duration::ZERO).expect("open");
        assert_eq!((published(&mut hub).len(), by_itself(&hub)), (7, Vec::new()));

        let (mut relay, mut hub) = server(&[&["A"], &["B"], all]);
        hub.told(&Topic::Rx { client: 5 }, 3);
        hub.frames.push_back(message(&names));
        relay.turn(&mut hub, 2, Duration::ZERO).expect("open");
        assert_eq!(by_itself(&hub), [(5, expected)]);
        let with_others: &[&[_]] = &[&[("A", 1), ("A", 4), ("A", 6)], &[("B", 2), ("B", 5), ("B", 7)], &[("C", 3)]];
        assert_eq!(published(&mut hub), as_published(with_others));

        // It saves nothing where they do not come in turn.
        let (mut relay, mut hub) = server(&[&["A"], &["B"], all]);
        hub.told(&Topic::Rx { client: 5 }, 3);
        hub.frames.push_back(message(&["A", "A", "A", "B", "B"]));
        relay.turn(&mut hub, 2, Duration::ZERO).expect("open");
        assert_eq!((published(&mut hub).len(), by_itself(&hub)), (2, Vec::new()));
    }

    #[test]
    fn who_takes_one_frame_at_a_time_has_all_in_order_and_others_theirs_together() {
        let apart: &[&[_]] = &[&[("A", 1)], &[("B", 2)], &[("A", 3)], &[("B", 4)]];
        let others_together: &[&[_]] = &[&[("A", 1), ("A", 3)], &[("B", 2)], &[("B", 4)]];
        for (topics, expected) in [(&["B\0"][..], others_together), (&["A\0", "B\0"], apart), (&[""], apart)] {
            let (mut relay, mut hub) = server(&[&["A"], &["B"]]);
            topics.iter().for_each(|topic| hub.subscribed(topic.as_bytes().to_vec(), true, 7));
            hub.frames.push_back(message(&["A", "B", "A", "B"]));
            relay.turn(&mut hub, 2, Duration::ZERO).expect("open");
            assert_eq!(published(&mut hub), as_published(expected), "{topics:?}");
        }
    }

    #[test]
    fn where_frames_go_out_one_by_one_in_any_order_nobody_gets_them_by_himself_for_that() {
        let names = ["A", "B", "A", "B", "A", "B"];
        for (plain, parts) in [("B\0", 1), ("", 0)] {
            let (mut relay, mut hub) = server(&[&["A"], &["B"], &["A", "B"]]);
            hub.told(&Topic::Rx { client: 5 }, 3);
            hub.subscribed(plain.as_bytes().to_vec(), true, 7);
            hub.frames.push_back(message(&names));
            relay.turn(&mut hub, 2, Duration::ZERO).expect("open");
            assert_eq!((by_itself(&hub).len(), published(&mut hub).len()), (parts, 6 - 2 * parts), "{plain:?}");
        }
    }

    /// The numbers of the syncs of `client` that were answered.
    fn answered(hub: &Stub, client: u64) -> Vec<u64> {
        let topics = hub.published.iter().filter_map(|message| Some(control::parse(message)?.0));
        let numbers = topics.filter_map(|topic| match topic {
            Topic::Sync { client: of, number, .. } if of == client => Some(number),
            _ => None,
        });
        numbers.collect()
    }

    #[test]
    fn between_two_parts_nothing_is_said_of_what_is_in_them() {
        let (mut relay, mut hub) = server(&[&["A"], &["B"], &["C"]]);
        hub.frames.push_back(message(&["A", "B", "A", "C", "B"]));
        hub.room = Some(1);
        relay.turn(&mut hub, 0, Duration::ZERO).expect("open");
        assert_eq!(published(&mut hub), as_published(&[&[("A", 1), ("A", 3)]]));
        // One more comes to want B and C, and asks about A, which is out, B, which is not, and D, which is not in it.
        for (number, name) in [(1, "A"), (2, "B"), (3, "D")] {
            hub.subscribed(frame::topic(name), true, 4);
            hub.told(&Topic::Sync { client: 4, number, about: About::Event(name.to_owned()) }, 4);
        }
        hub.subscribed(frame::topic("C"), true, 4);
        hub.told(&Topic::Bundles, 4);
        hub.room = Some(1);
        relay.turn(&mut hub, 1, Duration::ZERO).expect("open");
        assert_eq!(answered(&hub, 4), [3]);
        assert_eq!(published(&mut hub), as_published(&[]));
        assert_eq!((relay.figures().frames, relay.ring.head()), (0, 0));
        hub.room = None;
        relay.turn(&mut hub, 10_000, Duration::ZERO).expect("open");
        relay.turn(&mut hub, 20_000, Duration::ZERO).expect("open");
        assert_eq!(answered(&hub, 4), [1, 2]);
        // Somebody wants both of these now.
        assert_eq!(published(&mut hub), as_published(&[&[("B", 2)], &[("C", 4)], &[("B", 5)]]));
        assert_eq!((relay.figures().frames, relay.ring.head()), (5, 1));
    }
}
