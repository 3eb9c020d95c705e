//! A catalog → the items it stands for: plain annotated structs, one enum of all events.
//!
//! The impls are not here. Each struct carries `#[derive(Event)]`, the same that a hand-written
//! struct carries, so what a person reads in `OUT_DIR` is what they would have written.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use crate::model::{Catalog, Event, Field, Scalar, Type, TypeDef, TypeKind};
use crate::names;

mod any;
mod value;

/// Writes a catalog as items. `root` is the path of the `events` crate.
pub(crate) fn catalog(catalog: &Catalog, root: &TokenStream) -> TokenStream {
    let emitter = Emitter { catalog };
    let types = catalog.types.iter().map(|ty| emitter.type_def(ty));
    let events = catalog.events.iter().map(|event| emitter.event(event));
    let any = any::any_event(catalog);
    let serde = catalog.serde.then(|| {
        quote!(
            use __events::__private::serde as __serde;
        )
    });
    quote! {
        #[allow(unused_imports)]
        use #root as __events;
        #serde

        #(#types)*
        #(#events)*
        #any
    }
}

struct Emitter<'c> {
    catalog: &'c Catalog,
}

impl Emitter<'_> {
    fn type_def(&self, ty: &TypeDef) -> TokenStream {
        let name = format_ident!("{}", ty.name);
        let about = doc(&ty.doc);
        match &ty.kind {
            TypeKind::Struct(fields) => {
                let (derives, serde) = self.serde_derives();
                let defaults = self.default_functions(&ty.name, fields, &[]);
                let fields = fields.iter().map(|field| self.field(&ty.name, field, None));
                quote! {
                    #about
                    #[derive(Clone, __events::Field #derives)]
                    #[event(generated, crate = __events)]
                    #serde
                    pub struct #name { #(#fields)* }
                    #defaults
                }
            }
            TypeKind::Enum(variants) => {
                let variants = variants.iter().map(|variant| {
                    let (wire, rust) = (&variant.name, format_ident!("{}", variant.rust_name));
                    let docs = doc(&format!("`{wire}`"));
                    quote! { #docs #[event(name = #wire)] #rust, }
                });
                let (derives, _) = self.serde_derives();
                // Through strings, so that every format gets a string, and unknown names stay.
                let serde = self.catalog.serde.then(|| {
                    quote! {
                        #[serde(
                            crate = "__serde",
                            from = "::std::string::String",
                            into = "::std::string::String"
                        )]
                    }
                });
                let unknown = doc("A variant that is not in this catalog: the sender has a newer one.");
                quote! {
                    #about
                    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, __events::Field #derives)]
                    #[event(generated, crate = __events)]
                    #serde
                    pub enum #name {
                        #(#variants)*
                        #unknown
                        #[event(unknown)]
                        Unknown(::std::string::String),
                    }
                }
            }
        }
    }

    fn event(&self, event: &Event) -> TokenStream {
        let name = format_ident!("{}", event.rust_name);
        let wire = &event.name;
        let doc = doc(&event.doc);
        let (derives, serde) = self.serde_derives();
        let retain = event.retain.then(|| quote!(, retain));
        let deprecated = event.deprecated.as_ref().map(|why| quote!(#[deprecated(note = #why)]));
        let derive = quote! {
            #doc
            #deprecated
            #[derive(Clone, __events::Event #derives)]
            #[event(generated, crate = __events, name = #wire #retain)]
            #serde
        };
        if event.fields.is_empty() {
            return quote! { #derive pub struct #name; };
        }
        let parameters = parameters(self.catalog, event);
        let declared = parameters.iter().flatten().map(|parameter| parameter.declaration());
        let generics = parameters.iter().flatten().next().map(|_| quote!(<#(#declared),*>));
        let defaults = self.default_functions(&event.rust_name, &event.fields, &parameters);
        let fields = event
            .fields
            .iter()
            .zip(&parameters)
            .map(|(field, parameter)| self.field(&event.rust_name, field, parameter.as_ref()));
        quote! {
            #derive
            pub struct #name #generics { #(#fields)* }
            #defaults
        }
    }

    /// What follows in the list of derives, and the attribute that belongs to it.
    fn serde_derives(&self) -> (TokenStream, TokenStream) {
        if !self.catalog.serde {
            return (TokenStream::new(), TokenStream::new());
        }
        (quote!(, __serde::Serialize, __serde::Deserialize), quote!(#[serde(crate = "__serde")]))
    }

    fn field(&self, owner: &str, field: &Field, parameter: Option<&Parameter>) -> TokenStream {
        let doc = doc(&field.doc);
        let ident = names::ident(&field.rust_name);
        let ty = match parameter {
            Some(parameter) => {
                let name = &parameter.ident;
                quote!(#name)
            }
            None => self.ty(&field.ty),
        };
        let mut event = Vec::new();
        let mut serde = Vec::new();
        if let Some(parameter) = parameter {
            event.push(if parameter.blob { quote!(blob) } else { quote!(text) });
        }
        if field.name != field.rust_name {
            let wire = &field.name;
            event.push(quote!(name = #wire));
            serde.push(quote!(rename = #wire));
        }
        if let Some(default) = &field.default {
            let default = self.default(default, &field.ty, parameter.is_some());
            event.push(quote!(default = #default));
            let function = default_function(owner, field);
            serde.push(quote!(default = #function));
        } else if field.optional() {
            serde.push(quote!(default));
        }
        if field.secret {
            event.push(quote!(secret));
        }
        serde.extend(self.serde_of(field, parameter));
        let event = (!event.is_empty()).then(|| quote!(#[event(#(#event),*)]));
        let serde = (self.catalog.serde && !serde.is_empty()).then(|| quote!(#[serde(#(#serde),*)]));
        quote! { #doc #event #serde pub #ident: #ty, }
    }

    /// How serde gets at bytes, and what it must know about a parameter.
    fn serde_of(&self, field: &Field, parameter: Option<&Parameter>) -> Vec<TokenStream> {
        match parameter {
            Some(Parameter { ident, blob: true }) => {
                let serialize = format!("{ident}: __events::__private::Blob");
                let deserialize = format!("{ident}: __events::__private::OwnedBlob");
                vec![
                    quote!(with = "__events::__private::bytes::blob"),
                    quote!(bound(serialize = #serialize, deserialize = #deserialize)),
                ]
            }
            Some(Parameter { ident, blob: false }) if field.default.is_some() => {
                let deserialize = format!("{ident}: __serde::Deserialize<'de> + __events::__private::OwnedText");
                vec![quote!(bound(deserialize = #deserialize))]
            }
            None if *field.ty.innermost() == Type::Scalar(Scalar::Bytes) => {
                vec![quote!(with = "__events::__private::bytes")]
            }
            _ => Vec::new(),
        }
    }

    /// serde wants a function for a default.
    fn default_functions(&self, owner: &str, fields: &[Field], parameters: &[Option<Parameter>]) -> TokenStream {
        if !self.catalog.serde {
            return TokenStream::new();
        }
        let parameters = parameters.iter().map(Option::as_ref).chain(std::iter::repeat(None));
        let functions = fields.iter().zip(parameters).filter_map(|(field, parameter)| {
            let default = self.default(field.default.as_ref()?, &field.ty, parameter.is_some());
            let function = format_ident!("{}", default_function(owner, field));
            let allow = quote!(#[allow(non_snake_case)]);
            Some(match parameter {
                Some(Parameter { blob: false, .. }) => quote! {
                    #allow fn #function<T: __events::__private::OwnedText>() -> T { T::from_text(#default) }
                },
                Some(Parameter { blob: true, .. }) => quote! {
                    #allow fn #function<T: __events::__private::OwnedBlob>() -> T { T::from_blob(#default) }
                },
                None => {
                    let ty = self.ty(&field.ty);
                    quote! { #allow fn #function() -> #ty { #default } }
                }
            })
        });
        quote!(#(#functions)*)
    }

    fn ty(&self, ty: &Type) -> TokenStream {
        match ty {
            Type::Scalar(scalar) => match scalar {
                Scalar::String => quote!(::std::string::String),
                Scalar::Bytes => quote!(::std::vec::Vec<u8>),
                Scalar::Timestamp => quote!(__events::Timestamp),
                Scalar::Uuid => quote!(__events::Uuid),
                other => {
                    let name = format_ident!("{}", other.name());
                    quote!(#name)
                }
            },
            Type::Optional(of) => {
                let of = self.ty(of);
                quote!(::std::option::Option<#of>)
            }
            Type::List(of) => {
                let of = self.ty(of);
                quote!(::std::vec::Vec<#of>)
            }
            Type::Map(of) => {
                let of = self.ty(of);
                quote!(::std::collections::BTreeMap<::std::string::String, #of>)
            }
            Type::Named(index) => {
                let name = format_ident!("{}", self.catalog.types[*index].name);
                quote!(#name)
            }
        }
    }
}

/// The type parameter of a string or bytes field at the top level of an event.
struct Parameter {
    ident: proc_macro2::Ident,
    blob: bool,
}

impl Parameter {
    fn declaration(&self) -> TokenStream {
        let name = &self.ident;
        if self.blob { quote!(#name = ::std::vec::Vec<u8>) } else { quote!(#name = ::std::string::String) }
    }
}

/// Which parameters an event has: for each whether it is of bytes.
fn parameter_kinds(event: &Event) -> Vec<bool> {
    let kinds = event.fields.iter().filter_map(|field| match field.ty {
        Type::Scalar(Scalar::String) => Some(false),
        Type::Scalar(Scalar::Bytes) => Some(true),
        _ => None,
    });
    kinds.collect()
}

fn parameters(catalog: &Catalog, event: &Event) -> Vec<Option<Parameter>> {
    let mut taken: Vec<String> = Vec::new();
    let fields = event.fields.iter();
    fields
        .map(|field| {
            let blob = match field.ty {
                Type::Scalar(Scalar::String) => false,
                Type::Scalar(Scalar::Bytes) => true,
                _ => return None,
            };
            let name = names::parameter(&field.name, |name| {
                name == "AnyEvent"
                    || taken.iter().any(|other| other == name)
                    || catalog.types.iter().any(|ty| ty.name == name)
                    || catalog.events.iter().any(|event| event.rust_name == name)
            });
            taken.push(name.clone());
            Some(Parameter { ident: format_ident!("{name}"), blob })
        })
        .collect()
}

fn default_function(owner: &str, field: &Field) -> String {
    format!("default_{owner}_{}", field.rust_name)
}

/// A doc comment, line by line.
fn doc(text: &str) -> TokenStream {
    let lines = text.lines().map(|line| if line.is_empty() { String::new() } else { format!(" {line}") });
    quote!(#(#[doc = #lines])*)
}
