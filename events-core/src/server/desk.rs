//! Relay and hub of a server, for whoever turns them: its own thread, and clients of its process that would only have
//! to wait for that.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::control::Figures;
use crate::delivery::Now;
use crate::delivery::relay::{Pace, Relay};
use crate::engine::{EngineError, Hub, Rest, Seen};
use crate::lock;

/// How long a publication waits for room before control messages get their turn.
const SLICE: Duration = Duration::from_millis(5);
/// How long to wait for the ring to have room again.
const HELD: Duration = Duration::from_millis(1);
/// How long a server that leaves waits for publishers' last frames, in microseconds.
const SILENCE: Now = 20_000;
/// How old what is counted may be while there is much to do.
const TELL: Duration = Duration::from_millis(50);
/// Turns that others make in one go, before they leave the rest to the server's thread.
const TURNS: u32 = 4;

pub(super) struct Desk {
    /// Empty before the server begins and once it leaves.
    work: Mutex<Option<Work>>,
    figures: Mutex<Figures>,
    began: Instant,
    leave: AtomicBool,
    /// Microseconds the leaving may take.
    limit: AtomicU64,
}

pub(super) struct Work {
    relay: Relay,
    hub: Box<dyn Hub>,
    /// Until when the server's thread waits.
    until: Now,
    /// What went wrong when somebody else was at it.
    failed: Option<EngineError>,
}

impl Desk {
    pub(super) fn new() -> Desk {
        Desk {
            work: Mutex::new(None),
            figures: Mutex::default(),
            began: Instant::now(),
            leave: AtomicBool::new(false),
            limit: AtomicU64::new(0),
        }
    }

    pub(super) fn figures(&self) -> Figures {
        *lock(&self.figures)
    }

    /// Has the server's thread leave, once that is awake.
    pub(super) fn leave_within(&self, limit: Duration) {
        self.limit.store(u64::try_from(limit.as_micros()).unwrap_or(u64::MAX), Ordering::Release);
        self.leave.store(true, Ordering::Release);
    }

    /// Nobody turns anything from here on.
    pub(super) fn close(&self) -> Option<Work> {
        lock(&self.work).take()
    }

    fn now(&self) -> Now {
        Now::try_from(self.began.elapsed().as_micros()).unwrap_or(Now::MAX)
    }

    fn tell(&self, relay: &Relay) {
        *lock(&self.figures) = relay.figures();
    }

    /// What somebody else does in place of the server's thread, after a wait that found this; see
    /// [`Turn`](crate::engine::Turn).
    pub(super) fn turn(&self, seen: Seen) -> bool {
        let Ok(mut work) = self.work.try_lock() else { return false };
        let Some(work) = work.as_mut() else { return false };
        let turned = catch_unwind(AssertUnwindSafe(|| work.turn(seen, || self.now())));
        self.tell(&work.relay);
        let broken = || EngineError::Io { action: "serving".into(), source: std::io::Error::other("a panic") };
        turned.unwrap_or_else(|_| Err(broken())).unwrap_or_else(|error| {
            work.failed = Some(error);
            false
        })
    }

    /// Turns the relay until it is told to leave, then until all is handed out.
    pub(super) fn serve(&self, relay: Relay, hub: Box<dyn Hub>, rest: Option<&dyn Rest>) -> Result<(), EngineError> {
        *lock(&self.work) = Some(Work { relay, hub, until: Now::MAX, failed: None });
        let served = self.serve_until_told(rest);
        // From here on nobody else has it.
        let work = self.close();
        served?;
        let Some(Work { mut relay, mut hub, .. }) = work else { return Ok(()) };
        let until = Instant::now() + Duration::from_micros(self.limit.load(Ordering::Acquire));
        leave(&mut relay, &mut *hub, until, &|| self.now())?;
        self.tell(&relay);
        Ok(())
    }

    fn serve_until_told(&self, rest: Option<&dyn Rest>) -> Result<(), EngineError> {
        let mut told = Instant::now();
        let mut seen = None;
        while !self.leave.load(Ordering::Acquire) {
            let mut guard = lock(&self.work);
            let Some(work) = guard.as_mut() else { break };
            if let Some(error) = work.failed.take() {
                return Err(error);
            }
            if let Some(seen) = seen.take() {
                work.hub.risen(seen)?;
            }
            let pace = work.relay.turn(&mut *work.hub, self.now(), SLICE)?;
            if told.elapsed() >= TELL || pace != Pace::Busy {
                told = Instant::now();
                self.tell(&work.relay);
            }
            match (pace, rest) {
                (Pace::Busy, _) => {}
                (Pace::Idle(until), None) => work.hub.wait(self.left(until))?,
                (Pace::Idle(until), Some(rest)) => {
                    if work.hub.settle()? {
                        work.until = until;
                        drop(guard);
                        seen = Some(rest.wait(self.left(until))?);
                    }
                }
                (Pace::Held, _) => {
                    drop(guard);
                    std::thread::sleep(HELD);
                }
            }
        }
        Ok(())
    }

    fn left(&self, until: Now) -> Duration {
        Duration::from_micros(until.saturating_sub(self.now()))
    }
}

impl Work {
    /// Whether nothing is left, and nothing before the server's thread wakes by itself.
    fn turn(&mut self, seen: Seen, now: impl Fn() -> Now) -> Result<bool, EngineError> {
        self.hub.risen(seen)?;
        for _ in 0..TURNS {
            if let Pace::Idle(until) = self.relay.turn(&mut *self.hub, now(), Duration::ZERO)?
                && self.hub.settle()?
            {
                return Ok(until >= self.until);
            }
        }
        Ok(false)
    }
}

/// Says bye and goes on until publishers are silent and every client has let go.
fn leave(relay: &mut Relay, hub: &mut dyn Hub, until: Instant, now: &dyn Fn() -> Now) -> Result<(), EngineError> {
    // The first word stops the publishers; the last comes behind all they had sent.
    relay.leave(false);
    let mut silent_since = now();
    let mut said = false;
    while Instant::now() < until && !relay.is_alone() {
        match relay.turn(hub, now(), SLICE)? {
            Pace::Idle(_) => silent_since = silent_since.max(relay.heard()),
            pace => {
                silent_since = now();
                if pace == Pace::Held {
                    std::thread::sleep(HELD);
                }
                continue;
            }
        }
        if now() - silent_since >= SILENCE && !said {
            said = true;
            relay.leave(true);
            continue;
        }
        hub.wait(Duration::from_millis(1))?;
    }
    Ok(())
}
