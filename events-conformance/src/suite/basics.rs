//! Registering, emitting, receiving.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use events_core::delivery::publisher::Kind;
use events_core::engine::Frame;
use events_core::error::Error;
use events_core::event::Event;
use events_core::frame::{self, Header, flags};

use super::bench::{Bench, Log, WATCHDOG, eventually};
use super::payloads::{AnySuite, Kept, Num, NumX, NumXy, Pong, Shaped, ShapedNewer, ShapedOther};

/// A name that is the beginning of another does not match it.
pub fn names_match_exactly(bench: &Bench) {
    let _server = bench.server();
    let (emitter, listener) = (bench.client(), bench.client());
    let log = Log::default();
    let (a, b, c) = (log.clone(), log.clone(), log.clone());
    listener.register::<Num>(move |e| a.push(("SUITE", e.0))).expect("registered");
    listener.register::<NumX>(move |e| b.push(("SUITE_X", e.0))).expect("registered");
    emitter.emit(NumXy(1)).expect("emitted");
    emitter.emit(NumX(2)).expect("emitted");
    emitter.emit(Num(3)).expect("emitted");
    assert_eq!(log.wait_for(2), [("SUITE_X", 2), ("SUITE", 3)]);
    listener.register::<NumXy>(move |e| c.push(("SUITE_XY", e.0))).expect("registered");
    emitter.emit(NumXy(4)).expect("emitted");
    assert_eq!(log.wait_for(3)[2], ("SUITE_XY", 4));
}

/// One publisher's events arrive in the order in which they were emitted, whatever their types.
pub fn order_holds_across_events(bench: &Bench) {
    const COUNT: u64 = 3_000;
    let _server = bench.server();
    let (emitter, listener) = (bench.client(), bench.client());
    let log = Log::default();
    let (a, b, c) = (log.clone(), log.clone(), log.clone());
    listener.register::<Num>(move |e| a.push(e.0)).expect("registered");
    listener.register::<NumX>(move |e| b.push(e.0)).expect("registered");
    listener.register::<Pong>(move |e| c.push(e.0)).expect("registered");
    for number in 0..COUNT {
        match number * 7 % 5 {
            0 | 1 => emitter.emit(Num(number)),
            2 | 3 => emitter.emit(NumX(number)),
            _ => emitter.emit(Pong(number)),
        }
        .expect("emitted");
    }
    let all = log.wait_for(COUNT as usize);
    assert!(all.iter().copied().eq(0..COUNT), "out of order");
}

/// Those who want different events of one publisher get each their own, all of them and in order, beside one who wants
/// all, and while another client comes to want some and wants them no more.
pub fn each_gets_its_own_in_order(bench: &Bench) {
    const COUNT: u64 = 30_000;
    let _server = bench.server();
    let [emitter, one, other, watching, changing] = [(); 5].map(|()| bench.client());
    let (ones, others, everything) = (Log::default(), Log::default(), Log::default());
    let (a, b, c) = (ones.clone(), ones.clone(), others.clone());
    one.register::<Num>(move |e| a.push(e.0)).expect("registered");
    one.register::<Pong>(move |e| b.push(e.0)).expect("registered");
    other.register::<NumX>(move |e| c.push(e.0)).expect("registered");
    let (a, b, c) = (everything.clone(), everything.clone(), everything.clone());
    watching.register::<Num>(move |e| a.push(e.0)).expect("registered");
    watching.register::<NumX>(move |e| b.push(e.0)).expect("registered");
    watching.register::<Pong>(move |e| c.push(e.0)).expect("registered");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let log = Log::default();
                let (a, b) = (log.clone(), log.clone());
                let first = changing.register::<Pong>(move |e| a.push(e.0)).expect("registered");
                let second = changing.register::<NumX>(move |e| b.push(e.0)).expect("registered");
                first.unregister();
                second.unregister();
                assert!(log.now().is_sorted(), "out of order");
            }
        });
        for number in 0..COUNT {
            match number % 3 {
                0 => emitter.emit(Num(number)),
                1 => emitter.emit(NumX(number)),
                _ => emitter.emit(Pong(number)),
            }
            .expect("emitted");
        }
        emitter.flush(WATCHDOG).expect("flushed");
        done.store(true, Ordering::Relaxed);
    });
    let of_one = |number: &u64| number % 3 != 1;
    let all = ones.wait_for((0..COUNT).filter(of_one).count());
    assert!(all.into_iter().eq((0..COUNT).filter(of_one)), "out of order");
    let all = others.wait_for((0..COUNT).filter(|number| !of_one(number)).count());
    assert!(all.into_iter().eq((0..COUNT).filter(|number| !of_one(number))), "out of order");
    assert!(everything.wait_for(COUNT as usize).into_iter().eq(0..COUNT), "out of order");
    for client in [&one, &other, &watching, &changing] {
        assert_eq!(client.stats().missed, 0);
    }
}

