//! The enum of all events of a catalog.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::doc;
use crate::model::{Catalog, Event};

pub(super) fn any_event(catalog: &Catalog) -> TokenStream {
    let about = doc(&format!(
        "Any event of the catalog `{}`: {}\n\n\
         A `match` on it without `_` is complete: it does not compile any more once the catalog has an event that it \
         misses. Whoever wants to be told of new events in this way leaves `_` out and names [`AnyEvent::Unknown`], \
         which only ever holds events of a newer catalog; whoever does not, writes `_ => {{}}`.",
        catalog.name, catalog.doc
    ));
    let rust_names: Vec<_> = catalog.events.iter().map(|event| format_ident!("{}", event.rust_name)).collect();
    let shown_names: Vec<_> = catalog.events.iter().map(|event| &event.rust_name).collect();
    let wire_names: Vec<_> = catalog.events.iter().map(|event| &event.name).collect();
    let variants = catalog.events.iter().zip(&rust_names).map(|(event, name)| {
        let doc = doc(&event.doc);
        quote! { #doc #name(#name), }
    });
    let mut sorted: Vec<&Event> = catalog.events.iter().collect();
    sorted.sort_by(|one, other| one.name.cmp(&other.name));
    let sorted_names = sorted.iter().map(|event| &event.name);
    let rows = rows(&sorted);
    let conversions = catalog.events.iter().map(conversion);
    let name = &catalog.name;
    let serialize = catalog.serde.then(|| serialize(&rust_names));
    quote! {
        #about
        #[allow(deprecated, clippy::large_enum_variant)]
        #[derive(Clone, PartialEq)]
        pub enum AnyEvent {
            #(#variants)*
            /// An event that is not in this catalog: its sender has a newer one.
            Unknown {
                /// Its name.
                name: ::std::string::String,
                /// Its payload as it came, one MessagePack array.
                bytes: ::std::vec::Vec<u8>,
            },
        }

        #[allow(deprecated)]
        impl ::std::fmt::Debug for AnyEvent {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                let (name, event): (&str, &dyn ::std::fmt::Debug) = match self {
                    #(Self::#rust_names(event) => (#shown_names, event),)*
                    Self::Unknown { name, bytes } => {
                        // Nobody here knows what in it is secret.
                        let bytes = __events::__private::Withheld(bytes.len());
                        return f.debug_struct("Unknown").field("name", name).field("bytes", &bytes).finish();
                    }
                };
                f.debug_tuple(name).field(event).finish()
            }
        }

        #[allow(deprecated)]
        impl AnyEvent {
            /// The name of the event on the wire.
            #[inline]
            pub fn name(&self) -> &str {
                match self {
                    #(Self::#rust_names(_) => #wire_names,)*
                    Self::Unknown { name, .. } => name,
                }
            }
        }

        #[allow(deprecated)]
        impl __events::__private::Catalog for AnyEvent {
            const NAME: &'static str = #name;
            const EVENTS: &'static [&'static __events::__private::EventInfo] = &[
                #(<#rust_names as __events::__private::Event>::INFO,)*
            ];
            const NAMES: &'static [&'static str] = &[#(#sorted_names),*];

            #[inline]
            fn take(
                name: &str,
                input: &mut __events::__private::Reader<'_>,
            ) -> ::std::result::Result<Self, __events::__private::TakeError> {
                // Sorted by name.
                const ROWS: &[__events::__private::Row<AnyEvent>] = &[#(#rows,)*];
                match __events::__private::take_by_name(ROWS, name, input) {
                    ::std::option::Option::Some(taken) => taken,
                    ::std::option::Option::None => ::std::result::Result::Ok(Self::Unknown {
                        name: name.to_owned(),
                        bytes: input.raw()?.to_owned(),
                    }),
                }
            }

            #[inline]
            fn put(
                &self,
                out: &mut ::std::vec::Vec<u8>,
            ) -> ::std::result::Result<(), __events::__private::PutError> {
                match self {
                    #(Self::#rust_names(event) => __events::__private::Event::put(event, out),)*
                    Self::Unknown { bytes, .. } => {
                        out.extend_from_slice(bytes);
                        ::std::result::Result::Ok(())
                    }
                }
            }

            #[inline]
            fn name(&self) -> &str {
                AnyEvent::name(self)
            }
        }

        #serialize
        #(#conversions)*
    }
}

fn rows(sorted: &[&Event]) -> Vec<TokenStream> {
    let row = |event: &&Event| {
        let (wire, rust) = (&event.name, format_ident!("{}", event.rust_name));
        quote! { (#wire, __events::__private::take_as::<#rust, AnyEvent>) }
    };
    sorted.iter().map(row).collect()
}

fn conversion(event: &Event) -> TokenStream {
    let name = format_ident!("{}", event.rust_name);
    // An event called `T0` must not be hidden by a parameter.
    let letter = if event.rust_name.starts_with('T') { 'P' } else { 'T' };
    let count = super::parameter_kinds(event).len();
    let parameters: Vec<_> = (0..count).map(|index| format_ident!("{letter}{index}")).collect();
    let owned = super::parameter_kinds(event)
        .into_iter()
        .map(|blob| if blob { quote!(::std::vec::Vec<u8>) } else { quote!(::std::string::String) });
    if parameters.is_empty() {
        return quote! {
            #[allow(deprecated)]
            impl ::std::convert::From<#name> for AnyEvent {
                #[inline]
                fn from(event: #name) -> Self {
                    Self::#name(event)
                }
            }
        };
    }
    quote! {
        #[allow(deprecated)]
        impl<#(#parameters: ::std::convert::Into<#owned>),*> ::std::convert::From<#name<#(#parameters),*>> for AnyEvent {
            fn from(event: #name<#(#parameters),*>) -> Self {
                Self::#name(event.into_owned())
            }
        }
    }
}

/// As the payload alone, so that any event can be logged; an unknown one as its bytes.
fn serialize(rust_names: &[proc_macro2::Ident]) -> TokenStream {
    quote! {
        #[allow(deprecated)]
        impl __serde::Serialize for AnyEvent {
            #[inline]
            fn serialize<S: __serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::std::result::Result<S::Ok, S::Error> {
                match self {
                    #(Self::#rust_names(event) => event.serialize(serializer),)*
                    Self::Unknown { bytes, .. } => serializer.serialize_bytes(bytes),
                }
            }
        }
    }
}
