//! Real clients and servers, threads and all, over an engine that does everything wrong that it may, from a
//! seed. `EVENTS_SEED=n` replays one, `EVENTS_SEEDS=n` plays that many.
//!
//! A seed says what goes wrong, not when each thread runs: what it finds may take more than one try to find
//! again. The simulator (`simulator.rs`) has that, without threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use events_conformance::faulty::Faulty;
use events_conformance::suite::bench::{Bench, Log, WATCHDOG, eventually};
use events_conformance::suite::payloads::{Num, NumX};
use events_core::client::{Client, ClientOptions};
use events_core::delivery::Limits;
use events_core::engine::Engine;
use events_core::engine::memory::MemoryEngine;

const PUBLISHERS: usize = 2;
const SUBSCRIBERS: usize = 2;
const EVENTS: u64 = 600;

/// As always, at another pace: repairs take milliseconds.
fn limits() -> Limits {
    let mut limits = Limits::default();
    (limits.retry, limits.stall, limits.grace, limits.ack_after) = (20_000, 400_000, 100_000, 2_000);
    limits
}

type Seen = Log<(u64, u64)>;

fn subscriber(bench: &Bench, options: ClientOptions) -> (Client, Seen) {
    let client = bench.client_with(options);
    let seen = Seen::default();
    let (a, b) = (seen.clone(), seen.clone());
    client.register::<Num>(move |e| a.push((e.publisher(), e.0))).expect("registered");
    client.register::<NumX>(move |e| b.push((e.publisher(), e.0))).expect("registered");
    (client, seen)
}

/// Everything arrives once and in order, though servers die and leave and the network does what it wants.
fn play(inner: Arc<dyn Engine>, emit: &str, reg: &str, seed: u64) -> u64 {
    let faulty = Faulty::new(inner, seed);
    let bench = Bench::new(Arc::new(faulty.clone()), emit, reg);
    let options = || {
        let mut options = ClientOptions::default();
        (options.limits, options.emit_limit) = (limits(), WATCHDOG);
        options
    };
    let mut server = bench.server_with(limits());
    let subscribers: Vec<_> = (0..SUBSCRIBERS).map(|_| subscriber(&bench, options())).collect();
    let publishers: Vec<_> = (0..PUBLISHERS).map(|_| bench.client_with(options())).collect();
    faulty.rage(true);
    for number in 0..EVENTS {
        for publisher in &publishers {
            let emitted = if number % 3 == 0 { publisher.emit(NumX(number)) } else { publisher.emit(Num(number)) };
            emitted.expect("emitted");
        }
        if number % 8 == 0 {
            std::thread::yield_now();
        }
        if number == EVENTS / 3 {
            faulty.kill();
            drop(server);
            server = bench.server_with(limits());
        }
        if number == EVENTS * 2 / 3 {
            server.shutdown(Duration::from_millis(200));
            server = bench.server_with(limits());
        }
    }
    for publisher in &publishers {
        eventually("the server has all", || publisher.flush(Duration::from_secs(1)).is_ok());
    }
    faulty.rage(false);
    let all = PUBLISHERS * usize::try_from(EVENTS).expect("small");
    for (client, seen) in &subscribers {
        let seen = seen.wait_for(all);
        assert_eq!(seen.len(), all, "something came twice");
        let mut of: Vec<u64> = seen.iter().map(|(publisher, _)| *publisher).collect();
        of.sort_unstable();
        of.dedup();
        assert_eq!(of.len(), PUBLISHERS);
        for publisher in of {
            let numbers = seen.iter().filter(|(of, _)| *of == publisher).map(|(_, number)| *number);
            assert!(numbers.eq(0..EVENTS), "out of order, or twice");
        }
        assert_eq!(client.stats().missed, 0);
    }
    faulty.faults()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Plays the seeds on a few threads: most of the time is spent waiting for repairs.
fn play_all(seeds: u64, play: impl Fn(u64) -> u64 + Sync) {
    if let Some(seed) = number("EVENTS_SEED") {
        println!("seed {seed}: {} faults", play(seed));
        return;
    }
    let seeds = number("EVENTS_SEEDS").unwrap_or(seeds);
    let (next, faults) = (AtomicU64::new(0), AtomicU64::new(0));
    let failures = Log::default();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    match catch_unwind(AssertUnwindSafe(|| play(seed))) {
                        Ok(count) => _ = faults.fetch_add(count, Ordering::Relaxed),
                        Err(_) => failures.push(seed),
                    }
                }
            });
        }
    });
    println!("{seeds} seeds, {} faults", faults.load(Ordering::Relaxed));
    let failures = failures.now();
    assert!(failures.is_empty(), "{} of {seeds} seeds broke a promise: {failures:?}", failures.len());
}

#[test]
fn memory_survives_every_seed() {
    play_all(60, |seed| play(Arc::new(MemoryEngine::new()), "memory://emit", "memory://reg", seed));
}

#[cfg(feature = "zmq")]
#[test]
fn zeromq_survives_every_seed() {
    use events_core::engine::zmq::{Tcp, ZmqEngine};

    play_all(20, |seed| {
        let folder = tempfile::tempdir().expect("a folder");
        let address = |name: &str| format!("ipc://{}/{name}", folder.path().display());
        let engine = ZmqEngine::new(Tcp::PlainLoopbackOnly).expect("an engine");
        play(Arc::new(engine), &address("emit"), &address("reg"), seed)
    });
}
