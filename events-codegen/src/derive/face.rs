//! What a catalog's types have beside the encoding: `Debug` without secrets, `PartialEq` across
//! parameters, `new`, `into_owned`. A hand-written type has its own.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{DeriveInput, Ident};

use super::input::{Codec, Field, Parameter};

pub(super) fn of_event(derive: &DeriveInput, fields: &[Field], parameters: &[Parameter]) -> TokenStream {
    let ident = &derive.ident;
    let debug = debug(ident, fields, parameters);
    let equal = equal(ident, fields, parameters);
    let new = (!fields.is_empty()).then(|| new(ident, fields, parameters));
    let into_owned = (!parameters.is_empty()).then(|| into_owned(ident, fields, parameters));
    quote!(#debug #equal #new #into_owned)
}

pub(super) fn of_struct(derive: &DeriveInput, fields: &[Field]) -> TokenStream {
    let debug = debug(&derive.ident, fields, &[]);
    let equal = equal(&derive.ident, fields, &[]);
    quote!(#debug #equal)
}

fn debug(ident: &Ident, fields: &[Field], parameters: &[Parameter]) -> TokenStream {
    let parameters: Vec<_> = parameters.iter().map(|parameter| &parameter.ident).collect();
    let name = ident.to_string();
    let shown = fields.iter().map(|field| {
        let (ident, wire) = (&field.ident, &field.wire);
        if field.secret { quote!((#wire, &__p::Secret)) } else { quote!((#wire, &self.#ident)) }
    });
    // One call, because a chain of them is what takes the compiler long.
    let body = if fields.is_empty() {
        quote!(f.write_str(#name))
    } else {
        quote!(__p::debug_struct(f, #name, &[#(#shown),*]))
    };
    quote! {
        #[automatically_derived]
        impl<#(#parameters: ::std::fmt::Debug),*> ::std::fmt::Debug for #ident<#(#parameters),*> {
            #[inline]
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                #body
            }
        }
    }
}

fn equal(ident: &Ident, fields: &[Field], parameters: &[Parameter]) -> TokenStream {
    let mine: Vec<_> = parameters.iter().map(|parameter| &parameter.ident).collect();
    let theirs: Vec<_> = mine.iter().map(|name| format_ident!("__{name}")).collect();
    let names = fields.iter().map(|field| &field.ident);
    let other = if fields.is_empty() { quote!(_) } else { quote!(other) };
    let body = if fields.is_empty() { quote!(true) } else { quote!(#(self.#names == other.#names)&&*) };
    quote! {
        #[automatically_derived]
        impl<#(#mine: ::std::cmp::PartialEq<#theirs>,)* #(#theirs),*> ::std::cmp::PartialEq<#ident<#(#theirs),*>>
            for #ident<#(#mine),*>
        {
            #[inline]
            fn eq(&self, #other: &#ident<#(#theirs),*>) -> bool {
                #body
            }
        }
    }
}

fn new(ident: &Ident, fields: &[Field], parameters: &[Parameter]) -> TokenStream {
    let arguments = fields.iter().map(|field| {
        let (ident, ty) = (&field.ident, &field.ty);
        match field.codec {
            Codec::Text => quote!(#ident: impl ::std::convert::Into<::std::string::String>),
            Codec::Blob => quote!(#ident: impl ::std::convert::Into<::std::vec::Vec<u8>>),
            Codec::Field | Codec::Serde => quote!(#ident: #ty),
        }
    });
    let values = fields.iter().map(value_of(quote!()));
    let owned = parameters.iter().map(Parameter::owned);
    quote! {
        impl #ident<#(#owned),*> {
            /// The event with these fields, in the order of the catalog, owned.
            #[inline]
            #[allow(clippy::too_many_arguments)]
            pub fn new(#(#arguments),*) -> Self {
                Self { #(#values),* }
            }
        }
    }
}

fn into_owned(ident: &Ident, fields: &[Field], parameters: &[Parameter]) -> TokenStream {
    let names: Vec<_> = parameters.iter().map(|parameter| &parameter.ident).collect();
    let owned: Vec<_> = parameters.iter().map(Parameter::owned).collect();
    let values = fields.iter().map(value_of(quote!(self.)));
    quote! {
        impl<#(#names: ::std::convert::Into<#owned>),*> #ident<#(#names),*> {
            /// The same event with `String` and `Vec<u8>` fields.
            #[inline]
            pub fn into_owned(self) -> #ident<#(#owned),*> {
                #ident { #(#values),* }
            }
        }
    }
}

fn value_of(from: TokenStream) -> impl Fn(&Field) -> TokenStream {
    move |field| {
        let ident = &field.ident;
        match field.codec {
            Codec::Text | Codec::Blob => quote!(#ident: ::std::convert::Into::into(#from #ident)),
            Codec::Field | Codec::Serde => quote!(#ident: #from #ident),
        }
    }
}
