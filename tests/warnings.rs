//! A handler that holds up others is named.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};

use events::catalog::{ClientSessionId, ClientUid, MailUnreadMessages};
use events::server::Server;
use events::{Client, ClientOptions, Error};
use events_core::delivery::Limits;
use events_core::engine::{Addresses, Engine, memory::MemoryEngine};
use tracing_subscriber::filter::LevelFilter;

#[path = "common/log.rs"]
mod log;

use log::Log;

const WATCHDOG: Duration = Duration::from_secs(60);

fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| Log::begin(LevelFilter::WARN))
}

/// The lines that warn of a handler with this uid.
fn warnings_of(uid: &str) -> Vec<String> {
    let warns = |line: &&str| line.contains("WARN") && line.contains("holds up") && line.contains(uid);
    log().text().lines().filter(warns).map(str::to_owned).collect()
}

/// The first such line; `meanwhile` is done again and again.
fn warning_of(uid: &str, mut meanwhile: impl FnMut()) -> String {
    let until = Instant::now() + WATCHDOG;
    loop {
        if let Some(line) = warnings_of(uid).pop() {
            return line;
        }
        assert!(Instant::now() < until, "nobody is warned of {uid}");
        meanwhile();
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
    log();
    let (_server, client) = client();
    let (go_on, wait) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    client.on::<ClientUid>().uid("it blocks").handle(move |_| _ = wait.recv()).unwrap();
    client.on::<MailUnreadMessages>().uid("it is held up").handle(move |_| _ = tell.send(())).unwrap();
    client.emit(ClientUid { uid: "a" }).unwrap();
    client.emit(MailUnreadMessages { userid: "me", number: 1 }).unwrap();
    let line = warning_of("it blocks", || std::thread::park_timeout(Duration::from_millis(5)));
    assert!(line.contains("CLIENT_UID"), "{line}");
    go_on.send(()).unwrap();
    told.recv_timeout(WATCHDOG).unwrap();
    assert_eq!((warnings_of("it blocks").len(), warnings_of("it is held up").len()), (1, 0));
}

/// It moves on all the time, but more slowly than events come.
#[test]
fn one_that_is_slower_than_what_comes() {
    log();
    let (_server, client) = client();
    client.on::<ClientSessionId>().uid("it is slow").handle(|_| std::thread::sleep(Duration::from_millis(1))).unwrap();
    let text = "x".repeat(4096);
    let line = warning_of("it is slow", || match client.try_emit(ClientSessionId { session_id: &text }) {
        Ok(()) | Err(Error::Backpressure { .. }) => {}
        Err(error) => panic!("{error}"),
    });
    assert!(line.contains("CLIENT_SESSION_ID"), "{line}");
}
