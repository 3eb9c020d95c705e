//! The threads of a client that read and call handlers: what is in the inbox, in order, one after the other.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::Shared;
use super::downlink::{Ended, Reader};
use super::inbox::{Inbox, Item, Taken, Watch};
use crate::control::Denied;
use crate::delivery::subscriber::Step;
use crate::dispatch::{Around, Dispatcher, Shape};
use crate::error::{Connection, Error, Lagged};
use crate::lock;
use crate::registration::Slot;

thread_local! {
    /// The client whose handlers run on this thread; 0 if it is no handler thread.
    static HANDLING: Cell<u64> = const { Cell::new(0) };
}

/// Whether the caller is a handler of the client.
pub(super) fn is_handler_of(client: u64) -> bool {
    HANDLING.get() == client
}

/// Whether the caller is a handler of any client.
#[inline]
pub(super) fn is_handler() -> bool {
    HANDLING.get() != 0
}

/// What is known of the handlers. Only one thread at a time has it, and holds no lock meanwhile.
#[derive(Default)]
pub(super) struct Handlers {
    dispatcher: Dispatcher,
    watchers: Watchers,
}

/// Reads, or calls handlers, until the client is closed; begins with reading if a reader is given.
pub(super) fn work(shared: &Arc<Shared>, reader: Option<Box<Reader>>) {
    take_turns(shared, reader);
    // Whoever waits for a handler to be dropped, as a subscription does, waits for this.
    if shared.is_closed() {
        let handlers = lock(&shared.handlers).take();
        drop(handlers);
    }
}

fn take_turns(shared: &Arc<Shared>, mut reader: Option<Box<Reader>>) {
    let mut items = VecDeque::new();
    loop {
        reader = match reader {
            Some(reader) => match reader.run(&mut items) {
                Ended::Closed => return,
                Ended::ToHandle => {
                    handle_all(shared, &mut items);
                    shared.inbox.take_back()
                }
            },
            None => match shared.inbox.take(&mut items) {
                Taken::Closed => return,
                Taken::Reader(reader) => Some(reader),
                Taken::Items => {
                    handle_all(shared, &mut items);
                    None
                }
            },
        }
    }
}

fn handle_all(shared: &Arc<Shared>, items: &mut VecDeque<Item>) {
    let mut handlers = lock(&shared.handlers).take().unwrap_or_default();
    HANDLING.set(shared.id);
    let mut around = Surroundings { shared, watchers: &mut handlers.watchers };
    for item in items.drain(..) {
        if shared.is_closed() {
            break;
        }
        let size = Inbox::size_of(&item);
        let handled = AssertUnwindSafe(|| handle(item, &mut handlers.dispatcher, &mut around));
        if catch_unwind(handled).is_err() {
            tracing::error!("a handler panicked while it was dropped");
        }
        let left = shared.inbox.handled(size);
        shared.made_room(left);
    }
    HANDLING.set(0);
    *lock(&shared.handlers) = Some(handlers);
}

fn handle(item: Item, dispatcher: &mut Dispatcher, around: &mut Surroundings<'_>) {
    match item {
        // While the mechanism is off, events pass by unseen, which is no loss.
        Item::Step(Step::Frame(frame) | Step::Replayed { frame, .. }) if !around.shared.is_enabled() => {
            dispatcher.step(Step::Had(frame), around);
        }
        Item::Step(Step::Retained(_)) if !around.shared.is_enabled() => {}
        Item::Step(step) => dispatcher.step(step, around),
        Item::Add { addition, replaces, active } => {
            if let Some(old) = replaces {
                // Not whether the old one is active by now: one for a single event may just have had it.
                addition.slot.follow(&old, active);
                old.cancel();
                dispatcher.add(addition);
                dispatcher.sweep();
            } else if !addition.slot.is_cancelled() {
                dispatcher.add(addition);
            }
        }
        Item::Sweep => dispatcher.sweep(),
        Item::Trouble(trouble) => around.problem(Error::NoConnection(trouble)),
        Item::Denied(Denied { emitted: true, event }) => around.problem(Error::MayNotEmit { event }),
        Item::Denied(Denied { emitted: false, event }) => around.problem(Error::MayNotRegister { event }),
        Item::Connection(change) => around.connection(change),
        Item::Watch(Watch::Gap(handler)) => around.watchers.gap.push(handler),
        Item::Watch(Watch::Problem(handler)) => around.watchers.problem.push(handler),
        Item::Watch(Watch::Connection(handler)) => around.watchers.connection.push(handler),
    }
}

/// Handlers of what is no event.
#[derive(Default)]
struct Watchers {
    gap: Vec<Box<dyn FnMut(&Lagged) + Send>>,
    problem: Vec<Box<dyn FnMut(&Error) + Send>>,
    connection: Vec<Box<dyn FnMut(Connection) + Send>>,
}

struct Surroundings<'a> {
    shared: &'a Arc<Shared>,
    watchers: &'a mut Watchers,
}

impl Surroundings<'_> {
    fn connection(&mut self, change: Connection) {
        tracing::debug!(?change, "the connection to the server");
        call_all(&mut self.watchers.connection, |handler| handler(change));
    }
}

impl Around for Surroundings<'_> {
    fn shape(&mut self, fingerprint: u64) -> Shape {
        self.shared.ask_shape(fingerprint)
    }

    fn lagged(&mut self, lagged: Lagged) {
        self.shared.counters.missed(lagged.missed);
        if self.shared.limiter.allow() {
            let Lagged { event, publisher, missed } = &lagged;
            tracing::warn!(event, publisher = format!("{publisher:016x}"), missed, "events were missed");
        }
        call_all(&mut self.watchers.gap, |handler| handler(&lagged));
    }

    fn problem(&mut self, error: Error) {
        self.shared.counters.problem(&error);
        if self.shared.limiter.allow() {
            tracing::warn!(error = &error as &dyn std::error::Error, "an event was not handled");
        }
        call_all(&mut self.watchers.problem, |handler| handler(&error));
    }

    fn calls(&mut self, slot: &Arc<Slot>) {
        self.shared.calls(slot.id());
    }
}

/// Calls each; one that panics harms no other.
fn call_all<H: ?Sized>(handlers: &mut [Box<H>], mut call: impl FnMut(&mut H)) {
    for handler in handlers {
        if catch_unwind(AssertUnwindSafe(|| call(handler))).is_err() {
            tracing::error!("a handler of gaps, problems or connections panicked");
        }
    }
}
