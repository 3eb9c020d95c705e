//! Typed events between programs.
#![forbid(unsafe_code)]

// Generated code says `::events::…`, also in here.
extern crate self as events;

pub mod catalog;
mod global;

pub use events_core::client::{Client, ClientOptions, On, Subscription, WeakClient, WhenSlow};
pub use events_core::counters::ClientStats;
pub use events_core::dispatch::RawEvent;
pub use events_core::error::{Connection, Error, Lagged};
pub use events_core::received::Received;
pub use events_core::registration::{Registration, ScopedRegistration};
pub use global::{
    configure, default_client, emit, flush, on, on_connection, on_gap, register, register_any, server, set_enabled,
    subscribe, try_emit, unregister, unregister_uid,
};

pub use events_core::{
    Blob, Catalog, Event, EventInfo, Field, FieldInfo, OwnedBlob, OwnedText, PutError, PutErrorKind, Reader, Receive,
    Shape, ShapeMismatch, SharedBytes, TakeError, TakeErrorKind, Text, Timestamp, Uuid,
};
pub use events_macros::{Event, Field};

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

/// Fails the build if two of the catalogs that a program uses together declare an event of the same name: on the
/// wire they could not be told apart.
///
/// ```ignore
/// pub mod catalog {
///     events::catalog!("events.toml");
/// }
///
/// events::distinct!(events::catalog::AnyEvent, catalog::AnyEvent);
/// ```
#[macro_export]
macro_rules! distinct {
    ($($catalog:ty),* $(,)?) => {
        const _: () = $crate::__private::assert_distinct(&[$(<$catalog as $crate::Catalog>::NAMES),*]);
    };
}

/// The program in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
