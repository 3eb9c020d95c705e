//! ipc against another user of the machine. Needs root, to be somebody else for a moment; without it the tests say
//! that they were skipped.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use events_core::engine::zmq::{Tcp, ZmqEngine};
use events_core::engine::{Addresses, Engine, EngineError, Frame};
use events_core::security::SecurityError;
use tempfile::TempDir;

const WATCHDOG: Duration = Duration::from_secs(20);
const TURN: Duration = Duration::from_millis(5);
/// Where the other user looks for our sockets. Set only for its process.
const FOLDER: &str = "EVENTS_TEST_FOLDER_OF_ANOTHER";
/// The one whom nothing belongs to.
const NOBODY: &str = "65534";

fn engine() -> ZmqEngine {
    ZmqEngine::new(Tcp::PlainLoopbackOnly).expect("libzmq starts")
}

fn ipc(folder: &Path) -> Addresses {
    let at = |name| format!("ipc://{}/{name}", folder.display());
    Addresses { emit: at("emit"), reg: at("reg") }
}

fn refused(at: &Addresses) -> EngineError {
    match engine().bind(at, b"hello") {
        Err(error) => error,
        Ok(_) => panic!("{at:?} was taken"),
    }
}

/// Runs [`what_another_user_tries`] as somebody else and returns what became of it.
fn another_user_tries(folder: &Path) -> Option<Vec<String>> {
    if fs::metadata("/proc/self").expect("this process").uid() != 0 {
        println!("SKIPPED: only root can be another user for a moment");
        return None;
    }
    // Where this program stands, another user may not be let in.
    let place = tempfile::tempdir().expect("a folder for the program");
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).expect("ours");
    let program = place.path().join("another");
    // By another process: one that this one starts just then would inherit the file open for writing, and what is
    // open for writing cannot be run.
    let copied = Command::new("cp").arg(std::env::current_exe().expect("this program")).arg(&program).status();
    assert!(copied.expect("cp is there").success());
    let output = Command::new("setpriv")
        .args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"])
        .arg(&program)
        .args(["--exact", "what_another_user_tries", "--nocapture"])
        .env(FOLDER, folder)
        .current_dir("/")
        .output()
        .expect("setpriv is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).expect("text");
    Some(said.lines().filter_map(|line| Some(line.split_once("tried ")?.1.to_owned())).collect())
}

/// Not a test of this process: see [`another_user_tries`].
#[test]
fn what_another_user_tries() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let said = |worked: bool| if worked { "worked" } else { "refused" };
    println!("tried listing: {}", said(fs::read_dir(folder).is_ok()));
    for name in ["emit", "reg"] {
        println!("tried connecting to {name}: {}", said(UnixStream::connect(folder.join(name)).is_ok()));
    }
    println!("tried a socket in the way: {}", said(UnixListener::bind(folder.join("other")).is_ok()));
    // Past the file system, if it lets in: does libzmq?
    let context = zmq::Context::new();
    for (kind, name) in [(zmq::PUSH, "emit"), (zmq::XSUB, "reg")] {
        let socket = context.socket(kind).expect("a socket");
        socket.set_linger(0).expect("open");
        let told_at = format!("inproc://told.{name}");
        socket.monitor(&told_at, zmq::SocketEvent::ALL.to_raw().into()).expect("open");
        let told = context.socket(zmq::PAIR).expect("a socket");
        told.connect(&told_at).expect("bound");
        told.set_rcvtimeo(i32::try_from(WATCHDOG.as_millis()).expect("small")).expect("open");
        socket.connect(&format!("ipc://{}/{name}", folder.display())).expect("valid");
        let _ = socket.send("\u{1}theirs", zmq::DONTWAIT);
        let worked = loop {
            let parts = told.recv_multipart(0).expect("something happens");
            let event = u16::from_ne_bytes([parts[0][0], parts[0][1]]);
            if event == zmq::SocketEvent::HANDSHAKE_SUCCEEDED.to_raw() {
                break true;
            }
            // Whatever else follows a connection that came about, or did not, is its end.
            let goes_on = [zmq::SocketEvent::CONNECTED, zmq::SocketEvent::CONNECT_DELAYED];
            if !goes_on.iter().any(|on| on.to_raw() == event) {
                break false;
            }
        };
        println!("tried a handshake at {name}: {}", said(worked));
    }
}

