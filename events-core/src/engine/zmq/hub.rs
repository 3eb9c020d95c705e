//! The server's PULL and XPUB.

mod opening;

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zmq_sys as z;

use super::address::Address;
use super::door::Door;
use super::keyholders::{Keyholders, Side};
use super::large::{Large, Pass};
use super::local::Served;
use super::monitor::{Event, Watched};
use super::peers::{self, Peers};
use super::place::Place;
use super::spin;
use super::standing::Standing;
use super::sys::{self, Message, Socket};
use super::wake::Wake;
use super::{Shared, io_error};
use crate::engine::{
    Addresses, Bounds, EngineError, Frame, Hub, Load, Owner, Peer, PublishError, Rest, Seen, Subscription, Turn, Waker,
    left,
};
use crate::permission::Permission;

/// Messages of several parts that are dropped in one go, so that whoever sends them cannot hold us up.
const DROPPED_AT_ONCE: usize = 64;

pub(super) struct ZmqHub {
    shared: Arc<Shared>,
    /// Clients of this process.
    local: Option<Served>,
    pull: Watched,
    xpub: Watched,
    wake: Wake,
    peers: Peers,
    door: Door,
    bounds: Bounds,
    spin: Duration,
    oversubscribed: u64,
    /// Where a connection proves whose it is. After the sockets: until they are closed, libzmq asks who may
    /// come in.
    keyholders: Option<Keyholders>,
    sender: Option<Owner>,
    /// Where keys say who is there, a subscription counts when it is granted.
    manual: Option<Manual>,
    addresses: Addresses,
    /// Unless clients are here: these hold on to messages.
    large: Option<Arc<Large>>,
    /// The send timeout that is set, in milliseconds.
    timeout: i32,
    /// Messages that no client of ours sends.
    foreign: u64,
    inproc: Vec<String>,
    /// The wait that has just ended found no news of connections, subscriptions and keys.
    looked: bool,
    /// Nothing was left at the PULL, and nobody has asked it since.
    emptied: bool,
    // Last: given up when the sockets are closed.
    _places: Vec<Place>,
}

/// Subscriptions that are granted one by one.
#[derive(Default)]
struct Manual {
    standing: Standing,
    /// What came last may be granted.
    sure: bool,
    /// What came where it is not sure whose it is: told, but never granted.
    unsure: VecDeque<Subscription>,
}

impl ZmqHub {
    fn watch(&mut self) -> Result<(), EngineError> {
        while let Some(event) = self.xpub.next_event().map_err(io_error("watching connections"))? {
            match event {
                Event::Accepted(fd) => peers::widen(fd),
                Event::Disconnected(fd) => self.peers.forget(fd),
                _ => {}
            }
            self.door.note(event);
            if let Some(known) = &mut self.keyholders {
                known.note(event, Side::Xpub);
            }
            if let Some(manual) = &mut self.manual {
                manual.standing.note(event, Instant::now());
            }
        }
        self.door.close();
        Ok(())
    }

    /// The same at the PULL.
    fn watch_pull(&mut self) -> Result<(), EngineError> {
        while let Some(event) = self.pull.next_event().map_err(io_error("watching connections"))? {
            self.door.note(event);
            if let Some(known) = &mut self.keyholders {
                known.note(event, Side::Pull);
            }
        }
        self.door.close();
        Ok(())
    }

    /// Follows the connections, and ends those of a key that is gone or may do something else.
    fn look_after_connections(&mut self) -> Result<(), EngineError> {
        self.watch_pull()?;
        self.watch()?;
        if let Some(known) = &mut self.keyholders
            && known.changed()
        {
            known.end_changed();
        }
        Ok(())
    }

    /// Whether libzmq means the connection that `message` came from when something is granted now. Asked only where
    /// it matters: where somebody may not hear everything.
    fn is_sure(&mut self, message: &Message) -> bool {
        let restricted = self.keyholders.as_ref().is_some_and(Keyholders::restricted);
        let Some(manual) = &mut self.manual else { return true };
        let Some((fd, id)) = message.property(c"__fd") else { return true };
        let sure = fd.parse().is_ok_and(|fd| manual.standing.is_sure(fd, id));
        sure || !restricted
    }

