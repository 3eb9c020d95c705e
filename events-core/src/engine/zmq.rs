//! Carries frames over ZeroMQ: `ipc://`, `tcp://` and `inproc://`.
//!
//! ```text
//!  client                              server
//!  PUSH ── frames, two control words ──▶ PULL
//!  SUB  ◀─ frames, control topics ────── XPUB   (bounded queues, nothing dropped into a connection)
//!       ── subscriptions ──────────────▶
//! ```
//!
//! What libzmq promises and what it does not is in the design, "Facts of libzmq"; each file here says which
//! of them it answers. Three things that it leaves open are closed here: a connection that it gave up is
//! opened again, the end of a connection is told in its place between the messages, and an address has one
//! server at a time.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use bytes::Bytes;
use zmq_sys as z;

use super::memory::MemoryEngine;
use super::{Addresses, Bounds, Carrier, ClientEnds, Engine, EngineError, Frame, Hub};
use crate::process::{Birth, Own};
use crate::security::{Access, Keys, SecurityError};

mod address;
#[doc(hidden)]
pub mod bare;
mod door;
mod downlink;
mod hub;
mod inproc;
mod keyholders;
mod landing;
mod large;
mod local;
mod lookout;
mod monitor;
mod peers;
mod place;
mod spin;
mod standing;
mod sys;
mod uplink;
mod wake;
mod zap;

use address::Address;
pub use sys::SharedMessage;

/// Messages that a queue between two programs holds, in each direction and per connection.
///
/// With 1,000, libzmq's own figure, a server with 64-KiB frames grew to 108 MB and was no faster.
const QUEUE: i32 = 64;

/// The largest message that is taken in, with the bytes that encryption adds. A larger one ends the connection that it
/// comes over.
const LARGEST_MESSAGE: i64 = 16 * 1024 * 1024 + 64;

/// Up to this length bytes are copied into a message: one allocation, against three for sharing.
const COPIED: usize = 1024;

/// How tcp connections are protected.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Tcp {
    /// Encrypted with CURVE, between those who know each other's keys.
    Curve(Access),
    /// Not at all, and therefore between programs on this machine only.
    PlainLoopbackOnly,
}

impl Default for Tcp {
    /// Encrypted, with the keys of this user.
    fn default() -> Tcp {
        Tcp::Curve(Access::new(Keys::default()))
    }
}

/// The ZeroMQ engine. Cheap to clone; every value made by [`new`](ZmqEngine::new) shares one context, so
/// that `inproc://` addresses meet.
#[derive(Clone)]
pub struct ZmqEngine(Arc<Shared>);

struct Shared {
    context: Arc<ContextOf>,
    tcp: Tcp,
    /// Whether this libzmq can encrypt.
    encrypts: bool,
}

/// A libzmq context and what belongs to it.
struct ContextOf {
    zmq: sys::Context,
    inproc: inproc::Inproc,
    /// The ipc addresses that are served here, for clients that are here too.
    local: MemoryEngine,
    /// Where those meet their server.
    landings: landing::Landings,
    zap: Mutex<Option<zap::Zap>>,
    made: Birth,
}

impl ContextOf {
    fn new() -> Result<Arc<ContextOf>, EngineError> {
        let zmq = sys::Context::new().map_err(io_error("starting ZeroMQ"))?;
        Ok(Arc::new(ContextOf {
            zmq,
            inproc: inproc::Inproc::default(),
            local: MemoryEngine::new(),
            landings: landing::Landings::default(),
            zap: Mutex::new(None),
            made: Birth::now(),
        }))
    }
}

impl ZmqEngine {
    /// The engine of this process.
    ///
    /// # Errors
    /// [`EngineError::Io`] if libzmq cannot start.
    pub fn new(tcp: Tcp) -> Result<ZmqEngine, EngineError> {
        static CONTEXT: Own<Arc<ContextOf>> = Own::new();
        let mut slot = CONTEXT.lock();
        let context = match &*slot {
            Some(context) => Arc::clone(context),
            None => Arc::clone(slot.insert(ContextOf::new()?)),
        };
        Ok(ZmqEngine(Arc::new(Shared::new(context, tcp))))
    }

    /// An engine with a context of its own, whose `inproc://` addresses nobody else sees. Over `ipc://` it meets
    /// others of this process through sockets, as if they were elsewhere.
    ///
    /// # Errors
    /// [`EngineError::Io`] if libzmq cannot start.
    pub fn isolated(tcp: Tcp) -> Result<ZmqEngine, EngineError> {
        Ok(ZmqEngine(Arc::new(Shared::new(ContextOf::new()?, tcp))))
    }
}

