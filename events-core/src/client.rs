//! A client: emits events and calls the handlers of those that it registered for.
//!
//! ```text
//!  caller's threads            uplink thread          downlink thread              handler thread
//!  emit ─▶ Outbox ────────────▶ (bursts) ─▶ server ─▶ Reader ─▶ Subscriber ─▶ Inbox ─▶ Dispatcher ─▶ handlers
//! ```
//!
//! [`Client`] is a handle that many may hold; when the last is dropped, what was emitted is flushed
//! and the threads end.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use self::inbox::{Item, Watch};
pub(crate) use self::outbox::Counts;
use crate::counters::ClientStats;
use crate::delivery::Limits;
use crate::delivery::publisher::Kind;
use crate::dispatch::{Addition, RawEvent};
use crate::engine::{Addresses, Engine, Trouble, memory};
use crate::error::{Connection, Error, Lagged};
use crate::event::{Catalog, Event, PutErrorKind, Receive};
use crate::exit::{self, Place};
use crate::reader::Reader;
use crate::received::Received;
use crate::registration::Registration;
use crate::server::Server;
use crate::{engine, frame, lock, random_id};

mod downlink;
#[cfg(all(test, feature = "zmq"))]
mod forked;
mod handlers;
mod inbox;
mod on;
mod outbox;
mod shared;
mod subscription;

pub use on::On;
pub(crate) use shared::Shared;
use shared::{Command, Link, Wait};
pub use subscription::Subscription;

/// How a client behaves. The defaults suit programs of one user on one machine.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientOptions {
    /// How long `emit` waits for room before it says [`Error::Backpressure`]. Default: 5 s.
    pub emit_limit: Duration,
    /// How long dropping the last handle waits for what was emitted. Default: 2 s.
    pub drop_limit: Duration,
    /// How long `register` waits for the server's word when a server is there. Default: 5 s.
    pub register_limit: Duration,
    /// What happens while handlers are slower than events come.
    pub when_slow: WhenSlow,
    /// Bytes of events that wait for handlers before [`when_slow`](ClientOptions::when_slow) applies; six times as many
    /// while a handler waits for the server. Default: 4 MiB.
    pub inbox: usize,
    /// Windows, queues and times of the delivery.
    pub limits: Limits,
    engine: Option<Arc<dyn Engine>>,
}

impl Default for ClientOptions {
    fn default() -> ClientOptions {
        ClientOptions {
            emit_limit: Duration::from_secs(5),
            drop_limit: Duration::from_secs(2),
            register_limit: Duration::from_secs(5),
            when_slow: WhenSlow::Wait,
            inbox: 4 << 20,
            limits: Limits::default(),
            engine: None,
        }
    }
}

impl ClientOptions {
    /// Uses this engine whatever the addresses say.
    #[must_use]
    pub fn engine(mut self, engine: Arc<dyn Engine>) -> ClientOptions {
        self.engine = Some(engine);
        self
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions").field("when_slow", &self.when_slow).finish_non_exhaustive()
    }
}

/// What a client does while its handlers are slower than events come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenSlow {
    /// Holds the emitters to its pace, as long as its handlers move on.
    #[default]
    Wait,
    /// Misses events, counts them and tells the gap handlers, and holds nobody up.
    Skip,
}

/// A client of an events server. Clones share it, and the last that is dropped closes it: see
/// [`downgrade`](Client::downgrade) for clones in handlers.
///
/// When the process exits, be it by `std::process::exit`, clients that are still open flush as if they were dropped; those that
/// cannot say so on stderr.
///
/// A process that forks keeps its clients, and the child, where none of their threads run, gets [`Error::Forked`] from them
/// and connects its own. To become a daemon, fork first and connect then.
#[derive(Clone)]
pub struct Client {
    handle: Arc<Handle>,
}

/// A client that does not keep it open: for handlers, which would otherwise keep their own client open for ever. See
/// [`Client::downgrade`].
#[derive(Clone)]
pub struct WeakClient {
    handle: Weak<Handle>,
}

impl WeakClient {
    /// The client, unless all its handles are gone.
    #[must_use]
    pub fn upgrade(&self) -> Option<Client> {
        self.handle.upgrade().map(|handle| Client { handle })
    }

