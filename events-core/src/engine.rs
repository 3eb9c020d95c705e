//! What carries frames: the traits every engine implements.
//!
//! ```text
//!  client                                   server
//!  Uplink   ── send ──────────────────────▶ Hub::collect
//!  Downlink ◀───────────────────── publish ─ Hub
//!           ── subscribe / unsubscribe ────▶ Hub::subscription
//! ```
//!
//! An engine moves bytes and matches topics by prefix, nothing else. Numbering, windows, repair and
//! the barrier are in [`delivery`](crate::delivery), the same for every engine.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::error::Error;
use crate::permission::Permission;

pub mod memory;
mod turn;
#[cfg(feature = "zmq")]
pub mod zmq;

pub use turn::{Rest, Seen, Turn};

/// One message as an engine carries it. Cloning shares the bytes.
#[derive(Clone)]
pub struct Frame(Carrier);

#[derive(Clone)]
enum Carrier {
    Bytes(Bytes),
    #[cfg(feature = "zmq")]
    Zmq(zmq::SharedMessage),
}

impl Frame {
    /// Takes over `bytes` without copying them.
    pub fn new(bytes: impl Into<Bytes>) -> Frame {
        Frame(Carrier::Bytes(bytes.into()))
    }

    /// The memory that was taken over, if nothing else refers to it.
    pub(crate) fn into_memory(self) -> Option<Vec<u8>> {
        match self.0 {
            Carrier::Bytes(bytes) => bytes.try_into_mut().ok().map(Vec::from),
            #[cfg(feature = "zmq")]
            Carrier::Zmq(_) => None,
        }
    }

    /// A part of the frame that shares its bytes; `None` if `part` is none.
    pub(crate) fn part(&self, part: &[u8]) -> Option<Bytes> {
        let start = part.as_ptr().addr().checked_sub(self.as_ptr().addr())?;
        let range = start..start.checked_add(part.len())?;
        if range.end > self.len() {
            return None;
        }
        Some(match &self.0 {
            Carrier::Bytes(bytes) => bytes.slice(range),
            #[cfg(feature = "zmq")]
            Carrier::Zmq(message) => Bytes::from_owner(message.clone()).slice(range),
        })
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Carrier::Bytes(bytes) => bytes,
            #[cfg(feature = "zmq")]
            Carrier::Zmq(message) => message,
        }
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({} bytes)", self.len())
    }
}

/// Where a client or a server meets the others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Addresses {
    /// Where the server takes events in (its PULL).
    pub emit: String,
    /// Where the server hands events out (its XPUB).
    pub reg: String,
}

/// The two ends of a client.
pub type ClientEnds = (Box<dyn Uplink>, Box<dyn Downlink>);

/// Opens the client's and the server's ends. One value serves any number of clients and servers.
pub trait Engine: Send + Sync {
    /// Opens the two ends of a client. Nothing needs to listen yet: the ends connect by themselves
    /// as soon as a server is there, and again after every break.
    ///
    /// # Errors
    /// [`EngineError`] if an address cannot be used at all.
    fn connect(&self, to: &Addresses) -> Result<ClientEnds, EngineError>;

    /// Opens the server's end. `welcome` is sent to every connection first, before anything else
    /// that it subscribed to.
    ///
    /// # Errors
    /// [`EngineError::InUse`] if somebody else serves there, other kinds if the address cannot be used.
    fn bind(&self, at: &Addresses, welcome: &[u8]) -> Result<Box<dyn Hub>, EngineError>;

    /// The same with bounds for those who connect. An engine without connections has nothing to bound.
    ///
    /// # Errors
    /// As [`bind`](Engine::bind).
    fn bind_within(&self, at: &Addresses, welcome: &[u8], _: &Bounds) -> Result<Box<dyn Hub>, EngineError> {
        self.bind(at, welcome)
    }
}

