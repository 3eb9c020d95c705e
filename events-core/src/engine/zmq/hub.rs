//! The server's PULL and XPUB.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use zmq_sys as z;

use super::address::Address;
use super::keyholders::{Keyholders, Side};
use super::monitor::{Event, Watched};
use super::peers::Peers;
use super::place::{self, Place};
use super::sys::{self, Message, Socket};
use super::wake::Wake;
use super::{QUEUE, Shared, io_error};
use crate::engine::{Addresses, EngineError, Frame, Hub, Owner, Peer, PublishError, Subscription, Waker};
use crate::process::effective_user;

/// How long a listener of a server that has just ended may still hold its port.
const PORT_FREE: Duration = Duration::from_millis(500);
/// How long messages that were published before the hub is dropped are still sent.
const LINGER_MS: i32 = 500;
/// Messages of several parts that are dropped in one go, so that whoever sends them cannot hold us up.
const DROPPED_AT_ONCE: usize = 64;

pub(super) struct ZmqHub {
    shared: Arc<Shared>,
    pull: Pull,
    xpub: Watched,
    wake: Wake,
    peers: Peers,
    /// Where a connection proves whose it is. After the sockets: until they are closed, libzmq asks who may
    /// come in.
    keyholders: Option<Keyholders>,
    sender: Option<Owner>,
    addresses: Addresses,
    /// The send timeout that is set, in milliseconds.
    timeout: i32,
    /// Messages that no client of ours sends.
    foreign: u64,
    inproc: Vec<String>,
    // Last: given up when the sockets are closed.
    _places: Vec<Place>,
}

/// The PULL, whose connections are followed only where they prove whose they are.
enum Pull {
    Plain(Socket),
    Watched(Watched),
}

impl Pull {
    fn socket(&self) -> &Socket {
        match self {
            Pull::Plain(socket) => socket,
            Pull::Watched(watched) => watched.socket(),
        }
    }
}

impl ZmqHub {
    pub(super) fn new(shared: Arc<Shared>, at: &Addresses, welcome: &[u8]) -> Result<ZmqHub, EngineError> {
        let (emit, reg) = (shared.server_address(&at.emit)?, shared.server_address(&at.reg)?);
        if emit == reg && !matches!(emit, Address::Tcp { port: 0, .. }) {
            let why = "it is given for both directions; give two different addresses".into();
            return Err(EngineError::Address { address: at.emit.clone(), why });
        }
        sys::raise_descriptor_limit();
        let mut places = Place::take_all(&[&emit, &reg])?;
        let wake = Wake::new().map_err(io_error("making an eventfd"))?;
        let open = || {
            let pull = shared.socket(z::ZMQ_PULL, &emit)?;
            pull.set_int(z::ZMQ_RCVHWM, QUEUE)?;
            let xpub = shared.socket(z::ZMQ_XPUB, &reg)?;
            xpub.set_int(z::ZMQ_SNDHWM, QUEUE)?;
            xpub.set_int(z::ZMQ_LINGER, LINGER_MS)?;
            // Every subscription is told, also when another client has the same: a barrier would hang.
            xpub.set_int(z::ZMQ_XPUB_VERBOSER, 1)?;
            xpub.set_int(z::ZMQ_XPUB_NODROP, 1)?;
            xpub.set_bytes(z::ZMQ_XPUB_WELCOME_MSG, welcome)?;
            for (socket, address) in [(&pull, &emit), (&xpub, &reg)] {
                if let Address::Ipc(_) = address {
                    socket.set_bytes(sys::IPC_FILTER_UID, &effective_user().to_ne_bytes())?;
                }
            }
            // Without keys nothing of what the events tell would be asked.
            let secured = shared.curve(&emit).is_ok_and(|access| access.is_some());
            let pull = match secured {
                true => Pull::Watched(Watched::new(&shared.context.zmq, pull)?),
                false => Pull::Plain(pull),
            };
            Ok((pull, Watched::new(&shared.context.zmq, xpub)?))
        };
        let (pull, xpub) = open().map_err(io_error("opening the server's sockets"))?;
        let admissions = [(pull.socket(), &emit), (xpub.socket(), &reg)];
        let admissions = admissions.into_iter().map(|(socket, address)| shared.secure_server(socket, address, &wake));
        let admissions: Vec<_> = admissions.filter_map(Result::transpose).collect::<Result<_, _>>()?;
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
        Ok(ZmqHub {
            inproc,
            addresses: Addresses { emit: emit.endpoint(), reg: reg.endpoint() },
            shared,
            pull,
            xpub,
            wake,
            peers: Peers::default(),
            keyholders: (!admissions.is_empty()).then(|| Keyholders::new(admissions)),
            sender: None,
            timeout: -1,
            foreign: 0,
            _places: places,
        })
    }

