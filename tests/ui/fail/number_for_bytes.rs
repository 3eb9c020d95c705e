mod catalog {
    events::catalog!("../events.toml");
}

fn main() {
    let _ = events::emit(catalog::KeyFound { key: 5 });
}
