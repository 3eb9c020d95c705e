//! What the ZeroMQ engine does beyond the suite: places, strangers and broken connections.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use events_core::engine::zmq::{Tcp, ZmqEngine};
use events_core::engine::{Addresses, Arrival, Downlink, Engine, EngineError, Frame, Hub, Seen, Turn};
use events_core::security::SecurityError;
use tempfile::TempDir;

const WATCHDOG: Duration = Duration::from_secs(20);
const TURN: Duration = Duration::from_millis(5);

fn engine() -> ZmqEngine {
    ZmqEngine::new(Tcp::PlainLoopbackOnly).expect("libzmq starts")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder for the sockets")
}

fn ipc(folder: &TempDir) -> Addresses {
    let at = |name| format!("ipc://{}/{name}", folder.path().display());
    Addresses { emit: at("emit"), reg: at("reg") }
}

fn refused(at: &Addresses) -> EngineError {
    match engine().bind(at, b"hello") {
        Err(error) => error,
        Ok(_) => panic!("{at:?} was taken"),
    }
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = std::time::Instant::now() + WATCHDOG;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(std::time::Instant::now() < end, "waited in vain for {what}");
    }
}

/// The next arrival at `down`, while the hub does its part.
fn text_driving(hub: &mut dyn Hub, down: &mut dyn Downlink) -> String {
    let arrival = until("an arrival", || {
        hub.wait(Duration::ZERO).expect("open");
        down.receive(TURN).expect("open").filter(|arrival| !matches!(arrival, Arrival::Unreachable))
    });
    match arrival {
        Arrival::Message { head, .. } => String::from_utf8_lossy(&head).into_owned(),
        Arrival::Disconnected => "DISCONNECTED".into(),
        Arrival::Unreachable => "UNREACHABLE".into(),
    }
}

#[test]
fn a_stale_socket_is_replaced() {
    let folder = folder();
    let at = ipc(&folder);
    // Dropping a listener leaves its file, as a killed server does.
    drop(UnixListener::bind(folder.path().join("emit")).expect("a socket"));
    drop(engine().bind(&at, b"hello").expect("nobody is there"));
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 0, "sockets or locks are left over");
}

#[test]
fn a_live_socket_is_never_taken() {
    let folder = folder();
    let stranger = UnixListener::bind(folder.path().join("reg")).expect("a socket");
    assert!(matches!(refused(&ipc(&folder)), EngineError::InUse { .. }));
    // It still listens where it did.
    std::os::unix::net::UnixStream::connect(folder.path().join("reg")).expect("the file is the stranger's");
    stranger.accept().expect("somebody called");
}

#[test]
fn other_files_are_left_alone() {
    let folder = folder();
    fs::write(folder.path().join("emit"), "precious").expect("writable");
    assert!(matches!(refused(&ipc(&folder)), EngineError::Address { .. }));
    assert_eq!(fs::read_to_string(folder.path().join("emit")).expect("there"), "precious");
}

