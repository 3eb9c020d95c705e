//! A client that would rather miss events than hold others up, and knows exactly how many it missed.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use events::catalog::SoledadSyncSendStatus;
use events::server::Server;
use events::{Client, ClientOptions, WhenSlow};

const EMITTED: u64 = 50_000;

fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start("tcp://127.0.0.1:0", "tcp://127.0.0.1:0")?;
    let at = server.addresses();
    let mut options = ClientOptions::default();
    options.when_slow = WhenSlow::Skip;
    options.inbox = 64 << 10;
    let slow = Client::with_options(&at.emit, &at.reg, options)?;

    let (received, missed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (counts, misses) = (received.clone(), missed.clone());
    let (wake, sleep) = mpsc::channel::<()>();
    slow.register::<SoledadSyncSendStatus>(move |_| {
        // The first event finds the handler busy with something else.
        let _ = sleep.recv();
        counts.fetch_add(1, Ordering::Relaxed);
    })?;
    slow.on_gap(move |lagged| {
        misses.fetch_add(lagged.missed, Ordering::Relaxed);
    });

    let quick = Client::connect(&at.emit, &at.reg)?;
    for sent in 0..EMITTED {
        quick.emit(SoledadSyncSendStatus { uuid: "1f", userid: "me", sent, total: EMITTED })?;
    }
    quick.flush(Duration::from_secs(10))?;
    drop(wake);

    let until = Instant::now() + Duration::from_secs(10);
    let counted = || (received.load(Ordering::Relaxed), missed.load(Ordering::Relaxed));
    while counted().0 + counted().1 < EMITTED && Instant::now() < until {
        std::thread::yield_now();
    }
    println!("{} received, {} missed", counted().0, counted().1);
    assert_eq!(counted().0 + counted().1, EMITTED);
    Ok(())
}
