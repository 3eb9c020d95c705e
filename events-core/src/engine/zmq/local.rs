//! Leads clients that are in the server's own process to it through memory.
//!
//! ```text
//!  local::Uplink    ═ MemoryUplink ═▶ Served (of a ZmqHub)       this process serves the address
//!                   ─ ZmqUplink ────▶ PULL                       somebody else does
//!  local::Downlink  the same, chosen anew whenever a connection begins or ends
//! ```
//!
//! What happens in memory is the memory engine's: one universe per context, whose addresses are the ipc
//! addresses that are served here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::address::Address;
use super::downlink::ZmqDownlink;
use super::landing::Landing;
use super::lookout::LookoutDownlink;
use super::uplink::ZmqUplink;
use super::wake::Wake;
use super::{Shared, lock};
use crate::engine::memory::{MemoryEngine, MemoryHub, MemoryUplink};
use crate::engine::{Addresses, Arrival, EngineError, Frame, Hub as _, Peer, Subscription, Trouble, Waker};

/// Tells the names of connections in memory from those of others.
const HERE: u64 = 1 << 63;
/// Whoever sends more than this is in a burst, in which the server's thread had better work beside the emitter's.
const SMALL: usize = 8 << 10;
/// What a hub has of clients in its process.
pub(super) struct Served {
    pub(super) hub: MemoryHub,
    pub(super) landing: Arc<Landing>,
    next: bool,
}

impl Served {
    pub(super) fn new(
        local: &MemoryEngine,
        at: &Addresses,
        welcome: &[u8],
        wake: &Wake,
        landing: Arc<Landing>,
    ) -> Served {
        Served { hub: local.hub(at, welcome, Some(wake.waker())), landing, next: false }
    }

    /// Whether it is the turn of those here.
    pub(super) fn is_next(&mut self) -> bool {
        self.next = !self.next;
        self.next
    }

    pub(super) fn collect(&mut self) -> Option<Frame> {
        self.hub.collect().ok()?
    }

    pub(super) fn subscription(&mut self) -> Option<Subscription> {
        let subscription = self.hub.subscription().ok()??;
        Some(Subscription { peer: subscription.peer.map(named), ..subscription })
    }

    pub(super) fn gone(&mut self) -> Option<Peer> {
        self.hub.gone().map(named)
    }

    /// Whether a connection is one of these.
    pub(super) fn has(peer: Peer) -> bool {
        peer.0 & HERE != 0
    }

    pub(super) fn disconnect(&mut self, peer: Peer) {
        self.hub.disconnect(Peer(peer.0 & !HERE));
    }
}

fn named(peer: Peer) -> Peer {
    Peer(peer.0 | HERE)
}

/// A client's way to the server, wherever that is.
pub(super) struct Uplink {
    shared: Arc<Shared>,
    address: Address,
    way: Up,
    /// Nothing was sent yet.
    unused: bool,
}

enum Up {
    Here(MemoryUplink, Option<Arc<Landing>>),
    Socket(ZmqUplink),
}

impl Uplink {
    pub(super) fn new(shared: Arc<Shared>, address: Address) -> Result<Uplink, EngineError> {
        let way = Up::Socket(ZmqUplink::new(Arc::clone(&shared), address.clone())?);
        Ok(Uplink { shared, address, way, unused: true })
    }
}

impl crate::engine::Uplink for Uplink {
    fn send(&mut self, frame: &Frame) -> Result<(), EngineError> {
        // Whoever serves may have come after this client.
        if std::mem::take(&mut self.unused) && self.shared.context.local.serves(&self.address.endpoint()) {
            self.reset()?;
        }
        match &mut self.way {
            Up::Here(uplink, landing) => {
                let visits = |landing: &Arc<Landing>| frame.len() <= SMALL && landing.visit();
                if uplink.put(frame) && !landing.as_ref().is_some_and(visits) {
                    uplink.wake_hub();
                }
                Ok(())
            }
            Up::Socket(uplink) => uplink.send(frame),
        }
    }

    fn reset(&mut self) -> Result<(), EngineError> {
        let (local, endpoint) = (&self.shared.context.local, self.address.endpoint());
        if local.serves(&endpoint) {
            self.way = Up::Here(local.uplink(&endpoint), self.shared.context.landings.at(&endpoint));
        } else if let Up::Socket(uplink) = &mut self.way {
            uplink.reset()?;
        } else {
            self.way = Up::Socket(ZmqUplink::new(Arc::clone(&self.shared), self.address.clone())?);
        }
        Ok(())
    }
}

