//! What a key may not emit or register for goes nowhere, whatever its holder tries, and its holder is told.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use events_core::client::{Client, ClientOptions};
use events_core::control::{self, About, Denied, HELLO, Resume, Synced, Topic};
use events_core::delivery::Limits;
use events_core::delivery::publisher::Kind;
use events_core::engine::zmq::{Tcp, ZmqEngine};
use events_core::engine::{Addresses, Arrival, Downlink, Engine, Frame};
use events_core::error::Error;
use events_core::frame::{self, Header, flags};
use events_core::security::{Access, Keys};
use events_core::server::Server;
use tempfile::TempDir;

const TURN: Duration = Duration::from_millis(5);
const WATCHDOG: Duration = Duration::from_secs(20);
const ME: u64 = 0x1122_3344_5566_7788;

/// A server over tcp, its own user, who may do everything, and a guest.
struct World {
    at: Addresses,
    server: Server,
    host: TempDir,
    guest: TempDir,
}

fn engine(folder: &TempDir) -> Arc<dyn Engine> {
    let access = Access::new(Keys::at(folder.path()));
    Arc::new(ZmqEngine::isolated(Tcp::Curve(access)).expect("libzmq starts"))
}

impl World {
    /// The guest may do what these patterns say; `None`: everything.
    fn new(emit: Option<&str>, register: Option<&str>) -> World {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let address = format!("127.{}.{}.{count}", pid >> 8 & 0xff, pid & 0xff);
        let at = Addresses { emit: format!("tcp://{address}:9300"), reg: format!("tcp://{address}:9301") };
        let folder = || tempfile::tempdir().expect("a folder for the keys");
        let (host, guest) = (folder(), folder());
        Keys::at(guest.path()).client().expect("made");
        let server = Server::start_with(&engine(&host), &at, Limits::default()).expect("free");
        fs::create_dir_all(guest.path().join("servers")).expect("ours");
        let known = guest.path().join("servers").join(format!("{address}.key"));
        fs::copy(host.path().join("server.key"), known).expect("ours");
        let world = World { at, server, host, guest };
        world.allow(emit, register);
        world
    }

    fn allow(&self, emit: Option<&str>, register: Option<&str>) {
        let names = |text: Option<&str>| text.map(|text| text.parse().expect("patterns"));
        let file = self.guest.path().join("client.key");
        let keys = Keys::at(self.host.path());
        keys.allow_only(&file, Some("guest"), names(emit), names(register)).expect("allowed");
    }

    fn client(&self, user: &TempDir) -> Client {
        let options = ClientOptions::default().engine(engine(user));
        Client::with_options(&self.at.emit, &self.at.reg, options).expect("usable")
    }

    fn counts(&self, denied: u64) {
        until(|| (self.server.figures().denied >= denied).then_some(()));
    }
}

fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < WATCHDOG, "waited in vain");
        std::thread::yield_now();
    }
}

fn problems(client: &Client) -> Receiver<String> {
    let (tell, told) = mpsc::channel();
    client.on_problem(move |error| {
        let _ = tell.send(match error {
            Error::MayNotEmit { event } => format!("emit {event}"),
            Error::MayNotRegister { event } => format!("register {event}"),
            other => format!("{other:?}"),
        });
    });
    told
}

/// The last byte of each event of this name that arrives.
fn heard(client: &Client, name: Option<&str>) -> Receiver<u8> {
    let (tell, told) = mpsc::channel();
    let registration = client.register_raw(name, move |event| {
        let _ = tell.send(event.payload.last().copied().unwrap_or_default());
    });
    registration.expect("open");
    told
}

fn emit(client: &Client, name: &str, record: u8) {
    let kind = Kind { name, fingerprint: 0, retain: false, shape: &String::new };
    client.emit_raw(kind, &[0x91, record]).expect("room");
}

fn next<T>(told: &Receiver<T>) -> T {
    told.recv_timeout(WATCHDOG).expect("in time")
}

#[test]
fn what_a_key_may_not_emit_goes_nowhere_and_holds_nothing_up() {
    let world = World::new(Some("MAIL_*, A"), None);
    let (host, guest) = (world.client(&world.host), world.client(&world.guest));
    let told = problems(&guest);
    let all = heard(&host, None);
    for (name, record) in [("MAIL_X", 1), ("B", 66), ("A", 2), ("MAIL", 67), ("AB", 68), ("A", 3)] {
        emit(&guest, name, record);
    }
    // What is dropped counts as taken, so that nothing is held up; who waits for it is told.
    let flushed = guest.flush(WATCHDOG);
    assert!(matches!(flushed, Err(Error::MayNotEmit { .. })), "{flushed:?}, {:?}", world.server.figures());
    guest.flush(WATCHDOG).expect("told once");
    assert_eq!([next(&all), next(&all), next(&all)], [1, 2, 3]);
    assert_eq!([next(&told), next(&told), next(&told)], ["emit B", "emit MAIL", "emit AB"]);
    world.counts(3);
    emit(&host, "B", 4);
    assert_eq!(next(&all), 4);
    assert_eq!((host.stats().missed, guest.stats().missed), (0, 0));
}

