//! `Field` for an enum: its variants go by name.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{DataEnum, DeriveInput, Fields, Ident};

use super::attributes::{self, Container};
use super::input::{self, Mistakes};

pub(super) fn expand(
    derive: &DeriveInput,
    container: &Container,
    data: &DataEnum,
    mistakes: &mut Mistakes,
) -> TokenStream {
    let mut known: Vec<(&Ident, String)> = Vec::new();
    let mut unknown = None;
    for variant in &data.variants {
        let attributes = attributes::variant(&variant.attrs, mistakes);
        match (&variant.fields, attributes.unknown) {
            (Fields::Unit, false) => {
                let wire = input::wire_name(attributes.name.as_ref(), &variant.ident.unraw().to_string(), mistakes);
                if known.iter().any(|(_, other)| *other == wire) {
                    mistakes.at(variant.ident.span(), format!("two variants are `{wire}` on the wire"));
                }
                known.push((&variant.ident, wire));
            }
            (Fields::Unnamed(fields), true) if fields.unnamed.len() == 1 && unknown.is_none() => {
                unknown = Some(&variant.ident);
            }
            (_, true) => {
                let message =
                    "one variant is for unknown names, and it holds the name: `#[event(unknown)] Unknown(String)`";
                mistakes.at(variant.ident.span(), message);
            }
            (_, false) => mistakes.at(
                variant.ident.span(),
                "a variant holds nothing; only one marked `#[event(unknown)]` holds the `String` of an unknown name",
            ),
        }
    }
    if known.is_empty() {
        mistakes.at(derive.ident.span(), "an enum for fields has at least one variant");
    }
    let ident = &derive.ident;
    let (idents, names): (Vec<_>, Vec<_>) = known.into_iter().unzip();
    let puts = unknown.map(|unknown| quote!(Self::#unknown(name) => name,));
    let otherwise = match unknown {
        Some(unknown) => quote!(::std::result::Result::Ok(Self::#unknown(::std::borrow::ToOwned::to_owned(other)))),
        None => quote!(::std::result::Result::Err(__p::no_variant(other, &[#(#names),*], start))),
    };
    let face = unknown.filter(|_| container.generated).map(|unknown| face(ident, &idents, &names, unknown));
    quote! {
        #[automatically_derived]
        impl __p::Field for #ident {
            const SHAPE: &'static __p::Shape = &__p::Shape::Enum(&[#(#names),*]);

            fn put(&self, out: &mut ::std::vec::Vec<u8>) -> ::std::result::Result<(), __p::PutError> {
                let name: &str = match self {
                    #(Self::#idents => #names,)*
                    #puts
                };
                __p::writer::put_str(out, name)
            }

            fn take(input: &mut __p::Reader<'_>) -> ::std::result::Result<Self, __p::TakeError> {
                #[allow(unused_variables)]
                let start = input.position();
                match input.str()? {
                    #(#names => ::std::result::Result::Ok(Self::#idents),)*
                    other => #otherwise,
                }
            }
        }

        #face
    }
}

/// What a catalog's enum types have beside the encoding.
fn face(ident: &Ident, idents: &[&Ident], names: &[String], unknown: &Ident) -> TokenStream {
    quote! {
        impl #ident {
            /// The name of the variant, as in the catalog.
            pub fn as_str(&self) -> &str {
                match self {
                    #(Self::#idents => #names,)*
                    Self::#unknown(name) => name,
                }
            }
        }

        #[automatically_derived]
        impl ::std::fmt::Display for #ident {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        #[automatically_derived]
        impl ::std::convert::From<::std::string::String> for #ident {
            fn from(name: ::std::string::String) -> Self {
                match name.as_str() {
                    #(#names => Self::#idents,)*
                    _ => Self::#unknown(name),
                }
            }
        }

        #[automatically_derived]
        impl ::std::convert::From<#ident> for ::std::string::String {
            fn from(value: #ident) -> Self {
                match value {
                    #ident::#unknown(name) => name,
                    known => ::std::borrow::ToOwned::to_owned(known.as_str()),
                }
            }
        }
    }
}
