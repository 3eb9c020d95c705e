mod catalog {
    events::catalog!("../events.toml");
}

fn main() {
    let _ = events::register::<catalog::ClientUid<&'static str>>(|_| {});
}
