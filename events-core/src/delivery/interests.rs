//! Who wants which events, so that frames of different events may travel in one message.
//!
//! A message is matched by the name it begins with. If exactly those who want that name want every other name in it
//! too, then one message reaches whom it should and nobody else. So what has to be known of two names is only
//! whether the same connections want both: each connection has a random number, and each topic the sum of the
//! numbers of those who subscribed to it. Sums that are equal are so because the sets are.
//!
//! Where they are not, names that no connection wants both of, nor any two by way of others, are in different lanes:
//! frames of different lanes may change places, since nobody sees it.
//!
//! What libzmq matches may be ahead of what is known here. A subscription that is not known yet does no harm, since
//! nothing is promised to it before its barrier is answered. One that is taken back would: what begins with its name
//! would no longer reach who still wants the rest. So a client says before it does, and waits for the answer.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::engine::Peer;
use crate::random_id;

/// Looks at what so many connections want of so many topics, one multiplied by the other, are worth it. With more, all
/// topics share a lane.
const LOOKS: usize = 1 << 18;
/// So many topics that were asked for are remembered with their lanes.
const KNOWN: usize = 4096;
/// So many beginnings of names are compared with each; with more, every frame may be for anybody.
const BEGINNINGS: usize = 64;

/// Subscriptions to events, by connection.
#[derive(Default)]
pub struct Interests {
    peers: FxHashMap<Peer, Connection>,
    topics: FxHashMap<Box<[u8]>, Sum>,
    /// By first byte of a name: the topics of those who want all events.
    first_bytes: Vec<Sum>,
    /// Subscriptions that are neither one name nor one byte.
    beginnings: FxHashMap<Box<[u8]>, Sum>,
    /// Topics of connections that cannot be told apart: they stay, whoever goes.
    nameless: usize,
    /// Of topics that were asked for since something changed.
    lanes: FxHashMap<Box<[u8]>, usize>,
    /// By lane, the connections that want several of its topics, and not all for the same connections.
    spanning: FxHashMap<usize, Vec<Peer>>,
}

struct Connection {
    number: u128,
    takes_bundles: bool,
    topics: FxHashSet<Box<[u8]>>,
}

/// Of those who subscribed to a topic: the sum of their numbers, and how many take one frame at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    numbers: u128,
    single: usize,
    connections: usize,
}

/// Those who want a name. Two that are equal mean the same connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Class {
    numbers: u128,
    /// One of them takes one frame at a time.
    pub single: bool,
}

/// What a subscription to events means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Name,
    FirstByte(u8),
    /// Of names, or of frames.
    Beginning,
    /// No event has such a name.
    Nothing,
}

fn kind(topic: &[u8]) -> Kind {
    match topic {
        [first, ..] if !first.is_ascii_alphabetic() && *first != b'_' => Kind::Nothing,
        [byte] => Kind::FirstByte(*byte),
        [name @ .., 0] if !name.contains(&0) => Kind::Name,
        _ => Kind::Beginning,
    }
}

impl Interests {
    /// A connection subscribed to a topic of events. Those that an engine cannot name are known for ever.
    pub fn subscribed(&mut self, peer: Option<Peer>, topic: &[u8]) {
        let Some(peer) = peer else {
            self.nameless += usize::from(kind(topic) != Kind::Nothing);
            return;
        };
        let connection = self.peers.entry(peer).or_default();
        if !connection.topics.insert(topic.into()) {
            return;
        }
        let (number, single) = (connection.number, !connection.takes_bundles);
        self.change(topic, |sum| sum.add(number, single));
    }

    /// A connection takes a subscription back, or is about to.
    pub fn unsubscribed(&mut self, peer: Option<Peer>, topic: &[u8]) {
        let Some(connection) = peer.and_then(|peer| self.peers.get_mut(&peer)) else { return };
        if !connection.topics.remove(topic) {
            return;
        }
        let (number, single) = (connection.number, !connection.takes_bundles);
        self.change(topic, |sum| sum.remove(number, single));
    }

