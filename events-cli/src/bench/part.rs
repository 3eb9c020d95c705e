//! Inside the processes of the bench.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use events_core::client::Client;
use events_core::error::Error;
use events_core::server::Server;

use super::script::{Answer, Counted, Emitted, Order};
use super::types::KINDS;
use super::{LIMIT, now};
use crate::Result;
use crate::args::{BenchPartArguments, BenchRole, Mode};
use crate::processes::{orders, say, say_failed};

/// Between two events whose latency is measured: each travels alone.
const PAUSE: Duration = Duration::from_micros(300);
/// In a burst the time is taken of each so many events: a look at the clock costs as much as an event.
const SAMPLE: u64 = 64;
/// How often a subscriber tells how far it is.
const TELL: Duration = Duration::from_millis(100);
/// A subscriber that gets nothing for so long has got what there is.
const SILENCE: Duration = Duration::from_secs(15);

pub(super) fn run(arguments: &BenchPartArguments) -> Result {
    let at = arguments.place.addresses();
    if let BenchRole::Server = arguments.role {
        let server = Server::start(&at.emit, &at.reg).context("the server cannot start")?;
        say(&Answer::Ready);
        orders().iter().for_each(drop);
        server.shutdown(Duration::from_secs(2));
        return Ok(());
    }
    let client = Client::connect(&at.emit, &at.reg).context("no client can be opened")?;
    say(&Answer::Ready);
    for line in orders() {
        let done = match serde_json::from_str(&line)? {
            Order::Register { types, expected } => subscribe(&client, types, expected),
            Order::Emit { events, size, types, mode } => publish(&client, events, size, types, mode),
        };
        if let Err(error) = done {
            say_failed(&error);
        }
    }
    Ok(client.close(Duration::from_secs(2))?)
}

fn publish(client: &Client, events: u64, size: usize, types: usize, mode: Mode) -> anyhow::Result<()> {
    let mut data = vec![0; size];
    let kinds = KINDS.get(..types).context("there are not so many types")?;
    let mut kinds = kinds.iter().cycle();
    let began = now();
    for number in 0..events {
        let Some(kind) = kinds.next() else { break };
        let timed = mode == Mode::Latency || number % SAMPLE == 0;
        data[..8].copy_from_slice(&if timed { now() } else { 0 }.to_be_bytes());
        // Backpressure is no failure here: the bench emits as fast as it may.
        while let Err(error) = (kind.emit)(client, &data) {
            if !matches!(error, Error::Backpressure { .. }) {
                return Err(error.into());
            }
        }
        if mode == Mode::Latency {
            thread::sleep(PAUSE);
        }
    }
    client.flush(LIMIT)?;
    say(&Answer::Emitted(Emitted { events, began }));
    Ok(())
}

/// What all handlers of a subscriber count together; they run on one thread, so nobody waits.
struct Count {
    received: u64,
    took: Vec<u64>,
    done: mpsc::Sender<u64>,
}

fn subscribe(client: &Client, types: usize, expected: u64) -> anyhow::Result<()> {
    let (done, finished) = mpsc::channel();
    let count = Arc::new(Mutex::new(Count { received: 0, took: Vec::new(), done }));
    for kind in KINDS.get(..types).context("there are not so many types")? {
        let count = count.clone();
        let handler = move |data: &[u8]| {
            let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
            count.received += 1;
            let sent = data.first_chunk().map_or(0, |sent| u64::from_be_bytes(*sent));
            if sent != 0 {
                count.took.push(now().saturating_sub(sent));
            }
            if count.received == expected {
                let _ = count.done.send(now());
            }
        };
        (kind.register)(client, Box::new(handler))?;
    }
    say(&Answer::Registered);
    let mut silent = Duration::ZERO;
    let mut before = 0;
    let ended = loop {
        match finished.recv_timeout(TELL) {
            Ok(ended) => break ended,
            Err(RecvTimeoutError::Disconnected) => break now(),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let received = count.lock().unwrap_or_else(PoisonError::into_inner).received;
        say(&Answer::Progress(received));
        silent = if received == before { silent + TELL } else { Duration::ZERO };
        before = received;
        if silent >= SILENCE && received > 0 {
            break now();
        }
    };
    let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
    say(&Answer::Counted(Counted { received: count.received, ended, took: std::mem::take(&mut count.took) }));
    Ok(())
}
