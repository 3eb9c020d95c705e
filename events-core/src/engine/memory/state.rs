//! What is where in a universe of memory addresses. Everything here happens under its one lock.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar};

use rustc_hash::{FxHashMap, FxHashSet};

use super::prefixes::Prefixes;
use crate::engine::{Addresses, Arrival, Frame, Peer, Subscription, Waker};

/// Messages that a queue holds, as in the ZeroMQ engine.
const QUEUE: usize = 64;
/// And bytes; one message always fits.
const QUEUE_BYTES: usize = 16 * 1024 * 1024;

pub(super) type Id = u64;

#[derive(Default)]
pub(super) struct State {
    last: Id,
    downs: FxHashMap<Id, Down>,
    ups: FxHashMap<Id, Up>,
    hubs: FxHashMap<Id, Serving>,
}

/// How one end is waited at and woken.
#[derive(Default)]
pub(super) struct Bell {
    pub(super) condition: Arc<Condvar>,
    woken: bool,
    pub(super) waiting: bool,
    /// Ends the wait of an end that waits for more than its bell.
    pub(super) elsewhere: Option<Waker>,
}

impl Bell {
    /// Ends the wait under way, if there is one.
    fn ring(&self) {
        if self.waiting {
            self.condition.notify_all();
            if let Some(waker) = &self.elsewhere {
                waker.wake();
            }
        }
    }

    /// Whether [`wake`](Bell::wake) was called since this was asked last.
    pub(super) fn take_woken(&mut self) -> bool {
        std::mem::take(&mut self.woken)
    }

    /// Ends the wait under way or the next.
    pub(super) fn wake(&mut self) {
        self.woken = true;
        self.ring();
    }
}

/// A downlink.
pub(super) struct Down {
    address: String,
    topics: Prefixes<usize>,
    queue: VecDeque<Arrival>,
    messages: usize,
    bytes: usize,
    connection: Option<(Id, Peer)>,
    bell: Bell,
}

/// An uplink.
pub(super) struct Up {
    address: String,
    queue: VecDeque<Frame>,
    hub: Option<Id>,
    /// How many of its frames wait at the hub.
    under_way: usize,
}

/// A hub.
pub(super) struct Serving {
    at: Addresses,
    welcome: Frame,
    inbox: VecDeque<(Id, Frame)>,
    changes: VecDeque<Subscription>,
    subscribers: Prefixes<FxHashSet<Id>>,
    /// Connections that have ended, and nobody was told yet.
    gone: Vec<Peer>,
    bell: Bell,
    /// It waits until everybody has room.
    wants_room: bool,
}

impl Down {
    fn push(&mut self, arrival: Arrival) {
        if let Arrival::Message { head, body } = &arrival {
            self.messages += 1;
            self.bytes += head.len() + body.as_deref().map_or(0, <[u8]>::len);
        }
        self.queue.push_back(arrival);
        self.bell.ring();
    }

    fn pop(&mut self) -> Option<Arrival> {
        let arrival = self.queue.pop_front()?;
        if let Arrival::Message { head, body } = &arrival {
            self.messages -= 1;
            self.bytes -= head.len() + body.as_deref().map_or(0, <[u8]>::len);
        }
        Some(arrival)
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.messages == 0 || (self.messages < QUEUE && self.bytes + bytes <= QUEUE_BYTES)
    }
}

impl State {
    fn next_id(&mut self) -> Id {
        self.last += 1;
        self.last
    }

    pub(super) fn down_bell(&mut self, id: Id) -> Option<&mut Bell> {
        self.downs.get_mut(&id).map(|down| &mut down.bell)
    }

    pub(super) fn hub_bell(&mut self, id: Id) -> Option<&mut Bell> {
        self.hubs.get_mut(&id).map(|hub| &mut hub.bell)
    }

    /// Whether there is something to collect or a subscription to take.
    pub(super) fn has_news(&self, hub: Id) -> bool {
        self.hubs.get(&hub).is_none_or(|hub| !hub.inbox.is_empty() || !hub.changes.is_empty())
    }