/// What is emitted right after `register` returned arrives, a thousand times.
pub fn nothing_is_lost_after_register(bench: &Bench) {
    const ROUNDS: u64 = 1_000;
    let _server = bench.server();
    let (emitter, listener) = (bench.client(), bench.client());
    for round in 0..ROUNDS {
        let log = Log::default();
        let inside = log.clone();
        let registration = listener.register::<Num>(move |e| inside.push(e.0)).expect("registered");
        assert!(registration.is_active());
        emitter.emit(Num(round)).expect("emitted");
        assert_eq!(log.wait_for(1), [round]);
        registration.unregister();
    }
    assert_eq!(listener.stats().missed, 0);
}

/// Several handlers of one event are all called.
pub fn every_handler_is_called(bench: &Bench) {
    let _server = bench.server();
    let client = bench.client();
    let log = Log::default();
    for handler in 0..5 {
        let inside = log.clone();
        client.register::<Num>(move |e| inside.push((handler, e.0))).expect("registered");
    }
    client.emit(Num(1)).expect("emitted");
    let mut all = log.wait_for(5);
    all.sort_unstable();
    assert_eq!(all, [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)]);
}

/// Every client that registered gets the event, the emitter itself too.
pub fn every_client_is_reached(bench: &Bench) {
    let _server = bench.server();
    let clients: Vec<_> = (0..6).map(|_| bench.client()).collect();
    let log = Log::default();
    for (index, client) in clients.iter().enumerate() {
        let inside = log.clone();
        client.register::<Num>(move |e| inside.push((index, e.0))).expect("registered");
    }
    for client in &clients {
        client.emit(Num(1)).expect("emitted");
    }
    let all = log.wait_for(36);
    assert!((0..6).all(|index| all.iter().filter(|(of, _)| *of == index).count() == 6));
}

/// A handler that was taken back is not called again.
pub fn unregistered_is_silent(bench: &Bench) {
    let _server = bench.server();
    let client = bench.client();
    let (gone, stays) = (Log::default(), Log::default());
    let (a, b) = (gone.clone(), stays.clone());
    let first = client.register::<Num>(move |e| a.push(e.0)).expect("registered");
    client.on::<Num>().uid("stays").handle(move |e| b.push(e.0)).expect("registered");
    client.emit(Num(1)).expect("emitted");
    assert_eq!(stays.wait_for(1), [1]);
    assert_eq!(gone.wait_for(1), [1]);
    first.unregister();
    client.emit(Num(2)).expect("emitted");
    assert_eq!(stays.wait_for(2), [1, 2]);
    assert!(client.unregister_uid::<Num>("stays"));
    assert!(!client.unregister_uid::<Num>("stays"));
    let last = Log::default();
    let inside = last.clone();
    let scoped = client.register::<Num>(move |e| inside.push(e.0)).expect("registered").scoped();
    client.emit(Num(3)).expect("emitted");
    assert_eq!(last.wait_for(1), [3]);
    drop(scoped);
    assert_eq!((gone.now(), stays.now()), (vec![1], vec![1, 2]));
}

/// A uid is taken once per event and client.
pub fn a_taken_uid_is_an_error(bench: &Bench) {
    let _server = bench.server();
    let client = bench.client();
    client.on::<Num>().uid("mine").handle(|_| {}).expect("registered");
    let again = client.on::<Num>().uid("mine").handle(|_| {});
    assert!(matches!(again, Err(Error::AlreadyRegistered { .. })), "{again:?}");
    client.on::<NumX>().uid("mine").handle(|_| {}).expect("another event");
    bench.client().on::<Num>().uid("mine").handle(|_| {}).expect("another client");
}

