//! The server's PULL and XPUB.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zmq_sys as z;

use super::address::Address;
use super::door::Door;
use super::keyholders::{Keyholders, Side};
use super::local::Served;
use super::monitor::{self, Event, Watched};
use super::peers::{self, Peers};
use super::place::{self, Place};
use super::standing::Standing;
use super::sys::{self, Message, Socket};
use super::wake::Wake;
use super::{QUEUE, Shared, io_error};
use crate::engine::{Addresses, Bounds, EngineError, Frame, Hub, Load, Owner, Peer, PublishError, Subscription, Waker};
use crate::permission::Permission;
use crate::process::effective_user;
use crate::security::SecurityError;

/// How long a listener of a server that has just ended may still hold its port.
const PORT_FREE: Duration = Duration::from_millis(500);
/// How long messages that were published before the hub is dropped are still sent.
const LINGER_MS: i32 = 500;
/// Subscriptions of one connection that wait for us. libzmq puts all that wait, and all that come meanwhile, into its
/// tree before it tells the first. With 8, whoever sends a million of them takes two thirds of the server's time, with
/// 1,000, libzmq's own figure, nearly all, and 1.3 GB; those who send a thousand are done in the same time with any.
/// Not 1: over CURVE libzmq counts what it notes of the key as one that waits, for ever.
const SUBSCRIPTIONS_AT_ONCE: i32 = 2;
/// With fewer descriptors a flood of connections is quicker than what ends them.
const LEAST_DESCRIPTORS: u64 = 256;
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
    oversubscribed: u64,
    /// Where a connection proves whose it is. After the sockets: until they are closed, libzmq asks who may
    /// come in.
    keyholders: Option<Keyholders>,
    sender: Option<Owner>,
    /// Where keys say who is there, a subscription counts when it is granted.
    manual: Option<Manual>,
    addresses: Addresses,
    /// The send timeout that is set, in milliseconds.
    timeout: i32,
    /// Messages that no client of ours sends.
    foreign: u64,
    inproc: Vec<String>,
    /// The wait that has just ended found no news of connections, subscriptions and keys.
    looked: bool,
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
    pub(super) fn new(
        shared: Arc<Shared>,
        at: &Addresses,
        welcome: &[u8],
        bounds: Bounds,
    ) -> Result<ZmqHub, EngineError> {
        let (emit, reg) = (shared.server_address(&at.emit)?, shared.server_address(&at.reg)?);
        if emit == reg && !matches!(emit, Address::Tcp { port: 0, .. }) {
            let why = "it is given for both directions; give two different addresses".into();
            return Err(EngineError::Address { address: at.emit.clone(), why });
        }
        sys::raise_descriptor_limit();
        if let Some(limit) = sys::descriptor_limit().filter(|limit| *limit < LEAST_DESCRIPTORS) {
            return Err(EngineError::Descriptors { limit, least: LEAST_DESCRIPTORS });
        }
        let mut places = Place::take_all(&[&emit, &reg])?;
        let wake = Wake::new().map_err(io_error("making an eventfd"))?;
        let secured = |address: &Address| shared.curve(address).is_ok_and(|access| access.is_some());
        let mut unfiltered = false;
        let mut open = || {
            let pull = shared.socket(z::ZMQ_PULL, &emit)?;
            pull.set_int(z::ZMQ_RCVHWM, QUEUE)?;
            let xpub = shared.socket(z::ZMQ_XPUB, &reg)?;
            xpub.set_int(z::ZMQ_SNDHWM, QUEUE)?;
            xpub.set_int(z::ZMQ_RCVHWM, SUBSCRIPTIONS_AT_ONCE)?;
            xpub.set_int(z::ZMQ_LINGER, LINGER_MS)?;
            // Every subscription is told, also when another client has the same: a barrier would hang.
            xpub.set_int(z::ZMQ_XPUB_VERBOSER, 1)?;
            xpub.set_int(z::ZMQ_XPUB_NODROP, 1)?;
            if secured(&reg) {
                xpub.set_int(z::ZMQ_XPUB_MANUAL, 1)?;
            }
            xpub.set_bytes(z::ZMQ_XPUB_WELCOME_MSG, welcome)?;
            for (socket, address) in [(&pull, &emit), (&xpub, &reg)] {
                // A lower bound is the relay's to keep: who sent too much would connect anew and send it again, for ever.
                let largest = i64::try_from(bounds.message).unwrap_or(i64::MAX).saturating_add(64);
                socket.set_i64(z::ZMQ_MAXMSGSIZE, largest.max(super::LARGEST_MESSAGE))?;
                let handshake = i32::try_from(bounds.handshake.as_millis()).unwrap_or(i32::MAX);
                socket.set_int(z::ZMQ_HANDSHAKE_IVL, handshake.max(1))?;
                if let Address::Ipc(_) = address {
                    let filter = socket.set_bytes(sys::IPC_FILTER_UID, &effective_user().to_ne_bytes());
                    filter.inspect_err(|_| unfiltered = true)?;
                }
            }
            let watch = |socket| Watched::new(&shared.context.zmq, socket, monitor::ALL);
            Ok((watch(pull)?, watch(xpub)?))
        };
        let opened = open();
        if unfiltered {
            return Err(SecurityError::NoUserFilter.into());
        }
        let (pull, xpub) = opened.map_err(io_error("opening the server's sockets"))?;
        let admissions = [(pull.socket(), &emit), (xpub.socket(), &reg)];
        let admissions = admissions.into_iter().map(|(socket, address)| shared.secure_server(socket, address, &wake));
        let admissions: Vec<_> = admissions.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        let manual = secured(&reg).then(Manual::default);
        // The way out first: who can send should find somebody who hears.
        let reg = listen(xpub.socket(), &reg, &mut places)?;
        let emit = listen(pull.socket(), &emit, &mut places)?;
        let inproc = [&emit, &reg].into_iter().filter_map(|address| match address {
            Address::Inproc(name) => Some(name.clone()),
            _ => None,
        });
        let inproc: Vec<String> = inproc.collect();
        for name in &inproc {
            shared.context.inproc.served(name);
        }
        let addresses = Addresses { emit: emit.endpoint(), reg: reg.endpoint() };
        let all_ipc = matches!((&emit, &reg), (Address::Ipc(_), Address::Ipc(_)));
        Ok(ZmqHub {
            local: all_ipc.then(|| Served::new(&shared.context.local, &addresses, welcome, &wake)),
            inproc,
            addresses,
            shared,
            pull,
            xpub,
            wake,
            peers: Peers::default(),
            door: Door::new(bounds.connections),
            bounds,
            oversubscribed: 0,
            keyholders: (!admissions.is_empty()).then(|| Keyholders::new(admissions)),
            sender: None,
            manual,
            timeout: -1,
            foreign: 0,
            looked: false,
            _places: places,
        })
    }

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

