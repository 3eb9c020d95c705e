//! Over tcp an id belongs to the key that used it first: nobody else speaks under it or hears what is for it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use events_core::control::{self, About, Announced, Begins, HELLO, Replay, Resume, Topic};
use events_core::delivery::Limits;
use events_core::engine::zmq::{Tcp, ZmqEngine};
use events_core::engine::{Addresses, Arrival, ClientEnds, Downlink, Engine, Frame};
use events_core::frame::{self, Header, bundle, flags};
use events_core::security::{Access, Keys};
use events_core::server::Server;
use tempfile::TempDir;

const TURN: Duration = Duration::from_millis(5);
const WATCHDOG: Duration = Duration::from_secs(20);
/// The id of the client whose place others try to take.
const VICTIM: u64 = 0x1122_3344_5566_7788;

/// A server over tcp, and two users that it lets in.
struct World {
    at: Addresses,
    server: Server,
    friend: TempDir,
    stranger: TempDir,
}

fn engine(folder: &TempDir) -> ZmqEngine {
    ZmqEngine::isolated(Tcp::Curve(Access::new(Keys::at(folder.path())))).expect("libzmq starts")
}

impl World {
    fn new() -> World {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let host = format!("127.{}.{}.{count}", pid >> 8 & 0xff, pid & 0xff);
        let at = Addresses { emit: format!("tcp://{host}:9200"), reg: format!("tcp://{host}:9201") };
        let folder = || tempfile::tempdir().expect("a folder for the keys");
        let (friend, stranger) = (folder(), folder());
        Keys::at(stranger.path()).client().expect("made");
        let own: Arc<dyn Engine> = Arc::new(engine(&friend));
        let server = Server::start_with(&own, &at, Limits::default()).expect("free");
        fs::copy(stranger.path().join("client.key"), friend.path().join("clients/stranger.key")).expect("ours");
        fs::create_dir_all(stranger.path().join("servers")).expect("ours");
        let known = stranger.path().join("servers").join(format!("{host}.key"));
        fs::copy(friend.path().join("server.key"), known).expect("ours");
        World { at, server, friend, stranger }
    }

    fn connect(&self, user: &TempDir) -> ClientEnds {
        let (up, mut down) = engine(user).connect(&self.at).expect("usable");
        down.subscribe(HELLO).expect("open");
        hears(&mut *down, HELLO);
        (up, down)
    }

    /// Waits until so many are counted: the figures are told a moment after what they count has had its effect.
    fn counts_at_least(&self, forged: u64) {
        let begin = Instant::now();
        while self.server.figures().forged < forged {
            assert!(begin.elapsed() < WATCHDOG, "{:?}", self.server.figures());
            std::thread::yield_now();
        }
    }

    fn counts(&self, forged: u64) {
        self.counts_at_least(forged);
        assert_eq!(self.server.figures().forged, forged);
    }
}

/// The next message that begins with `topic`.
fn hears(down: &mut dyn Downlink, topic: &[u8]) -> Frame {
    let begin = Instant::now();
    loop {
        match down.receive(TURN).expect("open") {
            Some(Arrival::Message { head, .. }) if head.starts_with(topic) => return head,
            _ => assert!(begin.elapsed() < WATCHDOG, "waited in vain for {topic:?}"),
        }
    }
}

fn loses_its_connection(down: &mut dyn Downlink) {
    let begin = Instant::now();
    while !matches!(down.receive(TURN).expect("open"), Some(Arrival::Disconnected)) {
        assert!(begin.elapsed() < WATCHDOG, "the connection stands");
    }
}

/// Subscribes, and waits until the server has it.
fn listens(down: &mut dyn Downlink, client: u64, topic: &[u8]) {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let number = u64::from(COUNT.fetch_add(1, Ordering::Relaxed));
    let barrier = Topic::Sync { client, number, about: About::Nothing }.bytes();
    down.subscribe(topic).expect("open");
    down.subscribe(&barrier).expect("open");
    hears(down, &barrier);
}

fn event(publisher: u64, position: u64, record: u8) -> Frame {
    let flags = if position == 1 { flags::OLDEST } else { 0 };
    let sequence = position.saturating_sub(1);
    let mut bytes = Vec::new();
    frame::begin(&mut bytes, "E", &Header { flags, publisher, position, sequence, fingerprint: 0, sent_at: 0 });
    bytes.extend_from_slice(&[0x91, record]);
    Frame::new(bytes)
}

