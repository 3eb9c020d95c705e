//! What every engine does, in the words of the traits.

use std::time::{Duration, Instant};

use events_core::engine::{Arrival, EngineError, Frame, Hub};

use crate::rig::{Client, Rig, TURN, WATCHDOG, collect, publish, try_publish, until};

/// The welcome is the first message of a connection, before others that were subscribed.
pub(crate) fn welcome_comes_first(rig: &Rig) {
    let mut hub = rig.bind("hello/1");
    for _ in 0..3 {
        let mut client = rig.connect();
        client.subscribe("a");
        client.settle(&mut *hub);
        publish(&mut *hub, "a1");
        assert_eq!(client.text(), "hello/1");
        assert_eq!(client.text(), "a1");
    }
}

/// A client gets what begins with one of its topics, once, and nothing else.
pub(crate) fn topics_match_by_prefix(rig: &Rig) {
    let mut hub = rig.bind("hello");
    let (mut one, mut two) = (rig.connect(), rig.connect());
    for topic in ["A\0", "AB\0", "ABC", "ABCD"] {
        one.subscribe(topic);
    }
    two.subscribe("A");
    one.settle(&mut *hub);
    two.settle(&mut *hub);
    for text in ["A\0x", "AC\0x", "AB\0x", "ABCDE", "B", "A"] {
        publish(&mut *hub, text);
    }
    publish(&mut *hub, "hello again");
    for text in ["hello", "A\0x", "AB\0x", "ABCDE", "hello again"] {
        assert_eq!(one.text(), text);
    }
    for text in ["hello", "A\0x", "AC\0x", "AB\0x", "ABCDE", "A", "hello again"] {
        assert_eq!(two.text(), text);
    }
}

/// A topic is gone when it was taken back as often as it was made.
pub(crate) fn unsubscribing_takes_one_back(rig: &Rig) {
    let mut hub = rig.bind("hello");
    let mut client = rig.connect();
    client.subscribe("a");
    client.subscribe("a");
    client.down.unsubscribe(b"a").expect("open");
    client.down.unsubscribe(b"never made").expect("open");
    client.settle(&mut *hub);
    publish(&mut *hub, "a1");
    for text in ["hello", "a1"] {
        assert_eq!(client.text(), text);
    }
    client.down.unsubscribe(b"a").expect("open");
    let told = client.settle(&mut *hub);
    assert!(told.iter().any(|told| !told.on && told.topic == b"a"), "{told:?}");
    publish(&mut *hub, "a2");
    publish(&mut *hub, "hello end");
    assert_eq!(client.text(), "hello end");
}

/// Subscriptions of a connection come in their order, and each is told although others have the same.
pub(crate) fn subscriptions_are_told_in_order(rig: &Rig) {
    let mut hub = rig.bind("hello");
    let mut peers = Vec::new();
    for _ in 0..3 {
        let mut client = rig.connect();
        let topics: Vec<String> = (0..50).rev().map(|number| format!("t/{number}/")).collect();
        for topic in &topics {
            client.subscribe(topic);
        }
        let told = client.settle(&mut *hub);
        let peer = told[0].peer;
        assert!(told.iter().all(|told| told.on && told.peer == peer));
        assert_eq!(peer.is_none(), rig.inproc);
        let told_topics: Vec<_> = told.iter().map(|told| String::from_utf8_lossy(&told.topic)).collect();
        assert_eq!(told_topics[0], "hello");
        assert_eq!(told_topics[1..], topics);
        peers.push((told[0].peer, client));
    }
    if !rig.inproc {
        assert!(peers[0].0 != peers[1].0 && peers[1].0 != peers[2].0 && peers[0].0 != peers[2].0);
    }
}

/// However many subscriptions there are, none is lost.
pub(crate) fn many_subscriptions_all_stand(rig: &Rig) {
    let mut hub = rig.bind("hello");
    let mut client = rig.connect();
    for number in 0..1_200 {
        client.subscribe(&format!("t/{number}/"));
    }
    assert_eq!(client.settle(&mut *hub).len(), 1_201);
    assert_eq!(client.text(), "hello");
    for number in 0..1_200 {
        publish(&mut *hub, &format!("t/{number}/x"));
        assert_eq!(client.text(), format!("t/{number}/x"));
    }
}

