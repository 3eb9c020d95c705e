//! Who gets in over tcp, who does not, and what each side is told.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use events_core::delivery::publisher::Kind;
use events_core::engine::zmq::{Tcp, ZmqEngine};
use events_core::engine::{Addresses, Arrival, ClientEnds, Downlink, Engine, EngineError, Frame, Hub, Trouble};
use events_core::security::{Access, Keys, SecurityError};
use tempfile::TempDir;

const TURN: Duration = Duration::from_millis(5);
/// So long may it take until a client knows why it is not let in, if the machine has time for it.
const SOON: Duration = Duration::from_secs(2);
/// And so often may the machine have none.
const TRIES: usize = 3;
const WATCHDOG: Duration = Duration::from_secs(20);

/// A user with a folder of keys.
struct User(TempDir);

impl User {
    fn new() -> User {
        User(tempfile::tempdir().expect("a folder for the keys"))
    }

    fn keys(&self) -> Keys {
        Keys::at(self.0.path())
    }

    fn engine(&self) -> ZmqEngine {
        ZmqEngine::isolated(Tcp::Curve(Access::new(self.keys()))).expect("libzmq starts")
    }

    /// What this user has to know of another's server.
    fn files_server_of(&self, other: &User, at: &Addresses) {
        let servers = self.0.path().join("servers");
        fs::create_dir_all(&servers).expect("ours");
        let host = at.reg.trim_start_matches("tcp://").split(':').next().expect("a host");
        fs::copy(other.0.path().join("server.key"), servers.join(format!("{host}.key"))).expect("ours");
    }

    fn lets_in(&self, other: &User, name: &str) {
        let _ = other.keys().client().expect("made");
        fs::copy(other.0.path().join("client.key"), self.0.path().join("clients").join(name)).expect("ours");
    }
}

fn plain() -> ZmqEngine {
    ZmqEngine::isolated(Tcp::PlainLoopbackOnly).expect("libzmq starts")
}

fn somewhere() -> Addresses {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let host = format!("127.{}.{}.{count}", pid >> 8 & 0xff, pid & 0xff);
    Addresses { emit: format!("tcp://{host}:9100"), reg: format!("tcp://{host}:9101") }
}

fn connect(engine: &ZmqEngine, at: &Addresses) -> ClientEnds {
    let (up, mut down) = engine.connect(at).expect("usable");
    down.subscribe(b"hello").expect("open");
    (up, down)
}

/// Drives both sides until `done`.
fn drive<T>(
    what: &str,
    hub: &mut dyn Hub,
    down: &mut dyn Downlink,
    mut done: impl FnMut(&mut dyn Hub, &dyn Downlink, Option<Arrival>) -> Option<T>,
) -> T {
    let begin = Instant::now();
    loop {
        hub.wait(TURN).expect("open");
        let arrival = down.receive(TURN).expect("open");
        if let Some(found) = done(hub, down, arrival) {
            return found;
        }
        assert!(begin.elapsed() < WATCHDOG, "waited in vain for {what}");
    }
}

fn is_welcomed(hub: &mut dyn Hub, down: &mut dyn Downlink) {
    drive("the welcome", hub, down, |_, _, arrival| match arrival {
        Some(Arrival::Message { head, .. }) => {
            assert_eq!(&*head, b"hello");
            Some(())
        }
        _ => None,
    });
}

/// Nothing comes through, and the client knows why.
fn is_refused(hub: &mut dyn Hub, (up, down): &mut ClientEnds, why: Trouble) {
    up.send(&Frame::new(&b"let me in"[..])).expect("open");
    drive("the trouble", hub, &mut **down, |hub, down, arrival| {
        assert!(matches!(arrival, None | Some(Arrival::Unreachable)), "something came through");
        assert!(hub.collect().expect("open").is_none(), "something came through");
        // Whoever was here before with this key may just be ending.
        assert!(hub.subscription().expect("open").is_none_or(|told| !told.on), "something came through");
        (down.trouble() == Some(why)).then_some(())
    });
}

