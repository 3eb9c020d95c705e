//! What handlers may do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use events_core::client::Client;
use events_core::delivery::publisher::Kind;
use events_core::error::Error;

use super::bench::{Bench, Log, WATCHDOG, eventually};
use super::payloads::{Brittle, Num, NumX, Pong};

/// A panic is caught, reported, and hurts no other handler and no later event.
pub fn a_panic_harms_nobody(bench: &Bench) {
    let _server = bench.server();
    let client = bench.client();
    let (log, problems) = (Log::default(), Log::default());
    let (a, b) = (log.clone(), problems.clone());
    client.on_problem(move |error| b.push(matches!(error, Error::HandlerPanicked { .. })));
    client.register::<Num>(|e| assert!(e.0 != 1, "on purpose")).expect("registered");
    client.register::<Num>(move |e| a.push(e.0)).expect("registered");
    for number in 0..3 {
        client.emit(Num(number)).expect("emitted");
    }
    assert_eq!(log.wait_for(3), [0, 1, 2]);
    assert_eq!(problems.wait_for(1), [true]);
    assert_eq!(client.stats().panicked, 1);
}

/// Nor does one in the code that reads or writes a payload, be it for one handler or for one of several.
pub fn a_panic_in_a_payload_harms_nobody(bench: &Bench) {
    const TIMES: usize = 10;
    let _server = bench.server();
    let (client, other) = (bench.client(), bench.client());
    let (log, brittle, alone, problems) = (Log::default(), Log::default(), Log::default(), Log::default());
    for (client, brittle) in [(&client, &brittle), (&other, &alone)] {
        let (brittle, problems) = (brittle.clone(), problems.clone());
        client.on_problem(move |error| problems.push(matches!(error, Error::ReadingPanicked { .. })));
        client.register::<Brittle>(move |e| brittle.push(e.0)).expect("registered");
    }
    let all = log.clone();
    client.register::<Num>(move |e| all.push(e.0)).expect("registered");
    let emits = |event| catch_unwind(AssertUnwindSafe(|| client.emit(event).expect("emitted")));
    for number in [12, 13, 14, 15].repeat(TIMES) {
        assert_eq!(emits(Brittle(number)).is_ok(), number != 14);
    }
    assert_eq!(log.wait_for(3 * TIMES), [12, 13, 15].repeat(TIMES));
    for readable in [brittle, alone] {
        assert_eq!(readable.wait_for(2 * TIMES), [12, 15].repeat(TIMES));
    }
    assert_eq!(problems.wait_for(2 * TIMES), [true; 2 * TIMES]);
    assert_eq!(client.stats().missed + other.stats().missed, 0);
}

/// A handler may emit.
pub fn emitting_inside_works(bench: &Bench) {
    let _server = bench.server();
    let (asks, answers) = (bench.client(), bench.client());
    let log = Log::default();
    let (inside, again) = (log.clone(), answers.clone());
    asks.register::<Pong>(move |e| inside.push(e.0)).expect("registered");
    answers.register::<Num>(move |e| again.emit(Pong(e.0)).expect("answered")).expect("registered");
    for number in 0..500 {
        asks.emit(Num(number)).expect("emitted");
    }
    assert!(log.wait_for(500).into_iter().eq(0..500));
}

/// A handler may register and unregister, others and itself.
pub fn registering_inside_works(bench: &Bench) {
    let _server = bench.server();
    let client = bench.client();
    let log = Log::default();
    let (outer, inner, again) = (log.clone(), log.clone(), client.clone());
    client
        .on::<Num>()
        .uid("outer")
        .handle(move |e| {
            outer.push(("outer", e.0));
            let inner = inner.clone();
            assert!(again.unregister_uid::<Num>("outer"));
            let pending = again.register::<NumX>(move |e| inner.push(("inner", e.0))).expect("registered");
            assert!(!pending.wait_active(WATCHDOG), "it would wait for itself");
        })
        .expect("registered");
    client.emit(Num(1)).expect("emitted");
    assert_eq!(log.wait_for(1), [("outer", 1)]);
    // It becomes active by itself.
    let number = AtomicU64::new(0);
    eventually("the inner handler is called", || {
        client.emit(NumX(number.fetch_add(1, Ordering::Relaxed))).expect("emitted");
        log.now().iter().any(|(who, _)| *who == "inner")
    });
    client.emit(Num(2)).expect("emitted");
    client.flush(WATCHDOG).expect("flushed");
    assert_eq!(log.now().iter().filter(|(who, _)| *who == "outer").count(), 1);
}

