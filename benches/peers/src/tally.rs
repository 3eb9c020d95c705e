//! What a subscriber counts, and what times are made of.

use std::collections::HashSet;
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
pub(crate) struct Tally(Arc<Mutex<Count>>);

struct Count {
    phase: u8,
    expected: u64,
    received: u64,
    disordered: u64,
    /// Per publisher: the number of the next event, at least.
    next: Vec<u64>,
    took: Vec<u64>,
    ended: u64,
    heard: HashSet<usize>,
    tell: Sender<Told>,
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
            phase: 0,
            expected: 0,
            received: 0,
            disordered: 0,
            next: vec![0; 256],
            took: Vec::new(),
            ended: 0,
            heard: HashSet::new(),
            tell,
        };
        (Tally(Arc::new(Mutex::new(count))), told)
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts this phase from now on.
    pub(crate) fn expect(&self, phase: u8, events: u64) {
        let mut count = self.lock();
        (count.phase, count.expected) = (phase, events);
        (count.received, count.disordered, count.ended) = (0, 0, 0);
        count.next.fill(0);
        count.took.clear();
    }

    /// One event has come; to the first of several handlers, or to another one.
    pub(crate) fn take(&self, data: &[u8], first: bool) {
        let Some(stamp) = Stamp::take(data) else { return };
        let mut count = self.lock();
        if stamp.sent == Stamp::PROBE {
            if count.heard.insert(stamp.publisher) {
                let _ = count.tell.send(Told::Heard(count.heard.len()));
            }
            return;
        }
        if stamp.phase != count.phase {
            return;
        }
        count.received += 1;
        if first {
            let next = &mut count.next[stamp.publisher];
            if stamp.number < *next {
                count.disordered += 1;
            } else {
                *next = stamp.number + 1;
            }
        }
        let complete = count.received == count.expected;
        if stamp.sent != 0 || complete {
            count.ended = now();
            if stamp.sent != 0 {
                let took = count.ended.saturating_sub(stamp.sent);
                count.took.push(took);
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
                    let received = self.lock().received;
                    if received != before {
                        (before, since) = (received, Instant::now());
                    } else if since.elapsed() >= silence {
                        break;
                    }
                }
            }
        }
        let mut count = self.lock();
        let took = Trips::of(std::mem::take(&mut count.took));
        // What comes now belongs to nothing.
        count.phase = u8::MAX;
        Counted { received: count.received, disordered: count.disordered, ended: count.ended, took }
    }
}