#[test]
fn frames_under_the_id_of_another_are_dropped() {
    let world = World::new();
    let (mut up, mut down) = world.connect(&world.friend);
    let (mut forger, _down) = world.connect(&world.stranger);
    listens(&mut *down, VICTIM, b"E\0");
    up.send(&event(VICTIM, 1, 1)).expect("open");
    assert_eq!(hears(&mut *down, b"E\0").last(), Some(&1));
    // The next position, a light client's, a retained one of long ago, and one that begins anew.
    for (position, record) in [(2, 66), (0, 67), (1, 68)] {
        forger.send(&event(VICTIM, position, record)).expect("open");
    }
    forger.send(&Frame::new(bundle::with_flags(&event(VICTIM, 9, 69), |_| flags::OLDEST))).expect("open");
    world.counts(4);
    up.send(&event(VICTIM, 2, 2)).expect("open");
    assert_eq!(hears(&mut *down, b"E\0").last(), Some(&2));
    // Under an id of its own it is heard.
    forger.send(&event(7, 1, 7)).expect("open");
    assert_eq!(hears(&mut *down, b"E\0").last(), Some(&7));
    world.counts(4);
}

#[test]
fn forged_resumes_shapes_and_beginnings_are_dropped() {
    let world = World::new();
    let (mut up, mut down) = world.connect(&world.friend);
    let (mut forger, _down) = world.connect(&world.stranger);
    let rx = Topic::Rx { client: VICTIM }.bytes();
    listens(&mut *down, VICTIM, &rx);
    let resume = |number| {
        let body = Resume { had: Vec::new(), names: vec!["E".into()], any: false };
        Topic::Resume { client: VICTIM, number }.message(&body)
    };
    forger.send(&resume(1)).expect("open");
    let shape = "E(a:u64)".to_owned();
    let fingerprint = events_core::shape::fingerprint_of(&shape);
    let said = Announced { publisher: VICTIM, name: "E".into(), sequence: 900, fresh: 900, shape };
    forger.send(&Topic::Shape { fingerprint }.message(&said)).expect("open");
    // What only a server says is no control message for it, whoever sends it.
    forger
        .send(&Topic::Ack { publisher: VICTIM }.message(&control::Acked { next: 9, again: true, keep: false }))
        .expect("open");
    let begins = Begins { epoch: 1, oldest: 9, past: 900 };
    forger.send(&Topic::Begin { publisher: VICTIM }.message(&begins)).expect("open");
    world.counts(3);
    up.send(&resume(2)).expect("open");
    let end = hears(&mut *down, &rx);
    let (_, body) = control::parse(&end).expect("a control message");
    let end: Replay = control::body(body).expect("the end of a replay");
    assert!(end.end && end.number == 2 && end.sequences.is_empty(), "{end:?}");
    let begin = Instant::now();
    while world.server.figures().refused == 0 {
        assert!(begin.elapsed() < WATCHDOG);
        std::thread::yield_now();
    }
}

#[test]
fn whoever_listens_to_what_is_for_another_is_disconnected() {
    let world = World::new();
    let (mut up, mut down) = world.connect(&world.friend);
    let (rx, ack) = (Topic::Rx { client: VICTIM }.bytes(), Topic::Ack { publisher: VICTIM }.bytes());
    listens(&mut *down, VICTIM, &rx);
    listens(&mut *down, VICTIM, &ack);
    let sync = Topic::Sync { client: VICTIM, number: 1 << 40, about: About::Nothing }.bytes();
    let topics = [&rx[..], &ack, &sync, b"", b"\xFF", b"\xFFrx/", b"\xFFack/1122"];
    for (topic, count) in topics.into_iter().zip(1..) {
        let (_, mut listener) = world.connect(&world.stranger);
        listener.subscribe(topic).expect("open");
        loses_its_connection(&mut *listener);
        world.counts_at_least(count);
    }
    // The client is still there: the end of those connections was not taken for its own.
    let body = Resume { had: Vec::new(), names: Vec::new(), any: false };
    up.send(&Topic::Resume { client: VICTIM, number: 1 }.message(&body)).expect("open");
    hears(&mut *down, &rx);
    up.send(&event(VICTIM, 1, 1)).expect("open");
    hears(&mut *down, &ack);
}
