//! What the ring keeps for clients that come back, and how they get it.

use std::time::Duration;

use super::{Client, Relay, sent};
use crate::control::{self, Reached, Topic};
use crate::delivery::Now;
use crate::delivery::replay::{Next, Replay};
use crate::delivery::ring::{sequence_behind, view};
use crate::engine::{EngineError, Hub};
use crate::frame::View;
use crate::frame::bundle::views;

/// How many frames of the ring a replay looks at, and how many it sends, in one turn.
const REPLAY_LOOK: usize = 4096;
const REPLAY_SEND: usize = 32;

impl Relay {
    /// Moves every replay on. Returns whether one did.
    pub(super) fn replay(&mut self, hub: &mut dyn Hub, now: Now) -> Result<bool, EngineError> {
        let mut moved = false;
        let ids: Vec<u64> = self.clients.iter().filter(|(_, c)| c.replay.is_some()).map(|(&id, _)| id).collect();
        for id in ids {
            let Some(client) = self.clients.get_mut(&id) else { continue };
            let Some(mut replay) = client.replay.take() else { continue };
            let (topic, mut budget) = (Topic::Rx { client: id }, REPLAY_LOOK);
            let mut ended = false;
            for _ in 0..REPLAY_SEND {
                match replay.next(&self.ring, &mut budget) {
                    Next::Frame(frame) => {
                        let base = |view: View<'_>| {
                            let publisher = view.header.publisher;
                            self.intake.base(publisher, view.name()).max(replay.stands(publisher, view.name()))
                        };
                        let bases = views(&frame).map(base).collect();
                        let head = control::Replay { number: replay.number(), bases, ..Default::default() };
                        if !sent(hub.publish(&topic.message(&head), Some(&frame), Duration::ZERO))? {
                            break;
                        }
                        replay.sent(frame.len(), &self.limits, now);
                        self.figures.replayed += 1;
                        moved = true;
                    }
                    Next::Later => {
                        moved = true;
                        break;
                    }
                    Next::End if !self.replays_may_end() => break,
                    Next::End => {
                        let end = self.end_of(&replay);
                        ended = sent(hub.publish(&topic.message(&end), None, Duration::ZERO))?;
                        break;
                    }
                }
            }
            if !ended && let Some(client) = self.clients.get_mut(&id) {
                client.replay = Some(replay);
            }
        }
        Ok(moved)
    }

    fn end_of(&self, replay: &Replay) -> control::Replay {
        let wanted = self.intake.all_streams().filter(|(_, name, ..)| replay.wants_name(name));
        let reached = |stream| {
            let reached = self.reached(stream);
            Reached { base: reached.base.max(replay.stands(reached.publisher, &reached.event)), ..reached }
        };
        control::Replay {
            number: replay.number(),
            end: true,
            bases: Vec::new(),
            baseline: self.intake.baseline(),
            sequences: wanted.map(reached).collect(),
        }
    }

    /// Makes the ring fit for another frame, unless a frame that would have to go is still needed. While it waits for the
    /// subscribers of an older server it grows: publishers send their windows whole, and what is new comes behind.
    pub(super) fn make_room(&mut self, now: Now) -> bool {
        let in_grace = self.is_in_grace(now);
        while self.ring.is_full() {
            if in_grace && self.ring.bytes() < self.limits.grown() {
                self.grown = true;
                return true;
            }
            let tail = self.ring.tail();
            let holds = |client: &Client| {
                client.replay.as_ref().is_some_and(|replay| replay.holds(tail, client.seen, &self.limits, now))
            };
            let needed = in_grace || self.clients.values().any(holds);
            if needed {
                return false;
            }
            let Some((index, frame)) = self.ring.pop() else { break };
            // Where the sequences of several frames lead was counted when they came.
            if let Some(view) = view(&frame) {
                self.intake.leaves_ring(view.header.publisher, view.key(), index, || sequence_behind(&view));
            }
        }
        self.grown = false;
        true
    }

    /// A publisher of an older server is there: its subscribers will come for what they lack.
    pub(super) fn begin_grace(&mut self, now: Now) {
        self.grace.get_or_insert(now + self.limits.grace);
    }

    /// Whether subscribers of an older server may still come.
    #[must_use]
    pub fn is_in_grace(&self, now: Now) -> bool {
        self.grace.is_some_and(|until| now < until)
    }
}
