//! Carries frames inside the process, with the bounds and the breaks of a real connection.
//!
//! Names are `memory://NAME` and belong to one [`MemoryEngine`] value and its clones: two tests with an
//! engine each never meet. What ZeroMQ does to a client this does too: connecting before there is a server,
//! the welcome, bounded queues that refuse for all when one is full, `Disconnected` and the way back to the
//! next server, and the loss of what was under way to a server that ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::state::{Bell, Id, State};
use super::{
    Addresses, Arrival, ClientEnds, Downlink, Engine, EngineError, Frame, Hub, Peer, PublishError, Subscription,
    Uplink, Waker, left,
};
use crate::process::Own;

mod prefixes;
mod state;

/// The memory engine: a universe of addresses. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryEngine(Arc<Mutex<State>>);

impl MemoryEngine {
    /// A universe with nobody in it.
    pub fn new() -> MemoryEngine {
        MemoryEngine::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits at the bell of one end until it rings, at most until `deadline`. Says whether there is any sense
    /// in waiting longer.
    fn wait<'a>(
        mut state: MutexGuard<'a, State>,
        deadline: Option<Instant>,
        bell: fn(&mut State, Id) -> Option<&mut Bell>,
        id: Id,
    ) -> (MutexGuard<'a, State>, bool) {
        let left = left(deadline);
        let condition = match bell(&mut state, id) {
            Some(bell) if !left.is_zero() => {
                bell.waiting = true;
                Arc::clone(&bell.condition)
            }
            _ => return (state, false),
        };
        let (mut state, _) = condition.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bell(&mut state, id) {
            bell.waiting = false;
        }
        (state, true)
    }
}

impl std::fmt::Debug for MemoryEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryEngine")
    }
}

impl Engine for MemoryEngine {
    fn connect(&self, to: &Addresses) -> Result<ClientEnds, EngineError> {
        let (emit, reg) = (check(&to.emit)?, check(&to.reg)?);
        Ok((Box::new(self.uplink(emit)), Box::new(self.downlink(reg))))
    }

    fn bind(&self, at: &Addresses, welcome: &[u8]) -> Result<Box<dyn Hub>, EngineError> {
        for address in [&at.emit, &at.reg] {
            check(address)?;
        }
        let state = self.lock();
        for address in [&at.emit, &at.reg] {
            if state.hub_at(|at| at.emit == *address || at.reg == *address).is_some() {
                return Err(EngineError::Served { address: address.clone() });
            }
        }
        drop(state);
        Ok(Box::new(self.hub(at, welcome, None)))
    }
}

/// The ends by themselves, for an engine whose clients may be in the server's process. Addresses are names.
impl MemoryEngine {
    pub(super) fn uplink(&self, emit: &str) -> MemoryUplink {
        MemoryUplink { engine: self.clone(), id: self.lock().open_up(emit) }
    }

    pub(super) fn downlink(&self, reg: &str) -> MemoryDownlink {
        MemoryDownlink { engine: self.clone(), id: self.lock().open_down(reg) }
    }

    /// With `elsewhere`, whoever has the hub waits for more than its bell, between [`rest`](MemoryHub::rest) and
    /// [`rise`](MemoryHub::rise).
    pub(super) fn hub(&self, at: &Addresses, welcome: &[u8], elsewhere: Option<Waker>) -> MemoryHub {
        let id = self.lock().open_hub(at.clone(), welcome, elsewhere);
        MemoryHub { engine: self.clone(), id, at: at.clone() }
    }

    /// Whether somebody serves at an address, in either direction.
    #[cfg(feature = "zmq")]
    pub(super) fn serves(&self, address: &str) -> bool {
        self.lock().hub_at(|at| at.emit == address || at.reg == address).is_some()
    }
}

fn check(address: &str) -> Result<&str, EngineError> {
    match address.strip_prefix("memory://") {
        Some(name) if !name.is_empty() => Ok(address),
        _ => {
            Err(EngineError::Address { address: address.to_owned(), why: "it has to look like `memory://name`".into() })
        }
    }
}

