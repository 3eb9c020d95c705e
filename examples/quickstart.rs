//! A server, a handler and an event: the least that does something.

use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

use events::catalog::ClientUid;
use events::{emit, register, server};

fn main() -> Result<(), Box<dyn Error>> {
    // Other programs would name the same ports; 0 takes any that is free.
    let _server = server::ensure_server("tcp://127.0.0.1:0", "tcp://127.0.0.1:0")?;

    let (tell, told) = mpsc::channel();
    register::<ClientUid>(move |e| {
        println!("the user is {}", e.uid);
        let _ = tell.send(e.uid.clone());
    })?;

    // `register` has returned, so this arrives, and would if another program emitted it.
    emit(ClientUid { uid: "abc" })?;

    assert_eq!(told.recv_timeout(Duration::from_secs(10))?, "abc");
    Ok(())
}
