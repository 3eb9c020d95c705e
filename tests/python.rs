//! Programs in another language, written from the protocol document, and programs of leap.common.events.
//!
//! The first run makes a virtual environment with pyzmq and msgpack below `target/`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use events::catalog::{ClientUid, MailUnreadMessages, SoledadSyncReceiveStatus};
use events::server::Server;
use events::{Client, ClientOptions, Error};
use events_core::engine::zmq::{Tcp, ZmqEngine};
use events_core::engine::{Addresses, Engine};
use events_core::security::{Access, Keys};
use serde_json::{Value, json};

mod common;

use common::{LIMIT, Process};

const RECORDS: u64 = 200;

/// The Python to use, or `None` where there is none.
fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    PYTHON.get_or_init(find_python).as_deref()
}

fn find_python() -> Option<PathBuf> {
    let works = |python: &Path| {
        let output = Command::new(python).args(["-c", "import zmq, msgpack"]).output();
        output.map(|output| output.status.success())
    };
    match works(Path::new("python3")) {
        Ok(true) => return Some("python3".into()),
        Ok(false) => {}
        Err(why) => return skipped(&format!("there is no python3 ({why})")),
    }
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("venv");
    let python = venv.join("bin/python3");
    if !works(&python).is_ok_and(|works| works) {
        let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/requirements.txt");
        let (mut make, mut fill) = (Command::new("python3"), Command::new(&python));
        make.args(["-m", "venv", "--clear"]).arg(&venv);
        fill.args(["-m", "pip", "install", "--quiet", "-r"]).arg(requirements);
        for command in [&mut make, &mut fill] {
            if !command.status().is_ok_and(|status| status.success()) {
                return skipped(&format!("{command:?} failed"));
            }
        }
    }
    Some(python)
}

/// Nobody needs Python to use this project; whoever changes it does.
fn skipped(why: &str) -> Option<PathBuf> {
    assert!(std::env::var_os("EVENTS_REQUIRE_ALL").is_none(), "{why}: Python, pyzmq and msgpack are needed");
    eprintln!("SKIPPED, programs in Python were not tested: {why}");
    None
}

/// A server, and a light client in Python.
struct Stage {
    engine: Arc<dyn Engine>,
    server: Server,
    python: &'static Path,
    /// Where sockets and keys are.
    folder: tempfile::TempDir,
}

impl Stage {
    /// On ipc.
    fn new() -> Option<Stage> {
        let folder = tempfile::tempdir().expect("a folder");
        let address = |file: &str| format!("ipc://{}", folder.path().join(file).display());
        let at = Addresses { emit: address("emit"), reg: address("reg") };
        Stage::at(&at, folder)
    }

    /// On tcp, with keys of its own.
    fn encrypted() -> Option<Stage> {
        let at = Addresses { emit: "tcp://127.0.0.1:0".to_owned(), reg: "tcp://127.0.0.1:0".to_owned() };
        Stage::at(&at, tempfile::tempdir().expect("a folder"))
    }

    fn at(at: &Addresses, folder: tempfile::TempDir) -> Option<Stage> {
        let python = python()?;
        let access = Access::new(Keys::at(folder.path()));
        let engine: Arc<dyn Engine> = Arc::new(ZmqEngine::isolated(Tcp::Curve(access)).expect("an engine"));
        let server = Server::start_on(&engine, at).expect("a server");
        Some(Stage { engine, server, python, folder })
    }

    fn client(&self) -> Client {
        let at = self.server.addresses();
        let options = ClientOptions::default().engine(self.engine.clone());
        Client::with_options(&at.emit, &at.reg, options).expect("a client")
    }

    fn start(&self, command: &str, rest: &[&str]) -> Process {
        let at = self.server.addresses();
        self.program("light_client.py", &[&[command, &at.emit, &at.reg], rest].concat())
    }

    fn program(&self, file: &str, arguments: &[&str]) -> Process {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(file);
        let mut command = Command::new(self.python);
        Process::start(command.arg(program).args(arguments).env("EVENTS_CONFIG_DIR", self.folder.path()))
    }
}

fn value(line: &str) -> Value {
    serde_json::from_str(line).expect("a line of JSON")
}

