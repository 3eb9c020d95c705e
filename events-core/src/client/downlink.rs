//! Whoever owns a client's downlink: reads what the server sends, answers control messages, and hands the rest to the
//! handlers. It never waits for a handler longer than it may.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::inbox::Item;
use super::{Command, Link, Shared, WhenSlow};
use crate::control::Reached;
use crate::delivery::Now;
use crate::delivery::subscriber::{Action, Greeting, Step, Subscriber};
use crate::engine::{Arrival, Downlink, EngineError, Trouble};
use crate::error::{Connection, Error};
use crate::frame::bundle::views;
use crate::lock;

/// How long to sleep at most, so that lost acknowledgements are noticed.
const TICK: Duration = Duration::from_millis(500);
/// How many messages are taken in one go.
const AT_ONCE: usize = 128;
/// Handlers that take longer than this on average are slow if they do not keep up. Others are in a burst.
const SLOW: Duration = Duration::from_micros(100);
/// How often to warn of a slow handler at most.
const WARN_EVERY: Duration = Duration::from_secs(10);
/// How often to look for room while there is none and nobody says so.
const FULL_TICK: Duration = Duration::from_millis(50);

pub(super) struct Reader {
    shared: Arc<Shared>,
    link: Box<dyn Downlink>,
    subscriber: Subscriber,
    actions: VecDeque<Action>,
    began: Instant,
    next_tick: Instant,
    /// What was skipped and not told yet: publisher and event, next sequence.
    skipped: FxHashMap<(u64, String), u64>,
    handlers: Handlers,
    /// When the server last heard that the handlers move on though there is no room. Each frame that is handled makes room
    /// for a moment, and the server sees only a queue that stays full, since ZeroMQ opens it again when half of it is gone.
    told: Instant,
    /// The server was told that a handler waits for room.
    full: bool,
    /// Behind what was read last there was nothing more.
    emptied: bool,
    /// Between a greeting and the loss of that connection.
    connected: bool,
    /// Why there is no connection, as it was told last.
    trouble: Option<Trouble>,
    /// The client fell behind: frames are not queued until there is room for a replay.
    behind: bool,
}

/// Why somebody stopped reading.
pub(super) enum Ended {
    /// What was read is to be handled.
    ToHandle,
    /// The client is closed, or its connection of no use.
    Closed,
}

