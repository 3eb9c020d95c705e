//! What a struct with a derive says about its fields.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, DeriveInput, Expr, Ident, Lit, LitStr, Type};

use super::attributes::{self, Container};
use crate::names;

/// Gathers mistakes, so that all are told at once.
#[derive(Default)]
pub(super) struct Mistakes(Vec<syn::Error>);

impl Mistakes {
    pub(super) fn at(&mut self, span: Span, message: impl std::fmt::Display) {
        self.0.push(syn::Error::new(span, message));
    }

    pub(super) fn add(&mut self, error: syn::Error) {
        self.0.push(error);
    }

    pub(super) fn finish(self) -> Option<TokenStream> {
        if self.0.is_empty() {
            return None;
        }
        Some(self.0.into_iter().map(syn::Error::into_compile_error).collect())
    }
}

/// How a field is encoded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Field,
    Text,
    Blob,
    Serde,
}

impl Codec {
    /// The type in `__p` that says so, at the field's type: a type that is no field is told there.
    pub(super) fn tokens(self, span: Span) -> TokenStream {
        match self {
            Codec::Field => quote_spanned!(span=> __p::AsField),
            Codec::Text => quote_spanned!(span=> __p::AsText),
            Codec::Blob => quote_spanned!(span=> __p::AsBlob),
            Codec::Serde => quote_spanned!(span=> __p::AsSerde),
        }
    }
}

/// A parameter that stands for the type of a string or bytes field.
pub(super) struct Parameter {
    pub(super) ident: Ident,
    pub(super) blob: bool,
}

impl Parameter {
    pub(super) fn owned(&self) -> TokenStream {
        if self.blob { quote!(::std::vec::Vec<u8>) } else { quote!(::std::string::String) }
    }
}

/// A field to encode.
pub(super) struct Field {
    pub(super) ident: Ident,
    pub(super) wire: String,
    pub(super) doc: String,
    pub(super) ty: Type,
    pub(super) codec: Codec,
    /// An expression of the field's type.
    pub(super) default: Option<TokenStream>,
    pub(super) secret: bool,
}

