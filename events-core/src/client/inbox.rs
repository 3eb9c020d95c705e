//! What the downlink thread has read and the handler thread has not handled yet.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use crate::control::Denied;
use crate::delivery::subscriber::Step;
use crate::dispatch::Addition;
use crate::engine::Trouble;
use crate::error::{Connection, Lagged};
use crate::lock;
use crate::registration::Slot;

/// What the handler thread does next.
pub(crate) enum Item {
    /// Something of the stream.
    Step(Step),
    /// A handler comes; at once active in place of another, or when its activation comes.
    Add {
        /// The handler.
        addition: Addition,
        /// The one it replaces.
        replaces: Option<Arc<Slot>>,
    },
    /// Handlers were unregistered.
    Sweep,
    /// No connection comes about, for this reason.
    Trouble(Trouble),
    /// The server refuses what this client's key may not do.
    Denied(Denied),
    /// The connection changed.
    Connection(Connection),
    /// A handler of gaps or changes comes.
    Watch(Watch),
}

/// Handlers of what is no event.
pub(crate) enum Watch {
    Gap(Box<dyn FnMut(&Lagged) + Send>),
    Problem(Box<dyn FnMut(&crate::error::Error) + Send>),
    Connection(Box<dyn FnMut(Connection) + Send>),
}

impl Item {
    fn size(&self) -> usize {
        match self {
            Item::Step(
                Step::Frame(frame)
                | Step::Replayed { frame, .. }
                | Step::Had(frame)
                | Step::Retained(frame)
                | Step::Foreign(frame),
            ) => frame.len() + 64,
            _ => 64,
        }
    }
}

#[derive(Default)]
pub(crate) struct Inbox {
    queue: Mutex<Queue>,
    filled: Condvar,
    /// Bytes that are queued or being handled.
    bytes: AtomicUsize,
    /// Counts up with everything that was handled.
    handled: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    waiting: bool,
    closed: bool,
}

impl Inbox {
    pub(crate) fn push(&self, item: Item) {
        self.bytes.fetch_add(item.size(), Ordering::Relaxed);
        let mut queue = lock(&self.queue);
        queue.items.push_back(item);
        if queue.waiting {
            queue.waiting = false;
            drop(queue);
            self.filled.notify_one();
        }
    }

    /// Queues an item and does not tell, because more come at once: see [`announce`](Inbox::announce).
    pub(crate) fn queue(&self, item: Item) {
        self.bytes.fetch_add(item.size(), Ordering::Relaxed);
        lock(&self.queue).items.push_back(item);
    }

    /// Tells whoever waits of what was queued.
    pub(crate) fn announce(&self) {
        let mut queue = lock(&self.queue);
        if queue.waiting && !queue.items.is_empty() {
            queue.waiting = false;
            drop(queue);
            self.filled.notify_one();
        }
    }

    /// Moves all that is queued to `items`, which must be empty; waits for something. `false`: closed.
    pub(crate) fn take(&self, items: &mut VecDeque<Item>) -> bool {
        let mut queue = lock(&self.queue);
        loop {
            if queue.closed {
                return false;
            }
            if !queue.items.is_empty() {
                std::mem::swap(&mut queue.items, items);
                return true;
            }
            queue.waiting = true;
            queue = self.filled.wait(queue).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    /// Notes that an item was handled. Returns the bytes left.
    pub(crate) fn handled(&self, size: usize) -> usize {
        self.handled.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_sub(size, Ordering::AcqRel) - size
    }

    /// Notes that a handler was called: the thread moves on, though an item may take long.
    pub(crate) fn moved(&self) {
        self.handled.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes that are queued or being handled.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Acquire)
    }

    /// A number that changes whenever the handler thread moves on.
    pub(crate) fn progress(&self) -> usize {
        self.handled.load(Ordering::Relaxed)
    }

    pub(crate) fn size_of(item: &Item) -> usize {
        item.size()
    }

    pub(crate) fn close(&self) {
        lock(&self.queue).closed = true;
        self.filled.notify_all();
    }
}