#[test]
fn folders_that_others_can_change_are_refused() {
    let outer = folder();
    let (open, linked) = (outer.path().join("open"), outer.path().join("linked"));
    fs::create_dir(&open).expect("writable");
    symlink(&open, &linked).expect("writable");
    let at = |folder: &std::path::Path| {
        let at = |name| format!("ipc://{}/{name}", folder.display());
        Addresses { emit: at("emit"), reg: at("reg") }
    };
    assert!(matches!(refused(&at(&linked)), EngineError::Security(SecurityError::Unsafe { .. })));
    fs::set_permissions(&open, Permissions::from_mode(0o777)).expect("ours");
    assert!(matches!(refused(&at(&open)), EngineError::Security(SecurityError::Unsafe { .. })));
    assert!(matches!(engine().connect(&at(&open)), Err(EngineError::Security(_))));
    // A new one is made for this user alone.
    let fresh = outer.path().join("a/b");
    drop(engine().bind(&at(&fresh), b"hello").expect("it is made"));
    for folder in ["a", "a/b"] {
        let mode = fs::metadata(outer.path().join(folder)).expect("made").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

#[test]
fn a_strangers_port_is_in_use() {
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = stranger.local_addr().expect("bound").port();
    let at = Addresses { emit: format!("tcp://127.0.0.1:{port}"), reg: "tcp://127.0.0.1:0".into() };
    assert!(matches!(refused(&at), EngineError::InUse { .. }));
}

#[test]
fn ports_and_paths_left_open_are_told() {
    let hub = engine()
        .bind(&Addresses { emit: "tcp://127.0.0.1:0".into(), reg: "ipc://*".into() }, b"hello")
        .expect("anything is free");
    let at = hub.addresses();
    assert!(at.emit.starts_with("tcp://127.0.0.1:") && !at.emit.ends_with(":0"), "{at:?}");
    assert!(at.reg.starts_with("ipc:///"), "{at:?}");
    assert!(matches!(refused(&at), EngineError::Served { .. }));
    engine().connect(&at).expect("addresses to connect to");
}

#[test]
fn addresses_that_cannot_work_are_refused() {
    let folder = folder();
    let good = ipc(&folder);
    let same = Addresses { emit: good.emit.clone(), reg: good.emit.clone() };
    assert!(matches!(refused(&same), EngineError::Address { .. }));
    for bad in ["tcp://0.0.0.0:9000", "tcp://*:9000", "tcp://192.0.2.1:9000", "nats://x", "ipc://"] {
        let at = Addresses { emit: bad.into(), reg: good.reg.clone() };
        assert!(matches!(refused(&at), EngineError::Address { .. }), "{bad}");
        assert!(matches!(engine().connect(&at), Err(EngineError::Address { .. })), "{bad}");
    }
    let open = Addresses { emit: "tcp://127.0.0.1:0".into(), reg: "ipc://*".into() };
    assert!(matches!(engine().connect(&open), Err(EngineError::Address { .. })));
}

#[test]
fn messages_of_several_parts_are_not_collected() {
    let folder = folder();
    let at = ipc(&folder);
    let mut hub = engine().bind(&at, b"hello").expect("free");
    let stranger = zmq::Context::new().socket(zmq::PUSH).expect("a socket");
    stranger.connect(&at.emit).expect("valid");
    for _ in 0..200 {
        stranger.send_multipart(["a", "b", "c"], 0).expect("connected");
    }
    stranger.send("whole", 0).expect("connected");
    let frame = until("the whole one", || {
        hub.wait(TURN).expect("open");
        hub.collect().expect("open")
    });
    assert_eq!(&*frame, b"whole");
}

#[test]
fn what_is_no_subscription_is_not_taken_for_one() {
    let folder = folder();
    let at = ipc(&folder);
    let mut hub = engine().bind(&at, b"hello").expect("free");
    let stranger = zmq::Context::new().socket(zmq::XSUB).expect("a socket");
    stranger.connect(&at.reg).expect("valid");
    for _ in 0..200 {
        stranger.send("\u{7}noise", 0).expect("connected");
        stranger.send_multipart(["\u{7}a", "b"], 0).expect("connected");
    }
    stranger.send("\u{1}topic", 0).expect("connected");
    let subscription = until("the subscription", || {
        hub.wait(TURN).expect("open");
        hub.subscription().expect("open")
    });
    assert_eq!((subscription.on, &*subscription.topic), (true, &b"topic"[..]));
}

/// After a message beyond the limit libzmq gives the client's connection up, and says nothing.
#[test]
fn a_connection_that_libzmq_gave_up_is_made_again() {
    let folder = folder();
    let at = ipc(&folder);
    let mut hub = engine().bind(&at, b"hello").expect("free");
    // As from another process: what stays in this one goes through memory.
    let apart = ZmqEngine::isolated(Tcp::PlainLoopbackOnly).expect("libzmq starts");
    let (mut up, mut down) = apart.connect(&at).expect("valid");
    for topic in ["hello", "x"] {
        down.subscribe(topic.as_bytes()).expect("open");
    }
    assert_eq!(text_driving(&mut *hub, &mut *down), "hello");
    let too_large = Frame::new(vec![b'x'; 17 * 1024 * 1024]);
    for _ in 0..2 {
        until("the subscription", || {
            hub.wait(TURN).expect("open");
            hub.subscription().expect("open").filter(|told| told.on && told.topic == b"x")
        });
        hub.publish(&too_large, None, WATCHDOG).expect("room");
        assert_eq!(text_driving(&mut *hub, &mut *down), "DISCONNECTED");
        assert_eq!(text_driving(&mut *hub, &mut *down), "hello");
    }
    up.send(&too_large).expect("open");
    up.send(&Frame::new(&b"next"[..])).expect("open");
    let frame = until("the next frame", || {
        hub.wait(TURN).expect("open");
        hub.collect().expect("open")
    });
    assert_eq!(&*frame, b"next");
}

/// A client here has the hub and cannot do all: the server's thread is woken, although the hub was told that nobody waits.
#[test]
fn the_servers_thread_is_woken_for_what_a_client_leaves_over() {
    let folder = folder();
    let at = ipc(&folder);
    let hub = Arc::new(Mutex::new(engine().bind(&at, b"hello").expect("free")));
    let turned = Arc::clone(&hub);
    let turn = Turn::new(move |seen| {
        turned.lock().expect("no panic").risen(seen).expect("open");
        false
    });
    let rest = hub.lock().expect("no panic").share(turn).expect("clients of this process");
    let (mut up, _down) = engine().connect(&at).expect("an address");
    // What it is told of its beginning, and of the socket that the client has no use for.
    up.send(&Frame::new(b"first".to_vec())).expect("open");
    until("silence", || {
        let mut hub = hub.lock().expect("no panic");
        while hub.subscription().expect("open").is_some() || hub.collect().expect("open").is_some() {}
        let seen = rest.wait(10 * TURN).expect("open");
        hub.risen(seen).expect("open");
        (seen == Seen::default() && hub.settle().expect("open")).then_some(())
    });
    up.send(&Frame::new(b"left over".to_vec())).expect("open");
    assert_ne!(rest.wait(WATCHDOG).expect("open"), Seen::default(), "nobody was woken");
}