/// Frames arrive at the hub as they were sent, in order.
pub(crate) fn the_uplink_keeps_order(rig: &Rig) {
    let mut hub = rig.bind("hello");
    let mut client = rig.connect();
    for number in 0..2_000u32 {
        client.send(format!("{number}"));
    }
    for number in 0..2_000u32 {
        assert_eq!(&*collect(&mut *hub), format!("{number}").as_bytes());
    }
}

/// Frames of 256 KiB go both ways, and the one forwarded is the one that came.
pub(crate) fn large_frames_pass(rig: &Rig) {
    let mut hub = rig.bind("hello");
    let mut client = rig.connect();
    client.subscribe("L");
    client.settle(&mut *hub);
    assert_eq!(client.text(), "hello");
    for fill in 0..10u8 {
        let mut bytes = vec![fill; 256 * 1024];
        bytes[0] = b'L';
        client.send(bytes.clone());
        let frame = collect(&mut *hub);
        assert!(try_publish(&mut *hub, &frame, None));
        match client.next() {
            Arrival::Message { head, body: None } => assert!(*head == *bytes),
            other => panic!("{other:?}"),
        }
    }
}

/// Frames of every size from nothing to beyond all limits of copying pass unchanged.
pub(crate) fn every_size_passes(rig: &Rig) {
    let mut hub = rig.bind("hello");
    let mut client = rig.connect();
    client.subscribe("");
    client.settle(&mut *hub);
    assert_eq!(client.text(), "hello");
    for len in [0, 1, 32, 33, 34, 1023, 1024, 1025, 8191, 8192, 8193, 65_536] {
        client.send(vec![7; len]);
        let frame = collect(&mut *hub);
        assert_eq!(frame.len(), len);
        let kept = frame.clone();
        assert!(try_publish(&mut *hub, &frame, None));
        drop(frame);
        match client.next() {
            Arrival::Message { head, body: None } => assert!(*head == *kept),
            other => panic!("{other:?}"),
        }
    }
}

/// Fills the queue of a client that does not read; the number of messages that went through.
fn fill(hub: &mut dyn Hub, reader: &mut Client, body: Option<&Frame>) -> (usize, usize) {
    let head = Frame::new(b"x".repeat(if body.is_some() { 1 } else { 64 * 1024 }));
    let (mut sent, mut got) = (0, 0);
    let mut full_for = Instant::now();
    until("a full queue", || {
        if try_publish(hub, &head, body) {
            sent += 1;
            full_for = Instant::now();
        }
        // The sender of the other connection may only be slow: full is what stays full.
        for arrival in reader.drain() {
            assert!(matches!(arrival, Arrival::Message { .. }));
            got += 1;
        }
        (full_for.elapsed() > Duration::from_millis(300)).then_some((sent, got))
    })
}

fn stalled_and_reading(rig: &Rig, body: Option<Frame>) {
    let mut hub = rig.bind("hello");
    let (mut stalled, mut reader) = (rig.connect(), rig.connect());
    for client in [&mut stalled, &mut reader] {
        client.subscribe("x");
        client.settle(&mut *hub);
        assert_eq!(client.text(), "hello");
    }
    let (sent, mut got) = fill(&mut *hub, &mut reader, body.as_ref());
    assert!(sent >= 64, "only {sent} went through");
    assert!(matches!(
        hub.publish(&Frame::new(&b"x"[..]), None, Duration::from_millis(20)),
        Err(events_core::engine::PublishError::Full)
    ));
    until("the reader to have all", || {
        got += reader.drain().len();
        (got == sent).then_some(())
    });
    // Somebody who is not subscribed is in nobody's way.
    publish(&mut *hub, "nobody");
    // Reads on, and has exactly what the other has: nothing was sent to one alone.
    for _ in 0..sent {
        let Arrival::Message { body: got, .. } = stalled.next() else { panic!("disconnected") };
        assert_eq!(got.as_deref(), body.as_deref());
    }
    // And there is room again.
    publish(&mut *hub, "x end");
    assert_eq!(stalled.text(), "x end");
    assert_eq!(reader.text(), "x end");
    stalled.nothing_is_there();
    reader.nothing_is_there();
}

