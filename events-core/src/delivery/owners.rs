//! Whose each id is: who uses one first keeps it.
//!
//! Engines that prove who is at the other end of a connection name an [`Owner`]; nobody else can then speak
//! under an id of his, or listen to what is meant for it. Where the system keeps strangers out (the folder of
//! an ipc socket) there are no owners and nothing is asked here.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::control::Topic;
use crate::engine::{Owner, Peer, Subscription};

/// How many ids an owner has. One who uses more loses of his own one that he has not used of late, and takes none from
/// others.
const MOST: usize = 4096;

/// What is sent to one client only. Subscriptions to parts of these topics would hear what is others'.
const PRIVATE: [&[u8]; 3] = [b"\xFFack/", b"\xFFrx/", b"\xFFsync/"];

/// The ids that are taken.
#[derive(Debug, Default)]
pub struct Owners {
    of: FxHashMap<u64, Use>,
    ids: FxHashMap<Owner, VecDeque<u64>>,
    /// Connections that wrongly listen on a client's `rx` until they end. The end of a subscription does not
    /// always say whose it was, and must not pass for the client's own.
    strangers: FxHashMap<u64, FxHashSet<Option<Peer>>>,
}

/// Whose an id is.
#[derive(Debug)]
struct Use {
    owner: Owner,
    /// It was used since it was last looked at.
    again: bool,
}

impl Owners {
    /// Whether `who` may use `id`, which is his from now on if it was nobody's.
    pub fn may_use(&mut self, id: u64, who: Option<Owner>) -> bool {
        let Some(who) = who else { return true };
        if let Some(known) = self.of.get_mut(&id) {
            known.again |= known.owner == who;
            return known.owner == who;
        }
        let ids = self.ids.entry(who).or_default();
        while ids.len() >= MOST
            && let Some(oldest) = ids.pop_front()
        {
            if self.of.get_mut(&oldest).is_some_and(|known| std::mem::take(&mut known.again)) {
                ids.push_back(oldest);
            } else {
                self.of.remove(&oldest);
            }
        }
        ids.push_back(id);
        self.of.insert(id, Use { owner: who, again: false });
        true
    }

    /// Whether this subscription may be made. To take one back is always allowed.
    pub fn may_hear(&mut self, subscription: &Subscription, topic: Option<&Topic>) -> bool {
        match topic {
            Some(
                Topic::Rx { client: id }
                | Topic::Denied { client: id }
                | Topic::Full { client: id }
                | Topic::Hold { client: id }
                | Topic::Sync { client: id, .. }
                | Topic::Ack { publisher: id },
            ) => self.may_use(*id, subscription.owner),
            Some(_) => true,
            None => {
                let topic = &*subscription.topic;
                let private = PRIVATE.iter().any(|kind| kind.starts_with(topic) || topic.starts_with(kind));
                subscription.owner.is_none() || !subscription.on || !private
            }
        }
    }

    /// A connection listens on `client`'s `rx` that may not.
    pub fn listens(&mut self, client: u64, peer: Option<Peer>) {
        self.strangers.entry(client).or_default().insert(peer);
    }

    /// A subscription to `client`'s `rx` has ended: whether it was a stranger's.
    pub fn listened(&mut self, client: u64, ended: &Subscription) -> bool {
        let Some(strangers) = self.strangers.get_mut(&client) else { return false };
        // Without a peer this is the end of a connection, one of those that are left.
        let one = if ended.peer.is_some() { Some(ended.peer) } else { strangers.iter().next().copied() };
        let was = one.is_some_and(|one| strangers.remove(&one));
        if strangers.is_empty() {
            self.strangers.remove(&client);
        }
        was
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Option<Owner> = Some(Owner(1));
    const OTHER: Option<Owner> = Some(Owner(2));

    fn on(topic: &[u8], owner: Option<Owner>) -> Subscription {
        Subscription { on: true, topic: topic.to_vec(), peer: Some(Peer(1)), owner }
    }

    #[test]
    fn the_first_who_uses_an_id_keeps_it() {
        let mut owners = Owners::default();
        assert!(owners.may_use(7, ONE) && owners.may_use(7, ONE));
        assert!(!owners.may_use(7, OTHER));
        assert!(owners.may_use(7, None), "who comes in without a key was let in by the system");
    }

    #[test]
    fn many_ids_take_none_from_others() {
        let mut owners = Owners::default();
        assert!(owners.may_use(0, ONE));
        for id in 1..=3 * MOST as u64 {
            assert!(owners.may_use(id, OTHER));
        }
        assert!(!owners.may_use(0, OTHER) && owners.may_use(0, ONE));
        assert_eq!(owners.of.len(), MOST + 1);
    }

    #[test]
    fn an_id_that_is_in_use_is_kept() {
        let mut owners = Owners::default();
        for id in 1..=3 * MOST as u64 {
            assert!(owners.may_use(0, ONE) && owners.may_use(id, ONE));
        }
        assert!(!owners.may_use(0, OTHER) && owners.may_use(1, OTHER));
    }

    #[test]
    fn nothing_private_is_heard_by_its_beginning() {
        let mut owners = Owners::default();
        for topic in [&b""[..], b"\xFF", b"\xFFr", b"\xFFrx/", b"\xFFrx/00", b"\xFFack/0", b"\xFFsync/"] {
            assert!(!owners.may_hear(&on(topic, ONE), Topic::parse(topic).as_ref()), "{topic:?}");
            assert!(owners.may_hear(&on(topic, None), Topic::parse(topic).as_ref()), "{topic:?}");
        }
        for topic in [&b"E\0"[..], b"E", b"\xFFhello/", b"\xFFbye", b"\xFFstats"] {
            assert!(owners.may_hear(&on(topic, ONE), Topic::parse(topic).as_ref()), "{topic:?}");
        }
        let (client, publisher) = (7, 7);
        for own in [Topic::Rx { client }, Topic::Ack { publisher }, Topic::Full { client }, Topic::Hold { client }] {
            assert!(owners.may_hear(&on(&own.bytes(), ONE), Some(&own)));
            assert!(!owners.may_hear(&on(&own.bytes(), OTHER), Some(&own)));
        }
    }

    #[test]
    fn the_end_of_a_stranger_is_not_the_clients() {
        let (mut owners, mut ended) = (Owners::default(), on(b"", None));
        (ended.on, ended.peer) = (false, None);
        owners.listens(7, Some(Peer(1)));
        owners.listens(7, Some(Peer(1)));
        assert!(owners.listened(7, &ended) && !owners.listened(7, &ended));
        assert!(owners.strangers.is_empty());
    }
}