#[test]
fn one_user_needs_no_set_up() {
    let (user, at) = (User::new(), somewhere());
    // Whoever comes first makes the keys.
    let (mut up, mut down) = connect(&user.engine(), &at);
    let mut hub = user.engine().bind(&at, b"hello").expect("free");
    is_welcomed(&mut *hub, &mut *down);
    up.send(&Frame::new(&b"an event"[..])).expect("open");
    let frame = drive("the frame", &mut *hub, &mut *down, |hub, _, _| hub.collect().expect("open"));
    assert_eq!(&*frame, b"an event");
}

#[test]
fn plain_clients_stay_out() {
    let (user, at) = (User::new(), somewhere());
    let mut hub = user.engine().bind(&at, b"hello").expect("free");
    is_refused(&mut *hub, &mut connect(&plain(), &at), Trouble::Mismatch);
}

#[test]
fn a_plain_server_is_not_believed() {
    let (user, at) = (User::new(), somewhere());
    let mut hub = plain().bind(&at, b"hello").expect("free");
    is_refused(&mut *hub, &mut connect(&user.engine(), &at), Trouble::Mismatch);
}

#[test]
fn an_unknown_key_stays_out_until_it_is_filed_and_once_it_is_taken_away() {
    let (server, client, at) = (User::new(), User::new(), somewhere());
    let mut hub = server.engine().bind(&at, b"hello").expect("free");
    client.files_server_of(&server, &at);
    let mut ends = connect(&client.engine(), &at);
    is_refused(&mut *hub, &mut ends, Trouble::Refused);
    server.lets_in(&client, "friend.key");
    is_welcomed(&mut *hub, &mut *ends.1);
    assert_eq!(ends.1.trouble(), None);
    drive("its subscription", &mut *hub, &mut *ends.1, |hub, _, _| hub.subscription().expect("open"));
    fs::remove_file(server.0.path().join("clients/friend.key")).expect("ours");
    is_refused(&mut *hub, &mut connect(&client.engine(), &at), Trouble::Refused);
}

/// A PUSH of somebody who does not use our engine, and the end at which its connection's end is told.
fn push_of(user: &User, server: &User, at: &Addresses, context: &zmq::Context) -> (zmq::Socket, zmq::Socket) {
    let key = |text: &str| zmq::z85_decode(text).expect("a key");
    let secret = fs::read_to_string(user.0.path().join("client.key_secret")).expect("ours");
    let secret = secret.split('"').nth(3).expect("the second value").to_owned();
    let push = context.socket(zmq::PUSH).expect("a socket");
    push.set_curve_serverkey(&key(server.keys().server().expect("made").public().as_str())).expect("curve");
    push.set_curve_publickey(&key(user.keys().client().expect("made").public().as_str())).expect("curve");
    push.set_curve_secretkey(&key(&secret)).expect("curve");
    push.set_linger(0).expect("open");
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let told_at = format!("inproc://told.{}", COUNT.fetch_add(1, Ordering::Relaxed));
    push.monitor(
        &told_at,
        (zmq::SocketEvent::HANDSHAKE_SUCCEEDED.to_raw() | zmq::SocketEvent::DISCONNECTED.to_raw()).into(),
    )
    .expect("open");
    let told = context.socket(zmq::PAIR).expect("a socket");
    told.connect(&told_at).expect("bound");
    told.set_rcvtimeo(0).expect("open");
    push.connect(&at.emit).expect("valid");
    (push, told)
}

/// Turns the hub until `told` has `event`; any other is a failure.
fn is_told(hub: &mut dyn Hub, told: &zmq::Socket, event: zmq::SocketEvent) {
    let begin = Instant::now();
    loop {
        hub.wait(TURN).expect("open");
        let _ = hub.subscription().expect("open");
        let _ = hub.collect().expect("open");
        if let Ok(parts) = told.recv_multipart(0) {
            assert_eq!(parts[0][..2], event.to_raw().to_ne_bytes());
            return;
        }
        assert!(begin.elapsed() < WATCHDOG, "waited in vain for {event:?}");
    }
}

