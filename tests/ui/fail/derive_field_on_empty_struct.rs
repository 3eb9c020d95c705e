#[derive(events::Field)]
struct Step;

fn main() {}