impl Field {
    /// What reflection knows of it.
    pub(super) fn info(&self) -> TokenStream {
        let (name, doc) = (&self.wire, &self.doc);
        let shape = shape(self.codec, &self.ty);
        let optional = self.default.is_some().then(|| quote!(.optional()));
        let secret = self.secret.then(|| quote!(.secret()));
        quote!(__p::FieldInfo::new(#name, #doc, #shape) #optional #secret)
    }

    pub(super) fn put(&self) -> TokenStream {
        let (ident, ty, codec) = (&self.ident, &self.ty, self.codec.tokens(self.ty.span()));
        quote!(.field::<#codec, #ty>(&self.#ident))
    }

    fn take(&self) -> TokenStream {
        let (ty, wire, codec) = (&self.ty, &self.wire, self.codec.tokens(self.ty.span()));
        match &self.default {
            None => quote!(__fields.take::<#codec, #ty>(#wire)),
            Some(default) => quote!(__fields.take_or::<#codec, #ty>(#wire, || #default)),
        }
    }
}

/// Takes the fields of `Self` one after the other, from `begin`. One pattern for all of them: each `?` in
/// generated code takes the compiler longer than the field itself.
pub(super) fn take(fields: &[Field], begin: &TokenStream) -> TokenStream {
    let names: Vec<_> = fields.iter().map(|field| &field.ident).collect();
    let takes = fields.iter().map(Field::take);
    let taken: Vec<_> = (0..fields.len()).map(|index| format_ident!("__{index}")).collect();
    let mutable = (!fields.is_empty()).then(|| quote!(mut));
    let secrets: Vec<_> = fields.iter().filter(|field| field.secret).map(|field| &field.wire).collect();
    let failure = if secrets.is_empty() { quote!(failure()) } else { quote!(failure_hiding(&[#(#secrets),*])) };
    let all = (!fields.is_empty()).then(|| {
        quote! {
            let (#(::std::option::Option::Some(#taken),)*) = (#(#takes,)*) else {
                return __fields.#failure;
            };
        }
    });
    quote! {
        let #mutable __fields = #begin;
        #all
        __fields.finish(Self { #(#names: #taken),* })
    }
}

/// The shape of a field, as a `&'static Shape`.
pub(super) fn shape(codec: Codec, ty: &Type) -> TokenStream {
    match codec {
        Codec::Field => quote!(<#ty as __p::Field>::SHAPE),
        Codec::Text => quote!(&__p::Shape::String),
        Codec::Blob => quote!(&__p::Shape::Bytes),
        Codec::Serde => {
            let name = foreign_name(ty);
            quote!(&__p::Shape::Serde(#name))
        }
    }
}

/// The last segment of a foreign type's path: what its shape is called.
fn foreign_name(ty: &Type) -> String {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default(),
        _ => "value".to_owned(),
    }
}

/// The fields of a struct with named fields (or none).
pub(super) fn fields(fields: &syn::Fields, mistakes: &mut Mistakes) -> Vec<Field> {
    let mut read: Vec<Field> = Vec::new();
    for field in fields {
        let Some(ident) = &field.ident else { continue };
        let attributes = attributes::field(&field.attrs, mistakes);
        let bare = ident.to_string();
        let bare = bare.strip_prefix("r#").unwrap_or(&bare);
        let wire = wire_name(attributes.name.as_ref(), bare, mistakes);
        if let Some(first) = read.iter().find(|other| other.wire == wire) {
            mistakes
                .at(ident.span(), format!("the fields `{}` and `{bare}` are both `{wire}` on the wire", first.ident));
        }
        let codec = attributes.encoding.unwrap_or(Codec::Field);
        let default = attributes.default.map(|default| default_of(default, codec));
        read.push(Field {
            ident: ident.clone(),
            wire,
            doc: doc(&field.attrs),
            ty: field.ty.clone(),
            codec,
            default,
            secret: attributes.secret,
        });
    }
    read
}

fn default_of(expression: Option<Expr>, codec: Codec) -> TokenStream {
    match (codec, expression) {
        (Codec::Text, None) => quote!(__p::OwnedText::from_text("")),
        (Codec::Text, Some(expression)) => quote!(__p::OwnedText::from_text(#expression)),
        (Codec::Blob, None) => quote!(__p::OwnedBlob::from_blob(&[])),
        (Codec::Blob, Some(expression)) => quote!(__p::OwnedBlob::from_blob(#expression)),
        (_, None) => quote!(::std::default::Default::default()),
        // So that `default = "x"` does for a `String`.
        (_, Some(Expr::Lit(literal))) if matches!(literal.lit, Lit::Str(_)) => {
            quote!(::std::convert::From::from(#literal))
        }
        (_, Some(expression)) => quote!(#expression),
    }
}

pub(super) fn is_parameter(ty: &Type, parameter: &Ident) -> bool {
    matches!(ty, Type::Path(path) if path.qself.is_none() && path.path.is_ident(parameter))
}

/// The name on the wire: what the attribute says, or the name in Rust.
pub(super) fn wire_name(given: Option<&LitStr>, bare: &str, mistakes: &mut Mistakes) -> String {
    let Some(given) = given else { return bare.to_owned() };
    let name = given.value();
    if !names::is_identifier(&name) {
        let message = format!("`{name}` is no name; it is letters, digits and `_`, not beginning with a digit");
        mistakes.at(given.span(), message);
    }
    name
}

/// The doc comment, as the catalog has it.
pub(super) fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let syn::Meta::NameValue(meta) = &attribute.meta else { return None };
        match &meta.value {
            Expr::Lit(literal) if meta.path.is_ident("doc") => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        }
    });
    let lines: Vec<String> = lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).to_owned()).collect();
    lines.join("\n").trim().to_owned()
}

/// Where the `events` crate is.
pub(super) fn root(container: &Container) -> syn::Path {
    container.root.clone().unwrap_or_else(|| syn::parse_quote!(::events))
}

/// The path of the `events` crate, for a stub, whatever else is wrong.
pub(super) fn root_of(input: &DeriveInput) -> syn::Path {
    root(&attributes::container(&input.attrs, &mut Mistakes::default()))
}

/// Refuses parameters that nothing is known about.
pub(super) fn refuse_lifetimes(input: &DeriveInput, mistakes: &mut Mistakes) {
    for parameter in input.generics.params.iter() {
        match parameter {
            syn::GenericParam::Lifetime(lifetime) => mistakes.at(
                lifetime.span(),
                "an event has no lifetimes; for a field that may borrow, use a parameter: \
                 `struct Name<Uid = String> { #[event(text)] uid: Uid }`",
            ),
            syn::GenericParam::Const(parameter) => mistakes.at(parameter.span(), "an event has no const parameters"),
            syn::GenericParam::Type(_) => {}
        }
    }
}
