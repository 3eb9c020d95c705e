#[derive(events::Field)]
enum Step {
    Up(u64),
    Down,
}

fn main() {}
