//! An engine that is worse than any of ours, from a seed: it stands around another one, between the threads
//! of real clients and servers.
//!
//! ```text
//!  Client ─ Uplink ──▶ lost, doubled, swapped, held back ──▶ ┐
//!         ─ Downlink ◀ broken, cut off for a while, late ◀── ┤ the engine inside
//!  Server ─ Hub ──────▶ full for no reason, ends peers, dies ┘
//! ```
//!
//! Within one connection from the server nothing is lost or swapped: every engine promises that, see
//! [`Hub::publish`]. What is under way when it breaks is gone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use events_core::engine::{
    Addresses, Arrival, ClientEnds, Downlink, Engine, EngineError, Frame, Hub, Peer, PublishError, Subscription,
    Trouble, Uplink, Waker,
};

use crate::sim::chance::Chance;

/// Chances in a thousand, each per message or per look for one.
const LOST: usize = 8;
const DOUBLED: usize = 8;
const SWAPPED: usize = 8;
const HELD_BACK: usize = 8;
const BROKEN: usize = 4;
const LATE: usize = 20;
const FULL: usize = 20;
const PEER_ENDED: usize = 1;
/// How many messages are held back at once.
const HELD: usize = 6;
/// The longest time without a connection.
const CUT_OFF_US: usize = 30_000;
/// The longest time a message from the server is late.
const LATE_US: usize = 2_000;

/// An engine with faults around another one. Clones share the seed and what was done.
#[derive(Clone)]
pub struct Faulty {
    inner: Arc<dyn Engine>,
    plan: Arc<Plan>,
}

struct Plan {
    seed: u64,
    ends: AtomicU64,
    on: AtomicBool,
    /// How many servers were told to die.
    kills: AtomicU64,
    done: AtomicU64,
}

impl Faulty {
    /// Around `inner`, calm at first.
    #[must_use]
    pub fn new(inner: Arc<dyn Engine>, seed: u64) -> Faulty {
        let zero = || AtomicU64::new(0);
        let plan = Plan { seed, ends: zero(), on: AtomicBool::new(false), kills: zero(), done: zero() };
        Faulty { inner, plan: Arc::new(plan) }
    }

    /// Faults happen from now on, or no more. Nothing stays cut off when they end.
    pub fn rage(&self, on: bool) {
        self.plan.on.store(on, Ordering::Release);
    }

    /// The servers that there are die, with everything that is in them.
    pub fn kill(&self) {
        self.plan.kills.fetch_add(1, Ordering::AcqRel);
    }

    /// How many faults there were.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.plan.done.load(Ordering::Relaxed)
    }

    fn end(&self) -> End {
        let number = self.plan.ends.fetch_add(1, Ordering::Relaxed);
        let chance = Chance::new(self.plan.seed.wrapping_mul(1_000_003).wrapping_add(number));
        End { plan: self.plan.clone(), chance }
    }
}

/// One end's dice.
struct End {
    plan: Arc<Plan>,
    chance: Chance,
}

impl End {
    fn rages(&self) -> bool {
        self.plan.on.load(Ordering::Acquire)
    }

    fn happens(&mut self, permille: usize) -> bool {
        let happens = self.rages() && self.chance.permille(permille);
        if happens {
            self.plan.done.fetch_add(1, Ordering::Relaxed);
        }
        happens
    }

    fn up_to(&mut self, micros: usize) -> Duration {
        Duration::from_micros(self.chance.below(micros) as u64)
    }
}

impl Engine for Faulty {
    fn connect(&self, to: &Addresses) -> Result<ClientEnds, EngineError> {
        let (up, down) = self.inner.connect(to)?;
        let up = FaultyUplink { inner: up, end: self.end(), held: VecDeque::new() };
        let down = FaultyDownlink {
            engine: self.inner.clone(),
            to: to.clone(),
            woken: Arc::new(Woken::new(down.waker())),
            inner: Some(down),
            end: self.end(),
            wanted: BTreeMap::new(),
            back_at: Instant::now(),
            greeted: false,
        };
        Ok((Box::new(up), Box::new(down)))
    }

