//! The server as a state machine: takes frames in, hands them out, answers control messages.
//!
//! One call of [`Relay::turn`] does a slice of everything, in this order, so that nothing starves:
//!
//! ```text
//!  subscriptions ─▶ answers ─▶ replays ─▶ frames (collect, judge, ring, publish) ─▶ acks
//! ```

mod answers;
mod aside;
mod contents;
mod controls;
mod frames;
mod holds;
mod leaving;
mod outgoing;
mod permits;
mod replays;
mod stalls;
#[cfg(test)]
mod stub;

use std::collections::VecDeque;
use std::time::Duration;

use rustc_hash::FxHashMap;

use self::answers::{Answer, Answers};
use self::aside::Aside;
use self::holds::Holds;
use self::outgoing::Outgoing;
use self::permits::{Permits, Sender};
use self::stalls::Stalls;
use super::intake::Intake;
use super::interests::Interests;
use super::owners::Owners;
use super::replay::Replay;
use super::retained::Retained;
use super::ring::Ring;
use super::{Limits, Now};
use crate::control::{About, Empty, Figures, Leaving, Topic};
use crate::engine::{EngineError, Frame, Hub, Load, Peer, PublishError, Subscription};
use crate::frame;
use crate::frame::bundle::views;

/// How many subscriptions, and how many frames, one turn takes.
const SLICE: usize = 256;
/// How often the figures go out, in microseconds.
const STATS_EVERY: Now = 2_000_000;

/// The server's memory and rules.
pub struct Relay {
    epoch: u64,
    limits: Limits,
    intake: Intake,
    owners: Owners,
    interests: Interests,
    permits: Permits,
    ring: Ring,
    retained: Retained,
    shapes: FxHashMap<u64, String>,
    /// The size of their texts together.
    shape_bytes: usize,
    clients: FxHashMap<u64, Client>,
    answers: Answers,
    /// What goes out next.
    pending: Option<Outgoing>,
    /// The rest of a message of several frames, each of which has to be looked at by itself.
    apart: VecDeque<Frame>,
    /// Who sent what is looked at.
    sender: Sender,
    /// What was collected while the ring had no room.
    aside: Aside,
    /// Since when nothing could be published.
    blocked: Option<Now>,
    stalls: Stalls,
    holds: Holds,
    /// Until when nothing leaves the ring, since subscribers of an older server may want it.
    grace: Option<Now>,
    /// The ring has grown beyond its limit meanwhile, and publishers keep as much.
    grown: bool,
    /// What was said last of leaving.
    leaving: Option<Leaving>,
    /// The ring is full of frames that are still needed, so nothing is collected.
    held: bool,
    /// When something came last.
    heard: Now,
    next_stats: Now,
    figures: Figures,
    load: Load,
}

/// What is known of a connected client.
#[derive(Debug)]
struct Client {
    /// The connection that came last.
    peer: Option<Peer>,
    /// The connections that the server believes it has, the oldest first; never empty.
    connections: Vec<Option<Peer>>,
    /// When it last showed that it lives and moves on.
    seen: Now,
    replay: Option<Replay>,
    /// The attempt that was served last: it may be asked for twice.
    served: Option<u64>,
    /// It was told to hold back.
    holds: bool,
}

/// What the caller of [`Relay::turn`] does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Call again at once.
    Busy,
    /// Wait for the hub, but not past this time.
    Idle(Now),
    /// Wait a moment, and not for the hub: it may have frames, which have to stay where they are.
    Held,
}

impl Relay {
    /// A server that knows nothing yet. `epoch` names this run.
    #[must_use]
    pub fn new(epoch: u64, limits: Limits) -> Relay {
        Relay {
            epoch,
            limits,
            intake: Intake::new(limits),
            owners: Owners::default(),
            interests: Interests::default(),
            permits: Permits::default(),
            ring: Ring::new(limits),
            retained: Retained::new(limits.known),
            shapes: FxHashMap::default(),
            shape_bytes: 0,
            clients: FxHashMap::default(),
            answers: Answers::default(),
            pending: None,
            apart: VecDeque::new(),
            sender: Sender::default(),
            aside: Aside::default(),
            blocked: None,
            stalls: Stalls::default(),
            holds: Holds::default(),
            grace: None,
            grown: false,
            leaving: None,
            held: false,
            heard: 0,
            next_stats: 0,
            figures: Figures::default(),
            load: Load::default(),
        }
    }

    /// The message every connection gets first.
    #[must_use]
    pub fn welcome(&self) -> Frame {
        Topic::Hello { epoch: self.epoch }.message(&Empty())
    }

