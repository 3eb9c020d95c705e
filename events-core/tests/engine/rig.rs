//! One engine at one pair of addresses, and the moves that every test makes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use events_core::engine::memory::MemoryEngine;
use events_core::engine::zmq::{Tcp, ZmqEngine};
use events_core::engine::{Addresses, Arrival, Downlink, Engine, Frame, Hub, PublishError, Subscription, Uplink};
use events_core::security::{Access, Keys};

/// Nothing here takes longer, unless it hangs.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(20);
/// How long one look waits before the other side gets its turn.
pub(crate) const TURN: Duration = Duration::from_millis(5);

pub(crate) struct Rig {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) at: Addresses,
    /// libzmq's inproc has connections without descriptors: none can be named or ended.
    pub(crate) inproc: bool,
    pub(crate) _folder: Option<tempfile::TempDir>,
}

/// A loopback address that no other test has, in this process or another.
pub(crate) fn own_loopback() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    assert!(count < 255, "more rigs than addresses");
    format!("127.{}.{}.{count}", pid >> 8 & 0xff, pid & 0xff)
}

pub(crate) struct Client {
    pub(crate) up: Box<dyn Uplink>,
    pub(crate) down: Box<dyn Downlink>,
    barriers: u32,
    /// What came in while somebody else was waited for.
    backlog: VecDeque<Arrival>,
}

impl Rig {
    pub(crate) fn bind(&self, welcome: &str) -> Box<dyn Hub> {
        self.engine.bind(&self.at, welcome.as_bytes()).expect("the address is free")
    }

    /// A client that subscribes to what the welcome is sent under.
    pub(crate) fn connect(&self) -> Client {
        let (up, mut down) = self.engine.connect(&self.at).expect("the address is valid");
        down.subscribe(b"hello").expect("open");
        Client { up, down, barriers: 0, backlog: VecDeque::new() }
    }
}

/// Calls `look` until it has something.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + WATCHDOG;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
    }
}

impl Client {
    pub(crate) fn subscribe(&mut self, topic: &str) {
        self.down.subscribe(topic.as_bytes()).expect("open");
    }

    pub(crate) fn send(&mut self, bytes: impl Into<Vec<u8>>) {
        self.up.send(&Frame::new(bytes.into())).expect("open");
    }

    pub(crate) fn next(&mut self) -> Arrival {
        let queued = self.backlog.pop_front();
        queued.unwrap_or_else(|| until("an arrival", || self.receive(TURN)))
    }

    /// One arrival; that nobody was there at first is what some tests are about and not told here.
    fn receive(&mut self, limit: Duration) -> Option<Arrival> {
        let arrival = self.down.receive(limit).expect("open");
        arrival.filter(|arrival| !matches!(arrival, Arrival::Unreachable))
    }

    /// The next arrival, which has to be a message of one part.
    pub(crate) fn text(&mut self) -> String {
        match self.next() {
            Arrival::Message { head, body: None } => String::from_utf8_lossy(&head).into_owned(),
            other => panic!("not a message of one part: {other:?}"),
        }
    }

    pub(crate) fn disconnected(&mut self) {
        match self.next() {
            Arrival::Disconnected => {}
            other => panic!("not the end of the connection: {other:?}"),
        }
    }

    /// Takes whatever is there now.
    pub(crate) fn drain(&mut self) -> Vec<Arrival> {
        let fresh: Vec<_> = std::iter::from_fn(|| self.receive(Duration::ZERO)).collect();
        self.backlog.drain(..).chain(fresh).collect()
    }

    pub(crate) fn nothing_is_there(&mut self) {
        let left = self.drain();
        assert!(left.is_empty(), "{left:?}");
    }

    /// Returns, with what was told on the way, when all subscriptions so far stand.
    pub(crate) fn settle(&mut self, hub: &mut dyn Hub) -> Vec<Subscription> {
        self.barriers += 1;
        let topic = format!("~barrier/{}", self.barriers);
        self.subscribe(&topic);
        let mut told = Vec::new();
        until("the barrier", || {
            // A client comes back, and its subscriptions with it, when it looks.
            self.backlog = self.drain().into();
            hub.wait(TURN).expect("open");
            while let Some(subscription) = hub.subscription().expect("open") {
                hub.grant(&subscription).expect("open");
                if subscription.on && subscription.topic == topic.as_bytes() {
                    return Some(());
                }
                told.push(subscription);
            }
            None
        });
        told
    }
}

pub(crate) fn collect(hub: &mut dyn Hub) -> Frame {
    until("a frame", || {
        hub.wait(TURN).expect("open");
        hub.collect().expect("open")
    })
}

/// Publishes without waiting; `false` when there was no room.
pub(crate) fn try_publish(hub: &mut dyn Hub, head: &Frame, body: Option<&Frame>) -> bool {
    match hub.publish(head, body, Duration::ZERO) {
        Ok(()) => true,
        Err(PublishError::Full) => false,
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn publish(hub: &mut dyn Hub, text: &str) {
    hub.publish(&Frame::new(text.as_bytes().to_vec()), None, WATCHDOG).expect("room");
}

fn rig(engine: impl Engine + 'static, emit: String, reg: String) -> Rig {
    Rig { engine: Arc::new(engine), at: Addresses { emit, reg }, inproc: false, _folder: None }
}

fn zmq() -> ZmqEngine {
    ZmqEngine::new(Tcp::PlainLoopbackOnly).expect("libzmq starts")
}

pub(crate) fn ipc() -> Rig {
    let folder = tempfile::tempdir().expect("a folder for the sockets");
    let at = |name| format!("ipc://{}/{name}", folder.path().display());
    let rig = rig(zmq(), at("emit"), at("reg"));
    Rig { _folder: Some(folder), ..rig }
}

pub(crate) fn tcp() -> Rig {
    let host = own_loopback();
    rig(zmq(), format!("tcp://{host}:9000"), format!("tcp://{host}:9001"))
}

pub(crate) fn curve() -> Rig {
    let (host, folder) = (own_loopback(), tempfile::tempdir().expect("a folder for the keys"));
    let engine = ZmqEngine::new(Tcp::Curve(Access::new(Keys::at(folder.path())))).expect("libzmq starts");
    let rig = rig(engine, format!("tcp://{host}:9000"), format!("tcp://{host}:9001"));
    Rig { _folder: Some(folder), ..rig }
}

pub(crate) fn inproc() -> Rig {
    let name = own_loopback();
    let rig = rig(zmq(), format!("inproc://{name}/emit"), format!("inproc://{name}/reg"));
    Rig { inproc: true, ..rig }
}

pub(crate) fn memory() -> Rig {
    rig(MemoryEngine::new(), "memory://emit".into(), "memory://reg".into())
}
