//! Whoever fills up and takes nothing is disconnected, whatever it subscribed to.

use super::{Relay, sent};
use crate::control::{self, Topic};
use crate::delivery::Now;
use crate::engine::{EngineError, Hub, Peer};

/// How often the queues are looked at within the limit.
const LOOKS: Now = 8;
/// The patience with those that are no clients of ours is halved so often at the most,
const HALVED: u32 = 6;
/// and doubled again after this long without such a case, in microseconds.
const FORGIVEN: Now = 5_000_000;

/// How long nothing could be handed out.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    /// Since when.
    began: Now,
    /// When the queues were last looked at.
    looked: Now,
    /// How many that are no clients of ours were disconnected of late, and when the last was. Who comes back at once to
    /// take nothing again must not hold the others up for the whole limit each time.
    late: (u32, Now),
}

impl Relay {
    /// Nothing can be published: after the stall limit, whoever has no room and does not move on is
    /// disconnected. It comes back and resumes.
    pub(super) fn held_up(&mut self, hub: &mut dyn Hub, now: Now) -> Result<(), EngineError> {
        let first = self.blocked.is_none();
        let since = *self.blocked.get_or_insert(now);
        if first {
            self.stalls.began = now;
        }
        let waited = now.saturating_sub(self.stalls.began);
        let (over, short) = (now.saturating_sub(since) >= self.limits.stall, self.patience_with_others(now));
        if !first && !over && now.saturating_sub(self.stalls.looked) < short / LOOKS {
            return Ok(());
        }
        self.stalls.looked = now;
        let stuck = hub.stuck(first);
        if waited >= short {
            self.disconnect_others(hub, &stuck, now);
        }
        if !over {
            return Ok(());
        }
        self.blocked = Some(now);
        // To say "I am alive" helps only so long.
        let patient = now.saturating_sub(self.stalls.began) < self.limits.patience;
        for (&id, client) in &mut self.clients {
            if patient && now.saturating_sub(client.seen) < self.limits.stall {
                continue;
            }
            // A queue that has no room for a large message may have some for a small one.
            let probe = Topic::Rx { client: id }.message(&control::Replay::default());
            let is_stuck = client.peer.is_some_and(|peer| stuck.contains(&peer));
            if !is_stuck && sent(hub.publish(&probe, None, std::time::Duration::ZERO))? {
                continue;
            }
            tracing::warn!(client = format!("{id:016x}"), "a client takes nothing and is disconnected");
            self.figures.stalled += 1;
            client.replay = None;
            if let Some(peer) = client.peer.take() {
                hub.disconnect(peer);
            }
        }
        Ok(())
    }

    /// How long one that is no client of ours may take nothing.
    fn patience_with_others(&mut self, now: Now) -> Now {
        let (count, last) = self.stalls.late;
        let forgiven = u32::try_from(now.saturating_sub(last) / FORGIVEN).unwrap_or(u32::MAX);
        self.limits.stall >> count.saturating_sub(forgiven).min(HALVED)
    }

    /// A client that lives and is slow is asked by itself; these are all others.
    fn disconnect_others(&mut self, hub: &mut dyn Hub, stuck: &[Peer], now: Now) {
        for &peer in stuck {
            if !self.clients.values().any(|client| client.peer == Some(peer)) {
                tracing::warn!("a subscriber that is no client of ours takes nothing and is disconnected");
                self.figures.stalled += 1;
                self.stalls.late = (self.stalls.late.0.saturating_add(1).min(HALVED + 1), now);
                hub.disconnect(peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::stub::Stub;
    use super::*;
    use crate::control::About;
    use crate::delivery::Limits;

    /// When the relay first disconnects `peer`, in milliseconds.
    fn until_disconnected(hub: &mut Stub, relay: &mut Relay, peer: u64, mut each: impl FnMut(&mut Stub, u64)) -> u64 {
        hub.emit(9, 1);
        for now in (0..600_000).step_by(10) {
            each(hub, now);
            relay.turn(hub, now * 1_000, Duration::ZERO).expect("open");
            if hub.disconnected.contains(&peer) {
                return now;
            }
        }
        panic!("{peer} is never disconnected");
    }

    #[test]
    fn to_say_that_one_lives_helps_only_so_long() {
        for (lives, at_most) in [(false, 2_100), (true, 62_100)] {
            let (mut relay, mut hub) = (Relay::new(1, Limits::default()), Stub { full: true, ..Stub::default() });
            hub.told(&Topic::Rx { client: 5 }, 1);
            let at = until_disconnected(&mut hub, &mut relay, 1, |hub, now| {
                if lives && now % 500 == 0 {
                    hub.told(&Topic::Sync { client: 5, number: now, about: About::Nothing }, 1);
                }
            });
            assert!((at_most - 2_100..=at_most).contains(&at), "after {at} ms");
        }
    }

    #[test]
    fn who_is_no_client_is_found_by_its_queue_and_sooner_each_time() {
        let (mut relay, mut hub) = (Relay::new(1, Limits::default()), Stub { full: true, ..Stub::default() });
        hub.told(&Topic::Rx { client: 5 }, 100);
        for (peer, limit) in [(1, 2_000), (2, 1_000), (3, 500), (4, 250)] {
            hub.stuck = vec![Peer(peer)];
            // As after a frame that went out.
            relay.blocked = None;
            let at = until_disconnected(&mut hub, &mut relay, peer, |_, _| {});
            assert!((limit..=limit + limit / 4).contains(&at), "{peer} after {at} ms");
        }
    }
}
