//! What happens to the connections of a socket, told by libzmq.

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};

use zmq_sys as z;

use super::sys::{Context, Socket};

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A connection was accepted.
    Accepted,
    /// A connection was made, or a failed one will be tried again: libzmq goes on by itself.
    Trying,
    /// A connection can carry messages.
    Ready,
    /// The other side spoke another protocol or another mechanism.
    Mismatch,
    /// The other side's authentication refused us, with this status.
    Refused(u32),
    /// A connection that was being set up ended without a word.
    Dropped,
    /// The connection with this descriptor ended.
    Disconnected(RawFd),
}

const EVENTS: u32 = z::ZMQ_EVENT_ACCEPTED
    | z::ZMQ_EVENT_CONNECTED
    | z::ZMQ_EVENT_CONNECT_DELAYED
    | z::ZMQ_EVENT_CONNECT_RETRIED
    | z::ZMQ_EVENT_HANDSHAKE_SUCCEEDED
    | z::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | z::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
    | z::ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
    | z::ZMQ_EVENT_DISCONNECTED;

/// The receiving end of a socket's events.
pub(super) struct Monitor(Socket);

impl Monitor {
    pub(super) fn new(context: &Context, of: &Socket) -> io::Result<Monitor> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let address = format!("inproc://events.monitor.{}", COUNT.fetch_add(1, Ordering::Relaxed));
        of.monitor(&address, EVENTS)?;
        let socket = context.socket(z::ZMQ_PAIR)?;
        socket.set_int(z::ZMQ_LINGER, 0)?;
        // Unlimited: libzmq's own thread writes the events and would wait for room, and every other
        // connection with it.
        socket.set_int(z::ZMQ_RCVHWM, 0)?;
        socket.connect(&address)?;
        Ok(Monitor(socket))
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.0
    }

    /// The next event, if one is there.
    pub(super) fn next(&self) -> io::Result<Option<Event>> {
        while let Some(head) = self.0.receive()? {
            let mut more = head.more();
            while more {
                more = self.0.receive()?.is_some_and(|address| address.more());
            }
            if let Some(event) = parse(&head) {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }
}

fn parse(head: &[u8]) -> Option<Event> {
    let (kind, value) = head.split_first_chunk::<2>()?;
    let value = u32::from_ne_bytes(*value.first_chunk::<4>()?);
    Some(match u32::from(u16::from_ne_bytes(*kind)) {
        z::ZMQ_EVENT_ACCEPTED => Event::Accepted,
        z::ZMQ_EVENT_CONNECTED | z::ZMQ_EVENT_CONNECT_DELAYED | z::ZMQ_EVENT_CONNECT_RETRIED => Event::Trying,
        z::ZMQ_EVENT_HANDSHAKE_SUCCEEDED => Event::Ready,
        z::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL => Event::Mismatch,
        z::ZMQ_EVENT_HANDSHAKE_FAILED_AUTH => Event::Refused(value),
        z::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL => Event::Dropped,
        z::ZMQ_EVENT_DISCONNECTED => Event::Disconnected(value as RawFd),
        _ => return None,
    })
}
