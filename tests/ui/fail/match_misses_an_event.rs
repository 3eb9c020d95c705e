mod catalog {
    events::catalog!("../events.toml");
}

use catalog::AnyEvent;

fn main() {
    let event = AnyEvent::from(catalog::ClientUid { uid: "abc" });
    match event {
        AnyEvent::ClientUid(_) => {}
        AnyEvent::KeyFound(_) => {}
        AnyEvent::Unknown { .. } => {}
    }
}