#[test]
fn python_emits_and_rust_handles() {
    let Some(stage) = Stage::new() else { return };
    let client = stage.client();
    let mut received = client.subscribe::<SoledadSyncReceiveStatus>().expect("a subscription");

    let records: Vec<String> = (0..RECORDS).map(|number| json!(["1f", "é", number, u64::MAX]).to_string()).collect();
    let shape = "SOLEDAD_SYNC_RECEIVE_STATUS(uuid:string,userid:string,received:u64,total:u64)";
    let arguments: Vec<&str> = [shape].into_iter().chain(records.iter().map(String::as_str)).collect();
    assert_eq!(stage.start("emit", &arguments).end(), Some(0));

    for number in 0..RECORDS {
        let event = received.recv_timeout(LIMIT).expect("an event");
        let expected = SoledadSyncReceiveStatus { uuid: "1f", userid: "é", received: number, total: u64::MAX };
        assert_eq!(*event.payload(), expected);
        assert_ne!(event.publisher(), client.id());
        // The fingerprint that Python computed is the one of the catalog.
        assert!(event.is_verified());
    }
    assert_eq!(client.stats().undecodable, 0);
}

#[test]
fn some_lines_of_python_are_enough_to_emit() {
    let Some(stage) = Stage::new() else { return };
    let mut received = stage.client().subscribe::<ClientUid>().expect("a subscription");
    let at = stage.server.addresses();
    assert_eq!(stage.program("emit.py", &[&at.emit, &at.reg, "CLIENT_UID", "é"]).end(), Some(0));
    assert_eq!(received.recv_timeout(LIMIT).expect("an event").uid, "é");
}

#[test]
fn rust_emits_and_python_listens() {
    let Some(stage) = Stage::new() else { return };
    listens(&stage);
}

#[test]
fn a_program_in_python_uses_the_keys_of_the_user() {
    let Some(stage) = Stage::encrypted() else { return };
    listens(&stage);
}

fn listens(stage: &Stage) {
    let client = stage.client();
    let mut listener = stage.start("listen", &["CLIENT_UID", &RECORDS.to_string()]);
    listener.until("ready");

    // At once and without a pause: the barrier has said that the subscription stands.
    for number in 0..RECORDS {
        client.emit(ClientUid { uid: number.to_string() }).expect("room");
    }
    for number in 0..RECORDS {
        let line = value(&listener.line());
        assert_eq!(line["event"], "CLIENT_UID");
        assert_eq!(line["payload"], json!([number.to_string()]));
        assert_eq!(line["publisher"], format!("{:016x}", client.id()));
    }
    assert_eq!(listener.end(), Some(0));
}

#[test]
fn the_answer_of_a_barrier_brings_the_retained_event() {
    let Some(stage) = Stage::new() else { return };
    let client = stage.client();
    for number in [1, 2, 3] {
        client.emit(MailUnreadMessages { userid: "me", number }).expect("room");
    }
    client.flush(LIMIT).expect("the server has them");

    let mut listener = stage.start("listen", &["MAIL_UNREAD_MESSAGES", "2"]);
    listener.until("ready");
    let retained = value(&listener.line());
    assert_eq!((&retained["payload"], &retained["retained"]), (&json!(["me", 3]), &json!(true)));
    client.emit(MailUnreadMessages { userid: "me", number: 4 }).expect("room");
    let news = value(&listener.line());
    assert_eq!((&news["payload"], &news["retained"]), (&json!(["me", 4]), &json!(false)));
    assert_eq!(listener.end(), Some(0));
}

/// PUSH of `NAME\0` and a pickle, SUB on `NAME`, as leap.common.events does.
#[test]
fn programs_of_the_original_talk_through_our_server() {
    const MESSAGES: u64 = 20;
    let Some(stage) = Stage::new() else { return };
    let client = stage.client();
    let (tell, told) = std::sync::mpsc::channel();
    client.on_problem(move |error| {
        let _ = tell.send(matches!(error, Error::Foreign { event } if event == "CLIENT_UID"));
    });
    let mut uids = client.subscribe::<ClientUid>().expect("a subscription");

    let mut listener = stage.start("original-listen", &["CLIENT_UID", &MESSAGES.to_string()]);
    listener.until("ready");
    let mut emitter = stage.start("original-emit", &["CLIENT_UID", &MESSAGES.to_string()]);
    for number in 0..MESSAGES {
        assert_eq!(value(&listener.line()), json!(["CLIENT_UID", number, "é"]));
    }
    assert_eq!((listener.end(), emitter.end()), (Some(0), Some(0)));

    // Our client counts and reports them, and handles none.
    for _ in 0..MESSAGES {
        assert!(told.recv_timeout(LIMIT).expect("a report"));
    }
    assert_eq!(client.stats().foreign, MESSAGES);
    assert!(uids.try_recv().is_none());
    // The server tells its figures a moment after it has handed on what they count.
    let begin = Instant::now();
    while stage.server.figures().foreign < MESSAGES {
        assert!(begin.elapsed() < LIMIT, "{:?}", stage.server.figures());
        std::thread::yield_now();
    }
    assert_eq!(stage.server.figures().foreign, MESSAGES);
}