impl Engine for ZmqEngine {
    fn connect(&self, to: &Addresses) -> Result<ClientEnds, EngineError> {
        let (emit, reg) = (self.0.client_address(&to.emit)?, self.0.client_address(&to.reg)?);
        if let (Address::Ipc(_), Address::Ipc(_)) = (&emit, &reg) {
            let uplink = local::Uplink::new(Arc::clone(&self.0), emit)?;
            return Ok((Box::new(uplink), Box::new(local::Downlink::new(Arc::clone(&self.0), reg)?)));
        }
        let uplink = uplink::ZmqUplink::new(Arc::clone(&self.0), emit)?;
        let downlink = downlink::ZmqDownlink::new(Arc::clone(&self.0), reg)?;
        Ok((Box::new(uplink), Box::new(downlink)))
    }

    fn bind(&self, at: &Addresses, welcome: &[u8]) -> Result<Box<dyn Hub>, EngineError> {
        self.bind_within(at, welcome, &Bounds::default())
    }

    fn bind_within(&self, at: &Addresses, welcome: &[u8], bounds: &Bounds) -> Result<Box<dyn Hub>, EngineError> {
        Ok(Box::new(hub::ZmqHub::new(Arc::clone(&self.0), at, welcome, *bounds)?))
    }
}

impl Shared {
    fn new(context: Arc<ContextOf>, tcp: Tcp) -> Shared {
        Shared { context, tcp, encrypts: zmq::has("curve") == Some(true) }
    }

    fn address(&self, text: &str) -> Result<Address, EngineError> {
        if self.context.made.is_inherited() {
            let why =
                "this engine was made before a fork, and its threads did not come along; make one in the child".into();
            return Err(EngineError::Address { address: text.to_owned(), why });
        }
        let address = Address::parse(text)?;
        if matches!(self.tcp, Tcp::PlainLoopbackOnly) && !address.is_local() {
            return Err(EngineError::Address {
                address: text.to_owned(),
                why: "tcp without encryption is allowed on this machine only; use 127.0.0.1".into(),
            });
        }
        if let (Tcp::PlainLoopbackOnly, Address::Tcp { .. }) = (&self.tcp, &address) {
            static WARNED: Once = Once::new();
            WARNED.call_once(|| {
                tracing::warn!(
                    address = text,
                    "tcp without encryption: every program of this machine can listen and emit"
                );
            });
        }
        place::prepare(&address)?;
        Ok(address)
    }

    fn client_address(&self, text: &str) -> Result<Address, EngineError> {
        let address = self.address(text)?;
        if matches!(address, Address::IpcAnywhere | Address::Tcp { port: 0, .. }) {
            let why = "a client needs the address that the server took; see what the server reports".into();
            return Err(EngineError::Address { address: text.to_owned(), why });
        }
        Ok(address)
    }

    fn server_address(&self, text: &str) -> Result<Address, EngineError> {
        match self.address(text)? {
            Address::IpcAnywhere => Ok(Address::Ipc(place::anywhere()?)),
            address => Ok(address),
        }
    }

    /// A socket with what all of ours have in common.
    fn socket(&self, kind: u32, address: &Address) -> io::Result<sys::Socket> {
        let socket = self.context.zmq.socket(kind)?;
        socket.set_int(z::ZMQ_LINGER, 0)?;
        socket.set_i64(z::ZMQ_MAXMSGSIZE, LARGEST_MESSAGE)?;
        socket.set_int(z::ZMQ_HANDSHAKE_IVL, 1_000)?;
        // No heartbeats of libzmq: a connection whose reader is held back by a full queue reads no answer
        // either, so after the timeout both sides would end it although nobody is gone. Whoever takes
        // nothing is found by the server's stall limit; a machine that is gone, by TCP itself.
        socket.set_int(z::ZMQ_TCP_KEEPALIVE, 1)?;
        socket.set_int(z::ZMQ_TCP_KEEPALIVE_IDLE, 5)?;
        socket.set_int(z::ZMQ_TCP_KEEPALIVE_INTVL, 1)?;
        socket.set_int(z::ZMQ_TCP_KEEPALIVE_CNT, 3)?;
        // From 20 ms, doubled up to 80: a new server has its clients back within 100 ms.
        socket.set_int(z::ZMQ_RECONNECT_IVL, 20)?;
        socket.set_int(z::ZMQ_RECONNECT_IVL_MAX, 80)?;
        if matches!(address, Address::Tcp { host, .. } if host.contains(':')) {
            socket.set_int(z::ZMQ_IPV6, 1)?;
        }
        Ok(socket)
    }
}

/// What a connection over tcp needs before it is made, unless it goes in plain.
impl Shared {
    /// The rules for `address`. Without CURVE in libzmq there is no tcp.
    fn curve(&self, address: &Address) -> Result<Option<&Access>, EngineError> {
        match (address, &self.tcp) {
            (Address::Tcp { .. }, Tcp::Curve(_)) if !self.encrypts => Err(SecurityError::NoCurve.into()),
            (Address::Tcp { .. }, Tcp::Curve(access)) => Ok(Some(access)),
            _ => Ok(None),
        }
    }

