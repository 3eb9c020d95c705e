#[derive(events::Event)]
#[event(retian)]
struct Moved {
    #[event(secert)]
    by: String,
}

fn main() {
    let _ = events::register::<Moved>(|event| println!("{}", event.by));
}