    fn bind(&self, at: &Addresses, welcome: &[u8]) -> Result<Box<dyn Hub>, EngineError> {
        let inner = self.inner.bind(at, welcome)?;
        let kills = self.plan.kills.load(Ordering::Acquire);
        Ok(Box::new(FaultyHub { inner, end: self.end(), kills, peers: VecDeque::new() }))
    }
}

struct FaultyUplink {
    inner: Box<dyn Uplink>,
    end: End,
    /// Overtaken by what is sent next.
    held: VecDeque<Frame>,
}

impl Uplink for FaultyUplink {
    fn send(&mut self, frame: &Frame) -> Result<(), EngineError> {
        if self.end.happens(LOST) {
            return Ok(());
        }
        if self.held.len() < HELD
            && (self.end.happens(SWAPPED) || (!self.held.is_empty() && self.end.happens(HELD_BACK)))
        {
            self.held.push_back(frame.clone());
            return Ok(());
        }
        self.inner.send(frame)?;
        if self.end.happens(DOUBLED) {
            self.inner.send(frame)?;
        }
        // Some stay where they are, so that they come much later.
        while !self.held.is_empty() && !self.end.happens(500) {
            if let Some(frame) = self.held.pop_front() {
                self.inner.send(&frame)?;
            }
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), EngineError> {
        self.held.clear();
        self.inner.reset()
    }
}

/// A waker that stays the same while the downlink inside changes.
struct Woken {
    /// Called while no downlink is there, and the waker of the one that is.
    state: Mutex<(bool, Waker)>,
    condition: Condvar,
}

impl Woken {
    fn new(waker: Waker) -> Woken {
        Woken { state: Mutex::new((false, waker)), condition: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, (bool, Waker)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        let mut state = self.lock();
        state.0 = true;
        state.1.wake();
        self.condition.notify_all();
    }

    /// Waits without a downlink; says whether it was woken.
    fn wait(&self, limit: Duration) -> bool {
        let waited = self.condition.wait_timeout_while(self.lock(), limit, |state| !state.0);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.0)
    }
}

struct FaultyDownlink {
    engine: Arc<dyn Engine>,
    to: Addresses,
    /// `None` while it is cut off.
    inner: Option<Box<dyn Downlink>>,
    woken: Arc<Woken>,
    end: End,
    wanted: BTreeMap<Vec<u8>, usize>,
    back_at: Instant,
    /// Something has come over this connection.
    greeted: bool,
}

impl FaultyDownlink {
    /// Connects anew, and subscribes in the order of the bytes, as libzmq does.
    fn connect(&mut self) -> Result<(), EngineError> {
        let (_, mut down) = self.engine.connect(&self.to)?;
        self.woken.lock().1 = down.waker();
        for (topic, count) in &self.wanted {
            for _ in 0..*count {
                down.subscribe(topic)?;
            }
        }
        self.inner = Some(down);
        self.greeted = false;
        Ok(())
    }
}

impl Downlink for FaultyDownlink {
    fn subscribe(&mut self, topic: &[u8]) -> Result<(), EngineError> {
        *self.wanted.entry(topic.to_vec()).or_default() += 1;
        self.inner.as_mut().map_or(Ok(()), |down| down.subscribe(topic))
    }

    fn unsubscribe(&mut self, topic: &[u8]) -> Result<(), EngineError> {
        if let Some(count) = self.wanted.get_mut(topic) {
            *count -= 1;
            if *count == 0 {
                self.wanted.remove(topic);
            }
        }
        self.inner.as_mut().map_or(Ok(()), |down| down.unsubscribe(topic))
    }