#[test]
fn what_a_key_may_not_register_for_is_not_handed_to_it() {
    let world = World::new(None, Some("MAIL_*"));
    let (host, guest) = (world.client(&world.host), world.client(&world.guest));
    let told = problems(&guest);
    let mail = heard(&guest, Some("MAIL_X"));
    for name in [Some("B"), None, Some("B"), None] {
        let refused = guest.register_raw(name, |event| panic!("{event:?}"));
        assert!(matches!(refused, Err(Error::MayNotRegister { event }) if event == name.unwrap_or("*")));
    }
    assert_eq!([next(&told), next(&told)], ["register B", "register *"]);
    for record in 1..=100 {
        emit(&host, "B", record);
    }
    emit(&host, "MAIL_X", 101);
    // It came last, and over the same connection.
    assert_eq!(next(&mail), 101);
    assert_eq!(guest.stats().panicked, 0);
    world.counts(2);
}

#[test]
fn a_change_counts_without_a_restart_also_one_within_the_file() {
    let world = World::new(None, None);
    let (host, guest) = (world.client(&world.host), world.client(&world.guest));
    let told = problems(&guest);
    let heard = heard(&guest, Some("B"));
    emit(&host, "B", 1);
    assert_eq!(next(&heard), 1);
    // By an editor that writes into the file.
    let file = world.host.path().join("clients/guest.key");
    let text = fs::read_to_string(&file).expect("ours");
    fs::write(&file, text.replace("metadata\n", "metadata\n    register = \"A\"\n")).expect("ours");
    assert_eq!(next(&told), "register B");
    emit(&host, "B", 2);
    host.flush(WATCHDOG).expect("taken");
    // Behind it over the same connection.
    let after = guest.register_raw(Some("A"), |_| {}).expect("open");
    assert!(after.wait_active(WATCHDOG));
    assert_eq!(heard.try_recv().ok(), None);
    world.allow(None, Some("*"));
    until(|| {
        emit(&host, "B", 3);
        heard.try_recv().ok()
    });
}

#[test]
fn a_key_whose_file_is_not_clear_may_do_nothing() {
    let world = World::new(None, None);
    let file = world.host.path().join("clients/guest.key");
    let text = fs::read_to_string(&file).expect("ours");
    fs::write(&file, text.replace("metadata\n", "metadata\n    emit = \"MA*L\"\n")).expect("ours");
    let names: Vec<_> = Keys::at(world.host.path()).allowed().expect("ours").into_iter().map(|key| key.name).collect();
    assert_eq!(names, ["own"]);
}

fn connected(world: &World, user: &TempDir) -> events_core::engine::ClientEnds {
    let (up, mut down) = engine(user).connect(&world.at).expect("usable");
    down.subscribe(HELLO).expect("open");
    hears(&mut *down, HELLO);
    (up, down)
}

/// The next message on `topic`; none of event B comes before.
fn hears(down: &mut dyn Downlink, topic: &[u8]) -> (Frame, Option<Frame>) {
    until(|| match down.receive(TURN).expect("open") {
        Some(Arrival::Message { head, body }) => {
            let secret = |frame: &Frame| frame.starts_with(b"B\0");
            assert!(!secret(&head) && !body.as_ref().is_some_and(secret), "{head:?} {body:?}");
            head.starts_with(topic).then_some((head, body))
        }
        _ => None,
    })
}

fn event(name: &str, position: u64, flags: u8) -> Frame {
    let (publisher, sequence) = (9, position.saturating_sub(1));
    let mut bytes = Vec::new();
    frame::begin(&mut bytes, name, &Header { flags, publisher, position, sequence, fingerprint: 0, sent_at: 0 });
    bytes.extend_from_slice(&[0x91, 7]);
    Frame::new(bytes)
}

/// By beginnings, by the retained event that a barrier brings, by a replay.
#[test]
fn there_is_no_other_way_to_hear_it() {
    let world = World::new(None, Some("A"));
    let (mut up, mut own) = connected(&world, &world.host);
    own.subscribe(b"A\0").expect("open");
    let (mut guest, mut down) = connected(&world, &world.guest);
    let rx = Topic::Rx { client: ME }.bytes();
    let barrier = |number, about| Topic::Sync { client: ME, number, about };
    for topic in [&rx[..], b"B\0", b"B", b"A", b"A\0x", &barrier(1, About::Nothing).bytes()] {
        down.subscribe(topic).expect("open");
    }
    hears(&mut *down, &barrier(1, About::Nothing).bytes());
    up.send(&event("B", 1, flags::OLDEST | flags::RETAINED)).expect("open");
    up.send(&event("A", 2, 0)).expect("open");
    // Once this has come the other has gone out.
    until(|| {
        matches!(own.receive(TURN).expect("open"), Some(Arrival::Message { head, .. }) if head.starts_with(b"A\0"))
            .then_some(())
    });
    let asked = barrier(2, About::Event("B".into())).bytes();
    down.subscribe(&asked).expect("open");
    let (head, body) = hears(&mut *down, &asked);
    let synced: Synced = control::parse(&head).and_then(|(_, body)| control::body(body)).expect("an answer");
    assert!(body.is_none() && synced.sequences.is_empty(), "{synced:?}");
    for (number, names, any) in [(1, vec!["A".to_owned(), "B".to_owned()], false), (2, Vec::new(), true)] {
        let resume = Resume { had: Vec::new(), names, any };
        guest.send(&Topic::Resume { client: ME, number }.message(&resume)).expect("open");
        loop {
            let (head, _) = hears(&mut *down, &rx);
            let Some((Topic::Rx { .. }, body)) = control::parse(&head) else { continue };
            let replay: control::Replay = control::body(body).expect("a replay");
            if replay.end && replay.number == number {
                assert!(replay.sequences.iter().all(|reached| reached.event == "A"), "{replay:?}");
                break;
            }
        }
    }
}

