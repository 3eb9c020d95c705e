events::catalog!("no/such/events.toml");

fn main() {}
