//! A client in a process that forks: the child is told, and the parent notices nothing.

use std::sync::mpsc;

use super::*;
use crate::event::{EventInfo, PutError};
use crate::process::tests::in_a_child;
use crate::server::ensure_server;
use crate::take::TakeError;

const LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct Forked;

impl Event for Forked {
    type Kind = Forked;
    const INFO: &'static EventInfo = &EventInfo::new("Forked", "", &[]);

    fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError> {
        out.push(0x90);
        Ok(())
    }
}

impl Receive for Forked {
    fn take(input: &mut Reader<'_>) -> Result<Forked, TakeError> {
        input.skip().map(|()| Forked)
    }
}

fn kind() -> Kind<'static> {
    Kind { name: "Forked", fingerprint: 0, retain: false, shape: &String::new }
}

fn is_forked<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Forked))
}

#[test]
fn a_forked_child_is_told_and_connects_anew_and_its_parent_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let address = |name| format!("ipc://{}", folder.path().join(name).display());
    let (emit, reg) = (address("emit"), address("reg"));
    let _server = ensure_server(&emit, &reg).expect("a server");
    let client = Client::connect(&emit, &reg).expect("good addresses");
    let (came, events) = mpsc::channel();
    let handler = move |event: &Received<RawEvent>| _ = came.send(event.payload[1]);
    let registration = client.register_raw(Some("Forked"), handler).expect("registered");
    assert!(registration.wait_active(LIMIT));

    client.emit_raw(kind(), &[0x91, 1]).expect("emitted");
    client.flush(LIMIT).expect("acknowledged");
    let told = || {
        assert!(is_forked(client.emit_raw(kind(), &[0x91, 2])));
        assert!(is_forked(client.register_raw(None, |_| {})));
        assert!(is_forked(client.flush(LIMIT)));
        assert!(is_forked(client.close(LIMIT)));
        assert!(!registration.wait_active(LIMIT));
        registration.unregister();
    };
    assert!(in_a_child(told));
    let anew = || {
        let client = Client::connect(&emit, &reg).expect("good addresses");
        client.emit_raw(kind(), &[0x91, 3]).expect("emitted");
        client.flush(LIMIT).expect("acknowledged");
    };
    assert!(in_a_child(anew));
    client.emit_raw(kind(), &[0x91, 4]).expect("emitted");
    for expected in [1, 3, 4] {
        assert_eq!(events.recv_timeout(LIMIT), Ok(expected));
    }
}

#[test]
fn a_child_serves_where_its_parent_does_not_and_leaves_its_parents_server_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let address = |name| format!("ipc://{}", folder.path().join(name).display());
    let mut server = Some(ensure_server(&address("emit"), &address("reg")).expect("a server"));
    let serves = || {
        let (emit, reg) = (address("child-emit"), address("child-reg"));
        let _server = ensure_server(&emit, &reg).expect("a server");
        let client = Client::connect(&emit, &reg).expect("good addresses");
        client.emit_raw(kind(), &[0x91, 1]).expect("emitted");
        client.flush(LIMIT).expect("acknowledged");
    };
    assert!(in_a_child(serves));
    assert!(in_a_child(|| drop(server.take())));
    let client = Client::connect(&address("emit"), &address("reg")).expect("good addresses");
    client.emit_raw(kind(), &[0x91, 1]).expect("emitted");
    client.flush(LIMIT).expect("acknowledged");
    drop(server);
}

#[test]
fn a_child_that_lets_go_of_what_it_inherited_waits_for_nobody() {
    let options = ClientOptions { drop_limit: Duration::from_secs(3600), ..ClientOptions::default() };
    let client = Client::with_options("memory://forked-emit", "memory://forked-reg", options).expect("good addresses");
    client.emit_raw(kind(), &[0x91, 1]).expect("kept for the server that comes");
    let mut subscription = Some(client.subscribe::<Forked>().expect("subscribed"));
    let mut client = Some(client);
    let lets_go = || {
        let mut subscription = subscription.take().expect("there");
        assert!(subscription.recv().is_none());
        assert!(subscription.try_recv().is_none());
        drop(subscription);
        drop(client.take());
    };
    assert!(in_a_child(lets_go));
    let _server = Server::start("memory://forked-emit", "memory://forked-reg").expect("a server");
    let (client, mut subscription) = (client.expect("the parent's"), subscription.expect("the parent's"));
    assert!(subscription.registration().expect("registered").wait_active(LIMIT));
    client.emit(Forked).expect("emitted");
    assert!(subscription.recv_timeout(LIMIT).is_some());
}
