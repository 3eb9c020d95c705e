//! Handlers with a name: replaced, called once, taken back.

use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

use events::catalog::RaiseWindow;
use events::{Client, Error as EventsError};

fn main() -> Result<(), Box<dyn Error>> {
    let client = Client::in_memory()?;
    let (tell, told) = mpsc::channel();
    let says = |what: &'static str| {
        let tell = tell.clone();
        move |_: &_| {
            let _ = tell.send(what);
        }
    };

    client.on::<RaiseWindow>().uid("title").handle(says("first"))?;
    // A uid is unique per event and client …
    let taken = client.on::<RaiseWindow>().uid("title").handle(says("second"));
    assert!(matches!(taken, Err(EventsError::AlreadyRegistered { .. })));
    // … unless the new handler is to take the place of the old one. No event falls between them.
    client.on::<RaiseWindow>().uid("title").replace().handle(says("third"))?;
    client.on::<RaiseWindow>().once().handle(says("once"))?;
    let last = client.register::<RaiseWindow>(says("always"))?;

    client.emit(RaiseWindow)?;
    client.emit(RaiseWindow)?;

    let mut heard = Vec::new();
    while heard.len() < 5 {
        heard.push(told.recv_timeout(Duration::from_secs(10))?);
    }
    println!("{heard:?}");
    assert_eq!(heard, ["third", "once", "always", "third", "always"]);

    last.unregister();
    assert!(client.unregister_uid::<RaiseWindow>("title"));
    Ok(())
}
