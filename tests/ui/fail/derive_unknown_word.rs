#[derive(events::Event)]
#[event(retian, nam = "MOVED", crat(x))]
struct Moved {
    #[event(secert)]
    by: String,
}

fn main() {
    let _ = events::register::<Moved>(|event| println!("{}", event.by));
}
