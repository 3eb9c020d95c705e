//! What a subscriber counts, and what times are made of.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Nanoseconds since 1970: a clock that all processes of this machine share.
pub(crate) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The first bytes of every payload.
#[derive(Clone, Copy)]
pub(crate) struct Stamp {
    /// When it was sent, for some of the events; 0 for the others, [`Stamp::PROBE`] for what only is to be heard.
    pub(crate) sent: u64,
    pub(crate) phase: u8,
    pub(crate) publisher: usize,
    pub(crate) number: u64,
}

impl Stamp {
    pub(crate) const PROBE: u64 = u64::MAX;
    /// Bytes of it: no payload is smaller.
    pub(crate) const SIZE: usize = 16;

    pub(crate) fn put(self, data: &mut [u8]) {
        let tag = (u64::from(self.phase) << 56) | ((self.publisher as u64 & 0xff) << 48) | self.number;
        data[..8].copy_from_slice(&self.sent.to_be_bytes());
        data[8..16].copy_from_slice(&tag.to_be_bytes());
    }

    pub(crate) fn take(data: &[u8]) -> Option<Stamp> {
        let (sent, rest) = data.split_first_chunk()?;
        let tag = u64::from_be_bytes(*rest.first_chunk()?);
        let [phase, publisher, ..] = tag.to_be_bytes();
        let number = tag & ((1 << 48) - 1);
        Some(Stamp { sent: u64::from_be_bytes(*sent), phase, publisher: publisher.into(), number })
    }
}

/// How long things took, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trips {
    pub(crate) count: u64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

impl Trips {
    pub(crate) fn of(mut took: Vec<u64>) -> Trips {
        took.sort_unstable();
        let at = |per_mille: usize| {
            let index = (took.len() * per_mille / 1_000).min(took.len().saturating_sub(1));
            took.get(index).copied().unwrap_or_default() as f64 / 1e3
        };
        Trips { count: took.len() as u64, p50: at(500), p99: at(990), p999: at(999) }
    }
}

/// What one subscriber got in one phase.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) received: u64,
    /// Events that came after a later one of their publisher, or twice.
    pub(crate) disordered: u64,
    /// When the last one came, in nanoseconds since 1970; as of the last that was timed, where some were lost.
    pub(crate) ended: u64,
    /// From the moment of sending.
    pub(crate) took: Trips,
}

/// The count. Clones share it.
#[derive(Clone)]
pub(crate) struct Tally(Arc<Count>);

/// Every system hands its events over one at a time: counting them needs neither a lock nor a read and a write in
/// one, either of which would take longer than an event of some. If one did otherwise, events would be missing.
struct Count {
    phase: AtomicU8,
    expected: AtomicU64,
    received: AtomicU64,
    disordered: AtomicU64,
    /// Per publisher: the number of the next event, at least.
    next: [AtomicU64; 256],
    ended: AtomicU64,
    rare: Mutex<Rare>,
    tell: Sender<Told>,
}

/// What few events change.
#[derive(Default)]
struct Rare {
    took: Vec<u64>,
    heard: HashSet<usize>,
}

/// A phase in which nothing is counted.
const NONE: u8 = u8::MAX;

fn add_one(counter: &AtomicU64) -> u64 {
    let count = counter.load(Ordering::Relaxed) + 1;
    counter.store(count, Ordering::Relaxed);
    count
}

/// What the thread that waits is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Somebody new was heard; so many in all.
    Heard(usize),
    Complete,
}

impl Tally {
    pub(crate) fn new() -> (Tally, Receiver<Told>) {
        let (tell, told) = channel();
        let count = Count {
            phase: AtomicU8::new(NONE),
            expected: AtomicU64::new(0),
            received: AtomicU64::new(0),
            disordered: AtomicU64::new(0),
            next: [const { AtomicU64::new(0) }; 256],
            ended: AtomicU64::new(0),
            rare: Mutex::default(),
            tell,
        };
        (Tally(Arc::new(count)), told)
    }

    fn rare(&self) -> MutexGuard<'_, Rare> {
        self.0.rare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts this phase from now on.
    pub(crate) fn expect(&self, phase: u8, events: u64) {
        let count = &*self.0;
        for counter in [&count.received, &count.disordered, &count.ended].into_iter().chain(&count.next) {
            counter.store(0, Ordering::Relaxed);
        }
        count.expected.store(events, Ordering::Relaxed);
        self.rare().took.clear();
        count.phase.store(phase, Ordering::Release);
    }

    /// One event has come; to the first of several handlers, or to another one.
    pub(crate) fn take(&self, data: &[u8], first: bool) {
        let Some(stamp) = Stamp::take(data) else { return };
        let count = &*self.0;
        if stamp.sent == Stamp::PROBE {
            let heard = &mut self.rare().heard;
            if heard.insert(stamp.publisher) {
                let _ = count.tell.send(Told::Heard(heard.len()));
            }
            return;
        }
        if stamp.phase != count.phase.load(Ordering::Acquire) {
            return;
        }
        let received = add_one(&count.received);
        if first {
            let next = &count.next[stamp.publisher];
            if stamp.number < next.load(Ordering::Relaxed) {
                add_one(&count.disordered);
            } else {
                next.store(stamp.number + 1, Ordering::Relaxed);
            }
        }
        let complete = received == count.expected.load(Ordering::Relaxed);
        if stamp.sent != 0 || complete {
            let ended = now();
            count.ended.store(ended, Ordering::Relaxed);
            if stamp.sent != 0 {
                self.rare().took.push(ended.saturating_sub(stamp.sent));
            }
        }
        if complete {
            let _ = count.tell.send(Told::Complete);
        }
    }

    /// Waits until everything has come, or nothing comes for so long.
    pub(crate) fn finish(&self, told: &Receiver<Told>, silence: Duration) -> Counted {
        let (mut before, mut since) = (0, Instant::now());
        loop {
            match told.recv_timeout(Duration::from_millis(20)) {
                Ok(Told::Complete) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Told::Heard(_)) => {}
                Err(RecvTimeoutError::Timeout) => {
                    let received = self.0.received.load(Ordering::Relaxed);
                    if received != before {
                        (before, since) = (received, Instant::now());
                    } else if since.elapsed() >= silence {
                        break;
                    }
                }
            }
        }
        let count = &*self.0;
        // What comes now belongs to nothing.
        count.phase.store(NONE, Ordering::Release);
        let took = Trips::of(std::mem::take(&mut self.rare().took));
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted { received: of(&count.received), disordered: of(&count.disordered), ended: of(&count.ended), took }
    }
}
