//! While a handler waits for room, whoever emits what comes to it holds back, unless in a handler.
//!
//! Programs that answer each other are a circle. What comes from outside fills it until nothing in it can move: each
//! handler waits for room at the server, which waits for room at a client, whose handler waits. So what is in it goes
//! first.

use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Relay, sent};
use crate::control::{self, Topic};
use crate::delivery::Now;
use crate::delivery::interests::Interests;
use crate::engine::{EngineError, Hub, Peer};

/// How often to look who has to hold back, in microseconds: whoever is full may have gone, and others begin to emit.
const LOOK: Now = 50_000;
/// And at most so often, whoever says that he is full or no longer, and to whomever has no room for the word.
const AGAIN: Now = 2_000;

/// Who is full, and whether anybody holds back.
#[derive(Debug, Default)]
pub(super) struct Holds {
    /// Since when, or when that was last logged.
    full: FxHashMap<u64, Now>,
    any: bool,
    /// When the last look was.
    looked: Now,
    /// When to look again.
    next: Now,
}

/// Names of events that somebody wants.
struct Wanted<'a> {
    interests: &'a Interests,
    topics: FxHashSet<&'a [u8]>,
    /// Somebody who cannot be named may want all.
    all: bool,
}

impl Holds {
    /// A handler of this client waits for room, or there is room again.
    pub(super) fn full(&mut self, client: u64, on: bool, now: Now) {
        if on {
            self.full.entry(client).or_insert(now);
        } else {
            self.full.remove(&client);
        }
        self.next = self.next.min(self.looked + AGAIN);
    }

    /// When there is something to look for.
    pub(super) fn due(&self) -> Option<Now> {
        (self.any || !self.full.is_empty()).then_some(self.next)
    }
}

impl Wanted<'_> {
    fn add(&mut self, peer: Option<Peer>) {
        match peer {
            Some(peer) => {
                self.topics.extend(self.interests.of(peer).map(|topic| topic.strip_suffix(b"\0").unwrap_or(topic)))
            }
            None => self.all = true,
        }
    }

    fn has(&self, name: &str) -> bool {
        let name = name.as_bytes();
        self.all || self.topics.contains(name) || name.get(..1).is_some_and(|first| self.topics.contains(first))
    }
}

impl Relay {
    /// Tells those who have to hold back, and those who no longer have to.
    pub(super) fn hold(&mut self, hub: &mut dyn Hub, now: Now) -> Result<(), EngineError> {
        if self.holds.due().is_none_or(|due| due > now) {
            return Ok(());
        }
        let feeding = self.feeding(now);
        let holds = &mut self.holds;
        (holds.any, holds.looked, holds.next) = (false, now, now + LOOK);
        for (&id, client) in &mut self.clients {
            let on = feeding.contains(&id);
            if on != client.holds {
                if sent(hub.publish(&Topic::Hold { client: id }.message(&control::Hold { on }), None, Duration::ZERO))?
                {
                    client.holds = on;
                } else {
                    holds.next = now + AGAIN;
                }
            }
            holds.any |= client.holds;
        }
        Ok(())
    }

