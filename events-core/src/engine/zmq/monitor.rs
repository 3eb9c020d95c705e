//! What happens to the connections of a socket, told by libzmq.

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};

use zmq_sys as z;

use super::sys::{Context, Socket};

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A connection with this descriptor was accepted.
    Accepted(RawFd),
    /// A connection with this descriptor was made.
    Connected(RawFd),
    /// A connection is being made: libzmq goes on by itself.
    Trying,
    /// Nobody took the connection; libzmq tries again by itself.
    Retrying,
    /// A connection can carry messages.
    Ready,
    /// The other side spoke another protocol or another mechanism.
    Mismatch,
    /// The other side's authentication refused us.
    Refused,
    /// A connection that was being set up ended without a word.
    Dropped,
    /// The connection with this descriptor ended.
    Disconnected(RawFd),
}

/// Whatever may happen.
pub(super) const ALL: u32 = z::ZMQ_EVENT_ACCEPTED
    | z::ZMQ_EVENT_CONNECTED
    | z::ZMQ_EVENT_CONNECT_DELAYED
    | z::ZMQ_EVENT_CONNECT_RETRIED
    | z::ZMQ_EVENT_HANDSHAKE_SUCCEEDED
    | z::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | z::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
    | z::ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
    | z::ZMQ_EVENT_DISCONNECTED;

/// That a connection was made.
pub(super) const CONNECTED: u32 = z::ZMQ_EVENT_CONNECTED;

/// A socket together with the end at which its events arrive.
pub(super) struct Watched {
    socket: Socket,
    events: Socket,
}

impl Watched {
    /// Watches `socket`, which is not connected or bound yet, for `events`.
    pub(super) fn new(context: &Context, socket: Socket, events: u32) -> io::Result<Watched> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let address = format!("inproc://events.monitor.{}", COUNT.fetch_add(1, Ordering::Relaxed));
        socket.monitor(&address, events)?;
        let watched = Watched { socket, events: context.socket(z::ZMQ_PAIR)? };
        watched.events.set_int(z::ZMQ_LINGER, 0)?;
        // Unlimited: libzmq's own thread writes the events and would wait for room, and every other
        // connection with it.
        watched.events.set_int(z::ZMQ_RCVHWM, 0)?;
        watched.events.connect(&address)?;
        // Nothing has happened yet. But only who has found nothing is told of what comes: see `sys::poll_emptied`.
        watched.next_event()?;
        Ok(watched)
    }

    /// The socket that is watched.
    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The socket to poll for events.
    pub(super) fn events(&self) -> &Socket {
        &self.events
    }

    /// Has nothing told any more.
    pub(super) fn unwatch(&self) {
        self.socket.unmonitor();
    }

    /// The next event, if one is there.
    pub(super) fn next_event(&self) -> io::Result<Option<Event>> {
        while let Some(head) = self.events.receive()? {
            let mut more = head.more();
            while more {
                more = self.events.receive()?.is_some_and(|address| address.more());
            }
            if let Some(event) = parse(&head) {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // A socket ends some time after it is closed and tells until then. With nobody left to hear,
        // libzmq's thread would wait for a listener for ever, and every other connection with it.
        self.unwatch();
    }
}

fn parse(head: &[u8]) -> Option<Event> {
    let (kind, value) = head.split_first_chunk::<2>()?;
    let value = u32::from_ne_bytes(*value.first_chunk::<4>()?);
    Some(match u32::from(u16::from_ne_bytes(*kind)) {
        z::ZMQ_EVENT_ACCEPTED => Event::Accepted(value as RawFd),
        z::ZMQ_EVENT_CONNECTED => Event::Connected(value as RawFd),
        z::ZMQ_EVENT_CONNECT_DELAYED => Event::Trying,
        z::ZMQ_EVENT_CONNECT_RETRIED => Event::Retrying,
        z::ZMQ_EVENT_HANDSHAKE_SUCCEEDED => Event::Ready,
        z::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL => Event::Mismatch,
        z::ZMQ_EVENT_HANDSHAKE_FAILED_AUTH => Event::Refused,
        z::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL => Event::Dropped,
        z::ZMQ_EVENT_DISCONNECTED => Event::Disconnected(value as RawFd),
        _ => return None,
    })
}
