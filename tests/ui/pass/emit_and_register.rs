//! What the README shows.
use compact_str::CompactString;
use events::{emit, register};

mod catalog {
    events::catalog!("../events.toml");
}
use catalog::ClientUid;

fn main() {
    let _ = emit(ClientUid { uid: "abc" });
    let _ = emit(ClientUid { uid: String::new() });
    let event = ClientUid::new("abc");
    let _ = emit(&event);
    let _ = register::<ClientUid>(|e| println!("{}", e.uid));
    let _ = register::<ClientUid<CompactString>>(|e| println!("{}", e.uid));
}
