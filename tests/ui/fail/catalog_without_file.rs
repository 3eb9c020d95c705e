events::catalog!();

fn main() {}
