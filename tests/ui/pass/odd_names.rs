//! What users call their things is theirs: nothing that is generated collides with it.

use std::fmt::Display;

mod numbered {
    events::catalog!("../numbered.toml");
}

/// Variants go by the names that they have, without what Rust needs to tell them from its own.
#[derive(Clone, Debug, PartialEq, events::Field)]
#[allow(non_camel_case_types)]
enum Way {
    r#in,
    r#out,
}

/// Whatever the struct asks of its parameter the impls ask too.
#[derive(Debug, events::Event)]
struct Shown<T: Display, U = String>
where
    U: Display + Clone,
{
    #[event(text)]
    text: T,
    #[event(text)]
    other: U,
}

fn main() {
    use numbered::{AnyEvent, P0, T0};
    let any = [AnyEvent::from(T0 { text: "a", bytes: vec![1] }), AnyEvent::from(P0 { text: String::new() })];
    assert_eq!(any.map(|event| event.name().to_owned()), ["T0", "P0"]);

    assert_eq!(<Way as events::Field>::SHAPE.to_string(), "<in|out>");
    let client = events::Client::in_memory().unwrap();
    client.emit(Shown { text: "a", other: "b" }).unwrap();
    client.register::<Shown<String>>(|event| println!("{} {}", event.text, event.other)).unwrap();
}
