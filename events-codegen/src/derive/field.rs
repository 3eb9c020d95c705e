//! `Field` for a struct or an enum.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields, GenericParam, Generics};

use super::attributes::{self, Container};
use super::input::{self, Codec, Mistakes};
use super::{block, enumeration, face};

pub(super) fn expand(derive: &DeriveInput, mistakes: &mut Mistakes) -> Option<TokenStream> {
    let container = attributes::container(&derive.attrs, mistakes);
    if let Some(name) = &container.name {
        mistakes.at(name.span(), "a type has no name on the wire; only events, fields and variants have");
    }
    if container.retain {
        mistakes.at(derive.ident.span(), "`retain` is for events; this is a type for fields");
    }
    input::refuse_lifetimes(derive, mistakes);
    let items = match &derive.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) if !fields.named.is_empty() => structure(derive, &container, &data.fields, mistakes),
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => newtype(derive, &fields.unnamed[0], mistakes),
            _ => {
                let message = "a struct for fields has named fields, or is a newtype: `struct UserId(String);`";
                mistakes.at(derive.ident.span(), message);
                return None;
            }
        },
        Data::Enum(data) => enumeration::expand(derive, &container, data, mistakes),
        Data::Union(data) => {
            mistakes.at(data.union_token.span(), "a type for fields is a struct or an enum");
            return None;
        }
    };
    Some(block(&input::root(&container), &items))
}

pub(super) fn stub(derive: &DeriveInput) -> TokenStream {
    let ident = &derive.ident;
    let (impls, types, bounds) = derive.generics.split_for_impl();
    let items = quote! {
        impl #impls __p::Field for #ident #types #bounds {
            const SHAPE: &'static __p::Shape = &__p::Shape::Bool;

            fn put(&self, _: &mut ::std::vec::Vec<u8>) -> ::std::result::Result<(), __p::PutError> {
                ::std::result::Result::Ok(())
            }

            fn take(input: &mut __p::Reader<'_>) -> ::std::result::Result<Self, __p::TakeError> {
                ::std::result::Result::Err(__p::stub_taken(input))
            }
        }
    };
    block(&input::root_of(derive), &items)
}

/// The same generics, each type of which must be a field itself.
fn bounded(generics: &Generics) -> Generics {
    let mut generics = generics.clone();
    for parameter in &mut generics.params {
        if let GenericParam::Type(parameter) = parameter {
            parameter.bounds.push(syn::parse_quote!(__p::Field));
        }
    }
    generics
}

fn structure(derive: &DeriveInput, container: &Container, fields: &Fields, mistakes: &mut Mistakes) -> TokenStream {
    let fields = input::fields(fields, mistakes);
    let ident = &derive.ident;
    let generics = bounded(&derive.generics);
    let (impls, types, bounds) = generics.split_for_impl();
    let infos = fields.iter().map(input::Field::info);
    let count = fields.len();
    let puts = fields.iter().map(input::Field::put);
    let take = input::take(&fields, &quote!(__p::Fields::of_struct(__input)));
    let face = container.generated.then(|| face::of_struct(derive, &fields));
    quote! {
        #[automatically_derived]
        impl #impls __p::Field for #ident #types #bounds {
            const SHAPE: &'static __p::Shape = &__p::Shape::Struct(&[#(#infos),*]);

            fn put(&self, __out: &mut ::std::vec::Vec<u8>) -> ::std::result::Result<(), __p::PutError> {
                __p::Puts::new(__out, #count) #(#puts)* .finish()
            }

            fn take(__input: &mut __p::Reader<'_>) -> ::std::result::Result<Self, __p::TakeError> {
                #take
            }
        }

        #face
    }
}

/// A newtype is what it holds, as with serde.
fn newtype(derive: &DeriveInput, field: &syn::Field, mistakes: &mut Mistakes) -> TokenStream {
    let attributes = attributes::field(&field.attrs, mistakes);
    if attributes.name.is_some() || attributes.default.is_some() || attributes.secret {
        mistakes.at(field.span(), "the field of a newtype has neither name, nor default, nor secret");
    }
    let (ident, ty) = (&derive.ident, &field.ty);
    let generics = bounded(&derive.generics);
    let (impls, types, bounds) = generics.split_for_impl();
    let codec = attributes.encoding.unwrap_or(Codec::Field);
    let shape = input::shape(codec, ty);
    let codec = codec.tokens(ty.span());
    quote! {
        #[automatically_derived]
        impl #impls __p::Field for #ident #types #bounds {
            const SHAPE: &'static __p::Shape = #shape;

            #[inline]
            fn put(&self, out: &mut ::std::vec::Vec<u8>) -> ::std::result::Result<(), __p::PutError> {
                <#codec as __p::Codec<#ty>>::put(&self.0, out)
            }

            #[inline]
            fn take(input: &mut __p::Reader<'_>) -> ::std::result::Result<Self, __p::TakeError> {
                <#codec as __p::Decode<#ty>>::take(input).map(Self)
            }

            #[inline]
            fn missing() -> ::std::option::Option<Self> {
                <#codec as __p::Decode<#ty>>::missing().map(Self)
            }
        }
    }
}
