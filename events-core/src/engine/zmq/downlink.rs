//! The client's SUB, and the end of each of its connections told in its place.
//!
//! libzmq connects again by itself and tells nobody between the messages. Two signs are put together: the
//! connection that a message came over (each has metadata of its own) and the events of the monitor. The
//! first tells that a connection has ended before the first message of the next is handed over; the second
//! tells it when there is no next, once the queue is empty.

use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zmq_sys as z;

use super::address::Address;
use super::inproc::Link;
use super::monitor::{self, Event, Watched};
use super::sys::{self, SharedMessage};
use super::wake::Wake;
use super::{QUEUE, Shared, io_error};
use crate::engine::{Arrival, Downlink, EngineError, Trouble, Waker};

/// libzmq tells within a moment that it tries again. If it does not say so for this long, it has given up.
const GIVEN_UP: Duration = Duration::from_millis(100);
/// A server that hangs up may do so before its reason is read. Only after so long without one it has none: some fifty tries.
const SILENT: Duration = Duration::from_secs(1);
/// The longest pause between two sockets that fail in the same way.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

pub(super) struct ZmqDownlink {
    shared: Arc<Shared>,
    address: Address,
    socket: Watched,
    wake: Wake,
    /// With how often each is subscribed; sorted, as libzmq sends them again after a break.
    topics: BTreeMap<Vec<u8>, usize>,
    /// The connection that the last message came over.
    current: Option<Connection>,
    /// What comes after a `Disconnected` that had to go first.
    next: Option<Arrival>,
    /// No connection stands, as far as the monitor has told.
    broken: bool,
    /// When a new socket is due, unless libzmq says before that it goes on.
    renew_at: Option<Instant>,
    pause: Duration,
    reach: Reach,
    trouble: Option<Trouble>,
    /// Since when the server ends handshakes without a word.
    silent: Option<Instant>,
    /// libzmq neither tells that the server of an inproc address is gone nor connects again.
    inproc: Option<Arc<Link>>,
}

/// Whether somebody was found at the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Unknown,
    /// Nobody, and this is not told yet.
    Nobody,
    /// Somebody was, or it has been told.
    Settled,
}

impl Reach {
    fn tried(self) -> Reach {
        if self == Reach::Unknown { Reach::Nobody } else { self }
    }
}

/// A connection's number, and a message from it, without which the number could be given away again.
struct Connection {
    id: usize,
    /// Its descriptor, which belongs to libzmq.
    fd: Option<RawFd>,
    /// The monitor told its end.
    ended: bool,
    _message: SharedMessage,
}

impl ZmqDownlink {
    pub(super) fn new(shared: Arc<Shared>, address: Address) -> Result<ZmqDownlink, EngineError> {
        let wake = Wake::new().map_err(io_error("making an eventfd"))?;
        let inproc = match &address {
            Address::Inproc(name) => Some(shared.context.inproc.watch(name, &wake)),
            _ => None,
        };
        // Of an inproc address libzmq tells nothing.
        let nobody = inproc.as_ref().is_some_and(|link| !link.is_there());
        let topics = BTreeMap::new();
        let socket = open(&shared, &address, &topics)?;
        Ok(ZmqDownlink {
            shared,
            address,
            socket,
            wake,
            topics,
            current: None,
            next: None,
            broken: false,
            renew_at: None,
            pause: GIVEN_UP,
            reach: if nobody { Reach::Nobody } else { Reach::Unknown },
            trouble: None,
            silent: None,
            inproc,
        })
    }

    /// The next message, if one is queued, with its first part still whole.
    fn take(&mut self) -> Result<Option<Arrival>, EngineError> {
        let socket = self.socket.socket();
        let receive = || socket.receive().map_err(io_error("receiving"));
        let Some(head) = receive()? else { return Ok(None) };
        let mut more = head.more();
        let head = head.share();
        // The parts of a message come together or not at all.
        let mut body = None;
        while more {
            let Some(part) = receive()? else { break };
            more = part.more();
            body.get_or_insert_with(|| part.share());
        }
        let (fd, id) = head.property(c"__fd").unwrap_or_default();
        let before = self.current.as_ref().map(|connection| connection.id);
        if before != Some(id) {
            // What the monitor has to tell by now is of earlier connections, and of how this one began.
            self.watch()?;
            (self.trouble, self.silent) = (None, None);
            self.current = Some(Connection { id, fd: fd.parse().ok(), ended: false, _message: head.clone() });
        }
        let message = Arrival::Message { head: head.into(), body: body.map(Into::into) };
        if before.is_some_and(|before| before != id) {
            self.broken = false;
            self.next = Some(message);
            return Ok(Some(Arrival::Disconnected));
        }
        Ok(Some(message))
    }

    /// Reads what the monitor has to tell.
    fn watch(&mut self) -> Result<(), EngineError> {
        while let Some(event) = self.socket.next_event().map_err(io_error("watching the connection"))? {
            tracing::trace!(?event, address = %self.address.endpoint(), "connection");
            match event {
                Event::Ready => {
                    self.broken = false;
                    self.renew_at = None;
                    self.pause = GIVEN_UP;
                    self.reach = Reach::Settled;
                    (self.trouble, self.silent) = (None, None);
                }
                Event::Connected(_) | Event::Trying => self.renew_at = None,
                Event::Retrying => {
                    self.renew_at = None;
                    self.reach = self.reach.tried();
                }
                Event::Disconnected(_) => {
                    self.broken = true;
                    self.renew_at = Some(Instant::now() + self.pause);
                    if let Some(connection) = &mut self.current {
                        connection.ended = true;
                    }
                }
                Event::Mismatch => self.trouble = Some(Trouble::Mismatch),
                Event::Refused => self.trouble = Some(Trouble::Refused),
                Event::Dropped => _ = self.silent.get_or_insert_with(Instant::now),
                Event::Accepted(_) => {}
            }
        }
        Ok(())
    }