/// A client's way from the server, wherever that is.
pub(super) struct Downlink {
    shared: Arc<Shared>,
    address: Address,
    way: Down,
    /// With how often each is subscribed.
    topics: BTreeMap<Vec<u8>, usize>,
    /// Something has come over this connection.
    connected: bool,
    waker: Arc<Mutex<Waker>>,
}

enum Down {
    Here(LookoutDownlink),
    Socket(Box<ZmqDownlink>),
}

impl Down {
    fn end(&mut self) -> &mut dyn crate::engine::Downlink {
        match self {
            Down::Here(downlink) => downlink,
            Down::Socket(downlink) => &mut **downlink,
        }
    }
}

impl Downlink {
    pub(super) fn new(shared: Arc<Shared>, address: Address) -> Result<Downlink, EngineError> {
        let mut way = choose(&shared, &address)?;
        let waker = Arc::new(Mutex::new(way.end().waker()));
        Ok(Downlink { shared, address, way, topics: BTreeMap::new(), connected: false, waker })
    }

    /// Whether the server is on the other side of memory.
    fn is_here(&self) -> bool {
        matches!(self.way, Down::Here(_))
    }

    fn serves_here(&self) -> bool {
        self.shared.context.local.serves(&self.address.endpoint())
    }

    /// Goes the other way if that is where the server is. What wakes the old end is heard no more, so the caller of
    /// `receive` is told something, after which it looks around.
    fn choose_anew(&mut self) -> Result<(), EngineError> {
        self.connected = false;
        if self.serves_here() == self.is_here() {
            return Ok(());
        }
        let mut way = choose(&self.shared, &self.address)?;
        self.topics.keys().try_for_each(|topic| way.end().subscribe(topic))?;
        *lock(&self.waker) = way.end().waker();
        self.way = way;
        Ok(())
    }

    fn arrived(&mut self, arrival: Option<Arrival>) -> Result<Option<Arrival>, EngineError> {
        match arrival {
            Some(Arrival::Message { .. }) if self.connected => {}
            // Over a socket to this process.
            Some(Arrival::Message { .. }) if !self.is_here() && self.serves_here() => {
                self.choose_anew()?;
                return Ok(None);
            }
            Some(Arrival::Message { .. }) => {
                self.connected = true;
                if let Down::Here(downlink) = &mut self.way {
                    downlink.meet(&self.shared, &self.address.endpoint());
                }
            }
            // The server went before there was a connection.
            Some(Arrival::Unreachable) if self.is_here() => {
                self.choose_anew()?;
                return Ok(None);
            }
            Some(Arrival::Disconnected) => self.choose_anew()?,
            Some(Arrival::Unreachable) | None => {}
        }
        Ok(arrival)
    }
}

fn choose(shared: &Arc<Shared>, address: &Address) -> Result<Down, EngineError> {
    let (local, endpoint) = (&shared.context.local, address.endpoint());
    Ok(if local.serves(&endpoint) {
        Down::Here(LookoutDownlink::new(local.downlink(&endpoint)))
    } else {
        Down::Socket(Box::new(ZmqDownlink::new(Arc::clone(shared), address.clone())?))
    })
}

impl crate::engine::Downlink for Downlink {
    fn subscribe(&mut self, topic: &[u8]) -> Result<(), EngineError> {
        let count = self.topics.entry(topic.to_vec()).or_insert(0);
        *count += 1;
        if *count == 1 { self.way.end().subscribe(topic) } else { Ok(()) }
    }

    fn unsubscribe(&mut self, topic: &[u8]) -> Result<(), EngineError> {
        let Some(count) = self.topics.get_mut(topic) else { return Ok(()) };
        *count -= 1;
        if *count > 0 {
            return Ok(());
        }
        self.topics.remove(topic);
        self.way.end().unsubscribe(topic)
    }

    fn receive(&mut self, limit: Duration) -> Result<Option<Arrival>, EngineError> {
        let arrival = self.way.end().receive(limit)?;
        self.arrived(arrival)
    }

    fn at_hand(&mut self) -> Result<Option<Arrival>, EngineError> {
        let arrival = self.way.end().at_hand()?;
        self.arrived(arrival)
    }

    fn is_ending(&mut self) -> Result<bool, EngineError> {
        self.way.end().is_ending()
    }

    fn waker(&self) -> Waker {
        let slot = Arc::clone(&self.waker);
        Waker::new(move || {
            let waker = lock(&slot).clone();
            waker.wake();
        })
    }

    fn trouble(&self) -> Option<Trouble> {
        match &self.way {
            Down::Here(_) => None,
            Down::Socket(downlink) => downlink.trouble(),
        }
    }
}
