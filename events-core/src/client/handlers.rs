//! The thread that calls handlers: takes items from the inbox in order, one after the other.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::Shared;
use super::inbox::{Inbox, Item, Watch};
use crate::control::Denied;
use crate::delivery::subscriber::Step;
use crate::dispatch::{Around, Dispatcher};
use crate::error::{Connection, Error, Lagged};
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
pub(super) fn is_handler() -> bool {
    HANDLING.get() != 0
}

/// Calls handlers until the client is closed.
pub(super) fn run(shared: &Arc<Shared>) {
    HANDLING.set(shared.id);
    let mut dispatcher = Dispatcher::default();
    let mut around = Surroundings { shared, gap: Vec::new(), problem: Vec::new(), connection: Vec::new() };
    let mut items = VecDeque::new();
    while shared.inbox.take(&mut items) {
        for item in items.drain(..) {
            if shared.is_closed() {
                return;
            }
            let size = Inbox::size_of(&item);
            handle(item, &mut dispatcher, &mut around);
            let left = shared.inbox.handled(size);
            shared.made_room(left);
        }
    }
}

fn handle(item: Item, dispatcher: &mut Dispatcher, around: &mut Surroundings<'_>) {
    match item {
        // While the mechanism is off, events pass by unseen, which is no loss.
        Item::Step(Step::Frame(frame) | Step::Replayed { frame, .. }) if !around.shared.is_enabled() => {
            dispatcher.step(Step::Had(frame), around);
        }
        Item::Step(Step::Retained(_)) if !around.shared.is_enabled() => {}
        Item::Step(step) => dispatcher.step(step, around),
        Item::Add { addition, replaces } => {
            if let Some(old) = replaces {
                addition.slot.follow(&old);
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
        Item::Watch(Watch::Gap(handler)) => around.gap.push(handler),
        Item::Watch(Watch::Problem(handler)) => around.problem.push(handler),
        Item::Watch(Watch::Connection(handler)) => around.connection.push(handler),
    }
}

struct Surroundings<'a> {
    shared: &'a Arc<Shared>,
    gap: Vec<Box<dyn FnMut(&Lagged) + Send>>,
    problem: Vec<Box<dyn FnMut(&Error) + Send>>,
    connection: Vec<Box<dyn FnMut(Connection) + Send>>,
}

impl Surroundings<'_> {
    fn connection(&mut self, change: Connection) {
        tracing::debug!(?change, "the connection to the server");
        call_all(&mut self.connection, |handler| handler(change));
    }
}

impl Around for Surroundings<'_> {
    fn shape(&mut self, fingerprint: u64) -> Option<String> {
        self.shared.ask_shape(fingerprint)
    }

    fn lagged(&mut self, lagged: Lagged) {
        self.shared.counters.missed(lagged.missed);
        if self.shared.limiter.allow() {
            let Lagged { event, publisher, missed } = &lagged;
            tracing::warn!(event, publisher = format!("{publisher:016x}"), missed, "events were missed");
        }
        call_all(&mut self.gap, |handler| handler(&lagged));
    }

    fn problem(&mut self, error: Error) {
        self.shared.counters.problem(&error);
        if self.shared.limiter.allow() {
            tracing::warn!(error = &error as &dyn std::error::Error, "an event was not handled");
        }
        call_all(&mut self.problem, |handler| handler(&error));
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
