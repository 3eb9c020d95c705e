//! Typed events between programs.
#![forbid(unsafe_code)]

// Generated code says `::events::…`, also in here.
extern crate self as events;

pub mod catalog;

pub use events_core::{
    Blob, Catalog, Event, EventInfo, Field, FieldInfo, OwnedBlob, OwnedText, PutError, PutErrorKind, Reader, Receive,
    Shape, ShapeMismatch, TakeError, TakeErrorKind, Text, Timestamp, Uuid,
};
pub use events_macros::{Event, Field};

pub use stand_in::{Error, Received, Registration, emit, register};

/// Stands in for the client until it is merged: what the tests of messages need of it.
mod stand_in {
    use std::marker::PhantomData;

    use crate::{Event, Receive};

    /// Why something could not be done.
    #[derive(Debug)]
    pub struct Error;

    /// An event that was received.
    #[derive(Debug)]
    pub struct Received<E>(E);

    impl<E> std::ops::Deref for Received<E> {
        type Target = E;

        fn deref(&self) -> &E {
            &self.0
        }
    }

    /// A handler that is registered.
    #[derive(Debug)]
    pub struct Registration(PhantomData<()>);

    /// Emits an event.
    ///
    /// # Errors
    /// Never.
    pub fn emit<E: Event>(event: E) -> Result<(), Error> {
        event.put(&mut Vec::new()).map_err(|_| Error)
    }

    /// Registers a handler.
    ///
    /// # Errors
    /// Never.
    pub fn register<E: Receive>(handler: impl FnMut(&Received<E>) + Send + 'static) -> Result<Registration, Error> {
        drop(handler);
        Ok(Registration(PhantomData))
    }
}

/// What generated code is made of. Not for use by hand: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use events_core::__private::*;
    pub use events_macros::catalog;
}

/// Writes the items of a catalog of your own: a struct per event and the enum `AnyEvent`.
///
/// The path is relative to the folder of your `Cargo.toml`, or to the file that calls. The catalog
/// is compiled again whenever it changes; every mistake in it is told as `events.toml:12:8: …`.
///
/// ```ignore
/// pub mod catalog {
///     events::catalog!("events.toml");
/// }
/// ```
#[macro_export]
macro_rules! catalog {
    ($($file:tt)*) => {
        $crate::__private::catalog! { $crate, $($file)* }
    };
}
