//! Servers that come, go and are replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use events_core::error::Connection;
use events_core::server::{Role, ensure_server_on};

use super::bench::{Bench, Log, WATCHDOG, eventually};
use super::payloads::{Kept, Num, NumX};

/// What is emitted before there is a server arrives once there is one.
pub fn emitted_before_the_server(bench: &Bench) {
    let (emitter, listener) = (bench.client(), bench.client());
    let log = Log::default();
    let inside = log.clone();
    let registration = listener.register::<Num>(move |e| inside.push(e.0)).expect("pending");
    let _server = bench.server();
    assert!(registration.wait_active(WATCHDOG), "it becomes active by itself");
    let late = bench.client();
    for number in 0..100 {
        emitter.emit(Num(number)).expect("emitted");
        late.emit(NumX(number)).expect("emitted");
    }
    assert!(log.wait_for(100).into_iter().eq(0..100));
}

/// A server is replaced while publishers and subscribers live: nothing is lost, nothing comes twice.
pub fn servers_may_be_replaced(bench: &Bench) {
    if !bench.reconnects {
        return;
    }
    const SERVERS: usize = 4;
    let mut server = Some(bench.server());
    let (emitter, listener) = (bench.client(), bench.client());
    let (log, links) = (Log::default(), Log::default());
    let (a, b, c) = (log.clone(), log.clone(), links.clone());
    listener.on_connection(move |change| c.push(change));
    listener.register::<Num>(move |e| a.push(e.0)).expect("registered");
    listener.register::<NumX>(move |e| b.push(e.0)).expect("registered");
    let done = Arc::new(AtomicBool::new(false));
    let sender = std::thread::spawn({
        let done = done.clone();
        move || {
            let mut number = 0;
            while !done.load(Ordering::Relaxed) {
                let emitted = if number % 3 == 0 { emitter.emit(NumX(number)) } else { emitter.emit(Num(number)) };
                emitted.expect("emitted");
                number += 1;
                if number % 64 == 0 {
                    std::thread::sleep(Duration::from_micros(500));
                }
            }
            emitter.flush(WATCHDOG).expect("flushed");
            (number, emitter)
        }
    });
    for round in 1..SERVERS {
        let before = log.now().len();
        let _ = log.wait_for(before + 200);
        server.take().expect("a server").shutdown(Duration::ZERO);
        server = Some(bench.server());
        let back = |links: &[Connection]| links.iter().filter(|link| **link == Connection::Reconnected).count();
        let _ = links.wait_until("the connection to the next server", |links| back(links) == round);
    }
    done.store(true, Ordering::Relaxed);
    let (total, _emitter) = sender.join().expect("the emitter");
    let all = log.wait_for(total as usize);
    assert!(all.into_iter().eq(0..total), "lost, twice or out of order");
    assert_eq!(listener.stats().missed, 0);
}

/// A server that leaves hands out what it took, and everything else comes through the next.
pub fn leaving_loses_nothing(bench: &Bench) {
    if !bench.reconnects {
        return;
    }
    let server = bench.server();
    let (emitter, listener) = (bench.client(), bench.client());
    let log = Log::default();
    let inside = log.clone();
    listener.register::<Num>(move |e| inside.push(e.0)).expect("registered");
    for number in 0..500 {
        emitter.emit(Num(number)).expect("emitted");
    }
    server.shutdown(WATCHDOG);
    for number in 500..1_000 {
        emitter.emit(Num(number)).expect("emitted");
    }
    let _server = bench.server();
    assert!(log.wait_for(1_000).into_iter().eq(0..1_000));
    assert_eq!(listener.stats().missed, 0);
}

/// Retained events survive a server as long as their publishers live.
pub fn retained_survives_a_server(bench: &Bench) {
    if !bench.reconnects {
        return;
    }
    let server = bench.server();
    let emitter = bench.client();
    emitter.emit(Kept(1)).expect("emitted");
    emitter.emit(Kept(2)).expect("emitted");
    emitter.flush(WATCHDOG).expect("flushed");
    server.shutdown(Duration::ZERO);
    let _server = bench.server();
    // The publisher is back once something of it is acknowledged.
    emitter.emit(Num(0)).expect("emitted");
    emitter.flush(WATCHDOG).expect("flushed");
    let late = bench.client();
    let log = Log::default();
    let inside = log.clone();
    late.register::<Kept>(move |e| inside.push((e.0, e.is_retained()))).expect("registered");
    assert_eq!(log.wait_for(1), [(2, true)]);
}

/// Whoever asks for a server in a process gets the same one.
pub fn ensuring_twice_is_one_server(bench: &Bench) {
    let first = ensure_server_on(bench.engine(), bench.addresses()).expect("a server");
    let second = ensure_server_on(bench.engine(), bench.addresses()).expect("the same server");
    assert_eq!((first.role(), second.role()), (Role::Serving, Role::Serving));
    drop(first);
    let client = bench.client();
    let log = Log::default();
    let inside = log.clone();
    client.register::<Num>(move |e| inside.push(e.0)).expect("registered");
    client.emit(Num(1)).expect("emitted");
    assert_eq!(log.wait_for(1), [1]);
    drop(second);
    eventually("it is served by nobody", || {
        bench.engine().bind(bench.addresses(), b"\xFFhello/0000000000000001\0\x90").is_ok()
    });
}