    /// A connection takes messages of several frames.
    pub fn takes_bundles(&mut self, peer: Option<Peer>) {
        let Some(peer) = peer else { return };
        let connection = self.peers.entry(peer).or_default();
        if !std::mem::replace(&mut connection.takes_bundles, true) {
            for topic in connection.topics.clone() {
                self.change(&topic, |sum| sum.single -= 1);
            }
        }
    }

    /// A connection has ended.
    pub fn gone(&mut self, peer: Peer) {
        let Some(connection) = self.peers.remove(&peer) else { return };
        for topic in &connection.topics {
            self.change(topic, |sum| sum.remove(connection.number, !connection.takes_bundles));
        }
    }

    /// Who wants the event whose topic (its name and the zero byte) is given; `None` if that cannot be told.
    #[must_use]
    pub fn class(&self, topic: &[u8]) -> Option<Class> {
        if self.nameless > 0 || self.beginnings.len() > BEGINNINGS {
            return None;
        }
        let mut class = Class { numbers: 0, single: false };
        let mut with = |sum: &Sum| {
            class.numbers = class.numbers.wrapping_add(sum.numbers);
            class.single |= sum.single > 0;
        };
        self.topics.get(topic).map(&mut with);
        topic.first().and_then(|byte| self.first_bytes.get(usize::from(*byte))).map(&mut with);
        for (beginning, sum) in &self.beginnings {
            if topic.starts_with(beginning) {
                with(sum);
            } else if beginning.starts_with(topic) {
                // Some of its frames.
                return None;
            }
        }
        Some(class)
    }

    /// The lane of each of these topics, by number.
    pub fn lanes<'a>(&mut self, topics: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<usize> {
        if topics.clone().any(|topic| !self.lanes.contains_key(topic)) {
            let known = std::mem::take(&mut self.lanes).into_keys();
            let mut all: FxHashSet<Box<[u8]>> = known.take(KNOWN).collect();
            all.extend(topics.clone().map(Box::from));
            let all: Vec<_> = all.into_iter().collect();
            let lanes = self.tell_apart(&all);
            self.lanes = all.into_iter().zip(lanes).collect();
        }
        topics.map(|topic| self.lanes.get(topic).copied().unwrap_or_default()).collect()
    }

    /// The connections that may want events of several classes in a lane of [`lanes`](Interests::lanes); `None` if they are
    /// not known.
    #[must_use]
    pub fn spanning(&self, lane: usize) -> Option<&[Peer]> {
        self.spanning.get(&lane).map(Vec::as_slice)
    }

    /// Whether this connection wants the event whose topic is given.
    #[must_use]
    pub fn wants(&self, peer: Peer, topic: &[u8]) -> bool {
        self.peers.get(&peer).is_some_and(|connection| connection.wants(topic, &self.beginnings))
    }

    /// The lane of each of these topics, which are all different.
    fn tell_apart(&mut self, topics: &[Box<[u8]>]) -> Vec<usize> {
        self.spanning.clear();
        if topics.len().saturating_mul(self.peers.len()) > LOOKS || self.beginnings.len() > BEGINNINGS {
            return vec![0; topics.len()];
        }
        // Each begins in a lane of its own; two are joined by whoever wants both.
        let mut lanes: Vec<usize> = (0..topics.len()).collect();
        let lane_of = |lanes: &[usize], mut of: usize| {
            while lanes[of] != of {
                of = lanes[of];
            }
            of
        };
        let mut spanning = Vec::new();
        for (&peer, connection) in self.peers.iter().filter(|(_, connection)| !connection.topics.is_empty()) {
            let mut wanted = (0..topics.len()).filter(|&number| connection.wants(&topics[number], &self.beginnings));
            let Some(first) = wanted.next() else { continue };
            let class = self.class(&topics[first]);
            let mut spans = false;
            for other in wanted {
                spans |= self.class(&topics[other]) != class;
                let (one, other) = (lane_of(&lanes, first), lane_of(&lanes, other));
                lanes[one.max(other)] = one.min(other);
            }
            if spans {
                spanning.push((first, peer));
            }
        }
        let lanes: Vec<usize> = (0..topics.len()).map(|number| lane_of(&lanes, number)).collect();
        self.spanning.extend(lanes.iter().map(|lane| (*lane, Vec::new())));
        for (topic, peer) in spanning {
            self.spanning.entry(lanes[topic]).or_default().push(peer);
        }
        lanes
    }

    /// What a connection subscribed to among events.
    pub fn of(&self, peer: Peer) -> impl Iterator<Item = &[u8]> {
        self.peers.get(&peer).into_iter().flat_map(|connection| connection.topics.iter().map(|topic| &**topic))
    }

    fn change(&mut self, topic: &[u8], change: impl FnOnce(&mut Sum)) {
        self.lanes.clear();
        match kind(topic) {
            of @ (Kind::Name | Kind::Beginning) => {
                let sums = if of == Kind::Name { &mut self.topics } else { &mut self.beginnings };
                let sum = match sums.get_mut(topic) {
                    Some(sum) => sum,
                    None => sums.entry(topic.into()).or_default(),
                };
                change(sum);
                if sum.connections == 0 {
                    sums.remove(topic);
                }
            }
            Kind::FirstByte(byte) => {
                self.first_bytes.resize(usize::from(u8::MAX) + 1, Sum::default());
                change(&mut self.first_bytes[usize::from(byte)]);
            }
            Kind::Nothing => {}
        }
    }
}

