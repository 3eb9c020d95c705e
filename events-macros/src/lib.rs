//! The macros of events. Each parses, calls `events-codegen`, and turns mistakes into
//! `compile_error!`; nothing else.
#![forbid(unsafe_code)]

use proc_macro::TokenStream;

/// Writes the items of a catalog: see `events::catalog!`, which calls this with the path of its
/// crate in front.
#[doc(hidden)]
#[proc_macro]
pub fn catalog(input: TokenStream) -> TokenStream {
    events_codegen::expand_catalog(input.into()).into()
}

/// Makes a struct an event.
///
/// | `#[event(…)]` | on | meaning |
/// |---|---|---|
/// | `name = "CLIENT_UID"` | the struct | the name on the wire; without it the name of the struct, as `CLIENT_UID` |
/// | `retain` | the struct | the server keeps the last one for late joiners |
/// | `crate = path` | the struct | where the `events` crate is, if it was renamed |
/// | `name = "type"` | a field | the name on the wire |
/// | `default`, `default = 5` | a field | what it is when a payload lacks it |
/// | `text`, `blob` | a field | it is a string, it is bytes, of a type of your choice: also a type parameter |
/// | `secret` | a field | tools show it as `<secret>`; the struct's own `Debug` is yours |
/// | `serde` | a field | its type is of another crate, and goes through serde |
///
/// Doc comments become the docs of the event and its fields, `#[deprecated]` becomes a flag.
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    events_codegen::derive::event(input.into()).into()
}

/// Makes a struct or an enum a type that fields of events may have.
///
/// A struct with named fields is an array on the wire, a newtype is what it holds, a variant of an
/// enum is its name. Fields take `name`, `default`, `secret` and `serde` as with `derive(Event)`;
/// a variant takes `name`, and one may be `#[event(unknown)] Unknown(String)`, which holds the names
/// that a newer sender has. Without it they are an error.
#[proc_macro_derive(Field, attributes(event))]
pub fn derive_field(input: TokenStream) -> TokenStream {
    events_codegen::derive::field(input.into()).into()
}