    /// What `message` says, which is a subscription.
    fn told(&mut self, message: Message) -> Subscription {
        let owner = self.keyholders.as_mut().and_then(|known| known.of(&message, Side::Xpub));
        let on = message.first() == Some(&1);
        let topic = message.get(1..).unwrap_or_default().to_vec();
        Subscription { on, topic, peer: self.peers.of(message), owner }
    }

    /// After `bad`, which is no subscription, libzmq takes each subscription that waits for that of the sender of the
    /// next one. So none of them is granted, and those who sent them come back.
    fn drain(&mut self, bad: &Message) -> Result<(), EngineError> {
        self.watch()?;
        shut(bad);
        while let Some(message) = self.xpub.socket().receive().map_err(io_error("receiving"))? {
            self.watch()?;
            shut(&message);
            if !is_subscription(&message) {
                self.skip(&message, |hub| hub.xpub.socket())?;
                continue;
            }
            let subscription = self.told(message);
            if let Some(manual) = &mut self.manual {
                manual.unsure.push_back(subscription);
            }
        }
        Ok(())
    }

    /// Takes what is left of a message off `socket`.
    fn skip(&mut self, rest_of: &Message, socket: impl Fn(&ZmqHub) -> &Socket) -> Result<(), EngineError> {
        self.foreign += 1;
        let mut more = rest_of.more();
        while more {
            let part = socket(self).receive().map_err(io_error("receiving"))?;
            more = part.is_some_and(|part| part.more());
        }
        Ok(())
    }
}

/// Whether a message of the XPUB is a subscription, made or taken back.
fn is_subscription(message: &Message) -> bool {
    matches!(message.first(), Some(0 | 1)) && !message.more()
}

/// A message of `frame`, which may need leave.
fn leaving(frame: &Frame, pass: Option<Pass>) -> Result<Message, EngineError> {
    pass.map_or_else(|| frame.to_message(), |pass| pass.message(frame).map_err(io_error("making a message")))
}

/// Ends the connection that `message` came over.
fn shut(message: &Message) {
    let fd = message.property(c"__fd").and_then(|(fd, _)| fd.parse().ok());
    if let Some((socket, _)) = fd.and_then(peers::open) {
        let _ = sys::shutdown(socket.as_fd());
    }
}

impl Drop for ZmqHub {
    fn drop(&mut self) {
        // Closing happens later, in libzmq's own thread: without this a client that comes back at once
        // would reach the socket that is about to close.
        if self.local.is_some() {
            let _ = self.pull.socket().unbind(&self.addresses.emit);
            let _ = self.xpub.socket().unbind(&self.addresses.reg);
        }
        if self.local.take().is_some() {
            self.shared.context.landings.close(&self.addresses);
        }
        for name in &self.inproc {
            let endpoint = Address::Inproc(name.clone()).endpoint();
            let _ = self.pull.socket().unbind(&endpoint).or_else(|_| self.xpub.socket().unbind(&endpoint));
        }
        for name in &self.inproc {
            self.shared.context.inproc.gone(name);
        }
    }
}

impl Hub for ZmqHub {
    fn collect(&mut self) -> Result<Option<Frame>, EngineError> {
        // Those here and the others take turns.
        let here_first = self.local.as_mut().is_some_and(Served::is_next);
        if here_first && let Some(frame) = self.local.as_mut().and_then(Served::collect) {
            return Ok(Some(frame));
        }
        for _ in 0..DROPPED_AT_ONCE {
            let received = self.pull.socket().receive().map_err(io_error("receiving"))?;
            self.emptied = received.is_none();
            let Some(message) = received else { break };
            if !message.more() {
                self.sender = self.keyholders.as_mut().and_then(|known| known.of(&message, Side::Pull));
                return Ok(Some(message.share().into()));
            }
            self.skip(&message, |hub| hub.pull.socket())?;
        }
        Ok(self.local.as_mut().and_then(Served::collect))
    }