/// libzmq remembers for each subscription whose it is, but not for what is none: one of those makes it take
/// each subscription for that of the next.
#[test]
fn messages_that_are_no_subscriptions_give_nobody_what_another_asked_for() {
    let world = World::new(None, Some("A"));
    let at = Addresses { emit: "inproc://permits".into(), reg: world.at.reg.replace(":9301", ":9302") };
    let mut hub = engine(&world.host).bind(&at, b"welcome").expect("free");
    let context = zmq::Context::new();
    let raw = |user: &TempDir| {
        let key = |text: &str| zmq::z85_decode(text).expect("a key");
        let pair = Keys::at(user.path()).client().expect("made");
        let secret = fs::read_to_string(user.path().join("client.key_secret")).expect("ours");
        let secret = secret.split('"').nth(3).expect("the second value").to_owned();
        let socket = context.socket(zmq::XSUB).expect("a socket");
        let server = Keys::at(world.host.path()).server().expect("made");
        socket.set_curve_serverkey(&key(server.public().as_str())).expect("curve");
        socket.set_curve_publickey(&key(pair.public().as_str())).expect("curve");
        socket.set_curve_secretkey(&key(&secret)).expect("curve");
        socket.set_linger(0).expect("open");
        socket.set_rcvtimeo(0).expect("open");
        socket.connect(&at.reg).expect("valid");
        socket
    };
    let (friend, guest) = (raw(&world.host), raw(&world.guest));
    for socket in [&friend, &guest] {
        // The guest is refused; but without it libzmq's own end would keep from us what comes.
        socket.send("\u{1}B\0", 0).expect("room");
        socket.send("\u{1}welcome", 0).expect("room");
    }
    let secret = Frame::new(&b"B\0secret"[..]);
    let mut heard = 0;
    let mut turn = |hub: &mut dyn events_core::engine::Hub| {
        while let Some(asked) = hub.subscription().expect("open") {
            let restricted = asked.owner.and_then(|owner| hub.permission(owner)).is_some();
            if asked.on && (!restricted || asked.topic == b"A\0") {
                hub.grant(&asked).expect("open");
            }
        }
        let _ = hub.publish(&secret, None, Duration::ZERO);
        while let Ok(parts) = guest.recv_multipart(0) {
            assert!(!parts[0].starts_with(b"B\0"), "the guest hears what it may not");
        }
        while let Ok(parts) = friend.recv_multipart(0) {
            heard += u64::from(parts[0].starts_with(b"B\0"));
        }
        heard
    };
    until(|| (turn(&mut *hub) > 0).then_some(()));
    for _ in 0..300 {
        let _ = guest.send("bad", zmq::DONTWAIT);
        let _ = friend.send("\u{1}B\0", zmq::DONTWAIT);
        let _ = guest.send("\u{1}A\0", zmq::DONTWAIT);
        // All three wait together now, more often than not.
        for _ in 0..20 {
            hub.wait(Duration::ZERO).expect("open");
            std::thread::yield_now();
        }
        turn(&mut *hub);
    }
    // The friend has come back from each time it was sent away.
    let before = turn(&mut *hub);
    until(|| (turn(&mut *hub) > before).then_some(()));
}

#[test]
fn who_is_refused_is_told_on_its_own_topic() {
    let world = World::new(Some("A"), None);
    let (mut up, mut down) = connected(&world, &world.guest);
    down.subscribe(&Topic::Rx { client: 9 }.bytes()).expect("open");
    let sync = Topic::Sync { client: 9, number: 1, about: About::Nothing }.bytes();
    down.subscribe(&sync).expect("open");
    hears(&mut *down, &sync);
    up.send(&event("B", 1, flags::OLDEST)).expect("open");
    let topic = Topic::Denied { client: 9 };
    let (said, _) = hears(&mut *down, &topic.bytes());
    let (found, body) = control::parse(&said).expect("a control message");
    assert_eq!((found, control::body(body)), (topic, Some(Denied { emitted: true, event: "B".into() })));
}