    pub(crate) fn is_open(&self) -> bool {
        self.handle.strong_count() > 0
    }
}

impl fmt::Debug for WeakClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakClient")
    }
}

/// Closes the client when the last clone is gone.
struct Handle {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// A server that lives as long as this client: see [`Client::in_memory`].
    server: Option<Server>,
}

impl Client {
    /// A client of the server at these addresses. It connects by itself, now or as soon as the server
    /// is there.
    ///
    /// # Errors
    /// [`Error::Scheme`] or [`Error::Engine`] if the addresses cannot be used.
    pub fn connect(emit_addr: &str, reg_addr: &str) -> Result<Client, Error> {
        Client::with_options(emit_addr, reg_addr, ClientOptions::default())
    }

    /// The same with other options.
    ///
    /// # Errors
    /// [`Error::Scheme`] or [`Error::Engine`] if the addresses cannot be used.
    pub fn with_options(emit_addr: &str, reg_addr: &str, options: ClientOptions) -> Result<Client, Error> {
        let addresses = Addresses { emit: emit_addr.to_owned(), reg: reg_addr.to_owned() };
        Client::open(&addresses, options, None)
    }

    /// A client with a server of its own in memory, for tests of programs that use events: whatever it
    /// emits comes back to its own handlers, and reaches nobody else.
    ///
    /// # Errors
    /// [`Error::Engine`] if threads cannot be started.
    pub fn in_memory() -> Result<Client, Error> {
        let engine: Arc<dyn Engine> = Arc::new(memory::MemoryEngine::new());
        let addresses = Addresses { emit: "memory://emit".to_owned(), reg: "memory://reg".to_owned() };
        let server = Server::start_on(&engine, &addresses)?;
        Client::open(&addresses, ClientOptions::default().engine(engine), Some(server))
    }

    fn open(addresses: &Addresses, options: ClientOptions, server: Option<Server>) -> Result<Client, Error> {
        let engine = match &options.engine {
            Some(engine) => engine.clone(),
            None => engine::of(addresses)?,
        };
        let (uplink, downlink) = engine.connect(addresses)?;
        let id = random_id();
        let shared = Shared::new(id, options, uplink, downlink.waker());
        let reader = Box::new(downlink::Reader::new(shared.clone(), downlink));
        let downlink = spawn("events-downlink", {
            let shared = shared.clone();
            move || handlers::work(&shared, Some(reader))
        })?;
        *lock(&shared.reader) = Some(downlink.thread().clone());
        let uplink = spawn("events-uplink", {
            let shared = shared.clone();
            move || shared.outbox.run()
        })?;
        let handlers = spawn("events-handlers", {
            let shared = shared.clone();
            move || handlers::work(&shared, None)
        })?;
        let threads = Mutex::new(vec![downlink, uplink, handlers]);
        let client = Client { handle: Arc::new(Handle { shared, threads, server }) };
        exit::has_client(&client, Place::new(&engine, addresses));
        Ok(client)
    }

    /// Waits until the server has everything, and leaves it to a flush to say what else there is to say.
    pub(crate) fn hand_over(&self, limit: Duration) -> Result<(), Error> {
        self.shared().hand_over(limit)
    }

    /// Ends as far as the last moments of a process need it: what was emitted is handed over, nothing more is taken. The limit
    /// is the one of dropping it, from when the exit `began`.
    pub(crate) fn end_at_exit(&self, began: Instant) -> Result<(), Error> {
        let limit = self.shared().options.drop_limit;
        self.handle.end(limit.saturating_sub(began.elapsed()))
    }

    fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    /// A handle that does not keep the client open. A handler that emits holds one of these, since a clone inside it would keep its
    /// client open until somebody calls [`close`](Client::close).
    #[must_use]
    pub fn downgrade(&self) -> WeakClient {
        WeakClient { handle: Arc::downgrade(&self.handle) }
    }

