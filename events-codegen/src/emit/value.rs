//! The default of a field as an expression.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

use super::Emitter;
use crate::model::{Scalar, Type, TypeKind, Value};
use crate::names;

impl Emitter<'_> {
    /// The expression for `value`. Text and bytes of a parameter stay borrowed: what they become
    /// is not known.
    pub(super) fn default(&self, value: &Value, ty: &Type, parameter: bool) -> TokenStream {
        match (value, ty) {
            (Value::Bool(value), _) => quote!(#value),
            (Value::Integer(value), _) => integer(*value),
            (Value::Float(value), Type::Scalar(scalar)) => float(*value, *scalar),
            (Value::Float(value), _) => float(*value, Scalar::F64),
            (Value::String(text), _) if parameter => quote!(#text),
            (Value::String(text), _) => quote!(::std::string::String::from(#text)),
            (Value::Bytes(bytes), _) => {
                let bytes = Literal::byte_string(bytes);
                if parameter { quote!(#bytes) } else { quote!(#bytes.to_vec()) }
            }
            (Value::Timestamp(seconds, 0), _) => {
                let seconds = integer((*seconds).into());
                quote!(__events::Timestamp::from_seconds(#seconds))
            }
            (Value::Timestamp(seconds, nanoseconds), _) => {
                let (seconds, nanoseconds) = (integer((*seconds).into()), integer((*nanoseconds).into()));
                // Checked here, so the fraction is never a second or more.
                quote!(__events::Timestamp::new(#seconds, #nanoseconds).unwrap_or_default())
            }
            (Value::Uuid(uuid), _) => {
                let uuid: TokenStream = format!("{uuid:#034x}").parse().unwrap_or_default();
                quote!(__events::Uuid::from_u128(#uuid))
            }
            (Value::None, _) => quote!(::std::option::Option::None),
            (Value::Some(value), Type::Optional(of)) => {
                let value = self.default(value, of, false);
                quote!(::std::option::Option::Some(#value))
            }
            (Value::List(items), Type::List(of)) if !items.is_empty() => {
                let items = items.iter().map(|item| self.default(item, of, false));
                quote!(::std::vec![#(#items),*])
            }
            (Value::List(_), _) => quote!(::std::vec::Vec::new()),
            (Value::Map(entries), Type::Map(of)) if !entries.is_empty() => {
                let entries = entries.iter().map(|(key, item)| {
                    let item = self.default(item, of, false);
                    quote!((::std::string::String::from(#key), #item))
                });
                quote!(::std::collections::BTreeMap::from([#(#entries),*]))
            }
            (Value::Map(_), _) => quote!(::std::collections::BTreeMap::new()),
            (Value::Variant(place), Type::Named(index)) => self.variant(*index, *place),
            (Value::Struct(values), Type::Named(index)) => self.structure(*index, values),
            // A value is made for its type, so nothing else comes together.
            (Value::Some(_) | Value::Variant(_) | Value::Struct(_), _) => TokenStream::new(),
        }
    }

    fn variant(&self, index: usize, place: usize) -> TokenStream {
        let ty = &self.catalog.types[index];
        let TypeKind::Enum(variants) = &ty.kind else { return TokenStream::new() };
        let (name, variant) = (format_ident!("{}", ty.name), format_ident!("{}", variants[place].rust_name));
        quote!(#name::#variant)
    }

    fn structure(&self, index: usize, values: &[Value]) -> TokenStream {
        let ty = &self.catalog.types[index];
        let TypeKind::Struct(fields) = &ty.kind else { return TokenStream::new() };
        let name = format_ident!("{}", ty.name);
        let fields = fields.iter().zip(values).map(|(field, value)| {
            let ident = names::ident(&field.rust_name);
            let value = self.default(value, &field.ty, false);
            quote!(#ident: #value)
        });
        quote!(#name { #(#fields),* })
    }
}

fn integer(value: i128) -> TokenStream {
    let digits = Literal::u128_unsuffixed(value.unsigned_abs());
    if value < 0 { quote!(-#digits) } else { quote!(#digits) }
}

fn float(value: f64, scalar: Scalar) -> TokenStream {
    let ty = format_ident!("{}", scalar.name());
    if value.is_nan() {
        return quote!(::std::primitive::#ty::NAN);
    }
    if value.is_infinite() {
        return if value < 0.0 {
            quote!(::std::primitive::#ty::NEG_INFINITY)
        } else {
            quote!(::std::primitive::#ty::INFINITY)
        };
    }
    let digits = Literal::f64_unsuffixed(value.abs());
    if value.is_sign_negative() { quote!(-#digits) } else { quote!(#digits) }
}
