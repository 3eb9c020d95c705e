//! Events between programs: the wire, the delivery, the client, the server and the engines.
#![forbid(unsafe_code)]

pub mod event;
pub mod field;
pub mod reader;
pub mod shape;
pub mod take;
pub mod text;
pub mod timestamp;
pub mod writer;

#[doc(hidden)]
pub mod __private;

pub use event::{Catalog, Event, EventInfo, FieldInfo, PutError, PutErrorKind, Receive};
pub use field::Field;
pub use reader::Reader;
pub use shape::{Shape, ShapeMismatch};
pub use take::{TakeError, TakeErrorKind};
pub use text::{Blob, OwnedBlob, OwnedText, Text};
pub use timestamp::Timestamp;
pub use uuid::Uuid;
