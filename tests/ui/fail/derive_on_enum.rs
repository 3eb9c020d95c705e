#[derive(events::Event)]
enum Moved {
    Up,
}

fn main() {
    let _ = events::emit(Moved::Up);
}
