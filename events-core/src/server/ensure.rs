//! One server for all: whoever comes first serves, the others stand by and take over.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::{LEAVE, Server};
use crate::delivery::Limits;
use crate::engine::{self, Addresses, Engine, EngineError};
use crate::error::Error;
use crate::exit::{self, Place};
use crate::lock;
use crate::process::Own;

/// How often a server that stands by looks whether it is needed.
const LOOK: Duration = Duration::from_millis(50);

/// The servers of this process.
static RUNNING: Own<HashMap<Place, Weak<Ensured>>> = Own::new();

/// Sees to it that a server is there at these addresses: serves if nobody does, and otherwise stands by
/// and takes over when the one that serves ends. Calling it again in the same process gives the same
/// server.
///
/// A process that forks keeps its server, and the child leaves it alone. If that process is killed then, nobody can take over
/// until the child ends as well, or runs another program, since it holds the addresses too: to become a daemon, fork first.
///
/// Keep what it returns: `let _server = ensure_server(..)?;`. With `let _ = …` it would end at once.
///
/// # Errors
/// [`Error::Engine`] if the addresses cannot be used, or are in use by a program that is not an events
/// server; [`Error::Scheme`].
pub fn ensure_server(emit_addr: &str, reg_addr: &str) -> Result<ServerGuard, Error> {
    let addresses = Addresses { emit: emit_addr.to_owned(), reg: reg_addr.to_owned() };
    ensure_server_on(&engine::of(&addresses)?, &addresses)
}

/// The same on an engine of the caller's.
///
/// # Errors
/// As [`ensure_server`].
pub fn ensure_server_on(engine: &Arc<dyn Engine>, at: &Addresses) -> Result<ServerGuard, Error> {
    ensure_server_with(engine, at, Limits::default())
}

/// The same with other limits, which count if the server is not running in this process yet.
///
/// # Errors
/// As [`ensure_server`].
pub fn ensure_server_with(engine: &Arc<dyn Engine>, at: &Addresses, limits: Limits) -> Result<ServerGuard, Error> {
    let key = Place::new(engine, at);
    let mut running = RUNNING.lock();
    let running = running.get_or_insert_default();
    running.retain(|_, ensured| ensured.strong_count() > 0);
    if let Some(ensured) = running.get(&key).and_then(Weak::upgrade) {
        return Ok(ServerGuard(ensured));
    }
    let ensured = Arc::new(Ensured { server: Mutex::new(None), changed: Condvar::new(), at: at.clone() });
    let first = match Server::start_with(engine, at, limits) {
        Ok(server) => Some(lock(&ensured.server).insert(server).shared.clone()),
        Err(Error::Engine(EngineError::Served { .. })) => None,
        Err(error) => return Err(error),
    };
    stand_by(&ensured, engine.clone(), limits, first)?;
    running.insert(key, Arc::downgrade(&ensured));
    Ok(ServerGuard(ensured))
}

/// Keeps a server running, or standing by. Counted: the last one that is dropped ends it.
#[derive(Clone)]
#[must_use = "the server ends when this is dropped: `let _server = ensure_server(..)?;`"]
pub struct ServerGuard(Arc<Ensured>);

/// What a process does for its server's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It serves.
    Serving,
    /// Another one serves; this one takes over when that ends.
    StandingBy,
}

struct Ensured {
    /// `None` while it stands by.
    server: Mutex<Option<Server>>,
    changed: Condvar,
    at: Addresses,
}

impl ServerGuard {
    /// Whether this process serves.
    #[must_use]
    pub fn role(&self) -> Role {
        if lock(&self.0.server).is_some() { Role::Serving } else { Role::StandingBy }
    }

    /// The addresses clients connect to.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        let server = lock(&self.0.server);
        server.as_ref().map_or_else(|| self.0.at.clone(), |server| server.addresses().clone())
    }

    /// Waits until this process serves, at most `limit`. Returns whether it does.
    #[must_use]
    pub fn wait_serving(&self, limit: Duration) -> bool {
        let server = lock(&self.0.server);
        let waited = self.0.changed.wait_timeout_while(server, limit, |server| server.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.is_some()
    }

    /// Keeps the server until the process exits. Then it leaves, as if it was let go.
    pub fn detach(self) {
        static DETACHED: Mutex<Vec<ServerGuard>> = Mutex::new(Vec::new());
        lock(&DETACHED).push(self);
    }
}

impl fmt::Debug for ServerGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerGuard").field("role", &self.role()).field("addresses", &self.addresses()).finish()
    }
}

