//! The canonical text of an event's shape, and its fingerprint: what generated code has in `const`.

use std::fmt::Write;

use crate::model::{Catalog, Event, Field, Type, TypeKind};

pub(crate) fn text(catalog: &Catalog, event: &Event) -> String {
    let mut text = event.name.clone();
    fields(catalog, &event.fields, &mut text);
    text
}

/// FNV-1a 64.
pub(crate) fn fingerprint(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |state: u64, byte| (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn fields(catalog: &Catalog, fields: &[Field], text: &mut String) {
    text.push('(');
    for (index, field) in fields.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{}{}:", if index == 0 { "" } else { "," }, field.name);
        ty(catalog, &field.ty, text);
    }
    text.push(')');
}

fn ty(catalog: &Catalog, of: &Type, text: &mut String) {
    match of {
        Type::Scalar(scalar) => text.push_str(scalar.name()),
        Type::Optional(of) => {
            ty(catalog, of, text);
            text.push('?');
        }
        Type::List(of) => {
            text.push('[');
            ty(catalog, of, text);
            text.push(']');
        }
        Type::Map(of) => {
            text.push('{');
            ty(catalog, of, text);
            text.push('}');
        }
        Type::Named(index) => match &catalog.types[*index].kind {
            TypeKind::Struct(of) => fields(catalog, of, text),
            TypeKind::Enum(variants) => {
                let names: Vec<_> = variants.iter().map(|variant| variant.name.as_str()).collect();
                let _ = write!(text, "<{}>", names.join("|"));
            }
        },
    }
}