#[test]
fn the_connections_of_a_key_end_when_it_is_taken_away() {
    let (server, client, at) = (User::new(), User::new(), somewhere());
    let mut hub = server.engine().bind(&at, b"hello").expect("free");
    server.lets_in(&client, "friend.key");
    client.files_server_of(&server, &at);
    let (_up, mut own) = connect(&server.engine(), &at);
    is_welcomed(&mut *hub, &mut *own);
    let asked = drive("its subscription", &mut *hub, &mut *own, |hub, _, _| hub.subscription().expect("open"));
    hub.grant(&asked).expect("open");
    let (_up, mut down) = connect(&client.engine(), &at);
    is_welcomed(&mut *hub, &mut *down);
    let context = zmq::Context::new();
    // One that has said something, and one that only listens to what happens to it.
    let (spoken, spoken_told) = push_of(&client, &server, &at, &context);
    is_told(&mut *hub, &spoken_told, zmq::SocketEvent::HANDSHAKE_SUCCEEDED);
    spoken.send("an event", 0).expect("open");
    let frame = drive("the frame", &mut *hub, &mut *own, |hub, _, _| hub.collect().expect("open"));
    assert_eq!(&*frame, b"an event");
    let (_silent, silent_told) = push_of(&client, &server, &at, &context);
    is_told(&mut *hub, &silent_told, zmq::SocketEvent::HANDSHAKE_SUCCEEDED);
    fs::remove_file(server.0.path().join("clients/friend.key")).expect("ours");
    let begin = Instant::now();
    drive("the end", &mut *hub, &mut *down, |hub, _, arrival| {
        let _ = hub.subscription().expect("open");
        matches!(arrival, Some(Arrival::Disconnected)).then_some(())
    });
    for told in [&spoken_told, &silent_told] {
        is_told(&mut *hub, told, zmq::SocketEvent::DISCONNECTED);
    }
    println!("all three connections ended within {:?}", begin.elapsed());
    is_refused(&mut *hub, &mut (_up, down), Trouble::Refused);
    // Nobody else notices.
    hub.publish(&Frame::new(&b"hello again"[..]), None, TURN).expect("room");
    let arrival = drive("the message", &mut *hub, &mut *own, |_, _, arrival| arrival);
    assert!(matches!(&arrival, Arrival::Message { head, .. } if **head == *b"hello again"), "{arrival:?}");
}

#[test]
fn a_broken_certificate_lets_nobody_in_and_keeps_nobody_out() {
    let (server, client, at) = (User::new(), User::new(), somewhere());
    let mut hub = server.engine().bind(&at, b"hello").expect("free");
    server.lets_in(&client, "friend.key");
    for (name, text) in [("empty.key", ""), ("short.key", "public-key = \"x\""), ("notes.txt", "not a key")] {
        fs::write(server.0.path().join("clients").join(name), text).expect("ours");
    }
    client.files_server_of(&server, &at);
    is_welcomed(&mut *hub, &mut *connect(&client.engine(), &at).1);
}

#[test]
fn a_wrong_server_key_gets_nowhere() {
    let (server, other, client, at) = (User::new(), User::new(), User::new(), somewhere());
    let mut hub = server.engine().bind(&at, b"hello").expect("free");
    server.lets_in(&client, "friend.key");
    let _ = other.keys().server().expect("made");
    client.files_server_of(&other, &at);
    is_refused(&mut *hub, &mut connect(&client.engine(), &at), Trouble::Dropped);
}