/// A handler may wait for the server's word.
pub fn flushing_inside_works(bench: &Bench) {
    let _server = bench.server();
    let client = bench.client();
    let log = Log::default();
    let (inside, again) = (log.clone(), client.clone());
    client
        .register::<Num>(move |e| {
            again.emit(Pong(e.0)).expect("emitted");
            inside.push(again.flush(WATCHDOG).is_ok());
        })
        .expect("registered");
    for number in 0..20 {
        client.emit(Num(number)).expect("emitted");
    }
    assert_eq!(log.wait_for(20), [true; 20]);
}

/// Two programs that answer each other, and one that answers itself, keep going.
pub fn circles_turn(bench: &Bench) {
    const ROUNDS: u64 = 3_000;
    let _server = bench.server();
    let (left, right) = (bench.client(), bench.client());
    let (there, back) = (Arc::new(AtomicU64::new(0)), Log::default());
    let (a, b, count, log) = (left.clone(), right.clone(), there.clone(), back.clone());
    right
        .register::<Num>(move |e| {
            count.fetch_add(1, Ordering::Relaxed);
            // An answer that finds no room is refused and not lost in silence.
            let _ = b.emit(Pong(e.0));
        })
        .expect("registered");
    left.register::<Pong>(move |e| {
        if e.0 + 16 >= ROUNDS {
            log.push(e.0);
        }
        if e.0 + 16 < ROUNDS {
            let _ = a.emit(Num(e.0 + 16));
        }
    })
    .expect("registered");
    for number in 0..16 {
        left.emit(Num(number)).expect("emitted");
    }
    let mut last = back.wait_for(16);
    last.sort_unstable();
    assert!(last.into_iter().eq(ROUNDS - 16..ROUNDS));
    assert_eq!(there.load(Ordering::Relaxed), ROUNDS);
}

/// Two clients that answer each other, fed by others as fast as these can, go on and lose nothing. Nor is an answer
/// refused, unless the machine is so busy that a handler waits for room for half a second.
pub fn circles_that_are_fed_go_on(bench: &Bench) {
    let _server = bench.server();
    for feeders in [1, 3] {
        let tries = (0..3).map(|_| refused_in_a_circle(bench, feeders));
        let refused: Vec<_> = tries.take_while(|refused| *refused > 0).collect();
        assert!(refused.len() < 3, "answers were refused each time: {refused:?}, fed by {feeders}");
    }
}

fn refused_in_a_circle(bench: &Bench, feeders: usize) -> u64 {
    // Long before that the circle would be full.
    let enough = 60_000 + 15_000 * feeders as u64;
    let emit = |client: &Client, name| {
        let kind = Kind { name, fingerprint: 0, retain: false, shape: &String::new };
        // Outside it may be refused, if others go first for long.
        let _ = client.emit_raw(kind, &[&[0x91, 0xC5, 4, 0][..], &[0; 1_024]].concat());
    };
    let (left, right) = (bench.client(), bench.client());
    let outside: Vec<Client> = (0..feeders).map(|_| bench.client()).collect();
    let (on, handled) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    for (client, from, to) in [(&left, "CIRCLE_A", "CIRCLE_B"), (&right, "CIRCLE_B", "CIRCLE_A")] {
        let (answering, on, handled) = (client.downgrade(), on.clone(), handled.clone());
        let answer = move |_: &_| {
            handled.fetch_add(1, Ordering::AcqRel);
            if on.load(Ordering::Acquire) {
                emit(&answering.upgrade().expect("it is handling"), to);
            }
        };
        client.register_raw(Some(from), answer).expect("registered");
    }
    let handled = || handled.load(Ordering::Acquire);
    std::thread::scope(|scope| {
        for outside in &outside {
            scope.spawn(|| {
                while on.load(Ordering::Acquire) {
                    emit(outside, "CIRCLE_A");
                }
            });
        }
        eventually("they go on", || handled() >= enough);
        on.store(false, Ordering::Release);
    });
    let all = || outside.iter().chain([&left, &right]);
    let emitted = || all().map(|client| client.stats().emitted).sum::<u64>();
    eventually("all is handled", || handled() == emitted());
    assert_eq!((left.stats().missed, right.stats().missed), (0, 0));
    left.stats().refused + right.stats().refused
}
