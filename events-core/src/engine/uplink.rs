//! The client's PUSH.

use std::sync::Arc;
use std::time::{Duration, Instant};

use zmq_sys as z;

use super::address::Address;
use super::sys::Socket;
use super::{Shared, io_error};
use crate::engine::{EngineError, Frame, Uplink};

/// No new socket sooner than this after the last, when it is not the caller who asks for one.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct ZmqUplink {
    shared: Arc<Shared>,
    address: Address,
    socket: Socket,
    opened: Instant,
}

impl ZmqUplink {
    pub(super) fn new(shared: Arc<Shared>, address: Address) -> Result<ZmqUplink, EngineError> {
        let socket = open(&shared, &address)?;
        Ok(ZmqUplink { shared, address, socket, opened: Instant::now() })
    }
}

fn open(shared: &Shared, address: &Address) -> Result<Socket, EngineError> {
    let open = || {
        let socket = shared.socket(z::ZMQ_PUSH, address)?;
        // Unlimited: what may be on its way is bounded above, in bytes.
        socket.set_int(z::ZMQ_SNDHWM, 0)?;
        socket.connect(&address.endpoint())?;
        Ok(socket)
    };
    open().map_err(|source| EngineError::Io { action: format!("connecting to `{}`", address.endpoint()), source })
}

impl Uplink for ZmqUplink {
    fn send(&mut self, frame: &Frame) -> Result<(), EngineError> {
        let sent = |socket: &Socket| {
            socket.send(frame.to_message()?, false, false).map_err(io_error("sending"))
        };
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
        self.opened = Instant::now();
        Ok(())
    }
}
