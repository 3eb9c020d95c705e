events::catalog!("../syntax.toml");

fn main() {}
