//! What is the same for every way to carry the events: emitting them, counting them, taking the time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::now;
use super::script::{Answer, Counted};
use crate::args::Mode;
use crate::processes::say;

/// Between two events whose latency is measured: each travels alone.
const PAUSE: Duration = Duration::from_micros(300);
/// In a burst the time is taken of each so many events: a look at the clock costs as much as an event.
const SAMPLE: u64 = 64;
/// How often a subscriber tells how far it is.
const TELL: Duration = Duration::from_millis(100);
/// A subscriber that gets nothing for so long has got what there is.
const SILENCE: Duration = Duration::from_secs(15);

/// Emits events of `size` bytes, the first eight of which hold the time of some; returns when it began.
pub(super) fn emit(
    events: u64,
    size: usize,
    mode: Mode,
    mut emit: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let mut data = vec![0; size];
    let began = now();
    for number in 0..events {
        let timed = mode == Mode::Latency || number % SAMPLE == 0;
        data[..8].copy_from_slice(&if timed { now() } else { 0 }.to_be_bytes());
        emit(&data)?;
        if mode == Mode::Latency {
            thread::sleep(PAUSE);
        }
    }
    Ok(began)
}

/// What a subscriber counts. Clones share it.
#[derive(Clone)]
pub(super) struct Tally(Arc<Count>);

/// One handler is called at a time: counting needs neither a lock nor a read and a write in one, either of which
/// would take longer than an event.
struct Count {
    expected: AtomicU64,
    received: AtomicU64,
    took: Mutex<Vec<u64>>,
    done: mpsc::Sender<u64>,
}

impl Tally {
    /// What is counted, and what tells when all have come.
    pub(super) fn new() -> (Tally, Receiver<u64>) {
        let (done, finished) = mpsc::channel();
        let (expected, received) = (AtomicU64::new(0), AtomicU64::new(0));
        let count = Count { expected, received, took: Mutex::default(), done };
        (Tally(Arc::new(count)), finished)
    }

    fn took(&self) -> MutexGuard<'_, Vec<u64>> {
        self.0.took.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One event has come.
    pub(super) fn take(&self, data: &[u8]) {
        let received = self.0.received.load(Ordering::Relaxed) + 1;
        self.0.received.store(received, Ordering::Release);
        let sent = data.first_chunk().map_or(0, |sent| u64::from_be_bytes(*sent));
        if sent != 0 {
            self.took().push(now().saturating_sub(sent));
        }
        if received == self.0.expected.load(Ordering::Relaxed) {
            let _ = self.0.done.send(now());
        }
    }

    /// Counts from 0, and tells how far it is until so many have come, or none comes any more; then what was counted. Nothing
    /// may be on its way when it begins.
    pub(super) fn count(&self, expected: u64, finished: &Receiver<u64>) {
        self.0.received.store(0, Ordering::Relaxed);
        self.0.expected.store(expected, Ordering::Release);
        say(&Answer::Counting);
        let mut silent = Duration::ZERO;
        let mut before = 0;
        let ended = loop {
            match finished.recv_timeout(TELL) {
                Ok(ended) => break ended,
                Err(RecvTimeoutError::Disconnected) => break now(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let received = self.0.received.load(Ordering::Acquire);
            say(&Answer::Progress(received));
            silent = if received == before { silent + TELL } else { Duration::ZERO };
            before = received;
            if silent >= SILENCE && received > 0 {
                break now();
            }
        };
        let received = self.0.received.load(Ordering::Acquire);
        say(&Answer::Counted(Counted { received, ended, took: std::mem::take(&mut *self.took()) }));
    }
}