    /// What was counted so far.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let (publishers, clients) = (self.intake.len() as u64, self.clients.len() as u64);
        let Load { connections, turned_away, oversubscribed, failed_handshakes } = self.load;
        Figures { publishers, clients, connections, turned_away, oversubscribed, failed_handshakes, ..self.figures }
    }

    /// How many bytes are kept to be replayed.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.ring.bytes()
    }

    /// When something came last.
    #[must_use]
    pub fn heard(&self) -> Now {
        self.heard
    }

    /// The position of the oldest frame of a publisher that is kept to be replayed.
    #[must_use]
    pub fn oldest_of(&self, publisher: u64) -> Option<u64> {
        let views = (self.ring.tail()..self.ring.head())
            .filter_map(|index| self.ring.get(index))
            .flat_map(|frame| views(frame));
        views.map(|view| view.header).find(|header| header.publisher == publisher).map(|header| header.position)
    }

    /// Does a slice of work. `slice` is how long a publication may wait for room.
    ///
    /// # Errors
    /// [`EngineError`] if the hub cannot be used any more.
    pub fn turn(&mut self, hub: &mut dyn Hub, now: Now, slice: Duration) -> Result<Pace, EngineError> {
        let mut busy = self.subscriptions(hub, now)?;
        while let Some(peer) = hub.gone() {
            self.interests.gone(peer);
        }
        self.answer(hub, now)?;
        busy |= self.replay(hub, now)?;
        busy |= self.relay(hub, now, slice)?;
        // What there is to say about frames goes out before their acknowledgement.
        self.answer(hub, now)?;
        self.acknowledge(hub, now)?;
        self.hold(hub, now)?;
        self.load = hub.load();
        if now >= self.next_stats {
            self.next_stats = now + STATS_EVERY;
            let figures = self.figures();
            self.say(Topic::Stats.message(&figures));
        }
        if busy || self.pending.is_some() {
            return Ok(Pace::Busy);
        }
        if self.held || self.has_left() {
            return Ok(Pace::Held);
        }
        let mut until = self.next_stats;
        if let Some(due) = self.intake.next_ack() {
            until = until.min(due);
        }
        if let Some(due) = self.holds.due() {
            until = until.min(due);
        }
        if let Some(due) = self.answers.due() {
            until = until.min(due);
        }
        if self.clients.values().any(|client| client.replay.is_some()) {
            until = until.min(now + 1_000);
        }
        Ok(Pace::Idle(until.max(now)))
    }

    /// Sends a control message to whoever subscribed to its topic.
    fn say(&mut self, message: Frame) {
        self.push_answer(Answer::Message(message));
    }

    /// Whether no client is connected and nothing waits.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        let nothing_waits = self.pending.is_none() && self.apart.is_empty() && self.aside.is_empty();
        nothing_waits && self.clients.is_empty() && self.answers.is_empty()
    }

    /// Takes subscriptions. Returns whether there may be more.
    fn subscriptions(&mut self, hub: &mut dyn Hub, now: Now) -> Result<bool, EngineError> {
        let mut taken = 0;
        while taken < SLICE * 4
            && let Some(subscription) = hub.subscription()?
        {
            taken += 1;
            self.subscribed(hub, subscription, now)?;
        }
        if taken > 0 {
            self.heard = now;
            self.sort_again();
        }
        Ok(taken == SLICE * 4)
    }

    fn subscribed(&mut self, hub: &mut dyn Hub, subscription: Subscription, now: Now) -> Result<(), EngineError> {
        let topic = Topic::parse(&subscription.topic);
        if subscription.on && !self.owners.may_hear(&subscription, topic.as_ref()) {
            self.figures.forged += 1;
            if let Some(Topic::Rx { client }) = topic {
                self.owners.listens(client, subscription.peer);
            }
            if let Some(peer) = subscription.peer {
                hub.disconnect(peer);
            }
            return Ok(());
        }
        let open = !subscription.on || self.lets_hear(hub, &subscription, topic.as_ref(), now);
        // A barrier for what may not be heard is a barrier all the same.
        if subscription.on && (open || matches!(topic, Some(Topic::Sync { .. }))) {
            hub.grant(&subscription)?;
        }
        let Some(topic) = topic else {
            if open {
                self.interested(&subscription);
            }
            return Ok(());
        };
        match (topic, subscription.on) {
            (Topic::Bye, true) => self.leaves(),
            (Topic::Bundles, true) => self.interests.takes_bundles(subscription.peer),
            (Topic::Rx { client }, true) => {
                // A new connection begins anew; what the old one wanted is of no use any more.
                let before = self.clients.remove(&client);
                if before.is_some() || self.clients.len() < self.limits.known {
                    let (peer, mut connections) = (subscription.peer, before.map_or(Vec::new(), |c| c.connections));
                    if peer.is_none() || !connections.contains(&peer) {
                        connections.push(peer);
                    }
                    self.clients.insert(
                        client,
                        Client { peer, connections, seen: now, replay: None, served: None, holds: false },
                    );
                    self.deny_again(client, now);
                }
            }
            (Topic::Rx { client }, false) if self.owners.listened(client, &subscription) => {}
            (Topic::Rx { client }, false) => {
                // The end of an old connection may be noticed after the new one began, and not every
                // engine can tell which of them ended. Where it is told, nobody ends another's.
                if let Some(entry) = self.clients.get_mut(&client) {
                    let told = entry.connections.iter().position(|&peer| peer == subscription.peer);
                    let one_of = || entry.connections.iter().position(|peer| !peer.is_some_and(|peer| hub.names(peer)));
                    if let Some(ended) = told.or_else(|| one_of().filter(|_| subscription.peer.is_none())) {
                        entry.connections.remove(ended);
                    }
                    match entry.connections.last() {
                        Some(&newest) => entry.peer = newest,
                        None => _ = self.clients.remove(&client),
                    }
                }
            }
            (Topic::Full { client }, on) => {
                if let Some(entry) = self.clients.get_mut(&client) {
                    entry.seen = now;
                }
                self.holds.full(client, on, now);
            }
            (Topic::Sync { client, number, about }, true) => {
                if let Some(entry) = self.clients.get_mut(&client) {
                    entry.seen = now;
                }
                if open {
                    self.interests_asked(subscription.peer, &about);
                }
                self.push_answer(Answer::Sync { client, number, about, open });
            }
            _ => {}
        }
        Ok(())
    }

    fn interested(&mut self, Subscription { on, topic, peer, .. }: &Subscription) {
        if *on {
            self.interests.subscribed(*peer, topic);
        } else {
            self.interests.unsubscribed(*peer, topic);
        }
    }

    /// A client asks about an event that it wants, or is about to want no more.
    fn interests_asked(&mut self, peer: Option<Peer>, about: &About) {
        match about {
            // It may have been about to leave, and has thought better of it.
            About::Event(name) => self.interests.subscribed(peer, &frame::topic(name)),
            About::Leaving(Some(name)) => self.interests.unsubscribed(peer, &frame::topic(name)),
            About::Leaving(None) => {
                frame::FIRST_BYTES.chunks(1).for_each(|byte| self.interests.unsubscribed(peer, byte));
            }
            About::Events => frame::FIRST_BYTES.chunks(1).for_each(|byte| self.interests.subscribed(peer, byte)),
            About::Nothing | About::Shape(_) => {}
        }
    }

    /// Hands frames on, as long as everybody has room. Returns whether there is more to do at once.
    fn relay(&mut self, hub: &mut dyn Hub, now: Now, slice: Duration) -> Result<bool, EngineError> {
        let mut more = false;
        let mut wait = slice;
        for _ in 0..SLICE {
            if !self.hand_out(hub, now, &mut wait)? {
                return self.held_up(hub, now).map(|()| true);
            }
            self.blocked = None;
            if self.has_left() {
                return Ok(more);
            }
            self.held = !self.make_room(now);
            if self.held {
                self.look_for_resumes(hub, now)?;
                return Ok(more);
            }
            let message = match self.apart.pop_front() {
                Some(message) => message,
                None => {
                    let Some((message, sender)) = self.next_message(hub)? else { return Ok(more) };
                    self.sender = sender;
                    message
                }
            };
            self.heard = now;
            more |= self.collected(message, now);
        }
        Ok(true)
    }

    fn acknowledge(&mut self, hub: &mut dyn Hub, now: Now) -> Result<(), EngineError> {
        let mut failed = None;
        self.intake.acks(self.grown, now, |publisher, acked| {
            match sent(hub.publish(&Topic::Ack { publisher }.message(&acked), None, Duration::ZERO)) {
                Ok(sent) => sent,
                Err(error) => {
                    failed = Some(error);
                    false
                }
            }
        });
        failed.map_or(Ok(()), Err)
    }
}

/// Whether a message left; a full queue is no error.
fn sent(result: Result<(), PublishError>) -> Result<bool, EngineError> {
    match result {
        Ok(()) => Ok(true),
        Err(PublishError::Full) => Ok(false),
        Err(PublishError::Engine(error)) => Err(error),
    }
}
