//! Payloads for the demonstration: every field filled, and different in every round.

use events_codegen::Catalog;
use events_codegen::model::{Event, Field, Scalar, Type, TypeKind};
use serde_json::{Map, Value, json};

/// A payload of `event` as JSON.
pub(super) fn payload(catalog: &Catalog, event: &Event, round: u32) -> Value {
    fields(catalog, &event.fields, round)
}

fn fields(catalog: &Catalog, fields: &[Field], round: u32) -> Value {
    let fill = |field: &Field| (field.name.clone(), value(catalog, &field.ty, &field.name, round));
    Value::Object(fields.iter().map(fill).collect())
}

fn value(catalog: &Catalog, ty: &Type, name: &str, round: u32) -> Value {
    match ty {
        Type::Scalar(scalar) => match scalar {
            Scalar::Bool => json!(round.is_multiple_of(2)),
            Scalar::F32 | Scalar::F64 => json!(f64::from(round) + 0.5),
            Scalar::String => json!(format!("{name} {round} ✓")),
            Scalar::Bytes => json!([0, 127, 255, round % 256]),
            Scalar::Timestamp => json!(format!("2026-05-04T03:02:{:02}Z", round % 60)),
            Scalar::Uuid => json!(format!("123e4567-e89b-12d3-a456-{round:012x}")),
            _ => json!(round % 100),
        },
        Type::Optional(of) => value(catalog, of, name, round),
        Type::List(of) => json!([value(catalog, of, name, round), value(catalog, of, name, round + 1)]),
        Type::Map(of) => Value::Object(Map::from_iter([(name.to_owned(), value(catalog, of, name, round))])),
        Type::Named(index) => match &catalog.types[*index].kind {
            TypeKind::Struct(of) => fields(catalog, of, round),
            TypeKind::Enum(variants) => {
                let variants: Vec<_> = variants.iter().map(|variant| json!(variant.name)).collect();
                variants.get(round as usize % variants.len().max(1)).cloned().unwrap_or_default()
            }
        },
    }
}