    /// Those who emit what somebody wants that is full, or what their handlers may answer with that, and so on.
    fn feeding(&mut self, now: Now) -> FxHashSet<u64> {
        let Relay { holds, clients, interests, intake, limits, .. } = self;
        holds.full.retain(|client, _| clients.contains_key(client));
        for (client, since) in &mut holds.full {
            if now.saturating_sub(*since) >= limits.patience {
                *since = now;
                let client = format!("{client:016x}");
                tracing::warn!(
                    client,
                    "handlers of a client have no room, and whoever emits what reaches it holds back"
                );
            }
        }
        // Who is stopped, or whose handler does not come back, holds nobody up.
        let full = holds.full.keys().filter_map(|client| clients.get(client));
        let moves = full.filter(|client| now.saturating_sub(client.seen) < limits.stall);
        let mut wanted = Wanted { interests, topics: FxHashSet::default(), all: false };
        moves.for_each(|client| wanted.add(client.peer));
        let mut feeding = FxHashSet::default();
        loop {
            let more = clients.iter().filter(|(id, _)| !feeding.contains(*id));
            let more: Vec<_> = more.filter(|(id, _)| intake.names(**id).any(|name| wanted.has(name))).collect();
            if more.is_empty() {
                return feeding;
            }
            for (&id, client) in more {
                feeding.insert(id);
                wanted.add(client.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stub::Stub;
    use super::*;
    use crate::control::About;
    use crate::delivery::Limits;
    use crate::frame;

    const FULL: Topic = Topic::Full { client: 1 };

    /// Client 1 listens to what 2 emits, and 2 to what 3 emits. What 4 emits is for nobody.
    fn circle() -> (Relay, Stub) {
        let (mut relay, mut hub) = (Relay::new(1, Limits::default()), Stub::default());
        for client in 1..=4 {
            hub.told(&Topic::Rx { client }, client);
        }
        for (client, listens) in [(1, "B"), (2, "C")] {
            hub.subscribed(frame::topic(listens), true, client);
        }
        for (client, emits) in [(2, "B"), (3, "C"), (4, "D")] {
            hub.emit_as(emits, client, 1);
        }
        assert_eq!(told(&mut relay, &mut hub, 0), []);
        (relay, hub)
    }

    /// Whom the server tells to hold back, or no longer to, in a turn at `now`.
    fn told(relay: &mut Relay, hub: &mut Stub, now: Now) -> Vec<(u64, bool)> {
        relay.turn(hub, now, Duration::ZERO).expect("open");
        let words = hub.published.drain(..).filter_map(|message| {
            let Some((Topic::Hold { client }, body)) = control::parse(&message) else { return None };
            Some((client, control::body::<control::Hold>(body)?.on))
        });
        let mut words: Vec<_> = words.collect();
        words.sort_unstable();
        words
    }

    #[test]
    fn who_feeds_somebody_full_holds_back_and_who_feeds_those() {
        let (mut relay, mut hub) = circle();
        hub.told(&FULL, 1);
        assert_eq!(told(&mut relay, &mut hub, 1), [(2, true), (3, true)]);
        // They are told once. Who begins to emit such an event later is told as well.
        hub.emit_as("C", 4, 2);
        assert_eq!(told(&mut relay, &mut hub, 1 + LOOK), [(4, true)]);
        hub.subscribed(FULL.bytes(), false, 1);
        assert_eq!(told(&mut relay, &mut hub, LOOK + AGAIN), []);
        assert_eq!(told(&mut relay, &mut hub, 1 + LOOK + AGAIN), [(2, false), (3, false), (4, false)]);
        assert_eq!(relay.holds.due(), None);
    }

    #[test]
    fn who_takes_nothing_is_told_when_it_does() {
        let (mut relay, mut hub) = circle();
        hub.told(&FULL, 1);
        hub.full = true;
        assert_eq!(told(&mut relay, &mut hub, 1), []);
        hub.full = false;
        assert_eq!(told(&mut relay, &mut hub, 1 + AGAIN), [(2, true), (3, true)]);
    }

    #[test]
    fn who_does_not_move_on_or_is_gone_holds_nobody_up() {
        let stall = Limits::default().stall;
        let (mut relay, mut hub) = circle();
        hub.told(&FULL, 1);
        assert_eq!(told(&mut relay, &mut hub, 1), [(2, true), (3, true)]);
        hub.told(&Topic::Sync { client: 1, number: 1, about: About::Nothing }, 1);
        assert_eq!(told(&mut relay, &mut hub, stall), []);
        assert_eq!(told(&mut relay, &mut hub, stall + LOOK), []);
        assert_eq!(told(&mut relay, &mut hub, 2 * stall + LOOK), [(2, false), (3, false)]);
        let (mut relay, mut hub) = circle();
        hub.told(&FULL, 1);
        assert_eq!(told(&mut relay, &mut hub, 1), [(2, true), (3, true)]);
        hub.subscribed(Topic::Rx { client: 1 }.bytes(), false, 1);
        assert_eq!(told(&mut relay, &mut hub, 1 + LOOK), [(2, false), (3, false)]);
    }
}
