//! The crate under another name, in `catalog!` and in a derive.
extern crate events as renamed;

mod catalog {
    renamed::catalog!("../events.toml");
}

#[derive(renamed::Event)]
#[event(crate = renamed, retain)]
struct Moved {
    by: String,
}

fn main() {
    let _ = renamed::emit(catalog::ClientUid { uid: "abc" });
    let _ = renamed::register::<Moved>(|event| println!("{}", event.by));
}
