//! A client's way from a server of its own process: it waits at the server's sockets, so that what comes there for it
//! wakes nobody else first.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::landing::{Landing, Turned};
use super::wake::Wake;
use crate::engine::memory::MemoryDownlink;
use crate::engine::{Arrival, Downlink, EngineError, Waker, left};

/// How far credit goes, either way.
const CREDIT: i32 = 16;
/// A client that takes longer than this for what it got had better leave the waiting to the server,
const BRIEF: Duration = Duration::from_micros(100);
/// and loses so much credit.
const SLOW: i32 = 4;

pub(super) struct LookoutDownlink {
    link: MemoryDownlink,
    lookout: Option<Lookout>,
}

/// A place at the sockets of a server.
struct Lookout {
    landing: Arc<Landing>,
    /// Names it among those who might wait there.
    name: u64,
    wake: Wake,
    /// What came for it, less what came for others. It waits there while this is more than nothing.
    credit: i32,
    /// Since when it handles what came.
    away: Option<Instant>,
}

/// How a wait at the sockets ends.
enum Waited {
    /// With this, or nothing.
    For(Option<Arrival>),
    /// The server's thread waits there from now on.
    LeftToServer,
}

impl LookoutDownlink {
    pub(super) fn new(link: MemoryDownlink) -> LookoutDownlink {
        LookoutDownlink { link, lookout: None }
    }

    /// Whoever serves at `address` has become this client's server.
    pub(super) fn meet(&mut self, shared: &Shared, address: &str) {
        self.lookout = shared.context.landings.at(address).zip(Wake::new().ok()).map(|(landing, wake)| {
            self.link.wake_elsewhere(wake.waker());
            Lookout { name: landing.name(), landing, wake, credit: 1, away: None }
        });
    }
}

impl Lookout {
    fn receive(&mut self, link: &mut MemoryDownlink, limit: Duration) -> Result<Option<Arrival>, EngineError> {
        if self.away.take().is_some_and(|since| since.elapsed() > BRIEF) {
            self.credit = (self.credit - SLOW).max(-CREDIT);
        }
        let end = Instant::now().checked_add(limit);
        let arrival = if self.credit > 0 && self.landing.come(self.name) {
            match self.wait(link, end) {
                Ok(Waited::For(arrival)) => {
                    self.landing.go(self.name);
                    arrival
                }
                Ok(Waited::LeftToServer) => {
                    self.landing.leave();
                    link.receive(left(end))?
                }
                Err(error) => {
                    self.landing.leave();
                    return Err(error);
                }
            }
        } else {
            link.receive(limit)?
        };
        if arrival.is_some() {
            self.credit = (self.credit + 1).min(CREDIT);
            self.away = Some(Instant::now());
        }
        Ok(arrival)
    }

    fn wait(&mut self, link: &mut MemoryDownlink, end: Option<Instant>) -> Result<Waited, EngineError> {
        let mut busy = false;
        loop {
            let (arrival, waits) = link.rest();
            let left = left(end);
            if !waits || left.is_zero() {
                link.rise();
                return Ok(Waited::For(arrival));
            }
            if busy || self.credit <= 0 {
                link.rise();
                return Ok(Waited::LeftToServer);
            }
            let seen = self.landing.wait_for(&self.wake, left);
            // Before the turn: what that brings needs to wake nobody.
            link.rise();
            match self.landing.turn(seen?) {
                Turned::Nothing => {}
                Turned::All => self.credit -= 1,
                Turned::NotAll => busy = true,
            }
        }
    }
}

impl Downlink for LookoutDownlink {
    fn subscribe(&mut self, topic: &[u8]) -> Result<(), EngineError> {
        self.link.subscribe(topic)
    }

    fn unsubscribe(&mut self, topic: &[u8]) -> Result<(), EngineError> {
        self.link.unsubscribe(topic)
    }

    fn receive(&mut self, limit: Duration) -> Result<Option<Arrival>, EngineError> {
        match &mut self.lookout {
            Some(lookout) if !limit.is_zero() => lookout.receive(&mut self.link, limit),
            _ => self.link.receive(limit),
        }
    }

    fn is_ending(&mut self) -> Result<bool, EngineError> {
        self.link.is_ending()
    }

    fn waker(&self) -> Waker {
        self.link.waker()
    }
}
