//! Clients in the server's own process wait for what comes in its place, and do its work: nobody else may notice.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use events::catalog::{ClientSessionId, ClientUid};
use events::{Client, ClientOptions};
use events_core::engine::zmq::{Tcp, ZmqEngine};
use events_core::engine::{Addresses, Engine};
use events_core::server::Server;

const WATCHDOG: Duration = Duration::from_secs(20);

/// A server here, and two ways to it.
struct World {
    server: Server,
    here: Arc<dyn Engine>,
    elsewhere: Arc<dyn Engine>,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let engine = || -> Arc<dyn Engine> { Arc::new(ZmqEngine::isolated(Tcp::PlainLoopbackOnly).unwrap()) };
        let (here, elsewhere) = (engine(), engine());
        let at = |name| format!("ipc://{}/{name}", folder.path().display());
        let addresses = Addresses { emit: at("emit"), reg: at("reg") };
        let server = Server::start_on(&here, &addresses).unwrap();
        World { server, here, elsewhere, _folder: folder }
    }

    fn client(&self, engine: &Arc<dyn Engine>) -> Client {
        let at = self.server.addresses();
        Client::with_options(&at.emit, &at.reg, ClientOptions::default().engine(engine.clone())).unwrap()
    }
}

fn next<T>(from: &Receiver<T>) -> T {
    from.recv_timeout(WATCHDOG).unwrap()
}

fn uid(uid: &str) -> ClientUid<&str> {
    ClientUid { uid }
}

#[test]
fn a_handler_that_blocks_here_holds_up_nobody_elsewhere() {
    let world = World::new();
    let (tell, told) = channel();
    let (release, released): (Sender<()>, _) = channel();
    let here = world.client(&world.here);
    here.register::<ClientUid>(move |event| {
        tell.send(event.uid.to_owned()).unwrap();
        if event.uid == "blocks" {
            released.recv_timeout(WATCHDOG).unwrap();
        }
    })
    .unwrap();
    let (emitter, listener) = (world.client(&world.elsewhere), world.client(&world.elsewhere));
    let (hear, heard) = channel();
    listener.register::<ClientSessionId>(move |_| hear.send(()).unwrap()).unwrap();
    // One after the other, as often as it takes the client here to wait at the server's sockets.
    for _ in 0..50 {
        emitter.emit(uid("one")).unwrap();
        assert_eq!(next(&told), "one");
    }
    emitter.emit(uid("blocks")).unwrap();
    assert_eq!(next(&told), "blocks");
    for _ in 0..50 {
        emitter.emit(ClientSessionId { session_id: "one" }).unwrap();
        next(&heard);
    }
    release.send(()).unwrap();
}

/// Emitters here and elsewhere, all at once and with pauses of their own, so that every way to turn the server meets
/// every other.
#[test]
fn whoever_turns_the_server_nothing_is_lost_or_overtaken() {
    const EVENTS: usize = 3_000;
    let world = World::new();
    let engines = [&world.here, &world.elsewhere, &world.here, &world.elsewhere];
    let listeners = engines.map(|engine| {
        let client = world.client(engine);
        let (tell, told) = channel();
        client.register::<ClientUid>(move |event| tell.send(event.uid.to_owned()).unwrap()).unwrap();
        (client, told)
    });
    std::thread::scope(|scope| {
        for (name, engine) in engines.iter().enumerate() {
            let client = world.client(engine);
            scope.spawn(move || {
                for number in 0..EVENTS {
                    client.emit(uid(&format!("{name} {number}"))).unwrap();
                    if number % 7 < name {
                        client.flush(WATCHDOG).unwrap();
                    }
                }
            });
        }
        for (_, told) in &listeners {
            let mut expected = [0; 4];
            for _ in 0..4 * EVENTS {
                let uid = next(told);
                let (name, number) = uid.split_once(' ').unwrap();
                let expected = &mut expected[name.parse::<usize>().unwrap()];
                assert_eq!(number.parse::<usize>().unwrap(), *expected, "of {name}");
                *expected += 1;
            }
        }
    });
}