    fn watch(&mut self) -> Result<(), EngineError> {
        while let Some(event) = self.xpub.next_event().map_err(io_error("watching connections"))? {
            if let Event::Disconnected(fd) = event {
                self.peers.forget(fd);
            }
            if let Some(known) = &mut self.keyholders {
                known.note(event, Side::Xpub);
            }
        }
        Ok(())
    }

    /// Follows the connections of clients with keys, and ends those whose key is gone.
    fn look_after_keys(&mut self) -> Result<(), EngineError> {
        let Some(known) = &mut self.keyholders else { return Ok(()) };
        if let Pull::Watched(pull) = &self.pull {
            while let Some(event) = pull.next_event().map_err(io_error("watching connections"))? {
                known.note(event, Side::Pull);
            }
        }
        if known.changed() {
            self.watch()?;
            if let Some(known) = &mut self.keyholders {
                known.end_removed();
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
        for _ in 0..DROPPED_AT_ONCE {
            let Some(message) = self.pull.socket().receive().map_err(io_error("receiving"))? else { break };
            if !message.more() {
                self.sender = self.keyholders.as_mut().and_then(|known| known.of(&message, Side::Pull));
                return Ok(Some(message.share().into()));
            }
            self.skip(&message, |hub| hub.pull.socket())?;
        }
        Ok(None)
    }

    fn sender(&self) -> Option<Owner> {
        self.sender
    }

    fn subscription(&mut self) -> Result<Option<Subscription>, EngineError> {
        self.look_after_keys()?;
        for _ in 0..DROPPED_AT_ONCE {
            let Some(message) = self.xpub.socket().receive().map_err(io_error("receiving"))? else { break };
            let (on, topic) = match message.split_first() {
                Some((1, topic)) if !message.more() => (true, topic.to_vec()),
                Some((0, topic)) if !message.more() => (false, topic.to_vec()),
                _ => {
                    self.skip(&message, |hub| hub.xpub.socket())?;
                    continue;
                }
            };
            // First what ended before: the descriptor of a connection that is gone may be this one's now.
            self.watch()?;
            let owner = self.keyholders.as_mut().and_then(|known| known.of(&message, Side::Xpub));
            return Ok(Some(Subscription { on, topic, peer: self.peers.of(message), owner }));
        }
        Ok(None)
    }

    fn publish(&mut self, head: &Frame, body: Option<&Frame>, limit: Duration) -> Result<(), PublishError> {
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
        second.map_or(Ok(()), |second| sent(self.xpub.socket().send(second, false, false)))
    }

    fn wait(&mut self, limit: Duration) -> Result<(), EngineError> {
        let deadline = Instant::now().checked_add(limit);
        loop {
            let left = deadline.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            let sockets = [self.pull.socket(), self.xpub.socket(), self.xpub.events()];
            let ([frame, subscription, event], woken) =
                sys::poll(sockets, self.wake.fd(), left).map_err(io_error("waiting"))?;
            if event {
                self.watch()?;
            }
            if woken {
                self.wake.clear();
            }
            if frame || subscription || woken || left.is_zero() {
                return Ok(());
            }
        }
    }

    fn disconnect(&mut self, peer: Peer) {
        // An error here means that nothing is told; the inode still protects the wrong one.
        let _ = self.watch();
        self.peers.disconnect(peer);
    }

    fn waker(&self) -> Waker {
        self.wake.waker()
    }

    fn addresses(&self) -> Addresses {
        self.addresses.clone()
    }
}
