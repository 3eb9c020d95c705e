mod catalog {
    events::catalog!("../events.toml");
}

fn main() {
    let _ = events::emit(catalog::ClientUid { uid: "abc", nmuber: 5 });
}