/// Whether handlers keep up with what comes.
struct Handlers {
    progress: usize,
    /// When they last moved on, or had nothing to do.
    moved: Instant,
    /// When there was last hardly anything to do, and how far they were then.
    kept_up: (Instant, usize),
    /// When the next warning may be given.
    warn_at: Instant,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, link: Box<dyn Downlink>) -> Reader {
        let mut actions = VecDeque::new();
        let subscriber = Subscriber::new(shared.id, shared.id, shared.options.limits, &mut actions);
        let now = Instant::now();
        Reader {
            shared,
            link,
            subscriber,
            actions,
            began: now,
            next_tick: now + TICK,
            skipped: FxHashMap::default(),
            handlers: Handlers { progress: 0, moved: now, kept_up: (now, 0), warn_at: now },
            told: now,
            full: false,
            emptied: false,
            connected: false,
            trouble: None,
            behind: false,
        }
    }

    /// Reads until the client is closed, or what was read is to be handled by this thread at once: then it is in
    /// `items`, and the inbox has the reader.
    pub(super) fn run(mut self: Box<Reader>, items: &mut VecDeque<Item>) -> Ended {
        *lock(&self.shared.reader) = Some(std::thread::current());
        let shared = self.shared.clone();
        loop {
            match self.read() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, "the connection to the server cannot be used any more");
                    break;
                }
            }
            match shared.inbox.handle_at_once(self, items) {
                Some(reader) => self = reader,
                None => return Ended::ToHandle,
            }
        }
        shared.link_changed(Link::Closed);
        Ended::Closed
    }

    /// Does what there is to do, and reads what is here or comes next. `false`: the client is closed.
    fn read(&mut self) -> Result<bool, EngineError> {
        self.perform()?;
        if !self.commands()? {
            return Ok(false);
        }
        let may_read = self.look_for_room()?;
        self.perform()?;
        self.shared.inbox.announce();
        if may_read {
            if let Some(arrival) = self.link.receive(self.patience())? {
                self.arrived(arrival)?;
            }
        } else {
            std::thread::park_timeout(FULL_TICK);
        }
        self.tick();
        Ok(true)
    }

    /// Takes an arrival, and what is here behind it: looking at the clock, at commands and for room takes longer
    /// than a message.
    fn arrived(&mut self, first: Arrival) -> Result<(), EngineError> {
        let (now, limit) = (self.now(), self.shared.inbox_limit());
        self.emptied = false;
        let mut next = first;
        for _ in 1..AT_ONCE {
            self.arrival(next, now)?;
            if self.shared.inbox.bytes() >= limit {
                return Ok(());
            }
            match self.link.at_hand()? {
                Some(arrival) => next = arrival,
                None => {
                    self.emptied = true;
                    return Ok(());
                }
            }
        }
        self.arrival(next, now)
    }

    /// Whether there was nothing behind what was read last.
    pub(super) fn has_emptied(&self) -> bool {
        self.emptied
    }

    fn arrival(&mut self, arrival: Arrival, now: Now) -> Result<(), EngineError> {
        match arrival {
            Arrival::Message { head, body } => self.subscriber.message(head, body, now, &mut self.actions),
            Arrival::Disconnected => {
                self.subscriber.disconnected();
                self.shared.outbox.pause();
                self.lost();
            }
            Arrival::Unreachable => self.shared.link_changed(Link::Unreachable),
        }
        self.perform()
    }

    /// The connection is lost. A server that leaves says so, and then its connection ends: that is told once.
    fn lost(&mut self) {
        self.shared.link_changed(Link::Lost);
        if std::mem::take(&mut self.connected) {
            self.shared.inbox.push(Item::Connection(Connection::Reconnecting));
        }
    }

    fn now(&self) -> Now {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn patience(&self) -> Duration {
        let until_tick = self.next_tick.saturating_duration_since(Instant::now());
        let due = self.subscriber.deadline().map(|due| Duration::from_micros(due.saturating_sub(self.now())));
        due.unwrap_or(until_tick).min(until_tick)
    }

    fn tick(&mut self) {
        let now = self.now();
        if self.subscriber.deadline().is_some_and(|due| due <= now) {
            self.subscriber.tick(now, &mut self.actions);
        }
        if Instant::now() >= self.next_tick {
            self.next_tick = Instant::now() + TICK;
            self.shared.outbox.tick();
            let trouble = self.link.trouble();
            if std::mem::replace(&mut self.trouble, trouble) != trouble
                && let Some(trouble) = trouble
            {
                self.shared.link_changed(Link::Unreachable);
                *lock(&self.shared.trouble) = Some(trouble);
                self.shared.inbox.push(Item::Trouble(trouble));
            }
        }
    }

    /// Does what the state machine asks for.
    fn perform(&mut self) -> Result<(), EngineError> {
        while let Some(action) = self.actions.pop_front() {
            match action {
                Action::Subscribe(topic) => self.link.subscribe(&topic)?,
                Action::Unsubscribe(topic) => self.link.unsubscribe(&topic)?,
                Action::Send(message) => self.shared.outbox.control(&message),
                Action::Step(step) => self.step(step),
                Action::Hold(on) => self.shared.outbox.hold(on),
                Action::Denied(denied) => self.shared.denied(denied),
                Action::Acked(acked) => self.shared.outbox.acked(acked),
                Action::Greeted { greeting, epoch } => {
                    self.shared.nothing_denied();
                    self.shared.outbox.greeted(greeting, epoch);
                    self.shared.link_changed(Link::Up);
                    self.connected = true;
                    let change = match greeting {
                        Greeting::First => Connection::Connected,
                        Greeting::Same | Greeting::New => Connection::Reconnected,
                    };
                    self.shared.inbox.push(Item::Connection(change));
                }
                Action::Shape(fingerprint, shape) => self.shared.shape_known(fingerprint, shape),
                Action::Pause => self.shared.outbox.pause(),
                Action::Bye => {
                    self.shared.outbox.pause();
                    self.lost();
                }
            }
        }
        Ok(())
    }

    fn step(&mut self, step: Step) {
        let active = match &step {
            Step::Activate { registration, .. } => Some(*registration),
            _ => None,
        };
        if let Step::Frame(frame) | Step::Replayed { frame, .. } = &step
            && self.shared.options.when_slow == WhenSlow::Skip
            && self.shared.inbox.bytes() >= self.shared.inbox_limit()
        {
            for view in views(frame) {
                let next = view.header.sequence.saturating_add(view.count());
                self.skipped.insert((view.header.publisher, view.name().to_owned()), next);
            }
            return;
        }
        // While handlers do not move on, what is no event is counted and not kept for them.
        if self.shared.inbox.bytes() >= self.shared.inbox_limit() {
            let problem = match &step {
                Step::Foreign(_) => Some(Error::Foreign { event: String::new() }),
                Step::Malformed => Some(Error::Malformed),
                _ => None,
            };
            if let Some(problem) = problem {
                return self.shared.counters.problem(&problem);
            }
        }
        self.tell_skipped();
        self.shared.inbox.queue(Item::Step(step));
        // Not before: whoever is told now may replace the handler, and the new one takes over what the
        // old one is by then.
        if let Some(registration) = active {
            self.shared.stands(registration);
        }
    }

    /// Queues what was skipped, so that it is counted in its place.
    fn tell_skipped(&mut self) {
        if !self.skipped.is_empty() {
            let reached = |((publisher, event), next)| Reached { publisher, event, base: 0, next };
            let skipped = self.skipped.drain().map(reached).collect();
            self.shared.inbox.push(Item::Step(Step::Reached(skipped)));
        }
    }

    /// Whether to read on. Without room the server is told as long as the handlers move on; when they do
    /// not, the client falls behind: it reads on so that it holds nobody up, and fetches later what it
    /// could not keep.
    fn look_for_room(&mut self) -> Result<bool, EngineError> {
        let (bytes, limit) = (self.shared.inbox.bytes(), self.shared.inbox_limit());
        let (now, at) = (self.now(), Instant::now());
        self.watch_handlers(bytes, limit, at);
        self.say_whether_full(bytes, limit, at);
        if self.shared.options.when_slow == WhenSlow::Skip {
            if bytes < limit / 2 {
                self.tell_skipped();
            }
            return Ok(true);
        }
        if self.behind {
            if bytes < limit / 2 {
                self.behind = false;
                self.subscriber.hold(false, now, &mut self.actions);
            } else {
                self.subscriber.fall_behind(now, &mut self.actions);
            }
            return Ok(true);
        }
        self.shared.set_starving(bytes >= limit);
        if bytes < limit {
            return Ok(true);
        }
        self.say_that_it_lives(at);
        if at.duration_since(self.handlers.moved) >= self.stall() / 4 * 3 {
            self.behind = true;
            self.subscriber.fall_behind(now, &mut self.actions);
            return Ok(true);
        }
        // Another server keeps what this client lacks only for so long: its greeting must not wait for handlers. It
        // comes behind what the connection before has brought, which its queues bound.
        Ok(self.subscriber.ignores_frames() || self.link.is_ending()?)
    }

    /// Tells the server when a handler has to wait for room, and when there is room again: while it waits, others hold
    /// back.
    fn say_whether_full(&mut self, bytes: usize, limit: usize, at: Instant) {
        // A handler that waits for something else, a flush say, uses up the reserve as well.
        let room = self.shared.options.inbox;
        let short = self.shared.short.load(Ordering::Acquire) || (bytes >= room && limit > room);
        if self.full {
            let ease = bytes < room / 2 && self.shared.outbox.has_much_room();
            if ease {
                self.shared.short.store(false, Ordering::Release);
                self.full = false;
                self.subscriber.full(false, &mut self.actions);
            } else {
                self.say_that_it_lives(at);
            }
        } else if short {
            (self.full, self.told) = (true, at);
            self.subscriber.full(true, &mut self.actions);
        }
    }

    fn say_that_it_lives(&mut self, at: Instant) {
        let stall = self.stall();
        if at.duration_since(self.told) >= stall / 4 && at.duration_since(self.handlers.moved) < stall / 2 {
            self.told = at;
            self.subscriber.alive(&mut self.actions);
        }
    }

    fn stall(&self) -> Duration {
        Duration::from_micros(self.shared.options.limits.stall)
    }

    /// Warns of a handler that does not come back, and of one that is slower than what comes.
    fn watch_handlers(&mut self, bytes: usize, limit: usize, at: Instant) {
        let (progress, stall) = (self.shared.inbox.progress(), self.stall());
        let handlers = &mut self.handlers;
        if handlers.progress != progress || bytes == 0 {
            (handlers.progress, handlers.moved) = (progress, at);
        }
        if bytes < limit / 8 {
            handlers.kept_up = (at, progress);
        }
        let (since, before) = handlers.kept_up;
        let (rest, pressed) = (at.duration_since(handlers.moved), at.duration_since(since));
        let calls = u32::try_from(progress.wrapping_sub(before)).unwrap_or(u32::MAX);
        let slow = pressed >= stall && pressed >= SLOW.saturating_mul(calls);
        if (slow || rest >= if bytes >= limit { stall / 4 } else { stall }) && at >= handlers.warn_at {
            handlers.warn_at = at + WARN_EVERY;
            self.shared.warn_of_slow_handler(rest.max(pressed));
        }
    }

    /// Does what other threads ask for. `false`: the client is closed.
    fn commands(&mut self) -> Result<bool, EngineError> {
        let now = self.now();
        for command in self.shared.take_commands() {
            match command {
                Command::Register { addition, interest } => {
                    let id = addition.slot.id();
                    self.shared.inbox.push(Item::Add { addition, replaces: None, active: false });
                    self.subscriber.register(id, interest, now, &mut self.actions);
                }
                Command::Replace { old, addition, interest } => {
                    let (before, id) = (old.id(), addition.slot.id());
                    let verdict = self.subscriber.replace(before, id);
                    let active = verdict == Some(true);
                    self.shared.inbox.push(Item::Add { addition, replaces: Some(old), active });
                    match verdict {
                        Some(true) => self.shared.stands(id),
                        Some(false) => {}
                        // It was taken back meanwhile.
                        None => self.subscriber.register(id, interest, now, &mut self.actions),
                    }
                }
                Command::Unregister { id } => self.subscriber.unregister(id, now, &mut self.actions),
                Command::AskShape(fingerprint) => self.subscriber.ask_shape(fingerprint, now, &mut self.actions),
                Command::Close => return Ok(false),
            }
        }
        self.perform()?;
        Ok(true)
    }
}