    /// The id of this client as a publisher: random, and the same in all events it emits.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.shared().id
    }

    /// Emits an event. Waits for room up to the client's limit; what it accepts is delivered or, if the
    /// client must give up on it, counted.
    ///
    /// # Errors
    /// [`Error::Backpressure`] if there was no room, [`Error::Put`] or [`Error::TooLarge`] if the payload
    /// cannot be sent, [`Error::Closed`], [`Error::Forked`]. In each case nothing was emitted.
    pub fn emit<E: Event>(&self, event: E) -> Result<(), Error> {
        self.shared().emit(&event, Wait::ForRoom)
    }

    /// Emits an event if there is room at once.
    ///
    /// # Errors
    /// As [`emit`](Client::emit), which see.
    pub fn try_emit<E: Event>(&self, event: E) -> Result<(), Error> {
        self.shared().emit(&event, Wait::Never)
    }

    /// Emits an event whose type is known only at run time: its payload is MessagePack already.
    ///
    /// # Errors
    /// As [`emit`](Client::emit), which see; [`Error::Name`]; [`Error::Put`] also if the payload is not exactly one
    /// MessagePack array.
    pub fn emit_raw(&self, kind: Kind<'_>, payload: &[u8]) -> Result<(), Error> {
        self.shared().emit_with(&kind, Wait::ForRoom, &mut |out| {
            if !is_one_array(payload) {
                return Err(PutErrorKind::Raw.into());
            }
            out.extend_from_slice(payload);
            Ok(())
        })
    }

    /// Calls `handler` for each event `E` from now on. Returns when the server has the subscription, so
    /// that an event emitted after that, by anyone, arrives; at once if no server is there yet, and
    /// inside a handler: the registration is then pending and becomes active by itself. So it is when the server does
    /// not answer within [`register_limit`](ClientOptions::register_limit).
    ///
    /// # Errors
    /// [`Error::MayNotRegister`] if the server says that this client's key may not, [`Error::Closed`].
    pub fn register<E: Receive>(
        &self,
        handler: impl FnMut(&Received<E>) + Send + 'static,
    ) -> Result<Registration, Error> {
        self.on::<E>().handle(handler)
    }

    /// Begins a registration with a uid, for one event only, or in place of another.
    pub fn on<E: Receive>(&self) -> On<'_, E> {
        On::new(self.shared())
    }

    /// Calls `handler` for each event of the catalog `A`, and with its `Unknown` for each other event.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn register_any<A: Catalog>(
        &self,
        handler: impl FnMut(&Received<A>) + Send + 'static,
    ) -> Result<Registration, Error> {
        let shared = self.shared();
        shared.register(None, on::Choice::default(), |slot| Addition::any::<A>(slot, Box::new(handler)))
    }

    /// Calls `handler` for the event `name` (`None`: for all events) with the payload as it came.
    ///
    /// # Errors
    /// [`Error::Name`]; otherwise as [`register`](Client::register).
    pub fn register_raw(
        &self,
        name: Option<&str>,
        handler: impl FnMut(&Received<RawEvent>) + Send + 'static,
    ) -> Result<Registration, Error> {
        let shared = self.shared();
        if let Some(name) = name.filter(|name| !frame::is_name(name)) {
            return Err(Error::Name { name: name.to_owned() });
        }
        shared.register(name, on::Choice::default(), |slot| Addition::raw(slot, Box::new(handler)))
    }

    /// Takes all handlers of the event `E` back.
    pub fn unregister<E: Receive>(&self) {
        self.shared().unregister_where(|slot| slot.event() == Some(E::INFO.name));
    }

    /// Takes the handler of `E` with this uid back. Returns whether there was one.
    pub fn unregister_uid<E: Receive>(&self, uid: &str) -> bool {
        self.shared().unregister_where(|slot| slot.event() == Some(E::INFO.name) && slot.uid() == uid)
    }

    /// The events `E` as a stream, or one after the other: see [`Subscription`].
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn subscribe<E: Receive + Send>(&self) -> Result<Subscription<E>, Error> {
        Subscription::open(self)
    }

    /// Calls `handler` with what was missed, as soon as it is known.
    pub fn on_gap(&self, handler: impl FnMut(&Lagged) + Send + 'static) {
        self.shared().inbox.push(Item::Watch(Watch::Gap(Box::new(handler))));
    }

    /// Calls `handler` with what went wrong: records that cannot be read, other shapes, other protocols,
    /// handlers that panicked.
    pub fn on_problem(&self, handler: impl FnMut(&Error) + Send + 'static) {
        self.shared().inbox.push(Item::Watch(Watch::Problem(Box::new(handler))));
    }

    /// Calls `handler` when the connection to the server comes, breaks and comes back.
    pub fn on_connection(&self, handler: impl FnMut(Connection) + Send + 'static) {
        self.shared().inbox.push(Item::Watch(Watch::Connection(Box::new(handler))));
    }

    /// Waits until the server has taken everything emitted before, at most `limit`.
    ///
    /// # Errors
    /// [`Error::NotFlushed`] with the number of events the server has not acknowledged. They stay
    /// queued. [`Error::MayNotEmit`] if it dropped one since the last time, because this client's key may not emit
    /// it; of the same event that is told at most once a second.
    pub fn flush(&self, limit: Duration) -> Result<(), Error> {
        self.shared().flush(limit)
    }

    /// Flushes, at most `limit`, and ends this client and all its clones. Whoever emits meanwhile gets [`Error::Closed`].
    ///
    /// # Errors
    /// [`Error::NotFlushed`] with the number of events that may be lost; [`Error::MayNotEmit`] as
    /// [`flush`](Client::flush).
    pub fn close(&self, limit: Duration) -> Result<(), Error> {
        self.handle.close(limit)
    }

    /// Turns the mechanism off or on. While it is off, `emit` does nothing and handlers are not called.
    pub fn set_enabled(&self, enabled: bool) {
        self.shared().enabled.store(enabled, Ordering::Relaxed);
    }

    /// Why no connection to the server comes about, if that is for more than nobody being there. Known within a second or
    /// two, and until a server greets.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.shared().trouble()
    }

    /// Counted since the client was made.
    #[must_use]
    pub fn stats(&self) -> ClientStats {
        self.shared().counters.read(&self.shared().outbox.counts())
    }
}