/// What those who connect to a server may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at once; a client has two. Never more than four fifths of the descriptors that there are.
    pub connections: usize,
    /// Subscriptions of one connection.
    pub subscriptions: usize,
    /// Bytes of one message. A larger frame is dropped, and whoever listens is told what he misses; beyond 16 MiB it
    /// ends the connection.
    pub message: usize,
    /// Time until a connection has proved who it is.
    pub handshake: Duration,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { connections: 4096, subscriptions: 10_000, message: 16 << 20, handshake: Duration::from_secs(1) }
    }
}

/// What a hub counts of its connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// How many there are.
    pub connections: u64,
    /// How many were ended because there were too many.
    pub turned_away: u64,
    /// How many were ended because they subscribed to too much.
    pub oversubscribed: u64,
    /// How many ended before they could carry messages: strangers, other protocols, and those that said nothing.
    pub failed_handshakes: u64,
}

/// The client's way to the server.
///
/// It accepts whatever it is given: how much may be on its way at once is decided by the window of
/// the sender, which counts bytes and not messages.
pub trait Uplink: Send {
    /// Queues `frame` for the server. Never waits.
    ///
    /// # Errors
    /// [`EngineError`] if the uplink is closed for good.
    fn send(&mut self, frame: &Frame) -> Result<(), EngineError>;

    /// Throws away what is queued and connects anew, so that no backlog overtakes a repair.
    ///
    /// # Errors
    /// [`EngineError`] if no new connection can be opened at all.
    fn reset(&mut self) -> Result<(), EngineError>;
}

/// The client's way from the server.
pub trait Downlink: Send {
    /// Asks for every message that begins with `topic`.
    ///
    /// # Errors
    /// [`EngineError`] if the downlink is closed for good.
    fn subscribe(&mut self, topic: &[u8]) -> Result<(), EngineError>;

    /// Takes one [`subscribe`](Downlink::subscribe) of `topic` back.
    ///
    /// # Errors
    /// [`EngineError`] if the downlink is closed for good.
    fn unsubscribe(&mut self, topic: &[u8]) -> Result<(), EngineError>;

    /// The next arrival, or `None` when `limit` has passed or the [waker](Downlink::waker) was
    /// called. With `limit` zero it looks and does not wait.
    ///
    /// # Errors
    /// [`EngineError`] if the downlink is closed for good.
    fn receive(&mut self, limit: Duration) -> Result<Option<Arrival>, EngineError>;

    /// The next arrival if it is here already, for whoever has just received one. It may overlook what only a look at
    /// the connection tells, such as its end.
    ///
    /// # Errors
    /// [`EngineError`] if the downlink is closed for good.
    fn at_hand(&mut self) -> Result<Option<Arrival>, EngineError> {
        self.receive(Duration::ZERO)
    }

    /// Whether the connection is known to have ended although not all that it brought was received: whoever has no
    /// room had better make some, since there is no other connection before. An engine may overlook it.
    ///
    /// # Errors
    /// [`EngineError`] if the downlink is closed for good.
    fn is_ending(&mut self) -> Result<bool, EngineError> {
        Ok(false)
    }

    /// Makes a [`receive`](Downlink::receive) that waits, or the next one, return at once.
    fn waker(&self) -> Waker;

    /// Why there is no connection, if the last attempt failed for more than nobody being there. Looks only at
    /// what [`receive`](Downlink::receive) has come across.
    fn trouble(&self) -> Option<Trouble> {
        None
    }
}

/// Why a client's connection does not come about, as far as the engine can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// The server's rules refuse this key or this address.
    #[error("the server refuses this client: have your `client.key` put into the server's folder `clients`")]
    Refused,
    /// One side encrypts and the other does not, or the server speaks another protocol.
    #[error("the server speaks another protocol, or one side encrypts and the other does not: use the same settings")]
    Mismatch,
    /// The server ended the handshake without a word. A wrong server key looks like this, and so does a server
    /// that is just ending; they cannot be told apart from here.
    #[error("the server ends every handshake: its key may not be the one that is filed for it in `servers`")]
    Dropped,
}

