//! Two catalogs of one program declare the same event.

mod mail {
    events::catalog!("../events.toml");
}

mod letters {
    events::catalog!("../letters.toml");
}

events::distinct!(letters::AnyEvent, mail::AnyEvent, events::catalog::AnyEvent);

fn main() {}
