//! What generated code is made of. Not for use by hand: it changes without notice.
//!
//! Everything that `catalog!`, the build script and the derives write refers to the outside through
//! this module and nothing else, so a dependent crate needs no dependency beside `events`.

pub mod bytes;
mod codec;
mod distinct;

pub use codec::{AsBlob, AsField, AsSerde, AsText, Codec, Decode, Fields, Puts};

pub use distinct::assert_distinct;

pub use crate::event::{Catalog, Event, EventInfo, FieldInfo, PutError, Receive};
pub use crate::field::Field;
pub use crate::reader::Reader;
pub use crate::shape::Shape;
pub use crate::take::{TakeError, TakeErrorKind};
pub use crate::text::{Blob, OwnedBlob, OwnedText, Text};
pub use crate::timestamp::Timestamp;
pub use crate::writer;
pub use serde;
pub use uuid::Uuid;

/// Takes the payload of an event by its name: one row of a catalog's table, sorted by name.
pub type Row<A> = (&'static str, fn(&mut Reader<'_>) -> Result<A, TakeError>);

/// What stands in a [`Row`]; a closure in its place takes the compiler longer.
pub fn take_as<E: Receive, A: From<E>>(input: &mut Reader<'_>) -> Result<A, TakeError> {
    E::take(input).map(A::from)
}

/// Takes the payload of the event called `name` as the table says; `None` if it is not there.
#[inline]
pub fn take_by_name<A>(rows: &[Row<A>], name: &str, input: &mut Reader<'_>) -> Option<Result<A, TakeError>> {
    let at = rows.binary_search_by(|(row, _)| (*row).cmp(name)).ok()?;
    Some(rows[at].1(input))
}

/// Shown in the place of a secret.
pub struct Secret;

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}

/// Shown in the place of so many bytes of which it is not known what in them is secret.
pub struct Withheld(pub usize);

impl std::fmt::Debug for Withheld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<{} bytes>", self.0)
    }
}

/// What `derive(Debug)` does, with what stands in the place of secrets.
pub fn debug_struct(
    f: &mut std::fmt::Formatter<'_>,
    name: &str,
    fields: &[(&str, &dyn std::fmt::Debug)],
) -> std::fmt::Result {
    let mut shown = f.debug_struct(name);
    for (name, value) in fields {
        shown.field(name, value);
    }
    shown.finish()
}

/// The error of an enum that has no variant for unknown names.
#[cold]
pub fn no_variant(found: &str, allowed: &[&str], offset: usize) -> TakeError {
    let allowed = allowed.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    TakeError::new(TakeErrorKind::Variant { found: found.to_owned(), allowed }, offset)
}

/// Stands in for an event whose derive has reported mistakes.
#[derive(Debug)]
pub struct Stub;

impl Event for Stub {
    type Kind = Stub;
    const INFO: &'static EventInfo = &EventInfo::new("", "", &[]);

    fn put(&self, _: &mut Vec<u8>) -> Result<(), PutError> {
        Ok(())
    }
}

impl Receive for Stub {
    fn take(input: &mut Reader<'_>) -> Result<Self, TakeError> {
        Err(stub_taken(input))
    }
}

/// Never seen: what has mistakes does not run.
#[cold]
pub fn stub_taken(input: &Reader<'_>) -> TakeError {
    TakeError::new(TakeErrorKind::Missing, input.position())
}
