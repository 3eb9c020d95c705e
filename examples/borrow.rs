//! Emitting borrows: whatever is text will do, and nothing is copied before it is written.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use events::Client;
use events::catalog::ClientUid;

fn main() -> Result<(), Box<dyn Error>> {
    let client = Client::in_memory()?;
    // Receiving gives Strings, unless you ask for a type of your own: ClientUid<CompactString>.
    let mut uids = client.subscribe::<ClientUid>()?;

    let line = String::from("uid=abc");
    client.emit(ClientUid { uid: &line[4..] })?;
    client.emit(ClientUid { uid: Cow::Borrowed("def") })?;
    client.emit(ClientUid { uid: format!("{}hi", 'g') })?;
    let event = ClientUid::new("jkl");
    client.emit(&event)?;

    let mut next = || uids.recv_timeout(Duration::from_secs(10)).map(|event| event.into_payload().uid);
    for expected in ["abc", "def", "ghi", "jkl"] {
        assert_eq!(next().as_deref(), Some(expected));
    }
    println!("four events, one String made on the way: that of `format!`");
    Ok(())
}
