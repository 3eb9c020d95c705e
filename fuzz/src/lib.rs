//! What must hold for any bytes whatever: one function per fuzz target.
//!
//! ```text
//!  cargo fuzz run frame ─▶ targets/frame.rs ─┐
//!                                            ├─▶ frame(bytes)     panics: found something
//!  cargo test ──────────▶ tests/corpus.rs  ──┘   (every file of corpus/frame)
//! ```
#![forbid(unsafe_code)]

mod relay;
mod script;
mod subscriber;

pub use relay::relay;
pub use subscriber::subscriber;

use std::sync::LazyLock;

use events::{Catalog as _, Reader};
use events_codegen::{Catalog, Secrets, Source};
use events_core::control::{
    self, Acked, Announced, Begins, Body, Empty, Figures, Leaving, Replay, Resume, Synced, Topic,
};
use events_core::frame::{self, Bundle, Content, View, bundle};

/// The catalog that has every type of field there is.
pub mod everything {
    events::catalog!("../../tests/everything.toml");
}

/// The same, known at run time.
static EVERYTHING: LazyLock<Catalog> = LazyLock::new(|| {
    let source = Source::new("everything.toml", include_str!("../../tests/everything.toml"));
    Catalog::parse(&source).expect("no mistakes in it")
});

/// A message as it comes from a socket.
pub fn frame(bytes: &[u8]) {
    let marked = bundle::with_flags(bytes, |_| frame::flags::TOLD_AGAIN);
    assert_eq!(marked.len(), bytes.len());
    let view = match frame::parse(bytes) {
        Ok(Content::Event(view)) => view,
        Ok(Content::Bundle(bundle)) => return several(&bundle),
        Ok(Content::Foreign { name }) => return assert!(bytes.starts_with(&frame::topic(name))),
        Ok(Content::Control) | Err(_) => return,
    };
    // What was understood is written as it was, and the records are the bytes behind it, none left out.
    let mut again = Vec::new();
    frame::begin(&mut again, view.name(), &view.header);
    let (count, mut good) = (view.count(), 0);
    for record in view.records() {
        let Ok(record) = record else { break };
        again.extend_from_slice(record);
        good += 1;
    }
    assert_eq!(count, good);
    assert!(bytes.starts_with(&again));
    assert!(matches!(frame::parse(&marked), Ok(Content::Event(marked)) if marked.records == view.records));
}

/// What was understood of several frames is understood again when it is put together anew.
fn several(bundle: &Bundle<'_>) {
    let frames: Vec<_> = bundle.views().collect();
    assert_eq!(frames.len(), bundle.len());
    let (good, again) = (frames.iter().flatten(), bundle.only(|_| true).unwrap_or_default());
    let same = |(one, other): (&View<'_>, View<'_>)| {
        (one.topic, one.header, one.records) == (other.topic, other.header, other.records)
    };
    assert_eq!(good.clone().count(), bundle::views(&again).count());
    assert!(good.zip(bundle::views(&again)).all(same));
}

/// The payload of an event, behind a byte that says of which.
pub fn payload(bytes: &[u8]) {
    let Some((&which, bytes)) = bytes.split_first() else { return };
    let names = everything::AnyEvent::NAMES;
    let name = names[usize::from(which) % names.len()];
    // By the types known at run time, as `events listen` does.
    let event = EVERYTHING.find(name).expect("it is in the file");
    let _ = EVERYTHING.decode(event, bytes, Secrets::Hidden);
    let mut input = Reader::new(bytes);
    let taken = match everything::AnyEvent::take(name, &mut input) {
        Ok(taken) => taken,
        Err(error) => return drop(error.to_string()),
    };
    // A record ends where it is skipped to.
    let mut skipped = Reader::new(bytes);
    skipped.skip().expect("what is taken can be skipped");
    assert_eq!(skipped.position(), input.position());
    let _ = format!("{taken:?}");
    // What was taken is written, and taken from that it is the same.
    let (mut once, mut twice) = (Vec::new(), Vec::new());
    taken.put(&mut once).expect("it came from bytes");
    let again = everything::AnyEvent::take(name, &mut Reader::new(&once)).expect("ours");
    again.put(&mut twice).expect("it came from bytes");
    assert_eq!(once, twice);
}

/// A catalog, as text.
pub fn catalog(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Catalog::parse(&Source::new("catalog.toml", text)) {
        // What is no mistake becomes source.
        Ok(catalog) => drop(catalog.to_source("catalog.toml")),
        Err(mistakes) => assert!(mistakes.iter().next().is_some(), "refused without a word"),
    }
}

/// A control message as it comes from a socket, or the text of a shape.
pub fn control(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        for info in everything::AnyEvent::EVENTS {
            let _ = info.check_shape(text);
        }
    }
    let Some((topic, body)) = control::parse(bytes) else { return };
    assert!(bytes.starts_with(&topic.bytes()));
    same::<Empty>(&topic, body);
    same::<Leaving>(&topic, body);
    same::<Synced>(&topic, body);
    same::<Acked>(&topic, body);
    same::<Resume>(&topic, body);
    same::<Replay>(&topic, body);
    same::<Announced>(&topic, body);
    same::<Begins>(&topic, body);
    same::<Figures>(&topic, body);
}

/// What is read is written, and read from that it is the same.
fn same<B: Body + PartialEq + std::fmt::Debug>(topic: &Topic, body: &[u8]) {
    let Some(read) = control::body::<B>(body) else { return };
    let message = topic.message(&read);
    let (again, body) = control::parse(&message).expect("ours");
    assert_eq!((&again, control::body::<B>(body)), (topic, Some(read)));
}