    fn sender(&self) -> Option<Owner> {
        self.sender
    }

    fn permission(&self, owner: Owner) -> Option<Arc<Permission>> {
        self.keyholders.as_ref()?.permission(owner).cloned()
    }

    fn grant(&mut self, subscription: &Subscription) -> Result<(), EngineError> {
        match &self.manual {
            Some(manual) if manual.sure => self.xpub.socket().set_bytes(z::ZMQ_SUBSCRIBE, &subscription.topic),
            _ => Ok(()),
        }
        .map_err(io_error("granting a subscription"))
    }

    fn subscription(&mut self) -> Result<Option<Subscription>, EngineError> {
        let looked = std::mem::take(&mut self.looked);
        if !looked {
            self.look_after_connections()?;
        }
        if let Some(subscription) = self.local.as_mut().and_then(Served::subscription) {
            return Ok(Some(subscription));
        }
        if let Some(manual) = &mut self.manual {
            manual.sure = false;
            if let Some(subscription) = manual.unsure.pop_front() {
                return Ok(Some(subscription));
            }
        }
        if looked {
            return Ok(None);
        }
        for _ in 0..DROPPED_AT_ONCE {
            let Some(message) = self.xpub.socket().receive().map_err(io_error("receiving"))? else {
                if let Some(manual) = &mut self.manual {
                    manual.standing.settled(Instant::now());
                }
                break;
            };
            if !is_subscription(&message) {
                self.skip(&message, |hub| hub.xpub.socket())?;
                if self.manual.is_some() {
                    self.drain(&message)?;
                    return Ok(self.manual.as_mut().and_then(|manual| manual.unsure.pop_front()));
                }
                continue;
            }
            // First what ended before: the descriptor of a connection that is gone may be this one's now.
            self.watch()?;
            let too_many = self.peers.is_beyond(&message, self.bounds.subscriptions);
            let sure = !too_many && self.is_sure(&message);
            let first = too_many && self.peers.oversubscribes(&message);
            if first {
                self.oversubscribed += 1;
                tracing::warn!(limit = self.bounds.subscriptions, "a connection with too many subscriptions is ended");
            }
            if first || !(sure || too_many) {
                shut(&message);
            }
            let subscription = self.told(message);
            if let Some(manual) = &mut self.manual {
                manual.sure = sure;
                // To take back is always granted, and what libzmq itself takes back is gone already.
                if sure && !subscription.on && subscription.peer.is_some() {
                    let taken = self.xpub.socket().set_bytes(z::ZMQ_UNSUBSCRIBE, &subscription.topic);
                    taken.map_err(io_error("taking a subscription back"))?;
                }
            }
            return Ok(Some(subscription));
        }
        Ok(None)
    }

    fn gone(&mut self) -> Option<Peer> {
        self.peers.gone().or_else(|| self.local.as_mut()?.gone())
    }

    fn names(&self, connection: Peer) -> bool {
        Served::has(connection)
    }

