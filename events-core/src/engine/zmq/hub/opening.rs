//! How a hub begins: what its sockets are told before they listen, and how they get their addresses.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zmq_sys as z;

use super::{Manual, ZmqHub};
use crate::engine::zmq::address::Address;
use crate::engine::zmq::door::Door;
use crate::engine::zmq::keyholders::Keyholders;
use crate::engine::zmq::landing::Landing;
use crate::engine::zmq::large::Large;
use crate::engine::zmq::local::Served;
use crate::engine::zmq::monitor::{self, Watched};
use crate::engine::zmq::peers::Peers;
use crate::engine::zmq::place::{self, Place};
use crate::engine::zmq::sys::{self, Socket};
use crate::engine::zmq::wake::Wake;
use crate::engine::zmq::{LARGEST_MESSAGE, QUEUE, Shared, io_error};
use crate::engine::{Addresses, Bounds, EngineError};
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

impl ZmqHub {
    /// Binds the sockets and listens.
    pub(in crate::engine::zmq) fn new(
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
                socket.set_i64(z::ZMQ_MAXMSGSIZE, largest.max(LARGEST_MESSAGE))?;
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
        let local = if all_ipc {
            let landing = Landing::new([pull.socket(), xpub.socket(), xpub.events(), pull.events()], wake.clone());
            let landing = Arc::new(landing.map_err(io_error("sharing the server's sockets"))?);
            // First: whoever finds the server finds where to land.
            shared.context.landings.open(&addresses, &landing);
            Some(Served::new(&shared.context.local, &addresses, welcome, &wake, landing))
        } else {
            None
        };
        Ok(ZmqHub {
            local,
            inproc,
            large: (!matches!(reg, Address::Inproc(_))).then(|| Arc::new(Large::default())),
            addresses,
            shared,
            pull,
            xpub,
            wake,
            peers: Peers::default(),
            door: Door::new(bounds.connections),
            bounds,
            spin: Duration::ZERO,
            oversubscribed: 0,
            keyholders: (!admissions.is_empty()).then(|| Keyholders::new(admissions)),
            sender: None,
            manual,
            timeout: -1,
            foreign: 0,
            looked: false,
            emptied: false,
            _places: places,
        })
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
