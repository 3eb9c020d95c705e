#[derive(events::Event)]
struct Moved<By = String> {
    by: By,
}

fn main() {
    let _ = events::emit(Moved { by: "me" });
}
