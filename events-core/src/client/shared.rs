//! What the threads of a client share, and what each may do with it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread::Thread;
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use super::handlers::Handlers;
use super::inbox::{Inbox, Item};
use super::outbox::Outbox;
use super::{ClientOptions, handlers, on};
use crate::control::Denied;
use crate::counters::{Counters, Limiter};
use crate::delivery::publisher::{Kind, Put};
use crate::delivery::subscriber::Interest;
use crate::dispatch::{Addition, Shape};
use crate::engine::{Trouble, Uplink, Waker};
use crate::error::Error;
use crate::event::Event;
use crate::lock;
use crate::process::Birth;
use crate::registration::{Registration, Slot};

/// What an emit does without room.
#[derive(Clone, Copy)]
pub(super) enum Wait {
    ForRoom,
    Never,
}

/// What the downlink thread is asked to do.
pub(super) enum Command {
    Register {
        addition: Addition,
        interest: Interest,
    },
    /// A handler takes the place of another. Only the thread that activates registrations can tell
    /// whether the old one is active at that moment.
    Replace {
        old: Arc<Slot>,
        addition: Addition,
        interest: Interest,
    },
    Unregister {
        id: u64,
    },
    AskShape(u64),
    Close,
}

/// Where the connection to the server stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Link {
    /// It may come any moment.
    #[default]
    Trying,
    /// Nobody listens there.
    Unreachable,
    Up,
    Lost,
    Closed,
}

/// All that the threads of a client share.
pub(crate) struct Shared {
    pub(super) this: Weak<Shared>,
    pub(super) id: u64,
    made: Birth,
    pub(super) outbox: Outbox,
    pub(super) inbox: Inbox,
    /// Nobody has them while some thread calls them.
    pub(super) handlers: Mutex<Option<Box<Handlers>>>,
    pub(super) commands: Mutex<Vec<Command>>,
    pub(super) waker: Waker,
    pub(super) reader: Mutex<Option<Thread>>,
    pub(super) registry: Mutex<Registry>,
    /// Why there is no connection, as far as that is known.
    pub(super) trouble: Mutex<Option<Trouble>>,
    /// What the server said that this client may not emit, and nobody was told who waited for it.
    pub(super) may_not_emit: Mutex<Option<String>>,
    /// A registration stands, or the link changed.
    pub(super) changed: Condvar,
    pub(super) shapes: Mutex<FxHashMap<u64, Option<String>>>,
    pub(super) shape_came: Condvar,
    pub(super) enabled: AtomicBool,
    pub(super) closed: AtomicBool,
    /// The downlink thread waits for the handlers to make room.
    pub(super) starving: AtomicBool,
    /// A handler waits for the server: more may be read meanwhile.
    pub(super) handler_waits: AtomicBool,
    /// A handler has waited for room of late, and there may be none yet.
    pub(super) short: AtomicBool,
    /// The registration whose handler was called last.
    pub(super) current: AtomicU64,
    pub(super) counters: Counters,
    pub(super) limiter: Limiter,
    pub(super) options: ClientOptions,
}

/// The registrations of a client.
#[derive(Default)]
pub(super) struct Registry {
    pub(super) slots: FxHashMap<u64, Arc<Slot>>,
    pub(super) next: u64,
    pub(super) link: Link,
    /// Events that the present server does not hand on to this client; `*` for all.
    refused: FxHashSet<String>,
}

/// How much more is read while a handler waits for the server. Others hold back as soon as it begins to be used, so it
/// has to take what is on its way then: a queue of 8 MiB from each of them, and some 20 MiB more.
const RESERVE: usize = 32;
/// How many of them are remembered.
const REFUSED: usize = 4096;
/// How many answers wait for whoever asks for them again.
const LATE_SHAPES: usize = 16;

