#[derive(events::Event)]
#[event(name = "MOVED UP")]
struct Moved;

fn main() {
    let _ = events::emit(Moved);
}
