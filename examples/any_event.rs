//! One handler for all events of the catalog.

use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

use events::Client;
use events::catalog::{AnyEvent, ClientUid, MailUnreadMessages, RaiseWindow};

fn main() -> Result<(), Box<dyn Error>> {
    let client = Client::in_memory()?;
    let (tell, told) = mpsc::channel();
    client.register_any::<AnyEvent>(move |e| {
        let said = match e.payload() {
            AnyEvent::ClientUid(e) => format!("logged in as {}", e.uid),
            AnyEvent::MailUnreadMessages(e) => format!("{} unread mails", e.number),
            // From a program with a newer catalog. Without the last arm this `match` would name every event,
            // and the compiler would say when the catalog has a new one.
            AnyEvent::Unknown { name, .. } => format!("{name}, whatever that is"),
            other => other.name().to_owned(),
        };
        let _ = tell.send(said);
    })?;

    client.emit(ClientUid { uid: "abc" })?;
    client.emit(MailUnreadMessages { userid: "abc", number: 2 })?;
    client.emit(RaiseWindow)?;

    for expected in ["logged in as abc", "2 unread mails", "RAISE_WINDOW"] {
        let said = told.recv_timeout(Duration::from_secs(10))?;
        println!("{said}");
        assert_eq!(said, expected);
    }
    Ok(())
}
