//! `Event` and `Receive` for a struct.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields, LitStr, TypeParam};

use super::attributes;
use super::input::{self, Codec, Mistakes, Parameter};
use super::{block, face};
use crate::names;

pub(super) fn expand(derive: &DeriveInput, mistakes: &mut Mistakes) -> Option<TokenStream> {
    let container = attributes::container(&derive.attrs, mistakes);
    input::refuse_lifetimes(derive, mistakes);
    let Data::Struct(data) = &derive.data else {
        mistakes.at(derive.ident.span(), "an event is a struct with named fields, or without fields");
        return None;
    };
    if let Fields::Unnamed(fields) = &data.fields {
        mistakes.at(fields.span(), "the fields of an event have names: `struct Name { field: Type }`");
        return None;
    }
    let fields = input::fields(&data.fields, mistakes);
    let parameters = parameters(derive, &fields, mistakes);
    let name = event_name(container.name.as_ref(), &derive.ident, mistakes);

    let ident = &derive.ident;
    let doc = input::doc(&derive.attrs);
    let infos = fields.iter().map(input::Field::info);
    let retained = container.retain.then(|| quote!(.retained()));
    let deprecated = attributes::deprecated(&derive.attrs).map(|why| quote!(.deprecated(#why)));
    let count = fields.len();
    let puts = fields.iter().map(input::Field::put);
    let take = input::take(&fields, &quote!(__p::Fields::of_event(__input)));
    let names: Vec<_> = parameters.iter().map(|parameter| &parameter.ident).collect();
    let owned = parameters.iter().map(Parameter::owned);
    let borrowed_bounds =
        parameters.iter().map(|parameter| if parameter.blob { quote!(__p::Blob) } else { quote!(__p::Text) });
    let owned_bounds =
        parameters.iter().map(|parameter| if parameter.blob { quote!(__p::OwnedBlob) } else { quote!(__p::OwnedText) });
    let bounds = bounds(derive);
    let face = container.generated.then(|| face::of_event(derive, &fields, &parameters));
    let items = quote! {
        static INFO: __p::EventInfo = __p::EventInfo::new(#name, #doc, &[#(#infos),*]) #retained #deprecated;

        #[automatically_derived]
        impl<#(#names: #borrowed_bounds),*> __p::Event for #ident<#(#names),*> #bounds {
            type Kind = #ident<#(#owned),*>;
            const INFO: &'static __p::EventInfo = &INFO;

            #[inline]
            fn put(&self, __out: &mut ::std::vec::Vec<u8>) -> ::std::result::Result<(), __p::PutError> {
                __p::Puts::new(__out, #count) #(#puts)* .finish()
            }
        }

        #[automatically_derived]
        impl<#(#names: #owned_bounds),*> __p::Receive for #ident<#(#names),*> #bounds {
            #[inline]
            fn take(__input: &mut __p::Reader<'_>) -> ::std::result::Result<Self, __p::TakeError> {
                #take
            }
        }

        #face
    };
    Some(block(&input::root(&container), &items))
}

/// Impls that say nothing, beside the mistakes: so `emit` and `register` do not complain as well.
pub(super) fn stub(derive: &DeriveInput) -> TokenStream {
    let ident = &derive.ident;
    let (impls, types, bounds) = derive.generics.split_for_impl();
    let predicates = bounds.map(|bounds| &bounds.predicates);
    let items = quote! {
        impl #impls __p::Event for #ident #types #bounds {
            type Kind = __p::Stub;
            const INFO: &'static __p::EventInfo = <__p::Stub as __p::Event>::INFO;

            fn put(&self, _: &mut ::std::vec::Vec<u8>) -> ::std::result::Result<(), __p::PutError> {
                ::std::result::Result::Ok(())
            }
        }

        impl #impls __p::Receive for #ident #types where Self: 'static, #predicates {
            fn take(input: &mut __p::Reader<'_>) -> ::std::result::Result<Self, __p::TakeError> {
                ::std::result::Result::Err(__p::stub_taken(input))
            }
        }
    };
    block(&input::root_of(derive), &items)
}

/// The type parameters, each of which is the type of a field that is text or bytes.
///
/// The mark stands on the field: on the parameter it would be repeated by serde's derive, which
/// does not compile.
fn parameters(derive: &DeriveInput, fields: &[input::Field], mistakes: &mut Mistakes) -> Vec<Parameter> {
    let mut read = Vec::new();
    for parameter in derive.generics.type_params() {
        let ident = &parameter.ident;
        let field = fields.iter().find(|field| input::is_parameter(&field.ty, ident));
        let blob = match field.map(|field| field.codec) {
            Some(Codec::Text) => false,
            Some(Codec::Blob) => true,
            _ => {
                let message = format!(
                    "say what `{ident}` stands for: mark a field `#[event(text)] name: {ident}` if it is a string, \
                     `#[event(blob)] name: {ident}` if it is bytes; other types cannot be parameters"
                );
                mistakes.at(ident.span(), message);
                continue;
            }
        };
        read.push(Parameter { ident: ident.clone(), blob });
    }
    read
}

/// What the struct asks of its parameters: whoever implements for it must ask the same.
fn bounds(derive: &DeriveInput) -> Option<TokenStream> {
    let inline = derive.generics.type_params().filter(|parameter| !parameter.bounds.is_empty());
    let inline = inline.map(|TypeParam { ident, bounds, .. }| quote!(#ident: #bounds));
    let clause = derive.generics.where_clause.iter().flat_map(|clause| clause.predicates.iter());
    let all: Vec<_> = inline.chain(clause.map(|predicate| quote!(#predicate))).collect();
    (!all.is_empty()).then(|| quote!(where #(#all),*))
}

/// What the attribute says, or `CLIENT_UID` for a struct `ClientUid`.
fn event_name(given: Option<&LitStr>, ident: &syn::Ident, mistakes: &mut Mistakes) -> String {
    let (name, span) = match given {
        Some(given) => (given.value(), given.span()),
        None => (names::snake(&ident.unraw().to_string()).to_uppercase(), ident.span()),
    };
    let say = if given.is_some() { "" } else { "; give it one by `#[event(name = \"…\")]`" };
    if !name.split('.').all(names::is_identifier) {
        let message = format!(
            "`{name}` is no name of an event; it is letters, digits and `_`, not beginning with a digit, with dots \
             after a namespace{say}"
        );
        mistakes.at(span, message);
    } else if name.len() > names::MAX_EVENT {
        let (length, most) = (name.len(), names::MAX_EVENT);
        let message = format!("the name of the event has {length} characters; at most {most} are allowed{say}");
        mistakes.at(span, message);
    }
    name
}
