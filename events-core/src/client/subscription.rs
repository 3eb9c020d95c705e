//! Events as a stream instead of a handler.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;

use super::on::Choice;
use super::{Client, WhenSlow};
use crate::dispatch::Addition;
use crate::error::Error;
use crate::event::Receive;
use crate::lock;
use crate::received::Received;
use crate::registration::Registration;

/// How many events wait for whoever reads, before the client waits or skips.
const CAPACITY: usize = 1024;

/// The events `E` one after the other: blocking with [`recv`](Subscription::recv) and
/// [`iter`](Subscription::iter), or as a [`Stream`] in any async runtime. Dropping it unregisters.
pub struct Subscription<E> {
    queue: Arc<Queue<E>>,
    registration: Option<Registration>,
    /// Keeps the client open as long as somebody reads.
    client: Client,
}

struct Queue<E> {
    state: Mutex<State<E>>,
    filled: Condvar,
    emptied: Condvar,
}

struct State<E> {
    events: VecDeque<Received<E>>,
    waker: Option<Waker>,
    closed: bool,
}

impl<E: Receive + Send> Subscription<E> {
    pub(super) fn open(client: &Client) -> Result<Subscription<E>, Error> {
        let state = State { events: VecDeque::new(), waker: None, closed: false };
        let queue = Arc::new(Queue { state: Mutex::new(state), filled: Condvar::new(), emptied: Condvar::new() });
        let filler = Filler { queue: queue.clone(), waits: client.shared().options.when_slow == WhenSlow::Wait };
        let add = move |slot| Addition::owned::<E>(slot, Box::new(move |event| filler.push(event)));
        let registration = client.shared().register(Some(E::INFO.name), Choice::default(), add)?;
        Ok(Subscription { queue, registration: Some(registration), client: client.clone() })
    }

    /// The registration behind it.
    #[must_use]
    pub fn registration(&self) -> Option<&Registration> {
        self.registration.as_ref()
    }

    /// The next event; waits for it. `None` when the client was closed, and in a forked child.
    pub fn recv(&mut self) -> Option<Received<E>> {
        self.ours()?;
        let state = lock(&self.queue.state);
        let waits = |state: &mut State<E>| state.events.is_empty() && !state.closed;
        let mut state = self.queue.filled.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner);
        self.queue.pop(&mut state)
    }

    /// The next event; waits for it at most `limit`. `None` when there was none.
    pub fn recv_timeout(&mut self, limit: Duration) -> Option<Received<E>> {
        self.ours()?;
        let state = lock(&self.queue.state);
        let waits = |state: &mut State<E>| state.events.is_empty() && !state.closed;
        let waited = self.queue.filled.wait_timeout_while(state, limit, waits);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        self.queue.pop(&mut state)
    }

    /// The next event if there is one already.
    pub fn try_recv(&mut self) -> Option<Received<E>> {
        self.ours()?;
        self.queue.pop(&mut lock(&self.queue.state))
    }

    /// The events one after the other, until the client is closed. Waits for each.
    pub fn iter(&mut self) -> impl Iterator<Item = Received<E>> {
        std::iter::from_fn(|| self.recv())
    }
}

impl<E> Subscription<E> {
    /// `None` in a forked child, which gets nothing: the events are its parent's.
    fn ours(&self) -> Option<()> {
        (!self.client.shared().is_inherited()).then_some(())
    }
}

impl<E> Queue<E> {
    fn pop(&self, state: &mut State<E>) -> Option<Received<E>> {
        let event = state.events.pop_front()?;
        if state.events.len() + 1 == CAPACITY {
            self.emptied.notify_all();
        }
        Some(event)
    }

    fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        let waker = state.waker.take();
        drop(state);
        self.filled.notify_all();
        self.emptied.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The handler's end. It goes when the client ends, and with it the stream.
struct Filler<E> {
    queue: Arc<Queue<E>>,
    waits: bool,
}

impl<E> Filler<E> {
    /// Returns whether the event was taken.
    fn push(&self, event: Received<E>) -> bool {
        let mut state = lock(&self.queue.state);
        if self.waits {
            let full = |state: &mut State<E>| state.events.len() >= CAPACITY && !state.closed;
            state = self.queue.emptied.wait_while(state, full).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed || state.events.len() >= CAPACITY {
            return state.closed;
        }
        state.events.push_back(event);
        let waker = state.waker.take();
        drop(state);
        self.queue.filled.notify_one();
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

impl<E> Drop for Filler<E> {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl<E: Receive + Send> Stream for Subscription<E> {
    type Item = Received<E>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Received<E>>> {
        if self.ours().is_none() {
            return Poll::Ready(None);
        }
        let mut state = lock(&self.queue.state);
        if let Some(event) = self.queue.pop(&mut state) {
            return Poll::Ready(Some(event));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl<E> Drop for Subscription<E> {
    fn drop(&mut self) {
        if self.ours().is_none() {
            return;
        }
        self.queue.close();
        if let Some(registration) = self.registration.take() {
            registration.unregister();
        }
    }
}

impl<E> std::fmt::Debug for Subscription<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("client", &self.client).finish_non_exhaustive()
    }
}
