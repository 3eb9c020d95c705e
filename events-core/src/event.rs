//! What an event is to the rest: a name, a shape, and a payload that goes onto the wire and comes back.
//!
//! ```text
//!  catalog.toml ─▶ struct ClientUid<Uid = String>  ─ Event ──▶ INFO, put   (any form, also borrowed)
//!                                                  └ Receive ▶ take        (forms that own what they hold)
//!  the whole file ─▶ enum AnyEvent                 ─ Catalog ▶ take by name
//! ```

use crate::reader::Reader;
use crate::shape::{self, Shape, ShapeMismatch};
use crate::take::TakeError;

/// An event that can be emitted.
///
/// `#[derive(Event)]`, `catalog!` and the build script write it; nobody needs to by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "events are the types a catalog declares, and structs with `#[derive(Event)]`"
)]
pub trait Event {
    /// The owned form: what the catalog declares, with `String` and `Vec<u8>` fields.
    type Kind: Receive;
    /// What is known about the event at compile time.
    const INFO: &'static EventInfo;
    /// Appends the payload to `out` as one MessagePack array.
    ///
    /// # Errors
    /// [`PutError`] if a field cannot be written; `out` may then hold a part of it.
    fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError>;
}

#[diagnostic::do_not_recommend]
impl<E: Event + ?Sized> Event for &E {
    type Kind = E::Kind;
    const INFO: &'static EventInfo = E::INFO;

    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError> {
        (**self).put(out)
    }
}

/// An event that can be received: one that owns what it holds.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be received",
    label = "not an event that owns its fields",
    note = "handlers get owned events: the types a catalog declares, as in `register::<ClientUid>(…)`, \
            and structs with `#[derive(Event)]`"
)]
pub trait Receive: Event + Sized + 'static {
    /// Takes a payload back.
    ///
    /// It is tolerant about how many fields there are (missing ones take their default or `None`,
    /// more are skipped) and strict about what they are.
    ///
    /// # Errors
    /// [`TakeError`] on anything that is not such a payload.
    fn take(input: &mut Reader<'_>) -> Result<Self, TakeError>;
}

/// All events of one catalog: what the generated enum `AnyEvent` is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the `AnyEvent` of a catalog",
    label = "not a catalog",
    note = "every catalog declares an enum `AnyEvent` with one variant per event"
)]
pub trait Catalog: Sized + 'static {
    /// The name the catalog gives itself.
    const NAME: &'static str;
    /// Every event of the catalog, in the order of the file.
    const EVENTS: &'static [&'static EventInfo];
    /// The name of every event on the wire, sorted by its bytes.
    const NAMES: &'static [&'static str];

    /// Takes the payload of the event called `name`. A name that is not in the catalog gives the
    /// variant `Unknown` with the payload as it came.
    ///
    /// # Errors
    /// [`TakeError`] on anything that is not such a payload.
    fn take(name: &str, input: &mut Reader<'_>) -> Result<Self, TakeError>;

    /// Appends the payload to `out`; that of an unknown event as it came.
    ///
    /// # Errors
    /// [`PutError`] if a field cannot be written; `out` may then hold a part of it.
    fn put(&self, out: &mut Vec<u8>) -> Result<(), PutError>;

    /// The name of the event on the wire.
    fn name(&self) -> &str;
}

/// What is known about an event at compile time.
#[derive(Debug)]
#[non_exhaustive]
pub struct EventInfo {
    /// The name on the wire.
    pub name: &'static str,
    /// What the catalog says about it; may be empty.
    pub doc: &'static str,
    /// Its fields, in the order of the wire.
    pub fields: &'static [FieldInfo],
    /// The server keeps the last one for late joiners.
    pub retain: bool,
    /// Why it should not be used any more, if so.
    pub deprecated: Option<&'static str>,
    /// FNV-1a 64 over [`shape_text`](EventInfo::shape_text).
    pub fingerprint: u64,
}

impl EventInfo {
    /// Describes an event that is neither retained nor deprecated.
    #[must_use]
    pub const fn new(name: &'static str, doc: &'static str, fields: &'static [FieldInfo]) -> EventInfo {
        EventInfo { name, doc, fields, retain: false, deprecated: None, fingerprint: shape::fingerprint(name, fields) }
    }

    /// The same event, retained.
    #[must_use]
    pub const fn retained(mut self) -> EventInfo {
        self.retain = true;
        self
    }

    /// The same event, deprecated because of `why`.
    #[must_use]
    pub const fn deprecated(mut self, why: &'static str) -> EventInfo {
        self.deprecated = Some(why);
        self
    }

    /// The canonical text of the event's shape, `NAME(field:type,…)`, with struct and enum types
    /// written inline without their names.
    #[must_use]
    pub fn shape_text(&self) -> String {
        shape::text(self.name, self.fields)
    }

    /// Whether payloads of the shape `theirs` (canonical text, from whoever sends them) can be
    /// decoded as this event: at every level the shorter list of fields is the beginning of the
    /// longer one, by name and type, and what they lack is optional here.
    ///
    /// `theirs` may be any text whatever.
    ///
    /// # Errors
    /// [`ShapeMismatch`] naming the first field that differs.
    pub fn check_shape(&self, theirs: &str) -> Result<(), ShapeMismatch> {
        shape::check(self, theirs)
    }
}

/// What is known about a field of an event, or of a struct type, at compile time.
#[derive(Debug)]
#[non_exhaustive]
pub struct FieldInfo {
    /// The name, as the catalog has it.
    pub name: &'static str,
    /// What the catalog says about it; may be empty.
    pub doc: &'static str,
    /// Its type.
    pub shape: &'static Shape,
    /// Payloads may lack it: it has a default, or is `T?`.
    pub optional: bool,
    /// Shown as `<secret>` by `Debug`, logs and tools.
    pub secret: bool,
}

impl FieldInfo {
    /// Describes a field that payloads must have and that is not secret.
    #[must_use]
    pub const fn new(name: &'static str, doc: &'static str, shape: &'static Shape) -> FieldInfo {
        FieldInfo { name, doc, shape, optional: matches!(shape, Shape::Optional(_)), secret: false }
    }

    /// The same field, which payloads may lack.
    #[must_use]
    pub const fn optional(mut self) -> FieldInfo {
        self.optional = true;
        self
    }

    /// The same field, secret.
    #[must_use]
    pub const fn secret(mut self) -> FieldInfo {
        self.secret = true;
        self
    }
}

/// Why a payload cannot be written.
///
/// One pointer wide, so that the way without errors stays quick.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PutError(Box<PutErrorKind>);

/// What is wrong with a payload that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PutErrorKind {
    /// MessagePack has 32 bits for a length.
    #[error("{what} of {length} is too long: MessagePack ends at {}", u32::MAX)]
    TooLong {
        /// What is too long, as in "a string".
        what: &'static str,
        /// How many bytes or items it has.
        length: usize,
    },
    /// The `Serialize` of a field marked `#[event(serde)]` refused.
    #[error("a field marked `#[event(serde)]` cannot be written: {why}")]
    Serde {
        /// What it said.
        why: String,
    },
    /// Bytes that were given as a payload are none.
    #[error("the payload is not exactly one MessagePack array")]
    Raw,
}

impl PutError {
    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &PutErrorKind {
        &self.0
    }
}

impl From<PutErrorKind> for PutError {
    #[cold]
    fn from(kind: PutErrorKind) -> PutError {
        PutError(Box::new(kind))
    }
}
