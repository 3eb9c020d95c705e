//! Whoever fills up and takes nothing is disconnected, whatever it subscribed to.

use super::{Relay, sent};
use crate::control::{self, Topic};
use crate::delivery::Now;
use crate::engine::{EngineError, Hub};

/// How often the queues are looked at within the stall limit.
const LOOKS: Now = 8;

/// How long nothing could be handed out.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    /// Since when.
    began: Now,
    /// When the queues were last looked at.
    looked: Now,
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
        let over = now.saturating_sub(since) >= self.limits.stall;
        if !first && !over && now.saturating_sub(self.stalls.looked) < self.limits.stall / LOOKS {
            return Ok(());
        }
        self.stalls.looked = now;
        let stuck = hub.stuck(first);
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
        // A client that lives and is slow was looked at above.
        for peer in stuck {
            if !self.clients.values().any(|client| client.peer == Some(peer)) {
                tracing::warn!("a subscriber that is no client of ours takes nothing and is disconnected");
                self.figures.stalled += 1;
                hub.disconnect(peer);
            }
        }
        Ok(())
    }
}