impl Shared {
    pub(super) fn new(id: u64, options: ClientOptions, uplink: Box<dyn Uplink>, waker: Waker) -> Arc<Shared> {
        Arc::new_cyclic(|this: &Weak<Shared>| Shared {
            this: this.clone(),
            id,
            made: Birth::now(),
            outbox: Outbox::new(id, options.limits, uplink),
            inbox: Inbox::default(),
            handlers: Mutex::default(),
            commands: Mutex::default(),
            waker,
            reader: Mutex::new(None),
            registry: Mutex::default(),
            trouble: Mutex::default(),
            may_not_emit: Mutex::default(),
            changed: Condvar::new(),
            shapes: Mutex::default(),
            shape_came: Condvar::new(),
            enabled: AtomicBool::new(true),
            closed: AtomicBool::new(false),
            starving: AtomicBool::new(false),
            handler_waits: AtomicBool::new(false),
            short: AtomicBool::new(false),
            current: AtomicU64::new(0),
            counters: Counters::default(),
            limiter: Limiter::default(),
            options,
        })
    }

    #[inline]
    pub(super) fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }

    /// Whether this is the copy of a forked child: nobody reads and sends here, and whoever held a lock is not here either.
    #[inline]
    pub(super) fn is_inherited(&self) -> bool {
        self.made.is_inherited()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn emit<E: Event>(&self, event: &E, wait: Wait) -> Result<(), Error> {
        let info = E::INFO;
        let shape = || info.shape_text();
        let kind = Kind { name: info.name, fingerprint: info.fingerprint, retain: info.retain, shape: &shape };
        self.emit_with(&kind, wait, &mut |out| event.put(out))
    }

    #[inline]
    pub(super) fn emit_with(&self, kind: &Kind<'_>, wait: Wait, put: Put<'_>) -> Result<(), Error> {
        if !self.is_enabled() {
            return Ok(());
        }
        if self.is_inherited() {
            return Err(Error::Forked);
        }
        if self.outbox.emit(kind, handlers::is_handler(), put)? {
            return Ok(());
        }
        self.emit_with_room(kind, wait, put)
    }

    #[cold]
    fn emit_with_room(&self, kind: &Kind<'_>, wait: Wait, put: Put<'_>) -> Result<(), Error> {
        let ClientOptions { emit_limit, limits, .. } = &self.options;
        let in_handler = handlers::is_handler();
        let emitted = match wait {
            Wait::Never => self.outbox.emit_within(Duration::ZERO, kind, in_handler, put),
            Wait::ForRoom if in_handler => {
                let limit = Duration::from_micros(limits.stall / 4).min(*emit_limit);
                if !self.short.swap(true, Ordering::AcqRel) {
                    self.wake_reader();
                }
                self.waiting(|shared| shared.outbox.emit_within(limit, kind, true, put))
            }
            Wait::ForRoom => self.outbox.emit_within(*emit_limit, kind, false, put),
        };
        emitted.map_err(|error| self.explained(error))
    }

    /// The error, with what is known of the connection that it comes from.
    fn explained(&self, mut error: Error) -> Error {
        if let Error::Backpressure { trouble, .. } | Error::NotFlushed { trouble, .. } = &mut error {
            *trouble = self.trouble();
        }
        error
    }

    pub(super) fn trouble(&self) -> Option<Trouble> {
        *lock(&self.trouble)
    }

    /// Runs what waits for the server. If that is a handler, more is read meanwhile: the server's word
    /// may stand behind events.
    pub(super) fn waiting<T>(&self, wait: impl FnOnce(&Shared) -> T) -> T {
        if !handlers::is_handler_of(self.id) {
            return wait(self);
        }
        // Whoever reads need not be woken: without room it looks again soon enough. But somebody must read.
        self.inbox.read_on();
        self.handler_waits.store(true, Ordering::Release);
        let result = wait(self);
        self.handler_waits.store(false, Ordering::Release);
        result
    }

    pub(super) fn inbox_limit(&self) -> usize {
        if self.handler_waits.load(Ordering::Acquire) { self.options.inbox * RESERVE } else { self.options.inbox }
    }

    pub(super) fn command(&self, command: Command) {
        lock(&self.commands).push(command);
        self.wake_reader();
    }

    pub(super) fn wake_reader(&self) {
        self.waker.wake();
        if let Some(reader) = &*lock(&self.reader) {
            reader.unpark();
        }
    }

    pub(super) fn take_commands(&self) -> Vec<Command> {
        std::mem::take(&mut *lock(&self.commands))
    }

    pub(super) fn set_starving(&self, starving: bool) {
        self.starving.store(starving, Ordering::Release);
    }

    /// The handler thread has `left` bytes to do.
    pub(super) fn made_room(&self, left: usize) {
        if self.starving.load(Ordering::Acquire)
            && left < self.options.inbox / 2
            && self.starving.swap(false, Ordering::AcqRel)
            && let Some(reader) = &*lock(&self.reader)
        {
            reader.unpark();
        }
    }

    pub(super) fn link_changed(&self, link: Link) {
        let mut registry = lock(&self.registry);
        if registry.link != Link::Closed {
            registry.link = link;
        }
        drop(registry);
        self.changed.notify_all();
    }

    /// The server has the subscription of this registration.
    pub(super) fn stands(&self, id: u64) {
        if let Some(slot) = lock(&self.registry).slots.get(&id) {
            slot.set_stands();
        }
        self.changed.notify_all();
    }

    pub(super) fn register(
        &self,
        event: Option<&str>,
        choice: on::Choice,
        addition: impl FnOnce(Arc<Slot>) -> Addition,
    ) -> Result<Registration, Error> {
        if self.is_inherited() {
            return Err(Error::Forked);
        }
        if self.is_closed() {
            return Err(Error::Closed);
        }
        let mut registry = lock(&self.registry);
        registry.next += 1;
        let id = registry.next;
        let uid = choice.uid.unwrap_or_else(|| format!("handler-{id}"));
        let old = registry.slots.values().find(|slot| slot.event() == event && slot.uid() == uid).cloned();
        if old.is_some() && !choice.replace {
            return Err(Error::AlreadyRegistered { event: event.unwrap_or("every event").to_owned(), uid });
        }
        let slot = Arc::new(Slot::new(id, event, &uid, choice.once, self.this.clone()));
        slot.set_refused(registry.refused.contains(event.unwrap_or("*")));
        registry.slots.insert(id, slot.clone());
        if let Some(old) = &old {
            registry.slots.remove(&old.id());
        }
        drop(registry);
        let interest = event.map_or(Interest::Any, |name| Interest::Event(name.to_owned()));
        let addition = addition(slot.clone());
        self.command(match old {
            Some(old) => Command::Replace { old, addition, interest },
            None => Command::Register { addition, interest },
        });
        self.wait_for_server(&slot);
        if slot.is_refused() {
            self.unregister(&slot);
            return Err(Error::MayNotRegister { event: event.unwrap_or("*").to_owned() });
        }
        Ok(Registration::new(slot))
    }

    /// The server says what this client may not do.
    pub(super) fn denied(&self, denied: Denied) {
        if denied.emitted {
            *lock(&self.may_not_emit) = Some(denied.event.clone());
        } else {
            let mut registry = lock(&self.registry);
            let meant = registry.slots.values().filter(|slot| slot.event().unwrap_or("*") == denied.event);
            meant.for_each(|slot| slot.set_refused(true));
            if registry.refused.len() < REFUSED {
                registry.refused.insert(denied.event.clone());
            }
        }
        self.inbox.push(Item::Denied(denied));
    }

    /// Another connection: what may not be done is told anew.
    pub(super) fn nothing_denied(&self) {
        *lock(&self.trouble) = None;
        let mut registry = lock(&self.registry);
        registry.refused.clear();
        registry.slots.values().for_each(|slot| slot.set_refused(false));
    }

    /// Waits until the server has taken everything emitted before, and says if it dropped something of it.
    pub(super) fn flush(&self, limit: Duration) -> Result<(), Error> {
        if self.is_inherited() {
            return Err(Error::Forked);
        }
        self.hand_over(limit)?;
        lock(&self.may_not_emit).take().map_or(Ok(()), |event| Err(Error::MayNotEmit { event }))
    }

    /// Waits until the server has taken everything emitted before.
    pub(super) fn hand_over(&self, limit: Duration) -> Result<(), Error> {
        self.waiting(|shared| shared.outbox.flush(limit)).map_err(|error| self.explained(error))
    }

    /// As [`flush`](Shared::flush) for the last time: nothing is taken from now on.
    pub(super) fn flush_last(&self, limit: Duration) -> Result<(), Error> {
        self.outbox.close();
        self.flush(limit)
    }

    /// Waits for the server's word on a registration, if one is there or may be any moment.
    pub(super) fn wait_for_server(&self, slot: &Slot) {
        if handlers::is_handler_of(self.id) {
            return;
        }
        let limit = self.options.register_limit;
        let registry = lock(&self.registry);
        let _unused = self.changed.wait_timeout_while(registry, limit, |registry| {
            matches!(registry.link, Link::Trying | Link::Up) && !slot.stands() && !slot.is_cancelled()
        });
    }

    pub(crate) fn wait_active(&self, slot: &Slot, limit: Duration) -> bool {
        if self.is_inherited() {
            return false;
        }
        if !handlers::is_handler_of(self.id) {
            let registry = lock(&self.registry);
            let _unused = self.changed.wait_timeout_while(registry, limit, |registry| {
                registry.link != Link::Closed && !slot.stands() && !slot.is_cancelled()
            });
        }
        slot.is_sure()
    }

    pub(crate) fn unregister(&self, slot: &Slot) {
        if !self.is_inherited() && slot.cancel() {
            lock(&self.registry).slots.remove(&slot.id());
            self.inbox.push(Item::Sweep);
            self.command(Command::Unregister { id: slot.id() });
        }
    }

    pub(super) fn unregister_where(&self, meant: impl Fn(&Slot) -> bool) -> bool {
        if self.is_inherited() {
            return false;
        }
        let slots: Vec<_> = lock(&self.registry).slots.values().filter(|slot| meant(slot)).cloned().collect();
        for slot in &slots {
            self.unregister(slot);
        }
        !slots.is_empty()
    }

    /// The text of a shape, asked from the server.
    pub(super) fn ask_shape(&self, fingerprint: u64) -> Shape {
        if !lock(&self.shapes).contains_key(&fingerprint) {
            self.command(Command::AskShape(fingerprint));
        }
        self.waiting(|shared| {
            let shapes = lock(&shared.shapes);
            let limit = Duration::from_micros(shared.options.limits.stall / 2);
            let unknown = |shapes: &mut FxHashMap<_, _>| !shapes.contains_key(&fingerprint) && !shared.is_closed();
            let (mut shapes, _) = shared
                .shape_came
                .wait_timeout_while(shapes, limit, unknown)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            // Whoever asks keeps what follows from it, and not the text.
            match shapes.remove(&fingerprint) {
                Some(Some(text)) => Shape::Text(text),
                Some(None) => Shape::Unknown,
                None => Shape::NoAnswer,
            }
        })
    }

    pub(super) fn shape_known(&self, fingerprint: u64, shape: Option<String>) {
        let mut shapes = lock(&self.shapes);
        // Answers that came too late for whoever asked: he asks again.
        if shapes.len() >= LATE_SHAPES {
            shapes.clear();
        }
        shapes.insert(fingerprint, shape);
        drop(shapes);
        self.shape_came.notify_all();
    }

    pub(super) fn calls(&self, registration: u64) {
        self.current.store(registration, Ordering::Relaxed);
        self.inbox.moved();
        self.counters.handled();
    }

    pub(super) fn warn_of_slow_handler(&self, since: Duration) {
        let current = self.current.load(Ordering::Relaxed);
        let slot = lock(&self.registry).slots.get(&current).cloned();
        let (event, uid) = slot.as_ref().map_or(("?", "?"), |slot| (slot.event().unwrap_or("every event"), slot.uid()));
        tracing::warn!(event, uid, ?since, "a handler holds up the events behind it");
    }
}
