//! Events while the server comes and goes: nothing is lost, and who wants to know is told.

use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

use events::catalog::ClientUid;
use events::server::Server;
use events::{Client, Connection};

const LIMIT: Duration = Duration::from_secs(20);

fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start("tcp://127.0.0.1:0", "tcp://127.0.0.1:0")?;
    let at = server.addresses().clone();
    let (emitter, receiver) = (Client::connect(&at.emit, &at.reg)?, Client::connect(&at.emit, &at.reg)?);

    let (tell, changes) = mpsc::channel();
    receiver.on_connection(move |change| {
        println!("{change:?}");
        let _ = tell.send(change);
    });
    let mut uids = receiver.subscribe::<ClientUid>()?;
    assert_eq!(changes.recv_timeout(LIMIT)?, Connection::Connected);

    server.shutdown(Duration::from_secs(2));
    assert_eq!(changes.recv_timeout(LIMIT)?, Connection::Reconnecting);

    // With no server there, an event waits at its emitter.
    emitter.emit(ClientUid { uid: "meanwhile" })?;

    let _server = Server::start(&at.emit, &at.reg)?;
    assert_eq!(changes.recv_timeout(LIMIT)?, Connection::Reconnected);
    assert_eq!(uids.recv_timeout(LIMIT).map(|e| e.into_payload().uid).as_deref(), Some("meanwhile"));
    Ok(())
}