    fn receive(&mut self, limit: Duration) -> Result<Option<Arrival>, EngineError> {
        if self.inner.is_none() {
            let left = self.back_at.saturating_duration_since(Instant::now());
            let cut_off = self.end.rages() && !left.is_zero();
            if cut_off && (self.woken.wait(left.min(limit)) || limit < left) {
                return Ok(None);
            }
            self.connect()?;
        }
        if self.greeted && self.end.happens(BROKEN) {
            self.inner = None;
            self.back_at = Instant::now() + self.end.up_to(CUT_OFF_US);
            return Ok(Some(Arrival::Disconnected));
        }
        if self.end.happens(LATE) {
            let late = self.end.up_to(LATE_US);
            if self.woken.wait(late.min(limit)) {
                return Ok(None);
            }
        }
        let arrival = match &mut self.inner {
            Some(down) => down.receive(limit)?,
            None => None,
        };
        match &arrival {
            Some(Arrival::Message { .. }) => self.greeted = true,
            Some(Arrival::Disconnected) => self.greeted = false,
            Some(Arrival::Unreachable) | None => {}
        }
        self.woken.lock().0 = false;
        Ok(arrival)
    }

    fn is_ending(&mut self) -> Result<bool, EngineError> {
        self.inner.as_mut().map_or(Ok(false), |down| down.is_ending())
    }

    fn waker(&self) -> Waker {
        let woken = self.woken.clone();
        Waker::new(move || woken.wake())
    }

    fn trouble(&self) -> Option<Trouble> {
        self.inner.as_ref().and_then(|down| down.trouble())
    }
}

struct FaultyHub {
    inner: Box<dyn Hub>,
    end: End,
    /// How many kills there were when it began.
    kills: u64,
    peers: VecDeque<Peer>,
}

impl FaultyHub {
    fn lives(&self) -> Result<(), EngineError> {
        if self.end.plan.kills.load(Ordering::Acquire) == self.kills {
            return Ok(());
        }
        let source = std::io::Error::other("killed on purpose");
        Err(EngineError::Io { action: "serving".to_owned(), source })
    }
}

impl Hub for FaultyHub {
    fn collect(&mut self) -> Result<Option<Frame>, EngineError> {
        self.lives()?;
        if self.end.happens(PEER_ENDED)
            && let Some(peer) = self.peers.pop_front()
        {
            self.inner.disconnect(peer);
        }
        self.inner.collect()
    }

    fn subscription(&mut self) -> Result<Option<Subscription>, EngineError> {
        let subscription = self.inner.subscription()?;
        if let Some(Subscription { peer: Some(peer), .. }) = subscription {
            if !self.peers.contains(&peer) {
                self.peers.push_back(peer);
            }
            self.peers.truncate(64);
        }
        Ok(subscription)
    }

    fn stuck(&mut self, first: bool) -> Vec<Peer> {
        self.inner.stuck(first)
    }

    fn grant(&mut self, subscription: &Subscription) -> Result<(), EngineError> {
        self.inner.grant(subscription)
    }

    fn publish(&mut self, head: &Frame, body: Option<&Frame>, limit: Duration) -> Result<(), PublishError> {
        self.lives().map_err(PublishError::Engine)?;
        if self.end.happens(FULL) {
            return Err(PublishError::Full);
        }
        self.inner.publish(head, body, limit)
    }

    fn wait(&mut self, limit: Duration) -> Result<(), EngineError> {
        self.lives()?;
        // A kill wakes nobody, so that it is noticed here.
        self.inner.wait(limit.min(Duration::from_millis(5)))
    }

    fn gone(&mut self) -> Option<Peer> {
        self.inner.gone()
    }

    fn names(&self, connection: Peer) -> bool {
        self.inner.names(connection)
    }

    fn disconnect(&mut self, peer: Peer) {
        self.inner.disconnect(peer);
    }

    fn waker(&self) -> Waker {
        self.inner.waker()
    }

    fn addresses(&self) -> Addresses {
        self.inner.addresses()
    }
}
