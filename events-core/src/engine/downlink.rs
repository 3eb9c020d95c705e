//! The client's SUB, and the end of each of its connections told in its place.
//!
//! libzmq connects again by itself and tells nobody between the messages. Two signs are put together: the
//! connection that a message came over (each has metadata of its own) and the events of the monitor. The
//! first tells that a connection has ended before the first message of the next is handed over; the second
//! tells it when there is no next, once the queue is empty.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zmq_sys as z;

use super::address::Address;
use super::inproc::Link;
use super::monitor::{Event, Monitor};
use super::sys::{self, SharedMessage, Socket};
use super::wake::Wake;
use super::{QUEUE, Shared, io_error};
use crate::engine::{Arrival, Downlink, EngineError, Waker};

/// libzmq tells within a moment that it tries again. If it does not say so for this long, it has given up.
const GIVEN_UP: Duration = Duration::from_millis(100);
/// The longest pause between two sockets that fail in the same way.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

pub(super) struct ZmqDownlink {
    shared: Arc<Shared>,
    address: Address,
    ends: Ends,
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
    /// libzmq neither tells that the server of an inproc address is gone nor connects again.
    inproc: Option<Arc<Link>>,
}

/// The socket and its monitor.
struct Ends {
    socket: Socket,
    monitor: Monitor,
}

/// A connection's number, and a message from it, without which the number could be given away again.
struct Connection {
    id: usize,
    _message: SharedMessage,
}

impl ZmqDownlink {
    pub(super) fn new(shared: Arc<Shared>, address: Address) -> Result<ZmqDownlink, EngineError> {
        let wake = Wake::new().map_err(io_error("making an eventfd"))?;
        let inproc = match &address {
            Address::Inproc(name) => Some(shared.context.inproc.watch(name, &wake)),
            _ => None,
        };
        let topics = BTreeMap::new();
        let ends = open(&shared, &address, &topics)?;
        Ok(ZmqDownlink {
            shared,
            address,
            ends,
            wake,
            topics,
            current: None,
            next: None,
            broken: false,
            renew_at: None,
            pause: GIVEN_UP,
            inproc,
        })
    }

    /// The next message, if one is queued, with its first part still whole.
    fn take(&mut self) -> Result<Option<Arrival>, EngineError> {
        let socket = &self.ends.socket;
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
        let id = head.property(c"__fd").map_or(0, |(_, id)| id);
        let before = self.current.as_ref().map(|connection| connection.id);
        if before != Some(id) {
            self.current = Some(Connection { id, _message: head.clone() });
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
        while let Some(event) = self.ends.monitor.next().map_err(io_error("watching the connection"))? {
            tracing::trace!(?event, address = %self.address.endpoint(), "connection");
            match event {
                Event::Ready => {
                    self.broken = false;
                    self.renew_at = None;
                    self.pause = GIVEN_UP;
                }
                Event::Trying => self.renew_at = None,
                Event::Disconnected(_) => {
                    self.broken = true;
                    self.renew_at = Some(Instant::now() + self.pause);
                }
                Event::Mismatch | Event::Refused(_) | Event::Dropped | Event::Accepted => {}
            }
        }
        Ok(())
    }

    /// Replaces a socket that leads nowhere any more.
    fn renew(&mut self) -> Result<(), EngineError> {
        self.renew_at = None;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.ends = open(&self.shared, &self.address, &self.topics)?;
        Ok(())
    }
}

fn open(shared: &Shared, address: &Address, topics: &BTreeMap<Vec<u8>, usize>) -> Result<Ends, EngineError> {
    let open = || {
        let socket = shared.socket(z::ZMQ_SUB, address)?;
        socket.set_int(z::ZMQ_RCVHWM, QUEUE)?;
        // Unlimited: beyond a limit libzmq drops subscriptions without a word.
        socket.set_int(z::ZMQ_SNDHWM, 0)?;
        for topic in topics.keys() {
            socket.set_bytes(z::ZMQ_SUBSCRIBE, topic)?;
        }
        let monitor = Monitor::new(&shared.context.zmq, &socket)?;
        socket.connect(&address.endpoint())?;
        Ok(Ends { socket, monitor })
    };
    open().map_err(|source| EngineError::Io { action: format!("connecting to `{}`", address.endpoint()), source })
}

impl Downlink for ZmqDownlink {
    fn subscribe(&mut self, topic: &[u8]) -> Result<(), EngineError> {
        let count = self.topics.entry(topic.to_vec()).or_insert(0);
        *count += 1;
        // The server hears of each topic once per connection.
        if *count == 1 {
            self.ends.socket.set_bytes(z::ZMQ_SUBSCRIBE, topic).map_err(io_error("subscribing"))?;
        }
        Ok(())
    }

    fn unsubscribe(&mut self, topic: &[u8]) -> Result<(), EngineError> {
        let Some(count) = self.topics.get_mut(topic) else { return Ok(()) };
        *count -= 1;
        if *count == 0 {
            self.topics.remove(topic);
            self.ends.socket.set_bytes(z::ZMQ_UNSUBSCRIBE, topic).map_err(io_error("unsubscribing"))?;
        }
        Ok(())
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
            let now = Instant::now();
            if self.renew_at.is_some_and(|at| at <= now) {
                self.renew()?;
            }
            // A limit too long to be added has no end.
            let deadline = *deadline.get_or_insert_with(|| now.checked_add(limit));
            let end = [deadline, self.renew_at].into_iter().flatten().min();
            let wait = end.map_or(Duration::MAX, |end| end.saturating_duration_since(now));
            let sockets = [&self.ends.socket, self.ends.monitor.socket()];
            let ([message, event], woken) =
                sys::poll(sockets, self.wake.fd(), wait).map_err(io_error("waiting"))?;
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

    fn waker(&self) -> Waker {
        self.wake.waker()
    }
}
