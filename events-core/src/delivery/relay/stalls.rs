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
            let probe = Topic::Rx { client: id }.message(&control::Replay::default());
            if sent(hub.publish(&probe, None, std::time::Duration::ZERO))? {
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