/// Between a handler and the one that replaces it no event falls.
pub fn replaced_without_a_hole(bench: &Bench) {
    const COUNT: u64 = 2_000;
    let _server = bench.server();
    let (emitter, listener) = (bench.client(), bench.client());
    let log = Log::default();
    let inside = log.clone();
    listener.on::<Num>().uid("it").handle(move |e| inside.push(e.0)).expect("registered");
    let sender = std::thread::spawn(move || {
        for number in 0..COUNT {
            emitter.emit(Num(number)).expect("emitted");
        }
    });
    for _ in 0..20 {
        let inside = log.clone();
        listener.on::<Num>().uid("it").replace().handle(move |e| inside.push(e.0)).expect("replaced");
    }
    sender.join().expect("the emitter");
    assert!(log.wait_for(COUNT as usize).into_iter().eq(0..COUNT));
}

/// A handler for one event only gets one.
pub fn once_is_once(bench: &Bench) {
    let _server = bench.server();
    let client = bench.client();
    let (once, always) = (Log::default(), Log::default());
    let (a, b) = (once.clone(), always.clone());
    client.on::<Num>().uid("once").once().handle(move |e| a.push(e.0)).expect("registered");
    client.register::<Num>(move |e| b.push(e.0)).expect("registered");
    for number in 0..50 {
        client.emit(Num(number)).expect("emitted");
    }
    assert_eq!(always.wait_for(50).len(), 50);
    assert_eq!(once.now(), [0]);
    assert!(!client.unregister_uid::<Num>("once"));
}

/// Who replaces a handler for one event gets one, also if that has just had its own.
pub fn once_is_replaced(bench: &Bench) {
    let _server = bench.server();
    let (emitter, listener) = (bench.client(), bench.client());
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let sender = std::thread::spawn(move || {
        while !stopped.load(Ordering::Acquire) {
            emitter.emit(Num(1)).expect("emitted");
            emitter.flush(WATCHDOG).expect("flushed");
        }
    });
    for _ in 0..200 {
        let log = Log::default();
        let inside = log.clone();
        listener.on::<Num>().uid("it").once().replace().handle(|_| {}).expect("registered");
        listener.on::<Num>().uid("it").once().replace().handle(move |e| inside.push(e.0)).expect("replaced");
        assert_eq!(log.wait_for(1), [1]);
    }
    stop.store(true, Ordering::Release);
    sender.join().expect("the emitter");
}

/// What is no name of an event, or no payload, is refused before it can hurt.
pub fn what_is_no_event_is_refused(bench: &Bench) {
    let _server = bench.server();
    let client = bench.client();
    let log = Log::default();
    let inside = log.clone();
    client.register_raw(Some("E"), move |e| inside.push(e.payload().payload.clone())).expect("registered");
    let kind = |name| Kind { name, fingerprint: 0, retain: false, shape: &String::new };
    let long = "A".repeat(256);
    for name in ["", "9", "A B", "Ü", "A\0", "\u{ff}", &long] {
        assert!(matches!(client.emit_raw(kind(name), &[0x90]), Err(Error::Name { .. })), "{name}");
        assert!(matches!(client.register_raw(Some(name), |_| {}), Err(Error::Name { .. })), "{name}");
    }
    for payload in [&[][..], &[0x90, 0x90], &[0x91], &[0xC0], &[0x80], &[0xC1]] {
        assert!(matches!(client.emit_raw(kind("E"), payload), Err(Error::Put { .. })), "{payload:?}");
    }
    client.emit_raw(kind("E"), &[0x91, 7]).expect("emitted");
    assert_eq!(log.wait_for(1), [[0x91, 7]]);
}

/// Who registers later gets the last retained event, marked as such, and only that.
pub fn late_joiners_get_the_retained(bench: &Bench) {
    let _server = bench.server();
    let emitter = bench.client();
    for number in 0..10 {
        emitter.emit(Kept(number)).expect("emitted");
    }
    emitter.flush(WATCHDOG).expect("flushed");
    let late = bench.client();
    for _ in 0..2 {
        let log = Log::default();
        let inside = log.clone();
        let registration = late
            .register::<Kept>(move |e| inside.push((e.0, e.is_retained(), e.sequence(), e.age() < WATCHDOG)))
            .expect("registered");
        assert_eq!(log.wait_for(1), [(9, true, 9, true)]);
        registration.unregister();
    }
    let log = Log::default();
    let inside = log.clone();
    late.register::<Kept>(move |e| inside.push((e.0, e.is_retained()))).expect("registered");
    emitter.emit(Kept(10)).expect("emitted");
    assert_eq!(log.wait_for(2), [(9, true), (10, false)]);
}