/// What a [`Downlink`] hands over.
#[derive(Debug)]
pub enum Arrival {
    /// One message. A message of two parts (a replayed frame behind its control topic) carries the
    /// second as `body`.
    Message {
        /// The first part.
        head: Frame,
        /// The second part, if there is one.
        body: Option<Frame>,
    },
    /// The connection broke. The next one is announced by the server's welcome.
    Disconnected,
    /// Nobody listens at the address yet. Told once, until there was a connection.
    Unreachable,
}

/// The server's end.
pub trait Hub: Send {
    /// The next message a client sent, if one is there.
    ///
    /// # Errors
    /// [`EngineError`] if the hub is closed for good.
    fn collect(&mut self) -> Result<Option<Frame>, EngineError>;

    /// Who sent what [`collect`](Hub::collect) gave last, where the engine has proof of it.
    fn sender(&self) -> Option<Owner> {
        None
    }

    /// What an owner may do, if that is not everything.
    fn permission(&self, _: Owner) -> Option<Arc<Permission>> {
        None
    }

    /// Lets the subscription count that [`subscription`](Hub::subscription) gave last; what is not granted before
    /// the next call never counts. Where there are no [owners](Subscription::owner), subscriptions count by themselves
    /// and this does nothing.
    ///
    /// # Errors
    /// [`EngineError`] if the hub is closed for good.
    fn grant(&mut self, _: &Subscription) -> Result<(), EngineError> {
        Ok(())
    }

    /// The next change of subscriptions, if there is one. Subscriptions of one connection come in
    /// the order in which they were made; each is told, made or taken back, whoever else has the same. A
    /// connection that ends takes all of its own back.
    ///
    /// # Errors
    /// [`EngineError`] if the hub is closed for good.
    fn subscription(&mut self) -> Result<Option<Subscription>, EngineError>;

    /// The next connection that has ended, where the engine takes its subscriptions back without saying whose they
    /// were.
    fn gone(&mut self) -> Option<Peer> {
        None
    }

    /// Whether a subscription of this connection is never taken back without its name.
    fn names(&self, _connection: Peer) -> bool {
        false
    }

    /// Sends `head` (and `body` as a second part of the same message) to every client with a
    /// subscription that `head` begins with: to all of them, or, when the queue of one is full, to
    /// none. Waits at most `limit` for room.
    ///
    /// # Errors
    /// [`PublishError::Full`] when there was no room, [`PublishError::Engine`] if the hub is closed.
    fn publish(&mut self, head: &Frame, body: Option<&Frame>, limit: Duration) -> Result<(), PublishError>;

    /// Waits until there is something to collect or a subscription to take, the
    /// [waker](Hub::waker) is called, or `limit` has passed.
    ///
    /// # Errors
    /// [`EngineError`] if the hub is closed for good.
    fn wait(&mut self, limit: Duration) -> Result<(), EngineError>;

    /// Has waits look for so long whether something comes before they sleep. Called before [`share`](Hub::share). An engine
    /// may sleep at once.
    fn spin(&mut self, _time: Duration) {}

    /// Lets clients of this process turn the server with `turn`, so that they need not wake its thread. Returns what that
    /// thread waits at from then on, since others may have the hub meanwhile. An engine that has no such clients has
    /// nothing to share: the thread keeps the hub and waits for it.
    fn share(&mut self, _turn: Turn) -> Option<Arc<dyn Rest>> {
        None
    }

    /// Before a wait at a [`Rest`]: whether nothing is here, so that there is any sense in it.
    ///
    /// # Errors
    /// [`EngineError`] if the hub is closed for good.
    fn settle(&mut self) -> Result<bool, EngineError> {
        Ok(true)
    }

    /// After it: what was seen there.
    ///
    /// # Errors
    /// [`EngineError`] if the hub is closed for good.
    fn risen(&mut self, _seen: Seen) -> Result<(), EngineError> {
        Ok(())
    }

    /// Ends the connection over which a [`Subscription`] came. The client finds out and connects
    /// again; what is queued for it is dropped. Does nothing if that connection is gone.
    fn disconnect(&mut self, peer: Peer);

