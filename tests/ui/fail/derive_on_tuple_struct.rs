#[derive(events::Event)]
struct Moved(u64);

fn main() {
    let _ = events::emit(Moved(5));
}
