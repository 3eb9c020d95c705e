#[derive(events::Event)]
struct Moved<'a> {
    by: &'a str,
}

fn main() {
    let _ = events::emit(Moved { by: "me" });
}