impl Connection {
    /// Of the beginnings that somebody has subscribed to.
    fn wants(&self, topic: &[u8], beginnings: &FxHashMap<Box<[u8]>, Sum>) -> bool {
        let has = |own: &[u8]| self.topics.contains(own);
        has(topic) || topic.get(..1).is_some_and(has) || beginnings.keys().any(|own| topic.starts_with(own) && has(own))
    }
}

impl Default for Connection {
    fn default() -> Connection {
        let number = u128::from(random_id()) << 64 | u128::from(random_id());
        Connection { number, takes_bundles: false, topics: FxHashSet::default() }
    }
}

impl Sum {
    fn add(&mut self, number: u128, single: bool) {
        self.numbers = self.numbers.wrapping_add(number);
        self.single += usize::from(single);
        self.connections += 1;
    }

    fn remove(&mut self, number: u128, single: bool) {
        self.numbers = self.numbers.wrapping_sub(number);
        self.single -= usize::from(single);
        self.connections -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(interests: &Interests, one: &[u8], other: &[u8]) -> bool {
        interests.class(one).is_some() && interests.class(one) == interests.class(other)
    }

    #[test]
    fn names_that_the_same_connections_want_are_of_one_class() {
        let mut interests = Interests::default();
        for peer in [Peer(1), Peer(2)] {
            interests.takes_bundles(Some(peer));
            for topic in [&b"A\0"[..], b"B\0"] {
                interests.subscribed(Some(peer), topic);
            }
        }
        interests.subscribed(Some(Peer(2)), b"C\0");
        assert!(same(&interests, b"A\0", b"B\0"));
        assert!(!same(&interests, b"A\0", b"C\0"));
        assert!(same(&interests, b"D\0", b"E\0"), "nobody wants them");
        interests.unsubscribed(Some(Peer(1)), b"A\0");
        assert!(!same(&interests, b"A\0", b"B\0"));
        assert!(same(&interests, b"A\0", b"C\0"));
        interests.gone(Peer(2));
        assert!(same(&interests, b"A\0", b"C\0"));
        assert!(!same(&interests, b"A\0", b"B\0"));
    }

    #[test]
    fn who_wants_all_wants_each() {
        let mut interests = Interests::default();
        interests.takes_bundles(Some(Peer(1)));
        interests.subscribed(Some(Peer(1)), b"A");
        interests.subscribed(Some(Peer(1)), b"B");
        assert!(same(&interests, b"AB\0", b"BC\0"));
        assert!(!same(&interests, b"AB\0", b"CD\0"));
    }

    #[test]
    fn names_that_nobody_wants_both_of_are_in_different_lanes() {
        let mut interests = Interests::default();
        for (peer, topic) in [(1, "A\0"), (1, "B\0"), (2, "C\0"), (3, "D\0")] {
            interests.subscribed(Some(Peer(peer)), topic.as_bytes());
        }
        let lanes = |interests: &mut Interests| {
            let lanes = interests.lanes([&b"A\0"[..], b"B\0", b"C\0", b"D\0", b"E\0"].into_iter());
            let same = |one: usize, other: usize| lanes[one] == lanes[other];
            [same(0, 1), same(1, 2), same(2, 3), same(0, 3), same(3, 4)]
        };
        assert_eq!(lanes(&mut interests), [true, false, false, false, false]);
        interests.subscribed(Some(Peer(3)), b"C\0");
        assert_eq!(lanes(&mut interests), [true, false, true, false, false]);
        // By way of others: who wants A and C sees both change places with B and D.
        interests.subscribed(Some(Peer(4)), b"A");
        interests.subscribed(Some(Peer(4)), b"C");
        assert_eq!(lanes(&mut interests), [true, true, true, true, false]);
        interests.gone(Peer(4));
        assert_eq!(lanes(&mut interests), [true, false, true, false, false]);
        interests.unsubscribed(Some(Peer(1)), b"B\0");
        assert_eq!(lanes(&mut interests), [false, false, true, false, false]);
    }

    #[test]
    fn who_takes_one_frame_at_a_time_gets_so_what_he_wants() {
        let mut interests = Interests::default();
        let single = |interests: &Interests, topic: &[u8]| interests.class(topic).map(|class| class.single);
        interests.subscribed(Some(Peer(1)), b"AB\0");
        assert_eq!(single(&interests, b"AB\0"), Some(true));
        interests.takes_bundles(Some(Peer(1)));
        assert_eq!(single(&interests, b"AB\0"), Some(false));
        for (beginning, of_it, of_another) in
            [(&b""[..], Some(true), Some(true)), (b"AB", Some(true), Some(false)), (b"AB\0\x97", None, Some(false))]
        {
            interests.subscribed(Some(Peer(2)), beginning);
            assert_eq!(single(&interests, b"AB\0"), of_it, "{beginning:?}");
            assert_eq!(single(&interests, b"AC\0"), of_another, "{beginning:?}");
            interests.unsubscribed(Some(Peer(2)), beginning);
        }
        assert_eq!(single(&interests, b"AB\0"), Some(false));
        interests.subscribed(None, b"B\0");
        assert_eq!(single(&interests, b"AB\0"), None);
    }

    #[test]
    fn a_beginning_is_as_good_as_the_names_that_have_it() {
        let mut interests = Interests::default();
        for (peer, topics) in [(1, &[&b"MAIL_"[..]][..]), (2, &[b"MAIL_A\0", b"MAIL_B\0"]), (3, &[b"MAIL_B\0"])] {
            interests.takes_bundles(Some(Peer(peer)));
            topics.iter().for_each(|topic| interests.subscribed(Some(Peer(peer)), topic));
        }
        assert!(!same(&interests, b"MAIL_A\0", b"MAIL_B\0"));
        assert!(same(&interests, b"MAIL_C\0", b"MAIL_D\0"));
        assert!(!same(&interests, b"MAIL_C\0", b"MAIN\0"));
        let lanes = interests.lanes([&b"MAIL_A\0"[..], b"MAIL_C\0", b"MAIN\0"].into_iter());
        assert!(lanes[0] == lanes[1] && lanes[1] != lanes[2]);
        assert!(interests.wants(Peer(1), b"MAIL_A\0") && !interests.wants(Peer(1), b"MAIN\0"));
        for number in 0..BEGINNINGS {
            interests.subscribed(Some(Peer(4)), format!("X{number}").as_bytes());
        }
        assert_eq!(interests.class(b"A\0"), None, "too many to be compared");
        interests.gone(Peer(4));
        assert!(interests.class(b"A\0").is_some());
    }
}
