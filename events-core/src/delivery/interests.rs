//! Who wants which events, so that frames of different events may travel in one message.
//!
//! A message is matched by the name it begins with. If exactly those who want that name want every other name in it
//! too, then one message reaches whom it should and nobody else. So what has to be known of two names is only
//! whether the same connections want both: each connection has a random number, and each topic the sum of the
//! numbers of those who subscribed to it. Sums that are equal are so because the sets are.
//!
//! What libzmq matches may be ahead of what is known here. A subscription that is not known yet does no harm, since
//! nothing is promised to it before its barrier is answered. One that is taken back would: what begins with its name
//! would no longer reach who still wants the rest. So a client says before it does, and waits for the answer.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::engine::Peer;
use crate::random_id;

/// Subscriptions to events, by connection.
#[derive(Default)]
pub struct Interests {
    peers: FxHashMap<Peer, Connection>,
    topics: FxHashMap<Box<[u8]>, Sum>,
    /// By first byte of a name: the topics of those who want all events.
    first_bytes: Vec<Sum>,
    /// Subscriptions that are neither one name nor one byte.
    odd: usize,
    /// Topics of connections that cannot be told apart: they stay, whoever goes.
    nameless: usize,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class(u128);

/// What a subscription to events means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Name,
    FirstByte(u8),
    Odd,
    /// No event has such a name.
    Nothing,
}

fn kind(topic: &[u8]) -> Kind {
    match topic {
        [first, ..] if !first.is_ascii_alphabetic() && *first != b'_' => Kind::Nothing,
        [byte] => Kind::FirstByte(*byte),
        [name @ .., 0] if !name.contains(&0) => Kind::Name,
        _ => Kind::Odd,
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

    /// Who wants the event whose topic (its name and the zero byte) is given; `None` if it must travel alone, because
    /// somebody takes one frame at a time or is not known well enough.
    #[must_use]
    pub fn class(&self, topic: &[u8]) -> Option<Class> {
        if self.odd > 0 || self.nameless > 0 {
            return None;
        }
        let named = self.topics.get(topic).copied().unwrap_or_default();
        let all = topic.first().and_then(|byte| self.first_bytes.get(usize::from(*byte))).copied().unwrap_or_default();
        (named.single == 0 && all.single == 0).then(|| Class(named.numbers.wrapping_add(all.numbers)))
    }

    /// What a connection subscribed to among events.
    pub fn of(&self, peer: Peer) -> impl Iterator<Item = &[u8]> {
        self.peers.get(&peer).into_iter().flat_map(|connection| connection.topics.iter().map(|topic| &**topic))
    }

    fn change(&mut self, topic: &[u8], change: impl FnOnce(&mut Sum)) {
        match kind(topic) {
            Kind::Name => {
                let sum = match self.topics.get_mut(topic) {
                    Some(sum) => sum,
                    None => self.topics.entry(topic.into()).or_default(),
                };
                change(sum);
                if sum.connections == 0 {
                    self.topics.remove(topic);
                }
            }
            Kind::FirstByte(byte) => {
                self.first_bytes.resize(usize::from(u8::MAX) + 1, Sum::default());
                change(&mut self.first_bytes[usize::from(byte)]);
            }
            Kind::Nothing => {}
            Kind::Odd => {
                let mut sum = Sum { connections: self.odd, single: self.odd, numbers: 0 };
                change(&mut sum);
                self.odd = sum.connections;
            }
        }
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
    fn for_who_takes_one_frame_at_a_time_nothing_is_put_together() {
        let mut interests = Interests::default();
        interests.subscribed(Some(Peer(1)), b"A\0");
        assert_eq!(interests.class(b"A\0"), None);
        interests.takes_bundles(Some(Peer(1)));
        assert!(interests.class(b"A\0").is_some());
        for odd in [&b""[..], b"AB", b"A\0\x97"] {
            interests.subscribed(Some(Peer(2)), odd);
            assert_eq!(interests.class(b"A\0"), None, "{odd:?}");
            interests.unsubscribed(Some(Peer(2)), odd);
        }
        assert!(interests.class(b"A\0").is_some());
        interests.subscribed(None, b"B\0");
        assert_eq!(interests.class(b"A\0"), None);
    }
}