    /// Opens a downlink to `address`.
    pub(super) fn open_down(&mut self, address: &str) -> Id {
        let id = self.next_id();
        let down = Down {
            address: address.to_owned(),
            topics: Prefixes::default(),
            queue: VecDeque::new(),
            messages: 0,
            bytes: 0,
            connection: None,
            bell: Bell::default(),
        };
        self.downs.insert(id, down);
        self.attach_down(id);
        if let Some(down) = self.downs.get_mut(&id).filter(|down| down.connection.is_none()) {
            down.push(Arrival::Unreachable);
        }
        id
    }

    /// Opens an uplink to `address`.
    pub(super) fn open_up(&mut self, address: &str) -> Id {
        let id = self.next_id();
        let hub = self.hub_at(|at| at.emit == address);
        self.ups.insert(id, Up { address: address.to_owned(), queue: VecDeque::new(), hub, under_way: 0 });
        id
    }

    /// Opens a hub, to which everybody who waits for one at its addresses is connected. With `elsewhere` it waits for
    /// more than what comes from here.
    pub(super) fn open_hub(&mut self, at: Addresses, welcome: &[u8], elsewhere: Option<Waker>) -> Id {
        let id = self.next_id();
        let hub = Serving {
            at: at.clone(),
            welcome: Frame::new(welcome.to_vec()),
            inbox: VecDeque::new(),
            changes: VecDeque::new(),
            subscribers: Prefixes::default(),
            gone: Vec::new(),
            bell: Bell { elsewhere, ..Bell::default() },
            wants_room: false,
        };
        self.hubs.insert(id, hub);
        let mut downs: Vec<Id> =
            self.downs.iter().filter(|(_, down)| down.address == at.reg).map(|(id, _)| *id).collect();
        let mut ups: Vec<Id> = self.ups.iter().filter(|(_, up)| up.address == at.emit).map(|(id, _)| *id).collect();
        // In the order in which they were opened: tests should see the same order each time.
        downs.sort_unstable();
        ups.sort_unstable();
        for down in downs {
            self.attach_down(down);
        }
        for up in ups {
            if let Some(up) = self.ups.get_mut(&up) {
                up.hub = Some(id);
                up.under_way = 0;
            }
            self.forward(up);
            self.ring_hub_of(up);
        }
        id
    }

    /// The hub whose addresses satisfy `is`.
    pub(super) fn hub_at(&self, is: impl Fn(&Addresses) -> bool) -> Option<Id> {
        self.hubs.iter().find(|(_, hub)| is(&hub.at)).map(|(id, _)| *id)
    }

    /// Connects a downlink: the welcome goes out and its subscriptions come in, in byte order.
    fn attach_down(&mut self, id: Id) {
        let Some(address) = self.downs.get(&id).map(|down| down.address.clone()) else { return };
        let Some(hub_id) = self.hub_at(|at| at.reg == address) else { return };
        let peer = Peer(self.next_id());
        let (Some(down), Some(hub)) = (self.downs.get_mut(&id), self.hubs.get_mut(&hub_id)) else { return };
        down.connection = Some((hub_id, peer));
        down.push(Arrival::Message { head: hub.welcome.clone(), body: None });
        for topic in down.topics.topics() {
            hub.subscribers.entry(topic).insert(id);
            hub.changes.push_back(Subscription { on: true, topic: topic.clone(), peer: Some(peer), owner: None });
        }
        hub.bell.ring();
    }

    /// Ends the connection of a downlink and tells its hub which topics nobody has any more.
    fn detach_down(&mut self, id: Id) {
        let Some(down) = self.downs.get_mut(&id) else { return };
        let Some((hub, peer)) = down.connection.take() else { return };
        let Some(hub) = self.hubs.get_mut(&hub) else { return };
        hub.gone.push(peer);
        for topic in down.topics.topics() {
            hub.take_back(topic, id, peer);
        }
        hub.bell.ring();
    }

