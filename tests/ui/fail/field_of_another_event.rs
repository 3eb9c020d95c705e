mod catalog {
    events::catalog!("../events.toml");
}

fn main() {
    let _ = events::register::<catalog::ClientUid>(|event| println!("{}", event.number));
}
