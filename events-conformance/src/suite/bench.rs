//! A place to test at: an engine, addresses of its own, and what waits with a watchdog.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use events_core::client::{Client, ClientOptions};
use events_core::delivery::Limits;
use events_core::engine::{Addresses, Engine};
use events_core::server::Server;

/// How long anything may take before the watchdog ends the test.
pub const WATCHDOG: Duration = Duration::from_secs(30);

/// An engine, and addresses that nobody else uses.
pub struct Bench {
    engine: Arc<dyn Engine>,
    at: Addresses,
    /// Whether clients find a server that comes after another; inproc cannot.
    pub reconnects: bool,
    /// How long its servers look before they sleep.
    spin: Duration,
    /// Lives as long as the bench: a folder of sockets, for instance.
    _keep: Option<Box<dyn std::any::Any>>,
}

impl Bench {
    /// Tests `engine` at these addresses.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>, emit: &str, reg: &str) -> Bench {
        let at = Addresses { emit: emit.to_owned(), reg: reg.to_owned() };
        Bench { engine, at, reconnects: true, spin: Duration::ZERO, _keep: None }
    }

    /// Keeps something as long as the bench.
    #[must_use]
    pub fn keeping(mut self, keep: impl std::any::Any) -> Bench {
        self._keep = Some(Box::new(keep));
        self
    }

    /// Says that clients do not find another server.
    #[must_use]
    pub fn without_reconnects(mut self) -> Bench {
        self.reconnects = false;
        self
    }

    /// Has servers look for so long before they sleep.
    #[must_use]
    pub fn spinning(mut self, time: Duration) -> Bench {
        self.spin = time;
        self
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    /// Where it meets.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.at
    }

    /// Starts a server; if an older one has not let go of the address yet, as soon as it has.
    #[must_use]
    pub fn server(&self) -> Server {
        self.server_with(Limits::default())
    }

    /// The same with other limits.
    #[must_use]
    pub fn server_with(&self, limits: Limits) -> Server {
        let began = Instant::now();
        let spin = u64::try_from(self.spin.as_micros()).expect("a short time");
        let limits = Limits { spin, ..limits };
        loop {
            match Server::start_with(&self.engine, &self.at, limits) {
                Ok(server) => return server,
                Err(error) => assert!(began.elapsed() < WATCHDOG, "no server: {error}"),
            }
            std::thread::yield_now();
        }
    }

    /// A client.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_with(ClientOptions::default())
    }

    /// A client with other options.
    #[must_use]
    pub fn client_with(&self, options: ClientOptions) -> Client {
        let options = options.engine(self.engine.clone());
        Client::with_options(&self.at.emit, &self.at.reg, options).expect("a client")
    }
}

/// Something that several threads fill and one waits for. Clones share it.
#[derive(Debug)]
pub struct Log<T>(Arc<(Mutex<Vec<T>>, Condvar)>);

impl<T> Clone for Log<T> {
    fn clone(&self) -> Log<T> {
        Log(self.0.clone())
    }
}

impl<T> Default for Log<T> {
    fn default() -> Log<T> {
        Log(Arc::new((Mutex::new(Vec::new()), Condvar::new())))
    }
}

impl<T: Clone + std::fmt::Debug> Log<T> {
    /// Adds one.
    pub fn push(&self, item: T) {
        self.lock().push(item);
        self.0.1.notify_all();
    }

    /// What is there.
    #[must_use]
    pub fn now(&self) -> Vec<T> {
        self.lock().clone()
    }

    /// Waits until there are `count`, and returns all.
    #[must_use]
    pub fn wait_for(&self, count: usize) -> Vec<T> {
        self.wait_until(&format!("{count} items"), |items| items.len() >= count)
    }

    /// Waits until this holds, and returns all.
    #[must_use]
    pub fn wait_until(&self, what: &str, holds: impl Fn(&[T]) -> bool) -> Vec<T> {
        let waited = self.0.1.wait_timeout_while(self.lock(), WATCHDOG, |items| !holds(items));
        let (items, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let last = &items[items.len().saturating_sub(20)..];
        assert!(holds(&items), "waited in vain for {what}; there are {}, the last {last:?}", items.len());
        items.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks again and again until it holds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < WATCHDOG, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