    fn publish(&mut self, head: &Frame, body: Option<&Frame>, limit: Duration) -> Result<(), PublishError> {
        // First room for those here: what is on its way to the others cannot be taken back.
        let here = match &self.local {
            Some(local) => local.hub.room(head, body, limit).ok_or(PublishError::Full)?,
            None => Vec::new(),
        };
        let timeout = limit.as_micros().div_ceil(1_000).min(i32::MAX as u128) as i32;
        if timeout != 0 && timeout != self.timeout {
            self.xpub.socket().set_int(z::ZMQ_SNDTIMEO, timeout).map_err(io_error("setting the send timeout"))?;
            self.timeout = timeout;
        }
        let len = head.len() + body.map_or(0, |body| body.len());
        let pass = self.large.as_ref().map_or(Ok(None), |large| large.pass(len, limit));
        let mut pass = pass.map_err(|_| PublishError::Full)?;
        // Both are made before one is sent: half a message would tie the socket to its other half.
        let second = body.map(|body| leaving(body, pass.take())).transpose()?;
        let message = leaving(head, pass)?;
        let sent = |sent: io::Result<bool>| match sent {
            Ok(true) => Ok(()),
            Ok(false) => Err(PublishError::Full),
            Err(source) => Err(PublishError::Engine(io_error("publishing")(source))),
        };
        sent(self.xpub.socket().send(message, timeout != 0, second.is_some()))?;
        // Queues count whole messages, so where the first part found room the second has it.
        second.map_or(Ok(()), |second| sent(self.xpub.socket().send(second, false, false)))?;
        if let Some(local) = &self.local {
            local.hub.hand(&here, head, body);
        }
        Ok(())
    }

    fn wait(&mut self, limit: Duration) -> Result<(), EngineError> {
        let deadline = Instant::now().checked_add(limit);
        while self.settle()? {
            let left = left(deadline);
            let sockets = [self.pull.socket(), self.xpub.socket(), self.xpub.events(), self.pull.events()];
            let look = |limit| sys::poll_emptied(sockets, self.wake.fd(), limit).map(Seen::of);
            let seen = spin::wait(self.spin, left, look).map_err(io_error("waiting"))?;
            if seen.bell() {
                self.wake.clear();
            }
            self.risen(seen)?;
            if seen.is_for_server() || left.is_zero() {
                break;
            }
        }
        Ok(())
    }

    fn spin(&mut self, time: Duration) {
        self.spin = time;
    }

    fn share(&mut self, turn: Turn) -> Option<Arc<dyn Rest>> {
        let landing = &self.local.as_ref()?.landing;
        landing.begin(turn, self.spin);
        Some(Arc::clone(landing) as Arc<dyn Rest>)
    }

    fn settle(&mut self) -> Result<bool, EngineError> {
        // Sending may have taken the sign that something has come.
        let emptied = std::mem::take(&mut self.emptied);
        let more = || Ok(!emptied && self.pull.socket().has_more()? || self.xpub.socket().has_more()?);
        if more().map_err(io_error("waiting"))? {
            return Ok(false);
        }
        Ok(self.local.as_ref().is_none_or(|local| local.hub.rest()))
    }

    fn risen(&mut self, seen: Seen) -> Result<(), EngineError> {
        if let Some(local) = &self.local {
            local.hub.rise();
        }
        if seen.at_xpub() {
            self.watch()?;
        }
        if seen.at_pull() {
            self.watch_pull()?;
        }
        let keys_may_have_changed = seen.bell() && self.keyholders.is_some();
        let news = seen.subscription() || seen.at_xpub() || seen.at_pull() || keys_may_have_changed;
        self.looked = !news && seen.is_for_server();
        Ok(())
    }

    fn disconnect(&mut self, peer: Peer) {
        // An error here means that nothing is told; the inode still protects the wrong one.
        let _ = self.watch();
        match &mut self.local {
            Some(local) if Served::has(peer) => local.disconnect(peer),
            _ => self.peers.disconnect(peer),
        }
    }

    fn stuck(&mut self, first: bool) -> Vec<Peer> {
        // Those that ended while nothing could be sent.
        let _ = self.watch();
        self.peers.stuck(first)
    }

    fn load(&self) -> Load {
        Load {
            connections: (self.door.connections() + self.local.as_ref().map_or(0, |local| local.hub.connections()))
                as u64,
            turned_away: self.door.turned_away(),
            oversubscribed: self.oversubscribed,
            failed_handshakes: self.door.failed_handshakes(),
        }
    }

    fn waker(&self) -> Waker {
        self.wake.waker()
    }

    fn addresses(&self) -> Addresses {
        self.addresses.clone()
    }
}
