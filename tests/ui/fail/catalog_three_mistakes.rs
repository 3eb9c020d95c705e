events::catalog!("../three_mistakes.toml");

fn main() {}