/// Handlers of all events get those of their catalog, and the others as unknown.
pub fn any_event_is_told(bench: &Bench) {
    let _server = bench.server();
    let (emitter, listener) = (bench.client(), bench.client());
    let log = Log::default();
    let inside = log.clone();
    listener.register_any::<AnySuite>(move |e| inside.push(e.payload().clone())).expect("registered");
    emitter.emit(Num(1)).expect("emitted");
    emitter.emit(Pong(2)).expect("emitted");
    emitter.emit(NumX(3)).expect("emitted");
    let expected = [AnySuite::Num(Num(1)), AnySuite::Unknown("PONG".into()), AnySuite::NumX(NumX(3))];
    assert_eq!(log.wait_for(3), expected);
}

/// Payloads pass as bytes, by name and for all names.
pub fn raw_events_pass(bench: &Bench) {
    let _server = bench.server();
    let (emitter, listener) = (bench.client(), bench.client());
    let log = Log::default();
    let (a, b) = (log.clone(), log.clone());
    listener
        .register_raw(Some("SUITE"), move |e| a.push(("named", e.name.clone(), e.payload().payload.clone())))
        .expect("registered");
    listener
        .register_raw(None, move |e| b.push(("any", e.name.clone(), e.payload().payload.clone())))
        .expect("registered");
    emitter.emit(Pong(5)).expect("emitted");
    emitter.emit(Num(6)).expect("emitted");
    let mut all = log.wait_for(3);
    all.sort();
    let expected = [("any", "PONG", vec![0x91, 5]), ("any", "SUITE", vec![0x91, 6]), ("named", "SUITE", vec![0x91, 6])];
    assert_eq!(all, expected.map(|(kind, name, bytes)| (kind, name.to_owned(), bytes)));
}

/// A payload of another shape is never read wrongly: it is reported.
pub fn other_shapes_are_told(bench: &Bench) {
    let _server = bench.server();
    let (emitter, listener) = (bench.client(), bench.client());
    let (log, problems) = (Log::default(), Log::default());
    let (a, b) = (log.clone(), problems.clone());
    listener.on_problem(move |error| b.push(matches!(error, Error::SchemaMismatch { .. })));
    listener.register::<Shaped>(move |e| a.push(e.0)).expect("registered");
    emitter.emit(ShapedOther("five".into())).expect("emitted");
    emitter.emit(Shaped(6)).expect("emitted");
    assert_eq!(log.wait_for(1), [6]);
    assert_eq!(problems.wait_for(1), [true]);
    assert_eq!((listener.stats().mismatched, listener.stats().missed), (1, 0));
}

/// An older and a newer shape read each other.
pub fn newer_and_older_shapes_pass(bench: &Bench) {
    let _server = bench.server();
    let (old, new) = (bench.client(), bench.client());
    let (olds, news) = (Log::default(), Log::default());
    let (a, b) = (olds.clone(), news.clone());
    old.register::<Shaped>(move |e| a.push(e.0)).expect("registered");
    new.register::<ShapedNewer>(move |e| b.push(e.payload().clone())).expect("registered");
    old.emit(Shaped(1)).expect("emitted");
    assert_eq!(news.wait_for(1), [ShapedNewer { number: 1, note: None }]);
    new.emit(ShapedNewer { number: 2, note: Some("two".into()) }).expect("emitted");
    assert_eq!(olds.wait_for(2), [1, 2]);
}

/// Messages of another protocol pass the server, and are counted and not read.
pub fn foreign_messages_are_counted(bench: &Bench) {
    let server = bench.server();
    let listener = bench.client();
    let (log, problems) = (Log::default(), Log::default());
    let (a, b) = (log.clone(), problems.clone());
    listener.on_problem(move |error| b.push(matches!(error, Error::Foreign { .. })));
    listener.register::<Num>(move |e| a.push(e.0)).expect("registered");
    let (mut uplink, _downlink) = bench.engine().connect(bench.addresses()).expect("ends");
    uplink.send(&Frame::new(&b"SUITE\0\x80\x02K\x05."[..])).expect("sent");
    assert_eq!(problems.wait_for(1), [true]);
    bench.client().emit(Num(1)).expect("emitted");
    assert_eq!(log.wait_for(1), [1]);
    assert_eq!(listener.stats().foreign, 1);
    eventually("the server counts it", || server.figures().foreign == 1);
}

