//! Whatever is thrown at a running server, it counts, and those who behave lose nothing.
//!
//! `EVENTS_FAULTS=full` throws a million frames instead of some thousands.

use std::sync::Arc;
use std::time::{Duration, Instant};

use events_core::control::{About, HELLO, Topic};
use events_core::delivery::{Contents, Limits};
use events_core::engine::zmq::{Tcp, ZmqEngine};
use events_core::engine::{Addresses, Arrival, ClientEnds, Engine, Frame};
use events_core::frame::{self, Content, Header, flags};
use events_core::server::Server;

const TURN: Duration = Duration::from_millis(5);
const WATCHDOG: Duration = Duration::from_secs(120);
/// So many frames of garbage for each good one.
const EACH: u64 = 20;

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

fn event(publisher: u64, position: u64) -> Vec<u8> {
    let flags = if position == 1 { flags::OLDEST } else { 0 };
    let (sequence, fingerprint, sent_at) = (position - 1, 0, 0);
    let mut bytes = Vec::new();
    frame::begin(&mut bytes, "E", &Header { flags, publisher, position, sequence, fingerprint, sent_at });
    bytes.push(0x90);
    bytes
}

/// Bytes that are no frame of an event: made up, cut off, bent, or a control message that makes no sense.
fn garbage(numbers: &mut Numbers) -> Vec<u8> {
    loop {
        let mut bytes = event(13, 1);
        match numbers.below(4) {
            0 => bytes = (0..numbers.below(300)).map(|_| numbers.below(256) as u8).collect(),
            1 => bytes.truncate(numbers.below(50)),
            2 => {
                let at = numbers.below(bytes.len());
                bytes[at] ^= 1 << numbers.below(8);
            }
            _ => {
                bytes = Topic::Resume { client: 13, number: 1 }.bytes();
                bytes.extend((0..numbers.below(40)).map(|_| numbers.below(256) as u8));
            }
        }
        if !matches!(frame::parse(&bytes), Ok(Content::Event(_))) {
            return bytes;
        }
    }
}

#[test]
fn garbage_is_counted_and_good_traffic_loses_nothing() {
    let good = if std::env::var("EVENTS_FAULTS").is_ok_and(|size| size == "full") { 50_000 } else { 500 };
    let folder = tempfile::tempdir().expect("a folder for the sockets");
    let at = |name| format!("ipc://{}", folder.path().join(name).display());
    let at = Addresses { emit: at("emit"), reg: at("reg") };
    let engine: Arc<dyn Engine> = Arc::new(ZmqEngine::isolated(Tcp::default()).expect("libzmq starts"));
    let server = Server::start_with(&engine, &at, Limits::default()).expect("free");
    let (mut up, mut down): ClientEnds = engine.connect(&at).expect("usable");
    let (mut bad, _down) = engine.connect(&at).expect("usable");
    let begin = Instant::now();
    down.subscribe(HELLO).expect("open");
    let barrier = Topic::Sync { client: 1, number: 1, about: About::Nothing }.bytes();
    down.subscribe(b"E\0").expect("open");
    down.subscribe(&barrier).expect("open");
    let mut next = |topic: &[u8]| loop {
        match down.receive(TURN).expect("open") {
            Some(Arrival::Message { head, .. }) if head.starts_with(topic) => return head,
            _ => assert!(begin.elapsed() < WATCHDOG, "{:?}", server.figures()),
        }
    };
    next(&barrier);
    let (mut malformed, mut foreign, mut refused) = (0, 0, 0);
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    for position in 1..=good {
        for _ in 0..EACH {
            let bytes = garbage(&mut numbers);
            match frame::parse(&bytes) {
                Err(_) => malformed += 1,
                Ok(Content::Foreign { .. }) => foreign += 1,
                Ok(_) => refused += 1,
            }
            bad.send(&Frame::new(bytes)).expect("open");
        }
        let sent = event(7, position);
        up.send(&Frame::new(sent.clone())).expect("open");
        // Each arrives, in order, as it was sent, whatever comes between.
        assert_eq!(*next(b"E\0\x97\x01"), *sent);
    }
    let counted = || {
        let figures = server.figures();
        (figures.malformed, figures.foreign, figures.refused, figures.frames)
    };
    // The figures are at most a moment old.
    let expected = (malformed, foreign, refused, good);
    while counted() != expected {
        assert!(begin.elapsed() < WATCHDOG, "{:?} of {expected:?}", counted());
        std::thread::yield_now();
    }
}

#[test]
fn what_is_beyond_the_limits_is_dropped_and_holds_nothing_up() {
    let folder = tempfile::tempdir().expect("a folder for the sockets");
    let at = |name| format!("ipc://{}/{name}", folder.path().display());
    let at = Addresses { emit: at("emit"), reg: at("reg") };
    let engine: Arc<dyn Engine> = Arc::new(ZmqEngine::isolated(Tcp::default()).expect("libzmq starts"));
    let contents = Some(Contents { records: 2, depth: 3, length: 10 });
    let limits = Limits { name: 3, contents, largest_frame: 1_000, ..Limits::default() };
    let server = Server::start_with(&engine, &at, limits).expect("free");
    let (mut up, mut down): ClientEnds = engine.connect(&at).expect("usable");
    let begin = Instant::now();
    down.subscribe(HELLO).expect("open");
    let barrier = Topic::Sync { client: 1, number: 1, about: About::Nothing }.bytes();
    for topic in [&b"E"[..], &barrier] {
        down.subscribe(topic).expect("open");
    }
    let mut next = |topic: &[u8]| loop {
        match down.receive(TURN).expect("open") {
            Some(Arrival::Message { head, .. }) if head.starts_with(topic) => return head,
            _ => assert!(begin.elapsed() < WATCHDOG, "{:?}", server.figures()),
        }
    };
    next(&barrier);
    let mut position = 0;
    let mut send = |name: &str, records: &[u8]| {
        position += 1;
        let flags = if position == 1 { flags::OLDEST } else { 0 };
        let mut bytes = Vec::new();
        let header = Header { flags, publisher: 7, position, sequence: 0, fingerprint: 0, sent_at: 0 };
        frame::begin(&mut bytes, name, &header);
        bytes.extend_from_slice(records);
        up.send(&Frame::new(bytes)).expect("open");
    };
    let long = [&[0x91, 0xD9, 11][..], &[b'a'; 11]].concat();
    for (name, records) in [
        ("E", &[0x90, 0x90, 0x90][..]),
        ("E", &[0x91, 0x91, 0x91, 0x91, 0x01]),
        ("E", &[0x9B, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("E", &long),
        ("EEEE", &[0x90]),
    ] {
        send(name, records);
    }
    send("E", &[0x91, 0x07]);
    assert_eq!(next(b"E").last(), Some(&7), "what is within the limits comes first");
    while server.figures().excess < 5 {
        assert!(begin.elapsed() < WATCHDOG, "{:?}", server.figures());
        std::thread::yield_now();
    }
    assert_eq!((server.figures().excess, server.figures().early), (5, 0));
    // As a whole, as an event and as anything else. What comes behind it is not held up.
    send("E", &vec![0x90; 2_000]);
    send("E", &[0x91, 0x08]);
    assert_eq!(next(b"E").last(), Some(&8));
    up.send(&Frame::new(vec![b'E'; 2_000])).expect("open");
    while server.figures().excess < 7 {
        assert!(begin.elapsed() < WATCHDOG, "{:?}", server.figures());
        std::thread::yield_now();
    }
}