/// A message goes to all who subscribed, or to none when the queue of one is full.
pub(crate) fn a_full_queue_refuses_for_all(rig: &Rig) {
    stalled_and_reading(rig, None);
}

/// The same for messages of two parts, which stay together.
pub(crate) fn two_parts_are_one_message(rig: &Rig) {
    stalled_and_reading(rig, Some(Frame::new(b"y".repeat(64 * 1024))));
}

/// A client whose connection is ended finds out, comes back, is welcomed and has its subscriptions.
pub(crate) fn a_disconnected_peer_comes_back(rig: &Rig) {
    if rig.inproc {
        return;
    }
    let mut hub = rig.bind("hello");
    let (mut client, mut other) = (rig.connect(), rig.connect());
    other.subscribe("a");
    other.settle(&mut *hub);
    assert_eq!(other.text(), "hello");
    client.subscribe("a");
    let mut told = client.settle(&mut *hub);
    assert_eq!(client.text(), "hello");
    for round in 0..5 {
        let begun = told.iter().rfind(|told| told.on);
        let peer = begun.and_then(|told| told.peer).expect("this engine knows its peers");
        publish(&mut *hub, "a before");
        assert_eq!(client.text(), "a before");
        hub.disconnect(peer);
        client.disconnected();
        told = client.settle(&mut *hub);
        assert!(told.iter().any(|told| told.on && told.topic == b"a"), "{round}: {told:?}");
        // What the connection that ended had is taken back by its name or without one.
        assert!(told.iter().all(|told| !told.on || told.peer != Some(peer)), "a peer's name was given away again");
        // The old name means nobody now.
        hub.disconnect(peer);
        publish(&mut *hub, "a after");
        for text in ["hello", "a after"] {
            assert_eq!(client.text(), text);
        }
        for text in ["a before", "a after"] {
            assert_eq!(other.text(), text);
        }
    }
}

/// What was queued when a connection ended is handed over before its end is told.
pub(crate) fn the_end_comes_after_what_was_queued(rig: &Rig) {
    let mut hub = rig.bind("hello");
    let mut client = rig.connect();
    client.subscribe("a");
    client.settle(&mut *hub);
    for number in 0..20 {
        publish(&mut *hub, &format!("a{number}"));
    }
    // The first is there, so the rest is on its way in the same connection.
    for text in ["hello", "a0"] {
        assert_eq!(client.text(), text);
    }
    drop(hub);
    for number in 1..20 {
        assert_eq!(client.text(), format!("a{number}"));
    }
    client.disconnected();
    client.nothing_is_there();
}

/// A client outlives its server and finds the next one, with all its subscriptions in byte order.
pub(crate) fn a_new_server_is_found(rig: &Rig) {
    let mut client = rig.connect();
    for topic in ["c", "a", "b"] {
        client.subscribe(topic);
    }
    for run in 0..4 {
        let mut hub = rig.bind(&format!("hello/{run}"));
        let told = client.settle(&mut *hub);
        assert_eq!(client.text(), format!("hello/{run}"));
        if run > 0 {
            // It may have come over a socket first and then seen that the server is in its own process.
            let peer = told.last().and_then(|last| last.peer);
            let topics: Vec<_> = told.iter().filter(|told| told.topic.len() == 1 && told.peer == peer).collect();
            assert_eq!(topics.len(), 3);
            assert!(topics.is_sorted_by_key(|told| &told.topic), "{topics:?}");
        }
        publish(&mut *hub, "b1");
        assert_eq!(client.text(), "b1");
        client.up.reset().expect("open");
        client.send(format!("run {run}"));
        assert_eq!(&*collect(&mut *hub), format!("run {run}").as_bytes());
        drop(hub);
        client.disconnected();
    }
}

