//! The client's PUSH.

use std::sync::Arc;
use std::time::{Duration, Instant};

use zmq_sys as z;

use super::address::Address;
use super::monitor::{self, Event, Watched};
use super::{Shared, io_error, peers};
use crate::engine::{EngineError, Frame, Uplink};

/// No new socket sooner than this after the last, when it is not the caller who asks for one.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct ZmqUplink {
    shared: Arc<Shared>,
    address: Address,
    socket: Watched,
    /// The connection over it has more room than ipc has by itself.
    widened: bool,
    opened: Instant,
}

impl ZmqUplink {
    pub(super) fn new(shared: Arc<Shared>, address: Address) -> Result<ZmqUplink, EngineError> {
        let socket = open(&shared, &address)?;
        Ok(ZmqUplink { shared, address, socket, widened: false, opened: Instant::now() })
    }
}

fn open(shared: &Shared, address: &Address) -> Result<Watched, EngineError> {
    let failed = |source| EngineError::Io { action: format!("connecting to `{}`", address.endpoint()), source };
    let socket = shared.socket(z::ZMQ_PUSH, address).map_err(failed)?;
    // Unlimited: what may be on its way is bounded above, in bytes.
    socket.set_int(z::ZMQ_SNDHWM, 0).map_err(failed)?;
    shared.secure_client(&socket, address)?;
    let socket = Watched::new(&shared.context.zmq, socket, monitor::CONNECTED).map_err(failed)?;
    socket.socket().connect(&address.endpoint()).map_err(failed)?;
    Ok(socket)
}

impl ZmqUplink {
    /// Once there is a connection. To ask for events takes longer than to send.
    fn widen(&mut self) -> Result<(), EngineError> {
        if !self.widened
            && let Some(Event::Connected(fd)) = self.socket.next_event().map_err(io_error("watching the connection"))?
        {
            peers::widen(fd);
            self.widened = true;
            self.socket.unwatch();
        }
        Ok(())
    }
}

impl Uplink for ZmqUplink {
    fn send(&mut self, frame: &Frame) -> Result<(), EngineError> {
        self.widen()?;
        let sent =
            |socket: &Watched| socket.socket().send(frame.to_message()?, false, false).map_err(io_error("sending"));
        // Without a limit there is always room, unless libzmq gave the connection up for good (the server
        // spoke another mechanism or refused us) and the socket leads nowhere. Then a new one may fare
        // better. What was queued is gone; whoever counts acknowledgements sends it again.
        if !sent(&self.socket)? && self.opened.elapsed() >= PAUSE {
            self.reset()?;
            sent(&self.socket)?;
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), EngineError> {
        self.socket = open(&self.shared, &self.address)?;
        self.widened = false;
        self.opened = Instant::now();
        Ok(())
    }
}