    pub(super) fn close_down(&mut self, id: Id) {
        self.detach_down(id);
        self.downs.remove(&id);
    }

    pub(super) fn close_up(&mut self, id: Id) {
        self.ups.remove(&id);
    }

    pub(super) fn close_hub(&mut self, id: Id) {
        self.hubs.remove(&id);
        for down in self.downs.values_mut().filter(|down| down.connection.is_some_and(|(hub, _)| hub == id)) {
            down.connection = None;
            down.push(Arrival::Disconnected);
        }
        for up in self.ups.values_mut().filter(|up| up.hub == Some(id)) {
            up.hub = None;
        }
    }

    pub(super) fn disconnect(&mut self, hub: Id, peer: Peer) {
        let found = self.downs.iter().find(|(_, down)| down.connection == Some((hub, peer)));
        let Some(id) = found.map(|(id, _)| *id) else { return };
        self.detach_down(id);
        if let Some(down) = self.downs.get_mut(&id) {
            down.queue.retain(|arrival| matches!(arrival, Arrival::Disconnected));
            (down.messages, down.bytes) = (0, 0);
            down.push(Arrival::Disconnected);
        }
        self.attach_down(id);
    }

    pub(super) fn subscribe(&mut self, id: Id, topic: &[u8]) {
        let Some(down) = self.downs.get_mut(&id) else { return };
        let count = down.topics.entry(topic);
        *count += 1;
        if *count == 1
            && let Some((hub, peer)) = down.connection
            && let Some(hub) = self.hubs.get_mut(&hub)
        {
            hub.subscribers.entry(topic).insert(id);
            hub.changes.push_back(Subscription { on: true, topic: topic.to_vec(), peer: Some(peer), owner: None });
            hub.bell.ring();
        }
    }

    pub(super) fn unsubscribe(&mut self, id: Id, topic: &[u8]) {
        let Some(down) = self.downs.get_mut(&id) else { return };
        let Some(count) = down.topics.get_mut(topic) else { return };
        *count -= 1;
        if *count == 0 {
            down.topics.remove(topic);
            if let Some((hub, peer)) = down.connection
                && let Some(hub) = self.hubs.get_mut(&hub)
            {
                hub.take_back(topic, id, peer);
                hub.bell.ring();
            }
        }
    }

    /// The next arrival at a downlink. What it no longer subscribes to it does not get.
    pub(super) fn receive(&mut self, id: Id) -> Option<Arrival> {
        let down = self.downs.get_mut(&id)?;
        let mut popped = false;
        let wanted = loop {
            let Some(arrival) = down.pop() else { break None };
            popped = true;
            match &arrival {
                Arrival::Message { head, .. } if down.topics.matching(head).next().is_none() => {}
                _ => break Some(arrival),
            }
        };
        if popped
            && let Some((hub, _)) = down.connection
            && let Some(hub) = self.hubs.get(&hub).filter(|hub| hub.wants_room)
        {
            hub.bell.ring();
        }
        wanted
    }

    /// Whether a downlink has yet to be told that its connection ended.
    pub(super) fn is_ending(&self, id: Id) -> bool {
        let ends = |down: &Down| down.queue.iter().any(|arrival| matches!(arrival, Arrival::Disconnected));
        self.downs.get(&id).is_some_and(ends)
    }

    /// Everybody who subscribed, if all of them have room. If not, the hub is told when somebody takes something.
    pub(super) fn room(&mut self, hub: Id, head: &[u8], body: Option<&Frame>) -> Option<Vec<Id>> {
        let Some(hub) = self.hubs.get_mut(&hub) else { return Some(Vec::new()) };
        let mut to: Vec<Id> = hub.subscribers.matching(head).flatten().copied().collect();
        to.sort_unstable();
        to.dedup();
        let bytes = head.len() + body.map_or(0, |body| body.len());
        hub.wants_room = !to.iter().all(|id| self.downs.get(id).is_none_or(|down| down.has_room(bytes)));
        (!hub.wants_room).then_some(to)
    }