    /// Replaces a socket that leads nowhere any more.
    fn renew(&mut self) -> Result<(), EngineError> {
        self.renew_at = None;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.socket = open(&self.shared, &self.address, &self.topics)?;
        Ok(())
    }
}

fn open(shared: &Shared, address: &Address, topics: &BTreeMap<Vec<u8>, usize>) -> Result<Watched, EngineError> {
    let failed = |source| EngineError::Io { action: format!("connecting to `{}`", address.endpoint()), source };
    let socket = shared.socket(z::ZMQ_SUB, address).map_err(failed)?;
    let set = || {
        socket.set_int(z::ZMQ_RCVHWM, QUEUE)?;
        // Unlimited: beyond a limit libzmq drops subscriptions without a word.
        socket.set_int(z::ZMQ_SNDHWM, 0)?;
        topics.keys().try_for_each(|topic| socket.set_bytes(z::ZMQ_SUBSCRIBE, topic))
    };
    set().map_err(failed)?;
    shared.secure_client(&socket, address)?;
    let socket = Watched::new(&shared.context.zmq, socket, monitor::ALL).map_err(failed)?;
    socket.socket().connect(&address.endpoint()).map_err(failed)?;
    Ok(socket)
}

impl Downlink for ZmqDownlink {
    fn subscribe(&mut self, topic: &[u8]) -> Result<(), EngineError> {
        let count = self.topics.entry(topic.to_vec()).or_insert(0);
        *count += 1;
        // The server hears of each topic once per connection.
        if *count == 1 {
            self.socket.socket().set_bytes(z::ZMQ_SUBSCRIBE, topic).map_err(io_error("subscribing"))?;
        }
        Ok(())
    }

    fn unsubscribe(&mut self, topic: &[u8]) -> Result<(), EngineError> {
        let Some(count) = self.topics.get_mut(topic) else { return Ok(()) };
        *count -= 1;
        if *count == 0 {
            self.topics.remove(topic);
            self.socket.socket().set_bytes(z::ZMQ_UNSUBSCRIBE, topic).map_err(io_error("unsubscribing"))?;
        }
        Ok(())
    }

    fn at_hand(&mut self) -> Result<Option<Arrival>, EngineError> {
        match self.next.take() {
            Some(arrival) => Ok(Some(arrival)),
            None => self.take(),
        }
    }

    fn receive(&mut self, limit: Duration) -> Result<Option<Arrival>, EngineError> {
        if let Some(arrival) = self.next.take() {
            return Ok(Some(arrival));
        }
        let mut deadline = None;
        loop {
            if let Some(arrival) = self.take()? {
                return Ok(Some(arrival));
            }
            // Only now: what was queued when the connection ended has been handed over.
            if self.broken {
                self.broken = false;
                if self.inproc.is_some() {
                    self.renew()?;
                }
                if self.current.take().is_some() {
                    return Ok(Some(Arrival::Disconnected));
                }
            }
            if self.reach == Reach::Nobody {
                self.reach = Reach::Settled;
                return Ok(Some(Arrival::Unreachable));
            }
            let now = Instant::now();
            if self.renew_at.is_some_and(|at| at <= now) {
                self.watch()?;
                if self.renew_at.is_some() {
                    self.renew()?;
                }
                continue;
            }
            // A limit too long to be added has no end.
            let deadline = *deadline.get_or_insert_with(|| now.checked_add(limit));
            let end = [deadline, self.renew_at].into_iter().flatten().min();
            let wait = end.map_or(Duration::MAX, |end| end.saturating_duration_since(now));
            let sockets = [self.socket.socket(), self.socket.events()];
            // Both were read to their ends: one above, the other whenever it had something.
            let ([message, event], woken) =
                sys::poll_emptied(sockets, self.wake.fd(), wait).map_err(io_error("waiting"))?;
            if event {
                self.watch()?;
            }
            if message || event {
                continue;
            }
            if woken {
                self.wake.clear();
                if !self.inproc.as_ref().is_some_and(|link| link.take_gone()) {
                    return Ok(None);
                }
                self.broken = true;
            } else if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(None);
            }
        }
    }

    /// libzmq reads no further while its queue is full, so it finds out late that nobody is on the other side.
    fn is_ending(&mut self) -> Result<bool, EngineError> {
        self.watch()?;
        let ends = |connection: &Connection| connection.ended || connection.fd.is_some_and(sys::has_hung_up);
        Ok(self.current.as_ref().is_some_and(ends))
    }

    fn waker(&self) -> Waker {
        self.wake.waker()
    }

    fn trouble(&self) -> Option<Trouble> {
        let silent = self.silent.is_some_and(|since| since.elapsed() >= SILENT);
        self.trouble.or_else(|| silent.then_some(Trouble::Dropped))
    }
}