/// What the server gets first is ours, whatever was sent before.
fn only_ours_arrives(hub: &mut dyn events_core::engine::Hub, at: &Addresses) {
    let (mut up, mut down) = engine().connect(at).expect("usable");
    up.send(&Frame::new(&b"ours"[..])).expect("open");
    down.subscribe(b"ours").expect("open");
    let (mut frame, mut topic, begin) = (None, None, Instant::now());
    while frame.is_none() || topic.is_none() {
        hub.wait(TURN).expect("open");
        let _ = down.receive(Duration::ZERO).expect("open");
        frame = frame.or(hub.collect().expect("open"));
        topic = topic.or(hub.subscription().expect("open"));
        assert!(begin.elapsed() < WATCHDOG, "waited in vain for what is ours");
    }
    assert_eq!(frame.as_deref(), Some(&b"ours"[..]));
    assert_eq!(topic.map(|told| told.topic), Some(b"ours".to_vec()));
}

#[test]
fn another_user_comes_to_no_socket() {
    let outer = tempfile::tempdir().expect("a folder that others may look into");
    let folder = outer.path().join("made-by-us");
    let at = ipc(&folder);
    let mut hub = engine().bind(&at, b"hello").expect("free");
    fs::set_permissions(outer.path(), Permissions::from_mode(0o755)).expect("ours");
    let Some(tried) = another_user_tries(&folder) else { return };
    assert_eq!(tried.len(), 6);
    assert!(tried.iter().all(|tried| tried.ends_with(": refused")), "{tried:?}");
    only_ours_arrives(&mut *hub, &at);
}

#[test]
fn another_user_is_refused_even_where_the_folder_was_opened_up() {
    let outer = tempfile::tempdir().expect("a folder that others may look into");
    let folder = outer.path().join("made-by-us");
    let at = ipc(&folder);
    let mut hub = engine().bind(&at, b"hello").expect("free");
    fs::set_permissions(outer.path(), Permissions::from_mode(0o755)).expect("ours");
    for path in [folder.clone(), folder.join("emit"), folder.join("reg")] {
        fs::set_permissions(path, Permissions::from_mode(0o777)).expect("ours");
    }
    let Some(tried) = another_user_tries(&folder) else { return };
    let expected = [
        "listing: worked",
        "connecting to emit: worked",
        "connecting to reg: worked",
        "a socket in the way: worked",
        "a handshake at emit: refused",
        "a handshake at reg: refused",
    ];
    assert_eq!(tried, expected);
    // Nor does anybody of ours go where others can put a socket, until it is closed again.
    assert!(matches!(engine().connect(&at), Err(EngineError::Security(SecurityError::Unsafe { .. }))));
    fs::set_permissions(&folder, Permissions::from_mode(0o700)).expect("ours");
    only_ours_arrives(&mut *hub, &at);
}

#[test]
fn a_folder_of_another_user_is_refused() {
    let outer = tempfile::tempdir().expect("a folder");
    let theirs = outer.path().join("theirs");
    fs::create_dir(&theirs).expect("ours");
    fs::set_permissions(&theirs, Permissions::from_mode(0o700)).expect("ours");
    let nobody = NOBODY.parse().ok();
    if std::os::unix::fs::chown(&theirs, nobody, nobody).is_err() {
        println!("SKIPPED: only root can give a folder away");
        return;
    }
    assert!(matches!(refused(&ipc(&theirs)), EngineError::Security(SecurityError::Unsafe { .. })));
    assert!(matches!(engine().connect(&ipc(&theirs)), Err(EngineError::Security(SecurityError::Unsafe { .. }))));
}

#[test]
fn no_socket_stands_in_the_shared_folder_itself() {
    let shared = tempfile::tempdir().expect("a folder");
    fs::set_permissions(shared.path(), Permissions::from_mode(0o1777)).expect("ours");
    assert!(matches!(refused(&ipc(shared.path())), EngineError::Security(SecurityError::Unsafe { .. })));
    assert!(matches!(refused(&ipc(Path::new("/tmp"))), EngineError::Security(SecurityError::Unsafe { .. })));
}

#[test]
fn a_link_in_the_place_of_a_socket_is_refused() {
    let (folder, elsewhere) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let target = elsewhere.path().join("socket");
    drop(UnixListener::bind(&target).expect("a socket"));
    symlink(&target, folder.path().join("emit")).expect("ours");
    assert!(matches!(refused(&ipc(folder.path())), EngineError::Address { .. }));
    assert!(target.exists(), "what the link leads to is left alone");
}
