#[derive(events::Event)]
struct Moved {
    by: String,
    #[event(name = "by")]
    who: String,
}

fn main() {}
