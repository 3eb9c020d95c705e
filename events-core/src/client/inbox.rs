//! What was read and not handled yet, and which of a client's two threads does which.
//!
//! ```text
//!  burst:     one reads ──▶ queue ──▶ the other calls handlers
//!  now and then an event:   one reads and calls handlers; the other waits, and takes the reading over
//!                           if a handler does not come back
//! ```

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::downlink::Reader;
use crate::control::Denied;
use crate::delivery::subscriber::Step;
use crate::dispatch::Addition;
use crate::engine::Trouble;
use crate::error::{Connection, Lagged};
use crate::lock;
use crate::registration::Slot;

/// Up to so many bytes whoever read them handles them as well: to wake the other thread would take longer.
const AT_ONCE: usize = 8 << 10;
/// Up to so many if nothing more was there: what comes meanwhile waits for a moment, and nobody has to be woken.
const AT_ONCE_IF_ALL: usize = 512 << 10;
/// How often the thread that waits looks whether the other comes back from a handler.
const LOOK: Duration = Duration::from_millis(10);
/// After so many looks at which nothing had happened it waits until it is woken.
const QUIET_LOOKS: u32 = 100;

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
        /// It stands where that one did, and is active at once.
        active: bool,
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
    /// A thread waits for something to do.
    waiting: bool,
    closed: bool,
    /// The reader of a thread that calls handlers itself: whoever waits may take it and read.
    lent: Option<Box<Reader>>,
    /// A thread that has read calls handlers itself, so what is queued must wait for it.
    at_once: bool,
    /// How often that has begun.
    turns: u64,
    /// The handlers wait for what has to be read.
    urgent: bool,
    /// The thread that waits looks now and then.
    looks: bool,
}

/// What there is to do for the thread that waits.
pub(super) enum Taken {
    /// To handle what was taken.
    Items,
    /// To read.
    Reader(Box<Reader>),
    /// Nothing any more.
    Closed,
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

    /// After reading: moves what is queued to `items` if whoever read is to handle it, and keeps the reader meanwhile.
    /// Otherwise gives the reader back, and tells the other thread.
    pub(super) fn handle_at_once(&self, reader: Box<Reader>, items: &mut VecDeque<Item>) -> Option<Box<Reader>> {
        let mut queue = lock(&self.queue);
        if queue.items.is_empty() {
            return Some(reader);
        }
        // Only while the other waits: nothing is being handled then.
        let most = if reader.has_emptied() { AT_ONCE_IF_ALL } else { AT_ONCE };
        if !queue.waiting || queue.closed || self.bytes() > most {
            drop(queue);
            self.announce();
            return Some(reader);
        }
        std::mem::swap(&mut queue.items, items);
        (queue.lent, queue.at_once, queue.urgent) = (Some(reader), true, false);
        queue.turns = queue.turns.wrapping_add(1);
        if !std::mem::replace(&mut queue.looks, true) {
            drop(queue);
            self.filled.notify_one();
        }
        None
    }

    /// After handling at once: the reader, unless the other thread has taken it over.
    pub(super) fn take_back(&self) -> Option<Box<Reader>> {
        let mut queue = lock(&self.queue);
        let reader = queue.lent.take();
        queue.at_once = reader.is_none();
        reader
    }

    /// A handler waits for what has to be read first.
    pub(super) fn read_on(&self) {
        let mut queue = lock(&self.queue);
        if queue.lent.is_some() {
            queue.urgent = true;
            drop(queue);
            self.filled.notify_one();
        }
    }

    /// Moves all that is queued to `items`, which must be empty; waits for something to do.
    pub(super) fn take(&self, items: &mut VecDeque<Item>) -> Taken {
        let mut queue = lock(&self.queue);
        // Whoever comes here handles nothing.
        queue.at_once = false;
        let (mut seen, mut quiet) = (queue.turns, 0);
        loop {
            if queue.closed {
                return Taken::Closed;
            }
            if queue.urgent
                && let Some(reader) = queue.lent.take()
            {
                (queue.waiting, queue.urgent) = (false, false);
                return Taken::Reader(reader);
            }
            if !queue.items.is_empty() && !queue.at_once {
                queue.waiting = false;
                std::mem::swap(&mut queue.items, items);
                return Taken::Items;
            }
            queue.waiting = true;
            if !queue.looks {
                queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (locked, timeout) = self.filled.wait_timeout(queue, LOOK).unwrap_or_else(PoisonError::into_inner);
            queue = locked;
            if timeout.timed_out() {
                let moved = std::mem::replace(&mut seen, queue.turns) != queue.turns;
                // Since the last look it has been at the same.
                queue.urgent |= !moved && queue.lent.is_some();
                quiet = if moved { 0 } else { quiet + 1 };
                queue.looks = quiet < QUIET_LOOKS || queue.lent.is_some();
            }
        }
    }

    /// Notes that an item was handled. Returns the bytes left.
    pub(crate) fn handled(&self, size: usize) -> usize {
        self.moved();
        self.bytes.fetch_sub(size, Ordering::AcqRel) - size
    }

    /// Notes that a handler was called: the thread moves on, though an item may take long.
    pub(crate) fn moved(&self) {
        // Only that thread counts: no need for a read and a write in one.
        self.handled.store(self.handled.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
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