impl Drop for Ensured {
    fn drop(&mut self) {
        if let Some(server) = lock(&self.server).take() {
            server.shutdown(LEAVE);
        }
    }
}

/// Looks every now and then whether the addresses are free, and serves then; again when a server of this process, as
/// `serving`, ends by itself.
fn stand_by(
    ensured: &Arc<Ensured>,
    engine: Arc<dyn Engine>,
    limits: Limits,
    mut serving: Option<Arc<super::Shared>>,
) -> Result<(), Error> {
    let weak = Arc::downgrade(ensured);
    let at = ensured.at.clone();
    let look = move || loop {
        // Without holding on to what is ended when nobody else does.
        if let Some(server) = serving.take() {
            server.wait_end();
        }
        let Some(ensured) = weak.upgrade() else { return };
        if exit::has_begun() {
            return;
        }
        if lock(&ensured.server).take().is_some() {
            tracing::error!(emit = at.emit, reg = at.reg, "the server of this process has ended; it stands by again");
            std::thread::park_timeout(LOOK);
        }
        match Server::start_with(&engine, &at, limits) {
            Ok(server) => {
                tracing::info!(emit = server.addresses().emit, reg = server.addresses().reg, "took over as server");
                serving = Some(lock(&ensured.server).insert(server).shared.clone());
                ensured.changed.notify_all();
                continue;
            }
            Err(Error::Engine(EngineError::Served { .. })) => {}
            Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "cannot take over yet"),
        }
        drop(ensured);
        std::thread::park_timeout(LOOK);
    };
    let spawned = std::thread::Builder::new().name("events-standby".to_owned()).spawn(look);
    spawned.map(drop).map_err(|source| {
        Error::Engine(EngineError::Io { action: "starting the thread that stands by".into(), source })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::client::{Client, ClientOptions};
    use crate::engine::memory::MemoryEngine;
    use crate::engine::{ClientEnds, Frame, Hub, Peer, PublishError, Subscription, Waker};

    /// The first server of this engine fails as soon as it is told to.
    struct Failing {
        memory: MemoryEngine,
        fail: Arc<AtomicBool>,
    }

    struct FailingHub(Box<dyn Hub>, Arc<AtomicBool>);

    impl Engine for Failing {
        fn connect(&self, to: &Addresses) -> Result<ClientEnds, EngineError> {
            self.memory.connect(to)
        }

        fn bind(&self, at: &Addresses, welcome: &[u8]) -> Result<Box<dyn Hub>, EngineError> {
            Ok(Box::new(FailingHub(self.memory.bind(at, welcome)?, self.fail.clone())))
        }
    }

    impl Hub for FailingHub {
        fn collect(&mut self) -> Result<Option<Frame>, EngineError> {
            if self.1.swap(false, Ordering::AcqRel) { Err(EngineError::Closed) } else { self.0.collect() }
        }

        fn subscription(&mut self) -> Result<Option<Subscription>, EngineError> {
            self.0.subscription()
        }

        fn publish(&mut self, head: &Frame, body: Option<&Frame>, limit: Duration) -> Result<(), PublishError> {
            self.0.publish(head, body, limit)
        }

        fn wait(&mut self, limit: Duration) -> Result<(), EngineError> {
            self.0.wait(limit)
        }

        fn disconnect(&mut self, peer: Peer) {
            self.0.disconnect(peer);
        }

        fn waker(&self) -> Waker {
            self.0.waker()
        }

        fn addresses(&self) -> Addresses {
            self.0.addresses()
        }
    }

    #[test]
    fn a_server_that_fails_is_followed_by_another() {
        let fail = Arc::new(AtomicBool::new(false));
        let engine: Arc<dyn Engine> = Arc::new(Failing { memory: MemoryEngine::new(), fail: fail.clone() });
        let at = Addresses { emit: "memory://emit".into(), reg: "memory://reg".into() };
        let server = ensure_server_on(&engine, &at).expect("free");
        let client = Client::with_options(&at.emit, &at.reg, ClientOptions::default().engine(engine)).expect("usable");
        client.register_raw(Some("A"), |_| {}).expect("registered");
        let (tell, told) = std::sync::mpsc::channel();
        client.on_connection(move |change| {
            let _ = tell.send(change);
        });
        fail.store(true, Ordering::Release);
        while told.recv_timeout(Duration::from_secs(20)).expect("another server")
            != crate::error::Connection::Reconnected
        {}
        assert!(!fail.load(Ordering::Acquire) && server.wait_serving(Duration::from_secs(20)));
        assert_eq!(server.role(), Role::Serving);
    }
}