    /// Looks at the queue of each connection that subscribed to something. Names those whose queue was full and from
    /// which nothing was taken at each look since the first of the series, which `first` begins.
    fn stuck(&mut self, _first: bool) -> Vec<Peer> {
        Vec::new()
    }

    /// What is counted of connections, where there are any.
    fn load(&self) -> Load {
        Load::default()
    }

    /// Makes a [`wait`](Hub::wait), or the next one, return at once.
    fn waker(&self) -> Waker;

    /// The addresses clients connect to, with port 0 and `*` replaced by what was taken.
    fn addresses(&self) -> Addresses;
}

/// One subscription that was made or taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Made (`true`) or taken back (`false`).
    pub on: bool,
    /// The first bytes of the messages meant.
    pub topic: Vec<u8>,
    /// The connection it came over, where the engine knows.
    pub peer: Option<Peer>,
    /// Who made it, where the engine has proof of it.
    pub owner: Option<Owner>,
}

/// Names a connection of a [`Hub`] while it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer(pub u64);

/// Whoever holds one key, over all connections of a [`Hub`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner(pub u32);

/// Interrupts whoever waits at an engine's end. Cheap to clone, callable from any thread.
#[derive(Clone)]
pub struct Waker(Arc<dyn Fn() + Send + Sync>);

impl Waker {
    /// A waker that calls `wake`, which must not block.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Waker {
        Waker(Arc::new(wake))
    }

    /// Interrupts.
    pub fn wake(&self) {
        (self.0)();
    }
}

impl std::fmt::Debug for Waker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waker")
    }
}

/// Why an engine cannot do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The address is not one this engine understands.
    #[error("address `{address}` cannot be used: {why}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it, and what is allowed.
        why: String,
    },
    /// Somebody else serves at the address.
    #[error("`{address}` is in use by a program that is not an events server of this user")]
    InUse {
        /// What was given.
        address: String,
    },
    /// Another server of ours holds the address.
    #[error("another events server is serving at `{address}`")]
    Served {
        /// What was given.
        address: String,
    },
    /// Too few descriptors: libzmq ends the process when there are none left.
    #[error(
        "this process may have {limit} open files only, and a server needs {least}; raise it, as in `ulimit -n 1024`"
    )]
    Descriptors {
        /// How many it may have.
        limit: u64,
        /// How many a server needs at least.
        least: u64,
    },
    /// The operating system or the library below refused.
    #[error("{action} failed")]
    Io {
        /// What was tried.
        action: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Keys or folders cannot be used.
    #[cfg(feature = "zmq")]
    #[error(transparent)]
    Security(#[from] crate::security::SecurityError),
    /// The end was closed, or its context is gone.
    #[error("the connection is closed")]
    Closed,
}

/// Why a message was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The queue of at least one subscriber is full; nobody got the message.
    #[error("the queue of a subscriber is full")]
    Full,
    /// The hub cannot be used any more.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The engine of these addresses, chosen by their scheme.
///
/// # Errors
/// [`Error::Scheme`] if no engine of this build serves it.
pub fn of(addresses: &Addresses) -> Result<Arc<dyn Engine>, Error> {
    let scheme = |address: &str| address.split_once("://").map(|(scheme, _)| scheme.to_owned());
    match scheme(&addresses.emit).as_deref() {
        Some("memory") => Ok(memory::shared()),
        #[cfg(feature = "zmq")]
        Some("ipc" | "tcp" | "inproc") => Ok(zmq::shared()?),
        _ => Err(Error::Scheme { address: addresses.emit.clone(), allowed: ALLOWED.to_owned() }),
    }
}

#[cfg(feature = "zmq")]
const ALLOWED: &str = "ipc://PATH, tcp://HOST:PORT, inproc://NAME and memory://NAME";
#[cfg(not(feature = "zmq"))]
const ALLOWED: &str = "memory://NAME (this build has no feature `zmq`)";

/// How long it is until then, without end for a limit that was too long to be added up.
fn left(deadline: Option<Instant>) -> Duration {
    deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()))
}
