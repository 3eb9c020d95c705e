mod catalog {
    events::catalog!("../events.toml");
}

use catalog::ClientUit;

fn main() {
    let _ = events::emit(ClientUit { uid: "abc" });
}
