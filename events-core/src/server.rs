//! A server: how it begins and ends. What its thread does is in `desk.rs`.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::control::Figures;
use crate::delivery::Limits;
use crate::delivery::relay::Relay;
use crate::engine::{Addresses, Engine, EngineError, Turn, Waker};
use crate::error::Error;
use crate::exit::{self, Place};
use crate::process::Birth;
use crate::{engine, lock, random_id};

mod desk;
mod ensure;

use desk::Desk;

pub use ensure::{Role, ServerGuard, ensure_server, ensure_server_on, ensure_server_with};

/// How long a server that is let go, or whose process exits, waits for its clients.
pub(crate) const LEAVE: Duration = Duration::from_secs(2);

/// A running server. Dropping it stops it, as [`shutdown`](Server::shutdown) does.
pub struct Server {
    shared: Arc<Shared>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    addresses: Addresses,
    place: Place,
    made: Birth,
}

pub(crate) struct Shared {
    desk: Desk,
    waker: Waker,
    ended: Mutex<bool>,
    end: Condvar,
}

impl Shared {
    /// Has the server's thread leave, and end after `limit` at the latest.
    pub(crate) fn leave_within(&self, limit: Duration) {
        self.desk.leave_within(limit);
        self.waker.wake();
    }

    /// Waits until the server's thread has ended, at most `limit`.
    pub(crate) fn wait_end_within(&self, limit: Duration) {
        let ended = lock(&self.ended);
        let _unused = self.end.wait_timeout_while(ended, limit, |ended| !*ended);
    }

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
        self.0.desk.close();
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
        let mut hub = engine.bind_within(at, &relay.welcome(), &limits.bounds)?;
        hub.spin(Duration::from_micros(limits.spin));
        let (addresses, waker) = (hub.addresses(), hub.waker());
        let shared = Arc::new(Shared { desk: Desk::new(), waker, ended: Mutex::new(false), end: Condvar::new() });
        let thread = std::thread::Builder::new().name("events-server".to_owned()).spawn({
            let end = End(shared.clone());
            let turning = shared.clone();
            let rest = hub.share(Turn::new(move |seen| turning.desk.turn(seen)));
            move || {
                if let Err(error) = end.0.desk.serve(relay, hub, rest.as_deref()) {
                    tracing::error!(error = &error as &dyn std::error::Error, "the server ends");
                }
            }
        });
        let thread =
            thread.map_err(|source| EngineError::Io { action: "starting the server's thread".into(), source })?;
        exit::has_server(&shared);
        let place = Place::new(engine, &addresses);
        Ok(Server { shared, thread: Mutex::new(Some(thread)), addresses, place, made: Birth::now() })
    }

    /// The addresses clients connect to.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Counted since the server began; at most a moment old.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.shared.desk.figures()
    }

    /// Leaves: takes in what clients of this process have emitted, for half of `limit` at most, tells the others to keep what
    /// they have, hands out what was taken in, and ends when everybody has it, at the latest after `limit`. So it does for 2 s
    /// when the process exits.
    pub fn shutdown(self, limit: Duration) {
        self.stop(limit);
    }

    pub(crate) fn stop(&self, limit: Duration) {
        if self.made.is_inherited() {
            // It is the parent's, and goes on there.
            std::mem::forget(lock(&self.thread).take());
            return;
        }
        let began = Instant::now();
        exit::hand_over(&self.place, limit / 2);
        self.shared.leave_within(limit.saturating_sub(began.elapsed()));
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop(LEAVE);
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}
