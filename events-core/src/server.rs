//! A server: one thread that owns the hub and turns the [`Relay`].

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::control::Figures;
use crate::delivery::relay::{Pace, Relay};
use crate::delivery::{Limits, Now};
use crate::engine::{Addresses, Engine, EngineError, Hub, Waker};
use crate::error::Error;
use crate::{engine, lock, random_id};

mod ensure;

pub use ensure::{Role, ServerGuard, ensure_server, ensure_server_on, ensure_server_with};

/// How long a publication waits for room before control messages get their turn.
const SLICE: Duration = Duration::from_millis(5);
/// How long to wait for the ring to have room again.
const HELD: Duration = Duration::from_millis(1);
/// How long a server that leaves waits for publishers' last frames.
const SILENCE: Duration = Duration::from_millis(20);

/// A running server. Dropping it stops it, as [`shutdown`](Server::shutdown) does.
pub struct Server {
    shared: Arc<Shared>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    addresses: Addresses,
    waker: Waker,
}

struct Shared {
    leave: AtomicBool,
    /// Microseconds the leaving may take.
    limit: AtomicU64,
    figures: Mutex<Figures>,
    ended: Mutex<bool>,
    end: Condvar,
}

impl Shared {
    /// Waits until the server's thread has ended, whatever ended it.
    fn wait_end(&self) {
        let ended = lock(&self.ended);
        let _unused = self.end.wait_while(ended, |ended| !*ended);
    }
}

/// Tells that the server's thread ends, also if it panics.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        *lock(&self.0.ended) = true;
        self.0.end.notify_all();
    }
}

impl Server {
    /// Serves at these addresses. Port 0 and `*` are replaced by what is free: see
    /// [`addresses`](Server::addresses).
    ///
    /// # Errors
    /// [`Error::Engine`] with [`EngineError::Served`] if another events server is there, other kinds if the
    /// addresses cannot be used; [`Error::Scheme`].
    pub fn start(emit_addr: &str, reg_addr: &str) -> Result<Server, Error> {
        let addresses = Addresses { emit: emit_addr.to_owned(), reg: reg_addr.to_owned() };
        Server::start_on(&engine::of(&addresses)?, &addresses)
    }

    /// Serves at these addresses of an engine.
    ///
    /// # Errors
    /// As [`start`](Server::start).
    pub fn start_on(engine: &Arc<dyn Engine>, at: &Addresses) -> Result<Server, Error> {
        Server::start_with(engine, at, Limits::default())
    }

    /// The same with other limits.
    ///
    /// # Errors
    /// As [`start`](Server::start).
    pub fn start_with(engine: &Arc<dyn Engine>, at: &Addresses, limits: Limits) -> Result<Server, Error> {
        let relay = Relay::new(random_id(), limits);
        let hub = engine.bind_within(at, &relay.welcome(), &limits.bounds)?;
        let (addresses, waker) = (hub.addresses(), hub.waker());
        let shared = Arc::new(Shared {
            leave: AtomicBool::new(false),
            limit: AtomicU64::new(0),
            figures: Mutex::default(),
            ended: Mutex::new(false),
            end: Condvar::new(),
        });
        let thread = std::thread::Builder::new().name("events-server".to_owned()).spawn({
            let end = End(shared.clone());
            move || {
                if let Err(error) = serve(relay, hub, &end.0) {
                    tracing::error!(error = &error as &dyn std::error::Error, "the server ends");
                }
            }
        });
        let thread =
            thread.map_err(|source| EngineError::Io { action: "starting the server's thread".into(), source })?;
        Ok(Server { shared, thread: Mutex::new(Some(thread)), addresses, waker })
    }

    /// The addresses clients connect to.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Counted since the server began; at most a moment old.
    #[must_use]
    pub fn figures(&self) -> Figures {
        *lock(&self.shared.figures)
    }

    /// Leaves: tells the clients to keep what they have, hands out what was taken in, and ends when
    /// everybody has it, at the latest after `limit`.
    pub fn shutdown(self, limit: Duration) {
        self.stop(limit);
    }

    pub(crate) fn stop(&self, limit: Duration) {
        self.shared.limit.store(u64::try_from(limit.as_micros()).unwrap_or(u64::MAX), Ordering::Release);
        self.shared.leave.store(true, Ordering::Release);
        self.waker.wake();
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop(Duration::from_secs(2));
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// Turns the relay until it is told to leave, then until all is handed out.
fn serve(mut relay: Relay, mut hub: Box<dyn Hub>, shared: &Shared) -> Result<(), EngineError> {
    let began = Instant::now();
    let now = || Now::try_from(began.elapsed().as_micros()).unwrap_or(Now::MAX);
    let mut told = Instant::now();
    while !shared.leave.load(Ordering::Acquire) {
        let pace = relay.turn(&mut *hub, now(), SLICE)?;
        if told.elapsed() >= Duration::from_millis(50) || pace != Pace::Busy {
            told = Instant::now();
            *lock(&shared.figures) = relay.figures();
        }
        match pace {
            Pace::Busy => {}
            Pace::Idle(until) => hub.wait(Duration::from_micros(until.saturating_sub(now())))?,
            Pace::Held => std::thread::sleep(HELD),
        }
    }
    let until = Instant::now() + Duration::from_micros(shared.limit.load(Ordering::Acquire));
    leave(&mut relay, &mut *hub, until, &now)?;
    *lock(&shared.figures) = relay.figures();
    Ok(())
}

/// Says bye and goes on until publishers are silent and every client has let go.
fn leave(relay: &mut Relay, hub: &mut dyn Hub, until: Instant, now: &dyn Fn() -> Now) -> Result<(), EngineError> {
    // The first word stops the publishers; the last comes behind all they had sent.
    relay.leave(false);
    let mut silent_since = Instant::now();
    let mut said = false;
    while Instant::now() < until && !relay.is_alone() {
        match relay.turn(hub, now(), SLICE)? {
            Pace::Idle(_) => {}
            pace => {
                silent_since = Instant::now();
                if pace == Pace::Held {
                    std::thread::sleep(HELD);
                }
                continue;
            }
        }
        if silent_since.elapsed() >= SILENCE && !said {
            said = true;
            relay.leave(true);
            continue;
        }
        hub.wait(Duration::from_millis(1))?;
    }
    Ok(())
}