pub(super) struct MemoryUplink {
    engine: MemoryEngine,
    id: Id,
}

#[cfg(feature = "zmq")]
impl MemoryUplink {
    /// As [`send`](Uplink::send), but leaves it to the caller to wake whoever waits for it: says whether somebody does.
    pub(super) fn put(&mut self, frame: &Frame) -> bool {
        self.engine.lock().put(self.id, frame)
    }

    /// Wakes him, also if somebody else has been at the hub meanwhile and noted that it waits no more.
    pub(super) fn wake_hub(&self) {
        self.engine.lock().wake_hub_of(self.id);
    }
}

impl Uplink for MemoryUplink {
    fn send(&mut self, frame: &Frame) -> Result<(), EngineError> {
        self.engine.lock().send(self.id, frame);
        Ok(())
    }

    fn reset(&mut self) -> Result<(), EngineError> {
        self.id = self.engine.lock().reset(self.id);
        Ok(())
    }
}

impl Drop for MemoryUplink {
    fn drop(&mut self) {
        self.engine.lock().close_up(self.id);
    }
}

pub(super) struct MemoryDownlink {
    engine: MemoryEngine,
    id: Id,
}

/// For those who wait at sockets too.
#[cfg(feature = "zmq")]
impl MemoryDownlink {
    /// Has `waker` end the wait of whoever waits elsewhere, between [`rest`](MemoryDownlink::rest) and
    /// [`rise`](MemoryDownlink::rise).
    pub(super) fn wake_elsewhere(&self, waker: Waker) {
        if let Some(bell) = self.engine.lock().down_bell(self.id) {
            bell.elsewhere = Some(waker);
        }
    }

    /// What is here, or whether there is any sense in waiting.
    pub(super) fn rest(&mut self) -> (Option<Arrival>, bool) {
        let mut state = self.engine.lock();
        if let Some(arrival) = state.receive(self.id) {
            return (Some(arrival), false);
        }
        let Some(bell) = state.down_bell(self.id) else { return (None, false) };
        bell.waiting = !bell.take_woken();
        (None, bell.waiting)
    }

    /// The wait is over.
    pub(super) fn rise(&self) {
        if let Some(bell) = self.engine.lock().down_bell(self.id) {
            bell.waiting = false;
        }
    }
}

impl Downlink for MemoryDownlink {
    fn subscribe(&mut self, topic: &[u8]) -> Result<(), EngineError> {
        self.engine.lock().subscribe(self.id, topic);
        Ok(())
    }

    fn unsubscribe(&mut self, topic: &[u8]) -> Result<(), EngineError> {
        self.engine.lock().unsubscribe(self.id, topic);
        Ok(())
    }

    fn receive(&mut self, limit: Duration) -> Result<Option<Arrival>, EngineError> {
        let deadline = Instant::now().checked_add(limit);
        let mut state = self.engine.lock();
        loop {
            if let Some(arrival) = state.receive(self.id) {
                return Ok(Some(arrival));
            }
            if state.down_bell(self.id).is_some_and(Bell::take_woken) {
                return Ok(None);
            }
            let goes_on;
            (state, goes_on) = MemoryEngine::wait(state, deadline, State::down_bell, self.id);
            if !goes_on {
                return Ok(None);
            }
        }
    }

    fn is_ending(&mut self) -> Result<bool, EngineError> {
        Ok(self.engine.lock().is_ending(self.id))
    }

    fn waker(&self) -> Waker {
        let (engine, id) = (self.engine.clone(), self.id);
        Waker::new(move || {
            if let Some(bell) = engine.lock().down_bell(id) {
                bell.wake();
            }
        })
    }
}

impl Drop for MemoryDownlink {
    fn drop(&mut self) {
        self.engine.lock().close_down(self.id);
    }
}

