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

use rustc_hash::FxHashMap;

use super::answers::Answer;
use super::{Relay, sent};
use crate::control::About;
use crate::delivery::Now;
use crate::delivery::intake::{Intake, Stream};
use crate::delivery::interests::{Class, Interests};
use crate::delivery::retained::Kept;
use crate::delivery::ring::sequence_behind;
use crate::engine::{EngineError, Frame, Hub};
use crate::frame::bundle::{self, views};
use crate::frame::{self, Bundle, Content, View, flags};

/// A message on its way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    message: Frame,
    /// Not everybody wants all of it: the messages in which it goes out instead, as far as they have not been sent.
    parts: Option<VecDeque<Frame>>,
    /// Some of it has been sent.
    begun: bool,
}

impl Outgoing {
    /// A message that goes out as it is.
    pub(super) fn whole(message: Frame) -> Outgoing {
        Outgoing { message, parts: None, begun: false }
    }

    /// A message that is taken apart, if it is one of several frames.
    pub(super) fn apart(message: Frame, interests: &mut Interests) -> Outgoing {
        let parts = match frame::parse(&message) {
            Ok(Content::Bundle(bundle)) => {
                let views: Vec<View<'_>> = bundle.views().flatten().collect();
                Some(taken_apart(interests, &views))
            }
            _ => None,
        };
        Outgoing { message, parts, begun: false }
    }

    /// The same for who wants what now.
    fn sorted_again(self, interests: &mut Interests) -> Outgoing {
        match (self.parts, frame::parse(&self.message)) {
            (Some(parts), _) if self.begun => {
                let mut left: Vec<View<'_>> = parts.iter().flat_map(|part| views(part)).collect();
                left.sort_unstable_by_key(|view| view.header.position);
                let parts = Some(taken_apart(interests, &left));
                Outgoing { parts, ..self }
            }
            (_, Ok(Content::Bundle(bundle))) if are_for_the_same(interests, &bundle) != Some(true) => {
                Outgoing::apart(self.message, interests)
            }
            _ => Outgoing::whole(self.message),
        }
    }

    /// What is sent next; `None` if all was.
    fn next(&self) -> Option<&Frame> {
        match &self.parts {
            Some(parts) => parts.front(),
            None if self.begun => None,
            None => Some(&self.message),
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

    /// Whether there is an event of this name in it.
    fn has(&self, name: &str) -> bool {
        views(&self.message).any(|view| view.name == name)
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
        same &= class.is_some() && *first.get_or_insert(class) == class;
    }
    Some(same)
}

/// The messages in which frames reach those who want them. Frames change places only where nobody wants both; so whoever
/// wants several has them in their order.
fn taken_apart(interests: &mut Interests, frames: &[View<'_>]) -> VecDeque<Frame> {
    let lanes = interests.lanes(frames.iter().map(|view| view.topic));
    let mut parts: Vec<Vec<View<'_>>> = Vec::new();
    // Of each lane, the part that may take more, and for whom it is.
    let mut open: FxHashMap<usize, (usize, Option<Class>)> = FxHashMap::default();
    for (view, lane) in frames.iter().zip(lanes) {
        let class = interests.class(view.topic);
        if class.is_none() {
            // It may be for anybody.
            open.clear();
            parts.push(vec![*view]);
            continue;
        }
        match open.get(&lane).filter(|(_, of)| *of == class) {
            Some((part, _)) => parts[*part].push(*view),
            None => {
                open.insert(lane, (parts.len(), class));
                parts.push(vec![*view]);
            }
        }
    }
    parts.into_iter().map(|part| Frame::new(bundle::message(part.into_iter()))).collect()
}

impl Relay {
    /// Sends what is to be sent, waiting for room once at most. `false`: somebody has none.
    pub(super) fn hand_out(&mut self, hub: &mut dyn Hub, now: Now, wait: &mut Duration) -> Result<bool, EngineError> {
        let Some(mut outgoing) = self.pending.take() else { return Ok(true) };
        while let Some(message) = outgoing.next() {
            if !sent(hub.publish(message, None, *wait))? {
                self.pending = Some(outgoing);
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
            About::Event(name) => !outgoing.has(name),
            About::Events => false,
            About::Nothing | About::Leaving(_) | About::Shape(_) => true,
        }
    }

    /// Somebody may want more or less: what waits to go out together may not belong together any more. Before anything
    /// is answered, since from its answer on a registration gets everything.
    pub(super) fn sort_again(&mut self) {
        self.pending = self.pending.take().map(|outgoing| outgoing.sorted_again(&mut self.interests));
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
            Kept::Recovered => self.push_answer(Answer::Retained(view.name.into())),
            Kept::NoRoom => self.figures.refused += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stub::Stub;
    use super::*;
    use crate::control::{self, Topic};
    use crate::delivery::Limits;
    use crate::frame::Header;

    /// A message of publisher 9: frames of these names, at positions from 1 on.
    fn message(names: &[&str]) -> Frame {
        let views = names.iter().zip(1..).map(|(&name, position)| {
            let flags = if position == 1 { flags::OLDEST } else { 0 };
            let header = Header { flags, publisher: 9, position, sequence: 0, fingerprint: 0, sent_at: 0 };
            View { name, topic: &[], header, records: &[0x90] }
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
            .map(|message| views(&message).map(|view| (view.name.to_owned(), view.header.position)).collect())
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

    #[test]
    fn who_takes_one_frame_at_a_time_has_all_in_order() {
        let (mut relay, mut hub) = server(&[&["A"], &["B"]]);
        hub.subscribed(frame::topic("B"), true, 7);
        hub.frames.push_back(message(&["A", "B", "A", "B"]));
        relay.turn(&mut hub, 0, Duration::ZERO).expect("open");
        let expected: &[&[_]] = &[&[("A", 1)], &[("B", 2)], &[("A", 3)], &[("B", 4)]];
        assert_eq!(published(&mut hub), as_published(expected));
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