/// Whatever the server's process does besides, a key made up on the spot does not get in.
#[test]
fn a_stranger_with_the_right_server_key_stays_out() {
    let (server, at) = (User::new(), somewhere());
    let mut hub = server.engine().bind(&at, b"hello").expect("free");
    let context = zmq::Context::new();
    let key = server.keys().server().expect("made").public().as_str().to_owned();
    let pair = zmq::CurveKeyPair::new().expect("curve");
    let strangers = [zmq::PUSH, zmq::XSUB].map(|kind| {
        let socket = context.socket(kind).expect("a socket");
        socket.set_curve_serverkey(&zmq::z85_decode(&key).expect("a key")).expect("curve");
        socket.set_curve_publickey(&pair.public_key).expect("curve");
        socket.set_curve_secretkey(&pair.secret_key).expect("curve");
        socket.set_linger(0).expect("open");
        socket.connect(if kind == zmq::PUSH { &at.emit } else { &at.reg }).expect("valid");
        let _ = socket.send("\u{1}hello", zmq::DONTWAIT);
        socket
    });
    // As a watch: who belongs here comes in after them.
    let (mut up, mut down) = connect(&server.engine(), &at);
    is_welcomed(&mut *hub, &mut *down);
    up.send(&Frame::new(&b"mine"[..])).expect("open");
    let first = drive("the frame", &mut *hub, &mut *down, |hub, _, _| hub.collect().expect("open"));
    assert_eq!(&*first, b"mine");
    while let Some(told) = hub.subscription().expect("open") {
        assert!(told.peer.is_some() && told.topic == b"hello");
    }
    drop(strangers);
}

#[test]
fn servers_elsewhere_have_to_be_filed_first() {
    let user = User::new();
    let at = Addresses { emit: "tcp://192.0.2.1:9000".into(), reg: "tcp://192.0.2.1:9001".into() };
    match user.engine().connect(&at) {
        Err(EngineError::Security(SecurityError::UnknownServer { expected, .. })) => {
            assert_eq!(expected, user.0.path().join("servers/192.0.2.1-9000.key"));
        }
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("connected to a server that nobody knows"),
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("made").permissions().mode() & 0o777
}

#[test]
fn keys_are_made_once_and_for_their_owner_alone() {
    let outer = User::new();
    let folder = outer.0.path().join("made/by/us");
    let keys = Keys::at(&folder);
    let made: Vec<_> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| keys.client().expect("made"))).collect();
        makers.into_iter().map(|maker| maker.join().expect("no panic")).collect()
    });
    assert!(made.iter().all(|pair| pair.public() == made[0].public()), "{made:?}");
    assert_eq!(keys.client().expect("read").public(), made[0].public());
    assert_ne!(keys.server().expect("made").public(), made[0].public());
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("clients")), 0o700);
    for secret in ["client.key_secret", "server.key_secret"] {
        assert_eq!(mode(&folder.join(secret)), 0o600);
    }
    let mut names: Vec<_> = fs::read_dir(&folder).expect("ours").flatten().map(|file| file.file_name()).collect();
    names.sort();
    assert_eq!(names, ["client.key", "client.key_secret", "clients", "server.key", "server.key_secret"]);
    let own = fs::read_to_string(folder.join("clients/own.key")).expect("made");
    assert!(own.contains(made[0].public().as_str()));
    assert!(!own.contains("secret-key"));
}

#[test]
fn a_key_taken_away_is_not_put_back_and_a_new_one_is_let_in() {
    let user = User::new();
    let old = user.keys().client().expect("made");
    let own = user.0.path().join("clients/own.key");
    fs::remove_file(&own).expect("ours");
    user.keys().client().expect("read");
    assert!(!own.exists());
    fs::remove_file(user.0.path().join("client.key_secret")).expect("ours");
    let new = user.keys().client().expect("made");
    assert_ne!(old.public(), new.public());
    for file in [&own, &user.0.path().join("client.key")] {
        assert!(fs::read_to_string(file).expect("made").contains(new.public().as_str()));
    }
}

#[test]
fn secrets_that_others_can_read_are_refused() {
    let user = User::new();
    user.keys().client().expect("made");
    let secret = user.0.path().join("client.key_secret");
    fs::set_permissions(&secret, Permissions::from_mode(0o644)).expect("ours");
    assert!(matches!(user.keys().client(), Err(SecurityError::Unsafe { path, .. }) if path == secret));
    assert!(matches!(user.engine().connect(&somewhere()), Err(EngineError::Security(SecurityError::Unsafe { .. }))));
    // Nor a link to somewhere else, nor a folder that others can write to.
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).expect("ours");
    fs::rename(&secret, user.0.path().join("elsewhere")).expect("ours");
    symlink(user.0.path().join("elsewhere"), &secret).expect("ours");
    assert!(matches!(user.keys().client(), Err(SecurityError::Io { .. })));
    fs::set_permissions(user.0.path(), Permissions::from_mode(0o777)).expect("ours");
    assert!(matches!(user.keys().server(), Err(SecurityError::Unsafe { .. })));
}