/// Ends the connection that `message` came over.
fn shut(message: &Message) {
    let fd = message.property(c"__fd").and_then(|(fd, _)| fd.parse().ok());
    if let Some((socket, _)) = fd.and_then(peers::open) {
        let _ = sys::shutdown(socket.as_fd());
    }
}

/// Binds, and takes the place of an address whose port is known only now.
fn listen(socket: &Socket, address: &Address, places: &mut Vec<Place>) -> Result<Address, EngineError> {
    let give_up = Instant::now() + PORT_FREE;
    let failed = |source| EngineError::Io { action: format!("listening at `{}`", address.endpoint()), source };
    loop {
        match socket.bind(&address.endpoint()) {
            Ok(()) => break,
            Err(error) if error.kind() != ErrorKind::AddrInUse => return Err(failed(error)),
            // Whoever has the name is in this process and uses the same engine.
            Err(_) if matches!(address, Address::Inproc(_)) => {
                return Err(EngineError::Served { address: address.endpoint() });
            }
            // We hold the place, so whoever has the port is a stranger, or a server of ours on its way out.
            Err(_) if Instant::now() < give_up => std::thread::sleep(Duration::from_millis(20)),
            Err(_) => return Err(place::taken(address, places)),
        }
    }
    let bound = Address::parse(&socket.last_endpoint().map_err(failed)?)?;
    if bound != *address
        && let Some(place) = Place::take_bound(&bound)?
    {
        places.push(place);
    }
    Ok(bound)
}

impl Drop for ZmqHub {
    fn drop(&mut self) {
        // Closing happens later, in libzmq's own thread: without this a client that comes back at once
        // would reach the socket that is about to close.
        if self.local.is_some() {
            let _ = self.pull.socket().unbind(&self.addresses.emit);
            let _ = self.xpub.socket().unbind(&self.addresses.reg);
        }
        self.local = None;
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
            let Some(message) = self.pull.socket().receive().map_err(io_error("receiving"))? else { break };
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
        // Both are made before one is sent: half a message would tie the socket to its other half.
        let message = head.to_message()?;
        let second = body.map(Frame::to_message).transpose()?;
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
        loop {
            let left = deadline.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            // Sending may have taken the sign that something has come.
            let more = || Ok(self.pull.socket().has_more()? || self.xpub.socket().has_more()?);
            if more().map_err(io_error("waiting"))? {
                return Ok(());
            }
            if self.local.as_ref().is_some_and(|local| !local.hub.rest()) {
                return Ok(());
            }
            let sockets = [self.pull.socket(), self.xpub.socket(), self.xpub.events(), self.pull.events()];
            let ([frame, subscription, event, at_pull], woken) =
                sys::poll_emptied(sockets, self.wake.fd(), left).map_err(io_error("waiting"))?;
            if let Some(local) = &self.local {
                local.hub.rise();
            }
            if event {
                self.watch()?;
            }
            if at_pull {
                self.watch_pull()?;
            }
            if woken {
                self.wake.clear();
            }
            if frame || subscription || woken || left.is_zero() {
                let keys_may_have_changed = woken && self.keyholders.is_some();
                self.looked = !(subscription || event || at_pull || keys_may_have_changed || left.is_zero());
                return Ok(());
            }
        }
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