    /// Hands a message to those for whom [`room`](State::room) was found.
    pub(super) fn hand(&mut self, to: &[Id], head: &Frame, body: Option<&Frame>) {
        for id in to {
            if let Some(down) = self.downs.get_mut(id).filter(|down| down.connection.is_some()) {
                down.push(Arrival::Message { head: head.clone(), body: body.cloned() });
            }
        }
    }

    /// How many connections a hub has.
    #[cfg(feature = "zmq")]
    pub(super) fn connections(&self, hub: Id) -> usize {
        let downs = self.downs.values().filter(|down| down.connection.is_some_and(|(at, _)| at == hub));
        downs.count() + self.ups.values().filter(|up| up.hub == Some(hub)).count()
    }

    /// The next connection of a hub that has ended.
    pub(super) fn gone(&mut self, hub: Id) -> Option<Peer> {
        self.hubs.get_mut(&hub)?.gone.pop()
    }

    pub(super) fn send(&mut self, id: Id, frame: &Frame) {
        if self.put(id, frame) {
            self.ring_hub_of(id);
        }
    }

    /// Queues a frame, and says whether its hub waits and has yet to be woken for it.
    pub(super) fn put(&mut self, id: Id, frame: &Frame) -> bool {
        let Some(up) = self.ups.get_mut(&id) else { return false };
        up.queue.push_back(frame.clone());
        self.forward(id)
    }

    fn ring_hub_of(&self, id: Id) {
        if let Some(hub) = self.ups.get(&id).and_then(|up| self.hubs.get(&up.hub?)) {
            hub.bell.ring();
        }
    }

    /// Wakes whoever waits for the hub of an uplink and for more than what comes from here.
    #[cfg(feature = "zmq")]
    pub(super) fn wake_hub_of(&self, id: Id) {
        let hub = self.ups.get(&id).and_then(|up| self.hubs.get(&up.hub?));
        if let Some(waker) = hub.and_then(|hub| hub.bell.elsewhere.as_ref()) {
            waker.wake();
        }
    }

    /// Forgets what an uplink has queued, and opens it anew. What waits at the hub has left.
    pub(super) fn reset(&mut self, id: Id) -> Id {
        let address = self.ups.remove(&id).map(|up| up.address).unwrap_or_default();
        self.open_up(&address)
    }

    /// Moves frames of an uplink to its hub, as far as the queue there goes. They are lost with it. Says whether the hub
    /// waits.
    fn forward(&mut self, id: Id) -> bool {
        let Some(up) = self.ups.get_mut(&id) else { return false };
        let Some(hub) = up.hub.and_then(|hub| self.hubs.get_mut(&hub)) else { return false };
        while up.under_way < QUEUE
            && let Some(frame) = up.queue.pop_front()
        {
            up.under_way += 1;
            hub.inbox.push_back((id, frame));
        }
        hub.bell.waiting
    }

    pub(super) fn collect(&mut self, hub: Id) -> Option<Frame> {
        let (from, frame) = self.hubs.get_mut(&hub)?.inbox.pop_front()?;
        if let Some(up) = self.ups.get_mut(&from) {
            up.under_way -= 1;
            self.forward(from);
        }
        Some(frame)
    }

    pub(super) fn subscription(&mut self, hub: Id) -> Option<Subscription> {
        self.hubs.get_mut(&hub)?.changes.pop_front()
    }
}

impl Serving {
    /// Takes one subscriber of `topic` away, and tells it if that was the last.
    fn take_back(&mut self, topic: &[u8], id: Id, peer: Peer) {
        let Some(ids) = self.subscribers.get_mut(topic) else { return };
        let had = ids.remove(&id);
        if ids.is_empty() {
            self.subscribers.remove(topic);
        }
        if had {
            let topic = topic.to_vec();
            self.changes.push_back(Subscription { on: false, topic, peer: Some(peer), owner: None });
        }
    }
}
