//! Events between processes: this test starts itself again in other roles.

use std::process::Command;
use std::sync::mpsc;

use events::catalog::{ClientUid, MailUnreadMessages};
use events::server::Server;
use events::{Client, emit, flush, register};

mod common;

use common::{LIMIT, Process};

const ROLE: &str = "EVENTS_TEST_ROLE";
const MANY: u64 = 5_000;

/// Addresses in a folder that goes with it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a folder"))
    }

    fn address(&self, file: &str) -> String {
        format!("ipc://{}", self.0.path().join(file).display())
    }

    fn server(&self) -> Server {
        Server::start(&self.address("emit"), &self.address("reg")).expect("a server")
    }

    fn client(&self) -> Client {
        Client::connect(&self.address("emit"), &self.address("reg")).expect("a client")
    }

    fn start(&self, role: &str) -> Process {
        let program = std::env::current_exe().expect("the path of this program");
        Process::start(
            Command::new(program)
                .args(["--exact", "plays_its_role", "--nocapture"])
                .env(ROLE, role)
                .env("EVENTS_EMIT_ADDR", self.address("emit"))
                .env("EVENTS_REG_ADDR", self.address("reg")),
        )
    }
}

/// What the other processes do, with the default client; nothing when the tests are run.
#[test]
fn plays_its_role() -> Result<(), events::Error> {
    match std::env::var(ROLE).as_deref() {
        Ok("server") => {
            let place = |name| std::env::var(name).expect("an address");
            let _server = Server::start(&place("EVENTS_EMIT_ADDR"), &place("EVENTS_REG_ADDR"))?;
            println!("ready");
            for _ in std::io::stdin().lines() {}
            Ok(())
        }
        Ok("listen") => {
            let (tell, told) = mpsc::channel();
            register::<ClientUid>(move |e| drop(tell.send(e.uid.clone())))?;
            println!("ready");
            for _ in 0..MANY {
                println!("{}", told.recv_timeout(LIMIT).expect("an event in time"));
            }
            Ok(())
        }
        // Emits and is gone: what it emitted must not be gone with it.
        Ok("emit and exit") => (0..MANY).try_for_each(|number| emit(ClientUid { uid: number.to_string() })),
        Ok("emit without a server") => {
            emit(MailUnreadMessages { userid: "me", number: 7 })?;
            println!("emitted");
            flush(LIMIT)
        }
        _ => Ok(()),
    }
}

#[test]
fn registered_in_one_process_and_emitted_in_another() {
    let place = Place::new();
    let _server = place.server();
    let mut listener = place.start("listen");
    listener.until("ready");

    let mut emitter = place.start("emit and exit");
    assert_eq!(emitter.end(), Some(0));
    for number in 0..MANY {
        assert_eq!(listener.line(), number.to_string());
    }
    assert_eq!(listener.end(), Some(0));
}

#[test]
fn what_is_emitted_before_there_is_a_server_arrives_when_there_is_one() {
    let place = Place::new();
    let mut emitter = place.start("emit without a server");
    emitter.until("emitted");

    let _server = place.server();
    assert_eq!(emitter.end(), Some(0));
    // Its emitter is gone; the server has it.
    let client = place.client();
    let mut unread = client.subscribe::<MailUnreadMessages>().expect("a subscription");
    let event = unread.recv_timeout(LIMIT).expect("the event");
    assert!(event.is_retained());
    assert_eq!(event.number, 7);
}

#[test]
fn a_server_that_is_killed_loses_nothing() {
    let place = Place::new();
    let mut server = place.start("server");
    server.until("ready");
    let (emitter, receiver) = (place.client(), place.client());
    let mut uids = receiver.subscribe::<ClientUid>().expect("a subscription");

    for number in 0..MANY {
        if number == MANY / 2 {
            server.kill();
            server = place.start("server");
        }
        emitter.emit(ClientUid { uid: number.to_string() }).expect("room");
    }
    for number in 0..MANY {
        let event = uids.recv_timeout(LIMIT).expect("an event in time");
        assert_eq!(event.uid, number.to_string());
    }
    assert_eq!(receiver.stats().missed, 0);
    // Clients first, so that the server has nobody to wait for.
    drop((uids, emitter, receiver));
    assert_eq!(server.end(), Some(0));
}
