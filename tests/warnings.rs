//! A handler that holds up others is named.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

use events::catalog::{ClientSessionId, ClientUid, MailUnreadMessages};
use events::server::Server;
use events::{Client, ClientOptions, Error};
use events_core::delivery::Limits;
use events_core::engine::{Addresses, Engine, memory::MemoryEngine};

const WATCHDOG: Duration = Duration::from_secs(60);

/// What all threads of this process log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn get() -> &'static Log {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Log::default();
            let writer = log.clone();
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
            log
        })
    }

    /// The lines that warn of a handler with this uid.
    fn of(&self, uid: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let warns = |line: &&str| line.contains("WARN") && line.contains("holds up") && line.contains(uid);
        text.lines().filter(warns).map(str::to_owned).collect()
    }

    fn waits_for(&self, uid: &str) -> String {
        let until = Instant::now() + WATCHDOG;
        loop {
            if let Some(line) = self.of(uid).pop() {
                return line;
            }
            assert!(Instant::now() < until, "nobody is warned of {uid}");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

fn client() -> (Server, Client) {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::default());
    let at = Addresses { emit: "memory://emit".to_owned(), reg: "memory://reg".to_owned() };
    let server = Server::start_with(&engine, &at, Limits::default()).unwrap();
    let mut options = ClientOptions::default().engine(engine);
    options.inbox = 64 << 10;
    options.limits.stall = 200_000;
    // So that little waits at the end.
    (options.limits.frame, options.limits.queue, options.limits.in_flight) = (8 << 10, 64 << 10, 64 << 10);
    (server, Client::with_options(&at.emit, &at.reg, options).unwrap())
}

/// One event waits, and nothing is full.
#[test]
fn one_that_does_not_come_back() {
    let log = Log::get();
    let (_server, client) = client();
    let (go_on, wait) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    client.on::<ClientUid>().uid("it blocks").handle(move |_| _ = wait.recv()).unwrap();
    client.on::<MailUnreadMessages>().uid("it is held up").handle(move |_| _ = tell.send(())).unwrap();
    client.emit(ClientUid { uid: "a" }).unwrap();
    client.emit(MailUnreadMessages { userid: "me", number: 1 }).unwrap();
    let line = log.waits_for("it blocks");
    assert!(line.contains("CLIENT_UID"), "{line}");
    go_on.send(()).unwrap();
    told.recv_timeout(WATCHDOG).unwrap();
    assert_eq!((log.of("it blocks").len(), log.of("it is held up").len()), (1, 0));
}

/// It moves on all the time, but more slowly than events come.
#[test]
fn one_that_is_slower_than_what_comes() {
    let log = Log::get();
    let (_server, client) = client();
    client.on::<ClientSessionId>().uid("it is slow").handle(|_| std::thread::sleep(Duration::from_millis(1))).unwrap();
    let text = "x".repeat(4096);
    while log.of("it is slow").is_empty() {
        match client.try_emit(ClientSessionId { session_id: &text }) {
            Ok(()) | Err(Error::Backpressure { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let line = log.waits_for("it is slow");
    assert!(line.contains("CLIENT_SESSION_ID"), "{line}");
}