#[test]
fn secrets_that_cannot_be_read_are_an_error() {
    let user = User::new();
    for secret in ["client.key_secret", "server.key_secret"] {
        symlink("/nowhere/at/all", user.0.path().join(secret)).expect("ours");
    }
    let fails = |error| matches!(error, Some(EngineError::Security(SecurityError::Io { .. })));
    assert!(fails(user.engine().connect(&somewhere()).err()));
    assert!(fails(user.engine().bind(&somewhere(), b"hello").err()));
}

#[test]
fn nothing_is_in_plain_that_leaves_this_machine() {
    for host in ["192.0.2.1", "0.0.0.0", "*", "[::]", "example.org"] {
        let at = Addresses { emit: format!("tcp://{host}:9000"), reg: format!("tcp://{host}:9001") };
        let refused = |error| matches!(error, Some(EngineError::Address { .. }));
        assert!(refused(plain().connect(&at).err()), "{host}");
        assert!(refused(plain().bind(&at, b"hello").err()), "{host}");
    }
}

/// What a program sees of it: each cause by its own name, within two seconds.
#[test]
fn a_program_is_told_why_it_does_not_get_in() {
    use events_core::client::{Client, ClientOptions};
    use events_core::error::Error;
    use std::sync::{Arc, mpsc};

    let (server, other, unknown, at) = (User::new(), User::new(), User::new(), somewhere());
    let mut hub = server.engine().bind(&at, b"hello").expect("free");
    let _ = other.keys().server().expect("made");
    server.lets_in(&other, "other.key");
    unknown.files_server_of(&server, &at);
    let mut told_after = |engine: ZmqEngine, why| {
        let options = ClientOptions::default().engine(Arc::new(engine));
        let begin = Instant::now();
        let client = Client::with_options(&at.emit, &at.reg, options).expect("usable");
        let (tell, told) = mpsc::channel();
        client.on_problem(move |error| {
            if let Error::NoConnection(trouble) = error {
                let _ = tell.send(*trouble);
            }
        });
        let told = loop {
            hub.wait(TURN).expect("open");
            assert!(hub.subscription().expect("open").is_none() && hub.collect().expect("open").is_none());
            match told.try_recv() {
                Ok(told) => break told,
                Err(_) => assert!(begin.elapsed() < WATCHDOG, "{why:?}: nothing is told"),
            }
        };
        let after = begin.elapsed();
        assert_eq!(told, why);
        println!("{why:?} after {after:?}");
        assert_eq!(client.trouble(), Some(why));
        // Whoever waits for something in vain is told as well.
        let kind = Kind { name: "E", fingerprint: 0, retain: false, shape: &String::new };
        client.emit_raw(kind, &[0x90]).expect("room");
        let error = client.close(Duration::ZERO).expect_err("nobody has it");
        assert!(format!("{error:?}").contains(&why.to_string()), "{error:?}");
        after
    };
    // `other` takes its own server's key for this one's.
    let causes: [(&dyn Fn() -> ZmqEngine, Trouble); 3] =
        [(&plain, Trouble::Mismatch), (&|| unknown.engine(), Trouble::Refused), (&|| other.engine(), Trouble::Dropped)];
    for (engine, why) in causes {
        assert!((0..TRIES).any(|_| told_after(engine(), why) < SOON), "{why:?} is told too late each time");
    }
}

#[test]
fn a_file_without_a_key_is_no_key() {
    let user = User::new();
    let secret = user.0.path().join("server.key_secret");
    fs::write(&secret, "metadata\ncurve\n").expect("ours");
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).expect("ours");
    assert!(matches!(user.keys().server(), Err(SecurityError::Certificate { path, .. }) if path == secret));
    assert!(matches!(user.engine().bind(&somewhere(), b"hello"), Err(EngineError::Security(_))));
}