pub(super) struct MemoryHub {
    engine: MemoryEngine,
    id: Id,
    at: Addresses,
}

impl MemoryHub {
    /// Who gets a message, once all of them have room. Waits for that at most `limit`.
    pub(super) fn room(&self, head: &Frame, body: Option<&Frame>, limit: Duration) -> Option<Vec<Id>> {
        let mut deadline = None;
        let mut state = self.engine.lock();
        loop {
            if let Some(to) = state.room(self.id, head, body) {
                return Some(to);
            }
            let deadline = *deadline.get_or_insert_with(|| Instant::now().checked_add(limit));
            let goes_on;
            (state, goes_on) = MemoryEngine::wait(state, deadline, State::hub_bell, self.id);
            if !goes_on {
                return None;
            }
        }
    }

    /// Hands a message to those for whom there was room. Only whoever publishes fills queues, so there still is.
    pub(super) fn hand(&self, to: &[Id], head: &Frame, body: Option<&Frame>) {
        if !to.is_empty() {
            self.engine.lock().hand(to, head, body);
        }
    }
}

/// For those who wait at sockets too.
#[cfg(feature = "zmq")]
impl MemoryHub {
    /// Has whatever comes end the wait that follows. Says whether there is any sense in waiting.
    pub(super) fn rest(&self) -> bool {
        let mut state = self.engine.lock();
        let news = state.has_news(self.id);
        if let Some(bell) = state.hub_bell(self.id) {
            bell.waiting = !news;
        }
        !news
    }

    /// The wait is over.
    pub(super) fn rise(&self) {
        if let Some(bell) = self.engine.lock().hub_bell(self.id) {
            bell.waiting = false;
        }
    }

    pub(super) fn connections(&self) -> usize {
        self.engine.lock().connections(self.id)
    }
}

impl Hub for MemoryHub {
    fn collect(&mut self) -> Result<Option<Frame>, EngineError> {
        Ok(self.engine.lock().collect(self.id))
    }

    fn subscription(&mut self) -> Result<Option<Subscription>, EngineError> {
        Ok(self.engine.lock().subscription(self.id))
    }

    fn gone(&mut self) -> Option<Peer> {
        self.engine.lock().gone(self.id)
    }

    fn publish(&mut self, head: &Frame, body: Option<&Frame>, limit: Duration) -> Result<(), PublishError> {
        let to = self.room(head, body, limit).ok_or(PublishError::Full)?;
        self.hand(&to, head, body);
        Ok(())
    }

    fn wait(&mut self, limit: Duration) -> Result<(), EngineError> {
        let deadline = Instant::now().checked_add(limit);
        let mut state = self.engine.lock();
        loop {
            let woken = state.hub_bell(self.id).is_none_or(Bell::take_woken);
            if woken || state.has_news(self.id) {
                return Ok(());
            }
            let goes_on;
            (state, goes_on) = MemoryEngine::wait(state, deadline, State::hub_bell, self.id);
            if !goes_on {
                return Ok(());
            }
        }
    }

    fn disconnect(&mut self, peer: Peer) {
        self.engine.lock().disconnect(self.id, peer);
    }

    fn waker(&self) -> Waker {
        let (engine, id) = (self.engine.clone(), self.id);
        Waker::new(move || {
            if let Some(bell) = engine.lock().hub_bell(id) {
                bell.wake();
            }
        })
    }

    fn addresses(&self) -> Addresses {
        self.at.clone()
    }
}

impl Drop for MemoryHub {
    fn drop(&mut self) {
        self.engine.lock().close_hub(self.id);
    }
}

/// The engine that `memory://` addresses get: one for the whole process.
#[must_use]
pub fn shared() -> Arc<dyn Engine> {
    static ENGINE: Own<Arc<dyn Engine>> = Own::new();
    ENGINE.lock().get_or_insert_with(|| Arc::new(MemoryEngine::new())).clone()
}