/// Whatever a publisher's clock says, its events arrive in the order of their positions; only the age differs.
pub fn clocks_change_the_age_alone(bench: &Bench) {
    let now = u64::try_from(SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_micros()).expect("years");
    let day = 86_400_000_000;
    let clocks = [now, now + 3_650 * day, 0, u64::MAX, now - day, now];

    let _server = bench.server();
    let listener = bench.client();
    let log = Log::default();
    let inside = log.clone();
    listener.register::<Num>(move |e| inside.push((e.0, e.age(), e.sent_at()))).expect("registered");
    let (mut uplink, _downlink) = bench.engine().connect(bench.addresses()).expect("ends");
    for (number, sent_at) in (0..).zip(clocks) {
        let flags = if number == 0 { flags::OLDEST } else { 0 };
        let fingerprint = Num::INFO.fingerprint;
        let header = Header { flags, publisher: 77, position: number + 1, sequence: number, fingerprint, sent_at };
        let mut frame = Vec::new();
        frame::begin(&mut frame, Num::INFO.name, &header);
        Num(number).put(&mut frame).expect("put");
        uplink.send(&Frame::new(frame)).expect("sent");
    }
    let seen = log.wait_for(clocks.len());
    assert!(seen.iter().map(|(number, ..)| *number).eq(0..6));
    let ages: Vec<_> = seen.iter().map(|(_, age, _)| *age).collect();
    assert_eq!((ages[1], ages[3]), (Duration::ZERO, Duration::ZERO));
    assert!(ages[0] <= ages[4] && ages[4] < ages[2], "{ages:?}");
    assert!(ages[4] >= Duration::from_micros(day));
    assert_eq!(listener.stats().missed, 0);
}

/// A subscription is an iterator and ends with its client.
pub fn subscriptions_are_streams(bench: &Bench) {
    let _server = bench.server();
    let (emitter, listener) = (bench.client(), bench.client());
    let mut events = listener.subscribe::<Num>().expect("subscribed");
    assert!(events.try_recv().is_none());
    assert!(events.recv_timeout(Duration::from_millis(5)).is_none());
    for number in 0..5_000 {
        emitter.emit(Num(number)).expect("emitted");
    }
    let all: Vec<u64> = events.iter().take(5_000).map(|e| e.0).collect();
    assert!(all.into_iter().eq(0..5_000));
    listener.close(WATCHDOG).expect("closed");
    assert!(events.recv().is_none());
}

/// Switched off, `emit` does nothing and handlers are not called.
pub fn off_is_off(bench: &Bench) {
    let _server = bench.server();
    let client = bench.client();
    let log = Log::default();
    let inside = log.clone();
    client.register::<Num>(move |e| inside.push(e.0)).expect("registered");
    client.set_enabled(false);
    client.emit(Num(1)).expect("ignored");
    client.set_enabled(true);
    client.emit(Num(2)).expect("emitted");
    assert_eq!(log.wait_for(1), [2]);
    // What others emit while it is off passes by, and is no loss.
    let other = bench.client();
    let seen = Log::default();
    let inside = seen.clone();
    other.register::<Num>(move |e| inside.push(e.0)).expect("registered");
    other.emit(Num(0)).expect("emitted");
    assert_eq!(log.wait_for(2), [2, 0]);
    client.set_enabled(false);
    other.emit(Num(3)).expect("emitted");
    assert_eq!(seen.wait_for(2), [0, 3]);
    // It has reached the client once a barrier has, and passed its handlers when one that came behind it is dropped.
    let (tell, told) = std::sync::mpsc::channel::<()>();
    client.register::<NumXy>(move |_| drop(tell.clone())).expect("registered").unregister();
    assert_eq!(told.recv_timeout(WATCHDOG), Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
    let (end, inside) = (Log::default(), Log::default());
    let (a, b) = (end.clone(), inside.clone());
    client.on_gap(move |lagged| b.push(lagged.missed));
    client.register::<Pong>(move |e| a.push(e.0)).expect("registered");
    client.set_enabled(true);
    other.emit(Num(4)).expect("emitted");
    other.emit(Pong(5)).expect("emitted");
    assert_eq!(end.wait_for(1), [5]);
    assert_eq!(log.now(), [2, 0, 4]);
    assert_eq!(inside.now(), Vec::<u64>::new(), "a gap was told of");
}