/// A client may be there first; what it sends and subscribes counts when the server comes.
pub(crate) fn clients_may_come_first(rig: &Rig) {
    let mut client = rig.connect();
    client.subscribe("a");
    client.send("early");
    client.nothing_is_there();
    let mut hub = rig.bind("hello");
    assert_eq!(&*collect(&mut *hub), b"early");
    client.settle(&mut *hub);
    assert_eq!(client.text(), "hello");
    publish(&mut *hub, "a1");
    assert_eq!(client.text(), "a1");
}

/// Resetting an uplink throws away what it had queued: only what was under way still comes.
pub(crate) fn a_reset_uplink_starts_anew(rig: &Rig) {
    if rig.inproc {
        // Here everything is under way as soon as it is sent.
        return;
    }
    let mut hub = rig.bind("hello");
    let mut client = rig.connect();
    let old = Frame::new(vec![b'o'; 64 * 1024]);
    let queued = 1_000;
    for _ in 0..queued {
        client.up.send(&old).expect("open");
    }
    assert_eq!(collect(&mut *hub).len(), old.len());
    client.up.reset().expect("open");
    client.send("new");
    let came = (1..).find(|_| *collect(&mut *hub) == *b"new");
    assert!(came < Some(queued), "the queue came through: {came:?}");
}

/// A waker ends a wait, the one under way or the next.
pub(crate) fn wakers_interrupt(rig: &Rig) {
    let mut hub = rig.bind("hello");
    let mut client = rig.connect();
    client.settle(&mut *hub);
    assert_eq!(client.text(), "hello");
    let begin = Instant::now();
    for round in 0..200 {
        let (down, up) = (client.down.waker(), hub.waker());
        let call = move || {
            down.wake();
            down.wake();
            up.wake();
        };
        let caller = match round % 2 {
            0 => Some(std::thread::spawn(call)),
            _ => {
                call();
                None
            }
        };
        assert!(client.down.receive(2 * WATCHDOG).expect("open").is_none());
        hub.wait(2 * WATCHDOG).expect("open");
        if let Some(caller) = caller {
            caller.join().expect("the caller does not panic");
        }
    }
    assert!(begin.elapsed() < WATCHDOG);
    // And no call is left over to end a wait that nobody meant to end.
    let begin = Instant::now();
    let limit = Duration::from_millis(30);
    let (mut arrivals, mut early) = (0, 0);
    for _ in 0..3 {
        let begin = Instant::now();
        arrivals += usize::from(client.down.receive(limit).expect("open").is_some());
        early += usize::from(begin.elapsed() < limit);
    }
    assert_eq!(arrivals, 0);
    // A second call of the last round may still have been on its way.
    assert!(early <= 1, "{early} waits ended early, after {:?}", begin.elapsed());
}

/// Two servers cannot have one address; when the first is gone the next one can, at once.
pub(crate) fn an_address_has_one_server(rig: &Rig) {
    for _ in 0..3 {
        let hub = rig.bind("hello");
        for _ in 0..2 {
            match rig.engine.bind(&rig.at, b"hello") {
                Err(EngineError::Served { .. }) => {}
                Err(error) => panic!("{error:?}"),
                Ok(_) => panic!("two servers at one address"),
            }
        }
        assert_eq!(hub.addresses(), rig.at);
    }
}

/// A client that comes before its server hears that nobody is there, once.
pub(crate) fn nobody_is_there_yet(rig: &Rig) {
    let (_up, mut down) = rig.engine.connect(&rig.at).expect("connects");
    let first = until("word of the address", || down.receive(TURN).expect("open"));
    assert!(matches!(first, Arrival::Unreachable), "{first:?}");
    assert!(down.receive(Duration::ZERO).expect("open").is_none());
    let _hub = rig.engine.bind(&rig.at, b"welcome").expect("binds");
}
