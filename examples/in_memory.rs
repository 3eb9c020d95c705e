//! Testing a program that uses events: no server, no sockets, no other processes.

use std::error::Error;
use std::time::Duration;

use events::Client;
use events::catalog::{ClientUid, RaiseWindow};

/// The program under test: it wants the window in front once somebody has logged in.
fn window(client: &Client) -> Result<(), events::Error> {
    let emitter = client.clone();
    client.register::<ClientUid>(move |_| {
        if let Err(error) = emitter.emit(RaiseWindow) {
            eprintln!("the window stays where it is: {error}");
        }
    })?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    // Whatever this client emits comes back to its own handlers, and reaches nobody else.
    let client = Client::in_memory()?;
    window(&client)?;

    let mut raised = client.subscribe::<RaiseWindow>()?;
    client.emit(ClientUid { uid: "abc" })?;

    assert!(raised.recv_timeout(Duration::from_secs(10)).is_some());
    println!("the window came to the front");
    Ok(())
}