/// Whether `payload` is one record and nothing else.
fn is_one_array(payload: &[u8]) -> bool {
    let mut reader = Reader::new(payload);
    reader.array().is_ok() && {
        let mut whole = Reader::new(payload);
        whole.skip().is_ok() && whole.is_empty()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("id", &format_args!("{:016x}", self.id())).finish_non_exhaustive()
    }
}

impl Handle {
    fn close(&self, limit: Duration) -> Result<(), Error> {
        if self.shared.is_inherited() {
            return Err(Error::Forked);
        }
        let flushed = self.end(limit);
        let threads = std::mem::take(&mut *lock(&self.threads));
        for thread in threads {
            // A handler that never returns must not keep its client from closing, nor one that closes it.
            if thread.thread().id() != std::thread::current().id() && join_soon(&thread) {
                let _ = thread.join();
            }
        }
        if let Some(server) = &self.server {
            server.stop(Duration::ZERO);
        }
        flushed
    }

    /// Flushes, and tells the threads to end.
    fn end(&self, limit: Duration) -> Result<(), Error> {
        if self.shared.is_closed() {
            return Ok(());
        }
        let flushed = self.shared.flush_last(limit);
        if !self.shared.closed.swap(true, Ordering::AcqRel) {
            self.shared.outbox.end();
            self.shared.inbox.close();
            self.shared.command(Command::Close);
            self.shared.link_changed(Link::Closed);
        }
        flushed
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.shared.is_inherited() {
            // The threads are the parent's, and so is what they work with.
            std::mem::forget(std::mem::take(self.threads.get_mut().unwrap_or_else(PoisonError::into_inner)));
            return;
        }
        let limit = self.shared.options.drop_limit;
        if let Err(error) = self.close(limit) {
            tracing::warn!(error = &error as &dyn std::error::Error, "the client ends");
        }
    }
}

/// Waits a moment for a thread to end. Returns whether it did.
fn join_soon(thread: &JoinHandle<()>) -> bool {
    let until = Instant::now() + Duration::from_millis(500);
    while !thread.is_finished() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    thread.is_finished()
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map_err(|source| {
        Error::Engine(engine::EngineError::Io { action: format!("starting the thread `{name}`"), source })
    })
}