    /// Gives a client's socket its keys.
    fn secure_client(&self, socket: &sys::Socket, address: &Address) -> Result<(), EngineError> {
        let (Some(access), Address::Tcp { host, port }) = (self.curve(address)?, address) else { return Ok(()) };
        let own = access.keys().client()?;
        let server = access.keys().server_at(host, *port, address.is_local())?;
        let set = |option, key: &str| socket.set_bytes(option, key.as_bytes()).map_err(io_error("setting a key"));
        set(z::ZMQ_CURVE_SERVERKEY, server.as_str())?;
        set(z::ZMQ_CURVE_PUBLICKEY, own.public().as_str())?;
        set(z::ZMQ_CURVE_SECRETKEY, own.secret())
    }

    /// Gives a server's socket its key and somebody who decides who comes in. Before it is bound: libzmq
    /// ignores what is set after that, and lets everybody in.
    fn secure_server(
        &self,
        socket: &sys::Socket,
        address: &Address,
        wake: &wake::Wake,
    ) -> Result<Option<zap::Admission>, EngineError> {
        let Some(access) = self.curve(address)? else { return Ok(None) };
        let key = access.keys().server()?;
        // So that this user's own clients are let in, whether they or the server were there first.
        access.keys().client()?;
        let mut slot = lock(&self.context.zap);
        let handler = match &*slot {
            Some(handler) => handler,
            None => slot.insert(zap::Zap::start(&self.context.zmq).map_err(io_error("starting the handler of keys"))?),
        };
        let admission = handler.admit(access, wake);
        let set = || {
            socket.set_int(z::ZMQ_CURVE_SERVER, 1)?;
            socket.set_bytes(z::ZMQ_CURVE_SECRETKEY, key.secret().as_bytes())?;
            socket.set_bytes(z::ZMQ_ZAP_DOMAIN, admission.domain().as_bytes())?;
            socket.set_int(sys::ZAP_ENFORCE_DOMAIN, 1)
        };
        set().map_err(io_error("securing the server's socket"))?;
        Ok(Some(admission))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Frame {
    /// The frame as a message to send.
    fn to_message(&self) -> Result<sys::Message, EngineError> {
        match &self.0 {
            Carrier::Zmq(message) => Ok(message.to_message()),
            Carrier::Bytes(bytes) if bytes.len() <= COPIED => sys::Message::copy_of(bytes),
            Carrier::Bytes(bytes) => sys::Message::sharing(Bytes::clone(bytes)),
        }
        .map_err(io_error("making a message"))
    }
}

impl From<SharedMessage> for Frame {
    fn from(message: SharedMessage) -> Frame {
        Frame(Carrier::Zmq(message))
    }
}

fn io_error(action: &'static str) -> impl Fn(io::Error) -> EngineError {
    move |source| EngineError::Io { action: action.to_owned(), source }
}

/// The engine that addresses of these schemes get: one for the whole process.
///
/// # Errors
/// [`EngineError::Io`] if libzmq cannot start.
pub fn shared() -> Result<Arc<dyn Engine>, EngineError> {
    static ENGINE: Own<Arc<dyn Engine>> = Own::new();
    let mut slot = ENGINE.lock();
    match &*slot {
        Some(engine) => Ok(engine.clone()),
        None => Ok(slot.insert(Arc::new(ZmqEngine::new(Tcp::default())?)).clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As with a libzmq that was built without it.
    #[test]
    fn without_curve_there_is_no_tcp_and_nothing_in_plain_instead() {
        let folder = tempfile::tempdir().expect("a folder for the keys");
        let tcp = Tcp::Curve(Access::new(Keys::at(folder.path())));
        let shared = Shared { encrypts: false, ..Shared::new(ContextOf::new().expect("libzmq starts"), tcp) };
        let engine = ZmqEngine(Arc::new(shared));
        let at = |scheme: &str| Addresses {
            emit: format!("{scheme}://127.0.0.1:0"),
            reg: format!("{scheme}://127.0.0.1:1"),
        };
        let fails = |error| matches!(error, Some(EngineError::Security(SecurityError::NoCurve)));
        assert!(fails(engine.bind(&at("tcp"), b"hello").err()));
        let port = |emit: &str, reg: &str| Addresses {
            emit: format!("tcp://127.0.0.1:{emit}"),
            reg: format!("tcp://127.0.0.1:{reg}"),
        };
        assert!(fails(engine.connect(&port("9000", "9001")).err()));
        assert!(engine.bind(&at("inproc"), b"hello").is_ok());
    }
}
