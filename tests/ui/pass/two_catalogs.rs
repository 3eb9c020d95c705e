//! Two catalogs whose names are distinct go together.

mod here {
    events::catalog!("../letters.toml");
}

events::distinct!(events::catalog::AnyEvent, here::AnyEvent);

fn main() {}
