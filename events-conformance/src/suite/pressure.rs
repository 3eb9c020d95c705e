//! Full queues, slow handlers, and ends.

use std::sync::mpsc;
use std::time::Duration;

use events_core::client::{ClientOptions, WhenSlow};
use events_core::delivery::Limits;
use events_core::error::Error;

use super::bench::{Bench, Log, WATCHDOG, eventually};
use super::payloads::{Num, Pong, Weight};

/// After a flush the server has everything.
pub fn flush_means_taken(bench: &Bench) {
    let server = bench.server();
    let client = bench.client();
    for number in 0..1_000 {
        client.emit(Num(number)).expect("emitted");
    }
    client.flush(WATCHDOG).expect("flushed");
    assert_eq!(client.stats().unacknowledged, 0);
    eventually("the server counts the frames", || server.figures().frames > 0);
}

/// What was emitted before the end arrives, whether the client is closed or dropped.
pub fn drop_and_close_deliver(bench: &Bench) {
    let _server = bench.server();
    let listener = bench.client();
    let log = Log::default();
    let inside = log.clone();
    listener.register::<Num>(move |e| inside.push(e.0)).expect("registered");
    for round in 0..10 {
        let emitter = bench.client();
        for number in 0..100 {
            emitter.emit(Num(round * 100 + number)).expect("emitted");
        }
        if round % 2 == 0 {
            emitter.close(WATCHDOG).expect("closed");
            assert!(matches!(emitter.emit(Num(0)), Err(Error::Closed)));
        }
    }
    assert!(log.wait_for(1_000).into_iter().eq(0..1_000));
}

/// Without a server `try_emit` says at once that there is no room; nothing it accepted is lost.
pub fn what_is_accepted_arrives(bench: &Bench) {
    let limits = Limits { queue: 256 << 10, in_flight: 64 << 10, ..Limits::default() };
    let mut options = ClientOptions::default();
    options.limits = limits;
    options.emit_limit = Duration::from_millis(20);
    let emitter = bench.client_with(options);
    let mut accepted = 0;
    let refused = loop {
        match emitter.try_emit(Weight::new(accepted, 1_000)) {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 100_000, "never full");
    };
    assert!(matches!(refused, Error::Backpressure { .. }), "{refused:?}");
    assert!(matches!(emitter.emit(Weight::new(0, 1_000)), Err(Error::Backpressure { .. })));
    let listener = bench.client();
    let log = Log::default();
    let inside = log.clone();
    listener.register::<Weight>(move |e| inside.push(e.number)).expect("pending");
    let _server = bench.server();
    // Whatever of it came before the registration stood is not for this handler, so some more until it does.
    let mut next = accepted;
    eventually("there is room again, and the handler stands", || {
        if emitter.try_emit(Weight::new(next, 10)).is_ok() {
            next += 1;
        }
        next > accepted + 10 && !log.now().is_empty()
    });
    emitter.flush(WATCHDOG).expect("flushed");
    assert_eq!(emitter.stats().unacknowledged, 0);
    let all = log.wait_until("the last one", |all| all.last() == Some(&(next - 1)));
    assert!(all.windows(2).all(|pair| pair[0] + 1 == pair[1]), "a hole");
}

/// A handler that holds a weak handle emits, and does not keep its client open.
pub fn a_weak_handle_keeps_nothing_open(bench: &Bench) {
    let _server = bench.server();
    let (emitter, client) = (bench.client(), bench.client());
    let log = Log::default();
    let (weak, inside) = (client.downgrade(), log.clone());
    client
        .register::<Num>(move |e| {
            let again = weak.upgrade().expect("it is handling");
            again.emit(Pong(e.0)).expect("emitted");
        })
        .expect("registered");
    let gone = client.downgrade();
    emitter.register::<Pong>(move |e| inside.push(e.0)).expect("registered");
    emitter.emit(Num(1)).expect("emitted");
    assert_eq!(log.wait_for(1), [1]);
    drop(client);
    eventually("it is closed", || gone.upgrade().is_none());
}

/// What is too large is refused, by the byte, and what is not arrives, and what comes behind it.
pub fn the_largest_event_passes(bench: &Bench) {
    let _server = bench.server();
    let (emitter, listener) = (bench.client(), bench.client());
    let log = Log::default();
    let inside = log.clone();
    listener.register::<Weight>(move |e| inside.push((e.number, e.bytes.len()))).expect("registered");
    let largest = match emitter.emit(Weight::new(1, 16 << 20)) {
        Err(Error::TooLarge { bytes, limit, .. }) => (16 << 20) - (bytes - limit),
        other => panic!("{other:?}"),
    };
    assert!(matches!(emitter.emit(Weight::new(1, largest + 1)), Err(Error::TooLarge { .. })));
    emitter.emit(Weight::new(1, largest)).expect("emitted");
    emitter.emit(Weight::new(2, 10)).expect("emitted");
    assert_eq!(log.wait_for(2), [(1, largest), (2, 10)]);
}

/// A client that would rather miss events counts each one.
pub fn skipping_is_counted(bench: &Bench) {
    const COUNT: u64 = 200_000;
    let _server = bench.server();
    let mut options = ClientOptions::default();
    options.when_slow = WhenSlow::Skip;
    options.inbox = 16 << 10;
    let (emitter, listener) = (bench.client(), bench.client_with(options));
    let (log, gaps) = (Log::default(), Log::default());
    let (a, b) = (log.clone(), gaps.clone());
    let (open, gate) = mpsc::channel::<()>();
    let mut waits = true;
    listener.on_gap(move |lagged| b.push(lagged.missed));
    listener
        .register::<Num>(move |e| {
            if std::mem::take(&mut waits) {
                let _ = gate.recv_timeout(WATCHDOG);
            }
            a.push(e.0);
        })
        .expect("registered");
    for number in 0..COUNT {
        emitter.emit(Num(number)).expect("emitted");
    }
    emitter.flush(WATCHDOG).expect("flushed: a slow client that skips holds nobody up");
    open.send(()).expect("the handler waits");
    let known = || log.now().len() as u64 + gaps.now().iter().sum::<u64>();
    eventually("received and missed are all", || known() >= COUNT);
    assert_eq!(known(), COUNT);
    assert!(!gaps.now().is_empty(), "nothing was skipped");
    assert!(log.now().windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(listener.stats().missed, gaps.now().iter().sum::<u64>());
}

/// A handler that is slow and moves on gets everything.
pub fn a_slow_handler_loses_nothing(bench: &Bench) {
    const COUNT: u64 = 300;
    let _server = bench.server();
    let mut options = ClientOptions::default();
    options.inbox = 64 << 10;
    let (emitter, listener) = (bench.client(), bench.client_with(options));
    let log = Log::default();
    let inside = log.clone();
    listener
        .register::<Weight>(move |e| {
            std::thread::sleep(Duration::from_millis(1));
            inside.push(e.number);
        })
        .expect("registered");
    for number in 0..COUNT {
        emitter.emit(Weight::new(number, 20_000)).expect("emitted");
    }
    assert!(log.wait_for(COUNT as usize).into_iter().eq(0..COUNT));
    assert_eq!(listener.stats().missed, 0);
}
